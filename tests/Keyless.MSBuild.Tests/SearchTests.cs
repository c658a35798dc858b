using System.Globalization;
using System.Text;
using Keyless.Sandbox;
using Keyless.Testing;
using Microsoft.Build.Utilities;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>How many requests it takes to look at many signatures, and how many of them wait for each other.</summary>
[TestClass]
public sealed class SearchTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    public async Task Stops_at_the_first_that_is_enough()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.PushSigned();
        AttachJunk(world, image, 40);

        Assert.AreEqual(new TrafficMeasure(3, 3), Measure(world, image));
    }

    [TestMethod]
    public async Task Reads_ahead_where_the_right_one_comes_last()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        AttachJunk(world, image, 40);
        KeylessSignContainer sign = world.Sign(image);
        Assert.IsTrue(sign.Execute(), World.Log(sign));
        // Answers that come at once never overlap.
        world.Sandbox.RegistryServer.Delay = TimeSpan.FromMilliseconds(100);

        TrafficMeasure measure = Measure(world, image);

        // The list, and two requests for each of the 41; never more than twice as deep as windows of 1, 2, 4, 8, 16 and 16 take.
        Assert.AreEqual(83, measure.Requests);
        Assert.IsInRange(3, 1 + (2 * 6 * 2), measure.Depth);
    }

    [TestMethod]
    public async Task Names_them_in_the_order_of_the_list()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        AttachJunk(world, image, 20);

        KeylessVerifyContainer task = world.Verify(world.Image(image));
        World.Refusal(task, "KEYLESS4002");

        string[] named = [.. File.ReadLines(world.Folder["obj/keyless/refused-images.txt"]).Where(line => line.Contains(". bundle sha256:", StringComparison.Ordinal)).Select(line => line[line.IndexOf("sha256:", StringComparison.Ordinal)..])];
        CollectionAssert.AreEqual(world.Referrers(image).Select(referrer => referrer.Digest).ToArray(), named);
    }

    [TestMethod]
    public async Task An_entry_that_is_denied_does_not_hide_a_good_one_before_it()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        AttachJunk(world, image, 4);
        KeylessSignContainer sign = world.Sign(image);
        Assert.IsTrue(sign.Execute(), World.Log(sign));
        AttachJunk(world, image, 8, from: 100);
        string denied = world.Referrers(image)[5].Digest;
        world.Sandbox.RegistryServer.Faults.Add(Fault.Status(403).On($"GET /v2/team/app/manifests/{denied}"));

        KeylessVerifyContainer task = world.Verify(world.Image(image));
        Assert.IsTrue(task.Execute(), World.Log(task));

        // And where nothing before it is good, it ends the search.
        World.Refusal(world.Verify(world.Image(image, ("CertificateIdentity", "https://example.com/somebody"))), "KEYLESS3002");
    }

    [TestMethod]
    public async Task Resolves_a_tag_once_however_often_it_is_named()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string pinned = world.PushSigned(), byTag = $"{world.Sandbox.RegistryHost}/team/app:1.0";
        long before = world.Sandbox.Traffic.Mark();
        KeylessVerifyContainer task = world.Verify(world.Image(byTag), world.Image(byTag, ("MinSignatures", "1")), world.Image(byTag, ("Mode", "enforce")));

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.HasCount(1, world.Sandbox.Traffic.Snapshot(before).Where(exchange => exchange.Path.EndsWith("/manifests/1.0", StringComparison.Ordinal)).ToArray());
        Assert.IsTrue(task.VerifiedContainerImages.All(image => image.ItemSpec == pinned));
    }

    [TestMethod]
    public async Task Many_images_come_in_the_order_in_which_they_were_asked_for()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string[] images = [.. Enumerable.Range(0, 40).Select(i => world.Push(string.Create(CultureInfo.InvariantCulture, $"team/app{i}")))];
        KeylessSignContainer sign = world.Sign(images);
        Assert.IsTrue(sign.Execute(), World.Log(sign));
        long before = world.Sandbox.Traffic.Mark();
        KeylessVerifyContainer task = world.Verify([.. images.Select(image => world.Image(image))]);

        Assert.IsTrue(task.Execute(), World.Log(task));

        CollectionAssert.AreEqual(images, task.VerifiedContainerImages.Select(image => image.ItemSpec).ToArray());
        Assert.AreEqual(120, world.Sandbox.Traffic.Measure("Keyless.MSBuild/", before).Requests);
    }

    [TestMethod]
    public async Task What_was_verified_in_this_build_is_not_asked_for_again_unless_anything_is_different()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        using var build = new SharedBuild();
        string pinned = world.PushSigned(), text = $"services:\n  a: {{ image: {world.Sandbox.RegistryHost}/team/app:1.0 }}\n";

        Assert.AreEqual(4, Requests(text), "the tag, and three");
        Assert.AreEqual(0, Requests(text));
        Assert.AreEqual(4, Requests(text + "# changed\n"), "another file");
        Assert.AreEqual(4, Requests(text, ("PinnedOutput", "pinned.yaml")), "another item");
        Assert.AreEqual(0, Requests(text));

        int Requests(string file, params (string Name, string Value)[] metadata)
        {
            world.Folder.Write("compose.yaml", file);
            KeylessVerifyContainer task = world.Verify();
            task.BuildEngine = build.CreateEngine();
            task.ContainerTrustPolicies = [world.Image("release")];
            task.ContainerManifestFiles = [new TaskItem("compose.yaml", metadata.Append(("Policy", "release")).ToDictionary(pair => pair.Item1, pair => pair.Item2))];
            long before = world.Sandbox.Traffic.Mark();
            Assert.IsTrue(task.Execute(), World.Log(task));
            Assert.AreEqual(pinned, task.VerifiedContainerImages.Single().ItemSpec);
            return world.Sandbox.Traffic.Measure("Keyless.MSBuild/", before).Requests;
        }
    }

    [TestMethod]
    public async Task A_trusted_root_as_large_as_may_be_is_no_larger_for_the_builds_memory()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        using var build = new SharedBuild();
        string line = world.Sandbox.TrustedRoot.ReplaceLineEndings(" ").Trim().PadRight(1000 * 1024) + "\n";
        world.Folder.Write("trusted_root.json", string.Concat(Enumerable.Repeat(line, 7)));
        string image = world.PushSigned();

        Assert.AreEqual((3, 0), (Requests(), Requests()));

        int Requests()
        {
            KeylessVerifyContainer task = world.Verify(world.Image(image));
            task.BuildEngine = build.CreateEngine();
            long before = world.Sandbox.Traffic.Mark();
            Assert.IsTrue(task.Execute(), World.Log(task));
            return world.Sandbox.Traffic.Measure("Keyless.MSBuild/", before).Requests;
        }
    }

    [TestMethod]
    public async Task Under_warn_a_registry_that_is_down_is_a_warning()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.PushSigned();
        await world.Sandbox.RegistryServer.StopAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = world.Verify(world.Image(image, ("Mode", "warn")));

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.Contains("warning KEYLESS3001: ", World.Log(task));
        Assert.IsEmpty(task.VerifiedContainerImages);
    }

    [TestMethod]
    [DataRow(6, true)]
    [DataRow(0, false)]
    public async Task On_a_long_list_says_now_and_then_how_far_it_is(int secondsEach, bool says)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string[] images = [.. Enumerable.Range(0, 3).Select(i => world.Push(string.Create(CultureInfo.InvariantCulture, $"team/app{i}")))];
        KeylessSignContainer sign = world.Sign(images);
        Assert.IsTrue(sign.Execute(), World.Log(sign));
        KeylessVerifyContainer task = world.Verify([.. images.Select(image => world.Image(image))]);
        task.Time = new SlowMoments(TimeSpan.FromSeconds(secondsEach));

        Assert.IsTrue(task.Execute(), World.Log(task));

        // Whoever waits sees it without asking for more; of the last image there is the result.
        Assert.AreEqual(says, World.Log(task).Contains("high: Keyless.MSBuild: 2 of 3 images looked at", StringComparison.Ordinal), World.Log(task));
        Assert.DoesNotContain("3 of 3 images", World.Log(task));
    }

    /// <summary>Whenever somebody looks, so much more time has passed.</summary>
    private sealed class SlowMoments(TimeSpan each) : TimeProvider
    {
        private long moments;

        public override long GetTimestamp() => Interlocked.Increment(ref moments) * each.Ticks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;
    }

    private TrafficMeasure Measure(World world, string image)
    {
        TestContext.CancellationToken.ThrowIfCancellationRequested();
        long before = world.Sandbox.Traffic.Mark();
        KeylessVerifyContainer task = world.Verify(world.Image(image));
        Assert.IsTrue(task.Execute(), World.Log(task));
        return world.Sandbox.Traffic.Measure("Keyless.MSBuild/", before);
    }

    private static void AttachJunk(World world, string image, int count, int from = 0)
    {
        for (int i = from; i < from + count; i++)
        {
            world.AttachBundle(image, Encoding.UTF8.GetBytes($"{{ not bundle {i}"));
        }
    }
}
