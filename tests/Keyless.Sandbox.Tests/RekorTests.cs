using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Org.BouncyCastle.Crypto;
using Org.BouncyCastle.Security;

namespace Keyless.Sandbox.Tests;

[TestClass]
public sealed class RekorTests
{
    private const string V1 = "/api/v1/log/entries";
    private const string V2 = "/api/v2/log/entries";

    public required TestContext TestContext { get; init; }

    private CancellationToken Cancel => TestContext.CancellationToken;

    [TestMethod]
    public async Task Version_1_answers_with_timestamp_proof_and_checkpoint()
    {
        var log = new RekorV1(TimeProvider.System, "rekor.test");
        await using World world = await World.StartAsync(log.Map, Cancel);

        (HttpResponseMessage response, JsonObject body) = await world.PostAsync(V1, HashedRekord("hello", out string canonical), Cancel);

        Assert.AreEqual(HttpStatusCode.Created, response.StatusCode);
        (string id, JsonNode? node) = body.Single();
        JsonObject entry = node!.AsObject();
        Assert.AreEqual($"{V1}/{id}", response.Headers.Location!.OriginalString);
        Assert.AreEqual(canonical, Encoding.UTF8.GetString(Convert.FromBase64String((string)entry["body"]!)));
        byte[] leaf = MerkleTree.LeafHash(Encoding.UTF8.GetBytes(canonical));
        Assert.AreEqual($"{log.TreeId:x16}{Convert.ToHexStringLower(leaf)}", id);

        JsonObject proof = entry["verification"]!["inclusionProof"]!.AsObject();
        Assert.AreNotEqual((long)entry["logIndex"]!, (long)proof["logIndex"]!);
        byte[] root = MerkleTreeTests.Fold(leaf, (long)proof["logIndex"]!, (long)proof["treeSize"]!, [.. proof["hashes"]!.AsArray().Select(hash => Convert.FromHexString((string)hash!))]);
        Assert.AreEqual((string)proof["rootHash"]!, Convert.ToHexStringLower(root));
        string text = $"rekor.test - {log.TreeId}\n{proof["treeSize"]}\n{Convert.ToBase64String(root)}\n";
        Assert.IsTrue(World.Verifies(log.Spki, Encoding.UTF8.GetBytes(text), Signature((string)proof["checkpoint"]!, text, "rekor.test", SHA256.HashData(log.Spki))));

        string signed = $$"""{"body":"{{entry["body"]}}","integratedTime":{{entry["integratedTime"]}},"logID":"{{entry["logID"]}}","logIndex":{{entry["logIndex"]}}}""";
        Assert.IsTrue(World.Verifies(log.Spki, Encoding.UTF8.GetBytes(signed), Convert.FromBase64String((string)entry["verification"]!["signedEntryTimestamp"]!)));
    }

    [TestMethod]
    public async Task Version_1_sends_whoever_repeats_a_request_to_the_entry()
    {
        await using World world = await World.StartAsync(new RekorV1(TimeProvider.System, "rekor.test").Map, Cancel);
        JsonObject proposed = HashedRekord("hello", out _);
        (_, JsonObject first) = await world.PostAsync(V1, proposed, Cancel);

        (HttpResponseMessage response, JsonObject error) = await world.PostAsync(V1, proposed, Cancel);

        Assert.AreEqual(HttpStatusCode.Conflict, response.StatusCode);
        Assert.AreEqual(409, (int)error["code"]!);
        var found = await world.Client.GetFromJsonAsync<JsonObject>(response.Headers.Location, Cancel);
        Assert.AreEqual(first.Single().Key, found!.Single().Key);
        Assert.AreEqual((string)first.Single().Value!["body"]!, (string)found!.Single().Value!["body"]!);
    }

