using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Keyless.Sandbox;

/// <summary>
/// The login of a public instance: an issuer at <c>/auth</c> where people are authenticated by somebody else and tokens say by whom
/// (<c>federated_claims.connector_id</c>). Everybody who comes is <see cref="Email"/>; code with PKCE, and device code.
/// </summary>
public sealed class Dex(OidcIssuer issuer)
{
    internal const string Path = "/auth";
    private const string Client = "sigstore";

    private readonly ConcurrentDictionary<string, Login> codes = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, Login> devices = new(StringComparer.Ordinal);

    /// <summary>Who has logged in.</summary>
    public string Email { get; set; } = "person@example.com";

    /// <summary>Who says so; null: this issuer itself.</summary>
    public string? Connector { get; set; } = "https://accounts.example/login";

    /// <summary>Changes the claims of the next tokens.</summary>
    public Action<JsonObject>? Adjust { get; set; }

    public string Url => issuer.Url + Path;

    /// <summary>Somebody types the code that is shown.</summary>
    /// <returns>Whether a device waits for it.</returns>
    public bool Approve(string userCode)
    {
        Login? login = devices.Values.FirstOrDefault(one => one.UserCode == userCode);
        return login is not null && (login.Approved = true);
    }

    internal void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet($"{Path}/.well-known/openid-configuration", context => context.Response.WriteJsonAsync(new JsonObject
        {
            ["issuer"] = Url,
            ["authorization_endpoint"] = $"{Url}/auth",
            ["token_endpoint"] = $"{Url}/token",
            ["device_authorization_endpoint"] = $"{Url}/device/code",
            ["jwks_uri"] = $"{Url}/keys",
            ["response_types_supported"] = new JsonArray("code"),
            ["subject_types_supported"] = new JsonArray("public"),
            ["code_challenge_methods_supported"] = new JsonArray("S256"),
            ["id_token_signing_alg_values_supported"] = new JsonArray("ES256"),
            ["scopes_supported"] = new JsonArray("openid", "email"),
        }));
        routes.MapGet($"{Path}/keys", context => context.Response.WriteJsonAsync(issuer.Keys()));
        routes.MapGet($"{Path}/auth", Authorize);
        routes.MapPost($"{Path}/device/code", DeviceAsync);
        routes.MapPost($"{Path}/token", TokenAsync);
    }

    private IResult Authorize(HttpRequest request)
    {
        string Query(string name) => request.Query[name].ToString();
        bool right = Query("client_id") == Client && Query("response_type") == "code" && Query("scope") == "openid email"
            && Query("state").Length > 0 && Query("code_challenge_method") == "S256" && Query("code_challenge").Length == 43
            && Uri.TryCreate(Query("redirect_uri"), UriKind.Absolute, out Uri? redirect) && redirect is { Scheme: "http", Host: "localhost", AbsolutePath: "/auth/callback" };
        if (!right)
        {
            return Results.BadRequest("not the request of a Sigstore client");
        }

        string code = Random();
        codes[code] = new Login(Query("code_challenge"), Query("nonce"), Query("redirect_uri"), "");
        return Results.Redirect($"{Query("redirect_uri")}?code={code}&state={Uri.EscapeDataString(Query("state"))}");
    }

    private async Task DeviceAsync(HttpContext context)
    {
        IFormCollection form = await context.Request.ReadFormAsync(context.RequestAborted);
        if (form["client_id"] != Client || form["code_challenge_method"] != "S256")
        {
            await RefuseAsync(context, "invalid_request");
            return;
        }

        string device = Random(), user = Random()[..8].ToUpperInvariant();
        devices[device] = new Login(form["code_challenge"].ToString(), "", "", user);
        await context.Response.WriteJsonAsync(new JsonObject
        {
            ["device_code"] = device,
            ["user_code"] = user,
            ["verification_uri"] = $"{Url}/device",
            ["expires_in"] = 300,
            ["interval"] = 1,
        });
    }

    private async Task TokenAsync(HttpContext context)
    {
        IFormCollection form = await context.Request.ReadFormAsync(context.RequestAborted);
        bool isDevice = form["grant_type"] == "urn:ietf:params:oauth:grant-type:device_code";
        Login? login = isDevice ? devices.GetValueOrDefault(form["device_code"].ToString())
            : codes.TryRemove(form["code"].ToString(), out Login? once) ? once : null;
        if (isDevice && login is { Approved: false })
        {
            await RefuseAsync(context, "authorization_pending");
            return;
        }

        // RFC 7636 §4.6.
        string challenge = Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(form["code_verifier"].ToString())));
        if (login is null || challenge != login.Challenge || (!isDevice && form["redirect_uri"] != login.Redirect))
        {
            await RefuseAsync(context, "invalid_grant");
            return;
        }

        await context.Response.WriteJsonAsync(new JsonObject
        {
            ["access_token"] = Random(),
            ["token_type"] = "bearer",
            ["expires_in"] = 60,
            ["id_token"] = issuer.Sign(Path, Claims(login.Nonce), Client, TimeSpan.FromMinutes(1) + TimeSpan.FromSeconds(30), Adjust),
        });
    }

    private JsonObject Claims(string nonce)
    {
        var claims = new JsonObject { ["sub"] = "CgY3NzEyMzQSBmdpdGh1Yg", ["email"] = Email, ["email_verified"] = true };
        if (nonce.Length > 0)
        {
            claims["nonce"] = nonce;
        }

        if (Connector is { } connector)
        {
            claims["federated_claims"] = new JsonObject { ["connector_id"] = connector, ["user_id"] = "771234" };
        }

        return claims;
    }

    private static Task RefuseAsync(HttpContext context, string error)
    {
        context.Response.StatusCode = StatusCodes.Status400BadRequest;
        return context.Response.WriteJsonAsync(new JsonObject { ["error"] = error });
    }

    private static string Random() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));

    private sealed record Login(string Challenge, string Nonce, string Redirect, string UserCode)
    {
        public bool Approved { get; set; }
    }
}
