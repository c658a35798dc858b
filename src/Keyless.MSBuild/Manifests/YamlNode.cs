using YamlDotNet.Core;

namespace Keyless.MSBuild.Manifests;

/// <summary>A part of a YAML document that knows its place in the text. What several aliases stand for is one node.</summary>
/// <param name="start">Of the value in the text, behind anchor and tag.</param>
/// <param name="end">Behind the value; of a block scalar, behind its last line. Of a collection, <paramref name="start"/>.</param>
/// <param name="tag">In full; empty where none is written.</param>
internal abstract class YamlNode(int start, int end, string tag)
{
    private const string Core = "tag:yaml.org,2002:";

    public int Start { get; } = start;

    public int End { get; } = end;

    public string Tag { get; } = tag;

    /// <summary>Whether an alias stands for it elsewhere.</summary>
    public bool IsShared { get; set; }

    /// <summary>Levels of nodes, aliases followed; its own counts.</summary>
    public int Depth { get; protected set; } = 1;

    public abstract string Kind { get; }

    /// <summary>Whether no tag says that it is something else than it looks like.</summary>
    public bool IsUntagged => Tag.Length == 0 || Tag == Core + CoreTag;

    private protected abstract string CoreTag { get; }

    private protected void Contains(YamlNode node) => Depth = Math.Max(Depth, node.Depth + 1);
}

/// <summary>A value that is no collection.</summary>
/// <param name="value">As YAML reads it, without quotes, escapes and folds.</param>
internal sealed class YamlScalar(int start, int end, string tag, string value, ScalarStyle style) : YamlNode(start, end, tag)
{
    public string Value { get; } = value;

    public ScalarStyle Style { get; } = style;

    public override string Kind => "a single value";

    public bool IsNull => Style == ScalarStyle.Plain && Tag.Length == 0 && PlainScalar.IsNull(Value);

    /// <summary>Whether every reader takes it for a string, whichever version of YAML it knows.</summary>
    public bool IsString => IsUntagged && (Tag.Length > 0 || Style != ScalarStyle.Plain || PlainScalar.IsString(Value));

    private protected override string CoreTag => "str";
}

internal sealed class YamlSequence(int start, string tag) : YamlNode(start, start, tag)
{
    private readonly List<YamlNode> items = [];

    public IReadOnlyList<YamlNode> Items => items;

    public override string Kind => "a list";

    private protected override string CoreTag => "seq";

    public void Add(YamlNode item)
    {
        items.Add(item);
        Contains(item);
    }
}

/// <summary>A mapping, with what it merges (<c>&lt;&lt;</c>) in it. Keys are single values, each there once.</summary>
internal sealed class YamlMapping(int start, string tag) : YamlNode(start, start, tag)
{
    private readonly List<(YamlScalar Key, YamlNode Value)> entries = [];
    private readonly Dictionary<string, int> places = new(StringComparer.Ordinal);

    /// <summary>Its own in their order, then those merged.</summary>
    public IReadOnlyList<(YamlScalar Key, YamlNode Value)> Entries => entries;

    /// <summary>
    /// A key of its own that stands before a merge which has it, too. YAML says that its own counts; readers of an older generation (kubectl's and
    /// helm's) take what comes last.
    /// </summary>
    public YamlScalar? Disputed { get; private set; }

    public override string Kind => "a mapping";

    private protected override string CoreTag => "map";

    public YamlNode? this[string field] => places.TryGetValue(field, out int place) ? entries[place].Value : null;

    /// <returns>False where the key is there already.</returns>
    public bool TryAdd(YamlScalar key, YamlNode value)
    {
        if (!places.TryAdd(key.Value, entries.Count))
        {
            return false;
        }

        entries.Add((key, value));
        Contains(value);
        return true;
    }

    /// <summary>Takes over what it has not itself, when it has all of its own.</summary>
    /// <param name="sources">What follows <c>&lt;&lt;</c>; the first that has a key counts.</param>
    /// <param name="at">Where <c>&lt;&lt;</c> stands in the text.</param>
    public void Merge(IEnumerable<YamlMapping> sources, int at)
    {
        int own = entries.Count;
        foreach (YamlMapping source in sources)
        {
            Disputed ??= source.Disputed;
            foreach ((YamlScalar key, YamlNode value) in source.Entries)
            {
                if (!TryAdd(key, value) && places[key.Value] is var place && place < own && entries[place].Key.Start < at && entries[place].Value != value)
                {
                    Disputed ??= entries[place].Key;
                }
            }
        }
    }
}
