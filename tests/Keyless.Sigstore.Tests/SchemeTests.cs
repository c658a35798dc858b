using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

/// <summary>Every kind of key, content, log entry and bundle version that goes together, and what does not.</summary>
[TestClass]
public sealed class SchemeTests
{
    private static readonly byte[] File = Encoding.UTF8.GetBytes("an artifact\n");

    private static readonly bool[] YesAndNo = [true, false];

    private static readonly Dictionary<string, ForgedKey> Keys = new()
    {
        ["P-256"] = Ecdsa(ECCurve.NamedCurves.nistP256, null),
        ["P-384"] = Ecdsa(ECCurve.NamedCurves.nistP384, null),
        ["P-384 with SHA-256"] = Ecdsa(ECCurve.NamedCurves.nistP384, HashAlgorithmName.SHA256),
        ["P-521"] = Ecdsa(ECCurve.NamedCurves.nistP521, null),
        ["P-521 with SHA-256"] = Ecdsa(ECCurve.NamedCurves.nistP521, HashAlgorithmName.SHA256),
        ["RSA-2048"] = Rsa(2048, RSASignaturePadding.Pkcs1),
        ["RSA-3072"] = Rsa(3072, RSASignaturePadding.Pkcs1),
        ["RSA-3072-PSS"] = Rsa(3072, RSASignaturePadding.Pss),
        ["Ed25519"] = ForgedKey.Ed25519(prehash: false),
        ["Ed25519ph"] = ForgedKey.Ed25519(prehash: true),
    };

    // Rekor v1 names no scheme, so PSS cannot be told there, and an envelope's Ed25519 is pure; Rekor v2 takes no pure Ed25519.
    private static bool GoesTogether(string key, LogKind log, bool message) => (key, log, message) switch
    {
        ("RSA-3072-PSS", LogKind.V1, _) or ("Ed25519ph", LogKind.V1, false) => false,
        ("Ed25519", not LogKind.V1, _) => false,
        _ => true,
    };

    public static IEnumerable<object[]> Combinations =>
        from key in Keys.Keys
        from log in Enum.GetValues<LogKind>()
        from message in YesAndNo
        from managed in YesAndNo
        select new object[] { key, log, message, managed };

    [TestMethod]
    [Clause("G.5")]
    [DynamicData(nameof(Combinations))]
    public void Takes_a_key_only_in_a_scheme_that_is_named_or_needs_no_name(string key, LogKind log, bool message, bool managed)
    {
        foreach (string version in log == LogKind.V1 ? (string[])["0.1", "0.2", "0.3"] : ["0.3"])
        {
            Forge forge = Forge.LoggedBy(log) with { Signer = Keys[key], Content = message ? File : null, Managed = managed, Version = version };
            if (GoesTogether(key, log, message))
            {
                VerifiedSignature verified = Verdict.Accepts(forge);
                Assert.AreEqual(managed, verified.Signer is null);
                Assert.AreEqual(message, verified.PredicateType is null);
            }
            else
            {
                Assert.Contains(Assert.ThrowsExactly<VerificationException>(() => forge.Verify()).Reason, (string[])["sig.invalid", "tlog.binding"]);
            }
        }
    }

    // Pure Ed25519 signs the bytes; which hash the entry beside it is of is the log's choice.
    [TestMethod]
    [Clause("G.8")]
    [DataRow("SHA256")]
    [DataRow("SHA512")]
    public void Takes_an_Ed25519_signature_beside_either_hash(string hash) =>
        Verdict.Accepts(Forge.V1 with { Signer = ForgedKey.Ed25519(prehash: false) with { Hash = new HashAlgorithmName(hash) }, Content = File });

    [TestMethod]
    public void Takes_an_envelope_logged_as_intoto() => Verdict.Accepts(Forge.V1 with { Entries = [new LoggedIn(LogKind.V1) { Intoto = true }] });

    [TestMethod]
    [Clause("G.12")]
    public void Needs_the_artifact_itself_where_its_digest_does_not_tell()
    {
        Forge message = Forge.V1 with { Content = File, ByDigest = true };
        Verdict.Accepts(message);
        Verdict.Refuses("sig.digest-unsupported", message with { Signer = Keys["P-384"] });
        Verdict.Refuses("sig.digest-unsupported", message with { Signer = Keys["Ed25519"] });
        Verdict.Refuses("sig.digest-unsupported", message with { Signer = Keys["Ed25519ph"] });
    }

