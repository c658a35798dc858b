using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Keyless.Oci;

namespace Keyless.MSBuild;

/// <summary>An image that was verified.</summary>
/// <param name="Asked">As the project, or its manifest file, names it.</param>
/// <param name="Policy">The name of its policy; null where the item says it.</param>
internal sealed record PinnedImage(ImageReference Asked, Digest Digest, string? Policy)
{
    public string Reference => Asked.Pinned(Digest);
}

/// <summary>
/// The pinned references of what was verified, for whoever deploys: variables of an <c>.env</c> file, or JSON (docs/deploying.md). All projects of a
/// build may name the same file; each replaces what it had there before, and leaves all else alone.
/// </summary>
/// <param name="path">Absolute.</param>
/// <param name="project">Its path without extension, absolute: tells projects apart, and is the same the next time.</param>
/// <param name="run">The run of the CI system, where there is one: what belongs to another run is not of this build.</param>
internal sealed partial class PinnedImagesFile(string path, string project, string? run)
{
    public const string Schema = "keyless-msbuild/pinned-images/v1";

    public const string Property = "ContainerPinnedImagesFile";

    private const int Largest = 16 * 1024 * 1024;
    private const string Mark = "# keyless-msbuild: ";
    private const string End = Mark + "end";

    private static readonly JsonSerializerOptions Readable = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly SharedFile file = new(Property, path, Largest);

    private string ProjectName => Path.GetRelativePath(Path.GetDirectoryName(path)!, project).Replace('\\', '/').ReplaceLineEndings(" ");

    /// <summary>A form nobody knows is refused before anything is asked of a registry.</summary>
    /// <exception cref="ConfigurationException">Neither of the two.</exception>
    public static PinnedImagesFile Of(string path, string project, string? run) => Path.GetExtension(path).ToLowerInvariant() is ".env" or ".json"
        ? new PinnedImagesFile(path, project, run)
        : throw new ConfigurationException(Diagnostics.UnknownValue, $"{Property} is '{path}'; expected a path that ends in .env or .json");

    /// <exception cref="ConfigurationException">It cannot be written, or is another kind of file.</exception>
    public Task PrepareAsync(CancellationToken cancel) => file.ReplaceAsync(
        there =>
        {
            _ = Merge(there, []);
            return null;
        },
        cancel);

    /// <exception cref="ConfigurationException">It cannot be written, or one name would stand for two images.</exception>
    public Task MergeAsync(IReadOnlyList<PinnedImage> images, CancellationToken cancel) => file.ReplaceAsync(there => Merge(there, images), cancel);

    private byte[] Merge(byte[]? there, IReadOnlyList<PinnedImage> images)
    {
        try
        {
            return Path.GetExtension(path).Equals(".json", StringComparison.OrdinalIgnoreCase) ? MergeJson(there, images) : MergeVariables(there, images);
        }
        catch (Exception e) when (e is FormatException or JsonException or DecoderFallbackException)
        {
            throw new ConfigurationException(Diagnostics.FileFailed, $"{Property} '{path}' is there and is not a file of this kind, so it is left alone: {e.Message}", e);
        }
    }

    private byte[] MergeJson(byte[]? there, IReadOnlyList<PinnedImage> images)
    {
        IEnumerable<JsonNode?> others = there is null ? [] : ReadJson(there).Where(entry => (string?)entry["run"] == run && (string?)entry["project"] != ProjectName).Select(entry => entry.DeepClone());
        return JsonSerializer.SerializeToUtf8Bytes(
            new JsonObject { ["schema"] = Schema, ["images"] = new JsonArray([.. others, .. images.DistinctBy(image => (image.Asked.Text, image.Reference, image.Policy)).Select(image => ToJson(image))]) }, Readable);
    }

    private JsonObject ToJson(PinnedImage image) => new()
    {
        ["project"] = ProjectName,
        ["run"] = run,
        ["reference"] = image.Asked.Text,
        ["pinned"] = image.Reference,
        ["digest"] = image.Digest.ToString(),
        ["policy"] = image.Policy,
    };

    private static IEnumerable<JsonObject> ReadJson(byte[] there) =>
        SigningReport.Parse(there) is JsonObject file && SigningReport.IsText(file["schema"]) && (string?)file["schema"] == Schema
            && file["images"] is JsonArray images && images.All(IsOwned)
            ? images.Cast<JsonObject>()
            : throw new FormatException($"its schema is not {Schema}");

