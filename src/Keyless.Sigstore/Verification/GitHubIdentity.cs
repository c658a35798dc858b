using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>
/// GitHub's short form: which repository's workflows may sign. Each member that is given must be proven by the certificate; an
/// extension that is asked for and absent never matches.
/// </summary>
public sealed class GitHubIdentity
{
    public const string ActionsIssuer = "https://token.actions.githubusercontent.com";
    private const string WorkflowFolder = ".github/workflows/";

    /// <summary><c>owner/name</c>, or null where only other members are given.</summary>
    public string? Repository { get; init; }

    /// <summary><c>publish.yml</c> or <c>.github/workflows/publish.yml</c> of the repository; or
    /// <c>owner/other/.github/workflows/x.yml[@ref]</c>, a reusable workflow elsewhere.</summary>
    public string? Workflow { get; init; }

    public string? Ref { get; init; }

    public string? Trigger { get; init; }

    public string? Sha { get; init; }

    public string? RepositoryId { get; init; }

    public string? OwnerId { get; init; }

    public string? RunnerEnvironment { get; init; }

    public string ServerUrl { get; init; } = "https://github.com";

    /// <summary>Whether the workflow is named with its repository.</summary>
    private bool NamesRepositoryOfWorkflow => Workflow is not null && Workflow.Contains("/" + WorkflowFolder, StringComparison.Ordinal);

    /// <summary>Whether the workflow named is another repository's, so that it and not the repository says who the signer is.</summary>
    private bool NamesWorkflowElsewhere => NamesRepositoryOfWorkflow && !Workflow!.StartsWith($"{Repository}/{WorkflowFolder}", StringComparison.Ordinal);

    /// <param name="namedOtherwise">The policy also names the subject itself, exactly or by a pattern.</param>
    internal void Require(CertificateIdentity signer, bool namedOtherwise)
    {
        if (Repository is not null)
        {
            // The certificate's own repository first (.12; .5 in certificates from before .12 existed): that is who ran the job.
            RequireSame("policy.github-repository", "source repository", $"{ServerUrl}/{Repository}", signer.Extensions.GetValueOrDefault(12) ?? FromOldRepository(signer));
            if (signer.Extensions.TryGetValue(5, out string? old))
            {
                RequireSame("policy.github-repository", "workflow repository", Repository, old);
            }
        }

        if (Workflow is not null)
        {
            RequireWorkflow(signer, Workflow);
        }

        RequireExtension(signer, "ref", Ref, 14, 6);
        RequireExtension(signer, "commit", Sha, 13, 3);
        RequireExtension(signer, "trigger", Trigger, 20, 2);
        RequireExtension(signer, "runner environment", RunnerEnvironment, 11, null);
        RequireExtension(signer, "repository id", RepositoryId, 15, null);
        RequireExtension(signer, "owner id", OwnerId, 17, null);

        // A pull_request_target job runs what a stranger proposes, and its ref and subject look like the default branch.
        if (Trigger is null && Extension(signer, 20, 2) == "pull_request_target")
        {
            throw new VerificationException("policy.github-trigger", "the signing job was started by pull_request_target, which a policy must allow by name (GitHubTrigger)");
        }

        if (Repository is not null && !namedOtherwise && !NamesWorkflowElsewhere)
        {
            RequireOwnWorkflow(signer, Repository);
        }
    }

    // Anybody may call a public reusable workflow: the caller's certificate then names the called workflow as its subject, so
    // the subject alone proves nothing about the repository, and the repository alone nothing about whose steps ran. Both must agree.
    private void RequireOwnWorkflow(CertificateIdentity signer, string repository)
    {
        string prefix = $"{ServerUrl}/{repository}/{WorkflowFolder}";
        bool own = signer.Kind == SubjectKind.Uri
            && signer.Subject.StartsWith(prefix, StringComparison.Ordinal)
            && FileOf(signer.Subject[prefix.Length..]) is { } file && !file.Contains('/', StringComparison.Ordinal)
            && (!signer.Extensions.TryGetValue(9, out string? buildSigner) || buildSigner == signer.Subject);
        if (!own)
        {
            string workflow = signer.Subject.StartsWith(ServerUrl + "/", StringComparison.Ordinal) ? signer.Subject[(ServerUrl.Length + 1)..] : signer.Subject;
            throw new VerificationException(
                "policy.github-signer",
                $"the job ran in {Shown.Of(repository)}, but the workflow that signed is not one of its own; if that is meant, add GitHubWorkflow=\"{Shown.Of(workflow)}\"",
                prefix + "<file>@refs/…",
                signer.Subject);
        }
    }

    // <file>@refs/… or <file>@<40 or 64 hex digits>; null where it is neither. The first @ divides: a ref may have others in it.
    private static string? FileOf(string workflow)
    {
        int at = workflow.IndexOf('@', StringComparison.Ordinal);
        string reference = workflow[(at + 1)..];
        return at > 0 && (reference.StartsWith("refs/", StringComparison.Ordinal) || (reference.Length is 40 or 64 && reference.All(char.IsAsciiHexDigitLower)))
            ? workflow[..at]
            : null;
    }

    private void RequireWorkflow(CertificateIdentity signer, string workflow)
    {
        if (NamesRepositoryOfWorkflow)
        {
            string subject = workflow.Contains('@', StringComparison.Ordinal) ? signer.Subject : FileOf(signer.Subject) ?? signer.Subject;
            RequireSame("policy.github-workflow", "workflow", $"{ServerUrl}/{workflow}", subject);
            return;
        }

        // .18 is the file of the repository that was started; .4 is a display name that anybody may choose.
        string file = workflow.StartsWith(WorkflowFolder, StringComparison.Ordinal) ? workflow : WorkflowFolder + workflow;
        string? started = signer.Extensions.GetValueOrDefault(18);
        string? found = started is null ? null : FileOf(started) ?? started;
        string repository = Repository is not null ? $"{ServerUrl}/{Repository}" : signer.Extensions.GetValueOrDefault(12) ?? "";
        RequireSame("policy.github-workflow", "workflow", $"{repository}/{file}", found);
    }

    private string? FromOldRepository(CertificateIdentity signer) =>
        signer.Extensions.TryGetValue(5, out string? old) ? $"{ServerUrl}/{old}" : null;

    private static string? Extension(CertificateIdentity signer, int number, int? older) =>
        signer.Extensions.GetValueOrDefault(number) ?? (older is { } fallback ? signer.Extensions.GetValueOrDefault(fallback) : null);

    private static void RequireExtension(CertificateIdentity signer, string what, string? expected, int number, int? older)
    {
        if (expected is not null)
        {
            RequireSame($"policy.github-{what.Replace(' ', '-')}", what, expected, Extension(signer, number, older));
        }
    }

    private static void RequireSame(string reason, string what, string expected, string? found)
    {
        if (!string.Equals(expected, found, StringComparison.Ordinal))
        {
            string hint = string.Equals(expected, found, StringComparison.OrdinalIgnoreCase) ? " (they differ only in upper and lower case)" : "";
            throw new VerificationException(reason, $"signed by another {what}{hint}", expected, found ?? "nothing: the certificate does not say");
        }
    }
}
