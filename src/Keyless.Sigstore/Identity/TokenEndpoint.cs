using System.Net;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>An endpoint of a CI system that makes tokens for the job that shows its credential.</summary>
/// <param name="place">What the reader of the log calls the system.</param>
internal sealed class TokenEndpoint(string place)
{
    /// <summary>The token that stands in one member of the answer.</summary>
    /// <exception cref="IdentityException">None was given out.</exception>
    public async Task<string> AskAsync(HttpClient client, string userAgent, Request request, string member, CancellationToken cancel)
    {
        Answer answer = await AskAsync(client, userAgent, request, cancel);
        try
        {
            return answer.Read(json => JsonFields.Parse(json, "answer", request.AnswerBytes).RequiredText(member));
        }
        catch (ServiceException e)
        {
            throw Failed(e.Message);
        }
    }

    /// <exception cref="IdentityException">No answer, or another status than 200.</exception>
    public async Task<Answer> AskAsync(HttpClient client, string userAgent, Request request, CancellationToken cancel)
    {
        try
        {
            return (await new Http(client, userAgent).SendAsync(request, cancel)).MustBe(HttpStatusCode.OK);
        }
        catch (ServiceException e)
        {
            throw new IdentityException(IdentityFailure.EndpointFailed, Failed(e.Message).Message) { IsTransient = e.IsTransient, RetryAfter = e.RetryAfter };
        }
    }

    /// <summary>
    /// An address from the environment that gets a credential: https, or an agent on this machine. No check of its host: everybody
    /// may run a server of their own.
    /// </summary>
    public Uri Endpoint(string variable, string url, string path = "")
    {
        bool usable = Uri.TryCreate(url, UriKind.Absolute, out Uri? endpoint)
            && (endpoint.Scheme == Uri.UriSchemeHttps || (endpoint.Scheme == Uri.UriSchemeHttp && endpoint.IsLoopback));
        return !usable ? throw Failed($"{variable} is not an https URL")
            : path.Length == 0 ? endpoint!
            : new UriBuilder(endpoint!) { Path = endpoint!.AbsolutePath.TrimEnd('/') + path, Query = "", Fragment = "" }.Uri;
    }

    /// <summary>A header is one line; anything else would end it early.</summary>
    public string Header(string variable, string credential) =>
        credential.Any(c => c is <= ' ' or > '~') ? throw Failed($"{variable} is not a bearer token") : credential;

    public IdentityException Failed(string what) => new(IdentityFailure.EndpointFailed, $"no identity token from {place}: {what}");
}
