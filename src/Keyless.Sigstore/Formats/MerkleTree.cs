using System.Security.Cryptography;

namespace Keyless.Sigstore.Formats;

/// <summary>The arithmetic of RFC 6962 §2.1 trees: leaf hashes, and the root that a path leads to.</summary>
internal static class MerkleTree
{
    /// <summary>SHA-256(0x00 ‖ leaf).</summary>
    public static byte[] LeafHash(ReadOnlySpan<byte> leaf)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData([0]);
        hash.AppendData(leaf);
        return hash.GetHashAndReset();
    }

    /// <summary>The root of the tree of <paramref name="size"/> leaves in which this leaf stands at <paramref name="index"/>.</summary>
    /// <exception cref="FormatException">The path does not fit index and size.</exception>
    public static byte[] RootFromPath(long index, long size, byte[] leafHash, IReadOnlyList<byte[]> path)
    {
        if (index < 0 || index >= size)
        {
            throw new FormatException($"malformed inclusion proof: index {index} is outside a tree of {size}");
        }

        if (path.Any(hash => hash.Length != SHA256.HashSizeInBytes))
        {
            throw new FormatException("malformed inclusion proof: a hash that is not 32 bytes");
        }

        // RFC 9162 §2.1.3.2: below `inner` the path has a hash at every level, above it only where our subtree is a right
        // child. A path longer or shorter than that is a failure even if the root comes out right.
        int inner = 64 - (int)ulong.LeadingZeroCount((ulong)index ^ (ulong)(size - 1));
        int border = inner == 64 ? 0 : (int)ulong.PopCount((ulong)index >> inner);
        if (path.Count != inner + border)
        {
            throw new FormatException($"malformed inclusion proof: {inner + border} hashes expected for index {index} of {size}, {path.Count} found");
        }

        byte[] hash = leafHash;
        for (int level = 0; level < path.Count; level++)
        {
            bool left = level < inner && ((index >> level) & 1) == 0;
            hash = left ? NodeHash(hash, path[level]) : NodeHash(path[level], hash);
        }

        return hash;
    }

    private static byte[] NodeHash(byte[] left, byte[] right)
    {
        Span<byte> node = stackalloc byte[1 + 2 * SHA256.HashSizeInBytes];
        node[0] = 1;
        left.CopyTo(node[1..]);
        right.CopyTo(node[(1 + SHA256.HashSizeInBytes)..]);
        return SHA256.HashData(node);
    }
}
