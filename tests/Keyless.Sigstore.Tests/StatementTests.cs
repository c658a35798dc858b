using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

[TestClass]
public sealed class StatementTests
{
    private const string Type = "https://in-toto.io/Statement/v1";
    private static readonly string Ours = Forge.Image.Hex;
    private static readonly string Others = new('b', 64);

    [TestMethod]
    [Clause("G.2", "G.3", "G.4")]
    public void Refuses_a_signature_over_something_else()
    {
        using var p256 = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        foreach (Forge good in (Forge[])[Forge.V1, Forge.V2])
        {
            Verdict.Refuses("sig.invalid", good with { Signed = encoding => [.. encoding, 0] });
            Verdict.Refuses("sig.invalid", good with { Signed = _ => good.Payload }); // without the DSSE encoding
            Verdict.Refuses("sig.invalid", good with { Signature = signature => [.. signature, 0] });
            Verdict.Refuses("sig.invalid", good with { Signature = signature => signature[..^1] });
            Verdict.Refuses("sig.invalid", good with { Signature = _ => [] });
            Verdict.Refuses("sig.invalid", good with { Signature = _ => [0x30, 6, 2, 1, 0, 2, 1, 0] });
            Verdict.Refuses("sig.invalid", good with { Signature = signature => signature.Flipped(-1) });
            Verdict.Refuses("sig.invalid", good with { Signature = Fixed });
            Verdict.Refuses("sig.invalid", good with { Signer = Saying(ForgedKey.Of(p256, HashAlgorithmName.SHA384), 256, HashAlgorithmName.SHA256) });
        }

        static byte[] Fixed(byte[] _) => new byte[64];
    }

    [TestMethod]
    [Clause("G.1", "L.16", "L.25")]
    public void Refuses_what_was_changed_after_signing()
    {
        Verdict.Refuses("tlog.binding", Forge.V1 with { Bundle = bundle => bundle.Envelope()["payload"] = Json(Subject("sha256", Others)) });
        Verdict.Refuses("tlog.binding", Forge.V2 with { Bundle = bundle => bundle.Envelope()["payload"] = Json(Subject("sha256", Others)) });
        Verdict.Refuses("tlog.binding", Forge.V2 with { Bundle = bundle => bundle.Envelope()["payloadType"] = "text/plain" });
        Verdict.Refuses("sig.payload-type", Forge.V1 with { Bundle = bundle => bundle.Envelope()["payloadType"] = "text/plain" });

        static string Json(JsonObject subject) => Convert.ToBase64String(Statement(subject));
    }

    [TestMethod]
    [Clause("G.1")]
    [DataRow("")]
    [DataRow("application/vnd.in-toto+json ")]
    [DataRow("application/vnd.in-toto+JSON")]
    [DataRow("application/vnd.dev.cosign.simplesigning.v1+json")]
    [DataRow("h\u00e9 \u2603")]
    public void Refuses_a_payload_of_another_type(string type)
    {
        Verdict.Refuses("sig.payload-type", Forge.V1 with { PayloadType = type });
        Verdict.Refuses("sig.payload-type", Forge.V2 with { PayloadType = type });
    }

    [TestMethod]
    [Clause("G.4")]
    public void Takes_the_hash_that_goes_with_the_curve()
    {
        using var p384 = ECDsa.Create(ECCurve.NamedCurves.nistP384);
        using var p521 = ECDsa.Create(ECCurve.NamedCurves.nistP521);
        Verdict.Accepts(Forge.V1 with { Key = p384, Hash = HashAlgorithmName.SHA384 });
        Verdict.Accepts(Forge.V1 with { Key = p521, Hash = HashAlgorithmName.SHA512 });
        Verdict.Refuses("sig.invalid", Forge.V1 with { Key = p384, Hash = HashAlgorithmName.SHA512 });
        Verdict.Refuses("sig.invalid", Forge.V1 with { Key = p521, Hash = HashAlgorithmName.SHA384 });
        Verdict.Refuses("sig.invalid", Forge.V2 with { Signer = Saying(ForgedKey.Of(p384, HashAlgorithmName.SHA256), 384, HashAlgorithmName.SHA384) });
        Verdict.Refuses("sig.invalid", Forge.V2 with { Signer = Saying(ForgedKey.Of(p384, HashAlgorithmName.SHA384), 384, HashAlgorithmName.SHA256) });
    }

