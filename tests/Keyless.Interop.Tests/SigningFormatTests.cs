using System.Text.Json.Nodes;
using Keyless.MSBuild;
using Keyless.Testing;

namespace Keyless.Interop.Tests;

/// <summary>What each of <c>ContainerSigningFormat</c> writes, to both kinds of registry, and who accepts it.</summary>
[TestClass]
public sealed class SigningFormatTests
{
    public required TestContext TestContext { get; init; }

    public static IEnumerable<object[]> Rows =>
        from format in (string[])["bundle", "legacy", "both"]
        from registry in Enum.GetValues<RegistryKind>()
        from log in (Log[])[Log.Rekor1, Log.Rekor2Ed25519]
        where format == "bundle" || log == Log.Rekor1
        select new object[] { format, registry, log };

    [TestMethod]
    [DynamicData(nameof(Rows))]
    public async Task Accepted_by_every_cosign_that_reads_the_form(string format, RegistryKind registry, Log log)
    {
        Tools.Require("cosign");
        Tools.Require("cosign2");
        await using World world = await World.StartAsync(registry, log, TestContext.CancellationToken);
        string image = await world.PushAsync();

        Assert.HasCount(format == "both" ? 2 : 1, world.SignIn(format, image, annotations: ("env", "prod")));

        ToolResult three = await world.Cosign3.VerifyAsync(image, null, "-a", "env=prod");
        ToolResult two = await world.Cosign2.VerifyAsync(image, Form.SigWithTimestamp, null, "-a", "env=prod");
        KeylessVerifyContainer ours = world.Verify(image, ("Annotations", "env=prod"));
        Assert.AreEqual(0, three.ExitCode, $"cosign 3: {three}");
        Assert.AreEqual(format != "bundle", two.ExitCode == 0, $"cosign 2: {two}");
        Assert.IsTrue(ours.Execute(), World.Said(ours));
        Assert.AreEqual(format == "legacy" ? "legacy" : "bundle", ours.VerifiedContainerImages.Single().GetMetadata("Format"));
        TestContext.WriteLine($"| {format} | {registry} | {log} | {(two.ExitCode == 0 ? "accepted" : "none found")} | accepted | accepted |");
    }

    [TestMethod]
    [DataRow(RegistryKind.Distribution)]
    [DataRow(RegistryKind.Sandbox)]
    public async Task Adds_to_what_cosign_2_has_signed_and_cosign_2_to_that(RegistryKind registry)
    {
        Tools.Require("cosign2");
        await using World world = await World.StartAsync(registry, Log.Rekor1, TestContext.CancellationToken);
        string image = await world.PushAsync();
        await world.Cosign2.SignAsync(image, Form.Sig);

        world.SignIn("legacy", image);
        await world.Cosign2.SignAsync(image, Form.SigWithTimestamp);

        ToolResult verdict = await world.Cosign2.VerifyAsync(image, Form.Sig, null);
        Assert.AreEqual(0, verdict.ExitCode, $"{verdict}");
        Assert.HasCount(3, JsonNode.Parse(verdict.Output)!.AsArray());
        JsonNode signatures = await world.ManifestAsync(image, image.Split('@')[1].Replace(':', '-') + ".sig");
        JsonNode config = JsonNode.Parse(await world.RunAsync(Tools.Require("crane"), "config", "--insecure", $"{image.Split('@')[0]}:{image.Split('@')[1].Replace(':', '-')}.sig"))!;
        Assert.HasCount(3, signatures["layers"]!.AsArray());
        Assert.HasCount(3, config["history"]!.AsArray());
        Assert.HasCount(3, config["rootfs"]!["diff_ids"]!.AsArray());
    }
}
