using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Sigstore.Formats;
using Bc = Org.BouncyCastle.Math.EC.Rfc8032;
using Tree = Keyless.Sandbox.MerkleTree;

namespace Keyless.Sigstore.Tests;

/// <summary>The log that an entry is in, by the form of its entries and the key of its checkpoints.</summary>
public enum LogKind
{
    V1,
    V2Ed25519,
    V2Ecdsa,
}

/// <summary>
/// A recipe for a bundle. Unchanged it makes a good one; each member replaces one ingredient, and all that comes after it is made
/// from the replacement by the rightful services. So one member changed is one defect.
/// </summary>
internal sealed record Forge
{
    public const string Identity = "https://github.com/example-org/example-repo/.github/workflows/publish.yml@refs/heads/main";
    public const string Issuer = GitHubIdentity.ActionsIssuer;
    public const string PredicateType = "https://sigstore.dev/cosign/sign/v1";

    public static readonly DateTimeOffset Now = new(2026, 11, 23, 6, 0, 0, TimeSpan.Zero);
    public static readonly ArtifactDigest Image = ArtifactDigest.Sha256(new string('a', 64));
    public static readonly Policy Policy = Policy.Exactly(Identity, Issuer, PredicateType);

    private static readonly Lock Gate = new();

    public static Forge V1 => new() { Entries = [new LoggedIn(LogKind.V1)] };

    public static Forge V2 => LoggedBy(LogKind.V2Ed25519);

    public static Forge LoggedBy(LogKind log) => log == LogKind.V1 ? V1 : new() { Entries = [new LoggedIn(log)], Timestamps = [new Stamped()] };

    /// <summary>Of the leaf. A new P-256 key unless given.</summary>
    public AsymmetricAlgorithm? Key { get; init; }

    /// <summary>Instead of <see cref="Key"/>, for kinds of keys that .NET does not have, and for other schemes.</summary>
    public ForgedKey? Signer { get; init; }

    /// <summary>The bundle has the key's hint and no certificate; verify with <see cref="ManagedPolicy"/>.</summary>
    public bool Managed { get; init; }

    /// <summary>Of the bundle: 0.1, 0.2 or 0.3.</summary>
    public string Version { get; init; } = "0.3";

    /// <summary>What old versions carry after the leaf.</summary>
    public IReadOnlyList<byte[]> Chain { get; init; } = [World.Fulcio.Intermediate.Certificate.RawData];

    /// <summary>The artifact, signed as it is (a message signature); null for a statement about <see cref="Image"/>.</summary>
    public byte[]? Content { get; init; }

    /// <summary>Verify a message signature with nothing but the SHA-256 digest of its artifact.</summary>
    public bool ByDigest { get; init; }

    /// <summary>Edits the claims of the token that Fulcio was given.</summary>
    public Action<JsonObject>? Claims { get; init; }

    public CertificateIssuer Authority { get; init; } = World.Fulcio.Intermediate;

    public DateTimeOffset NotBefore { get; init; } = Now;

    public DateTimeOffset NotAfter { get; init; } = Now.AddMinutes(10);

    public Func<IEnumerable<X509Extension>, IEnumerable<X509Extension>> Extensions { get; init; } = extensions => extensions;

    /// <summary>From the issuer's SPKI and the TBS to the SCTs; none: no list.</summary>
    public Func<byte[], byte[], IReadOnlyList<byte[]>> Scts { get; init; } = (spki, tbs) => [World.CtLog.Add(spki, tbs)];

    public Func<byte[], byte[]> Certificate { get; init; } = der => der;

    public byte[] Payload { get; init; } = Statement.Write(Image, PredicateType, new Dictionary<string, string>());

    public string PayloadType { get; init; } = "application/vnd.in-toto+json";

    /// <summary>What is signed instead of the DSSE encoding of type and payload.</summary>
    public Func<byte[], byte[]> Signed { get; init; } = encoding => encoding;

    public Func<byte[], byte[]> Signature { get; init; } = signature => signature;

    public HashAlgorithmName? Hash { get; init; }

    public IReadOnlyList<LoggedIn> Entries { get; init; } = [];

    public IReadOnlyList<Stamped> Timestamps { get; init; } = [];

    /// <summary>Edits the finished bundle, which no service sees.</summary>
    public Action<JsonObject>? Bundle { get; init; }

    /// <summary>Edits the bundle's text.</summary>
    public Func<string, string>? Text { get; init; }

    /// <summary>Edits the trusted root.</summary>
    public Action<JsonObject>? Root { get; init; }

