using System.Buffers.Text;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Keyless.Sandbox.Tests;

[TestClass]
public sealed class OidcIssuerTests
{
    private SandboxHost sandbox = null!;

    public required TestContext TestContext { get; init; }

    private OidcIssuer Issuer => sandbox.Issuer;

    private CancellationToken Cancel => TestContext.CancellationToken;

    [TestInitialize]
    public async Task Start() => sandbox = await SandboxHost.StartAsync(cancel: Cancel);

    [TestCleanup]
    public async Task Stop() => await sandbox.DisposeAsync();

    [TestMethod]
    public async Task Gives_a_job_a_token_that_its_published_key_verifies()
    {
        using HttpResponseMessage answer = await AskAsync(Issuer.RequestToken, "&audience=sigstore");
        string token = (string)JsonNode.Parse(await answer.Content.ReadAsStringAsync(Cancel))!["value"]!;

        using var client = new HttpClient();
        JsonNode discovery = JsonNode.Parse(await client.GetStringAsync($"{Issuer.Url}/.well-known/openid-configuration", Cancel))!;
        JsonNode key = JsonNode.Parse(await client.GetStringAsync((string)discovery["jwks_uri"]!, Cancel))!["keys"]!.AsArray().Single()!;
        Assert.AreEqual(Issuer.Url, (string?)discovery["issuer"]);
        Assert.AreEqual(Issuer.Url, sandbox.IssuerServer.BaseUrl.ToString().TrimEnd('/'));

        string[] parts = token.Split('.');
        JsonNode header = JsonNode.Parse(Base64Url.DecodeFromChars(parts[0]))!;
        Assert.AreEqual(((string?)key["kid"], "ES256"), ((string?)header["kid"], (string?)header["alg"]));
        using ECDsa verifier = ECDsa.Create(new ECParameters
        {
            Curve = ECCurve.NamedCurves.nistP256,
            Q = new ECPoint { X = Base64Url.DecodeFromChars((string)key["x"]!), Y = Base64Url.DecodeFromChars((string)key["y"]!) },
        });
        Assert.IsTrue(verifier.VerifyData(Encoding.ASCII.GetBytes($"{parts[0]}.{parts[1]}"), Base64Url.DecodeFromChars(parts[2]), HashAlgorithmName.SHA256));
    }

    [TestMethod]
    public void A_token_carries_what_GitHub_says_of_a_job()
    {
        JsonObject claims = Issuer.Validate(Issuer.CreateToken());

        Assert.AreEqual(Issuer.Url, (string?)claims["iss"]);
        Assert.AreEqual("sigstore", (string?)claims["aud"]);
        Assert.AreEqual("repo:example-org/example-repo:ref:refs/heads/main", (string?)claims["sub"]);
        Assert.AreEqual("example-org/example-repo/.github/workflows/publish.yml@refs/heads/main", (string?)claims["job_workflow_ref"]);
        Assert.AreEqual("public", (string?)claims["repository_visibility"]);
        Assert.AreEqual(300, (long)claims["exp"]! - (long)claims["iat"]!);
        Assert.AreEqual("https://github.com/example-org/example-repo/.github/workflows/publish.yml@refs/heads/main", Issuer.CertificateIdentity);
    }

    [TestMethod]
    public void Claims_can_be_changed_for_all_tokens_and_for_one()
    {
        Issuer.Claims["repository"] = "example-org/other";

        JsonObject one = Issuer.Validate(Issuer.CreateToken(adjust: claims => claims["ref"] = "refs/tags/v1"));
        JsonObject next = Issuer.Validate(Issuer.CreateToken());

        Assert.AreEqual(("example-org/other", "refs/tags/v1"), ((string?)one["repository"], (string?)one["ref"]));
        Assert.AreEqual(("example-org/other", "refs/heads/main"), ((string?)next["repository"], (string?)next["ref"]));
        Assert.AreNotEqual((string?)one["jti"], (string?)next["jti"]);
    }

