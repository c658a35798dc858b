using System.Numerics;
using System.Security.Cryptography;

namespace Keyless.Sandbox;

/// <summary>An append-only Merkle tree over SHA-256, as RFC 6962 §2.1 defines it: by recursion over the leaf hashes, computed anew each time.</summary>
/// <remarks>Not thread-safe; each log guards its own.</remarks>
internal sealed class MerkleTree
{
    private readonly List<byte[]> leaves = [];

    public int Size => leaves.Count;

    /// <summary>Adds a leaf and returns its index.</summary>
    public int Append(ReadOnlySpan<byte> data)
    {
        leaves.Add(LeafHash(data));
        return leaves.Count - 1;
    }

    public byte[] Root() => Root(Size);

    /// <summary>MTH of the first <paramref name="size"/> leaves.</summary>
    public byte[] Root(int size) => Hash(0, Within(size, Size));

    /// <summary>PATH(index, D[size]): the siblings from the leaf upwards.</summary>
    public IReadOnlyList<byte[]> InclusionProof(int index, int size)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Within(size, Size));
        List<byte[]> path = [];
        CollectPath(index, 0, size, path);
        return path;
    }

    // RFC 6962 §2.1: the prefixes keep leaves and nodes apart.
    public static byte[] LeafHash(ReadOnlySpan<byte> data) => SHA256.HashData([0, .. data]);

    public static byte[] NodeHash(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right) => SHA256.HashData([1, .. left, .. right]);

    private byte[] Hash(int start, int count)
    {
        if (count == 0)
        {
            return SHA256.HashData([]);
        }

        if (count == 1)
        {
            return leaves[start];
        }

        int left = LargestPowerOfTwoBelow(count);
        return NodeHash(Hash(start, left), Hash(start + left, count - left));
    }

    private void CollectPath(int index, int start, int count, List<byte[]> path)
    {
        if (count == 1)
        {
            return;
        }

        int left = LargestPowerOfTwoBelow(count);
        if (index < left)
        {
            CollectPath(index, start, left, path);
            path.Add(Hash(start + left, count - left));
        }
        else
        {
            CollectPath(index - left, start + left, count - left, path);
            path.Add(Hash(start, left));
        }
    }

    private static int LargestPowerOfTwoBelow(int count) => 1 << BitOperations.Log2((uint)count - 1);

    private static int Within(int size, int limit)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(size);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(size, limit);
        return size;
    }
}
