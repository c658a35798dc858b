using System.Formats.Asn1;
using System.Numerics;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Keyless.Sigstore.Formats;

/// <summary>
/// An X.509 certificate (RFC 5280) read in strict DER. Nothing in it is trusted yet. Read here and not by the platform, because
/// platforms differ in what they let pass, and take twenty times as long.
/// </summary>
internal sealed class Certificate
{
    public required byte[] Der { get; init; }

    /// <summary>DER of the TBSCertificate: the signed bytes.</summary>
    public required ReadOnlyMemory<byte> Tbs { get; init; }

    /// <summary>DER contents of the INTEGER.</summary>
    public required byte[] SerialNumber { get; init; }

    /// <summary>DER of the names, as they stand.</summary>
    public required byte[] Issuer { get; init; }

    public required byte[] Subject { get; init; }

    public required DateTimeOffset NotBefore { get; init; }

    public required DateTimeOffset NotAfter { get; init; }

    /// <summary>DER SubjectPublicKeyInfo.</summary>
    public required byte[] Spki { get; init; }

    public required string SignatureAlgorithm { get; init; }

    public required byte[] Signature { get; init; }

    public required IReadOnlyList<CertificateExtension> Extensions { get; init; }

    /// <exception cref="FormatException">Not one version 3 certificate in strict DER.</exception>
    public static Certificate Parse(byte[] der)
    {
        if (der.Length > Limits.CertificateBytes)
        {
            throw Malformed($"{der.Length} bytes");
        }

        try
        {
            var outer = new AsnReader(der, AsnEncodingRules.DER);
            AsnReader certificate = outer.ReadSequence();
            outer.ThrowIfNotEmpty();
            ReadOnlyMemory<byte> tbs = certificate.PeekEncodedValue();
            AsnReader fields = certificate.ReadSequence();
            ReadOnlyMemory<byte> algorithm = certificate.PeekEncodedValue();
            string oid = ReadAlgorithm(certificate.ReadSequence());
            byte[] signature = certificate.ReadBitString(out int unused);
            certificate.ThrowIfNotEmpty();
            if (unused != 0)
            {
                throw Malformed("a signature of broken bytes");
            }

            return ParseTbs(der, tbs, fields, algorithm, oid, signature);
        }
        catch (AsnContentException e)
        {
            throw new FormatException("malformed certificate: not DER", e);
        }
    }

    private static Certificate ParseTbs(
        byte[] der, ReadOnlyMemory<byte> tbs, AsnReader fields, ReadOnlyMemory<byte> outerAlgorithm, string oid, byte[] signature)
    {
        AsnReader version = fields.ReadSequence(new Asn1Tag(TagClass.ContextSpecific, 0));
        if (version.ReadInteger() != 2)
        {
            throw Malformed("not version 3");
        }

        version.ThrowIfNotEmpty();
        byte[] serial = fields.ReadIntegerBytes().ToArray();
        // RFC 5280 §4.1.2.2: positive, at most 20 octets; a zero that keeps the first of them positive is none of them.
        var value = new BigInteger(serial, isBigEndian: true);
        if (value.Sign <= 0 || value.GetByteCount(isUnsigned: true) > 20)
        {
            throw Malformed("the serial number is not a positive number of at most 20 bytes");
        }

        // RFC 5280 §4.1.1.2: both algorithm fields are the same.
        if (!fields.ReadEncodedValue().Span.SequenceEqual(outerAlgorithm.Span))
        {
            throw Malformed("two signature algorithms");
        }

        byte[] issuer = ReadName(fields);
        AsnReader validity = fields.ReadSequence();
        DateTimeOffset notBefore = ReadTime(validity);
        DateTimeOffset notAfter = ReadTime(validity);
        validity.ThrowIfNotEmpty();
        byte[] subject = ReadName(fields);
        byte[] spki = fields.PeekEncodedValue().ToArray();
        _ = fields.ReadSequence();
        // issuerUniqueID [1] and subjectUniqueID [2] are not used by any certificate authority of this field; refused as left over.
        AsnReader wrapper = fields.ReadSequence(new Asn1Tag(TagClass.ContextSpecific, 3));
        fields.ThrowIfNotEmpty();
        AsnReader list = wrapper.ReadSequence();
        wrapper.ThrowIfNotEmpty();
        return new Certificate
        {
            Der = der,
            Tbs = tbs,
            SerialNumber = serial,
            Issuer = issuer,
            Subject = subject,
            NotBefore = notBefore,
            NotAfter = notAfter,
            Spki = spki,
            SignatureAlgorithm = oid,
            Signature = signature,
            Extensions = CertificateExtension.ParseAll(list),
        };
    }

    /// <summary>The value of an extension, or null. There is at most one of each (RFC 5280 §4.2).</summary>
    public CertificateExtension? Extension(string oid) => Extensions.FirstOrDefault(extension => extension.Oid == oid);

