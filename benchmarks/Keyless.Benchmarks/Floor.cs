using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Text.Json;
using Org.BouncyCastle.Math.EC.Rfc8032;

namespace Keyless.Benchmarks;

/// <summary>
/// What no verifier of such a bundle can leave out, and nothing else: the signature checks with the trusted keys at hand, the leaf's key imported,
/// JSON and DER walked once, and the hashes. It verifies nothing real: keys and signatures of the same kinds and sizes are made for it.
/// </summary>
internal sealed class Floor
{
    private const int MerkleNodes = 22;

    private readonly Sample sample;
    private readonly byte[] certificate;
    private readonly byte[] body;
    private readonly byte[] message = RandomNumberGenerator.GetBytes(700);
    private readonly ECDsa authority = ECDsa.Create(ECCurve.NamedCurves.nistP384);
    private readonly ECDsa service = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly byte[] authoritySignature;
    private readonly byte[] serviceSignature;
    private readonly byte[] leafKey;
    private readonly byte[] leafSignature;
    private readonly byte[] edwardsKey = new byte[32];
    private readonly byte[] edwardsSignature = new byte[64];

    public Floor(Sample sample)
    {
        this.sample = sample;
        using JsonDocument document = JsonDocument.Parse(sample.Bundle);
        JsonElement material = document.RootElement.GetProperty("verificationMaterial");
        certificate = material.GetProperty("certificate").GetProperty("rawBytes").GetBytesFromBase64();
        body = material.GetProperty("tlogEntries")[0].GetProperty("canonicalizedBody").GetBytesFromBase64();
        authoritySignature = authority.SignData(message, HashAlgorithmName.SHA384);
        serviceSignature = service.SignData(message, HashAlgorithmName.SHA256);
        using var leaf = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        leafKey = leaf.ExportSubjectPublicKeyInfo();
        leafSignature = leaf.SignData(message, HashAlgorithmName.SHA256);
        byte[] secret = RandomNumberGenerator.GetBytes(32);
        Ed25519.GeneratePublicKey(secret, 0, edwardsKey, 0);
        Ed25519.Sign(secret, 0, message, 0, message.Length, edwardsSignature, 0);
    }

    public bool Once()
    {
        JsonDocument.Parse(sample.Bundle).Dispose();
        Walk(new AsnReader(certificate, AsnEncodingRules.DER), 3);
        JsonDocument.Parse(body).Dispose();
        bool good = authority.VerifyData(message, authoritySignature, HashAlgorithmName.SHA384); // leaf ← intermediate
        good &= Service(); // SCT
        good &= Service(); // timestamp token
        if (sample.IsRekor2)
        {
            good &= Ed25519.Verify(edwardsSignature, 0, edwardsKey, 0, message, 0, message.Length); // checkpoint
        }
        else
        {
            good &= Service(); // checkpoint
            good &= Service(); // signed entry timestamp
        }

        using ECDsa leaf = ECDsa.Create();
        leaf.ImportSubjectPublicKeyInfo(leafKey, out _);
        good &= leaf.VerifyData(message, leafSignature, HashAlgorithmName.SHA256);
        Span<byte> node = stackalloc byte[65];
        for (int level = 0; level < MerkleNodes; level++)
        {
            SHA256.HashData(node, node[1..33]);
        }

        return good;
    }

    private bool Service() => service.VerifyData(message, serviceSignature, HashAlgorithmName.SHA256);

    private static void Walk(AsnReader reader, int depth)
    {
        while (reader.HasData)
        {
            Asn1Tag tag = reader.PeekTag();
            if (depth > 0 && tag.IsConstructed)
            {
                Walk(new AsnReader(reader.PeekContentBytes(), AsnEncodingRules.DER), depth - 1);
            }

            _ = reader.ReadEncodedValue();
        }
    }
}
