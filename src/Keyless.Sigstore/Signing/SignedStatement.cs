using System.Security.Cryptography;
using System.Text.Json;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore.Signing;

/// <summary>An in-toto statement under our signature: what is stamped, logged and bundled.</summary>
internal sealed class SignedStatement
{
    private readonly byte[] payload;

    private SignedStatement(byte[] payload, byte[] message, byte[] signature, ReadOnlyMemory<byte> certificate)
    {
        this.payload = payload;
        MessageDigest = SHA256.HashData(message);
        Signature = signature;
        Certificate = certificate;
    }

    /// <summary>DER (RFC 3279 §2.2.3).</summary>
    public byte[] Signature { get; }

    /// <summary>SHA-256 of the DSSE pre-authentication encoding.</summary>
    public byte[] MessageDigest { get; }

    /// <summary>The certificate of the key that signed, DER.</summary>
    public ReadOnlyMemory<byte> Certificate { get; }

    public static SignedStatement Sign(byte[] payload, SigningKey key, ReadOnlyMemory<byte> certificate)
    {
        byte[] message = DsseEnvelope.PreAuthenticationEncoding(DsseEnvelope.InTotoPayloadType, payload);
        return new SignedStatement(payload, message, key.Sign(message), certificate);
    }

    /// <summary>The DSSE envelope as JSON; without a keyid, which nobody may rely on (envelope.md).</summary>
    public void WriteEnvelope(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteBase64String("payload", payload);
        json.WriteString("payloadType", DsseEnvelope.InTotoPayloadType);
        json.WriteStartArray("signatures");
        json.WriteStartObject();
        json.WriteBase64String("sig", Signature);
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
