using System.Diagnostics;
using System.Globalization;
using Keyless.Sandbox;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

/// <summary>The launchers as a conformance suite starts them: from anywhere, many at once, with next to no environment. The first one builds.</summary>
[TestClass]
public sealed class LauncherTests(TestContext test)
{
    [TestMethod]
    [Timeout(900_000, CooperativeCancellation = true)]
    public async Task Starts_from_anywhere_many_at_once_and_prints_nothing_of_the_build()
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Inconclusive("the launchers are scripts for bash");
        }

        var repository = new TufRepository(TimeProvider.System);
        repository.AddTarget("dir/the file", "content"u8.ToArray());
        repository.Publish("targets");
        await using LoopbackServer server = await LoopbackServer.StartAsync("tuf", 0, new Traffic(), TimeProvider.System, repository.Map, cancel: test.CancellationToken);
        using var folder = new TemporaryFolder();
        await File.WriteAllBytesAsync(folder["root.json"], repository.FirstRoot, test.CancellationToken);
        Directory.CreateDirectory(folder["a folder/with spaces"]);
        File.CreateSymbolicLink(folder["a folder/first"], Repository.PathTo("tests/Keyless.Conformance/keyless-tuf-conformance"));
        File.CreateSymbolicLink(folder["a folder/second"], "first");

        ToolResult[] results = await Task.WhenAll(Enumerable.Range(0, 4).Select(async i =>
        {
            string metadata = string.Create(CultureInfo.InvariantCulture, $"meta data {i}");
            ToolResult init = await RunAsync("--metadata-dir", metadata, "init", "../../root.json");
            return init.ExitCode != 0 ? init : await RunAsync(
                "--metadata-url", $"{server.BaseUrl}", "--metadata-dir", metadata, "--target-name", "dir/the file", "--target-dir", "targets", "--target-base-url", $"{server.BaseUrl}targets", "download");
        }));

        foreach (ToolResult result in results)
        {
            Assert.AreEqual((0, ""), (result.ExitCode, result.Output), result.Errors);
        }

        Assert.AreEqual("content", await File.ReadAllTextAsync(folder["a folder/with spaces/targets/dir%2Fthe%20file"], test.CancellationToken));
        Assert.AreEqual(2, (await RunAsync("refresh")).ExitCode);
        repository.Expire("timestamp");
        ToolResult refused = await RunAsync("--metadata-url", $"{server.BaseUrl}", "--metadata-dir", "meta data 0", "refresh");
        Assert.AreEqual((1, ""), (refused.ExitCode, refused.Output));
        Assert.StartsWith("reason: Expired (timestamp)", refused.Errors);

        Task<ToolResult> RunAsync(params string[] arguments) => StartAsync(folder["a folder/second"], folder["a folder/with spaces"], arguments);
    }

    [TestMethod]
    [Timeout(900_000, CooperativeCancellation = true)]
    public async Task Brings_shipped_roots_up_to_date_from_their_own_repository()
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Inconclusive("refresh-trust-roots.sh is a script for bash");
        }

        var repository = new TufRepository(TimeProvider.System);
        repository.AddTarget("trusted_root.json", "new"u8.ToArray());
        repository.Publish("targets");
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["roots"]);
        await File.WriteAllBytesAsync(folder["roots/team.root.json"], repository.FirstRoot, test.CancellationToken);
        await File.WriteAllTextAsync(folder["roots/team.trusted_root.json"], "old", test.CancellationToken);
        repository.RotateKeys("root");
        await using LoopbackServer server = await LoopbackServer.StartAsync("tuf", 0, new Traffic(), TimeProvider.System, repository.Map, cancel: test.CancellationToken);

        ToolResult refreshed = await RefreshAsync();
        Assert.AreEqual(0, refreshed.ExitCode, refreshed.Errors);
        CollectionAssert.AreEqual(repository.Files["2.root.json"], await File.ReadAllBytesAsync(folder["roots/team.root.json"], test.CancellationToken));
        Assert.AreEqual("new", await File.ReadAllTextAsync(folder["roots/team.trusted_root.json"], test.CancellationToken));

        // What is refused leaves the files as they were.
        repository.AddTarget("trusted_root.json", "newer"u8.ToArray());
        repository.Expire("timestamp");
        Assert.AreEqual(1, (await RefreshAsync()).ExitCode);
        Assert.AreEqual("new", await File.ReadAllTextAsync(folder["roots/team.trusted_root.json"], test.CancellationToken));

        Task<ToolResult> RefreshAsync() => StartAsync(Repository.PathTo("eng/refresh-trust-roots.sh"), folder.Path, "team", $"{server.BaseUrl}", folder["roots"]);
    }

    /// <summary>With nothing in its environment but <c>PATH</c>.</summary>
    private async Task<ToolResult> StartAsync(string program, string folder, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        string? path = start.Environment["PATH"];
        start.Environment.Clear();
        start.Environment["PATH"] = path;
        using Process process = Process.Start(start)!;
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync(test.CancellationToken), errors = process.StandardError.ReadToEndAsync(test.CancellationToken);
        await process.WaitForExitAsync(test.CancellationToken);
        return new ToolResult(process.ExitCode, await output, await errors);
    }
}
