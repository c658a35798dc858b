using System.Buffers.Binary;
using System.Formats.Asn1;
using System.Security.Cryptography;

namespace Keyless.Sigstore.Formats;

/// <summary>A CT log's promise for one certificate (RFC 6962 §3.2). Nothing in it is trusted yet.</summary>
internal sealed record SignedCertificateTimestamp
{
    /// <summary>SignedCertificateTimestampList, embedded in the certificate (RFC 6962 §3.3).</summary>
    public const string ExtensionOid = "1.3.6.1.4.1.11129.2.4.2";

    public required byte[] LogId { get; init; }

    /// <summary>Milliseconds since 1970.</summary>
    public required ulong Timestamp { get; init; }

    /// <summary>Bytes as given; logs over static tiles put the leaf's index here.</summary>
    public required byte[] Extensions { get; init; }

    public required bool IsRsa { get; init; }

    public required byte[] Signature { get; init; }

    /// <exception cref="FormatException">The list is not exactly a list.</exception>
    public static IReadOnlyList<SignedCertificateTimestamp> ParseList(byte[] extensionValue)
    {
        try
        {
            var outer = new AsnReader(extensionValue, AsnEncodingRules.DER);
            byte[] list = outer.ReadOctetString();
            outer.ThrowIfNotEmpty();
            var reader = new TlsReader(list);
            var items = new TlsReader(reader.Vector16());
            reader.End();
            var timestamps = new List<SignedCertificateTimestamp>();
            while (items.HasData)
            {
                if (timestamps.Count == Limits.SignedCertificateTimestamps)
                {
                    throw Malformed($"more than {Limits.SignedCertificateTimestamps} timestamps");
                }

                timestamps.Add(Parse(items.Vector16()));
            }

            return timestamps.Count > 0 ? timestamps : throw Malformed("an empty list");
        }
        catch (AsnContentException e)
        {
            throw new FormatException("malformed SCT list: not DER", e);
        }
    }

    private static SignedCertificateTimestamp Parse(ReadOnlySpan<byte> bytes)
    {
        var reader = new TlsReader(bytes);
        if (reader.Take(1)[0] != 0)
        {
            throw Malformed("not version 1");
        }

        byte[] logId = reader.Take(SHA256.HashSizeInBytes).ToArray();
        ulong timestamp = BinaryPrimitives.ReadUInt64BigEndian(reader.Take(8));
        byte[] extensions = reader.Vector16().ToArray();
        ReadOnlySpan<byte> algorithm = reader.Take(2);
        byte[] signature = reader.Vector16().ToArray();
        reader.End();
        // RFC 5246 §7.4.1.4.1: hash sha256(4); signature rsa(1) or ecdsa(3).
        return algorithm is [4, 1 or 3]
            ? new SignedCertificateTimestamp { LogId = logId, Timestamp = timestamp, Extensions = extensions, IsRsa = algorithm[1] == 1, Signature = signature }
            : throw Malformed("an algorithm other than SHA-256 with ECDSA or RSA");
    }

    private static FormatException Malformed(string what) => new($"malformed SCT list: {what}");

    /// <summary>The presentation language of RFC 5246 §4, as far as it occurs here.</summary>
    private ref struct TlsReader(ReadOnlySpan<byte> bytes)
    {
        private ReadOnlySpan<byte> rest = bytes;

        public readonly bool HasData => !rest.IsEmpty;

        public ReadOnlySpan<byte> Take(int count)
        {
            if (count > rest.Length)
            {
                throw Malformed("cut off");
            }

            ReadOnlySpan<byte> taken = rest[..count];
            rest = rest[count..];
            return taken;
        }

        public ReadOnlySpan<byte> Vector16() => Take(BinaryPrimitives.ReadUInt16BigEndian(Take(2)));

        public readonly void End()
        {
            if (HasData)
            {
                throw Malformed("bytes left over");
            }
        }
    }
}
