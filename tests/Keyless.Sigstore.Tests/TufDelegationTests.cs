using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

/// <summary>Which role may speak for a target, and who may speak for a role.</summary>
[TestClass]
public sealed class TufDelegationTests(TestContext test)
{
    [TestMethod] // test_graph_traversal: role>below[!terminating][=pattern]
    [Clause("U.31")]
    [DataRow("one", "targets>A", "A")]
    [DataRow("two beside each other", "targets>A targets>B", "A B")]
    [DataRow("two levels", "targets>A targets>B B>C", "A B C")]
    [DataRow("depth before breadth", "targets>A targets>B A>C A>D", "A C D B")]
    [DataRow("three levels, depth before breadth", "targets>A targets>B A>C C>D", "A C D B")]
    [DataRow("terminating ends with its own", "targets>A targets>B A>C! A>D", "A C")]
    [DataRow("terminating goes on below", "targets>A targets>B A>C! C>D", "A C D")]
    [DataRow("another pattern, with all below it", "targets>A=*.py targets>B A>C", "B")]
    [DataRow("another pattern on the second level", "targets>A targets>B A>C=*.py C>D", "A B")]
    [DataRow("a circle", "targets>A targets>B B>C C>D D>B", "A B C D")]
    [DataRow("twice the same role", "targets>A targets>B B>C A>C", "A C B")]
    [DataRow("the same role by another way", "targets>A targets>B B>C A>C=*.py", "A B C")]
    [DataRow("a terminating one that does not match does not end it", "targets>A!=*.py targets>B", "B")]
    [DataRow("to itself", "targets>A A>A", "A")]
    public async Task Searches_in_the_order_of_the_delegations(string what, string graph, string visited)
    {
        await using TufWorld world = await TufWorld.StartAsync();
        foreach (string edge in graph.Split(' '))
        {
            string[] parts = edge.Split('>', '=');
            world.Repository.Delegate(parts[0], parts[1].TrimEnd('!'), parts[1].EndsWith('!'), parts.Length > 2 ? parts[2] : "*");
        }

        foreach (string role in graph.Split(' ', '>', '=').Select(part => part.TrimEnd('!')).Where(part => part.Length == 1).Distinct())
        {
            world.Repository.Sign(role);
        }

        world.Repository.Publish("targets");

        TufException no = await MissingAsync(world, "missing");

        Assert.AreEqual((TufFailure.Missing, "targets"), (no.Failure, no.Role), what);
        Assert.AreEqual(visited, string.Join(' ', world.Repository.Requests.Skip(4).Select(path => path.Split('.')[1])), what);
    }

    [TestMethod] // test_targetfile_search
    [Clause("U.31")]
    [DataRow("targetfile", "targetfile content", "")]
    [DataRow("README.md", "by A", "A")]
    [DataRow("releases/x/x_v1", "by C", "B C")]
    [DataRow("releases/y/y_v1.zip", "by D", "B D")]
    [DataRow("releases/z/z_v1.zip", null, "B")]
    [DataRow("releases/x/deep/x_v1", null, "")]
    public async Task Finds_a_target_only_where_all_above_have_delegated_it(string name, string? content, string visited)
    {
        await using TufWorld world = await TufWorld.StartAsync();
        TufRepository repository = world.Repository;
        repository.Delegate("targets", "A", false, "*.doc", "*.md");
        repository.Delegate("targets", "B", false, "releases/*/*");
        repository.Delegate("B", "C", false, "releases/x/*");
        repository.Delegate("B", "D", false, "releases/y/*.zip");
        repository.AddTarget("targetfile", "targetfile content"u8.ToArray());
        repository.AddTarget("README.md", "by A"u8.ToArray(), "A");
        repository.AddTarget("releases/x/x_v1", "by C"u8.ToArray(), "C");
        repository.AddTarget("releases/x/deep/x_v1", "by C"u8.ToArray(), "C");
        repository.AddTarget("releases/y/y_v1.zip", "by D"u8.ToArray(), "D");
        repository.AddTarget("releases/z/z_v1.zip", "by D"u8.ToArray(), "D");
        repository.Publish("targets", "A", "B", "C", "D");

        if (content is null)
        {
            await MissingAsync(world, name);
        }
        else
        {
            Assert.AreEqual(content, Encoding.UTF8.GetString(await (await world.RefreshAsync()).GetTargetAsync(name, test.CancellationToken)));
        }

        Assert.AreEqual(visited, string.Join(' ', world.Repository.Requests.Skip(4).Where(path => !path.StartsWith("targets/", StringComparison.Ordinal)).Select(path => path.Split('.')[1])));
    }

