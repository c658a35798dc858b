using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Keyless.Sandbox.Tests;

[TestClass]
public sealed class RegistryTests : IAsyncDisposable
{
    private const string Image = "application/vnd.oci.image.manifest.v1+json";
    private const string Index = "application/vnd.oci.image.index.v1+json";
    private const string Note = "application/vnd.example.note";

    private readonly Registry registry = new();
    private LoopbackServer server = null!;
    private HttpClient client = null!;

    public required TestContext TestContext { get; init; }

    private CancellationToken Cancel => TestContext.CancellationToken;

    [TestInitialize]
    public async Task Start()
    {
        server = await LoopbackServer.StartAsync("registry", 0, new Traffic(), TimeProvider.System, registry.Map, Registry.LargestBody, Cancel);
        client = new HttpClient { BaseAddress = server.BaseUrl };
    }

    public async ValueTask DisposeAsync()
    {
        client.Dispose();
        await server.DisposeAsync();
    }

    [TestMethod]
    public async Task Says_that_it_is_a_registry()
    {
        using HttpResponseMessage answer = await SendAsync("GET", "/v2/");

        Assert.AreEqual(HttpStatusCode.OK, answer.StatusCode);
        Assert.AreEqual("registry/2.0", answer.Headers.GetValues("Docker-Distribution-Api-Version").Single());
    }

    [TestMethod]
    public async Task Gives_back_a_manifest_byte_for_byte_by_tag_and_by_digest()
    {
        byte[] manifest = Manifest();
        using HttpResponseMessage put = await SendAsync("PUT", "/v2/team/app/manifests/1.0", manifest, Image);
        Assert.AreEqual(HttpStatusCode.Created, put.StatusCode);
        Assert.AreEqual(Digest(manifest), Header(put, "Docker-Content-Digest"));

        foreach (string reference in new[] { "1.0", Digest(manifest) })
        {
            using HttpResponseMessage get = await SendAsync("GET", $"/v2/team/app/manifests/{reference}");
            using HttpResponseMessage head = await SendAsync("HEAD", $"/v2/team/app/manifests/{reference}");

            CollectionAssert.AreEqual(manifest, await get.Content.ReadAsByteArrayAsync(Cancel));
            Assert.AreEqual(Image, get.Content.Headers.ContentType!.ToString());
            Assert.AreEqual((Image, manifest.Length, Digest(manifest)), (head.Content.Headers.ContentType!.ToString(), (int)head.Content.Headers.ContentLength!, Header(head, "Docker-Content-Digest")));
        }
        CollectionAssert.AreEqual(manifest, registry.FindManifest("team/app", "1.0")!.Bytes);
    }

    [TestMethod]
    public async Task Accepts_a_manifest_under_its_own_digest_and_no_other()
    {
        byte[] manifest = Manifest();
        using HttpResponseMessage own = await SendAsync("PUT", $"/v2/app/manifests/{Digest(manifest)}", manifest, Image);
        await RefusesAsync(HttpStatusCode.BadRequest, "DIGEST_INVALID", "PUT", $"/v2/app/manifests/{Digest([1])}", manifest, Image);

        Assert.AreEqual(HttpStatusCode.Created, own.StatusCode);
        Assert.IsEmpty(registry.Tags("app"));
    }

    [TestMethod]
    public async Task Refuses_a_manifest_whose_blob_is_missing()
    {
        registry.PutBlob("elsewhere", [7]);

        await RefusesAsync(HttpStatusCode.BadRequest, "MANIFEST_BLOB_UNKNOWN", "PUT", "/v2/app/manifests/1", Manifest(layers: Descriptor("x/y", [7])), Image);
    }

    [TestMethod]
    public async Task Refuses_a_manifest_that_lies_about_a_size()
    {
        registry.PutBlob("app", [7]);
        JsonObject layer = Descriptor("x/y", [7]);
        layer["size"] = 2;

        await RefusesAsync(HttpStatusCode.BadRequest, "SIZE_INVALID", "PUT", "/v2/app/manifests/1", Manifest(layers: layer), Image);
    }

    [TestMethod]
    public async Task Refuses_an_index_whose_manifest_is_missing()
    {
        byte[] index = Bytes(new JsonObject { ["schemaVersion"] = 2, ["mediaType"] = Index, ["manifests"] = new JsonArray(Descriptor(Image, [7])) });

        await RefusesAsync(HttpStatusCode.BadRequest, "MANIFEST_BLOB_UNKNOWN", "PUT", "/v2/app/manifests/1", index, Index);
    }

