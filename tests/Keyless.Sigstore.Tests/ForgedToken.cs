using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Keyless.Sigstore.Tests;

/// <summary>
/// A recipe for an RFC 3161 response, written field by field, so that each can be wrong while the authority's signature is right.
/// Unchanged it is a good one of the known authority, with nothing optional in it.
/// </summary>
internal sealed record ForgedToken
{
    public const string Sha1 = "1.3.14.3.2.26", Sha256 = "2.16.840.1.101.3.4.2.1", Sha384 = "2.16.840.1.101.3.4.2.2", Sha512 = "2.16.840.1.101.3.4.2.3";
    public const string TstInfo = "1.2.840.113549.1.9.16.1.4", ContentType = "1.2.840.113549.1.9.3", MessageDigest = "1.2.840.113549.1.9.4";
    public const string CertificateV1 = "1.2.840.113549.1.9.16.2.12", CertificateV2 = "1.2.840.113549.1.9.16.2.47";

    public static readonly Asn1Tag Zero = new(TagClass.ContextSpecific, 0), One = new(TagClass.ContextSpecific, 1);

    public X509Certificate2 Certificate { get; init; } = Forge.World.Tsa.Leaf;

    public AsymmetricAlgorithm Key { get; init; } = Forge.World.Tsa.Key;

    public int Status { get; init; }

    /// <summary>DER after the status number.</summary>
    public byte[] StatusText { get; init; } = [];

    public bool HasToken { get; init; } = true;

    public byte[] AfterToken { get; init; } = [];

    public string TokenType { get; init; } = "1.2.840.113549.1.7.2";

    public int SignedDataVersion { get; init; } = 3;

    public IReadOnlyList<string> DigestAlgorithms { get; init; } = [Sha256];

    public string ContentTypeOfToken { get; init; } = TstInfo;

    /// <summary>DER of what stands between content and signers: certificates, revocation lists.</summary>
    public byte[] Bag { get; init; } = [];

    public int Signers { get; init; } = 1;

    public int? SignerVersion { get; init; }

    public bool ByKeyIdentifier { get; init; }

    public byte[]? KeyIdentifier { get; init; }

    public byte[]? Serial { get; init; }

    /// <summary>Of the attributes and of the content.</summary>
    public string Digest { get; init; } = Sha256;

    public bool HasAttributes { get; init; } = true;

    /// <summary>From the digest of the content to the signed attributes, each with the DER of its values.</summary>
    public Func<Dictionary<string, byte[][]>, Dictionary<string, byte[][]>> Attributes { get; init; } = attributes => attributes;

    /// <summary>Encoded, beside those.</summary>
    public byte[] MoreAttributes { get; init; } = [];

    public string? SignatureAlgorithm { get; init; }

    /// <summary>DER after the signature: unsigned attributes.</summary>
    public byte[] AfterSignature { get; init; } = [];

    public int InfoVersion { get; init; } = 1;

    public string Imprint { get; init; } = Sha256;

    public Func<byte[], byte[]> ImprintBytes { get; init; } = imprint => imprint;

    /// <summary>DER of the moment.</summary>
    public byte[] GenTime { get; init; } = Time("20261123060100Z");

    /// <summary>DER after the moment: accuracy, ordering, nonce, name, extensions.</summary>
    public byte[] AfterTime { get; init; } = [];

    /// <summary>Instead of the TSTInfo.</summary>
    public Func<byte[], byte[]> Info { get; init; } = info => info;

    /// <summary>Edits the finished response, which nobody signed as a whole.</summary>
    public Action<Der>? Response { get; init; }

    public static byte[] Time(string text) => [0x18, (byte)text.Length, .. System.Text.Encoding.ASCII.GetBytes(text)];

