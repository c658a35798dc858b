using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>
/// Whom one Sigstore deployment trusts: its certificate authorities, logs and timestamp authorities
/// (protobuf-specs, sigstore_trustroot.proto).
/// </summary>
/// <remarks>
/// The document is signed (TUF) or given by the user; members this client does not know are ignored. An instance it cannot use
/// (an unknown kind of key, an id that does not belong to the key, no start) is left out, which can only narrow what is accepted.
/// </remarks>
public sealed class TrustedRoot
{
    private const string MediaType = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";

    private readonly List<string> warnings = [];

    private TrustedRoot() { }

    /// <summary>What was left out, one sentence each.</summary>
    public IReadOnlyList<string> Warnings => warnings;

    /// <summary>
    /// Whether the document lists a transparency or CT log at all, also one that is not used here: only an instance that has none may be
    /// trusted without (<see cref="Proofs.Timestamp"/>).
    /// </summary>
    public bool ListsLogs { get; private set; }

    internal IReadOnlyList<TransparencyLog> Logs { get; private set; } = [];

    internal IReadOnlyList<TransparencyLog> CertificateLogs { get; private set; } = [];

    internal IReadOnlyList<CertificateAuthority> CertificateAuthorities { get; private set; } = [];

    /// <summary>DER of the certificates above a leaf, the nearest first; none where no authority has issued it.</summary>
    internal IReadOnlyList<byte[]> ChainOf(Certificate leaf) =>
        CertificateAuthorities.FirstOrDefault(authority => authority.First is { } first && leaf.Issuer.AsSpan().SequenceEqual(first.Subject) && CertificateAuthority.Issued(first, authority.Keys[0], leaf)) is { } issuer
            ? [.. issuer.Certificates.Select(certificate => certificate.Der)]
            : [];

    internal IReadOnlyList<CertificateAuthority> TimestampAuthorities { get; private set; } = [];

    /// <summary>One log's key may be listed with several windows, and under several names.</summary>
    internal IEnumerable<TransparencyLog> LogsOf(byte[] logId) => Logs.Where(log => log.LogId.AsSpan().SequenceEqual(logId));

    /// <summary>One trusted root, or JSON Lines with a root on each line: several deployments, each of which is tried alone.</summary>
    /// <exception cref="FormatException">Not a trusted root, or not only such; which line it is.</exception>
    public static IReadOnlyList<TrustedRoot> ParseLines(ReadOnlyMemory<byte> json)
    {
        if (json.Length > Limits.TrustedRoots * Limits.TrustDocumentBytes)
        {
            throw new MalformedException("too-large", $"malformed trusted root: {json.Length} bytes");
        }

        ReadOnlyMemory<byte>[] lines = [.. Lines(json)];
        if (lines.Length < 2 || !IsWholeObject(lines[0].Span))
        {
            return [Parse(json)];
        }

        if (lines.Length > Limits.TrustedRoots)
        {
            throw new MalformedException("limit", $"malformed trusted root: {lines.Length} lines, at most {Limits.TrustedRoots} are read");
        }

        return [.. lines.Select((line, number) =>
        {
            try
            {
                return Parse(line);
            }
            catch (MalformedException e)
            {
                throw new MalformedException(e.Clause, string.Create(CultureInfo.InvariantCulture, $"line {number + 1}: {e.Message}"), e);
            }
        })];
    }

    /// <summary>What of a document is wrong, as the second word of a slug.</summary>
    public static string ClauseOf(FormatException malformed) => malformed is MalformedException { Clause: var clause } ? clause : "schema";

    private static IEnumerable<ReadOnlyMemory<byte>> Lines(ReadOnlyMemory<byte> json)
    {
        while (!json.IsEmpty)
        {
            int end = json.Span.IndexOf((byte)'\n');
            ReadOnlyMemory<byte> line = end < 0 ? json : json[..end];
            json = end < 0 ? default : json[(end + 1)..];
            if (!line.Span.Trim(" \t\r"u8).IsEmpty)
            {
                yield return line;
            }
        }
    }

