using System.Security.Cryptography;

namespace Keyless.Sigstore;

/// <summary>
/// What a signature is held against: a file's content, or a digest where that is all that is known (an image in its registry).
/// Everything here is computed by us; what a bundle says of its artifact is a claim.
/// </summary>
public sealed class Artifact
{
    private static readonly HashAlgorithmName[] Known = [HashAlgorithmName.SHA256, HashAlgorithmName.SHA384, HashAlgorithmName.SHA512];

    private readonly Dictionary<HashAlgorithmName, byte[]> digests;

    private Artifact(Dictionary<HashAlgorithmName, byte[]> digests, ReadOnlyMemory<byte>? content) => (this.digests, Content) = (digests, content);

    /// <summary>The bytes themselves, which pure Ed25519 signs; null where they are not at hand, or more than are kept.</summary>
    internal ReadOnlyMemory<byte>? Content { get; }

    /// <summary>An artifact of which only the digest is known.</summary>
    public static implicit operator Artifact(ArtifactDigest digest) => FromArtifactDigest(digest);

    /// <inheritdoc cref="op_Implicit"/>
    public static Artifact FromArtifactDigest(ArtifactDigest digest) =>
        new(new() { [new HashAlgorithmName(digest.Algorithm.ToUpperInvariant())] = Convert.FromHexString(digest.Hex) }, null);

    /// <param name="content">Must not change afterwards.</param>
    public static Artifact FromContent(ReadOnlyMemory<byte> content) => new([], content);

    /// <summary>Reads a stream to its end, once, whatever its size.</summary>
    public static async Task<Artifact> ReadAsync(Stream content, CancellationToken cancel)
    {
        IncrementalHash[] hashes = [.. Known.Select(IncrementalHash.CreateHash)];
        try
        {
            using var kept = new MemoryStream();
            byte[] buffer = new byte[64 * 1024];
            long length = 0;
            for (int read; (read = await content.ReadAsync(buffer, cancel)) > 0;)
            {
                length += read;
                foreach (IncrementalHash hash in hashes)
                {
                    hash.AppendData(buffer, 0, read);
                }

                if (length <= Limits.KeptArtifactBytes)
                {
                    kept.Write(buffer, 0, read);
                }
            }

            return new Artifact(
                Known.Zip(hashes).ToDictionary(pair => pair.First, pair => pair.Second.GetHashAndReset()),
                length <= Limits.KeptArtifactBytes ? kept.ToArray() : null);
        }
        finally
        {
            foreach (IncrementalHash hash in hashes)
            {
                hash.Dispose();
            }
        }
    }

    /// <summary>Null where it cannot be computed from what is known.</summary>
    internal byte[]? Digest(HashAlgorithmName algorithm) =>
        digests.GetValueOrDefault(algorithm) ?? (Content is { } content ? CryptographicOperations.HashData(algorithm, content.Span) : null);

    /// <param name="name">As bundles spell it (protobuf-specs, HashAlgorithm).</param>
    /// <exception cref="VerificationException">Not a hash function of this field, or not computable from what is known.</exception>
    internal byte[] DigestNamed(string name)
    {
        HashAlgorithmName hash = Known.FirstOrDefault(known => SignedBytes.NameOf(known) == name);
        return hash == default
            ? throw new VerificationException("sig.digest", "the bundle's digest is by a hash function that is not read", string.Join(", ", Known.Select(SignedBytes.NameOf)), name)
            : Digest(hash) ?? throw new VerificationException("sig.digest-unsupported", $"the signature needs the {name} digest of the artifact, of which only {this} is known");
    }

    public override string ToString()
    {
        HashAlgorithmName shown = Known.First(hash => Digest(hash) is not null);
        return $"{shown.Name!.ToLowerInvariant()}:{Convert.ToHexStringLower(Digest(shown)!)}";
    }
}
