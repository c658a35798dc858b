using System.Text.Json.Nodes;

namespace Keyless.Sigstore.Tests;

[TestClass]
public sealed class IdentityTests(TestContext test)
{
    private static readonly string Jwt = Tokens.GitHub();

    [TestMethod]
    public void Reads_what_fulcio_will_certify_for_a_github_workflow()
    {
        var token = IdentityToken.Parse(Jwt);

        Assert.AreEqual("https://token.actions.githubusercontent.com", token.Issuer);
        Assert.AreEqual("https://token.actions.githubusercontent.com", token.ExpectedIssuer);
        Assert.AreEqual("https://github.com/example-org/canary-subject/.github/workflows/publish.yml@refs/heads/main", token.ExpectedSubject);
        Assert.AreEqual(Tokens.Now.AddMinutes(5), token.ExpiresAt);
        Assert.AreEqual("public", token.Claim("repository_visibility"));
        Assert.AreSequenceEqual(["sigstore"], token.Audience.ToArray());
        token.MustBeUsableAt(Tokens.Now);
    }

    [TestMethod]
    public void Accepts_an_audience_among_others()
    {
        JsonObject claims = Tokens.GitHubClaims();
        claims["aud"] = new JsonArray("somebody", "sigstore");

        Assert.HasCount(2, IdentityToken.Parse(Tokens.Make(claims)).Audience);
    }

    [TestMethod]
    [DataRow("https://github.example/_services/token", "https://github.example", "https://github.example/o/r/.github/workflows/w.yml@refs/heads/main")]
    [DataRow("https://github.example/_services/token", null, null)]
    [DataRow("https://token.actions.githubusercontent.com/enterprise", "https://github.example", "https://github.com/o/r/.github/workflows/w.yml@refs/heads/main")]
    public void Names_the_server_of_a_github_workflow(string issuer, string? server, string? expected)
    {
        JsonObject claims = Tokens.GitHubClaims();
        claims["iss"] = issuer;
        claims["job_workflow_ref"] = "o/r/.github/workflows/w.yml@refs/heads/main";

        Assert.AreEqual(expected, IdentityToken.Parse(Tokens.Make(claims), server).ExpectedSubject);
    }

    [TestMethod]
    [DataRow("""{"ci_config_ref_uri":"gitlab.com/g/p//.gitlab-ci.yml@refs/heads/main"}""", "https://gitlab.com/g/p//.gitlab-ci.yml@refs/heads/main")]
    [DataRow("""{"email":"a@example.com","email_verified":true}""", "a@example.com")]
    [DataRow("""{"email":"a@example.com","email_verified":"true"}""", "a@example.com")]
    [DataRow("{}", null)]
    public void Knows_the_subject_of_other_identities_where_there_is_a_rule(string extra, string? expected)
    {
        Assert.AreEqual(expected, IdentityToken.Parse(Tokens.Make(Person(extra))).ExpectedSubject);
    }

    [TestMethod]
    public void Expects_the_issuer_behind_a_federated_login()
    {
        JsonObject claims = Person("""{"email":"a@example.com","email_verified":true,"federated_claims":{"connector_id":"https://accounts.example"}}""");

        Assert.AreEqual("https://accounts.example", IdentityToken.Parse(Tokens.Make(claims)).ExpectedIssuer);
    }

    [TestMethod]
    [DataRow("iss", null)]
    [DataRow("iss", "7")]
    [DataRow("sub", null)]
    [DataRow("exp", null)]
    [DataRow("exp", "\"soon\"")]
    [DataRow("exp", "1e999")]
    [DataRow("exp", "9223372036854775807")]
    [DataRow("nbf", "{}")]
    [DataRow("federated_claims", "7")]
    public void Refuses_a_token_without_what_signing_needs(string claim, string? json)
    {
        JsonObject claims = Tokens.GitHubClaims();
        claims.Remove(claim);
        string text = claims.ToJsonString();
        string jwt = Tokens.Make(json is null ? text : $"{text[..^1]},\"{claim}\":{json}}}");

        AssertRefused(IdentityFailure.Malformed, jwt, () => IdentityToken.Parse(jwt));
    }

    [TestMethod]
    [DataRow("{}")]
    [DataRow("""{"email_verified":false}""")]
    [DataRow("""{"email_verified":"yes"}""")]
    public void Refuses_an_address_nobody_verified(string verified)
    {
        JsonObject claims = Person(verified);
        claims["email"] = "canary-subject@example.com";
        string jwt = Tokens.Make(claims);

        AssertRefused(IdentityFailure.Malformed, jwt, () => IdentityToken.Parse(jwt));
    }

