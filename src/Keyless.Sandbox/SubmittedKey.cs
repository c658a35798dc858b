using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Keyless.Sandbox;

/// <summary>The public key, bare or in a certificate, with which a client says its signature verifies.</summary>
internal sealed class SubmittedKey
{
    private readonly AsymmetricAlgorithm key;

    private SubmittedKey(AsymmetricAlgorithm key, byte[] spki, byte[]? certificate)
    {
        this.key = key;
        Spki = spki;
        Certificate = certificate;
        (Details, Hash) = key switch
        {
            ECDsa { KeySize: 256 } => ("PKIX_ECDSA_P256_SHA_256", HashAlgorithmName.SHA256),
            ECDsa { KeySize: 384 } => ("PKIX_ECDSA_P384_SHA_384", HashAlgorithmName.SHA384),
            ECDsa { KeySize: 521 } => ("PKIX_ECDSA_P521_SHA_512", HashAlgorithmName.SHA512),
            RSA { KeySize: 2048 or 3072 or 4096 } => ($"PKIX_RSA_PKCS1V15_{key.KeySize}_SHA256", HashAlgorithmName.SHA256),
            _ => throw new BadHttpRequestException("the public key is of a kind that is not supported"),
        };
    }

    public byte[] Spki { get; }

    /// <summary>DER; null for a bare key.</summary>
    public byte[]? Certificate { get; }

    /// <summary>The name of the key's default algorithm in Sigstore's <c>PublicKeyDetails</c>.</summary>
    public string Details { get; }

    public HashAlgorithmName Hash { get; }

    /// <summary>PEM with a final line feed, as Rekor v1 writes it into its entries.</summary>
    public string Pem => (Certificate is null ? PemEncoding.WriteString("PUBLIC KEY", Spki) : PemEncoding.WriteString("CERTIFICATE", Certificate)) + "\n";

    /// <exception cref="BadHttpRequestException">Not a certificate.</exception>
    public static SubmittedKey FromCertificate(byte[] der) => Parse(() =>
    {
        X509Certificate2 certificate = X509CertificateLoader.LoadCertificate(der);
        return new SubmittedKey(
            (AsymmetricAlgorithm?)certificate.GetECDsaPublicKey() ?? certificate.GetRSAPublicKey() ?? throw new CryptographicException("neither ECDSA nor RSA"),
            certificate.PublicKey.ExportSubjectPublicKeyInfo(),
            certificate.RawData);
    });

    /// <exception cref="BadHttpRequestException">Not a public key.</exception>
    public static SubmittedKey FromSpki(byte[] der) => Parse(() =>
    {
        PublicKey parsed = PublicKey.CreateFromSubjectPublicKeyInfo(der, out _);
        return new SubmittedKey(
            (AsymmetricAlgorithm?)parsed.GetECDsaPublicKey() ?? parsed.GetRSAPublicKey() ?? throw new CryptographicException("neither ECDSA nor RSA"),
            parsed.ExportSubjectPublicKeyInfo(),
            certificate: null);
    });

    /// <exception cref="BadHttpRequestException">Neither a certificate nor a public key.</exception>
    public static SubmittedKey FromPem(string text) => Parse(() =>
    {
        PemFields block = PemEncoding.Find(text);
        byte[] der = Convert.FromBase64String(text[block.Base64Data]);
        return text[block.Label] switch
        {
            "CERTIFICATE" => FromCertificate(der),
            "PUBLIC KEY" => FromSpki(der),
            _ => throw new BadHttpRequestException("the PEM block is neither a certificate nor a public key"),
        };
    });

    /// <summary>Whether the signature (ASN.1 for ECDSA, PKCS #1 v1.5 for RSA) is over this digest.</summary>
    public bool Verifies(byte[] digest, HashAlgorithmName hash, byte[] signature) => key switch
    {
        ECDsa ecdsa => ecdsa.VerifyHash(digest, signature, DSASignatureFormat.Rfc3279DerSequence),
        RSA rsa => rsa.VerifyHash(digest, signature, hash, RSASignaturePadding.Pkcs1),
        _ => false,
    };

    private static SubmittedKey Parse(Func<SubmittedKey> parse)
    {
        try
        {
            return parse();
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException or FormatException or NotSupportedException)
        {
            throw new BadHttpRequestException("the certificate or public key cannot be read", e);
        }
    }
}
