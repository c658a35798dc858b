using System.Formats.Asn1;
using System.Numerics;
using System.Security.Cryptography;

namespace Keyless.Sigstore.Formats;

/// <summary>
/// An RFC 3161 TimeStampResp with the CMS SignedData (RFC 5652) in it, read in strict DER. Nothing in it is trusted yet.
/// Certificates and revocation lists that the token carries are skipped: who may sign is the trusted root's to say.
/// </summary>
internal sealed record TimestampToken
{
    private const string SignedData = "1.2.840.113549.1.7.2";
    private const string TstInfo = "1.2.840.113549.1.9.16.1.4";
    private const string ContentType = "1.2.840.113549.1.9.3";
    private const string MessageDigest = "1.2.840.113549.1.9.4";

    /// <summary>DER of the TSTInfo: what the message digest covers.</summary>
    public required byte[] Content { get; init; }

    /// <summary>The hash function of the imprint and the hash of what was stamped.</summary>
    public required HashAlgorithmName ImprintHash { get; init; }

    public required byte[] Imprint { get; init; }

    public required DateTimeOffset GenTime { get; init; }

    public required TimestampSigner Signer { get; init; }

    /// <summary>The hash function of the message digest and of the signature.</summary>
    public required HashAlgorithmName DigestHash { get; init; }

    public required byte[] SignedDigest { get; init; }

    /// <summary>DER of the signed attributes as a SET: the signed bytes (RFC 5652 §5.4).</summary>
    public required byte[] SignedAttributes { get; init; }

    public required string SignatureAlgorithm { get; init; }

    public required byte[] Signature { get; init; }

    /// <summary>Whose the token says it is. Enough for a stranger's, which need not be of a form that is accepted here.</summary>
    /// <exception cref="FormatException">Not a granted token in DER, or one that names nobody.</exception>
    public static IReadOnlyList<TimestampSigner> ReadSigners(byte[] response) => Read(response, static signedData =>
    {
        _ = signedData.ReadIntegerBytes();
        _ = signedData.ReadSetOf(skipSortOrderValidation: true); // digest algorithms
        _ = signedData.ReadSequence(); // content
        SkipOptionalSet(signedData, Context(0));
        SkipOptionalSet(signedData, Context(1));
        AsnReader infos = signedData.ReadSetOf(skipSortOrderValidation: true);
        var signers = new List<TimestampSigner>();
        while (infos.HasData)
        {
            Require(signers.Count < Limits.Timestamps, "too many signers");
            signers.Add(TimestampSigner.ReadAll(infos.ReadSequence()));
        }

        Require(signers.Count > 0, "nobody signed it");
        return signers;
    });

    /// <exception cref="FormatException">Not a granted token in strict DER.</exception>
    public static TimestampToken Parse(byte[] response) => Read(response, ParseSignedData);

    private static T Read<T>(byte[] response, Func<AsnReader, T> read)
    {
        try
        {
            var outer = new AsnReader(response, AsnEncodingRules.DER);
            AsnReader fields = outer.ReadSequence();
            outer.ThrowIfNotEmpty();
            RequireGranted(fields.ReadSequence());
            AsnReader contentInfo = fields.ReadSequence();
            fields.ThrowIfNotEmpty();
            Require(contentInfo.ReadObjectIdentifier() == SignedData, "not CMS SignedData");
            AsnReader wrapper = contentInfo.ReadSequence(Context(0));
            contentInfo.ThrowIfNotEmpty();
            AsnReader signedData = wrapper.ReadSequence();
            wrapper.ThrowIfNotEmpty();
            return read(signedData);
        }
        catch (Exception e) when (e is AsnContentException or InvalidOperationException)
        {
            throw new FormatException("malformed timestamp: not DER of an RFC 3161 response", e);
        }
    }

    // RFC 3161 §2.4.2: granted(0) or grantedWithMods(1); anything else carries no token worth reading.
    private static void RequireGranted(AsnReader status)
    {
        Require(status.TryReadInt32(out int value) && value is 0 or 1, "the authority did not grant it");
        if (status.HasData && status.PeekTag().HasSameClassAndValue(Asn1Tag.Sequence))
        {
            _ = status.ReadSequence();
        }

        if (status.HasData)
        {
            _ = status.ReadBitString(out _);
        }

        status.ThrowIfNotEmpty();
    }