    [TestMethod]
    public async Task Refuses_a_manifest_pushed_as_something_else() =>
        await RefusesAsync(HttpStatusCode.BadRequest, "MANIFEST_INVALID", "PUT", "/v2/app/manifests/1", Manifest(), "application/vnd.docker.distribution.manifest.v2+json");

    [TestMethod]
    [DataRow("")]
    [DataRow("[]")]
    [DataRow("<html></html>")]
    [DataRow("""{"schemaVersion":1}""")]
    [DataRow("""{"schemaVersion":"2"}""")]
    [DataRow("""{"schemaVersion":2}""")]
    [DataRow("""{"schemaVersion":2,"config":7,"layers":[]}""")]
    [DataRow("""{"schemaVersion":2,"config":{"digest":"sha256:1","size":1},"layers":[]}""", "DIGEST_INVALID")]
    [DataRow("""{"schemaVersion":2,"schemaVersion":2}""")]
    public async Task Refuses_what_is_no_manifest(string text, string code = "MANIFEST_INVALID") =>
        await RefusesAsync(HttpStatusCode.BadRequest, code, "PUT", "/v2/app/manifests/1", Encoding.UTF8.GetBytes(text), Image);

    [TestMethod]
    public async Task Refuses_a_manifest_over_four_mebibytes() =>
        await RefusesAsync(HttpStatusCode.RequestEntityTooLarge, "SIZE_INVALID", "PUT", "/v2/app/manifests/1", new byte[(4 << 20) + 1], Image);

    [TestMethod]
    public async Task What_is_not_there_has_an_error_of_its_own()
    {
        await RefusesAsync(HttpStatusCode.NotFound, "MANIFEST_UNKNOWN", "GET", "/v2/app/manifests/1");
        await RefusesAsync(HttpStatusCode.NotFound, "BLOB_UNKNOWN", "GET", $"/v2/app/blobs/{Digest([1])}");
        await RefusesAsync(HttpStatusCode.NotFound, "NAME_UNKNOWN", "GET", "/v2/app/tags/list");
        await RefusesAsync(HttpStatusCode.NotFound, "BLOB_UPLOAD_UNKNOWN", "PATCH", "/v2/app/blobs/uploads/none");
        await RefusesAsync(HttpStatusCode.NotFound, "NAME_INVALID", "GET", "/v2/App/manifests/1");
        await RefusesAsync(HttpStatusCode.BadRequest, "DIGEST_INVALID", "GET", "/v2/app/blobs/sha256:ABC");
        await RefusesAsync(HttpStatusCode.BadRequest, "TAG_INVALID", "PUT", "/v2/app/manifests/-x", Manifest(), Image);
    }

    [TestMethod]
    public async Task A_registry_that_removes_no_tags_removes_digests_all_the_same()
    {
        registry.Quirks = new() { TagDeletion = TagDeletion.Refused };
        string digest = registry.PutManifest("app", "a", Manifest(), Image);

        await RefusesAsync(HttpStatusCode.MethodNotAllowed, "UNSUPPORTED", "DELETE", "/v2/app/manifests/a");

        CollectionAssert.AreEqual((string[])["a"], registry.Tags("app").ToArray());
        using HttpResponseMessage deleted = await SendAsync("DELETE", $"/v2/app/manifests/{digest}");
        Assert.AreEqual(HttpStatusCode.Accepted, deleted.StatusCode);
    }

    [TestMethod]
    public async Task A_registry_may_remove_the_manifest_with_one_of_its_tags()
    {
        registry.Quirks = new() { TagDeletion = TagDeletion.TakesManifest };
        string digest = registry.PutManifest("app", "a", Manifest(), Image);
        registry.PutManifest("app", "b", Manifest(), Image);

        using HttpResponseMessage deleted = await SendAsync("DELETE", "/v2/app/manifests/a");

        Assert.AreEqual(HttpStatusCode.Accepted, deleted.StatusCode);
        Assert.IsEmpty(registry.Tags("app"));
        Assert.IsNull(registry.FindManifest("app", digest));
    }

