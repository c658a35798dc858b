namespace Keyless.Docs.Tests.Clauses;

internal static class PolicyClauses
{
    public static Section Section => new("P", "What a policy asks for besides", "Only what is proven is held against a policy, so these come last.",
    [
        new("P.1", "The statement's predicate type is the one asked for; by default a signature, so that an attestation is none", "subject.predicate-type", "in-toto, statement"),
        new("P.2", "Each annotation asked for is there, with its value, as a string", "policy.annotation", "cosign, `-a`"),
        new("P.3", "Annotations count only where all subjects that the artifact matches agree on them", "policy.annotation", "in-toto, statement"),
        new("P.4", "`MinSignatures`: as many different signers have each satisfied the whole policy", "policy.min-signatures", "README"),
        new("P.5", "A signer counts once, whatever the format, the ref and the number of signatures", "policy.min-signatures", "README"),
        new("P.6", "Of several items of one name, each is satisfied by a signer of its own", "policy.min-signatures", "README"),
        new("P.7", "`MinSignatures` is not above what the items can give: their number, or 1 for one exact identity", "configuration error", "README"),
        new("P.8", "Items of one name agree on `MinSignatures`", "configuration error", "README"),
        new("P.9", "`MaxAge`: the earliest proven moment is not longer ago", "policy.max-age", "README"),
        new("P.10", "`MaxAge`: the earliest proven moment is not more than five minutes in the future", "policy.future", "README"),
        new("P.11", "`Proofs=timestamp` is not for a trusted root that lists a log", "configuration error", "README"),
        new("P.12", "`Proofs=timestamp` does without log entry and certificate transparency, and not without a timestamp", "time.missing", "README"),
        new("P.13", "Without `Proofs=timestamp` a root without logs accepts nothing", "tlog.unknown-log", "client spec §4.4"),
        new("P.14", "An image names a policy or has conditions of its own, not both", "configuration error", "README"),
        new("P.15", "An image does not name a policy that there is not", "configuration error", "README"),
        new("P.16", "With `Mode=warn` an image that was refused is not among the verified ones", "warning", "README"),
        new("P.17", "`MaxAge`: what no moment is proven of is not young enough", "policy.max-age", "README"),
        new("P.18", "`Proofs=timestamp`: of several trusted roots, one that lists a log accepts nothing without it, also where that log cannot be used", "root.logs", "README"),
    ]);
}
