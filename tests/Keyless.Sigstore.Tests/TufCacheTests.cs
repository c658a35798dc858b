using System.Diagnostics;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

/// <summary>What is on disk may be anything, and others may be at it at the same time.</summary>
[TestClass]
public sealed class TufCacheTests(TestContext test)
{
    [TestMethod]
    [Clause("U.51")]
    [DataRow("root.json")]
    [DataRow("root_history/2.root.json")]
    [DataRow("timestamp.json")]
    [DataRow("snapshot.json")]
    [DataRow("targets.json")]
    [DataRow("targets/artifact.txt")]
    public async Task Recovers_whatever_has_become_of_a_file(string file)
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        world.Repository.Publish("root", "targets");
        await (await world.RefreshAsync()).GetTargetAsync("artifact.txt", test.CancellationToken);
        byte[] good = world.Files()[file];
        string path = Path.Combine(world.Folder, file);
        JsonNode? changed = file.EndsWith(".json", StringComparison.Ordinal) ? JsonNode.Parse(good) : null;
        changed?["signed"]!["version"] = 77;
        foreach (byte[] content in (byte[][])[[], good[..(good.Length / 2)], [.. good, 0], new byte[good.Length], "{}"u8.ToArray(), Encoding.UTF8.GetBytes(changed?.ToJsonString() ?? "x"), [.. Enumerable.Repeat((byte)'[', 6_000_000)]])
        {
            await File.WriteAllBytesAsync(path, content, test.CancellationToken);

            byte[] target = await (await world.RefreshAsync()).GetTargetAsync("artifact.txt", test.CancellationToken);

            Assert.AreEqual("first", Encoding.UTF8.GetString(target));
            CollectionAssert.AreEqual(good, world.Files()[file], $"{content.Length} bytes");
        }

