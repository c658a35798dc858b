using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sandbox;

namespace Keyless.Oci.Tests;

[TestClass]
public sealed class RegistryTests
{
    private const string ArtifactType = "application/vnd.example.thing.v1+json";

    public TestContext TestContext { get; set; } = null!;

    private CancellationToken Cancel => TestContext.CancellationToken;

    [TestMethod]
    public async Task Resolves_a_tag_and_a_digest_to_the_same_descriptor()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Descriptor image = world.Image();
        using Registry registry = world.Client();

        Assert.AreEqual(image, await registry.ResolveAsync(ImageReference.Parse($"{world.Host}/app:1.0"), Cancel));
        Assert.AreEqual(image, await registry.ResolveAsync(ImageReference.Parse($"{world.Host}/app:other@{image.Digest}"), Cancel));
    }

    [TestMethod]
    public async Task Computes_the_descriptor_where_HEAD_says_too_little()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Descriptor image = world.Image();
        world.Server.Intercept = context =>
        {
            context.Response.OnStarting(() =>
            {
                context.Response.Headers.Remove("Docker-Content-Digest");
                return Task.CompletedTask;
            });
            return Task.CompletedTask;
        };
        using Registry registry = world.Client();

        Assert.AreEqual(image, await registry.HeadManifestAsync("1.0", Cancel));
        Assert.AreEqual(2, world.Traffic.Measure().Requests);
    }

    [TestMethod]
    public async Task Gets_a_manifest_and_a_blob()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Descriptor image = world.Image();
        using Registry registry = world.Client();

        Manifest manifest = await registry.GetManifestAsync(image, Cancel);
        Assert.AreEqual(image.Digest, manifest.Digest);
        Assert.AreEqual("1.0", Encoding.UTF8.GetString(await registry.GetBlobAsync(manifest.Layers.Single(), 100, Cancel)));
    }

    [TestMethod]
    public async Task Pushes_a_blob_and_knows_it_is_there()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        using Registry registry = world.Client();
        byte[] content = "content"u8.ToArray();

        Assert.IsFalse(await registry.HasBlobAsync(Digest.Of(content), Cancel));
        Digest digest = await registry.PushBlobAsync(content, Cancel);

        Assert.IsTrue(await registry.HasBlobAsync(digest, Cancel));
        CollectionAssert.AreEqual(content, world.Content.FindBlob("app", digest.ToString()));
    }

    [TestMethod]
    public async Task Says_not_found_for_an_image_that_is_not_there()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        using Registry registry = world.Client();

        var no = await Assert.ThrowsExactlyAsync<RegistryException>(() => registry.GetManifestAsync(Digest.Of("x"u8), Cancel));

        Assert.AreEqual(RegistryFailure.NotFound, no.Failure);
        Assert.AreEqual($"GET http://{world.Host}/v2/app/manifests/{Digest.Of("x"u8)} → 404 MANIFEST_UNKNOWN: there is no {Digest.Of("x"u8)} in app", no.Message);
    }

    [TestMethod]
    public async Task Says_unreachable_where_nobody_listens()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        await world.Server.StopAsync(Cancel);
        using Registry registry = world.Client();

        var no = await Assert.ThrowsExactlyAsync<RegistryException>(() => registry.HeadManifestAsync("1.0", Cancel));

        Assert.AreEqual(RegistryFailure.Unreachable, no.Failure);
        Assert.Contains(world.Host, no.Message);
        Assert.Contains("no connection", no.Message);
    }

    [TestMethod]
    public async Task Ends_as_cancelled_when_it_was_cancelled()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        world.Server.Delay = TimeSpan.FromMinutes(1);
        using Registry registry = world.Client();
        using var soon = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        soon.CancelAfter(100);

        await Assert.ThrowsAsync<OperationCanceledException>(() => registry.HeadManifestAsync("1.0", soon.Token));
    }

    /// <summary>The place for the empty config is opened ahead, for nobody in particular; who waits for it can stop waiting.</summary>
    [TestMethod]
    public async Task Does_not_wait_for_what_was_begun_ahead_when_it_is_cancelled()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Descriptor image = world.Image();
        using Registry registry = world.Client();
        world.Server.Faults.Add(Fault.Hang.On("POST /v2/app/blobs/uploads/"));
        await registry.PrepareEmptyConfigAsync(CancellationToken.None);
        using var stop = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));

        await Assert.ThrowsAsync<OperationCanceledException>(() =>
            registry.AttachAsync(image, new Attachment(ArtifactType, ArtifactType, "one"u8.ToArray(), []), null, stop.Token).WaitAsync(TimeSpan.FromSeconds(20), Cancel));
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public async Task Attaches_a_referrer_that_others_can_find(bool referrersApi)
    {
        await using World world = await World.StartAsync(referrersApi, Cancel);
        Descriptor image = world.Image();
        using Registry registry = world.Client();

        AttachedReferrer attached = await AttachAsync(registry, image, "one");

        Assert.AreEqual($"{world.Host}/app@{attached.Descriptor.Digest}", attached.Reference);
        IReadOnlyList<Descriptor>? listed = referrersApi
            ? await registry.GetReferrersAsync(image.Digest, Cancel)
            : await registry.GetFallbackReferrersAsync(image.Digest, Cancel);
        Descriptor found = listed!.Single();
        Assert.AreEqual((attached.Descriptor.Digest, attached.Descriptor.Size, ArtifactType), (found.Digest, found.Size, found.ArtifactType));
        Assert.AreEqual("one", found.Annotations!["example.name"]);

        Manifest manifest = await registry.GetManifestAsync(found, Cancel);
        Assert.AreEqual(image, manifest.Subject);
        Assert.AreEqual("one", Encoding.UTF8.GetString(await registry.GetBlobAsync(manifest.Layers.Single(), 100, Cancel)));
    }

    [TestMethod]
    public async Task Writes_no_fallback_tag_where_the_registry_lists_referrers_itself()
    {
        await using World world = await World.StartAsync(referrersApi: true, Cancel);
        Descriptor image = world.Image();
        using Registry registry = world.Client();

        await AttachAsync(registry, image, "one");

        Assert.AreEqual("1.0", world.Content.Tags("app").Single());
        Assert.IsNull(await registry.GetFallbackReferrersAsync(image.Digest, Cancel));
    }

    [TestMethod]
    public async Task Says_that_there_is_no_referrers_API_by_no_page_and_never_by_an_empty_one()
    {
        await using World world = await World.StartAsync(referrersApi: false, Cancel);
        using Registry registry = world.Client();

        Assert.IsNull(await registry.GetReferrersAsync(world.Image().Digest, Cancel));
        world.Content.ReferrersApi = true;
        Assert.IsEmpty((await registry.GetReferrersAsync(world.Image().Digest, Cancel))!);
    }

    [TestMethod]
    public async Task Finds_what_a_tag_holds_or_nothing()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Descriptor image = world.Image();
        using Registry registry = world.Client();

        Assert.AreEqual(image.Digest, (await registry.FindManifestAsync("1.0", Cancel))!.Digest);
        Assert.IsNull(await registry.FindManifestAsync("2.0", Cancel));
    }

    [TestMethod]
    [DataRow(400)]
    [DataRow(405)]
    [DataRow(406)]
    public async Task Reads_other_refusals_as_no_referrers_API(int status)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        world.Server.Intercept = context =>
        {
            context.Response.StatusCode = status;
            return Task.CompletedTask;
        };
        using Registry registry = world.Client();

        Assert.IsNull(await registry.GetReferrersAsync(Digest.Of("x"u8), Cancel));
    }

    [TestMethod]
    [DataRow(401, RegistryFailure.Unauthorized)]
    [DataRow(403, RegistryFailure.Unauthorized)]
    [DataRow(418, RegistryFailure.Refused)]
    [DataRow(429, RegistryFailure.Unreachable)]
    [DataRow(500, RegistryFailure.Unreachable)]
    [DataRow(503, RegistryFailure.Unreachable)]
    public async Task Never_reads_a_failure_as_no_referrers(int status, RegistryFailure failure)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        world.Server.Intercept = context =>
        {
            context.Response.StatusCode = status;
            return Task.CompletedTask;
        };
        using Registry registry = world.Client();

        var api = await Assert.ThrowsExactlyAsync<RegistryException>(() => registry.GetReferrersAsync(Digest.Of("x"u8), Cancel));
        var tag = await Assert.ThrowsExactlyAsync<RegistryException>(() => registry.GetFallbackReferrersAsync(Digest.Of("x"u8), Cancel));

        Assert.AreEqual((failure, status), (api.Failure, (int)api.Status!));
        var other = await Assert.ThrowsExactlyAsync<RegistryException>(() => registry.FindManifestAsync("1.0", Cancel));
        Assert.AreEqual((failure, status), (tag.Failure, (int)tag.Status!));
        Assert.AreEqual((failure, status), (other.Failure, (int)other.Status!));
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public async Task Keeps_what_was_attached_before_and_lists_the_same_thing_once(bool referrersApi)
    {
        await using World world = await World.StartAsync(referrersApi, Cancel);
        Descriptor image = world.Image();
        using Registry registry = world.Client();

        AttachedReferrer one = await AttachAsync(registry, image, "one");
        AttachedReferrer two = await AttachAsync(registry, image, "two");
        AttachedReferrer again = await AttachAsync(registry, image, "one");

        Assert.AreEqual(one.Reference, again.Reference);
        IReadOnlyList<Descriptor>? listed = referrersApi
            ? await registry.GetReferrersAsync(image.Digest, Cancel)
            : await registry.GetFallbackReferrersAsync(image.Digest, Cancel);
        CollectionAssert.AreEquivalent(new[] { one.Descriptor.Digest, two.Descriptor.Digest }, listed!.Select(d => d.Digest).ToArray());
    }

    [TestMethod]
    public async Task Leaves_entries_of_others_in_the_fallback_tag_as_they_are()
    {
        await using World world = await World.StartAsync(referrersApi: false, Cancel);
        Descriptor image = world.Image();
        string tag = $"sha256-{image.Digest.Hex}";
        Descriptor other = world.Image("other");
        string theirs = $$$"""{"mediaType":"{{{MediaTypes.OciManifest}}}","size":{{{other.Size}}},"digest":"{{{other.Digest}}}","artifactType":"application/vnd.oci.empty.v1+json","x-unknown":{"a":[1]}}""";
        string index = $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}","manifests":[{{theirs}}]}""";
        world.Content.PutManifest("app", tag, Encoding.UTF8.GetBytes(index), MediaTypes.OciIndex);
        using Registry registry = world.Client();

        AttachedReferrer ours = await AttachAsync(registry, image, "one");

        JsonNode written = JsonNode.Parse(world.Content.FindManifest("app", tag)!.Bytes)!;
        Assert.HasCount(2, written["manifests"]!.AsArray());
        Assert.AreEqual(theirs, written["manifests"]![0]!.ToJsonString(new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }));
        Assert.AreEqual(ours.Descriptor.Digest.ToString(), (string?)written["manifests"]![1]!["digest"]);
        Assert.AreEqual(ArtifactType, (string?)written["manifests"]![1]!["artifactType"]);
        Assert.AreEqual("one", (string?)written["manifests"]![1]!["annotations"]!["example.name"]);
    }

    [TestMethod]
    [DataRow("""
        "x-unknown":"\ud800",
        """)]
    [DataRow("""
        "x-unknown":{"a":["\ud800"]},
        """)]
    public async Task Keeps_what_is_no_text_in_an_index_as_it_is(string member)
    {
        await using World world = await World.StartAsync(referrersApi: false, Cancel);
        Descriptor image = world.Image();
        string tag = $"sha256-{image.Digest.Hex}";
        string index = $$"""{"schemaVersion":2,{{member}}"mediaType":"{{MediaTypes.OciIndex}}","manifests":[]}""";
        world.Content.PutManifest("app", tag, Encoding.UTF8.GetBytes(index), MediaTypes.OciIndex);
        using Registry registry = world.Client();

        await AttachAsync(registry, image, "one");

        Assert.StartsWith(index[..^2], Encoding.UTF8.GetString(world.Content.FindManifest("app", tag)!.Bytes));
        Assert.HasCount(1, (await registry.GetFallbackReferrersAsync(image.Digest, Cancel))!);
    }

    [TestMethod]
    public async Task Refuses_to_overwrite_a_tag_that_is_no_list_of_referrers()
    {
        await using World world = await World.StartAsync(referrersApi: false, Cancel);
        Descriptor image = world.Image();
        Descriptor other = world.Image($"sha256-{image.Digest.Hex}");
        using Registry registry = world.Client();

        var no = await Assert.ThrowsExactlyAsync<RegistryException>(() => AttachAsync(registry, image, "one"));

        Assert.AreEqual(RegistryFailure.Nonsense, no.Failure);
        Assert.Contains("not an OCI index", no.Message);
        Assert.AreEqual(other.Digest.ToString(), world.Content.FindManifest("app", $"sha256-{image.Digest.Hex}")!.Digest);
    }

    [TestMethod]
    public async Task Keeps_every_entry_when_several_write_the_fallback_tag()
    {
        await using World world = await World.StartAsync(referrersApi: false, Cancel);
        Descriptor image = world.Image();
        using Registry registry = world.Client();

        await Task.WhenAll(Enumerable.Range(0, 6).Select(i => AttachAsync(registry, image, $"n{i}")));

        Assert.HasCount(6, (await registry.GetFallbackReferrersAsync(image.Digest, Cancel))!);
    }

    [TestMethod]
    public async Task Writes_again_when_another_writer_overwrote_its_entry()
    {
        await using World world = await World.StartAsync(referrersApi: false, Cancel);
        Descriptor image = world.Image();
        string tag = $"sha256-{image.Digest.Hex}";
        byte[] empty = Encoding.UTF8.GetBytes($$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}","manifests":[]}""");
        int writes = 0;
        world.Server.Intercept = context =>
        {
            if (context.Request.Method == "PUT" && context.Request.Path.Value!.EndsWith(tag, StringComparison.Ordinal) && ++writes == 1)
            {
                context.Response.OnStarting(() =>
                {
                    world.Content.PutManifest("app", tag, empty, MediaTypes.OciIndex);
                    return Task.CompletedTask;
                });
            }
            return Task.CompletedTask;
        };
        using Registry registry = world.Client();

        AttachedReferrer attached = await AttachAsync(registry, image, "one");

        Assert.AreEqual(2, writes);
        Assert.AreEqual(attached.Descriptor.Digest, (await registry.GetFallbackReferrersAsync(image.Digest, Cancel))!.Single().Digest);
    }

    [TestMethod]
    public async Task Reads_again_when_the_registry_honours_If_Match_and_the_tag_has_moved()
    {
        await using World world = await World.StartAsync(referrersApi: false, Cancel);
        Descriptor image = world.Image();
        using Registry registry = world.Client();
        await AttachAsync(registry, image, "one");
        var conditions = MoveTagOnce(world, image);

        await AttachAsync(registry, image, "two");

        Assert.HasCount(2, conditions);
        Assert.HasCount(2, (await registry.GetFallbackReferrersAsync(image.Digest, Cancel))!);
    }

    [TestMethod]
    public async Task Writes_over_nobody_when_the_tag_was_said_not_to_be_there()
    {
        await using World world = await World.StartAsync(referrersApi: false, Cancel);
        Descriptor image = world.Image();
        using Registry registry = world.Client();
        await AttachAsync(registry, image, "one");
        world.Content.HonoursIfMatch = true;
        int asked = 0;
        world.Server.Intercept = context =>
        {
            if (context.Request.Method == "GET" && context.Request.Path.Value!.EndsWith($"sha256-{image.Digest.Hex}", StringComparison.Ordinal) && Interlocked.Increment(ref asked) == 1)
            {
                context.Response.StatusCode = 404;
            }

            return Task.CompletedTask;
        };

        await AttachAsync(registry, image, "two");

        Assert.HasCount(2, (await registry.GetFallbackReferrersAsync(image.Digest, Cancel))!);
    }

    [TestMethod]
    public async Task Lists_seven_images_side_by_side_and_reads_each_list_again()
    {
        await using World world = await World.StartAsync(referrersApi: false, Cancel);
        Descriptor[] images = [.. Enumerable.Range(0, 7).Select(i => world.Image($"{i}"))];
        using Registry registry = world.Client();
        await Task.WhenAll(images.Select(image => AttachAsync(registry, image, "one")));
        world.Server.Delay = TimeSpan.FromSeconds(1);
        long mark = world.Traffic.Mark();
        await Task.WhenAll(images.Select(image => AttachAsync(registry, image, "two")));

        // POST and PUT of the layer and PUT of the manifest; GET, PUT and GET of the tag, since cosign writes there without a condition.
        TrafficMeasure measure = world.Traffic.Measure(since: mark);
        Assert.AreEqual(7 * 6, measure.Requests);
        Assert.AreEqual(6, measure.Depth);
    }

    [TestMethod]
    public async Task Takes_a_412_for_a_tag_that_has_not_moved_as_a_refusal()
    {
        await using World world = await World.StartAsync(referrersApi: false, Cancel);
        Descriptor image = world.Image();
        using Registry registry = world.Client();
        await AttachAsync(registry, image, "one");
        int refused = 0;
        world.Server.Intercept = async context =>
        {
            if (context.Request.Method == "PUT" && context.Request.Path.Value!.EndsWith(image.Digest.Hex, StringComparison.Ordinal) && !context.Request.Path.Value.Contains("sha256:", StringComparison.Ordinal))
            {
                refused++;
                context.Response.StatusCode = 412;
                await context.WriteAsync("""{"errors":[{"code":"PRECONDITION","message":"configured as immutable"}]}"""u8.ToArray(), "application/json");
            }
        };

        var no = await Assert.ThrowsExactlyAsync<RegistryException>(() => AttachAsync(registry, image, "two"));

        Assert.AreEqual(RegistryFailure.Refused, no.Failure);
        Assert.Contains("412 PRECONDITION: configured as immutable", no.Message);
        Assert.AreEqual(1, refused);
    }

    [TestMethod]
    public async Task Opens_another_upload_where_the_first_was_given_up()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Descriptor image = world.Image();
        using Registry registry = world.Client();
        BlobUpload upload = await registry.OpenUploadAsync(Cancel);
        world.Server.Intercept = context =>
        {
            if (context.Request.Method == "PUT" && context.Request.Path.Value!.Contains("/uploads/", StringComparison.Ordinal))
            {
                context.Response.StatusCode = 404;
                world.Server.Intercept = null;
            }

            return Task.CompletedTask;
        };

        await registry.AttachAsync(image, Thing("one"), upload, Cancel);

        Assert.HasCount(1, world.Content.Referrers("app", image.Digest.ToString()));
    }

    [TestMethod]
    public async Task Attaches_with_as_few_requests_as_the_protocol_allows()
    {
        await using World world = await World.StartAsync(referrersApi: true, Cancel);
        // Longer than the jitter between requests sent together, so that the depth is the client's own.
        world.Server.Delay = TimeSpan.FromMilliseconds(150);
        Descriptor image = world.Image();
        using Registry registry = world.Client();

        await registry.HeadManifestAsync(image.Digest, Cancel);
        await registry.PrepareEmptyConfigAsync(Cancel);
        BlobUpload upload = await registry.OpenUploadAsync(Cancel);
        long mark = world.Traffic.Mark();
        await registry.AttachAsync(image, Thing("one"), upload, Cancel);

        Assert.AreEqual(
            "HEAD manifests, HEAD blobs, POST uploads, POST uploads, PUT uploads, PUT uploads, PUT manifests",
            string.Join(", ", world.Traffic.Snapshot().Select(e => $"{e.Method} {(e.Path.Contains("/uploads/", StringComparison.Ordinal) ? "uploads" : e.Path.Split('/')[3])}")));
        Assert.AreEqual(new TrafficMeasure(3, 2), world.Traffic.Measure(World.UserAgent, mark));
        Assert.AreEqual(7, world.Traffic.Measure(World.UserAgent).Requests);
    }

    [TestMethod]
    public async Task Asks_once_whether_a_manifest_is_there_that_the_registry_took_without_a_word()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Descriptor image = world.Image();
        byte[] bytes = world.Content.FindManifest("app", image.Digest.ToString())!.Bytes;
        world.Content.PutBlob("app", "{}"u8.ToArray());
        world.Server.Intercept = context =>
        {
            context.Response.OnStarting(() =>
            {
                if (context.Request.Method == "PUT")
                {
                    context.Response.Headers.Remove("Docker-Content-Digest");
                }

                return Task.CompletedTask;
            });
            return Task.CompletedTask;
        };
        using Registry registry = world.Client();

        await registry.PutManifestAsync(bytes, MediaTypes.OciManifest, image.Digest, Cancel);

        Assert.AreEqual("PUT, HEAD", string.Join(", ", world.Traffic.Snapshot().Select(e => e.Method)));
    }

    [TestMethod]
    public async Task Pushes_no_empty_config_that_is_there()
    {
        await using World world = await World.StartAsync(referrersApi: true, Cancel);
        Descriptor image = world.Image();
        world.Content.PutBlob("app", "{}"u8.ToArray());
        using Registry registry = world.Client();

        await AttachAsync(registry, image, "one");

        Assert.AreEqual("HEAD, POST, PUT, PUT", string.Join(", ", world.Traffic.Snapshot().OrderBy(e => e.Path.Contains("/blobs/sha256:", StringComparison.Ordinal) ? 0 : e.Began).Select(e => e.Method)));
    }

    [TestMethod]
    public async Task Pushes_an_empty_config_once_for_all_that_is_attached_side_by_side()
    {
        await using World world = await World.StartAsync(referrersApi: true, Cancel);
        Descriptor image = world.Image();
        using Registry registry = world.Client();

        await Task.WhenAll(Enumerable.Range(0, 4).Select(i => AttachAsync(registry, image, $"n{i}")));

        Assert.HasCount(4, world.Content.Referrers("app", image.Digest.ToString()));
        // Four layers, and the config.
        Assert.HasCount(5, world.Traffic.Snapshot().Where(exchange => exchange.Method == "POST").ToArray());
    }

    [TestMethod]
    public void Writes_the_manifest_of_a_referrer_byte_for_byte()
    {
        var subject = new Descriptor(MediaTypes.DockerManifest, Digest.Parse("sha256:" + new string('a', 64)), 423) { Annotations = new Dictionary<string, string> { ["not"] = "copied" } };

        string manifest = Encoding.UTF8.GetString(Thing("one").ToManifest(subject));

        Assert.AreEqual(
            """{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.example.thing.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},"layers":[{"mediaType":"application/vnd.example.thing.v1+json","size":3,"digest":"sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"}],"annotations":{"example.name":"one","example.type":"a+b"},"subject":{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":423,"digest":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}""",
            manifest);
        Assert.AreEqual(ArtifactType, Manifest.Parse(Encoding.UTF8.GetBytes(manifest), MediaTypes.OciManifest).ArtifactType);
    }

    [TestMethod]
    public async Task Names_itself_in_every_request()
    {
        await using World world = await World.StartAsync(referrersApi: false, Cancel);
        Descriptor image = world.Image();
        using Registry registry = world.Client();

        await AttachAsync(registry, image, "one");

        Assert.IsNotEmpty(world.Traffic.Snapshot());
        Assert.IsTrue(world.Traffic.Snapshot().All(e => e.UserAgent == World.UserAgent));
    }

    /// <summary>A registry that honours If-Match, and whose tag moves once before the next write that gives one.</summary>
    /// <returns>The conditions it was given.</returns>
    private static List<string> MoveTagOnce(World world, Descriptor image)
    {
        string tag = $"sha256-{image.Digest.Hex}";
        var conditions = new List<string>();
        world.Content.HonoursIfMatch = true;
        world.Server.Intercept = context =>
        {
            if (context.Request.Headers.IfMatch.ToString() is { Length: > 0 } condition)
            {
                conditions.Add(condition);
                if (conditions.Count == 1)
                {
                    byte[] moved = [.. world.Content.FindManifest("app", tag)!.Bytes, (byte)'\n'];
                    world.Content.PutManifest("app", tag, moved, MediaTypes.OciIndex);
                }
            }

            return Task.CompletedTask;
        };
        return conditions;
    }

    private static Attachment Thing(string name) =>
        new(ArtifactType, ArtifactType, Encoding.UTF8.GetBytes(name), [new("example.name", name), new("example.type", "a+b")]);

    private Task<AttachedReferrer> AttachAsync(Registry registry, Descriptor image, string name) => registry.AttachAsync(image, Thing(name), null, Cancel);
}