    [TestMethod]
    [DataRow("a/*", "a/b", true)]
    [DataRow("a/*", "a/b/c", false)]
    [DataRow("a/*", "a/", true)]
    [DataRow("*", "a/b", false)]
    [DataRow("*/*", "a/b", true)]
    [DataRow("a?c", "abc", true)]
    [DataRow("a?c", "a/c", false)]
    [DataRow("a?c", "ac", false)]
    [DataRow("*.tgz", "x.tgz", true)]
    [DataRow("*.tgz", "x.TGZ", false)]
    [DataRow("**", "anything", true)]
    [DataRow("*a*b*c", "xxaxxbxxc", true)]
    [DataRow("*a*b*c", "xxaxxcxxb", false)]
    [DataRow("[ab]x", "bx", true)]
    [DataRow("[ab]x", "cx", false)]
    [DataRow("[a-c]x", "bx", true)]
    [DataRow("[!a-c]x", "dx", true)]
    [DataRow("[!a-c]x", "bx", false)]
    [DataRow("[a-c]", "a", true)]
    [DataRow("[a-c]", "c", true)]
    [DataRow("[b-d]", "a", false)]
    [DataRow("[axc]", "b", false)]
    [DataRow("[a]", "a", true)]
    [DataRow("[a]x", "ax", true)]
    [DataRow("[a-]x", "-x", true)]
    [DataRow("a[", "a[", true)]
    [DataRow("[]x]", "]", true)]
    [DataRow("[ab", "[ab", true)]
    [DataRow("", "", true)]
    [DataRow("", "a", false)]
    [DataRow("ä*", "äöü", true)]
    public void Matches_patterns_as_a_shell_does_within_one_folder(string pattern, string path, bool matches) =>
        Assert.AreEqual(matches, PathPattern.Matches(pattern, path));

    [TestMethod]
    [Timeout(10_000, CooperativeCancellation = true)]
    public void Is_not_slowed_down_by_a_pattern_of_many_stars() =>
        Assert.IsFalse(PathPattern.Matches(string.Concat(Enumerable.Repeat("*a", 2000)) + "b", new string('a', 20_000)));

    [TestMethod]
    public async Task Finds_targets_by_the_hash_of_their_path()
    {
        await using TufWorld world = await TufWorld.StartAsync();
        string hash = Convert.ToHexStringLower(SHA256.HashData("file"u8));
        world.Repository.Delegate("targets", "ours", false, $"#{hash[..3]}");
        world.Repository.Delegate("targets", "theirs", false, $"#{(hash[0] == '0' ? '1' : '0')}");
        world.Repository.AddTarget("file", "ours"u8.ToArray(), "ours");
        world.Repository.AddTarget("file", "theirs"u8.ToArray(), "theirs");
        world.Repository.Publish("targets", "ours", "theirs");

        Assert.AreEqual("ours", Encoding.UTF8.GetString(await (await world.RefreshAsync()).GetTargetAsync("file", test.CancellationToken)));
        Assert.AreEqual("root 1, timestamp 2, snapshot 2, targets 2, ours 2", world.OnDisk());
    }