    // A document over many lines has no line that is a document.
    private static bool IsWholeObject(ReadOnlySpan<byte> line)
    {
        try
        {
            // Not as the last of a text: then the first line of a pretty document is no error, which costs a build more than reading it does.
            var reader = new Utf8JsonReader(line, isFinalBlock: false, new JsonReaderState(new JsonReaderOptions { MaxDepth = Limits.JsonDepth }));
            return reader.Read() && reader.TokenType == JsonTokenType.StartObject && reader.TrySkip() && line[(int)reader.BytesConsumed..].Trim(" \t\r"u8).IsEmpty;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <exception cref="FormatException">Not a trusted root.</exception>
    public static TrustedRoot Parse(ReadOnlyMemory<byte> json)
    {
        JsonFields document = JsonFields.Parse(json, "trusted root", Limits.TrustDocumentBytes);
        string mediaType = document.RequiredText("mediaType");
        if (mediaType != MediaType)
        {
            throw new MalformedException("schema", $"malformed trusted root: media type \"{Shown.Of(mediaType)}\", \"{MediaType}\" expected");
        }

        var root = new TrustedRoot();
        root.Logs = root.ReadLogs(document, "tlogs");
        root.CertificateLogs = root.ReadLogs(document, "ctlogs");
        root.CertificateAuthorities = root.ReadAuthorities(document, "certificateAuthorities");
        root.TimestampAuthorities = root.ReadAuthorities(document, "timestampAuthorities");
        return root;
    }

    // Lists, not maps by key id: one key may be listed with several windows.
    private List<TransparencyLog> ReadLogs(JsonFields document, string name)
    {
        var logs = new List<TransparencyLog>();
        foreach (JsonFields instance in document.Objects(name, Limits.TrustRootInstances))
        {
            ListsLogs = true;
            string baseUrl = instance.Text("baseUrl") ?? "";
            // What is absent is empty, as in proto3, and makes the instance unusable, not the document.
            JsonFields? key = instance.Object("publicKey");
            byte[] raw = key?.Bytes("rawBytes") ?? [];
            string details = key?.Text("keyDetails") ?? "";
            TimeWindow? window = TimeWindow.Parse(key?.Object("validFor"), $"trusted root.{name}");
            byte[] logId = instance.Object("logId")?.Bytes("keyId") ?? [];
            string hash = instance.Text("hashAlgorithm") ?? "";
            try
            {
                logs.Add(TransparencyLog.Create(baseUrl, raw, details, logId, hash, window));
            }
            catch (FormatException e)
            {
                warnings.Add($"{name} entry {Shown.Of(baseUrl)} of the trusted root is not used: {e.Message}");
            }
        }

        return logs;
    }

    private List<CertificateAuthority> ReadAuthorities(JsonFields document, string name)
    {
        var authorities = new List<CertificateAuthority>();
        foreach (JsonFields instance in document.Objects(name, Limits.TrustRootInstances))
        {
            string uri = instance.Text("uri") ?? "";
            byte[][] chain =
            [
                .. (instance.Object("certChain")?.Objects("certificates", Limits.ChainCertificates) ?? [])
                    .Select(certificate => certificate.Bytes("rawBytes") ?? []),
            ];
            if (TimeWindow.Parse(instance.Object("validFor"), $"trusted root.{name}") is { } window && chain.Length > 0)
            {
                authorities.Add(new CertificateAuthority(uri, chain, window));
            }
            else
            {
                warnings.Add($"{name} entry {Shown.Of(uri)} of the trusted root is not used: no certificates, or validFor.start is missing");
            }
        }

        return authorities;
    }
}

/// <summary>A log whose key is to be believed within a window: a transparency log or a CT log.</summary>
internal sealed record TransparencyLog(string BaseUrl, byte[] LogId, VerificationKey Key, TimeWindow Window)
{
    /// <summary>Host of the base URL without port: the name under which a Rekor v2 log signs its checkpoints.</summary>
    public string Host => Uri.TryCreate(BaseUrl, UriKind.Absolute, out Uri? url) ? url.Host : "";

    /// <exception cref="FormatException">This client cannot use it; says why.</exception>
    public static TransparencyLog Create(string baseUrl, byte[] raw, string details, byte[] logId, string hash, TimeWindow? window)
    {
        if (hash != "SHA2_256")
        {
            throw new FormatException($"hash algorithm {Shown.Of(hash)}");
        }

        if (window is null)
        {
            throw new FormatException("validFor.start is missing");
        }

        byte[] spki = details.StartsWith("PKCS1_RSA_", StringComparison.Ordinal) ? VerificationKey.WrapPkcs1(raw) : raw;
        VerificationKey key = VerificationKey.FromSpki(spki);
        RequireKind(key, details);
        var log = new TransparencyLog(baseUrl, logId, key, window);
        return logId.AsSpan().SequenceEqual(SHA256.HashData(spki)) || logId.AsSpan().SequenceEqual(log.NoteKeyHash())
            ? log
            : throw new FormatException("its log id does not belong to its key");
    }

    /// <summary>
    /// The note key id before it is cut to four bytes (C2SP signed-note): over the name for Ed25519 and RSA, over the key
    /// alone for ECDSA.
    /// </summary>
    public byte[] NoteKeyHash() => Key switch
    {
        { IsEcdsa: true } => SHA256.HashData(Key.Spki),
        { IsEd25519: true } => SHA256.HashData([.. Encoding.UTF8.GetBytes(Host), (byte)'\n', 1, .. Key.Ed25519Key]),
        _ => SHA256.HashData([.. Encoding.UTF8.GetBytes(Host), (byte)'\n', 0xff, .. "PKIX-RSA-PKCS#1v1.5"u8, .. Key.Spki]),
    };

    // protobuf-specs, PublicKeyDetails. A name this client does not know makes the instance unusable, not the document.
    private static void RequireKind(VerificationKey key, string details)
    {
        bool fits = details switch
        {
            "PKIX_ECDSA_P256_SHA_256" => key.FieldBytes == 32,
            "PKIX_ECDSA_P384_SHA_384" => key.FieldBytes == 48,
            "PKIX_ECDSA_P521_SHA_512" => key.FieldBytes == 66,
            "PKIX_ED25519" => key.IsEd25519,
            "PKCS1_RSA_PKCS1V5" or "PKIX_RSA_PKCS1V5" => key.IsRsa,
            "PKIX_RSA_PKCS1V15_2048_SHA256" => key.RsaBits == 2048,
            "PKIX_RSA_PKCS1V15_3072_SHA256" => key.RsaBits == 3072,
            "PKIX_RSA_PKCS1V15_4096_SHA256" => key.RsaBits == 4096,
            _ => throw new FormatException($"keys of kind {Shown.Of(details)} are not supported"),
        };
        if (!fits)
        {
            throw new FormatException($"its key is not a {Shown.Of(details)}");
        }
    }
}
