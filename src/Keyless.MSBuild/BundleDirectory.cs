using Keyless.Oci;

namespace Keyless.MSBuild;

/// <summary>
/// Where every bundle is kept before it is pushed: should the push fail, the log entry is made and the signature is not lost. Names carry digest
/// and format, <c>sha256-….bundle.sigstore.json</c>.
/// </summary>
/// <param name="path">Absolute.</param>
internal sealed class BundleDirectory(string path)
{
    /// <summary>Before anything is signed: a place that cannot be written is no reason to have a log entry.</summary>
    /// <exception cref="ConfigurationException">It cannot be made.</exception>
    public void Create() => WholeFile.CreateFolder("ContainerSigningBundleDirectory", path);

    /// <returns>The file's absolute path.</returns>
    public string Keep(Digest image, string format, ReadOnlyMemory<byte> bundle)
    {
        string file = Path.Combine(path, $"{image.Algorithm}-{image.Hex}.{format}.sigstore.json");
        WholeFile.Write("ContainerSigningBundleDirectory", file, bundle.Span, ownerOnly: true);
        return file;
    }
}
