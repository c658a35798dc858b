using System.Buffers;
using System.Globalization;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Keyless.MSBuild.Manifests;

/// <summary>
/// Makes nodes of the parser's events. It refuses what YAML allows and no deploy file needs, where readers disagree or would loop: a key that is there
/// twice, keys that are no single values, aliases of what they are in.
/// </summary>
internal sealed class YamlReader(YamlFile file)
{
    private static readonly SearchValues<string> KeyEnds = SearchValues.Create([": ", ":\t", ":\n", ":\r"], StringComparison.Ordinal);

    private readonly Dictionary<string, YamlNode?> anchors = new(StringComparer.Ordinal);
    private readonly Events parser = new(new Parser(new StringReader(file.Text)));
    private int nodes;

    public IReadOnlyList<YamlNode> Read()
    {
        var documents = new List<YamlNode>();
        parser.Consume<StreamStart>();
        while (parser.TryConsume<DocumentStart>(out _))
        {
            anchors.Clear();
            YamlNode document = ReadNode(1);
            parser.Consume<DocumentEnd>();
            if (document is not YamlScalar { IsNull: true })
            {
                documents.Add(document);
            }
        }

        parser.Consume<StreamEnd>();
        return documents;
    }

    private YamlNode ReadNode(int depth)
    {
        if (parser.TryConsume<AnchorAlias>(out AnchorAlias? alias))
        {
            return Resolve(alias);
        }

        NodeEvent start = parser.Consume<NodeEvent>();
        int at = (int)start.Start.Index;
        Count(at);
        if (depth > Limits.YamlDepth)
        {
            throw TooDeep(at);
        }

        string? anchor = start.Anchor.IsEmpty ? null : Name(start.Anchor, at);
        if (anchor is not null)
        {
            anchors[anchor] = null;
        }

        string tag = start.Tag.IsEmpty ? "" : start.Tag.Value;
        YamlNode node = start switch
        {
            Scalar scalar => Clear(new YamlScalar(ValueStart(scalar), (int)scalar.End.Index, tag, scalar.Value, scalar.Style)),
            SequenceStart => ReadSequence(new YamlSequence(at, tag), depth),
            _ => ReadMapping(new YamlMapping(at, tag), depth),
        };
        if (anchor is not null)
        {
            anchors[anchor] = node;
        }

        return node;
    }

    private YamlSequence ReadSequence(YamlSequence sequence, int depth)
    {
        while (!parser.TryConsume<SequenceEnd>(out _))
        {
            sequence.Add(Shallow(ReadNode(depth + 1), sequence.Start));
        }

        return sequence;
    }

    private YamlMapping ReadMapping(YamlMapping mapping, int depth)
    {
        (YamlNode Source, int At)? merge = null;
        while (!parser.TryConsume<MappingEnd>(out _))
        {
            int at = (int)parser.Current!.Start.Index;
            YamlScalar key = parser.Accept<AnchorAlias>(out _) ? throw WrongKey(at) : ReadNode(depth + 1) as YamlScalar ?? throw WrongKey(at);
            YamlNode value = Shallow(ReadNode(depth + 1), at);
            if (key.IsNull)
            {
                throw file.Refuse(at, "the key is empty");
            }

            bool isMerge = key is { Value: "<<", Style: ScalarStyle.Plain, Tag: "" or "tag:yaml.org,2002:merge" };
            if (!isMerge && !key.IsUntagged)
            {
                // For kubectl and helm, !!binary aW1hZ2U= is the key "image".
                throw file.Refuse(at, $"the tag {key.Tag} on a key, which makes another key of it for some readers");
            }

            bool isNew;
            if (isMerge)
            {
                isNew = merge is null;
                merge = (value, key.Start);
            }
            else
            {
                isNew = key.Value != "<<" ? mapping.TryAdd(key, value) : throw file.Refuse(at, "a key << in quotes; some readers merge what follows, and others do not");
            }

            if (!isNew)
            {
                throw file.Refuse(at, $"the key '{key.Value}' is there twice; which one counts depends on who reads it");
            }
        }

        if (merge is var (source, place))
        {
            mapping.Merge(Sources(source, place), place);
            Shallow(mapping, mapping.Start);
        }

        return mapping;
    }

