using System.Globalization;

namespace Keyless.Sigstore.Formats;

/// <summary>Timestamps as ProtoJSON writes them: RFC 3339 with up to nine fractional digits.</summary>
internal static class Rfc3339
{
    /// <remarks>.NET keeps seven of the nine digits; the rest is cut, which moves a moment by less than 100 ns.</remarks>
    public static DateTimeOffset Parse(string text, string what)
    {
        string shortened = text;
        int dot = text.IndexOf('.', StringComparison.Ordinal);
        if (dot != -1)
        {
            int end = dot + 1;
            while (end < text.Length && char.IsAsciiDigit(text[end]))
            {
                end++;
            }

            int digits = end - dot - 1;
            if (digits is 0 or > 9)
            {
                throw Malformed(text, what);
            }

            shortened = text.Remove(dot + 1 + Math.Min(digits, 7), Math.Max(0, digits - 7));
        }

        return DateTimeOffset.TryParseExact(
            shortened, ["yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK", "yyyy-MM-dd'T'HH:mm:ssK"], CultureInfo.InvariantCulture, DateTimeStyles.None, out DateTimeOffset moment)
            && (shortened[^1] == 'Z' || shortened[^6] is '+' or '-')
                ? moment.ToUniversalTime()
                : throw Malformed(text, what);
    }

    private static MalformedException Malformed(string text, string what) =>
        new("schema", $"malformed {what}: \"{Shown.Of(text)}\" is not an RFC 3339 time");
}
