using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Keyless.Oci;

/// <summary>One signature among others in the image that cosign 1 and 2 keep under a tag (cosign, specs/SIGNATURE_SPEC.md): a layer, with everything but the payload in annotations.</summary>
/// <param name="Content">The payload that is signed.</param>
/// <param name="Annotations">In the order they are to be written.</param>
public sealed record SignatureLayer(string MediaType, ReadOnlyMemory<byte> Content, IReadOnlyDictionary<string, string> Annotations)
{
    internal const string ConfigType = "application/vnd.oci.image.config.v1+json";

    // Go's zero time: what cosign writes where nobody asks for another.
    private const string NoTime = "0001-01-01T00:00:00Z";

    private static readonly JsonWriterOptions Compact = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false, MaxDepth = 32 };

    internal Digest Digest { get; } = Digest.Of(Content.Span);

    /// <summary>Whether this very signature is in the image: payloads may be the same.</summary>
    internal bool IsIn(Manifest image) => image.Layers.Any(layer =>
        layer.Digest == Digest && layer.Annotations is { } there && Annotations.All(annotation => there.GetValueOrDefault(annotation.Key) == annotation.Value));

    /// <summary>The config with one more layer: as go-containerregistry writes it, a line of history and the digest of what is not compressed.</summary>
    /// <param name="config">Of the image so far; null to begin one, or where what is there is none.</param>
    /// <param name="before">The layers so far.</param>
    internal byte[] AppendToConfig(byte[]? config, IReadOnlyList<Descriptor> before)
    {
        JsonObject root = config is not null && ReadConfig(config, before.Count) is { } there ? there : NewConfig(before);
        root["history"]!.AsArray().Add((JsonNode)new JsonObject { ["created"] = NoTime });
        root["rootfs"]!["diff_ids"]!.AsArray().Add((JsonNode)Digest.ToString());
        return Write(root);
    }

    /// <summary>The image with one more layer. What others wrote stays as it is.</summary>
    /// <param name="image">Already checked; null to begin one.</param>
    /// <exception cref="FormatException">What others wrote cannot be written again as it is.</exception>
    internal byte[] AppendToManifest(Manifest? image, Digest config, int configSize)
    {
        try
        {
            JsonObject root = image is not null
                ? JsonNode.Parse(image.Bytes.Span, documentOptions: Strict)!.AsObject()
                : new JsonObject
                {
                    ["schemaVersion"] = 2,
                    ["mediaType"] = MediaTypes.OciManifest,
                    ["config"] = new JsonObject { ["mediaType"] = ConfigType },
                    ["layers"] = new JsonArray(),
                };
            root["config"]!["size"] = configSize;
            root["config"]!["digest"] = config.ToString();
            root["layers"]!.AsArray().Add((JsonNode)new JsonObject
            {
                ["mediaType"] = MediaType,
                ["size"] = Content.Length,
                ["digest"] = Digest.ToString(),
                ["annotations"] = new JsonObject(Annotations.Select(annotation => KeyValuePair.Create<string, JsonNode?>(annotation.Key, JsonValue.Create(annotation.Value)))),
            });
            return Write(root);
        }
        catch (Exception e) when (e is InvalidOperationException or JsonException)
        {
            // RFC 8259 §8.2: an escaped half of a surrogate pair is grammatical JSON, but no text.
            throw new FormatException("malformed manifest: a member that is not Unicode text", e);
        }
    }

    /// <summary>Nobody decides anything by this config, so one that is not what it should be is made anew.</summary>
    private static JsonObject? ReadConfig(byte[] config, int layers)
    {
        try
        {
            return JsonNode.Parse(config, documentOptions: Strict) is JsonObject root && root["history"] is JsonArray history && history.Count == layers
                && root["rootfs"] is JsonObject rootfs && rootfs["diff_ids"] is JsonArray ids && ids.Count == layers
                ? root
                : null;
        }
        catch (Exception e) when (e is InvalidOperationException or JsonException)
        {
            return null;
        }
    }

    private static JsonObject NewConfig(IReadOnlyList<Descriptor> before) => new()
    {
        ["architecture"] = "",
        ["created"] = NoTime,
        ["history"] = new JsonArray([.. before.Select(_ => new JsonObject { ["created"] = NoTime })]),
        ["os"] = "",
        ["rootfs"] = new JsonObject { ["type"] = "layers", ["diff_ids"] = new JsonArray([.. before.Select(layer => JsonValue.Create(layer.Digest.ToString()))]) },
        ["config"] = new JsonObject(),
    };

    private static byte[] Write(JsonObject root)
    {
        using var written = new MemoryStream();
        using (var json = new Utf8JsonWriter(written, Compact))
        {
            root.WriteTo(json);
        }

        return written.ToArray();
    }
}
