using System.Globalization;
using System.Text.RegularExpressions;
using Keyless.Sandbox;
using Keyless.Testing;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>
/// Every part of the world fails in every way, and these hold: signing ends well with a signature that our verifier accepts, or with one error that names the
/// part; nobody else's signature is lost; and when the fault is gone a build with the same bundles ends with exactly one signature more.
/// </summary>
[TestClass]
public sealed partial class FaultTableTests
{
    private const string Signs = "";

    private static readonly Dictionary<string, Fault> Passing = new()
    {
        ["408 twice"] = Fault.Status(408).ForRequests(1, 2),
        ["425 once"] = Fault.Status(425).ForRequests(1, 1),
        ["429, wait 1 s"] = Fault.Status(429).RetryAfter(TimeSpan.FromSeconds(1)).ForRequests(1, 1),
        ["500 twice"] = Fault.Status(500).ForRequests(1, 2),
        ["503 for a second"] = Fault.Status(503).During(TimeSpan.FromSeconds(1)),
        ["dropped"] = Fault.Drop.ForRequests(1, 1),
        ["answer lost"] = Fault.Drop.AfterTheWork().ForRequests(1, 1),
        ["502 after the work"] = Fault.Status(502).AfterTheWork().ForRequests(1, 1),
        ["refuses connections for a second"] = Fault.Down(TimeSpan.FromSeconds(1)).ForRequests(1, 1),
        ["slow"] = Fault.Slow(TimeSpan.FromMilliseconds(300)),
        ["slow body"] = Fault.SlowBody(TimeSpan.FromMilliseconds(300)),
    };

    private static readonly Dictionary<string, Fault> Lasting = new()
    {
        ["502 for ever"] = Fault.Status(502),
        ["dropped for ever"] = Fault.Drop,
        ["429, wait 1 h"] = Fault.Status(429).RetryAfter(TimeSpan.FromHours(1)),
        ["403"] = Fault.Status(403),
        ["404"] = Fault.Status(404),
        ["HTML"] = Fault.Html,
    };

    public required TestContext TestContext { get; init; }

    public static IEnumerable<object[]> Rows =>
    [
        .. from part in (string[])["issuer", "fulcio", "timestamp", "rekor-v1", "rekor-v2", "registry"]
           from fault in Passing.Keys
           select new object[] { part, fault, Signs },
        // The body is cut where there is one to cut.
        .. from part in (string[])["issuer", "fulcio", "timestamp", "rekor-v1", "rekor-v2"]
           from fault in (string[])["cut once", "cut between chunks once"]
           select new object[] { part, fault, Signs },
        .. from part in (string[])["issuer", "fulcio", "timestamp", "rekor-v1", "rekor-v2", "registry"]
           from fault in Lasting.Keys
           select new object[] { part, fault, part switch { "issuer" => "KEYLESS1005", "registry" => "KEYLESS3", _ => "KEYLESS2" } },
        ["issuer", "OtherAudience", "KEYLESS1004"],
        ["issuer", "Expired", "KEYLESS1003"],
        .. from lie in Enum.GetNames<FulcioLie>() where lie != nameof(FulcioLie.EndsSoon) select new object[] { "fulcio", lie, "KEYLESS2003" },
        // Ten seconds of it are left for us, which is enough.
        ["fulcio", nameof(FulcioLie.EndsSoon), Signs],
        .. from lie in Enum.GetNames<TimestampLie>() select new object[] { "timestamp", lie, "KEYLESS2003" },
        .. from log in (string[])["rekor-v1", "rekor-v2"]
           from lie in Enum.GetNames<RekorLie>()
           where log == "rekor-v1" || lie != nameof(RekorLie.SetByOtherKey)
           select new object[] { log, lie, "KEYLESS2003" },
        ["registry", nameof(RegistryLie.OtherDigest), "KEYLESS3005"],
        ["registry", nameof(RegistryLie.ForgetsSubject), Signs],
    ];

