using Keyless.MSBuild;
using Keyless.Testing;

namespace Keyless.Interop.Tests;

/// <summary>A team that moves from one tool to the other has images with signatures of both.</summary>
[TestClass]
public sealed class SideBySideTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow(RegistryKind.Distribution, true)]
    [DataRow(RegistryKind.Distribution, false)]
    [DataRow(RegistryKind.Sandbox, true)]
    public async Task Signatures_of_both_stay_and_both_accept(RegistryKind registry, bool oursFirst)
    {
        Tools.Require("oras");
        Tools.Require("cosign");
        await using World world = await World.StartAsync(registry, Log.Rekor2Ed25519, TestContext.CancellationToken);
        string image = await world.PushAsync();

        if (oursFirst)
        {
            world.Sign(image, ("by", "ours"));
        }

        await world.Cosign3.SignAsync(image, "-a", "by=cosign");
        if (!oursFirst)
        {
            world.Sign(image, ("by", "ours"));
        }

        Assert.HasCount(2, await world.DiscoverAsync(image));
        foreach (string by in new[] { "ours", "cosign" })
        {
            ToolResult cosign = await world.Cosign3.VerifyAsync(image, null, "-a", $"by={by}");
            Assert.AreEqual(0, cosign.ExitCode, cosign.ToString());
            KeylessVerifyContainer verify = world.Verify(image, ("Annotations", $"by={by}"));
            Assert.IsTrue(verify.Execute(), World.Said(verify));
        }
    }
}
