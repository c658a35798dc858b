using System.Formats.Asn1;
using System.Numerics;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Testing;
using Bc = Org.BouncyCastle.Math.EC.Rfc8032;

namespace Keyless.Sigstore.Tests;

/// <summary>Kinds of keys that are refused wherever one is asked for: in a certificate, in a policy, in the trusted root.</summary>
[TestClass]
public sealed class KeyKindTests
{
    private static readonly byte[] File = Encoding.UTF8.GetBytes("a file\n");

    public static IEnumerable<object[]> Refused =>
    [
        Ecdsa("secp256k1", "1.3.132.0.10"),
        Ecdsa("brainpoolP256r1", "1.3.36.3.3.2.8.1.1.7"),
        Ecdsa("P-224", "1.3.132.0.33"),
        Ecdsa("P-192", "1.2.840.10045.3.1.1"),
        Row("P-256 with explicit parameters", key => Explicit(key)),
        Row("P-256 as a compressed point", key => Spki(key, point => [(byte)(2 + (point[^1] & 1)), .. point[1..33]])),
        Row("P-256 as a hybrid point", key => Spki(key, point => [(byte)(6 + (point[^1] & 1)), .. point[1..]])),
        Row("the point at infinity", key => Spki(key, _ => [0])),
        Row("a point that is not on the curve", key => Spki(key, point => point.Flipped(-1))),
        Row("a point with zero bytes", key => Spki(key, point => [4, .. new byte[64]])),
        Row("a point that is cut off", key => Spki(key, point => point[..^1])),
        Row("a byte after the point", key => Spki(key, point => [.. point, 0])),
        Row("a byte after the key", key => [.. key.ExportSubjectPublicKeyInfo(), 0]),
        Row("a curve without its name", key => Spki(key, point => point, parameters: [5, 0])),
        Row("a curve of another length", key => Spki(key, point => point, parameters: [6, 5, 0x2b, 0x81, 4, 0, 0x22])),
        Row("a bit string with unused bits", key => Spki(key, point => point, unused: 1)),
        Row("RSA with 1024 bits", _ => Rsa(1024)),
        Row("RSA with 2047 bits", _ => RsaOf(Modulus(2047), [1, 0, 1])),
        Row("RSA with exponent 3", _ => RsaOf(Modulus(2048), [3])),
        Row("RSA with exponent 65539", _ => RsaOf(Modulus(2048), [1, 0, 3])),
        Row("RSA with exponent 1", _ => RsaOf(Modulus(2048), [1])),
        Row("RSA with exponent 65793", _ => RsaOf(Modulus(2048), [1, 1, 1])),
        Row("RSA with exponent 196609", _ => RsaOf(Modulus(2048), [3, 0, 1])),
        Row("RSA with something after its NULL", _ => Info(algorithm => { algorithm.WriteObjectIdentifier("1.2.840.113549.1.1.1"); algorithm.WriteNull(); algorithm.WriteNull(); }, RsaNumbers(Modulus(2048), [1, 0, 1]))),
        Row("RSA with something after its bits", _ => Der.Edited(RsaOf(Modulus(2048), [1, 0, 1]), tree => tree.Parts.Add(Der.Of(5)))),
        Row("Ed25519 with unused bits", _ => Info(algorithm => algorithm.WriteObjectIdentifier("1.3.101.112"), EdPoint(), unused: 1)),
        Row("RSA with 8200 bits", _ => RsaOf(Modulus(8200), [1, 0, 1])),
        Row("RSA with a byte after its numbers", _ => VerificationKey.WrapPkcs1([.. RsaNumbers(Modulus(2048), [1, 0, 1]), 0])),
        Row("RSA without its NULL", _ => Info(algorithm => algorithm.WriteObjectIdentifier("1.2.840.113549.1.1.1"), RsaNumbers(Modulus(2048), [1, 0, 1]))),
        Row("RSA that names PSS", _ => Info(algorithm => algorithm.WriteObjectIdentifier("1.2.840.113549.1.1.10"), RsaNumbers(Modulus(2048), [1, 0, 1]))),
        Row("Ed25519 with a NULL", _ => Info(algorithm => { algorithm.WriteObjectIdentifier("1.3.101.112"); algorithm.WriteNull(); }, EdPoint())),
        Row("Ed25519 with 31 bytes", _ => Info(algorithm => algorithm.WriteObjectIdentifier("1.3.101.112"), EdPoint()[..31])),
        Row("Ed25519 with 33 bytes", _ => Info(algorithm => algorithm.WriteObjectIdentifier("1.3.101.112"), [.. EdPoint(), 0])),
        Row("Ed448", _ => Info(algorithm => algorithm.WriteObjectIdentifier("1.3.101.113"), new byte[57])),
        Row("X25519", _ => Info(algorithm => algorithm.WriteObjectIdentifier("1.3.101.110"), EdPoint())),
        Row("ML-DSA-65", _ => Info(algorithm => algorithm.WriteObjectIdentifier("2.16.840.1.101.3.4.3.18"), new byte[1952])),
        Row("a key of no algorithm", _ => [0x30, 4, 0x30, 0, 3, 0]),
        Row("nothing", _ => []),
    ];

