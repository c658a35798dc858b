using System.Globalization;

namespace Keyless.MSBuild;

/// <summary>An error or a warning about an image, as the build log has it.</summary>
internal sealed record SaidProblem(Diagnostic Problem, bool Warns);

/// <summary>
/// Errors and warnings on the page of a run of GitHub Actions and beside the lines of a pull request: commands to the runner ("Workflow commands for
/// GitHub Actions"). It obeys a line that begins with <c>::</c> behind white space (actions/runner, ActionCommand.cs, TryParseV2), so MSBuild's
/// indentation does no harm.
/// </summary>
internal static class GitHubAnnotations
{
    /// <summary>GitHub shows that many of each level in a step, and drops the others without a word.</summary>
    private const int Most = 10;

    /// <summary>
    /// What has a line in a file is left to the problem matcher that actions/setup-dotnet registers (.github/csc.json): it takes
    /// <c>file(line,column): error CODE: …</c> out of the log, so a command would make a second annotation of it, and each has a place of ten.
    /// </summary>
    public static IEnumerable<string> Of(IReadOnlyList<SaidProblem> said, SourceRoot root)
    {
        SaidProblem[] left = [.. said.Where(one => one.Problem.Position is not { Line: > 0 })];
        SaidProblem[] shown = [.. left.Where(one => !one.Warns).Take(Most), .. left.Where(one => one.Warns).Take(Most)];
        foreach (SaidProblem one in shown)
        {
            string file = one.Problem.Position is { } position && root.Relative(position.File) is { } relative ? $"file={Property(relative)}," : "";
            yield return $"::{(one.Warns ? "warning" : "error")} {file}title={one.Problem.Code}::{Data(one.Problem.Message)}";
        }

        if (left.Length > shown.Length)
        {
            // A level of its own, which has places of its own.
            yield return string.Create(CultureInfo.InvariantCulture, $"::notice title=Keyless.MSBuild::{left.Length - shown.Length} more images are not verified; the log and the step summary name them");
        }
    }

    // actions/toolkit, packages/core/src/command.ts: in this order, the percent sign first.
    private static string Data(string value) =>
        value.Replace("%", "%25", StringComparison.Ordinal).Replace("\r", "%0D", StringComparison.Ordinal).Replace("\n", "%0A", StringComparison.Ordinal);

    private static string Property(string value) => Data(value).Replace(":", "%3A", StringComparison.Ordinal).Replace(",", "%2C", StringComparison.Ordinal);
}
