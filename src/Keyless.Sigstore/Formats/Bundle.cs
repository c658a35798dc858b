using System.Security.Cryptography;

namespace Keyless.Sigstore.Formats;

/// <summary>
/// A Sigstore bundle (protobuf-specs, sigstore_bundle.proto) as ProtoJSON. Nothing in it is trusted yet; what is here has
/// the right shape and size, and names exactly one signer and one content.
/// </summary>
internal sealed record Bundle
{
    private static readonly string[] SignerKinds = ["publicKey", "x509CertificateChain", "certificate"];

    public required BundleVersion Version { get; init; }

    /// <summary>DER, leaf first. Empty where a managed key signed.</summary>
    public required IReadOnlyList<byte[]> Certificates { get; init; }

    public required IReadOnlyList<LogEntry> LogEntries { get; init; }

    /// <summary>DER of RFC 3161 TimeStampResp.</summary>
    public required IReadOnlyList<byte[]> Timestamps { get; init; }

    /// <summary>A <see cref="SignedEnvelope"/> or a <see cref="MessageSignature"/>.</summary>
    public required SignedContent Content { get; init; }

    /// <exception cref="MalformedException">The clause is the second word of the slug.</exception>
    public static Bundle Parse(ReadOnlyMemory<byte> json)
    {
        using JsonFields bundle = JsonFields.Parse(json, "bundle", Limits.BundleBytes);
        BundleVersion version = ReadVersion(bundle.Text("mediaType") ?? WithoutMediaType(bundle));
        bundle.NoOthers("verificationMaterial", "messageSignature", "dsseEnvelope");
        JsonFields material = bundle.RequiredObject("verificationMaterial");
        material.NoOthers([.. SignerKinds, "tlogEntries", "timestampVerificationData"]);
        IReadOnlyList<byte[]> certificates = ReadSigner(material, version);
        LogEntry[] entries = [.. material.Objects("tlogEntries", Limits.LogEntries).Select(LogEntry.Parse)];
        foreach (LogEntry entry in entries)
        {
            entry.RequireEvidence(version);
        }

        IReadOnlyList<byte[]> timestamps = [];
        if (material.Object("timestampVerificationData") is { } times)
        {
            timestamps = [.. times.Objects("rfc3161Timestamps", Limits.Timestamps).Select(ReadTimestamp)];
            times.NoOthers();
        }

        return new Bundle { Version = version, Certificates = certificates, LogEntries = entries, Timestamps = timestamps, Content = ReadContent(bundle) };
    }

    /// <exception cref="VerificationException">As <c>bundle.</c> and the clause.</exception>
    public static Bundle Read(ReadOnlyMemory<byte> json)
    {
        try
        {
            return Parse(json);
        }
        catch (MalformedException e)
        {
            throw new VerificationException($"bundle.{e.Clause}", e.Message, inner: e);
        }
    }

    private static string WithoutMediaType(JsonFields bundle) => bundle switch
    {
        _ when bundle.Misspells("mediaType") => bundle.RequiredText("mediaType"),
        // What cosign 1 and 2 write with sign-blob --bundle. Whoever has one should learn what to ask for.
        _ when bundle.Has("base64Signature") => throw new MalformedException(
            "version", "a bundle in cosign 2's own form, which is no Sigstore bundle: sign with cosign 3, or with --new-bundle-format"),
        _ => "",
    };

    private static BundleVersion ReadVersion(string mediaType) => mediaType switch
    {
        "application/vnd.dev.sigstore.bundle+json;version=0.1" => BundleVersion.V01,
        "application/vnd.dev.sigstore.bundle+json;version=0.2" => BundleVersion.V02,
        "application/vnd.dev.sigstore.bundle+json;version=0.3" => BundleVersion.V03,
        "application/vnd.dev.sigstore.bundle.v0.3+json" => BundleVersion.V03,
        _ => throw new MalformedException("version", $"unknown bundle media type \"{Shown.Of(mediaType)}\""),
    };

