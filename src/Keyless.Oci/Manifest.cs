using System.Text.Json;
using System.Text.Json.Serialization;

namespace Keyless.Oci;

/// <summary>The media types this client reads and writes.</summary>
public static class MediaTypes
{
    public const string OciManifest = "application/vnd.oci.image.manifest.v1+json";
    public const string OciIndex = "application/vnd.oci.image.index.v1+json";
    public const string OciEmpty = "application/vnd.oci.empty.v1+json";
    public const string DockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
    public const string DockerManifestList = "application/vnd.docker.distribution.manifest.list.v2+json";

    internal static bool IsIndex(string mediaType) => mediaType is OciIndex or DockerManifestList;

    internal static bool IsManifest(string mediaType) => mediaType is OciManifest or DockerManifest;
}

/// <summary>OCI image-spec "Content Descriptors": what some content is, its digest and its size in bytes. A claim until the content was fetched.</summary>
public sealed record Descriptor(string MediaType, Digest Digest, long Size)
{
    public string? ArtifactType { get; init; }

    public IReadOnlyDictionary<string, string>? Annotations { get; init; }

    /// <summary><c>os/architecture[/variant]</c>, in an image index.</summary>
    public string? Platform { get; init; }
}

/// <summary>
/// An image manifest or an image index (OCI image-spec 1.1, or Docker's schema 2 forms) together with the exact bytes it was read from. The
/// shape is checked; nothing it refers to has been seen.
/// </summary>
public sealed class Manifest
{
    private Manifest(ReadOnlyMemory<byte> bytes, Digest digest, string mediaType, ManifestJson json)
    {
        (Bytes, Digest, MediaType, ArtifactType) = (bytes, digest, mediaType, json.ArtifactType);
        Annotations = DescriptorJson.RequireAnnotations(json.Annotations);
        Config = json.Config?.ToDescriptor();
        Layers = Descriptors(json.Layers);
        Manifests = Descriptors(json.Manifests);
        Subject = json.Subject?.ToDescriptor();
    }

    /// <summary>As received; the digest is over these, and nothing else may be hashed in their place.</summary>
    public ReadOnlyMemory<byte> Bytes { get; }

    /// <summary>The digest of <see cref="Bytes"/>, by the algorithm it was asked for with, else SHA-256.</summary>
    public Digest Digest { get; }

    public string MediaType { get; }

    public string? ArtifactType { get; }

    public Descriptor? Config { get; }

    /// <summary>In an image manifest; empty in an index.</summary>
    public IReadOnlyList<Descriptor> Layers { get; }

    /// <summary>In an index; empty in an image manifest.</summary>
    public IReadOnlyList<Descriptor> Manifests { get; }

    public Descriptor? Subject { get; }

    public IReadOnlyDictionary<string, string>? Annotations { get; }

    public bool IsIndex => MediaTypes.IsIndex(MediaType);

    /// <summary>Reads a manifest or index.</summary>
    /// <param name="contentType">The Content-Type it came with, without parameters; null if there was none.</param>
    /// <exception cref="FormatException">"malformed manifest: …"</exception>
    public static Manifest Parse(ReadOnlyMemory<byte> bytes, string? contentType) => Parse(bytes, contentType, Digest.Of(bytes.Span));

