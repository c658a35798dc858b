using System.Security.Cryptography;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>
/// One chain of the trusted root, leaf-most certificate first, trust anchor last, with the window in which the deployment used
/// it. A certificate authority's chain begins with the issuer of its leaves, a timestamp authority's with the leaf itself.
/// </summary>
/// <remarks>What does not depend on a signature's time (links, constraints, keys) is checked once and kept.</remarks>
internal sealed class CertificateAuthority(string uri, IReadOnlyList<byte[]> chain, TimeWindow window)
{
    private readonly Lazy<Links> links = new(() => Links.Read(chain));

    public string Uri { get; } = uri;

    public TimeWindow Window { get; } = window;

    /// <summary>Leaf-most first.</summary>
    /// <exception cref="FormatException">A certificate of the chain does not parse or does not belong there.</exception>
    public IReadOnlyList<Certificate> Certificates => links.Value.Certificates;

    /// <summary>The keys of <see cref="Certificates"/>.</summary>
    public IReadOnlyList<VerificationKey> Keys => links.Value.Keys;

    /// <summary>The first certificate, or null where the chain cannot even be read so far.</summary>
    public Certificate? First => links.Value.First;

    /// <summary>
    /// Whether the certificate says it was issued by the chain's certificate at this position, and that one's key agrees
    /// (RFC 5280 §6.1.3: name chaining over DER bytes, then the signature).
    /// </summary>
    public static bool Issued(Certificate issuer, VerificationKey issuerKey, Certificate certificate) =>
        certificate.Issuer.AsSpan().SequenceEqual(issuer.Subject)
        && SignatureHash(certificate.SignatureAlgorithm, issuerKey) is { } hash
        && issuerKey.Verifies(certificate.Tbs.Span, certificate.Signature, hash);

    // SHA-1 and MD5 are not here on purpose; nor is RSA-PSS, which no authority of this field uses for certificates.
    private static HashAlgorithmName? SignatureHash(string oid, VerificationKey key) => (oid, key) switch
    {
        ("1.2.840.10045.4.3.2", { IsEcdsa: true }) => HashAlgorithmName.SHA256,
        ("1.2.840.10045.4.3.3", { IsEcdsa: true }) => HashAlgorithmName.SHA384,
        ("1.2.840.10045.4.3.4", { IsEcdsa: true }) => HashAlgorithmName.SHA512,
        ("1.2.840.113549.1.1.11", { IsRsa: true }) => HashAlgorithmName.SHA256,
        ("1.2.840.113549.1.1.12", { IsRsa: true }) => HashAlgorithmName.SHA384,
        ("1.2.840.113549.1.1.13", { IsRsa: true }) => HashAlgorithmName.SHA512,
        ("1.3.101.112", { IsEd25519: true }) => HashAlgorithmName.SHA512,
        _ => null,
    };

    private sealed class Links
    {
        private readonly FormatException? defect;
        private readonly Certificate[] certificates;
        private readonly VerificationKey[] keys;

        private Links(Certificate? first, Certificate[] certificates, VerificationKey[] keys, FormatException? defect) =>
            (First, this.certificates, this.keys, this.defect) = (first, certificates, keys, defect);

        public Certificate? First { get; }

        public Certificate[] Certificates => defect is null ? certificates : throw defect;

        public VerificationKey[] Keys => defect is null ? keys : throw defect;

        public static Links Read(IReadOnlyList<byte[]> chain)
        {
            Certificate? first = null;
            try
            {
                first = Certificate.Parse(chain[0]);
                Certificate[] certificates = [.. chain.Select(Certificate.Parse)];
                VerificationKey[] keys = [.. certificates.Select(certificate => VerificationKey.FromSpki(certificate.Spki))];
                for (int i = 0; i + 1 < certificates.Length; i++)
                {
                    if (!Issued(certificates[i + 1], keys[i + 1], certificates[i]))
                    {
                        throw new FormatException($"certificate {i} of the chain was not issued by the next one");
                    }
                }

                return new Links(first, certificates, keys, null);
            }
            catch (FormatException e)
            {
                return new Links(first, [], [], e);
            }
        }
    }
}
