namespace Keyless.Docs.Tests.Clauses;

internal static class KeyClauses
{
    public static Section Section => new("K", "Managed keys",
        "Where the policy names a public key instead of an identity, that key takes the certificate's place: chain and certificate transparency do not apply, everything else does.",
    [
        new("K.1", "The policy's file is one PEM public key of a kind that this client takes", "configuration error", "RFC 7468 §13"),
        new("K.2", "A policy does not name both a key and an identity", "configuration error", "README"),
        new("K.3", "A policy with a key does not accept a certificate", "policy.certificate-without-identity", "client spec §4.3"),
        new("K.4", "A policy with an identity does not accept a bare key", "policy.key-without-key", "client spec §4.3"),
        new("K.5", "The policy's key made the signature", "sig.key", "client spec §4.5"),
        new("K.6", "The hint in the bundle decides nothing", "ignored", "sigstore_bundle.proto"),
        new("K.7", "The log entry is about this key: as PEM in Rekor v1, as DER in Rekor v2", "tlog.binding", "rekor, pkg/types; rekor-tiles"),
        new("K.9", "A key does not expire, so no moment has to be proven; where none is, the log's key is still in use", "tlog.window", "sigstore_trustroot.proto"),
    ]);
}
