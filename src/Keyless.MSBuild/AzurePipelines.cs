using System.Text;

namespace Keyless.MSBuild;

/// <summary>
/// What a step of Azure Pipelines leaves behind. The agent reads commands from the lines that the step prints ("Logging commands"): it obeys them
/// wherever they stand in a line, so MSBuild's indentation does no harm.
/// </summary>
internal static class AzurePipelines
{
    /// <summary>Output variables of the step: <c>$(step.ContainerSignedImage)</c>. The last project that is signed has set them.</summary>
    public static IEnumerable<string> Variables(SignedProject project)
    {
        SignedImage image = project.Images[0][0];
        yield return SetVariable("ContainerSignedImage", image.Reference);
        yield return SetVariable("ContainerSignedDigest", image.Image.Digest.ToString());
        yield return SetVariable("ContainerSignedBundlePath", image.BundlePath ?? "");
        yield return SetVariable("ContainerSignedLogIndex", FormattableString.Invariant($"{image.Bundle.LogIndex}"));
    }

    /// <summary>Writes the summary beside the bundles.</summary>
    /// <returns>The command that puts it on the run's page.</returns>
    /// <exception cref="ConfigurationException">It cannot be written.</exception>
    public static string UploadSummary(SignedProject project, StepSummary summary)
    {
        // The agent calls it by its file's name, so each project has one of its own.
        string path = Path.Combine(Path.GetDirectoryName(project.Images[0][0].BundlePath)!, $"{project.Name}.signed.md");
        return UploadSummary("ContainerSigningBundleDirectory", path, summary.Versions[0]);
    }

    /// <summary>Writes a summary.</summary>
    /// <param name="property">Which property named the path, for the error.</param>
    /// <returns>The command that puts it on the run's page.</returns>
    /// <exception cref="ConfigurationException">It cannot be written.</exception>
    public static string UploadSummary(string property, string path, string markdown)
    {
        WholeFile.Write(property, path, Encoding.UTF8.GetBytes(markdown));
        return $"##vso[task.uploadsummary]{Escape(path)}";
    }

    private static string SetVariable(string name, string value) => $"##vso[task.setvariable variable={name};isOutput=true]{Escape(value)}";

    // azure-pipelines-agent, docs/design/percentEncoding.md: the percent sign has a code of its own, and a line ends the command.
    private static string Escape(string value) =>
        value.Replace("%", "%AZP25", StringComparison.Ordinal).Replace("\r", "%0D", StringComparison.Ordinal).Replace("\n", "%0A", StringComparison.Ordinal);
}
