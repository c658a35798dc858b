using System.Text.Json;
using System.Text.Json.Nodes;
using Keyless.Oci;
using Keyless.Sigstore;

namespace Keyless.MSBuild;

/// <summary>
/// Signatures by which images were verified before (<c>ContainerVerificationCache</c>). What is kept is the evidence and not the verdict: it is verified
/// again, under the policy, the trusted root and the time of this build. So whoever can write here can make nothing pass, and what nobody changed
/// is not asked for again.
/// </summary>
/// <param name="folder">Absolute.</param>
internal sealed class KeptSignatures(string folder)
{
    private const string Schema = "keyless-msbuild/kept-signatures/v1";

    /// <summary>What a search takes at most, in base64.</summary>
    private const int Largest = 96 * 1024 * 1024;

    /// <summary>As many as a policy can ask for; more were not written here.</summary>
    private const int Most = 1000;

    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false, MaxDepth = 8 };

    /// <returns>None where there are none, or none that can be read: the registry has them.</returns>
    public IReadOnlyList<FoundSignature> Read(Digest image)
    {
        try
        {
            var file = new FileInfo(PathOf(image));
            // A link is not ours.
            return file is { LinkTarget: null, Exists: true } ? [.. Read(JsonNode.Parse(WholeFile.ReadPlain("ContainerVerificationCache", file.FullName, Largest), documentOptions: Strict), image)] : [];
        }
        catch (Exception e) when (e is ConfigurationException or JsonException or FormatException or VerificationException or IOException or UnauthorizedAccessException or InvalidOperationException)
        {
            // InvalidOperationException: strings with half of a surrogate pair, or bytes that are no UTF-8, are found when they are asked for.
            return [];
        }
    }

    /// <summary>A cache that cannot be written is no reason to fail.</summary>
    public void Write(Digest image, IReadOnlyList<FoundSignature> signatures)
    {
        try
        {
            WholeFile.Write("ContainerVerificationCache", PathOf(image), JsonSerializer.SerializeToUtf8Bytes(
                new JsonObject { ["schema"] = Schema, ["signatures"] = new JsonArray([.. signatures.Where(signature => signature.Content is not null).Select(ToJson)]) }));
        }
        catch (ConfigurationException)
        {
            // The next build asks the registry, as this one did.
        }
    }

    private string PathOf(Digest image) => Path.Combine(folder, $"{image.Algorithm}-{image.Hex}.json");

    private static JsonObject ToJson(FoundSignature signature) => new()
    {
        ["format"] = signature.Format,
        ["reference"] = signature.Reference,
        ["content"] = Convert.ToBase64String(signature.Content!),
        ["annotations"] = signature.Annotations is { } annotations ? new JsonObject(annotations.Select(annotation => KeyValuePair.Create(annotation.Key, (JsonNode?)annotation.Value))) : null,
    };

    private static IEnumerable<FoundSignature> Read(JsonNode? file, Digest image)
    {
        if (file is not JsonObject { } kept || Text(kept["schema"]) != Schema || kept["signatures"] is not JsonArray { Count: <= Most } signatures)
        {
            yield break;
        }

        var artifact = ArtifactDigest.Sha256(image.Hex);
        foreach (JsonNode? node in signatures)
        {
            JsonObject entry = node as JsonObject ?? throw new FormatException("a kept signature is no object");
            (string format, string reference, byte[] content) = (Text(entry["format"]), Text(entry["reference"]), Convert.FromBase64String(Text(entry["content"])));
            yield return (format, entry["annotations"]) switch
            {
                ("bundle", null) => FoundSignature.OfBundle(reference, content, artifact),
                ("legacy" or "oci11", JsonObject annotations) => FoundSignature.OfPayload(format, reference, content, annotations.ToDictionary(annotation => annotation.Key, annotation => Text(annotation.Value)), artifact),
                _ => throw new FormatException("a kept signature is of no known format"),
            };
        }
    }

    private static string Text(JsonNode? node) => node?.GetValueKind() == JsonValueKind.String ? (string)node! : throw new FormatException("a kept signature lacks something");
}
