namespace Keyless.MSBuild;

/// <summary>Every size of a deploy file that its author chooses, and why it may not be larger.</summary>
internal static class Limits
{
    /// <summary>All of a large cluster's objects are some hundred KiB; what is larger is data, or written to keep a build busy.</summary>
    public const int ManifestFileBytes = 4 * 1024 * 1024;

    /// <summary>A container in a cron job in a list nests fifteen levels, a schema of a custom resource some forty. Aliases count with what they stand for.</summary>
    public const int YamlDepth = 64;

    /// <summary>In a file, and visited in the search for images: aliases of aliases make some hundred characters stand for billions of nodes.</summary>
    public const int YamlNodes = 1_000_000;

    /// <summary>Each costs requests to a registry; releases with more exist, but not in one file.</summary>
    public const int ManifestImages = 1000;

    /// <summary>Of <c>ImagePath</c>: each is looked for in the whole file.</summary>
    public const int ImagePaths = 100, ImagePathSteps = 64;
}