    /// <summary>Who signed is the policy's key.</summary>
    public Policy ManagedPolicy => Policy.ForKey(ManagedKey.FromPem(PemEncoding.WriteString("PUBLIC KEY", SigningKey().Spki)), Content is null ? PredicateType : null);

    public Artifact Artifact => Content is null ? Image : ByDigest ? ArtifactDigest.Sha256(Convert.ToHexStringLower(SHA256.HashData(Content))) : Artifact.FromContent(Content);

    private Policy DefaultPolicy => Managed ? ManagedPolicy : Content is null ? Policy : Policy.Exactly(Identity, Issuer, null);

    public VerifiedSignature Verify(Policy? policy = null) => Judge(Make(), policy);

    /// <summary>Verifies a bundle that was made of this recipe and then edited.</summary>
    public VerifiedSignature Judge(byte[] bundle, Policy? policy = null) => new Verifier(TrustedRoot()).Verify(bundle, Artifact, policy ?? DefaultPolicy);

    public TrustedRoot TrustedRoot()
    {
        if (Root is null)
        {
            return World.Root;
        }

        JsonObject root = World.RootJson();
        Root(root);
        return Sigstore.TrustedRoot.Parse(Encoding.UTF8.GetBytes(root.ToJsonString()));
    }

    public byte[] Make()
    {
        lock (Gate)
        {
            JsonObject bundle = MakeBundle();
            Bundle?.Invoke(bundle);
            string text = bundle.ToJsonString();
            return Encoding.UTF8.GetBytes(Text?.Invoke(text) ?? text);
        }
    }

    private ForgedKey SigningKey() => Signer ?? (Key is { } key ? ForgedKey.Of(key, Hash) : World.UsualKey);

    private JsonObject MakeBundle()
    {
        ForgedKey key = SigningKey();
        byte[] verifier = Managed ? key.Spki : Certificate(Issue(key.Spki));
        byte[] message = Content ?? DsseEnvelope.PreAuthenticationEncoding(PayloadType, Payload);
        byte[] signature = Signature(key.Sign(Signed(message)));
        var signed = new Signed(message, Content is null ? Payload : null, PayloadType, signature, verifier, Managed, key.Details, key.Hash);
        return new JsonObject
        {
            ["mediaType"] = Version == "0.3" ? "application/vnd.dev.sigstore.bundle.v0.3+json" : $"application/vnd.dev.sigstore.bundle+json;version={Version}",
            ["verificationMaterial"] = new JsonObject
            {
                [Managed ? "publicKey" : Version == "0.3" ? "certificate" : "x509CertificateChain"] = Material(verifier),
                ["tlogEntries"] = new JsonArray([.. Entries.Select(entry => entry.Make(signed))]),
                ["timestampVerificationData"] = new JsonObject
                {
                    ["rfc3161Timestamps"] = new JsonArray(
                        [.. Timestamps.Select(stamp => new JsonObject { ["signedTimestamp"] = Convert.ToBase64String(stamp.Make(signature)) })]),
                },
            },
            [Content is null ? "dsseEnvelope" : "messageSignature"] = Content is null ? Envelope(signature) : Message(message, signature, key.Hash),
        };
    }

    private JsonObject Material(byte[] verifier)
    {
        if (Managed)
        {
            return new JsonObject { ["hint"] = Convert.ToBase64String(SHA256.HashData(verifier)) };
        }

        static JsonObject Raw(byte[] der) => new() { ["rawBytes"] = Convert.ToBase64String(der) };
        return Version == "0.3" ? Raw(verifier) : new JsonObject { ["certificates"] = new JsonArray([Raw(verifier), .. Chain.Select(Raw)]) };
    }

    private JsonObject Envelope(byte[] signature) => new()
    {
        ["payloadType"] = PayloadType,
        ["payload"] = Convert.ToBase64String(Payload),
        ["signatures"] = new JsonArray(new JsonObject { ["sig"] = Convert.ToBase64String(signature), ["keyid"] = "" }),
    };

    private static JsonObject Message(byte[] message, byte[] signature, HashAlgorithmName hash) => new()
    {
        ["messageDigest"] = new JsonObject { ["algorithm"] = $"SHA2_{hash.Name![3..]}", ["digest"] = Convert.ToBase64String(CryptographicOperations.HashData(hash, message)) },
        ["signature"] = Convert.ToBase64String(signature),
    };

