using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Keyless.Sandbox;

/// <summary>A certificate authority: a P-384 key and its certificate.</summary>
internal sealed class CertificateIssuer(ECDsa key, X509Certificate2 certificate)
{
    private readonly X509SignatureGenerator generator = X509SignatureGenerator.CreateForECDsa(key);

    public ECDsa Key => key;

    public X509Certificate2 Certificate => certificate;

    public static CertificateIssuer Root(X500DistinguishedName name, int pathLength, DateTimeOffset from, DateTimeOffset to)
    {
        var key = ECDsa.Create(ECCurve.NamedCurves.nistP384);
        var publicKey = new PublicKey(key);
        CertificateRequest request = Request(name, publicKey, [.. Authority(pathLength), SubjectKey(publicKey), AuthorityKey(publicKey)]);
        return new CertificateIssuer(key, request.Create(name, X509SignatureGenerator.CreateForECDsa(key), from, to, NewSerial()));
    }

    public CertificateIssuer Intermediate(X500DistinguishedName name, int pathLength, string purpose, DateTimeOffset from, DateTimeOffset to)
    {
        var intermediate = ECDsa.Create(ECCurve.NamedCurves.nistP384);
        var publicKey = new PublicKey(intermediate);
        X509Certificate2 issued = Issue(name, publicKey, from, to, NewSerial(),
            [.. Authority(pathLength), Purpose(purpose, critical: false), SubjectKey(publicKey), AuthorityKey()]);
        return new CertificateIssuer(intermediate, issued);
    }

    /// <summary>Signs exactly these extensions, in this order.</summary>
    public X509Certificate2 Issue(
        X500DistinguishedName subject, PublicKey subjectKey, DateTimeOffset from, DateTimeOffset to, byte[] serial, IEnumerable<X509Extension> extensions) =>
        Request(subject, subjectKey, extensions).Create(certificate.SubjectName, generator, from, to, serial);

    public X509Extension AuthorityKey() => AuthorityKey(certificate.PublicKey);

    public static X509Extension SubjectKey(PublicKey key) => new X509SubjectKeyIdentifierExtension(key, critical: false);

    public static X509Extension Purpose(string oid, bool critical) => new X509EnhancedKeyUsageExtension([new Oid(oid)], critical);

    /// <summary>One O, one CN: every certificate of the sandbox has an O of its own.</summary>
    public static X500DistinguishedName Name(string organization, string commonName)
    {
        var name = new X500DistinguishedNameBuilder();
        name.AddCommonName(commonName);
        name.AddOrganizationName(organization);
        return name.Build();
    }

    /// <summary>Twenty bytes, positive and without a leading zero (RFC 5280 §4.1.2.2).</summary>
    public static byte[] NewSerial()
    {
        byte[] serial = RandomNumberGenerator.GetBytes(20);
        serial[0] = (byte)((serial[0] & 0x3f) | 0x40);
        return serial;
    }

    private static X509Extension[] Authority(int pathLength) =>
    [
        new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: true, pathLength, critical: true),
        new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, critical: true),
    ];

    private static X509AuthorityKeyIdentifierExtension AuthorityKey(PublicKey key) =>
        X509AuthorityKeyIdentifierExtension.CreateFromSubjectKeyIdentifier(new X509SubjectKeyIdentifierExtension(key, critical: false));

    private static CertificateRequest Request(X500DistinguishedName subject, PublicKey key, IEnumerable<X509Extension> extensions)
    {
        var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA384);
        foreach (X509Extension extension in extensions)
        {
            request.CertificateExtensions.Add(extension);
        }

        return request;
    }
}
