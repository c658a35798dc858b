namespace Keyless.Docs.Tests.Clauses;

internal static class SimpleSigningClauses
{
    public static Section Section => new("X", "Simple signing",
        "What cosign 1 and 2 write: a layer that is signed, with everything else in its annotations, under a `.sig` tag or, in cosign's experimental form, as a referrer. There is no place for an inclusion proof: the log's promise stands for it, and the result says *promised*.",
    [
        new("X.1", "A layer is a signature by its exact media type; other layers are none", "ignored", "cosign, SIGNATURE_SPEC.md"),
        new("X.2", "A payload has at most 64 KiB", "sig.layer", "`Limits`"),
        new("X.3", "A payload has the digest of its descriptor", "sig.layer", "OCI image spec"),
        new("X.4", "The signature annotation is standard base64", "sig.annotation", "cosign, SIGNATURE_SPEC.md"),
        new("X.5", "The certificate annotation is exactly one PEM certificate", "sig.annotation", "cosign, SIGNATURE_SPEC.md"),
        new("X.6", "The chain annotation is absent, empty, or PEM certificates within the limits", "sig.annotation", "cosign, SIGNATURE_SPEC.md"),
        new("X.7", "The chain annotation is not used for the path", "cert.*", "client spec §4.3"),
        new("X.8", "The log's annotation is there, also where a timestamp is", "tlog.missing", "cosign, SIGNATURE_SPEC.md"),
        new("X.9", "The log's annotation is strict JSON with exactly its members, no object with one twice", "tlog.missing", "cosign, SIGNATURE_SPEC.md"),
        new("X.10", "Its numbers are JSON numbers, and its log id is 64 lower-case hex digits", "tlog.missing", "cosign, SIGNATURE_SPEC.md"),
        new("X.11", "The promise verifies with the key of a log in the trusted root, over exactly what the annotation says", "tlog.set", "rekor, signed entry timestamp"),
        new("X.12", "The promised time is within the log's window", "tlog.window", "sigstore_trustroot.proto"),
        new("X.13", "The log entry is a `hashedrekord` 0.0.1", "tlog.kind", "rekor, hashedrekord v0.0.1"),
        new("X.14", "The log entry has this signature", "tlog.binding", "rekor, hashedrekord v0.0.1"),
        new("X.15", "The log entry has this certificate", "tlog.binding", "rekor, hashedrekord v0.0.1"),
        new("X.16", "The log entry has the SHA-256 of this payload", "tlog.binding", "rekor, hashedrekord v0.0.1"),
        new("X.17", "A timestamp annotation, where there is one, holds as in a bundle", "time.*", "RFC 3161"),
        new("X.18", "The certificate was valid at the promised time and at the stamped one", "cert.validity", "RFC 5280 §4.1.2.5"),
        new("X.19", "The certificate carries a signed certificate timestamp", "sct.missing", "RFC 6962 §3.3"),
        new("X.20", "The signature verifies over the payload's bytes", "sig.invalid", "cosign, SIGNATURE_SPEC.md"),
        new("X.21", "The payload is strict JSON with exact member names, no object with one twice", "sig.payload", "containers/image, atomic signature"),
        new("X.22", "The payload's type is that of a cosign signature", "sig.payload", "cosign, SIGNATURE_SPEC.md"),
        new("X.23", "The payload's manifest digest is the image's", "sig.payload", "containers/image, atomic signature"),
        new("X.24", "The payload's reference is reported and never compared", "ignored", "containers/image, atomic signature"),
        new("X.25", "`optional` may have any shape; annotations are its strings", "policy.annotation", "cosign, SIGNATURE_SPEC.md"),
        new("X.26", "An annotation that is read has at most 262,144 characters", "sig.annotation", "`Limits`"),
    ]);
}
