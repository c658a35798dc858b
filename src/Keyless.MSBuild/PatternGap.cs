namespace Keyless.MSBuild;

/// <summary>A place in an identity, or in a pattern for one, where something should stand and nothing does.</summary>
/// <param name="value">The identity or pattern.</param>
/// <param name="at">Before which character.</param>
internal sealed class PatternGap(string value, int at)
{
    /// <summary>
    /// A part of the identity is missing altogether: <c>https://github.com/</c>|<c>/app</c>, <c>.*@</c>|. Where the gap is beside other text, as in
    /// <c>(main</c>|<c>)</c>, it may be meant.
    /// </summary>
    public bool IsWholePart(bool inPattern)
    {
        int before = inPattern ? Before(at) : at, after = inPattern ? After(at) : at;
        bool begins = before == 0 || value[before - 1] is '/' or '@', ends = after == value.Length || value[after] is '/' or '@';
        return begins && ends;
    }

    /// <summary>What takes any text stands beside it (<c>.*</c>, <c>[^/]+</c>), so that whatever was to stand here would have left less.</summary>
    public bool WidensPattern => TakesAnyBefore(at) || TakesAnyAfter(After(at));

    /// <summary>Behind brackets of groups and anchors, which take no text.</summary>
    private int After(int from)
    {
        while (from < value.Length)
        {
            ReadOnlySpan<char> rest = value.AsSpan(from);
            int passed = rest.StartsWith("(?:") ? 3 : rest[0] is '(' or ')' or '^' or '$' ? 1 : rest.StartsWith(@"\/") ? 1 : 0;
            if (passed == 0 || (rest[0] == ')' && rest.Length > 1 && IsQuantifier(rest[1])))
            {
                break;
            }

            from += passed;
        }

        return from;
    }

    private int Before(int to)
    {
        while (to > 0 && !IsEscaped(to - 1))
        {
            ReadOnlySpan<char> rest = value.AsSpan(0, to);
            int passed = rest.EndsWith("(?:") ? 3 : rest[^1] is '(' or ')' or '^' ? 1 : 0;
            if (passed == 0)
            {
                break;
            }

            to -= passed;
        }

        return to;
    }

    private bool TakesAnyAfter(int from)
    {
        int end = from < value.Length ? AtomEnd(from) : from;
        return end > from && end < value.Length && value[end] is '*' or '+' or '{' && IsAny(from, end);
    }

    private bool TakesAnyBefore(int to)
    {
        to = Before(to);
        // `?` behind a quantifier makes it lazy, behind anything else it takes at most one.
        int end = to > 0 && value[to - 1] == '?' && !IsEscaped(to - 1) ? to - 1 : to;
        if (end == 0 || IsEscaped(end - 1) || !(value[end - 1] is '*' or '+' or '}'))
        {
            return false;
        }

        end = value[end - 1] == '}' ? value.LastIndexOf('{', end - 1) : end - 1;
        if (end <= 0)
        {
            return false;
        }

        if (value[end - 1] == ')' && !IsEscaped(end - 1))
        {
            return TakesAnyBefore(end);
        }

        int start = value[end - 1] == ']' && !IsEscaped(end - 1) ? value.LastIndexOf('[', end - 1) : IsEscaped(end - 1) ? end - 2 : end - 1;
        return start >= 0 && IsAny(start, end);
    }

    private int AtomEnd(int from) => value[from] switch
    {
        '\\' => Math.Min(from + 2, value.Length),
        '[' when value.IndexOf(']', Math.Min(from + 2, value.Length)) is > 0 and int close => close + 1,
        _ => from + 1,
    };

    private bool IsAny(int from, int end) => value[from] is '.' or '[' || (value[from] == '\\' && end - from > 1 && value[from + 1] is 'w' or 'W' or 'd' or 'D' or 's' or 'S' or 'p' or 'P');

    private bool IsEscaped(int index)
    {
        int slashes = 0;
        while (index > slashes && value[index - slashes - 1] == '\\')
        {
            slashes++;
        }

        return slashes % 2 == 1;
    }

    private static bool IsQuantifier(char c) => c is '*' or '+' or '?' or '{';
}
