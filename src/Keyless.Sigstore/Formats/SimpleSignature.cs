using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
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

    /// <summary>The payload that is signed for an image, byte for byte as cosign writes it (sigstore, pkg/signature/payload).</summary>
    /// <param name="reference">What the image is called, without tag and digest. Signed, and compared by nobody.</param>
    /// <param name="annotations">Sorted by name; where there are none the member is null.</param>
    public static byte[] WritePayload(ArtifactDigest image, string reference, IReadOnlyDictionary<string, string> annotations)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, BundleWriter.Plain))
        {
            json.WriteStartObject();
            json.WriteStartObject("critical");
            json.WriteStartObject("identity");
            json.WriteString("docker-reference", reference);
            json.WriteEndObject();
            json.WriteStartObject("image");
            json.WriteString("docker-manifest-digest", $"{image.Algorithm}:{image.Hex}");
            json.WriteEndObject();
            json.WriteString("type", "cosign container image signature");
            json.WriteEndObject();
            WriteAnnotations(json, annotations);
            json.WriteEndObject();
        }

        // Go escapes these wherever they stand, and outside of strings they do not stand.
        string text = Encoding.UTF8.GetString(buffer.ToArray())
            .Replace("<", @"\u003c", StringComparison.Ordinal)
            .Replace(">", @"\u003e", StringComparison.Ordinal)
            .Replace("&", @"\u0026", StringComparison.Ordinal);
        return Encoding.UTF8.GetBytes(text);
    }

    private static void WriteAnnotations(Utf8JsonWriter json, IReadOnlyDictionary<string, string> annotations)
    {
        if (annotations.Count == 0)
        {
            json.WriteNull("optional");
            return;
        }

        json.WriteStartObject("optional");
        foreach ((string name, string value) in annotations.OrderBy(annotation => annotation.Key, StringComparer.Ordinal))
        {
            json.WriteString(name, value);
        }

        json.WriteEndObject();
    }

    /// <summary>The layer's annotations, sorted by name, for a signature over the payload that was kept as a bundle.</summary>
    /// <param name="bundle">A message signature with an entry of Rekor v1.</param>
    /// <param name="root">Has the chain that verifiers without a trusted root look for in the signature.</param>
    /// <exception cref="FormatException">Not such a bundle.</exception>
    public static IReadOnlyDictionary<string, string> AnnotationsOf(ReadOnlyMemory<byte> bundle, TrustedRoot root)
    {
        Bundle signed = Bundle.Parse(bundle);
        if (signed.Content is not MessageSignature || signed.Certificates.Count == 0 || signed.LogEntries is not [{ SignedEntryTimestamp: { } promise } entry] || signed.Timestamps.Count > 1)
        {
            throw new FormatException("not a message signature with a certificate, one promised log entry and at most one timestamp");
        }

        var annotations = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            ["dev.cosignproject.cosign/signature"] = Convert.ToBase64String(signed.Content.Signature),
            [Prefix + "bundle"] = Json(json => WriteEntry(json, entry, promise)),
            [Prefix + "certificate"] = Pem.Write(signed.Certificates[0]),
            [Prefix + "chain"] = string.Concat(root.ChainOf(Formats.Certificate.Parse(signed.Certificates[0])).Select(Pem.Write)),
        };
        if (signed.Timestamps is [var timestamp])
        {
            annotations[Prefix + "rfc3161timestamp"] = Json(json =>
            {
                json.WriteStartObject();
                json.WriteBase64String("SignedRFC3161Timestamp", timestamp);
                json.WriteEndObject();
            });
        }

        return annotations;
    }

    // cosign, pkg/cosign/bundle/rekor.go.
    private static void WriteEntry(Utf8JsonWriter json, LogEntry entry, byte[] promise)
    {
        json.WriteStartObject();
        json.WriteBase64String("SignedEntryTimestamp", promise);
        json.WriteStartObject("Payload"u8);
        json.WriteBase64String("body", entry.Body);
        json.WriteNumber("integratedTime", entry.IntegratedTime);
        json.WriteNumber("logIndex", entry.LogIndex);
        json.WriteString("logID", Convert.ToHexStringLower(entry.LogId));
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static string Json(Action<Utf8JsonWriter> content)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, BundleWriter.Plain))
        {
            content(json);
        }

        return Encoding.UTF8.GetString(buffer.ToArray());
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
