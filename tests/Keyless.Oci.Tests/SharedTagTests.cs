using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Polly;
using Polly.Retry;

namespace Keyless.Oci.Tests;

/// <summary>Tags that several writers add to, the referrers fallback tag and cosign's <c>.sig</c>: whatever is there, nobody's entry is lost or changed.</summary>
[TestClass]
public sealed class SharedTagTests
{
    private const string LayerType = "application/vnd.dev.cosign.simplesigning.v1+json";
    private const string ImageConfig = "application/vnd.oci.image.config.v1+json";

    private static readonly byte[] Payload = "{\"critical\":{}}"u8.ToArray();

    public TestContext TestContext { get; set; } = null!;

    private CancellationToken Cancel => TestContext.CancellationToken;

    /// <summary>Spellings, members and types that others may choose, each in a manifest that was fine until ours came.</summary>
    [TestMethod]
    [DataRow("""{"mediaType":"TYPE","size":SIZE,"digest":"DIGEST","annotations":{"z":"1","a":"2","dev.cosignproject.cosign/signature":"MEU\u003d"}}""")]
    [DataRow("""
        {
          "digest": "DIGEST", "size": SIZE, "mediaType": "TYPE",
          "annotations": { "org.example": "\u003ca \u0026 b\u003e \u00e9 é \/" }
        }
        """)]
    [DataRow("""{"mediaType":"application/x-unknown","size":SIZE,"digest":"DIGEST","x-unknown":{"n":1.0e2,"half":"\ud800","twice":[null]}}""")]
    public async Task Leaves_every_byte_of_a_signature_of_others(string layer)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Descriptor image = world.Image();
        string theirs = Fill(layer);
        Put(world, image, $$"""{ "schemaVersion": 2, "layers": [{{theirs}} ], "x-unknown": "\ud800", "mediaType": "{{MediaTypes.OciManifest}}", "config": {{Config(world, """{"history":[{}],"rootfs":{"diff_ids":["x"]}}""")}} }""");
        using Registry registry = world.Client();

        await registry.AddSignatureAsync(image.Digest, Ours(), null, Cancel);

