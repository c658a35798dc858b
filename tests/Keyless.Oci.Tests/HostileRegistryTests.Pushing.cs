using Microsoft.AspNetCore.Http;

namespace Keyless.Oci.Tests;

/// <content>Answers to somebody who pushes. Each differs in one thing from those of a registry that takes what it is given.</content>
public sealed partial class HostileRegistryTests
{
    private static readonly byte[] Blob = "blob"u8.ToArray();

    [TestMethod]
    [DataRow("", "empty", DisplayName = "nothing")]
    [DataRow("ftp://storage.example/x", "neither https nor http")]
    [DataRow("file:///etc/passwd", "neither https nor http")]
    [DataRow("javascript:alert(1)", "neither https nor http")]
    [DataRow("mailto:root@localhost", "neither https nor http")]
    [DataRow("https://user:canary@storage.example/x", "user information")]
    [DataRow("https://canary@storage.example/x", "user information")]
    [DataRow("https://", "not a URI")]
    [DataRow("http://[::1/x", "not a URI")]
    [DataRow("https://storage.example:99999/x", "not a URI")]
    [DataRow("/a b", "printable")]
    [DataRow("/x#canary", "printable")]
    [DataRow("\\\\storage.example\\x", "printable")]
    [DataRow("https://[::ffff:169.254.169.254]/x", "private address")]
    [DataRow("https://[64:ff9b::a9fe:a9fe]/x", "private address", DisplayName = "the metadata service behind NAT64")]
    [DataRow("//10.0.0.1/x", "private address")]
    public async Task Refuses_an_upload_to_a_place_that_is_none(string location, string why)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Answer(world, "/blobs/uploads/", context => Redirect(context, location, 202));
        using Registry registry = world.Client();

        RegistryException no = await RefusesAsync(RegistryFailure.Nonsense, why, () => registry.PushBlobAsync(Blob, Cancel));

