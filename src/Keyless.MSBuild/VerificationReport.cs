using System.Globalization;
using System.Text.Json;

namespace Keyless.MSBuild;

/// <summary>
/// What was verified, in one file for all projects of a build (docs/verification-report.md). Each project puts what it found in the place of what it
/// had there before, and leaves the others' alone.
/// </summary>
/// <param name="path">Absolute.</param>
internal sealed class VerificationReport(string path, VerificationReport.IForm form)
{
    private const string Property = "ContainerVerificationReport";

    /// <summary>A thousand images with some hundred signatures each; what is larger is no report of ours.</summary>
    private const int Largest = 64 * 1024 * 1024;

    private readonly SharedFile file = new(Property, path, Largest);

    /// <summary>What a report is written as.</summary>
    internal interface IForm
    {
        /// <param name="there">What the file has; null where there is none.</param>
        /// <param name="folder">Of the report; paths are named from there.</param>
        /// <returns>What it shall have.</returns>
        /// <exception cref="FormatException">What is there is another kind of file.</exception>
        /// <exception cref="JsonException">What is there is another kind of file.</exception>
        byte[] Merge(byte[]? there, VerifiedProject project, string folder);
    }

    /// <summary>
    /// Before anything is asked over the network: a place that cannot be written, or that holds something else, is found out. What an earlier build
    /// has said of this project goes, so that it is not taken for this one's word where this one ends without any.
    /// </summary>
    /// <exception cref="ConfigurationException">It cannot be written, or is another kind of file.</exception>
    public Task PrepareAsync(VerifiedProject project, CancellationToken cancel) => file.ReplaceAsync(there => there is null ? null : Merge(there, project with { Outcomes = [] }), cancel);

    /// <exception cref="ConfigurationException">It cannot be written, or is another kind of file.</exception>
    public Task MergeAsync(VerifiedProject project, CancellationToken cancel) => file.ReplaceAsync(there => Merge(there, project), cancel);

    /// <summary>ISO 8601 in UTC, to the second: as precise as the proofs are.</summary>
    public static string Format(DateTimeOffset? moment) => moment?.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture) ?? "";

    /// <summary>Whichever project ends first: a report of the same verdicts is the same. What one target of a project has found stays in its order.</summary>
    public static IEnumerable<T> InOrder<T>(IEnumerable<T> entries, Func<T, string> project, Func<T, string> target) =>
        entries.OrderBy(project, StringComparer.Ordinal).ThenBy(target, StringComparer.Ordinal);

    private byte[] Merge(byte[]? there, VerifiedProject project)
    {
        try
        {
            return form.Merge(there, project, Path.GetDirectoryName(path)!);
        }
        catch (Exception e) when (e is FormatException or JsonException)
        {
            throw new ConfigurationException(Diagnostics.FileFailed, $"{Property} '{path}' is there and is not a report of this kind, so it is left alone: {e.Message}", e);
        }
    }
}
