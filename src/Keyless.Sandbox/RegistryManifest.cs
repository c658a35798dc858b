using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Keyless.Sandbox;

/// <summary>A manifest or an index as it was pushed: the digest is that of these bytes.</summary>
/// <param name="ArtifactType">
/// As the referrers API reports it (distribution-spec, "Listing Referrers"): the manifest's own, else an image manifest's
/// <c>config.mediaType</c>, else null.
/// </param>
/// <param name="Subject">Digest of the subject, or null.</param>
public sealed record RegistryManifest(string Digest, string MediaType, byte[] Bytes, string? ArtifactType, string? Subject)
{
    internal const string OciImage = "application/vnd.oci.image.manifest.v1+json";
    internal const string OciIndex = "application/vnd.oci.image.index.v1+json";
    private const string DockerImage = "application/vnd.docker.distribution.manifest.v2+json";
    private const string DockerIndex = "application/vnd.docker.distribution.manifest.list.v2+json";

    /// <summary>Digest and size of the blobs this needs.</summary>
    internal IReadOnlyList<(string Digest, long Size)> Blobs { get; private init; } = [];

    /// <summary>Digest and size of the manifests this needs; its subject is none of them.</summary>
    internal IReadOnlyList<(string Digest, long Size)> Manifests { get; private init; } = [];

    /// <summary>Null in an index.</summary>
    internal string? ConfigMediaType { get; private init; }

    private JsonObject? Annotations { get; init; }

    /// <param name="mediaType">The <c>Content-Type</c> of the push.</param>
    /// <exception cref="RegistryError">Not a manifest of a kind known here.</exception>
    internal static RegistryManifest Parse(byte[] bytes, string? mediaType)
    {
        try
        {
            JsonNode? document = JsonNode.Parse(bytes, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false });
            if (document is not JsonObject manifest || (int?)manifest["schemaVersion"] != 2)
            {
                throw Invalid("it is not a JSON object with schemaVersion 2");
            }

            string? own = (string?)manifest["mediaType"];
            // Some clients add a charset to what they push; it is no part of the media type.
            string type = mediaType?.Split(';')[0].Trim() is { Length: > 0 } pushed ? pushed : own ?? throw Invalid("it has no media type");
            if (own is not null && own != type)
            {
                throw Invalid($"it was pushed as {type} and calls itself {own}");
            }

            bool isImage = type is OciImage or DockerImage;
            if (!isImage && type is not (OciIndex or DockerIndex))
            {
                throw Invalid($"the media type {type} is not known here");
            }

            JsonNode? config = isImage ? manifest["config"] ?? throw Invalid("it has no config") : null;
            return new RegistryManifest(
                RegistryDigest.Of(bytes),
                type,
                bytes,
                (string?)manifest["artifactType"] ?? (string?)config?["mediaType"],
                manifest["subject"] is { } subject ? Mentioned(subject).Digest : null)
            {
                // A layer with urls is fetched from there, so it need not be here (image-spec, "Non-Distributable Layers").
                Blobs = isImage ? [Mentioned(config!), .. Members(manifest, "layers").Where(layer => layer?["urls"] is null).Select(Mentioned)] : [],
                Manifests = isImage ? [] : [.. Members(manifest, "manifests").Select(Mentioned)],
                ConfigMediaType = (string?)config?["mediaType"],
                Annotations = (JsonObject?)manifest["annotations"],
            };
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException or InvalidCastException)
        {
            throw Invalid("it is not JSON of the expected shape");
        }
    }

    /// <summary>The entry of this manifest in a list of referrers.</summary>
    internal JsonObject Descriptor()
    {
        var descriptor = new JsonObject { ["mediaType"] = MediaType, ["digest"] = Digest, ["size"] = Bytes.Length };
        if (ArtifactType is not null)
        {
            descriptor["artifactType"] = ArtifactType;
        }

        if (Annotations is not null)
        {
            descriptor["annotations"] = Annotations.DeepClone();
        }

        return descriptor;
    }

    private static JsonArray Members(JsonObject manifest, string name) => manifest[name]?.AsArray() ?? throw Invalid($"it has no {name}");

    private static (string Digest, long Size) Mentioned(JsonNode? descriptor) =>
        descriptor is not null && (string?)descriptor["digest"] is { } digest && (long?)descriptor["size"] is { } size
            ? (RegistryDigest.Require(digest), size)
            : throw Invalid("a descriptor lacks digest or size");

    private static RegistryError Invalid(string why) => new(400, "MANIFEST_INVALID", $"the manifest was refused: {why}");
}

/// <summary>Digests of content, SHA-256 only: the one algorithm every registry has.</summary>
internal static class RegistryDigest
{
    public static string Of(byte[] bytes) => $"sha256:{Convert.ToHexStringLower(SHA256.HashData(bytes))}";

    /// <exception cref="RegistryError">Not <c>sha256:</c> and 64 lower-case hex digits.</exception>
    public static string Require(string digest) =>
        digest.StartsWith("sha256:", StringComparison.Ordinal) && digest.Length == 71 && digest.Skip(7).All(char.IsAsciiHexDigitLower)
            ? digest
            : throw new RegistryError(400, "DIGEST_INVALID", "the digest is not sha256: and 64 lower-case hex digits");
}

/// <summary>A refusal in the words of distribution-spec, "Error Codes".</summary>
internal sealed class RegistryError(int status, string code, string message) : Exception(message)
{
    public int Status => status;

    public string Code => code;
}
