using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Testing;
using Microsoft.Build.Logging.StructuredLogger;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary><c>VerifyContainerBaseImage</c> in every shape of a real <c>dotnet publish</c>. What the SDK pulls, and when, the sandbox has seen.</summary>
[TestClass]
public sealed class BaseImagePublishTests
{
    private const string Base = BaseImage.Repository;

    /// <summary>The policy, and the two places where a project can name its base image: the other is the command line.</summary>
    private const string Targets = """
        <Project>
          <PropertyGroup Condition="'$(BaseOfProject)' != ''"><ContainerBaseImage>$(BaseOfProject)</ContainerBaseImage></PropertyGroup>
          <ItemGroup><ContainerTrustPolicy Include="base" CertificateIdentity="$(Signer)" CertificateOidcIssuer="$(SignerIssuer)" /></ItemGroup>
          {0}
        </Project>
        """;

    private const string Another = "<ContainerBaseDigest>sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a</ContainerBaseDigest>";

    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow(false, false, "ContainerBaseImage", false)]
    [DataRow(false, true, "BaseOfProject", false)]
    [DataRow(true, false, "BaseOfProject", false)]
    [DataRow(true, true, "ContainerBaseImage", false)]
    [DataRow(true, true, "BaseOfProject", true)]
    public async Task What_is_pulled_is_what_was_verified_although_the_tag_moves_in_between(bool byProfile, bool severalRuntimes, string named, bool signs)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string verified = SignBase(world);
        MoveTagAfterTheCheck(world);

        DotNetResult publish = await PublishAsync(
            world, byProfile, severalRuntimes, [$"-p:{named}={world.Sandbox.BaseImage}", .. signs ? (string[])["-p:SignContainer=true", "-p:SignContainerBeforeTagging=true"] : []]);

        Assert.AreEqual(0, publish.ExitCode, publish.ToString());
        Assert.AreNotEqual(verified, world.Sandbox.Registry.FindManifest(Base, BaseImage.Tag)!.Digest, "the tag did not move");
        Assert.DoesNotContain(BaseImage.Tag, Pulled(world));
        Assert.Contains(verified, Pulled(world));
        Assert.AreSequenceEqual(Layers(world, verified), Layers(world, world.Sandbox.Registry.FindManifest("app", "latest")!.Digest, "app"));
        Assert.Contains($"the base image (ContainerBaseImage) {world.Sandbox.RegistryHost}/{Base}@{verified} (verified: signed by {world.Signer} at ", publish.Output);
        AssertLabels(world, verified, cut: severalRuntimes && !byProfile);
        Assert.HasCount(1, publish.Output.Split("(verified: ").Skip(1), "it was verified once");
        if (signs)
        {
            KeylessVerifyContainer verify = world.Verify(world.Image($"{world.Sandbox.RegistryHost}/app:latest", ("Recursive", "true")));
            Assert.IsTrue(verify.Execute(), World.Log(verify));
        }
    }

    [TestMethod]
    public async Task Without_it_the_tag_is_asked_for_again()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string other = BaseImage.PushTo(world.Sandbox.Registry, text: "other");

        DotNetResult publish = await PublishAsync(world, byProfile: true, severalRuntimes: true, [$"-p:ContainerBaseImage={world.Sandbox.BaseImage}", "-p:VerifyContainerBaseImage=false"]);

        Assert.AreEqual(0, publish.ExitCode, publish.ToString());
        Assert.Contains(BaseImage.Tag, Pulled(world));
        Assert.AreSequenceEqual(Layers(world, other), Layers(world, world.Sandbox.Registry.FindManifest("app", "latest")!.Digest, "app"));
    }

    [TestMethod]
    [DataRow(false, false)]
    [DataRow(true, true)]
    public async Task An_unsigned_one_is_refused_and_nothing_is_pulled(bool byProfile, bool severalRuntimes)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);

        DotNetResult publish = await PublishAsync(world, byProfile, severalRuntimes, [$"-p:ContainerBaseImage={world.Sandbox.BaseImage}"]);

        Assert.AreEqual(1, publish.ExitCode, publish.ToString());
        Assert.Contains($"error KEYLESS4001: the base image (ContainerBaseImage) {world.Sandbox.BaseImage} (sha256:", Assert.ContainsSingle(publish.ErrorLines));
        Assert.IsEmpty(Pulled(world));
        Assert.IsEmpty(world.Sandbox.Registry.Tags("app"));
    }

    [TestMethod]
    public async Task One_that_somebody_else_signed_is_refused_before_anything_is_compiled()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        SignBase(world);
        string targets = world.Folder.Write("base.targets", Text(""));

        DotNetResult publish = await Samples.PublishFromSourceAsync(
            world.Sandbox, world.Environment, [.. Properties(world, "https://example.com/somebody"), $"-p:CustomAfterMicrosoftCommonTargets={targets}", $"-bl:{world.PathOf("build.binlog")}"], TestContext.CancellationToken);

        Assert.AreEqual(1, publish.ExitCode, publish.ToString());
        Assert.Contains($"error KEYLESS4002: the base image (ContainerBaseImage) {world.Sandbox.BaseImage} (sha256:", Assert.ContainsSingle(publish.ErrorLines));
        Assert.Contains("every signature is listed in obj/Release/net10.0/keyless/refused-base-image.txt", publish.ErrorLines[0]);
        Assert.AreSequenceEqual(["KeylessVerifyBaseImage"], Tasks(world));
        Assert.IsEmpty(Pulled(world));
    }

    [TestMethod]
    public async Task A_project_of_several_frameworks_verifies_once_before_it_compiles_the_one_that_is_published()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string verified = SignBase(world);
        using var folder = new TemporaryFolder();
        string project = folder.CopyFromRepository("samples/HelloContainer", "HelloContainer");
        Directory.CreateDirectory(folder["feed"]);
        string file = Path.Combine(project, "HelloContainer.csproj");
        await File.WriteAllTextAsync(
            file,
            (await File.ReadAllTextAsync(file, TestContext.CancellationToken)).Replace("<TargetFramework>net10.0</TargetFramework>", "<TargetFrameworks>net10.0</TargetFrameworks>", StringComparison.Ordinal),
            TestContext.CancellationToken);
        string targets = world.Folder.Write("base.targets", Text(""));

        DotNetResult publish = await Samples.RunAsync(
            world.Sandbox, project, ["publish", "-f", "net10.0", "-t:PublishContainer", $"-bl:{world.PathOf("build.binlog")}", .. Properties(world, world.Signer), $"-p:CustomAfterMicrosoftCommonTargets={targets}"], TestContext.CancellationToken);

        Assert.AreEqual(0, publish.ExitCode, publish.ToString());
        Assert.AreSequenceEqual([verified], Pulled(world).Take(1).ToArray());
        Assert.AreSequenceEqual(["KeylessVerifyBaseImage", "Csc", "CreateNewImage"], Tasks(world));
    }

    // Microsoft's registry is not to be had here, so what the SDK chose is looked for in another, as behind a mirror.
    [TestMethod]
    [DataRow("", "")]
    [DataRow("alpine", "-alpine")]
    public async Task The_image_that_the_SDK_chose_stays_its_choice(string family, string suffix)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string tag = $"10.0{suffix}";
        string digest = BaseImage.PushTo(world.Sandbox.Registry, "dotnet/runtime", tag);
        KeylessSignContainer sign = world.Sign($"{world.Sandbox.RegistryHost}/dotnet/runtime@{digest}");
        Assert.IsTrue(sign.Execute(), World.Log(sign));
        string mirror = $"""
            <Target Name="_Mirror" AfterTargets="ComputeContainerBaseImage">
              <PropertyGroup>
                <Chosen>$(ContainerBaseImage)</Chosen>
                <ContainerBaseImage>$(ContainerBaseImage.Replace('mcr.microsoft.com', '{world.Sandbox.RegistryHost}'))</ContainerBaseImage>
              </PropertyGroup>
            </Target>
            """;

        DotNetResult publish = await PublishAsync(
            world, byProfile: false, severalRuntimes: false,
            [$"-p:ContainerFamily={family}", "-getProperty:Chosen", "-getProperty:ContainerBaseImage", "-getProperty:_ContainerIsUsingMicrosoftDefaultImages", "-getProperty:_InitialContainerBaseImage"], mirror);

        Assert.AreEqual(0, publish.ExitCode, publish.ToString());
        JsonNode properties = JsonNode.Parse(publish.Output)!["Properties"]!;
        Assert.AreEqual($"mcr.microsoft.com/dotnet/runtime:{tag}", (string?)properties["Chosen"]);
        Assert.AreEqual($"{world.Sandbox.RegistryHost}/dotnet/runtime:{tag}@{digest}", (string?)properties["ContainerBaseImage"]);
        Assert.AreEqual("true", (string?)properties["_ContainerIsUsingMicrosoftDefaultImages"]);
        Assert.AreEqual("", (string?)properties["_InitialContainerBaseImage"]);
        Assert.AreSequenceEqual([digest], Pulled(world, "dotnet/runtime").Take(1).ToArray());
    }

    // Before anything is compiled, too, what counts is the name by which it will be pulled.
    [TestMethod]
    public async Task A_named_one_is_verified_under_the_name_that_a_target_gives_it()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string verified = SignBase(world);
        string targets = world.Folder.Write("base.targets", Text($"""
            <Target Name="_Mirror" AfterTargets="ComputeContainerBaseImage">
              <PropertyGroup><ContainerBaseImage>$(ContainerBaseImage.Replace('registry.invalid', '{world.Sandbox.RegistryHost}'))</ContainerBaseImage></PropertyGroup>
            </Target>
            """));

        DotNetResult publish = await Samples.PublishFromSourceAsync(
            world.Sandbox, world.Environment,
            [
                .. Properties(world, world.Signer), $"-p:ContainerBaseImage=registry.invalid/{Base}:{BaseImage.Tag}", $"-p:CustomAfterMicrosoftCommonTargets={targets}", $"-bl:{world.PathOf("build.binlog")}",
            ],
            TestContext.CancellationToken);

        Assert.AreEqual(0, publish.ExitCode, publish.ToString());
        Assert.AreSequenceEqual(["KeylessVerifyBaseImage", "Csc", "CreateNewImage"], Tasks(world));
        Assert.AreSequenceEqual([verified], Pulled(world).Take(1).ToArray());
    }

    [TestMethod]
    public async Task An_archive_is_built_on_what_was_verified_too()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string verified = SignBase(world);
        MoveTagAfterTheCheck(world);

        DotNetResult publish = await PublishAsync(
            world, byProfile: false, severalRuntimes: true, [$"-p:ContainerBaseImage={world.Sandbox.BaseImage}", $"-p:ContainerArchiveOutputPath={world.PathOf("app.tar.gz")}"]);

        Assert.AreEqual(0, publish.ExitCode, publish.ToString());
        Assert.IsTrue(File.Exists(world.PathOf("app.tar.gz")));
        Assert.DoesNotContain(BaseImage.Tag, Pulled(world));
        Assert.Contains(verified, Pulled(world));
    }

    [TestMethod]
    public async Task Under_warn_an_unsigned_one_is_pulled_as_the_project_has_it()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);

        DotNetResult publish = await PublishAsync(world, byProfile: true, severalRuntimes: true, [$"-p:ContainerBaseImage={world.Sandbox.BaseImage}", "-p:PolicyMode=warn"], """
            <ItemGroup><ContainerTrustPolicy Update="base" Mode="$(PolicyMode)" /></ItemGroup>
            """);

        Assert.AreEqual(0, publish.ExitCode, publish.ToString());
        Assert.Contains($"warning KEYLESS4001: the base image (ContainerBaseImage) {world.Sandbox.BaseImage} (sha256:", publish.Output);
        Assert.Contains("Mode is warn, so the build goes on, and the image does not count as verified", publish.Output);
        Assert.Contains(BaseImage.Tag, Pulled(world));
    }

    // Of the targets that hook into the same one, those of Directory.Build.targets come after ours.
    [TestMethod]
    [DataRow(false, false, "AfterTargets=\"ComputeContainerConfig\"", "<ContainerBaseDigest />")]
    [DataRow(false, false, "BeforeTargets=\"PublishContainer\"", "<ContainerBaseDigest />")]
    [DataRow(false, false, "BeforeTargets=\"PublishContainer\"", "<ContainerBaseRegistry>registry.invalid</ContainerBaseRegistry>")]
    [DataRow(false, false, "AfterTargets=\"ComputeContainerConfig\"", "<ContainerBaseName>team/other</ContainerBaseName>")]
    [DataRow(true, true, "AfterTargets=\"ComputeContainerConfig\"", Another)]
    [DataRow(true, true, "AfterTargets=\"ComputeContainerConfig\" Condition=\"'$(_IsMultiRIDBuild)' == 'false'\"", Another)]
    [DataRow(false, true, "BeforeTargets=\"PublishContainer\"", "<ContainerBaseRegistry>registry.invalid</ContainerBaseRegistry>")]
    [DataRow(false, true, "BeforeTargets=\"_PublishMultiArchContainers\"", "<ContainerBaseDigest />")]
    [DataRow(false, true, "AfterTargets=\"_ParseItemsForPublishingSingleContainer\"", Another)]
    public async Task Whatever_else_names_an_image_it_is_not_pulled(bool byProfile, bool severalRuntimes, string when, string property)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        SignBase(world);
        string meddle = world.Folder.Write("meddle.targets", $"<Project><Target Name=\"_Meddle\" {when}><PropertyGroup>{property}</PropertyGroup></Target></Project>");

        DotNetResult publish = await PublishAsync(
            world, byProfile, severalRuntimes, [$"-p:ContainerBaseImage={world.Sandbox.BaseImage}", $"-p:DirectoryBuildTargetsPath={meddle}"]);

        Assert.AreEqual(1, publish.ExitCode, publish.ToString());
        Assert.IsTrue(publish.ErrorLines.All(line => line.Contains("error KEYLESS5009: VerifyContainerBaseImage is true, and what would be pulled is not what was verified: ", StringComparison.Ordinal)), publish.ToString());
        Assert.IsEmpty(Pulled(world));
        Assert.IsEmpty(world.Sandbox.Registry.Tags("app"));
    }

    [TestMethod]
    public async Task One_that_is_named_after_it_was_verified_is_not_pulled()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        SignBase(world);

        DotNetResult publish = await PublishAsync(world, byProfile: false, severalRuntimes: false, [$"-p:ContainerBaseImage={world.Sandbox.BaseImage}"], """
            <Target Name="_Meddle" AfterTargets="_KeylessVerifyBaseImage"><PropertyGroup><ContainerBaseImage>registry.invalid/base:1</ContainerBaseImage></PropertyGroup></Target>
            """);

        Assert.AreEqual(1, publish.ExitCode, publish.ToString());
        Assert.Contains(
            $"error KEYLESS5009: VerifyContainerBaseImage is true, and ContainerBaseImage is 'registry.invalid/base:1' now and was '{world.Sandbox.BaseImage}' when it was verified; ", Assert.ContainsSingle(publish.ErrorLines));
        Assert.IsEmpty(Pulled(world));
    }

    // The inner builds are built on what was verified, which is not what this project has for one of them.
    [TestMethod]
    public async Task One_image_for_each_runtime_is_refused()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        SignBase(world);
        string other = $"{world.Sandbox.RegistryHost}/team/other:1";

        DotNetResult publish = await PublishAsync(world, byProfile: true, severalRuntimes: true, [$"-p:BaseOfProject={world.Sandbox.BaseImage}", $"-p:BaseOfArm={other}"], """
            <PropertyGroup Condition="'$(RuntimeIdentifier)' == 'linux-arm64'"><ContainerBaseImage>$(BaseOfArm)</ContainerBaseImage></PropertyGroup>
            """);

        Assert.AreEqual(1, publish.ExitCode, publish.ToString());
        Assert.Contains(
            $"error KEYLESS5009: VerifyContainerBaseImage is true, and ContainerBaseImage is '{other}' for linux-arm64 and '{world.Sandbox.BaseImage}' for all, which was verified; ", Assert.ContainsSingle(publish.ErrorLines));
        Assert.IsFalse(world.Sandbox.Registry.Tags("app").Contains("latest-linux-arm64"));
    }

    /// <summary>Those that matter here, in the order in which they ran.</summary>
    private static string[] Tasks(World world)
    {
        var ran = new List<(DateTime, string)>();
        BinaryLog.ReadBuild(world.PathOf("build.binlog")).VisitAllChildren<Microsoft.Build.Logging.StructuredLogger.Task>(task => ran.Add((task.StartTime, task.Name.Split('.')[^1])));
        return [.. ran.Order().Select(task => task.Item2).Where(name => name is "KeylessVerifyBaseImage" or "Csc" or "CreateNewImage")];
    }

    /// <returns>The digest of the index that <see cref="SandboxHost.BaseImage"/> is.</returns>
    private static string SignBase(World world)
    {
        string digest = world.Sandbox.Registry.FindManifest(Base, BaseImage.Tag)!.Digest;
        KeylessSignContainer sign = world.Sign($"{world.Sandbox.RegistryHost}/{Base}@{digest}");
        Assert.IsTrue(sign.Execute(), World.Log(sign));
        return digest;
    }

    /// <summary>As soon as signatures are asked for the tag is resolved; from then on it is another image.</summary>
    private static void MoveTagAfterTheCheck(World world) => world.Sandbox.RegistryServer.Intercept = context =>
    {
        if (context.Request.Path.StartsWithSegments($"/v2/{Base}/referrers", StringComparison.Ordinal))
        {
            BaseImage.PushTo(world.Sandbox.Registry, text: "what somebody pushed meanwhile");
        }

        return Task.CompletedTask;
    };

    /// <summary>What anybody but us asked for, in order: tags and digests.</summary>
    private static string[] Pulled(World world, string repository = Base) =>
    [
        .. world.Sandbox.Traffic.Snapshot()
            .Where(exchange => exchange.Part == "registry" && !exchange.UserAgent.StartsWith("Keyless.MSBuild/", StringComparison.Ordinal) && exchange.Path.StartsWith($"/v2/{repository}/manifests/", StringComparison.Ordinal))
            .Select(exchange => exchange.Path.Split('/')[^1]),
    ];

    /// <summary>The first layer of each platform: of a published image, that of its base.</summary>
    private static string[] Layers(World world, string digest, string repository = Base)
    {
        JsonNode manifest = JsonNode.Parse(world.Sandbox.Registry.FindManifest(repository, digest)!.Bytes)!;
        return manifest["manifests"] is JsonArray platforms
            ? [.. platforms.SelectMany(platform => Layers(world, (string)platform!["digest"]!, repository)).Distinct()]
            : [(string)manifest["layers"]![0]!["digest"]!];
    }

    /// <param name="cut">The SDK hands labels to the builds of several runtimes as name:value, and takes what is between the first two colons.</param>
    private static void AssertLabels(World world, string verified, bool cut)
    {
        string name = $"{world.Sandbox.BaseImage}@{verified}";
        string index = Encoding.UTF8.GetString(world.Sandbox.Registry.FindManifest(Base, verified)!.Bytes);
        foreach (JsonNode labels in Labels(world, "latest"))
        {
            Assert.AreEqual(cut ? name.Split(':')[0] : name, (string?)labels["org.opencontainers.image.base.name"]);
            Assert.Contains((string)labels["org.opencontainers.image.base.digest"]!, index);
        }
    }

    /// <summary>Of each platform of the published image.</summary>
    private static JsonNode[] Labels(World world, string reference)
    {
        JsonNode manifest = JsonNode.Parse(world.Sandbox.Registry.FindManifest("app", reference)!.Bytes)!;
        return manifest["manifests"] is JsonArray platforms
            ? [.. platforms.SelectMany(platform => Labels(world, (string)platform!["digest"]!))]
            : [JsonNode.Parse(world.Sandbox.Registry.FindBlob("app", (string)manifest["config"]!["digest"]!)!)!["config"]!["Labels"]!];
    }

    private static string Text(string more) => Targets.Replace("{0}", more, StringComparison.Ordinal);

    private static string[] Properties(World world, string signer) =>
        ["-p:VerifyContainerBaseImage=true", "-p:ContainerBaseImageTrustPolicy=base", $"-p:Signer={signer}", $"-p:SignerIssuer={world.Sandbox.Issuer.Url}"];

    private static Task<DotNetResult> PublishAsync(World world, bool byProfile, bool severalRuntimes, string[] properties, string targets = "") =>
        Shapes.PublishAsync(world, byProfile, severalRuntimes, [.. Properties(world, world.Signer), .. properties], Text(targets));
}
