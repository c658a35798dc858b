using System.Globalization;
using System.Text;

namespace Keyless.Sigstore.Formats;

/// <summary>The DSSE envelope (secure-systems-lab/dsse, envelope.md): a payload, its type, and signatures over both.</summary>
internal static class DsseEnvelope
{
    public const string InTotoPayloadType = "application/vnd.in-toto+json";

    /// <summary>
    /// The bytes that are signed: <c>DSSEv1 SP len(type) SP type SP len(body) SP body</c>, lengths in bytes, decimal ASCII
    /// (protocol.md, "Signature Definition").
    /// </summary>
    public static byte[] PreAuthenticationEncoding(string payloadType, ReadOnlySpan<byte> payload)
    {
        int typeLength = Encoding.UTF8.GetByteCount(payloadType);
        string head = string.Create(CultureInfo.InvariantCulture, $"DSSEv1 {typeLength} {payloadType} {payload.Length} ");
        byte[] encoding = new byte[Encoding.UTF8.GetByteCount(head) + payload.Length];
        int written = Encoding.UTF8.GetBytes(head, encoding);
        payload.CopyTo(encoding.AsSpan(written));
        return encoding;
    }
}
