namespace Keyless.MSBuild;

/// <summary>What one target of a project found out about images.</summary>
/// <param name="Name">Of the project, without extension.</param>
/// <param name="Path">Of the project, without extension: tells projects apart, and is the same the next time. Absolute.</param>
/// <param name="Target">Of ours, that was asked: a project may verify the images it deploys, and the one it builds on.</param>
/// <param name="Run">The run of the CI system, where there is one: what belongs to another run is not of this build.</param>
internal sealed record VerifiedProject(string Name, string Path, string Target, string? Run, IReadOnlyList<ImageOutcome> Outcomes)
{
    /// <summary>For each image one, and for each manifest in it that was looked at, too.</summary>
    public IReadOnlyList<ImageFinding> Findings => [.. Outcomes.SelectMany(ImageFinding.Of)];

    /// <summary>The project's file: where an image is named that no file names. Without the usual extension if there is no such file.</summary>
    public string File => Directory.EnumerateFiles(System.IO.Path.GetDirectoryName(Path)!, $"{Name}.*")
        .Where(file => System.IO.Path.GetFileNameWithoutExtension(file) == Name && file.EndsWith("proj", StringComparison.OrdinalIgnoreCase)).Order(StringComparer.Ordinal).FirstOrDefault(Path);

    /// <summary>The project as a report calls it: by its way from the report's folder.</summary>
    public string NameFrom(string folder) => Relative(folder, Path);

    /// <summary>Whether what a report says of a project stays there beside what this one found: it is of the same run, and not of this one's own.</summary>
    public bool LeavesAlone(string project, string target, string? run, string folder) => run == Run && (project != NameFrom(folder) || target != Target);

    /// <summary>A path with <c>/</c> between its parts, on every system.</summary>
    public static string Relative(string folder, string path) => System.IO.Path.GetRelativePath(folder, path).Replace(System.IO.Path.DirectorySeparatorChar, '/');
}

/// <summary>What became of an image, or of one manifest in it.</summary>
/// <param name="Verdict">Null where there is none, because something failed before.</param>
/// <param name="Problem">Why it does not count as verified; null where it does.</param>
internal sealed record ImageFinding(ImageOutcome Outcome, ImageVerdict? Verdict, Diagnostic? Problem)
{
    public ImageToVerify Image => Outcome.Image;

    /// <inheritdoc cref="ImageOutcome.Verdict"/>
    public string Word => Outcome.VerdictOf(Problem is null);

    /// <summary>Of the signatures that were looked at, the accepted ones that were needed.</summary>
    public IReadOnlyList<(string Format, Keyless.Sigstore.VerifiedSignature Signature)> Signers => Verdict?.Quorum?.Signatures ?? [];

    public static IEnumerable<ImageFinding> Of(ImageOutcome outcome)
    {
        if (outcome.Verdicts.Count == 0)
        {
            return [new ImageFinding(outcome, null, outcome.Problem)];
        }

        // Each manifest has a reason of its own; what holds for the image alone holds for the first, which is the image.
        bool ofTheImage = outcome.Verdicts.All(verdict => verdict.Quorum is not null);
        return outcome.Verdicts.Select((verdict, i) => new ImageFinding(outcome, verdict, ofTheImage && i == 0 ? outcome.Problem : VerdictText.Problem(outcome.Image, [verdict])));
    }
}
