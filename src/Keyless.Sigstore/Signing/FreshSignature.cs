using System.Security.Cryptography;
using System.Text.Json;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore.Signing;

/// <summary>A signature just made, over an in-toto statement or over an artifact itself: what is stamped, logged and bundled.</summary>
internal sealed class FreshSignature
{
    private readonly byte[]? payload;

    private FreshSignature(byte[]? payload, byte[] messageDigest, SigningKey key, ReadOnlyMemory<byte> certificate)
    {
        this.payload = payload;
        MessageDigest = messageDigest;
        Signature = key.SignHash(messageDigest);
        Certificate = certificate;
    }

    /// <summary>Whether it is over a statement, in a DSSE envelope.</summary>
    public bool IsOverStatement => payload is not null;

    /// <summary>DER (RFC 3279 §2.2.3).</summary>
    public byte[] Signature { get; }

    /// <summary>SHA-256 of the artifact, or of the DSSE pre-authentication encoding.</summary>
    public byte[] MessageDigest { get; }

    /// <summary>The certificate of the key that signed, DER.</summary>
    public ReadOnlyMemory<byte> Certificate { get; }

    public static FreshSignature OverStatement(byte[] statement, SigningKey key, ReadOnlyMemory<byte> certificate) =>
        new(statement, SHA256.HashData(DsseEnvelope.PreAuthenticationEncoding(DsseEnvelope.InTotoPayloadType, statement)), key, certificate);

    public static FreshSignature OverArtifact(byte[] sha256, SigningKey key, ReadOnlyMemory<byte> certificate) => new(null, sha256, key, certificate);

    /// <summary>The bundle's member with the signature (protobuf-specs, sigstore_bundle.proto), name included.</summary>
    public void WriteContent(Utf8JsonWriter json)
    {
        if (payload is not null)
        {
            json.WritePropertyName("dsseEnvelope");
            WriteEnvelope(json);
            return;
        }

        json.WriteStartObject("messageSignature");
        json.WriteStartObject("messageDigest");
        json.WriteString("algorithm", "SHA2_256");
        json.WriteBase64String("digest", MessageDigest);
        json.WriteEndObject();
        json.WriteBase64String("signature", Signature);
        json.WriteEndObject();
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
