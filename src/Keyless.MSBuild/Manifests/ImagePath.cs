using System.Buffers;
using System.Globalization;

namespace Keyless.MSBuild.Manifests;

/// <summary>
/// Names fields of a deploy file: <c>spec.sidecar.image</c>. Steps are a name, <c>*</c> (any name), <c>[0]</c> or <c>[*]</c> (of a list), <c>**</c> (any
/// number of steps of either kind) and <c>['a.name']</c> (or in double quotes, doubled where it is in the name).
/// </summary>
internal sealed class ImagePath
{
    private enum StepKind
    {
        Name,
        AnyName,
        Index,
        AnyIndex,
        AnySteps,
    }

    private readonly record struct Step(StepKind Kind, string Name = "", int Index = 0);

    private static readonly SearchValues<char> Reserved = SearchValues.Create(".[]'\"*;\\ ");

    private readonly Step[] steps;

    private ImagePath(string text, Step[] steps) => (Text, this.steps) = (text, steps);

    public string Text { get; }

    /// <exception cref="ConfigurationException">It is no path.</exception>
    public static ImagePath Parse(string text)
    {
        var steps = new List<Step>();
        int at = 0;
        while (at < text.Length || steps.Count == 0)
        {
            bool isBracket = at < text.Length && text[at] == '[';
            if (!isBracket && steps.Count > 0 && text[at++] != '.')
            {
                throw Malformed(text, "steps are separated by dots");
            }

            steps.Add(isBracket ? Bracket(text, ref at) : Name(text, ref at));
        }

        string? why = steps.Count > Limits.ImagePathSteps ? string.Create(CultureInfo.InvariantCulture, $"it has more than {Limits.ImagePathSteps} steps")
            : steps[^1].Kind == StepKind.AnySteps ? "after ** has to come what is looked for"
            : steps.Zip(steps.Skip(1)).Any(pair => pair is ({ Kind: StepKind.AnySteps }, { Kind: StepKind.AnySteps })) ? "** stands for any number of steps already"
            : null;
        return why is null ? new ImagePath(text, [.. steps]) : throw Malformed(text, why);
    }

    /// <summary>Whether a name needs no quotes in a path.</summary>
    public static bool IsPlainName(string name) => name.Length > 0 && !name.AsSpan().ContainsAny(Reserved);

    /// <summary>All fields of a document that it names.</summary>
    /// <param name="visited">Told of every node that was looked at.</param>
    public IEnumerable<(YamlNode Node, FieldPath Field)> Find(YamlNode document, Action<YamlNode> visited) => Find(document, FieldPath.Top, 0, visited);

    private IEnumerable<(YamlNode Node, FieldPath Field)> Find(YamlNode node, FieldPath field, int step, Action<YamlNode> visited)
    {
        visited(node);
        if (step == steps.Length)
        {
            return [(node, field)];
        }

        IEnumerable<(YamlNode Node, FieldPath Field)> here = steps[step].Kind == StepKind.AnySteps ? Find(node, field, step + 1, visited) : [];
        int next = steps[step].Kind == StepKind.AnySteps ? step : step + 1;
        return here.Concat(Below(node, field, steps[step]).SelectMany(below => Find(below.Node, below.Field, next, visited)));
    }

    private static IEnumerable<(YamlNode Node, FieldPath Field)> Below(YamlNode node, FieldPath field, Step step) => (node, step.Kind) switch
    {
        (YamlMapping mapping, StepKind.Name) => mapping[step.Name] is { } value ? [(value, field.Field(step.Name))] : [],
        (YamlMapping mapping, StepKind.AnyName or StepKind.AnySteps) => mapping.Entries.Select(entry => (entry.Value, field.Field(entry.Key.Value))),
        (YamlSequence list, StepKind.Index) => step.Index < list.Items.Count ? [(list.Items[step.Index], field.Item(step.Index))] : [],
        (YamlSequence list, StepKind.AnyIndex or StepKind.AnySteps) => list.Items.Select((item, i) => (item, field.Item(i))),
        _ => [],
    };

    private static Step Name(string text, ref int at)
    {
        int end = text.AsSpan(at).IndexOfAny('.', '[');
        string name = end < 0 ? text[at..] : text.Substring(at, end);
        at += name.Length;
        return name switch
        {
            "*" => new Step(StepKind.AnyName),
            "**" => new Step(StepKind.AnySteps),
            "" => throw Malformed(text, "a name is missing"),
            _ => IsPlainName(name) ? new Step(StepKind.Name, name) : throw Malformed(text, $"the name {name} has to be written as ['{name}']"),
        };
    }

    private static Step Bracket(string text, ref int at)
    {
        char quote = at + 1 < text.Length ? text[at + 1] : ' ';
        if (quote is not ('\'' or '"'))
        {
            int close = text.IndexOf(']', at);
            string inside = close < 0 ? "" : text[(at + 1)..close];
            at = close + 1;
            return inside == "*" ? new Step(StepKind.AnyIndex)
                : int.TryParse(inside, NumberStyles.None, CultureInfo.InvariantCulture, out int index) ? new Step(StepKind.Index, Index: index)
                : throw Malformed(text, "in brackets stands a number, * or a name in quotes");
        }

        int end = at + 2;
        while (end < text.Length && (text[end] != quote || (end + 1 < text.Length && text[end + 1] == quote)))
        {
            end += text[end] == quote ? 2 : 1;
        }

        if (end + 1 >= text.Length || text[end + 1] != ']')
        {
            throw Malformed(text, "a name in quotes ends with the same quote and ]");
        }

        string name = text[(at + 2)..end].Replace($"{quote}{quote}", $"{quote}", StringComparison.Ordinal);
        at = end + 2;
        return new Step(StepKind.Name, name);
    }

    private static ConfigurationException Malformed(string text, string why) =>
        new(Diagnostics.UnknownValue, $"ImagePath '{text}' is no path: {why}; expected such as spec.sidecar.image, spec.images[*].ref, **.customImage or metadata.annotations['example.org/image']");
}
