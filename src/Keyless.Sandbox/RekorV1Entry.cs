using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Keyless.Sandbox;

/// <summary>Turns a proposed entry into the canonical body that Rekor v1 logs, once its signatures verify.</summary>
internal static class RekorV1Entry
{
    /// <exception cref="BadHttpRequestException">Not a proposed entry of a kind known here, or a signature that does not verify.</exception>
    public static byte[] Canonical(JsonElement proposed)
    {
        try
        {
            ProposedEntry entry = proposed.Deserialize<ProposedEntry>(JsonSerializerOptions.Web) ?? throw new BadHttpRequestException("no entry");
            return (entry.Kind, entry.ApiVersion) switch
            {
                ("hashedrekord", "0.0.1") => HashedRekord(entry.Spec.Deserialize<HashedRekordSpec>(JsonSerializerOptions.Web)),
                ("dsse", "0.0.1") => Dsse(entry.Spec.Deserialize<DsseSpec>(JsonSerializerOptions.Web)),
                ("intoto", "0.0.1") => Intoto(entry.Spec.Deserialize<IntotoV1Spec>(JsonSerializerOptions.Web)),
                ("intoto", "0.0.2") => Intoto(entry.Spec.Deserialize<IntotoSpec>(JsonSerializerOptions.Web)),
                _ => throw new BadHttpRequestException("only entries of the kinds hashedrekord 0.0.1, dsse 0.0.1, intoto 0.0.1 and intoto 0.0.2 are taken"),
            };
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new BadHttpRequestException("the proposed entry does not have the members of its kind", e);
        }
    }

    /// <summary>The canonical body for a signature over a digest.</summary>
    public static byte[] HashedRekord(string algorithm, string digest, byte[] signature, SubmittedKey key) => CanonicalJson.Bytes(new JsonObject
    {
        ["apiVersion"] = "0.0.1",
        ["kind"] = "hashedrekord",
        ["spec"] = new JsonObject
        {
            ["data"] = new JsonObject { ["hash"] = new JsonObject { ["algorithm"] = algorithm, ["value"] = digest } },
            ["signature"] = new JsonObject
            {
                ["content"] = Convert.ToBase64String(signature),
                ["publicKey"] = new JsonObject { ["content"] = Base64(key.Pem) },
            },
        },
    });

    private static byte[] HashedRekord(HashedRekordSpec? spec)
    {
        HashAlgorithmName hash = spec?.Data?.Hash?.Algorithm switch
        {
            "sha256" => HashAlgorithmName.SHA256,
            "sha384" => HashAlgorithmName.SHA384,
            "sha512" => HashAlgorithmName.SHA512,
            _ => throw new BadHttpRequestException("the hash algorithm is missing or not one of sha256, sha384, sha512"),
        };
        SubmittedKey key = Key(spec.Signature?.PublicKey?.Content);
        byte[] signature = Answers.Base64(spec.Signature?.Content, "signature.content");
        byte[] digest = Hex(spec.Data.Hash.Value, hash);
        return key.Verifies(digest, hash, signature)
            ? HashedRekord(spec.Data.Hash.Algorithm, Convert.ToHexStringLower(digest), signature, key)
            : throw new BadHttpRequestException("the signature does not verify over this hash with this key");
    }

    private static byte[] Dsse(DsseSpec? spec)
    {
        string envelope = spec?.ProposedContent?.Envelope ?? throw new BadHttpRequestException("no envelope");
        (byte[] payload, (byte[] Signature, SubmittedKey Verifier)[] signatures) = Verified(envelope, spec.ProposedContent.Verifiers ?? []);
        return CanonicalJson.Bytes(new JsonObject
        {
            ["apiVersion"] = "0.0.1",
            ["kind"] = "dsse",
            ["spec"] = new JsonObject
            {
                ["envelopeHash"] = Sha256(Encoding.UTF8.GetBytes(envelope)),
                ["payloadHash"] = Sha256(payload),
                ["signatures"] = new JsonArray([.. signatures
                    .OrderBy(signed => Convert.ToBase64String(signed.Signature), StringComparer.Ordinal)
                    .Select(signed => (JsonNode)new JsonObject { ["signature"] = Convert.ToBase64String(signed.Signature), ["verifier"] = Base64(signed.Verifier.Pem) })]),
            },
        });
    }

    /// <summary>What cosign 2 logs attestations as if told to: of the signature nothing is kept.</summary>
    private static byte[] Intoto(IntotoV1Spec? spec)
    {
        string envelope = spec?.Content?.Envelope ?? throw new BadHttpRequestException("no envelope");
        (byte[] payload, (byte[] Signature, SubmittedKey Verifier)[] signatures) = Verified(envelope, [spec.PublicKey]);
        return CanonicalJson.Bytes(new JsonObject
        {
            ["apiVersion"] = "0.0.1",
            ["kind"] = "intoto",
            ["spec"] = new JsonObject
            {
                ["content"] = new JsonObject { ["hash"] = Sha256(Encoding.UTF8.GetBytes(envelope)), ["payloadHash"] = Sha256(payload) },
                ["publicKey"] = Base64(signatures[0].Verifier.Pem),
            },
        });
    }

