using System.Numerics;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sigstore.Formats;
using Keyless.Testing;
using Reference = Keyless.Sandbox.MerkleTree;

namespace Keyless.Sigstore.Tests;

[TestClass]
public sealed class MerkleTreeTests
{
    [TestMethod]
    [Clause("M.20", "M.23")]
    public void Finds_the_root_of_every_small_tree_from_every_leaf_and_from_nothing_else()
    {
        var tree = new Reference();
        for (int size = 1; size <= 70; size++)
        {
            byte[] last = [(byte)size];
            tree.Append(last);
            byte[] root = tree.Root(size);
            for (int index = 0; index < size; index++)
            {
                byte[] leaf = Reference.LeafHash([(byte)(index + 1)]);
                IReadOnlyList<byte[]> path = tree.InclusionProof(index, size);
                CollectionAssert.AreEqual(root, Formats.MerkleTree.RootFromPath(index, size, leaf, path));
                Never(root, index, size, leaf, [.. path, new byte[32]]);
                Never(root, index, size, leaf.Flipped(index % 32), path);
                Never(root, index + 1, size, leaf, path);
                Never(root, index - 1, size, leaf, path);
                if (path.Count > 0)
                {
                    Never(root, index, size, leaf, [.. path.Skip(1)]);
                    Never(root, index, size, leaf, [.. path.Take(path.Count - 1)]);
                    byte[][] changed = [.. path];
                    changed[index % path.Count] = changed[index % path.Count].Flipped(size % 32);
                    Never(root, index, size, leaf, changed);
                }

                if (path.Count > 1)
                {
                    Never(root, index, size, leaf, [path[1], path[0], .. path.Skip(2)]);
                }
            }
        }
    }

    [TestMethod]
    [Clause("M.23")]
    public void Refuses_every_changed_byte_of_a_path()
    {
        var tree = new Reference();
        for (int leaf = 0; leaf < 13; leaf++)
        {
            tree.Append([(byte)leaf]);
        }

        for (int index = 0; index < 13; index++)
        {
            IReadOnlyList<byte[]> path = tree.InclusionProof(index, 13);
            for (int at = 0; at < 32 * path.Count; at++)
            {
                byte[][] changed = [.. path];
                changed[at / 32] = changed[at / 32].Flipped(at % 32);
                Never(tree.Root(13), index, 13, Reference.LeafHash([(byte)index]), changed);
            }
        }
    }

    [TestMethod]
    [Clause("M.19")]
    [DataRow(0, 0)]
    [DataRow(-1, 1)]
    [DataRow(1, 1)]
    [DataRow(0, -1)]
    [DataRow(long.MaxValue, long.MaxValue)]
    [DataRow(long.MinValue, long.MaxValue)]
    public void Refuses_an_index_outside_the_tree(long index, long size)
    {
        for (int hashes = 0; hashes <= 64; hashes++)
        {
            byte[][] path = [.. Enumerable.Repeat(new byte[32], hashes)];
            Assert.ThrowsExactly<FormatException>(() => Formats.MerkleTree.RootFromPath(index, size, new byte[32], path));
        }
    }

    [TestMethod]
    [Clause("M.21")]
    public void Refuses_a_hash_of_another_length()
    {
        var tree = new Reference();
        for (int leaf = 0; leaf < 7; leaf++)
        {
            tree.Append([(byte)leaf]);
        }

        IReadOnlyList<byte[]> path = tree.InclusionProof(4, 7);
        Assert.HasCount(3, path);
        foreach ((int at, byte[] hash) in Enumerable.Range(0, 3).SelectMany(at => (byte[][])[[], path[at][..31], [.. path[at], 0]], (at, hash) => (at, hash)))
        {
            byte[][] changed = [.. path];
            changed[at] = hash;
            Assert.ThrowsExactly<FormatException>(() => Formats.MerkleTree.RootFromPath(4, 7, Reference.LeafHash([4]), changed));
        }
    }