    [TestMethod]
    public async Task Version_1_logs_the_hashes_of_an_envelope_and_not_the_envelope()
    {
        await using World world = await World.StartAsync(new RekorV1(TimeProvider.System, "rekor.test").Map, Cancel);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        string envelope = Envelope(key, "{}"), signature = (string)JsonNode.Parse(envelope)!["signatures"]![0]!["sig"]!;
        string verifier = Base64(key.ExportSubjectPublicKeyInfoPem() + "\n");

        (HttpResponseMessage response, JsonObject body) = await world.PostAsync(V1, Dsse(envelope, verifier), Cancel);

        Assert.AreEqual(HttpStatusCode.Created, response.StatusCode, body.ToJsonString());
        string expected = """{"apiVersion":"0.0.1","kind":"dsse","spec":{"envelopeHash":{"algorithm":"sha256","value":"E"},"payloadHash":{"algorithm":"sha256","value":"P"},"signatures":[{"signature":"S","verifier":"V"}]}}"""
            .Replace("\"E\"", $"\"{Hex(envelope)}\"", StringComparison.Ordinal).Replace("\"P\"", $"\"{Hex("{}")}\"", StringComparison.Ordinal)
            .Replace("\"S\"", $"\"{signature}\"", StringComparison.Ordinal).Replace("\"V\"", $"\"{verifier}\"", StringComparison.Ordinal);
        Assert.AreEqual(expected, Encoding.UTF8.GetString(Convert.FromBase64String((string)body.Single().Value!["body"]!)));
    }

    // What cosign 2 logs with --rekor-entry-type intoto.
    [TestMethod]
    public async Task Version_1_logs_of_intoto_0_0_1_the_hashes_and_the_key()
    {
        await using World world = await World.StartAsync(new RekorV1(TimeProvider.System, "rekor.test").Map, Cancel);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        string envelope = Envelope(key, "{}"), verifier = Base64(key.ExportSubjectPublicKeyInfoPem() + "\n");
        JsonObject Proposed(string publicKey) => new()
        {
            ["apiVersion"] = "0.0.1",
            ["kind"] = "intoto",
            ["spec"] = new JsonObject { ["content"] = new JsonObject { ["envelope"] = envelope }, ["publicKey"] = publicKey },
        };

        (HttpResponseMessage response, JsonObject body) = await world.PostAsync(V1, Proposed(verifier), Cancel);
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        (HttpResponseMessage refused, _) = await world.PostAsync(V1, Proposed(Base64(other.ExportSubjectPublicKeyInfoPem() + "\n")), Cancel);

        Assert.AreEqual(HttpStatusCode.Created, response.StatusCode, body.ToJsonString());
        Assert.AreEqual(
            """{"apiVersion":"0.0.1","kind":"intoto","spec":{"content":{"hash":{"algorithm":"sha256","value":"E"},"payloadHash":{"algorithm":"sha256","value":"P"}},"publicKey":"V"}}"""
                .Replace("\"E\"", $"\"{Hex(envelope)}\"", StringComparison.Ordinal).Replace("\"P\"", $"\"{Hex("{}")}\"", StringComparison.Ordinal).Replace("\"V\"", $"\"{verifier}\"", StringComparison.Ordinal),
            Encoding.UTF8.GetString(Convert.FromBase64String((string)body.Single().Value!["body"]!)));
        Assert.AreEqual(HttpStatusCode.BadRequest, refused.StatusCode);
    }

    // What older clients for provenance log: the members of the envelope once more in base64.
    [TestMethod]
    public async Task Version_1_logs_of_intoto_0_0_2_the_signature_too()
    {
        await using World world = await World.StartAsync(new RekorV1(TimeProvider.System, "rekor.test").Map, Cancel);

        (HttpResponseMessage response, JsonObject body) = await world.PostAsync(V1, Intoto("{}", out string canonical), Cancel);

        Assert.AreEqual(HttpStatusCode.Created, response.StatusCode, body.ToJsonString());
        Assert.AreEqual(canonical, Encoding.UTF8.GetString(Convert.FromBase64String((string)body.Single().Value!["body"]!)));
    }