    [TestMethod]
    [Clause("R.15", "C.27", "C.28", "C.29", "C.30", "K.1")]
    [DynamicData(nameof(Refused), DynamicDataDisplayName = nameof(Name))]
    public void Refuses(string what, byte[] spki)
    {
        Assert.ThrowsExactly<FormatException>(() => VerificationKey.FromSpki(spki), what);
        Assert.ThrowsExactly<FormatException>(() => ManagedKey.FromPem(PemEncoding.WriteString("PUBLIC KEY", spki)), what);
        foreach ((string list, string details) in ((string, string)[])[("tlogs", "PKIX_ECDSA_P256_SHA_256"), ("ctlogs", "PKIX_RSA_PKCS1V5"), ("tlogs", "PKIX_ED25519")])
        {
            JsonObject root = Forge.World.RootJson();
            root.Instance(list)["publicKey"]!["rawBytes"] = Convert.ToBase64String(spki);
            root.Instance(list)["publicKey"]!["keyDetails"] = details;
            root.Instance(list)["logId"]!["keyId"] = Convert.ToBase64String(SHA256.HashData(spki));
            Assert.HasCount(1, TrustedRoot.Parse(Encoding.UTF8.GetBytes(root.ToJsonString())).Warnings, what);
        }
    }

    [TestMethod]
    [Clause("C.30")]
    [DataRow(2048)]
    [DataRow(8192)]
    public void Takes_RSA_of_every_size_up_to_the_bound(int bits) => Assert.AreEqual(bits, VerificationKey.FromSpki(RsaOf(Modulus(bits), [1, 0, 1])).RsaBits);

    // In a leaf that everybody else found good.
    [TestMethod]
    [Clause("C.27", "C.28", "C.30")]
    [DataRow("1.3.132.0.10")]
    [DataRow("1.2.840.10045.3.1.1")]
    [DataRow("explicit")]
    [DataRow("RSA-1024")]
    public void Refuses_a_leaf_with_such_a_key(string kind)
    {
        using AsymmetricAlgorithm key = kind switch
        {
            "RSA-1024" => RSA.Create(1024),
            "explicit" => ECDsa.Create(ECDsa.Create(ECCurve.NamedCurves.nistP256).ExportExplicitParameters(includePrivateParameters: true)),
            _ => ECDsa.Create(ECCurve.CreateFromValue(kind)),
        };
        foreach (byte[]? content in (byte[]?[])[null, File])
        {
            foreach (LogKind log in (LogKind[])[LogKind.V1, LogKind.V2Ed25519])
            {
                Verdict.Refuses("cert.key", Forge.LoggedBy(log) with { Key = key, Hash = HashAlgorithmName.SHA256, Content = content });
            }
        }
    }

