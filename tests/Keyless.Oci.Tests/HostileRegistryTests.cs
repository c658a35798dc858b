using System.Text;
using Microsoft.AspNetCore.Http;

namespace Keyless.Oci.Tests;

[TestClass]
public sealed partial class HostileRegistryTests
{
    public TestContext TestContext { get; set; } = null!;

    private CancellationToken Cancel => TestContext.CancellationToken;

    [TestMethod]
    public async Task Refuses_a_manifest_with_other_bytes_than_asked_for()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Descriptor image = world.Image(), other = world.Image("2.0");
        Answer(world, "/manifests/", context => context.WriteAsync(world.Content.FindManifest("app", other.Digest.ToString())!.Bytes, MediaTypes.OciManifest));
        using Registry registry = world.Client();

        await RefusesAsync(RegistryFailure.Nonsense, $"expected content {image.Digest}, got {other.Digest}", () => registry.GetManifestAsync(image, Cancel));
        await RefusesAsync(RegistryFailure.Nonsense, $"expected content {image.Digest}, got {other.Digest}", () => registry.GetManifestAsync(image.Digest, Cancel));
    }

    [TestMethod]
    public async Task Refuses_a_manifest_whose_header_names_another_digest()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Descriptor image = world.Image();
        Header(world, "Docker-Content-Digest", Digest.Of("x"u8).ToString());
        using Registry registry = world.Client();

        await RefusesAsync(RegistryFailure.Nonsense, $"asked for {image.Digest}, got {Digest.Of("x"u8)}", () => registry.HeadManifestAsync(image.Digest, Cancel));
        await RefusesAsync(RegistryFailure.Nonsense, $"expected content {Digest.Of("x"u8)}", () => registry.GetManifestAsync(image.Digest, Cancel));
    }

    [TestMethod]
    public async Task Refuses_a_manifest_that_is_served_as_another_type()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Descriptor image = world.Image();
        Header(world, "Content-Type", MediaTypes.DockerManifest);
        using Registry registry = world.Client();

        await RefusesAsync(RegistryFailure.Nonsense, "but came as", () => registry.GetManifestAsync(image.Digest, Cancel));
    }

    [TestMethod]
    public async Task Refuses_a_manifest_of_another_type_or_size_than_its_descriptor()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Descriptor image = world.Image();
        using Registry registry = world.Client();

        await RefusesAsync(RegistryFailure.Nonsense, "expected a \"application/vnd.docker", () => registry.GetManifestAsync(image with { MediaType = MediaTypes.DockerManifest }, Cancel));
        await RefusesAsync(RegistryFailure.Nonsense, $"expected {image.Size + 1} bytes, got {image.Size}", () => registry.GetManifestAsync(image with { Size = image.Size + 1 }, Cancel));
        await RefusesAsync(RegistryFailure.TooLarge, $"larger than {image.Size - 1} bytes", () => registry.GetManifestAsync(image with { Size = image.Size - 1 }, Cancel));
        await RefusesAsync(RegistryFailure.TooLarge, "a manifest of 5000000 bytes", () => registry.GetManifestAsync(image with { Size = 5_000_000 }, Cancel));
    }

    [TestMethod]
    public async Task Refuses_a_page_of_HTML_in_place_of_a_manifest()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Answer(world, "/manifests/", context => context.WriteAsync("<html>Sign in</html>"u8.ToArray(), "text/html"));
        using Registry registry = world.Client();

        await RefusesAsync(RegistryFailure.Nonsense, "", () => registry.HeadManifestAsync("1.0", Cancel));
        await RefusesAsync(RegistryFailure.Nonsense, "not the JSON of a manifest", async () => await registry.GetFallbackReferrersAsync(Digest.Of("x"u8), Cancel));
    }

    [TestMethod]
    public async Task Refuses_a_manifest_larger_than_any_without_reading_it_all()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        long sent = 0;
        Answer(world, "/manifests/", context => WriteEndlesslyAsync(context, MediaTypes.OciManifest, count => sent = count));
        using Registry registry = world.Client();

        await RefusesAsync(RegistryFailure.TooLarge, "larger than 4194304 bytes", () => registry.GetManifestAsync(Digest.Of("x"u8), Cancel));
        Assert.IsLessThan(64L * 1024 * 1024, Interlocked.Read(ref sent));
    }

    [TestMethod]
    public async Task Refuses_a_blob_larger_than_its_descriptor_or_the_limit()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Answer(world, "/blobs/", context => WriteEndlesslyAsync(context, "application/octet-stream", _ => { }));
        using Registry registry = world.Client();
        var blob = new Descriptor("a/b", Digest.Of("x"u8), 1000);

        await RefusesAsync(RegistryFailure.TooLarge, "larger than 1000 bytes", () => registry.GetBlobAsync(blob, 5000, Cancel));
        long mark = world.Traffic.Mark();
        await RefusesAsync(RegistryFailure.TooLarge, "a blob of 1000 bytes, more than 999", () => registry.GetBlobAsync(blob, 999, Cancel));
        Assert.AreEqual(0, world.Traffic.Measure(since: mark).Requests);
    }

    [TestMethod]
    [DataRow("abcd", "expected content")]
    [DataRow("ab", "expected 4 bytes, got 2")]
    public async Task Refuses_a_blob_of_other_bytes(string served, string why)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Answer(world, "/blobs/", context => context.WriteAsync(Encoding.UTF8.GetBytes(served), "application/octet-stream"));
        using Registry registry = world.Client();

        await RefusesAsync(RegistryFailure.Nonsense, why, () => registry.GetBlobAsync(new Descriptor("a/b", Digest.Of("wxyz"u8), 4), 100, Cancel));
    }

    [TestMethod]
    public async Task Refuses_a_body_in_an_encoding_nobody_asked_for()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Descriptor image = world.Image();
        Header(world, "Content-Encoding", "gzip");
        using Registry registry = world.Client();

        await RefusesAsync(RegistryFailure.Nonsense, "compressed", () => registry.GetManifestAsync(image.Digest, Cancel));
    }

    [TestMethod]
    public async Task Says_unreachable_when_a_body_breaks_off()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Answer(world, "/blobs/", async context =>
        {
            context.Response.ContentLength = 1000;
            await context.Response.Body.WriteAsync(new byte[10], Cancel);
            await context.Response.Body.FlushAsync(Cancel);
            context.Abort();
        });
        using Registry registry = world.Client();

        await RefusesAsync(RegistryFailure.Unreachable, "broke off", () => registry.GetBlobAsync(new Descriptor("a/b", Digest.Of("x"u8), 1000), 1000, Cancel));
    }

    [TestMethod]
    public async Task Follows_a_blob_to_storage_elsewhere_without_credentials()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        byte[] content = "content"u8.ToArray();
        Stranger storage = await world.StrangerAsync(context => context.WriteAsync(content, "application/octet-stream"), Cancel);
        RequireBasic(world);
        Answer(world, "/blobs/", context => Redirect(context, new Uri(storage.BaseUrl, "/bucket?sig=1").AbsoluteUri));
        using Registry registry = world.Client(environment: Pair());

        CollectionAssert.AreEqual(content, await registry.GetBlobAsync(new Descriptor("a/b", Digest.Of(content), content.Length), 100, Cancel));
        Assert.IsTrue(await registry.HasBlobAsync(Digest.Of(content), Cancel));

        Assert.AreEqual((2, ""), (storage.Authorizations.Count, string.Concat(storage.Authorizations)));
    }

    [TestMethod]
    public async Task Sends_no_credentials_to_another_host_whatever_it_answers()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Stranger evil = await world.StrangerAsync(
            context =>
            {
                context.Response.StatusCode = 401;
                context.Response.Headers.WWWAuthenticate = "Basic realm=\"evil\"";
                return Task.CompletedTask;
            },
            Cancel);
        RequireBasic(world);
        Answer(world, "/blobs/", context => Redirect(context, new Uri(evil.BaseUrl, context.Request.Path).AbsoluteUri, context.Request.Method == "POST" ? 202 : 307));
        Answer(world, "/manifests/", context => Redirect(context, new Uri(evil.BaseUrl, context.Request.Path).AbsoluteUri));
        using Registry registry = world.Client(environment: Pair());

        await RefusesAsync(RegistryFailure.Unauthorized, evil.BaseUrl.Authority, () => registry.GetBlobAsync(new Descriptor("a/b", Digest.Of("x"u8), 1), 100, Cancel));
        await RefusesAsync(RegistryFailure.Unauthorized, evil.BaseUrl.Authority, () => registry.HasBlobAsync(Digest.Of("x"u8), Cancel));
        await RefusesAsync(RegistryFailure.Unauthorized, evil.BaseUrl.Authority, () => registry.PushBlobAsync("x"u8.ToArray(), Cancel));
        await RefusesAsync(RegistryFailure.Nonsense, "kept at another host", () => registry.GetManifestAsync(Digest.Of("x"u8), Cancel));
        await RefusesAsync(RegistryFailure.Nonsense, "kept at another host", () => registry.HeadManifestAsync("1.0", Cancel));

        Assert.HasCount(3, evil.Authorizations);
        Assert.IsTrue(evil.Authorizations.All(authorization => authorization == ""));
    }

    [TestMethod]
    public async Task Follows_five_redirects_and_no_more()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        int hops = 0, last = 5;
        byte[] content = "content"u8.ToArray();
        Answer(world, "/", context => Interlocked.Increment(ref hops) <= last ? Redirect(context, $"/hop/{hops}") : context.WriteAsync(content, "application/octet-stream"));
        using Registry registry = world.Client();
        var blob = new Descriptor("a/b", Digest.Of(content), content.Length);

        CollectionAssert.AreEqual(content, await registry.GetBlobAsync(blob, 100, Cancel));
        (hops, last) = (0, 6);
        await RefusesAsync(RegistryFailure.Nonsense, "more than 5 redirects", () => registry.GetBlobAsync(blob, 100, Cancel));
    }

    [TestMethod]
    public async Task Refuses_to_be_sent_to_the_cloud_s_metadata_service()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Answer(world, "/blobs/", context => Redirect(context, "http://169.254.169.254/latest/meta-data", context.Request.Method == "POST" ? 202 : 307));
        using Registry registry = world.Client();

        await RefusesAsync(RegistryFailure.Nonsense, "private address", () => registry.GetBlobAsync(new Descriptor("a/b", Digest.Of("x"u8), 1), 100, Cancel));
        await RefusesAsync(RegistryFailure.Nonsense, "private address", () => registry.PushBlobAsync("x"u8.ToArray(), Cancel));
    }

    [TestMethod]
    public async Task Refuses_a_push_that_the_registry_stored_as_something_else()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Descriptor image = world.Image();
        byte[] bytes = world.Content.FindManifest("app", image.Digest.ToString())!.Bytes;
        world.Content.PutBlob("app", "{}"u8.ToArray());
        Header(world, "Docker-Content-Digest", Digest.Of("x"u8).ToString());
        using Registry registry = world.Client();

        await RefusesAsync(RegistryFailure.Nonsense, $"the registry stored {Digest.Of("x"u8)}", () => registry.PutManifestAsync(bytes, MediaTypes.OciManifest, image.Digest, Cancel));
        await RefusesAsync(RegistryFailure.Nonsense, $"the registry stored {Digest.Of("x"u8)}", () => registry.PushBlobAsync("y"u8.ToArray(), Cancel));
    }

    [TestMethod]
    [DataRow(false, RegistryFailure.NotFound, "404")]
    [DataRow(true, RegistryFailure.Nonsense, "expected content")]
    public async Task Refuses_a_push_that_the_registry_took_without_a_word_and_does_not_have(bool answersSomethingElse, RegistryFailure failure, string why)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Descriptor image = world.Image();
        byte[] bytes = world.Content.FindManifest("app", image.Digest.ToString())!.Bytes;
        byte[] other = Encoding.UTF8.GetBytes($$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}","manifests":[]}""");
        Answer(world, "/manifests/", context =>
        {
            if (context.Request.Method != "PUT" && answersSomethingElse)
            {
                return context.WriteAsync(other, MediaTypes.OciIndex);
            }

            context.Response.StatusCode = context.Request.Method == "PUT" ? 201 : 404;
            return Task.CompletedTask;
        });
        using Registry registry = world.Client();

        await RefusesAsync(failure, why, () => registry.PutManifestAsync(bytes, MediaTypes.OciManifest, image.Digest, Cancel));
    }

    [TestMethod]
    public async Task Reads_all_pages_of_referrers_each_once()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Answer(world, "/referrers/", context => PageAsync(context, page => page < 3 ? $"<{context.Request.Path}?page={page + 1}>; rel=\"next\"" : null));
        using Registry registry = world.Client();

        IReadOnlyList<Descriptor>? referrers = await registry.GetReferrersAsync(Digest.Of("x"u8), Cancel);

        // Each page repeats what was on the one before.
        Assert.HasCount(5, referrers!);
        Assert.AreEqual(4, world.Traffic.Measure().Requests);
    }

    [TestMethod]
    public async Task Asks_for_no_further_page_than_is_read()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Answer(world, "/referrers/", context => PageAsync(context, page => $"<{context.Request.Path}?page={page + 1}>; rel=\"next\""));
        using Registry registry = world.Client();

        await foreach (IReadOnlyList<Descriptor> page in registry.ReadReferrersAsync(Digest.Of("x"u8), Cancel))
        {
            Assert.IsNotEmpty(page);
            break;
        }

        Assert.AreEqual(1, world.Traffic.Measure().Requests);
    }

    [TestMethod]
    [DataRow("layers")]
    [DataRow("manifests")]
    public async Task Refuses_a_manifest_with_too_many_entries_as_too_large(string list)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        string type = list == "layers" ? MediaTypes.OciManifest : MediaTypes.OciIndex;
        string entry = $$"""{"mediaType":"{{MediaTypes.OciManifest}}","size":1,"digest":"{{Digest.Of("x"u8)}}"}""";
        byte[] bytes = Encoding.UTF8.GetBytes(
            $$"""{"schemaVersion":2,"mediaType":"{{type}}","config":{{entry}},"{{list}}":[{{string.Join(',', Enumerable.Repeat(entry, 1001))}}]}""");
        Digest digest = Digest.Parse(world.Content.PutManifest("app", "many", bytes, type));
        using Registry registry = world.Client();

        await RefusesAsync(RegistryFailure.TooLarge, $"1001 {list}, more than 1000", () => registry.GetManifestAsync(digest, Cancel));
        await RefusesAsync(RegistryFailure.TooLarge, $"1001 {list}, more than 1000", () => registry.FindManifestAsync("many", Cancel));
    }

    [TestMethod]
    [DataRow("</v2/app/referrers/x?page=1>; rel=\"next\"", "leads back")]
    [DataRow("</v2/other/referrers/x?page=1>; rel=\"next\"", "outside this repository")]
    [DataRow("</v2/app/referrers/../../../x?page=1>; rel=\"next\"", "outside this repository")]
    [DataRow("<https://evil.example/v2/app/referrers/x>; rel=\"next\"", "outside this repository")]
    [DataRow("/v2/app/referrers/x?page=1; rel=\"next\"", "not the next page")]
    [DataRow("</v2/app/referrers/x?page=1>; rel=\"next\", </v2/app/referrers/x?page=2>; rel=\"next\"", "not the next page")]
    public async Task Refuses_a_next_page_that_is_none(string link, string why)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Answer(world, "/referrers/", context => PageAsync(context, _ => link));
        using Registry registry = world.Client();

        await RefusesAsync(RegistryFailure.Nonsense, why, async () => await registry.GetReferrersAsync(Digest.Of("x"u8), Cancel));
    }

    [TestMethod]
    public async Task Refuses_endless_pages_as_too_many()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Answer(world, "/referrers/", context => PageAsync(context, page => $"<{context.Request.Path}?page={page + 1}>; rel=\"next\""));
        using Registry registry = world.Client();

        await RefusesAsync(RegistryFailure.TooLarge, "more than 10 pages", async () => await registry.GetReferrersAsync(Digest.Of("x"u8), Cancel));
        Assert.AreEqual(10, world.Traffic.Measure().Requests);
    }

    [TestMethod]
    [DataRow("application/vnd.oci.image.index.v1+json; charset=utf-8")]
    [DataRow("application/json")]
    [DataRow("text/html")]
    public async Task Takes_another_content_type_for_a_registry_without_the_referrers_API(string contentType)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Answer(world, "/referrers/", context => PageAsync(context, _ => null, contentType));
        using Registry registry = world.Client();

        Assert.IsNull(await registry.GetReferrersAsync(Digest.Of("x"u8), Cancel));
    }

    [TestMethod]
    public async Task Shows_the_registry_s_words_on_one_line_without_what_was_sent_in_confidence()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        RequireBasic(world);
        string encoded = Convert.ToBase64String("user:canary-password"u8);
        Answer(world, "/manifests/", context =>
        {
            context.Response.StatusCode = 403;
            return context.WriteAsync(
                Encoding.UTF8.GetBytes($$"""{"errors":[{"code":"DENIED","message":"no\n::error::\u001b[31m canary-password {{encoded}} {{new string('x', 500)}}"}]}"""), "application/json");
        });
        using Registry registry = world.Client(environment: Pair());

        RegistryException no = await RefusesAsync(RegistryFailure.Unauthorized, "→ 403 DENIED: no\\u000a::error::\\u001b[31m [redacted] [redacted] xxx", () => registry.GetManifestAsync(Digest.Of("x"u8), Cancel));

        Assert.IsLessThan(400, no.Message.Length);
        Assert.DoesNotContain("canary", no.ToString());
    }

    private static async Task<RegistryException> RefusesAsync(RegistryFailure failure, string why, Func<Task> action)
    {
        RegistryException no = await Assert.ThrowsExactlyAsync<RegistryException>(action);
        Assert.AreEqual(failure, no.Failure, no.Message);
        Assert.Contains(why, no.Message);
        Assert.DoesNotContain("?", no.Message);
        return no;
    }

    private static Dictionary<string, string> Pair() => new()
    {
        ["DOTNET_CONTAINER_REGISTRY_UNAME"] = "user",
        ["DOTNET_CONTAINER_REGISTRY_PWORD"] = "canary-password",
    };

    /// <summary>Answers paths that contain this in place of the registry; what was arranged before comes first.</summary>
    private static void Answer(World world, string part, RequestDelegate answer)
    {
        RequestDelegate? before = world.Server.Intercept;
        world.Server.Intercept = async context =>
        {
            if (before is not null)
            {
                await before(context);
            }

            if (context.Response.StatusCode == 200 && !context.Response.HasStarted && context.Request.Path.Value!.Contains(part, StringComparison.Ordinal))
            {
                await answer(context);
            }
        };
    }

    private static void RequireBasic(World world) => Answer(world, "/", context =>
    {
        if (context.Request.Headers.Authorization.ToString() != "Basic " + Convert.ToBase64String("user:canary-password"u8))
        {
            context.Response.StatusCode = 401;
            context.Response.Headers.WWWAuthenticate = "Basic realm=\"registry\"";
        }
        return Task.CompletedTask;
    });

    private static void Header(World world, string name, string value) => world.Server.Intercept = context =>
    {
        context.Response.OnStarting(() =>
        {
            if (context.Response.StatusCode is 200 or 201)
            {
                context.Response.Headers[name] = value;
            }

            return Task.CompletedTask;
        });
        return Task.CompletedTask;
    };

    private static Task Redirect(HttpContext context, string location, int status = 307)
    {
        context.Response.StatusCode = status;
        context.Response.Headers.Location = location;
        return Task.CompletedTask;
    }

    private static async Task WriteEndlesslyAsync(HttpContext context, string contentType, Action<long> progress)
    {
        context.Response.ContentType = contentType;
        byte[] piece = new byte[64 * 1024];
        for (long sent = 0; sent < 256L * 1024 * 1024 && !context.RequestAborted.IsCancellationRequested; sent += piece.Length)
        {
            await context.Response.Body.WriteAsync(piece, context.RequestAborted);
            progress(sent);
        }
    }

    private static Task PageAsync(HttpContext context, Func<int, string?> link, string contentType = MediaTypes.OciIndex)
    {
        int page = int.TryParse(context.Request.Query["page"], out int number) ? number : 0;
        if (link(page) is { } next)
        {
            context.Response.Headers.Link = next;
        }

        static string Entry(int n) => $$"""{"mediaType":"{{MediaTypes.OciManifest}}","size":1,"digest":"{{Digest.Of(BitConverter.GetBytes(n))}}"}""";
        return context.WriteAsync(Encoding.UTF8.GetBytes($$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}","manifests":[{{Entry(page)}},{{Entry(page + 1)}}]}"""), contentType);
    }
}

internal static class Answers
{
    public static async Task WriteAsync(this HttpContext context, byte[] bytes, string contentType)
    {
        context.Response.ContentType = contentType;
        await context.Response.StartAsync(context.RequestAborted);
        if (context.Request.Method != "HEAD")
        {
            await context.Response.Body.WriteAsync(bytes, context.RequestAborted);
        }
    }
}
