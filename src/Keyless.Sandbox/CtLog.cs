using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Keyless.Sandbox;

/// <summary>The key of a certificate transparency log.</summary>
public enum CtLogKey
{
    EcdsaP256,

    /// <summary>RSA 2048, which a trusted root then lists as a bare PKCS #1 key.</summary>
    Rsa,
}

/// <summary>A certificate transparency log (RFC 6962): promises to log precertificates. Fulcio asks it in process; it has no endpoint.</summary>
public sealed class CtLog
{
    private readonly TimeProvider time;
    private readonly Lock gate = new();
    private readonly MerkleTree tree = new();

    public CtLog(TimeProvider time, CtLogKey kind = CtLogKey.EcdsaP256)
    {
        this.time = time;
        Start = TrustMaterial.StartOf(time);
        Key = kind == CtLogKey.Rsa ? RSA.Create(2048) : ECDsa.Create(ECCurve.NamedCurves.nistP256);
        Spki = Key.ExportSubjectPublicKeyInfo();
    }

    /// <summary>What every SCT carries as its extensions; logs of the static kind put the leaf's index there.</summary>
    internal byte[] ExtensionBytes { get; init; } = [];

    internal AsymmetricAlgorithm Key { get; }

    internal byte[] Spki { get; }

    internal byte[] LogId => SHA256.HashData(Spki);

    internal DateTimeOffset Start { get; }

    internal int Entries
    {
        get
        {
            lock (gate)
            {
                return tree.Size;
            }
        }
    }

    /// <summary>Logs a precertificate and returns the SCT for it.</summary>
    /// <param name="issuerSpki">The public key of the certificate's issuer.</param>
    /// <param name="tbs">The TBSCertificate without the SCT list and without the poison extension.</param>
    internal byte[] Add(byte[] issuerSpki, byte[] tbs)
    {
        long timestamp = time.GetUtcNow().ToUnixTimeMilliseconds();
        lock (gate)
        {
            // MerkleTreeLeaf (§3.4) and the signed input (§3.2) happen to be the same bytes.
            tree.Append(SignedInput(issuerSpki, tbs, timestamp, ExtensionBytes));
            return Sign(issuerSpki, tbs, timestamp, ExtensionBytes);
        }
    }

    /// <summary>An SCT (RFC 6962 §3.2), without logging anything.</summary>
    internal byte[] Sign(byte[] issuerSpki, byte[] tbs, long timestamp, byte[] extensions)
    {
        byte[] input = SignedInput(issuerSpki, tbs, timestamp, extensions);
        // RFC 5246 §7.4.1.4.1: hash sha256 is 4; signature rsa is 1, ecdsa is 3.
        (byte algorithm, byte[] signature) = Key switch
        {
            RSA rsa => ((byte)1, rsa.SignData(input, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)),
            ECDsa ecdsa => ((byte)3, ecdsa.SignData(input, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence)),
            _ => throw new InvalidOperationException("a log key is RSA or ECDSA"),
        };
        return [0, .. LogId, .. UInt64(timestamp), .. Vector16(extensions), 4, algorithm, .. Vector16(signature)];
    }

    /// <summary>SignedCertificateTimestampList (RFC 6962 §3.3).</summary>
    internal static byte[] List(params IEnumerable<byte[]> scts) => Vector16([.. scts.SelectMany(Vector16)]);

    private static byte[] SignedInput(byte[] issuerSpki, byte[] tbs, long timestamp, byte[] extensions) =>
        // version v1, certificate_timestamp, time, precert_entry
        [0, 0, .. UInt64(timestamp), 0, 1, .. SHA256.HashData(issuerSpki), .. Vector24(tbs), .. Vector16(extensions)];

    private static byte[] UInt64(long value)
    {
        var bytes = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64BigEndian(bytes, value);
        return bytes;
    }

    private static byte[] Vector16(byte[] bytes) => [(byte)(checked((ushort)bytes.Length) >> 8), (byte)bytes.Length, .. bytes];

    private static byte[] Vector24(byte[] bytes) => [checked((byte)(bytes.Length >> 16)), (byte)(bytes.Length >> 8), (byte)bytes.Length, .. bytes];
}