    [TestMethod] // test_unusual_role_name
    [Clause("U.36")]
    [DataRow("?")]
    [DataRow("#")]
    [DataRow("/delegatedrole")]
    [DataRow("../delegatedrole")]
    [DataRow(@"..\x")]
    [DataRow("a b")]
    [DataRow("%2e%2e")]
    [DataRow("ü")]
    [DataRow("NUL")]
    [DataRow("...")]
    public async Task Asks_for_and_keeps_roles_of_unusual_names(string role)
    {
        await using TufWorld world = await TufWorld.StartAsync();
        world.Repository.Delegate("targets", role, false, "*");
        world.Repository.Publish("targets", role);

        await MissingAsync(world, "missing");

        Assert.AreEqual($"2.{Uri.EscapeDataString(role)}.json", world.Repository.Requests[^1]);
        Assert.HasCount(5, Directory.GetFiles(world.Folder, "*.json"));
        Assert.HasCount(1, Directory.GetDirectories(world.Temporary.Path));
        world.Repository.ForgetRequests();
        await MissingAsync(world, "missing");
        Assert.HasCount(2, world.Repository.Requests);
    }

    [TestMethod]
    [Clause("U.55")]
    [DataRow("timestamp")]
    [DataRow("root")]
    [DataRow("targets")]
    [DataRow("Snapshot")]
    [DataRow("")]
    public async Task Refuses_a_delegated_role_with_a_name_that_is_taken(string role)
    {
        await using TufWorld world = await TufWorld.StartAsync();
        world.Repository.Delegate("targets", "A", false, "*");
        world.Repository["targets"]["delegations"]!["roles"]![0]!["name"] = role;
        world.Repository.Publish("targets");

        TufException no = await world.RefusalAsync();

        Assert.AreEqual((TufFailure.Malformed, "targets"), (no.Failure, no.Role), no.Message);
        Assert.AreEqual("root 1, timestamp 2, snapshot 2", world.OnDisk());
    }

    [TestMethod]
    [Clause("U.40", "U.41", "U.55")]
    [DataRow("both", "path_hash_prefixes", "[\"00\"]")]
    [DataRow("neither", "paths", "null")]
    [DataRow("no list", "paths", "\"*\"")]
    [DataRow("a list with null", "paths", "[null]")]
    [DataRow("threshold", "threshold", "0")]
    [DataRow("terminating", "terminating", "\"no\"")]
    [DataRow("keyids twice", "keyids", "[\"a\",\"a\"]")]
    [DataRow("keyids missing", "keyids", "null")]
    public async Task Refuses_a_delegation_of_another_shape(string what, string member, string json)
    {
        await using TufWorld world = await TufWorld.StartAsync();
        world.Repository.Delegate("targets", "A", false, "*");
        world.Repository["targets"]["delegations"]!["roles"]![0]![member] = JsonNode.Parse(json);
        world.Repository.Publish("targets");

        Assert.AreEqual(TufFailure.Malformed, (await world.RefusalAsync()).Failure, what);
    }

    [TestMethod]
    [Clause("U.55")]
    public async Task Refuses_two_delegations_of_one_name()
    {
        await using TufWorld world = await TufWorld.StartAsync();
        world.Repository.Delegate("targets", "A", false, "*");
        JsonArray roles = world.Repository["targets"]["delegations"]!["roles"]!.AsArray();
        roles.Add(roles[0]!.DeepClone());
        world.Repository.Publish("targets");

        TufException no = await world.RefusalAsync();

        Assert.AreEqual((TufFailure.Malformed, "targets"), (no.Failure, no.Role), no.Message);
    }

    [TestMethod] // test_delegation_not_in_snapshot
    [Clause("U.32")]
    public async Task Refuses_a_role_that_the_snapshot_does_not_list()
    {
        await using TufWorld world = await TufWorld.StartAsync();
        world.Repository.Delegate("targets", "A", false, "*");
        world.Repository.Publish("targets", "A");
        world.Repository["snapshot"]["meta"]!.AsObject().Remove("A.json");
        world.Repository.Serve("snapshot", world.Repository["snapshot"], world.Repository.Signers["snapshot"]);

        TufException no = await MissingAsync(world, "file");

        Assert.AreEqual((TufFailure.Missing, "A"), (no.Failure, no.Role), no.Message);
        Assert.DoesNotContain("2.A.json", world.Repository.Requests);
    }