    private byte[] Issue(byte[] spki)
    {
        JsonObject claims = World.Claims();
        Claims?.Invoke(claims);
        X509Extension[] extensions = [.. Extensions(World.Fulcio.Extensions(spki, claims))];
        var key = PublicKey.CreateFromSubjectPublicKeyInfo(spki, out _);
        var nobody = new X500DistinguishedName("");
        byte[] serial = CertificateIssuer.NewSerial();
        X509Certificate2 plain = Authority.Issue(nobody, key, NotBefore, NotAfter, serial, extensions);
        IReadOnlyList<byte[]> scts = Scts(Authority.Certificate.PublicKey.ExportSubjectPublicKeyInfo(), Fulcio.Tbs(plain));
        return scts.Count == 0
            ? plain.RawData
            : Authority.Issue(nobody, key, NotBefore, NotAfter, serial, [.. extensions, Fulcio.SctExtension(CtLog.List(scts))]).RawData;
    }

    /// <summary>The services of which the trusted root speaks, and a few that it does not know.</summary>
    public static class World
    {
        public const string V2Url = "https://log.sandbox:3000/path";
        private static readonly StoppedClock Clock = new(Now);

        public static ForgedKey UsualKey { get; } = ForgedKey.Of(ECDsa.Create(ECCurve.NamedCurves.nistP256), null);

        public static CtLog CtLog { get; } = new(Clock);

        public static CtLog RsaCtLog { get; } = new(Clock, CtLogKey.Rsa) { ExtensionBytes = [0, 0, 5, 0, 0, 0, 0, 7] };

        public static CtLog StrangeCtLog { get; } = new(Clock);

        public static Fulcio Fulcio { get; } = new(CtLog, _ => [], Clock);

        public static RekorV1 V1 { get; } = new(Clock, "rekor.sandbox");

        public static RekorV1 StrangeV1 { get; } = new(Clock, "rekor.sandbox");

        public static RekorV2 V2 { get; } = new(RekorV2Key.Ed25519, "log.sandbox", Clock);

        public static RekorV2 V2Ecdsa { get; } = new(RekorV2Key.EcdsaP256, "ecdsa.log.sandbox", Clock);

        public static RekorV2 StrangeV2 { get; } = new(RekorV2Key.Ed25519, "log.sandbox", Clock);

        public static TimestampAuthority Tsa { get; } = new(Clock);

        public static TimestampAuthority SecondTsa { get; } = new(Clock, ECCurve.NamedCurves.nistP384);

        public static TimestampAuthority StrangeTsa { get; } = new(Clock);

        public static TrustedRoot Root { get; } = Sigstore.TrustedRoot.Parse(Encoding.UTF8.GetBytes(RootJson().ToJsonString()));

        public static JsonObject RootJson() => new TrustMaterial()
            .Add(Fulcio, "https://fulcio.sandbox")
            .Add(CtLog, "https://ct.sandbox")
            .Add(RsaCtLog, "https://rsa.ct.sandbox")
            .Add(V1, "https://rekor.sandbox")
            .Add(V2, V2Url)
            .Add(V2Ecdsa, "https://ecdsa.log.sandbox")
            .Add(Tsa, "https://tsa.sandbox/api/v1/timestamp")
            .Add(SecondTsa, "https://tsa2.sandbox/api/v1/timestamp")
            .TrustedRoot();

        public static JsonObject Claims() => new()
        {
            ["iss"] = Issuer,
            ["sub"] = "repo:example-org/example-repo:ref:refs/heads/main",
            ["job_workflow_ref"] = "example-org/example-repo/.github/workflows/publish.yml@refs/heads/main",
            ["job_workflow_sha"] = Commit,
            ["workflow_ref"] = "example-org/example-repo/.github/workflows/publish.yml@refs/heads/main",
            ["workflow_sha"] = Commit,
            ["repository"] = "example-org/example-repo",
            ["repository_id"] = "1001",
            ["repository_owner"] = "example-org",
            ["repository_owner_id"] = "2002",
            ["repository_visibility"] = "public",
            ["ref"] = "refs/heads/main",
            ["sha"] = Commit,
            ["event_name"] = "push",
            ["workflow"] = "Publish",
            ["run_id"] = "12",
            ["run_attempt"] = "1",
            ["runner_environment"] = "github-hosted",
        };

        public const string Commit = "0123456789abcdef0123456789abcdef01234567";
    }
}

