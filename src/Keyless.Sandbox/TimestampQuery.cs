using System.Formats.Asn1;

namespace Keyless.Sandbox;

/// <summary>TimeStampReq (RFC 3161 §2.4.1).</summary>
/// <param name="HashAlgorithm">The OID.</param>
/// <param name="Policy">The OID asked for; null: any.</param>
/// <param name="Nonce">The content of the INTEGER; null: none sent.</param>
internal sealed record TimestampQuery(string HashAlgorithm, byte[] Hash, string? Policy, byte[]? Nonce, bool WantsCertificate)
{
    /// <exception cref="BadHttpRequestException">Not a request that can be answered; the message says why.</exception>
    public static TimestampQuery Parse(byte[] der)
    {
        try
        {
            var reader = new AsnReader(der, AsnEncodingRules.DER);
            AsnReader request = reader.ReadSequence();
            reader.ThrowIfNotEmpty();
            if (request.ReadInteger() != 1)
            {
                throw new BadHttpRequestException("the version of the request is not 1");
            }

            AsnReader imprint = request.ReadSequence();
            string algorithm = imprint.ReadSequence().ReadObjectIdentifier();
            byte[] hash = imprint.ReadOctetString();
            if ((algorithm, hash.Length) is not (("2.16.840.1.101.3.4.2.1", 32) or ("2.16.840.1.101.3.4.2.2", 48) or ("2.16.840.1.101.3.4.2.3", 64)))
            {
                throw new BadHttpRequestException("the hash is not of SHA-256, SHA-384 or SHA-512");
            }

            var query = new TimestampQuery(
                algorithm,
                hash,
                Next(Asn1Tag.ObjectIdentifier) ? request.ReadObjectIdentifier() : null,
                Next(Asn1Tag.Integer) ? request.ReadIntegerBytes().ToArray() : null,
                Next(Asn1Tag.Boolean) && request.ReadBoolean());
            return request.HasData ? throw new BadHttpRequestException("extensions of a request are not supported") : query;

            bool Next(Asn1Tag tag) => request.HasData && request.PeekTag() == tag;
        }
        catch (AsnContentException e)
        {
            throw new BadHttpRequestException("the request is not a TimeStampReq", e);
        }
    }
}
