using System.Globalization;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Testing;

namespace Keyless.Interop.Tests;

/// <summary>Other people's TUF clients find the sandbox's repository good, so it is one that ours may be tested against.</summary>
[TestClass]
public sealed class TufTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow("cosign")]
    [DataRow("cosign2")]
    public async Task Cosign_takes_its_trust_root_from_the_sandbox_and_follows_it(string name)
    {
        string cosign = Tools.Require(name);
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);
        using var folder = new TemporaryFolder();
        sandbox.WriteTo(folder["world"]);
        for (int version = 1; version <= 3; version++)
        {
            ToolResult initialize = await Tools.RunAsync(
                cosign,
                ["initialize", "--mirror", sandbox.TufServer.BaseUrl.GetLeftPart(UriPartial.Authority), "--root", folder["world/root.json"]],
                folder.Path,
                null,
                TestContext.CancellationToken);

            Assert.AreEqual(0, initialize.ExitCode, initialize.ToString());
            Assert.Contains(string.Create(CultureInfo.InvariantCulture, $"{version + 1}.root.json"), sandbox.Tuf.Requests);
            sandbox.Tuf.RotateKeys(version == 1 ? "root" : "timestamp");
            sandbox.Tuf.Publish("targets");
        }

        string kept = Directory.GetFiles(folder.Path, "trusted_root.json", SearchOption.AllDirectories).Single(file => !file.StartsWith(folder["world"], StringComparison.Ordinal));
        Assert.IsTrue(JsonNode.DeepEquals(JsonNode.Parse(sandbox.TrustedRoot), JsonNode.Parse(await File.ReadAllTextAsync(kept, TestContext.CancellationToken))));
    }
}
