using System.Security.Cryptography;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Keyless.Sandbox;
using Keyless.Testing;

namespace Keyless.MSBuild.Tests;

/// <summary>Three containers and a library, published as one solution by several nodes at once.</summary>
[TestClass]
public sealed partial class SolutionTests
{
    private static readonly string[] Containers = ["Alpha", "Beta", "Gamma"];

    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow("-m:2")] // so that one node signs two
    [DataRow("-mt")]
    public async Task A_solution_signs_every_container_with_one_certificate_for_each_process_and_reports_them_together(string parallel)
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);
        using TemporaryFolder folder = Solution(sandbox);
        var environment = new Dictionary<string, string>((await Setup.FeedAsync()).Environment.Concat(sandbox.Environment))
        {
            ["GITHUB_OUTPUT"] = folder["output"],
            ["GITHUB_STEP_SUMMARY"] = folder["summary"],
        };

        DotNetResult result = await DotNet.RunAsync(
            folder.Path,
            [
                "publish", "All.slnx", "-c", "Release", parallel, "-tl:off", "-t:PublishContainer", "-p:SignContainer=true",
                $"-p:SigstoreInstance={folder["sandbox/client_trust_config.json"]}", $"-p:ContainerSigningReport={folder["signed.json"]}",
                $"-p:ContainerBaseImage={sandbox.BaseImage}", $"-p:ContainerRegistry={sandbox.RegistryHost}",
                $"-p:CustomAfterMicrosoftCommonTargets={folder["process.targets"]}",
            ],
            environment,
            TestContext.CancellationToken);

        Assert.AreEqual(0, result.ExitCode, result.ToString());
        JsonArray report = JsonNode.Parse(await File.ReadAllTextAsync(folder["signed.json"], TestContext.CancellationToken))!["images"]!.AsArray();
        string[] expected = [.. Containers.Select(name => name.ToLowerInvariant()).Select(name => $"{sandbox.RegistryHost}/{name}@{sandbox.Registry.FindManifest(name, "latest")!.Digest}")];
        CollectionAssert.AreEquivalent(expected, References(report));
        CollectionAssert.AreEquivalent(expected, References(Images(folder["output"])));
        CollectionAssert.AreEquivalent(Containers.Select(name => $"{name}/{name}").ToArray(), report.Select(entry => (string?)entry!["project"]).ToArray());
        Assert.AreEqual(3, File.ReadAllText(folder["summary"]).Split("### ").Length - 1);

        // A project without a container says nothing, and its node signs nothing for it.
        string[] processes = [.. Process().Matches(result.Output).Where(match => Containers.Contains(match.Groups["project"].Value)).Select(match => match.Groups["id"].Value).Distinct()];
        int Asked(string part) => sandbox.Traffic.Snapshot().Count(exchange => exchange.Part == part);
        Assert.AreEqual(processes.Length, Asked("fulcio"), result.ToString());
        Assert.AreEqual(processes.Length, Asked("issuer"), result.ToString());
        Assert.HasCount(processes.Length, Certificates(report).Distinct());
        TestContext.WriteLine($"{Containers.Length} containers, {processes.Length} nodes, {Asked("issuer")} tokens, {Asked("fulcio")} certificates");
    }

    private static TemporaryFolder Solution(SandboxHost sandbox)
    {
        var folder = new TemporaryFolder();
        sandbox.WriteTo(folder["sandbox"]);
        foreach (string name in Containers)
        {
            string project = folder.CopyFromRepository("samples/HelloContainer", name);
            string file = Path.Combine(project, "HelloContainer.csproj");
            folder.Write($"{name}/{name}.csproj", File.ReadAllText(file).Replace(">hello<", $">{name.ToLowerInvariant()}<", StringComparison.Ordinal));
            File.Delete(file);
        }

        folder.CopyFromRepository("samples/HelloContainer", "Library");
        File.Delete(folder["Library/HelloContainer.csproj"]);
        File.Delete(folder["Library/Program.cs"]);
        folder.Write("Library/Library.csproj", """
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <TargetFramework>net10.0</TargetFramework>
              </PropertyGroup>
              <ItemGroup>
                <PackageReference Include="Keyless.MSBuild" Version="$(KeylessVersion)" PrivateAssets="all" />
              </ItemGroup>
            </Project>
            """);
        folder.Write("All.slnx", $"<Solution>{string.Concat(Containers.Append("Library").Select(name => $"<Project Path=\"{name}/{name}.csproj\" />"))}</Solution>");
        folder.Write("process.targets", SayProcess.TargetsAfter("SignContainer"));
        return folder;
    }

    private static string[] References(JsonArray images) => [.. images.Select(entry => (string)entry!["reference"]!)];

    /// <summary>What is set last holds.</summary>
    private static JsonArray Images(string output) =>
        JsonNode.Parse(Regex.Matches(File.ReadAllText(output), "^images<<(?<end>.+)\n(?<value>.+)\n\\k<end>$", RegexOptions.Multiline)[^1].Groups["value"].Value)!.AsArray();

    private static IEnumerable<string> Certificates(JsonArray report) => report.SelectMany(entry => entry!["signatures"]!.AsArray()).Select(signature =>
        Convert.ToHexString(SHA256.HashData(Convert.FromBase64String(
            (string)JsonNode.Parse(File.ReadAllText((string)signature!["bundlePath"]!))!["verificationMaterial"]!["certificate"]!["rawBytes"]!))));

    [GeneratedRegex("(?<project>[A-Za-z]+) is built in process (?<id>[0-9]+)[.]")]
    private static partial Regex Process();
}
