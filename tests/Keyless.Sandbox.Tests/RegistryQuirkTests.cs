using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Keyless.Sandbox.Tests;

/// <summary>Each switch as a client sees it that knows nothing of signing, beside the same request without the switch.</summary>
[TestClass]
public sealed class RegistryQuirkTests : IAsyncDisposable
{
    private const string Image = "application/vnd.oci.image.manifest.v1+json";

    private Registry registry = new();
    private World? world;

    public required TestContext TestContext { get; init; }

    public async ValueTask DisposeAsync()
    {
        if (world is not null)
        {
            await world.DisposeAsync();
        }
    }

    [TestMethod]
    [DataRow(2, "2 2 1")]
    [DataRow(5, "5")]
    [DataRow(4, "4 1")]
    public async Task Pages_of_referrers_lead_on_and_list_each_once(int size, string pages)
    {
        string subject = Subject();
        string[] referrers = [.. Enumerable.Range(0, 5).Select(i => Refer(subject, i))];
        await StartAsync(new RegistryQuirks { ReferrersPerPage = size });

        List<string> listed = [];
        List<int> counts = [];
        for (string? page = $"/v2/app/referrers/{subject}"; page is not null;)
        {
            using HttpResponseMessage answer = await SendAsync("GET", page);
            JsonArray manifests = (await JsonAsync(answer))["manifests"]!.AsArray();
            counts.Add(manifests.Count);
            listed.AddRange(manifests.Select(manifest => (string)manifest!["digest"]!));
            page = answer.Headers.TryGetValues("Link", out IEnumerable<string>? links) ? links.Single().Split('<', '>')[1] : null;
        }

        Assert.AreEqual(pages, string.Join(' ', counts));
        CollectionAssert.AreEqual(referrers, listed);
    }

    [TestMethod]
    [DataRow("-1")]
    [DataRow("x")]
    [DataRow("99999999999")]
    [DataRow("99")]
    public async Task A_page_that_nobody_was_led_to_is_no_failure_of_the_server(string after)
    {
        string subject = Subject();
        Refer(subject, 0);
        await StartAsync(new RegistryQuirks { ReferrersPerPage = 1 });

        using HttpResponseMessage answer = await SendAsync("GET", $"/v2/app/referrers/{subject}?after={after}");

        Assert.AreEqual(HttpStatusCode.OK, answer.StatusCode);
    }

    [TestMethod]
    public async Task After_so_many_requests_all_that_follow_are_to_wait()
    {
        string subject = Subject();
        await StartAsync(new RegistryQuirks { RequestsAllowed = 2 });

        HttpStatusCode[] statuses = new HttpStatusCode[4];
        for (int i = 0; i < statuses.Length; i++)
        {
            using HttpResponseMessage answer = await SendAsync("GET", i == 3 ? "/v2/" : $"/v2/app/manifests/{subject}");
            statuses[i] = answer.StatusCode;
            Assert.AreEqual(i < 2 ? null : TimeSpan.FromSeconds(30), answer.Headers.RetryAfter?.Delta);
            if (i >= 2)
            {
                Assert.AreEqual("TOOMANYREQUESTS", await CodeAsync(answer));
            }
        }

        Assert.AreEqual("OK OK TooManyRequests TooManyRequests", string.Join(' ', statuses));
    }

    [TestMethod]
    [DataRow(ImmutableTags.None, HttpStatusCode.Created, null)]
    [DataRow(ImmutableTags.AsEcr, HttpStatusCode.BadRequest, "TAG_INVALID")]
    [DataRow(ImmutableTags.AsHarbor, HttpStatusCode.PreconditionFailed, "PRECONDITION")]
    public async Task An_immutable_tag_takes_the_same_manifest_and_no_other(ImmutableTags immutable, HttpStatusCode other, string? code)
    {
        byte[] first = Manifest("first"), second = Manifest("second");
        await StartAsync(new RegistryQuirks { ImmutableTags = immutable });

        using HttpResponseMessage put = await SendAsync("PUT", "/v2/app/manifests/1.0", first);
        using HttpResponseMessage again = await SendAsync("PUT", "/v2/app/manifests/1.0", first);
        using HttpResponseMessage moved = await SendAsync("PUT", "/v2/app/manifests/1.0", second);
        using HttpResponseMessage byDigest = await SendAsync("PUT", $"/v2/app/manifests/{Digest(second)}", second);
        using HttpResponseMessage otherTag = await SendAsync("PUT", "/v2/app/manifests/2.0", second);

        Assert.AreEqual("Created Created Created Created", $"{put.StatusCode} {again.StatusCode} {byDigest.StatusCode} {otherTag.StatusCode}");
        Assert.AreEqual(other, moved.StatusCode);
        Assert.AreEqual(code, await CodeAsync(moved));
        Assert.AreEqual(Digest(code is null ? second : first), registry.FindManifest("app", "1.0")!.Digest);
    }

