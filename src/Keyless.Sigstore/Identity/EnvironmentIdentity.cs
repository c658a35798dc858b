namespace Keyless.Sigstore;

/// <summary>A token that somebody put into <c>SIGSTORE_ID_TOKEN</c>, as GitLab's <c>id_tokens</c> and cosign's users do.</summary>
public sealed class EnvironmentIdentity(Func<string, string?> environment) : IIdentityProvider
{
    internal const string Variable = "SIGSTORE_ID_TOKEN";

    public string Name => "environment";

    public bool IsHere => environment(Variable) is not null;

    public string? Lacks => IsHere ? null : $"{Variable} is not set; put a token with audience \"sigstore\" there";

    public bool IsGiven => true;

    public Task<IdentityToken> GetAsync(string audience, CancellationToken cancel)
    {
        string jwt = environment(Variable)?.Trim() ?? throw IdentityException.None(Lacks!);
        return jwt.Length > 0
            ? Task.FromResult(IdentityToken.Parse(jwt, environment(GitHubActionsIdentity.ServerVariable), audience: null))
            : throw new IdentityException(IdentityFailure.Malformed, $"malformed identity token: {Variable} is set, but empty; set it to a token with audience \"sigstore\", or do not set it");
    }
}
