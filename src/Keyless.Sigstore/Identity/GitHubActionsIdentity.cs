using System.Net;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>
/// A GitHub Actions job with <c>permissions: id-token: write</c>: the runner offers an endpoint that makes tokens
/// (docs.github.com, "OpenID Connect reference").
/// </summary>
/// <param name="client">Must not follow redirects.</param>
public sealed class GitHubActionsIdentity(HttpClient client, string userAgent, Func<string, string?> environment) : IIdentityProvider
{
    internal const string UrlVariable = "ACTIONS_ID_TOKEN_REQUEST_URL";
    internal const string TokenVariable = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
    internal const string ServerVariable = "GITHUB_SERVER_URL";

    public string Name => "github-actions";

    public async Task<IdentityToken?> GetAsync(CancellationToken cancel)
    {
        if (environment(UrlVariable) is not { Length: > 0 } url || environment(TokenVariable) is not { Length: > 0 } bearer)
        {
            return null;
        }

        // A header is one line; anything else would end it early.
        if (bearer.Any(c => c is <= ' ' or > '~'))
        {
            throw Failed($"{TokenVariable} is not a bearer token");
        }

        var request = new Request("GitHub's token endpoint", HttpMethod.Get, Endpoint(url)) { Bearer = bearer, HidesPath = true };
        return IdentityToken.Parse(await AskAsync(request, cancel), environment(ServerVariable));
    }

    private async Task<string> AskAsync(Request request, CancellationToken cancel)
    {
        try
        {
            Answer answer = (await new Http(client, userAgent).SendAsync(request, cancel)).MustBe(HttpStatusCode.OK);
            return answer.Read(json => JsonFields.Parse(json, "answer", request.AnswerBytes).RequiredText("value"));
        }
        catch (ServiceException e)
        {
            throw Failed(e.Message);
        }
    }

    // The address comes from the environment and gets a credential: https, or a runner on this machine. No check of its
    // host: Enterprise Server has its own.
    private static Uri Endpoint(string url)
    {
        if (!Uri.TryCreate(url, UriKind.Absolute, out Uri? endpoint)
            || !(endpoint.Scheme == Uri.UriSchemeHttps || (endpoint.Scheme == Uri.UriSchemeHttp && endpoint.IsLoopback)))
        {
            throw Failed($"{UrlVariable} is not an https URL");
        }

        string query = endpoint.Query.Length > 1 ? $"{endpoint.Query}&audience=sigstore" : "?audience=sigstore";
        return new UriBuilder(endpoint) { Query = query, Fragment = "" }.Uri;
    }

    private static IdentityException Failed(string what) => new(IdentityFailure.EndpointFailed, $"no identity token from GitHub Actions: {what}");
}
