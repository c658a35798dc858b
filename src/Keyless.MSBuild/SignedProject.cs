using System.Text.Json.Nodes;

namespace Keyless.MSBuild;

/// <summary>What one project had signed.</summary>
/// <param name="Name">Without extension.</param>
/// <param name="Path">Of the project, without extension: tells projects apart, and is the same the next time. Absolute.</param>
/// <param name="Run">The run of the CI system, where there is one: what belongs to another run is not of this build.</param>
/// <param name="Images">Each with what is in it: the image or index that was pushed or named comes first, then the manifests in it.</param>
internal sealed record SignedProject(string Name, string Path, string? Run, IReadOnlyList<IReadOnlyList<SignedImage>> Images)
{
    /// <param name="signed">In any order; what is in an index says so.</param>
    public static SignedProject Of(string name, string folder, string? run, IReadOnlyList<SignedImage> signed)
    {
        ILookup<(string, string, string?), SignedImage> children = signed.Where(image => image.Image.Within is not null)
            .ToLookup(image => (image.Image.Reference.Registry, image.Image.Reference.Repository, image.Image.Within?.ToString()));
        return new SignedProject(name, System.IO.Path.Combine(folder, name), run,
        [
            // An image that is signed in two forms is one image.
            .. signed.Where(image => image.Image.Within is null)
                .GroupBy(image => (image.Image.Reference.Registry, image.Image.Reference.Repository, (string?)image.Image.Digest.ToString()))
                .Select(image => (IReadOnlyList<SignedImage>)[.. image, .. children[image.Key]]),
        ]);
    }

    /// <summary>The entries of this project in a list of images, instead of what the list had of it before.</summary>
    /// <param name="before">Entries of any project, as a report has them.</param>
    /// <param name="relativeTo">A folder: projects are named by their way from there.</param>
    public JsonArray MergeInto(IEnumerable<JsonObject> before, string relativeTo)
    {
        JsonObject[] own = [.. Images.Select(image => ToJson(image, relativeTo))];
        HashSet<string> replaced = [.. own.Select(Key)];
        return [.. before.Where(entry => (string?)entry["run"] == Run && !replaced.Contains(Key(entry))).Select(entry => entry.DeepClone()), .. own];
    }

    /// <summary>
    /// A push of the same project under the same name and tags takes the place of the one before: a new build has a new digest. What has no tag is
    /// told apart by its digest.
    /// </summary>
    private static string Key(JsonObject entry)
    {
        var tags = (JsonArray)entry["tags"]!;
        return new JsonArray(entry["project"]!.DeepClone(), entry["name"]!.DeepClone(), tags.Count > 0 ? tags.DeepClone() : entry["digest"]!.DeepClone()).ToJsonString();
    }

    private JsonObject ToJson(IReadOnlyList<SignedImage> image, string relativeTo)
    {
        SignedImage first = image[0];
        return new JsonObject
        {
            ["project"] = System.IO.Path.GetRelativePath(relativeTo, Path).Replace('\\', '/'),
            ["run"] = Run,
            ["reference"] = first.Reference,
            ["name"] = first.Reference[..first.Reference.IndexOf('@', StringComparison.Ordinal)],
            ["digest"] = first.Image.Digest.ToString(),
            ["tags"] = new JsonArray([.. first.Image.Tags.Select(tag => JsonValue.Create(tag))]),
            ["certificateIdentity"] = first.Bundle.SignedBy,
            ["certificateOidcIssuer"] = first.Bundle.Signer!.Issuer,
            ["signatures"] = new JsonArray([.. image.Select(ToJson)]),
        };
    }

    private static JsonObject ToJson(SignedImage image) => new()
    {
        ["digest"] = image.Image.Digest.ToString(),
        ["mediaType"] = image.MediaType,
        ["platform"] = image.Image.Platform,
        ["format"] = image.Format,
        ["bundlePath"] = image.BundlePath,
        ["signatureReference"] = image.SignatureReference,
        ["logIndex"] = image.Bundle.LogIndex,
        ["signedAt"] = VerificationReport.Format(image.Bundle.SignedAt),
    };
}
