using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

/// <summary>
/// What a repository, or somebody in its place, may try on a client that has seen version 2 of everything. Rows that the public conformance suite has as
/// well carry its names.
/// </summary>
[TestClass]
public sealed class TufAttackTests(TestContext test)
{
    private const string Unchanged = "root 1, timestamp 2, snapshot 2, targets 2";

    [TestMethod]
    [Clause("U.3", "U.4", "U.5", "U.10", "U.13", "U.14", "U.16", "U.17", "U.18", "U.20", "U.21", "U.22", "U.23", "U.24", "U.25", "U.27", "U.28", "U.29", "U.30", "U.37", "U.38", "U.40", "U.43", "U.48")]
    [DataRow("test_new_timestamp_version_rollback", TufFailure.Rollback, "timestamp", Unchanged)]
    [DataRow("test_snapshot_rollback[basic]", TufFailure.Rollback, "timestamp", Unchanged)]
    [DataRow("test_snapshot_rollback[with hashes]", TufFailure.Rollback, "timestamp", Unchanged)]
    [DataRow("test_targets_rollback", TufFailure.Rollback, "snapshot", "root 1, timestamp 3, snapshot 2, targets 2")]
    [DataRow("test_targets_role_removal", TufFailure.Rollback, "snapshot", "root 1, timestamp 3, snapshot 2, targets 2")]
    [DataRow("test_root_expired", TufFailure.Expired, "root", "root 2, timestamp 2, snapshot 2, targets 2")]
    [DataRow("test_timestamp_expired", TufFailure.Expired, "timestamp", Unchanged)]
    [DataRow("test_snapshot_expired", TufFailure.Expired, "snapshot", "root 1, timestamp 3, snapshot 2, targets 2")]
    [DataRow("test_targets_expired", TufFailure.Expired, "targets", "root 1, timestamp 3, snapshot 3, targets 2")]
    [DataRow("test_expired_local_timestamp", TufFailure.Expired, "timestamp", Unchanged)]
    [DataRow("test_expired_local_root", TufFailure.Expired, "root", Unchanged)]
    [DataRow("test_unsigned_metadata[root]", TufFailure.NotSigned, "root", Unchanged)]
    [DataRow("test_unsigned_metadata[timestamp]", TufFailure.NotSigned, "timestamp", Unchanged)]
    [DataRow("test_unsigned_metadata[snapshot]", TufFailure.NotSigned, "snapshot", "root 1, timestamp 3, snapshot 2, targets 2")]
    [DataRow("test_unsigned_metadata[targets]", TufFailure.NotSigned, "targets", "root 1, timestamp 3, snapshot 3, targets 2")]
    [DataRow("test_url_and_metadata_version_mismatch[root]", TufFailure.Version, "root", Unchanged)]
    [DataRow("test_url_and_metadata_version_mismatch[snapshot]", TufFailure.Version, "snapshot", "root 1, timestamp 3, snapshot 2, targets 2")]
    [DataRow("test_url_and_metadata_version_mismatch[targets]", TufFailure.Version, "targets", "root 1, timestamp 3, snapshot 3, targets 2")]
    [DataRow("test_incorrect_metadata_type[timestamp]", TufFailure.Malformed, "timestamp", Unchanged)]
    [DataRow("test_incorrect_metadata_type[root]", TufFailure.Malformed, "root", Unchanged)]
    [DataRow("test_snapshot_hash_mismatch", TufFailure.Content, "snapshot", "root 1, timestamp 3, snapshot 2, targets 2")]
    [DataRow("test_new_targets_hash_mismatch", TufFailure.Content, "targets", "root 1, timestamp 3, snapshot 3, targets 2")]
    [DataRow("test_snapshot_does_not_meet_threshold", TufFailure.NotSigned, "snapshot", "root 2, timestamp 3, snapshot 2, targets 2")]
    [DataRow("test_snapshot_has_too_few_keys", TufFailure.NotSigned, "snapshot", "root 2, timestamp 3, snapshot 2, targets 2")]
    [DataRow("test_duplicate_keys", TufFailure.NotSigned, "snapshot", "root 2, timestamp 3, snapshot 2, targets 2")]
    [DataRow("test_duplicate_sig_keyids", TufFailure.Malformed, "timestamp", Unchanged)]
    [DataRow("threshold of zero", TufFailure.Malformed, "root", Unchanged)]
    [DataRow("key of an unknown kind", TufFailure.NotSigned, "timestamp", "root 2, targets 2")]
    [DataRow("timestamp lists more than the snapshot", TufFailure.Malformed, "timestamp", Unchanged)]
    [DataRow("snapshot lists no targets", TufFailure.Missing, "targets", "root 2, timestamp 1, snapshot 1, targets 2")]
    [DataRow("signed by a stranger", TufFailure.NotSigned, "timestamp", Unchanged)]
    [DataRow("root signed by the new keys only", TufFailure.NotSigned, "root", Unchanged)]
    [DataRow("root signed by the old keys only", TufFailure.NotSigned, "root", Unchanged)]
    [DataRow("root lowers the threshold by its own word", TufFailure.NotSigned, "root", Unchanged)]
    [DataRow("root skips a version", TufFailure.Version, "root", Unchanged)]
    [DataRow("hashes of unknown algorithms only", TufFailure.Content, "snapshot", "root 1, timestamp 3, snapshot 2, targets 2")]
    public async Task Refuses_and_keeps_what_it_had(string attack, TufFailure failure, string role, string onDisk)
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        SortedDictionary<string, byte[]> before = world.Files();

