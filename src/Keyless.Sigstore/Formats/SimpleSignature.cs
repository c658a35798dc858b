using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>
/// An image signature in the form of cosign 1 and 2 (cosign, specs/SIGNATURE_SPEC.md): a simple-signing payload in a layer, with the signature
/// over its bytes and everything else in the layer's annotations. Nothing in it is trusted yet.
/// </summary>
public sealed class SimpleSignature
{
    /// <summary>What such a signature says of an image is what this predicate type says in a statement.</summary>
    public const string PredicateType = "https://sigstore.dev/cosign/sign/v1";

    /// <summary>Of the layer. Layers of other types are not signatures.</summary>
    public const string LayerMediaType = "application/vnd.dev.cosign.simplesigning.v1+json";

    /// <summary>Payloads are smaller (bytes).</summary>
    public const int LargestPayload = Limits.SimpleSigningPayloadBytes;

    private const string Prefix = "dev.sigstore.cosign/";

    private SimpleSignature(byte[] payload, byte[] signature, byte[]? certificate, LogEntry? entry, byte[]? timestamp)
    {
        Payload = Artifact.FromContent(payload);
        PayloadDigest = SHA256.HashData(payload);
        Signature = signature;
        Certificate = certificate;
        Entry = entry;
        Timestamps = timestamp is null ? [] : [timestamp];
    }

    internal Artifact Payload { get; }

    internal byte[] PayloadDigest { get; }

    internal byte[] Signature { get; }

    /// <summary>DER; null where a managed key signed.</summary>
    internal byte[]? Certificate { get; }

    /// <summary>A hashedrekord 0.0.1 entry of Rekor v1 with the log's promise and no proof; null where the annotation is absent.</summary>
    internal LogEntry? Entry { get; }

    /// <summary>DER of RFC 3161 TimeStampResp: one or none.</summary>
    internal IReadOnlyList<byte[]> Timestamps { get; }

    /// <param name="payload">The layer's bytes, whose digest is the layer descriptor's.</param>
    /// <exception cref="VerificationException">An annotation is missing or not what it should be.</exception>
    public static SimpleSignature Parse(ReadOnlyMemory<byte> payload, IReadOnlyDictionary<string, string> annotations)
    {
        if (payload.Length > LargestPayload)
        {
            throw new VerificationException("sig.layer", string.Create(CultureInfo.InvariantCulture, $"the payload has {payload.Length} bytes, at most {LargestPayload} are read"));
        }

        // The chain is read because what does not parse is refused, and never used: who may issue is the trusted root's to say.
        if (!Pem.TryReadAll(Annotation(annotations, Prefix + "chain") ?? "", "CERTIFICATE", Limits.ChainCertificates, out _))
        {
            throw Bad("chain is not a list of PEM certificates");
        }

        return new SimpleSignature(
            payload.ToArray(),
            ReadSignature(Annotation(annotations, "dev.cosignproject.cosign/signature") ?? ""),
            Annotation(annotations, Prefix + "certificate") is { } pem ? ReadCertificate(pem) : null,
            Annotation(annotations, Prefix + "bundle") is { } entry ? Reading("tlog.missing", "bundle", entry, ReadEntry) : null,
            Annotation(annotations, Prefix + "rfc3161timestamp") is { } timestamp ? Reading("time.token", "rfc3161timestamp", timestamp, ReadTimestamp) : null);
    }

    // The standard alphabet with padding, as cosign writes it.
    private static byte[] ReadSignature(string text) =>
        Base64.Usual(text) is { Length: > 0 } signature ? signature : throw Bad("signature is not base64");

    private static string? Annotation(IReadOnlyDictionary<string, string> annotations, string name) =>
        annotations.GetValueOrDefault(name) is not { } value ? null
        : value.Length <= Limits.AnnotationCharacters ? value
        : throw Bad($"{name} has {value.Length} characters");

    private static byte[] ReadCertificate(string pem) =>
        Pem.TryReadOne(pem, "CERTIFICATE", out byte[] der) ? der : throw Bad("certificate is not exactly one PEM certificate");

    private static T Reading<T>(string slug, string name, string json, Func<JsonFields, T> read)
    {
        try
        {
            return read(JsonFields.Parse(Encoding.UTF8.GetBytes(json), name, Limits.AnnotationCharacters * 4));
        }
        catch (FormatException e)
        {
            throw new VerificationException(slug, $"the annotation {Prefix}{name} is not one: {e.Message}", inner: e);
        }
    }

    // cosign, pkg/cosign/bundle/rekor.go. A place for an inclusion proof there is none.
    private static LogEntry ReadEntry(JsonFields bundle)
    {
        JsonFields payload = bundle.RequiredObject("Payload");
        string logId = payload.RequiredText("logID");
        var entry = new LogEntry
        {
            LogIndex = payload.RequiredInteger("logIndex"),
            LogId = logId.Length == 64 && logId.All(char.IsAsciiHexDigitLower) ? Convert.FromHexString(logId) : throw new FormatException("malformed logID: 64 lower-case hex digits expected"),
            Kind = "hashedrekord",
            KindVersion = "0.0.1",
            IntegratedTime = payload.RequiredInteger("integratedTime"),
            SignedEntryTimestamp = bundle.RequiredBytes("SignedEntryTimestamp"),
            Proof = null,
            Body = payload.RequiredBytes("body"),
        };
        payload.NoOthers();
        bundle.NoOthers();
        return entry;
    }

    private static byte[] ReadTimestamp(JsonFields timestamp)
    {
        byte[] der = timestamp.RequiredBytes("SignedRFC3161Timestamp");
        timestamp.NoOthers();
        return der.Length <= Limits.TimestampBytes ? der : throw new FormatException($"malformed timestamp: {der.Length} bytes");
    }

    private static VerificationException Bad(string what) => new("sig.annotation", $"the signature's annotation {what}");
}
