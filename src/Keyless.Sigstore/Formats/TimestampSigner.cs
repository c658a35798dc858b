using System.Formats.Asn1;
using System.Security.Cryptography;

namespace Keyless.Sigstore.Formats;

/// <summary>
/// Whose a timestamp says it is, twice: by the signer id of CMS (RFC 5652 §5.3), which is not signed, and by the hash of a certificate in
/// an attribute, which is (RFC 5035 §3). Nothing in it is trusted yet.
/// </summary>
internal sealed record TimestampSigner
{
    public const string SigningCertificateV1 = "1.2.840.113549.1.9.16.2.12";
    public const string SigningCertificateV2 = "1.2.840.113549.1.9.16.2.47";

    private static readonly Asn1Tag Zero = new(TagClass.ContextSpecific, 0);

    /// <summary>DER, and the contents of the INTEGER; null where a key identifier names the signer.</summary>
    public required byte[]? Issuer { get; init; }

    public required byte[]? SerialNumber { get; init; }

    public required byte[]? KeyIdentifier { get; init; }

    /// <summary>The hash function and the hash of the signer's certificate; null where no attribute that can be read says it.</summary>
    public (HashAlgorithmName Function, byte[] Value)? CertificateHash { get; init; }

    /// <summary>
    /// Reads who signed out of a SignerInfo, whatever else is in it: of an authority that the trusted root does not know nothing more is
    /// asked. Leaves the reader at the digest algorithm.
    /// </summary>
    /// <exception cref="AsnContentException">It does not even say that.</exception>
    public static TimestampSigner Read(AsnReader signer)
    {
        if (signer.PeekTag().HasSameClassAndValue(Zero))
        {
            return new TimestampSigner { Issuer = null, SerialNumber = null, KeyIdentifier = signer.ReadOctetString(Zero) };
        }

        AsnReader issuerAndSerial = signer.ReadSequence();
        byte[] issuer = issuerAndSerial.ReadEncodedValue().ToArray();
        byte[] serial = issuerAndSerial.ReadIntegerBytes().ToArray();
        issuerAndSerial.ThrowIfNotEmpty();
        return new TimestampSigner { Issuer = issuer, SerialNumber = serial, KeyIdentifier = null };
    }

    /// <summary>All of a SignerInfo that tells whose it is.</summary>
    public static TimestampSigner ReadAll(AsnReader signer)
    {
        _ = signer.ReadIntegerBytes();
        TimestampSigner read = Read(signer);
        _ = signer.ReadSequence();
        if (!signer.PeekTag().HasSameClassAndValue(Zero))
        {
            return read;
        }

        AsnReader attributes = signer.ReadSetOf(skipSortOrderValidation: true, Zero);
        while (attributes.HasData)
        {
            AsnReader attribute = attributes.ReadSequence();
            string type = attribute.ReadObjectIdentifier();
            if (type is SigningCertificateV1 or SigningCertificateV2 && TryReadHash(type, attribute) is { } hash)
            {
                read = read with { CertificateHash = hash };
            }
        }

        return read;
    }

    /// <summary>Either name is enough: with one of them changed, a bad token would pass for a stranger's.</summary>
    /// <exception cref="FormatException">The certificate's key identifier is malformed.</exception>
    public bool Names(Certificate certificate) => IsIdentifiedAs(certificate) || IsTiedTo(certificate);

    /// <summary>RFC 5652 §5.3.</summary>
    public bool IsIdentifiedAs(Certificate certificate) => KeyIdentifier is not null
        ? certificate.SubjectKeyIdentifier() is { } own && own.AsSpan().SequenceEqual(KeyIdentifier)
        : certificate.Issuer.AsSpan().SequenceEqual(Issuer) && certificate.SerialNumber.AsSpan().SequenceEqual(SerialNumber);

    /// <summary>RFC 5035 §3: the attribute ties the signature to one certificate, so that another with the same key cannot take its place.</summary>
    public bool IsTiedTo(Certificate certificate) =>
        CertificateHash is var (function, value) && HashOf(function, certificate.Der).AsSpan().SequenceEqual(value);

    // SigningCertificate(V2) ::= SEQUENCE { certs SEQUENCE OF ESSCertID(v2), policies OPTIONAL }; the first names the signer.
    public static (HashAlgorithmName Function, byte[] Value) ReadHash(AsnReader value, bool isVersion2)
    {
        AsnReader certificate = value.ReadSequence().ReadSequence().ReadSequence();
        HashAlgorithmName hash = !isVersion2 ? HashAlgorithmName.SHA1
            : certificate.PeekTag().HasSameClassAndValue(Asn1Tag.Sequence) ? TimestampToken.ReadHash(certificate.ReadSequence())
            : HashAlgorithmName.SHA256;
        return (hash, certificate.ReadOctetString());
    }

    private static (HashAlgorithmName Function, byte[] Value)? TryReadHash(string type, AsnReader attribute)
    {
        try
        {
            return ReadHash(attribute.ReadSetOf(skipSortOrderValidation: true), type == SigningCertificateV2);
        }
        catch (Exception e) when (e is AsnContentException or FormatException)
        {
            return null; // no certificate that anybody could know
        }
    }

#pragma warning disable CA5350 // SHA-1 is the only hash of an ESSCertID v1; it names a certificate that the trusted root pins anyway.
    private static byte[] HashOf(HashAlgorithmName hash, byte[] der) =>
        hash == HashAlgorithmName.SHA1 ? SHA1.HashData(der) : CryptographicOperations.HashData(hash, der);
#pragma warning restore CA5350
}