    /// <summary>The payload of an envelope, and its signatures, each with the key it verifies with.</summary>
    private static (byte[] Payload, (byte[] Signature, SubmittedKey Verifier)[] Signatures) Verified(string envelopeText, string?[] pemsInBase64)
    {
        Envelope? envelope = JsonSerializer.Deserialize<Envelope>(envelopeText, JsonSerializerOptions.Web);
        byte[] payload = Answers.Base64(envelope?.Payload, "envelope.payload");
        SubmittedKey[] verifiers = [.. pemsInBase64.Select(Key)];
        if (envelope?.Signatures is not { Length: > 0 } || verifiers.Length == 0)
        {
            throw new BadHttpRequestException("an envelope needs a signature and a verifier");
        }

        byte[] signed = PreAuthenticationEncoding(envelope.PayloadType ?? "", payload);
        return (payload, [.. envelope.Signatures
            .Select(signature => Answers.Base64(signature?.Sig, "envelope.signatures.sig"))
            .Select(signature => (signature, VerifierOf(signature, signed, verifiers)))]);
    }

    /// <summary>
    /// What older clients for provenance log. The envelope's members are the base64 of what they are in the envelope, each
    /// signature brings its key, and the hash of the envelope is the client's word, since nobody can make the same envelope again.
    /// </summary>
    private static byte[] Intoto(IntotoSpec? spec)
    {
        IntotoEnvelope envelope = spec?.Content?.Envelope ?? throw new BadHttpRequestException("no envelope");
        byte[] payload = Twice(envelope.Payload, "envelope.payload");
        byte[] signed = PreAuthenticationEncoding(envelope.PayloadType ?? "", payload);
        if (envelope.Signatures is not { Length: > 0 } signatures || spec.Content.Hash is not { Algorithm: "sha256", Value: { } hash })
        {
            throw new BadHttpRequestException("an envelope needs a signature, and its hash by sha256");
        }

        return CanonicalJson.Bytes(new JsonObject
        {
            ["apiVersion"] = "0.0.2",
            ["kind"] = "intoto",
            ["spec"] = new JsonObject
            {
                ["content"] = new JsonObject
                {
                    ["envelope"] = new JsonObject
                    {
                        ["payloadType"] = envelope.PayloadType,
                        ["signatures"] = new JsonArray([.. signatures.Select(signature => (JsonNode)IntotoSignature(signature, signed))]),
                    },
                    ["hash"] = new JsonObject { ["algorithm"] = "sha256", ["value"] = Convert.ToHexStringLower(Hex(hash, HashAlgorithmName.SHA256)) },
                    ["payloadHash"] = Sha256(payload),
                },
            },
        });
    }

    private static JsonObject IntotoSignature(IntotoSignatureItem? item, byte[] signed)
    {
        SubmittedKey verifier = VerifierOf(Twice(item?.Sig, "envelope.signatures.sig"), signed, [Key(item?.PublicKey)]);
        var signature = new JsonObject { ["publicKey"] = Base64(verifier.Pem), ["sig"] = item?.Sig };
        if (item?.Keyid is { Length: > 0 } id)
        {
            signature["keyid"] = id;
        }

        return signature;
    }

    private static byte[] Twice(string? base64, string name) => Answers.Base64(Encoding.UTF8.GetString(Answers.Base64(base64, name)), name);

    private static SubmittedKey VerifierOf(byte[] signature, byte[] signed, SubmittedKey[] verifiers) =>
        verifiers.FirstOrDefault(key => key.Verifies(CryptographicOperations.HashData(key.Hash, signed), key.Hash, signature))
            ?? throw new BadHttpRequestException("a signature of the envelope does not verify with any of the verifiers");

    /// <summary>PAE of the DSSE protocol; the lengths count bytes.</summary>
    private static byte[] PreAuthenticationEncoding(string type, byte[] payload) =>
        [.. Encoding.UTF8.GetBytes($"DSSEv1 {Encoding.UTF8.GetByteCount(type)} {type} {payload.Length} "), .. payload];

    private static JsonObject Sha256(byte[] data) => new() { ["algorithm"] = "sha256", ["value"] = Convert.ToHexStringLower(SHA256.HashData(data)) };

    private static SubmittedKey Key(string? base64Pem) => SubmittedKey.FromPem(Encoding.UTF8.GetString(Answers.Base64(base64Pem, "the public key")));

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));

    private static byte[] Hex(string? text, HashAlgorithmName hash)
    {
        int length = hash == HashAlgorithmName.SHA256 ? 32 : hash == HashAlgorithmName.SHA384 ? 48 : 64;
        try
        {
            return Convert.FromHexString(text ?? "") is { } digest && digest.Length == length ? digest : throw new FormatException();
        }
        catch (FormatException e)
        {
            throw new BadHttpRequestException($"the hash is not {length} bytes in hexadecimal digits", e);
        }
    }

    private sealed record ProposedEntry(string? Kind, string? ApiVersion, JsonElement Spec);

    private sealed record HashedRekordSpec(HashedData? Data, Signature? Signature);

    private sealed record HashedData(Digest? Hash);

    private sealed record Digest(string? Algorithm, string? Value);

    private sealed record Signature(string? Content, PublicKeyContent? PublicKey);

    private sealed record PublicKeyContent(string? Content);

    private sealed record DsseSpec(ProposedContent? ProposedContent);

    private sealed record ProposedContent(string? Envelope, string[]? Verifiers);

    private sealed record IntotoV1Spec(IntotoV1Content? Content, string? PublicKey);

    private sealed record IntotoV1Content(string? Envelope);

    private sealed record IntotoSpec(IntotoContent? Content);

    private sealed record IntotoContent(IntotoEnvelope? Envelope, Digest? Hash);

    private sealed record IntotoEnvelope(string? Payload, string? PayloadType, IntotoSignatureItem?[]? Signatures);

    private sealed record IntotoSignatureItem(string? Keyid, string? PublicKey, string? Sig);

    private sealed record Envelope(string? Payload, string? PayloadType, EnvelopeSignature?[]? Signatures);

    private sealed record EnvelopeSignature(string? Sig);
}
