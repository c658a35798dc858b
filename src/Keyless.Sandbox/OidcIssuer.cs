using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Keyless.Sandbox;

/// <summary>
/// An OpenID Connect issuer that gives out what a job of GitHub Actions would get: discovery, JWKS, and GitHub's endpoint
/// <c>GET {url}&amp;audience=…</c> with <c>Authorization: bearer …</c>, answered with <c>{"value":"JWT"}</c>. Tokens are signed with ES256.
/// </summary>
public sealed class OidcIssuer : IDisposable
{
    /// <summary>The audience Fulcio asks for.</summary>
    internal const string Sigstore = "sigstore";

    /// <summary>Paths of all issuers that are played here; the first is GitHub's.</summary>
    internal static readonly string[] Issuers = ["", OidcPlaces.EnterpriseServerPath, Keyless.Sandbox.Dex.Path, "/buildkite", "/gitlab", "/google", "/kubernetes", "/spiffe"];

    /// <summary>GitHub's tokens live this long.</summary>
    private static readonly TimeSpan DefaultLifetime = TimeSpan.FromMinutes(5);

    private readonly TimeProvider time;
    private readonly ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly JsonObject jwk;
    private readonly string keyId;
    private Uri? url;

    public OidcIssuer(TimeProvider time)
    {
        this.time = time;
        Places = new OidcPlaces(this);
        Dex = new Dex(this);
        ECParameters point = key.ExportParameters(includePrivateParameters: false);
        string x = Base64Url.EncodeToString(point.Q.X), y = Base64Url.EncodeToString(point.Q.Y);
        // RFC 7638 §3: the thumbprint is over exactly these members in this order.
        keyId = Base64Url.EncodeToString(SHA256.HashData(Encoding.UTF8.GetBytes($$"""{"crv":"P-256","kty":"EC","x":"{{x}}","y":"{{y}}"}""")));
        jwk = new JsonObject { ["kty"] = "EC", ["crv"] = "P-256", ["x"] = x, ["y"] = y, ["use"] = "sig", ["alg"] = "ES256", ["kid"] = keyId };
    }

    /// <summary>The issuer as it stands in tokens and certificates: the server's base URL, without a slash at its end.</summary>
    public string Url => url?.GetLeftPart(UriPartial.Authority) ?? throw new InvalidOperationException("the issuer has no address before its server runs");

    /// <summary>What a job reads from <c>ACTIONS_ID_TOKEN_REQUEST_URL</c>; like GitHub's it has a query already.</summary>
    public string RequestUrl => $"{Url}/github/token?api-version=2.0";

