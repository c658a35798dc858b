using System.Formats.Asn1;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;

namespace Keyless.Sigstore;

/// <summary>
/// A public key that can say yes or no: P-256, P-384, P-521, RSA from 2048 bits, or Ed25519. Import costs as much as a
/// verification (OpenSSL checks the point), so the keys of a trusted root are imported once.
/// </summary>
internal sealed class VerificationKey
{
    private const string EcPublicKey = "1.2.840.10045.2.1";
    private const string RsaEncryption = "1.2.840.113549.1.1.1";
    private const string Ed25519Oid = "1.3.101.112";

    private readonly ECDsa? ecdsa;
    private readonly RSA? rsa;
    private readonly byte[]? ed25519;

    private VerificationKey(byte[] spki, ECDsa key, int fieldBytes) => (Spki, ecdsa, FieldBytes) = (spki, key, fieldBytes);

    private VerificationKey(byte[] spki, RSA key) => (Spki, rsa) = (spki, key);

    private VerificationKey(byte[] spki, byte[] key) => (Spki, ed25519) = (spki, key);

    /// <summary>DER SubjectPublicKeyInfo (RFC 5280 §4.1).</summary>
    public byte[] Spki { get; }

    /// <summary>Bytes of one coordinate; 0 where the key is not on a curve with NIST's name.</summary>
    public int FieldBytes { get; }

    public bool IsEcdsa => ecdsa is not null;

    public bool IsRsa => rsa is not null;

    public bool IsEd25519 => ed25519 is not null;

    /// <summary>The 32 bytes of an Ed25519 key.</summary>
    public ReadOnlySpan<byte> Ed25519Key => ed25519;

    /// <summary>Bits of the modulus; 0 where the key is not RSA.</summary>
    public int RsaBits => rsa?.KeySize ?? 0;

    /// <exception cref="FormatException">Not strict DER, or a kind of key this client refuses.</exception>
    public static VerificationKey FromSpki(byte[] spki)
    {
        try
        {
            var outer = new AsnReader(spki, AsnEncodingRules.DER);
            AsnReader info = outer.ReadSequence();
            outer.ThrowIfNotEmpty();
            AsnReader algorithm = info.ReadSequence();
            string oid = algorithm.ReadObjectIdentifier();
            byte[] key = info.ReadBitString(out int unused);
            info.ThrowIfNotEmpty();
            return (oid, unused) switch
            {
                (EcPublicKey, 0) => FromPoint(spki, algorithm, key),
                (RsaEncryption, 0) => FromRsa(spki, algorithm, key),
                (Ed25519Oid, 0) when !algorithm.HasData && key.Length == 32 => new VerificationKey(spki, key),
                _ => throw new FormatException($"unsupported public key: algorithm {oid}"),
            };
        }
        catch (Exception e) when (e is AsnContentException or CryptographicException)
        {
            throw new FormatException("malformed public key", e);
        }
    }

    // Named curves only: explicit parameters let the sender choose the group the signature is checked in.
    private static VerificationKey FromPoint(byte[] spki, AsnReader algorithm, byte[] point)
    {
        string curve = algorithm.PeekTag() == Asn1Tag.ObjectIdentifier ? algorithm.ReadObjectIdentifier() : "explicit";
        int fieldBytes = curve switch
        {
            "1.2.840.10045.3.1.7" => 32,
            "1.3.132.0.34" => 48,
            "1.3.132.0.35" => 66,
            _ => throw new FormatException($"unsupported public key: curve {curve}"),
        };
        algorithm.ThrowIfNotEmpty();
        if (point.Length != 1 + 2 * fieldBytes || point[0] != 4)
        {
            throw new FormatException("malformed public key: not an uncompressed point");
        }

        ECDsa key = ECDsa.Create();
        key.ImportSubjectPublicKeyInfo(spki, out _);
        return new VerificationKey(spki, key, fieldBytes);
    }

    private static VerificationKey FromRsa(byte[] spki, AsnReader algorithm, byte[] pkcs1)
    {
        algorithm.ReadNull();
        algorithm.ThrowIfNotEmpty();
        RSA key = RSA.Create();
        key.ImportRSAPublicKey(pkcs1, out int read);
        RSAParameters parameters = key.ExportParameters(includePrivateParameters: false);
        if (read != pkcs1.Length || key.KeySize is < 2048 or > 8192 || parameters.Exponent is not [1, 0, 1])
        {
            throw new FormatException("unsupported public key: RSA of 2048 to 8192 bits with exponent 65537 expected");
        }

        return new VerificationKey(spki, key);
    }