    // A leaf whose key is a point of small order verifies nothing, and nobody holds the key of an Ed25519 point that has two spellings.
    [TestMethod]
    [Clause("G.13")]
    [DataRow("0100000000000000000000000000000000000000000000000000000000000000")]
    [DataRow("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")]
    [DataRow("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")]
    [DataRow("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa")]
    [DataRow("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")]
    public void Refuses_what_a_key_of_small_order_signed(string point)
    {
        byte[] small = Convert.FromHexString(point);
        byte[] spki = [.. Convert.FromHexString("302a300506032b6570032100"), .. small];
        foreach (bool managed in (bool[])[true, false])
        {
            // R = A and S = 0 satisfies the bare equation for some messages.
            var key = new ForgedKey(spki, "PKIX_ED25519", HashAlgorithmName.SHA256, _ => [.. small, .. new byte[32]]);
            Verdict.Refuses("sig.invalid", Forge.V1 with { Signer = key, Managed = managed });
            Verdict.Refuses("sig.invalid", Forge.V1 with { Signer = key, Managed = managed, Content = File });
        }
    }

    [TestMethod]
    [Clause("G.9", "G.13")]
    public void Refuses_an_Ed25519_signature_in_a_second_spelling()
    {
        BigInteger order = BigInteger.Pow(2, 252) + BigInteger.Parse("27742317777372353535851937790883648493", null);
        ForgedKey pure = ForgedKey.Ed25519(prehash: false), prehashed = ForgedKey.Ed25519(prehash: true);
        foreach (Func<byte[], byte[]> edit in (Func<byte[], byte[]>[])[Larger, signature => [.. signature, 0], signature => signature[..63], signature => [.. new byte[32], .. signature[32..]], signature => signature.Flipped(63)])
        {
            Verdict.Refuses("sig.invalid", Forge.V1 with { Signer = pure, Signature = edit });
            Verdict.Refuses("sig.invalid", Forge.V1 with { Signer = pure, Signature = edit, Content = File });
            Verdict.Refuses("sig.invalid", Forge.V2 with { Signer = prehashed, Signature = edit });
            Verdict.Refuses("sig.invalid", Forge.V2 with { Signer = prehashed, Signature = edit, Content = File });
        }

        byte[] Larger(byte[] signature)
        {
            byte[] sum = (new BigInteger(signature.AsSpan(32), isUnsigned: true) + order).ToByteArray(isUnsigned: true);
            return [.. signature[..32], .. sum, .. new byte[32 - sum.Length]];
        }
    }

    // A log of an Ed25519 key: the checkpoint's signature in a second spelling.
    [TestMethod]
    [Clause("M.16")]
    public void Refuses_a_checkpoint_with_a_signature_in_a_second_spelling()
    {
        foreach (Func<byte[], byte[]> edit in (Func<byte[], byte[]>[])[signature => [.. signature, 0], signature => signature[..63], signature => [.. signature[..63], (byte)(signature[63] | 0x80)]])
        {
            LoggedIn entry = new(LogKind.V2Ed25519);
            Verdict.Refuses("tlog.checkpoint", Forge.V2 with
            {
                Entries = [entry with { Note = note => $"{note[..(note.IndexOf("\n\n", StringComparison.Ordinal) + 2)]}\u2014 {entry.Name} {Convert.ToBase64String([.. entry.KeyId[..4], .. edit(entry.Sign(note[..(note.IndexOf("\n\n", StringComparison.Ordinal) + 1)]))])}\n" }],
            });
        }
    }

    [TestMethod]
    [Clause("G.3")]
    public void Takes_low_and_high_S_of_ECDSA()
    {
        var order = new BigInteger(Convert.FromHexString("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"), isUnsigned: true, isBigEndian: true);
        foreach (bool high in (bool[])[true, false])
        {
            Verdict.Accepts(Forge.V2 with { Signature = signature => WithS(signature, s => (s > order / 2) == high ? s : order - s) });
        }

        Verdict.Refuses("sig.invalid", Forge.V2 with { Signature = signature => WithS(signature, s => s + order) });
        Verdict.Refuses("sig.invalid", Forge.V2 with { Signature = signature => WithS(signature, _ => 0) });
        Verdict.Refuses("sig.invalid", Forge.V2 with { Signature = signature => WithS(signature, s => -s) });
        Verdict.Refuses("sig.invalid", Forge.V2 with { Signature = signature => Der.Edited(signature, tree => tree.Parts.Add(Der.Of(5))) });

        static byte[] WithS(byte[] signature, Func<BigInteger, BigInteger> edit) => ForgedToken.Der(writer =>
        {
            AsnReader pair = new AsnReader(signature, AsnEncodingRules.DER).ReadSequence();
            using (writer.PushSequence())
            {
                writer.WriteInteger(pair.ReadInteger());
                writer.WriteInteger(edit(pair.ReadInteger()));
            }
        });
    }