        File.Delete(path);
        await (await world.RefreshAsync()).GetTargetAsync("artifact.txt", test.CancellationToken);
        CollectionAssert.AreEqual(good, world.Files()[file]);
    }

    [TestMethod]
    [Clause("U.16")]
    public async Task Still_knows_the_snapshot_where_the_timestamp_is_lost()
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        File.Delete(Path.Combine(world.Folder, "timestamp.json"));
        world.Repository["snapshot"]["version"] = 1;
        world.Repository["targets"]["version"] = 1;
        world.Repository.Sign("snapshot");
        world.Repository.Publish("timestamp");

        TufException no = await world.RefusalAsync();

        Assert.AreEqual((TufFailure.Rollback, "timestamp"), (no.Failure, no.Role), no.Message);
    }

    [TestMethod]
    [Clause("U.51")]
    public async Task Takes_nothing_on_trust_because_it_is_in_the_cache()
    {
        await using TufWorld ours = await TufWorld.StartKnownAsync();
        await using TufWorld theirs = await TufWorld.StartKnownAsync();
        theirs.Repository.RotateKeys("root");
        await theirs.RefreshAsync();
        foreach ((string file, byte[] bytes) in theirs.Files())
        {
            await File.WriteAllBytesAsync(Path.Combine(ours.Folder, file), bytes, test.CancellationToken);
        }

        await ours.RefreshAsync();

        Assert.AreEqual("root 1, timestamp 2, snapshot 2, targets 2", ours.OnDisk());
        CollectionAssert.AreEqual(ours.Repository.Files["timestamp.json"], ours.Files()["timestamp.json"]);
    }

    [TestMethod]
    [DataRow("a file in its place")]
    [DataRow("a file above it")]
    [DataRow("a folder where a file goes")]
    [DataRow("no folder")]
    [DataRow("a name that cannot be")]
    public async Task Reaches_a_verdict_where_nothing_can_be_kept(string what)
    {
        await using TufWorld world = await TufWorld.StartAsync();
        world.Repository.AddTarget("file", "content"u8.ToArray());
        world.Repository.Publish("targets");
        string? folder = what switch
        {
            "a file in its place" => world.Temporary.Write("file", ""),
            "a file above it" => Path.Combine(world.Temporary.Write("file", ""), "cache"),
            "a folder where a file goes" => Path.GetDirectoryName(Directory.CreateDirectory(world.Temporary["cache/timestamp.json"]).FullName),
            "no folder" => null,
            _ => world.Temporary[new string('x', 300)],
        };
        var cache = new TufCache(folder);
        using HttpClient http = Clients.New();
        var client = new TufClient(world.Server.BaseUrl, world.FirstRoot, new Http(http, Clients.UserAgent), world.Clock, cache);

        await client.RefreshAsync(test.CancellationToken);

        Assert.AreEqual("content", Encoding.UTF8.GetString(await client.GetTargetAsync("file", test.CancellationToken)));
        Assert.IsNotNull(cache.Trouble);
        Assert.AreEqual(2, client.Trusted.Timestamp.Version);
    }

    [TestMethod]
    public async Task Is_its_users_alone()
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();

        // On Windows the folder inherits who may read it.
        if (!OperatingSystem.IsWindows())
        {
            Assert.AreEqual(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(world.Folder));
            foreach (string file in Directory.EnumerateFiles(world.Folder, "*.json", SearchOption.AllDirectories))
            {
                Assert.AreEqual(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file), file);
            }
        }
    }

    [TestMethod]
    public async Task Sweeps_what_a_writer_that_died_has_left()
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        string leftover = Path.Combine(world.Folder, ".unfinished-abc");
        await File.WriteAllTextAsync(leftover, "half", test.CancellationToken);
        world.Repository.Publish("timestamp");

        await world.RefreshAsync();

        Assert.IsFalse(File.Exists(leftover));
    }

    [TestMethod]
    [Clause("U.52")]
    public async Task Does_not_put_an_older_file_over_that_of_a_process_that_was_faster()
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        world.Repository.Publish("targets");
        bool first = true;
        world.Server.Intercept = async context =>
        {
            // Between the two requests of the slow client another one goes through, and sees more.
            if (first && context.Request.Path == "/3.snapshot.json")
            {
                first = false;
                world.Repository.RotateKeys("root");
                world.Repository.Publish("targets");
                await world.RefreshAsync();
            }
        };

        await world.RefreshAsync();

        Assert.AreEqual("root 2, timestamp 4, snapshot 4, targets 4", world.OnDisk());
    }

    [TestMethod]
    [Clause("U.52")]
    public async Task Waits_for_whoever_holds_the_lock()
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        world.Repository.Publish("timestamp");
        Task<TufClient> waiting;
        await using (new FileStream(Path.Combine(world.Folder, ".lock"), FileMode.Open, FileAccess.ReadWrite, FileShare.None))
        {
            waiting = world.RefreshAsync();
            await Task.Delay(300, test.CancellationToken);
            Assert.IsFalse(waiting.IsCompleted);
            Assert.AreEqual(2, world.Version("timestamp"));
        }

        await waiting;
        Assert.AreEqual(3, world.Version("timestamp"));
    }

    /// <summary>
    /// Real processes on one cache while the repository goes on. <c>KEYLESS_TUF_PROCESSES</c> and <c>KEYLESS_TUF_ROUNDS</c> make it large (32 and 20 for a release); each process reports what it saw.
    /// </summary>
    [TestMethod]
    [Clause("U.52")]
    public async Task Many_processes_share_one_cache_and_no_version_ever_goes_down()
    {
        int processes = Setting("KEYLESS_TUF_PROCESSES", 8), rounds = Setting("KEYLESS_TUF_ROUNDS", 3);
        // Reading what a child prints holds a thread of the pool for each of its pipes, and the pool grows by one a second: without this the server gets none.
        ThreadPool.SetMinThreads(2 * processes + 16, 2 * processes + 16);
        var repository = new TufRepository(TimeProvider.System, TufKeyKind.EcdsaP256, 1, 1);
        await using LoopbackServer server = await LoopbackServer.StartAsync("tuf", 0, new Traffic(), TimeProvider.System, repository.Map, cancel: test.CancellationToken);
        using var folder = new TemporaryFolder();
        folder.Write("root.json", Encoding.UTF8.GetString(repository.FirstRoot));
        Directory.CreateDirectory(folder["cache"]);
        File.Copy(folder["root.json"], folder["cache/root.json"]);
        using var done = CancellationTokenSource.CreateLinkedTokenSource(test.CancellationToken);
        var seen = new Dictionary<string, long>(StringComparer.Ordinal);
        int looks = 0;
        Task watching = Task.Run(async () =>
        {
            while (!done.IsCancellationRequested)
            {
                looks++;
                foreach (string role in (string[])["root", "timestamp", "snapshot", "targets"])
                {
                    string file = folder[$"cache/{role}.json"];
                    if (File.Exists(file))
                    {
                        // Half a file would not parse.
                        long version = (long)JsonNode.Parse(await File.ReadAllBytesAsync(file))!["signed"]!["version"]!;
                        Assert.IsGreaterThanOrEqualTo(seen.GetValueOrDefault(role), version, $"{role} went down");
                        seen[role] = version;
                    }
                }

                await Task.Delay(1);
            }
        }, CancellationToken.None);

        int failures = 0, starved = 0;
        var watch = Stopwatch.StartNew();
        for (int round = 0; round < rounds; round++)
        {
            Task<ToolResult>[] running = [.. Enumerable.Range(0, processes).Select(_ => RefreshUnstarvedAsync())];
            repository.Publish("root");
            while (!Task.WhenAll(running).IsCompleted)
            {
                repository.Publish("targets");
                await Task.Delay(20, test.CancellationToken);
            }

            foreach (ToolResult result in await Task.WhenAll(running))
            {
                failures += result.ExitCode == 0 ? 0 : 1;
                Assert.AreEqual("", result.Errors);
            }
        }

        await done.CancelAsync();
        await watching;
        ToolResult last = await RefreshUnstarvedAsync();
        test.WriteLine($"{processes} processes x {rounds} rounds in {watch.Elapsed.TotalSeconds:0} s: {failures} failed, {starved} starved and started again, {repository.Requests.Count} requests, {looks} looks, last seen {string.Join(", ", seen)}");
        Assert.AreEqual((0, 0), (failures, last.ExitCode), last.Errors);
        foreach (string role in (string[])["root", "timestamp", "snapshot", "targets"])
        {
            Assert.AreEqual(Encoding.UTF8.GetString(repository.Files[$"{role}.json"]), await File.ReadAllTextAsync(folder[$"cache/{role}.json"], test.CancellationToken), role);
        }

        Assert.IsEmpty(Directory.EnumerateFiles(folder["cache"], ".unfinished-*", SearchOption.AllDirectories));

        // On a machine that is busy with other things a request may wait longer than a client does; that says nothing about the cache.
        async Task<ToolResult> RefreshUnstarvedAsync()
        {
            for (int tries = 1; ; tries++)
            {
                ToolResult result = await RefreshAsync(server.BaseUrl, folder["cache"]);
                if (tries == 5 || !result.Errors.Contains("did not answer within", StringComparison.Ordinal))
                {
                    return result;
                }

                Interlocked.Increment(ref starved);
            }
        }
    }

    private static int Setting(string name, int otherwise) => int.TryParse(Environment.GetEnvironmentVariable(name), out int value) ? value : otherwise;

    private static Task<ToolResult> RefreshAsync(Uri url, string cache) => Tools.RunAsync(
        Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
        [typeof(Conformance.TufConformanceClient).Assembly.Location, "tuf", "--metadata-url", url.AbsoluteUri, "--metadata-dir", cache, "refresh"],
        cache,
        null,
        CancellationToken.None);
}
