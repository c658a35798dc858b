using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Testing;
using Microsoft.AspNetCore.Http;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>What whoever answers for a registry, or may push to it, could try.</summary>
[TestClass]
public sealed class VerifyingHostileRegistryTests
{
    public required TestContext TestContext { get; init; }

    public static IEnumerable<object[]> Denials =>
        from step in (string[])["referrers", "fallback", "manifest", "bundle", ".sig", "payload", "image"]
        from answer in ((int, string)[])[(401, "KEYLESS3002"), (403, "KEYLESS3002"), (429, "KEYLESS3001"), (500, "KEYLESS3001"), (503, "KEYLESS3001"), (418, "KEYLESS3004")]
        select new object[] { step, answer.Item1, answer.Item2 };

    [TestMethod]
    [DynamicData(nameof(Denials))]
    public async Task A_registry_that_denies_or_breaks_down_anywhere_is_an_error_and_no_verdict(string step, int status, string code)
    {
        await using World world = await StartAsync();
        string image = world.Push();
        (string _, string digest) = Attached.Parts(image);
        if (step is "manifest" or "bundle")
        {
            world.AttachBundle(image, new BundleForge(world, image).Make());
        }
        else if (step is ".sig" or "payload")
        {
            world.Tag(image, new SimpleForge(world, image).Make());
        }

        world.Sandbox.RegistryServer.Intercept = context =>
        {
            string path = context.Request.Path;
            bool hit = step switch
            {
                "referrers" => path.Contains("/referrers/", StringComparison.Ordinal),
                "fallback" => path.EndsWith(digest.Replace(':', '-'), StringComparison.Ordinal),
                ".sig" => path.EndsWith(".sig", StringComparison.Ordinal),
                "image" => path.EndsWith($"/manifests/{digest}", StringComparison.Ordinal),
                "manifest" => path.Contains("/manifests/sha256:", StringComparison.Ordinal),
                _ => path.Contains("/blobs/", StringComparison.Ordinal),
            };
            if (hit)
            {
                context.Response.StatusCode = status;
            }

            return Task.CompletedTask;
        };

        World.Refusal(world.Verify(world.Image(image)), code);
    }

    [TestMethod]
    [Clause("B.41")]
    public async Task One_entry_that_leads_nowhere_does_not_hide_the_others()
    {
        await using World world = await StartAsync(new SandboxOptions { ReferrersApi = false });
        string image = world.Push();
        world.List(image, Attached.Described(Attached.Manifest, 500, $"sha256:{new string('0', 64)}"));
        Assert.Contains("(bundle.unreadable)", World.Refusal(world.Verify(world.Image(image)), "KEYLESS4002"));

        world.AttachBundle(image, new BundleForge(world, image).Make());
        KeylessVerifyContainer task = world.Verify(world.Image(image));
        Assert.IsTrue(task.Execute(), World.Log(task));
    }

    // The registry's own list lies about it; the tag does not, and is not skipped as something already seen.
    [TestMethod]
    public async Task A_lie_about_a_signature_in_one_list_does_not_hide_it_in_the_other()
    {
        await using World world = await StartAsync();
        string image = world.Push();
        string digest = world.AttachBundle(image, new BundleForge(world, image).Make());
        int size = world.Sandbox.Registry.FindManifest("team/app", digest)!.Bytes.Length;
        world.List(image, Attached.Described(Attached.Manifest, size, digest));
        AnswerReferrers(world, Attached.Described("application/vnd.docker.distribution.manifest.v2+json", size, digest));
        KeylessVerifyContainer task = world.Verify(world.Image(image));
        task.ContainerVerificationReport = "report.json";

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.Contains("bundle.unreadable", await File.ReadAllTextAsync(world.Folder["report.json"], TestContext.CancellationToken));
    }

