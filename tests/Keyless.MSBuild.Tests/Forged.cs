using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Keyless.Sandbox;

namespace Keyless.MSBuild.Tests;

/// <summary>Who signs, with the sandbox's Fulcio: unchanged, the identity of <see cref="World.Signer"/> with a new key.</summary>
internal sealed record ForgedSigner(World World)
{
    public ECDsa Key { get; init; } = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    /// <summary>No certificate: the policy knows the key.</summary>
    public bool Managed { get; init; }

    /// <summary>Edits the claims of the token that Fulcio is given.</summary>
    public Action<JsonObject>? Claims { get; init; }

    public DateTimeOffset NotBefore { get; init; } = DateTimeOffset.FromUnixTimeSeconds(DateTimeOffset.UtcNow.ToUnixTimeSeconds());

    /// <summary>Whether the CT log has seen the certificate.</summary>
    public bool WithSct { get; init; } = true;

    public string PublicKeyPem => PemEncoding.WriteString("PUBLIC KEY", Key.ExportSubjectPublicKeyInfo()) + "\n";

    public byte[] Sign(byte[] data) => Key.SignData(data, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence);

    /// <summary>DER; another one each time.</summary>
    public byte[] Certify()
    {
        Fulcio fulcio = World.Sandbox.Fulcio;
        JsonObject claims = World.Sandbox.Issuer.Claims.DeepClone().AsObject();
        claims["iss"] = World.Sandbox.Issuer.Url;
        Claims?.Invoke(claims);
        byte[] spki = Key.ExportSubjectPublicKeyInfo();
        byte[] issuer = fulcio.Intermediate.Certificate.PublicKey.ExportSubjectPublicKeyInfo();
        return fulcio.Issue(spki, fulcio.Extensions(spki, claims), NotBefore, NotBefore.AddMinutes(10), tbs => WithSct ? [World.Sandbox.CtLog.Add(issuer, tbs)] : []).RawData;
    }

    /// <summary>An RFC 3161 timestamp of the sandbox's authority over these bytes.</summary>
    public byte[] Stamp(byte[] signature) =>
        World.Sandbox.TimestampAuthority.Stamp(new TimestampQuery("2.16.840.1.101.3.4.2.1", SHA256.HashData(signature), null, null, WantsCertificate: true));
}

/// <summary>
/// A recipe for a signature as cosign 1 and 2 make them: a simple-signing payload with everything else in annotations, logged in Rekor v1. Unchanged
/// it makes a good one; each member replaces one ingredient, and all that comes after it is made from the replacement by the rightful services.
/// </summary>
internal sealed record SimpleForge(World World, string Image)
{
    public const string SignatureName = "dev.cosignproject.cosign/signature";
    public const string CertificateName = "dev.sigstore.cosign/certificate";
    public const string ChainName = "dev.sigstore.cosign/chain";
    public const string BundleName = "dev.sigstore.cosign/bundle";
    public const string TimestampName = "dev.sigstore.cosign/rfc3161timestamp";

    public ForgedSigner Signer { get; init; } = new(World);

    /// <summary>Edits what is said of the image, before it is signed.</summary>
    public Action<JsonObject>? Said { get; init; }

    /// <summary>Edits the text of that.</summary>
    public Func<string, string> Text { get; init; } = text => text;

    /// <summary>What is signed, and logged, instead of the payload.</summary>
    public Func<byte[], byte[]> Signed { get; init; } = payload => payload;

    public Func<byte[], byte[]> Signature { get; init; } = signature => signature;

    /// <summary>Edits what the log enters.</summary>
    public Action<JsonObject>? Body { get; init; }

    /// <summary>When the log says it entered that.</summary>
    public DateTimeOffset IntegratedTime { get; init; } = DateTimeOffset.UtcNow;

    /// <summary>The log that promises to.</summary>
    public RekorV1 Log { get; init; } = World.Sandbox.RekorV1;

    /// <summary>Edits the finished annotation of the log entry.</summary>
    public Action<JsonObject>? Entry { get; init; }

    /// <summary>What is stamped, and by whom; null: no timestamp.</summary>
    public Func<byte[], byte[]>? Stamped { get; init; }

    /// <summary>Edits the finished annotations.</summary>
    public Action<Dictionary<string, string>>? Annotations { get; init; }