    [TestMethod]
    [DataRow(true, HttpStatusCode.SeeOther)]
    [DataRow(false, HttpStatusCode.OK)]
    public async Task Where_referrers_lead_elsewhere_no_subject_is_named_either(bool elsewhere, HttpStatusCode expected)
    {
        string subject = Subject();
        await StartAsync(new RegistryQuirks { ReferrersLeadElsewhere = elsewhere });

        using HttpResponseMessage listed = await SendAsync("GET", $"/v2/app/referrers/{subject}");
        using HttpResponseMessage put = await SendAsync("PUT", "/v2/app/manifests/note", Manifest("note", subject));

        Assert.AreEqual(expected, listed.StatusCode);
        Assert.AreEqual(elsewhere ? "website.invalid" : null, listed.Headers.Location?.Host);
        Assert.AreEqual(!elsewhere, put.Headers.Contains("OCI-Subject"));
    }

    [TestMethod]
    [DataRow("application/vnd.oci.image.config.v1+json", HttpStatusCode.Created)]
    [DataRow("application/vnd.docker.container.image.v1+json", HttpStatusCode.Created)]
    [DataRow("application/vnd.oci.empty.v1+json", HttpStatusCode.BadRequest)]
    public async Task A_registry_for_images_takes_images_only(string config, HttpStatusCode expected)
    {
        byte[] manifest = Manifest("x", config: config);
        await StartAsync(new RegistryQuirks { ImageConfigsOnly = true });

        using HttpResponseMessage put = await SendAsync("PUT", "/v2/app/manifests/1.0", manifest);
        Assert.AreEqual(expected, put.StatusCode);
        registry.Quirks = new RegistryQuirks();
        using HttpResponseMessage otherwise = await SendAsync("PUT", "/v2/app/manifests/1.0", manifest);
        Assert.AreEqual(HttpStatusCode.Created, otherwise.StatusCode);
    }

    [TestMethod]
    public async Task Blobs_elsewhere_are_given_to_whoever_brings_no_credentials()
    {
        byte[] blob = "blob"u8.ToArray();
        string digest = registry.PutBlob("app", blob);
        await StartAsync(new RegistryQuirks { BlobsElsewhere = true });

        using HttpResponseMessage head = await SendAsync("HEAD", $"/v2/app/blobs/{digest}");
        using HttpResponseMessage get = await SendAsync("GET", $"/v2/app/blobs/{digest}");
        Uri storage = get.Headers.Location!;
        using var client = new HttpClient();
        byte[] stored = await client.GetByteArrayAsync(storage, TestContext.CancellationToken);
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic", "eDp5");
        using HttpResponseMessage withCredentials = await client.GetAsync(storage, TestContext.CancellationToken);

        Assert.AreEqual((200, 307, 400), ((int)head.StatusCode, (int)get.StatusCode, (int)withCredentials.StatusCode));
        Assert.AreNotEqual(world!.Client.BaseAddress!.Host, storage.Host);
        CollectionAssert.AreEqual(blob, stored);
    }

