using System.Text.RegularExpressions;
using Keyless.Sandbox;

namespace Keyless.MSBuild.Tests;

/// <summary>What fails for the moment while images are verified is tried again for a short while; what is refused is not.</summary>
[TestClass]
public sealed class VerifyingRetryTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow(408)]
    [DataRow(425)]
    [DataRow(429)]
    [DataRow(500)]
    [DataRow(502)]
    [DataRow(503)]
    [DataRow(504)]
    [DataRow(0)]
    [DataRow(1)]
    public async Task Verifies_though_the_registry_is_busy_for_a_moment(int status)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = Patient(world, world.PushSigned());
        world.Sandbox.RegistryServer.Faults.Add((status switch { 0 => Fault.Drop, 1 => Fault.Cut, _ => Fault.Status(status) }).ForRequests(1, 2));

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.HasCount(1, task.VerifiedContainerImages);
        Assert.Contains("; again in ", World.Log(task));
        Assert.IsEmpty(((Testing.RecordingEngine)task.BuildEngine).Warnings);
    }

    // The list, the manifest and the blob: each is asked for once more.
    [TestMethod]
    [DataRow("GET /v2/*/referrers/")]
    [DataRow("GET /v2/*/manifests/")]
    [DataRow("GET /v2/*/blobs/")]
    public async Task Asks_again_for_whatever_failed(string request)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = Patient(world, world.PushSigned());
        long before = world.Sandbox.Traffic.Mark();
        world.Sandbox.RegistryServer.Faults.Add(Fault.Status(503).On(request).ForRequests(1, 1));

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.AreEqual(4, world.Sandbox.Traffic.Measure("Keyless.MSBuild/", before).Requests);
    }

    [TestMethod]
    public async Task Says_what_was_tried_when_the_time_is_up()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = Patient(world, world.PushSigned());
        world.Sandbox.RegistryServer.Intercept = World.Answer(502, "text/html", "<html>bad gateway</html>");

        string error = World.Refusal(task, "KEYLESS3001");

        Assert.Contains("502", error);
        Assert.MatchesRegex(new Regex("; [2-9][0-9]? tries in [0-9]+ s", RegexOptions.None, TimeSpan.FromSeconds(1)), error);
        Assert.DoesNotContain("RetryBudget", World.Log(task));
    }

    [TestMethod]
    public async Task Many_images_of_one_registry_wait_in_the_same_time_and_are_loud_once()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string[] images = [.. Enumerable.Range(0, 40).Select(_ => world.Push(tag: null))];
        KeylessVerifyContainer task = world.Verify([.. images.Select(image => world.Image(image))]);
        task.RetryBudget = TimeSpan.FromSeconds(10);
        world.Sandbox.RegistryServer.Intercept = World.Answer(503, "text/plain", "busy");

        long began = world.Time.GetTimestamp();
        Assert.Contains("(and 39 more of its images)", World.Refusal(task, "KEYLESS3001"));

        Assert.IsLessThan(60, world.Time.GetElapsedTime(began).TotalSeconds, "as long as for one image, and not forty times as long");
        Assert.HasCount(1, World.Log(task).Split('\n').Where(line => line.StartsWith("high: ", StringComparison.Ordinal) && line.Contains("; again in ", StringComparison.Ordinal)));
    }

    [TestMethod]
    [DataRow(400, "KEYLESS3004")]
    [DataRow(401, "KEYLESS3002")]
    [DataRow(403, "KEYLESS3002")]
    [DataRow(404, "KEYLESS3003")]
    public async Task Does_not_ask_twice_what_was_refused(int status, string code)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = Patient(world, $"{world.Sandbox.RegistryHost}/team/app:1.0");
        world.PushSigned();
        world.Sandbox.RegistryServer.Intercept = World.Answer(status, "text/plain", "no");

        string error = World.Refusal(task, code);

        Assert.DoesNotContain(" in 0 s", error);
        Assert.DoesNotContain("again in", World.Log(task));
    }

    [TestMethod]
    public async Task Does_not_ask_twice_for_other_bytes_than_the_digest_says()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = Patient(world, world.PushSigned());
        world.Sandbox.RegistryServer.Intercept = async context =>
        {
            if (context.Request.Path.Value!.Contains("/blobs/", StringComparison.Ordinal))
            {
                await World.Answer(200, "application/octet-stream", "{}")(context);
            }
        };

        World.Refusal(task, "KEYLESS4002");

        Assert.DoesNotContain("again in", World.Log(task));
    }

    [TestMethod]
    public async Task Does_not_begin_to_wait_for_longer_than_it_would()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = Patient(world, world.PushSigned());
        world.Sandbox.RegistryServer.Faults.Add(Fault.Status(429).RetryAfter(TimeSpan.FromMinutes(10)));

        string error = World.Refusal(task, "KEYLESS3001");

        Assert.Contains("(it asks to wait 600 s); 1 try in 0 s", error);
    }

    [TestMethod]
    [DataRow(2, true)]
    [DataRow(int.MaxValue, false)]
    public async Task Asks_again_for_a_trusted_root_that_was_never_fetched(int times, bool verifies)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = Patient(world, world.PushSigned());
        (task.SigstoreTrustedRoot, task.SigstoreTufUrl, task.SigstoreTufRoot) = ("", world.Sandbox.TufServer.BaseUrl.AbsoluteUri, "root.json");
        task.SigstoreCacheDirectory = world.Folder["tuf"];
        world.Sandbox.TufServer.Faults.Add(Fault.Status(503).ForRequests(1, times));

        if (verifies)
        {
            Assert.IsTrue(task.Execute(), World.Log(task));
            return;
        }

        string error = World.Refusal(task, "KEYLESS2104");
        Assert.Contains(" tries in ", error);
        Assert.DoesNotContain("RetryBudget", error);
    }

    private static KeylessVerifyContainer Patient(World world, string image)
    {
        KeylessVerifyContainer task = world.Verify(world.Image(image));
        task.RetryBudget = TimeSpan.FromSeconds(30);
        return task;
    }
}