    [TestMethod]
    public async Task Version_1_refuses_an_intoto_envelope_with_another_payload()
    {
        await using World world = await World.StartAsync(new RekorV1(TimeProvider.System, "rekor.test").Map, Cancel);
        JsonObject proposed = Intoto("{}", out _);
        proposed["spec"]!["content"]!["envelope"]!["payload"] = Base64(Base64("[]"));

        (HttpResponseMessage response, JsonObject error) = await world.PostAsync(V1, proposed, Cancel);

        Assert.AreEqual(HttpStatusCode.BadRequest, response.StatusCode);
        StringAssert.Contains((string)error["message"]!, "does not verify");
    }

    [TestMethod]
    public async Task Version_1_finds_entries_by_id_by_index_and_as_proposed()
    {
        await using World world = await World.StartAsync(new RekorV1(TimeProvider.System, "rekor.test").Map, Cancel);
        JsonObject proposed = HashedRekord("hello", out _);
        (_, JsonObject first) = await world.PostAsync(V1, proposed, Cancel);
        (string id, JsonNode? entry) = first.Single();
        long index = (long)entry!["logIndex"]!;

        foreach (JsonObject query in new JsonObject[]
        {
            new() { ["entryUUIDs"] = new JsonArray(id) },
            new() { ["logIndexes"] = new JsonArray(index) },
            new() { ["entries"] = new JsonArray(proposed.DeepClone()) },
        })
        {
            using HttpResponseMessage response = await world.Client.PostAsJsonAsync($"{V1}/retrieve", query, Cancel);
            Assert.AreEqual(id, (await response.Content.ReadFromJsonAsync<JsonArray>(Cancel))!.Single()!.AsObject().Single().Key);
        }

        Assert.AreEqual(id, (await world.Client.GetFromJsonAsync<JsonObject>($"{V1}?logIndex={index}", Cancel))!.Single().Key);
        using HttpResponseMessage none = await world.Client.PostAsJsonAsync(
            $"{V1}/retrieve", new JsonObject { ["logIndexes"] = new JsonArray(index + 1), ["entries"] = new JsonArray(HashedRekord("not there", out _)) }, Cancel);
        Assert.AreEqual("[]", await none.Content.ReadAsStringAsync(Cancel));
    }

    [TestMethod]
    public async Task Version_1_refuses_a_signature_over_something_else()
    {
        await using World world = await World.StartAsync(new RekorV1(TimeProvider.System, "rekor.test").Map, Cancel);
        JsonObject proposed = HashedRekord("hello", out _);
        proposed["spec"]!["data"]!["hash"]!["value"] = Hex("another text");

        (HttpResponseMessage response, JsonObject error) = await world.PostAsync(V1, proposed, Cancel);

        Assert.AreEqual(HttpStatusCode.BadRequest, response.StatusCode);
        StringAssert.Contains((string)error["message"]!, "does not verify");
    }

    [TestMethod]
    [DataRow(RekorV2Key.Ed25519)]
    [DataRow(RekorV2Key.EcdsaP256)]
    public async Task Version_2_answers_with_proof_and_checkpoint(RekorV2Key kind)
    {
        var log = new RekorV2(kind, "rekor.test", TimeProvider.System);
        await using World world = await World.StartAsync(log.Map, Cancel);

        (HttpResponseMessage response, JsonObject entry) = await world.PostAsync(V2, Request("hello", out string canonical), Cancel);

        Assert.AreEqual(HttpStatusCode.Created, response.StatusCode);
        Assert.AreEqual(canonical, Encoding.UTF8.GetString(Convert.FromBase64String((string)entry["canonicalizedBody"]!)));
        Assert.IsNull(entry["integratedTime"]);
        Assert.AreEqual("1", (string)entry["logIndex"]!);
        JsonObject proof = entry["inclusionProof"]!.AsObject();
        byte[] root = MerkleTreeTests.Fold(MerkleTree.LeafHash(Encoding.UTF8.GetBytes(canonical)), 1, 2, [.. proof["hashes"]!.AsArray().Select(hash => Convert.FromBase64String((string)hash!))]);
        Assert.AreEqual((string)proof["rootHash"]!, Convert.ToBase64String(root));
        byte[] text = Encoding.UTF8.GetBytes($"rekor.test\n2\n{Convert.ToBase64String(root)}\n");
        byte[] keyId = SHA256.HashData(kind == RekorV2Key.Ed25519 ? [.. "rekor.test\n\u0001"u8, .. log.Spki[^32..]] : log.Spki);
        Assert.AreEqual(Convert.ToBase64String(keyId), (string)entry["logId"]!["keyId"]!);
        byte[] signature = Signature((string)proof["checkpoint"]!["envelope"]!, Encoding.UTF8.GetString(text), "rekor.test", keyId);
        Assert.IsTrue(kind == RekorV2Key.Ed25519 ? VerifiesEd25519(log.Spki, text, signature) : World.Verifies(log.Spki, text, signature));
    }

