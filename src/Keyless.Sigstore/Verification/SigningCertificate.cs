using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>
/// A certificate proven to have been issued for signing by an authority of the trusted root, valid at each proven moment, and
/// published (client-spec §4.3). Its key, and whom it names, may be believed.
/// </summary>
internal sealed class SigningCertificate : ProvenSigner
{
    private readonly Certificate certificate;
    private readonly CertificateAuthority authority;
    private readonly CertificateTransparency? transparency;

    private SigningCertificate(Certificate certificate, VerificationKey key, CertificateIdentity identity, CertificateAuthority authority, CertificateTransparency? transparency)
        : base(certificate.Der, key)
    {
        Identity = identity;
        this.certificate = certificate;
        this.authority = authority;
        this.transparency = transparency;
    }

    public override CertificateIdentity Identity { get; }

    public override string PemLabel => "CERTIFICATE";

    public override IEnumerable<string> Checks =>
    [
        $"The certificate was issued by {Certificate.ShowName(certificate.Issuer)} ({Shown.Of(authority.Uri)}) and was valid at that time",
        transparency?.Check ?? "No certificate transparency: the trusted root lists no log",
    ];

    /// <param name="chain">The leaf, and after it what old bundles bring along: authorities, which are read and never used, since who may issue
    /// is the trusted root's to say.</param>
    public static SigningCertificate Validate(IReadOnlyList<byte[]> chain, SigningTime time, TrustedRoot root, Proofs proofs, LeafCertificate.Known known)
    {
        LeafCertificate read = known.Read(chain[0]);
        Certificate leaf = read.Certificate;
        foreach (byte[] der in chain.Skip(1))
        {
            if (!VerificationException.Reading("cert.der", () => Certificate.Parse(der).BasicConstraints()).IsAuthority)
            {
                throw new VerificationException("bundle.material", "the bundle's chain has more than one certificate that is not an authority's");
            }
        }

        CertificateTransparency.RequireOneList(leaf);
        VerificationException.Reading("cert.usage", () => RequireForSigning(leaf));
        CertificateAuthority authority = FindAuthority(read, time, root);
        CertificateTransparency? transparency = proofs == Proofs.Log ? read.RequirePublished(authority, root) : null;
        return new SigningCertificate(leaf, read.Key, CertificateIdentity.Read(leaf), authority, transparency);
    }

    // RFC 5280 §4.2.1: an end entity that may sign code. anyExtendedKeyUsage does not say so.
    private static bool RequireForSigning(Certificate leaf)
    {
        CertificatePath.RequireUnderstood(leaf);
        return !leaf.BasicConstraints().IsAuthority
            && leaf.KeyUsage() is { } usage && usage.HasFlag(KeyUsages.DigitalSignature)
            && leaf.ExtendedKeyUsages() is { } usages && usages.Contains(CertificatePath.CodeSigning) && !usages.Contains(CertificatePath.AnyUsage)
                ? true
                : throw new FormatException("the certificate is not for signing code");
    }

    // Two deployments of one operator may share a name, so every chain of that name is tried; what is reported is how far the
    // best of them came.
    private static CertificateAuthority FindAuthority(LeafCertificate read, SigningTime time, TrustedRoot root)
    {
        Certificate leaf = read.Certificate;
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
                if (!read.IsIssuedBy(authority))
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
