using System.Security.Cryptography;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>What a content's signature is over: for a DSSE envelope its encoding, for a message signature the artifact.</summary>
internal sealed class SignedBytes
{
    private readonly SignedContent content;
    private readonly byte[]? encoding;
    private readonly Artifact artifact;

    public SignedBytes(SignedContent content, Artifact artifact)
    {
        this.content = content;
        this.artifact = artifact;
        encoding = content is SignedEnvelope envelope ? DsseEnvelope.PreAuthenticationEncoding(envelope.PayloadType, envelope.Payload) : null;
    }

    /// <summary>Computed here, never taken from the bundle.</summary>
    public byte[] Digest(HashAlgorithmName hash) => encoding is not null ? CryptographicOperations.HashData(hash, encoding) : artifact.Digest(hash) ?? throw NotComputable(hash.Name!);

    /// <summary>The schemes in which the content can have been signed, where no log entry names one.</summary>
    public IReadOnlyList<SignatureScheme> UnnamedSchemes(VerificationKey key)
    {
        // DSSE hands the signer bytes, so Ed25519 is pure there; a message signature says which hash it is over (sigstore algorithm registry).
        SignatureScheme[] schemes = content is MessageSignature message
            ? [.. SignatureScheme.Unnamed(key, SignatureKind.None).Where(scheme => scheme.Kind == SignatureKind.Ed25519 || NameOf(scheme.Hash) == message.Algorithm)]
            : [.. SignatureScheme.Unnamed(key, SignatureKind.Ed25519Ph)];
        return schemes.Length > 0
            ? schemes
            : throw new VerificationException(
                "sig.hash", "the signature is over a hash that does not go with the key", string.Join(" or ", SignatureScheme.Unnamed(key, SignatureKind.None).Select(scheme => NameOf(scheme.Hash))), ((MessageSignature)content).Algorithm);
    }

    public bool AreSignedBy(VerificationKey key, SignatureScheme scheme)
    {
        if (scheme.Kind != SignatureKind.Ed25519)
        {
            return key.VerifiesHash(scheme, Digest(scheme.Hash), content.Signature);
        }

        ReadOnlyMemory<byte> bytes = encoding ?? artifact.Content ?? throw NotComputable("Ed25519");
        return key.Verifies(bytes.Span, content.Signature, scheme.Hash);
    }

    /// <summary>
    /// What is verified is the artifact's own digest. That the bundle repeats it, and right, is asked for so that nobody is shown another.
    /// </summary>
    public void RequireStatedDigest(MessageSignature message)
    {
        if (message is not { Algorithm: { } algorithm, Digest: { } digest })
        {
            throw new VerificationException("sig.digest", "the bundle does not say which digest was signed (messageDigest)");
        }

        byte[] own = artifact.DigestNamed(algorithm);
        if (!own.AsSpan().SequenceEqual(digest))
        {
            throw new VerificationException("sig.digest", "the bundle's digest is another artifact's", Shown.Hex(own), Shown.Hex(digest));
        }
    }

    /// <summary>protobuf-specs, HashAlgorithm.</summary>
    public static string NameOf(HashAlgorithmName hash) => $"SHA2_{hash.Name![3..]}";

    private VerificationException NotComputable(string what) =>
        new("sig.digest-unsupported", $"the signature needs {what} of the artifact itself, of which only {artifact} is known");
}