    [TestMethod]
    public async Task What_is_not_in_storage_is_no_failure_of_the_server()
    {
        await StartAsync(new RegistryQuirks { BlobsElsewhere = true });

        foreach (string path in new[] { "/storage/", "/storage/x", "/storage/app/sha256:x" })
        {
            using HttpResponseMessage answer = await SendAsync("GET", path);
            Assert.AreEqual(HttpStatusCode.BadRequest, answer.StatusCode, path);
        }
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public async Task Uploads_go_on_under_the_name_the_registry_believes_to_have(bool elsewhere)
    {
        await StartAsync(new RegistryQuirks { UploadsElsewhere = elsewhere });

        using HttpResponseMessage opened = await SendAsync("POST", "/v2/app/blobs/uploads/");

        Assert.AreEqual(HttpStatusCode.Accepted, opened.StatusCode);
        Assert.AreEqual(elsewhere, opened.Headers.Location!.IsAbsoluteUri && opened.Headers.Location.Host != world!.Client.BaseAddress!.Host);
    }

    [TestMethod]
    [DataRow(false, "", HttpStatusCode.OK, true)]
    [DataRow(true, "", HttpStatusCode.BadRequest, false)]
    [DataRow(true, "other", HttpStatusCode.BadRequest, false)]
    [DataRow(true, "{host}", HttpStatusCode.OK, false)]
    public async Task A_token_service_may_want_to_be_told_its_name(bool accessTokenOnly, string service, HttpStatusCode expected, bool alsoAsToken)
    {
        registry = new Registry(RegistryLogin.Bearer, new Dictionary<string, string> { ["ci"] = "password" }, new Dictionary<string, string> { ["identity"] = "ci" });
        await StartAsync(new RegistryQuirks { AccessTokenOnly = accessTokenOnly });
        string named = service.Replace("{host}", world!.Client.BaseAddress!.Authority, StringComparison.Ordinal);

        using var byPassword = new HttpRequestMessage(HttpMethod.Get, $"/oauth2/token?scope=repository:app:pull&service={named}");
        byPassword.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String("ci:password"u8));
        using var byToken = new HttpRequestMessage(HttpMethod.Post, "/oauth2/token");
        byToken.Content = new FormUrlEncodedContent([new("grant_type", "refresh_token"), new("refresh_token", "identity"), new("service", named)]);
        foreach (HttpRequestMessage request in new[] { byPassword, byToken })
        {
            using HttpResponseMessage answer = await world.Client.SendAsync(request, TestContext.CancellationToken);

            Assert.AreEqual(expected, answer.StatusCode);
            if (expected == HttpStatusCode.OK)
            {
                JsonNode token = await JsonAsync(answer);
                Assert.IsTrue(((string?)token["access_token"])!.Length > 0);
                Assert.AreEqual(alsoAsToken ? (string?)token["access_token"] : null, (string?)token["token"]);
            }
        }
    }

    private async Task StartAsync(RegistryQuirks quirks)
    {
        registry.Quirks = quirks;
        world = await World.StartAsync(registry.Map, TestContext.CancellationToken);
    }

    private async Task<HttpResponseMessage> SendAsync(string method, string path, byte[]? manifest = null)
    {
        // Sent as it is, and no redirect followed: what the registry answers is what is looked at.
        using var client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false });
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(world!.Client.BaseAddress!, path));
        if (manifest is not null)
        {
            request.Content = new ByteArrayContent(manifest) { Headers = { ContentType = new MediaTypeHeaderValue(Image) } };
        }

        HttpResponseMessage answer = await client.SendAsync(request, TestContext.CancellationToken);
        await answer.Content.LoadIntoBufferAsync(TestContext.CancellationToken);
        return answer;
    }

    private string Subject() => registry.PutManifest("app", null, Manifest("image"), Image);

    private string Refer(string subject, int number) => registry.PutManifest("app", null, Manifest($"{number}", subject), Image);

    private byte[] Manifest(string name, string? subject = null, string config = "application/vnd.oci.image.config.v1+json")
    {
        byte[] empty = "{}"u8.ToArray();
        registry.PutBlob("app", empty);
        var manifest = new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = Image,
            ["config"] = new JsonObject { ["mediaType"] = config, ["digest"] = Digest(empty), ["size"] = empty.Length },
            ["layers"] = new JsonArray(),
            ["annotations"] = new JsonObject { ["name"] = name },
        };
        if (subject is not null)
        {
            manifest["subject"] = new JsonObject { ["mediaType"] = Image, ["digest"] = subject, ["size"] = 1 };
        }

        return Encoding.UTF8.GetBytes(manifest.ToJsonString());
    }

    private static string Digest(byte[] bytes) => $"sha256:{Convert.ToHexStringLower(SHA256.HashData(bytes))}";

    private async Task<JsonNode> JsonAsync(HttpResponseMessage answer) => (await answer.Content.ReadFromJsonAsync<JsonNode>(TestContext.CancellationToken))!;

    private async Task<string?> CodeAsync(HttpResponseMessage answer) =>
        answer.IsSuccessStatusCode ? null : (string?)(await JsonAsync(answer))["errors"]![0]!["code"];
}