    public Layer Make()
    {
        byte[] payload = Encoding.UTF8.GetBytes(Text(PayloadJson()));
        byte[] signed = Signed(payload);
        byte[] signature = Signature(Signer.Sign(signed));
        string pem = Signer.Managed ? Signer.PublicKeyPem : PemEncoding.WriteString("CERTIFICATE", Signer.Certify()) + "\n";
        var annotations = new Dictionary<string, string> { [SignatureName] = Convert.ToBase64String(signature), [BundleName] = MakeEntry(signed, signature, pem).ToJsonString() };
        if (!Signer.Managed)
        {
            annotations[CertificateName] = pem;
            annotations[ChainName] = $"{World.Sandbox.Fulcio.Intermediate.Certificate.ExportCertificatePem()}\n{World.Sandbox.Fulcio.Root.Certificate.ExportCertificatePem()}\n";
        }

        if (Stamped is not null)
        {
            annotations[TimestampName] = new JsonObject { ["SignedRFC3161Timestamp"] = Convert.ToBase64String(Stamped(signature)) }.ToJsonString();
        }

        Annotations?.Invoke(annotations);
        return new Layer(Attached.SimpleType, payload, annotations);
    }

    private string PayloadJson()
    {
        var payload = new JsonObject
        {
            ["critical"] = new JsonObject
            {
                ["identity"] = new JsonObject { ["docker-reference"] = Image.Split('@')[0] },
                ["image"] = new JsonObject { ["docker-manifest-digest"] = Image.Split('@')[1] },
                ["type"] = "cosign container image signature",
            },
            ["optional"] = null,
        };
        Said?.Invoke(payload);
        return payload.ToJsonString();
    }

    private JsonObject MakeEntry(byte[] signed, byte[] signature, string pem)
    {
        var body = new JsonObject
        {
            ["apiVersion"] = "0.0.1",
            ["kind"] = "hashedrekord",
            ["spec"] = new JsonObject
            {
                ["data"] = new JsonObject { ["hash"] = new JsonObject { ["algorithm"] = "sha256", ["value"] = Convert.ToHexStringLower(SHA256.HashData(signed)) } },
                ["signature"] = new JsonObject
                {
                    ["content"] = Convert.ToBase64String(signature),
                    ["publicKey"] = new JsonObject { ["content"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(pem)) },
                },
            },
        };
        Body?.Invoke(body);
        string base64 = Convert.ToBase64String(CanonicalJson.Bytes(body));
        const long Index = 4242;
        long time = IntegratedTime.ToUnixTimeSeconds();
        var entry = new JsonObject
        {
            ["SignedEntryTimestamp"] = Convert.ToBase64String(Log.SignEntry(base64, time, Index)),
            ["Payload"] = new JsonObject { ["body"] = base64, ["integratedTime"] = time, ["logIndex"] = Index, ["logID"] = Convert.ToHexStringLower(Log.LogId) },
        };
        Entry?.Invoke(entry);
        return entry;
    }
}

/// <summary>A recipe for a bundle v0.3 about an image, as <see cref="SimpleForge"/> is for the older forms.</summary>
internal sealed record BundleForge(World World, string Image)
{
    public ForgedSigner Signer { get; init; } = new(World);

    public string PredicateType { get; init; } = "https://sigstore.dev/cosign/sign/v1";

    /// <summary>Whether Rekor v1 has an entry, by which the moment is known, too.</summary>
    public bool Logged { get; init; } = true;

    public bool Stamped { get; init; }

    /// <summary>Signs the image's manifest itself, as for a file.</summary>
    public bool Message { get; init; }

    /// <summary>Edits the finished bundle.</summary>
    public Action<JsonObject>? Edit { get; init; }

