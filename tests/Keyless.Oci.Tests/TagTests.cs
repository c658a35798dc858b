using System.Net;
using Keyless.Sandbox;

namespace Keyless.Oci.Tests;

/// <summary>Tags of images: putting them on manifests that are there, and taking them away.</summary>
[TestClass]
public sealed class TagTests
{
    public TestContext TestContext { get; set; } = null!;

    private CancellationToken Cancel => TestContext.CancellationToken;

    [TestMethod]
    public async Task Puts_tags_on_manifests_without_changing_a_byte()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        using Registry registry = world.Client();
        world.Content.PutBlob("app", "{}"u8.ToArray());
        Manifest one = await registry.GetManifestAsync(world.Image("1.0"), Cancel), two = await registry.GetManifestAsync(world.Image("2.0"), Cancel);

        await registry.TagAsync([("a", one), ("b", two), ("1.0", two)], Cancel);

        Assert.AreSequenceEqual(["1.0", "2.0", "a", "b"], world.Content.Tags("app").ToArray());
        Assert.AreEqual(one.Digest.ToString(), world.Content.FindManifest("app", "a")!.Digest);
        Assert.AreEqual(two.Digest.ToString(), world.Content.FindManifest("app", "1.0")!.Digest);
    }

    [TestMethod]
    [DataRow("a", 403, "no tag has moved, not moved: a, b, c")]
    [DataRow("b", 403, "moved: a, not moved: b, c")]
    [DataRow("c", 502, "moved: a, b, not moved: c (c perhaps)")]
    public async Task Says_which_tags_have_moved_when_one_cannot(string tag, int status, string says)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        using Registry registry = world.Client();
        world.Content.PutBlob("app", "{}"u8.ToArray());
        Manifest image = await registry.GetManifestAsync(world.Image(), Cancel);
        world.Server.Faults.Add(Fault.Status(status).On($"PUT /v2/app/manifests/{tag}"));

        var no = await Assert.ThrowsExactlyAsync<RegistryException>(() => registry.TagAsync([("a", image), ("b", image), ("c", image)], Cancel));

        Assert.AreEqual($"PUT http://{world.Host}/v2/app/manifests/{tag} → {status}; {says}", no.Message);
        Assert.AreEqual((HttpStatusCode)status, no.Status);
    }

    [TestMethod]
    public async Task A_registry_that_does_not_say_what_it_stored_is_asked()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        using Registry registry = world.Client();
        world.Content.PutBlob("app", "{}"u8.ToArray());
        Manifest one = await registry.GetManifestAsync(world.Image("1.0"), Cancel);
        world.Image("2.0");
        world.Server.Intercept = context =>
        {
            context.Response.StatusCode = context.Request.Method == "PUT" ? 201 : 200;
            return Task.CompletedTask;
        };

        var no = await Assert.ThrowsExactlyAsync<RegistryException>(() => registry.TagAsync([("2.0", one)], Cancel));

        Assert.AreEqual(RegistryFailure.Nonsense, no.Failure);
        Assert.Contains($"stored {one.Digest}, and it holds {world.Content.FindManifest("app", "2.0")!.Digest}", no.Message);
    }

    [TestMethod]
    public async Task Takes_a_tag_away_and_leaves_what_it_held()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        using Registry registry = world.Client();
        Descriptor image = world.Image();

        await registry.RemoveTagAsync("1.0", Cancel);
        await registry.RemoveTagAsync("1.0", Cancel);

        Assert.IsEmpty(world.Content.Tags("app"));
        Assert.AreEqual(image, await registry.HeadManifestAsync(image.Digest, Cancel));
    }

    [TestMethod]
    public async Task Says_so_where_tags_are_not_taken_away()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        using Registry registry = world.Client();
        world.Image();
        world.Content.Quirks = new() { TagDeletion = TagDeletion.Refused };

        var no = await Assert.ThrowsExactlyAsync<RegistryException>(() => registry.RemoveTagAsync("1.0", Cancel));

        Assert.AreEqual(RegistryFailure.Refused, no.Failure);
        Assert.AreEqual($"DELETE http://{world.Host}/v2/app/manifests/1.0 → 405 UNSUPPORTED: The operation is unsupported.", no.Message);
        Assert.AreSequenceEqual(["1.0"], world.Content.Tags("app").ToArray());
    }

    [TestMethod]
    public async Task A_digest_is_never_taken_away()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        using Registry registry = world.Client();
        Descriptor image = world.Image();

        await Assert.ThrowsExactlyAsync<ArgumentException>(() => registry.RemoveTagAsync(image.Digest.ToString(), Cancel));

        Assert.AreEqual(image, await registry.HeadManifestAsync(image.Digest, Cancel));
    }
}
