using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Keyless.MSBuild;

/// <summary>
/// What a step of GitHub Actions leaves behind: outputs, and its part of the run's page. Both are files that the runner makes for each step; all
/// projects that a step builds add to the same ones.
/// </summary>
/// <param name="environment">Of the job.</param>
/// <param name="folder">Absolute; where a relative path would begin, which the runner's never are.</param>
internal sealed class GitHubActions(Func<string, string?> environment, string folder)
{
    public const string OutputVariable = "GITHUB_OUTPUT";
    public const string SummaryVariable = "GITHUB_STEP_SUMMARY";

    /// <summary>"Workflow commands for GitHub Actions", Adding a job summary: a step's is refused as a whole beyond that.</summary>
    public const int LargestSummary = 1024 * 1024;

    /// <summary>GitHub ends at 1 MiB for the outputs of a job; this also holds what was overwritten.</summary>
    private const int LargestOutput = 16 * 1024 * 1024;

    private const string VerifiedOutput = "verified-images";

    private static readonly JsonSerializerOptions OneLine = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <exception cref="ConfigurationException">The file cannot be read or written.</exception>
    public async Task WriteOutputsAsync(SignedProject project, CancellationToken cancel)
    {
        if (environment(OutputVariable) is { Length: > 0 } path)
        {
            await new SharedFile(OutputVariable, Path.GetFullPath(path, folder), LargestOutput).AppendAsync(there => Outputs(project, Encoding.UTF8.GetString(there)), cancel);
        }
    }

    /// <summary>
    /// Adds what was verified to the output <c>verified-images</c>, pinned, for a job that deploys. Where one image is an error, nothing is: who reads it
    /// all the same shall not deploy a part.
    /// </summary>
    /// <exception cref="ConfigurationException">The file cannot be read or written.</exception>
    public async Task WriteVerifiedAsync(VerifiedProject project, CancellationToken cancel)
    {
        if (environment(OutputVariable) is { Length: > 0 } path && project.Outcomes.All(outcome => outcome.Verdict != "refused"))
        {
            string[] verified = [.. project.Outcomes.Where(outcome => outcome.IsVerified).Select(outcome => outcome.Verdicts[0].Pinned)];
            await new SharedFile(OutputVariable, Path.GetFullPath(path, folder), LargestOutput).AppendAsync(
                there => After(there, Command(VerifiedOutput, Together(LastValue(Encoding.UTF8.GetString(there), VerifiedOutput), verified))), cancel);
        }
    }

    /// <param name="versions">Markdown; the first that there is place for is taken.</param>
    /// <returns>False where there was no place left for any.</returns>
    /// <exception cref="ConfigurationException">The file cannot be read or written.</exception>
    public async Task<bool> AddToSummaryAsync(IReadOnlyList<string> versions, CancellationToken cancel)
    {
        if (environment(SummaryVariable) is not { Length: > 0 } path)
        {
            return true;
        }

        // Whoever else wrote so much, the page is lost already, and no reason to fail.
        if (new FileInfo(Path.GetFullPath(path, folder)) is { Exists: true, Length: > LargestSummary })
        {
            return false;
        }

        bool written = false;
        await new SharedFile(SummaryVariable, Path.GetFullPath(path, folder), LargestSummary).AppendAsync(
            there =>
            {
                byte[]? fits = versions.Select(version => After(there, version)).FirstOrDefault(more => there.Length + more.Length <= LargestSummary);
                written = fits is not null;
                return fits ?? [];
            },
            cancel);
        return written;
    }

    /// <summary>What is set later holds, so <c>images</c> is written again with what was there.</summary>
    private byte[] Outputs(SignedProject project, string there)
    {
        SignedImage image = project.Images[0][0];
        string from = environment("GITHUB_WORKSPACE") is { Length: > 0 } workspace ? Path.GetFullPath(workspace, folder) : Path.GetPathRoot(project.Path)!;
        JsonArray images = project.MergeInto(ImagesIn(there), from);
        string commands = string.Concat(
            Command("images", images.ToJsonString(OneLine)),
            Command("image", image.Reference),
            Command("digest", image.Image.Digest.ToString()),
            Command("bundle-path", image.BundlePath ?? ""),
            Command("log-index", FormattableString.Invariant($"{image.Bundle.LogIndex}")));
        return After(Encoding.UTF8.GetBytes(there), commands);
    }

    /// <summary>With what earlier projects of this step have set; what somebody else has put under that name is not ours to keep.</summary>
    private static string Together(string? before, IEnumerable<string> images)
    {
        string[] there = [];
        try
        {
            there = before is null ? [] : JsonSerializer.Deserialize<string[]>(before) ?? [];
        }
        catch (JsonException)
        {
        }

        return JsonSerializer.Serialize(there.Where(image => image is not null).Concat(images).Distinct(StringComparer.Ordinal), OneLine);
    }

    /// <summary>Whoever wrote before may have left its last line open.</summary>
    private static byte[] After(byte[] there, string text) => Encoding.UTF8.GetBytes(there.Length > 0 && there[^1] != '\n' ? $"\n{text}" : text);

    /// <summary>The form for any value: it ends at a line that nobody can foresee, so nothing in the value ends it.</summary>
    private static string Command(string name, string value)
    {
        string delimiter = $"keyless_{RandomNumberGenerator.GetHexString(32, lowercase: true)}";
        return $"{name}<<{delimiter}\n{value}\n{delimiter}\n";
    }

    /// <summary>The images that earlier projects of this step have set; what somebody else has put under that name is not ours to keep.</summary>
    private static IReadOnlyList<JsonObject> ImagesIn(string output)
    {
        try
        {
            return LastValue(output, "images") is { } json ? SigningReport.ReadImages(SigningReport.Parse(Encoding.UTF8.GetBytes(json))) : [];
        }
        catch (Exception e) when (e is FormatException or JsonException)
        {
            return [];
        }
    }

    /// <summary>
    /// Reads as the runner does (actions/runner, FileCommandManager.cs): <c>name=value</c>, or <c>name&lt;&lt;delimiter</c> and lines up to the
    /// delimiter. A line ends at a line feed and nowhere else: whatever more Unicode counts as one stands in somebody's value.
    /// </summary>
    private static string? LastValue(string output, string name)
    {
        string? last = null;
        string[] lines = (OperatingSystem.IsWindows() ? output.Replace("\r\n", "\n", StringComparison.Ordinal) : output).TrimStart('\uFEFF').Split('\n');
        for (int i = 0; i < lines.Length; i++)
        {
            int equals = lines[i].IndexOf('=', StringComparison.Ordinal), heredoc = lines[i].IndexOf("<<", StringComparison.Ordinal);
            bool block = heredoc >= 0 && (equals < 0 || heredoc < equals);
            int end = block ? Array.IndexOf(lines, lines[i][(heredoc + 2)..], i + 1) : i;
            if (end < 0 || (!block && equals < 0))
            {
                continue;
            }

            if (lines[i][..(block ? heredoc : equals)] == name)
            {
                last = block ? string.Join('\n', lines[(i + 1)..end]) : lines[i][(equals + 1)..];
            }

            i = end;
        }
        return last;
    }
}