    public byte[] Make()
    {
        const string Type = "application/vnd.in-toto+json";
        (string repository, string digest) = Attached.Parts(Image);
        byte[] manifest = World.Sandbox.Registry.FindManifest(repository, digest)!.Bytes;
        byte[] statement = Encoding.UTF8.GetBytes(new JsonObject
        {
            ["_type"] = "https://in-toto.io/Statement/v1",
            ["subject"] = new JsonArray(new JsonObject { ["digest"] = new JsonObject { ["sha256"] = digest[7..] }, ["annotations"] = new JsonObject() }),
            ["predicateType"] = PredicateType,
            ["predicate"] = new JsonObject(),
        }.ToJsonString());
        byte[] encoded = [.. Encoding.UTF8.GetBytes($"DSSEv1 {Type.Length} {Type} {statement.Length} "), .. statement];
        byte[] signature = Signer.Sign(Message ? manifest : encoded);
        byte[] verifier = Signer.Managed ? Signer.Key.ExportSubjectPublicKeyInfo() : Signer.Certify();
        var envelope = new JsonObject
        {
            ["payloadType"] = Type,
            ["payload"] = Convert.ToBase64String(statement),
            ["signatures"] = new JsonArray(new JsonObject { ["sig"] = Convert.ToBase64String(signature) }),
        };
        string pem = Convert.ToBase64String(Encoding.UTF8.GetBytes(PemEncoding.WriteString(Signer.Managed ? "PUBLIC KEY" : "CERTIFICATE", verifier) + "\n"));
        var bundle = new JsonObject
        {
            ["mediaType"] = Attached.BundleType,
            ["verificationMaterial"] = new JsonObject
            {
                [Signer.Managed ? "publicKey" : "certificate"] = Signer.Managed
                    ? new JsonObject { ["hint"] = Convert.ToBase64String(SHA256.HashData(verifier)) }
                    : new JsonObject { ["rawBytes"] = Convert.ToBase64String(verifier) },
                ["tlogEntries"] = Logged ? new JsonArray(Enter(Message ? HashedRekord(manifest, signature, pem) : Dsse(envelope, pem))) : [],
                ["timestampVerificationData"] = new JsonObject
                {
                    ["rfc3161Timestamps"] = Stamped ? new JsonArray(new JsonObject { ["signedTimestamp"] = Convert.ToBase64String(Signer.Stamp(signature)) }) : [],
                },
            },
        };
        if (Message)
        {
            bundle["messageSignature"] = new JsonObject
            {
                ["messageDigest"] = new JsonObject { ["algorithm"] = "SHA2_256", ["digest"] = Convert.ToBase64String(SHA256.HashData(manifest)) },
                ["signature"] = Convert.ToBase64String(signature),
            };
        }
        else
        {
            bundle["dsseEnvelope"] = envelope;
        }

        Edit?.Invoke(bundle);
        return Encoding.UTF8.GetBytes(bundle.ToJsonString());
    }

    private static JsonObject Dsse(JsonObject envelope, string pem) => new()
    {
        ["apiVersion"] = "0.0.1",
        ["kind"] = "dsse",
        ["spec"] = new JsonObject { ["proposedContent"] = new JsonObject { ["envelope"] = envelope.ToJsonString(), ["verifiers"] = new JsonArray(pem) } },
    };

    private static JsonObject HashedRekord(byte[] signed, byte[] signature, string pem) => new()
    {
        ["apiVersion"] = "0.0.1",
        ["kind"] = "hashedrekord",
        ["spec"] = new JsonObject
        {
            ["data"] = new JsonObject { ["hash"] = new JsonObject { ["algorithm"] = "sha256", ["value"] = Convert.ToHexStringLower(SHA256.HashData(signed)) } },
            ["signature"] = new JsonObject { ["content"] = Convert.ToBase64String(signature), ["publicKey"] = new JsonObject { ["content"] = pem } },
        },
    };

    /// <summary>What the sandbox's Rekor v1 makes of a proposal, in the words of a bundle.</summary>
    private JsonObject Enter(JsonObject proposal)
    {
        RekorV1 log = World.Sandbox.RekorV1;
        JsonNode entry = log.Find(log.Add(RekorV1Entry.Canonical(JsonSerializer.SerializeToElement(proposal))).Id)!.Single().Value!;
        JsonNode proof = entry["verification"]!["inclusionProof"]!;
        return new JsonObject
        {
            ["logIndex"] = $"{entry["logIndex"]}",
            ["logId"] = new JsonObject { ["keyId"] = Convert.ToBase64String(log.LogId) },
            ["kindVersion"] = new JsonObject { ["kind"] = (string?)proposal["kind"], ["version"] = "0.0.1" },
            ["integratedTime"] = $"{entry["integratedTime"]}",
            ["inclusionPromise"] = new JsonObject { ["signedEntryTimestamp"] = (string?)entry["verification"]!["signedEntryTimestamp"] },
            ["inclusionProof"] = new JsonObject
            {
                ["logIndex"] = $"{proof["logIndex"]}",
                ["rootHash"] = Base64((string)proof["rootHash"]!),
                ["treeSize"] = $"{proof["treeSize"]}",
                ["hashes"] = new JsonArray([.. proof["hashes"]!.AsArray().Select(hash => (JsonNode)Base64((string)hash!))]),
                ["checkpoint"] = new JsonObject { ["envelope"] = (string?)proof["checkpoint"] },
            },
            ["canonicalizedBody"] = (string?)entry["body"],
        };
    }

    private static string Base64(string hex) => Convert.ToBase64String(Convert.FromHexString(hex));
}
