using System.Text;

namespace Keyless.Oci;

/// <summary>One challenge of a WWW-Authenticate header (RFC 9110 §11.6.1).</summary>
/// <param name="Scheme">In lower case.</param>
/// <param name="Parameters">Names in lower case, values unquoted.</param>
internal sealed record Challenge(string Scheme, IReadOnlyDictionary<string, string> Parameters)
{
    private const string TokenPunctuation = "!#$%&'*+-.^_`|~";

    /// <summary>Reads every challenge of every header line.</summary>
    /// <exception cref="FormatException">A line is not by the grammar, or names a parameter twice.</exception>
    public static IReadOnlyList<Challenge> ParseAll(IEnumerable<string> lines) => [.. lines.SelectMany(Parse)];

    private static List<Challenge> Parse(string line)
    {
        if (line.Length > Limits.ChallengeLength)
        {
            throw new FormatException("malformed challenge: too long");
        }

        var challenges = new List<Challenge>();
        int at = 0;
        while (SkipSeparators(line, ref at))
        {
            string scheme = Token(line, ref at).ToLowerInvariant();
            var parameters = new Dictionary<string, string>(StringComparer.Ordinal);
            if (at < line.Length && line[at] == ' ' && !SkipToken68(line, ref at))
            {
                // A name without '=' behind the comma is the next challenge's scheme.
                while (SkipSeparators(line, ref at) && IsParameter(line, at))
                {
                    ReadParameter(line, ref at, parameters);
                }
            }
            if (at < line.Length && line[at] is not (',' or ' ' or '\t') && !IsTokenChar(line[at]))
            {
                throw new FormatException("malformed challenge: unexpected character");
            }

            challenges.Add(new Challenge(scheme, parameters));
        }
        return challenges;
    }

    private static void ReadParameter(string line, ref int at, Dictionary<string, string> parameters)
    {
        string name = Token(line, ref at).ToLowerInvariant();
        SkipSpace(line, ref at);
        at++;
        SkipSpace(line, ref at);
        string value = at < line.Length && line[at] == '"' ? QuotedString(line, ref at) : Token(line, ref at);
        SkipSpace(line, ref at);
        if (at < line.Length && line[at] != ',')
        {
            throw new FormatException("malformed challenge: no comma between parameters");
        }

        if (!parameters.TryAdd(name, value))
        {
            throw new FormatException("malformed challenge: a parameter is there twice");
        }
    }

    private static bool IsParameter(string line, int at)
    {
        while (at < line.Length && IsTokenChar(line[at]))
        {
            at++;
        }

        SkipSpace(line, ref at);
        return at < line.Length && line[at] == '=';
    }

    private static string Token(string line, ref int at)
    {
        int start = at;
        while (at < line.Length && IsTokenChar(line[at]))
        {
            at++;
        }

        return at > start ? line[start..at] : throw new FormatException("malformed challenge: a name or value is missing");
    }

    private static string QuotedString(string line, ref int at)
    {
        var value = new StringBuilder();
        for (at++; at < line.Length; at++)
        {
            if (line[at] == '"')
            {
                at++;
                return value.ToString();
            }
            if (line[at] == '\\' && ++at == line.Length)
            {
                break;
            }

            value.Append(line[at]);
        }
        throw new FormatException("malformed challenge: a quoted string does not end");
    }

    /// <summary>Skips a token68 if that is what follows the scheme (Negotiate's form); of no use to us.</summary>
    private static bool SkipToken68(string line, ref int at)
    {
        int end = at;
        SkipSpace(line, ref end);
        int start = end;
        while (end < line.Length && (char.IsAsciiLetterOrDigit(line[end]) || "-._~+/".Contains(line[end], StringComparison.Ordinal)))
        {
            end++;
        }

        bool any = end > start;
        while (end < line.Length && line[end] == '=')
        {
            end++;
        }

        SkipSpace(line, ref end);
        if (!any || (end < line.Length && line[end] != ','))
        {
            return false;
        }

        at = end;
        return true;
    }

    private static bool SkipSeparators(string line, ref int at)
    {
        while (at < line.Length && line[at] is ' ' or '\t' or ',')
        {
            at++;
        }

        return at < line.Length;
    }

    private static void SkipSpace(string line, ref int at)
    {
        while (at < line.Length && line[at] is ' ' or '\t')
        {
            at++;
        }
    }

    private static bool IsTokenChar(char c) => char.IsAsciiLetterOrDigit(c) || TokenPunctuation.Contains(c, StringComparison.Ordinal);
}
