using System.Security.Cryptography;
using System.Text.Json.Nodes;

namespace Keyless.Sandbox;

/// <summary>Turns a hashedRekordRequestV002 into the canonical body that Rekor v2 logs, once its signature verifies.</summary>
internal static class RekorV2Entry
{
    /// <exception cref="BadHttpRequestException">Not a hashedrekord request, or one whose signature does not verify.</exception>
    public static byte[] Canonical(AddRequest request)
    {
        if (request.HashedRekordRequestV002 is not { Signature.Verifier: { } verifier } proposed)
        {
            throw new BadHttpRequestException("invalid type, must be hashedrekord");
        }

        SubmittedKey key = verifier.X509Certificate is { } certificate
            ? SubmittedKey.FromCertificate(Answers.Base64(certificate.RawBytes, "x509Certificate.rawBytes"))
            : SubmittedKey.FromSpki(Answers.Base64(verifier.PublicKey?.RawBytes, "publicKey.rawBytes"));
        byte[] digest = Answers.Base64(proposed.Digest, "digest");
        byte[] signature = Answers.Base64(proposed.Signature.Content, "signature.content");
        return verifier.KeyDetails == key.Details && digest.Length == CryptographicOperations.HashData(key.Hash, []).Length && key.Verifies(digest, key.Hash, signature)
            ? Canonical(digest, signature, key)
            : throw new BadHttpRequestException("invalid hashedrekord request: keyDetails, digest and signature do not go with the key");
    }

    /// <summary>The RFC 8785 form of the entry, which is the leaf of the tree.</summary>
    public static byte[] Canonical(byte[] digest, byte[] signature, SubmittedKey key) => CanonicalJson.Bytes(new JsonObject
    {
        ["apiVersion"] = "0.0.2",
        ["kind"] = "hashedrekord",
        ["spec"] = new JsonObject
        {
            ["hashedRekordV002"] = new JsonObject
            {
                ["data"] = new JsonObject { ["algorithm"] = Algorithm(key.Hash), ["digest"] = Convert.ToBase64String(digest) },
                ["signature"] = new JsonObject
                {
                    ["content"] = Convert.ToBase64String(signature),
                    ["verifier"] = new JsonObject
                    {
                        ["keyDetails"] = key.Details,
                        [key.Certificate is null ? "publicKey" : "x509Certificate"] = new JsonObject { ["rawBytes"] = Convert.ToBase64String(key.Certificate ?? key.Spki) },
                    },
                },
            },
        },
    });

    private static string Algorithm(HashAlgorithmName hash) => hash == HashAlgorithmName.SHA256 ? "SHA2_256" : hash == HashAlgorithmName.SHA384 ? "SHA2_384" : "SHA2_512";

    internal sealed record AddRequest(HashedRekordRequest? HashedRekordRequestV002);

    internal sealed record HashedRekordRequest(string? Digest, RequestSignature? Signature);

    internal sealed record RequestSignature(string? Content, Verifier? Verifier);

    internal sealed record Verifier(RawBytesOf? X509Certificate, RawBytesOf? PublicKey, string? KeyDetails);

    internal sealed record RawBytesOf(string? RawBytes);
}
