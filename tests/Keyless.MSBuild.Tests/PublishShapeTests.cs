using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Testing;

namespace Keyless.MSBuild.Tests;

/// <summary>Projects and commands other than the usual one, as they come in a repository whose Directory.Build.props says <c>SignContainer=true</c> for all.</summary>
[TestClass]
public sealed class PublishShapeTests
{
    private const string Package = """<ItemGroup><PackageReference Include="Keyless.MSBuild" Version="$(KeylessVersion)" PrivateAssets="all" /></ItemGroup>""";

    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow("a library", "Microsoft.NET.Sdk", "", "publish")]
    [DataRow("a library, by the target", "Microsoft.NET.Sdk", "", "publish -t:PublishContainer")]
    [DataRow("a program that publishes no container", "Microsoft.NET.Sdk", "<OutputType>Exe</OutputType>", "publish")]
    [DataRow("a program that is not publishable", "Microsoft.NET.Sdk", "<OutputType>Exe</OutputType><IsPublishable>false</IsPublishable><EnableSdkContainerSupport>true</EnableSdkContainerSupport>", "publish -t:PublishContainer")]
    [DataRow("a web project, into a folder", "Microsoft.NET.Sdk.Web", "", "publish")]
    [DataRow("a plain build", "Microsoft.NET.Sdk.Web", "", "build")]
    public async Task Nothing_happens_to(string what, string sdk, string properties, string command)
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);
        using TemporaryFolder folder = Project(sdk, $"<TargetFramework>net10.0</TargetFramework>{properties}");

        DotNetResult result = await RunAsync(sandbox, folder, command);

        Assert.AreEqual(0, result.ExitCode, $"{what}: {result}");
        Assert.DoesNotContain("eyless", result.Output.Replace(folder.Path, "", StringComparison.Ordinal), what);
        Assert.IsEmpty(sandbox.Traffic.Snapshot(), what);
    }

    [TestMethod]
    public async Task A_project_of_several_frameworks_is_signed_once_for_the_one_that_is_published()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);
        using TemporaryFolder folder = Project("Microsoft.NET.Sdk", "<OutputType>Exe</OutputType><TargetFrameworks>net10.0</TargetFrameworks><EnableSdkContainerSupport>true</EnableSdkContainerSupport>");

        DotNetResult result = await RunAsync(sandbox, folder, "publish -f net10.0 -t:PublishContainer");

        Assert.AreEqual(0, result.ExitCode, result.ToString());
        AssertSignedOnce(sandbox, "app", "latest");
    }

    [TestMethod]
    public async Task A_folder_with_spaces_and_letters_of_other_scripts_is_no_obstacle()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);
        using TemporaryFolder folder = Project("Microsoft.NET.Sdk", "<OutputType>Exe</OutputType><TargetFramework>net10.0</TargetFramework><EnableSdkContainerSupport>true</EnableSdkContainerSupport>", "Übung mit ığ 日本/");

        DotNetResult result = await RunAsync(sandbox, folder, "publish -t:PublishContainer", "Übung mit ığ 日本");

        Assert.AreEqual(0, result.ExitCode, result.ToString());
        AssertSignedOnce(sandbox, "app", "latest");
        Assert.IsNotEmpty(Directory.GetFiles(folder["Übung mit ığ 日本/obj/Release/net10.0/keyless"], "sha256-*.bundle.sigstore.json"));
    }

    [TestMethod]
    [DataRow("-p:ContainerArchiveOutputPath=image.tar.gz", "ContainerArchiveOutputPath is 'image.tar.gz'")]
    [DataRow("-p:ContainerRegistry=", "ContainerRegistry is empty, so the image goes to the local daemon")]
    public async Task Where_there_is_no_place_for_a_signature_nothing_is_published(string property, string says)
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);

        Published published = await Samples.PublishAsync(sandbox, sandbox.Environment, ["-p:SignContainer=true", property], TestContext.CancellationToken);

        Assert.AreEqual(1, published.Result.ExitCode, published.Result.ToString());
        string error = Assert.ContainsSingle(published.Result.ErrorLines);
        Assert.Contains("error KEYLESS5007: ", error);
        Assert.Contains(says, error);
        Assert.IsEmpty(sandbox.Registry.Tags("hello"));
    }

    [TestMethod]
    public async Task Signs_by_digest_without_publishing_anything()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);
        string digest = sandbox.Registry.FindManifest("keyless/base", "1")!.Digest;
        using TemporaryFolder folder = Project(
            "Microsoft.NET.Sdk", "<TargetFramework>net10.0</TargetFramework>", "", $"""<ItemGroup><ContainerToSign Include="{sandbox.RegistryHost}/keyless/base@{digest}" /></ItemGroup>""");

        DotNetResult result = await RunAsync(sandbox, folder, "build -t:SignContainer -getTargetResult:SignContainer");

        Assert.AreEqual(0, result.ExitCode, result.ToString());
        JsonNode signed = JsonNode.Parse(result.Output)!["TargetResults"]!["SignContainer"]!;
        // The index, and a manifest for each of two platforms.
        Assert.HasCount(3, signed["Items"]!.AsArray());
        Assert.IsTrue(signed["Items"]!.AsArray().All(item => sandbox.Registry.Referrers("keyless/base", (string)item!["Digest"]!).Count == 1));
        Assert.IsFalse(Directory.Exists(folder["bin"]), "it compiled");
    }

    // MSBuild's version is its own to say, so the targets are asked as if it said another.
    [TestMethod]
    [DataRow("SignContainer", 1)]
    [DataRow("VerifyContainerImages", 1)]
    [DataRow("Build", 0)]
    public async Task An_old_MSBuild_is_an_error_only_where_something_is_asked_for(string target, int exitCode)
    {
        using var folder = new TemporaryFolder();
        string targets = await File.ReadAllTextAsync(Repository.PathTo("build/Keyless.MSBuild.targets"), TestContext.CancellationToken);
        folder.Write("old.targets", targets.Replace("$(MSBuildVersion)", "17.14.8", StringComparison.Ordinal));
        folder.Write("app.proj", """<Project><Import Project="old.targets" /><Target Name="BeforeBuild" /><Target Name="Build" DependsOnTargets="BeforeBuild" /></Project>""");

        DotNetResult result = await DotNet.RunAsync(folder.Path, ["msbuild", "app.proj", $"-t:{target}", "-p:SignContainer=true"], null, TestContext.CancellationToken);

        Assert.AreEqual(exitCode, result.ExitCode, result.ToString());
        if (exitCode > 0)
        {
            Assert.Contains("error KEYLESS5004: MSBuild is 17.14.8, 18.0 or newer is needed", Assert.ContainsSingle(result.ErrorLines));
        }
    }

    private async Task<DotNetResult> RunAsync(SandboxHost sandbox, TemporaryFolder folder, string command, string project = "") =>
        await Samples.RunAsync(sandbox, folder[project], [.. command.Split(' '), "-p:SignContainer=true"], TestContext.CancellationToken);

    /// <summary>A project <c>app</c> with one source file.</summary>
    private static TemporaryFolder Project(string sdk, string properties, string prefix = "", string more = "")
    {
        var folder = new TemporaryFolder();
        foreach (string file in (string[])["Directory.Build.props", "Directory.Build.targets", "Directory.Packages.props", "nuget.config"])
        {
            folder.Write($"{prefix}{file}", File.ReadAllText(Repository.PathTo($"samples/HelloContainer/{file}")));
        }

        Directory.CreateDirectory(folder["feed"]);
        folder.Write($"{prefix}Program.cs", "namespace App; internal static class Program { private static void Main() { } }");
        folder.Write($"{prefix}app.csproj", $"<Project Sdk=\"{sdk}\"><PropertyGroup>{properties}</PropertyGroup>{Package}{more}</Project>");
        return folder;
    }

    private static void AssertSignedOnce(SandboxHost sandbox, string repository, string tag)
    {
        string digest = sandbox.Registry.FindManifest(repository, tag)!.Digest;
        Assert.HasCount(1, sandbox.Registry.Referrers(repository, digest));
        Assert.HasCount(1, sandbox.Traffic.Snapshot().Where(exchange => exchange.Part == "fulcio").ToArray());
    }
}