        string written = Written(world, image);
        Assert.Contains($"[{theirs}", written);
        Assert.Contains("\"x-unknown\": \"\\ud800\"", written);
        Assert.Contains("{ \"schemaVersion\": 2, ", written);
        Assert.HasCount(2, JsonNode.Parse(written)!["layers"]!.AsArray());
        Assert.AreEqual("ours", (string?)JsonNode.Parse(written)!["layers"]![1]!["annotations"]!["by"]);
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(10)]
    [DataRow(999)]
    [DataRow(1000)]
    public async Task Adds_to_many_signatures_or_says_that_there_are_too_many(int there)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Descriptor image = world.Image();
        string[] theirs = [.. Enumerable.Range(0, there).Select(i => Fill($$$"""{"mediaType":"TYPE","size":SIZE,"digest":"DIGEST","annotations":{"n":"{{{i}}}"}}"""))];
        string before = Put(world, image, Signatures(world, """{"architecture":"arm64","history":[],"rootfs":{"diff_ids":[]}}""", theirs));
        using Registry registry = world.Client();

        if (there == 1000)
        {
            var no = await Assert.ThrowsExactlyAsync<RegistryException>(() => registry.AddSignatureAsync(image.Digest, Ours(), null, Cancel));
            Assert.AreEqual(RegistryFailure.TooLarge, no.Failure);
            Assert.Contains("already has 1000 signatures", no.Message);
            Assert.AreEqual(before, Held(world, image).Digest);
            return;
        }

        await registry.AddSignatureAsync(image.Digest, Ours(), null, Cancel);

        Assert.Contains(string.Join(',', theirs), Written(world, image));
        JsonNode config = ConfigOf(world, image);
        // What was there lists none of them, and is made anew.
        Assert.HasCount(there + 1, config["history"]!.AsArray());
        Assert.HasCount(there + 1, config["rootfs"]!["diff_ids"]!.AsArray());
        Assert.AreEqual(Digest.Of(Payload).ToString(), (string?)config["rootfs"]!["diff_ids"]![there]);
    }

    [TestMethod]
    public async Task Refuses_to_write_more_than_registries_take()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Descriptor image = world.Image();
        string manifest = Signatures(world, """{"history":[{}],"rootfs":{"diff_ids":["x"]}}""", Fill("""{"mediaType":"TYPE","size":SIZE,"digest":"DIGEST","annotations":{"n":"PAD"}}"""));
        string before = Put(world, image, manifest.Replace("PAD", new string('a', (4 * 1024 * 1024) - 50 - manifest.Length), StringComparison.Ordinal));
        using Registry registry = world.Client();

        var no = await Assert.ThrowsExactlyAsync<RegistryException>(() => registry.AddSignatureAsync(image.Digest, Ours(), null, Cancel));

        Assert.AreEqual(RegistryFailure.TooLarge, no.Failure);
        Assert.Contains("larger than 4194304 bytes", no.Message);
        Assert.AreEqual(before, Held(world, image).Digest);
    }

    [TestMethod]
    [DataRow("not JSON", "oops")]
    [DataRow("a list", "[]")]
    [DataRow("null", "null")]
    [DataRow("no text", """{"history":[{}],"x":"\ud800","rootfs":{"diff_ids":["x"]}}""")]
    [DataRow("no text in a name", """{"history":[{}],"\ud800":1,"rootfs":{"diff_ids":["x"]}}""")]
    [DataRow("twice the same", """{"history":[{}],"a":1,"a":2,"rootfs":{"diff_ids":["x"]}}""")]
    [DataRow("another history", """{"history":[],"rootfs":{"diff_ids":["x"]}}""")]
    [DataRow("other layers", """{"history":[{}],"rootfs":{"diff_ids":{}}}""")]
    [DataRow("gone", null)]
    public async Task Makes_a_config_anew_that_lists_nothing(string what, string? config)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Descriptor image = world.Image();
        string theirs = Fill("""{"mediaType":"TYPE","size":SIZE,"digest":"DIGEST","annotations":{"n":"1"}}""");
        Put(world, image, Signatures(world, config ?? "gone", theirs));
        if (config is null)
        {
            world.Server.Intercept = context =>
            {
                context.Response.StatusCode = context.Request.Method == "GET" && context.Request.Path.Value!.Contains("/blobs/", StringComparison.Ordinal) ? 404 : 200;
                return Task.CompletedTask;
            };
        }

        using Registry registry = world.Client();

        await registry.AddSignatureAsync(image.Digest, Ours(), null, Cancel);

        Assert.Contains($"[{theirs},", Written(world, image), what);
        Assert.AreSequenceEqual([Digest.Of(Payload).ToString(), Digest.Of(Payload).ToString()], ConfigOf(world, image)["rootfs"]!["diff_ids"]!.AsArray().Select(id => (string)id!).ToArray());
    }

    [TestMethod]
    [DataRow(MediaTypes.DockerManifest, "application/vnd.docker.container.image.v1+json", true)]
    [DataRow(MediaTypes.OciManifest, "application/vnd.oci.empty.v1+json", false)]
    [DataRow(MediaTypes.OciManifest, "application/vnd.dev.cosign.artifact.sig.v1+json", false)]
    public async Task Keeps_the_types_that_others_chose(string manifestType, string configType, bool listsLayers)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Descriptor image = world.Image();
        string config = listsLayers ? """{"history":[{}],"rootfs":{"diff_ids":["x"]}}""" : "{}";
        string digest = world.Content.PutBlob("app", Encoding.UTF8.GetBytes(config));
        string theirs = Fill("""{"mediaType":"TYPE","size":SIZE,"digest":"DIGEST"}""");
        // image-spec "data": the content itself, which readers may use instead of asking for it.
        string described = $$"""{"mediaType":"{{configType}}","size":{{config.Length}},"digest":"{{digest}}","data":"{{Convert.ToBase64String(Encoding.UTF8.GetBytes(config))}}"}""";
        string text = $$"""{"schemaVersion":2,"mediaType":"{{manifestType}}","config":{{described}},"layers":[{{theirs}}]}""";
        Put(world, image, text, manifestType);
        using Registry registry = world.Client();

        await registry.AddSignatureAsync(image.Digest, Ours(), null, Cancel);

        Assert.AreEqual(manifestType, Held(world, image).MediaType);
        JsonNode written = JsonNode.Parse(Written(world, image))!;
        Assert.AreEqual(configType, (string?)written["config"]!["mediaType"]);
        byte[] now = world.Content.FindBlob("app", (string)written["config"]!["digest"]!)!;
        Assert.AreEqual(now.Length, (int)written["config"]!["size"]!);
        Assert.AreEqual(listsLayers, (string)written["config"]!["digest"]! != digest);
        Assert.AreEqual(Convert.ToBase64String(now), (string?)written["config"]!["data"] ?? Convert.ToBase64String(now));
    }

    [TestMethod]
    public async Task Refuses_an_index_in_the_place_of_signatures()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Descriptor image = world.Image();
        string before = Put(world, image, $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}","manifests":[]}""", MediaTypes.OciIndex);
        using Registry registry = world.Client();

        var no = await Assert.ThrowsExactlyAsync<RegistryException>(() => registry.AddSignatureAsync(image.Digest, Ours(), null, Cancel));

        Assert.AreEqual(RegistryFailure.Nonsense, no.Failure);
        Assert.Contains("the tag of the signatures holds an image index", no.Message);
        Assert.AreEqual(before, Held(world, image).Digest);
    }

    /// <summary>Distribution 2.8 honours no conditions: only who reads again knows that somebody has written while he waited.</summary>
    [TestMethod]
    [DataRow("legacy", true, false)]
    [DataRow("legacy", false, false)]
    [DataRow("bundle", true, false)]
    [DataRow("bundle", false, false)]
    [DataRow("legacy", true, true)]
    [DataRow("bundle", false, true)]
    public async Task Reads_again_before_it_tries_again(string format, bool isFirst, bool afterTheWork)
    {
        await using World world = await World.StartAsync(referrersApi: false, Cancel);
        world.Content.HonoursIfMatch = false;
        Descriptor image = world.Image();
        string tag = $"sha256-{image.Digest.Hex}{(format == "legacy" ? ".sig" : "")}";
        using Registry registry = world.Client(retries: Again), other = world.Client();
        if (!isFirst)
        {
            await AddAsync(other, image, format, "before");
        }

        bool failed = false;
        world.Server.Intercept = async context =>
        {
            if (context.Request.Method == "PUT" && context.Request.Path.Value!.EndsWith(tag, StringComparison.Ordinal) && !failed)
            {
                failed = true;
                if (afterTheWork)
                {
                    context.Response.OnStarting(async () =>
                    {
                        context.Abort();
                        await AddAsync(other, image, format, "meanwhile");
                    });
                    return;
                }

                await AddAsync(other, image, format, "meanwhile");
                context.Response.StatusCode = 503;
            }
        };

        await AddAsync(registry, image, format, "ours");

        Assert.IsTrue(failed);
        JsonNode written = JsonNode.Parse(world.Content.FindManifest("app", tag)!.Bytes)!;
        string[] by = [.. written[format == "legacy" ? "layers" : "manifests"]!.AsArray().Select(entry => (string)entry!["annotations"]!["by"]!)];
        CollectionAssert.AreEquivalent(isFirst ? (string[])["meanwhile", "ours"] : ["before", "meanwhile", "ours"], by);
    }

    /// <summary>A second try at once.</summary>
    private static ResiliencePipeline Again => new ResiliencePipelineBuilder().AddRetry(new RetryStrategyOptions
    {
        ShouldHandle = new PredicateBuilder().Handle<RegistryException>(e => e.IsTransient),
        MaxRetryAttempts = 2,
        Delay = TimeSpan.Zero,
    }).Build();

    private async Task AddAsync(Registry registry, Descriptor image, string format, string by)
    {
        if (format == "legacy")
        {
            await registry.AddSignatureAsync(image.Digest, Ours(by), null, Cancel);
        }
        else
        {
            await registry.AttachAsync(image, new Attachment("application/x-test", "application/x-test", Encoding.UTF8.GetBytes(by), [new("by", by)]), null, Cancel);
        }
    }

    private static SignatureLayer Ours(string by = "ours") => new(LayerType, Payload, new Dictionary<string, string> { ["by"] = by });

    private static string Fill(string layer) => layer.Replace("TYPE", LayerType, StringComparison.Ordinal)
        .Replace("SIZE", Payload.Length.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
        .Replace("DIGEST", Digest.Of(Payload).ToString(), StringComparison.Ordinal);

    private static string Signatures(World world, string config, params string[] layers) =>
        $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}","config":{{Config(world, config)}},"layers":[{{string.Join(',', layers)}}]}""";

    private static string Config(World world, string content)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(content);
        return $$"""{"mediaType":"{{ImageConfig}}","size":{{bytes.Length}},"digest":"{{world.Content.PutBlob("app", bytes)}}"}""";
    }

    private static string Put(World world, Descriptor image, string manifest, string type = MediaTypes.OciManifest)
    {
        world.Content.PutBlob("app", Payload);
        return world.Content.PutManifest("app", $"sha256-{image.Digest.Hex}.sig", Encoding.UTF8.GetBytes(manifest), type);
    }

    private static RegistryManifest Held(World world, Descriptor image) => world.Content.FindManifest("app", $"sha256-{image.Digest.Hex}.sig")!;

    private static string Written(World world, Descriptor image) => Encoding.UTF8.GetString(Held(world, image).Bytes);

    private static JsonNode ConfigOf(World world, Descriptor image) =>
        JsonNode.Parse(world.Content.FindBlob("app", (string)JsonNode.Parse(Held(world, image).Bytes)!["config"]!["digest"]!)!)!;
}
