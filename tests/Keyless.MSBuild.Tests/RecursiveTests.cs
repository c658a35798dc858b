using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Microsoft.Build.Framework;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>An image index, and what is in it.</summary>
[TestClass]
public sealed class RecursiveTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    public async Task An_index_is_verified_as_itself_unless_more_is_asked_for()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string[] children = [world.Push(tag: null), world.Push(tag: null)];
        string index = PushIndex(world, children);
        world.AttachBundle(index, new BundleForge(world, index).Make());

        KeylessVerifyContainer alone = world.Verify(world.Image(index));
        Assert.IsTrue(alone.Execute(), World.Log(alone));

        string refusal = World.Refusal(world.Verify(world.Image(index, ("Recursive", "true"))), "KEYLESS4001");
        Assert.Contains(children[0].Split('@')[1], refusal);
        Assert.Contains("1 more of its manifests are refused", refusal);
    }

    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    [DataRow(2)]
    public async Task Each_manifest_must_satisfy_the_policy(int missing)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string[] children = [world.Push(tag: null), world.Push(tag: null)];
        string index = PushIndex(world, children);
        string[] all = [index, .. children];
        foreach (string image in all.Where((_, i) => i != missing))
        {
            world.AttachBundle(image, new BundleForge(world, image).Make());
        }

        KeylessVerifyContainer task = world.Verify(world.Image(index, ("Recursive", "true")));
        Assert.Contains(all[missing].Split('@')[1], World.Refusal(task, "KEYLESS4001"));
        Assert.IsEmpty(task.VerifiedContainerImages);

        // In another form, by the same signer.
        world.Tag(all[missing], new SimpleForge(world, all[missing]).Make());
        task = world.Verify(world.Image(index, ("Recursive", "true")));
        task.ContainerVerificationReport = "report.json";
        Assert.IsTrue(task.Execute(), World.Log(task));
        ITaskItem verified = task.VerifiedContainerImages.Single();
        Assert.AreEqual(index, verified.ItemSpec);
        Assert.AreEqual(index.Split('@')[1], verified.GetMetadata("Digest"));
        Assert.Contains($"high: Deploy -> {index} (verified: signed by {world.Signer} at ", World.Log(task));
        Assert.Contains(", with 2 manifests in it)", World.Log(task));
        JsonArray images = JsonNode.Parse(await File.ReadAllTextAsync(world.Folder["report.json"], TestContext.CancellationToken))!["images"]!.AsArray();
        Assert.AreEqual(string.Join('\n', all.Select(image => $"{index} {image.Split('@')[1]} accepted")),
            string.Join('\n', images.Select(image => $"{image!["reference"]} {image["digest"]} {image["verdict"]}")));
    }

    [TestMethod]
    public async Task Names_ten_refused_signatures_of_all_manifests_together()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string[] children = [.. Enumerable.Range(0, 11).Select(_ => world.Push(tag: null))];
        string index = PushIndex(world, children);
        foreach (string image in (string[])[index, .. children])
        {
            world.AttachBundle(image, Encoding.UTF8.GetBytes($"{{ not a bundle of {image}"));
        }

        KeylessVerifyContainer task = world.Verify(world.Image(index, ("Recursive", "true")));
        Assert.Contains("; 11 more of its manifests are refused", World.Refusal(task, "KEYLESS4002"));

        string[] log = World.Log(task).Split('\n');
        Assert.AreEqual(10, log.Count(line => line.StartsWith("high: ", StringComparison.Ordinal) && line.Contains(": bundle signature sha256:", StringComparison.Ordinal)));
        Assert.ContainsSingle(log.Where(line => line.Contains(": and 2 more, all in obj/keyless/refused-images.txt", StringComparison.Ordinal)));
    }

    [TestMethod]
    public async Task Accepts_what_the_signer_signed_with_everything_in_it()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string index = PushIndex(world, world.Push(tag: null), world.Push(tag: null));
        KeylessSignContainer signing = world.Sign(index);
        Assert.IsTrue(signing.Execute(), World.Log(signing));
        long before = world.Sandbox.Traffic.Mark();
        KeylessVerifyContainer task = world.Verify(world.Image(index, ("Recursive", "true")));

        Assert.IsTrue(task.Execute(), World.Log(task));

        // The index, and three requests for it and for each manifest.
        Assert.AreEqual(10, world.Sandbox.Traffic.Measure("Keyless.MSBuild/", before).Requests);
    }

    [TestMethod]
    public async Task An_index_in_an_index_counts_with_all_that_is_in_it()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string leaf = world.Push(tag: null);
        string inner = PushIndex(world, leaf);
        string outer = PushIndex(world, inner);
        foreach (string image in (string[])[outer, inner])
        {
            world.AttachBundle(image, new BundleForge(world, image).Make());
        }

        Assert.Contains(leaf.Split('@')[1], World.Refusal(world.Verify(world.Image(outer, ("Recursive", "true"))), "KEYLESS4001"));
    }

    [TestMethod]
    public async Task An_image_that_is_no_index_is_verified_as_itself()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = world.Verify(world.Image(world.PushSigned(), ("Recursive", "true")));

        Assert.IsTrue(task.Execute(), World.Log(task));
    }

    [TestMethod]
    public async Task A_manifest_of_an_index_that_is_missing_is_an_error_of_its_own()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string child = world.Push(tag: null);
        string index = PushIndex(world, child);
        world.AttachBundle(index, new BundleForge(world, index).Make());
        world.Sandbox.Registry.DeleteManifest("team/app", child.Split('@')[1]);

        World.Refusal(world.Verify(world.Image(index, ("Recursive", "true"))), "KEYLESS3003");
    }

    [TestMethod]
    public async Task Indexes_without_end_are_no_verdict()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        // Two indexes of 600 each: neither alone is too long.
        string[] halves = [.. Enumerable.Range(0, 2).Select(half => PushIndex(world, [.. Enumerable.Range(0, 600).Select(i => $"x/y@sha256:{half:x32}{i:x32}")]))];
        string outer = PushIndex(world, halves);

        Assert.Contains("more than 1000 manifests", World.Refusal(world.Verify(world.Image(outer, ("Recursive", "true"))), "KEYLESS4005"));
    }

    [TestMethod]
    [DataRow("ContainerTrustPolicy")]
    public async Task Belongs_to_the_image_and_not_to_a_policy(string item)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = world.Verify(world.Image("localhost:1/app:1.0"));
        task.ContainerTrustPolicies = [world.Image("release", ("Recursive", "true"))];

        Assert.Contains(item, World.Refusal(task, "KEYLESS5002"));
    }

    private static string PushIndex(World world, params string[] images)
    {
        var index = new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = Attached.Index,
            ["manifests"] = new JsonArray([.. images.Select(image =>
            {
                (string repository, string digest) = Attached.Parts(image);
                RegistryManifest? manifest = world.Sandbox.Registry.FindManifest(repository, digest);
                return Attached.Described(manifest?.MediaType ?? Attached.Manifest, manifest?.Bytes.Length ?? 1, digest);
            })]),
        };
        return $"{world.Sandbox.RegistryHost}/team/app@{world.Sandbox.Registry.PutManifest("team/app", null, Encoding.UTF8.GetBytes(index.ToJsonString()), Attached.Index)}";
    }
}
