using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>
/// What signing makes public for ever, and for whom somebody has to agree to that first. CT logs publish a certificate when it is
/// issued, so the question comes before Fulcio is asked.
/// </summary>
public static class PublicRecord
{
    // Rekor and CT logs of the public-good instance (trusted root as of 2026-11) and CT logs of staging; keys decide, so that a
    // trusted root does not become private by being copied under another name.
    private static readonly string[] PublicLogs =
    [
        "wNI9atQGlz+VWfO6LRygH4QUfY/8W4RFwiT5i5WRgB0=",
        "zxGZFVvd0FEmjR8WrFwMdcAJ9vtaY/QXf44Y1wUeP6A=",
        "CGCS8ChS/2hF0dFrJ4ScRWcYrBY9wzjSbea8IgY2b3I=",
        "3T0wasbHETJjGR4cmWc3AqJKXrjePK3/h4pygC8p7o4=",
        "Fjj7Zk5I004nmb83WUyHasaCMoUO4fuTnFybtSxevIc=",
        "PmBxU3RuGJLgkLI2sUl2Jy9ntE1vks5vdxFKtyKgprY=",
    ];

    // New shards of the public instances appear under these domains before this list knows their keys.
    private static readonly string[] PublicDomains = [".sigstore.dev", ".sigstage.dev"];

    /// <summary>Whether what is signed under this trusted root goes into a log of a public instance.</summary>
    public static bool IsKeptFor(TrustedRoot root) => root.Logs.Concat(root.CertificateLogs).Any(log => IsPublic(log, PublicDomains));

    /// <summary>
    /// Whether these are the logs of the public-good instance and no others, wherever the trusted root came from: what cosign and its like trust
    /// without being told. The logs that staging shares with it are CT logs.
    /// </summary>
    public static bool IsPublicGood(TrustedRoot root) => root.Logs.Count > 0 && root.Logs.All(log => IsPublic(log, PublicDomains[..1]));

    private static bool IsPublic(TransparencyLog log, string[] domains) =>
        PublicLogs.Contains(Convert.ToBase64String(log.LogId), StringComparer.Ordinal)
        || domains.Any(domain => ("." + log.Host).EndsWith(domain, StringComparison.OrdinalIgnoreCase));

    /// <summary>
    /// Public are the identities of public repositories; of everything else (private and internal repositories, CI systems that
    /// do not say, people) the user decides.
    /// </summary>
    /// <exception cref="IdentityException">It may be private; the message says what exactly would become public.</exception>
    public static void MustBePublic(IdentityToken token, TrustedRoot root) => MustBePublic(token.Claim, token.ExpectedSubject, root);

    /// <summary>
    /// The same of a GitHub job before it has a token, from the event that started it. The name of a reusable workflow, which the
    /// certificate would carry, is not among what is known then.
    /// </summary>
    /// <exception cref="IdentityException">The repository is known not to be public.</exception>
    public static void MustBePublic(CiSystem system, TrustedRoot root)
    {
        if (system.Visibility is not null)
        {
            MustBePublic(system.Claim, system.Subject, root);
        }
    }

    private static void MustBePublic(Func<string, string?> claim, string? subject, TrustedRoot root)
    {
        string? visibility = claim("repository_visibility") ?? claim("project_visibility");
        if (visibility == "public" || !IsKeptFor(root))
        {
            return;
        }

        string why = visibility is not null ? $"the repository is {Shown.Of(visibility)}"
            : claim("email") is not null ? "it is a person's"
            : "the token does not say that its repository is public";
        string[] published = [.. WouldBecomePublic(claim, subject).Where(value => !string.IsNullOrEmpty(value)).Distinct().Select(value => Shown.Of(value!))];
        throw new IdentityException(
            IdentityFailure.MayBePrivate,
            $"the identity may be private ({why}), and these would be public for ever: {string.Join(", ", published)}");
    }

    // Subject alternative name and Fulcio's extensions .5, .12, .16, .18, .21 (fulcio, docs/oid-info.md).
    private static IEnumerable<string?> WouldBecomePublic(Func<string, string?> claim, string? subject)
    {
        string? server = Uri.TryCreate(subject, UriKind.Absolute, out Uri? uri) ? uri.GetComponents(UriComponents.SchemeAndServer, UriFormat.UriEscaped) : null;
        string? repository = claim("repository");
        yield return subject ?? claim("sub");
        yield return repository ?? claim("project_path");
        if (server is not null && repository is not null)
        {
            yield return $"{server}/{repository}";
            yield return claim("repository_owner") is { } owner ? $"{server}/{owner}" : null;
            yield return claim("workflow_ref") is { } workflow ? $"{server}/{workflow}" : null;
            yield return claim("run_id") is { } run ? $"{server}/{repository}/actions/runs/{run}/attempts/{claim("run_attempt") ?? "1"}" : null;
        }

        yield return claim("email");
    }
}