/// <summary>A key that can sign in one scheme, under the scheme's name in Rekor v2.</summary>
internal sealed record ForgedKey(byte[] Spki, string Details, HashAlgorithmName Hash, Func<byte[], byte[]> Sign)
{
    private static readonly byte[] Ed25519Head = Convert.FromHexString("302a300506032b6570032100");

    /// <param name="hash">Null for the one that goes with the key.</param>
    /// <param name="padding">Of RSA; PKCS #1 v1.5 unless given.</param>
    public static ForgedKey Of(AsymmetricAlgorithm key, HashAlgorithmName? hash, RSASignaturePadding? padding = null)
    {
        padding ??= RSASignaturePadding.Pkcs1;
        HashAlgorithmName used = hash ?? (key is ECDsa { KeySize: 384 } ? HashAlgorithmName.SHA384 : key is ECDsa { KeySize: 521 } ? HashAlgorithmName.SHA512 : HashAlgorithmName.SHA256);
        return key switch
        {
            RSA rsa => new(rsa.ExportSubjectPublicKeyInfo(), $"PKIX_RSA_{(padding == RSASignaturePadding.Pss ? "PSS" : "PKCS1V15")}_{rsa.KeySize}_SHA256", used, data => rsa.SignData(data, used, padding)),
            ECDsa ecdsa => new(
                ecdsa.ExportSubjectPublicKeyInfo(), $"PKIX_ECDSA_P{ecdsa.KeySize}_SHA_{used.Name![3..]}", used, data => ecdsa.SignData(data, used, DSASignatureFormat.Rfc3279DerSequence)),
            _ => throw new NotSupportedException(),
        };
    }

    /// <param name="prehash">Ed25519ph.</param>
    public static ForgedKey Ed25519(bool prehash)
    {
        byte[] secret = RandomNumberGenerator.GetBytes(32);
        byte[] point = new byte[32];
        Bc.Ed25519.GeneratePublicKey(secret, 0, point, 0);
        return new([.. Ed25519Head, .. point], prehash ? "PKIX_ED25519_PH" : "PKIX_ED25519", prehash ? HashAlgorithmName.SHA512 : HashAlgorithmName.SHA256, data =>
        {
            byte[] signature = new byte[64];
            if (prehash)
            {
                Bc.Ed25519.SignPrehash(secret, 0, [], SHA512.HashData(data), 0, signature, 0);
            }
            else
            {
                Bc.Ed25519.Sign(secret, 0, data, 0, data.Length, signature, 0);
            }

            return signature;
        });
    }
}

/// <summary>What a log is told of a signature.</summary>
/// <param name="Message">What was signed: the artifact, or the DSSE encoding.</param>
/// <param name="Payload">Of the envelope; null for a message signature.</param>
/// <param name="Verifier">DER of the certificate, or of the managed key.</param>
internal sealed record Signed(byte[] Message, byte[]? Payload, string PayloadType, byte[] Signature, byte[] Verifier, bool Managed, string Details, HashAlgorithmName Hash)
{
    public string Pem => Convert.ToBase64String(Encoding.UTF8.GetBytes(PemEncoding.WriteString(Managed ? "PUBLIC KEY" : "CERTIFICATE", Verifier) + "\n"));

    public byte[] Digest => CryptographicOperations.HashData(Hash, Message);
}

/// <summary>An entry in one of the logs: at index 4 of a tree of 7, unless said otherwise.</summary>
internal sealed record LoggedIn(LogKind Log)
{
    public Func<JsonObject, JsonObject> Body { get; init; } = body => body;

    /// <summary>An envelope is logged as intoto 0.0.2, as cosign 1 and 2 did.</summary>
    public bool Intoto { get; init; }

    public Func<byte[], byte[]> BodyBytes { get; init; } = body => body;

    public DateTimeOffset IntegratedTime { get; init; } = Forge.Now.AddMinutes(1);

    public int Index { get; init; } = 4;

    public int Size { get; init; } = 7;

    public bool Promise { get; init; } = true;

    /// <summary>A log of the same kind and name that nobody knows.</summary>
    public bool Strange { get; init; }

    /// <summary>Edits the checkpoint's text before the log signs it.</summary>
    public Func<string, string> CheckpointText { get; init; } = text => text;

    /// <summary>Edits the signed note.</summary>
    public Func<string, string> Note { get; init; } = note => note;

    /// <summary>Edits the finished entry.</summary>
    public Action<JsonObject>? Edit { get; init; }

    public string Origin => Log switch { LogKind.V1 => $"rekor.sandbox - {RekorV1.TreeId}", LogKind.V2Ecdsa => "ecdsa.log.sandbox", _ => "log.sandbox" };

