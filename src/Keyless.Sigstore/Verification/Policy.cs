using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>
/// Whom to accept, and what they must have said. A policy names the subject and the issuer, a GitHub repository, or a key; one that
/// names nobody cannot be made.
/// </summary>
public sealed class Policy
{
    /// <summary>Clocks differ; more than this is no difference of clocks.</summary>
    private static readonly TimeSpan Skew = TimeSpan.FromMinutes(5);

    private readonly TextMatch? subject;
    private readonly TextMatch? issuer;
    private readonly GitHubIdentity? gitHub;
    private readonly string? predicateType;
    private readonly IReadOnlyDictionary<string, string> annotations;

    /// <param name="subject">May be null only where <paramref name="gitHub"/> names a repository.</param>
    /// <param name="issuer">May be null only beside <paramref name="gitHub"/> of github.com: it is GitHub's then.</param>
    /// <param name="predicateType">Null for any, and for signatures over the artifact itself.</param>
    /// <exception cref="ArgumentException">It names nobody; the message is fit for the user.</exception>
    public Policy(TextMatch? subject, TextMatch? issuer, GitHubIdentity? gitHub, string? predicateType, IReadOnlyDictionary<string, string>? annotations = null)
        : this(predicateType, annotations)
    {
        if (subject is null && gitHub?.Repository is null)
        {
            throw new ArgumentException("it does not say who may sign: CertificateIdentity with CertificateOidcIssuer, GitHubRepository, or PublicKey is needed");
        }

        bool publicGitHub = gitHub?.Repository is not null && gitHub.ServerUrl == "https://github.com";
        this.subject = subject;
        this.issuer = issuer ?? (publicGitHub ? TextMatch.Exactly(GitHubIdentity.ActionsIssuer) : throw new ArgumentException("it does not say whose identities count: CertificateOidcIssuer is needed"));
        this.gitHub = gitHub;
    }

    private Policy(string? predicateType, IReadOnlyDictionary<string, string>? annotations) =>
        (this.predicateType, this.annotations) = (predicateType, annotations ?? new Dictionary<string, string>());

    /// <summary>The key that must have signed; null where a certificate's identity decides.</summary>
    public ManagedKey? Key { get; private init; }

    /// <summary>What must have witnessed the signature.</summary>
    public Proofs Proofs { get; init; } = Proofs.Log;

    /// <summary>How long ago at most the signature was made, and what the time is now: the only "now" there is in verification.</summary>
    public (TimeSpan Most, DateTimeOffset Now)? MaxAge { get; init; }

    /// <summary>Exactly this signer, saying exactly this kind of thing.</summary>
    /// <param name="predicateType">Null for any, and for signatures over the artifact itself.</param>
    public static Policy Exactly(string identity, string issuer, string? predicateType) =>
        new(TextMatch.Exactly(identity), TextMatch.Exactly(issuer), null, predicateType);

    /// <summary>Exactly this key, whoever holds it.</summary>
    /// <param name="predicateType">Null for any, and for signatures over the artifact itself.</param>
    public static Policy ForKey(
        ManagedKey key, string? predicateType, IReadOnlyDictionary<string, string>? annotations = null, Proofs proofs = Proofs.Log, (TimeSpan Most, DateTimeOffset Now)? maxAge = null) =>
        new(predicateType, annotations) { Key = key, Proofs = proofs, MaxAge = maxAge };

    /// <summary>The same conditions for exactly this signer, whoever was named before.</summary>
    internal Policy For(CertificateIdentity signer) =>
        new(TextMatch.Exactly(signer.Subject), TextMatch.Exactly(signer.Issuer), null, predicateType, annotations) { Proofs = Proofs, MaxAge = MaxAge };

    internal PolicyMatch Require(CertificateIdentity? signer, string? predicateType, IReadOnlyDictionary<string, string> annotations, DateTimeOffset? signedAt)
    {
        PolicyMatch match = Key is not null
            ? new PolicyMatch([$"The signer holds the key {Key.Fingerprint}"], [])
            : RequireIdentity(signer!);
        RequireSaid(predicateType, annotations);
        return MaxAge is { } age ? match with { Checks = [.. match.Checks, RequireAge(age.Most, age.Now, signedAt)] } : match;
    }

    private PolicyMatch RequireIdentity(CertificateIdentity signer)
    {
        RequireMatch("policy.issuer", "the certificate's identity was vouched for by another issuer", issuer!, signer.Issuer);
        if (subject is not null)
        {
            RequireMatch("policy.identity", "signed by somebody else", subject, signer.Subject);
        }

        gitHub?.Require(signer, namedOtherwise: subject is not null);
        return new PolicyMatch(
            [$"The signer is {Shown.Of(signer.Subject)}, vouched for by {Shown.Of(signer.Issuer)}"],
            gitHub is null ? [.. Oddities(signer)] : []);
    }

    // From the earliest moment that is proven: a later proof of an old signature does not make it young.
    private static string RequireAge(TimeSpan most, DateTimeOffset now, DateTimeOffset? signedAt)
    {
        if (signedAt is not { } moment)
        {
            throw new VerificationException("policy.max-age", "no moment of signing is proven, and the policy has a MaxAge", $"at most {most}");
        }

        TimeSpan age = now - moment;
        return age > most || age < -Skew
            ? throw new VerificationException(
                age < -Skew ? "policy.future" : "policy.max-age",
                age < -Skew ? "the signature was made later than this machine's clock says it is now" : "the signature is older than the policy's MaxAge",
                age < -Skew ? $"not after {Shown.Of(now)}" : $"signed after {Shown.Of(now - most)}",
                Shown.Of(moment))
            : $"The signature is not older than {most}";
    }

    private void RequireSaid(string? saidType, IReadOnlyDictionary<string, string> saidAnnotations)
    {
        if (predicateType is not null && saidType != predicateType)
        {
            throw new VerificationException("subject.predicate-type", "the signature says another kind of thing", predicateType, saidType ?? "no statement: a signature over the artifact itself");
        }

        foreach ((string name, string value) in annotations)
        {
            string? found = saidAnnotations.GetValueOrDefault(name);
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

/// <summary>What must have witnessed a signature.</summary>
public enum Proofs
{
    /// <summary>A transparency log, and a CT log for the certificate.</summary>
    Log,

    /// <summary>A timestamp authority alone: for instances whose trusted root lists no logs (GitHub's own, for private repositories).</summary>
    Timestamp,
}

/// <summary>What the policy's consent rests on, and what it let pass although its author may not have meant it.</summary>
internal sealed record PolicyMatch(IReadOnlyList<string> Checks, IReadOnlyList<string> Warnings);
