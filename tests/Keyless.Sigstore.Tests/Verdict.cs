using System.Text.Json.Nodes;

namespace Keyless.Sigstore.Tests;

internal static class Verdict
{
    /// <summary>The verifier says no, and for this reason.</summary>
    public static VerificationException Refuses(string reason, Forge forge, Policy? policy = null)
    {
        var no = Assert.ThrowsExactly<VerificationException>(() => forge.Verify(policy));
        Assert.AreEqual(reason, no.Reason, no.Message);
        return no;
    }

    /// <summary>The verifier says no to a bundle that was made of this recipe and then edited.</summary>
    public static void Refuses(string reason, Forge forge, byte[] bundle, string what)
    {
        var no = Assert.ThrowsExactly<VerificationException>(() => forge.Judge(bundle), what);
        Assert.AreEqual(reason, no.Reason, $"{what}: {no.Message}");
    }

    public static void Accepts(Forge forge, byte[] bundle, string what)
    {
        try
        {
            forge.Judge(bundle);
        }
        catch (VerificationException no)
        {
            throw new AssertFailedException($"{what}: refused by {no.Reason}: {no.Message}", no);
        }
    }

    public static VerifiedSignature Accepts(Forge forge, Policy? policy = null)
    {
        try
        {
            return forge.Verify(policy);
        }
        catch (VerificationException no)
        {
            throw new AssertFailedException($"refused by {no.Reason}: {no.Message}", no);
        }
    }

    public static JsonObject Material(this JsonObject bundle) => bundle["verificationMaterial"]!.AsObject();

    public static JsonObject Entry(this JsonObject bundle, int index = 0) => bundle.Material()["tlogEntries"]![index]!.AsObject();

    public static JsonObject Proof(this JsonObject entry) => entry["inclusionProof"]!.AsObject();

    public static JsonObject Envelope(this JsonObject bundle) => bundle["dsseEnvelope"]!.AsObject();

    public static JsonArray Timestamps(this JsonObject bundle) => bundle.Material()["timestampVerificationData"]!["rfc3161Timestamps"]!.AsArray();

    /// <summary>The list of a trusted root, one instance as an object.</summary>
    public static JsonObject Instance(this JsonObject root, string list, int index = 0) => root[list]![index]!.AsObject();
}
