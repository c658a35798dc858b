using System.Security.Cryptography;

namespace Keyless.Sigstore;

/// <summary>
/// One way in which a key signs, under its name in Rekor v2 entries (protobuf-specs, PublicKeyDetails; sigstore algorithm registry).
/// A key has few; which one made a signature is said by the log entry or by the hash beside it, and never guessed between paddings.
/// </summary>
/// <param name="Hash">Of the artifact or of the DSSE encoding. Pure Ed25519 signs the bytes; the hash is then what the entry beside it uses.</param>
internal sealed record SignatureScheme(string Details, HashAlgorithmName Hash, SignatureKind Kind)
{
    private static readonly SignatureScheme[] P256 = [new("PKIX_ECDSA_P256_SHA_256", HashAlgorithmName.SHA256, SignatureKind.Ecdsa)];

    // The second of each is what cosign 1 and 2 made with such keys; the registry keeps it for verifying.
    private static readonly SignatureScheme[] P384 =
        [new("PKIX_ECDSA_P384_SHA_384", HashAlgorithmName.SHA384, SignatureKind.Ecdsa), new("PKIX_ECDSA_P384_SHA_256", HashAlgorithmName.SHA256, SignatureKind.Ecdsa)];

    private static readonly SignatureScheme[] P521 =
        [new("PKIX_ECDSA_P521_SHA_512", HashAlgorithmName.SHA512, SignatureKind.Ecdsa), new("PKIX_ECDSA_P521_SHA_256", HashAlgorithmName.SHA256, SignatureKind.Ecdsa)];

    private static readonly SignatureScheme[] Edwards =
        [new("PKIX_ED25519_PH", HashAlgorithmName.SHA512, SignatureKind.Ed25519Ph), new("PKIX_ED25519", HashAlgorithmName.SHA256, SignatureKind.Ed25519)];

    public static IReadOnlyList<SignatureScheme> Of(VerificationKey key) => key.FieldBytes switch
    {
        32 => P256,
        48 => P384,
        66 => P521,
        _ when key.IsEd25519 => Edwards,
        _ =>
        [
            new(FormattableString.Invariant($"PKIX_RSA_PKCS1V15_{key.RsaBits}_SHA256"), HashAlgorithmName.SHA256, SignatureKind.RsaPkcs1),
            new(FormattableString.Invariant($"PKIX_RSA_PSS_{key.RsaBits}_SHA256"), HashAlgorithmName.SHA256, SignatureKind.RsaPss),
        ],
    };

    /// <summary>Where nothing names the scheme: PSS and the prehash have to be named, the rest goes by the key.</summary>
    public static IEnumerable<SignatureScheme> Unnamed(VerificationKey key, SignatureKind without) => Of(key).Where(scheme => scheme.Kind != SignatureKind.RsaPss && scheme.Kind != without);
}

internal enum SignatureKind
{
    None,
    Ecdsa,
    RsaPkcs1,
    RsaPss,
    Ed25519,
    Ed25519Ph,
}
