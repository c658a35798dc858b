using System.Text;
using System.Text.Json.Nodes;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

[TestClass]
public sealed class RealSampleTests
{
    private static readonly Verifier Verifier = new(RealSamples.Root);

    [TestMethod]
    [DataRow("Rekor v1")]
    [DataRow("Rekor v2")]
    public void Accepts_an_image_signature_by_cosign_3(string log)
    {
        byte[] bundle = RealSamples.LoggedBy(log);

        VerifiedSignature verified = Verifier.Verify(bundle, RealSamples.Image, RealSamples.Policy);

        Assert.AreEqual(RealSamples.Identity, verified.Signer!.Subject);
        Assert.AreEqual(RealSamples.Issuer, verified.Signer!.Issuer);
        Assert.AreEqual(1, verified.LogIndex);
        Assert.IsTrue(verified.Checks.Any(check => check.Contains(log, StringComparison.Ordinal)), string.Join('\n', verified.Checks));
    }

    [TestMethod]
    [Clause("P.1")]
    public void Accepts_an_attestation_over_a_file_by_its_own_predicate_type_only()
    {
        string predicateType = JsonNode.Parse(Convert.FromBase64String(
            JsonNode.Parse(RealSamples.BlobAttestation)!["dsseEnvelope"]!["payload"]!.GetValue<string>()))!["predicateType"]!.GetValue<string>();

        VerifiedSignature verified = Verifier.Verify(
            RealSamples.BlobAttestation, RealSamples.Blob, Policy.Exactly(RealSamples.Identity, RealSamples.Issuer, predicateType));
        var no = Assert.ThrowsExactly<VerificationException>(() => Verifier.Verify(RealSamples.BlobAttestation, RealSamples.Blob, RealSamples.Policy));

        Assert.AreEqual(predicateType, verified.PredicateType);
        Assert.AreEqual("subject.predicate-type", no.Reason);
    }

    [TestMethod]
    public void Accepts_an_image_signature_by_cosign_2()
    {
        (byte[] payload, Dictionary<string, string> annotations) = RealSamples.Cosign2;

        VerifiedSignature verified = Verify(payload, annotations);

        Assert.AreEqual(RealSamples.Identity, verified.Signer!.Subject);
        Assert.IsTrue(verified.Checks.Any(check => check.Contains("promised to include", StringComparison.Ordinal)), string.Join('\n', verified.Checks));
    }

    [TestMethod]
    public void Refuses_every_flipped_byte_of_an_image_signature_by_cosign_2()
    {
        (byte[] payload, Dictionary<string, string> annotations) = RealSamples.Cosign2;
        List<string> accepted = [];
        int flips = 0;
        void Flip(string place, byte[] original, Func<byte[], VerifiedSignature> verify)
        {
            for (int i = 0; i < original.Length; i++)
            {
                byte[] flipped = [.. original];
                flipped[i] ^= (byte)(1 << (i % 8));
                flips++;
                try
                {
                    verify(flipped);
                    accepted.Add($"byte {i} of {place}");
                }
                catch (VerificationException)
                {
                }
            }
        }

        Flip("the payload", payload, flipped => Verify(flipped, annotations));
        foreach (string name in annotations.Keys.Where(name => !name.EndsWith("/chain", StringComparison.Ordinal)))
        {
            Flip(name, Encoding.Latin1.GetBytes(annotations[name]), flipped => Verify(payload, new(annotations) { [name] = Encoding.Latin1.GetString(flipped) }));
        }

        Assert.IsGreaterThan(5000, flips);
        Assert.AreEqual("", string.Join('\n', accepted));
    }

    [TestMethod]
    [DataRow("c3-rekor1", "Rekor v1")]
    [DataRow("c3-rekor2", "Rekor v2")]
    public void Accepts_a_signature_over_a_file(string sample, string log)
    {
        byte[] bundle = RealSamples.Read($"blob/{sample}.sigstore.json");
        Policy policy = Policy.Exactly(RealSamples.Identity, RealSamples.Issuer, null);

        VerifiedSignature verified = Verifier.Verify(bundle, Artifact.FromContent(RealSamples.File), policy);
        var no = Assert.ThrowsExactly<VerificationException>(() => Verifier.Verify(bundle, Artifact.FromContent("hello, world\n"u8.ToArray()), policy));

        Assert.AreEqual(RealSamples.Identity, verified.Signer!.Subject);
        Assert.IsNull(verified.PredicateType);
        Assert.IsTrue(verified.Checks.Any(check => check.Contains(log, StringComparison.Ordinal)), string.Join('\n', verified.Checks));
        Assert.AreEqual("sig.digest", no.Reason);
    }