    // sigstore_bundle.proto: `content` is a oneof; v0.3 carries the leaf alone, older versions a chain, leaf first.
    private static List<byte[]> ReadSigner(JsonFields material, BundleVersion version)
    {
        string[] given = [.. SignerKinds.Where(material.Has)];
        if (given.Length != 1)
        {
            throw new MalformedException("oneof", $"malformed bundle: exactly one of {string.Join(", ", SignerKinds)} expected, {given.Length} found");
        }

        if (given[0] == "publicKey")
        {
            JsonFields key = material.RequiredObject("publicKey");
            _ = key.Text("hint");
            key.NoOthers();
            return [];
        }

        if ((given[0] == "certificate") != (version == BundleVersion.V03))
        {
            throw new MalformedException("material", $"malformed bundle: a {given[0]} does not belong in this version");
        }

        if (given[0] == "certificate")
        {
            return [ReadCertificate(material.RequiredObject("certificate"))];
        }

        JsonFields chain = material.RequiredObject("x509CertificateChain");
        List<byte[]> certificates = [.. chain.Objects("certificates", Limits.ChainCertificates).Select(ReadCertificate)];
        chain.NoOthers();
        return certificates.Count > 0 ? certificates : throw new MalformedException("material", "malformed bundle: the certificate chain is empty");
    }

    private static byte[] ReadCertificate(JsonFields certificate)
    {
        byte[] der = certificate.RequiredBytes("rawBytes");
        certificate.NoOthers();
        return der.Length is > 0 and <= Limits.CertificateBytes
            ? der
            : throw new MalformedException("limit", $"malformed bundle: a certificate of {der.Length} bytes");
    }

    private static byte[] ReadTimestamp(JsonFields timestamp)
    {
        byte[] der = timestamp.RequiredBytes("signedTimestamp");
        timestamp.NoOthers();
        return der.Length is > 0 and <= Limits.TimestampBytes
            ? der
            : throw new MalformedException("limit", $"malformed bundle: a timestamp of {der.Length} bytes");
    }

    private static SignedContent ReadContent(JsonFields bundle)
    {
        JsonFields? message = bundle.Object("messageSignature");
        JsonFields? envelope = bundle.Object("dsseEnvelope");
        if (message is null == envelope is null)
        {
            throw new MalformedException("oneof", "malformed bundle: exactly one of messageSignature, dsseEnvelope expected");
        }

        return envelope is not null ? SignedEnvelope.Parse(envelope) : MessageSignature.Parse(message!);
    }
}

/// <summary>What a bundle's key signed, and the signature: raw bytes, for ECDSA the DER of RFC 3279 §2.2.3.</summary>
internal abstract record SignedContent(byte[] Signature);

/// <summary>A signature over an artifact itself.</summary>
/// <param name="Algorithm">Name of the hash function (protobuf-specs, HashAlgorithm); null where the bundle states no digest.</param>
/// <param name="Digest">What the bundle says the artifact's digest is: a claim, to be held against the artifact's own.</param>
internal sealed record MessageSignature(string? Algorithm, byte[]? Digest, byte[] Signature) : SignedContent(Signature)
{
    public static MessageSignature Parse(JsonFields message)
    {
        JsonFields? digest = message.Object("messageDigest");
        var parsed = new MessageSignature(digest?.RequiredText("algorithm"), digest?.RequiredBytes("digest"), message.RequiredBytes("signature"));
        digest?.NoOthers();
        message.NoOthers();
        return parsed;
    }
}

internal enum BundleVersion
{
    V01 = 1,
    V02,
    V03,
}

/// <summary>A DSSE envelope with its one signature; <c>keyid</c> is a hint that nobody signed and is not kept.</summary>
internal sealed record SignedEnvelope(string PayloadType, byte[] Payload, byte[] Signature) : SignedContent(Signature)
{
    public static SignedEnvelope Parse(JsonFields envelope)
    {
        string payloadType = envelope.RequiredText("payloadType");
        byte[] payload = envelope.RequiredBytes("payload");
        IReadOnlyList<JsonFields> signatures = envelope.Objects("signatures", Limits.LogEntries);
        envelope.NoOthers();
        if (signatures.Count != 1)
        {
            throw new MalformedException("limit", $"malformed bundle: one DSSE signature expected, {signatures.Count} found");
        }

        byte[] signature = signatures[0].RequiredBytes("sig");
        _ = signatures[0].Text("keyid");
        signatures[0].NoOthers();
        return new SignedEnvelope(payloadType, payload, signature);
    }
}

