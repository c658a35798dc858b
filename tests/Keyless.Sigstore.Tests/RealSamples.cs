using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Keyless.Sigstore.Tests;

/// <summary>Signatures made by cosign 3.1.1, and 2.5.0 where the name says so, against real Fulcio, TesseraCT, Rekor v1 and v2, and timestamp authority servers.</summary>
internal static class RealSamples
{
    public const string Identity = "https://github.com/example-org/example-repo/.github/workflows/publish.yml@refs/heads/main";
    public const string Issuer = "http://127.0.0.1:18000";
    public const string ImageSignature = "https://sigstore.dev/cosign/sign/v1";

    public static readonly ArtifactDigest Image = ArtifactDigest.Sha256("b2fafd95b34d5b99e7ccea34383b3bf3e51d2c3ee649ccad5932d73cde21dfdc");

    public static TrustedRoot Root { get; } = TrustedRoot.Parse(Read("trusted_root.json"));

    public static Policy Policy { get; } = Policy.Exactly(Identity, Issuer, ImageSignature);

    /// <param name="log"><c>Rekor v1</c> or <c>Rekor v2</c>.</param>
    public static byte[] LoggedBy(string log) =>
        Read(log == "Rekor v1" ? "c3-rekor1-single/blob-44e08ca0be4e.json" : "c3-rekor2-single/blob-e6d02af417a4.json");

    /// <summary>An attestation over a file, not an image signature.</summary>
    public static byte[] BlobAttestation => Read("blob/c3-rekor1-dsse.sigstore.json");

    public static byte[] File => Read("blob/hello.txt");

    /// <summary>The one signature under the <c>.sig</c> tag of the same image: its layer, and the layer's annotations.</summary>
    public static (byte[] Payload, Dictionary<string, string> Annotations) Cosign2
    {
        get
        {
            JsonNode layer = JsonNode.Parse(Read("c2-legacy-single/manifest-d92c4fd40c3a.json"))!["layers"]!.AsArray().Single()!;
            return (Read("c2-legacy-single/blob-1db7af866446.json"), layer["annotations"].Deserialize<Dictionary<string, string>>()!);
        }
    }

    public static ArtifactDigest Blob => ArtifactDigest.Sha256(Convert.ToHexStringLower(SHA256.HashData(File)));

    public static byte[] Read(string path) => System.IO.File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "fixtures", "real", path));
}