        Assert.DoesNotContain("canary", no.Message);
        Assert.AreEqual(1, world.Traffic.Measure().Requests);
    }

    [TestMethod]
    [DataRow(0)]
    [DataRow(2)]
    public async Task Refuses_an_upload_without_one_place_for_it(int locations)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Answer(world, "/blobs/uploads/", context =>
        {
            context.Response.StatusCode = 202;
            context.Response.Headers.Location = Enumerable.Repeat("/v2/app/blobs/uploads/1", locations).ToArray();
            return Task.CompletedTask;
        });
        using Registry registry = world.Client();

        await RefusesAsync(RegistryFailure.Nonsense, "202 without one Location", () => registry.PushBlobAsync(Blob, Cancel));
        Assert.AreEqual(1, world.Traffic.Measure().Requests);
    }

    [TestMethod]
    [DataRow(9000)]
    [DataRow(60_000)]
    public async Task Refuses_a_place_longer_than_any(int length)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Answer(world, "/blobs/uploads/", context => Redirect(context, "/" + new string('x', length), 202));
        using Registry registry = world.Client();

        Assert.IsLessThan(400, (await RefusesAsync(RegistryFailure.Nonsense, "too long", () => registry.PushBlobAsync(Blob, Cancel))).Message.Length);
    }

    [TestMethod]
    [DataRow("{0}v2/app/blobs/uploads/1", "/v2/app/blobs/uploads/1?digest=")]
    [DataRow("1?_state=a%2Fb%7e..", "/v2/app/blobs/uploads/1?_state=a%2Fb%7e..&digest=")]
    [DataRow("?upload=1", "/v2/app/blobs/uploads/?upload=1&digest=")]
    [DataRow("/else/where?", "/else/where?&digest=")]
    [DataRow("//{1}/x", "/x?digest=")]
    [DataRow("{2}?sig=1", "/?sig=1&digest=", DisplayName = "no path")]
    public async Task Takes_an_upload_where_the_registry_wants_it(string location, string target)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        string? put = null;
        Answer(world, "/", async context =>
        {
            if (context.Request.Method == "POST")
            {
                await Redirect(context, string.Format(null, location, world.Server.BaseUrl, world.Host, world.Server.BaseUrl.AbsoluteUri.TrimEnd('/')), 202);
                return;
            }

            put = $"{context.Features.Get<Microsoft.AspNetCore.Http.Features.IHttpRequestFeature>()!.RawTarget}";
            context.Response.StatusCode = 201;
        });
        using Registry registry = world.Client();

        Digest digest = await registry.PushBlobAsync(Blob, Cancel);

        Assert.AreEqual(target + Uri.EscapeDataString(digest.ToString()), put);
    }

    [TestMethod]
    [DataRow(200, RegistryFailure.Refused)]
    [DataRow(202, RegistryFailure.Refused)]
    [DataRow(204, RegistryFailure.Refused)]
    [DataRow(307, RegistryFailure.Refused, DisplayName = "a redirect: bytes are not sent twice")]
    [DataRow(400, RegistryFailure.Refused)]
    [DataRow(403, RegistryFailure.Unauthorized)]
    [DataRow(404, RegistryFailure.NotFound)]
    [DataRow(413, RegistryFailure.TooLarge)]
    [DataRow(416, RegistryFailure.Refused)]
    [DataRow(502, RegistryFailure.Unreachable)]
    public async Task Believes_a_push_only_at_201(int status, RegistryFailure failure)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Descriptor image = world.Image();
        byte[] bytes = world.Content.FindManifest("app", image.Digest.ToString())!.Bytes;
        Answer(world, "/", context => context.Request.Method != "PUT" ? Task.CompletedTask : AnswerAsync(context));
        using Registry registry = world.Client();

        await RefusesAsync(failure, $"→ {status}", () => registry.PushBlobAsync(Blob, Cancel));
        Assert.AreEqual(2, world.Traffic.Measure().Requests);
        await RefusesAsync(failure, $"→ {status}", () => registry.PutManifestAsync(bytes, MediaTypes.OciManifest, image.Digest, Cancel));
        Assert.AreEqual(3, world.Traffic.Measure().Requests);

        Task AnswerAsync(HttpContext context)
        {
            context.Response.StatusCode = status;
            context.Response.Headers.Location = "/elsewhere";
            return status == 204 ? Task.CompletedTask : context.WriteAsync("<html><script>canary</script></html>"u8.ToArray(), "text/html");
        }
    }

    [TestMethod]
    public async Task Reads_no_endless_page_of_an_error()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        long sent = 0;
        Answer(world, "/blobs/uploads/", context =>
        {
            context.Response.StatusCode = 400;
            return WriteEndlesslyAsync(context, "application/json", count => Interlocked.Exchange(ref sent, count));
        });
        using Registry registry = world.Client();

        RegistryException no = await RefusesAsync(RegistryFailure.Refused, "→ 400", () => registry.PushBlobAsync(Blob, Cancel));

        Assert.EndsWith("→ 400", no.Message);
        Assert.IsLessThan(64L * 1024 * 1024, Interlocked.Read(ref sent));
    }

    [TestMethod]
    [DataRow("sha256:canary")]
    [DataRow("md5:d41d8cd98f00b204e9800998ecf8427e")]
    [DataRow("")]
    public async Task Refuses_a_push_that_was_stored_under_no_digest(string stored)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Header(world, "Docker-Content-Digest", stored);
        using Registry registry = world.Client();

        await RefusesAsync(RegistryFailure.Nonsense, "Docker-Content-Digest is", () => registry.PushBlobAsync(Blob, Cancel));
    }

    [TestMethod]
    [DataRow(null)]
    [DataRow("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")]
    [DataRow("what?")]
    public async Task Lists_a_referrer_itself_unless_the_registry_names_its_subject(string? named)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Descriptor image = world.Image();
        Answer(world, "/manifests/", context =>
        {
            context.Response.OnStarting(() =>
            {
                context.Response.Headers["OCI-Subject"] = named is null ? new Microsoft.Extensions.Primitives.StringValues([$"{image.Digest}", $"{image.Digest}"]) : named;
                return Task.CompletedTask;
            });
            return Task.CompletedTask;
        });
        using Registry registry = world.Client();

        AttachedReferrer attached = await registry.AttachAsync(image, new Attachment("a/b", "c/d", Blob, []), null, Cancel);

        IReadOnlyList<Descriptor>? listed = await registry.GetFallbackReferrersAsync(image.Digest, Cancel);
        Assert.AreEqual(attached.Descriptor.Digest, listed?.Single().Digest);
    }
}
