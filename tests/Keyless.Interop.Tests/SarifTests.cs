using System.Text.Json.Nodes;
using Keyless.MSBuild;
using Keyless.Testing;
using Microsoft.Build.Utilities;
using Task = System.Threading.Tasks.Task;

namespace Keyless.Interop.Tests;

/// <summary>Microsoft's SARIF Multitool, which knows the schema of SARIF 2.1.0, the rules beside it, and what GitHub wants besides.</summary>
[TestClass]
public sealed class SarifTests
{
    // It would ask for the address of the schema over the network.
    private const string Offline = """
        <Properties>
          <Properties Key="SARIF2006.UrisShouldBeReachable.Options">
            <Property Key="RuleEnabled" Value="Disabled" />
          </Properties>
        </Properties>
        """;

    // The project has no page on the web yet that informationUri could name; and an item that no file has is at no line of one.
    private const string Known = "SARIF2005 SARIF2017";

    public required TestContext TestContext { get; init; }

    [TestMethod]
    public async Task The_multitool_finds_nothing_wrong_with_a_log_of_several_projects()
    {
        string multitool = Tools.RequireFile("node", "node_modules", "@microsoft", $"sarif-multitool-{Platform}", OperatingSystem.IsWindows() ? "Sarif.Multitool.exe" : "Sarif.Multitool");
        await using World world = await World.StartAsync(RegistryKind.Sandbox, Log.Rekor2Ed25519, TestContext.CancellationToken);
        world.Folder.Write("Deploy.csproj", "<Project />");
        string signed = await world.PushAsync(), unsigned = await world.PushAsync("team/other");
        world.Sign(signed);
        world.Folder.Write("deploy/compose file.yaml", $"services:\n  app:\n    image: {unsigned}\n");
        KeylessVerifyContainer compose = world.Verify(unsigned);
        compose.ContainerImagesToVerify = [];
        compose.ContainerTrustPolicies = [new TaskItem("ours", new Dictionary<string, string> { ["CertificateIdentity"] = world.Signer, ["CertificateOidcIssuer"] = world.Sandbox.Issuer.Url, ["Mode"] = "warn" })];
        compose.ContainerManifestFiles = [new TaskItem("deploy/compose file.yaml", new Dictionary<string, string> { ["Policy"] = "ours" })];
        foreach ((string project, KeylessVerifyContainer task) in new[]
        {
            ("Deploy", world.Verify(signed)),
            ("Other", world.Verify(signed, ("CertificateIdentity", "https://example.com/somebody"))),
            ("Third", compose),
            ("Unknown", world.Verify($"{unsigned[..^4]}0000")),
        })
        {
            task.ProjectName = project;
            task.ContainerVerificationReport = "images.sarif";
            task.Execute();
        }

        JsonArray results = JsonNode.Parse(await File.ReadAllTextAsync(world.Folder["images.sarif"], TestContext.CancellationToken))!["runs"]![0]!["results"]!.AsArray();
        Assert.AreEqual("pass none, fail error, fail warning, fail error", string.Join(", ", results.Select(result => $"{result!["kind"]} {result["level"]}")));
        Assert.AreEqual("""{"artifactLocation":{"uri":"deploy/compose%20file.yaml","uriBaseId":"SRCROOT"},"region":{"startLine":3,"startColumn":12}}""", results[2]!["locations"]![0]!["physicalLocation"]!.ToJsonString());
        Assert.AreEqual(Known, await ValidateAsync(world, multitool));

        // It would have found something.
        results[0]!["ruleIndex"] = 99;
        await File.WriteAllTextAsync(world.Folder["images.sarif"], results.Root.ToJsonString(), TestContext.CancellationToken);
        Assert.AreEqual($"SARIF1009 {Known}", await ValidateAsync(world, multitool));
    }

    private static string Platform => OperatingSystem.IsWindows() ? "win32" : OperatingSystem.IsMacOS() ? "darwin" : "linux";

    /// <returns>The rules that it says are broken: its errors and warnings, without its advice.</returns>
    private async Task<string> ValidateAsync(World world, string multitool)
    {
        ToolResult run = await Tools.RunAsync(
            multitool,
            ["validate", world.Folder["images.sarif"], "--output", world.Folder["found.sarif"], "--log", "ForceOverwrite", "--level", "Error;Warning", "--rule-kind", "Sarif;Ghas", "--config", world.Folder.Write("offline.xml", Offline)],
            world.Folder.Path, null, TestContext.CancellationToken);
        Assert.AreEqual(0, run.ExitCode, run.ToString());
        JsonNode found = JsonNode.Parse(await File.ReadAllTextAsync(world.Folder["found.sarif"], TestContext.CancellationToken))!["runs"]![0]!;
        return string.Join(' ', found["results"]!.AsArray().Select(result => (string?)result!["ruleId"]).Distinct().Order(StringComparer.Ordinal));
    }
}