    // The log is told of another hash than the one that was signed.
    private static ForgedKey Saying(ForgedKey key, int bits, HashAlgorithmName hash) => key with { Details = $"PKIX_ECDSA_P{bits}_SHA_{hash.Name![3..]}", Hash = hash };

    [TestMethod]
    [Clause("A.11")]
    public void Accepts_the_artifact_as_any_subject_in_any_order()
    {
        JsonObject[] subjects = [Subject("sha256", Others), Subject("gitCommit", "abc"), Subject("sha256", Ours), Subject("sha512", new string('c', 128))];
        Accepts(Statement(subjects));
        Accepts(Statement([.. subjects.Reverse()]));
        Accepts(Statement(Subject("sha256", Ours.ToUpperInvariant())));
        Accepts(Statement([.. Enumerable.Range(0, 1023).Select(_ => Subject("sha256", Others)), Subject("sha256", Ours)]));
        Accepts(Statement(new JsonObject { ["digest"] = Digests(32) }));
        Accepts(Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(Statement(Subject("sha256", Ours))).Replace("Statement/v1", "Statement/v0.1", StringComparison.Ordinal)), "v0.1");
        Accepts(Statement(new JsonObject { ["digest"] = new JsonObject { ["sha256"] = Ours, ["sha512"] = new string('c', 128), ["x"] = 1 }, ["name"] = "n", ["uri"] = "u", ["extra"] = 1 }));
    }

    [TestMethod]
    [Clause("A.8", "A.9", "A.10", "A.13")]
    public void Refuses_a_statement_about_another_artifact()
    {
        Refuses("subject.digest", Statement(Subject("sha256", Others)));
        Refuses("subject.digest", Statement(Subject("sha512", new string('c', 128))));
        Refuses("subject.digest", Statement(Subject("SHA256", Ours)));
        Refuses("subject.digest", Statement(Subject("sha-256", Ours)));
        Refuses("subject.digest", Statement(new JsonObject { ["name"] = Forge.Image.ToString() }));
        Refuses("subject.digest", Statement(new JsonObject { ["name"] = Ours, ["digest"] = new JsonObject() }));
        Refuses("subject.digest", Statement(new JsonObject { ["digest"] = new JsonObject { ["sha256"] = 1 } }));
    }

    [TestMethod]
    [Clause("A.1", "A.2", "A.3", "A.4", "A.5", "A.6", "A.7")]
    public void Refuses_what_is_not_a_statement()
    {
        Refuses("subject.statement", Statement());
        Refuses("subject.statement", "{}"u8.ToArray());
        Refuses("subject.statement", []);
        Refuses("subject.statement", "null"u8.ToArray());
        Refuses("subject.statement", "[]"u8.ToArray());
        Refuses("subject.statement", Edited(statement => statement.Remove("subject")));
        Refuses("subject.statement", Edited(statement => statement["subject"] = new JsonObject()));
        Refuses("subject.statement", Edited(statement => statement["subject"] = new JsonArray("x")));
        Refuses("subject.statement", Edited(statement => statement["subject"] = new JsonArray((JsonNode?)null, Subject("sha256", Ours))));
        Refuses("subject.statement", Edited(statement => statement.Remove("predicateType")));
        Refuses("subject.statement", Edited(statement => statement.Remove("_type")));
        Refuses("subject.statement", Edited(statement => statement["_type"] = "https://in-toto.io/Statement/v2"));
        Refuses("subject.statement", Statement(Subject("sha256", Ours + "0"), Subject("sha256", Ours)));
        Refuses("subject.statement", Statement(Subject("sha256", new string('g', 64))));
        Refuses("subject.statement", Statement([.. Enumerable.Range(0, 1025).Select(_ => Subject("sha256", Ours))]));
        Assert.Contains("64 hex digits", Assert.ThrowsExactly<Formats.MalformedException>(() => Sigstore.Statement.Parse(Statement(Subject("sha256", new string('g', 64))))).Message);
        Refuses("subject.statement", Statement(new JsonObject { ["digest"] = Digests(33) }));
        Refuses("subject.statement", [.. "{\"_type\":\"x\","u8, .. Statement(Subject("sha256", Ours))[1..]]);
        Refuses("subject.statement", [.. Statement(Subject("sha256", Ours)), (byte)'x']);
    }

    private static JsonObject Digests(int count) => new(Enumerable.Range(1, count - 1).Select(number => KeyValuePair.Create($"x{number}", (JsonNode?)"")).Append(new("sha256", Ours)));

    [TestMethod]
    [Clause("P.1")]
    public void Refuses_another_predicate_type()
    {
        Verdict.Refuses("subject.predicate-type", Forge.V2, Policy.Exactly(Forge.Identity, Forge.Issuer, "https://slsa.dev/provenance/v1"));
        Verdict.Refuses("subject.predicate-type", Forge.V2, Policy.Exactly(Forge.Identity, Forge.Issuer, Forge.PredicateType + "/"));
    }

    [TestMethod]
    [Clause("P.2", "P.3")]
    public void Asks_for_annotations()
    {
        Forge good = Forge.V2 with { Payload = Sigstore.Statement.Write(Forge.Image, Forge.PredicateType, new Dictionary<string, string> { ["a"] = "1", ["b"] = "2" }) };
        Verdict.Accepts(good, Wanting("a", "1"));
        Assert.AreEqual("2", Verdict.Accepts(good).Annotations["b"]);
        Verdict.Refuses("policy.annotation", good, Wanting("a", "2"));
        Verdict.Refuses("policy.annotation", good, Wanting("A", "1"));
        Verdict.Refuses("policy.annotation", good, Wanting("c", ""));
        Verdict.Refuses("policy.annotation", Forge.V2 with { Payload = Statement(Annotated(Ours, 1)) }, Wanting("a", "1")); // a number is no string
        Verdict.Refuses("policy.annotation", Forge.V2 with { Payload = Statement(Annotated(Others, "1"), Subject("sha256", Ours)) }, Wanting("a", "1")); // another subject's
    }

    // Two subjects with one digest: only what both say is said of the artifact, in whatever order they stand.
    [TestMethod]
    [Clause("P.3")]
    public void Takes_annotations_only_as_far_as_all_matching_subjects_agree()
    {
        JsonObject[] subjects = [Annotated(Ours, "1"), Annotated(Ours, "2")];
        foreach (byte[] payload in (byte[][])[Statement(subjects), Statement([.. subjects.Reverse()])])
        {
            Verdict.Refuses("policy.annotation", Forge.V2 with { Payload = payload }, Wanting("a", "1"));
            Verdict.Refuses("policy.annotation", Forge.V2 with { Payload = payload }, Wanting("a", "2"));
            Verdict.Accepts(Forge.V2 with { Payload = payload });
        }

        Verdict.Accepts(Forge.V2 with { Payload = Statement(Annotated(Ours, "1"), Annotated(Ours, "1")) }, Wanting("a", "1"));
    }

    private static Policy Wanting(string name, string value) =>
        new(TextMatch.Exactly(Forge.Identity), TextMatch.Exactly(Forge.Issuer), null, Forge.PredicateType, new Dictionary<string, string> { [name] = value });

    private static void Accepts(byte[] payload, string? contains = null)
    {
        Assert.Contains(contains ?? "subject", Encoding.UTF8.GetString(payload));
        Verdict.Accepts(Forge.V1 with { Payload = payload });
        Verdict.Accepts(Forge.V2 with { Payload = payload });
    }

    private static void Refuses(string reason, byte[] payload) => Verdict.Refuses(reason, Forge.V2 with { Payload = payload });

    private static JsonObject Subject(string algorithm, string hex) => new() { ["digest"] = new JsonObject { [algorithm] = hex } };

    private static JsonObject Annotated(string hex, JsonNode value)
    {
        JsonObject subject = Subject("sha256", hex);
        subject["annotations"] = new JsonObject { ["a"] = value };
        return subject;
    }

    private static byte[] Statement(params JsonObject[] subjects) => Encoding.UTF8.GetBytes(new JsonObject
    {
        ["_type"] = Type,
        ["subject"] = new JsonArray([.. subjects.Select(subject => subject.DeepClone())]),
        ["predicateType"] = Forge.PredicateType,
        ["predicate"] = new JsonObject { ["any"] = new JsonArray(1, "x", null) },
    }.ToJsonString());

    private static byte[] Edited(Action<JsonObject> edit)
    {
        JsonObject statement = JsonNode.Parse(Statement(Subject("sha256", Ours)))!.AsObject();
        edit(statement);
        return Encoding.UTF8.GetBytes(statement.ToJsonString());
    }
}
