using System.Security.Cryptography.X509Certificates;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>
/// A certificate proven to have been issued for signing by an authority of the trusted root, valid at each proven moment, and
/// published (client-spec §4.3). Its key, and whom it names, may be believed.
/// </summary>
internal sealed class SigningCertificate
{
    private readonly string issuance;
    private readonly CertificateTransparency transparency;

    private SigningCertificate(Certificate certificate, VerificationKey key, CertificateIdentity identity, string issuance, CertificateTransparency transparency)
    {
        Der = certificate.Der;
        Key = key;
        Identity = identity;
        this.issuance = issuance;
        this.transparency = transparency;
    }

    public byte[] Der { get; }

    public VerificationKey Key { get; }

    public CertificateIdentity Identity { get; }

    public IEnumerable<string> Checks => [issuance, transparency.Check];

    public static SigningCertificate Validate(byte[] der, SigningTime time, TrustedRoot root)
    {
        Certificate leaf = VerificationException.Reading("cert.der", () => Certificate.Parse(der));
        VerificationException.Reading("cert.usage", () => RequireForSigning(leaf));
        CertificateAuthority authority = FindAuthority(leaf, time, root);
        CertificateTransparency transparency = CertificateTransparency.Verify(leaf, authority.Certificates[0], root);
        VerificationKey key = VerificationException.Reading("cert.key", () => VerificationKey.FromSpki(leaf.Spki));
        CertificateIdentity identity = CertificateIdentity.Read(leaf);
        return new SigningCertificate(
            leaf,
            key,
            identity,
            $"The certificate was issued by {Certificate.ShowName(leaf.Issuer)} ({Shown.Of(authority.Uri)}) and was valid at that time",
            transparency);
    }

    // RFC 5280 §4.2.1: an end entity that may sign code. anyExtendedKeyUsage does not say so.
    private static bool RequireForSigning(Certificate leaf)
    {
        CertificatePath.RequireUnderstood(leaf);
        return !leaf.BasicConstraints().IsAuthority
            && leaf.KeyUsage() is { } usage && usage.HasFlag(X509KeyUsageFlags.DigitalSignature)
            && leaf.ExtendedKeyUsages().Contains(CertificatePath.CodeSigning)
                ? true
                : throw new FormatException("the certificate is not for signing code");
    }

    // Two deployments of one operator may share a name, so every chain of that name is tried; what is reported is how far the
    // best of them came.
    private static CertificateAuthority FindAuthority(Certificate leaf, SigningTime time, TrustedRoot root)
    {
        CertificateAuthority[] named = [.. root.CertificateAuthorities.Where(authority => authority.First is { } issuer && issuer.Subject.AsSpan().SequenceEqual(leaf.Issuer))];
        if (named.Length == 0)
        {
            throw new VerificationException(
                "cert.issuer",
                "the certificate's issuer is not in the trusted root",
                string.Join(" or ", root.CertificateAuthorities.Select(authority => authority.First is { } issuer ? Certificate.ShowName(issuer.Subject) : authority.Uri)),
                Certificate.ShowName(leaf.Issuer));
        }

        VerificationException? refusal = null;
        foreach (CertificateAuthority authority in named)
        {
            try
            {
                if (!VerificationException.Reading("cert.path", () => CertificateAuthority.Issued(authority.Certificates[0], authority.Keys[0], leaf)))
                {
                    refusal ??= new VerificationException("cert.signature", $"the certificate was not signed by {Certificate.ShowName(leaf.Issuer)}");
                    continue;
                }

                RequireValidAtEach(leaf, authority, time);
                return authority;
            }
            catch (VerificationException e)
            {
                refusal = e;
            }
        }

        throw refusal!;
    }

    private static void RequireValidAtEach(Certificate leaf, CertificateAuthority authority, SigningTime time)
    {
        foreach (DateTimeOffset moment in time.Times.Select(proven => proven.Moment))
        {
            if (!CertificatePath.IsValidAt(leaf, moment))
            {
                throw new VerificationException(
                    "cert.validity",
                    "the certificate was not valid when the signature was made",
                    $"{Shown.Of(leaf.NotBefore)} to {Shown.Of(leaf.NotAfter)}",
                    Shown.Of(moment));
            }

            if (!authority.Window.Contains(moment))
            {
                throw new VerificationException("cert.window", "the authority was not in use when the signature was made", authority.Window.ToString(), Shown.Of(moment));
            }

            VerificationException.Reading("cert.path", () =>
            {
                CertificatePath.RequireAuthorities(authority.Certificates, CertificatePath.CodeSigning, moment);
                return true;
            });
        }
    }
}