    [TestMethod]
    public async Task Version_2_lets_all_entries_of_an_interval_share_a_checkpoint()
    {
        var log = new RekorV2(RekorV2Key.EcdsaP256, "rekor.test", TimeProvider.System) { CheckpointInterval = TimeSpan.FromSeconds(1) };
        await using World world = await World.StartAsync(log.Map, Cancel);

        // Three, so that two of them share a checkpoint even if a tick falls between them.
        (HttpResponseMessage Response, JsonObject Body)[] answers = await Task.WhenAll(
            world.PostAsync(V2, Request("one", out _), Cancel), world.PostAsync(V2, Request("two", out _), Cancel), world.PostAsync(V2, Request("three", out _), Cancel));

        Assert.IsTrue(answers.All(answer => answer.Response.StatusCode == HttpStatusCode.Created));
        Assert.HasCount(3, answers.Select(answer => (string?)answer.Body["logIndex"]).Distinct().ToArray());
        Assert.IsLessThan(3, answers.Select(answer => (string?)answer.Body["inclusionProof"]!["checkpoint"]!["envelope"]).Distinct().Count());
    }

    [TestMethod]
    public async Task Version_2_gives_whoever_repeats_a_request_only_the_index()
    {
        await using World world = await World.StartAsync(new RekorV2(RekorV2Key.Ed25519, "rekor.test", TimeProvider.System).Map, Cancel);
        JsonObject request = Request("hello", out _);
        await world.PostAsync(V2, request, Cancel);

        (HttpResponseMessage response, JsonObject error) = await world.PostAsync(V2, request, Cancel);

        Assert.AreEqual(HttpStatusCode.Conflict, response.StatusCode);
        Assert.AreEqual("1", response.Headers.GetValues("X-Log-Index").Single());
        Assert.AreEqual(6, (int)error["code"]!);
    }

    [TestMethod]
    public async Task Version_2_refuses_an_envelope()
    {
        await using World world = await World.StartAsync(new RekorV2(RekorV2Key.Ed25519, "rekor.test", TimeProvider.System).Map, Cancel);

        (HttpResponseMessage response, JsonObject error) = await world.PostAsync(V2, new JsonObject { ["dsseRequestV002"] = new JsonObject() }, Cancel);

        Assert.AreEqual(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.AreEqual("""{"code":3,"details":[],"message":"invalid type, must be hashedrekord"}""", CanonicalJson.Text(error));
    }

    [TestMethod]
    public async Task Version_2_refuses_key_details_of_another_kind_of_key()
    {
        await using World world = await World.StartAsync(new RekorV2(RekorV2Key.Ed25519, "rekor.test", TimeProvider.System).Map, Cancel);
        JsonObject request = Request("hello", out _);
        request["hashedRekordRequestV002"]!["signature"]!["verifier"]!["keyDetails"] = "PKIX_ECDSA_P384_SHA_384";

        (HttpResponseMessage response, JsonObject error) = await world.PostAsync(V2, request, Cancel);

        Assert.AreEqual(HttpStatusCode.BadRequest, response.StatusCode);
        StringAssert.Contains((string)error["message"]!, "invalid hashedrekord request");
    }

    internal static JsonObject HashedRekord(string text, out string canonical)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        string signature = Convert.ToBase64String(World.Sign(key, Encoding.UTF8.GetBytes(text)));
        string publicKey = Base64(key.ExportSubjectPublicKeyInfoPem() + "\n");
        canonical = """{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"sha256","value":"<HASH>"}},"signature":{"content":"<SIG>","publicKey":{"content":"<KEY>"}}}}"""
            .Replace("<HASH>", Hex(text), StringComparison.Ordinal).Replace("<SIG>", signature, StringComparison.Ordinal).Replace("<KEY>", publicKey, StringComparison.Ordinal);
        return JsonNode.Parse(canonical)!.AsObject();
    }

