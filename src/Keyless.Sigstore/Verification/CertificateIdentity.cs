using System.Formats.Asn1;
using System.Globalization;
using System.Text;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>Who a Fulcio certificate speaks for (fulcio, docs/oid-info.md). Only a proven certificate is asked.</summary>
public sealed class CertificateIdentity
{
    private const string Fulcio = "1.3.6.1.4.1.57264.1.";

    // Deployment environment .23 and token subject .24 are the youngest (docs/oid-info.md).
    private const int LastKnownExtension = 24;

    private CertificateIdentity(string issuer, string subject, SubjectKind kind, IReadOnlyDictionary<int, string> extensions) =>
        (Issuer, Subject, Kind, Extensions) = (issuer, subject, kind, extensions);

    /// <summary>The OIDC issuer: extension .8, else .1.</summary>
    public string Issuer { get; }

    /// <summary>The subject alternative name.</summary>
    public string Subject { get; }

    /// <summary>What kind of name <see cref="Subject"/> is.</summary>
    public SubjectKind Kind { get; }

    /// <summary>Fulcio's extensions by the last number of their OID under 1.3.6.1.4.1.57264.1.</summary>
    public IReadOnlyDictionary<int, string> Extensions { get; }

    public override string ToString() => $"{Subject} ({Issuer})";

    internal static CertificateIdentity Read(Certificate certificate)
    {
        (SubjectKind kind, string subject) = ReadSubject(certificate);
        if (subject.Length == 0 || subject.Any(char.IsControl))
        {
            throw new VerificationException("policy.san-encoding", "the certificate's subject is empty or has control characters", found: subject);
        }

        // A policy names text alone. Where no text can be of two kinds, it names the kind as well: an address is never met by a URI,
        // nor by a user name, which Fulcio writes user!domain (fulcio, docs/oidc.md).
        bool isOfItsKind = subject.Contains(':', StringComparison.Ordinal) == (kind == SubjectKind.Uri)
            && (kind == SubjectKind.Uri || subject.Contains('@', StringComparison.Ordinal) == (kind == SubjectKind.EmailAddress));
        if (!isOfItsKind)
        {
            throw new VerificationException("policy.san-type", $"the certificate's subject is not a name of the kind {kind}", found: subject);
        }

        Dictionary<int, string> extensions = VerificationException.Reading("policy.extension", () => ReadExtensions(certificate));
        // Old certificates have .1 alone, newer ones both. Two different answers to "who vouched" are no answer.
        bool hasNew = extensions.TryGetValue(8, out string? issuer);
        bool hasOld = extensions.TryGetValue(1, out string? oldIssuer);
        if (hasNew && hasOld && issuer != oldIssuer)
        {
            throw new VerificationException("policy.issuer-conflict", "the certificate names two issuers", issuer, oldIssuer);
        }

        issuer ??= oldIssuer;
        return !string.IsNullOrEmpty(issuer)
            ? new CertificateIdentity(issuer, subject, kind, extensions)
            : throw new VerificationException("policy.issuer-missing", "the certificate does not say which OIDC issuer vouched for its subject");
    }

    // Exactly one name, critical where the certificate has no other (RFC 5280 §4.2.1.6).
    private static (SubjectKind Kind, string Subject) ReadSubject(Certificate certificate)
    {
        CertificateExtension? extension = certificate.Extension("2.5.29.17");
        if (extension is null || extension.Value.Length > Limits.SubjectAlternativeNameBytes)
        {
            throw extension is null
                ? new VerificationException("cert.san", "the certificate has no subject alternative name")
                : new VerificationException("bundle.limit", $"the certificate's subject alternative name has more than {Limits.SubjectAlternativeNameBytes} bytes");
        }

        if (!extension.Critical && certificate.Subject is [0x30, 0])
        {
            throw new VerificationException("cert.san", "the certificate has no subject, and its subject alternative name is not critical");
        }

        try
        {
            var outer = new AsnReader(extension.Value, AsnEncodingRules.DER);
            AsnReader names = outer.ReadSequence();
            outer.ThrowIfNotEmpty();
            (Asn1Tag tag, ReadOnlyMemory<byte> name) = (names.PeekTag(), names.ReadEncodedValue());
            return names.HasData ? throw new VerificationException("cert.san", "the certificate has more than one subject alternative name") : ReadName(tag, new AsnReader(name, AsnEncodingRules.DER));
        }
        catch (AsnContentException e)
        {
            throw new VerificationException("cert.san", "the subject alternative name is malformed", inner: e);
        }
    }

    // Of the kinds of RFC 5280 §4.2.1.6 Fulcio certifies three; a host name or an address names no signer.
    private static (SubjectKind Kind, string Subject) ReadName(Asn1Tag tag, AsnReader name)
    {
        SubjectKind kind = (tag.TagClass, tag.TagValue) switch
        {
            (TagClass.ContextSpecific, 0) => SubjectKind.UserName,
            (TagClass.ContextSpecific, 1) => SubjectKind.EmailAddress,
            (TagClass.ContextSpecific, 6) => SubjectKind.Uri,
            _ => throw new VerificationException("policy.san-type", "the subject alternative name is neither URI, e-mail address nor user name"),
        };
        try
        {
            return (kind, kind == SubjectKind.UserName ? ReadOtherName(name.ReadSequence(tag)) : name.ReadCharacterString(UniversalTagNumber.IA5String, tag));
        }
        catch (AsnContentException e)
        {
            throw new VerificationException("policy.san-encoding", "the subject alternative name is not text of its kind", inner: e);
        }
    }

    private static string ReadOtherName(AsnReader other)
    {
        if (other.ReadObjectIdentifier() != Fulcio + "7")
        {
            throw new VerificationException("policy.san-type", "the subject alternative name is of an unknown kind");
        }

        AsnReader value = other.ReadSequence(new Asn1Tag(TagClass.ContextSpecific, 0));
        other.ThrowIfNotEmpty();
        string name = value.ReadCharacterString(UniversalTagNumber.UTF8String);
        value.ThrowIfNotEmpty();
        return name;
    }

    private static Dictionary<int, string> ReadExtensions(Certificate certificate)
    {
        var values = new Dictionary<int, string>();
        foreach (CertificateExtension extension in certificate.Extensions)
        {
            if (extension.Oid.StartsWith(Fulcio, StringComparison.Ordinal)
                && int.TryParse(extension.Oid.AsSpan(Fulcio.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int number)
                && number <= LastKnownExtension)
            {
                values.Add(number, ReadText(number, extension.Value));
            }
        }

        return values;
    }

    // The first six are the raw bytes of the string, the later ones DER (docs/oid-info.md).
    private static string ReadText(int number, byte[] value)
    {
        try
        {
            if (number <= 6)
            {
                return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(value);
            }

            var reader = new AsnReader(value, AsnEncodingRules.DER);
            string text = reader.ReadCharacterString(UniversalTagNumber.UTF8String);
            reader.ThrowIfNotEmpty();
            return text;
        }
        catch (Exception e) when (e is AsnContentException or DecoderFallbackException)
        {
            throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"Fulcio extension .{number} is not a UTF-8 string"), e);
        }
    }
}

/// <summary>The kinds of names Fulcio certifies.</summary>
public enum SubjectKind
{
    Uri,
    EmailAddress,
    UserName,
}
