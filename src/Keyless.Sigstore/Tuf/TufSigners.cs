using System.Buffers;
using System.Security.Cryptography;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>Who may sign for a role: the keys that can be used, and how many different ones must.</summary>
internal sealed class TufSigners
{
    private readonly List<(string Id, TufKey Key)> keys = [];

    private TufSigners(long threshold) => Threshold = threshold;

    public long Threshold { get; }

    public static TufSigners Read(JsonFields role, Dictionary<string, TufKey> known, string what)
    {
        long threshold = role.RequiredInteger("threshold");
        if (threshold < 1)
        {
            throw new FormatException($"malformed {what}.threshold: at least 1 expected, 0 found");
        }

        var signers = new TufSigners(threshold);
        var ids = new HashSet<string>(StringComparer.Ordinal);
        if (!role.Has("keyids"))
        {
            throw new FormatException($"malformed {what}: keyids is missing");
        }

        foreach (string id in role.Texts("keyids", Limits.TufKeys))
        {
            if (!ids.Add(id))
            {
                throw new FormatException($"malformed {what}.keyids: {Shown.Of(id)} is there twice");
            }

            if (known.TryGetValue(id, out TufKey? key))
            {
                signers.keys.Add((id, key));
            }
        }

        return signers;
    }

    /// <summary>How many different keys have signed. The same key under two ids is one key (an id is only a label), and a bad signature is no signature.</summary>
    public int CountSignatures(TufMetadata metadata)
    {
        var signed = new HashSet<string>(StringComparer.Ordinal);
        foreach ((string id, TufKey key) in keys)
        {
            if (metadata.SignatureOf(id) is { } hex && TufKey.TryDecodeHex(hex) is { } signature && key.Verifies(metadata.SignedBytes, signature))
            {
                signed.Add(key.Material);
            }
        }

        return signed.Count;
    }

    /// <summary>Whether a key of these is none of the others.</summary>
    public bool HasKeyNotIn(TufSigners others) => keys.Exists(mine => !others.keys.Exists(other => other.Key.Material == mine.Key.Material));
}

/// <summary>A key that can verify signatures of the kinds in use: ECDSA on P-256, Ed25519, RSA-PSS with SHA-256.</summary>
internal sealed class TufKey
{
    // RFC 8410 §4: SubjectPublicKeyInfo up to the 32 bytes of an Ed25519 key.
    private static readonly byte[] Ed25519Prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

    private readonly VerificationKey key;
    private readonly RSA? pss;

    private TufKey(VerificationKey key, RSA? pss = null) => (this.key, this.pss, Material) = (key, pss, Convert.ToHexString(key.Spki));

    /// <summary>What makes two keys the same key, whatever their ids.</summary>
    public string Material { get; }

    /// <returns>Null for a key that cannot be used: it is never counted, and no reason to refuse those that can (§4.2).</returns>
    public static TufKey? Read(JsonFields fields)
    {
        string kind = $"{fields.RequiredText("keytype")} {fields.RequiredText("scheme")}";
        if (kind is not ("ecdsa ecdsa-sha2-nistp256" or "ecdsa-sha2-nistp256 ecdsa-sha2-nistp256" or "ed25519 ed25519" or "rsa rsassa-pss-sha256"))
        {
            return null;
        }

        string value = fields.RequiredObject("keyval").RequiredText("public");
        try
        {
            if (kind[1] == 'd')
            {
                // 32 bytes, or it is no key: the prefix says how many follow.
                return TryDecodeHex(value) is { } bytes ? new TufKey(VerificationKey.FromSpki([.. Ed25519Prefix, .. bytes])) : null;
            }

            if (!Pem.TryReadOne(value, "PUBLIC KEY", out byte[] spki))
            {
                return null;
            }

            var key = VerificationKey.FromSpki(spki);
            return kind[0] switch
            {
                'e' when key.FieldBytes == 32 => new TufKey(key),
                'r' when key.IsRsa => new TufKey(key, ImportRsa(key.Spki)),
                _ => null,
            };
        }
        catch (FormatException)
        {
            return null;
        }
    }

    public bool Verifies(byte[] data, byte[] signature)
    {
        if (pss is null)
        {
            return key.Verifies(data, signature, HashAlgorithmName.SHA256);
        }

        return signature.Length == pss.KeySize / 8 && pss.VerifyData(data, signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pss);
    }

    /// <summary>Null for what is not hex, two digits a byte.</summary>
    public static byte[]? TryDecodeHex(string hex)
    {
        var bytes = new byte[hex.Length / 2];
        return Convert.FromHexString(hex, bytes, out _, out _) == OperationStatus.Done ? bytes : null;
    }

    private static RSA ImportRsa(byte[] spki)
    {
        RSA rsa = RSA.Create();
        rsa.ImportSubjectPublicKeyInfo(spki, out _);
        return rsa;
    }
}
