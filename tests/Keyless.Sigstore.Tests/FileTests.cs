using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

/// <summary>Files and images as artifacts: which content counts for which, and which of a statement's digests are compared.</summary>
[TestClass]
public sealed class FileTests
{
    private static readonly byte[] File = Encoding.UTF8.GetBytes("a file\n");
    private static readonly string Sha256 = Convert.ToHexStringLower(SHA256.HashData(File)), Sha384 = Convert.ToHexStringLower(SHA384.HashData(File)), Sha512 = Convert.ToHexStringLower(SHA512.HashData(File));
    private static readonly string Wrong = new('0', 128);

    // Each of the digests that can be computed must be the file's; the others say nothing.
    [TestMethod]
    [Clause("A.8", "A.11", "A.12")]
    [DataRow("sha256", "", "", true)]
    [DataRow("", "sha384", "", true)]
    [DataRow("", "", "sha512", true)]
    [DataRow("sha256", "sha384", "sha512", true)]
    [DataRow("sha256", "sha384", "wrong", false)]
    [DataRow("sha256", "wrong", "", false)]
    [DataRow("wrong", "", "sha512", false)]
    [DataRow("", "", "wrong", false)]
    [DataRow("", "", "", false)]
    public void Compares_every_digest_of_a_subject_that_can_be_computed(string first, string second, string third, bool good)
    {
        var digests = new JsonObject { ["gitCommit"] = "abc", ["sha1"] = "x", ["md5"] = 5 };
        foreach ((string name, string given, string own) in ((string, string, string)[])[("sha256", first, Sha256), ("sha384", second, Sha384), ("sha512", third, Sha512)])
        {
            if (given.Length > 0)
            {
                digests[name] = given == "wrong" ? Wrong[..own.Length] : own;
            }
        }

        foreach (Forge forge in (Forge[])[Forge.V1, Forge.V2])
        {
            Forge stated = forge with { Payload = Statement(new JsonObject { ["name"] = "file", ["digest"] = digests.DeepClone() }) };
            Func<VerifiedSignature> verify = () => new Verifier(Forge.World.Root).Verify(stated.Make(), Artifact.FromContent(File), Forge.Policy);
            if (good)
            {
                _ = verify();
            }
            else
            {
                Assert.AreEqual("subject.digest", Assert.ThrowsExactly<VerificationException>(() => verify()).Reason);
            }
        }
    }

    // Of an image, only the manifest's SHA-256 is known.
    [TestMethod]
    [Clause("A.7", "A.9", "A.10", "A.13")]
    public void Does_not_match_an_image_by_another_hash_or_by_name()
    {
        string ours = Forge.Image.Hex;
        foreach ((string? reason, JsonObject subject) in ((string?, JsonObject)[])
        [
            (null, Subject(("sha256", ours))),
            (null, Subject(("sha256", ours.ToUpperInvariant()))),
            (null, Subject(("sha256", ours), ("sha512", Wrong))), // which nobody can compare
            ("subject.digest", Subject(("sha512", Wrong))),
            ("subject.digest", Subject(("sha384", Wrong[..96]))),
            ("subject.digest", Subject(("sha256", Wrong[..64]))),
            ("subject.digest", Subject(("sha256 ", ours))),
            ("subject.digest", Subject(("sha3_256", ours))),
            ("subject.digest", new JsonObject { ["name"] = Forge.Image.ToString(), ["digest"] = new JsonObject { ["sha1"] = ours } }),
            ("subject.statement", Subject(("sha256", ours[1..]))),
            ("subject.statement", Subject(("sha256", ours + "00"))),
            ("subject.statement", Subject(("sha256", ""))),
            ("subject.statement", Subject(("sha256", "sha256:" + ours))),
            ("subject.statement", Subject(("sha256", Convert.ToBase64String(Convert.FromHexString(ours))))),
        ])
        {
            foreach (Forge forge in (Forge[])[Forge.V1, Forge.V2])
            {
                Forge stated = forge with { Payload = Statement(subject) };
                _ = reason is null ? Verdict.Accepts(stated) : (object)Verdict.Refuses(reason, stated);
            }
        }
    }

    [TestMethod]
    [Clause("B.35", "B.36")]
    public void Takes_v0_3_envelopes_alone_for_image_signatures()
    {
        Image(null, Forge.V1);
        Image(null, Forge.V2);
        Image(null, Forge.V2 with { Bundle = bundle => bundle["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.3" });
        Image(null, Forge.V2 with { Managed = true });
        Image("bundle.version", Forge.V1 with { Version = "0.1" });
        Image("bundle.version", Forge.V1 with { Version = "0.2" });
        Image("bundle.version", Forge.V1 with { Version = "0.1", Managed = true });
        Image("bundle.content", Forge.V1 with { Content = File });
        Image("bundle.content", Forge.V2 with { Content = File });
        Image("bundle.content", Forge.V2 with { Content = File, Managed = true });

        static void Image(string? reason, Forge forge)
        {
            Policy policy = forge.Managed ? forge.ManagedPolicy : Forge.Policy;
            ArtifactDigest image = forge.Content is null ? Forge.Image : ArtifactDigest.Sha256(Sha256); // the manifest's bytes, say
            Func<VerifiedSignature> verify = () => new Verifier(Forge.World.Root).VerifyImage(forge.Make(), image, policy);
            if (reason is null)
            {
                _ = verify();
            }
            else
            {
                Assert.AreEqual(reason, Assert.ThrowsExactly<VerificationException>(() => verify()).Reason);
            }
        }
    }

    [TestMethod]
    [Clause("G.7")]
    public void Gives_one_verdict_for_a_file_and_for_its_digest()
    {
        foreach (LogKind log in Enum.GetValues<LogKind>())
        {
            foreach (bool managed in (bool[])[true, false])
            {
                Forge message = Forge.LoggedBy(log) with { Content = File, Managed = managed };
                Verdict.Accepts(message);
                Verdict.Accepts(message with { ByDigest = true });
                foreach (Artifact other in (Artifact[])[Artifact.FromContent("another\n"u8.ToArray()), Artifact.FromContent(ReadOnlyMemory<byte>.Empty), ArtifactDigest.Sha256(Wrong[..64])])
                {
                    var no = Assert.ThrowsExactly<VerificationException>(() =>
                        new Verifier(Forge.World.Root).Verify(message.Make(), other, managed ? message.ManagedPolicy : Policy.Exactly(Forge.Identity, Forge.Issuer, null)));
                    Assert.AreEqual("sig.digest", no.Reason);
                }
            }
        }
    }

    // A signature over the artifact itself says nothing of any kind.
    [TestMethod]
    [Clause("P.1")]
    public void Refuses_a_message_signature_where_a_kind_of_statement_is_asked_for()
    {
        Verdict.Refuses("subject.predicate-type", Forge.V2 with { Content = File }, Forge.Policy);
        Verdict.Refuses("subject.predicate-type", Forge.V1 with { Content = File }, Forge.Policy);
    }

    private static JsonObject Subject(params (string Algorithm, string Hex)[] digests)
    {
        var all = new JsonObject();
        foreach ((string algorithm, string hex) in digests)
        {
            all[algorithm] = hex;
        }

        return new JsonObject { ["digest"] = all };
    }

    private static byte[] Statement(JsonObject subject) => Encoding.UTF8.GetBytes(new JsonObject
    {
        ["_type"] = "https://in-toto.io/Statement/v1",
        ["subject"] = new JsonArray(subject.DeepClone()),
        ["predicateType"] = Forge.PredicateType,
        ["predicate"] = new JsonObject(),
    }.ToJsonString());
}