    internal static string Envelope(ECDsa key, string payload) => new JsonObject
    {
        ["payload"] = Base64(payload),
        ["payloadType"] = "t/ü",
        ["signatures"] = new JsonArray(new JsonObject { ["sig"] = Convert.ToBase64String(World.Sign(key, Encoding.UTF8.GetBytes($"DSSEv1 4 t/ü {payload.Length} {payload}"))) }),
    }.ToJsonString();

    internal static JsonObject Dsse(string envelope, string verifier) => new()
    {
        ["apiVersion"] = "0.0.1",
        ["kind"] = "dsse",
        ["spec"] = new JsonObject { ["proposedContent"] = new JsonObject { ["envelope"] = envelope, ["verifiers"] = new JsonArray(verifier) } },
    };

    internal static JsonObject Intoto(string payload, out string canonical)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        string signature = Base64(Convert.ToBase64String(World.Sign(key, Encoding.UTF8.GetBytes($"DSSEv1 1 t {payload.Length} {payload}"))));
        canonical = """{"apiVersion":"0.0.2","kind":"intoto","spec":{"content":{"envelope":{"payloadType":"t","signatures":[{"publicKey":"<KEY>","sig":"<SIG>"}]},"hash":{"algorithm":"sha256","value":"<HASH>"},"payloadHash":{"algorithm":"sha256","value":"<PAYLOAD>"}}}}"""
            .Replace("<KEY>", Base64(key.ExportSubjectPublicKeyInfoPem() + "\n"), StringComparison.Ordinal).Replace("<SIG>", signature, StringComparison.Ordinal)
            .Replace("<HASH>", Hex("an envelope"), StringComparison.Ordinal).Replace("<PAYLOAD>", Hex(payload), StringComparison.Ordinal);
        JsonObject proposed = JsonNode.Parse(canonical)!.AsObject();
        JsonObject content = proposed["spec"]!["content"]!.AsObject();
        content.Remove("payloadHash");
        content["envelope"]!["payload"] = Base64(Base64(payload));
        return proposed;
    }

    internal static JsonObject Request(string text, out string canonical)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        string digest = Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
        string signature = """{"content":"<SIG>","verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256","publicKey":{"rawBytes":"<KEY>"}}}"""
            .Replace("<SIG>", Convert.ToBase64String(World.Sign(key, Encoding.UTF8.GetBytes(text))), StringComparison.Ordinal)
            .Replace("<KEY>", Convert.ToBase64String(key.ExportSubjectPublicKeyInfo()), StringComparison.Ordinal);
        canonical = """{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_256","digest":""" +
            $"\"{digest}\"}},\"signature\":{signature}}}}}}}";
        return new JsonObject { ["hashedRekordRequestV002"] = new JsonObject { ["digest"] = digest, ["signature"] = JsonNode.Parse(signature) } };
    }

    /// <summary>The signature of a note whose text, name and key id are as expected.</summary>
    private static byte[] Signature(string note, string text, string name, byte[] keyId)
    {
        string start = $"{text}\n— {name} ";
        Assert.StartsWith(start, note);
        Assert.EndsWith("\n", note);
        byte[] line = Convert.FromBase64String(note[start.Length..^1]);
        CollectionAssert.AreEqual(keyId[..4], line[..4]);
        return line[4..];
    }

    internal static bool VerifiesEd25519(byte[] spki, byte[] data, byte[] signature)
    {
        ISigner verifier = SignerUtilities.InitSigner("Ed25519", forSigning: false, PublicKeyFactory.CreateKey(spki), random: null);
        verifier.BlockUpdate(data, 0, data.Length);
        return verifier.VerifySignature(signature);
    }

    private static string Hex(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));
}
