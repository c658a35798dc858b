using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Org.BouncyCastle.Crypto.Parameters;
using Org.BouncyCastle.Crypto.Signers;
using Org.BouncyCastle.Security;

namespace Keyless.Sandbox;

/// <summary>The kinds of keys that TUF repositories of this field use.</summary>
public enum TufKeyKind
{
    EcdsaP256,
    Ed25519,
    RsaPss,
}

/// <summary>A key of a TUF repository, private part included.</summary>
public sealed class TufSigner
{
    private readonly Func<byte[], byte[]> sign;

    private TufSigner(JsonObject key, Func<byte[], byte[]> sign)
    {
        Key = key;
        this.sign = sign;
        KeyId = Convert.ToHexStringLower(SHA256.HashData(OlpcJson.Bytes(key)));
    }

    /// <summary>A label. Usually the hash of <see cref="Key"/>, but clients must not rely on that.</summary>
    public string KeyId { get; set; }

    /// <summary>As metadata lists it.</summary>
    public JsonObject Key { get; }

    public static TufSigner Create(TufKeyKind kind = TufKeyKind.EcdsaP256)
    {
        switch (kind)
        {
            case TufKeyKind.Ed25519:
                var edwards = new Ed25519PrivateKeyParameters(new SecureRandom());
                return new TufSigner(Describe("ed25519", "ed25519", Convert.ToHexStringLower(edwards.GeneratePublicKey().GetEncoded())), data =>
                {
                    var signer = new Ed25519Signer();
                    signer.Init(forSigning: true, edwards);
                    signer.BlockUpdate(data, 0, data.Length);
                    return signer.GenerateSignature();
                });
            case TufKeyKind.RsaPss:
                RSA rsa = RSA.Create(2048);
                return new TufSigner(Describe("rsa", "rsassa-pss-sha256", rsa.ExportSubjectPublicKeyInfoPem()), data => rsa.SignData(data, HashAlgorithmName.SHA256, RSASignaturePadding.Pss));
            default:
                ECDsa ecdsa = ECDsa.Create(ECCurve.NamedCurves.nistP256);
                return new TufSigner(Describe("ecdsa", "ecdsa-sha2-nistp256", ecdsa.ExportSubjectPublicKeyInfoPem() + "\n"),
                    data => ecdsa.SignData(data, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence));
        }
    }

    /// <summary>An entry of <c>signatures</c>.</summary>
    public JsonObject Sign(JsonObject content) => new() { ["keyid"] = KeyId, ["sig"] = Convert.ToHexStringLower(sign(OlpcJson.Bytes(content))) };

    private static JsonObject Describe(string type, string scheme, string value) => new()
    {
        ["keytype"] = type,
        ["keyval"] = new JsonObject { ["public"] = value },
        ["scheme"] = scheme,
    };
}