    private static TimestampToken ParseSignedData(AsnReader signedData)
    {
        Require(signedData.ReadInteger() == 3, "SignedData is not version 3");
        AsnReader digestAlgorithms = signedData.ReadSetOf();
        HashAlgorithmName announced = ReadHash(digestAlgorithms.ReadSequence());
        Require(!digestAlgorithms.HasData, "more than one digest algorithm");
        AsnReader encapsulated = signedData.ReadSequence();
        Require(encapsulated.ReadObjectIdentifier() == TstInfo, "the content is not a TSTInfo");
        AsnReader explicitContent = encapsulated.ReadSequence(Context(0));
        encapsulated.ThrowIfNotEmpty();
        byte[] content = explicitContent.ReadOctetString();
        explicitContent.ThrowIfNotEmpty();
        SkipOptionalSet(signedData, Context(0)); // certificates
        SkipOptionalSet(signedData, Context(1)); // revocation lists
        AsnReader signers = signedData.ReadSetOf();
        signedData.ThrowIfNotEmpty();
        AsnReader signer = signers.ReadSequence();
        Require(!signers.HasData, "more than one signer");
        (HashAlgorithmName imprintHash, byte[] imprint, DateTimeOffset genTime) = ParseTstInfo(content);
        TimestampToken token = ParseSigner(signer);
        Require(token.DigestHash == announced, "the signer's digest algorithm is not the announced one");
        return token with { Content = content, ImprintHash = imprintHash, Imprint = imprint, GenTime = genTime };
    }

    private static (HashAlgorithmName Hash, byte[] Imprint, DateTimeOffset GenTime) ParseTstInfo(byte[] content)
    {
        var outer = new AsnReader(content, AsnEncodingRules.DER);
        AsnReader info = outer.ReadSequence();
        outer.ThrowIfNotEmpty();
        Require(info.ReadInteger() == 1, "TSTInfo is not version 1");
        _ = info.ReadObjectIdentifier();
        AsnReader imprint = info.ReadSequence();
        HashAlgorithmName hash = ReadHash(imprint.ReadSequence());
        byte[] digest = imprint.ReadOctetString();
        imprint.ThrowIfNotEmpty();
        _ = info.ReadIntegerBytes();
        DateTimeOffset genTime = info.ReadGeneralizedTime();
        SkipOptional(info, Asn1Tag.Sequence); // accuracy: nobody narrows or widens a window by it
        SkipOptional(info, Asn1Tag.Boolean); // ordering
        SkipOptional(info, Asn1Tag.Integer); // nonce: the requester's to compare
        SkipOptional(info, Context(0)); // tsa: a name that nothing is decided by
        RequireNothingCritical(info);
        return (hash, digest, genTime);
    }

    // RFC 3161 §2.4.2 takes its extensions from X.509: one that is critical and not understood is a refusal, and none is understood here.
    private static void RequireNothingCritical(AsnReader info)
    {
        if (info.HasData)
        {
            Require(info.PeekTag().HasSameClassAndValue(Context(1)), "TSTInfo goes on");
            IReadOnlyList<CertificateExtension> extensions = CertificateExtension.ParseAll(info.ReadSequence(Context(1)));
            Require(!extensions.Any(extension => extension.Critical), "TSTInfo carries a critical extension");
            Require(!info.HasData, "TSTInfo goes on");
        }
    }