    /// <summary>PKCS#1 RSAPublicKey, as old trusted roots carry it, wrapped into a SubjectPublicKeyInfo.</summary>
    public static byte[] WrapPkcs1(byte[] pkcs1)
    {
        var spki = new AsnWriter(AsnEncodingRules.DER);
        using (spki.PushSequence())
        {
            using (spki.PushSequence())
            {
                spki.WriteObjectIdentifier(RsaEncryption);
                spki.WriteNull();
            }

            spki.WriteBitString(pkcs1);
        }

        return spki.Encode();
    }

    /// <summary>Whether this key made the signature over the data: ECDSA in strict DER, RSA PKCS#1 v1.5, or pure Ed25519.</summary>
    public bool Verifies(ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature, HashAlgorithmName hash)
    {
        if (ed25519 is not null)
        {
            return VerifiesEd25519(data, signature);
        }

        if (rsa is not null)
        {
            return signature.Length == rsa.KeySize / 8 && rsa.VerifyData(data, signature, hash, RSASignaturePadding.Pkcs1);
        }

        Span<byte> fixedSize = stackalloc byte[2 * FieldBytes];
        return TryReadEcdsaSignature(signature, fixedSize) && ecdsa!.VerifyData(data, fixedSize, hash, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
    }

    /// <summary>Whether this key made the signature over a hash, in one of its schemes that sign a hash.</summary>
    public bool VerifiesHash(SignatureScheme scheme, ReadOnlySpan<byte> digest, ReadOnlySpan<byte> signature)
    {
        switch (scheme.Kind)
        {
            case SignatureKind.Ecdsa:
                Span<byte> fixedSize = stackalloc byte[2 * FieldBytes];
                return TryReadEcdsaSignature(signature, fixedSize) && ecdsa!.VerifyHash(digest, fixedSize, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
            case SignatureKind.RsaPkcs1:
                return signature.Length == RsaBits / 8 && rsa!.VerifyHash(digest, signature, scheme.Hash, RSASignaturePadding.Pkcs1);
            case SignatureKind.RsaPss:
                return signature.Length == RsaBits / 8 && rsa!.VerifyHash(digest, signature, scheme.Hash, RSASignaturePadding.Pss);
            case SignatureKind.Ed25519Ph:
                return VerifiesEd25519Ph(digest, signature);
            default:
                throw new ArgumentException($"{scheme.Details} does not sign a hash");
        }
    }

    // The conversion is ours because what counts as DER differs between the platforms' providers.
    private bool TryReadEcdsaSignature(ReadOnlySpan<byte> der, Span<byte> fixedSize)
    {
        try
        {
            var outer = new AsnReader(der.ToArray(), AsnEncodingRules.DER);
            AsnReader pair = outer.ReadSequence();
            outer.ThrowIfNotEmpty();
            bool whole = TryReadScalar(pair, fixedSize[..FieldBytes]) && TryReadScalar(pair, fixedSize[FieldBytes..]);
            pair.ThrowIfNotEmpty();
            return whole;
        }
        catch (AsnContentException)
        {
            return false;
        }
    }

    private static bool TryReadScalar(AsnReader pair, Span<byte> scalar)
    {
        ReadOnlySpan<byte> value = pair.ReadIntegerBytes().Span;
        if ((value[0] & 0x80) != 0)
        {
            return false;
        }

        value = value.TrimStart((byte)0);
        if (value.Length > scalar.Length)
        {
            return false;
        }

        scalar.Clear();
        value.CopyTo(scalar[(scalar.Length - value.Length)..]);
        return true;
    }

    // A method of its own, so that the library is loaded only where a log signs with this key.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool VerifiesEd25519(ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature) => Ed25519.Verifies(ed25519!, data, signature);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool VerifiesEd25519Ph(ReadOnlySpan<byte> digest, ReadOnlySpan<byte> signature) => Ed25519.VerifiesPrehash(ed25519!, digest, signature);
}
