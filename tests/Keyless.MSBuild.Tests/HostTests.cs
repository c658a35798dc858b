using Keyless.Sandbox;
using Keyless.Testing;

namespace Keyless.MSBuild.Tests;

/// <summary>Where and how MSBuild runs our tasks, and what a machine may lack. Each row is one publish that signs.</summary>
[TestClass]
public sealed class HostTests
{
    private const string RanElsewhere = "Task \"KeylessSignContainer\" ran in TaskHost process";

    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow("the dotnet CLI")]
    [DataRow("several threads", "-mt")]
    public async Task Signs_in_the_process_of_the_build(string host, params string[] arguments)
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);

        string output = await PublishAsync(sandbox, sandbox.Environment, [.. arguments, "-v:diag"]);

        Assert.Contains("Task \"Keyless.MSBuild.KeylessSignContainer\"", output, host);
        Assert.DoesNotContain(RanElsewhere, output, host);
    }

    // As near as Linux comes to Visual Studio's MSBuild, which runs tasks with Runtime="NET" in a process of their own.
    [TestMethod]
    public async Task Signs_in_a_task_host()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);

        string output = await PublishAsync(sandbox, With(sandbox, ("MSBUILDFORCEALLTASKSOUTOFPROC", "1")), ["-v:diag"]);

        Assert.Contains(RanElsewhere, output);
    }

    [TestMethod]
    [DataRow("HOME", "")]
    [DataRow("HOME", "/dev/null/home", "DOTNET_CLI_HOME", "")]
    [DataRow("LANG", "tr_TR.UTF-8", "LC_ALL", "tr_TR.UTF-8", "DOTNET_CLI_UI_LANGUAGE", "tr")]
    [DataRow("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1")]
    [DataRow("TZ", "Asia/Kathmandu")]
    public async Task Signs_whatever_home_language_and_time_the_machine_has(params string[] variables)
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Inconclusive("these variables mean something on Unix");
        }

        using var folder = new TemporaryFolder();
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);
        (string, string)[] set = [.. variables.Chunk(2).Select(pair => (pair[0], pair[0] == "DOTNET_CLI_HOME" ? folder.Path : pair[1]))];

        // The trust root by TUF, since that wants a folder to keep things in.
        await File.WriteAllBytesAsync(folder["root.json"], sandbox.Tuf.FirstRoot, TestContext.CancellationToken);
        await PublishAsync(sandbox, With(sandbox, set), ["-p:SigstoreInstance=", $"-p:SigstoreTufUrl={sandbox.TufServer.BaseUrl}", $"-p:SigstoreTufRoot={folder["root.json"]}"]);
    }

    private async Task<string> PublishAsync(SandboxHost sandbox, IReadOnlyDictionary<string, string> environment, IEnumerable<string> arguments)
    {
        Published published = await Samples.PublishAsync(sandbox, environment, ["-p:SignContainer=true", .. arguments], TestContext.CancellationToken);

        Assert.AreEqual(0, published.Result.ExitCode, published.Result.ToString());
        string digest = sandbox.Registry.FindManifest("hello", "latest")!.Digest;
        Assert.HasCount(1, sandbox.Registry.Referrers("hello", digest));
        return published.Result.Output;
    }

    private static Dictionary<string, string> With(SandboxHost sandbox, params (string Name, string Value)[] more)
    {
        Dictionary<string, string> environment = sandbox.Environment.ToDictionary();
        foreach ((string name, string value) in more)
        {
            environment[name] = value;
        }

        return environment;
    }
}