    /// <summary>What a job reads from <c>ACTIONS_ID_TOKEN_REQUEST_TOKEN</c>.</summary>
    public string RequestToken { get; } = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));

    /// <summary>
    /// The claims of the next tokens, without those that are made anew for each (<c>iss</c>, <c>aud</c>, <c>jti</c>, <c>iat</c>, <c>nbf</c>, <c>exp</c>).
    /// Change them before a run, not during one; for one token use <see cref="CreateToken"/>.
    /// </summary>
    public JsonObject Claims { get; } = GitHubClaims("example-org", "example-repo", ".github/workflows/publish.yml", "refs/heads/main");

    /// <summary>The audience that this world's Fulcio asks for; a private one may ask for another than the public instances.</summary>
    public string FulcioAudience { get; set; } = Sigstore;

    /// <summary>Issuers that are not GitHub's cloud.</summary>
    public OidcPlaces Places { get; }

    /// <summary>Where people log in.</summary>
    public Dex Dex { get; }

    /// <summary>The subject alternative name that Fulcio writes for <see cref="Claims"/>.</summary>
    public string CertificateIdentity => $"https://github.com/{(string?)Claims["job_workflow_ref"]}";

    /// <param name="adjust">Changes the finished claims of this token, the times included.</param>
    /// <param name="lifetime">Five minutes if not given; may be negative for a token that has expired.</param>
    /// <returns>A JWT in JWS compact serialization (RFC 7515 §3.1).</returns>
    public string CreateToken(string audience = Sigstore, Action<JsonObject>? adjust = null, TimeSpan? lifetime = null) =>
        Sign("", Claims.DeepClone().AsObject(), audience, lifetime, adjust);

    /// <param name="path">Of the issuer behind <see cref="Url"/>; empty for GitHub's.</param>
    /// <param name="claims">All but those that each token has.</param>
    internal string Sign(string path, JsonObject claims, string audience, TimeSpan? lifetime, Action<JsonObject>? adjust = null)
    {
        DateTimeOffset now = time.GetUtcNow();
        DateTimeOffset expiry = now + (lifetime ?? DefaultLifetime);
        DateTimeOffset issued = expiry < now ? expiry - DefaultLifetime : now;

        claims["iss"] = $"{Url}{path}";
        claims["aud"] = audience;
        claims["jti"] = Guid.NewGuid().ToString();
        claims["iat"] = issued.ToUnixTimeSeconds();
        claims["nbf"] = issued.ToUnixTimeSeconds();
        claims["exp"] = expiry.ToUnixTimeSeconds();
        adjust?.Invoke(claims);

        var header = new JsonObject { ["typ"] = "JWT", ["alg"] = "ES256", ["kid"] = keyId };
        string signed = $"{Encode(header)}.{Encode(claims)}";
        // RFC 7518 §3.4: r and s side by side, not DER.
        byte[] signature = key.SignData(Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
        return $"{signed}.{Base64Url.EncodeToString(signature)}";
    }

    /// <summary>Reads a token as Fulcio does: signature, issuer, audience, times.</summary>
    /// <returns>The claims of a token that is good now.</returns>
    /// <exception cref="FormatException">It is not; the message says why, and never repeats the token.</exception>
    public JsonObject Validate(string token)
    {
        if (token.Split('.') is not [var header, var payload, var signature])
        {
            throw new FormatException("the token is not a JWS of three parts");
        }

        JsonObject head = Decode(header, "header");
        Require(Text(head["alg"]) == "ES256", "the token's algorithm is not ES256");
        Require(Text(head["kid"]) == keyId, "the token names a key this issuer does not have");
        Require(
            key.VerifyData(Encoding.ASCII.GetBytes($"{header}.{payload}"), Bytes(signature, "signature"), HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation),
            "the token's signature is not this issuer's");

        JsonObject claims = Decode(payload, "payload");
        string[] audiences = [.. (claims["aud"] is JsonArray several ? [.. several] : new[] { claims["aud"] }).Select(Text).OfType<string>()];
        long now = time.GetUtcNow().ToUnixTimeSeconds();
        Require(Issuers.Any(path => Text(claims["iss"]) == $"{Url}{path}"), $"the token's issuer is '{Text(claims["iss"])}', expected '{Url}'");
        Require(audiences.Contains(FulcioAudience, StringComparer.Ordinal), $"the token's audience is '{string.Join(' ', audiences)}', expected '{FulcioAudience}'");
        Require(Seconds(claims["nbf"]) <= now, "the token is not valid yet, or has no 'nbf'");
        Require(Seconds(claims["exp"]) > now, "the token has expired, or has no 'exp'");
        return claims;
    }

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/.well-known/openid-configuration", context => context.Response.WriteJsonAsync(new JsonObject
        {
            ["issuer"] = Url,
            ["jwks_uri"] = $"{Url}/.well-known/jwks",
            ["subject_types_supported"] = new JsonArray("public", "pairwise"),
            ["response_types_supported"] = new JsonArray("id_token"),
            ["claims_supported"] = new JsonArray([.. Claims.Select(claim => claim.Key).Concat(["iss", "aud", "jti", "iat", "nbf", "exp"]).Select(name => JsonValue.Create(name))]),
            ["id_token_signing_alg_values_supported"] = new JsonArray("ES256"),
            ["scopes_supported"] = new JsonArray("openid"),
        }));
        routes.MapGet("/.well-known/jwks", context => context.Response.WriteJsonAsync(Keys()));
        routes.MapGet("/github/token", context => AnswerJobAsync(context, audience => TokenFor(audience, context.Lie<IssuerLie>())));
        Places.Map(routes);
        Dex.Map(routes);
    }

    public void Dispose() => key.Dispose();

    internal JsonObject Keys() => new() { ["keys"] = new JsonArray(jwk.DeepClone()) };

    /// <summary>Told by whoever starts the server: only then is the port known.</summary>
    internal void RunsAt(Uri baseUrl) => url = baseUrl;

    /// <summary>GitHub's endpoint for the tokens of a job.</summary>
    internal Task AnswerJobAsync(HttpContext context, Func<string, string> create)
    {
        if (!IsRequestToken(context.Request.Headers.Authorization.ToString()))
        {
            context.Response.StatusCode = StatusCodes.Status401Unauthorized;
            return context.Response.WriteJsonAsync(new JsonObject { ["message"] = "the bearer token is not this job's ACTIONS_ID_TOKEN_REQUEST_TOKEN" });
        }
        // GitHub's default audience is the URL of the repository's owner.
        string audience = context.Request.Query["audience"].ToString() is { Length: > 0 } asked ? asked : $"https://github.com/{(string?)Claims["repository_owner"]}";
        return context.Response.WriteJsonAsync(new JsonObject { ["value"] = create(audience) });
    }

    private string TokenFor(string audience, IssuerLie? lie) => lie switch
    {
        IssuerLie.OtherAudience => CreateToken($"not-{audience}"),
        IssuerLie.Expired => CreateToken(audience, lifetime: TimeSpan.FromMinutes(-1)),
        IssuerLie.OtherIdentity => Sign("", SomebodyElse(), audience, lifetime: null),
        _ => CreateToken(audience),
    };

    private bool IsRequestToken(string authorization) =>
        authorization.Split(' ', 2) is [var scheme, var token]
        && scheme.Equals("bearer", StringComparison.OrdinalIgnoreCase)
        && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(token), Encoding.UTF8.GetBytes(RequestToken));

    /// <summary>The claims of a workflow that no test signs with.</summary>
    internal static JsonObject SomebodyElse() => GitHubClaims("other-org", "other-repo", ".github/workflows/publish.yml", "refs/heads/main");

    private static JsonObject GitHubClaims(string owner, string name, string workflow, string reference)
    {
        string repository = $"{owner}/{name}", file = $"{repository}/{workflow}@{reference}";
        string commit = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(file)))[..40];
        return new JsonObject
        {
            ["sub"] = $"repo:{repository}:ref:{reference}",
            ["repository"] = repository,
            ["repository_id"] = "100000001",
            ["repository_owner"] = owner,
            ["repository_owner_id"] = "100000002",
            ["repository_visibility"] = "public",
            ["ref"] = reference,
            ["ref_type"] = "branch",
            ["ref_protected"] = "true",
            ["head_ref"] = "",
            ["base_ref"] = "",
            ["sha"] = commit,
            ["workflow"] = "publish",
            ["workflow_ref"] = file,
            ["workflow_sha"] = commit,
            ["job_workflow_ref"] = file,
            ["job_workflow_sha"] = commit,
            ["event_name"] = "push",
            ["actor"] = "example-user",
            ["actor_id"] = "100000003",
            ["run_id"] = "1000000001",
            ["run_number"] = "1",
            ["run_attempt"] = "1",
            ["runner_environment"] = "github-hosted",
        };
    }

    private static string Encode(JsonObject part) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(part.ToJsonString()));

    private static byte[] Bytes(string part, string name)
    {
        try
        {
            return Base64Url.DecodeFromChars(part);
        }
        catch (FormatException)
        {
            throw new FormatException($"the token's {name} is not base64url");
        }
    }

    private static JsonObject Decode(string part, string name)
    {
        try
        {
            var once = new JsonDocumentOptions { AllowDuplicateProperties = false };
            return JsonNode.Parse(Bytes(part, name), documentOptions: once) as JsonObject ?? throw new FormatException($"the token's {name} is not a JSON object");
        }
        catch (JsonException)
        {
            throw new FormatException($"the token's {name} is not JSON");
        }
    }

    private static string? Text(JsonNode? claim) => claim is JsonValue value && value.TryGetValue(out string? text) ? text : null;

    private static long? Seconds(JsonNode? claim) => claim is JsonValue value && value.TryGetValue(out long seconds) ? seconds : null;

    private static void Require(bool holds, string otherwise)
    {
        if (!holds)
        {
            throw new FormatException(otherwise);
        }
    }
}
