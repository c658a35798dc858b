namespace Keyless.Sigstore;

/// <summary>
/// A GitHub Actions job with <c>permissions: id-token: write</c>: the runner offers an endpoint that makes tokens
/// (docs.github.com, "OpenID Connect reference"). Enterprise Server has its own hosts and is its own issuer.
/// </summary>
/// <param name="client">Must not follow redirects.</param>
public sealed class GitHubActionsIdentity(HttpClient client, string userAgent, Func<string, string?> environment) : IIdentityProvider
{
    internal const string UrlVariable = "ACTIONS_ID_TOKEN_REQUEST_URL";
    internal const string TokenVariable = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
    internal const string ServerVariable = "GITHUB_SERVER_URL";

    public string Name => "github-actions";

    public bool IsHere => Unset is null;

    public string? Lacks => Unset is not { } unset ? null
        : environment("GITHUB_ACTIONS") == "true" ? $"{unset} is not set; the job lacks `id-token: write`"
        : $"{unset} is not set; SigstoreOidcProvider=github-actions works only in a GitHub Actions job with `id-token: write`";

    public bool IsGiven => false;

    private static TokenEndpoint Tokens { get; } = new("GitHub Actions");

    private string? Unset => environment(UrlVariable) is not { Length: > 0 } ? UrlVariable
        : environment(TokenVariable) is not { Length: > 0 } ? TokenVariable
        : null;

    public async Task<IdentityToken> GetAsync(string audience, CancellationToken cancel)
    {
        if (Lacks is { } lacks)
        {
            throw IdentityException.None(lacks);
        }

        Uri endpoint = Tokens.Endpoint(UrlVariable, environment(UrlVariable)!);
        string asked = $"audience={Uri.EscapeDataString(audience)}";
        var request = new Request("GitHub's token endpoint", HttpMethod.Get, new UriBuilder(endpoint)
        {
            Query = endpoint.Query.Length > 1 ? $"{endpoint.Query}&{asked}" : $"?{asked}",
            Fragment = "",
        }.Uri)
        {
            Bearer = Tokens.Header(TokenVariable, environment(TokenVariable)!),
            HidesPath = true,
        };
        return IdentityToken.Parse(await Tokens.AskAsync(client, userAgent, request, "value", cancel), environment(ServerVariable), audience);
    }
}
