using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>
/// What a log entry says was signed, held against what is verified: this signature, this certificate or key, this content. The log only
/// vouches for what the entry says; an entry of another signature would be as well included (client-spec §4.4).
/// </summary>
internal static class LogBody
{
    /// <summary>The bundle names the kind and the body, which alone is in the log, names it again.</summary>
    public static void RequireKind(LogEntry entry)
    {
        string kind, version;
        try
        {
            using JsonFields body = JsonFields.Parse(entry.Body, "log entry", Limits.LogBodyBytes);
            (kind, version) = (body.RequiredText("kind"), body.RequiredText("apiVersion"));
        }
        catch (FormatException)
        {
            return; // refused where the body is read, once it is known whether the log has it
        }

        if (kind != entry.Kind || version != entry.KindVersion)
        {
            throw new VerificationException("tlog.kind", "the log entry is of another kind than the bundle says", $"{entry.Kind} {entry.KindVersion}", $"{kind} {version}");
        }
    }

    /// <returns>The scheme that the entry names for its signature; null where its kind names none.</returns>
    public static SignatureScheme? RequireSame(LogEntry entry, SignedContent content, SignedBytes signed, ProvenSigner signer) => VerificationException.Reading("tlog.body", () =>
    {
        using JsonFields body = JsonFields.Parse(entry.Body, "log entry", Limits.LogBodyBytes);
        (string kind, string version) = (body.RequiredText("kind"), body.RequiredText("apiVersion"));
        JsonFields spec = body.RequiredObject("spec");
        switch (kind, version, content)
        {
            case ("dsse", "0.0.1", SignedEnvelope envelope):
                RequireDsse001(spec, envelope, signed, signer);
                break;
            case ("intoto", "0.0.2", SignedEnvelope envelope):
                RequireIntoto002(spec, envelope, signed, signer);
                break;
            case ("hashedrekord", "0.0.1", MessageSignature message):
                RequireHashedRekord001(spec, message, signed, signer);
                break;
            case ("hashedrekord", "0.0.2", _):
                return RequireHashedRekord002(entry.Body, spec, content, signed, signer);
            case ("dsse", "0.0.2", _):
                throw new VerificationException("tlog.kind", "the entry is a dsse 0.0.2, a form that Rekor v2 dropped", "hashedrekord 0.0.2");
            default:
                throw new VerificationException(
                    "tlog.kind",
                    "the entry is of a kind that does not hold such a signature",
                    content is SignedEnvelope ? "dsse 0.0.1, intoto 0.0.2 or hashedrekord 0.0.2" : "hashedrekord 0.0.1 or 0.0.2",
                    $"{kind} {version}");
        }

        body.NoOthers();
        return null;
    });

    // Rekor v1 keeps hashes of envelope and payload, and signature and verifier in full. envelopeHash covers a serialisation that
    // nobody kept and cannot be made again; payload and signature say the same (rekor, pkg/types/dsse/v0.0.1).
    private static void RequireDsse001(JsonFields spec, SignedEnvelope envelope, SignedBytes signed, ProvenSigner signer)
    {
        _ = ReadHash(spec.RequiredObject("envelopeHash"));
        RequireSame("payload hash", Sha256(envelope.Payload), ReadHash(spec.RequiredObject("payloadHash")));
        JsonFields signature = OnlySignature(spec);
        RequireSame("signature", Convert.ToBase64String(envelope.Signature), signature.RequiredText("signature"));
        RequireVerifier(signer, signed, signature.RequiredBytes("verifier"));
        signature.NoOthers();
        spec.NoOthers();
    }

    // rekor, pkg/types/intoto/v0.0.2: what cosign 1 and 2 logged attestations as. The envelope's members are the base64 of what they
    // were in the envelope, so the signature is base64 of base64; the payload is not kept, its hash is.
    private static void RequireIntoto002(JsonFields spec, SignedEnvelope envelope, SignedBytes signed, ProvenSigner signer)
    {
        JsonFields content = spec.RequiredObject("content");
        _ = ReadHash(content.RequiredObject("hash"));
        RequireSame("payload hash", Sha256(envelope.Payload), ReadHash(content.RequiredObject("payloadHash")));
        JsonFields logged = content.RequiredObject("envelope");
        RequireSame("payload type", envelope.PayloadType, logged.RequiredText("payloadType"));
        JsonFields signature = OnlySignature(logged);
        RequireSame("signature", Convert.ToBase64String(Encoding.ASCII.GetBytes(Convert.ToBase64String(envelope.Signature))), signature.RequiredText("sig"));
        RequireVerifier(signer, signed, signature.RequiredBytes("publicKey"));
        _ = signature.Text("keyid");
        foreach (JsonFields closed in new[] { signature, logged, content, spec })
        {
            closed.NoOthers();
        }
    }

