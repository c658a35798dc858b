using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

/// <summary>What an honest repository may do, and what a client then asks for, delivers and keeps.</summary>
[TestClass]
public sealed class TufClientTests(TestContext test)
{
    [TestMethod] // test_basic_init_and_refresh, test_metadata_bytes_match
    [Clause("U.6")]
    public async Task Asks_for_each_role_once_and_keeps_the_bytes_it_got()
    {
        await using TufWorld world = await TufWorld.StartAsync();

        await world.RefreshAsync();

        Assert.AreEqual("2.root.json timestamp.json 1.snapshot.json 1.targets.json", string.Join(' ', world.Repository.Requests));
        Assert.AreEqual("root 1, timestamp 1, snapshot 1, targets 1", world.OnDisk());
        foreach (string role in (string[])["root", "timestamp", "snapshot", "targets"])
        {
            CollectionAssert.AreEqual(world.Repository.Files[$"{role}.json"], world.Files()[$"{role}.json"], role);
        }
    }

    [TestMethod]
    public async Task Asks_twice_where_nothing_is_new()
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();

        await world.RefreshAsync();

        Assert.AreEqual("2.root.json timestamp.json", string.Join(' ', world.Repository.Requests));
    }

    [TestMethod]
    [Clause("U.48")]
    [DataRow(TufKeyKind.EcdsaP256)]
    [DataRow(TufKeyKind.Ed25519)]
    [DataRow(TufKeyKind.RsaPss)]
    public async Task Takes_keys_of_each_kind(TufKeyKind kind) // test_keytype_and_scheme
    {
        await using TufWorld world = await TufWorld.StartAsync(kind, keys: 1, threshold: 1);
        await world.RefreshAsync();
        world.Repository.RotateKeys("root", kind);
        world.Repository.Publish("targets");

        await world.RefreshAsync();

        Assert.AreEqual("root 2, timestamp 2, snapshot 2, targets 2", world.OnDisk());
        world.Repository.Signers["timestamp"] = [TufSigner.Create(kind)];
        world.Repository.Publish("timestamp");
        Assert.AreEqual(TufFailure.NotSigned, (await world.RefusalAsync()).Failure);
    }

    [TestMethod]
    public async Task Takes_the_old_name_of_ecdsa_keys()
    {
        await using TufWorld world = await TufWorld.StartAsync();
        TufSigner signer = TufSigner.Create();
        signer.Key["keytype"] = "ecdsa-sha2-nistp256";
        world.Repository.SetKeys("timestamp", 1, signer);
        world.Repository.Publish("root", "timestamp");

        await world.RefreshAsync();
    }

    [TestMethod] // test_custom_fields, test_deprecated_keyid_hash_algorithms
    [Clause("U.47")]
    public async Task Leaves_alone_what_nobody_knows_and_verifies_it_all_the_same()
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        JsonObject root = world.Repository["root"];
        root["x-of-ours"] = JsonNode.Parse("""{"b":[1,null,true],"a":"line\nbreak \u0001 ä 😀 \ufb01"}""");
        root["roles"]!["timestamp"]!["another"] = "value";
        root["keys"]!.AsObject().First().Value!["keyid_hash_algorithms"] = new JsonArray("md5");
        world.Repository.Publish("root");

        await world.RefreshAsync();

        Assert.AreEqual(2, world.Version("root"));
        JsonNode file = JsonNode.Parse(world.Repository.Files["2.root.json"])!;
        file["signed"]!["x-of-ours"]!["a"] = "line break";
        world.Repository.Files["3.root.json"] = Encoding.UTF8.GetBytes(file.ToJsonString());
        Assert.AreEqual(TufFailure.NotSigned, (await world.RefusalAsync()).Failure);
    }

    [TestMethod] // test_invalid_sig_in_valid_metadata
    [Clause("U.39")]
    public async Task Does_not_mind_a_bad_signature_beside_enough_good_ones()
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        world.Repository.Publish("timestamp");
        JsonNode file = JsonNode.Parse(world.Repository.Files["timestamp.json"])!;
        foreach (string sig in (string[])["", "zz", "00", "3006020100020100"])
        {
            file["signatures"]!.AsArray().Add(new JsonObject { ["keyid"] = $"other-{sig}", ["sig"] = sig });
        }

        world.Repository.Files["timestamp.json"] = Encoding.UTF8.GetBytes(file.ToJsonString());

        await world.RefreshAsync();

        Assert.AreEqual(3, world.Version("timestamp"));
    }

    [TestMethod] // test_timestamp_content_changes
    [Clause("U.15")]
    public async Task Keeps_its_own_bytes_of_a_version_it_knows()
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        byte[] known = world.Files()["timestamp.json"];
        world.Repository["timestamp"]["meta"]!["snapshot.json"]!["version"] = 100;
        world.Repository.Serve("timestamp", world.Repository["timestamp"], world.Repository.Signers["timestamp"]);

        await world.RefreshAsync();

        CollectionAssert.AreEqual(known, world.Files()["timestamp.json"]);
    }

    [TestMethod] // test_expired_metadata
    public async Task Goes_on_from_what_has_expired_here()
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        world.Clock.Now += TimeSpan.FromDays(100);
        world.Repository.SetExpiry("timestamp", TimeSpan.FromDays(7));
        world.Repository.Publish("targets");

        await world.RefreshAsync();

        Assert.AreEqual("root 1, timestamp 3, snapshot 3, targets 3", world.OnDisk());
    }

    [TestMethod]
    public async Task Does_not_ask_since_when_its_clock_has_been_right()
    {
        await using TufWorld world = await TufWorld.StartAsync();
        world.Clock.Now -= TimeSpan.FromDays(3650);

        await world.RefreshAsync();
    }

    [TestMethod]
    [DataRow(true, false)]
    [DataRow(false, false)]
    [DataRow(true, true)]
    [DataRow(false, true)]
    public async Task Finds_files_with_and_without_versions_in_their_names(bool consistent, bool hashes)
    {
        await using TufWorld world = await TufWorld.StartAsync();
        world.Repository.ConsistentSnapshot = consistent;
        world.Repository.HashesInMeta = hashes;
        world.Repository.Delegate("targets", "them", false, "*/*");
        world.Repository.AddTarget("dir/a b+c.txt", "content"u8.ToArray(), "them");
        world.Repository.Publish("root", "targets", "them");

        byte[] bytes = await (await world.RefreshAsync()).GetTargetAsync("dir/a b+c.txt", test.CancellationToken);

        Assert.AreEqual("content", Encoding.UTF8.GetString(bytes));
        Assert.AreEqual("root 2, timestamp 2, snapshot 2, targets 2, them 2", world.OnDisk());
        string last = world.Repository.Requests[^1];
        Assert.AreEqual(consistent ? "targets/dir/ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73.a%20b%2Bc.txt" : "targets/dir/a%20b%2Bc.txt", last);
    }

    [TestMethod] // test_client_downloads_expected_file, test_artifact_cache
    [Clause("U.51")]
    public async Task Fetches_a_target_once()
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();

        for (int i = 0; i < 2; i++)
        {
            Assert.AreEqual("first", Encoding.UTF8.GetString(await (await world.RefreshAsync()).GetTargetAsync("artifact.txt", test.CancellationToken)));
        }

        Assert.HasCount(1, world.Repository.Requests.Where(path => path.StartsWith("targets/", StringComparison.Ordinal)));
        await File.WriteAllTextAsync(Path.Combine(world.Folder, "targets", "artifact.txt"), "other", test.CancellationToken);
        Assert.AreEqual("first", Encoding.UTF8.GetString(await (await world.RefreshAsync()).GetTargetAsync("artifact.txt", test.CancellationToken)));
    }

    [TestMethod]
    [Clause("U.35")]
    [DataRow("other", TufFailure.Content)] // test_repository_substitutes_target_file
    [DataRow("shor", TufFailure.Content)]
    [DataRow("longer", TufFailure.Content)]
    public async Task Refuses_a_target_of_other_bytes(string content, TufFailure failure)
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        foreach (string path in world.Repository.Files.Keys.Where(path => path.StartsWith("targets/", StringComparison.Ordinal)))
        {
            world.Repository.Files[path] = Encoding.UTF8.GetBytes(content);
        }

        TufClient client = await world.RefreshAsync();
        TufException no = await Assert.ThrowsExactlyAsync<TufException>(() => client.GetTargetAsync("artifact.txt", test.CancellationToken));

        Assert.AreEqual((failure, "targets"), (no.Failure, no.Role), no.Message);
        Assert.IsFalse(world.Files().Keys.Any(file => file.StartsWith("targets/", StringComparison.Ordinal)));
    }

    [TestMethod]
    [Clause("U.34")]
    [DataRow(1)]
    [DataRow(-1)]
    public async Task Refuses_a_target_of_another_length_although_its_hash_is_right(int more)
    {
        await using TufWorld world = await TufWorld.StartAsync();
        world.Repository.AddTarget("file", "content"u8.ToArray());
        world.Repository["targets"]["targets"]!["file"]!["length"] = "content".Length + more;
        world.Repository.Publish("targets");
        TufClient client = await world.RefreshAsync();

        TufException no = await Assert.ThrowsExactlyAsync<TufException>(() => client.GetTargetAsync("file", test.CancellationToken));

        Assert.AreEqual((TufFailure.Content, "targets"), (no.Failure, no.Role), no.Message);
    }

    [TestMethod] // test_download_with_hash_algorithms, test_download_with_unknown_hash_algorithm
    [Clause("U.35")]
    [DataRow("""{"sha256":"@256"}""", true)]
    [DataRow("""{"sha512":"@512"}""", true)]
    [DataRow("""{"sha512":"@512","sha256":"@256","blake2b":"00"}""", true)]
    [DataRow("""{"sha256":"@256","sha512":"@wrong"}""", false)]
    [DataRow("""{"sha512":"@512","sha256":"@wrong"}""", false)]
    [DataRow("""{"blake2b":"00"}""", false)]
    [DataRow("""{}""", false)]
    public async Task Checks_every_hash_it_knows_and_wants_one(string hashes, bool accepted)
    {
        await using TufWorld world = await TufWorld.StartAsync();
        byte[] content = "content"u8.ToArray();
        string sha512 = Convert.ToHexStringLower(System.Security.Cryptography.SHA512.HashData(content));
        world.Repository.AddTarget("file", content);
        world.Repository.Files[$"targets/{sha512}.file"] = content;
        world.Repository["targets"]["targets"]!["file"]!["hashes"] = JsonNode.Parse(hashes
            .Replace("@256", Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(content)), StringComparison.Ordinal)
            .Replace("@512", sha512, StringComparison.Ordinal)
            .Replace("@wrong", new string('0', hashes.Contains("sha256\":\"@wrong", StringComparison.Ordinal) ? 64 : 128), StringComparison.Ordinal));
        world.Repository.Publish("targets");
        TufClient client = await world.RefreshAsync();

        if (accepted)
        {
            CollectionAssert.AreEqual(content, await client.GetTargetAsync("file", test.CancellationToken));
            return;
        }

        Exception no = await Assert.ThrowsAsync<Exception>(() => client.GetTargetAsync("file", test.CancellationToken));
        // Under the prefix of a hash that is wrong there is no file at all, and without a known hash nobody asks for one.
        Assert.IsTrue(no is TufException { Failure: TufFailure.Content } or ServiceException { Failure: ServiceFailure.Refused }, no.Message);
        Assert.AreEqual(hashes.Contains('@', StringComparison.Ordinal), world.Repository.Requests.Any(path => path.StartsWith("targets/", StringComparison.Ordinal)));
    }

    [TestMethod]
    [Clause("U.36")]
    [DataRow("../x")]
    [DataRow("/x")]
    [DataRow("a//b")]
    [DataRow("a/./b")]
    [DataRow("..")]
    [DataRow("a/")]
    public async Task Fetches_no_target_whose_name_is_no_plain_path(string name)
    {
        await using TufWorld world = await TufWorld.StartAsync();
        world.Repository.AddTarget(name, "content"u8.ToArray());
        world.Repository.Publish("targets");
        TufClient client = await world.RefreshAsync();
        world.Repository.ForgetRequests();

        TufException no = await Assert.ThrowsExactlyAsync<TufException>(() => client.GetTargetAsync(name, test.CancellationToken));

        Assert.AreEqual(TufFailure.Malformed, no.Failure, no.Message);
        Assert.IsEmpty(world.Repository.Requests);
    }

    [TestMethod]
    [Clause("U.36")]
    [DataRow("C:x")]
    [DataRow(@"a\..\b")]
    [DataRow("CON")]
    [DataRow("nul.txt")]
    [DataRow(".hidden")]
    [DataRow("dot.")]
    [DataRow("a b")]
    [DataRow("ü😀")]
    [DataRow("a%2Fb")]
    public async Task Keeps_targets_of_odd_names_under_harmless_ones(string name)
    {
        await using TufWorld world = await TufWorld.StartAsync();
        world.Repository.AddTarget(name, "content"u8.ToArray());
        world.Repository.Publish("targets");

        Assert.AreEqual("content", Encoding.UTF8.GetString(await (await world.RefreshAsync()).GetTargetAsync(name, test.CancellationToken)));

        string file = world.Files().Keys.Single(path => path.StartsWith("targets/", StringComparison.Ordinal))["targets/".Length..];
        Assert.IsTrue(file.All(c => char.IsAsciiLetterOrDigit(c) || c is '%' or '.' or '-' or '_' or '~'), file);
        Assert.IsFalse(file.StartsWith('.') || file.EndsWith('.') || file.Split('.')[0].ToUpperInvariant() is "CON" or "NUL", file);
    }

    [TestMethod]
    [Clause("U.36")]
    public void Gives_different_names_different_files()
    {
        string[] names = ["a/b", "a%2Fb", "CON", "%43ON", "con", ".", "..", "%2E", "dot.", "dot%2E", "a", "A", "aux.x", "%61ux.x"];

        Assert.HasCount(names.Length, names.Select(TufCache.Encode).Distinct(StringComparer.Ordinal));
    }

    [TestMethod]
    [Clause("U.36")]
    [DataRow("CON", "%43ON")]
    [DataRow("prn.txt", "%70rn.txt")]
    [DataRow("AUX", "%41UX")]
    [DataRow("nul", "%6Eul")]
    [DataRow("COM1", "%43OM1")]
    [DataRow("lpt9.x", "%6Cpt9.x")]
    [DataRow("COMA", "COMA")]
    [DataRow("COM12", "COM12")]
    [DataRow("ABC1", "ABC1")]
    [DataRow("", "")]
    public void Spells_out_the_names_of_devices(string name, string file) => Assert.AreEqual(file, TufCache.Encode(name));

    [TestMethod]
    [Clause("U.36")]
    public async Task Asks_for_no_target_of_more_than_64_MiB()
    {
        const long Most = 64 * 1024 * 1024;
        await using TufWorld world = await TufWorld.StartKnownAsync();
        world.Repository["targets"]["targets"]!["artifact.txt"]!["length"] = Most + 1;
        world.Repository.Publish("targets");
        TufClient client = await world.RefreshAsync();
        world.Repository.ForgetRequests();

        TufException no = await Assert.ThrowsExactlyAsync<TufException>(() => client.GetTargetAsync("artifact.txt", CancellationToken.None));
        Assert.AreEqual((TufFailure.Malformed, "targets"), (no.Failure, no.Role), no.Message);
        Assert.IsEmpty(world.Repository.Requests);

        world.Repository["targets"]["targets"]!["artifact.txt"]!["length"] = Most;
        world.Repository.Publish("targets");
        client = await world.RefreshAsync();
        world.Repository.ForgetRequests();

        no = await Assert.ThrowsExactlyAsync<TufException>(() => client.GetTargetAsync("artifact.txt", CancellationToken.None));
        Assert.AreEqual(TufFailure.Content, no.Failure, no.Message);
        Assert.HasCount(1, world.Repository.Requests);
    }

    [TestMethod] // test_root_rotation
    [Clause("U.3", "U.4")]
    [DataRow("1-of-1 key rotation", "1/1:1 2/1:2,1 2/1:2", true)]
    [DataRow("1-of-1 key rotation, unused signatures", "1/1:3,1,4 2/1:3,2,1,4 2/1:3,2,4", true)]
    [DataRow("3-of-5, other combinations each time", "0,1,2,3,4/3:0,2,4 0,1,2,3,4/3:0,4,1 0,1,2,3,4/3:0,1,3 0,1,2,3,4/3:2,1,3", true)]
    [DataRow("3-of-5, one key rotated", "0,1,2,3,4/3:0,2,4 0,1,3,4,5/3:0,4,1", true)]
    [DataRow("3-of-5, all keys rotated by an intermediate step", "0,1,2,3,4/3:0,2,4 5,6,7,8,9/3:0,2,4,5,6,7 5,6,7,8,9/3:5,6,7", true)]
    [DataRow("threshold up", "1,2,3/1:1 1,2,3/2:1,2", true)]
    [DataRow("threshold down", "1,2,3/2:1,2 1,2,3/1:1,2 1,2,3/1:1", true)]
    [DataRow("key and threshold added", "1/1:1 1,2/2:1,2", true)]
    [DataRow("not signed with the old key", "1/1:1 2/1:2,3,4", false)]
    [DataRow("not signed with the new key", "1/1:1 2/1:1,3,4", false)]
    [DataRow("3-of-5, not by three of the new", "0,1,2,3,4/3:0,2,4 0,1,3,4,5/3:0,2,4", false)]
    [DataRow("3-of-5, not by three of the old", "0,1,2,3,4/3:0,2,4 0,1,3,4,5/3:0,4,5", false)]
    [DataRow("threshold up, new one not reached", "1,2,3/1:1 1,2,3/2:2", false)]
    [DataRow("threshold down, old one not reached", "1,2,3/2:1,2 1,2,3/1:1", false)]
    public async Task Follows_roots_that_old_and_new_keys_have_signed(string what, string roots, bool accepted)
    {
        await using TufWorld world = await TufWorld.StartAsync();
        TufSigner[] keys = [.. Enumerable.Range(0, 10).Select(_ => TufSigner.Create())];
        world.Repository["root"]["version"] = 0;
        string[] steps = roots.Split(' ');
        foreach (string step in steps)
        {
            string[] parts = step.Split('/', ':');
            world.Repository.SetKeys("root", int.Parse(parts[1], CultureInfo.InvariantCulture), [.. parts[0].Split(',').Select(Key)]);
            world.Repository.Signers["root"] = [.. parts[2].Split(',').Select(Key)];
            world.Repository.Publish("root");
        }

        world.FirstRoot = world.Repository.Files["1.root.json"];
        if (accepted)
        {
            await world.RefreshAsync();
        }
        else
        {
            TufException no = await world.RefusalAsync();
            Assert.AreEqual((TufFailure.NotSigned, "root"), (no.Failure, no.Role), what);
        }

        int last = steps.Length - (accepted ? 0 : 1);
        if (last > 1)
        {
            CollectionAssert.AreEqual(world.Repository.Files[$"{last}.root.json"], world.Files()["root.json"], what);
        }

        TufSigner Key(string index) => keys[int.Parse(index, CultureInfo.InvariantCulture)];
    }

    [TestMethod]
    [Clause("U.6")]
    public async Task Keeps_each_root_before_it_asks_for_the_next()
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        world.Repository.RotateKeys("root");
        world.Repository.Publish("root");
        world.Answer("4.root.json", context =>
        {
            Assert.AreEqual(3, world.Version("root"));
            context.Response.StatusCode = 503;
            return Task.CompletedTask;
        });

        ServiceException no = await Assert.ThrowsExactlyAsync<ServiceException>(world.RefreshAsync);

        Assert.Contains("4.root.json", no.Message);
        Assert.AreEqual("root 3, timestamp 2, snapshot 2, targets 2", world.OnDisk());
    }

    [TestMethod]
    [Clause("U.9")]
    [DataRow(500)]
    [DataRow(502)]
    [DataRow(429)]
    [DataRow(401)]
    [DataRow(204)]
    [DataRow(301)]
    public async Task Takes_nothing_but_not_found_for_no_newer_root(int status)
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        world.Answer("2.root.json", context =>
        {
            context.Response.StatusCode = status;
            return Task.CompletedTask;
        });

        await Assert.ThrowsExactlyAsync<ServiceException>(world.RefreshAsync);

        Assert.AreEqual("root 1, timestamp 2, snapshot 2, targets 2", world.OnDisk());
    }

    [TestMethod]
    public async Task Takes_forbidden_for_not_there()
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        world.Answer("2.root.json", context =>
        {
            context.Response.StatusCode = 403;
            return Task.CompletedTask;
        });

        await world.RefreshAsync();
    }

    [TestMethod]
    [Clause("U.8")]
    public async Task Goes_through_a_thousand_roots_in_bounded_steps()
    {
        await using TufWorld world = await TufWorld.StartAsync(TufKeyKind.EcdsaP256, 1, 1);
        for (int i = 1; i < 1000; i++)
        {
            world.Repository.Publish("root");
        }

        int runs = 0;
        do
        {
            world.Repository.ForgetRequests();
            await world.RefreshAsync();
            Assert.IsLessThanOrEqualTo(Limits.TufRootRotations, world.Repository.Requests.Count(path => path.EndsWith(".root.json", StringComparison.Ordinal)));
        }
        while (++runs < 5 && world.Version("root") < 1000);

        Assert.AreEqual((1000, 4), (world.Version("root"), runs));
    }

    [TestMethod] // test_new_timestamp_fast_forward_recovery, test_new_snapshot_fast_forward_recovery, test_targets_fast_forward_recovery
    [Clause("U.11")]
    [DataRow("timestamp")]
    [DataRow("snapshot")]
    [DataRow("targets")]
    public async Task Forgets_the_highest_version_once_the_key_that_signed_it_is_gone(string role)
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        world.Repository[role]["version"] = 99_999;
        world.Repository.Publish(role);
        await world.RefreshAsync();
        Assert.AreEqual(100_000, world.Version(role));
        world.Repository[role]["version"] = 6;
        world.Repository.Publish(role);
        Assert.AreEqual(TufFailure.Rollback, (await world.RefusalAsync()).Failure);

        // Who lists a version says what it is: for targets it is the snapshot's key that has to go.
        world.Repository.RotateKeys(role == "targets" ? "snapshot" : role);
        world.Repository.Publish(role);
        await world.RefreshAsync();

        Assert.AreEqual(8, world.Version(role));
    }

    [TestMethod]
    [Clause("U.11")]
    public async Task Forgets_nothing_where_a_key_is_only_added()
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        world.Repository.SetKeys("timestamp", 1, world.Repository.Signers["timestamp"][0], TufSigner.Create());
        world.Repository.Publish("root");
        world.Repository["timestamp"]["version"] = 1;
        world.Repository.Sign("timestamp");

        Assert.AreEqual(TufFailure.Rollback, (await world.RefusalAsync()).Failure);
        Assert.AreEqual("root 2, timestamp 2, snapshot 2, targets 2", world.OnDisk());
    }
}
