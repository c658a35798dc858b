using System.Globalization;
using System.Text.RegularExpressions;

namespace Keyless.MSBuild;

/// <summary>A value as a project file has it, with MSBuild's references still in it: <c>https://github\.com/$(Org)/.*</c>.</summary>
internal sealed partial class WrittenValue
{
    // What stands between the references, unescaped: always one more than there are references.
    private readonly List<string> literals = [];
    private readonly List<string> references = [];

    public WrittenValue(string text)
    {
        int literal = 0;
        for (int at = 0; at < text.Length; at++)
        {
            if (ReferenceAt(text, at) is { } reference)
            {
                literals.Add(Unescape(text[literal..at]));
                references.Add(reference);
                at += reference.Length - 1;
                literal = at + 1;
            }
        }

        literals.Add(Unescape(text[literal..]));
    }

    /// <summary>Whether it can have become <paramref name="value"/>, whatever the references stood for.</summary>
    public bool CanBe(string value) => Spans(value) is not null;

    /// <summary>The references that stood for nothing, each with the place in <paramref name="value"/> where it was. One that may have stood for something is not among them.</summary>
    public IEnumerable<(string Reference, int At)> EmptyIn(string value) =>
        Spans(value) is { } spans ? spans.Index().Where(span => span.Item.Start == span.Item.End).Select(span => (references[span.Index], span.Item.Start)) : [];

    /// <summary>The longest part of the value that each reference can have stood for; null where the value was made otherwise.</summary>
    private (int Start, int End)[]? Spans(string value)
    {
        if (references.Count == 0)
        {
            return value == literals[0] ? [] : null;
        }

        var spans = new (int Start, int End)[references.Count];
        if (!value.StartsWith(literals[0], StringComparison.Ordinal) || !value.EndsWith(literals[^1], StringComparison.Ordinal))
        {
            return null;
        }

        // Where the text before each can end at the earliest, and the text behind it begin at the latest.
        spans[0].Start = literals[0].Length;
        for (int i = 1; i < spans.Length; i++)
        {
            int found = value.IndexOf(literals[i], spans[i - 1].Start, StringComparison.Ordinal);
            if (found < 0)
            {
                return null;
            }

            spans[i].Start = found + literals[i].Length;
        }

        spans[^1].End = value.Length - literals[^1].Length;
        for (int i = spans.Length - 2; i >= 0; i--)
        {
            int found = value.AsSpan(0, spans[i + 1].End).LastIndexOf(literals[i + 1]);
            if (found < 0)
            {
                return null;
            }

            spans[i].End = found;
        }

        return spans.All(span => span.Start <= span.End) ? spans : null;
    }

    /// <summary>What MSBuild takes for a reference; of what only looks like one it leaves the text alone, such as <c>@(corp|team)\.example</c>.</summary>
    private static string? ReferenceAt(string text, int at)
    {
        if (at + 1 == text.Length || text[at + 1] != '(' || !(text[at] == '$' || (text[at] is '@' or '%' && Name().IsMatch(text, at + 2))))
        {
            return null;
        }

        int depth = 0;
        for (int end = at + 1; end < text.Length; end++)
        {
            depth += text[end] == '(' ? 1 : text[end] == ')' ? -1 : 0;
            if (depth == 0)
            {
                return text[at..(end + 1)];
            }
        }

        return null;
    }

    private static string Unescape(string text) =>
        Escape().Replace(text, escape => ((char)byte.Parse(escape.Groups["hex"].ValueSpan, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture)).ToString());

    [GeneratedRegex(@"\G\s*[A-Za-z_][A-Za-z0-9_.-]*\s*(\)|->|,)", RegexOptions.CultureInvariant)]
    private static partial Regex Name();

    [GeneratedRegex("%(?<hex>[0-9A-Fa-f]{2})", RegexOptions.CultureInvariant)]
    private static partial Regex Escape();
}
