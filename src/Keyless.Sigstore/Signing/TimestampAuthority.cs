using System.Formats.Asn1;
using System.Net;
using System.Security.Cryptography;

namespace Keyless.Sigstore.Signing;

/// <summary>An RFC 3161 timestamp authority, asked over HTTP (RFC 3161 §3.4): a signature in, a proof of when out.</summary>
internal sealed class TimestampAuthority(Http http, Service service)
{
    private const string Name = "timestamp authority";
    private const string Sha256 = "2.16.840.1.101.3.4.2.1";
    private const string SignedData = "1.2.840.113549.1.7.2";
    private const string TstInfo = "1.2.840.113549.1.9.16.1.4";

    private static readonly Asn1Tag Explicit0 = new(TagClass.ContextSpecific, 0);

    /// <summary>The whole TimeStampResp, DER. It answers our question; whether the authority may be believed is the verifier's to say.</summary>
    /// <exception cref="ServiceException">No timestamp, or one of something else.</exception>
    public async Task<byte[]> StampAsync(ReadOnlyMemory<byte> signature, CancellationToken cancel)
    {
        byte[] imprint = SHA256.HashData(signature.Span);
        byte[] nonce = RandomNumberGenerator.GetBytes(8);
        nonce[0] = (byte)(nonce[0] & 0x7f | 0x40); // a positive INTEGER of exactly eight bytes
        var request = new Request(Name, HttpMethod.Post, service.Url)
        {
            ContentType = "application/timestamp-query",
            Accept = "application/timestamp-reply",
            Body = WriteRequest(imprint, nonce),
            AnswerBytes = Limits.TimestampBytes,
        };

        // RFC 3161 knows no status but 200; Sigstore's authority says 201.
        Answer answer = (await http.SendAsync(request, cancel)).MustBe(HttpStatusCode.OK, HttpStatusCode.Created);
        (int status, string words) = answer.Read(ReadStatus);
        if (status is not (0 or 1))
        {
            throw request.Failed(ServiceFailure.Refused, $"did not grant a timestamp (PKIStatus {status}){(words.Length > 0 ? $": {request.Quote(words)}" : "")}");
        }

        return answer.Read(response => RequireOurs(response, imprint, nonce));
    }

    // TimeStampReq (RFC 3161 §2.4.1). With certReq the token names its signer by itself, which verifiers without our trusted root need.
    internal static byte[] WriteRequest(byte[] imprint, byte[] nonce)
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            writer.WriteInteger(1);
            using (writer.PushSequence())
            {
                using (writer.PushSequence())
                {
                    writer.WriteObjectIdentifier(Sha256);
                    writer.WriteNull();
                }

                writer.WriteOctetString(imprint);
            }

            writer.WriteInteger(nonce);
            writer.WriteBoolean(true);
        }

        return writer.Encode();
    }

    private static AsnReader Open(ReadOnlyMemory<byte> response)
    {
        var outer = new AsnReader(response, AsnEncodingRules.DER);
        AsnReader fields = outer.ReadSequence();
        outer.ThrowIfNotEmpty();
        return fields;
    }

    // PKIStatusInfo (RFC 4210 §5.2.3): granted(0) and grantedWithMods(1) come with a token.
    private static (int Status, string Words) ReadStatus(ReadOnlyMemory<byte> response)
    {
        AsnReader info = Open(response).ReadSequence();
        if (!info.TryReadInt32(out int status))
        {
            throw new FormatException("a PKIStatus nobody has defined");
        }

        bool hasWords = info.HasData && info.PeekTag().HasSameClassAndValue(Asn1Tag.Sequence);
        AsnReader? words = hasWords ? info.ReadSequence() : null;
        return (status, words is { HasData: true } ? words.ReadCharacterString(UniversalTagNumber.UTF8String) : "");
    }

    private static byte[] RequireOurs(ReadOnlyMemory<byte> response, byte[] imprint, byte[] nonce)
    {
        AsnReader fields = Open(response);
        _ = fields.ReadSequence();
        if (!fields.HasData)
        {
            throw new FormatException("it grants a timestamp and sends none");
        }

        AsnReader info = new AsnReader(ReadTstInfo(fields), AsnEncodingRules.DER).ReadSequence();
        _ = info.ReadInteger();
        _ = info.ReadObjectIdentifier();
        AsnReader stamped = info.ReadSequence();
        if (stamped.ReadSequence().ReadObjectIdentifier() != Sha256 || !stamped.ReadOctetString().AsSpan().SequenceEqual(imprint))
        {
            throw new FormatException("the timestamp is of something else than the signature it was asked for");
        }

        _ = info.ReadIntegerBytes();
        _ = info.ReadGeneralizedTime();
        // accuracy, ordering
        while (info.HasData && !info.PeekTag().HasSameClassAndValue(Asn1Tag.Integer))
        {
            _ = info.ReadEncodedValue();
        }

        // RFC 3161 §2.4.2: a nonce that was sent comes back. Without it this could be the answer to an older question.
        return info.HasData && info.ReadIntegerBytes().Span.SequenceEqual(nonce)
            ? response.ToArray()
            : throw new FormatException("the timestamp does not carry the nonce of the request");
    }

    // ContentInfo → SignedData → EncapsulatedContentInfo (RFC 5652 §3, §5).
    private static byte[] ReadTstInfo(AsnReader fields)
    {
        AsnReader contentInfo = fields.ReadSequence();
        fields.ThrowIfNotEmpty();
        string contentType = contentInfo.ReadObjectIdentifier();
        if (contentType != SignedData)
        {
            throw new FormatException($"the token is not CMS SignedData but {contentType}");
        }

        AsnReader signedData = contentInfo.ReadSequence(Explicit0).ReadSequence();
        _ = signedData.ReadInteger();
        _ = signedData.ReadSetOf();
        AsnReader encapsulated = signedData.ReadSequence();
        string content = encapsulated.ReadObjectIdentifier();
        return content == TstInfo
            ? encapsulated.ReadSequence(Explicit0).ReadOctetString()
            : throw new FormatException($"the token does not hold a TSTInfo but {content}");
    }
}
