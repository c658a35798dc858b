using System.Buffers.Binary;
using System.Formats.Asn1;
using System.Security.Cryptography;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>
/// Proof that a CT log promised to publish the certificate before it was used (RFC 6962 §3): whoever obtains a certificate in
/// somebody's name leaves a public trace.
/// </summary>
internal sealed class CertificateTransparency
{
    private const string PrecertificateSigning = "1.3.6.1.4.1.11129.2.4.4";

    private CertificateTransparency(string check) => Check = check;

    public string Check { get; }

    /// <summary>RFC 6962 §3.3: one list; with two, each reader could look at another.</summary>
    public static void RequireOneList(Certificate certificate)
    {
        if (certificate.Extensions.Count(extension => extension.Oid == SignedCertificateTimestamp.ExtensionOid) > 1)
        {
            throw new VerificationException("sct.malformed", "the certificate carries more than one list of signed certificate timestamps");
        }
    }

    /// <summary>At least one embedded SCT is a known log's, over this certificate as its issuer made it.</summary>
    public static CertificateTransparency Verify(Certificate certificate, Certificate issuer, TrustedRoot root)
    {
        CertificateExtension list = certificate.Extension(SignedCertificateTimestamp.ExtensionOid) ?? throw new VerificationException(
            "sct.missing", "the certificate carries no signed certificate timestamp (signatures from before spring 2022 do not)");
        if (VerificationException.Reading("cert.path", issuer.ExtendedKeyUsages).Contains(PrecertificateSigning))
        {
            // RFC 6962 §3.1: the log would have seen the certificate as issued by the authority above. Fulcio does not do this.
            throw new VerificationException("sct.precertificate-issuer", "the certificate's issuer is for precertificates, whose timestamps are not read");
        }

        IReadOnlyList<SignedCertificateTimestamp> timestamps = VerificationException.Reading(
            "sct.malformed", () => SignedCertificateTimestamp.ParseList(list.Value));
        byte[] tbs = WithoutTimestamps(certificate);
        byte[] issuerKeyHash = SHA256.HashData(issuer.Spki);

        VerificationException? refusal = null;
        foreach (SignedCertificateTimestamp timestamp in timestamps)
        {
            byte[] signed = SignedData(timestamp, issuerKeyHash, tbs);
            foreach (TransparencyLog log in root.CertificateLogs.Where(log => log.LogId.AsSpan().SequenceEqual(timestamp.LogId)))
            {
                if (log.Key.IsRsa != timestamp.IsRsa || !log.Key.Verifies(signed, timestamp.Signature, HashAlgorithmName.SHA256))
                {
                    refusal = new VerificationException("sct.signature", $"the signed certificate timestamp was not made by {Shown.Of(log.BaseUrl)} for this certificate");
                }
                else if (!Contains(log.Window, timestamp.Timestamp))
                {
                    refusal = new VerificationException("sct.window", $"the signed certificate timestamp was made outside the window of {Shown.Of(log.BaseUrl)}", log.Window.ToString());
                }
                else
                {
                    return new CertificateTransparency($"The certificate was submitted to the certificate transparency log {Shown.Of(log.BaseUrl)} before it was used: embedded SCT");
                }
            }
        }

        throw refusal ?? new VerificationException(
            "sct.unknown-log",
            "no signed certificate timestamp is of a log that the trusted root knows",
            found: string.Join(", ", timestamps.Select(timestamp => Convert.ToBase64String(timestamp.LogId))));
    }

    // Windows may end at …59.999Z; the timestamp counts milliseconds, so it is compared as such and not cut to seconds.
    private static bool Contains(TimeWindow window, ulong milliseconds) =>
        milliseconds <= 253402300799999 && window.Contains(DateTimeOffset.FromUnixTimeMilliseconds((long)milliseconds));

    // RFC 6962 §3.2, digitally-signed struct of a precert_entry.
    private static byte[] SignedData(SignedCertificateTimestamp timestamp, byte[] issuerKeyHash, byte[] tbs)
    {
        var data = new MemoryStream();
        Span<byte> number = stackalloc byte[8];
        data.Write([0, 0]); // v1, certificate_timestamp
        BinaryPrimitives.WriteUInt64BigEndian(number, timestamp.Timestamp);
        data.Write(number);
        data.Write([0, 1]); // precert_entry
        data.Write(issuerKeyHash);
        BinaryPrimitives.WriteUInt32BigEndian(number, (uint)tbs.Length);
        data.Write(number[1..4]);
        data.Write(tbs);
        BinaryPrimitives.WriteUInt16BigEndian(number, (ushort)timestamp.Extensions.Length);
        data.Write(number[..2]);
        data.Write(timestamp.Extensions);
        return data.ToArray();
    }

    // RFC 6962 §3.2: the TBSCertificate as it was before the SCTs went in. Only the lengths around the removed extension are
    // written anew; every other byte stays as the issuer wrote it.
    private static byte[] WithoutTimestamps(Certificate certificate)
    {
        AsnReader fields = new AsnReader(certificate.Tbs, AsnEncodingRules.DER).ReadSequence();
        var tbs = new AsnWriter(AsnEncodingRules.DER);
        using (tbs.PushSequence())
        {
            var extensionsTag = new Asn1Tag(TagClass.ContextSpecific, 3);
            while (fields.HasData && !fields.PeekTag().HasSameClassAndValue(extensionsTag))
            {
                tbs.WriteEncodedValue(fields.ReadEncodedValue().Span);
            }

            CertificateExtension[] kept = [.. certificate.Extensions.Where(extension => extension.Oid != SignedCertificateTimestamp.ExtensionOid)];
            if (kept.Length > 0)
            {
                using AsnWriter.Scope wrapper = tbs.PushSequence(extensionsTag);
                using AsnWriter.Scope list = tbs.PushSequence();
                foreach (CertificateExtension extension in kept)
                {
                    tbs.WriteEncodedValue(extension.Encoded.Span);
                }
            }
        }

        return tbs.Encode();
    }
}
