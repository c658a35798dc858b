using System.Buffers;
using System.Text.Json;
using Utf8 = System.Buffers.Text.Base64;

namespace Keyless.Sigstore.Formats;

/// <summary>
/// Base64 as ProtoJSON reads it (RFC 4648 §4 or §5, padding optional), but each value has one spelling per alphabet: no
/// white space, nothing after the padding, no mixed alphabets, unused bits zero.
/// </summary>
internal static class Base64
{
    /// <summary>The usual spelling, standard alphabet and padded, without making a string of it. False for every other, right or wrong.</summary>
    public static bool TryDecode(JsonElement value, out byte[] bytes)
    {
        bytes = [];
        if (value.ValueKind != JsonValueKind.String || !value.TryGetBytesFromBase64(out byte[]? decoded))
        {
            return false;
        }

        byte[] spelled = ArrayPool<byte>.Shared.Rent(Utf8.GetMaxEncodedToUtf8Length(decoded.Length));
        try
        {
            // The decoder skips white space and ignores unused bits; both would let one value be spelled in many ways.
            Utf8.EncodeToUtf8(decoded, spelled, out _, out int written);
            bool canonical = value.ValueEquals(spelled.AsSpan(0, written));
            bytes = canonical ? decoded : [];
            return canonical;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(spelled);
        }
    }

    /// <summary>Any spelling of at least one byte; of no bytes there is none but the usual one.</summary>
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

        bytes = Usual(digits + new string('=', (4 - digits.Length % 4) % 4));
        return bytes.Length > 0;
    }

    /// <summary>What is in the usual spelling, standard alphabet and padded. Nothing for every other, for callers that do not take nothing.</summary>
    public static byte[] Usual(string text)
    {
        var buffer = new byte[text.Length / 4 * 3];
        // The decoder skips white space and ignores unused bits; both would let one value be spelled in many ways. What it cannot
        // read it leaves empty, which is spelled otherwise as well.
        _ = Convert.TryFromBase64String(text, buffer, out int written);
        return string.Equals(Convert.ToBase64String(buffer, 0, written), text, StringComparison.Ordinal) ? buffer[..written] : [];
    }
}