    public string Name => Log switch { LogKind.V1 => "rekor.sandbox", _ => Origin };

    public byte[] KeyId => Log == LogKind.V1 ? RekorV1.LogId : RekorV2.KeyId;

    public byte[] Sign(string text) => Log == LogKind.V1 ? RekorV1.Sign(Encoding.UTF8.GetBytes(text)) : RekorV2.Sign(Encoding.UTF8.GetBytes(text));

    private RekorV1 RekorV1 => Strange ? Forge.World.StrangeV1 : Forge.World.V1;

    private RekorV2 RekorV2 => Strange ? Forge.World.StrangeV2 : Log == LogKind.V2Ecdsa ? Forge.World.V2Ecdsa : Forge.World.V2;

    public JsonObject Make(Signed signed)
    {
        JsonObject honest = Log != LogKind.V1 ? HashedRekord2(signed) : signed.Payload is null ? HashedRekord1(signed) : Intoto ? Intoto2(signed) : Dsse(signed);
        byte[] body = BodyBytes(CanonicalJson.Bytes(Body(honest)));
        var tree = new Tree();
        for (int leaf = 0; leaf < Size; leaf++)
        {
            tree.Append(leaf == Index ? body : [(byte)leaf]);
        }

        string text = CheckpointText(string.Create(CultureInfo.InvariantCulture, $"{Origin}\n{Size}\n{Convert.ToBase64String(tree.Root())}\n"));
        string note = $"{text}\n\u2014 {Name} {Convert.ToBase64String([.. KeyId[..4], .. Sign(text)])}\n";
        long index = Log == LogKind.V1 ? Index + 4000 : Index;
        var entry = new JsonObject
        {
            ["logIndex"] = $"{index}",
            ["logId"] = new JsonObject { ["keyId"] = Convert.ToBase64String(KeyId) },
            ["kindVersion"] = new JsonObject { ["kind"] = (string?)honest["kind"], ["version"] = (string?)honest["apiVersion"] },
            ["inclusionProof"] = new JsonObject
            {
                ["logIndex"] = $"{Index}",
                ["rootHash"] = Convert.ToBase64String(tree.Root()),
                ["treeSize"] = $"{Size}",
                ["hashes"] = new JsonArray([.. tree.InclusionProof(Index, Size).Select(hash => (JsonNode)Convert.ToBase64String(hash))]),
                ["checkpoint"] = new JsonObject { ["envelope"] = Note(note) },
            },
            ["canonicalizedBody"] = Convert.ToBase64String(body),
        };
        if (Log == LogKind.V1)
        {
            long time = IntegratedTime.ToUnixTimeSeconds();
            entry["integratedTime"] = $"{time}";
            if (Promise)
            {
                entry["inclusionPromise"] = new JsonObject { ["signedEntryTimestamp"] = Convert.ToBase64String(RekorV1.SignEntry(Convert.ToBase64String(body), time, index)) };
            }
        }

        Edit?.Invoke(entry);
        return entry;
    }

    private static JsonObject Dsse(Signed signed) => Entry("dsse", "0.0.1", new JsonObject
    {
        ["envelopeHash"] = new JsonObject { ["algorithm"] = "sha256", ["value"] = new string('0', 64) },
        ["payloadHash"] = new JsonObject { ["algorithm"] = "sha256", ["value"] = Convert.ToHexStringLower(SHA256.HashData(signed.Payload!)) },
        ["signatures"] = new JsonArray(new JsonObject { ["signature"] = Convert.ToBase64String(signed.Signature), ["verifier"] = signed.Pem }),
    });

    private static JsonObject Intoto2(Signed signed) => Entry("intoto", "0.0.2", new JsonObject
    {
        ["content"] = new JsonObject
        {
            ["envelope"] = new JsonObject
            {
                ["payloadType"] = signed.PayloadType,
                ["signatures"] = new JsonArray(new JsonObject
                {
                    ["publicKey"] = signed.Pem,
                    ["sig"] = Convert.ToBase64String(Encoding.ASCII.GetBytes(Convert.ToBase64String(signed.Signature))),
                }),
            },
            ["hash"] = new JsonObject { ["algorithm"] = "sha256", ["value"] = new string('0', 64) },
            ["payloadHash"] = new JsonObject { ["algorithm"] = "sha256", ["value"] = Convert.ToHexStringLower(SHA256.HashData(signed.Payload!)) },
        },
    });

