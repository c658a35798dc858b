namespace Keyless.MSBuild;

/// <summary>The folder that others name files from who look at a repository elsewhere: a pull request's page, a reader of a report.</summary>
/// <param name="folder">Absolute.</param>
internal sealed class SourceRoot(string folder)
{
    /// <summary>As a URI, which ends with a slash.</summary>
    public string Uri => $"{FileUri(folder.TrimEnd(Path.DirectorySeparatorChar, '/'))}/";

    /// <summary>Where GitHub's runner has checked out, if the project is there; else its repository; else the project alone.</summary>
    /// <param name="project">The project's folder, absolute.</param>
    public static SourceRoot Find(Func<string, string?> environment, string project)
    {
        if (environment("GITHUB_WORKSPACE") is { Length: > 0 } workspace && new SourceRoot(Path.GetFullPath(workspace, project)) is var root && root.Relative(project) is not null)
        {
            return root;
        }

        for (string? at = project; at is not null; at = Path.GetDirectoryName(at))
        {
            // A folder, or in a worktree a file.
            if (Path.Exists(Path.Combine(at, ".git")))
            {
                return new SourceRoot(at);
            }
        }

        return new SourceRoot(project);
    }

    /// <returns>With <c>/</c>; null where the file is somewhere else.</returns>
    public string? Relative(string file)
    {
        string relative = VerifiedProject.Relative(folder, file);
        return relative == ".." || relative.StartsWith("../", StringComparison.Ordinal) || Path.IsPathRooted(relative) ? null : relative;
    }

    /// <summary>RFC 3986 §3.3: of a segment everything that could mean something is percent-encoded.</summary>
    public static string Escape(string relative) => string.Join('/', relative.Split('/').Select(System.Uri.EscapeDataString));

    /// <summary>RFC 8089, of an absolute path.</summary>
    public static string FileUri(string path)
    {
        string slashed = path.Replace(Path.DirectorySeparatorChar, '/');
        // C: is no segment to be escaped, and \\server\share has its host already.
        string drive = slashed.Length > 1 && slashed[1] == ':' ? slashed[..2] : "";
        return slashed.StartsWith("//", StringComparison.Ordinal) ? $"file:{Escape(slashed)}" : $"file://{(drive.Length > 0 ? "/" : "")}{drive}{Escape(slashed[drive.Length..])}";
    }
}
