using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>
/// <c>SignContainerBeforeTagging</c>, from the push on: what was pushed under staging tags is signed, gets the tags that were asked for, and loses the
/// staging tags. <see cref="BeforeTaggingPublishTests"/> has the push.
/// </summary>
[TestClass]
public sealed class BeforeTaggingTests
{
    private const string Staging = "keyless-staging-0123456789abcdef";
    private const string Repository = "team/app";

    public required TestContext TestContext { get; init; }

    [TestMethod]
    public async Task Tags_what_is_signed_and_removes_the_staging_tag()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        (KeylessSignContainer task, string digest) = Staged(world, "1.0", "latest");

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.AreSequenceEqual(["1.0", "latest"], world.Sandbox.Registry.Tags(Repository).ToArray());
        MustHaveBeenSigned(world, "1.0", "latest");
        Assert.AreEqual(digest, world.Sandbox.Registry.FindManifest(Repository, "latest")!.Digest);
        Assert.AreEqual("1.0;latest", task.SignedContainers.Single().GetMetadata("Tags"));
        Assert.AreEqual(digest, task.ContainerSignedDigest);
        Assert.Contains("signed, then tagged: 1.0, latest", World.Log(task));
    }

    [TestMethod]
    [DataRow("bundle", true)]
    [DataRow("bundle", false)]
    [DataRow("legacy", true)]
    [DataRow("both", false)]
    public async Task Whatever_the_form_of_the_signature_the_tag_comes_after_it(string format, bool referrersApi)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { Rekor = RekorVersion.V1, ReferrersApi = referrersApi });
        (KeylessSignContainer task, string digest) = Staged(world, "1.0");
        task.ContainerSigningFormat = format;

        Assert.IsTrue(task.Execute(), World.Log(task));

        string fallback = digest.Replace(':', '-');
        string[] moved = [.. world.Sandbox.Registry.TagMoves.Where(move => move.Repository == Repository && move.Digest is not null).Select(move => move.Tag).Distinct()];
        string[] signatures = [.. (string[])[fallback, $"{fallback}.sig"]];
        Assert.AreEqual("1.0", moved[^1], string.Join(' ', moved));
        Assert.AreEqual(format is "legacy" or "both", moved.Contains(signatures[1]));
        Assert.AreEqual(format is "bundle" or "both" && !referrersApi, moved.Contains(signatures[0]));
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public async Task Runtimes_get_their_own_tags_before_the_index_gets_its(bool recursive)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessSignContainer task = StagedIndex(world, tagsRuntimes: true, "1.0", "latest");
        task.ContainerSigningRecursive = recursive ? "true" : "false";

        Assert.IsTrue(task.Execute(), World.Log(task));

        string[] children = ["1.0-linux-arm64", "1.0-linux-x64", "latest-linux-arm64", "latest-linux-x64"];
        Assert.AreSequenceEqual([.. ((string[])["1.0", "latest", .. children]).Order(StringComparer.Ordinal)], world.Sandbox.Registry.Tags(Repository).ToArray());
        MustHaveBeenSigned(world, recursive ? ["1.0", "latest", .. children] : ["1.0", "latest"]);
        TagMove[] moves = [.. world.Sandbox.Registry.TagMoves.Where(IsAskedFor)];
        Assert.AreSequenceEqual(["1.0", "latest"], moves.TakeLast(2).Select(move => move.Tag).ToArray());
        Assert.HasCount(recursive ? 3 : 1, task.SignedContainers);
        Assert.AreNotEqual(moves.Single(move => move.Tag == "1.0-linux-x64").Digest, moves.Single(move => move.Tag == "1.0-linux-arm64").Digest);
    }

    [TestMethod]
    public async Task Runtimes_that_the_SDK_gives_no_tag_get_none()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessSignContainer task = StagedIndex(world, tagsRuntimes: false, "1.0");

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.AreSequenceEqual(["1.0"], world.Sandbox.Registry.Tags(Repository).ToArray());
        Assert.HasCount(3, task.SignedContainers);
        Assert.IsTrue(task.SignedContainers.All(image => world.Sandbox.Registry.FindManifest(Repository, image.GetMetadata("Digest")) is not null));
    }

    [TestMethod]
    [DataRow("issuer", "KEYLESS1005")]
    [DataRow("fulcio", "KEYLESS2002")]
    [DataRow("timestamp", "KEYLESS2002")]
    [DataRow("rekor-v2", "KEYLESS2002")]
    public async Task Where_signing_fails_the_tags_stay_where_they_were_and_the_staging_tags_go(string part, string code)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string before = world.Push(tag: "1.0").Split('@')[1];
        KeylessSignContainer task = StagedIndex(world, tagsRuntimes: true, "1.0");
        world.Sandbox.Servers.Single(server => server.Part == part).Faults.Add(Fault.Status(403));

        World.Refusal(task, code);

        MustBeAsBefore(world, task, before);
    }

    [TestMethod]
    public async Task Where_the_signature_cannot_be_attached_the_tags_stay_where_they_were_and_the_staging_tags_go()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string before = world.Push(tag: "1.0").Split('@')[1];
        KeylessSignContainer task = StagedIndex(world, tagsRuntimes: true, "1.0");
        world.Sandbox.RegistryServer.Faults.Add(Fault.Status(403).On("PUT /v2/team/app/manifests/sha256:"));

        World.Refusal(task, "KEYLESS3002");

        MustBeAsBefore(world, task, before);
    }

    [TestMethod]
    public async Task A_setting_that_is_wrong_after_the_push_leaves_nothing_behind_either()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string before = world.Push(tag: "1.0").Split('@')[1];
        KeylessSignContainer task = StagedIndex(world, tagsRuntimes: true, "1.0");
        task.ContainersToSign = [new TaskItem($"{world.Sandbox.RegistryHost}/{Repository}:1.0")];

        World.Refusal(task, "KEYLESS5006");

        MustBeAsBefore(world, task, before);
    }

    [TestMethod]
    public async Task A_failure_between_two_tags_says_which_have_moved()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string before = world.Push(tag: "2.0").Split('@')[1];
        (KeylessSignContainer task, string digest) = Staged(world, "1.0", "2.0", "latest");
        world.Sandbox.RegistryServer.Faults.Add(Fault.Status(403).On("PUT /v2/team/app/manifests/2.0"));

        string refusal = World.Refusal(task, "KEYLESS3002");

        Assert.Contains("/manifests/2.0 → 403", refusal);
        Assert.Contains("moved: 1.0, not moved: 2.0, latest", refusal);
        Assert.AreSequenceEqual(["1.0", "2.0"], world.Sandbox.Registry.Tags(Repository).ToArray());
        Assert.AreEqual(digest, world.Sandbox.Registry.FindManifest(Repository, "1.0")!.Digest);
        Assert.AreEqual(before, world.Sandbox.Registry.FindManifest(Repository, "2.0")!.Digest);
        MustHaveBeenSigned(world, "1.0");
    }

    [TestMethod]
    [DataRow(ImmutableTags.AsEcr, "400 TAG_INVALID")]
    [DataRow(ImmutableTags.AsHarbor, "412 PRECONDITION")]
    public async Task A_tag_that_cannot_be_moved_is_refused_and_stays(ImmutableTags immutable, string says)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { RegistryQuirks = new() { ImmutableTags = immutable } });
        string before = world.Push(tag: "1.0").Split('@')[1];
        (KeylessSignContainer task, _) = Staged(world, "1.0");

        string refusal = World.Refusal(task, "KEYLESS3004");

        Assert.Contains(says, refusal);
        Assert.Contains("no tag has moved, not moved: 1.0", refusal);
        Assert.AreSequenceEqual(["1.0"], world.Sandbox.Registry.Tags(Repository).ToArray());
        Assert.AreEqual(before, world.Sandbox.Registry.FindManifest(Repository, "1.0")!.Digest);
    }

    [TestMethod]
    public async Task An_answer_that_is_lost_moves_the_tag_once_more_and_no_other()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        (KeylessSignContainer task, string digest) = Staged(world, "1.0", "latest");
        task.ContainerSigningRetryBudget = "00:01:00";
        world.Sandbox.RegistryServer.Faults.Add(Fault.Drop.AfterTheWork().On("PUT /v2/team/app/manifests/1.0").ForRequests(1, 1));
        world.Sandbox.RegistryServer.Faults.Add(Fault.Drop.AfterTheWork().On("DELETE /v2/team/app/manifests/").ForRequests(1, 1));

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.AreSequenceEqual(["1.0", "latest"], world.Sandbox.Registry.Tags(Repository).ToArray());
        Assert.AreEqual(digest, world.Sandbox.Registry.FindManifest(Repository, "1.0")!.Digest);
        Assert.DoesNotContain("staging tags stay", World.Log(task));
    }

    [TestMethod]
    public async Task A_registry_that_removes_no_tags_keeps_them_and_one_line_names_them()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { RegistryQuirks = new() { TagDeletion = TagDeletion.Refused } });
        KeylessSignContainer task = StagedIndex(world, tagsRuntimes: true, "1.0");

        Assert.IsTrue(task.Execute(), World.Log(task));

        string[] staging = [Staging, $"{Staging}-linux-x64", $"{Staging}-linux-arm64"];
        string line = Assert.ContainsSingle(World.Log(task).Split('\n').Where(line => line.Contains("staging tags", StringComparison.Ordinal)));
        Assert.Contains($"the staging tags stay in the registry and can be removed by hand: {string.Join(", ", staging)}; DELETE ", line);
        Assert.Contains("405 UNSUPPORTED", line);
        CollectionAssert.IsSubsetOf((string[])[.. staging, "1.0", "1.0-linux-x64"], world.Sandbox.Registry.Tags(Repository).ToArray());
        Assert.HasCount(1, world.Sandbox.Traffic.Snapshot().Where(exchange => exchange.Method == "DELETE"), "it was refused, and asked again");
        MustHaveBeenSigned(world, "1.0", "1.0-linux-x64");
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public async Task A_registry_that_removes_the_image_with_its_tag_gets_it_back(bool fails)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { RegistryQuirks = new() { TagDeletion = TagDeletion.TakesManifest } });
        KeylessSignContainer task = StagedIndex(world, tagsRuntimes: true, "1.0", "latest");
        RegistryManifest index = world.Sandbox.Registry.FindManifest(Repository, Staging)!;
        if (fails)
        {
            // The very same image was pushed before, and is what people pull.
            world.Sandbox.Registry.PutManifest(Repository, "latest", index.Bytes, index.MediaType);
            world.Sandbox.RekorV2Server.Faults.Add(Fault.Status(403));
            World.Refusal(task, "KEYLESS2002");
        }
        else
        {
            Assert.IsTrue(task.Execute(), World.Log(task));
        }

        foreach (string tag in fails ? (string[])["latest"] : ["1.0", "latest"])
        {
            Assert.AreEqual(index.Digest, world.Sandbox.Registry.FindManifest(Repository, tag)?.Digest, tag);
        }

        Assert.IsNull(world.Sandbox.Registry.FindManifest(Repository, Staging));
        Assert.Contains($"the registry removed {index.Digest} together with the tag {Staging}; it has been put back, with {(fails ? "latest" : "1.0, latest")}", World.Log(task));
        Assert.Contains($"can be removed by hand: {Staging}-linux-x64, {Staging}-linux-arm64; the registry removes images with their tags", World.Log(task));
        Assert.AreEqual(fails ? 0 : 1, world.Sandbox.Registry.Referrers(Repository, index.Digest).Count);
    }

    [TestMethod]
    public async Task A_registry_that_removes_what_has_no_tag_left_gets_it_back_under_its_digest()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { RegistryQuirks = new() { TagDeletion = TagDeletion.TakesUntagged } });
        KeylessSignContainer task = StagedIndex(world, tagsRuntimes: false, "1.0");

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.AreSequenceEqual(["1.0", $"{Staging}-linux-arm64"], world.Sandbox.Registry.Tags(Repository).ToArray());
        Assert.Contains($"can be removed by hand: {Staging}-linux-arm64; the registry removes images with their tags", World.Log(task));
        KeylessVerifyContainer verify = world.Verify(world.Image($"{world.Sandbox.RegistryHost}/{Repository}:1.0", ("Recursive", "true")));
        Assert.IsTrue(verify.Execute(), World.Log(verify));
    }

    [TestMethod]
    public async Task A_token_that_may_delete_is_asked_for_where_the_one_for_pushing_may_not()
    {
        var options = new SandboxOptions { RegistryLogin = RegistryLogin.Bearer, RegistryUsers = new Dictionary<string, string> { ["ci"] = "canary-password" } };
        await using World world = await World.StartAsync(TestContext.CancellationToken, options);
        (world.Environment["DOTNET_CONTAINER_REGISTRY_UNAME"], world.Environment["DOTNET_CONTAINER_REGISTRY_PWORD"]) = ("ci", "canary-password");
        (KeylessSignContainer task, _) = Staged(world, "1.0");

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.AreSequenceEqual(["1.0"], world.Sandbox.Registry.Tags(Repository).ToArray());
        Assert.DoesNotContain("canary", World.Log(task));
    }

    [TestMethod]
    [DataRow(Staging, false)]
    [DataRow($"{Staging}-linux-x64", false)]
    [DataRow($"{Staging}-linux-x64", true)]
    public async Task A_staging_tag_that_somebody_else_moved_or_removed_is_refused_before_anything_is_logged(string tag, bool removed)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessSignContainer task = StagedIndex(world, tagsRuntimes: true, "1.0");
        if (removed)
        {
            world.Sandbox.Registry.DeleteManifest(Repository, tag);
        }
        else
        {
            world.Push(tag: tag);
        }

        string refusal = World.Refusal(task, removed ? "KEYLESS3003" : "KEYLESS3005");

        Assert.Contains(tag, refusal);
        Assert.IsEmpty(world.Sandbox.Registry.Tags(Repository));
        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot().Where(exchange => exchange.Part is "fulcio" or "rekor-v2"));
    }

    [TestMethod]
    public async Task A_tag_that_becomes_too_long_is_refused_before_the_push()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessPreflight task = Preflight(world, "true", "true");
        task.ContainerImageTags = [new TaskItem(new string('a', 120))];
        task.Runtimes = [new TaskItem("linux-x64")];
        Assert.IsTrue(task.Execute(), World.Log(task));
        task.TagsRuntimes = true;

        Assert.Contains("a tag is 1 to 128 letters", World.Refusal(task, "KEYLESS5006"));
    }

    [TestMethod]
    public async Task A_build_that_is_cancelled_leaves_no_staging_tag()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string before = world.Push(tag: "1.0").Split('@')[1];
        KeylessSignContainer task = StagedIndex(world, tagsRuntimes: true, "1.0");
        world.Sandbox.FulcioServer.Faults.Add(Fault.Hang);
        Task<bool> running = Task.Run(task.Execute, TestContext.CancellationToken);
        while (!world.Sandbox.Traffic.Snapshot().Any(exchange => exchange.Part == "issuer"))
        {
            await Task.Delay(20, TestContext.CancellationToken);
        }

        task.Cancel();

        Assert.IsFalse(await running.WaitAsync(TimeSpan.FromSeconds(30), TestContext.CancellationToken));
        MustBeAsBefore(world, task, before);
    }

    [TestMethod]
    public async Task A_build_that_is_cancelled_between_two_tags_says_so_and_leaves_no_staging_tag()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        (KeylessSignContainer task, string digest) = Staged(world, "1.0", "latest");
        world.Sandbox.RegistryServer.Intercept = async context =>
        {
            if (context.Request.Method == "PUT" && context.Request.Path.Value!.EndsWith("/manifests/latest", StringComparison.Ordinal))
            {
                task.Cancel();
                await Task.Delay(Timeout.InfiniteTimeSpan, context.RequestAborted);
            }
        };

        Assert.IsFalse(task.Execute());

        Assert.AreSequenceEqual(["1.0"], world.Sandbox.Registry.Tags(Repository).ToArray());
        Assert.AreEqual(digest, world.Sandbox.Registry.FindManifest(Repository, "1.0")!.Digest);
        MustHaveBeenSigned(world, "1.0");
        Assert.Contains("which of these have moved is not known: 1.0, latest", World.Log(task));
    }

    /// <summary>Projects that push to one repository, of which two happen to push the very same image.</summary>
    [TestMethod]
    public async Task Projects_of_one_build_stage_side_by_side_in_one_repository()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string before = world.Push(tag: "1.2").Split('@')[1];
        var tasks = new List<KeylessSignContainer>();
        using var build = new Testing.SharedBuild();
        string? same = null;
        for (int i = 0; i < 3; i++)
        {
            string staging = $"{StagedPush.Prefix}000000000000000{i}";
            string digest = same is { } there && i == 1 ? there : world.Push(tag: staging).Split('@')[1];
            RegistryManifest pushed = world.Sandbox.Registry.FindManifest(Repository, same = digest)!;
            world.Sandbox.Registry.PutManifest(Repository, staging, pushed.Bytes, pushed.MediaType);
            KeylessSignContainer task = Pushed(world, [$"1.{i}"]);
            (task.StagingTag, task.GeneratedContainerDigest, task.BuildEngine, task.ContainerSigningBundleDirectory) = (staging, digest, build.CreateEngine(), $"bundles/{i}");
            tasks.Add(task);
        }

        // One of the tags may not be moved.
        world.Sandbox.RegistryServer.Faults.Add(Fault.Status(403).On($"PUT /v2/{Repository}/manifests/1.1"));
        bool[] done = await Task.WhenAll(tasks.Select(task => Task.Run(task.Execute, TestContext.CancellationToken)));

        Assert.AreSequenceEqual([true, false, true], done, string.Concat(tasks.Select(World.Log)));
        Assert.AreSequenceEqual(["1.0", "1.2"], world.Sandbox.Registry.Tags(Repository).ToArray());
        MustHaveBeenSigned(world, "1.0", "1.2");
        Assert.AreNotEqual(before, world.Sandbox.Registry.FindManifest(Repository, "1.2")!.Digest);
        Assert.Contains("no tag has moved, not moved: 1.1", World.Log(tasks[1]));
    }

    [TestMethod]
    [DataRow("true", "true", true)]
    [DataRow("true", "false", false)]
    [DataRow("auto", "true", true)]
    [DataRow("false", "true", false)]
    public async Task The_preflight_gives_a_staging_tag_only_where_the_build_signs(string sign, string before, bool stages)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string[] tags = [.. Enumerable.Range(0, 2).Select(_ =>
        {
            KeylessPreflight task = Preflight(world, sign, before);
            Assert.IsTrue(task.Execute(), World.Log(task));
            return task.StagingTag;
        })];

        Assert.AreEqual(stages, tags[0] != tags[1]);
        StringAssert.Matches(tags[0], new(stages ? @"\Akeyless-staging-[0-9a-f]{16}\z" : @"\A\z", default, TimeSpan.FromSeconds(1)));
    }

    [TestMethod]
    public async Task Auto_that_does_not_sign_stages_nothing()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();
        KeylessPreflight task = Preflight(world, "auto", "true");

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.IsFalse(task.Sign);
        Assert.AreEqual("", task.StagingTag);
    }

    [TestMethod]
    [DataRow("true")]
    [DataRow("false")]
    public async Task A_misspelled_value_is_refused_whether_or_not_the_build_signs(string sign)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);

        Assert.Contains("SignContainerBeforeTagging is 'ture'", World.Refusal(Preflight(world, sign, "ture"), "KEYLESS5001"));
    }

    [TestMethod]
    public async Task Without_a_push_of_this_build_it_changes_nothing()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        KeylessSignContainer task = world.Sign(image);
        task.SignContainerBeforeTagging = "true";

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.HasCount(1, world.Referrers(image));
        Assert.AreSequenceEqual(["1.0"], world.Sandbox.Registry.Tags(Repository).ToArray());
    }

    private static KeylessPreflight Preflight(World world, string sign, string before) => new()
    {
        BuildEngine = new Testing.RecordingEngine(),
        EnvironmentVariable = world.Environment.GetValueOrDefault,
        ProjectDirectory = world.Folder.Path,
        SignContainer = sign,
        PublishesContainer = true,
        SignContainerBeforeTagging = before,
        ContainerRegistry = world.Sandbox.RegistryHost,
        ContainerRepository = Repository,
        SigstoreInstance = "client_trust_config.json",
    };

    /// <summary>What the SDK leaves of an image, and what the targets say of it.</summary>
    private static (KeylessSignContainer Task, string Digest) Staged(World world, params string[] tags)
    {
        string digest = world.Push(tag: Staging).Split('@')[1];
        KeylessSignContainer task = Pushed(world, tags);
        task.GeneratedContainerDigest = digest;
        return (task, digest);
    }

    private static KeylessSignContainer StagedIndex(World world, bool tagsRuntimes, params string[] tags)
    {
        byte[] index = world.PushIndex(2, Repository, Staging).Bytes;
        string[] children = [.. JsonNode.Parse(index)!["manifests"]!.AsArray().Select(child => (string)child!["digest"]!)];
        KeylessSignContainer task = Pushed(world, tags);
        task.Runtimes = [new TaskItem("linux-x64"), new TaskItem("linux-arm64")];
        foreach ((ITaskItem runtime, string child) in task.Runtimes.Zip(children))
        {
            RegistryManifest manifest = world.Sandbox.Registry.FindManifest(Repository, child)!;
            world.Sandbox.Registry.PutManifest(Repository, $"{Staging}-{runtime.ItemSpec}", manifest.Bytes, manifest.MediaType);
        }

        task.TagsRuntimes = tagsRuntimes;
        task.GeneratedImageIndex = Encoding.UTF8.GetString(index);
        return task;
    }

    private static KeylessSignContainer Pushed(World world, string[] tags)
    {
        KeylessSignContainer task = world.Sign();
        task.SignContainerBeforeTagging = "true";
        task.StagingTag = Staging;
        (task.ContainerRegistry, task.ContainerRepository) = (world.Sandbox.RegistryHost, Repository);
        task.ContainerImageTags = [.. tags.Select(tag => new TaskItem(tag))];
        return task;
    }

    private static bool IsAskedFor(TagMove move) =>
        move.Repository == Repository && move.Digest is not null && !move.Tag.StartsWith("keyless-staging-", StringComparison.Ordinal) && !move.Tag.StartsWith("sha256-", StringComparison.Ordinal);

    /// <summary>Whenever one of the tags moved to what it holds now, that was signed.</summary>
    private static void MustHaveBeenSigned(World world, params string[] tags)
    {
        foreach (string tag in tags)
        {
            string now = world.Sandbox.Registry.FindManifest(Repository, tag)!.Digest;
            TagMove[] moves = [.. world.Sandbox.Registry.TagMoves.Where(move => move.Repository == Repository && move.Tag == tag && move.Digest == now)];
            Assert.IsNotEmpty(moves, tag);
            Assert.IsTrue(moves.All(move => move.Referrers.Count > 0), $"{tag} moved to {now} before that was signed");
        }
    }

    /// <summary>The tag that was there holds what it held, there is no other, and what was pushed is there by its digest.</summary>
    private static void MustBeAsBefore(World world, KeylessSignContainer task, string before)
    {
        Assert.AreSequenceEqual(["1.0"], world.Sandbox.Registry.Tags(Repository).ToArray(), World.Log(task));
        Assert.AreEqual(before, world.Sandbox.Registry.FindManifest(Repository, "1.0")!.Digest);
        string pushed = world.Sandbox.Registry.TagMoves.Last(move => move.Tag == Staging && move.Digest is not null).Digest!;
        Assert.IsNotNull(world.Sandbox.Registry.FindManifest(Repository, pushed));
    }
}
