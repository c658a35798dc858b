namespace Keyless.Docs.Tests.Clauses;

internal static class IdentityClauses
{
    public static Section Section => new("I", "Identity",
        "Who may sign is named exactly, or by a pattern for the whole value, or by GitHub's short form, which asks several members of the certificate at once. Comparison is ordinal: no case folding, no trimming, no normalisation of URLs. An extension that is asked for and absent never matches.",
    [
        new("I.1", "A policy names subject and issuer, or a GitHub repository; one that names nobody cannot be made", "configuration error", "client spec §4.3"),
        new("I.2", "An empty value names nobody", "configuration error", "client spec §4.3"),
        new("I.3", "The certificate's subject is the named one", "policy.identity", "client spec §4.3"),
        new("I.4", "The certificate's issuer is the named one, to the last slash", "policy.issuer", "client spec §4.3"),
        new("I.5", "A pattern matches the whole value, not a part of it, and not up to a last line feed", "policy.identity", "cosign, `--certificate-identity-regexp`, anchored"),
        new("I.6", "A pattern has at most 1024 characters and needs no backtracking", "configuration error", "README"),
        new("I.7", "A pattern that admits everybody is pointed out", "warning", "README"),
        new("I.8", "One field is not named both exactly and by a pattern", "configuration error", "README"),
        new("I.9", "GitHub's short form: the issuer is GitHub's, or the one that is named", "policy.issuer", "fulcio, oid-info.md"),
        new("I.10", "GitHub's short form: .12, whose job it was, is the repository", "policy.github-repository", "fulcio, oid-info.md"),
        new("I.11", "GitHub's short form: .5, if present, is the repository as well; certificates without .12 have it alone", "policy.github-repository", "fulcio, oid-info.md"),
        new("I.12", "GitHub's short form: a certificate that names no repository is refused", "policy.github-repository", "fulcio, oid-info.md"),
        new("I.13", "GitHub's short form: the workflow that signed, the subject, is a file among the repository's own workflows", "policy.github-signer", "fulcio, oid-info.md"),
        new("I.14", "GitHub's short form: after the file name stands `@refs/…`, or `@` and a commit of 40 or 64 hex digits", "policy.github-signer", "fulcio, oid-info.md"),
        new("I.15", "GitHub's short form: .9, if present, is the subject", "policy.github-signer", "fulcio, oid-info.md"),
        new("I.16", "`GitHubWorkflow`, a file, is .18 up to its `@`; the display name .4 is never asked", "policy.github-workflow", "fulcio, oid-info.md"),
        new("I.17", "`GitHubWorkflow`, a file of another repository, is the subject, with its ref if that is given", "policy.github-workflow", "fulcio, oid-info.md"),
        new("I.18", "`GitHubRef` is .14, else .6", "policy.github-ref", "fulcio, oid-info.md"),
        new("I.19", "`GitHubSha` is .13, else .3", "policy.github-commit", "fulcio, oid-info.md"),
        new("I.20", "`GitHubTrigger` is .20, else .2", "policy.github-trigger", "fulcio, oid-info.md"),
        new("I.21", "`RunnerEnvironment` is .11", "policy.github-runner-environment", "fulcio, oid-info.md"),
        new("I.22", "`GitHubRepositoryId` is .15", "policy.github-repository-id", "fulcio, oid-info.md"),
        new("I.23", "`GitHubOwnerId` is .17", "policy.github-owner-id", "fulcio, oid-info.md"),
        new("I.24", "GitHub's short form: a job that `pull_request_target` started is refused unless that trigger is named", "policy.github-trigger", "GitHub, events that trigger workflows"),
        new("I.25", "GitHub's short form: another server than github.com needs an issuer", "configuration error", "README"),
        new("I.26", "GitHub's short form: names are compared under the given server", "policy.github-repository", "README"),
        new("I.27", "A plain identity that signed for another repository than its own is pointed out", "warning", "fulcio, oid-info.md"),
        new("I.28", "A plain identity whose job `pull_request_target` started is pointed out", "warning", "GitHub, events that trigger workflows"),
        new("I.29", "A condition that this client does not know is an error, never dropped", "configuration error", "README"),
        new("I.30", "A condition without a value is an error, never dropped", "configuration error", "README"),
    ]);
}