/// <summary>A transparency log's entry as the log's answer was kept (protobuf-specs, sigstore_rekor.proto).</summary>
internal sealed record LogEntry
{
    public required long LogIndex { get; init; }

    public required byte[] LogId { get; init; }

    /// <summary>As the bundle says; the body says it again.</summary>
    public required string Kind { get; init; }

    public required string KindVersion { get; init; }

    /// <summary>Seconds since 1970; 0 where the log (Rekor v2) gives no time.</summary>
    public required long IntegratedTime { get; init; }

    /// <summary>The log's promise over body, time, id and index; null where there is none.</summary>
    public required byte[]? SignedEntryTimestamp { get; init; }

    public required InclusionProof? Proof { get; init; }

    /// <summary>The bytes whose hash is the leaf of the log's tree.</summary>
    public required byte[] Body { get; init; }

    public static LogEntry Parse(JsonFields entry)
    {
        JsonFields logId = entry.RequiredObject("logId");
        JsonFields kind = entry.RequiredObject("kindVersion");
        JsonFields? promise = entry.Object("inclusionPromise");
        JsonFields? proof = entry.Object("inclusionProof");
        var parsed = new LogEntry
        {
            LogIndex = entry.Int64("logIndex") ?? 0, // proto3 JSON leaves out zero
            LogId = logId.RequiredBytes("keyId"),
            Kind = kind.RequiredText("kind"),
            KindVersion = kind.RequiredText("version"),
            IntegratedTime = entry.Int64("integratedTime") ?? 0,
            SignedEntryTimestamp = promise?.Bytes("signedEntryTimestamp"),
            Proof = proof is null ? null : InclusionProof.Parse(proof),
            Body = entry.RequiredBytes("canonicalizedBody"),
        };
        logId.NoOthers();
        kind.NoOthers();
        promise?.NoOthers();
        entry.NoOthers();
        if (promise is not null && parsed.SignedEntryTimestamp is null)
        {
            throw new MalformedException("promise-missing", "malformed bundle: an inclusion promise without signed entry timestamp");
        }

        return parsed.LogId.Length == SHA256.HashSizeInBytes
            ? parsed
            : throw new MalformedException("schema", $"malformed bundle: a log id of {parsed.LogId.Length} bytes");
    }

    // v0.1 trusted the promise; from v0.2 on each entry carries a proof with the checkpoint it leads to.
    public void RequireEvidence(BundleVersion version)
    {
        if (version == BundleVersion.V01 && SignedEntryTimestamp is not { Length: > 0 })
        {
            throw new MalformedException("promise-missing", "malformed bundle: a log entry without inclusion promise");
        }

        if (version != BundleVersion.V01 && Proof?.Checkpoint is null)
        {
            throw new MalformedException("proof-missing", "malformed bundle: a log entry without inclusion proof and checkpoint");
        }
    }
}

/// <summary>The path from a leaf to the root of a checkpoint.</summary>
internal sealed record InclusionProof(long LogIndex, byte[] RootHash, long TreeSize, IReadOnlyList<byte[]> Hashes, string? Checkpoint)
{
    public static InclusionProof Parse(JsonFields proof)
    {
        JsonFields? checkpoint = proof.Object("checkpoint");
        var parsed = new InclusionProof(
            proof.Int64("logIndex") ?? 0,
            proof.Bytes("rootHash") ?? [],
            proof.Int64("treeSize") ?? 0,
            proof.BytesList("hashes", Limits.ProofHashes),
            checkpoint?.Text("envelope"));
        checkpoint?.NoOthers();
        proof.NoOthers();
        return parsed.Checkpoint is null || Formats.Checkpoint.IsBounded(parsed.Checkpoint)
            ? parsed
            : throw new MalformedException("limit", $"malformed bundle: a checkpoint of {parsed.Checkpoint.Length} characters, or with more than {Limits.CheckpointSignatures} signatures");
    }
}
