using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Keyless.Sigstore;

/// <summary>
/// A job of Buildkite: its agent's API makes tokens for it, <c>POST {endpoint}/jobs/{job}/oidc/tokens</c> with
/// <c>Authorization: Token …</c> (buildkite.com/docs/agent/v3/cli-oidc; agent 3.41 and newer ask the same).
/// </summary>
/// <param name="client">Must not follow redirects.</param>
public sealed class BuildkiteIdentity(HttpClient client, string userAgent, Func<string, string?> environment) : IIdentityProvider
{
    private const string TokenVariable = "BUILDKITE_AGENT_ACCESS_TOKEN";
    private const string JobVariable = "BUILDKITE_JOB_ID";
    private const string EndpointVariable = "BUILDKITE_AGENT_ENDPOINT";
    private const string DefaultEndpoint = "https://agent.buildkite.com/v3";

    public string Name => "buildkite";

    public bool IsHere => environment(TokenVariable) is { Length: > 0 };

    public string? Lacks =>
        !IsHere ? $"{TokenVariable} is not set; Buildkite's agent sets it for the commands of a job, and a container in it must be given it"
        : environment(JobVariable) is not { Length: > 0 } ? $"{JobVariable} is not set; Buildkite's agent sets it for the commands of a job, and a container in it must be given it"
        : null;

    public bool IsGiven => false;

    public async Task<IdentityToken> GetAsync(string audience, CancellationToken cancel)
    {
        if (Lacks is { } lacks)
        {
            throw IdentityException.None(lacks);
        }

        string job = environment(JobVariable)!;
        if (!job.All(c => char.IsAsciiLetterOrDigit(c) || c == '-'))
        {
            throw Tokens.Failed($"{JobVariable} is not a job's id");
        }

        var request = new Request("Buildkite's agent API", HttpMethod.Post, Tokens.Endpoint(EndpointVariable, environment(EndpointVariable) is { Length: > 0 } set ? set : DefaultEndpoint, $"/jobs/{job}/oidc/tokens"))
        {
            AuthorizationScheme = "Token",
            Bearer = Tokens.Header(TokenVariable, environment(TokenVariable)!),
            ContentType = "application/json",
            Body = Encoding.UTF8.GetBytes($$"""{"audience":"{{JsonEncodedText.Encode(audience, JavaScriptEncoder.Default)}}"}"""),
        };
        return IdentityToken.Parse(await Tokens.AskAsync(client, userAgent, request, "token", cancel), null, audience);
    }

    private static TokenEndpoint Tokens { get; } = new("Buildkite");
}