    /// <summary>What the merging looks at: whose it is.</summary>
    private static bool IsOwned(JsonNode? node) => node is JsonObject entry && SigningReport.IsText(entry["project"]) && SigningReport.IsText(entry["run"], orNull: true);

    /// <summary>The file may have variables of its owner's; only what stands between our marks is ours.</summary>
    private byte[] MergeVariables(byte[]? there, IReadOnlyList<PinnedImage> images)
    {
        List<string> lines = there is { Length: > 0 } ? OthersIn(Strict.GetString(there)) : [];
        SortedDictionary<string, string> variables = Variables(images);
        foreach ((string name, string value) in lines.Select(Assignment).OfType<(string, string)>())
        {
            if (variables.TryGetValue(name, out string? ours) && ours != value)
            {
                throw new ConfigurationException(Diagnostics.Contradiction,
                    $"{Property} '{path}' has {name} already, with another value than '{ours}'; remove it there, or use a .json file, which has an entry for each reference");
            }
        }

        if (variables.Count > 0)
        {
            string header = Mark + new JsonObject { ["project"] = ProjectName, ["run"] = run }.ToJsonString();
            lines.AddRange([header, .. variables.Select(variable => $"{variable.Key}={variable.Value}"), End]);
        }

        return Strict.GetBytes(string.Concat(lines.Select(line => $"{line}\n")));
    }

    /// <summary>All lines but those of this project, and of other runs.</summary>
    private List<string> OthersIn(string there)
    {
        List<string> lines = [];
        JsonNode? block = null;
        foreach (string line in there.EndsWith('\n') ? there[..^1].Split('\n') : there.Split('\n'))
        {
            string text = line.TrimEnd('\r');
            bool ends = text == End;
            if (!ends && text.StartsWith(Mark, StringComparison.Ordinal))
            {
                block = block is not null ? throw new FormatException("one part begins in another")
                    : SigningReport.Parse(Encoding.UTF8.GetBytes(text[Mark.Length..])) is { } begin && IsOwned(begin) ? begin
                    : throw new FormatException("a part does not say whose it is");
            }

            if (block is null || ((string?)block["project"] != ProjectName && (string?)block["run"] == run))
            {
                lines.Add(line);
            }

            block = ends ? null : block;
        }

        return block is null ? lines : throw new FormatException("its last part has no end");
    }

    /// <summary>As shells and compose read them: compose takes a colon as well.</summary>
    private static (string Name, string Value)? Assignment(string line) =>
        AssignmentLine().Match(line) is { Success: true } match ? (match.Groups["name"].Value, match.Groups["value"].Value) : null;

    [GeneratedRegex(@"\A\uFEFF?\s*(?:export\s+)?(?<name>\w+)\s*[=:](?<value>.*?)\r?\z", RegexOptions.CultureInvariant)]
    private static partial Regex AssignmentLine();

    /// <exception cref="ConfigurationException">One repository with two digests: a variable has one value.</exception>
    private static SortedDictionary<string, string> Variables(IReadOnlyList<PinnedImage> images)
    {
        var variables = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (PinnedImage image in images)
        {
            string name = Variable(image.Asked);
            if (!variables.TryAdd(name, image.Reference) && variables[name] != image.Reference)
            {
                throw new ConfigurationException(Diagnostics.Contradiction,
                    $"'{variables[name]}' and '{image.Reference}' would both be {name} in {Property}; use a .json file, which has an entry for each reference");
            }
        }

        return variables;
    }

    /// <summary>The repository in capitals: <c>ghcr.io/team/app:1.0</c> is <c>TEAM_APP_IMAGE</c>. It does not change when other images come or go.</summary>
    private static string Variable(ImageReference image)
    {
        string repository = image.Registry == "docker.io" && image.Repository.StartsWith("library/", StringComparison.Ordinal) ? image.Repository["library/".Length..] : image.Repository;
        string name = string.Concat(repository.Select(c => char.IsAsciiLetterOrDigit(c) ? char.ToUpperInvariant(c) : '_'));
        return string.Create(CultureInfo.InvariantCulture, $"{(char.IsAsciiDigit(name[0]) ? "_" : "")}{name}_IMAGE");
    }
}
