using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Keyless.Testing;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>One report for the projects of a solution that deploy, written by several nodes at once: processes that share nothing but the file.</summary>
[TestClass]
public sealed partial class ParallelReportTests
{
    private static readonly string[] Projects = ["Alpha", "Beta", "Gamma", "Delta", "Epsilon", "Zeta"];

    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow(".json")]
    [DataRow(".md")]
    [DataRow(".sarif")]
    public async Task Every_project_is_in_it_once(string form)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string report = Solution(world, form);

        DotNetResult build = await BuildAsync(world, report, TestContext.CancellationToken);

        Assert.AreEqual(0, build.ExitCode, build.ToString());
        Assert.IsGreaterThan(1, Process().Matches(build.Output).Select(match => match.Groups["id"].Value).Distinct().Count(), build.ToString());
        Assert.AreSequenceEqual(Projects.Order(StringComparer.Ordinal), Named(form, await File.ReadAllTextAsync(report, TestContext.CancellationToken)));
        Assert.AreSequenceEqual([Path.GetFileName(report), $".{Path.GetFileName(report)}.lock"], Directory.GetFiles(Path.GetDirectoryName(report)!).Select(file => Path.GetFileName(file)).OrderDescending(StringComparer.Ordinal));
    }

    [TestMethod]
    public async Task A_build_that_is_killed_leaves_no_word_of_what_it_did_not_finish_and_nothing_in_the_way_of_the_next()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string report = Solution(world, ".json");
        DotNetResult build = await BuildAsync(world, report, TestContext.CancellationToken);
        Assert.AreEqual(0, build.ExitCode, build.ToString());
        string first = await File.ReadAllTextAsync(report, TestContext.CancellationToken);
        using var kill = CancellationTokenSource.CreateLinkedTokenSource(TestContext.CancellationToken);
        world.Sandbox.RegistryServer.Intercept = async context =>
        {
            if (context.Request.Path.StartsWithSegments("/v2/team/delta", StringComparison.Ordinal))
            {
                await kill.CancelAsync();
                await Task.Delay(Timeout.Infinite, context.RequestAborted);
            }
        };

        await Assert.ThrowsAsync<OperationCanceledException>(() => BuildAsync(world, report, kill.Token));

        string[] left = Named(".json", await File.ReadAllTextAsync(report, TestContext.CancellationToken));
        Assert.DoesNotContain("Delta", left);
        Assert.IsEmpty(left.Except(Projects));
        world.Sandbox.RegistryServer.Intercept = null;
        build = await BuildAsync(world, report, TestContext.CancellationToken);
        Assert.AreEqual(0, build.ExitCode, build.ToString());
        Assert.AreEqual(first, await File.ReadAllTextAsync(report, TestContext.CancellationToken));
    }

    /// <summary>Each project verifies an image of its own that nobody has signed, and only warns of it.</summary>
    /// <returns>Where the report shall be.</returns>
    private static string Solution(World world, string form)
    {
        foreach (string project in Projects)
        {
            world.Folder.Write($"{project}/{project}.csproj", $"""
                <Project Sdk="Microsoft.NET.Sdk">
                  <PropertyGroup>
                    <TargetFramework>net10.0</TargetFramework>
                  </PropertyGroup>
                  <ItemGroup>
                    <PackageReference Include="Keyless.MSBuild" Version="$(KeylessVersion)" PrivateAssets="all" />
                    <ContainerImageToVerify Include="{world.Push($"team/{project.ToLowerInvariant()}")}" CertificateIdentity="{world.Signer}" CertificateOidcIssuer="{world.Sandbox.Issuer.Url}" Mode="warn" />
                  </ItemGroup>
                </Project>
                """);
        }

        world.Folder.Write("All.slnx", $"<Solution>{string.Concat(Projects.Select(name => $"<Project Path=\"{name}/{name}.csproj\" />"))}</Solution>");
        world.Folder.Write("process.targets", SayProcess.TargetsAfter("VerifyContainerImages"));
        return world.PathOf($"out/images{form}");
    }

    private static async Task<DotNetResult> BuildAsync(World world, string report, CancellationToken cancel) => await DotNet.RunAsync(
        world.Folder.Path,
        [
            "build", "All.slnx", "-m:4", "-tl:off", "-t:VerifyContainerImages", $"-p:ContainerVerificationReport={report}", $"-p:SigstoreTrustedRoot={world.PathOf("trusted_root.json")}",
            $"-p:CustomAfterMicrosoftCommonTargets={world.PathOf("process.targets")}",
        ],
        (await Setup.FeedAsync()).Environment,
        cancel);

    /// <summary>The projects that a report has, in its order.</summary>
    private static string[] Named(string form, string report) => form switch
    {
        ".json" => [.. JsonNode.Parse(report)!["images"]!.AsArray().Select(image => ((string)image!["project"]!).Split('/')[^1])],
        ".sarif" => [.. JsonNode.Parse(report)!["runs"]![0]!["results"]!.AsArray().Select(result => ((string)result!["properties"]!["project"]!).Split('/')[^1])],
        _ => [.. Section().Matches(report).Select(match => match.Groups["name"].Value)],
    };

    [GeneratedRegex("^### (?<name>[A-Za-z]+): 1 image: 0 verified, 0 refused, 1 warned$", RegexOptions.Multiline)]
    private static partial Regex Section();

    [GeneratedRegex("[A-Za-z]+ is built in process (?<id>[0-9]+)[.]")]
    private static partial Regex Process();
}
