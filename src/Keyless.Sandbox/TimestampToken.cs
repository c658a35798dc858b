using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Keyless.Sandbox;

/// <summary>Writes the structures of RFC 3161, from the inside outwards: TSTInfo, the CMS around it, the response around that.</summary>
internal static class TimestampToken
{
    private const string SignedDataType = "1.2.840.113549.1.7.2";
    private const string TstInfoType = "1.2.840.113549.1.9.16.1.4";
    private const string ContentTypeAttribute = "1.2.840.113549.1.9.3";
    private const string MessageDigestAttribute = "1.2.840.113549.1.9.4";
    private const string SigningTimeAttribute = "1.2.840.113549.1.9.5";
    private const string SigningCertificateV2Attribute = "1.2.840.113549.1.9.16.2.47";

    private static readonly Asn1Tag Zero = new(TagClass.ContextSpecific, 0);
    private static readonly Asn1Tag DirectoryName = new(TagClass.ContextSpecific, 4);

    /// <summary>TSTInfo (RFC 3161 §2.4.2).</summary>
    public static byte[] TstInfo(string policy, TimestampQuery query, byte[] serial, DateTimeOffset genTime, X500DistinguishedName authority)
    {
        var info = new AsnWriter(AsnEncodingRules.DER);
        using (info.PushSequence())
        {
            info.WriteInteger(1);
            info.WriteObjectIdentifier(policy);
            using (info.PushSequence())
            {
                WriteHashAlgorithm(info, query.HashAlgorithm);
                info.WriteOctetString(query.Hash);
            }
            info.WriteInteger(serial);
            info.WriteGeneralizedTime(genTime);
            using (info.PushSequence())
            {
                info.WriteInteger(1);   // accuracy: one second
            }

            if (query.Nonce is not null)
            {
                info.WriteInteger(query.Nonce);
            }

            using (info.PushSequence(Zero))
            using (info.PushSequence(DirectoryName))
            {
                info.WriteEncodedValue(authority.RawData);
            }
        }
        return info.Encode();
    }

    /// <summary>SignedData around a TSTInfo (RFC 5652 §5), with one signer, and with its certificate if asked for.</summary>
    public static byte[] Sign(byte[] tstInfo, X509Certificate2 signer, ECDsa key, DateTimeOffset signingTime, bool withCertificate)
    {
        (HashAlgorithmName hash, string hashOid, string signatureOid) = key.KeySize > 256
            ? (HashAlgorithmName.SHA384, "2.16.840.1.101.3.4.2.2", "1.2.840.10045.4.3.3")
            : (HashAlgorithmName.SHA256, "2.16.840.1.101.3.4.2.1", "1.2.840.10045.4.3.2");
        byte[] attributes = SignedAttributes(CryptographicOperations.HashData(hash, tstInfo), signer, signingTime);

        var cms = new AsnWriter(AsnEncodingRules.DER);
        using (cms.PushSequence())
        {
            cms.WriteObjectIdentifier(SignedDataType);
            using (cms.PushSequence(Zero))
            using (cms.PushSequence())
            {
                cms.WriteInteger(3);
                using (cms.PushSetOf())
                {
                    WriteHashAlgorithm(cms, hashOid);
                }

                using (cms.PushSequence())
                {
                    cms.WriteObjectIdentifier(TstInfoType);
                    using (cms.PushSequence(Zero))
                    {
                        cms.WriteOctetString(tstInfo);
                    }
                }
                if (withCertificate)
                {
                    using (cms.PushSetOf(Zero))
                    {
                        cms.WriteEncodedValue(signer.RawData);
                    }
                }
                using (cms.PushSetOf())
                using (cms.PushSequence())
                {
                    cms.WriteInteger(1);
                    WriteIssuerAndSerial(cms, signer, () => cms.WriteEncodedValue(signer.IssuerName.RawData));
                    WriteHashAlgorithm(cms, hashOid);
                    // §5.4: signed as a SET OF, carried as [0] IMPLICIT.
                    cms.WriteEncodedValue([0xa0, .. attributes[1..]]);
                    using (cms.PushSequence())
                    {
                        cms.WriteObjectIdentifier(signatureOid);
                    }

                    cms.WriteOctetString(key.SignData(attributes, hash, DSASignatureFormat.Rfc3279DerSequence));
                }
            }
        }
        return cms.Encode();
    }

    /// <summary>TimeStampResp (RFC 3161 §2.4.2); status 0 is granted.</summary>
    public static byte[] Response(byte[] token, int status = 0)
    {
        var response = new AsnWriter(AsnEncodingRules.DER);
        using (response.PushSequence())
        {
            using (response.PushSequence())
            {
                response.WriteInteger(status);
            }

            response.WriteEncodedValue(token);
        }
        return response.Encode();
    }

    private static byte[] SignedAttributes(byte[] digest, X509Certificate2 signer, DateTimeOffset signingTime)
    {
        var set = new AsnWriter(AsnEncodingRules.DER);
        using (set.PushSetOf())
        {
            WriteAttribute(set, ContentTypeAttribute, () => set.WriteObjectIdentifier(TstInfoType));
            WriteAttribute(set, SigningTimeAttribute, () => set.WriteUtcTime(signingTime));
            WriteAttribute(set, MessageDigestAttribute, () => set.WriteOctetString(digest));
            WriteAttribute(set, SigningCertificateV2Attribute, () =>
            {
                using (set.PushSequence())      // SigningCertificateV2 (RFC 5035 §3)
                using (set.PushSequence())      // certs
                using (set.PushSequence())      // ESSCertIDv2; SHA-256 is the default hash, which DER leaves out
                {
                    set.WriteOctetString(SHA256.HashData(signer.RawData));
                    WriteIssuerAndSerial(set, signer, () =>
                    {
                        using (set.PushSequence())
                        using (set.PushSequence(DirectoryName))
                        {
                            set.WriteEncodedValue(signer.IssuerName.RawData);
                        }
                    });
                }
            });
        }
        return set.Encode();
    }

    private static void WriteAttribute(AsnWriter writer, string type, Action writeValue)
    {
        using (writer.PushSequence())
        {
            writer.WriteObjectIdentifier(type);
            using (writer.PushSetOf())
            {
                writeValue();
            }
        }
    }

    private static void WriteIssuerAndSerial(AsnWriter writer, X509Certificate2 certificate, Action writeIssuer)
    {
        using (writer.PushSequence())
        {
            writeIssuer();
            writer.WriteInteger(certificate.SerialNumberBytes.Span);
        }
    }

    private static void WriteHashAlgorithm(AsnWriter writer, string oid)
    {
        using (writer.PushSequence())
        {
            writer.WriteObjectIdentifier(oid);
            writer.WriteNull();
        }
    }
}
