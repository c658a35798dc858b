using System.Collections.Concurrent;
using System.Security.Cryptography;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>
/// A certificate that something was signed with, and what has been shown of it that no moment changes: who issued it, which log promised to publish
/// it, its key. One signer signs a hundred images of a release with one certificate; each of those signatures is verified once.
/// </summary>
internal sealed class LeafCertificate
{
    private readonly Certificate certificate;
    private readonly ConcurrentDictionary<CertificateAuthority, bool> issuers = new();
    private readonly ConcurrentDictionary<(CertificateAuthority, TrustedRoot), CertificateTransparency> published = new();
    private VerificationKey? key;

    private LeafCertificate(Certificate certificate) => this.certificate = certificate;

    public Certificate Certificate => certificate;

    /// <exception cref="VerificationException">The key is none that is known.</exception>
    public VerificationKey Key => key ??= VerificationException.Reading("cert.key", () => VerificationKey.FromSpki(certificate.Spki));

    /// <summary>Whether the authority's first certificate issued it: by name, and by its key.</summary>
    /// <exception cref="VerificationException">The authority's chain cannot be used.</exception>
    public bool IsIssuedBy(CertificateAuthority authority) => issuers.GetOrAdd(
        authority, by => VerificationException.Reading("cert.path", () => CertificateAuthority.Issued(by.Certificates[0], by.Keys[0], certificate)));

    /// <exception cref="VerificationException">No log of the root's is shown to have seen it.</exception>
    public CertificateTransparency RequirePublished(CertificateAuthority issuer, TrustedRoot root) => published.GetOrAdd(
        (issuer, root), by => CertificateTransparency.Verify(certificate, by.Item1.Certificates[0], by.Item2));

    /// <summary>Those that one verifier has seen.</summary>
    internal sealed class Known
    {
        private readonly ConcurrentDictionary<string, LeafCertificate> leaves = new(StringComparer.Ordinal);

        /// <exception cref="VerificationException">It does not parse.</exception>
        public LeafCertificate Read(byte[] der)
        {
            string name = Convert.ToHexString(SHA256.HashData(der));
            if (leaves.TryGetValue(name, out LeafCertificate? known))
            {
                return known;
            }

            var leaf = new LeafCertificate(VerificationException.Reading("cert.der", () => Certificate.Parse(der)));
            // Strangers choose how many there are; one that is not kept is verified again.
            return leaves.Count < Limits.KnownLeaves ? leaves.GetOrAdd(name, leaf) : leaf;
        }
    }
}
