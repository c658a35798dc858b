using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

[TestClass]
public sealed class BundleTests
{
    [TestMethod]
    [DataRow(LogKind.V1)]
    [DataRow(LogKind.V2Ed25519)]
    [DataRow(LogKind.V2Ecdsa)]
    public void Accepts_a_good_bundle(LogKind log)
    {
        VerifiedSignature verified = Verdict.Accepts(Forge.LoggedBy(log));

        Assert.AreEqual(Forge.Identity, verified.Signer!.Subject);
        Assert.AreEqual(Forge.Issuer, verified.Signer!.Issuer);
        Assert.AreEqual(Forge.Now.AddMinutes(1), verified.SignedAt);
        Assert.AreEqual(log == LogKind.V1 ? 4004 : 4, verified.LogIndex);
        Assert.HasCount(7, verified.Checks);
        Assert.IsEmpty(verified.Warnings);
    }

    [TestMethod]
    [DataRow("application/vnd.dev.sigstore.bundle.v0.3+json")]
    [DataRow("application/vnd.dev.sigstore.bundle+json;version=0.3")]
    public void Accepts_both_spellings_of_the_version(string mediaType) => Verdict.Accepts(Forge.V2 with { Bundle = bundle => bundle["mediaType"] = mediaType });

    [TestMethod]
    [Clause("B.16")]
    [DataRow("")]
    [DataRow("application/json")]
    [DataRow("application/vnd.dev.sigstore.bundle+json;version=0.4")]
    [DataRow("application/vnd.dev.sigstore.bundle+json;version=0.0")]
    [DataRow("application/vnd.dev.sigstore.bundle+json;version=0.3;x=1")]
    [DataRow("application/vnd.dev.sigstore.bundle.v0.3.1+json")]
    [DataRow("application/vnd.dev.sigstore.bundle.v1.0+json")]
    [DataRow("Application/vnd.dev.sigstore.bundle.v0.3+json")]
    [DataRow("application/vnd.dev.sigstore.bundle.v0.3+json ")]
    public void Refuses_another_media_type(string mediaType) => Verdict.Refuses("bundle.version", Forge.V2 with { Bundle = bundle => bundle["mediaType"] = mediaType });

