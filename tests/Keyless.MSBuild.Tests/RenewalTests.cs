using Keyless.Sandbox;
using Keyless.Testing;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>Certificates and tokens that end before everything is signed, and builds that are stopped.</summary>
[TestClass]
public sealed class RenewalTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    public async Task Goes_on_under_a_new_certificate_when_the_first_comes_to_its_end()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, time: TimeProvider.System);
        string image = world.Push();
        KeylessSignContainer task = WaitForTheLog(world, image);

        Assert.IsTrue(task.Execute(), World.Log(task));

        string[] asked = [.. world.Sandbox.Traffic.Snapshot().Where(exchange => exchange.Status is 200 or 201).Select(exchange => exchange.Part)];
        Assert.HasCount(3, asked.Where(part => part == "fulcio"));
        // The first signature's timestamp is of no use to the second.
        Assert.HasCount(2, asked.Where(part => part == "timestamp"));
        Assert.HasCount(1, asked.Where(part => part == "rekor-v2"));
        StringAssert.Contains(World.Log(task), "the certificate ends at ", StringComparison.Ordinal);
        Assert.HasCount(1, world.Referrers(image));
        KeylessVerifyContainer verify = world.Verify(world.Image(image));
        Assert.IsTrue(verify.Execute(), World.Log(verify));
    }

    [TestMethod]
    public async Task Names_what_is_not_signed_when_a_given_token_comes_to_its_end()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, time: TimeProvider.System);
        string image = world.Push();
        world.Environment.Clear();
        world.Environment["SIGSTORE_ID_TOKEN"] = world.Sandbox.Issuer.CreateToken(lifetime: TimeSpan.FromSeconds(68));
        KeylessSignContainer task = WaitForTheLog(world, image);
        task.ContainerSigningAcceptPublicLog = "true";

        string error = World.Refusal(task, "KEYLESS1003");

        StringAssert.Contains(error, $"; not signed: {image}", StringComparison.Ordinal);
        Assert.IsEmpty(world.Referrers(image));
    }

    [TestMethod]
    [DataRow("issuer", "GET")]
    [DataRow("fulcio", "POST")]
    [DataRow("timestamp", "POST")]
    [DataRow("rekor-v2", "POST")]
    [DataRow("registry", "HEAD")]
    [DataRow("registry", "POST")]
    [DataRow("registry", "PUT")]
    public async Task A_build_that_is_stopped_leaves_nothing_half_done(string part, string method)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { ReferrersApi = false });
        string image = world.Push();
        KeylessSignContainer task = world.Sign(image);
        LoopbackServer server = world.Sandbox.Servers.Single(server => server.Part == part);
        server.Intercept = async context =>
        {
            if (context.Request.Method == method)
            {
                task.Cancel();
                await Task.Delay(Timeout.InfiniteTimeSpan, context.RequestAborted);
            }
        };

        Assert.IsFalse(task.Execute());

        Assert.IsEmpty(((RecordingEngine)task.BuildEngine).Errors, World.Log(task));
        server.Intercept = null;
        KeylessSignContainer again = world.Sign(image);
        Assert.IsTrue(again.Execute(), World.Log(again));
        byte[] list = world.Sandbox.Registry.FindManifest("team/app", image.Split('@')[1].Replace(':', '-'))!.Bytes;
        Assert.HasCount(1, System.Text.Json.Nodes.JsonNode.Parse(list)!["manifests"]!.AsArray());
        KeylessVerifyContainer verify = world.Verify(world.Image(image));
        Assert.IsTrue(verify.Execute(), World.Log(verify));
    }

    /// <summary>
    /// The certificate has ten seconds left for us, and the log is busy for longer. A first one like that is replaced before anything is signed with it, so
    /// there are two of them.
    /// </summary>
    private static KeylessSignContainer WaitForTheLog(World world, string image)
    {
        KeylessSignContainer task = world.Sign(image);
        task.ContainerSigningRetryBudget = "00:02:00";
        world.Sandbox.FulcioServer.Faults.Add(Fault.Lie(FulcioLie.EndsSoon).ForRequests(1, 2));
        world.Sandbox.RekorV2Server.Faults.Add(Fault.Status(503).During(TimeSpan.FromSeconds(14)));
        return task;
    }
}
