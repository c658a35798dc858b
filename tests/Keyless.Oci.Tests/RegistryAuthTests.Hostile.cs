using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace Keyless.Oci.Tests;

/// <content>Challenges and tokens of a registry that wants more than it should get, or does not know what it wants.</content>
public sealed partial class RegistryAuthTests
{
    [TestMethod]
    [DataRow("?scope=repository:secret:pull,push")]
    [DataRow("?a=1&SCOPE=x")]
    [DataRow("?%73cop%65=x")]
    [DataRow("?a;scope=x")]
    public async Task Refuses_a_realm_that_asks_for_a_scope_of_its_own(string query)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Stranger tokens = await TokensAsync(world, """{"token":"T#"}""");
        Challenge(world, $"Bearer realm=\"{tokens.BaseUrl}token{query}\"");
        using Registry registry = world.Client(RegistryAccess.Push, Pair());

        Assert.Contains("scope of its own", (await RefusesAsync(registry, RegistryFailure.Nonsense)).Message);
        Assert.IsEmpty(asked);
    }

    [TestMethod]
    [DataRow("Bearer realm=\"ftp://auth.example/token\"", "neither https nor http")]
    [DataRow("Bearer realm=\"https://canary@auth.example/token\"", "user information")]
    [DataRow("Bearer realm=\"https://[::ffff:169.254.169.254]/token\"", "private address")]
    [DataRow("Bearer realm=\"https://[64:ff9b::a9fe:a9fe]/token\"", "private address", DisplayName = "metadata service behind NAT64")]
    [DataRow("Bearer realm=\"//auth.example/token\"", "", DisplayName = "no scheme")]
    [DataRow("Bearer realm=\"\"", "names no token service")]
    [DataRow("Bearer realm=\"https://a\\\"@auth.example/token\"", "", DisplayName = "an escaped quote")]
    [DataRow("Bearer realm=\"http://auth.example/canary\", Basic realm=\"x\"", "not https", DisplayName = "Basic beside it is no way round")]
    public async Task Sends_nothing_to_a_realm_that_is_none(string challenge, string why)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Challenge(world, challenge);
        using Registry registry = world.Client(RegistryAccess.Push, Pair());

        Assert.Contains(why, (await RefusesAsync(registry, RegistryFailure.Nonsense)).Message);
        Assert.AreEqual(1, world.Traffic.Measure().Requests);
    }

    [TestMethod]
    [DataRow(9000, RegistryFailure.Nonsense, "malformed challenge: too long")]
    [DataRow(80_000, RegistryFailure.Unreachable, "headers are too large")]
    public async Task Refuses_a_challenge_longer_than_any(int length, RegistryFailure failure, string why)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Challenge(world, $"Bearer realm=\"https://auth.example/{new string('x', length)}\"");
        using Registry registry = world.Client(RegistryAccess.Push, Pair());

        Assert.Contains(why, (await RefusesAsync(registry, failure)).Message);
        Assert.AreEqual(1, world.Traffic.Measure().Requests);
    }

    [TestMethod]
    public async Task Finds_the_challenge_it_can_answer_among_many()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        world.Image();
        Stranger tokens = await TokensAsync(world, """{"token":"T#"}""");
        Challenge(world, new StringValues(["Negotiate YWJj==", "Digest realm=\"a, b\", nonce=\"\\\"\", Basic realm=\"x\"", $"BEARER realm=\"{tokens.BaseUrl}to\\ken\", error=\"a\\\\b\""]));
        using Registry registry = world.Client(RegistryAccess.Pull, Pair());

        await registry.HeadManifestAsync("1.0", Cancel);

        Assert.StartsWith("GET /token?", asked.Single());
    }

    [TestMethod]
    [DataRow("", 60)]
    [DataRow(",\"expires_in\":null", 60)]
    [DataRow(",\"expires_in\":0", 60)]
    [DataRow(",\"expires_in\":-300", 60)]
    [DataRow(",\"expires_in\":1", 1)]
    [DataRow(",\"expires_in\":120", 120)]
    [DataRow(",\"expires_in\":9223372036854775807", 24 * 60 * 60)]
    public async Task Keeps_a_token_no_longer_than_it_says_and_than_a_day(string expiry, int seconds)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        world.Image();
        Stranger tokens = await TokensAsync(world, $$"""{"token":"T#"{{expiry}}}""");
        Challenge(world, $"Bearer realm=\"{tokens.BaseUrl}token\"");
        var clock = new Clock();
        using Registry registry = world.Client(RegistryAccess.Pull, time: clock);
        await registry.HeadManifestAsync("1.0", Cancel);

        clock.Now += TimeSpan.FromSeconds(seconds > 10 ? seconds - 6 : seconds / 2.0 - 0.1);
        await registry.HeadManifestAsync("1.0", Cancel);
        Assert.HasCount(1, asked);

        clock.Now += TimeSpan.FromSeconds(2);
        await registry.HeadManifestAsync("1.0", Cancel);
        Assert.HasCount(2, asked);
    }

    [TestMethod]
    [DataRow(""","expires_in":"300" """)]
    [DataRow(""","expires_in":1e30""")]
    [DataRow(""","expires_in":{"canary":1}""")]
    [DataRow(""","access_token":["canary"]""")]
    public async Task Refuses_a_token_of_another_shape(string more)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Stranger tokens = await TokensAsync(world, $$"""{"token":"T#"{{more}}}""");
        Challenge(world, $"Bearer realm=\"{tokens.BaseUrl}token\"");
        using Registry registry = world.Client(RegistryAccess.Push, Pair());

        Assert.Contains("not JSON", (await RefusesAsync(registry, RegistryFailure.Nonsense)).Message);
    }

    [TestMethod]
    public async Task Refuses_a_token_larger_than_any()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Stranger tokens = await TokensAsync(world, $$"""{"token":"{{new string('x', 200_000)}}"}""");
        Challenge(world, $"Bearer realm=\"{tokens.BaseUrl}token\"");
        using Registry registry = world.Client(RegistryAccess.Push, Pair());

        await RefusesAsync(registry, RegistryFailure.TooLarge);
    }

    [TestMethod]
    public async Task Asks_for_another_token_when_one_ends_between_POST_and_PUT()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Stranger tokens = await TokensAsync(world, """{"token":"T#","expires_in":300}""");
        Challenge(world, $"Bearer realm=\"{tokens.BaseUrl}token\"");
        ForgetTokensAt(world, "PUT", times: 1);
        using Registry registry = world.Client(RegistryAccess.Push, Pair());
        byte[] blob = "blob"u8.ToArray();

        Digest digest = await registry.PushBlobAsync(blob, Cancel);

        CollectionAssert.AreEqual(blob, world.Content.FindBlob("app", digest.ToString()));
        Assert.HasCount(2, asked);
        // POST, token, POST, PUT, token, PUT
        Assert.AreEqual(6, world.Traffic.Measure().Requests);
    }

    [TestMethod]
    public async Task Gives_up_when_every_token_ends_between_POST_and_PUT()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Stranger tokens = await TokensAsync(world, """{"token":"T#","expires_in":300}""");
        Challenge(world, $"Bearer realm=\"{tokens.BaseUrl}token\"");
        ForgetTokensAt(world, "PUT", times: int.MaxValue);
        using Registry registry = world.Client(RegistryAccess.Push, Pair());

        var no = await Assert.ThrowsExactlyAsync<RegistryException>(() => registry.PushBlobAsync("blob"u8.ToArray(), Cancel));

        Assert.AreEqual(RegistryFailure.Unauthorized, no.Failure);
        Assert.Contains("were not accepted", no.Message);
        Assert.AreEqual(6, world.Traffic.Measure().Requests);
    }

    [TestMethod]
    [DataRow("Bearer realm=\"{0}token\",error=\"insufficient_scope\",scope=\"repository:app:pull,push\"", 401)]
    [DataRow("Bearer realm=\"{0}token\",error=\"insufficient_scope\"", 403)]
    public async Task Says_that_credentials_may_pull_and_not_push(string challenge, int status)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        world.Image();
        Stranger tokens = await TokensAsync(world, """{"token":"T#","expires_in":300}""");
        Challenge(world, $"Bearer realm=\"{tokens.BaseUrl}token\"");
        RequestDelegate admit = world.Server.Intercept!;
        world.Server.Intercept = async context =>
        {
            await admit(context);
            if (context.Response.StatusCode == 200 && context.Request.Method == "POST")
            {
                context.Response.StatusCode = status;
                context.Response.Headers.WWWAuthenticate = string.Format(null, challenge, tokens.BaseUrl);
            }
        };
        using Registry registry = world.Client(RegistryAccess.Push, Pair());
        await registry.HeadManifestAsync("1.0", Cancel);

        var no = await Assert.ThrowsExactlyAsync<RegistryException>(() => registry.PushBlobAsync("blob"u8.ToArray(), Cancel));

        Assert.AreEqual(RegistryFailure.Unauthorized, no.Failure);
        Assert.Contains($"→ {status}", no.Message);
        Assert.IsLessThanOrEqualTo(2, asked.Count);
    }

    /// <summary>From then on the registry takes no token that it has given before.</summary>
    private void ForgetTokensAt(World world, string method, int times)
    {
        RequestDelegate before = world.Server.Intercept!;
        string? refused = null;
        world.Server.Intercept = context =>
        {
            string sent = context.Request.Headers.Authorization.ToString();
            if (context.Request.Method == method && sent != refused && times-- > 0)
            {
                (refused, issued) = (sent, issued + 1);
            }

            return before(context);
        };
    }
}
