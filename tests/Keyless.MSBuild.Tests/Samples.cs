using Keyless.Sandbox;
using Keyless.Testing;

namespace Keyless.MSBuild.Tests;

/// <summary>
/// Copies of the samples that use the packed package. HelloContainer is restored and built once; every run after that publishes a copy of
/// what was built, so that several can run side by side: publishing writes into obj/ even without building.
/// </summary>
internal static class Samples
{
    private static readonly TemporaryFolder Folder = new();
    private static readonly Lazy<Task<DotNetResult>> BuildingHello = new(() => PrepareAsync("HelloContainer", ["build", "-c", "Release"]));
    private static readonly Lazy<Task<DotNetResult>> RestoringDeploy = new(() => PrepareAsync("DeployVerified", ["restore"]));

    private static int runs;

    /// <summary><c>dotnet publish</c> of HelloContainer against a sandbox.</summary>
    public static async Task<Published> PublishAsync(
        SandboxHost sandbox, IReadOnlyDictionary<string, string> environment, IEnumerable<string> properties, CancellationToken cancel, string target = "-t:PublishContainer")
    {
        MustBeReady(await BuildingHello.Value);
        string run = $"run-{Interlocked.Increment(ref runs)}", own = Folder[run];
        sandbox.WriteTo(Path.Combine(own, "sandbox"));
        DotNetResult result = await DotNet.RunAsync(
            Folder.CopyBuilt("HelloContainer", $"{run}/HelloContainer"),
            [
                "publish", "-c", "Release", "--no-build", "-tl:off", target,
                $"-p:PublishDir={own}/publish/", $"-p:ContainerSigningBundleDirectory={own}/bundles",
                $"-p:SigstoreInstance={own}/sandbox/client_trust_config.json",
                $"-p:ContainerBaseImage={sandbox.BaseImage}", $"-p:ContainerRegistry={sandbox.RegistryHost}", "-p:ContainerRepository=hello",
                .. properties,
            ],
            await EnvironmentAsync(environment),
            cancel);
        return new Published(result, own);
    }

    /// <summary><c>dotnet</c> in a folder of the test's own, with the package, a sandbox's services and its registry.</summary>
    /// <param name="project">Has what a sample has beside its project file.</param>
    public static async Task<DotNetResult> RunAsync(SandboxHost sandbox, string project, IEnumerable<string> arguments, CancellationToken cancel)
    {
        string world = Path.Combine(project, "obj", "sandbox");
        sandbox.WriteTo(world);
        return await DotNet.RunAsync(
            project,
            [
                .. arguments, "-tl:off", $"-p:SigstoreInstance={world}/client_trust_config.json", $"-p:ContainerBaseImage={sandbox.BaseImage}",
                // Several runtimes want packages that nothing here needs.
                $"-p:ContainerRegistry={sandbox.RegistryHost}", "-p:UseAppHost=false", "-p:EnableRuntimePackDownload=false",
            ],
            await EnvironmentAsync(sandbox.Environment),
            cancel);
    }

    /// <summary><c>dotnet publish</c> of a copy of HelloContainer that nobody has built: restored, compiled and pushed, as in a fresh clone.</summary>
    public static async Task<DotNetResult> PublishFromSourceAsync(
        SandboxHost sandbox, IReadOnlyDictionary<string, string> environment, IEnumerable<string> properties, CancellationToken cancel)
    {
        string own = Folder[$"run-{Interlocked.Increment(ref runs)}"];
        sandbox.WriteTo(Path.Combine(own, "sandbox"));
        string project = Folder.CopyFromRepository("samples/HelloContainer", $"{Path.GetFileName(own)}/HelloContainer");
        return await DotNet.RunAsync(
            project,
            [
                "publish", "-c", "Release", "-tl:off", "-t:PublishContainer",
                $"-p:SigstoreInstance={own}/sandbox/client_trust_config.json",
                $"-p:ContainerBaseImage={sandbox.BaseImage}", $"-p:ContainerRegistry={sandbox.RegistryHost}", "-p:ContainerRepository=hello",
                .. properties,
            ],
            await EnvironmentAsync(environment),
            cancel);
    }

    /// <summary><c>dotnet build -t:…</c> of DeployVerified.</summary>
    public static async Task<DotNetResult> DeployAsync(
        SandboxHost sandbox, string image, string signer, IEnumerable<string> properties, CancellationToken cancel, string target = "-t:VerifyContainerImages",
        IReadOnlyDictionary<string, string>? environment = null)
    {
        MustBeReady(await RestoringDeploy.Value);
        string own = Folder[$"run-{Interlocked.Increment(ref runs)}"];
        sandbox.WriteTo(Path.Combine(own, "sandbox"));
        return await DotNet.RunAsync(
            Folder["DeployVerified"],
            [
                "build", "--no-restore", "-tl:off", target,
                $"-p:Image={image}", $"-p:Signer={signer}", $"-p:SignerIssuer={sandbox.Issuer.Url}", $"-p:SigstoreTrustedRoot={own}/sandbox/trusted_root.json",
                .. properties,
            ],
            await EnvironmentAsync(environment ?? new Dictionary<string, string>()),
            cancel);
    }

    public static Task CleanAsync()
    {
        Folder.Dispose();
        return Task.CompletedTask;
    }

    private static async Task<DotNetResult> PrepareAsync(string sample, string[] arguments)
    {
        string project = Folder.CopyFromRepository($"samples/{sample}", sample);
        return await DotNet.RunAsync(project, [.. arguments, "-tl:off"], await EnvironmentAsync(new Dictionary<string, string>()), CancellationToken.None);
    }

    private static void MustBeReady(DotNetResult preparation) => Assert.AreEqual(0, preparation.ExitCode, preparation.ToString());

    private static async Task<IReadOnlyDictionary<string, string>> EnvironmentAsync(IReadOnlyDictionary<string, string> own)
    {
        var environment = new Dictionary<string, string>((await Setup.FeedAsync()).Environment);
        foreach ((string name, string value) in own)
        {
            environment[name] = value;
        }

        return environment;
    }
}

/// <param name="Folder">Where the run left its bundles.</param>
internal sealed record Published(DotNetResult Result, string Folder)
{
    public bool HasBundles => Directory.Exists(Path.Combine(Folder, "bundles")) && Directory.EnumerateFileSystemEntries(Path.Combine(Folder, "bundles")).Any();
}