    [TestMethod]
    public void Refuses_a_token_for_another_audience()
    {
        JsonObject claims = Tokens.GitHubClaims();
        claims["aud"] = "https://github.com/example-org";
        string jwt = Tokens.Make(claims);

        IdentityException no = AssertRefused(IdentityFailure.ForeignAudience, jwt, () => IdentityToken.Parse(jwt));
        Assert.Contains("https://github.com/example-org", no.Message);
        Assert.Contains("\"sigstore\"", no.Message);
    }

    [TestMethod]
    public void Refuses_a_token_without_audience()
    {
        JsonObject claims = Tokens.GitHubClaims();
        claims.Remove("aud");
        string jwt = Tokens.Make(claims);

        AssertRefused(IdentityFailure.ForeignAudience, jwt, () => IdentityToken.Parse(jwt));
    }

    [TestMethod]
    [DataRow("""{"alg":"none"}""")]
    [DataRow("""{"alg":"None"}""")]
    [DataRow("""{"alg":""}""")]
    [DataRow("""{"typ":"JWT"}""")]
    public void Refuses_a_token_that_anybody_could_have_made(string header)
    {
        string jwt = Tokens.Make(Tokens.GitHubClaims(), header);

        AssertRefused(IdentityFailure.Malformed, jwt, () => IdentityToken.Parse(jwt));
    }

    [TestMethod]
    public void Refuses_what_is_not_a_token()
    {
        string[] parts = Jwt.Split('.');
        string[] wrong =
        [
            "canary-opaque-token",
            $"{parts[0]}.{parts[1]}",
            $"{parts[0]}.{parts[1]}.",
            $"{Jwt}.{parts[2]}.{parts[2]}",
            $"{parts[0]}.!{parts[1]}.{parts[2]}",
            $"!{parts[0]}.{parts[1]}.{parts[2]}",
            Tokens.Make("not json"),
            Tokens.Make("[]"),
            Tokens.Make("""{"aud":"sigstore","aud":"sigstore","iss":"i","sub":"s","exp":1795420800}"""),
            Tokens.Make(Tokens.GitHubClaims(), "[]"),
            "<html>canary</html>",
            // RFC 7515 §7.1: base64url without padding, and nothing between.
            $"{Jwt}=",
            $"{Jwt}\n",
            $"{Jwt[..^8]}\r\n{Jwt[^8..]}",
            $"{Jwt[..^8]}+{Jwt[^8..]}",
            $"\uFEFF{Jwt}",
        ];
        foreach (string jwt in wrong)
        {
            AssertRefused(IdentityFailure.Malformed, jwt, () => IdentityToken.Parse(jwt));
        }
    }

    [TestMethod]
    public void Refuses_a_token_that_is_too_long()
    {
        JsonObject claims = Tokens.GitHubClaims();
        claims["groups"] = new string('g', 16 * 1024);
        string jwt = Tokens.Make(claims);

        AssertRefused(IdentityFailure.Malformed, jwt, () => IdentityToken.Parse(jwt));
    }

    [TestMethod]
    [DataRow(240, true)]
    [DataRow(241, false)]
    [DataRow(301, false)]
    [DataRow(-60, true)]
    [DataRow(-61, false)]
    public void Refuses_a_token_outside_its_life(int secondsLater, bool usable)
    {
        var token = IdentityToken.Parse(Jwt);
        DateTimeOffset moment = Tokens.Now.AddSeconds(secondsLater);

        if (usable)
        {
            token.MustBeUsableAt(moment);
        }
        else
        {
            AssertRefused(IdentityFailure.Expired, Jwt, () => token.MustBeUsableAt(moment));
        }
    }

    [TestMethod]
    public void Shows_no_part_of_the_token()
    {
        string shown = IdentityToken.Parse(Jwt).ToString();

        foreach (string part in (string[])[.. Jwt.Split('.'), "canary-subject"])
        {
            Assert.DoesNotContain(part, shown);
        }
    }

    [TestMethod]
    public async Task Asks_github_for_a_token_for_sigstore()
    {
        await using OneAnswer endpoint = await OneAnswer.StartAsync(200, $$"""{"count":1,"value":"{{Jwt}}"}""");
        using HttpClient client = Clients.New();
        AmbientIdentity identity = Ambient("auto", client, GitHub(new Uri(endpoint.Url, "/token?api-version=2.0")));

        IdentityToken token = await identity.GetAsync(test.CancellationToken);
        _ = await identity.GetAsync(test.CancellationToken);

        Assert.AreEqual("https://token.actions.githubusercontent.com", token.Issuer);
        Assert.HasCount(2, endpoint.Asked);
        Assert.AreEqual(new Asked("GET", "/token?api-version=2.0&audience=sigstore", "Bearer canary-request-token", Clients.UserAgent), endpoint.Asked[0]);
    }