    [TestMethod]
    [DataRow("500 twice", Signs)]
    [DataRow("dropped", Signs)]
    [DataRow("refuses connections for a second", Signs)]
    [DataRow("cut once", Signs)]
    [DataRow("slow body", Signs)]
    [DataRow("502 for ever", "KEYLESS2104")]
    [DataRow("404", "KEYLESS2104")]
    [DataRow("HTML", "KEYLESS2103")]
    public Task The_documents_of_the_instance_are_had_or_nothing_is_signed(string fault, string code) => Nothing_is_lost_and_nothing_unsigned_passes("tuf", fault, code);

    [TestMethod]
    [DynamicData(nameof(Rows))]
    public async Task Nothing_is_lost_and_nothing_unsigned_passes(string part, string fault, string code)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { Rekor = part == "rekor-v1" ? RekorVersion.V1 : RekorVersion.V2 });
        string image = world.PushSigned();
        KeylessSignContainer task = Sign(world, image, budget: Lasting.ContainsKey(fault) ? "00:00:03" : "00:00:20");
        UseTuf(world, task, part);
        LoopbackServer server = world.Sandbox.Servers.Single(server => server.Part == part);
        server.Faults.Add(FaultOf(part, fault));
        long began = world.Time.GetTimestamp();

        bool signs = task.Execute();

        string took = string.Create(CultureInfo.InvariantCulture, $"{world.Time.GetElapsedTime(began).TotalSeconds:F1} s");
        string log = World.Log(task);
        Assert.AreEqual(code == Signs, signs, log);
        Assert.DoesNotContain("   at ", log);
        Assert.DoesNotMatchRegex(TokenShape(), log);
        string rerun = "";
        server.Faults.Clear();
        if (!signs)
        {
            string error = ((RecordingEngine)task.BuildEngine).Errors.Single().Code;
            Assert.StartsWith(code, error, log);
            // What this registry has stored it calls by another name: it is there, and nobody may be told so.
            Assert.HasCount((part, fault) == ("registry", nameof(RegistryLie.OtherDigest)) ? 2 : 1, world.Referrers(image));
            rerun = ReRun(world, image);
        }

        Assert.HasCount(2, world.Referrers(image));
        KeylessVerifyContainer verify = world.Verify(world.Image(image));
        Assert.IsTrue(verify.Execute(), World.Log(verify));
        TestContext.WriteLine($"| {part} | {fault} | {(signs ? "signs" : Error(task))} | {took} | {rerun} |");
    }

    /// <summary>The lists that have no API: a tag that everybody writes.</summary>
    [TestMethod]
    [DataRow("bundle", "PUT /v2/*/manifests/sha256-")]
    [DataRow("bundle", "PUT /v2/*/manifests/sha256:")]
    [DataRow("bundle", "PUT /v2/*/blobs/")]
    [DataRow("legacy", "PUT /v2/*/manifests/")]
    [DataRow("legacy", "PUT /v2/*/blobs/")]
    [DataRow("both", "PUT /v2/*/manifests/sha256-")]
    public async Task What_could_not_be_attached_is_attached_by_the_next_build(string format, string requests)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { Rekor = RekorVersion.V1, ReferrersApi = false });
        string image = world.Push();
        Assert.IsTrue(Sign(world, image, format, "before").Execute());
        KeylessSignContainer task = Sign(world, image, format);
        world.Sandbox.RegistryServer.Faults.Add(Fault.Status(500).On(requests));

        Assert.IsFalse(task.Execute(), World.Log(task));

        world.Sandbox.RegistryServer.Faults.Clear();
        long mark = world.Sandbox.Traffic.Mark();
        KeylessSignContainer again = Sign(world, image, format);
        Assert.IsTrue(again.Execute(), World.Log(again));
        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot(mark).Where(exchange => exchange.Part is "fulcio" or "timestamp" or "rekor-v1"));
        Assert.AreEqual((format == "legacy" ? 0 : 2, format == "bundle" ? 0 : 2), (Listed(world, image, "", "manifests"), Listed(world, image, ".sig", "layers")));
    }

    /// <summary>Of several images some are done when a service fails for good: the next build signs the others, and nothing twice.</summary>
    [TestMethod]
    [DataRow("timestamp", "POST ")]
    [DataRow("rekor-v1", "POST ")]
    [DataRow("registry", "PUT /v2/*/manifests/sha256-")]
    [DataRow("registry", "PUT /v2/*/manifests/*.sig")]
    public async Task What_is_done_of_several_images_is_not_done_again(string part, string requests)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { Rekor = RekorVersion.V1, ReferrersApi = false });
        (_, string index) = world.PushIndex(3);
        KeylessSignContainer task = Sign(world, index, "both");
        LoopbackServer server = world.Sandbox.Servers.Single(server => server.Part == part);
        server.Faults.Add(Fault.Status(403).On(requests).ForRequests(4, int.MaxValue));

        Assert.IsFalse(task.Execute(), World.Log(task));

        Assert.HasCount(1, ((RecordingEngine)task.BuildEngine).Errors, World.Log(task));
        server.Faults.Clear();
        KeylessSignContainer again = Sign(world, index, "both");
        Assert.IsTrue(again.Execute(), World.Log(again));
        string[] images = [.. again.SignedContainers.Select(item => item.ItemSpec).Distinct()];
        Assert.HasCount(4, images);
        foreach (string image in images)
        {
            Assert.AreEqual((1, 1), (Listed(world, image, "", "manifests"), Listed(world, image, ".sig", "layers")), $"{World.Log(task)}\n{World.Log(again)}");
        }
    }

    /// <summary>Nothing comes, or the headers and then nothing. The clock runs twenty times as fast for whoever waits.</summary>
    [TestMethod]
    [DataRow("fulcio", true, "KEYLESS2001", "did not answer within 30 s")]
    [DataRow("fulcio", false, "KEYLESS2001", "did not answer within 30 s")]
    [DataRow("timestamp", true, "KEYLESS2001", "did not answer within 30 s")]
    [DataRow("timestamp", false, "KEYLESS2001", "did not answer within 30 s")]
    [DataRow("rekor-v1", true, "KEYLESS2001", "did not answer within 30 s")]
    [DataRow("rekor-v2", true, "KEYLESS2001", "did not answer within 60 s")]
    [DataRow("rekor-v2", false, "KEYLESS2001", "did not answer within 60 s")]
    [DataRow("tuf", true, "KEYLESS2104", "did not answer within ")]
    [DataRow("registry", true, "KEYLESS3001", "no answer in time")]
    public async Task A_service_that_never_answers_is_given_up(string part, bool isSilent, string code, string says)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { Rekor = part == "rekor-v1" ? RekorVersion.V1 : RekorVersion.V2 });
        string image = world.PushSigned();
        KeylessSignContainer task = Sign(world, image, budget: "00:00:00");
        task.Time = new HastyClock();
        UseTuf(world, task, part);
        LoopbackServer server = world.Sandbox.Servers.Single(server => server.Part == part);
        server.Faults.Add(isSilent ? Fault.Hang : Fault.SlowBody(TimeSpan.FromHours(1)));

        Assert.Contains(says, World.Refusal(task, code));

        Assert.HasCount(1, world.Referrers(image));
        server.Faults.Clear();
        ReRun(world, image);
        Assert.HasCount(2, world.Referrers(image));
    }

    /// <summary>Believed, as the specification has it: asking for the list after each push would tell little where lists come later.</summary>
    [TestMethod]
    public async Task A_registry_that_says_it_lists_a_referrer_is_believed()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        KeylessSignContainer task = Sign(world, image);
        world.Sandbox.RegistryServer.Faults.Add(Fault.Lie(RegistryLie.DoesNotList));

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.IsEmpty(world.Referrers(image));
        World.Refusal(world.Verify(world.Image(image)), "KEYLESS4001");
        // The file is all there is of it, and a build that asks whether the image is signed signs it.
        world.Sandbox.RegistryServer.Faults.Clear();
        Assert.IsTrue(File.Exists(task.SignedContainers.Single().GetMetadata("BundlePath")));
        KeylessSignContainer again = Sign(world, image);
        again.ContainerSigningSkipIfSigned = "true";
        Assert.IsTrue(again.Execute(), World.Log(again));
        Assert.HasCount(1, world.Referrers(image));
    }

    [TestMethod]
    public async Task A_mirror_that_is_down_is_not_waited_for_where_the_cache_is_good()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        KeylessSignContainer first = Sign(world, image), second = Sign(world, image), third = Sign(world, image);
        foreach (KeylessSignContainer task in (KeylessSignContainer[])[first, second, third])
        {
            UseTuf(world, task, "tuf");
        }

        Assert.IsTrue(first.Execute(), World.Log(first));
        world.Sandbox.TufServer.Faults.Add(Fault.Status(503));

        Assert.IsTrue(second.Execute(), World.Log(second));

        Assert.Contains("warning KEYLESS2105: TUF repository at", World.Log(second));
        Assert.DoesNotContain("again in", World.Log(second));
        world.Sandbox.TufServer.Faults.Clear();
        world.Sandbox.Tuf.Expire("timestamp");
        world.Sandbox.Tuf.Publish("timestamp");
        int before = world.Referrers(image).Count;
        Assert.Contains("it expired ", World.Refusal(third, "KEYLESS2103"));
        Assert.HasCount(before, world.Referrers(image));
        Assert.DoesNotContain("again in", World.Log(third));
    }

    private static string ReRun(World world, string image)
    {
        long mark = world.Sandbox.Traffic.Mark();
        KeylessSignContainer again = Sign(world, image);
        Assert.IsTrue(again.Execute(), World.Log(again));
        return world.Sandbox.Traffic.Snapshot(mark).Any(exchange => exchange.Part == "fulcio") ? "signs anew" : "pushes what was kept";
    }

    private static KeylessSignContainer Sign(World world, string image, string format = "", string bundles = "again", string budget = "00:00:03")
    {
        KeylessSignContainer task = world.Sign(image);
        task.ContainerSigningBundleDirectory = bundles;
        task.ContainerSigningFormat = format;
        task.ContainerSigningRetryBudget = budget;
        return task;
    }

    /// <summary>Documents come from the repository only where that is what fails.</summary>
    private static void UseTuf(World world, KeylessSignContainer task, string part)
    {
        if (part == "tuf")
        {
            (task.SigstoreInstance, task.SigstoreTufRoot, task.SigstoreCacheDirectory) = ("", "root.json", "cache");
            task.SigstoreTufUrl = world.Sandbox.TufServer.BaseUrl.AbsoluteUri;
        }
    }

    private static Fault FaultOf(string part, string name) => (part, name) switch
    {
        (_, "cut once") => Fault.Cut.ForRequests(1, 1),
        (_, "cut between chunks once") => Fault.CutChunked.ForRequests(1, 1),
        _ when Passing.TryGetValue(name, out Fault? passing) => passing,
        _ when Lasting.TryGetValue(name, out Fault? lasting) => lasting,
        ("issuer", _) => Fault.Lie(Enum.Parse<IssuerLie>(name)),
        ("fulcio", _) => Fault.Lie(Enum.Parse<FulcioLie>(name)),
        ("timestamp", _) => Fault.Lie(Enum.Parse<TimestampLie>(name)),
        ("registry", _) => Fault.Lie(Enum.Parse<RegistryLie>(name)),
        _ => Fault.Lie(Enum.Parse<RekorLie>(name)),
    };

    private static string Error(KeylessSignContainer task)
    {
        Microsoft.Build.Framework.BuildErrorEventArgs error = ((RecordingEngine)task.BuildEngine).Errors.Single();
        return $"{error.Code}: {error.Message}";
    }

    private static int Listed(World world, string image, string suffix, string list) =>
        world.Sandbox.Registry.FindManifest("team/app", image.Split('@')[1].Replace(':', '-') + suffix) is { } manifest
            ? System.Text.Json.Nodes.JsonNode.Parse(manifest.Bytes)![list]!.AsArray().Count
            : 0;

    /// <summary>Tells the time, and lets nobody wait for more than a twentieth of it.</summary>
    private sealed class HastyClock : TimeProvider
    {
        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            System.CreateTimer(callback, state, dueTime > TimeSpan.Zero ? dueTime / 20 : dueTime, period);
    }

    [GeneratedRegex("eyJ[A-Za-z0-9_-]{16,}", RegexOptions.CultureInvariant)]
    private static partial Regex TokenShape();
}
