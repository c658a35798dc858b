using System.Text.Json;
using Keyless.Sigstore;

namespace Keyless.MSBuild;

/// <summary>
/// Whether this build signs. <c>SignContainer=auto</c> signs where a CI system gives an identity and says why not elsewhere; only the
/// environment decides, never a probe of the network.
/// </summary>
internal sealed class SigningOccasion
{
    /// <summary>GitHub's largest event payloads stay below; its webhooks are capped at 25 MB.</summary>
    private const long LargestEvent = 25 * 1024 * 1024;

    private readonly IdentityToken? token;

    private SigningOccasion(string? whyNot, IdentityToken? token) => (WhyNot, this.token) = (whyNot, token);

    /// <summary>Null where it signs.</summary>
    public string? WhyNot { get; }

    /// <summary>A token that is already there is looked at before anything is pushed; one that an endpoint makes is fresh anyway.</summary>
    /// <param name="acceptPublicLog">The user agrees that an identity that may be private becomes public.</param>
    /// <exception cref="IdentityException">It has expired, or is about to, or nobody has agreed that it becomes public.</exception>
    public void MustBeUsable(DateTimeOffset now, TrustedRoot root, bool acceptPublicLog)
    {
        token?.MustBeUsableAt(now);
        if (token is not null && !acceptPublicLog)
        {
            PublicRecord.MustBePublic(token, root);
        }
    }

    /// <param name="provider">The value of <c>SigstoreOidcProvider</c>.</param>
    /// <exception cref="IdentityException">It should sign and there is nobody to sign as.</exception>
    public static SigningOccasion Find(string signContainer, string provider, Func<string, string?> environment)
    {
        bool github = provider is "auto" or "github-actions";
        bool token = provider is "auto" or "environment";
        if (github && Has(environment, "ACTIONS_ID_TOKEN_REQUEST_URL") && Has(environment, "ACTIONS_ID_TOKEN_REQUEST_TOKEN"))
        {
            return new SigningOccasion(null, null);
        }

        if (token && environment("SIGSTORE_ID_TOKEN") is { Length: > 0 } jwt)
        {
            return new SigningOccasion(null, IdentityToken.Parse(jwt.Trim(), environment("GITHUB_SERVER_URL")));
        }

        bool inGitHub = github && environment("GITHUB_ACTIONS") == "true";
        string? pullRequest = inGitHub ? PullRequestWithoutIdentity(environment) : null;
        if (signContainer == "auto" && (!inGitHub || pullRequest is not null))
        {
            string whyNot = pullRequest is not null ? $"{pullRequest} gets no identity" : "this is no CI system that gives an identity, and SIGSTORE_ID_TOKEN is not set";
            return new SigningOccasion(whyNot, null);
        }

        string missing = (github, token) switch
        {
            (true, true) => inGitHub ? Unset(environment) : "neither ACTIONS_ID_TOKEN_REQUEST_URL (GitHub Actions) nor SIGSTORE_ID_TOKEN is set",
            (true, false) => $"SigstoreOidcProvider is 'github-actions' and {Unset(environment)}",
            (false, true) => "SigstoreOidcProvider is 'environment' and SIGSTORE_ID_TOKEN is not set",
            _ => $"SigstoreOidcProvider is '{provider}'",
        };
        string cure = pullRequest is not null ? $"{pullRequest} gets no identity, use SignContainer=auto there"
            : inGitHub ? "the job lacks `id-token: write`; write permissions: { contents: read, packages: write, id-token: write }, and grant them in the caller of a reusable workflow too"
            : "sign in CI, or set SIGSTORE_ID_TOKEN for the step that publishes";
        throw new IdentityException(IdentityFailure.Missing, $"no identity token: {missing}; {cure}");
    }

    private static string Unset(Func<string, string?> environment) =>
        $"{(Has(environment, "ACTIONS_ID_TOKEN_REQUEST_URL") ? "ACTIONS_ID_TOKEN_REQUEST_TOKEN" : "ACTIONS_ID_TOKEN_REQUEST_URL")} is not set";

    private static bool Has(Func<string, string?> environment, string name) => !string.IsNullOrEmpty(environment(name));

    /// <summary>GitHub gives no write permission, and so no identity, to what comes from outside the repository.</summary>
    private static string? PullRequestWithoutIdentity(Func<string, string?> environment)
    {
        if (environment("GITHUB_ACTOR") == "dependabot[bot]")
        {
            return "a run that Dependabot started";
        }

        if (environment("GITHUB_EVENT_NAME") != "pull_request" || environment("GITHUB_EVENT_PATH") is not { Length: > 0 } path)
        {
            return null;
        }

        try
        {
            if (new FileInfo(path) is not { Exists: true, Length: <= LargestEvent })
            {
                return null;
            }

            using JsonDocument payload = JsonDocument.Parse(File.ReadAllBytes(path));
            JsonElement at = payload.RootElement;
            foreach (string name in new[] { "pull_request", "head", "repo", "full_name" })
            {
                if (at.ValueKind != JsonValueKind.Object || !at.TryGetProperty(name, out at))
                {
                    return null;
                }
            }
            // Without a repository of its own the head was deleted: also a fork, but then full_name is not there.
            return at.ValueKind == JsonValueKind.String && !string.Equals(at.GetString(), environment("GITHUB_REPOSITORY"), StringComparison.OrdinalIgnoreCase)
                ? "a pull request from a fork"
                : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            // Then it counts as the repository's own, and a missing permission is an error.
            return null;
        }
    }
}
