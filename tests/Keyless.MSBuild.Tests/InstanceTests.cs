using Keyless.Testing;

namespace Keyless.MSBuild.Tests;

/// <summary>Where the tasks take trusted root and signing config from.</summary>
[TestClass]
public sealed class InstanceTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    public async Task Signs_and_verifies_with_what_a_repository_delivers()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        KeylessSignContainer sign = world.Sign(image);
        UseTuf(world, sign);
        KeylessVerifyContainer verify = Verify(world, image);

        Assert.IsTrue(sign.Execute(), World.Log(sign));
        Assert.IsTrue(verify.Execute(), World.Log(verify));

        Assert.AreEqual(
            "2.root.json timestamp.json 2.snapshot.json 2.targets.json targets trusted_root.json targets signing_config.v0.2.json 2.root.json timestamp.json",
            string.Join(' ', world.Sandbox.Tuf.Requests.Select(path => path.StartsWith("targets/", StringComparison.Ordinal) ? $"targets {path[(path.IndexOf('.', StringComparison.Ordinal) + 1)..]}" : path)));
        Assert.DoesNotContain("KEYLESS2", World.Log(sign) + World.Log(verify));
    }

    [TestMethod]
    public async Task Preflight_knows_before_the_push_what_the_repository_delivers()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessPreflight task = Preflight(world);

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.IsTrue(task.Sign);
        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot().Where(exchange => exchange.Part != "tuf"));
    }

    [TestMethod]
    [DataRow(true, true)]
    [DataRow(true, false)]
    [DataRow(false, true)]
    public async Task Never_fetches_a_document_that_is_given(bool root, bool config)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessSignContainer task = world.Sign(world.Push());
        UseTuf(world, task);
        task.SigstoreTrustedRoot = root ? "trusted_root.json" : "";
        task.SigstoreSigningConfig = config ? "signing_config.json" : "";

        Assert.IsTrue(task.Execute(), World.Log(task));

        string[] targets = [.. world.Sandbox.Tuf.Requests.Where(path => path.StartsWith("targets/", StringComparison.Ordinal))];
        Assert.AreEqual(!root, targets.Any(path => path.EndsWith(".trusted_root.json", StringComparison.Ordinal)));
        Assert.AreEqual(!config, targets.Any(path => path.EndsWith(".signing_config.v0.2.json", StringComparison.Ordinal)));
        Assert.AreEqual(root && config, world.Sandbox.Tuf.Requests.Count == 0);
    }

    [TestMethod]
    [DataRow("staging")]
    [DataRow("public-good")]
    [DataRow("missing.json")]
    public async Task Does_not_look_at_the_instance_where_all_that_is_needed_is_given(string instance)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        KeylessSignContainer sign = world.Sign(image);
        (sign.SigstoreInstance, sign.SigstoreTrustedRoot, sign.SigstoreSigningConfig) = (instance, "trusted_root.json", "signing_config.json");
        KeylessVerifyContainer verify = world.Verify(world.Image(image));
        verify.SigstoreInstance = instance;

        Assert.IsTrue(sign.Execute(), World.Log(sign));
        Assert.IsTrue(verify.Execute(), World.Log(verify));
    }

    [TestMethod]
    [Clause("U.53")]
    [DataRow(0, "normal: Keyless.MSBuild: SigstoreOffline is true", "is valid for another")]
    [DataRow(30, "warning KEYLESS2105: SigstoreOffline is true", "expired 23 days ago")]
    public async Task Asks_no_repository_offline_and_says_how_old_its_material_is(int days, string line, string says)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.PushSigned();
        KeylessVerifyContainer online = Verify(world, image);
        Assert.IsTrue(online.Execute(), World.Log(online));
        long before = world.Sandbox.Traffic.Mark();
        KeylessVerifyContainer offline = Verify(world, image);
        offline.SigstoreOffline = "true";
        // An hour on, so that seconds that have passed in this test do not decide what is printed.
        offline.Time = new LaterClock(TimeSpan.FromDays(days) + TimeSpan.FromHours(1));

        Assert.IsTrue(offline.Execute(), World.Log(offline));

        string said = World.Log(offline).Split('\n').Single(one => one.StartsWith(line, StringComparison.Ordinal));
        Assert.Contains(says, said);
        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot(before).Where(exchange => exchange.Part != "registry"));
    }

    [TestMethod]
    public async Task Refuses_offline_what_was_never_fetched_and_says_what_to_do()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer verify = Verify(world, world.PushSigned());
        verify.SigstoreOffline = "true";
        KeylessSignContainer sign = world.Sign(world.Push());
        (sign.SigstoreInstance, sign.SigstoreOffline, sign.SigstoreCacheDirectory) = ("public-good", "true", "cache");

        Assert.Contains("build once without SigstoreOffline", World.Refusal(verify, "KEYLESS2104"));
        // The public trusted root is shipped, a signing config is not.
        World.Refusal(sign, "KEYLESS2104");
        Assert.IsEmpty(world.Sandbox.Tuf.Requests);
    }

    [TestMethod]
    public async Task Verifies_offline_against_the_public_instance_with_the_root_that_is_shipped()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = world.Verify(world.Image(world.PushSigned()));
        (task.SigstoreTrustedRoot, task.SigstoreOffline, task.SigstoreCacheDirectory) = ("", "true", "cache");

        // A signature of the sandbox means nothing there, of course.
        World.Refusal(task, "KEYLESS4002");

        Assert.Contains("warning KEYLESS2105: SigstoreOffline is true and nothing newer is cached; the trusted root of public-good is the one shipped with this version", World.Log(task));
    }

    [TestMethod]
    [Clause("U.54")]
    public async Task Goes_on_with_the_cache_while_it_is_good_and_not_after()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.PushSigned();
        KeylessVerifyContainer first = Verify(world, image), second = Verify(world, image), third = Verify(world, image);
        Assert.IsTrue(first.Execute(), World.Log(first));
        world.Sandbox.TufServer.Intercept = World.Answer(503, "text/plain", "out of order");
        third.Time = new LaterClock(TimeSpan.FromDays(10));

        Assert.IsTrue(second.Execute(), World.Log(second));

        Assert.Contains("warning KEYLESS2105: TUF repository at", World.Log(second));
        string error = World.Refusal(third, "KEYLESS2104");
        Assert.Contains("status 503: out of order", error);
        Assert.Contains("it expired 3 days ago", error);
    }

    [TestMethod]
    public async Task Believes_no_repository_with_another_first_root()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        await using World other = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = Verify(world, world.PushSigned());
        task.SigstoreTufRoot = other.Folder["root.json"];

        string error = World.Refusal(task, "KEYLESS2103");

        Assert.Contains("TUF timestamp version 2 of http://127.0.0.1:", error);
        Assert.Contains("signatures by 1 of its keys expected, 0 found", error);
        Assert.Contains("SigstoreTufRoot", error);
    }

    [TestMethod]
    [DataRow("SigstoreTufUrl", "", "KEYLESS5009")]
    [DataRow("SigstoreTufRoot", "", "KEYLESS5009")]
    [DataRow("SigstoreInstance", "staging", "KEYLESS5009")]
    [DataRow("SigstoreInstance", "client_trust_config.json", "KEYLESS5009")]
    [DataRow("SigstoreTufUrl", "tuf.example", "KEYLESS5001")]
    [DataRow("SigstoreTufUrl", "file:///tmp", "KEYLESS5001")]
    [DataRow("SigstoreTufUrl", "http://tuf.example", "KEYLESS5001")]
    [DataRow("SigstoreTufUrl", "https://user:password@tuf.example", "KEYLESS5001")]
    [DataRow("SigstoreTufRoot", "missing.json", "KEYLESS5012")]
    [DataRow("SigstoreTufRoot", "trusted_root.json", "KEYLESS2103")]
    [DataRow("SigstoreOffline", "maybe", "KEYLESS5001")]
    [DataRow("SigstoreAllowHttp", "maybe", "KEYLESS5001")]
    public async Task Refuses_a_value_that_cannot_be(string property, string value, string code)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = Verify(world, world.PushSigned());
        typeof(KeylessVerifyContainer).GetProperty(property)!.SetValue(task, value);

        World.Refusal(task, code);

        Assert.IsEmpty(world.Sandbox.Tuf.Requests);
        Assert.DoesNotContain("password", World.Log(task));
    }

    [TestMethod]
    public async Task Keeps_what_it_fetched_where_the_users_programs_do()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.PushSigned();
        string home = Directory.CreateDirectory(world.Folder["home"]).FullName;
        KeylessVerifyContainer task = Verify(world, image);
        task.SigstoreCacheDirectory = "";
        string relative = OperatingSystem.IsWindows() ? "" : OperatingSystem.IsMacOS() ? "Library/Caches/" : ".cache/";
        world.Environment[OperatingSystem.IsWindows() ? "LOCALAPPDATA" : "HOME"] = home;

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.HasCount(1, Directory.GetDirectories(Path.Combine(home, relative, "keyless-msbuild", "tuf")));
    }

    [TestMethod]
    [DataRow("no home")]
    [DataRow("a home nobody can write to")]
    [DataRow("a home that is no path")]
    public async Task Does_without_a_place_to_keep_anything_and_says_so(string what)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = Verify(world, world.PushSigned());
        task.SigstoreCacheDirectory = "";
        string variable = OperatingSystem.IsWindows() ? "LOCALAPPDATA" : "HOME";
        if (what != "no home")
        {
            world.Environment[variable] = what == "a home that is no path" ? "home" : world.Folder.Write("file", "");
        }

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.Contains("is not kept for the next build", World.Log(task));
        Assert.IsEmpty(((RecordingEngine)task.BuildEngine).Warnings);
    }

    private static KeylessPreflight Preflight(World world)
    {
        var task = new KeylessPreflight
        {
            BuildEngine = new RecordingEngine(),
            EnvironmentVariable = world.Environment.GetValueOrDefault,
            ProjectDirectory = world.Folder.Path,
            SignContainer = "true",
            PublishesContainer = true,
            ContainerRegistry = world.Sandbox.RegistryHost,
            ContainerRepository = "team/app",
        };
        UseTuf(world, task);
        return task;
    }

    private static KeylessVerifyContainer Verify(World world, string image)
    {
        KeylessVerifyContainer task = world.Verify(world.Image(image));
        UseTuf(world, task);
        task.SigstoreTrustedRoot = "";
        return task;
    }

    private static void UseTuf(World world, SigstoreTask task)
    {
        task.SigstoreInstance = "";
        task.SigstoreTufUrl = world.Sandbox.TufServer.BaseUrl.AbsoluteUri;
        task.SigstoreTufRoot = "root.json";
        task.SigstoreCacheDirectory = "cache";
    }

    private sealed class LaterClock(TimeSpan by) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + by;
    }
}