    /// <summary>RFC 5280 §4.2.1.9: whether this is an authority, and how many authorities may stand below it.</summary>
    public (bool IsAuthority, int? PathLength) BasicConstraints() => Read("2.5.29.19", (false, null), static value =>
    {
        AsnReader constraints = value.ReadSequence();
        bool authority = ReadFlag(constraints);
        int? pathLength = null;
        if (constraints.HasData)
        {
            pathLength = constraints.TryReadInt32(out int length) && length >= 0 ? length : throw Malformed("a path length that is none");
        }

        constraints.ThrowIfNotEmpty();
        return (authority, pathLength);
    });

    /// <summary>RFC 5280 §4.2.1.3; null where the extension is absent.</summary>
    public KeyUsages? KeyUsage() => Read("2.5.29.15", (KeyUsages?)null, static value => value.ReadNamedBitListValue<KeyUsages>());

    /// <summary>RFC 5280 §4.2.1.12, OIDs; empty where the extension is absent.</summary>
    public IReadOnlyList<string> ExtendedKeyUsages() => Read<IReadOnlyList<string>>("2.5.29.37", [], static value =>
    {
        var usages = new List<string>();
        AsnReader list = value.ReadSequence();
        while (list.HasData)
        {
            usages.Add(list.ReadObjectIdentifier());
        }

        return usages;
    });

    /// <summary>The key identifier (RFC 5280 §4.2.1.2), or null.</summary>
    public byte[]? SubjectKeyIdentifier() => Read("2.5.29.14", (byte[]?)null, static value => value.ReadOctetString());

    /// <exception cref="FormatException">The extension is there and is not what it says.</exception>
    private T Read<T>(string oid, T absent, Func<AsnReader, T> read)
    {
        if (Extension(oid) is not { } extension)
        {
            return absent;
        }

        try
        {
            var value = new AsnReader(extension.Value, AsnEncodingRules.DER);
            T result = read(value);
            value.ThrowIfNotEmpty();
            return result;
        }
        catch (AsnContentException e)
        {
            throw new FormatException($"malformed certificate: extension {oid} is not DER", e);
        }
    }

    /// <summary>The distinguished name, for messages.</summary>
    public static string ShowName(byte[] name)
    {
        try
        {
            return Shown.Of(new X500DistinguishedName(name).Name);
        }
        catch (CryptographicException)
        {
            return "a name that cannot be shown";
        }
    }

    private static byte[] ReadName(AsnReader fields)
    {
        byte[] name = fields.PeekEncodedValue().ToArray();
        _ = fields.ReadSequence();
        return name;
    }

    // ECDSA and Ed25519 have no parameters, RSA has NULL (RFC 5758 §3.2, RFC 4055 §5).
    private static string ReadAlgorithm(AsnReader algorithm)
    {
        string oid = algorithm.ReadObjectIdentifier();
        if (algorithm.HasData)
        {
            algorithm.ReadNull();
        }

        algorithm.ThrowIfNotEmpty();
        return oid;
    }

    // RFC 5280 §4.1.2.5: UTC, whole seconds, a Z.
    private static DateTimeOffset ReadTime(AsnReader validity)
    {
        DateTimeOffset time = validity.PeekTag().HasSameClassAndValue(Asn1Tag.UtcTime) ? validity.ReadUtcTime(2049) : validity.ReadGeneralizedTime();
        return time.Ticks % TimeSpan.TicksPerSecond == 0 ? time : throw Malformed("a time with a fraction of a second");
    }

    // X.690 §11.5: DER leaves out what is the default, and for these fields that is false.
    internal static bool ReadFlag(AsnReader fields)
    {
        if (!fields.HasData || !fields.PeekTag().HasSameClassAndValue(Asn1Tag.Boolean))
        {
            return false;
        }

        return fields.ReadBoolean() ? true : throw Malformed("a default value that is spelled out");
    }

    internal static FormatException Malformed(string what) => new($"malformed certificate: {what}");
}

/// <summary>What a key may do (RFC 5280 §4.2.1.3), by the bits' numbers.</summary>
[Flags]
internal enum KeyUsages
{
    DigitalSignature = 1 << 0,
    KeyCertSign = 1 << 5,
}

/// <summary>One certificate extension; the value is the content of its OCTET STRING.</summary>
internal sealed record CertificateExtension(string Oid, bool Critical, byte[] Value, ReadOnlyMemory<byte> Encoded)
{
    public static IReadOnlyList<CertificateExtension> ParseAll(AsnReader list)
    {
        var extensions = new List<CertificateExtension>();
        while (list.HasData)
        {
            ReadOnlyMemory<byte> encoded = list.PeekEncodedValue();
            AsnReader fields = list.ReadSequence();
            string oid = fields.ReadObjectIdentifier();
            bool critical = Certificate.ReadFlag(fields);
            byte[] value = fields.ReadOctetString();
            fields.ThrowIfNotEmpty();
            // Two lists of SCTs are a matter between issuer and log, and refused where those are judged (RFC 6962 §3.3).
            bool isRepeated = oid != SignedCertificateTimestamp.ExtensionOid && extensions.Any(other => other.Oid == oid);
            if (extensions.Count == Limits.CertificateExtensions || isRepeated)
            {
                throw Certificate.Malformed($"extension {oid} twice, or more than {Limits.CertificateExtensions}");
            }

            extensions.Add(new CertificateExtension(oid, critical, value, encoded));
        }

        return extensions;
    }
}
