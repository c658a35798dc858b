using System.Numerics;
using System.Text;

namespace Keyless.Sandbox.Tests;

[TestClass]
public sealed class MerkleTreeTests
{
    // The eight leaves and their roots that certificate transparency implementations have always been tested with.
    private static readonly string[] Leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

    [TestMethod]
    [DataRow(0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")]
    [DataRow(1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d")]
    [DataRow(2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125")]
    [DataRow(3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77")]
    [DataRow(4, "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7")]
    [DataRow(5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4")]
    [DataRow(6, "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef")]
    [DataRow(7, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c")]
    [DataRow(8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328")]
    public void Has_the_roots_of_the_known_trees(int size, string root)
    {
        var tree = new MerkleTree();
        foreach (string leaf in Leaves)
        {
            tree.Append(Convert.FromHexString(leaf));
        }

        Assert.AreEqual(root, Convert.ToHexStringLower(tree.Root(size)));
    }

    [TestMethod]
    public void Proves_every_leaf_of_every_tree_up_to_seventy()
    {
        var tree = new MerkleTree();
        for (int size = 1; size <= 70; size++)
        {
            tree.Append(Encoding.UTF8.GetBytes($"leaf {size}"));
            for (int index = 0; index < size; index++)
            {
                byte[] leaf = MerkleTree.LeafHash(Encoding.UTF8.GetBytes($"leaf {index + 1}"));
                Assert.AreEqual(Convert.ToHexString(tree.Root(size)), Convert.ToHexString(Fold(leaf, index, size, tree.InclusionProof(index, size))), $"leaf {index} of {size}");
            }
        }
    }

    [TestMethod]
    public void Knows_no_leaf_beyond_the_size_asked_for()
    {
        var tree = new MerkleTree();
        tree.Append([1]);
        tree.Append([2]);

        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => tree.InclusionProof(1, 1));
    }

    /// <summary>From a leaf to the root by the shape of the tree: inner nodes first, then those on its right edge.</summary>
    internal static byte[] Fold(byte[] leaf, long index, long size, IReadOnlyList<byte[]> path)
    {
        int inner = 64 - BitOperations.LeadingZeroCount((ulong)(index ^ (size - 1)));
        Assert.HasCount(inner + BitOperations.PopCount((ulong)index >> inner), path);
        byte[] hash = leaf;
        for (int i = 0; i < path.Count; i++)
        {
            hash = i < inner && (index >> i & 1) == 0 ? MerkleTree.NodeHash(hash, path[i]) : MerkleTree.NodeHash(path[i], hash);
        }

        return hash;
    }
}