    [TestMethod]
    [Clause("B.41")]
    [DataRow("manifest")]
    [DataRow("bundle")]
    public async Task Refuses_other_bytes_than_the_digest_says(string what)
    {
        await using World world = await StartAsync();
        string image = world.Push();
        string digest = world.AttachBundle(image, new BundleForge(world, image).Make());
        byte[] bytes = what == "manifest"
            ? world.Sandbox.Registry.FindManifest("team/app", digest)!.Bytes
            : world.Sandbox.Registry.FindBlob("team/app", (string)JsonNode.Parse(world.Sandbox.Registry.FindManifest("team/app", digest)!.Bytes)!["layers"]![0]!["digest"]!)!;
        Answer(world, what == "manifest" ? $"/manifests/{digest}" : "/blobs/", Attached.Manifest, [.. bytes[..^1], (byte)' ']);

        Assert.Contains("(bundle.unreadable)", World.Refusal(world.Verify(world.Image(image)), "KEYLESS4002"));
    }

    [TestMethod]
    [Clause("X.3")]
    public async Task Refuses_other_bytes_than_the_payload_s_digest_says()
    {
        await using World world = await StartAsync();
        string image = world.Push();
        Layer layer = new SimpleForge(world, image).Make();
        world.Tag(image, layer);
        Answer(world, "/blobs/", "application/octet-stream", [.. layer.Content[..^1], (byte)' ']);

        Assert.Contains("(sig.layer)", World.Refusal(world.Verify(world.Image(image)), "KEYLESS4002"));
    }