    [TestMethod]
    public async Task A_registry_may_remove_the_manifest_with_its_last_tag()
    {
        registry.Quirks = new() { TagDeletion = TagDeletion.TakesUntagged };
        string digest = registry.PutManifest("app", "a", Manifest(), Image);
        registry.PutManifest("app", "b", Manifest(), Image);

        using HttpResponseMessage one = await SendAsync("DELETE", "/v2/app/manifests/a");
        RegistryManifest? between = registry.FindManifest("app", digest);
        using HttpResponseMessage other = await SendAsync("DELETE", "/v2/app/manifests/b");

        Assert.IsNotNull(between);
        Assert.IsNull(registry.FindManifest("app", digest));
    }

    [TestMethod]
    public async Task Remembers_every_change_of_a_tag_and_what_referred_to_the_digest_then()
    {
        string digest = registry.PutManifest("app", "a", Manifest(), Image);
        JsonObject signature = JsonNode.Parse(Manifest(layers: Descriptor("x/y", [7])))!.AsObject();
        signature["subject"] = new JsonObject { ["mediaType"] = Image, ["digest"] = digest, ["size"] = Manifest().Length };
        string referrer = registry.PutManifest("app", null, Bytes(signature), Image);
        registry.PutManifest("app", "b", Manifest(), Image);
        using HttpResponseMessage deleted = await SendAsync("DELETE", "/v2/app/manifests/a");

        Assert.AreEqual($"a {digest}; b {digest} {referrer}; a ", string.Join("; ", registry.TagMoves.Select(move => string.Join(' ', [move.Tag, move.Digest, .. move.Referrers]))));
    }

    [TestMethod]
    public async Task Deleting_a_digest_takes_its_tags_along_and_deleting_a_tag_leaves_the_rest()
    {
        byte[] manifest = Manifest();
        registry.PutManifest("app", "a", manifest, Image);
        registry.PutManifest("app", "b", manifest, Image);

        using HttpResponseMessage tag = await SendAsync("DELETE", "/v2/app/manifests/a");
        Assert.AreEqual("b", registry.Tags("app").Single());
        using HttpResponseMessage digest = await SendAsync("DELETE", $"/v2/app/manifests/{Digest(manifest)}");

        Assert.AreEqual((HttpStatusCode.Accepted, HttpStatusCode.Accepted), (tag.StatusCode, digest.StatusCode));
        Assert.IsEmpty(registry.Tags("app"));
        await RefusesAsync(HttpStatusCode.NotFound, "MANIFEST_UNKNOWN", "DELETE", "/v2/app/manifests/b");
    }

    [TestMethod]
    [DataRow("one POST")]
    [DataRow("POST, PUT")]
    [DataRow("POST, PATCH, PUT")]
    [DataRow("POST, PATCH with ranges, PUT with the last chunk")]
    public async Task Takes_a_blob_in_every_form_of_upload(string form)
    {
        byte[] blob = RandomNumberGenerator.GetBytes(1000);
        string digest = Digest(blob);

        using HttpResponseMessage last = await UploadAsync(form, blob, digest);

        Assert.AreEqual(HttpStatusCode.Created, last.StatusCode, form);
        Assert.AreEqual(digest, Header(last, "Docker-Content-Digest"));
        CollectionAssert.AreEqual(blob, await client.GetByteArrayAsync(Header(last, "Location"), Cancel));
        using HttpResponseMessage head = await SendAsync("HEAD", $"/v2/team/app/blobs/{digest}");
        Assert.AreEqual((HttpStatusCode.OK, 1000L), (head.StatusCode, head.Content.Headers.ContentLength));
    }

    [TestMethod]
    [DataRow("one POST")]
    [DataRow("POST, PUT")]
    [DataRow("POST, PATCH, PUT")]
    public async Task Refuses_a_blob_of_another_digest(string form)
    {
        using HttpResponseMessage last = await UploadAsync(form, [1, 2, 3], Digest([1, 2, 4]));

        await RefusesAsync(HttpStatusCode.BadRequest, "DIGEST_INVALID", last);
        Assert.IsNull(registry.FindBlob("team/app", Digest([1, 2, 4])));
    }

