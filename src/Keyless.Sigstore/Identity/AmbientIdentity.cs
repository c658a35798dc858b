using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>The identity of whatever runs the build: the first environment that knows itself.</summary>
public sealed class AmbientIdentity
{
    private readonly string choice;
    private readonly IReadOnlyList<IIdentityProvider> providers;
    private readonly Func<string, string?> environment;

    /// <param name="choice"><c>auto</c>, <c>github-actions</c>, <c>environment</c> or <c>none</c>.</param>
    /// <param name="client">Must not follow redirects.</param>
    /// <exception cref="ArgumentException">Another choice.</exception>
    public AmbientIdentity(string choice, HttpClient client, string userAgent, Func<string, string?> environment)
    {
        IIdentityProvider[] known = [new GitHubActionsIdentity(client, userAgent, environment), new EnvironmentIdentity(environment)];
        this.choice = choice;
        this.environment = environment;
        providers = choice switch
        {
            "auto" => known,
            "none" => [],
            _ when known.FirstOrDefault(provider => provider.Name == choice) is { } provider => [provider],
            _ => throw new ArgumentException($"auto, {string.Join(", ", known.Select(provider => provider.Name))} or none expected, \"{Shown.Of(choice)}\" found", nameof(choice)),
        };
    }

    /// <summary>A fresh token with each call, where the environment makes fresh ones.</summary>
    /// <exception cref="IdentityException">There is none, or no usable one.</exception>
    public async Task<IdentityToken> GetAsync(CancellationToken cancel)
    {
        foreach (IIdentityProvider provider in providers)
        {
            // The first that knows itself decides; to go on to the next after its failure could sign in another name.
            if (await provider.GetAsync(cancel) is { } token)
            {
                return token;
            }
        }

        throw new IdentityException(IdentityFailure.Missing, $"no identity token: {WhereWeLooked()}");
    }

    private string WhereWeLooked()
    {
        string gitHub = environment(GitHubActionsIdentity.UrlVariable) is { Length: > 0 } ? GitHubActionsIdentity.TokenVariable : GitHubActionsIdentity.UrlVariable;
        string own = $"{EnvironmentIdentity.Variable} is not set";
        bool looksAtGitHub = choice is "auto" or "github-actions";
        if (looksAtGitHub && environment("GITHUB_ACTIONS") == "true")
        {
            return $"{gitHub} is not set; the job lacks `id-token: write`";
        }

        return choice switch
        {
            "none" => "SigstoreOidcProvider is none",
            "github-actions" => $"{gitHub} is not set; SigstoreOidcProvider=github-actions works only in a GitHub Actions job with `id-token: write`",
            "environment" => $"{own}; put a token with audience \"sigstore\" there",
            _ => $"{gitHub} is not set (no GitHub Actions job with `id-token: write`), and {own}; put a token with audience \"sigstore\" there",
        };
    }
}
