using System.Text;
using System.Text.Json.Nodes;

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