    [TestMethod]
    public async Task Says_where_an_upload_stands_and_refuses_a_chunk_out_of_order()
    {
        string location = await StartUploadAsync();
        using HttpResponseMessage first = await SendAsync("PATCH", location, [1, 2, 3], range: "0-2");
        Assert.AreEqual((HttpStatusCode.Accepted, "0-2"), (first.StatusCode, Header(first, "Range")));

        using HttpResponseMessage gap = await SendAsync("PATCH", location, [5], range: "4-4");
        Assert.AreEqual("0-2", Header(gap, "Range"));
        await RefusesAsync(HttpStatusCode.RequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID", gap);
        await RefusesAsync(HttpStatusCode.BadRequest, "BLOB_UPLOAD_INVALID", await SendAsync("PATCH", location, [5], range: "3-9"));

        using HttpResponseMessage status = await SendAsync("GET", location);
        Assert.AreEqual((HttpStatusCode.NoContent, "0-2"), (status.StatusCode, Header(status, "Range")));
    }

    [TestMethod]
    public async Task An_upload_that_was_cancelled_is_gone()
    {
        string location = await StartUploadAsync();

        using HttpResponseMessage cancelled = await SendAsync("DELETE", location);

        Assert.AreEqual(HttpStatusCode.NoContent, cancelled.StatusCode);
        await RefusesAsync(HttpStatusCode.NotFound, "BLOB_UPLOAD_UNKNOWN", "GET", location);
    }

    [TestMethod]
    public async Task An_upload_belongs_to_its_repository()
    {
        string location = await StartUploadAsync();

        await RefusesAsync(HttpStatusCode.NotFound, "BLOB_UPLOAD_UNKNOWN", "PATCH", location.Replace("/team/app/", "/team/other/", StringComparison.Ordinal), [1]);
    }

    [TestMethod]
    public async Task Mounts_a_blob_of_another_repository_and_else_begins_an_upload()
    {
        string digest = registry.PutBlob("base/image", [1, 2, 3]);

        using HttpResponseMessage mounted = await SendAsync("POST", $"/v2/app/blobs/uploads/?mount={digest}&from=base/image");
        using HttpResponseMessage unknown = await SendAsync("POST", $"/v2/app/blobs/uploads/?mount={Digest([9])}&from=base/image");

        Assert.AreEqual(HttpStatusCode.Created, mounted.StatusCode);
        CollectionAssert.AreEqual(new byte[] { 1, 2, 3 }, registry.FindBlob("app", digest));
        Assert.AreEqual(HttpStatusCode.Accepted, unknown.StatusCode);
        StringAssert.StartsWith(Header(unknown, "Location"), "/v2/app/blobs/uploads/", StringComparison.Ordinal);
    }

    [TestMethod]
    public async Task Gives_a_part_of_a_blob()
    {
        string digest = registry.PutBlob("app", [0, 1, 2, 3, 4, 5]);
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/v2/app/blobs/{digest}");
        request.Headers.Range = new RangeHeaderValue(2, 3);

        using HttpResponseMessage answer = await client.SendAsync(request, Cancel);

        Assert.AreEqual(HttpStatusCode.PartialContent, answer.StatusCode);
        CollectionAssert.AreEqual(new byte[] { 2, 3 }, await answer.Content.ReadAsByteArrayAsync(Cancel));
    }

    [TestMethod]
    public async Task A_deleted_blob_is_gone()
    {
        string digest = registry.PutBlob("app", [1]);

        using HttpResponseMessage deleted = await SendAsync("DELETE", $"/v2/app/blobs/{digest}");

        Assert.AreEqual(HttpStatusCode.Accepted, deleted.StatusCode);
        await RefusesAsync(HttpStatusCode.NotFound, "BLOB_UNKNOWN", "DELETE", $"/v2/app/blobs/{digest}");
    }

    [TestMethod]
    public async Task Lists_tags_in_order_and_page_by_page()
    {
        foreach (string tag in new[] { "c", "a", "B", "d" })
        {
            registry.PutManifest("team/app", tag, Manifest(), Image);
        }

        JsonNode all = await JsonAsync("/v2/team/app/tags/list");
        using HttpResponseMessage first = await SendAsync("GET", "/v2/team/app/tags/list?n=3");
        Assert.AreEqual("""</v2/team/app/tags/list?n=3&last=c>; rel="next" """.Trim(), Header(first, "Link"));
        using HttpResponseMessage second = await SendAsync("GET", "/v2/team/app/tags/list?n=3&last=c");

        Assert.AreEqual("""{"name":"team/app","tags":["B","a","c","d"]}""", all.ToJsonString());
        Assert.AreEqual("""{"name":"team/app","tags":["B","a","c"]}""", await first.Content.ReadAsStringAsync(Cancel));
        Assert.AreEqual("""{"name":"team/app","tags":["d"]}""", await second.Content.ReadAsStringAsync(Cancel));
        Assert.IsFalse(second.Headers.Contains("Link"));
    }

    [TestMethod]
    public async Task Lists_its_repositories()
    {
        registry.PutBlob("team/b", [1]);
        registry.PutBlob("a", [1]);

        Assert.AreEqual("""{"repositories":["a","team/b"]}""", (await JsonAsync("/v2/_catalog")).ToJsonString());
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public async Task Says_that_it_has_seen_the_subject_only_where_it_lists_referrers(bool referrersApi)
    {
        registry.ReferrersApi = referrersApi;
        byte[] subject = Manifest();

        // The subject need not be there: signatures may be copied before what they sign.
        using HttpResponseMessage put = await SendAsync("PUT", "/v2/app/manifests/note", Manifest(subject: Descriptor(Image, subject)), Image);

        Assert.AreEqual(HttpStatusCode.Created, put.StatusCode);
        Assert.AreEqual(referrersApi ? Digest(subject) : null, Header(put, "OCI-Subject"));
        Assert.HasCount(1, registry.Referrers("app", Digest(subject)));
    }

    [TestMethod]
    public async Task Lists_referrers_with_artifact_type_and_annotations()
    {
        byte[] subject = Manifest();
        byte[] own = Manifest(subject: Descriptor(Image, subject), artifactType: Note, annotations: new JsonObject { ["k"] = "v" });
        byte[] fromConfig = Manifest(subject: Descriptor(Image, subject));
        registry.PutManifest("app", null, own, Image);
        registry.PutManifest("app", null, fromConfig, Image);
        registry.PutManifest("other", null, Manifest(subject: Descriptor(Image, subject), artifactType: "x/y"), Image);

        using HttpResponseMessage answer = await SendAsync("GET", $"/v2/app/referrers/{Digest(subject)}");

        Assert.AreEqual(Index, answer.Content.Headers.GetValues("Content-Type").Single());
        Assert.IsFalse(answer.Headers.Contains("OCI-Filters-Applied"));
        JsonObject first = Descriptor(Image, own), second = Descriptor(Image, fromConfig);
        first["artifactType"] = Note;
        first["annotations"] = new JsonObject { ["k"] = "v" };
        second["artifactType"] = "application/vnd.oci.empty.v1+json";
        var expected = new JsonObject { ["schemaVersion"] = 2, ["mediaType"] = Index, ["manifests"] = new JsonArray(first, second) };
        Assert.IsTrue(JsonNode.DeepEquals(expected, JsonNode.Parse(await answer.Content.ReadAsStringAsync(Cancel))));
    }

    [TestMethod]
    public async Task Filters_referrers_by_artifact_type()
    {
        byte[] subject = Manifest();
        byte[] wanted = Manifest(subject: Descriptor(Image, subject), artifactType: Note);
        registry.PutManifest("app", null, wanted, Image);
        registry.PutManifest("app", null, Manifest(subject: Descriptor(Image, subject), artifactType: "x/y"), Image);

        using HttpResponseMessage answer = await SendAsync("GET", $"/v2/app/referrers/{Digest(subject)}?artifactType={Uri.EscapeDataString(Note)}");

        Assert.AreEqual("artifactType", Header(answer, "OCI-Filters-Applied"));
        JsonNode list = JsonNode.Parse(await answer.Content.ReadAsStringAsync(Cancel))!;
        Assert.AreEqual(Digest(wanted), (string?)list["manifests"]!.AsArray().Single()!["digest"]);
    }

    [TestMethod]
    public async Task What_nobody_refers_to_has_an_empty_list()
    {
        JsonNode list = await JsonAsync($"/v2/nowhere/referrers/{Digest([1])}");

        Assert.IsEmpty(list["manifests"]!.AsArray());
    }

    [TestMethod]
    public async Task Without_the_referrers_API_there_is_no_such_page()
    {
        registry.ReferrersApi = false;
        byte[] subject = Manifest();
        registry.PutManifest("app", null, Manifest(subject: Descriptor(Image, subject)), Image);

        using HttpResponseMessage answer = await SendAsync("GET", $"/v2/app/referrers/{Digest(subject)}");

        Assert.AreEqual(HttpStatusCode.NotFound, answer.StatusCode);
    }

    private async Task<HttpResponseMessage> UploadAsync(string form, byte[] blob, string digest)
    {
        int half = blob.Length / 2;
        switch (form)
        {
            case "one POST":
                return await SendAsync("POST", $"/v2/team/app/blobs/uploads/?digest={digest}", blob);
            case "POST, PUT":
                return await SendAsync("PUT", $"{await StartUploadAsync()}?digest={digest}", blob);
            case "POST, PATCH, PUT":
                string location = await StartUploadAsync();
                using (HttpResponseMessage patched = await SendAsync("PATCH", location, blob))
                {
                    Assert.AreEqual((HttpStatusCode.Accepted, $"0-{blob.Length - 1}"), (patched.StatusCode, Header(patched, "Range")));
                }

                return await SendAsync("PUT", $"{location}?digest={digest}");
            default:
                location = await StartUploadAsync();
                using (await SendAsync("PATCH", location, blob[..half], range: $"0-{half - 1}"))
                {
                    return await SendAsync("PUT", $"{location}?digest={digest}", blob[half..], range: $"{half}-{blob.Length - 1}");
                }
        }
    }

    private async Task<string> StartUploadAsync()
    {
        using HttpResponseMessage started = await SendAsync("POST", "/v2/team/app/blobs/uploads/");
        Assert.AreEqual(HttpStatusCode.Accepted, started.StatusCode);
        return Header(started, "Location")!;
    }

    private async Task<HttpResponseMessage> SendAsync(string method, string path, byte[]? body = null, string? mediaType = null, string? range = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = body is null ? null : new ByteArrayContent(body) };
        if (mediaType is not null)
        {
            request.Content!.Headers.ContentType = new MediaTypeHeaderValue(mediaType);
        }

        if (range is not null)
        {
            request.Content!.Headers.TryAddWithoutValidation("Content-Range", range);
        }

        return await client.SendAsync(request, Cancel);
    }

    private async Task RefusesAsync(HttpStatusCode status, string code, string method, string path, byte[]? body = null, string? mediaType = null)
    {
        using HttpResponseMessage answer = await SendAsync(method, path, body, mediaType);
        await RefusesAsync(status, code, answer);
    }

    private async Task RefusesAsync(HttpStatusCode status, string code, HttpResponseMessage answer)
    {
        string text = await answer.Content.ReadAsStringAsync(Cancel);
        Assert.AreEqual(status, answer.StatusCode, text);
        Assert.AreEqual(code, (string?)JsonNode.Parse(text)!["errors"]![0]!["code"], text);
    }

    private async Task<JsonNode> JsonAsync(string path) => JsonNode.Parse(await client.GetStringAsync(path, Cancel))!;

    /// <summary>A manifest whose config blob is there already, in every repository a test uses.</summary>
    private byte[] Manifest(JsonObject? subject = null, string? artifactType = null, JsonObject? annotations = null, params JsonObject[] layers)
    {
        byte[] empty = "{}"u8.ToArray();
        foreach (string repository in new[] { "app", "team/app" })
        {
            registry.PutBlob(repository, empty);
        }

        var manifest = new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = Image,
            ["config"] = Descriptor("application/vnd.oci.empty.v1+json", empty),
            ["layers"] = new JsonArray([.. layers]),
        };
        if (subject is not null)
        {
            manifest["subject"] = subject;
        }

        if (artifactType is not null)
        {
            manifest["artifactType"] = artifactType;
        }

        if (annotations is not null)
        {
            manifest["annotations"] = annotations;
        }

        return Bytes(manifest);
    }

    private static JsonObject Descriptor(string mediaType, byte[] bytes) => new() { ["mediaType"] = mediaType, ["digest"] = Digest(bytes), ["size"] = bytes.Length };

    private static byte[] Bytes(JsonObject json) => Encoding.UTF8.GetBytes(json.ToJsonString());

    private static string Digest(byte[] bytes) => $"sha256:{Convert.ToHexStringLower(SHA256.HashData(bytes))}";

    private static string? Header(HttpResponseMessage answer, string name) => answer.Headers.TryGetValues(name, out IEnumerable<string>? values) ? values.Single() : null;
}