    public static byte[] Der(Action<AsnWriter> write)
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        write(writer);
        return writer.Encode();
    }

    /// <summary>SigningCertificate(V2) with one certificate id.</summary>
    /// <param name="algorithm">Left out where null: DER omits the default.</param>
    public static byte[] CertificateId(byte[] hash, string? algorithm = null) => Der(writer =>
    {
        using (writer.PushSequence())
        using (writer.PushSequence())
        using (writer.PushSequence())
        {
            if (algorithm is not null)
            {
                WriteAlgorithm(writer, algorithm, withNull: true);
            }

            writer.WriteOctetString(hash);
        }
    });

    public byte[] Make(byte[] signature)
    {
        byte[] token = HasToken ? ContentInfo(Info(MakeInfo(signature))) : [];
        byte[] response = Der(writer =>
        {
            using (writer.PushSequence())
            {
                using (writer.PushSequence())
                {
                    writer.WriteInteger(Status);
                    Write(writer, StatusText);
                }

                Write(writer, token);
            }
        });
        return [.. Response is null ? response : Tests.Der.Edited(response, Response), .. AfterToken];
    }

    private byte[] MakeInfo(byte[] signature) => Der(writer =>
    {
        using (writer.PushSequence())
        {
            writer.WriteInteger(InfoVersion);
            writer.WriteObjectIdentifier("1.3.6.1.4.1.57264.2");
            using (writer.PushSequence())
            {
                WriteAlgorithm(writer, Imprint, withNull: true);
                writer.WriteOctetString(ImprintBytes(CryptographicOperations.HashData(Hash(Imprint), signature)));
            }

            writer.WriteInteger(77);
            writer.WriteEncodedValue(GenTime);
            Write(writer, AfterTime);
        }
    });

    private byte[] ContentInfo(byte[] info) => Der(writer =>
    {
        using (writer.PushSequence())
        {
            writer.WriteObjectIdentifier(TokenType);
            using (writer.PushSequence(Zero))
            using (writer.PushSequence())
            {
                writer.WriteInteger(SignedDataVersion);
                using (writer.PushSetOf())
                {
                    foreach (string algorithm in DigestAlgorithms)
                    {
                        WriteAlgorithm(writer, algorithm, withNull: true);
                    }
                }

                using (writer.PushSequence())
                {
                    writer.WriteObjectIdentifier(ContentTypeOfToken);
                    using (writer.PushSequence(Zero))
                    {
                        writer.WriteOctetString(info);
                    }
                }

                Write(writer, Bag);
                using (writer.PushSetOf())
                {
                    for (int i = 0; i < Signers; i++)
                    {
                        WriteSigner(writer, info);
                    }
                }
            }
        }
    });

    private void WriteSigner(AsnWriter writer, byte[] info)
    {
        byte[] attributes = MakeAttributes(CryptographicOperations.HashData(Hash(Digest), info));
        using (writer.PushSequence())
        {
            writer.WriteInteger(SignerVersion ?? (ByKeyIdentifier ? 3 : 1));
            if (ByKeyIdentifier)
            {
                writer.WriteOctetString(KeyIdentifier ?? ((X509SubjectKeyIdentifierExtension)Certificate.Extensions["2.5.29.14"]!).SubjectKeyIdentifierBytes.Span, Zero);
            }
            else
            {
                using (writer.PushSequence())
                {
                    writer.WriteEncodedValue(Certificate.IssuerName.RawData);
                    writer.WriteInteger(Serial ?? Certificate.SerialNumberBytes.Span);
                }
            }

            WriteAlgorithm(writer, Digest, withNull: true);
            if (HasAttributes)
            {
                writer.WriteEncodedValue([0xa0, .. attributes[1..]]);
            }

            byte[] signed = HasAttributes ? attributes : info;
            (string oid, byte[] signature) = Key switch
            {
                RSA rsa => (SignatureAlgorithm ?? "1.2.840.113549.1.1.1", rsa.SignData(signed, Hash(Digest), RSASignaturePadding.Pkcs1)),
                ECDsa ecdsa => (SignatureAlgorithm ?? "1.2.840.10045.4.3.2", ecdsa.SignData(signed, Hash(Digest), DSASignatureFormat.Rfc3279DerSequence)),
                _ => throw new NotSupportedException(),
            };
            WriteAlgorithm(writer, oid, withNull: Key is RSA);
            writer.WriteOctetString(signature);
            Write(writer, AfterSignature);
        }
    }

    private byte[] MakeAttributes(byte[] digest)
    {
        Dictionary<string, byte[][]> attributes = Attributes(new()
        {
            [ContentType] = [Der(writer => writer.WriteObjectIdentifier(TstInfo))],
            [MessageDigest] = [Der(writer => writer.WriteOctetString(digest))],
            [CertificateV2] = [CertificateId(SHA256.HashData(Certificate.RawData))],
        });
        return Der(writer =>
        {
            using (writer.PushSetOf())
            {
                foreach ((string type, byte[][] values) in attributes)
                {
                    using (writer.PushSequence())
                    {
                        writer.WriteObjectIdentifier(type);
                        using (writer.PushSetOf())
                        {
                            foreach (byte[] value in values)
                            {
                                writer.WriteEncodedValue(value);
                            }
                        }
                    }
                }

                Write(writer, MoreAttributes);
            }
        });
    }

    private static void WriteAlgorithm(AsnWriter writer, string oid, bool withNull)
    {
        using (writer.PushSequence())
        {
            writer.WriteObjectIdentifier(oid);
            if (withNull)
            {
                writer.WriteNull();
            }
        }
    }

    // One or more encoded values.
    private static void Write(AsnWriter writer, byte[] values)
    {
        ReadOnlyMemory<byte> rest = values;
        while (!rest.IsEmpty)
        {
            AsnDecoder.ReadEncodedValue(rest.Span, AsnEncodingRules.BER, out _, out _, out int length);
            writer.WriteEncodedValue(rest.Span[..length]);
            rest = rest[length..];
        }
    }

    private static HashAlgorithmName Hash(string oid) => oid switch
    {
        Sha1 => HashAlgorithmName.SHA1,
        Sha384 => HashAlgorithmName.SHA384,
        Sha512 => HashAlgorithmName.SHA512,
        _ => HashAlgorithmName.SHA256,
    };
}
