using System.Security.Cryptography;

namespace Keyless.Sigstore.Formats;

/// <summary>PEM (RFC 7468) read strictly: known labels only, and nothing but white space between and around the blocks.</summary>
internal static class Pem
{
    /// <summary>A certificate, with a line feed at its end.</summary>
    public static string Write(byte[] certificate) => PemEncoding.WriteString("CERTIFICATE", certificate) + "\n";

    /// <summary>Whether the text is exactly one block with this label.</summary>
    public static bool TryReadOne(string text, string label, out byte[] der)
    {
        bool one = TryReadAll(text, label, 1, out IReadOnlyList<byte[]> blocks) && blocks.Count == 1;
        der = one ? blocks[0] : [];
        return one;
    }

    /// <summary>Whether the text is nothing but blocks with this label; none is fine.</summary>
    public static bool TryReadAll(string text, string label, int limit, out IReadOnlyList<byte[]> blocks)
    {
        var found = new List<byte[]>();
        blocks = found;
        ReadOnlySpan<char> rest = text;
        while (!rest.IsWhiteSpace())
        {
            if (found.Count == limit || !PemEncoding.TryFind(rest, out PemFields fields) || !rest[fields.Label].SequenceEqual(label)
                || !rest[..fields.Location.Start].IsWhiteSpace()
                || Base64.Usual(rest[fields.Base64Data].ToString().ReplaceLineEndings("")) is not { Length: > 0 } der)
            {
                return false;
            }

            found.Add(der);
            rest = rest[fields.Location.End..];
        }

        return true;
    }
}