    private static void RequireHashedRekord001(JsonFields spec, MessageSignature message, SignedBytes signed, ProvenSigner signer)
    {
        JsonFields data = spec.RequiredObject("data");
        (string algorithm, string value) = ReadAnyHash(data.RequiredObject("hash"));
        HashAlgorithmName hash = algorithm switch
        {
            "sha256" => HashAlgorithmName.SHA256,
            "sha384" => HashAlgorithmName.SHA384,
            "sha512" => HashAlgorithmName.SHA512,
            _ => throw new VerificationException("tlog.binding", "the log entry has a hash of another kind", "sha256, sha384 or sha512", algorithm),
        };
        JsonFields signature = spec.RequiredObject("signature");
        RequireSame("signature", Convert.ToBase64String(message.Signature), signature.RequiredText("content"));
        RequireSameHash(message, hash, signed);
        if (Convert.ToHexStringLower(signed.Digest(hash)) is var computed && computed != value)
        {
            throw OtherContent(message.Digest is { } claimed && Convert.ToHexStringLower(claimed) == value, computed, value);
        }

        JsonFields key = signature.RequiredObject("publicKey");
        RequireVerifier(signer, signed, key.RequiredBytes("content"));
        foreach (JsonFields closed in new[] { key, signature, data, spec })
        {
            closed.NoOthers();
        }
    }

    // Rekor v2 (rekor-tiles, CLIENTS.md) logs the hash of the artifact, or of what DSSE signs. The whole body can be made from what is
    // verified, so it is made and compared: there is no member left to forget.
    private static SignatureScheme RequireHashedRekord002(byte[] body, JsonFields spec, SignedContent content, SignedBytes signed, ProvenSigner signer)
    {
        JsonFields verifier = spec.RequiredObject("hashedRekordV002").RequiredObject("signature").RequiredObject("verifier");
        string details = verifier.RequiredText("keyDetails");
        SignatureScheme scheme = SignatureScheme.Of(signer.Key).FirstOrDefault(scheme => scheme.Details == details && scheme.Kind != SignatureKind.Ed25519)
            ?? throw new VerificationException(
                "tlog.binding", "the log entry has a key of another kind", string.Join(" or ", SignatureScheme.Of(signer.Key).Select(scheme => scheme.Details)), details);
        if (content is MessageSignature message)
        {
            RequireSameHash(message, scheme.Hash, signed);
        }

        byte[] digest = signed.Digest(scheme.Hash);
        byte[] expected = HashedRekord002(scheme, digest, content.Signature, signer.PemLabel, signer.Der);
        if (body.AsSpan().SequenceEqual(expected))
        {
            return scheme;
        }

        // Two of the many ways to differ are not the entry's fault, and said as what they are.
        if (content is MessageSignature { Digest: { } claimed } && body.AsSpan().SequenceEqual(HashedRekord002(scheme, claimed, content.Signature, signer.PemLabel, signer.Der)))
        {
            throw OtherContent(true, Convert.ToHexStringLower(digest), Convert.ToHexStringLower(claimed));
        }

        if (signer.Identity is null && verifier.Object("publicKey")?.Bytes("rawBytes") is { } key
            && body.AsSpan().SequenceEqual(HashedRekord002(scheme, digest, content.Signature, signer.PemLabel, key)) && !signed.AreSignedBy(signer.Key, scheme))
        {
            throw OtherKey(signer, key);
        }

        throw new VerificationException(
            "tlog.binding", "the log entry is about another signature, certificate or content", Encoding.UTF8.GetString(expected), Encoding.UTF8.GetString(body));
    }