    [TestMethod]
    public async Task Without_an_audience_the_token_is_for_the_owner()
    {
        using HttpResponseMessage answer = await AskAsync(Issuer.RequestToken, "");
        string token = (string)JsonNode.Parse(await answer.Content.ReadAsStringAsync(Cancel))!["value"]!;

        Assert.AreEqual("https://github.com/example-org", (string?)JsonNode.Parse(Base64Url.DecodeFromChars(token.Split('.')[1]))!["aud"]);
        Refuses(token, "audience");
    }

    [TestMethod]
    public async Task Refuses_a_job_with_another_request_token()
    {
        using HttpResponseMessage answer = await AskAsync("not-" + Issuer.RequestToken, "&audience=sigstore");

        Assert.AreEqual(HttpStatusCode.Unauthorized, answer.StatusCode);
    }

    [TestMethod]
    public void Refuses_a_token_for_another_audience() => Refuses(Issuer.CreateToken("somebody-else"), "audience");

    [TestMethod]
    public void Refuses_a_token_of_another_issuer() => Refuses(Issuer.CreateToken(adjust: claims => claims["iss"] = "https://other.example"), "issuer");

    [TestMethod]
    public void Refuses_a_token_that_has_expired() => Refuses(Issuer.CreateToken(lifetime: TimeSpan.FromSeconds(-1)), "expired");

    [TestMethod]
    public void Refuses_a_token_from_the_future() =>
        Refuses(Issuer.CreateToken(adjust: claims => claims["nbf"] = DateTimeOffset.UtcNow.AddMinutes(2).ToUnixTimeSeconds()), "not valid yet");

    [TestMethod]
    public void Refuses_a_token_without_an_expiry() => Refuses(Issuer.CreateToken(adjust: claims => claims.Remove("exp")), "exp");

    [TestMethod]
    public void Refuses_an_expiry_that_is_no_number() => Refuses(Issuer.CreateToken(adjust: claims => claims["exp"] = "never"), "exp");

    [TestMethod]
    public async Task Refuses_a_token_of_another_sandbox()
    {
        await using SandboxHost other = await SandboxHost.StartAsync(cancel: Cancel);

        Refuses(other.Issuer.CreateToken(adjust: claims => claims["iss"] = Issuer.Url), "a key this issuer does not have");
    }

    [TestMethod]
    public void Refuses_changed_claims()
    {
        string[] parts = Issuer.CreateToken().Split('.');
        JsonNode claims = JsonNode.Parse(Base64Url.DecodeFromChars(parts[1]))!;
        claims["repository"] = "example-org/victim";
        parts[1] = Base64Url.EncodeToString(Encoding.UTF8.GetBytes(claims.ToJsonString()));

        Refuses(string.Join('.', parts), "signature");
    }

    [TestMethod]
    public void Refuses_a_token_that_claims_to_need_no_signature()
    {
        string[] parts = Issuer.CreateToken().Split('.');
        JsonNode header = JsonNode.Parse(Base64Url.DecodeFromChars(parts[0]))!;
        header["alg"] = "none";

        Refuses($"{Base64Url.EncodeToString(Encoding.UTF8.GetBytes(header.ToJsonString()))}.{parts[1]}.", "algorithm");
    }

    [TestMethod]
    [DataRow("")]
    [DataRow("one.two")]
    [DataRow("!.!.!")]
    [DataRow("e30.e30.e30.e30")]
    public void Refuses_what_is_no_token(string text) => Assert.ThrowsExactly<FormatException>(() => Issuer.Validate(text));

    private void Refuses(string token, string why)
    {
        FormatException no = Assert.ThrowsExactly<FormatException>(() => Issuer.Validate(token));
        StringAssert.Contains(no.Message, why, StringComparison.Ordinal);
        Assert.IsFalse(no.Message.Contains(token, StringComparison.Ordinal), "the message repeats the token");
    }

    private async Task<HttpResponseMessage> AskAsync(string requestToken, string audience)
    {
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get, Issuer.RequestUrl + audience);
        request.Headers.Authorization = new AuthenticationHeaderValue("bearer", requestToken);
        return await client.SendAsync(request, Cancel);
    }
}