    [TestMethod]
    [Clause("B.1", "X.2")]
    public async Task Fetches_no_payload_and_no_bundle_that_says_to_be_larger_than_any()
    {
        await using World world = await StartAsync();
        string image = world.Push();
        world.Attach(image, new Layer(Attached.BundleType, "{}"u8.ToArray()) { ClaimedSize = 16 * 1024 * 1024 + 1 }, Attached.BundleType);
        world.Tag(image, new SimpleForge(world, image).Make() with { ClaimedSize = 64 * 1024 + 1 });
        long before = world.Sandbox.Traffic.Mark();
        KeylessVerifyContainer task = world.Verify(world.Image(image));

        World.Refusal(task, "KEYLESS4002");

        Assert.Contains("(bundle.too-large): ", World.Log(task));
        Assert.Contains("(sig.layer): ", World.Log(task));
        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot(before).Where(exchange => exchange.Path.Contains("/blobs/", StringComparison.Ordinal)));
    }

    [TestMethod]
    [DataRow("tag")]
    [DataRow("oci11")]
    [DataRow("fallback")]
    [DataRow("referrers")]
    public async Task More_than_is_looked_at_is_no_verdict(string what)
    {
        await using World world = await StartAsync(new SandboxOptions { ReferrersApi = what != "fallback" });
        string image = world.Push();
        Put(world, image, what);

        Assert.Contains("more than 1000", World.Refusal(world.Verify(world.Image(image)), "KEYLESS4005"));
    }

    [TestMethod]
    [DataRow("oci11")]
    [DataRow("fallback")]
    [DataRow("referrers")]
    public async Task More_than_is_looked_at_does_not_hide_what_is_elsewhere(string what)
    {
        await using World world = await StartAsync(new SandboxOptions { ReferrersApi = what != "fallback" });
        string image = world.Push();
        Put(world, image, what);
        world.Tag(image, new SimpleForge(world, image).Make());
        KeylessVerifyContainer task = world.Verify(world.Image(image));

        Assert.IsTrue(task.Execute(), World.Log(task));
    }

    [TestMethod]
    [DataRow("tag")]
    [DataRow("fallback")]
    public async Task The_right_one_may_be_the_last_of_a_thousand(string what)
    {
        await using World world = await StartAsync(new SandboxOptions { ReferrersApi = false });
        string image = world.Push();
        if (what == "tag")
        {
            world.Tag(image, [.. Enumerable.Repeat(new Layer(Attached.SimpleType, "{}"u8.ToArray()), 999), new SimpleForge(world, image).Make()]);
        }
        else
        {
            (string repository, string digest) = Attached.Parts(image);
            world.Sandbox.Registry.PutManifest(repository, digest.Replace(':', '-'), Index([.. Enumerable.Range(0, 999).Select(Nowhere)]), Attached.Index);
            world.AttachBundle(image, new BundleForge(world, image).Make());
        }

        KeylessVerifyContainer task = world.Verify(world.Image(image));
        Assert.IsTrue(task.Execute(), World.Log(task));
    }

    [TestMethod]
    [DataRow("fallback")]
    [DataRow("tag")]
    public async Task A_list_that_is_none_is_no_verdict_and_hides_nothing(string what)
    {
        await using World world = await StartAsync(new SandboxOptions { ReferrersApi = false });
        string image = world.Push();
        string tag = what == "tag" ? Attached.SignatureTag(image) : Attached.Parts(image).Digest.Replace(':', '-');
        Answer(world, $"/manifests/{tag}", "text/html", "<html>Please log in</html>"u8.ToArray());

        World.Refusal(world.Verify(world.Image(image)), "KEYLESS3005");

        if (what == "tag")
        {
            world.AttachBundle(image, new BundleForge(world, image).Make());
        }
        else
        {
            world.Tag(image, new SimpleForge(world, image).Make());
        }

        KeylessVerifyContainer task = world.Verify(world.Image(image));
        Assert.IsTrue(task.Execute(), World.Log(task));
    }

    [TestMethod]
    public async Task A_manifest_larger_than_any_is_no_verdict_and_hides_nothing()
    {
        await using World world = await StartAsync(new SandboxOptions { ReferrersApi = false });
        string image = world.Push();
        world.List(image, Attached.Described(Attached.Manifest, 4 * 1024 * 1024 + 1, $"sha256:{new string('0', 64)}"));
        long before = world.Sandbox.Traffic.Mark();

        World.Refusal(world.Verify(world.Image(image)), "KEYLESS4005");

        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot(before).Where(exchange => exchange.Path.Contains(new string('0', 64), StringComparison.Ordinal)));
        world.AttachBundle(image, new BundleForge(world, image).Make());
        KeylessVerifyContainer task = world.Verify(world.Image(image));
        Assert.IsTrue(task.Execute(), World.Log(task));
    }

    [TestMethod]
    public async Task Counts_the_bytes_of_manifests_too()
    {
        await using World world = await StartAsync(new SandboxOptions { ReferrersApi = false });
        string image = world.Push();
        for (int i = 0; i < 18; i++)
        {
            world.AttachManifest(image, new JsonObject
            {
                ["schemaVersion"] = 2,
                ["mediaType"] = Attached.Manifest,
                ["config"] = Attached.Described("application/vnd.oci.empty.v1+json", 2, world.Sandbox.Registry.PutBlob("team/app", "{}"u8.ToArray())),
                ["layers"] = new JsonArray(),
                ["annotations"] = new JsonObject { ["padding"] = $"{i}{new string('x', 4_000_000)}" },
            });
        }

        Assert.Contains("more than 64 MiB", World.Refusal(world.Verify(world.Image(image)), "KEYLESS4005"));
    }

    [TestMethod]
    public async Task A_registry_that_trickles_is_given_up_after_five_minutes()
    {
        await using World world = await StartAsync();
        string image = world.PushSigned();
        var time = new SkippingClock();
        world.Sandbox.RegistryServer.Intercept = async context =>
        {
            time.Skip(TimeSpan.FromMinutes(6));
            await Task.Delay(Timeout.Infinite, context.RequestAborted);
        };
        KeylessVerifyContainer task = world.Verify(world.Image(image));
        task.Time = time;

        Assert.Contains("within 5 minutes", World.Refusal(task, "KEYLESS4005"));
    }

    [TestMethod]
    public async Task Shows_nothing_of_a_stranger_s_that_could_steer_a_terminal_or_a_build()
    {
        await using World world = await StartAsync();
        string image = world.Push();
        world.Tag(image, new SimpleForge(world, image) { Said = payload => payload["critical"]!["type"] = "\u001b[2J##vso[task.complete]\n::error::x\u202e" }.Make());
        KeylessVerifyContainer task = world.Verify(world.Image(image));

        World.Refusal(task, "KEYLESS4002");

        string shown = World.Log(task) + await File.ReadAllTextAsync(world.Folder["obj/keyless/refused-images.txt"], TestContext.CancellationToken);
        Assert.DoesNotContain("\u001b", shown);
        Assert.DoesNotContain("\u202e", shown);
        Assert.DoesNotContain("##vso", shown);
        Assert.DoesNotContain("\n::error", shown);
    }

    private Task<World> StartAsync(SandboxOptions? options = null) => World.StartAsync(TestContext.CancellationToken, options);

    private static void Put(World world, string image, string what)
    {
        switch (what)
        {
            case "tag":
                world.Tag(image, [.. Enumerable.Repeat(new Layer(Attached.SimpleType, "{}"u8.ToArray()), 1001)]);
                break;
            case "oci11":
                world.AttachOci11(image, [.. Enumerable.Repeat(new Layer(Attached.SimpleType, "{}"u8.ToArray()), 1001)]);
                break;
            case "fallback":
                (string repository, string digest) = Attached.Parts(image);
                world.Sandbox.Registry.PutManifest(repository, digest.Replace(':', '-'), Index([.. Enumerable.Range(0, 1001).Select(Nowhere)]), Attached.Index);
                break;
            default:
                AnswerReferrers(world, [.. Enumerable.Range(0, 1001).Select(Nowhere)]);
                break;
        }
    }

    private static JsonObject Nowhere(int i) => Attached.Described(Attached.Manifest, 500, string.Create(CultureInfo.InvariantCulture, $"sha256:{i:x64}"));

    private static byte[] Index(params JsonObject[] entries) => Encoding.UTF8.GetBytes(new JsonObject
    {
        ["schemaVersion"] = 2,
        ["mediaType"] = Attached.Index,
        ["manifests"] = new JsonArray([.. entries]),
    }.ToJsonString());

    private static void AnswerReferrers(World world, params JsonObject[] entries) => Answer(world, "/referrers/", Attached.Index, Index(entries));

    private static void Answer(World world, string path, string contentType, byte[] body) => world.Sandbox.RegistryServer.Intercept = async context =>
    {
        string asked = context.Request.Path;
        if ((path.EndsWith('/') ? asked.Contains(path, StringComparison.Ordinal) : asked.EndsWith(path, StringComparison.Ordinal)) && HttpMethods.IsGet(context.Request.Method))
        {
            context.Response.ContentType = contentType;
            await context.Response.Body.WriteAsync(body, context.RequestAborted);
        }
    };

    /// <summary>A clock whose timers go off when it is told to skip.</summary>
    private sealed class SkippingClock : TimeProvider
    {
        private readonly Lock gate = new();
        private readonly List<Due> timers = [];
        private TimeSpan skipped;

        public override DateTimeOffset GetUtcNow() => DateTimeOffset.UtcNow + skipped;

        public void Skip(TimeSpan time)
        {
            Due[] due;
            lock (gate)
            {
                skipped += time;
                due = [.. timers.Where(timer => timer.At <= skipped)];
            }

            // The longest first: whoever waits longest is the one who gives up for good.
            foreach (Due timer in due.OrderByDescending(timer => timer.At))
            {
                timer.Fire();
            }
        }

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            lock (gate)
            {
                var timer = new Due(callback, state) { At = dueTime == Timeout.InfiniteTimeSpan ? TimeSpan.MaxValue : skipped + dueTime };
                timers.Add(timer);
                return timer;
            }
        }

        private sealed class Due(TimerCallback callback, object? state) : ITimer
        {
            public TimeSpan At { get; set; }

            public void Fire() => callback(state);

            public bool Change(TimeSpan dueTime, TimeSpan period)
            {
                At = dueTime == Timeout.InfiniteTimeSpan ? TimeSpan.MaxValue : At;
                return true;
            }

            public void Dispose() => At = TimeSpan.MaxValue;

            public ValueTask DisposeAsync()
            {
                Dispose();
                return ValueTask.CompletedTask;
            }
        }
    }
}