        Attack(attack, world);
        TufException no = await world.RefusalAsync();

        Assert.AreEqual((failure, role), (no.Failure, no.Role), no.Message);
        Assert.StartsWith($"TUF {role} ", no.Message);
        Assert.AreEqual(onDisk, world.OnDisk());
        // What was not replaced by something accepted is as it was, byte for byte.
        foreach ((string file, byte[] bytes) in world.Files().Where(file => onDisk.Contains($"{file.Key.Split('.')[0]} {(file.Key == "root.json" ? 1 : 2)}", StringComparison.Ordinal)))
        {
            CollectionAssert.AreEqual(before[file], bytes, file);
        }

        test.WriteLine(no.Message);
    }

    [TestMethod]
    [Clause("U.43", "U.44", "U.45", "U.46")]
    [DataRow("version", "1.0")]
    [DataRow("version", "3e0")]
    [DataRow("version", "\"3\"")]
    [DataRow("version", "0")]
    [DataRow("version", "-1")]
    [DataRow("version", "9223372036854775808")]
    [DataRow("version", "9223372036854775807")]
    [DataRow("version", "null")]
    [DataRow("version", "[3]")]
    [DataRow("expires", "\"2027-01-01T00:00:00+00:00\"")]
    [DataRow("expires", "\"2027-01-01T00:00:00.5Z\"")]
    [DataRow("expires", "\"2027-01-01 00:00:00Z\"")]
    [DataRow("expires", "\"2027-01-01T00:00:00\"")]
    [DataRow("expires", "\"2027-02-30T00:00:00Z\"")]
    [DataRow("expires", "1798761600")]
    [DataRow("spec_version", "\"2.0.0\"")]
    [DataRow("spec_version", "\"1\"")]
    [DataRow("spec_version", "\"1.0.0-x\"")]
    [DataRow("spec_version", "1")]
    [DataRow("_type", "\"Timestamp\"")]
    [DataRow("_type", "null")]
    [DataRow("meta", "null")]
    [DataRow("meta", "[]")]
    [DataRow("meta", "{}")]
    [DataRow("meta", "{\"snapshot.json\":null}")]
    [DataRow("meta", "{\"snapshot.json\":3}")]
    [DataRow("meta", "{\"snapshot.json\":{}}")]
    [DataRow("meta", "{\"snapshot.json\":{\"version\":0}}")]
    [DataRow("meta", "{\"snapshot.json\":{\"version\":2,\"length\":-1}}")]
    [DataRow("meta", "{\"snapshot.json\":{\"version\":2,\"hashes\":[]}}")]
    [DataRow("meta", "{\"snapshot.json\":{\"version\":2,\"hashes\":{\"sha256\":\"zz\"}}}")]
    [DataRow("meta", "{\"snapshot.json\":{\"version\":2,\"hashes\":{\"sha256\":1}}}")]
    [DataRow("custom", "1.5")]
    public async Task Refuses_a_timestamp_of_another_shape_although_it_is_signed(string member, string json)
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        JsonObject content = world.Repository["timestamp"].DeepClone().AsObject();
        content["version"] = 3;
        content[member] = JsonNode.Parse(json);
        byte[] bytes = TufRepository.Envelope(content, world.Repository.Signers["timestamp"]);
        world.Repository.Files["timestamp.json"] = bytes;

        TufException no = await world.RefusalAsync();

        Assert.AreEqual((TufFailure.Malformed, "timestamp"), (no.Failure, no.Role), no.Message);
        Assert.AreEqual(Unchanged, world.OnDisk());
    }

    [TestMethod]
    [Clause("U.42")]
    [DataRow("a duplicate", "\"signed\"", "\"signatures\": [], \"signed\"")]
    [DataRow("a duplicate inside", "\"version\": 2", "\"version\": 1, \"version\": 2")]
    [DataRow("a duplicate spelled otherwise", "\"version\": 2", "\"versio\\u006e\": 1, \"version\": 2")]
    [DataRow("something after the end", "\"spec_version\": \"1.0\",", "\"spec_version\": \"1.0\", ,")]
    [DataRow("no signature list", "\"signatures\": [", "\"signatures\": 1, \"x\": [")]
    [DataRow("a comment", "{", "/* */ {")]
    [DataRow("no object", "{", "[{")]
    public async Task Refuses_a_timestamp_that_is_no_strict_json(string what, string was, string becomes)
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        string text = Encoding.UTF8.GetString(world.Repository.Files["timestamp.json"]);
        string changed = text[..text.IndexOf(was, StringComparison.Ordinal)] + becomes + text[(text.IndexOf(was, StringComparison.Ordinal) + was.Length)..];
        Assert.AreNotEqual(text, changed, what);
        world.Repository.Files["timestamp.json"] = Encoding.UTF8.GetBytes(changed);

        Assert.AreEqual(TufFailure.Malformed, (await world.RefusalAsync()).Failure);
        Assert.AreEqual(Unchanged, world.OnDisk());
    }

    [TestMethod]
    [Clause("U.56")]
    [DataRow(2000)]
    [DataRow(200_000)]
    public async Task Refuses_metadata_that_nests_too_deep(int depth)
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        string text = Encoding.UTF8.GetString(world.Repository.Files["2.snapshot.json"]);
        world.Repository.Publish("snapshot");
        world.Repository.Files["3.snapshot.json"] = Encoding.UTF8.GetBytes(text.Replace("\"spec_version\"", $"\"deep\": {new string('[', depth)}{new string(']', depth)}, \"spec_version\"", StringComparison.Ordinal));

        Assert.AreEqual((TufFailure.Malformed, "snapshot"), await world.RefusalAsync() is var no ? (no.Failure, no.Role) : default);
    }

    [TestMethod]
    [Clause("U.1")]
    [DataRow("test_invalid_initial_root[version]")]
    [DataRow("test_invalid_initial_root[text]")]
    [DataRow("test_invalid_initial_root[empty]")]
    [DataRow("test_unsigned_initial_root")]
    public async Task Asks_nobody_with_a_first_root_that_is_none(string what)
    {
        await using TufWorld world = await TufWorld.StartAsync();
        JsonNode root = JsonNode.Parse(world.FirstRoot)!;
        if (what == "test_unsigned_initial_root")
        {
            root["signatures"]![0]!["sig"] = root["signatures"]![1]!["sig"]!.DeepClone();
            root["signatures"]!.AsArray().RemoveAt(2);
        }

        root["signed"]!.AsObject().Remove(what == "test_invalid_initial_root[version]" ? "version" : "");
        world.FirstRoot = what switch
        {
            "test_invalid_initial_root[text]" => "not a root"u8.ToArray(),
            "test_invalid_initial_root[empty]" => [],
            _ => Encoding.UTF8.GetBytes(root.ToJsonString()),
        };

        TufException no = await world.RefusalAsync();

        Assert.AreEqual((what == "test_unsigned_initial_root" ? TufFailure.NotSigned : TufFailure.Malformed, "root"), (no.Failure, no.Role), no.Message);
        Assert.IsEmpty(world.Repository.Requests);
        Assert.IsEmpty(world.Files());
    }

    [TestMethod]
    [Clause("U.59")]
    [DataRow("signatures")]
    [DataRow("keys")]
    [DataRow("keyids")]
    public void Reads_1024_keys_and_signatures_and_no_more(string what)
    {
        RootMetadata.Parse(Root(1024));
        var no = Assert.Throws<FormatException>(() => RootMetadata.Parse(Root(1025)));
        Assert.Contains("1024", no.Message);
        Assert.Contains(what, no.Message);

        byte[] Root(int count)
        {
            JsonNode root = JsonNode.Parse(new TufRepository(new SettableClock(Tokens.Now)).FirstRoot)!;
            JsonArray signatures = root["signatures"]!.AsArray(), ids = root["signed"]!["roles"]!["timestamp"]!["keyids"]!.AsArray();
            JsonObject keys = root["signed"]!["keys"]!.AsObject();
            JsonNode key = keys.First().Value!;
            for (int i = what switch { "signatures" => signatures.Count, "keys" => keys.Count, _ => ids.Count }; i < count; i++)
            {
                switch (what)
                {
                    case "signatures":
                        signatures.Add(new JsonObject { ["keyid"] = $"{i}", ["sig"] = "00" });
                        break;
                    case "keys":
                        keys[$"{i}"] = key.DeepClone();
                        break;
                    default:
                        ids.Add($"{i}");
                        break;
                }
            }

            return Encoding.UTF8.GetBytes(root.ToJsonString());
        }
    }

    private static void Attack(string name, TufWorld world)
    {
        TufRepository repository = world.Repository;
        switch (name)
        {
            case "test_new_timestamp_version_rollback":
                repository["timestamp"]["version"] = 1;
                repository.Sign("timestamp");
                break;
            case "test_snapshot_rollback[basic]" or "test_snapshot_rollback[with hashes]":
                repository.HashesInMeta = name.Contains("hashes", StringComparison.Ordinal);
                repository["snapshot"]["version"] = 1;
                repository.Sign("snapshot");
                repository.Publish("timestamp");
                break;
            case "test_targets_rollback":
                repository["targets"]["version"] = 0;
                repository.Publish("targets");
                break;
            case "test_targets_role_removal":
                repository["snapshot"]["meta"]!.AsObject().Remove("rekor.json");
                repository.Publish("snapshot");
                break;
            case "test_root_expired" or "test_timestamp_expired" or "test_snapshot_expired" or "test_targets_expired":
                repository.Expire(name.Split('_')[1]);
                break;
            case "test_expired_local_timestamp":
                world.Clock.Now += TimeSpan.FromDays(7);
                break;
            case "test_expired_local_root":
                world.Clock.Now += TimeSpan.FromDays(198);
                break;
            case "test_snapshot_hash_mismatch" or "test_new_targets_hash_mismatch":
                repository.HashesInMeta = true;
                repository.Publish("targets");
                string file = name.Contains("targets", StringComparison.Ordinal) ? "3.targets.json" : "3.snapshot.json";
                repository.Files[file] = Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(repository.Files[file]).Replace("1.0", "1.1", StringComparison.Ordinal));
                break;
            case "hashes of unknown algorithms only":
                repository.Publish("targets");
                repository["timestamp"]["meta"]!["snapshot.json"]!["hashes"] = new JsonObject { ["blake3"] = "00" };
                repository.Serve("timestamp", repository["timestamp"], repository.Signers["timestamp"]);
                break;
            case "timestamp lists more than the snapshot":
                repository["timestamp"]["meta"]!["targets.json"] = new JsonObject { ["version"] = 1 };
                repository.Publish("timestamp");
                break;
            case "signed by a stranger":
                repository.Signers["timestamp"] = [TufSigner.Create()];
                repository.Publish("timestamp");
                break;
            default:
                AttackKeys(name, world);
                break;
        }
    }

    private static void AttackKeys(string name, TufWorld world)
    {
        TufRepository repository = world.Repository;
        string role = name.Split('[').Last().TrimEnd(']');
        TufSigner known = repository.Signers["snapshot"][0];
        switch (name)
        {
            case "test_unsigned_metadata[root]" or "test_unsigned_metadata[timestamp]" or "test_unsigned_metadata[snapshot]" or "test_unsigned_metadata[targets]":
                repository.Signers[role] = [];
                repository.Publish(role);
                break;
            case "test_url_and_metadata_version_mismatch[root]":
                repository["root"]["version"] = 2;
                repository.Publish("root");
                repository.Files["2.root.json"] = repository.Files["3.root.json"];
                break;
            case "test_url_and_metadata_version_mismatch[snapshot]" or "test_url_and_metadata_version_mismatch[targets]":
                repository.Publish("targets");
                JsonObject next = repository[role].DeepClone().AsObject();
                next["version"] = 4;
                repository.Files[$"3.{role}.json"] = TufRepository.Envelope(next, repository.Signers[role]);
                break;
            case "test_incorrect_metadata_type[timestamp]":
                repository.Files["timestamp.json"] = repository.Files["2.snapshot.json"];
                break;
            case "test_incorrect_metadata_type[root]":
                repository.Files["2.root.json"] = repository.Files["2.targets.json"];
                break;
            case "test_snapshot_does_not_meet_threshold":
                repository.SetKeys("snapshot", 2, known, TufSigner.Create());
                repository.Signers["snapshot"] = [known];
                repository.Publish("root", "snapshot");
                break;
            case "test_snapshot_has_too_few_keys":
                repository.SetKeys("snapshot", 2, known);
                repository["root"]["roles"]!["snapshot"]!["keyids"]!.AsArray().Add("00");
                repository.Publish("root", "snapshot");
                break;
            case "test_duplicate_keys":
                repository.SetKeys("snapshot", 2, known);
                repository["root"]["keys"]!["another-id"] = known.Key.DeepClone();
                repository["root"]["roles"]!["snapshot"]!["keyids"]!.AsArray().Add("another-id");
                repository.Publish("root", "snapshot");
                JsonNode twice = JsonNode.Parse(repository.Files["3.snapshot.json"])!;
                JsonNode again = twice["signatures"]![0]!.DeepClone();
                again["keyid"] = "another-id";
                twice["signatures"]!.AsArray().Add(again);
                repository.Files["3.snapshot.json"] = Encoding.UTF8.GetBytes(twice.ToJsonString());
                break;
            case "test_duplicate_sig_keyids":
                repository.Signers["timestamp"] = [known, known];
                repository.Publish("timestamp");
                break;
            case "threshold of zero":
                repository["root"]["roles"]!["timestamp"]!["threshold"] = 0;
                repository.Publish("root");
                break;
            case "key of an unknown kind":
                TufSigner odd = TufSigner.Create();
                odd.Key["scheme"] = "ecdsa-sha2-nistp999";
                repository.SetKeys("timestamp", 1, odd);
                repository.Publish("root", "timestamp");
                break;
            case "snapshot lists no targets":
                // Under new keys, since under the old ones leaving it out is a rollback.
                repository.RotateKeys("snapshot");
                repository["snapshot"]["version"] = 1;
                repository["snapshot"]["meta"]!.AsObject().Remove("targets.json");
                repository.Serve("snapshot", repository["snapshot"], repository.Signers["snapshot"]);
                repository["timestamp"]["version"] = 1;
                repository.Sign("timestamp");
                break;
            case "root signed by the new keys only" or "root signed by the old keys only":
                List<TufSigner> old = repository.Signers["root"];
                repository.SetKeys("root", 2, TufSigner.Create(), TufSigner.Create());
                repository.Signers["root"] = name.Contains("old", StringComparison.Ordinal) ? old : repository.Signers["root"];
                repository.Publish("root");
                break;
            case "root lowers the threshold by its own word":
                repository.SetKeys("root", 1, repository.Signers["root"]);
                repository.Signers["root"].RemoveRange(1, 2);
                repository.Publish("root");
                break;
            case "root skips a version":
                repository["root"]["version"] = 2;
                repository.Sign("root");
                repository["root"]["version"] = 3;
                repository.Files["2.root.json"] = repository.Sign("root");
                break;
            default:
                Assert.Fail(name);
                break;
        }
    }
}
