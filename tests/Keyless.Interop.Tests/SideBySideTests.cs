using Keyless.MSBuild;
using Keyless.Sandbox;
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

    // Counts are asserted, time is only told: it belongs to the machine.
    [TestMethod]
    [DataRow(0)]
    [DataRow(50)]
    public async Task Six_platforms_cost_fewer_requests_and_fewer_waits_than_with_cosign(int delay)
    {
        Tools.Require("cosign");
        await using World world = await World.StartAsync(RegistryKind.Sandbox, Log.Rekor2Ed25519, TestContext.CancellationToken);
        string[] platforms = ["amd64", "arm64", "arm", "s390x", "ppc64le", "riscv64"];
        string ours = (await world.Registry.PushIndexAsync("team/ours", platforms)).Index, theirs = (await world.Registry.PushIndexAsync("team/theirs", platforms)).Index;
        foreach (LoopbackServer server in world.Sandbox.Servers)
        {
            server.Delay = TimeSpan.FromMilliseconds(delay);
        }

        (TrafficMeasure Traffic, TimeSpan Took) mine = await MeasureAsync("ours", () => Task.Run(() => world.SignAll(ours))), cosigns = await MeasureAsync("cosign", () => world.Cosign3.SignAsync(theirs, "--recursive"));

        Assert.IsLessThan(cosigns.Traffic.Requests, mine.Traffic.Requests);
        Assert.IsLessThan(cosigns.Traffic.Depth, mine.Traffic.Depth);

        async Task<(TrafficMeasure, TimeSpan)> MeasureAsync(string who, Func<Task> sign)
        {
            long before = world.Sandbox.Traffic.Mark(), began = TimeProvider.System.GetTimestamp();
            await sign();
            TimeSpan took = TimeProvider.System.GetElapsedTime(began);
            TrafficMeasure traffic = world.Sandbox.Traffic.Measure("", before);
            TestContext.WriteLine($"{delay} ms delay, {who}: {traffic.Requests} requests, depth {traffic.Depth}, {took.TotalMilliseconds:0} ms");
            return (traffic, took);
        }
    }
}
