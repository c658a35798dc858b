using System.Text.Json;
using Keyless.Sigstore;

namespace Keyless.Benchmarks;

/// <summary>A bundle, what it is about, and how many signature checks of which kind it needs at the least.</summary>
internal sealed record Sample(string BundlePath, byte[] Bundle, Artifact Artifact, string? Sha256, bool IsRekor2)
{
    private static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "real");

    public static string TrustedRootPath => Path.Combine(Folder, "trusted_root.json");

    public static byte[] TrustedRoot => File.ReadAllBytes(TrustedRootPath);

    /// <summary>The artifact of the file samples.</summary>
    public static string FilePath => Path.Combine(Folder, "blob", "hello.txt");

    public static Sample Named(string name) => name switch
    {
        "Rekor v1, file" => OfFile("c3-rekor1.sigstore.json", false),
        "Rekor v2, file" => OfFile("c3-rekor2.sigstore.json", true),
        "Rekor v1, statement" => OfImage("c3-rekor1-single/blob-44e08ca0be4e.json", false),
        "Rekor v2, statement" => OfImage("c3-rekor2-single/blob-e6d02af417a4.json", true),
        _ => throw new ArgumentOutOfRangeException(nameof(name)),
    };

    private static Sample OfFile(string name, bool isRekor2)
    {
        string path = Path.Combine(Folder, "blob", name);
        return new Sample(path, File.ReadAllBytes(path), Artifact.FromContent(File.ReadAllBytes(FilePath)), null, isRekor2);
    }

    private static Sample OfImage(string name, bool isRekor2)
    {
        string path = Path.Combine(Folder, name);
        byte[] bundle = File.ReadAllBytes(path);
        using JsonDocument document = JsonDocument.Parse(bundle);
        using JsonDocument statement = JsonDocument.Parse(document.RootElement.GetProperty("dsseEnvelope").GetProperty("payload").GetBytesFromBase64());
        string sha256 = statement.RootElement.GetProperty("subject")[0].GetProperty("digest").GetProperty("sha256").GetString()!;
        return new Sample(path, bundle, ArtifactDigest.Sha256(sha256), sha256, isRekor2);
    }
}
