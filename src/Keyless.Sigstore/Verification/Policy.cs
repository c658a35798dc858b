using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>
/// Whom to accept, and what they must have said. A policy names the subject and the issuer, or a GitHub repository; one that
/// names nobody cannot be made.
/// </summary>
public sealed class Policy
{
    private readonly TextMatch? subject;
    private readonly TextMatch issuer;
    private readonly GitHubIdentity? gitHub;
    private readonly string predicateType;
    private readonly IReadOnlyDictionary<string, string> annotations;

    /// <param name="subject">May be null only where <paramref name="gitHub"/> names a repository.</param>
    /// <param name="issuer">May be null only beside <paramref name="gitHub"/> of github.com: it is GitHub's then.</param>
    /// <exception cref="ArgumentException">It names nobody; the message is fit for the user.</exception>
    public Policy(TextMatch? subject, TextMatch? issuer, GitHubIdentity? gitHub, string predicateType, IReadOnlyDictionary<string, string>? annotations = null)
    {
        if (subject is null && gitHub?.Repository is null)
        {
            throw new ArgumentException("it does not say who may sign: CertificateIdentity with CertificateOidcIssuer, or GitHubRepository, is needed");
        }

        bool publicGitHub = gitHub?.Repository is not null && gitHub.ServerUrl == "https://github.com";
        this.subject = subject;
        this.issuer = issuer ?? (publicGitHub ? TextMatch.Exactly(GitHubIdentity.ActionsIssuer) : throw new ArgumentException("it does not say whose identities count: CertificateOidcIssuer is needed"));
        this.gitHub = gitHub;
        this.predicateType = predicateType;
        this.annotations = annotations ?? new Dictionary<string, string>();
    }

    /// <summary>Exactly this signer, saying exactly this kind of thing.</summary>
    public static Policy Exactly(string identity, string issuer, string predicateType) =>
        new(TextMatch.Exactly(identity), TextMatch.Exactly(issuer), null, predicateType);

    internal PolicyMatch Require(SigningCertificate certificate, VerifiedStatement statement)
    {
        CertificateIdentity signer = certificate.Identity;
        RequireMatch("policy.issuer", "the certificate's identity was vouched for by another issuer", issuer, signer.Issuer);
        if (subject is not null)
        {
            RequireMatch("policy.identity", "signed by somebody else", subject, signer.Subject);
        }

        gitHub?.Require(signer, namedOtherwise: subject is not null);
        RequireStatement(statement);
        return new PolicyMatch(
            [$"The signer is {Shown.Of(signer.Subject)}, vouched for by {Shown.Of(signer.Issuer)}"],
            subject is not null && gitHub is null ? [.. Oddities(signer)] : []);
    }

    private void RequireStatement(VerifiedStatement statement)
    {
        if (statement.PredicateType != predicateType)
        {
            throw new VerificationException("policy.predicate-type", "the signed statement says another kind of thing", predicateType, statement.PredicateType);
        }

        foreach ((string name, string value) in annotations)
        {
            string? found = statement.Annotations.GetValueOrDefault(name);
            if (!string.Equals(found, value, StringComparison.Ordinal))
            {
                throw new VerificationException("policy.annotation", "the signature lacks an annotation", $"{name}={value}", found is null ? "none of that name" : $"{name}={found}");
            }
        }
    }

    private static void RequireMatch(string reason, string statement, TextMatch expected, string found)
    {
        if (!expected.IsMatch(found))
        {
            string hint = expected.NearMiss(found) is { } nearMiss ? $" ({nearMiss})" : "";
            throw new VerificationException(reason, statement + hint, expected.ToString(), found);
        }
    }

    // What the subject alone does not show, and the short form refuses.
    private static IEnumerable<string> Oddities(CertificateIdentity signer)
    {
        if ((signer.Extensions.GetValueOrDefault(20) ?? signer.Extensions.GetValueOrDefault(2)) == "pull_request_target")
        {
            yield return $"{Shown.Of(signer.Subject)} signed in a job started by pull_request_target, which runs what strangers propose";
        }

        string? repository = signer.Extensions.GetValueOrDefault(12);
        if (repository is not null && signer.Extensions.TryGetValue(9, out string? workflow) && !workflow.StartsWith(repository + "/", StringComparison.Ordinal))
        {
            yield return $"{Shown.Of(workflow)} signed for {Shown.Of(repository)}, another repository than its own";
        }
    }
}

/// <summary>What the policy's consent rests on, and what it let pass although its author may not have meant it.</summary>
internal sealed record PolicyMatch(IReadOnlyList<string> Checks, IReadOnlyList<string> Warnings);
