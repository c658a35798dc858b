using System.Text;
using Microsoft.AspNetCore.Http;

namespace Keyless.Oci.Tests;

[TestClass]
public sealed partial class RegistryAuthTests
{
    private readonly List<string> asked = [];
    private int issued;

    public TestContext TestContext { get; set; } = null!;

    private CancellationToken Cancel => TestContext.CancellationToken;

    [TestMethod]
    public async Task Gets_a_token_for_its_own_scope_whatever_the_challenge_asks_for()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Descriptor image = world.Image();
        Stranger tokens = await TokensAsync(world, """{"token":"T#","access_token":"other","expires_in":300}""");
        Challenge(world, $"Bearer realm=\"{tokens.BaseUrl}token?a=1\",service=\"reg & co\",scope=\"repository:secret:pull,push,delete\"");
        using Registry registry = world.Client(RegistryAccess.Push, Pair());

        Assert.AreEqual(image, await registry.HeadManifestAsync("1.0", Cancel));

        Assert.AreEqual("GET /token?a=1&scope=repository%3Aapp%3Apull%2Cpush&service=reg%20%26%20co ", asked.Single());
        Assert.AreEqual("Basic " + Convert.ToBase64String("user:canary-password"u8), tokens.Authorizations.Single());
    }

    [TestMethod]
    public async Task Pulls_with_an_anonymous_token_where_there_are_no_credentials()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        world.Image();
        Stranger tokens = await TokensAsync(world, """{"access_token":"T#"}""");
        Challenge(world, $"Bearer realm=\"{tokens.BaseUrl}token\"");
        using Registry registry = world.Client(RegistryAccess.Pull);

        await registry.HeadManifestAsync("1.0", Cancel);

        Assert.AreEqual("GET /token?scope=repository%3Aapp%3Apull ", asked.Single());
        Assert.AreEqual("", tokens.Authorizations.Single());
        Assert.IsEmpty(world.Notes);
    }

    [TestMethod]
    public async Task Says_when_credentials_go_to_a_token_service_of_another_name()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        world.Image();
        Stranger tokens = await TokensAsync(world, """{"token":"T#"}""");
        Challenge(world, $"Bearer realm=\"http://localhost:{tokens.BaseUrl.Port}/token\"");
        using Registry registry = world.Client(RegistryAccess.Push, Pair());

        await registry.HeadManifestAsync("1.0", Cancel);

        Assert.AreEqual($"credentials from DOTNET_CONTAINER_REGISTRY_UNAME for {world.Host} go to its token service at localhost", world.Notes.Single());
    }

    [TestMethod]
    public async Task Exchanges_an_identity_token_by_POST()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        world.Image();
        using var folder = new Testing.TemporaryFolder();
        folder.Write("config.json", $$$$"""{"auths":{"{{{{world.Host}}}}":{"identitytoken":"canary/refresh"}}}""");
        Stranger tokens = await TokensAsync(world, """{"access_token":"T#"}""");
        Challenge(world, $"Bearer realm=\"{tokens.BaseUrl}token\",service=\"s\"");
        using Registry registry = world.Client(RegistryAccess.Pull, new() { ["DOCKER_CONFIG"] = folder.Path });

        await registry.HeadManifestAsync("1.0", Cancel);

        Assert.AreEqual("POST /token grant_type=refresh_token&client_id=keyless-oci&refresh_token=canary%2Frefresh&scope=repository%3Aapp%3Apull&service=s", asked.Single());
        Assert.AreEqual("", tokens.Authorizations.Single());
    }

    [TestMethod]
    public async Task Sends_a_registry_token_without_asking_for_another()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        world.Image();
        using var folder = new Testing.TemporaryFolder();
        folder.Write("config.json", $$$$"""{"auths":{"{{{{world.Host}}}}":{"registrytoken":"T1"}}}""");
        issued = 1;
        Challenge(world, "Bearer realm=\"https://nowhere.example/token\"");
        using Registry registry = world.Client(RegistryAccess.Pull, new() { ["DOCKER_CONFIG"] = folder.Path });

        Assert.AreEqual(MediaTypes.OciManifest, (await registry.HeadManifestAsync("1.0", Cancel)).MediaType);
    }

    [TestMethod]
    public async Task Uses_one_token_until_its_time_is_up()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        world.Image();
        Stranger tokens = await TokensAsync(world, """{"token":"T#","expires_in":300}""");
        Challenge(world, $"Bearer realm=\"{tokens.BaseUrl}token\"");
        var clock = new Clock();
        using Registry registry = world.Client(RegistryAccess.Pull, time: clock);

        await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => registry.HeadManifestAsync("1.0", Cancel)));
        Assert.HasCount(1, asked);
        clock.Now += TimeSpan.FromSeconds(294);
        await registry.HeadManifestAsync("1.0", Cancel);
        Assert.HasCount(1, asked);

        clock.Now += TimeSpan.FromSeconds(2);
        long mark = world.Traffic.Mark();
        await registry.HeadManifestAsync("1.0", Cancel);
        Assert.HasCount(2, asked);
        Assert.AreEqual(2, world.Traffic.Measure(since: mark).Requests);
    }

    [TestMethod]
    public async Task Asks_once_more_when_a_token_is_refused_later_and_then_gives_up()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        world.Image();
        Stranger tokens = await TokensAsync(world, """{"token":"T#","expires_in":300}""");
        Challenge(world, $"Bearer realm=\"{tokens.BaseUrl}token\"");
        using Registry registry = world.Client(RegistryAccess.Pull);
        await registry.HeadManifestAsync("1.0", Cancel);

        issued++; // the registry forgets the token it has given
        await registry.HeadManifestAsync("1.0", Cancel);
        Assert.HasCount(2, asked);

        issued = -1000; // the registry accepts none any more
        var no = await Assert.ThrowsExactlyAsync<RegistryException>(() => registry.HeadManifestAsync("1.0", Cancel));
        Assert.AreEqual(RegistryFailure.Unauthorized, no.Failure);
        Assert.HasCount(3, asked);
    }

    [TestMethod]
    public async Task Answers_Basic_with_what_it_has_and_says_so_when_it_has_nothing()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        world.Image();
        Challenge(world, "Basic realm=\"r\"", "Basic " + Convert.ToBase64String("user:canary-password"u8));

        using Registry known = world.Client(RegistryAccess.Push, Pair());
        Assert.AreEqual(MediaTypes.OciManifest, (await known.HeadManifestAsync("1.0", Cancel)).MediaType);

        using Registry nobody = world.Client(RegistryAccess.Push);
        Assert.Contains("no credentials were found", (await RefusesAsync(nobody, RegistryFailure.Unauthorized)).Message);

        using Registry wrong = world.Client(RegistryAccess.Push, new() { ["DOTNET_CONTAINER_REGISTRY_UNAME"] = "user", ["DOTNET_CONTAINER_REGISTRY_PWORD"] = "canary-wrong" });
        Assert.Contains("credentials from DOTNET_CONTAINER_REGISTRY_UNAME were not accepted", (await RefusesAsync(wrong, RegistryFailure.Unauthorized)).Message);
    }

    [TestMethod]
    [DataRow("Bearer realm=\"http://auth.example/token\"", "https", DisplayName = "http elsewhere")]
    [DataRow("Bearer realm=\"https://169.254.169.254/token\"", "private address", DisplayName = "metadata service")]
    [DataRow("Bearer realm=\"https://10.0.0.1/token\"", "private address", DisplayName = "private network")]
    [DataRow("Bearer realm=\"https://user:pass@auth.example/token\"", "user information", DisplayName = "user info")]
    [DataRow("Bearer realm=\"https://auth.example/token#x\"", "fragment", DisplayName = "fragment")]
    [DataRow("Bearer realm=\"/token\"", "token service", DisplayName = "relative")]
    [DataRow("Bearer service=\"x\"", "names no token service", DisplayName = "none")]
    [DataRow("Bearer realm=\"https://a", "malformed challenge", DisplayName = "unparsable")]
    public async Task Refuses_a_realm_that_is_none(string challenge, string why)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Challenge(world, challenge);
        using Registry registry = world.Client(RegistryAccess.Push, Pair());

        RegistryException no = await Assert.ThrowsExactlyAsync<RegistryException>(() => registry.HeadManifestAsync("1.0", Cancel));

        Assert.Contains(why, no.Message);
        Assert.AreEqual(1, world.Traffic.Measure().Requests);
    }

    [TestMethod]
    [DataRow("<html>canary</html>", "not JSON")]
    [DataRow("""{"token":"canary","token":"canary"}""", "not JSON")]
    [DataRow("{}", "no token")]
    [DataRow("""{"token":"canary\r\nX: y"}""", "printable")]
    public async Task Refuses_an_answer_that_is_no_token_without_quoting_it(string answer, string why)
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Stranger tokens = await TokensAsync(world, answer);
        Challenge(world, $"Bearer realm=\"{tokens.BaseUrl}token\"");
        using Registry registry = world.Client(RegistryAccess.Push, Pair());

        Assert.Contains(why, (await RefusesAsync(registry, RegistryFailure.Nonsense)).Message);
    }

    [TestMethod]
    public async Task Refuses_a_token_service_that_sends_it_elsewhere()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Stranger evil = await world.StrangerAsync(context => context.WriteAsync("{}"u8.ToArray(), "application/json"), Cancel);
        Stranger tokens = await world.StrangerAsync(
            context =>
            {
                context.Response.StatusCode = 302;
                context.Response.Headers.Location = evil.BaseUrl.AbsoluteUri;
                return Task.CompletedTask;
            },
            Cancel);
        Challenge(world, $"Bearer realm=\"{tokens.BaseUrl}token\"");
        using Registry registry = world.Client(RegistryAccess.Push, Pair());

        await RefusesAsync(registry, RegistryFailure.Refused);

        Assert.IsEmpty(evil.Authorizations);
    }

    [TestMethod]
    public async Task Says_who_gave_no_token_and_shows_no_secret()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        Stranger tokens = await world.StrangerAsync(
            context =>
            {
                context.Response.StatusCode = 401;
                return context.Response.WriteAsync("canary-password is wrong");
            },
            Cancel);
        Challenge(world, $"Bearer realm=\"{tokens.BaseUrl}token\"");
        using Registry registry = world.Client(RegistryAccess.Push, Pair());

        RegistryException no = await RefusesAsync(registry, RegistryFailure.Unauthorized);

        Assert.AreEqual($"GET {tokens.BaseUrl}token → 401: the token service of {world.Host} gave no token (credentials from DOTNET_CONTAINER_REGISTRY_UNAME)", no.Message);
    }

    private async Task<RegistryException> RefusesAsync(Registry registry, RegistryFailure failure)
    {
        RegistryException no = await Assert.ThrowsExactlyAsync<RegistryException>(() => registry.HeadManifestAsync("1.0", Cancel));
        Assert.AreEqual(failure, no.Failure, no.Message);
        Assert.DoesNotContain("canary", no.ToString());
        return no;
    }

    /// <summary>A token service; # in its answer is the number of the token, and only the newest is accepted.</summary>
    private Task<Stranger> TokensAsync(World world, string answer) => world.StrangerAsync(
        async context =>
        {
            using var body = new StreamReader(context.Request.Body);
            asked.Add($"{context.Request.Method} {context.Request.Path}{context.Request.QueryString} {await body.ReadToEndAsync(Cancel)}");
            issued++;
            await context.WriteAsync(Encoding.UTF8.GetBytes(answer.Replace("#", $"{issued}", StringComparison.Ordinal)), "application/json");
        },
        Cancel);

    private void Challenge(World world, Microsoft.Extensions.Primitives.StringValues challenge, string? accepted = null) => world.Server.Intercept = context =>
    {
        string expected = accepted ?? (issued > 0 ? $"Bearer T{issued}" : "nothing");
        if (context.Request.Headers.Authorization.ToString() != expected)
        {
            context.Response.StatusCode = 401;
            context.Response.Headers.WWWAuthenticate = challenge;
        }
        return Task.CompletedTask;
    };

    private static Dictionary<string, string> Pair() => new()
    {
        ["DOTNET_CONTAINER_REGISTRY_UNAME"] = "user",
        ["DOTNET_CONTAINER_REGISTRY_PWORD"] = "canary-password",
    };

    private sealed class Clock : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

        public override DateTimeOffset GetUtcNow() => Now;
    }
}
