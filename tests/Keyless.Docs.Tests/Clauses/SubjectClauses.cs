namespace Keyless.Docs.Tests.Clauses;

internal static class SubjectClauses
{
    public static Section Section => new("A", "The artifact", "A signed statement is about the artifact in question, by digest.",
    [
        new("A.1", "A payload is strict JSON, and no object in it has a member twice", "subject.statement", "RFC 8259, RFC 7493 §2.3"),
        new("A.2", "Its type is that of an in-toto statement v1 or v0.1", "subject.statement", "in-toto, statement"),
        new("A.3", "It has a subject", "subject.statement", "in-toto, statement"),
        new("A.4", "It has a predicate type", "subject.statement", "in-toto, statement"),
        new("A.5", "It has at most 1024 subjects", "subject.statement", "`Limits`"),
        new("A.6", "A subject has at most 32 digests", "subject.statement", "`Limits`"),
        new("A.7", "A SHA-2 digest is hex of the length of its hash", "subject.statement", "in-toto, DigestSet"),
        new("A.8", "One of the subjects has the artifact's digest, by the algorithm asked for", "subject.digest", "in-toto, statement"),
        new("A.9", "A subject is not found by its name", "subject.digest", "in-toto, statement"),
        new("A.10", "A subject that has only digests of other algorithms does not match", "subject.digest", "in-toto, DigestSet"),
        new("A.11", "Digests of algorithms that this client does not know are passed over", "ignored", "in-toto, DigestSet"),
        new("A.12", "Where a subject has several digests of a file, all that can be computed match", "subject.digest", "in-toto, DigestSet"),
        new("A.13", "For an image the digest is that of the manifest in question", "subject.digest", "OCI image spec"),
        new("A.14", "The manifest that attaches a signature refers to the image", "subject.referrer", "OCI distribution spec, referrers"),
    ]);
}
