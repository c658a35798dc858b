using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;

namespace Keyless.Sandbox;

/// <summary>What logs of both versions put into their answers when they lie.</summary>
internal static class RekorForgery
{
    /// <summary>The canonical body of another entry of the same kind; null if the lie is not about that.</summary>
    public static byte[]? Body(byte[] body, RekorLie? lie)
    {
        if (lie is not (RekorLie.OtherSignature or RekorLie.OtherDigest))
        {
            return null;
        }

        JsonNode entry = JsonNode.Parse(body)!, spec = entry["spec"]!;
        if (lie == RekorLie.OtherSignature)
        {
            SignAnew(spec);
        }
        else if (spec["hashedRekordV002"]?["data"] is { } data)
        {
            data["digest"] = Convert.ToBase64String(Other(Convert.FromBase64String((string)data["digest"]!)));
        }
        else
        {
            JsonNode hash = spec["data"]?["hash"] ?? spec["payloadHash"] ?? spec["content"]!["payloadHash"]!;
            hash["value"] = Convert.ToHexStringLower(Other(Convert.FromHexString((string)hash["value"]!)));
        }

        return CanonicalJson.Bytes(entry);
    }

    /// <summary>As many entries, and none of them the log's.</summary>
    public static MerkleTree Tree(int size)
    {
        var tree = new MerkleTree();
        while (tree.Size < size)
        {
            tree.Append(RandomNumberGenerator.GetBytes(32));
        }

        return tree;
    }

    /// <summary>The id of a log that is in no trusted root.</summary>
    public static byte[] LogId() => RandomNumberGenerator.GetBytes(32);

    /// <summary>A signature of the same hash by another key, with a certificate where there was one.</summary>
    private static void SignAnew(JsonNode spec)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=somebody else", key, HashAlgorithmName.SHA256);
        using X509Certificate2 certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(100));
        if (spec["hashedRekordV002"] is { } version2)
        {
            JsonNode signature = version2["signature"]!;
            bool certified = signature["verifier"]!["x509Certificate"] is not null;
            byte[] verifier = certified ? certificate.RawData : key.ExportSubjectPublicKeyInfo();
            signature["content"] = Sign(Convert.FromBase64String((string)version2["data"]!["digest"]!));
            signature["verifier"] = new JsonObject
            {
                ["keyDetails"] = "PKIX_ECDSA_P256_SHA_256",
                [certified ? "x509Certificate" : "publicKey"] = new JsonObject { ["rawBytes"] = Convert.ToBase64String(verifier) },
            };
        }
        else if (spec["data"] is { } data)
        {
            spec["signature"]!["content"] = Sign(Hash(data["hash"]!));
            spec["signature"]!["publicKey"]!["content"] = Verifier(spec["signature"]!["publicKey"]!["content"]!);
        }
        else if (spec["signatures"]?[0] is { } signature)
        {
            signature["signature"] = Sign(Hash(spec["payloadHash"]!));
            signature["verifier"] = Verifier(signature["verifier"]!);
        }
        else if (spec["content"]!["envelope"]?["signatures"]?[0] is { } twice)
        {
            twice["sig"] = Base64(Sign(Hash(spec["content"]!["payloadHash"]!)));
            twice["publicKey"] = Verifier(twice["publicKey"]!);
        }
        else
        {
            spec["publicKey"] = Verifier(spec["publicKey"]!); // intoto 0.0.1 keeps no signature
        }

        string Sign(byte[] hash) => Convert.ToBase64String(key.SignHash(hash, DSASignatureFormat.Rfc3279DerSequence));

        string Verifier(JsonNode former) => Base64(
            Encoding.UTF8.GetString(Convert.FromBase64String((string)former!)).Contains("CERTIFICATE", StringComparison.Ordinal)
                ? certificate.ExportCertificatePem() + "\n"
                : key.ExportSubjectPublicKeyInfoPem() + "\n");
    }

    private static byte[] Hash(JsonNode hash) => Convert.FromHexString((string)hash["value"]!);

    private static byte[] Other(byte[] digest) => [(byte)(digest[0] ^ 1), .. digest[1..]];

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));
}
