using System.Text.Json.Nodes;
using Keyless.Testing;

namespace Keyless.Interop.Tests;

/// <summary>
/// Every shape of publish, in both formats of images, to both kinds of registry: what is signed, how often, and what cosign 3 says of the index and of
/// everything in it. The projects are built once; the rows publish with <c>--no-build</c>.
/// </summary>
[TestClass]
public sealed class PublishShapeTests
{
    private static readonly TemporaryFolder Folder = new();
    private static readonly Lazy<Task<PackedFeed>> Packing = new(() => PackedFeed.PackAsync(CancellationToken.None));
    private static readonly Lazy<Task> Building = new(BuildAsync);

    // Publishing writes into obj/ even without building.
    private static readonly SemaphoreSlim OnePublish = new(1, 1);

    public required TestContext TestContext { get; init; }

    [ClassCleanup]
    public static async Task RemoveAsync()
    {
        if (Packing.IsValueCreated)
        {
            (await Packing.Value).Dispose();
        }

        Folder.Dispose();
    }

    public static IEnumerable<object[]> Rows =>
        from shape in Enum.GetValues<Shape>()
        from format in (string[])["OCI", "Docker"]
        from registry in Enum.GetValues<RegistryKind>()
        select new object[] { shape, format, registry };

    [TestMethod]
    [DynamicData(nameof(Rows))]
    public async Task Signs_each_manifest_once_and_cosign_accepts_it(Shape shape, string format, RegistryKind registry)
    {
        Tools.Require("cosign");
        await Building.Value;
        await using World world = await World.StartAsync(registry, Log.Rekor2Ed25519, TestContext.CancellationToken);

        JsonNode output = await PublishAsync(world, shape, format);

        JsonArray signed = output["Items"]!["SignedContainer"]!.AsArray();
        string[] digests = [.. signed.Select(item => (string)item!["Digest"]!)];
        bool several = shape is Shape.SeveralRuntimes or Shape.SeveralRuntimesByProfile;
        Assert.HasCount(several ? 3 : 1, digests.Distinct().ToArray());
        Assert.HasCount(digests.Length, digests.Distinct().ToArray());
        Assert.AreEqual((string?)output["Properties"]!["ContainerSignedDigest"], digests[0]);
        Assert.StartsWith(format == "OCI" ? "application/vnd.oci.image." : "application/vnd.docker.distribution.manifest.", (string)signed[0]!["MediaType"]!);
        // One token, one certificate, whatever there is to sign; each digest is logged once.
        Assert.AreEqual((1, 1, digests.Length), (Count(world, "issuer"), Count(world, "fulcio"), Count(world, "rekor-v2")));
        foreach (string tag in shape == Shape.SeveralTags ? (string[])["1.0", "latest"] : ["1.0"])
        {
            ToolResult byTag = await world.Cosign3.VerifyAsync($"{world.RegistryHost}/app:{tag}");
            Assert.AreEqual(0, byTag.ExitCode, $"{tag}: {byTag}");
        }

        foreach (string digest in digests)
        {
            ToolResult verdict = await world.Cosign3.VerifyAsync($"{world.RegistryHost}/app@{digest}");
            Assert.AreEqual(0, verdict.ExitCode, $"{digest}: {verdict}");
            Assert.HasCount(1, JsonNode.Parse(verdict.Output)!.AsArray(), digest);
            TestContext.WriteLine($"| {shape} | {format} | {registry} | {digest} | accepted |");
        }
    }

    [TestMethod]
    [DataRow(Shape.SeveralTags, "1.0 latest")]
    [DataRow(Shape.SeveralRuntimes, "1.0 1.0-linux-x64 1.0-linux-arm64")]
    public async Task Tags_what_is_signed_on_a_registry_that_removes_no_tags(Shape shape, string tags)
    {
        Tools.Require("cosign");
        await Building.Value;
        await using World world = await World.StartAsync(RegistryKind.Distribution, Log.Rekor2Ed25519, TestContext.CancellationToken);

        JsonNode output = await PublishAsync(world, shape, "OCI", "-p:SignContainerBeforeTagging=true");

        foreach (string tag in tags.Split(' '))
        {
            ToolResult verdict = await world.Cosign3.VerifyAsync($"{world.RegistryHost}/app:{tag}");
            Assert.AreEqual(0, verdict.ExitCode, $"{tag}: {verdict}");
        }

        using var client = new HttpClient();
        string[] there = [.. JsonNode.Parse(await client.GetStringAsync(new Uri($"http://{world.RegistryHost}/v2/app/tags/list"), world.Cancel))!["tags"]!.AsArray()
            .Select(tag => (string)tag!).Where(tag => !tag.StartsWith("sha256-", StringComparison.Ordinal))];
        string[] staging = [.. there.Where(tag => tag.StartsWith("keyless-staging-", StringComparison.Ordinal))];
        CollectionAssert.AreEquivalent(tags.Split(' '), there.Except(staging).ToArray());
        Assert.HasCount(shape == Shape.SeveralRuntimes ? 3 : 1, staging);
        Assert.AreEqual(shape == Shape.SeveralTags ? "1.0;latest" : "1.0", (string?)output["Items"]!["SignedContainer"]![0]!["Tags"]);
    }