    private List<YamlMapping> Sources(YamlNode merged, int at)
    {
        List<YamlMapping> sources = [.. merged is YamlMapping one ? [one] : merged is YamlSequence several ? several.Items.OfType<YamlMapping>() : []];
        if (merged is YamlScalar || (merged is YamlSequence list && list.Items.Count != sources.Count))
        {
            throw file.Refuse(at, "what << merges has to be a mapping, or a list of them");
        }

        // A merge copies: a chain of them could make any number of entries.
        foreach (YamlMapping source in sources)
        {
            Count(at, source.Entries.Count);
        }

        return sources;
    }

    private YamlNode Resolve(AnchorAlias alias)
    {
        int at = (int)alias.Start.Index;
        Count(at);
        string name = Name(alias.Value, at);
        YamlNode node = anchors.TryGetValue(name, out YamlNode? known)
            ? known ?? throw file.Refuse(at, $"*{name} stands for something that it is in itself")
            : throw file.Refuse(at, $"*{name} stands for nothing: no &{name} comes before it in this document");
        node.IsShared = true;
        return node;
    }

    /// <summary>
    /// The parser takes for one value what libyaml and its kin take for a key: <c>?a</c> in a flow, and <c>a *b: c</c>, in which YAML allows no colon
    /// before a blank.
    /// </summary>
    private YamlScalar Clear(YamlScalar scalar)
    {
        if (scalar.Style != ScalarStyle.Plain || scalar.Value.Length == 0)
        {
            return scalar;
        }

        ReadOnlySpan<char> text = file.Text.AsSpan(scalar.Start, scalar.End - scalar.Start);
        bool isKey = text.StartsWith('?') || text.EndsWith(':') || text.IndexOfAny(KeyEnds) >= 0;
        return isKey ? throw file.Refuse(scalar.Start, "some readers see a key here, and others a value; put it in quotes") : scalar;
    }

    // libyaml and what was made after it (go-yaml, PyYAML) end a name at any other character: &a: is a key for them, and an anchor called "a:" by YAML 1.2.
    private string Name(AnchorName name, int at) =>
        name.Value.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-') ? name.Value : throw file.Refuse(at, $"the name '{name.Value}' of an anchor; some readers take letters, digits, - and _ only");

    // The parser's event begins with anchor and tag, in either order; neither has a blank in it, and no plain value begins as they do.
    private int ValueStart(Scalar scalar)
    {
        int at = (int)scalar.Start.Index, end = (int)scalar.End.Index;
        string text = file.Text;
        while (at < end && text[at] is '&' or '!' or '#' or ' ' or '\t' or '\n' or '\r')
        {
            bool isComment = text[at] == '#';
            bool isBlank = text[at] is ' ' or '\t' or '\n' or '\r';
            at++;
            while (!isBlank && at < end && (isComment ? text[at] is not ('\n' or '\r') : text[at] is not (' ' or '\t' or '\n' or '\r')))
            {
                at++;
            }
        }

        return at;
    }

    private void Count(int at, int more = 1)
    {
        if ((nodes += more) > Limits.YamlNodes)
        {
            throw file.Refuse(at, string.Create(CultureInfo.InvariantCulture, $"it has more than {Limits.YamlNodes} values"));
        }
    }

    private YamlNode Shallow(YamlNode node, int at) => node.Depth < Limits.YamlDepth ? node : throw TooDeep(at);

    private ConfigurationException TooDeep(int at) => file.Refuse(at, string.Create(CultureInfo.InvariantCulture, $"it is nested more than {Limits.YamlDepth} levels deep"));

    private ConfigurationException WrongKey(int at)
    {
        string template = at > 0 && file.Text.AsSpan(at - 1).StartsWith("{{") ? "; {{ … }} is a template's: verify what `helm template` makes of it" : "";
        return file.Refuse(at, $"the key is no single value{template}");
    }

    /// <summary>The parser, which answers some malformed files with exceptions of other kinds than its own.</summary>
    private sealed class Events(Parser parser) : IParser
    {
        public ParsingEvent? Current => parser.Current;

        public bool MoveNext()
        {
            Mark before = parser.Current?.End ?? Mark.Empty;
            try
            {
                return parser.MoveNext();
            }
            catch (Exception e) when (e is InvalidOperationException or ArgumentException)
            {
                throw new YamlException(before, before, "what follows is not well-formed", e);
            }
        }
    }
}
