namespace Keyless.Sigstore;

/// <summary>A token that somebody put into <c>SIGSTORE_ID_TOKEN</c>, as GitLab's <c>id_tokens</c> and cosign's users do.</summary>
public sealed class EnvironmentIdentity(Func<string, string?> environment) : IIdentityProvider
{
    internal const string Variable = "SIGSTORE_ID_TOKEN";

    public string Name => "environment";

    public Task<IdentityToken?> GetAsync(CancellationToken cancel)
    {
        if (environment(Variable) is not { } value)
        {
            return Task.FromResult<IdentityToken?>(null);
        }

        string jwt = value.Trim();
        return jwt.Length > 0
            ? Task.FromResult<IdentityToken?>(IdentityToken.Parse(jwt, environment(GitHubActionsIdentity.ServerVariable)))
            : throw new IdentityException(IdentityFailure.Malformed, $"malformed identity token: {Variable} is set, but empty; set it to a token with audience \"sigstore\", or do not set it");
    }
}