    [TestMethod]
    [Clause("G.6")]
    public void Accepts_what_ProtoJSON_lets_writers_choose()
    {
        Verdict.Accepts(Forge.V1 with { Bundle = Reversed });
        Verdict.Accepts(Forge.V1 with { Text = text => JsonNode.Parse(text)!.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\r\n" });
        Verdict.Accepts(Forge.V1 with { Text = text => text.Replace("\"mediaType\"", "\"\\u006dediaType\"", StringComparison.Ordinal) });
        Verdict.Accepts(Forge.V1 with { Bundle = bundle => bundle["messageSignature"] = null });
        Verdict.Accepts(Forge.V1 with { Bundle = bundle => bundle.Material()["publicKey"] = null });
        Verdict.Accepts(Forge.V1 with { Bundle = bundle => bundle.Material().Remove("timestampVerificationData") });
        Verdict.Accepts(Forge.V1 with { Bundle = bundle => bundle.Envelope()["signatures"]![0]!.AsObject().Remove("keyid") });
        Verdict.Accepts(Forge.V1 with { Bundle = bundle => bundle.Envelope()["signatures"]![0]!["keyid"] = "any hint" });
        Verdict.Accepts(Forge.V1 with { Bundle = bundle => Numbers(bundle.Entry()) });
        Verdict.Accepts(Forge.V1 with { Bundle = bundle => Strings(bundle, text => text.Replace('+', '-').Replace('/', '_')) });
        Verdict.Accepts(Forge.V1 with { Bundle = bundle => Strings(bundle, text => text.TrimEnd('=')) });
    }

    [TestMethod]
    public void Accepts_an_index_of_zero_that_is_left_out() => Verdict.Accepts(Forge.V2 with
    {
        Entries = [new LoggedIn(LogKind.V2Ed25519) { Index = 0, Edit = entry => { entry.Remove("logIndex"); entry.Proof().Remove("logIndex"); } }],
    });

    [TestMethod]
    public void Accepts_a_tree_of_one_leaf() => Verdict.Accepts(Forge.V2 with
    {
        Entries = [new LoggedIn(LogKind.V2Ed25519) { Index = 0, Size = 1, Edit = entry => entry.Proof().Remove("hashes") }],
    });

    public static IEnumerable<object[]> Defects =>
    [
        .. Defect("bundle.json",
            ("a byte order mark", text => "\uFEFF" + text),
            ("something after the value", text => text + "x"),
            ("a second value", text => text + "{}"),
            ("a comma too many", text => text[..^1] + ",}"),
            ("a comment", text => "/* */" + text),
            ("nothing", _ => ""),
            ("half of it", text => text[..(text.Length / 2)]),
            ("single quotes", text => text.Replace('"', '\'')),
            ("half a surrogate pair in a value", text => text.Replace("\"keyid\":\"\"", "\"keyid\":\"\\ud800\"", StringComparison.Ordinal)),
            ("half a surrogate pair in a name", text => "{\"\\udc00\":1," + text[1..]),
            ("32 levels too many", text => "{\"x\":" + new string('[', 40) + new string(']', 40) + "," + text[1..]),
            ("200 000 levels", text => "{\"x\":" + new string('[', 200_000) + new string(']', 200_000) + "," + text[1..])),
        .. Defect("bundle.json-duplicate",
            ("a member twice", text => "{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\"," + text[1..]),
            ("a member twice, once escaped", text => "{\"\\u006dediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\"," + text[1..]),
            ("a member twice, once null", text => "{\"mediaType\":null," + text[1..]),
            ("an inner member twice", text => text.Replace("\"keyid\":", "\"keyid\":\"\",\"keyid\":", StringComparison.Ordinal)),
            ("a member twice in what nobody reads", text => "{\"x\":{\"a\":1,\"a\":1}," + text[1..])),
        .. Defect("bundle.schema",
            ("an array", text => $"[{text}]"),
            ("a string", _ => "\"bundle\""),
            ("null", _ => "null"),
            ("snake case", text => text.Replace("verificationMaterial", "verification_material", StringComparison.Ordinal)),
            ("another case", text => text.Replace("\"mediaType\"", "\"MediaType\"", StringComparison.Ordinal))),
        .. Defect("bundle.schema", ("a member in snake case", text => text.Replace("\"treeSize\"", "\"tree_size\"", StringComparison.Ordinal)), ("a member in capitals", text => text.Replace("\"keyid\"", "\"KEYID\"", StringComparison.Ordinal))),
        .. Defect("bundle.version", ["no media type"], (bundle, _) => bundle.Remove("mediaType")),
        .. Defect("bundle.unknown-field",
            ("at the top", text => "{\"x\":1," + text[1..]),
            ("unknown and null", text => "{\"x\":null," + text[1..])),
        .. Defect("bundle.unknown-field", ["verificationMaterial", "verificationMaterial.certificate", "verificationMaterial.timestampVerificationData", "verificationMaterial.tlogEntries[0]",
            "verificationMaterial.tlogEntries[0].logId", "verificationMaterial.tlogEntries[0].kindVersion", "verificationMaterial.tlogEntries[0].inclusionPromise",
            "verificationMaterial.tlogEntries[0].inclusionProof", "verificationMaterial.tlogEntries[0].inclusionProof.checkpoint", "dsseEnvelope", "dsseEnvelope.signatures[0]"],
            (bundle, path) => At(bundle, path)["extra"] = 1),
        .. Defect("bundle.schema", ["verificationMaterial", "verificationMaterial.certificate.rawBytes", "verificationMaterial.tlogEntries[0].logId",
            "verificationMaterial.tlogEntries[0].logId.keyId", "verificationMaterial.tlogEntries[0].kindVersion", "verificationMaterial.tlogEntries[0].kindVersion.kind",
            "verificationMaterial.tlogEntries[0].kindVersion.version", "verificationMaterial.tlogEntries[0].canonicalizedBody",
            "dsseEnvelope.payload", "dsseEnvelope.payloadType", "dsseEnvelope.signatures[0].sig"],
            (bundle, path) => Remove(bundle, path)),
        .. Defect("bundle.schema", ["verificationMaterial", "verificationMaterial.certificate", "verificationMaterial.tlogEntries", "verificationMaterial.tlogEntries[0]",
            "verificationMaterial.tlogEntries[0].inclusionProof", "verificationMaterial.tlogEntries[0].inclusionProof.hashes", "verificationMaterial.tlogEntries[0].canonicalizedBody",
            "verificationMaterial.timestampVerificationData", "verificationMaterial.timestampVerificationData.rfc3161Timestamps", "dsseEnvelope", "dsseEnvelope.payload", "dsseEnvelope.signatures"],
            (bundle, path) => Replace(bundle, path, true)),
        .. Defect("bundle.number", ["-1", "01", " 1", "1 ", "1.0", "1e0", "+1", "0x1", "", "9223372036854775808", "1,0", "\u0661"],
            (bundle, number) => bundle.Entry()["logIndex"] = number),
        .. Defect("bundle.number", ["-1", "1.0", "1e0", "9223372036854775808", "-0"], (bundle, number) => bundle.Entry().Proof()["treeSize"] = JsonNode.Parse(number)),
        .. Defect("bundle.base64", ["a", "a===", "YQ=", "YQ===", "YR==", " YQ==", "YQ==\n", "Y Q==", "YQ==YQ==", "YQ==!", "sig!", "-/+_", "YWJj=", "\u00e4YWJ", "\0AAA"],
            (bundle, base64) => bundle.Envelope()["signatures"]![0]!["sig"] = base64),
        .. Defect("bundle.oneof", ["no content", "two contents", "no material", "key and certificate", "certificate and chain"], (bundle, what) => _ = what switch
        {
            "no content" => bundle.Remove("dsseEnvelope"),
            "two contents" => bundle.TryAdd("messageSignature", new JsonObject()),
            "no material" => bundle.Material().Remove("certificate"),
            "key and certificate" => bundle.Material().TryAdd("publicKey", new JsonObject { ["hint"] = "" }),
            _ => bundle.Material().TryAdd("x509CertificateChain", Chain(bundle, 1)),
        }),
        .. Defect("bundle.material", ["a chain in v0.3"], (bundle, _) =>
        {
            bundle.Material()["x509CertificateChain"] = Chain(bundle, 1);
            bundle.Material().Remove("certificate");
        }),
        .. Defect("bundle.proof-missing", ["inclusionProof", "inclusionProof.checkpoint", "inclusionProof.checkpoint.envelope"], (bundle, path) => Remove(bundle.Entry(), path)),
        .. Defect("bundle.promise-missing", ["inclusionPromise.signedEntryTimestamp"], (bundle, path) => Remove(bundle.Entry(), path)),
        .. Defect("bundle.limit", ["entries", "timestamps", "two signatures", "no signature", "33 signatures", "hashes", "certificate", "empty certificate", "timestamp", "empty timestamp"], (bundle, what) =>
        {
            JsonArray entries = bundle.Material()["tlogEntries"]!.AsArray(), signatures = bundle.Envelope()["signatures"]!.AsArray();
            switch (what)
            {
                case "entries": Fill(entries, 33, entries[0]!); break;
                case "timestamps": Fill(bundle.Timestamps(), 33, new JsonObject { ["signedTimestamp"] = "AA==" }); break;
                case "two signatures": Fill(signatures, 2, signatures[0]!); break;
                case "no signature": signatures.Clear(); break;
                case "33 signatures": Fill(signatures, 33, signatures[0]!); break;
                case "hashes": Fill(bundle.Entry().Proof()["hashes"]!.AsArray(), 65, Convert.ToBase64String(new byte[32])); break;
                case "certificate": bundle.Material()["certificate"]!["rawBytes"] = Convert.ToBase64String(new byte[65 * 1024]); break;
                case "empty certificate": bundle.Material()["certificate"]!["rawBytes"] = ""; break;
                default: Fill(bundle.Timestamps(), 1, new JsonObject { ["signedTimestamp"] = what == "timestamp" ? Convert.ToBase64String(new byte[65 * 1024]) : "" }); break;
            }
        }),
        .. Defect("bundle.schema", ["a short log id"], (bundle, _) => bundle.Entry()["logId"]!["keyId"] = Convert.ToBase64String(new byte[31])),
        .. Defect("policy.key-without-key", ["a managed key where somebody is named"], (bundle, _) =>
        {
            bundle.Material().Remove("certificate");
            bundle.Material()["publicKey"] = new JsonObject { ["hint"] = "" };
        }),
    ];

    [TestMethod]
    [Clause("B.3", "B.4", "B.5", "B.6", "B.7", "B.8", "B.9", "B.10", "B.11", "B.12", "B.13", "B.14", "B.17", "B.18", "B.19", "B.23", "B.24", "B.26", "B.27", "B.29", "B.30", "B.31", "B.32", "B.33", "K.4")]
    [DynamicData(nameof(Defects), DynamicDataDisplayName = nameof(Name))]
    public void Refuses(string reason, string what, object edit)
    {
        Assert.AreNotEqual("", what + reason);
        Verdict.Refuses(reason, edit is Func<string, string> text ? Forge.V1 with { Text = text } : Forge.V1 with { Bundle = (Action<JsonObject>)edit });
    }

    [TestMethod]
    [Clause("B.1")]
    public void Refuses_more_than_16_MiB_before_reading_it()
    {
        byte[] bundle = [.. Forge.V2.Make(), .. Enumerable.Repeat((byte)' ', 16 * 1024 * 1024)];

        var no = Assert.ThrowsExactly<VerificationException>(() => new Verifier(Forge.World.Root).Verify(bundle, Forge.Image, Forge.Policy));

        Assert.AreEqual("bundle.too-large", no.Reason);
    }

    [TestMethod]
    [Clause("B.2")]
    public void Refuses_bytes_that_are_not_UTF8()
    {
        byte[] bundle = Forge.V2.Make().Replaced("\"keyid\":\"\""u8, [.. "\"keyid\":"u8, 0x80, 0x80]);

        var no = Assert.ThrowsExactly<VerificationException>(() => new Verifier(Forge.World.Root).Verify(bundle, Forge.Image, Forge.Policy));

        Assert.AreEqual("bundle.json", no.Reason);
    }

    public static string Name(System.Reflection.MethodInfo method, object[] data) => $"{method.Name} {data[1]} by {data[0]}";

    private static IEnumerable<object[]> Defect(string reason, params (string What, Func<string, string> Edit)[] edits) => edits.Select(edit => new object[] { reason, edit.What, edit.Edit });

    private static IEnumerable<object[]> Defect(string reason, string[] what, Action<JsonObject, string> edit) =>
        what.Select(one => new object[] { reason, $"{reason.Split('.')[1]}: {one}", (Action<JsonObject>)(bundle => edit(bundle, one)) });

    private static JsonObject Chain(JsonObject bundle, int count) => new()
    {
        ["certificates"] = new JsonArray([.. Enumerable.Repeat(bundle.Material()["certificate"]!, count).Select(one => one.DeepClone())]),
    };

    private static void Fill(JsonArray array, int count, JsonNode item)
    {
        JsonNode template = item.DeepClone();
        array.Clear();
        for (int i = 0; i < count; i++)
        {
            array.Add(template.DeepClone());
        }
    }

    private static JsonNode At(JsonNode node, string path)
    {
        foreach (string step in path.Split('.', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] parts = step.Split('[', ']');
            node = parts.Length == 1 ? node[parts[0]]! : node[parts[0]]![int.Parse(parts[1], CultureInfo.InvariantCulture)]!;
        }

        return node;
    }

    private static void Remove(JsonNode node, string path) => At(node, path).Parent!.AsObject().Remove(path.Split('.')[^1]);

    private static void Replace(JsonNode node, string path, JsonNode by) => At(node, path).ReplaceWith(by);

    private static void Reversed(JsonObject members)
    {
        KeyValuePair<string, JsonNode?>[] all = [.. members.Reverse()];
        members.Clear();
        foreach ((string name, JsonNode? value) in all)
        {
            if (value is JsonObject inner)
            {
                Reversed(inner);
            }

            foreach (JsonObject item in value is JsonArray array ? array.OfType<JsonObject>() : [])
            {
                Reversed(item);
            }

            members.Add(name, value);
        }
    }

    private static void Numbers(JsonObject entry)
    {
        foreach (string name in (string[])["logIndex", "integratedTime"])
        {
            entry[name] = JsonNode.Parse((string)entry[name]!);
        }

        foreach (string name in (string[])["logIndex", "treeSize"])
        {
            entry.Proof()[name] = JsonNode.Parse((string)entry.Proof()[name]!);
        }
    }

    // Every base64 value of the bundle, in another spelling.
    private static void Strings(JsonObject bundle, Func<string, string> respell)
    {
        void Respell(JsonNode holder, string name) => holder[name] = respell((string)holder[name]!);

        Respell(bundle.Material()["certificate"]!, "rawBytes");
        Respell(bundle.Entry(), "canonicalizedBody");
        Respell(bundle.Entry()["logId"]!, "keyId");
        Respell(bundle.Entry()["inclusionPromise"]!, "signedEntryTimestamp");
        Respell(bundle.Entry().Proof(), "rootHash");
        Respell(bundle.Envelope(), "payload");
        Respell(bundle.Envelope()["signatures"]![0]!, "sig");
        JsonArray hashes = bundle.Entry().Proof()["hashes"]!.AsArray();
        for (int i = 0; i < hashes.Count; i++)
        {
            hashes[i] = respell((string)hashes[i]!);
        }
    }
}
