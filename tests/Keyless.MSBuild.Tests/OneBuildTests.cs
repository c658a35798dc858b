using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Keyless.Sandbox;
using Keyless.Testing;

namespace Keyless.MSBuild.Tests;

/// <summary>What the projects of one build have in common that are signed in one process.</summary>
[TestClass]
public sealed partial class OneBuildTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    public async Task Projects_share_one_certificate_however_many_sign_at_once()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        using var build = new SharedBuild();
        KeylessSignContainer[] tasks = [.. Enumerable.Range(0, 5).Select(_ => SignIn(build, world))];

        await Task.WhenAll(tasks.Select(task => Task.Run(() => Assert.IsTrue(task.Execute(), World.Log(task)), TestContext.CancellationToken)));

        Assert.AreEqual(1, Asked(world, "fulcio"));
        Assert.AreEqual(1, Asked(world, "issuer"));
        Assert.AreEqual(1, tasks.Count(task => World.Log(task).Contains("took: token", StringComparison.Ordinal)), "who gets it says how long that took");
    }

    [TestMethod]
    public async Task Another_build_has_another_certificate()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        foreach (int _ in Enumerable.Range(0, 2))
        {
            using var build = new SharedBuild();
            KeylessSignContainer task = SignIn(build, world);
            Assert.IsTrue(task.Execute(), World.Log(task));
        }

        Assert.AreEqual(2, Asked(world, "fulcio"));
    }

    [TestMethod]
    public async Task Without_an_engine_that_keeps_anything_every_project_has_its_own()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        foreach (KeylessSignContainer task in new[] { world.Sign(world.Push()), world.Sign(world.Push()) })
        {
            Assert.IsTrue(task.Execute(), World.Log(task));
        }

        Assert.AreEqual(2, Asked(world, "fulcio"));
    }

    [TestMethod]
    [DataRow("instance")]
    [DataRow("provider")]
    [DataRow("consent")]
    [DataRow("http")]
    [DataRow("token")]
    public async Task Other_settings_get_a_certificate_of_their_own(string what)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        File.Copy(world.PathOf("client_trust_config.json"), world.PathOf("another.json"));
        using var build = new SharedBuild();
        KeylessSignContainer first = SignIn(build, world), second = SignIn(build, world);
        Assert.IsTrue(first.Execute(), World.Log(first));
        switch (what)
        {
            case "instance": second.SigstoreInstance = "another.json"; break;
            case "provider": second.SigstoreOidcProvider = "github-actions"; break;
            case "consent": second.ContainerSigningAcceptPublicLog = "true"; break;
            case "http": second.SigstoreAllowHttp = "true"; break;
            default: world.Environment["SIGSTORE_ID_TOKEN"] = world.Sandbox.Issuer.CreateToken(); break;
        }

        Assert.IsTrue(second.Execute(), World.Log(second));

        Assert.AreEqual(2, Asked(world, "fulcio"));
    }

    [TestMethod]
    public async Task A_certificate_that_is_about_to_end_is_not_used_again()
    {
        var clock = new ShiftedClock();
        await using World world = await World.StartAsync(TestContext.CancellationToken, time: clock);
        using var build = new SharedBuild();
        var asked = new List<int>();
        foreach (double minutes in new[] { 0, 7, 8.5, 9 })
        {
            clock.Shift = TimeSpan.FromMinutes(minutes);
            KeylessSignContainer task = SignIn(build, world);
            Assert.IsTrue(task.Execute(), World.Log(task));
            asked.Add(Asked(world, "fulcio"));
        }

        // It lives ten minutes; the third has less than two left, the fourth finds the new one.
        Assert.AreEqual("1 1 2 2", string.Join(' ', asked));
    }

    [TestMethod]
    public async Task A_failure_is_nobody_elses()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        using var build = new SharedBuild();
        KeylessSignContainer first = SignIn(build, world), second = SignIn(build, world);
        world.Sandbox.FulcioServer.Intercept = World.Answer(403, "application/json", "{}");
        World.Refusal(first, "KEYLESS2002");
        world.Sandbox.FulcioServer.Intercept = null;

        Assert.IsTrue(second.Execute(), World.Log(second));
    }

    /// <summary>What is tried side by side counts once, and who comes when the budget is gone does not begin to wait.</summary>
    [TestMethod]
    [DataRow("fulcio")]
    [DataRow("timestamp")]
    [DataRow("registry")]
    public async Task Projects_share_one_budget_and_each_names_what_it_did_not_sign(string part)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        using var build = new SharedBuild();
        KeylessSignContainer[] tasks = [.. Enumerable.Range(0, 4).Select(_ => SignIn(build, world))];
        foreach (KeylessSignContainer task in tasks)
        {
            task.ContainerSigningRetryBudget = "00:00:03";
        }

        world.Sandbox.Servers.Single(server => server.Part == part).Faults.Add(Fault.Status(503));
        await Task.WhenAll(tasks[..3].Select(task => Task.Run(task.Execute, TestContext.CancellationToken)));
        long mark = world.Sandbox.Traffic.Mark();
        tasks[3].Execute();

        foreach (KeylessSignContainer task in tasks)
        {
            var engine = (RecordingEngine)task.BuildEngine;
            Assert.HasCount(1, engine.Errors, engine.Log);
            Assert.Contains("ContainerSigningRetryBudget is 3 s", engine.Errors[0].Message!);
            Assert.Contains($"not signed: {task.ContainersToSign[0].ItemSpec}", engine.Log);
        }

        Assert.Contains("; 1 try in 0 s, ", World.Log(tasks[3]));
        Assert.HasCount(1, world.Sandbox.Traffic.Snapshot(mark).Where(exchange => exchange.Part == part).Select(exchange => exchange.Path).Distinct());
        // The certificate of those who failed serves those who come when all is well.
        int certificates = Asked(world, "fulcio");
        world.Sandbox.Servers.Single(server => server.Part == part).Faults.Clear();
        KeylessSignContainer last = SignIn(build, world);
        Assert.IsTrue(last.Execute(), World.Log(last));
        if (part == "timestamp")
        {
            Assert.AreEqual(certificates, Asked(world, "fulcio"));
        }
    }

    [TestMethod]
    public async Task The_public_record_is_mentioned_once()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        JsonNode config = JsonNode.Parse(world.Sandbox.ClientTrustConfig)!;
        // Its name is all that makes it public; keys and entries are the sandbox's.
        config["trustedRoot"]!["ctlogs"]![0]!["baseUrl"] = "https://ctfe.sigstore.dev/2022";
        world.Folder.Write("client_trust_config.json", config.ToJsonString());
        using var build = new SharedBuild();
        KeylessSignContainer[] tasks = [SignIn(build, world), SignIn(build, world)];
        foreach (KeylessSignContainer task in tasks)
        {
            Assert.IsTrue(task.Execute(), World.Log(task));
        }

        Assert.HasCount(1, tasks.Where(task => World.Log(task).Contains("go into a public log", StringComparison.Ordinal)));
    }

    [TestMethod]
    public async Task Says_how_long_each_step_took()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Sandbox.FulcioServer.Delay = TimeSpan.FromMilliseconds(300);
        world.Sandbox.TimestampServer.Delay = TimeSpan.FromMilliseconds(200);
        KeylessSignContainer task = world.Sign(world.Push());

        Assert.IsTrue(task.Execute(), World.Log(task));

        Dictionary<string, int> took = Took(World.Log(task));
        Assert.AreEqual("attach certificate log timestamp token", string.Join(' ', took.Keys.Order(StringComparer.Ordinal)));
        Assert.IsGreaterThanOrEqualTo(300, took["certificate"]);
        Assert.IsGreaterThanOrEqualTo(200, took["timestamp"]);
    }

    [TestMethod]
    public async Task Measures_with_the_clock_it_is_given()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessSignContainer task = world.Sign(world.Push());
        task.Time = new StandingStopwatch();

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.IsTrue(Took(World.Log(task)).Values.All(milliseconds => milliseconds == 0), World.Log(task));
    }

    private static KeylessSignContainer SignIn(SharedBuild build, World world)
    {
        KeylessSignContainer task = world.Sign(world.Push());
        task.BuildEngine = build.CreateEngine();
        return task;
    }

    private static int Asked(World world, string part) => world.Sandbox.Traffic.Snapshot().Count(exchange => exchange.Part == part);

    private static Dictionary<string, int> Took(string log) => log.Split('\n')
        .Where(line => line.StartsWith("low:   took: ", StringComparison.Ordinal))
        .SelectMany(line => Step().Matches(line))
        .ToDictionary(match => match.Groups["step"].Value, match => int.Parse(match.Groups["ms"].Value, System.Globalization.CultureInfo.InvariantCulture));

    [GeneratedRegex(@"(?<step>[a-z]+) (?<ms>[0-9]+) ms")]
    private static partial Regex Step();

    private sealed class ShiftedClock : TimeProvider
    {
        public TimeSpan Shift { get; set; }

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Shift;
    }

    private sealed class StandingStopwatch : TimeProvider
    {
        public override long GetTimestamp() => 0;
    }
}