    private static async Task<JsonNode> PublishAsync(World world, Shape shape, string format, params string[] more)
    {
        string[] how = shape switch
        {
            Shape.OneRuntime => ["-t:PublishContainer"],
            Shape.SeveralTags => ["-t:PublishContainer", "-p:ContainerImageTags=\"1.0;latest\""],
            Shape.SeveralRuntimes => ["-t:PublishContainer", .. Runtimes],
            Shape.ByProfile => ["-p:PublishProfile=DefaultContainer"],
            _ => ["-p:PublishProfile=DefaultContainer", .. Runtimes],
        };
        string project = Folder[IsByProfile(shape) ? "web" : "console"];
        await OnePublish.WaitAsync(world.Cancel);
        try
        {
            DotNetResult publish = await DotNet.RunAsync(
                project,
                [
                    "publish", "--no-build", "-tl:off", "-p:SignContainer=true", "-p:ContainerRepository=app", $"-p:ContainerImageFormat={format}", .. Offline, .. how, .. more,
                    .. shape == Shape.SeveralTags ? Array.Empty<string>() : ["-p:ContainerImageTag=1.0"],
                    $"-p:SigstoreInstance={world.Folder["client_trust_config.json"]}", $"-p:ContainerBaseImage={world.Sandbox.BaseImage}", $"-p:ContainerRegistry={world.RegistryHost}",
                    "-getItem:SignedContainer", "-getProperty:ContainerSignedDigest",
                ],
                (await Packing.Value).Environment.Concat(world.Sandbox.Environment).ToDictionary(),
                world.Cancel);
            Assert.AreEqual(0, publish.ExitCode, publish.ToString());
            return JsonNode.Parse(publish.Output)!;
        }
        finally
        {
            OnePublish.Release();
        }
    }

    private static string[] Runtimes => ["-p:RuntimeIdentifiers=\"linux-x64;linux-arm64\""];

    // Several runtimes want packs that a framework-dependent program does not need.
    private static string[] Offline => ["-p:UseAppHost=false", "-p:EnableRuntimePackDownload=false", "-p:EnableAppHostPackDownload=false"];

    private static bool IsByProfile(Shape shape) => shape is Shape.ByProfile or Shape.SeveralRuntimesByProfile;

    private static async Task BuildAsync()
    {
        Folder.CopyFromRepository("samples/HelloContainer", "console");
        Folder.CopyFromRepository("samples/HelloContainer", "web");
        Directory.CreateDirectory(Folder["feed"]);
        string project = Folder["web/HelloContainer.csproj"];
        await File.WriteAllTextAsync(project, (await File.ReadAllTextAsync(project)).Replace("Microsoft.NET.Sdk\"", "Microsoft.NET.Sdk.Web\"", StringComparison.Ordinal));
        foreach (string folder in (string[])["console", "web"])
        {
            await BuildAsync(folder, ["-restore", .. Runtimes]);
            await BuildAsync(folder, ["-p:RuntimeIdentifier=linux-x64", "-p:SelfContained=false", .. Runtimes]);
            await BuildAsync(folder, ["-p:RuntimeIdentifier=linux-arm64", "-p:SelfContained=false", .. Runtimes]);
        }
    }

    private static async Task BuildAsync(string folder, string[] how)
    {
        DotNetResult build = await DotNet.RunAsync(
            Folder[folder], ["msbuild", "-t:Build", "-tl:off", "-p:Configuration=Release", .. Offline, .. how], (await Packing.Value).Environment, CancellationToken.None);
        Assert.AreEqual(0, build.ExitCode, build.ToString());
    }

    private static int Count(World world, string part) => world.Sandbox.Traffic.Snapshot().Count(exchange => exchange.Part == part && exchange.UserAgent.StartsWith("Keyless.MSBuild/", StringComparison.Ordinal));
}

/// <summary>How containers are published.</summary>
public enum Shape
{
    OneRuntime,
    SeveralTags,
    SeveralRuntimes,
    ByProfile,
    SeveralRuntimesByProfile,
}
