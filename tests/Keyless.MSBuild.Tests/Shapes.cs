using Keyless.Testing;

namespace Keyless.MSBuild.Tests;

/// <summary>
/// A console program and a web project with the packed package, built once, for one runtime and for two; every run publishes a copy with <c>--no-build</c>, by
/// <c>-t:PublishContainer</c> or by the DefaultContainer profile.
/// </summary>
internal static class Shapes
{
    private static readonly TemporaryFolder Folder = new();
    private static readonly Lazy<Task> Building = new(BuildAsync);

    private static int runs;

    /// <param name="targets">Imported after the SDK's, as a part of the project.</param>
    public static async Task<DotNetResult> PublishAsync(World world, bool byProfile, bool severalRuntimes, IEnumerable<string> more, string targets)
    {
        await Building.Value;
        int run = Interlocked.Increment(ref runs);
        string after = Folder.Write($"after-{run}.targets", targets);
        return await DotNet.RunAsync(
            Folder.CopyBuilt(byProfile ? "web" : "console", $"run-{run}"),
            [
                "publish", "--no-build", "-tl:off", byProfile ? "-p:PublishProfile=DefaultContainer" : "-t:PublishContainer", .. Offline, .. severalRuntimes ? Runtimes : [], .. more,
                "-p:ContainerRepository=app", $"-p:ContainerRegistry={world.Sandbox.RegistryHost}",
                $"-p:SigstoreInstance={world.PathOf("client_trust_config.json")}", "-p:ContainerSigningRetryBudget=00:00:00", $"-p:CustomAfterMicrosoftCommonTargets={after}",
            ],
            (await Setup.FeedAsync()).Environment.Concat(world.Environment).ToDictionary(),
            CancellationToken.None);
    }

    public static void Clean() => Folder.Dispose();

    private static string[] Runtimes => ["-p:RuntimeIdentifiers=\"linux-x64;linux-arm64\""];

    // Several runtimes want packs that a framework-dependent program does not need.
    private static string[] Offline => ["-p:UseAppHost=false", "-p:EnableRuntimePackDownload=false", "-p:EnableAppHostPackDownload=false"];

    private static async Task BuildAsync()
    {
        Folder.CopyFromRepository("samples/HelloContainer", "console");
        Folder.CopyFromRepository("samples/HelloContainer", "web");
        Directory.CreateDirectory(Folder["feed"]);
        string project = Folder["web/HelloContainer.csproj"];
        await File.WriteAllTextAsync(project, (await File.ReadAllTextAsync(project)).Replace("Microsoft.NET.Sdk\"", "Microsoft.NET.Sdk.Web\"", StringComparison.Ordinal));
        await Task.WhenAll(((string[])["console", "web"]).Select(async folder =>
        {
            await BuildAsync(folder, ["-restore", .. Runtimes]);
            await BuildAsync(folder, ["-p:RuntimeIdentifier=linux-x64", "-p:SelfContained=false", .. Runtimes]);
            await BuildAsync(folder, ["-p:RuntimeIdentifier=linux-arm64", "-p:SelfContained=false", .. Runtimes]);
        }));
    }

    private static async Task BuildAsync(string folder, string[] how)
    {
        DotNetResult build = await DotNet.RunAsync(
            Folder[folder], ["msbuild", "-t:Build", "-tl:off", "-p:Configuration=Release", .. Offline, .. how], (await Setup.FeedAsync()).Environment, CancellationToken.None);
        Assert.AreEqual(0, build.ExitCode, build.ToString());
    }
}
