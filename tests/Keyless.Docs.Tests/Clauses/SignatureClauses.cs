namespace Keyless.Docs.Tests.Clauses;

internal static class SignatureClauses
{
    public static Section Section => new("G", "The signature", "The key that the certificate proves, or the key that the policy names, made the signature.",
    [
        new("G.1", "An envelope holds an in-toto statement, by its exact payload type", "sig.payload-type", "in-toto, envelope"),
        new("G.2", "The signature verifies over what DSSE signs: type and payload with their lengths in bytes", "sig.invalid", "DSSE v1, protocol.md"),
        new("G.3", "An ECDSA signature is strict DER of two positive integers, and no byte follows it", "sig.invalid", "RFC 3279 §2.2.3"),
        new("G.4", "The hash is the one that goes with the key", "sig.invalid", "sigstore algorithm registry"),
        new("G.5", "An RSA signature has the key's length; its padding is PKCS #1 v1.5, or PSS where the log entry names that, and never guessed", "sig.invalid", "RFC 8017 §8, sigstore algorithm registry"),
        new("G.6", "A key id in an envelope is a hint that nobody signed", "ignored", "DSSE v1, envelope.md"),
        new("G.7", "Message signature: the digest in the bundle is the artifact's; another one's signature is refused as that", "sig.digest", "sigstore_common.proto"),
        new("G.8", "Message signature: its hash function is one that goes with the key", "sig.hash", "sigstore algorithm registry"),
        new("G.9", "Message signature: the signature verifies over the digest that was computed", "sig.invalid", "client spec §4.5"),
        new("G.10", "Message signature: the bundle says which digest it is over", "sig.digest", "sigstore_common.proto"),
        new("G.11", "Message signature: that digest is by SHA-256, SHA-384 or SHA-512", "sig.digest", "sigstore_common.proto"),
        new("G.12", "What the key signs can be computed from what is known of the artifact: Ed25519 signs the bytes themselves, and a digest does not tell another one", "sig.digest-unsupported", "RFC 8032 §5.1"),
        new("G.13", "An Ed25519 signature has 64 bytes and a scalar below the group order; keys and points are in their canonical encoding and not of small order", "sig.invalid", "RFC 8032 §5.1.7, strict"),
        new("G.14", "Where the log entry names how the signature was made, it was made so", "sig.invalid", "rekor-tiles, sigstore algorithm registry"),
    ]);
}
