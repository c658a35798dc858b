using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Keyless.Oci;

/// <summary>Something to attach to an image as a referrer with one layer (OCI image-spec "Guidelines for Artifact Usage").</summary>
/// <param name="Annotations">Of the referrer's manifest, in the order they are to be written.</param>
public sealed record Attachment(
    string ArtifactType, string LayerMediaType, ReadOnlyMemory<byte> Content, IReadOnlyList<KeyValuePair<string, string>> Annotations)
{
    /// <summary>The content of every empty config: <c>{}</c> (OCI image-spec "Guidance for an Empty Descriptor").</summary>
    public static ReadOnlyMemory<byte> EmptyConfig { get; } = "{}"u8.ToArray();

    /// <summary>The digest of <see cref="EmptyConfig"/>.</summary>
    public static Digest EmptyConfigDigest { get; } = Digest.Of(EmptyConfig.Span);

    // Media types are full of '+', which the default encoder escapes; these bytes are read by others and never by a browser.
    private static readonly JsonWriterOptions Compact = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The manifest that refers to the subject: the same bytes for the same content and annotations.</summary>
    internal byte[] ToManifest(Descriptor subject)
    {
        using var bytes = new MemoryStream();
        using (var json = new Utf8JsonWriter(bytes, Compact))
        {
            json.WriteStartObject();
            json.WriteNumber("schemaVersion", 2);
            json.WriteString("mediaType", MediaTypes.OciManifest);
            json.WriteString("artifactType", ArtifactType);
            json.WriteStartObject("config");
            WriteContent(json, MediaTypes.OciEmpty, EmptyConfig.Length, EmptyConfigDigest);
            json.WriteEndObject();
            json.WriteStartArray("layers");
            json.WriteStartObject();
            WriteContent(json, LayerMediaType, Content.Length, Digest.Of(Content.Span));
            json.WriteEndObject();
            json.WriteEndArray();
            WriteAnnotations(json, Annotations);
            json.WriteStartObject("subject");
            WriteContent(json, subject.MediaType, subject.Size, subject.Digest);
            json.WriteEndObject();
            json.WriteEndObject();
        }
        return bytes.ToArray();
    }

    /// <summary>The referrers index with one more entry (distribution-spec "Pushing Manifests with Subject"). What others wrote stays as it is.</summary>
    /// <param name="index">The index so far, already checked; null to begin one.</param>
    internal static byte[] Append(Manifest? index, Descriptor referrer) => index is not null
        ? ManifestText.Append(index.Bytes.Span, "manifests", Entry(referrer))
        : ManifestText.Write(new JsonObject { ["schemaVersion"] = 2, ["mediaType"] = MediaTypes.OciIndex, ["manifests"] = new JsonArray(Entry(referrer)) });

    private static JsonObject Entry(Descriptor referrer)
    {
        var entry = new JsonObject
        {
            ["mediaType"] = referrer.MediaType,
            ["size"] = referrer.Size,
            ["digest"] = referrer.Digest.ToString(),
            ["artifactType"] = referrer.ArtifactType,
        };
        if (referrer.Annotations is { Count: > 0 } annotations)
        {
            entry["annotations"] = new JsonObject(annotations.Select(a => KeyValuePair.Create<string, JsonNode?>(a.Key, JsonValue.Create(a.Value))));
        }

        return entry;
    }

    private static void WriteContent(Utf8JsonWriter json, string mediaType, long size, Digest digest)
    {
        json.WriteString("mediaType", mediaType);
        json.WriteNumber("size", size);
        json.WriteString("digest", digest.ToString());
    }

    private static void WriteAnnotations(Utf8JsonWriter json, IReadOnlyList<KeyValuePair<string, string>> annotations)
    {
        if (annotations.Count == 0)
        {
            return;
        }

        json.WriteStartObject("annotations");
        foreach ((string name, string value) in annotations)
        {
            json.WriteString(name, value);
        }

        json.WriteEndObject();
    }
}

/// <summary>A referrer as it was attached.</summary>
/// <param name="Reference"><c>registry/repository@digest</c> of its manifest.</param>
public sealed record AttachedReferrer(Descriptor Descriptor, string Reference);
