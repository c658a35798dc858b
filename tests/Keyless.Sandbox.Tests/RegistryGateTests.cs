using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;

namespace Keyless.Sandbox.Tests;

/// <summary>Who is let in, and for what.</summary>
[TestClass]
public sealed class RegistryGateTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow("ci:password", HttpStatusCode.OK)]
    [DataRow("ci:other", HttpStatusCode.Unauthorized)]
    [DataRow("other:password", HttpStatusCode.Unauthorized)]
    [DataRow("", HttpStatusCode.Unauthorized)]
    public async Task Basic_takes_a_known_user_alone(string pair, HttpStatusCode expected)
    {
        await using World world = await StartAsync(RegistryLogin.Basic);
        if (pair.Length > 0)
        {
            world.Client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(pair)));
        }

        using HttpResponseMessage answer = await world.Client.GetAsync(new Uri("/v2/", UriKind.Relative), TestContext.CancellationToken);

        Assert.AreEqual(expected, answer.StatusCode);
        Assert.AreEqual(expected == HttpStatusCode.Unauthorized ? "Basic realm=\"keyless sandbox\"" : "", answer.Headers.WwwAuthenticate.ToString());
    }

    [TestMethod]
    [DataRow("Basic")]
    [DataRow("Basic !")]
    [DataRow("Basic Y2k=")]
    [DataRow("Basic /////w==")]
    [DataRow("Bearer x")]
    public async Task Whatever_is_no_pair_is_refused_and_no_failure_of_the_server(string authorization)
    {
        await using World world = await StartAsync(RegistryLogin.Basic);
        world.Client.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", authorization);

        using HttpResponseMessage answer = await world.Client.GetAsync(new Uri("/v2/", UriKind.Relative), TestContext.CancellationToken);

        Assert.AreEqual(HttpStatusCode.Unauthorized, answer.StatusCode);
    }

    [TestMethod]
    public async Task A_challenge_says_where_a_token_is_to_be_had_and_for_what()
    {
        await using World world = await StartAsync(RegistryLogin.Bearer);

        using HttpResponseMessage pulled = await world.Client.GetAsync(new Uri("/v2/app/manifests/1.0", UriKind.Relative), TestContext.CancellationToken);
        using HttpResponseMessage pushed = await world.Client.PostAsync(new Uri("/v2/app/blobs/uploads/", UriKind.Relative), null, TestContext.CancellationToken);

        string host = world.Client.BaseAddress!.Authority;
        Assert.AreEqual($"Bearer realm=\"http://{host}/oauth2/token\",service=\"{host}\",scope=\"repository:app:pull\"", pulled.Headers.WwwAuthenticate.ToString().Replace(", ", ",", StringComparison.Ordinal));
        Assert.Contains("scope=\"repository:app:pull,push\"", pushed.Headers.WwwAuthenticate.ToString());
    }

    [TestMethod]
    [DataRow("password", "ci:other", "")]
    [DataRow("refresh_token", "", "other")]
    [DataRow("client_credentials", "", "identity")]
    public async Task Nobody_else_gets_a_token(string grant, string pair, string identity)
    {
        await using World world = await StartAsync(RegistryLogin.Bearer);
        using var request = new HttpRequestMessage(grant == "password" ? HttpMethod.Get : HttpMethod.Post, "/oauth2/token?scope=repository:app:pull");
        if (grant == "password")
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(pair)));
        }
        else
        {
            request.Content = new FormUrlEncodedContent([new("grant_type", grant), new("refresh_token", identity)]);
        }

        using HttpResponseMessage answer = await world.Client.SendAsync(request, TestContext.CancellationToken);

        Assert.AreEqual(HttpStatusCode.Unauthorized, answer.StatusCode);
    }

    [TestMethod]
    [DataRow("repository:app:pull", HttpStatusCode.NotFound, HttpStatusCode.Unauthorized, HttpStatusCode.Unauthorized)]
    [DataRow("repository:app:pull,push", HttpStatusCode.NotFound, HttpStatusCode.Accepted, HttpStatusCode.Unauthorized)]
    [DataRow("repository:app:pull,push,delete", HttpStatusCode.NotFound, HttpStatusCode.Accepted, HttpStatusCode.NotFound)]
    [DataRow("repository:other:pull,push,delete", HttpStatusCode.Unauthorized, HttpStatusCode.Unauthorized, HttpStatusCode.Unauthorized)]
    public async Task A_token_is_for_what_it_was_asked_for(string scope, HttpStatusCode pull, HttpStatusCode push, HttpStatusCode delete)
    {
        await using World world = await StartAsync(RegistryLogin.Bearer);
        using var form = new FormUrlEncodedContent([new("grant_type", "refresh_token"), new("refresh_token", "identity"), new("scope", scope)]);
        using HttpResponseMessage given = await world.Client.PostAsync(new Uri("/oauth2/token", UriKind.Relative), form, TestContext.CancellationToken);
        var answer = await given.Content.ReadFromJsonAsync<JsonObject>(TestContext.CancellationToken);
        world.Client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", (string?)answer!["access_token"]);

        using HttpResponseMessage pulled = await world.Client.GetAsync(new Uri("/v2/app/manifests/1.0", UriKind.Relative), TestContext.CancellationToken);
        using HttpResponseMessage pushed = await world.Client.PostAsync(new Uri("/v2/app/blobs/uploads/", UriKind.Relative), null, TestContext.CancellationToken);
        using HttpResponseMessage deleted = await world.Client.DeleteAsync(new Uri("/v2/app/manifests/1.0", UriKind.Relative), TestContext.CancellationToken);

        Assert.AreEqual(pull, pulled.StatusCode);
        Assert.AreEqual(push, pushed.StatusCode);
        Assert.AreEqual(delete, deleted.StatusCode);
    }

    private Task<World> StartAsync(RegistryLogin login)
    {
        var registry = new Registry(login, new Dictionary<string, string> { ["ci"] = "password" }, new Dictionary<string, string> { ["identity"] = "ci" });
        return World.StartAsync(registry.Map, TestContext.CancellationToken);
    }
}