    // What the hash of a key is, the entry and the bundle must say alike, and the key must have signed that.
    [TestMethod]
    [Clause("L.29", "G.4", "G.8")]
    [DataRow(256, "SHA512")]
    [DataRow(256, "SHA384")]
    [DataRow(384, "SHA512")]
    [DataRow(521, "SHA384")]
    public void Refuses_a_hash_that_does_not_go_with_the_curve(int bits, string name)
    {
        var hash = new HashAlgorithmName(name);
        using var key = ECDsa.Create(bits switch { 256 => ECCurve.NamedCurves.nistP256, 384 => ECCurve.NamedCurves.nistP384, _ => ECCurve.NamedCurves.nistP521 });
        foreach (bool managed in (bool[])[true, false])
        {
            Verdict.Refuses("sig.hash", Forge.V1 with { Key = key, Hash = hash, Content = File, Managed = managed });
            Verdict.Refuses("sig.invalid", Forge.V1 with { Key = key, Hash = hash, Managed = managed });
            Verdict.Refuses("tlog.binding", Forge.V2 with { Key = key, Hash = hash, Content = File, Managed = managed });
            Verdict.Refuses("tlog.binding", Forge.V2 with { Key = key, Hash = hash, Managed = managed });
        }
    }

    [TestMethod]
    [Clause("L.29", "G.5", "G.9", "G.14")]
    public void Never_guesses_between_the_paddings_of_RSA()
    {
        using var rsa = RSA.Create(2048);
        ForgedKey pss = ForgedKey.Of(rsa, null, RSASignaturePadding.Pss), pkcs1 = ForgedKey.Of(rsa, null);
        foreach (byte[]? content in (byte[]?[])[null, File])
        {
            foreach (bool managed in (bool[])[true, false])
            {
                Verdict.Accepts(Forge.V2 with { Signer = pss, Content = content, Managed = managed });
                Verdict.Accepts(Forge.V2 with { Signer = pkcs1, Content = content, Managed = managed });
                Verdict.Refuses("sig.invalid", Forge.V1 with { Signer = pss, Content = content, Managed = managed });
                Verdict.Refuses("sig.invalid", Forge.V2 with { Signer = pss with { Details = pkcs1.Details }, Content = content, Managed = managed });
                Verdict.Refuses("sig.invalid", Forge.V2 with { Signer = pkcs1 with { Details = pss.Details }, Content = content, Managed = managed });
                Verdict.Refuses("tlog.binding", Forge.V2 with { Signer = pkcs1 with { Details = "PKIX_RSA_PKCS1V15_3072_SHA256" }, Content = content, Managed = managed });
                Verdict.Refuses("tlog.binding", Forge.V2 with { Signer = pkcs1 with { Details = "PKIX_RSA_PKCS1V5" }, Content = content, Managed = managed });
            }
        }

        // Salt of another length than the hash's.
        ForgedKey sha1 = pkcs1 with { Sign = data => rsa.SignData(data, HashAlgorithmName.SHA1, RSASignaturePadding.Pkcs1) };
        Verdict.Refuses("sig.invalid", Forge.V1 with { Signer = sha1 });
        Verdict.Refuses("sig.invalid", Forge.V2 with { Signer = pkcs1, Signature = signature => [0, .. signature] });
    }

