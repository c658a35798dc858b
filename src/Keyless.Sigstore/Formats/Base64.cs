namespace Keyless.Sigstore.Formats;

/// <summary>
/// Base64 as ProtoJSON reads it (RFC 4648 §4 or §5, padding optional), but each value has one spelling per alphabet: no
/// white space, nothing after the padding, no mixed alphabets, unused bits zero.
/// </summary>
internal static class Base64
{
    public static bool TryDecode(string text, out byte[] bytes)
    {
        bytes = [];
        string digits = text.TrimEnd('=');
        int padding = text.Length - digits.Length;
        if (padding != 0 && (padding > 2 || text.Length % 4 != 0))
        {
            return false;
        }

        bool standard = digits.AsSpan().ContainsAny('+', '/');
        if (digits.AsSpan().ContainsAny('-', '_'))
        {
            if (standard)
            {
                return false;
            }

            digits = digits.Replace('-', '+').Replace('_', '/');
        }

        string canonical = digits + new string('=', (4 - digits.Length % 4) % 4);
        var buffer = new byte[canonical.Length / 4 * 3];
        // The decoder skips white space and ignores unused bits; both would let one value be spelled in many ways.
        if (!Convert.TryFromBase64String(canonical, buffer, out int written)
            || !string.Equals(Convert.ToBase64String(buffer, 0, written), canonical, StringComparison.Ordinal))
        {
            return false;
        }

        bytes = buffer[..written];
        return true;
    }
}