    [TestMethod]
    [Clause("G.7", "G.10")]
    public void Refuses_a_signature_over_another_artifact()
    {
        foreach (LogKind log in Enum.GetValues<LogKind>())
        {
            Forge message = Forge.LoggedBy(log) with { Content = File };
            var verifier = new Verifier(message.TrustedRoot());
            var no = Assert.ThrowsExactly<VerificationException>(
                () => verifier.Verify(message.Make(), Artifact.FromContent("another artifact\n"u8.ToArray()), Policy.Exactly(Forge.Identity, Forge.Issuer, null)));
            Assert.AreEqual("sig.digest", no.Reason);
            Verdict.Refuses("sig.digest", message with { Bundle = bundle => Digest(bundle)["digest"] = Convert.ToBase64String(new byte[32]) });
            Verdict.Refuses("sig.digest", message with { Bundle = bundle => Digest(bundle)["digest"] = "AAAA" });
            Verdict.Refuses("sig.digest", message with { Bundle = bundle => bundle["messageSignature"]!.AsObject().Remove("messageDigest") });
        }

        static JsonObject Digest(JsonObject bundle) => bundle["messageSignature"]!["messageDigest"]!.AsObject();
    }

    [TestMethod]
    [Clause("K.3", "K.4", "K.5")]
    public void Refuses_a_key_that_did_not_sign()
    {
        foreach (LogKind log in Enum.GetValues<LogKind>())
        {
            foreach (byte[]? content in new[] { File, null })
            {
                Forge managed = Forge.LoggedBy(log) with { Managed = true, Content = content };
                Policy other = (managed with { Signer = Ecdsa(ECCurve.NamedCurves.nistP256, null) }).ManagedPolicy;
                Verdict.Refuses("sig.key", managed, other);
                Verdict.Refuses("policy.key-without-key", managed, Policy.Exactly(Forge.Identity, Forge.Issuer, null));
                Verdict.Refuses("policy.certificate-without-identity", managed with { Managed = false }, other);
            }
        }
    }

    // One proof, and a policy that it was not made for.
    [TestMethod]
    [Clause("K.3", "K.4", "K.5")]
    public void Holds_a_proof_only_against_the_kind_of_signer_that_it_proved()
    {
        Forge managed = Forge.V2 with { Managed = true };
        Policy key = managed.ManagedPolicy, another = (managed with { Signer = Keys["P-256"] }).ManagedPolicy;
        var verifier = new Verifier(Forge.World.Root);
        ProvenSignature byKey = verifier.ProveImage(managed.Make(), Forge.Image, key.Key, Proofs.Log), byCertificate = verifier.ProveImage(Forge.V2.Make(), Forge.Image, null, Proofs.Log);
        Assert.IsNotNull(byKey.Require(key).Key);
        Assert.IsNotNull(byCertificate.Require(Forge.Policy).Signer);
        foreach ((ProvenSignature proof, Policy policy) in ((ProvenSignature, Policy)[])[(byKey, Forge.Policy), (byKey, another), (byCertificate, key)])
        {
            Assert.AreEqual("policy.key-without-key", Assert.ThrowsExactly<VerificationException>(() => proof.Require(policy)).Reason);
        }
    }

    // It does not expire, so it may sign without a timestamp; what is given must hold all the same.
    [TestMethod]
    [Clause("K.9")]
    public void Needs_no_moment_for_a_managed_key()
    {
        Forge managed = Forge.V2 with { Managed = true, Content = File };
        Assert.IsNull(Verdict.Accepts(managed with { Timestamps = [] }).SignedAt);
        Verdict.Refuses("time.imprint", managed with { Timestamps = [new Stamped { Over = signature => signature.Flipped(0) }] });
        Verdict.Refuses("tlog.window", managed with
        {
            Timestamps = [],
            Root = root => root.Instance("tlogs", 1)["publicKey"]!["validFor"]!["end"] = "2030-01-01T00:00:00Z",
        });
    }

    [TestMethod]
    [Clause("P.17")]
    public void Finds_nothing_young_enough_where_no_moment_is_proven()
    {
        Forge managed = Forge.V2 with { Managed = true, Content = File };
        var policy = Policy.ForKey(managed.ManagedPolicy.Key!, null, maxAge: (TimeSpan.FromDays(1), Forge.Now.AddMinutes(2)));
        Verdict.Accepts(managed, policy);
        Assert.Contains("no moment of signing", Verdict.Refuses("policy.max-age", managed with { Timestamps = [] }, policy).Message);
    }

    [TestMethod]
    [Clause("K.6")]
    [DataRow(null)]
    [DataRow("")]
    [DataRow("another key")]
    public void Asks_no_hint_whose_key_it_was(string? hint)
    {
        foreach (LogKind log in Enum.GetValues<LogKind>())
        {
            Verdict.Accepts(Forge.LoggedBy(log) with { Managed = true, Bundle = bundle => bundle.Material()["publicKey"]!["hint"] = hint });
        }
    }

    private static ForgedKey Ecdsa(ECCurve curve, HashAlgorithmName? hash) => ForgedKey.Of(ECDsa.Create(curve), hash);

    private static ForgedKey Rsa(int bits, RSASignaturePadding padding) => ForgedKey.Of(RSA.Create(bits), null, padding);
}
