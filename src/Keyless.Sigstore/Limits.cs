namespace Keyless.Sigstore;

/// <summary>Every size a stranger chooses, and why it may not be larger.</summary>
internal static class Limits
{
    /// <summary>A bundle is a few KiB; with a large attestation in it, a few MiB.</summary>
    public const int BundleBytes = 16 * 1024 * 1024;

    /// <summary>The public instance's trusted root is 7 KiB, its signing config 1 KiB.</summary>
    public const int TrustDocumentBytes = 1024 * 1024;

    /// <summary>Of one file, a line each: the deployments that one team deploys from.</summary>
    public const int TrustedRoots = 64;

    /// <summary>The deepest document read here (a bundle) nests seven levels; statements carry predicates of any shape.</summary>
    public const int JsonDepth = 32;

    /// <summary>One log and one authority are usual; each further one costs signature checks before anything is proven.</summary>
    public const int LogEntries = 32, Timestamps = 32;

    /// <summary>Leaf, intermediates, root. Longer chains do not occur in this field.</summary>
    public const int ChainCertificates = 10, PathDepth = 4;

    /// <summary>Fulcio's leaf with all extensions is under 2 KiB; a large RSA certificate under 8.</summary>
    public const int CertificateBytes = 64 * 1024;

    /// <summary>Certificates that one verifier remembers: signers of one build's images, 64 KiB each at most.</summary>
    public const int KnownLeaves = 256;

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

    // TUF (specification 1.0.34 §5): what other clients of the same repositories allow, so that a repository is good for all or for none.

    /// <summary>The public instance's root is 6 KiB, its timestamp under 1, its snapshot and targets under 10.</summary>
    public const int TufRootBytes = 512_000, TufTimestampBytes = 16_384, TufSnapshotBytes = 2_000_000, TufTargetsBytes = 5_000_000;

    /// <summary>Where signed metadata lists a length, that is the bound, unless it asks for more memory than a build machine can spare.</summary>
    public const int TufListedBytes = 64 * 1024 * 1024;

    /// <summary>The public instance has made fifteen roots in five years.</summary>
    public const int TufRootRotations = 256;

    /// <summary>Delegated roles that one search looks into.</summary>
    public const int TufDelegations = 32;

    /// <summary>The public instance has six keys. Each signature costs a check before anything is proven.</summary>
    public const int TufKeys = 1024, TufSignatures = 1024;
}
