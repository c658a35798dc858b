using System.Globalization;
using Keyless.Sandbox;
using Keyless.Testing;

namespace Keyless.Interop.Tests;

/// <summary>
/// One image that many have signed, of whom the deployer trusts one. Counts are asserted, time and memory are only told: they belong to the machine.
/// <c>KEYLESS_SIGNATURES=1000</c> makes it the largest number that is looked at.
/// </summary>
[TestClass]
[DoNotParallelize]
public sealed class ManySignaturesTests
{
    private static readonly int Signatures = int.Parse(Environment.GetEnvironmentVariable("KEYLESS_SIGNATURES") ?? "6", CultureInfo.InvariantCulture);

    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public async Task Cost_no_more_than_it_takes_to_reach_the_right_one(bool first)
    {
        Tools.Require("cosign");
        await using World world = await World.StartAsync(RegistryKind.Sandbox, Log.Rekor2Ed25519, TestContext.CancellationToken);
        string image = world.Sandbox.PushImage("team/app", null);
        if (first)
        {
            world.Sign(image);
        }

        // Each with a certificate of its own, all of the same stranger.
        string workflow = (string)world.Sandbox.Issuer.Claims["job_workflow_ref"]!;
        world.Sandbox.Issuer.Claims["job_workflow_ref"] = "example-org/other/.github/workflows/publish.yml@refs/heads/main";
        for (int i = 1; i < Signatures; i++)
        {
            world.Sign(image, ("number", i.ToString(CultureInfo.InvariantCulture)));
        }

        world.Sandbox.Issuer.Claims["job_workflow_ref"] = workflow;
        if (!first)
        {
            world.Sign(image);
        }

        using DeployProject deploy = await DeployProject.CreateAsync(world, [image]);
        // The first to look makes the pages warm for both.
        await deploy.MeasureAsync(deploy.Build);
        foreach (int delay in (int[])[0, 50])
        {
            world.Sandbox.RegistryServer.Delay = TimeSpan.FromMilliseconds(delay);
            (TrafficMeasure ours, string took) = await deploy.MeasureAsync(deploy.Build);
            TestContext.WriteLine($"{Signatures} signatures, the right one {(first ? "first" : "last")}, {delay} ms delay, Keyless.MSBuild: {took}");
            TestContext.WriteLine($"{Signatures} signatures, the right one {(first ? "first" : "last")}, {delay} ms delay, cosign: {(await deploy.MeasureAsync(deploy.CosignVerify(image))).Took}");

            // The list, and two for each that is looked at.
            Assert.AreEqual(first ? 3 : 1 + (2 * Signatures), ours.Requests);
        }
    }
}