    private static TimestampToken ParseSigner(AsnReader signer)
    {
        BigInteger version = signer.ReadInteger();
        TimestampSigner named = TimestampSigner.Read(signer);
        // RFC 5652 §5.3: the version tells how the signer is named.
        Require(version == (named.KeyIdentifier is null ? 1 : 3), "SignerInfo is of an unknown version");
        HashAlgorithmName digestHash = ReadHash(signer.ReadSequence());
        byte[] attributes = signer.PeekEncodedValue().ToArray();
        Require(signer.PeekTag().HasSameClassAndValue(Context(0)), "no signed attributes");
        (byte[] digest, (HashAlgorithmName, byte[]) certificateHash) = ParseAttributes(signer.ReadSetOf(Context(0)));
        attributes[0] = 0x31; // RFC 5652 §5.4: signed as an explicit SET, stored as [0] IMPLICIT
        AsnReader algorithm = signer.ReadSequence();
        string signatureAlgorithm = algorithm.ReadObjectIdentifier();
        if (algorithm.HasData)
        {
            algorithm.ReadNull();
        }

        algorithm.ThrowIfNotEmpty();
        byte[] signature = signer.ReadOctetString();
        SkipOptionalSet(signer, Context(1)); // unsigned attributes prove nothing
        signer.ThrowIfNotEmpty();
        return new TimestampToken
        {
            Content = [],
            ImprintHash = default,
            Imprint = [],
            GenTime = default,
            Signer = named with { CertificateHash = certificateHash },
            DigestHash = digestHash,
            SignedDigest = digest,
            SignedAttributes = attributes,
            SignatureAlgorithm = signatureAlgorithm,
            Signature = signature,
        };
    }

    private static (byte[] Digest, (HashAlgorithmName, byte[]) CertificateHash) ParseAttributes(AsnReader attributes)
    {
        var values = new Dictionary<string, ReadOnlyMemory<byte>>(StringComparer.Ordinal);
        while (attributes.HasData)
        {
            AsnReader attribute = attributes.ReadSequence();
            string type = attribute.ReadObjectIdentifier();
            AsnReader set = attribute.ReadSetOf();
            attribute.ThrowIfNotEmpty();
            ReadOnlyMemory<byte> value = set.ReadEncodedValue();
            Require(!set.HasData && values.TryAdd(type, value), "a signed attribute with two values");
        }

        AsnReader contentType = Attribute(values, ContentType);
        Require(contentType.ReadObjectIdentifier() == TstInfo, "the signed content type is not TSTInfo");
        byte[] digest = Attribute(values, MessageDigest).ReadOctetString();
        return (digest, values.ContainsKey(TimestampSigner.SigningCertificateV2)
            ? TimestampSigner.ReadHash(Attribute(values, TimestampSigner.SigningCertificateV2), isVersion2: true)
            : TimestampSigner.ReadHash(Attribute(values, TimestampSigner.SigningCertificateV1), isVersion2: false));
    }

    private static AsnReader Attribute(Dictionary<string, ReadOnlyMemory<byte>> values, string type) => values.TryGetValue(type, out ReadOnlyMemory<byte> value)
        ? new AsnReader(value, AsnEncodingRules.DER)
        : throw new FormatException($"malformed timestamp: signed attribute {type} is missing");

    internal static HashAlgorithmName ReadHash(AsnReader algorithm)
    {
        string oid = algorithm.ReadObjectIdentifier();
        if (algorithm.HasData)
        {
            algorithm.ReadNull();
        }

        algorithm.ThrowIfNotEmpty();
        return oid switch
        {
            "2.16.840.1.101.3.4.2.1" => HashAlgorithmName.SHA256,
            "2.16.840.1.101.3.4.2.2" => HashAlgorithmName.SHA384,
            "2.16.840.1.101.3.4.2.3" => HashAlgorithmName.SHA512,
            _ => throw new FormatException($"malformed timestamp: hash algorithm {oid} is not accepted"),
        };
    }

    private static void SkipOptional(AsnReader reader, Asn1Tag tag)
    {
        if (reader.HasData && reader.PeekTag().HasSameClassAndValue(tag))
        {
            _ = reader.ReadEncodedValue();
        }
    }

    private static void SkipOptionalSet(AsnReader reader, Asn1Tag tag)
    {
        if (reader.HasData && reader.PeekTag().HasSameClassAndValue(tag))
        {
            _ = reader.ReadSetOf(skipSortOrderValidation: true, tag);
        }
    }

    private static Asn1Tag Context(int number) => new(TagClass.ContextSpecific, number);

    private static void Require(bool met, string otherwise)
    {
        if (!met)
        {
            throw new FormatException($"malformed timestamp: {otherwise}");
        }
    }
}
