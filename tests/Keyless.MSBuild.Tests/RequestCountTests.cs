using System.Text;
using Keyless.Sandbox;

namespace Keyless.MSBuild.Tests;

/// <summary>
/// What a signature costs: every request counted, and how many of them have to wait for one another. One log, one timestamp authority, an
/// anonymous registry without the empty config, trusted root and signing config at hand; all else comes on top.
/// </summary>
[TestClass]
public sealed class RequestCountTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow(RekorVersion.V2, true, 11, 5)]
    [DataRow(RekorVersion.V1, true, 11, 5)]
    [DataRow(RekorVersion.V2, false, 14, 8)]
    public async Task One_image(RekorVersion rekor, bool referrersApi, int requests, int depth)
    {
        await AssertCostsAsync(new SandboxOptions { Rekor = rekor, ReferrersApi = referrersApi }, world => world.Sign(world.Push()), requests, depth);
    }

    [TestMethod]
    [DataRow(2, true, 21, 5)]
    [DataRow(6, true, 41, 5)]
    [DataRow(12, true, 71, 5)]
    [DataRow(2, false, 30, 8)]
    [DataRow(6, false, 62, 8)]
    [DataRow(12, false, 110, 8)]
    public async Task Six_platforms_wait_no_longer_than_two_or_twelve(int platforms, bool referrersApi, int requests, int depth)
    {
        await AssertCostsAsync(new SandboxOptions { ReferrersApi = referrersApi }, world => SignIndex(world, platforms), requests, depth);
    }

    [TestMethod]
    public async Task An_index_that_is_named_is_read_once_more()
    {
        await AssertCostsAsync(new SandboxOptions(), world => world.Sign(world.PushIndex(6).Pinned), 42, 6);
    }

    [TestMethod]
    public async Task A_registry_that_asks_who_is_there_costs_two_more()
    {
        var options = new SandboxOptions { RegistryLogin = RegistryLogin.Bearer, RegistryUsers = new Dictionary<string, string> { ["ci"] = "canary-password" } };

        // The challenge and the token: the first question is asked once more.
        await AssertCostsAsync(
            options,
            world =>
            {
                (world.Environment["DOTNET_CONTAINER_REGISTRY_UNAME"], world.Environment["DOTNET_CONTAINER_REGISTRY_PWORD"]) = ("ci", "canary-password");
                return world.Sign(world.Push());
            },
            13,
            7);
    }

    [TestMethod]
    public async Task Everything_waits_for_a_slow_log_together()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessSignContainer task = SignIndex(world, 6);
        world.Sandbox.RekorV2Server.Delay = TimeSpan.FromSeconds(1);

        Assert.IsTrue(task.Execute(), World.Log(task));

        Exchange[] entries = [.. world.Sandbox.Traffic.Snapshot().Where(exchange => exchange.Part == "rekor-v2")];
        Assert.HasCount(7, entries);
        Assert.IsLessThan(entries.Min(entry => entry.Ended), entries.Max(entry => entry.Began), "the last had begun before the first was answered");
    }

    private static KeylessSignContainer SignIndex(World world, int platforms)
    {
        KeylessSignContainer task = world.Sign();
        (task.ContainerRegistry, task.ContainerRepository) = (world.Sandbox.RegistryHost, "team/app");
        task.GeneratedImageIndex = Encoding.UTF8.GetString(world.PushIndex(platforms).Bytes);
        return task;
    }

    /// <summary>
    /// On a busy machine what is sent together may arrive one after the other, which looks deeper than it is and never less deep: so it is measured
    /// again with slower servers.
    /// </summary>
    private async Task AssertCostsAsync(SandboxOptions options, Func<World, KeylessSignContainer> prepare, int requests, int depth)
    {
        string seen = "";
        foreach (int delay in (int[])[400, 1500, 4000])
        {
            await using World world = await World.StartAsync(TestContext.CancellationToken, options);
            KeylessSignContainer task = prepare(world);
            foreach (LoopbackServer server in world.Sandbox.Servers)
            {
                server.Delay = TimeSpan.FromMilliseconds(delay);
            }

            long before = world.Sandbox.Traffic.Mark();

            Assert.IsTrue(task.Execute(), World.Log(task));

            string[] all = [.. world.Sandbox.Traffic.Snapshot(before).Select(exchange => $"{exchange.Began}-{exchange.Ended} {exchange.Part} {exchange.Method} {exchange.Path} {exchange.Status}")];
            TrafficMeasure measure = world.Sandbox.Traffic.Measure("Keyless.MSBuild/", before);
            seen = $"{measure}\n{string.Join('\n', all)}";
            Assert.AreEqual(requests, measure.Requests, seen);
            Assert.HasCount(requests, all, "every request says who asks");
            if (measure.Depth == depth)
            {
                return;
            }
        }

        Assert.Fail($"expected a depth of {depth}: {seen}");
    }
}