    [TestMethod]
    [Clause("M.20")]
    [DataRow(0, 63)]
    [DataRow(long.MaxValue - 1, 62)]
    [DataRow(1L << 62, 63)]
    [DataRow((1L << 62) - 1, 63)]
    public void Knows_the_length_of_a_path_in_the_largest_tree(long index, int hashes)
    {
        byte[][] path = [.. Enumerable.Repeat(new byte[32], hashes)];
        Assert.HasCount(32, Formats.MerkleTree.RootFromPath(index, long.MaxValue, new byte[32], path));
        Assert.ThrowsExactly<FormatException>(() => Formats.MerkleTree.RootFromPath(index, long.MaxValue, new byte[32], [.. path, new byte[32]]));
        Assert.ThrowsExactly<FormatException>(() => Formats.MerkleTree.RootFromPath(index, long.MaxValue, new byte[32], [.. path.Skip(1)]));
    }

    [TestMethod]
    [Clause("M.22")]
    public void Keeps_leaves_and_nodes_apart()
    {
        byte[] left = Reference.LeafHash([1]), right = Reference.LeafHash([2]);
        CollectionAssert.AreNotEqual(Reference.NodeHash(left, right), Formats.MerkleTree.LeafHash([1, .. left, .. right]));
        CollectionAssert.AreEqual(Convert.FromHexString("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"), Formats.MerkleTree.LeafHash([]));
    }

    private static void Never(byte[] root, long index, long size, byte[] leaf, IReadOnlyList<byte[]> path)
    {
        try
        {
            CollectionAssert.AreNotEqual(root, Formats.MerkleTree.RootFromPath(index, size, leaf, path));
        }
        catch (FormatException)
        {
        }
    }
}

[TestClass]
public sealed class ShownTests
{
    [TestMethod]
    public void Shows_200_characters_and_says_that_there_are_more()
    {
        string most = new('a', 200);
        Assert.AreEqual(most, Shown.Of(most));
        Assert.AreEqual(most + "\u2026", Shown.Of(most + "b"));
    }

    [TestMethod]
    public void Shows_half_of_a_character_as_one_that_was_replaced() => Assert.AreEqual("a\\u{fffd}b", Shown.Of($"a{'\ud83d'}b"));

    [TestMethod]
    [DataRow("\u001b", "\\u{1b}")]
    [DataRow("\u202e", "\\u{202e}")]
    [DataRow("\u2028", "\\u{2028}")]
    [DataRow("\u2029", "\\u{2029}")]
    [DataRow("\ue000", "\\u{e000}")]
    [DataRow("\ud83d\ude00", "\ud83d\ude00")]
    public void Spells_out_what_would_hide_or_move(string text, string shown) => Assert.AreEqual($"a{shown}b", Shown.Of($"a{text}b"));
}

