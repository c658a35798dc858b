using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Keyless.Sigstore.Signing;

/// <summary>An ECDSA P-256 key that lives as long as one session, in memory only; nobody can get it out.</summary>
internal sealed class SigningKey : IDisposable
{
    private readonly ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    private SigningKey() => SubjectPublicKeyInfo = key.ExportSubjectPublicKeyInfo();

    /// <summary>DER.</summary>
    public ReadOnlyMemory<byte> SubjectPublicKeyInfo { get; }

    public static SigningKey Create() => new();

    /// <summary>The signature over a SHA-256 hash, as DER (RFC 3279 §2.2.3): what X.509, DSSE and Rekor expect.</summary>
    public byte[] SignHash(ReadOnlySpan<byte> hash) => key.SignHash(hash, DSASignatureFormat.Rfc3279DerSequence);

    /// <summary>PKCS #10 without a subject: Fulcio takes the key and the proof of possession from it, the name from the token.</summary>
    public string CreateSigningRequestPem() =>
        new CertificateRequest(new X500DistinguishedName(""), key, HashAlgorithmName.SHA256).CreateSigningRequestPem();

    public void Dispose() => key.Dispose();
}
