using System.Text.RegularExpressions;
using Keyless.MSBuild;
using Keyless.Testing;
using Microsoft.Build.Utilities;
using Task = System.Threading.Tasks.Task;

namespace Keyless.Interop.Tests;

/// <summary>What stands in a step summary is pasted by people, so it is pasted here.</summary>
[TestClass]
public sealed class StepSummaryTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow(RegistryKind.Sandbox, "refs/heads/main")]
    [DataRow(RegistryKind.Distribution, "refs/heads/it's-$(id)-;@(x)%24")]
    public async Task The_commands_in_the_summary_run_as_they_stand(RegistryKind registry, string branch)
    {
        string cosign = Tools.Require("cosign");
        await using World world = await World.StartAsync(registry, Log.Rekor2Ed25519, TestContext.CancellationToken);
        world.Sandbox.Issuer.Claims["job_workflow_ref"] = $"example-org/example-repo/.github/workflows/publish.yml@{branch}";
        string image = await world.PushAsync();

        string summary = Sign(world, image);

        string command = Block(summary, "sh");
        Assert.StartsWith("cosign verify ", command);
        ToolResult verified = await RunAsync(world, cosign, $"{command} --trusted-root trusted_root.json --allow-insecure-registry");
        Assert.AreEqual(0, verified.ExitCode, $"{command}\n{verified}");
        ToolResult refused = await RunAsync(world, cosign, $"{command.Replace("publish.yml", "other.yml", StringComparison.Ordinal)} --trusted-root trusted_root.json --allow-insecure-registry");
        Assert.AreNotEqual(0, refused.ExitCode, refused.ToString());

        DotNetResult deployed = await DeployAsync(world, Block(summary, "xml"));
        Assert.AreEqual(0, deployed.ExitCode, deployed.ToString());
        Assert.Contains($"would deploy {image}", deployed.Output);
    }

    /// <returns>What was added to the step summary.</returns>
    private static string Sign(World world, string image)
    {
        var environment = new Dictionary<string, string>(world.Sandbox.Environment) { ["GITHUB_STEP_SUMMARY"] = world.Folder["summary.md"] };
        var task = new KeylessSignContainer
        {
            BuildEngine = new RecordingEngine(),
            EnvironmentVariable = environment.GetValueOrDefault,
            ProjectName = "Hello",
            ProjectDirectory = world.Folder.Path,
            ContainersToSign = [new TaskItem(image)],
            ContainerSigningBundleDirectory = "bundles",
            SigstoreInstance = "client_trust_config.json",
        };
        Assert.IsTrue(task.Execute(), World.Said(task));
        return File.ReadAllText(world.Folder["summary.md"]);
    }

    private static string Block(string summary, string language) =>
        Regex.Match(summary, $"^(?<fence>`{{3,}}){language}\n(?<code>.*?)\n\\k<fence>$", RegexOptions.Multiline | RegexOptions.Singleline).Groups["code"].Value;

    private Task<ToolResult> RunAsync(World world, string cosign, string command) => Tools.RunAsync(
        "bash", ["-c", command], world.Folder.Path,
        new Dictionary<string, string> { ["PATH"] = $"{Path.GetDirectoryName(cosign)}{Path.PathSeparator}{Environment.GetEnvironmentVariable("PATH")}" }, TestContext.CancellationToken);

    private async Task<DotNetResult> DeployAsync(World world, string item)
    {
        using PackedFeed feed = await PackedFeed.PackAsync(TestContext.CancellationToken);
        string project = world.Folder.CopyFromRepository("samples/DeployVerified", "DeployVerified");
        string file = Path.Combine(project, "DeployVerified.csproj");
        string text = Regex.Replace(await File.ReadAllTextAsync(file, TestContext.CancellationToken), "<ContainerImageToVerify [^>]*/>", _ => item);
        await File.WriteAllTextAsync(file, text, TestContext.CancellationToken);
        return await DotNet.RunAsync(
            project, ["build", "-t:Deploy", "-tl:off", $"-p:SigstoreTrustedRoot={world.Folder["trusted_root.json"]}"], feed.Environment, TestContext.CancellationToken);
    }
}
