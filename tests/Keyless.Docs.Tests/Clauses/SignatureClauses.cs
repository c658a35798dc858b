namespace Keyless.Docs.Tests.Clauses;

internal static class SignatureClauses
{
    public static Section Section => new("G", "The signature", "The key that the certificate proves, or the key that the policy names, made the signature.",
    [
        new("G.1", "An envelope holds an in-toto statement, by its exact payload type", "sig.payload-type", "in-toto, envelope"),
        new("G.2", "The signature verifies over what DSSE signs: type and payload with their lengths in bytes", "sig.invalid", "DSSE v1, protocol.md"),
        new("G.3", "An ECDSA signature is strict DER of two positive integers, and no byte follows it", "sig.invalid", "RFC 3279 §2.2.3"),
        new("G.4", "The hash is the one that goes with the key", "sig.invalid", "sigstore algorithm registry"),
        new("G.5", "An RSA signature is PKCS #1 v1.5, of the key's length", "sig.invalid", "RFC 8017 §8.2.2"),
        new("G.6", "A key id in an envelope is a hint that nobody signed", "ignored", "DSSE v1, envelope.md"),
        new("G.7", "Message signature: the digest in the bundle is the artifact's", "sig.digest", "sigstore_common.proto"),
        new("G.8", "Message signature: its algorithm is the one that goes with the key", "sig.digest", "sigstore_common.proto"),
        new("G.9", "Message signature: the signature verifies over the digest that was computed", "sig.invalid", "client spec §4.5"),
    ]);
}