    [TestMethod]
    public async Task Asks_an_endpoint_without_query_for_the_audience_as_well()
    {
        await using OneAnswer endpoint = await OneAnswer.StartAsync(200, $$"""{"value":"{{Jwt}}"}""");
        using HttpClient client = Clients.New();

        _ = await Ambient("github-actions", client, GitHub(new Uri(endpoint.Url, "/token"))).GetAsync(test.CancellationToken);

        Assert.AreEqual("/token?audience=sigstore", endpoint.Asked.Single().PathAndQuery);
    }

    [TestMethod]
    [DataRow(200, "<!DOCTYPE html><html>Sign in</html>", "an HTML page")]
    [DataRow(200, """{"count":1}""", "value is missing")]
    [DataRow(200, """{"value":7}""", "a string expected")]
    [DataRow(200, "oops", "not JSON")]
    [DataRow(403, """{"message":"no: canary-request-token"}""", "403")]
    [DataRow(302, "", "redirect")]
    [DataRow(500, "", "500")]
    public async Task Refuses_what_the_token_endpoint_answers_otherwise(int status, string body, string says)
    {
        await using OneAnswer endpoint = await OneAnswer.StartAsync(status, body);
        using HttpClient client = Clients.New();
        AmbientIdentity identity = Ambient("auto", client, GitHub(new Uri(endpoint.Url, "/canary-path?canary-query=1")));

        IdentityException no = await Assert.ThrowsExactlyAsync<IdentityException>(() => identity.GetAsync(test.CancellationToken));

        Assert.AreEqual(IdentityFailure.EndpointFailed, no.Failure);
        Assert.Contains(says, no.Message);
        Assert.DoesNotContain("canary", no.ToString());
    }

    [TestMethod]
    [DataRow("http://token.example/?canary=1")]
    [DataRow("ftp://127.0.0.1/canary")]
    [DataRow("canary")]
    public async Task Sends_no_credential_in_the_clear(string url)
    {
        using HttpClient client = Clients.New();
        Func<string, string?> environment = Variables(("ACTIONS_ID_TOKEN_REQUEST_URL", url), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "canary-request-token"));

        IdentityException no = await Assert.ThrowsExactlyAsync<IdentityException>(() => Ambient("auto", client, environment).GetAsync(test.CancellationToken));

