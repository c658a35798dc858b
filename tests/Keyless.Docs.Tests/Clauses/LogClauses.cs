namespace Keyless.Docs.Tests.Clauses;

internal static class LogClauses
{
    public static Section Section => new("L", "The log entry",
        "The entry is in a log that the trusted root knows, and it is about this signature, this signer and this content.",
    [
        new("L.1", "There is a log entry", "tlog.missing", "client spec §4.4"),
        new("L.2", "At least one is of a log in the trusted root; entries of other logs prove nothing", "tlog.unknown-log", "client spec §4.4"),
        new("L.3", "A bad entry of a known log refuses the bundle, also beside good ones", "tlog.*", "client spec §4.4"),
        new("L.4", "No entry is given twice", "tlog.duplicate", "client spec §4.4"),
        new("L.5", "Signing: as many logs as the signing config asks for have the signature; each counts once, however many entries are of it", "tlog.threshold", "sigstore_trustroot.proto, ServiceSelector"),
        new("L.6", "The entry is of a kind and version that this client reads", "tlog.kind", "rekor, pkg/types"),
        new("L.7", "An entry `dsse` 0.0.2 is refused by name: Rekor v2 dropped it", "tlog.kind", "rekor-tiles"),
        new("L.8", "Kind and version are those that the body names", "tlog.kind", "rekor, pkg/types"),
        new("L.9", "The body is strict JSON, as a bundle is", "tlog.body", "RFC 8259"),
        new("L.10", "The body has the members that its kind defines, and no others, such as addresses to fetch something from", "tlog.body", "rekor, pkg/types"),
        new("L.11", "A log's key was in use at a proven moment, also where the log gives no time of its own", "tlog.window", "sigstore_trustroot.proto"),
        new("L.12", "The promised time is within the certificate's validity", "cert.validity", "client spec §4.3"),
        new("L.13", "Rekor v2: the proof is for the entry's index", "tlog.inclusion", "rekor-tiles"),
        new("L.14", "The proof's tree size is the checkpoint's", "tlog.checkpoint", "sigstore_rekor.proto"),
        new("L.15", "The proof's root hash is the checkpoint's", "tlog.checkpoint", "sigstore_rekor.proto"),
        new("L.16", "`dsse` 0.0.1: the payload hash is SHA-256 of this payload", "tlog.binding", "rekor, dsse v0.0.1"),
        new("L.17", "`dsse` 0.0.1: there is exactly one signature, and it is this one", "tlog.binding", "rekor, dsse v0.0.1"),
        new("L.18", "`dsse` 0.0.1: its verifier is one PEM certificate or key with nothing around it, and it is this one", "tlog.binding", "rekor, dsse v0.0.1"),
        new("L.19", "`intoto` 0.0.2: the payload hash is SHA-256 of this payload", "tlog.binding", "rekor, intoto v0.0.2"),
        new("L.20", "`intoto` 0.0.2: there is exactly one signature, and it is this one", "tlog.binding", "rekor, intoto v0.0.2"),
        new("L.21", "`intoto` 0.0.2: its public key is one PEM certificate or key with nothing around it, and it is this one", "tlog.binding", "rekor, intoto v0.0.2"),
        new("L.22", "`hashedrekord` 0.0.1: the digest is the artifact's, by the hash function that the bundle states, computed and not taken from the bundle", "tlog.binding", "rekor, hashedrekord v0.0.1"),
        new("L.23", "`hashedrekord` 0.0.1: the signature is this one", "tlog.binding", "rekor, hashedrekord v0.0.1"),
        new("L.24", "`hashedrekord` 0.0.1: its public key is one PEM certificate or key with nothing around it, and it is this one", "tlog.binding", "rekor, hashedrekord v0.0.1"),
        new("L.25", "`hashedrekord` 0.0.2: the body is, byte for byte, what follows from this bundle: digest and its algorithm, signature, certificate or key, and key details", "tlog.binding", "rekor-tiles, RFC 8785"),
        new("L.26", "`hashedrekord` 0.0.2 of an envelope: the digest is of what DSSE signs, by the hash that goes with the key", "tlog.binding", "rekor-tiles"),
        new("L.27", "`intoto` 0.0.2: the payload type is the envelope's", "tlog.binding", "rekor, intoto v0.0.2"),
        new("L.28", "The entry is of a kind that holds such a content: an envelope or a message signature", "tlog.kind", "rekor, pkg/types"),
        new("L.29", "`hashedrekord` 0.0.2: the key details name a scheme that the signer's key has", "tlog.binding", "sigstore algorithm registry"),
        new("L.30", "What is in an entry of an unknown log is not read", "ignored", "client spec §4.4"),
    ]);
}
