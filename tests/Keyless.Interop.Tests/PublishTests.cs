using Keyless.Testing;

namespace Keyless.Interop.Tests;

/// <summary>The real targets, from a package, in a <c>dotnet</c> of their own: what a user types, and what cosign says to it.</summary>
[TestClass]
public sealed class PublishTests
{
    private static PackedFeed? feed;

    public required TestContext TestContext { get; init; }

    [ClassInitialize]
    public static async Task PackAsync(TestContext context) => feed = await PackedFeed.PackAsync(context.CancellationToken);

    [ClassCleanup]
    public static void Remove() => feed?.Dispose();

    [TestMethod]
    [DataRow(RegistryKind.Distribution, Log.Rekor1)]
    [DataRow(RegistryKind.Sandbox, Log.Rekor2Ed25519)]
    public async Task Cosign_accepts_what_dotnet_publish_signs(RegistryKind registry, Log log)
    {
        Tools.Require("cosign");
        await using World world = await World.StartAsync(registry, log, TestContext.CancellationToken);
        string project = world.Folder.CopyFromRepository("samples/HelloContainer", "HelloContainer");

        DotNetResult publish = await DotNet.RunAsync(
            project,
            [
                "publish", "-t:PublishContainer", "-p:SignContainer=true", "-tl:off",
                $"-p:SigstoreInstance={world.Folder["client_trust_config.json"]}",
                $"-p:ContainerBaseImage={world.Sandbox.BaseImage}",
                $"-p:ContainerRegistry={world.RegistryHost}",
                "-p:ContainerImageTag=1.0",
            ],
            feed!.Environment.Concat(world.Sandbox.Environment).ToDictionary(),
            TestContext.CancellationToken);
        Assert.AreEqual(0, publish.ExitCode, publish.ToString());
        ToolResult verify = await world.Cosign3.VerifyAsync($"{world.RegistryHost}/hello:1.0");

        Assert.AreEqual(0, verify.ExitCode, verify.ToString());
    }

    [TestMethod]
    public async Task Deploys_what_cosign_signed()
    {
        Tools.Require("cosign");
        await using World world = await World.StartAsync(RegistryKind.Distribution, Log.Rekor2Ed25519, TestContext.CancellationToken);
        string project = world.Folder.CopyFromRepository("samples/DeployVerified", "DeployVerified");
        string image = await world.PushAsync();
        await world.Cosign3.SignAsync(image);

        DotNetResult deploy = await DotNet.RunAsync(
            project,
            [
                "build", "-t:Deploy", "-tl:off", $"-p:Image={image}", $"-p:Signer={world.Signer}", $"-p:SignerIssuer={world.Sandbox.Issuer.Url}",
                $"-p:SigstoreTrustedRoot={world.Folder["trusted_root.json"]}",
            ],
            feed!.Environment,
            TestContext.CancellationToken);

        Assert.AreEqual(0, deploy.ExitCode, deploy.ToString());
        Assert.Contains($"would deploy {image}", deploy.Output);
    }
}