    [TestMethod]
    [Clause("K.1")]
    public void Takes_one_PEM_block_as_a_managed_key()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        string pem = PemEncoding.WriteString("PUBLIC KEY", key.ExportSubjectPublicKeyInfo());
        _ = ManagedKey.FromPem(pem);
        _ = ManagedKey.FromPem($"\n{pem}\r\n");
        using var rsa = RSA.Create(2048);
        foreach (string other in (string[])
            ["", "x", pem + pem, "x" + pem, pem + "x", pem.Replace("PUBLIC KEY", "EC PUBLIC KEY", StringComparison.Ordinal), PemEncoding.WriteString("RSA PUBLIC KEY", rsa.ExportRSAPublicKey()), PemEncoding.WriteString("CERTIFICATE", Forge.World.Tsa.Leaf.RawData), key.ExportPkcs8PrivateKeyPem()])
        {
            Assert.Contains("exactly one PEM block", Assert.ThrowsExactly<FormatException>(() => ManagedKey.FromPem(other)).Message);
        }
    }

    public static string Name(System.Reflection.MethodInfo method, object[] data) => $"{method.Name} {data[0]}";

    private static object[] Row(string what, Func<ECDsa, byte[]> make)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return [what, make(key)];
    }

    // P-256's point under another curve's name, where this machine does not know that curve.
    private static object[] Ecdsa(string what, string curve)
    {
        try
        {
            using var key = ECDsa.Create(ECCurve.CreateFromValue(curve));
            return [what, key.ExportSubjectPublicKeyInfo()];
        }
        catch (CryptographicException)
        {
            return Row(what, key => Spki(key, point => point, parameters: ForgedToken.Der(writer => writer.WriteObjectIdentifier(curve))));
        }
        catch (PlatformNotSupportedException)
        {
            return Row(what, key => Spki(key, point => point, parameters: ForgedToken.Der(writer => writer.WriteObjectIdentifier(curve))));
        }
    }

    private static byte[] Explicit(ECDsa key)
    {
        using var other = ECDsa.Create(key.ExportExplicitParameters(includePrivateParameters: false));
        return other.ExportSubjectPublicKeyInfo();
    }

    private static byte[] Spki(ECDsa key, Func<byte[], byte[]> edit, byte[]? parameters = null, int unused = 0)
    {
        ECPoint point = key.ExportParameters(includePrivateParameters: false).Q;
        return Info(
            algorithm =>
            {
                algorithm.WriteObjectIdentifier("1.2.840.10045.2.1");
                algorithm.WriteEncodedValue(parameters ?? [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]);
            },
            edit([4, .. point.X!, .. point.Y!]),
            unused);
    }

    private static byte[] Info(Action<AsnWriter> algorithm, byte[] key, int unused = 0) => ForgedToken.Der(writer =>
    {
        using (writer.PushSequence())
        {
            using (writer.PushSequence())
            {
                algorithm(writer);
            }

            writer.WriteBitString(unused == 0 ? key : [.. key[..^1], (byte)(key[^1] & 0xfe)], unused);
        }
    });

    private static byte[] Rsa(int bits)
    {
        using var rsa = RSA.Create(bits);
        return rsa.ExportSubjectPublicKeyInfo();
    }

    // Odd, of exactly so many bits; that it has no known factors is nobody's concern here.
    private static byte[] Modulus(int bits)
    {
        byte[] modulus = RandomNumberGenerator.GetBytes((bits + 7) / 8);
        int top = (bits - 1) % 8;
        modulus[0] = (byte)((modulus[0] & ((1 << top) - 1)) | (1 << top));
        modulus[^1] |= 1;
        return modulus;
    }

    private static byte[] RsaOf(byte[] modulus, byte[] exponent) => VerificationKey.WrapPkcs1(RsaNumbers(modulus, exponent));

    private static byte[] RsaNumbers(byte[] modulus, byte[] exponent) => ForgedToken.Der(writer =>
    {
        using (writer.PushSequence())
        {
            writer.WriteInteger(new BigInteger(modulus, isUnsigned: true, isBigEndian: true));
            writer.WriteInteger(new BigInteger(exponent, isUnsigned: true, isBigEndian: true));
        }
    });

    private static byte[] EdPoint()
    {
        byte[] point = new byte[32];
        Bc.Ed25519.GeneratePublicKey(RandomNumberGenerator.GetBytes(32), 0, point, 0);
        return point;
    }
}