    // RFC 8785: members in order, no white space, nothing escaped that need not be.
    private static byte[] HashedRekord002(SignatureScheme scheme, byte[] digest, byte[] signature, string pemLabel, byte[] verifier)
    {
        var body = new ArrayBufferWriter<byte>(4096);
        using (var json = new Utf8JsonWriter(body, BundleWriter.Plain))
        {
            json.WriteStartObject();
            json.WriteString("apiVersion", "0.0.2");
            json.WriteString("kind", "hashedrekord");
            json.WriteStartObject("spec");
            json.WriteStartObject("hashedRekordV002");
            json.WriteStartObject("data");
            json.WriteString("algorithm", SignedBytes.NameOf(scheme.Hash));
            json.WriteBase64String("digest", digest);
            json.WriteEndObject();
            json.WriteStartObject("signature");
            json.WriteBase64String("content", signature);
            json.WriteStartObject("verifier");
            json.WriteString("keyDetails", scheme.Details);
            json.WriteStartObject(pemLabel == "CERTIFICATE" ? "x509Certificate" : "publicKey");
            json.WriteBase64String("rawBytes", verifier);
            for (int open = 0; open < 6; open++)
            {
                json.WriteEndObject();
            }
        }

        return body.WrittenSpan.ToArray();
    }

    private static JsonFields OnlySignature(JsonFields spec)
    {
        IReadOnlyList<JsonFields> signatures = spec.Objects("signatures", Limits.LogEntries);
        RequireSame("number of signatures", "1", signatures.Count.ToString(CultureInfo.InvariantCulture));
        return signatures[0];
    }

    private static string ReadHash(JsonFields hash)
    {
        (string algorithm, string value) = ReadAnyHash(hash);
        RequireSame("hash algorithm", "sha256", algorithm);
        return value;
    }

    private static (string Algorithm, string Value) ReadAnyHash(JsonFields hash)
    {
        (string, string) read = (hash.RequiredText("algorithm"), hash.RequiredText("value"));
        hash.NoOthers();
        return read;
    }

    private static string Sha256(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    /// <summary>Rekor v1 keeps the verifier as PEM: one block, and our certificate or key in it.</summary>
    private static void RequireVerifier(ProvenSigner signer, SignedBytes signed, byte[] pem)
    {
        if (!Pem.TryReadOne(Encoding.UTF8.GetString(pem), signer.PemLabel, out byte[] logged))
        {
            throw new VerificationException("tlog.binding", $"the log entry does not have one PEM block {signer.PemLabel} as its verifier");
        }

        if (logged.AsSpan().SequenceEqual(signer.Der))
        {
            return;
        }

        throw signer.Identity is null && !signed.UnnamedSchemes(signer.Key).Any(scheme => signed.AreSignedBy(signer.Key, scheme))
            ? OtherKey(signer, logged)
            : new VerificationException(
                "tlog.binding", $"the log entry has another {signer.PemLabel.ToLowerInvariant()}", $"SHA-256 {Sha256(signer.Der)}", $"SHA-256 {Sha256(logged)}");
    }

    /// <summary>Entry and bundle agree with each other, and neither with the policy's key.</summary>
    private static VerificationException OtherKey(ProvenSigner signer, byte[] logged) =>
        new("sig.key", "the signature was made with another key than the policy's", $"SHA-256 {Sha256(signer.Der)}", $"SHA-256 {Sha256(logged)}");

    // A signature over one hash must not be vouched for by an entry over another (P-384 keys sign SHA-384, once signed SHA-256). Where the
    // bundle states a digest that is not even the artifact's, that is the nearer reason.
    private static void RequireSameHash(MessageSignature message, HashAlgorithmName logged, SignedBytes signed)
    {
        if (message.Algorithm is { } stated && stated != SignedBytes.NameOf(logged))
        {
            signed.RequireStatedDigest(message);
            RequireSame("hash function", stated, SignedBytes.NameOf(logged));
        }
    }

    private static VerificationException OtherContent(bool asClaimed, string computed, string logged) => asClaimed
        ? new("sig.digest", "the signature is over another artifact", computed, logged)
        : new("tlog.binding", "the log entry is about another content", computed, logged);

    private static void RequireSame(string what, string expected, string found)
    {
        if (!string.Equals(expected, found, StringComparison.Ordinal))
        {
            throw new VerificationException("tlog.binding", $"the log entry has another {what}", expected, found);
        }
    }
}