    private static JsonObject HashedRekord1(Signed signed) => Entry("hashedrekord", "0.0.1", new JsonObject
    {
        ["data"] = new JsonObject { ["hash"] = new JsonObject { ["algorithm"] = signed.Hash.Name!.ToLowerInvariant(), ["value"] = Convert.ToHexStringLower(signed.Digest) } },
        ["signature"] = new JsonObject { ["content"] = Convert.ToBase64String(signed.Signature), ["publicKey"] = new JsonObject { ["content"] = signed.Pem } },
    });

    // The digest is of the artifact, or of what DSSE signs, by the hash that goes with the key.
    private static JsonObject HashedRekord2(Signed signed) => Entry("hashedrekord", "0.0.2", new JsonObject
    {
        ["hashedRekordV002"] = new JsonObject
        {
            ["data"] = new JsonObject { ["algorithm"] = $"SHA2_{signed.Hash.Name![3..]}", ["digest"] = Convert.ToBase64String(signed.Digest) },
            ["signature"] = new JsonObject
            {
                ["content"] = Convert.ToBase64String(signed.Signature),
                ["verifier"] = new JsonObject
                {
                    ["keyDetails"] = signed.Details,
                    [signed.Managed ? "publicKey" : "x509Certificate"] = new JsonObject { ["rawBytes"] = Convert.ToBase64String(signed.Verifier) },
                },
            },
        },
    });

    private static JsonObject Entry(string kind, string version, JsonObject spec) => new() { ["apiVersion"] = version, ["kind"] = kind, ["spec"] = spec };
}

/// <summary>An RFC 3161 timestamp over the signature.</summary>
internal sealed record Stamped
{
    private const string Sha256 = "2.16.840.1.101.3.4.2.1";

    public TimestampAuthority Authority { get; init; } = Forge.World.Tsa;

    public DateTimeOffset GenTime { get; init; } = Forge.Now.AddMinutes(1);

    public string HashAlgorithm { get; init; } = Sha256;

    /// <summary>What is stamped instead of the signature.</summary>
    public Func<byte[], byte[]> Over { get; init; } = signature => signature;

    public Func<byte[], byte[]> Info { get; init; } = info => info;

    /// <summary>Who signs; the authority unless given.</summary>
    public (X509Certificate2 Certificate, ECDsa Key)? Signer { get; init; }

    public bool WithCertificate { get; init; } = true;

    public int Status { get; init; }

    public Func<byte[], byte[]> Edit { get; init; } = response => response;

    /// <summary>Instead of all of the above: a token of which every part can be chosen.</summary>
    public ForgedToken? Token { get; init; }

    public byte[] Make(byte[] signature)
    {
        if (Token is { } token)
        {
            return token.Make(signature);
        }

        HashAlgorithmName hash = HashAlgorithm switch { Sha256 => HashAlgorithmName.SHA256, "2.16.840.1.101.3.4.2.2" => HashAlgorithmName.SHA384, "2.16.840.1.101.3.4.2.3" => HashAlgorithmName.SHA512, _ => HashAlgorithmName.SHA1 };
        var query = new TimestampQuery(HashAlgorithm, CryptographicOperations.HashData(hash, Over(signature)), null, null, WithCertificate);
        (X509Certificate2 certificate, ECDsa key) = Signer ?? (Authority.Leaf, Authority.Key);
        byte[] info = Info(Sandbox.TimestampToken.TstInfo(TimestampAuthority.Policy, query, CertificateIssuer.NewSerial(), GenTime, certificate.SubjectName));
        return Edit(Sandbox.TimestampToken.Response(Sandbox.TimestampToken.Sign(info, certificate, key, GenTime, WithCertificate), Status));
    }
}

internal static class Bytes
{
    /// <summary>The bytes with one bit changed; a negative index counts from the end.</summary>
    public static byte[] Flipped(this byte[] bytes, int index)
    {
        byte[] flipped = [.. bytes];
        flipped[index < 0 ? index + bytes.Length : index] ^= 1;
        return flipped;
    }

    /// <summary>The bytes with the first occurrence of a part replaced by another of the same length.</summary>
    public static byte[] Replaced(this byte[] bytes, ReadOnlySpan<byte> part, ReadOnlySpan<byte> by)
    {
        int at = bytes.AsSpan().IndexOf(part);
        Assert.IsGreaterThanOrEqualTo(0, at, "there is no such part");
        Assert.AreEqual(part.Length, by.Length);
        return [.. bytes[..at], .. by, .. bytes[(at + part.Length)..]];
    }
}