[TestClass]
public sealed class Ed25519Tests
{
    // RFC 8032 §7.1, tests 1 to 3 and SHA(abc): key, message, signature.
    [TestMethod]
    [Clause("M.16")]
    [DataRow("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "", "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b")]
    [DataRow("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72", "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00")]
    [DataRow("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82", "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a")]
    [DataRow("ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f", "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704")]
    public void Verifies_the_vectors_of_RFC_8032(string key, string message, string signature)
    {
        byte[] k = Convert.FromHexString(key), m = Convert.FromHexString(message), s = Convert.FromHexString(signature);
        Assert.IsTrue(Ed25519.Verifies(k, m, s));
        for (int at = 0; at < 64; at++)
        {
            Assert.IsFalse(Ed25519.Verifies(k, m, s.Flipped(at)));
        }

        Assert.IsFalse(Ed25519.Verifies(k, [.. m, 0], s));
        Assert.IsFalse(Ed25519.Verifies(k, m, [.. s, 0]));
        Assert.IsFalse(Ed25519.Verifies(k, m, s.AsSpan(0, 63)));
        Assert.IsFalse(Ed25519.Verifies(k, m, []));
        // S + L is the same scalar, spelled in another way.
        BigInteger order = BigInteger.Pow(2, 252) + BigInteger.Parse("27742317777372353535851937790883648493", null);
        byte[] larger = (new BigInteger(s.AsSpan(32), isUnsigned: true) + order).ToByteArray(isUnsigned: true);
        Assert.IsFalse(Ed25519.Verifies(k, m, [.. s[..32], .. larger, .. new byte[32 - larger.Length]]));
    }

    // The library reads 64 bytes of a digest, however many there are.
    [TestMethod]
    [Clause("G.13")]
    public void Takes_a_prehash_of_64_bytes_and_no_other()
    {
        ForgedKey key = ForgedKey.Ed25519(prehash: true);
        byte[] message = "message"u8.ToArray(), digest = SHA512.HashData(message), signature = key.Sign(message);
        Assert.IsTrue(Ed25519.VerifiesPrehash(key.Spki[^32..], digest, signature));
        Assert.IsFalse(Ed25519.VerifiesPrehash(key.Spki[^32..], [.. digest, 0], signature));
        Assert.IsFalse(Ed25519.VerifiesPrehash(key.Spki[^32..], digest.AsSpan(0, 63), signature));
    }

    // Each of these keys or points has an order that divides eight; with S = 0 the equation holds for some messages.
    [TestMethod]
    [Clause("M.17", "M.18")]
    [DataRow("0100000000000000000000000000000000000000000000000000000000000000")]
    [DataRow("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")]
    [DataRow("0000000000000000000000000000000000000000000000000000000000000000")]
    [DataRow("0000000000000000000000000000000000000000000000000000000000000080")]
    [DataRow("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")]
    [DataRow("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")]
    [DataRow("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")] // 1, not reduced
    [DataRow("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")] // 0, not reduced
    [DataRow("0100000000000000000000000000000000000000000000000000000000000080")] // 1 with a sign it cannot have
    public void Refuses_keys_and_points_of_small_order_or_with_two_spellings(string point)
    {
        byte[] small = Convert.FromHexString(point), scalar = new byte[32];
        byte[] good = Convert.FromHexString("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        for (int message = 0; message < 16; message++)
        {
            Assert.IsFalse(Ed25519.Verifies(small, [(byte)message], [.. small, .. scalar]));
            Assert.IsFalse(Ed25519.Verifies(small, [(byte)message], [.. good, .. scalar]));
            Assert.IsFalse(Ed25519.Verifies(good, [(byte)message], [.. small, .. scalar]));
        }
    }
}

[TestClass]
public sealed class VerificationKeyTests
{
    private static readonly byte[] Message = "message"u8.ToArray();

    [TestMethod]
    [Clause("G.3")]
    public void Takes_one_spelling_of_an_ECDSA_signature()
    {
        using var signer = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var key = VerificationKey.FromSpki(signer.ExportSubjectPublicKeyInfo());
        byte[] flat = signer.SignData(Message, HashAlgorithmName.SHA256), r = flat[..32], s = flat[32..];
        bool Verifies(params byte[] signature) => key.Verifies(Message, signature, HashAlgorithmName.SHA256);

        byte[] good = Sequence(Integer(r), Integer(s));
        Assert.IsTrue(Verifies(good));
        Assert.IsFalse(Verifies(flat));
        Assert.IsFalse(Verifies([.. good, 0]));
        Assert.IsFalse(Verifies(good[..^1]));
        Assert.IsFalse(Verifies([]));
        Assert.IsFalse(Verifies(Sequence(Integer(r), Integer(s), [5, 0])));
        Assert.IsFalse(Verifies(Sequence([2, 34, 0, 0, .. r], Integer(s)))); // leading zeros
        Assert.IsFalse(Verifies([0x30, 0x81, (byte)(good.Length - 2), .. good[2..]])); // a length in the long form
        Assert.IsFalse(Verifies([0x30, 0x80, .. good[2..], 0, 0]));
        Assert.IsFalse(Verifies([0x31, .. good[1..]]));
        Assert.IsFalse(Verifies(Sequence([2, 1, 0], [2, 1, 0])));
        Assert.IsFalse(Verifies(Sequence([2, 1, 1], [2, 1, 0xff]))); // negative
        Assert.IsFalse(Verifies(Sequence(Integer(r), Integer([1, .. new byte[32]])))); // too large for the curve
        var order = new BigInteger(Convert.FromHexString("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"), isUnsigned: true, isBigEndian: true);
        Assert.IsFalse(Verifies(Sequence(Integer(r), Integer((new BigInteger(s, isUnsigned: true, isBigEndian: true) + order).ToByteArray(isUnsigned: true, isBigEndian: true)))));
        for (int cut = 0; cut < good.Length; cut++)
        {
            Assert.IsFalse(Verifies(good[..cut]));
        }

        while (r[0] < 0x80)
        {
            flat = signer.SignData(Message, HashAlgorithmName.SHA256);
            (r, s) = (flat[..32], flat[32..]);
        }

        Assert.IsTrue(Verifies(Sequence(Integer(r), Integer(s))));
        Assert.IsFalse(Verifies(Sequence([2, 32, .. r], Integer(s)))); // without the zero that makes it positive
    }

    [TestMethod]
    [Clause("C.28", "C.29")]
    public void Refuses_keys_it_does_not_take()
    {
        using var p256 = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var rsa = RSA.Create(2048);
        byte[] spki = p256.ExportSubjectPublicKeyInfo();
        Assert.AreEqual("PKIX_ECDSA_P256_SHA_256", SignatureScheme.Of(VerificationKey.FromSpki(spki)).Single().Details);
        Refuses([.. spki, 0]);
        Refuses(spki[..^1]);
        Refuses([]);
        Refuses(spki.Flipped(-1)); // a point that is not on the curve
        Refuses(spki.Replaced([0, 4], [0, 2])); // says: compressed
        Refuses(spki.Replaced([0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7], [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 1]));
        Refuses(rsa.ExportRSAPublicKey());
        Refuses(VerificationKey.WrapPkcs1([.. rsa.ExportRSAPublicKey(), 0]));
        CollectionAssert.AreEqual(rsa.ExportSubjectPublicKeyInfo(), VerificationKey.WrapPkcs1(rsa.ExportRSAPublicKey()));
        using var dsa = DSA.Create(1024);
        Refuses(dsa.ExportSubjectPublicKeyInfo());
        ECParameters parameters = p256.ExportExplicitParameters(false);
        using var explicitly = ECDsa.Create(parameters);
        Refuses(explicitly.ExportSubjectPublicKeyInfo());
        for (int cut = 0; cut < spki.Length; cut++)
        {
            Refuses(spki[..cut]);
        }

        Assert.Contains("curve explicit", Refuses(explicitly.ExportSubjectPublicKeyInfo()).Message);
        Assert.Contains("curve 1.2.840.10045.3.1.1", Refuses(spki.Replaced([0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7], [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 1])).Message);

        static FormatException Refuses(byte[] key) => Assert.ThrowsExactly<FormatException>(() => VerificationKey.FromSpki(key));
    }

    private static byte[] Integer(byte[] value)
    {
        byte[] trimmed = [.. value.SkipWhile(digit => digit == 0)];
        trimmed = trimmed.Length == 0 || trimmed[0] >= 0x80 ? [0, .. trimmed] : trimmed;
        return [2, (byte)trimmed.Length, .. trimmed];
    }

    private static byte[] Sequence(params byte[][] parts)
    {
        byte[] content = [.. parts.SelectMany(part => part)];
        return [0x30, (byte)content.Length, .. content];
    }
}

[TestClass]
public sealed class TrustedRootTests
{
    [TestMethod]
    public void Reads_every_instance()
    {
        TrustedRoot root = Forge.World.Root;
        Assert.HasCount(3, root.Logs);
        Assert.HasCount(2, root.CertificateLogs);
        Assert.HasCount(1, root.CertificateAuthorities);
        Assert.HasCount(2, root.TimestampAuthorities);
        Assert.IsEmpty(root.Warnings);
    }

    [TestMethod]
    [Clause("R.9")]
    public void Ignores_members_it_does_not_know() => Assert.HasCount(3, Parse(root =>
    {
        root["extra"] = 1;
        root.Instance("tlogs")["operator"] = "x";
        root.Instance("tlogs")["checkpointKeyId"] = new JsonObject();
        root.Instance("tlogs")["publicKey"]!["extra"] = null;
    }).Logs);

    public static IEnumerable<object[]> Unused =>
    [
        Row("an unknown kind of key", log => log["publicKey"]!["keyDetails"] = "PKIX_ML_DSA_65"),
        Row("a kind that is not the key's", log => log["publicKey"]!["keyDetails"] = "PKIX_ECDSA_P384_SHA_384"),
        Row("a kind that is not its curve's", log => log["publicKey"]!["keyDetails"] = "PKIX_ED25519"),
        Row("PSS", log => log["publicKey"]!["keyDetails"] = "PKIX_RSA_PSS_2048_SHA256"),
        Row("a key that does not parse", log => log["publicKey"]!["rawBytes"] = "AAAA"),
        Row("another log's id", log => log["logId"]!["keyId"] = Convert.ToBase64String(new byte[32])),
        Row("half an id", log => log["logId"]!["keyId"] = Convert.ToBase64String(Forge.World.V1.LogId[..16])),
        Row("no start", log => log["publicKey"]!["validFor"] = new JsonObject { ["end"] = "2030-01-01T00:00:00Z" }),
        Row("no window", log => log["publicKey"]!.AsObject().Remove("validFor")),
        Row("another hash", log => log["hashAlgorithm"] = "SHA2_512"),
    ];

    [TestMethod]
    [Clause("R.10", "R.13", "R.14", "R.15", "R.16", "R.17")]
    [DynamicData(nameof(Unused))]
    public void Leaves_out_a_log_with(string what, object edit)
    {
        foreach (string list in (string[])["tlogs", "ctlogs"])
        {
            TrustedRoot root = Parse(root => ((Action<JsonObject>)edit)(root.Instance(list)));
            Assert.HasCount(2, root.Logs.Count == 2 ? root.Logs : root.CertificateLogs.Concat(root.Logs.Take(1)), what);
            Assert.HasCount(1, root.Warnings);
            Assert.Contains(list, root.Warnings[0]);
        }
    }

    [TestMethod]
    [Clause("R.11", "R.12")]
    public void Leaves_out_an_authority_without_a_start()
    {
        foreach (string list in (string[])["certificateAuthorities", "timestampAuthorities"])
        {
            Assert.HasCount(1, Parse(root => root.Instance(list).Remove("validFor")).Warnings);
            Assert.HasCount(1, Parse(root => root.Instance(list)["certChain"] = new JsonObject()).Warnings);
        }
    }

    [TestMethod]
    [Clause("R.2", "R.4", "R.5", "R.6", "R.7", "R.8")]
    public void Refuses_what_is_not_a_trusted_root()
    {
        Refuses(root => root["mediaType"] = "application/vnd.dev.sigstore.trustedroot+json;version=0.2");
        Refuses(root => root.Remove("mediaType"));
        Refuses(root => root["tlogs"] = new JsonObject());
        Refuses(root => root["tlogs"]!.AsArray().Add((JsonNode?)null));
        Refuses(root => root.Instance("tlogs")["publicKey"]!["validFor"]!["start"] = "yesterday");
        Refuses(root => root.Instance("tlogs")["publicKey"]!["validFor"]!["start"] = "2026-01-01 00:00:00Z");
        Refuses(root => root.Instance("tlogs")["publicKey"]!["validFor"]!["start"] = "2026-01-01T00:00:00");
        Refuses(root => root.Instance("tlogs")["publicKey"]!["validFor"]!["start"] = "2026-01-01T00:00:00.0000000001Z");
        JsonNode one = Forge.World.RootJson().Instance("tlogs");
        Refuses(root => { for (int i = 0; i < 300; i++) { root["tlogs"]!.AsArray().Add(one.DeepClone()); } });
        Assert.ThrowsExactly<MalformedException>(() => TrustedRoot.Parse("{\"mediaType\":1,\"mediaType\":1}"u8.ToArray()));
        Assert.ThrowsExactly<MalformedException>(() => TrustedRoot.Parse(new byte[2 * 1024 * 1024]));

        static void Refuses(Action<JsonObject> edit) => Assert.ThrowsExactly<MalformedException>(() => Parse(edit));
    }

    [TestMethod]
    [DataRow("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.0000000")]
    [DataRow("2026-01-01T00:00:00.999Z", "2026-01-01T00:00:00.9990000")]
    [DataRow("2026-01-01T00:00:00.123456789Z", "2026-01-01T00:00:00.1234567")]
    [DataRow("2026-01-01T02:00:00+02:00", "2026-01-01T00:00:00.0000000")]
    public void Reads_times_as_ProtoJSON_writes_them(string text, string utc) =>
        Assert.AreEqual(utc, Rfc3339.Parse(text, "test").UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fffffff", null));

    private static object[] Row(string what, Action<JsonObject> edit) => [what, edit];

    private static TrustedRoot Parse(Action<JsonObject> edit)
    {
        JsonObject root = Forge.World.RootJson();
        edit(root);
        return TrustedRoot.Parse(Encoding.UTF8.GetBytes(root.ToJsonString()));
    }
}

/// <summary>Whatever the bytes are, a parser returns or throws a <see cref="FormatException"/>, and the verifier says its verdict.</summary>
[TestClass]
public sealed class MutationTests
{
    private const int Rounds = 1000;

    public static IEnumerable<object[]> Parsers
    {
        get
        {
            JsonObject bundle = JsonNode.Parse((Forge.V1 with { Timestamps = [new Stamped()] }).Make())!.AsObject();
            byte[] certificate = Convert.FromBase64String((string)bundle.Material()["certificate"]!["rawBytes"]!);
            byte[] token = Convert.FromBase64String((string)bundle.Timestamps()[0]!["signedTimestamp"]!);
            byte[] note = Encoding.UTF8.GetBytes((string)bundle.Entry().Proof()["checkpoint"]!["envelope"]!);
            byte[] list = Certificate.Parse(certificate).Extension(SignedCertificateTimestamp.ExtensionOid)!.Value;
            return
            [
                Row("bundle", Encoding.UTF8.GetBytes(bundle.ToJsonString()), bytes => Bundle.Parse(bytes)),
                Row("trusted root", Encoding.UTF8.GetBytes(Forge.World.RootJson().ToJsonString()), bytes => TrustedRoot.Parse(bytes)),
                Row("statement", Convert.FromBase64String((string)bundle.Envelope()["payload"]!), bytes => Statement.Parse(bytes)),
                Row("certificate", certificate, bytes => Read(Certificate.Parse(bytes))),
                Row("timestamp", token, Formats.TimestampToken.Parse),
                Row("SCT list", list, SignedCertificateTimestamp.ParseList),
                Row("checkpoint", note, bytes => Formats.Checkpoint.Parse(Encoding.UTF8.GetString(bytes))),
                Row("EC key", Forge.World.V1.Spki, VerificationKey.FromSpki),
                Row("RSA key", Forge.World.RsaCtLog.Spki, VerificationKey.FromSpki),
                Row("time", "2026-01-01T00:00:00.123456789+01:00"u8.ToArray(), bytes => Rfc3339.Parse(Encoding.UTF8.GetString(bytes), "test")),
            ];
        }
    }

    [TestMethod]
    [DynamicData(nameof(Parsers))]
    public void Parses_or_throws_FormatException(string what, byte[] good, object parse)
    {
        var parser = (Func<byte[], object?>)parse;
        parser(good);
        var random = new Random(what.Length);
        for (int round = 0; round < Rounds; round++)
        {
            byte[] mutant = Mutate(good, random);
            try
            {
                parser(mutant);
            }
            catch (FormatException)
            {
            }
            catch (Exception e)
            {
                Assert.Fail($"{what}, round {round}: {e}\n{Convert.ToBase64String(mutant)}");
            }
        }
    }

    [TestMethod]
    [Clause("C.1", "S.2", "S.3", "T.2")]
    [DataRow("certificate")]
    [DataRow("timestamp")]
    [DataRow("SCT list")]
    public void Refuses_every_truncation_and_a_byte_too_many(string what)
    {
        object[] row = Parsers.Single(row => (string)row[0] == what);
        byte[] good = (byte[])row[1];
        var parser = (Func<byte[], object?>)row[2];
        for (int length = 0; length < good.Length; length++)
        {
            Assert.ThrowsExactly<FormatException>(() => parser(good[..length]));
        }

        Assert.ThrowsExactly<FormatException>(() => parser([.. good, 0]));
    }

    [TestMethod]
    public void Reaches_a_verdict_on_any_mutation()
    {
        byte[][] bundles = [Forge.V1.Make(), Forge.V2.Make()];
        var verifier = new Verifier(Forge.World.Root);
        var random = new Random(7);
        for (int round = 0; round < Rounds; round++)
        {
            byte[] mutant = Mutate(bundles[round % 2], random);
            try
            {
                verifier.Verify(mutant, Forge.Image, Forge.Policy);
            }
            catch (VerificationException)
            {
            }
            catch (Exception e)
            {
                Assert.Fail($"round {round}: {e}\n{Convert.ToBase64String(mutant)}");
            }
        }
    }

    // A certificate whose DER was changed is judged by a verifier that would have to believe it: the change comes before the log signs.
    [TestMethod]
    public void Reaches_a_verdict_on_any_mutated_certificate()
    {
        var random = new Random(11);
        for (int round = 0; round < 100; round++)
        {
            Forge forge = Forge.V2 with { Certificate = der => Mutate(der, random) };
            Assert.ThrowsExactly<VerificationException>(() => forge.Verify());
        }
    }

    private static object[] Row(string what, byte[] good, Func<byte[], object?> parse) => [what, good, parse];

    private static Certificate Read(Certificate certificate)
    {
        _ = certificate.BasicConstraints();
        _ = certificate.KeyUsage();
        _ = certificate.ExtendedKeyUsages();
        _ = certificate.SubjectKeyIdentifier();
        _ = Certificate.ShowName(certificate.Issuer);
        return certificate;
    }

    private static byte[] Mutate(byte[] good, Random random)
    {
        List<byte> mutant = [.. good];
        for (int changes = random.Next(1, 4); changes > 0; changes--)
        {
            int at = random.Next(mutant.Count);
            switch (random.Next(6))
            {
                case 0: mutant[at] ^= (byte)(1 << random.Next(8)); break;
                case 1: mutant[at] = (byte)random.Next(256); break;
                case 2: mutant.Insert(at, (byte)random.Next(256)); break;
                case 3 when mutant.Count > 1: mutant.RemoveAt(at); break;
                case 4: mutant.InsertRange(at, [.. mutant.Skip(at).Take(random.Next(1, 40))]); break;
                case 5 when mutant.Count > 40: mutant.RemoveRange(Math.Min(at, mutant.Count - 30), random.Next(1, 30)); break;
                default: mutant[at] ^= 0x80; break;
            }
        }

        return [.. mutant];
    }
}
