namespace Keyless.Sigstore;

/// <summary>Every size a stranger chooses, and why it may not be larger.</summary>
internal static class Limits
{
    /// <summary>A bundle is a few KiB; with a large attestation in it, a few MiB.</summary>
    public const int BundleBytes = 16 * 1024 * 1024;

    /// <summary>The public instance's trusted root is 7 KiB, its signing config 1 KiB.</summary>
    public const int TrustDocumentBytes = 1024 * 1024;

    /// <summary>The deepest document read here (a bundle) nests seven levels; statements carry predicates of any shape.</summary>
    public const int JsonDepth = 32;

    /// <summary>One log and one authority are usual; each further one costs signature checks before anything is proven.</summary>
    public const int LogEntries = 32, Timestamps = 32;

    /// <summary>Leaf, intermediates, root. Longer chains do not occur in this field.</summary>
    public const int ChainCertificates = 10, PathDepth = 4;

    /// <summary>Fulcio's leaf with all extensions is under 2 KiB; a large RSA certificate under 8.</summary>
    public const int CertificateBytes = 64 * 1024;

    /// <summary>A certificate has about 35 extensions when GitHub issued the token.</summary>
    public const int CertificateExtensions = 128;

    /// <summary>A subject alternative name is a URL or an address.</summary>
    public const int SubjectAlternativeNameBytes = 8 * 1024;

    /// <summary>A Merkle path in a tree of 2^63 leaves.</summary>
    public const int ProofHashes = 64;

    /// <summary>C2SP signed-note asks readers to take at least 16 signatures.</summary>
    public const int CheckpointBytes = 64 * 1024, CheckpointSignatures = 64;

    /// <summary>A dsse log entry repeats a PEM certificate in base64; intoto entries repeat the envelope.</summary>
    public const int LogBodyBytes = BundleBytes;

    /// <summary>A token with an embedded chain is about 6 KiB.</summary>
    public const int TimestampBytes = 64 * 1024;

    /// <summary>More than three logs has never been seen in one certificate.</summary>
    public const int SignedCertificateTimestamps = 10;

    /// <summary>A release with a thousand artifacts may share one statement.</summary>
    public const int Subjects = 1024, SubjectDigests = 32;

    /// <summary>Pure Ed25519 signs the bytes and not a hash of them, so they are kept; larger files are signed in other ways.</summary>
    public const int KeptArtifactBytes = 16 * 1024 * 1024;

    /// <summary>A simple-signing payload is some 250 bytes and what annotations the signer adds.</summary>
    public const int SimpleSigningPayloadBytes = 64 * 1024;

    /// <summary>A certificate, a chain or a log entry in an annotation; registries stop at manifests of 4 MiB.</summary>
    public const int AnnotationCharacters = 256 * 1024;

    /// <summary>The public instance lists four logs and two authorities.</summary>
    public const int TrustRootInstances = 256;

    /// <summary>Found text is shown to people; more of it does not help them.</summary>
    public const int ShownCharacters = 200;
}
