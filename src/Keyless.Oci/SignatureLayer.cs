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

    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false, MaxDepth = 32 };

    internal Digest Digest { get; } = Digest.Of(Content.Span);

    /// <summary>Whether this very signature is in the image: payloads may be the same.</summary>
    internal bool IsIn(Manifest image) => image.Layers.Any(layer =>
        layer.Digest == Digest && layer.Annotations is { } there && Annotations.All(annotation => there.GetValueOrDefault(annotation.Key) == annotation.Value));

    /// <summary>Whether this config is one that lists the layers. Another, such as OCI's empty one, is left alone.</summary>
    internal static bool ListsLayers(Descriptor config) => config.MediaType is ConfigType or "application/vnd.docker.container.image.v1+json";

    /// <summary>The config with one more layer: as go-containerregistry writes it, a line of history and the digest of what is not compressed.</summary>
    /// <param name="config">
    /// Of the image so far; null to begin one. Nobody decides anything by it, so one that is not what it should be, or cannot be written again, is made anew.
    /// </param>
    /// <param name="before">The layers so far.</param>
    internal byte[] AppendToConfig(byte[]? config, IReadOnlyList<Descriptor> before)
    {
        try
        {
            if (config is not null && ReadConfig(config, before.Count) is { } there)
            {
                return ManifestText.Write(WithLayer(there));
            }
        }
        catch (Exception e) when (e is InvalidOperationException or JsonException)
        {
            // No JSON, or no text (RFC 8259 §8.2).
        }

        return ManifestText.Write(WithLayer(NewConfig(before)));
    }

    /// <summary>The image with one more layer. What others wrote stays as it is.</summary>
    /// <param name="image">Already checked; null to begin one.</param>
    /// <param name="config">The new content of its config; null where that stays.</param>
    internal byte[] AppendToManifest(Manifest? image, byte[]? config)
    {
        var layer = new JsonObject
        {
            ["mediaType"] = MediaType,
            ["size"] = Content.Length,
            ["digest"] = Digest.ToString(),
            ["annotations"] = new JsonObject(Annotations.Select(annotation => KeyValuePair.Create<string, JsonNode?>(annotation.Key, JsonValue.Create(annotation.Value)))),
        };
        if (image is null)
        {
            return ManifestText.Write(new JsonObject
            {
                ["schemaVersion"] = 2,
                ["mediaType"] = MediaTypes.OciManifest,
                ["config"] = DescriptorOf(ConfigType, config!),
                ["layers"] = new JsonArray(layer),
            });
        }

        byte[] added = ManifestText.Append(image.Bytes.Span, "layers", layer);
        // Others may have written more of it, such as the content itself (image-spec "data"), which was of the old one.
        return config is null ? added : ManifestText.Replace(added, "config", DescriptorOf(image.Config!.MediaType, config));
    }

    private static JsonObject DescriptorOf(string mediaType, byte[] content) =>
        new() { ["mediaType"] = mediaType, ["size"] = content.Length, ["digest"] = Digest.Of(content).ToString() };

    private JsonObject WithLayer(JsonObject config)
    {
        config["history"]!.AsArray().Add((JsonNode)new JsonObject { ["created"] = NoTime });
        config["rootfs"]!["diff_ids"]!.AsArray().Add((JsonNode)Digest.ToString());
        return config;
    }

    private static JsonObject? ReadConfig(byte[] config, int layers) =>
        JsonNode.Parse(config, documentOptions: Strict) is JsonObject root && root["history"] is JsonArray history && history.Count == layers
            && root["rootfs"] is JsonObject rootfs && rootfs["diff_ids"] is JsonArray ids && ids.Count == layers
            ? root
            : null;

    private static JsonObject NewConfig(IReadOnlyList<Descriptor> before) => new()
    {
        ["architecture"] = "",
        ["created"] = NoTime,
        ["history"] = new JsonArray([.. before.Select(_ => new JsonObject { ["created"] = NoTime })]),
        ["os"] = "",
        ["rootfs"] = new JsonObject { ["type"] = "layers", ["diff_ids"] = new JsonArray([.. before.Select(layer => JsonValue.Create(layer.Digest.ToString()))]) },
        ["config"] = new JsonObject(),
    };
}