        Assert.AreEqual(IdentityFailure.EndpointFailed, no.Failure);
        Assert.Contains("is not an https URL", no.Message);
        Assert.DoesNotContain("canary", no.ToString());
    }

    [TestMethod]
    public async Task Refuses_a_credential_of_two_lines()
    {
        using HttpClient client = Clients.New();
        Func<string, string?> environment = Variables(("ACTIONS_ID_TOKEN_REQUEST_URL", "https://127.0.0.1:1/"), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "canary\r\nX: y"));

        IdentityException no = await Assert.ThrowsExactlyAsync<IdentityException>(() => Ambient("auto", client, environment).GetAsync(test.CancellationToken));

        Assert.AreEqual(IdentityFailure.EndpointFailed, no.Failure);
        Assert.DoesNotContain("canary", no.ToString());
    }

    [TestMethod]
    public async Task Takes_the_token_of_the_environment()
    {
        using HttpClient client = Clients.New();
        AmbientIdentity identity = Ambient("auto", client, Variables(("SIGSTORE_ID_TOKEN", $" {Jwt}\n")));

        IdentityToken token = await identity.GetAsync(test.CancellationToken);

        Assert.AreEqual(Jwt, token.Secret);
    }

    [TestMethod]
    public async Task Prefers_github_to_the_environment()
    {
        JsonObject claims = Tokens.GitHubClaims();
        claims["iss"] = "https://from.github.example";
        await using OneAnswer endpoint = await OneAnswer.StartAsync(200, $$"""{"value":"{{Tokens.Make(claims)}}"}""");
        using HttpClient client = Clients.New();
        Func<string, string?> gitHub = GitHub(endpoint.Url);
        Func<string, string?> both = name => name == "SIGSTORE_ID_TOKEN" ? Jwt : gitHub(name);

        Assert.AreEqual("https://from.github.example", (await Ambient("auto", client, both).GetAsync(test.CancellationToken)).Issuer);
        Assert.AreEqual("https://token.actions.githubusercontent.com", (await Ambient("environment", client, both).GetAsync(test.CancellationToken)).Issuer);
    }

    [TestMethod]
    public async Task Does_not_go_on_to_another_identity_when_the_first_fails()
    {
        await using OneAnswer endpoint = await OneAnswer.StartAsync(500, "");
        using HttpClient client = Clients.New();
        Func<string, string?> gitHub = GitHub(endpoint.Url);
        AmbientIdentity identity = Ambient("auto", client, name => name == "SIGSTORE_ID_TOKEN" ? Jwt : gitHub(name));

        IdentityException no = await Assert.ThrowsExactlyAsync<IdentityException>(() => identity.GetAsync(test.CancellationToken));

        Assert.AreEqual(IdentityFailure.EndpointFailed, no.Failure);
    }

    [TestMethod]
    [DataRow("")]
    [DataRow(" \n")]
    public async Task Refuses_a_variable_that_is_set_but_empty(string value)
    {
        using HttpClient client = Clients.New();
        AmbientIdentity identity = Ambient("auto", client, Variables(("SIGSTORE_ID_TOKEN", value)));

        IdentityException no = await Assert.ThrowsExactlyAsync<IdentityException>(() => identity.GetAsync(test.CancellationToken));

        Assert.AreEqual(IdentityFailure.Malformed, no.Failure);
    }

    [TestMethod]
    [DataRow("auto", "true", "no identity token: ACTIONS_ID_TOKEN_REQUEST_URL is not set; the job lacks `id-token: write`")]
    [DataRow("auto", null, "no identity token: this is no CI system that gives an identity, and SIGSTORE_ID_TOKEN is not set; sign in CI, or put a token with audience \"sigstore\" there")]
    [DataRow("github-actions", null, "no identity token: ACTIONS_ID_TOKEN_REQUEST_URL is not set; SigstoreOidcProvider=github-actions works only in a GitHub Actions job with `id-token: write`")]
    [DataRow("environment", "true", "no identity token: SIGSTORE_ID_TOKEN is not set; put a token with audience \"sigstore\" there")]
    [DataRow("none", "true", "no identity token: SigstoreOidcProvider is none; remove it, or set SignContainer=false")]
    public async Task Says_where_it_looked(string choice, string? gitHubActions, string message)
    {
        using HttpClient client = Clients.New();
        AmbientIdentity identity = Ambient(choice, client, name => name == "GITHUB_ACTIONS" ? gitHubActions : null);

        IdentityException no = await Assert.ThrowsExactlyAsync<IdentityException>(() => identity.GetAsync(test.CancellationToken));

        Assert.AreEqual(IdentityFailure.Missing, no.Failure);
        Assert.AreEqual(message, no.Message);
    }

    [TestMethod]
    public void Refuses_a_provider_it_does_not_know()
    {
        using HttpClient client = Clients.New();

        ArgumentException no = Assert.ThrowsExactly<ArgumentException>(() => Ambient("Auto", client, _ => null));

        Assert.Contains("auto, github-actions, buildkite, environment, file, google, spiffe, interactive or none expected", no.Message);
    }

    private static IdentityException AssertRefused(IdentityFailure failure, string jwt, Action action)
    {
        IdentityException no = Assert.ThrowsExactly<IdentityException>(action);
        Assert.AreEqual(failure, no.Failure);
        Tokens.AssertNotIn(no, jwt);
        return no;
    }

    private static JsonObject Person(string extra)
    {
        JsonObject claims = Tokens.GitHubClaims();
        claims["iss"] = "https://issuer.example";
        claims.Remove("job_workflow_ref");
        foreach ((string name, JsonNode? value) in JsonNode.Parse(extra)!.AsObject())
        {
            claims[name] = value?.DeepClone();
        }

        return claims;
    }

    private static AmbientIdentity Ambient(string choice, HttpClient client, Func<string, string?> environment) =>
        new(choice, client, Clients.UserAgent, environment);

    private static Func<string, string?> GitHub(Uri url) =>
        Variables(("ACTIONS_ID_TOKEN_REQUEST_URL", url.AbsoluteUri), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "canary-request-token"));

    private static Func<string, string?> Variables(params (string Name, string Value)[] variables) =>
        name => variables.FirstOrDefault(variable => variable.Name == name).Value;
}
