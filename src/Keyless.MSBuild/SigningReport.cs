using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Keyless.MSBuild;

/// <summary>
/// What was signed, as JSON in one file for all projects of a build (docs/signing-report.md). Each project puts its own entries in the place of
/// those it had there before, and leaves the others' alone.
/// </summary>
/// <param name="path">Absolute.</param>
internal sealed class SigningReport(string path)
{
    public const string Schema = "keyless-msbuild/container-signing/v1";

    private const string Property = "ContainerSigningReport";

    /// <summary>Some thousand images; what is larger is no report of ours.</summary>
    private const int Largest = 16 * 1024 * 1024;

    private static readonly JsonSerializerOptions Readable = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false, MaxDepth = 16 };

    private readonly SharedFile file = new(Property, path, Largest);

    /// <summary>Before anything is signed: a place that cannot be written, or that holds something else, is no reason to have a log entry.</summary>
    /// <exception cref="ConfigurationException">It cannot be written, or is another kind of file.</exception>
    public Task PrepareAsync(CancellationToken cancel) => file.ReplaceAsync(
        there =>
        {
            _ = Read(there);
            return null;
        },
        cancel);

    /// <exception cref="ConfigurationException">It cannot be written, or is another kind of file.</exception>
    public Task MergeAsync(SignedProject project, CancellationToken cancel) => file.ReplaceAsync(
        there => JsonSerializer.SerializeToUtf8Bytes(
            new JsonObject { ["schema"] = Schema, ["images"] = project.MergeInto(Read(there), Path.GetDirectoryName(path)!) }, Readable),
        cancel);

    /// <summary>Entries of a list of images.</summary>
    /// <exception cref="FormatException">Something else.</exception>
    /// <exception cref="JsonException">Something else.</exception>
    public static IReadOnlyList<JsonObject> ReadImages(JsonNode? images) =>
        images is JsonArray list && list.All(IsEntry)
            ? [.. list.Select(entry => (JsonObject)entry!)]
            : throw new FormatException("images is not a list of signed images");

    /// <exception cref="FormatException">JSON that cannot be written again as it is.</exception>
    /// <exception cref="JsonException">Something else.</exception>
    public static JsonNode? Parse(ReadOnlySpan<byte> json)
    {
        try
        {
            JsonNode? node = JsonNode.Parse(json, documentOptions: Strict);
            _ = node?.ToJsonString();
            return node;
        }
        catch (InvalidOperationException e)
        {
            // RFC 8259 §8.2: an escaped half of a surrogate pair is grammatical JSON, but no text.
            throw new FormatException("it has a string that is not Unicode text", e);
        }
    }

    /// <summary>Whether a member is a string, or also null where that may be.</summary>
    public static bool IsText(JsonNode? node, bool orNull = false) => node is null ? orNull : node.GetValueKind() == JsonValueKind.String;

    private IReadOnlyList<JsonObject> Read(byte[]? there)
    {
        if (there is null)
        {
            return [];
        }

        try
        {
            return Parse(there) is JsonObject report && IsText(report["schema"]) && (string?)report["schema"] == Schema
                ? ReadImages(report["images"])
                : throw new FormatException($"its schema is not {Schema}");
        }
        catch (Exception e) when (e is FormatException or JsonException)
        {
            throw new ConfigurationException(Diagnostics.FileFailed, $"{Property} '{path}' is there and is not a report of this kind, so it is left alone: {e.Message}", e);
        }
    }

    // What the merging looks at; all else stays as it is.
    private static bool IsEntry(JsonNode? node) =>
        node is JsonObject entry && IsText(entry["project"]) && IsText(entry["name"]) && IsText(entry["digest"])
        && IsText(entry["run"], orNull: true) && entry["tags"] is JsonArray tags && tags.All(tag => IsText(tag));
}
