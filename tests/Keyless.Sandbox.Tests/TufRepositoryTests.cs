using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Keyless.Sandbox.Tests;

[TestClass]
public sealed class TufRepositoryTests(TestContext test)
{
    [TestMethod]
    public async Task Delivers_the_documents_of_its_own_world()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: test.CancellationToken);
        using var client = new HttpClient { BaseAddress = sandbox.TufServer.BaseUrl };

        foreach ((string name, string expected) in ((string, string)[])[("trusted_root.json", sandbox.TrustedRoot), ("signing_config.v0.2.json", sandbox.SigningConfig)])
        {
            JsonNode targets = JsonNode.Parse(await client.GetStringAsync("2.targets.json", test.CancellationToken))!;
            string hash = (string)targets["signed"]!["targets"]![name]!["hashes"]!["sha256"]!;

            Assert.AreEqual(expected, await client.GetStringAsync($"targets/{hash}.{name}", test.CancellationToken));
            Assert.AreEqual(hash, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(expected))));
        }

        Assert.AreEqual(System.Net.HttpStatusCode.NotFound, (await client.GetAsync("2.root.json", test.CancellationToken)).StatusCode);
    }

    [TestMethod]
    public void Has_the_shape_of_the_public_instances()
    {
        var repository = new TufRepository(TimeProvider.System);
        JsonNode root = JsonNode.Parse(repository.FirstRoot)!["signed"]!;

        string Role(string name) => $"{(int)root["roles"]![name]!["threshold"]!} of {root["roles"]![name]!["keyids"]!.AsArray().Count}";
        Assert.AreEqual("3 of 5, 3 of 5, 1 of 1, 1 of 1", $"{Role("root")}, {Role("targets")}, {Role("snapshot")}, {Role("timestamp")}");
        Assert.IsTrue((bool)root["consistent_snapshot"]!);
        Assert.IsTrue(root["keys"]!.AsObject().All(key => (string?)key.Value!["scheme"] == "ecdsa-sha2-nistp256"));
        Assert.AreEqual("1.0", (string?)root["spec_version"]);
        JsonNode snapshot = JsonNode.Parse(repository.Files["1.snapshot.json"])!["signed"]!;
        Assert.IsNotNull(snapshot["meta"]!["rekor.json"]);
        Assert.IsNull(snapshot["meta"]!["targets.json"]!["hashes"]);
    }

    [TestMethod]
    public void Signs_the_canonical_form()
    {
        TufSigner signer = TufSigner.Create();
        var content = JsonNode.Parse("""{"b":1,"a":"\u0001\"\\ä","\ud83d\ude00":2,"\ufb01":3}""")!.AsObject();

        string signature = (string)signer.Sign(content)["sig"]!;

        using var key = ECDsa.Create();
        key.ImportFromPem((string)signer.Key["keyval"]!["public"]!);
        byte[] canonical = Encoding.UTF8.GetBytes("{\"a\":\"\u0001\\\"\\\\ä\",\"b\":1,\"\ufb01\":3,\"\ud83d\ude00\":2}");
        Assert.IsTrue(key.VerifyData(canonical, Convert.FromHexString(signature), HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence));
    }

    [TestMethod]
    public void A_new_root_is_signed_by_the_old_keys_as_well()
    {
        var repository = new TufRepository(TimeProvider.System);
        string[] old = [.. repository.Signers["root"].Select(signer => signer.KeyId)];

        repository.RotateKeys("root");
        repository.Publish("root");

        JsonArray signatures = JsonNode.Parse(repository.Files["2.root.json"])!["signatures"]!.AsArray();
        Assert.HasCount(10, signatures);
        CollectionAssert.IsSubsetOf(old, signatures.Select(signature => (string)signature!["keyid"]!).ToArray());
        Assert.HasCount(5, JsonNode.Parse(repository.Files["3.root.json"])!["signatures"]!.AsArray());
    }

    [TestMethod]
    public void Publishes_whatever_lists_what_has_changed()
    {
        var repository = new TufRepository(TimeProvider.System) { HashesInMeta = true };

        repository.Publish("targets");
        repository.Publish("timestamp");

        Assert.AreEqual("1 2 2 3", string.Join(' ', ((string[])["root", "targets", "snapshot", "timestamp"]).Select(repository.Version)));
        JsonNode listed = JsonNode.Parse(repository.Files["timestamp.json"])!["signed"]!["meta"]!["snapshot.json"]!;
        Assert.AreEqual(Convert.ToHexStringLower(SHA256.HashData(repository.Files["2.snapshot.json"])), (string?)listed["hashes"]!["sha256"]);
    }
}