    internal static Manifest Parse(ReadOnlyMemory<byte> bytes, string? contentType, Digest digest)
    {
        ManifestJson json;
        try
        {
            json = JsonSerializer.Deserialize(bytes.Span, OciJson.Default.ManifestJson) ?? throw new FormatException("malformed manifest: it is null");
        }
        catch (JsonException e)
        {
            throw new FormatException($"malformed manifest: not the JSON of a manifest (at {RegistryException.OneLine(e.Path ?? "$", Limits.ErrorText)})", e);
        }

        if (json.SchemaVersion != 2)
        {
            throw new FormatException($"malformed manifest: schemaVersion is {json.SchemaVersion}, expected 2");
        }
        // GHSA-qq97-vm5h-rrhg: the same bytes must not be an image to one client and an index to another.
        if (json.Layers is not null && json.Manifests is not null)
        {
            throw new FormatException("malformed manifest: both manifests and layers are there");
        }

        if (json.MediaType is not null && contentType is not null && json.MediaType != contentType)
        {
            throw new FormatException($"malformed manifest: it says it is {RegistryException.Quote(json.MediaType)} but came as {RegistryException.Quote(contentType)}");
        }

        string mediaType = json.MediaType ?? contentType ?? throw new FormatException("malformed manifest: no media type");
        if (!MediaTypes.IsIndex(mediaType) && !MediaTypes.IsManifest(mediaType))
        {
            throw new FormatException($"malformed manifest: {RegistryException.Quote(mediaType)} is neither an image manifest nor an image index");
        }

        if (MediaTypes.IsIndex(mediaType) && json.Manifests is null)
        {
            throw new FormatException("malformed manifest: an index without manifests");
        }

        if (MediaTypes.IsManifest(mediaType) && (json.Layers is null || json.Config is null))
        {
            throw new FormatException("malformed manifest: an image manifest without config or layers");
        }

        if (json.Manifests?.Length > Limits.IndexEntries)
        {
            throw new TooManyException($"malformed manifest: {json.Manifests.Length} manifests, more than {Limits.IndexEntries}");
        }

        if (json.Layers?.Length > Limits.Layers)
        {
            throw new TooManyException($"malformed manifest: {json.Layers.Length} layers, more than {Limits.Layers}");
        }

        return new Manifest(bytes, digest, mediaType, json);
    }

    private static Descriptor[] Descriptors(DescriptorJson?[]? json) =>
        [.. (json ?? []).Select(d => d?.ToDescriptor() ?? throw new FormatException("malformed manifest: null where a descriptor belongs"))];
}

/// <summary>A list in a manifest that is longer than any honest one: a bound was reached, and what lies behind it is unknown.</summary>
internal sealed class TooManyException(string message) : FormatException(message);

/// <summary>The members of a manifest or index that are read; others are for other readers (image-spec "Extensibility": they must be ignored).</summary>
internal sealed record ManifestJson(int SchemaVersion)
{
    public string? MediaType { get; init; }
    public string? ArtifactType { get; init; }
    public DescriptorJson? Config { get; init; }
    public DescriptorJson?[]? Layers { get; init; }
    public DescriptorJson?[]? Manifests { get; init; }
    public DescriptorJson? Subject { get; init; }
    public Dictionary<string, string?>? Annotations { get; init; }
}

/// <summary>A descriptor as written. <c>urls</c> and <c>data</c> are not read: content comes from the registry that was asked.</summary>
internal sealed record DescriptorJson(string MediaType, string Digest, long Size)
{
    public string? ArtifactType { get; init; }
    public Dictionary<string, string?>? Annotations { get; init; }
    public PlatformJson? Platform { get; init; }

    public Descriptor ToDescriptor()
    {
        if (Size < 0)
        {
            throw new FormatException("malformed manifest: a descriptor with a negative size");
        }

        if (MediaType.Length is 0 or > 255)
        {
            throw new FormatException("malformed manifest: a descriptor without a media type");
        }

        return new Descriptor(MediaType, Oci.Digest.Parse(Digest), Size)
        {
            ArtifactType = ArtifactType,
            Annotations = RequireAnnotations(Annotations),
            Platform = Platform is null ? null : string.Join('/', new[] { Platform.Os, Platform.Architecture, Platform.Variant }.Where(part => !string.IsNullOrEmpty(part))),
        };
    }

    /// <summary>image-spec "Annotations": values are strings, so null is none.</summary>
    public static Dictionary<string, string>? RequireAnnotations(Dictionary<string, string?>? annotations)
    {
        if (annotations?.Count > Limits.Annotations)
        {
            throw new FormatException($"malformed manifest: {annotations.Count} annotations, more than {Limits.Annotations}");
        }

        return annotations?.ToDictionary(
            a => a.Key,
            a => a.Value ?? throw new FormatException($"malformed manifest: annotation {RegistryException.Quote(a.Key)} is null"),
            StringComparer.Ordinal);
    }
}

internal sealed record PlatformJson
{
    public string? Os { get; init; }
    public string? Architecture { get; init; }
    public string? Variant { get; init; }
}

[JsonSourceGenerationOptions(
    AllowDuplicateProperties = false,
    MaxDepth = 32,
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(ManifestJson))]
internal sealed partial class OciJson : JsonSerializerContext;