    [TestMethod]
    [Clause("U.33")]
    [DataRow("unsigned", TufFailure.NotSigned)]
    [DataRow("expired", TufFailure.Expired)]
    [DataRow("version", TufFailure.Version)]
    [DataRow("hash", TufFailure.Content)]
    public async Task Refuses_a_delegated_role_that_is_not_what_was_delegated(string what, TufFailure failure)
    {
        await using TufWorld world = await TufWorld.StartAsync();
        TufRepository repository = world.Repository;
        repository.Delegate("targets", "A", false, "*");
        repository.AddTarget("file", "content"u8.ToArray(), "A");
        repository.Signers["A"] = what == "unsigned" ? [TufSigner.Create()] : repository.Signers["A"];
        repository.HashesInMeta = what == "hash";
        repository.SetExpiry("A", TimeSpan.FromDays(what == "expired" ? -1 : 1));
        repository.Publish("targets", "A");
        repository["A"]["version"] = what == "version" ? 3 : 2;
        repository.Files["2.A.json"] = TufRepository.Envelope(repository["A"], repository.Signers["A"]);

        TufException no = await MissingAsync(world, "file");

        Assert.AreEqual((failure, "A"), (no.Failure, no.Role), no.Message);
        Assert.AreEqual("root 1, timestamp 2, snapshot 2, targets 2", world.OnDisk());
    }

    [TestMethod] // test_cached_role_is_verified_against_current_delegator
    [Clause("U.33")]
    public async Task Verifies_a_kept_role_with_the_keys_of_whoever_delegates_to_it_now()
    {
        await using TufWorld world = await TufWorld.StartAsync();
        TufRepository repository = world.Repository;
        repository.Delegate("targets", "A", false, "a/*");
        repository.Delegate("targets", "B", false, "b/*");
        repository.Delegate("A", "shared", false, "*/*");
        repository.Delegate("B", "shared", false, "*/*");
        // B means another role of that name.
        repository["B"]["delegations"]!["keys"] = new JsonObject { ["other"] = TufSigner.Create().Key.DeepClone() };
        repository["B"]["delegations"]!["roles"]![0]!["keyids"] = new JsonArray("other");
        repository.AddTarget("a/file", "a"u8.ToArray(), "shared");
        repository.AddTarget("b/file", "b"u8.ToArray(), "shared");
        repository.Publish("targets", "A", "B", "shared");

        TufClient client = await world.RefreshAsync();
        Assert.AreEqual("a", Encoding.UTF8.GetString(await client.GetTargetAsync("a/file", test.CancellationToken)));
        TufException same = await Assert.ThrowsExactlyAsync<TufException>(() => client.GetTargetAsync("b/file", test.CancellationToken));
        TufException later = await MissingAsync(world, "b/file");

        Assert.AreEqual((TufFailure.NotSigned, "shared"), (same.Failure, same.Role), same.Message);
        Assert.AreEqual((TufFailure.NotSigned, "shared"), (later.Failure, later.Role), later.Message);
    }

    [TestMethod]
    [Clause("U.31")]
    [DataRow("a chain")]
    [DataRow("a fan")]
    public async Task Looks_into_no_more_roles_than_the_bound(string shape)
    {
        await using TufWorld world = await TufWorld.StartAsync();
        string[] roles = [.. Enumerable.Range(0, 100).Select(i => string.Create(CultureInfo.InvariantCulture, $"role{i}"))];
        for (int i = 0; i < roles.Length; i++)
        {
            world.Repository.Delegate(shape == "a fan" || i == 0 ? "targets" : roles[i - 1], roles[i], false, "*");
        }

        world.Repository.AddTarget("file", "content"u8.ToArray(), roles[^1]);
        world.Repository.Publish(["targets", .. roles]);

        TufException no = await MissingAsync(world, "file");

        Assert.AreEqual(TufFailure.Missing, no.Failure, no.Message);
        Assert.HasCount(4 + Limits.TufDelegations, world.Repository.Requests);
    }

    private async Task<TufException> MissingAsync(TufWorld world, string target)
    {
        TufClient client = await world.RefreshAsync();
        return await Assert.ThrowsExactlyAsync<TufException>(() => client.GetTargetAsync(target, test.CancellationToken));
    }
}
