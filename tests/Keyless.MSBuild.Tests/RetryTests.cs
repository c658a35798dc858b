using System.Globalization;
using Keyless.Sandbox;
using Keyless.Sigstore;
using Polly;

namespace Keyless.MSBuild.Tests;

/// <summary>What fails for the moment is tried again within one budget; what is refused is not.</summary>
[TestClass]
public sealed class RetryTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow("issuer", 502)]
    [DataRow("fulcio", 429)]
    [DataRow("fulcio", 500)]
    [DataRow("timestamp", 408)]
    [DataRow("timestamp", 503)]
    [DataRow("rekor-v2", 425)]
    [DataRow("rekor-v2", 504)]
    [DataRow("registry", 429)]
    [DataRow("registry", 500)]
    public async Task Signs_though_a_service_is_busy_for_a_moment(string part, int status)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        KeylessSignContainer task = Patient(world, image);
        int refused = 0;
        Server(world, part).Intercept = context =>
        {
            context.Response.StatusCode = Interlocked.Increment(ref refused) <= 2 ? status : 200;
            return Task.CompletedTask;
        };

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.HasCount(1, world.Referrers(image));
        StringAssert.Contains(World.Log(task), string.Create(CultureInfo.InvariantCulture, $"{status}"), StringComparison.Ordinal);
        StringAssert.Contains(World.Log(task), "; again in ", StringComparison.Ordinal);
    }

    [TestMethod]
    [DataRow("issuer", "KEYLESS1005")]
    [DataRow("fulcio", "KEYLESS2002")]
    [DataRow("timestamp", "KEYLESS2002")]
    [DataRow("rekor-v2", "KEYLESS2002")]
    [DataRow("registry", "KEYLESS3001")]
    public async Task Says_what_was_tried_when_the_budget_ends(string part, string code)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        KeylessSignContainer task = Patient(world, image, "00:00:03");
        Server(world, part).Intercept = World.Answer(502, "text/html", "<html>bad gateway</html>");

        string error = World.Refusal(task, code);

        StringAssert.Contains(error, "502", StringComparison.Ordinal);
        StringAssert.Matches(error, new(@"; [2-5] tries in [1-9] s, ContainerSigningRetryBudget is 3 s", default, TimeSpan.FromSeconds(1)));
        Assert.IsEmpty(world.Referrers(image));
    }

    [TestMethod]
    [DataRow("issuer", 403, "KEYLESS1005")]
    [DataRow("fulcio", 403, "KEYLESS2002")]
    [DataRow("timestamp", 400, "KEYLESS2002")]
    [DataRow("rekor-v2", 401, "KEYLESS2002")]
    [DataRow("registry", 400, "KEYLESS3004")]
    public async Task Does_not_ask_twice_what_was_refused(string part, int status, string code)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessSignContainer task = Patient(world, world.Push());
        Server(world, part).Intercept = World.Answer(status, "text/plain", "no");

        string error = World.Refusal(task, code);

        Assert.DoesNotContain(" in 0 s", error);
        Assert.DoesNotContain("again in", World.Log(task));
    }

    [TestMethod]
    public async Task Waits_as_long_as_a_server_asks()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessSignContainer task = Patient(world, world.Push());
        Busy(world.Sandbox.RekorV2Server, times: 1, retryAfter: "3");

        Assert.IsTrue(task.Execute(), World.Log(task));

        Exchange[] asked = [.. world.Sandbox.Traffic.Snapshot().Where(exchange => exchange.Part == "rekor-v2")];
        Assert.HasCount(2, asked);
        Assert.IsGreaterThanOrEqualTo(TimeSpan.FromSeconds(2.9), asked[1].Start - asked[0].End);
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public async Task Waits_as_long_as_a_registry_s_token_service_asks(bool asDate)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions
        {
            RegistryLogin = RegistryLogin.Bearer,
            RegistryUsers = new Dictionary<string, string> { ["ci"] = "password" },
        });
        (world.Environment["DOTNET_CONTAINER_REGISTRY_UNAME"], world.Environment["DOTNET_CONTAINER_REGISTRY_PWORD"]) = ("ci", "password");
        KeylessSignContainer task = Patient(world, world.Push());
        world.Sandbox.RegistryServer.Faults.Add(Fault.Status(429).RetryAfter(TimeSpan.FromSeconds(4), asDate).On("GET /oauth2/token").ForRequests(1, 1));

        Assert.IsTrue(task.Execute(), World.Log(task));

        Exchange[] asked = [.. world.Sandbox.Traffic.Snapshot().Where(exchange => exchange.Path == "/oauth2/token")];
        Assert.HasCount(2, asked);
        // A date is in whole seconds.
        Assert.IsGreaterThanOrEqualTo(TimeSpan.FromSeconds(asDate ? 2.9 : 3.9), asked[1].Start - asked[0].End);
        StringAssert.Contains(World.Log(task), "(it asks to wait 4 s)", StringComparison.Ordinal);
    }

    [TestMethod]
    public async Task Does_not_begin_to_wait_for_longer_than_the_budget()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessSignContainer task = Patient(world, world.Push());
        Busy(world.Sandbox.FulcioServer, times: int.MaxValue, retryAfter: "3600");

        string error = World.Refusal(task, "KEYLESS2002");

        StringAssert.Contains(error, "it asks to wait 3600 s", StringComparison.Ordinal);
        StringAssert.Contains(error, "1 try in 0 s", StringComparison.Ordinal);
        Assert.HasCount(1, world.Sandbox.Traffic.Snapshot().Where(exchange => exchange.Part == "fulcio"));
    }

    /// <summary>A number that no wait can be is a long one; what is no number and no date says nothing, and of two nobody knows which is meant.</summary>
    [TestMethod]
    [DataRow("fulcio", "99999999999", false)]
    [DataRow("registry", "99999999999", false)]
    [DataRow("registry", "999999999999999999999999999999", false)]
    [DataRow("fulcio", "2, 99999999999", true)]
    [DataRow("fulcio", "-5", true)]
    [DataRow("fulcio", "0", true)]
    [DataRow("fulcio", "soon", true)]
    [DataRow("fulcio", "Wed, 21 Oct 2015 07:28:00 GMT", true)]
    [DataRow("registry", "Wed, 21 Oct 2015 07:28:00 GMT", true)]
    [DataRow("registry", "-5", true)]
    public async Task Takes_for_a_wait_what_is_one(string part, string retryAfter, bool signs)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessSignContainer task = Patient(world, world.Push(), "00:00:20");
        Server(world, part).Faults.Add(Fault.Status(429).With("Retry-After", retryAfter).ForRequests(1, 1));

        if (signs)
        {
            Assert.IsTrue(task.Execute(), World.Log(task));
            return;
        }

        Assert.Contains("1 try in 0 s", World.Refusal(task, part == "registry" ? "KEYLESS3001" : "KEYLESS2002"));
    }

    [TestMethod]
    public async Task Does_not_wait_for_the_log_when_the_timestamp_was_refused()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessSignContainer task = Patient(world, world.Push(), "00:10:00");
        world.Sandbox.TimestampServer.Intercept = World.Answer(403, "text/plain", "no");
        Busy(world.Sandbox.RekorV2Server, times: int.MaxValue, retryAfter: "300");

        string error = World.Refusal(task, "KEYLESS2002");

        StringAssert.Contains(error, "timestamp authority", StringComparison.Ordinal);
    }

    [TestMethod]
    public async Task Takes_the_entry_that_is_there_when_an_answer_of_Rekor_1_was_lost()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { Rekor = RekorVersion.V1 });
        string image = world.Push();
        KeylessSignContainer task = Patient(world, image);
        LoseAnswers(world.Sandbox.RekorV1Server, 1);

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.AreSequenceEqual([0, 409, 200], world.Sandbox.Traffic.Snapshot().Where(exchange => exchange.Part == "rekor-v1").Select(exchange => exchange.Status).ToArray());
        Assert.HasCount(1, world.Referrers(image));
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(3)]
    public async Task Signs_and_stamps_anew_at_most_twice_when_answers_of_Rekor_2_were_lost(int lost)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        KeylessSignContainer task = Patient(world, image);
        for (int i = 0; i < lost; i++)
        {
            // Each loss is followed by a second try of the same signature, and that by 409.
            world.Sandbox.RekorV2Server.Faults.Add(Fault.Drop.AfterTheWork().ForRequests((2 * i) + 1, (2 * i) + 1));
        }

        if (lost <= 2)
        {
            Assert.IsTrue(task.Execute(), World.Log(task));
        }
        else
        {
            StringAssert.Contains(World.Refusal(task, "KEYLESS2002"), "409", StringComparison.Ordinal);
        }

        Exchange[] asked = [.. world.Sandbox.Traffic.Snapshot()];
        int[] expected = [.. Enumerable.Repeat((int[])[0, 409], lost).SelectMany(pair => pair), .. lost <= 2 ? (int[])[201] : []];
        Assert.AreSequenceEqual(expected, asked.Where(exchange => exchange.Part == "rekor-v2").Select(exchange => exchange.Status).ToArray());
        Assert.HasCount(Math.Min(lost, 2) + 1, asked.Where(exchange => exchange.Part == "timestamp"));
        Assert.HasCount(1, asked.Where(exchange => exchange.Part == "fulcio"));
        Assert.HasCount(lost <= 2 ? 1 : 0, world.Referrers(image));
    }

    [TestMethod]
    public async Task Puts_a_manifest_again_when_the_answer_was_lost_and_lists_it_once()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { ReferrersApi = false });
        string image = world.Push();
        KeylessSignContainer task = Patient(world, image);
        LoseAnswers(world.Sandbox.RegistryServer, 2, "PUT");

        Assert.IsTrue(task.Execute(), World.Log(task));

        KeylessVerifyContainer verify = world.Verify(world.Image(image));
        Assert.IsTrue(verify.Execute(), World.Log(verify));
        RegistryManifest list = world.Sandbox.Registry.FindManifest("team/app", image.Split('@')[1].Replace(':', '-'))!;
        Assert.HasCount(1, System.Text.Json.Nodes.JsonNode.Parse(list.Bytes)!["manifests"]!.AsArray());
    }

    [TestMethod]
    public async Task Stops_counting_when_a_wait_is_cancelled()
    {
        var spent = new RetryTime();
        ResiliencePipeline pipeline = new Retries(TimeSpan.FromMinutes(5), null, spent, TimeProvider.System, _ => { }).ToPipeline();
        using var stop = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));

        await Assert.ThrowsAsync<OperationCanceledException>(async () => await pipeline.ExecuteAsync<int>(
            _ => throw new ServiceException(ServiceFailure.Unreachable, "Rekor", "down") { IsTransient = true }, stop.Token));

        TimeSpan now = TimeProvider.System.GetElapsedTime(0);
        Assert.AreEqual(spent.Until(now), spent.Until(now + TimeSpan.FromMinutes(1)));
    }

    [TestMethod]
    public void Counts_what_is_tried_side_by_side_once()
    {
        var spent = new RetryTime();
        spent.Begin(TimeSpan.FromSeconds(10));
        spent.Begin(TimeSpan.FromSeconds(12));
        Assert.AreEqual(TimeSpan.FromSeconds(5), spent.Until(TimeSpan.FromSeconds(15)));

        spent.End(TimeSpan.FromSeconds(15));
        spent.End(TimeSpan.FromSeconds(20));

        Assert.AreEqual(TimeSpan.FromSeconds(10), spent.Until(TimeSpan.FromSeconds(100)));
        spent.Begin(TimeSpan.FromSeconds(100));
        Assert.AreEqual(TimeSpan.FromSeconds(13), spent.Until(TimeSpan.FromSeconds(103)));
    }

    private static KeylessSignContainer Patient(World world, string image, string budget = "00:01:00")
    {
        KeylessSignContainer task = world.Sign(image);
        task.ContainerSigningRetryBudget = budget;
        return task;
    }

    private static LoopbackServer Server(World world, string part) => world.Sandbox.Servers.Single(server => server.Part == part);

    private static void Busy(LoopbackServer server, int times, string retryAfter)
    {
        int refused = 0;
        server.Intercept = context =>
        {
            if (Interlocked.Increment(ref refused) <= times)
            {
                context.Response.StatusCode = 429;
                context.Response.Headers.RetryAfter = retryAfter;
            }

            return Task.CompletedTask;
        };
    }

    private static void LoseAnswers(LoopbackServer server, int times, string method = "POST")
    {
        int lost = 0;
        server.Intercept = context =>
        {
            if (context.Request.Method == method && Interlocked.Increment(ref lost) <= times)
            {
                context.Response.OnStarting(() =>
                {
                    context.Abort();
                    return Task.CompletedTask;
                });
            }

            return Task.CompletedTask;
        };
    }
}