    [TestMethod]
    public void Says_of_a_bundle_in_cosign_2s_own_form_what_it_is()
    {
        byte[] bundle = RealSamples.Read("blob/c2-legacy.bundle.json");

        var no = Assert.ThrowsExactly<VerificationException>(
            () => Verifier.Verify(bundle, Artifact.FromContent(RealSamples.File), Policy.Exactly(RealSamples.Identity, RealSamples.Issuer, null)));

        Assert.AreEqual("bundle.version", no.Reason);
        Assert.Contains("cosign 2's own form", no.Message);
    }

    [TestMethod]
    [DataRow("signing_config.rekor1.json")]
    [DataRow("signing_config.v0.2.json")]
    public void Reads_the_signing_config_that_cosign_wrote(string file)
    {
        SigningConfig config = SigningConfig.Parse(RealSamples.Read(file));

        config.MustNameServicesOf(RealSamples.Root, new DateTimeOffset(2026, 11, 23, 0, 0, 0, TimeSpan.Zero), allowHttp: false);

        Assert.IsEmpty(config.Warnings);
    }

    // Each value of a bundle that is base64 is a security field; so is the checkpoint's text. All bytes, one bit each.
    [TestMethod]
    [DataRow("Rekor v1")]
    [DataRow("Rekor v2")]
    public void Refuses_every_flipped_byte(string log)
    {
        byte[] bundle = RealSamples.LoggedBy(log);
        int flips = 0;
        List<string> accepted = [];
        foreach (string path in SecurityFields(JsonNode.Parse(bundle)!))
        {
            JsonNode original = Find(JsonNode.Parse(bundle)!, path);
            bool isText = path.EndsWith("envelope", StringComparison.Ordinal) || path.EndsWith("payloadType", StringComparison.Ordinal);
            byte[] value = isText ? Encoding.UTF8.GetBytes(original.GetValue<string>()) : Convert.FromBase64String(original.GetValue<string>());
            for (int i = 0; i < value.Length; i++)
            {
                byte[] flipped = [.. value];
                flipped[i] ^= (byte)(1 << (i % 8));
                JsonNode variant = JsonNode.Parse(bundle)!;
                Find(variant, path).ReplaceWith(isText ? Encoding.Latin1.GetString(flipped) : Convert.ToBase64String(flipped));
                flips++;
                try
                {
                    Verifier.Verify(Encoding.UTF8.GetBytes(variant.ToJsonString()), RealSamples.Image, RealSamples.Policy);
                    accepted.Add($"byte {i} of {path}");
                }
                catch (VerificationException)
                {
                }
            }
        }

        Assert.IsGreaterThan(4000, flips);
        // PKIStatus granted (0) and grantedWithMods (1) mean the same here, and nobody signs it: RFC 3161 §2.4.2.
        Assert.AreEqual(
            "byte 8 of $.verificationMaterial.timestampVerificationData.rfc3161Timestamps[0].signedTimestamp", string.Join('\n', accepted));
    }

    private static VerifiedSignature Verify(byte[] payload, Dictionary<string, string> annotations) =>
        Verifier.ProveImage(SimpleSignature.Parse(payload, annotations), RealSamples.Image, null, Proofs.Log).Require(RealSamples.Policy);

    private static IEnumerable<string> SecurityFields(JsonNode node) => node switch
    {
        JsonObject fields => fields.SelectMany(field => SecurityFields(field.Value!)),
        JsonArray items => items.SelectMany(item => SecurityFields(item!)),
        // Media type, kind and numbers are covered one by one elsewhere.
        _ when node.GetPath().Split('.', '[', ']')[^1] is "rawBytes" or "keyId" or "signedEntryTimestamp" or "rootHash" or "envelope" or "canonicalizedBody"
            or "signedTimestamp" or "payload" or "payloadType" or "sig" || node.GetPath().Contains("hashes[", StringComparison.Ordinal) => [node.GetPath()],
        _ => [],
    };

    private static JsonNode Find(JsonNode node, string path)
    {
        foreach (string step in path.Split('.').Skip(1))
        {
            string[] parts = step.Split('[', ']');
            node = node[parts[0]]!;
            if (parts.Length > 1)
            {
                node = node[int.Parse(parts[1], System.Globalization.CultureInfo.InvariantCulture)]!;
            }
        }

        return node;
    }
}
