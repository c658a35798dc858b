using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Keyless.Sandbox;

/// <summary>How the registry finds out who asks.</summary>
public enum RegistryLogin
{
    /// <summary>Anybody may pull and push.</summary>
    None,

    /// <summary>User and password with every request (RFC 7617).</summary>
    Basic,

    /// <summary>A token of its token service, for one repository (distribution, "Token Authentication" and "OAuth2").</summary>
    Bearer,
}

/// <summary>Who asked the registry for what.</summary>
/// <param name="User">Empty where nobody, or nobody known, says so.</param>
public sealed record RegistryVisit(string User, string UserAgent, string Method, string Path);

/// <summary>Knows the registry's users, and gives out the tokens it accepts.</summary>
internal sealed class RegistryGate
{
    /// <summary>Where tokens are to be had.</summary>
    public const string TokenPath = "/oauth2/token";

    private readonly ConcurrentDictionary<string, (string User, string Scope)> tokens = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<RegistryVisit> visits = new();

    public RegistryLogin Login { get; init; }

    /// <summary>Passwords by user.</summary>
    public IReadOnlyDictionary<string, string> Users { get; init; } = new Dictionary<string, string>();

    /// <summary>Users by identity token, which the token service alone takes.</summary>
    public IReadOnlyDictionary<string, string> IdentityTokens { get; init; } = new Dictionary<string, string>();

    public IReadOnlyList<RegistryVisit> Visits => [.. visits];

    /// <exception cref="RegistryError">401, with the challenge in the answer's headers.</exception>
    public void Admit(HttpContext context, string repository)
    {
        HttpRequest request = context.Request;
        // distribution, "Token Scope Documentation": deleting is an action of its own.
        (string action, string asks) = request.Method switch
        {
            "GET" or "HEAD" => ("pull", "pull"),
            "DELETE" => ("delete", "delete"),
            _ => ("push", "pull,push"),
        };
        string? user = Login switch
        {
            RegistryLogin.Basic => Basic(request),
            RegistryLogin.Bearer => Bearer(request, repository, action),
            _ => "",
        };
        visits.Enqueue(new RegistryVisit(user ?? "", request.Headers.UserAgent.ToString(), request.Method, request.Path));
        if (user is null)
        {
            string scope = repository.Length == 0 ? "" : $",scope=\"repository:{repository}:{asks}\"";
            context.Response.Headers.WWWAuthenticate = Login == RegistryLogin.Basic
                ? "Basic realm=\"keyless sandbox\""
                : $"Bearer realm=\"{request.Scheme}://{request.Host}{TokenPath}\",service=\"{request.Host}\"{scope}";
            throw new RegistryError(401, "UNAUTHORIZED", "authentication required");
        }
    }

    /// <summary>GET with a password, POST with an identity token; whoever is not known gets none.</summary>
    /// <param name="alsoAsToken">Under both names a token has.</param>
    public async Task TokenAsync(HttpContext context, bool alsoAsToken)
    {
        HttpRequest request = context.Request;
        IFormCollection form = request.HasFormContentType ? await request.ReadFormAsync(context.RequestAborted) : FormCollection.Empty;
        string? user = form["grant_type"].ToString() switch
        {
            "" => Basic(request),
            "refresh_token" => IdentityTokens.GetValueOrDefault(form["refresh_token"].ToString()),
            _ => null,
        };
        visits.Enqueue(new RegistryVisit(user ?? "", request.Headers.UserAgent.ToString(), request.Method, request.Path));
        if (user is null)
        {
            context.Response.StatusCode = 401;
            return;
        }

        string token = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
        tokens[token] = (user, HttpMethods.IsPost(request.Method) ? form["scope"].ToString() : request.Query["scope"].ToString());
        var answer = new JsonObject { ["access_token"] = token, ["expires_in"] = 300 };
        if (alsoAsToken)
        {
            answer["token"] = token;
        }

        await context.Response.WriteJsonAsync(answer);
    }

    private string? Basic(HttpRequest request)
    {
        if (Credentials(request, "Basic ") is not { } pair)
        {
            return null;
        }

        byte[] bytes = new byte[pair.Length];
        string[] parts = Convert.TryFromBase64String(pair, bytes, out int length) ? Encoding.UTF8.GetString(bytes, 0, length).Split(':', 2) : [];
        return parts.Length == 2 && Users.TryGetValue(parts[0], out string? password) && password == parts[1] ? parts[0] : null;
    }

    /// <summary>A scope is <c>repository:NAME:pull,push</c>; without a repository (the ping) any token will do.</summary>
    private string? Bearer(HttpRequest request, string repository, string action) =>
        Credentials(request, "Bearer ") is { } token && tokens.TryGetValue(token, out (string User, string Scope) known)
        && (repository.Length == 0 || known.Scope.Split(' ').Any(scope => scope.Split(':') is ["repository", var name, var actions] && name == repository && actions.Split(',').Contains(action)))
            ? known.User
            : null;

    private static string? Credentials(HttpRequest request, string scheme) =>
        request.Headers.Authorization.ToString() is var header && header.StartsWith(scheme, StringComparison.OrdinalIgnoreCase) ? header[scheme.Length..] : null;
}
