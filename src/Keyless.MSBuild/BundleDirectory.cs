using System.Text;
using Keyless.Oci;

namespace Keyless.MSBuild;

/// <summary>
/// Where every bundle is kept before it is pushed: should the push fail, the log entry is made and the signature is not lost. Names carry digest
/// and format, <c>sha256-….bundle.sigstore.json</c>. A bundle is unfinished until the marker beside it, <c>….attached</c>, names its digest: then all
/// that was to be signed with it is in the registry.
/// </summary>
/// <param name="path">Absolute.</param>
internal sealed class BundleDirectory(string path)
{
    private const string Property = "ContainerSigningBundleDirectory";
    private const string Extension = ".sigstore.json";
    private const string Marker = ".attached";

    /// <summary>A bundle is some 10 KiB; attestations are not kept here.</summary>
    private const int Largest = 1024 * 1024;

    /// <summary>Before anything is signed: a place that cannot be written is no reason to have a log entry.</summary>
    /// <exception cref="ConfigurationException">It cannot be made, or takes no files.</exception>
    public void Create()
    {
        WholeFile.CreateFolder(Property, path);
        WholeFile.MustBeWritable(Property, Path.TrimEndingDirectorySeparator(path) + Path.DirectorySeparatorChar);
    }

    /// <summary>Whether a build that did not come to its end may have left something to push. For whom it is, is not looked at.</summary>
    public bool HasUnfinished
    {
        get
        {
            try
            {
                return Directory.EnumerateFileSystemEntries(path, $"*{Extension}").Any(MayBeUnfinished);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return false;
            }
        }
    }

    /// <summary>The file for a signature; it need not be there.</summary>
    /// <param name="place">Tells images of one digest in several repositories apart; null where there is one.</param>
    public string PathOf(Digest image, string format, string? place = null)
    {
        string where = place is null ? "" : $".{Digest.Of(Encoding.UTF8.GetBytes(place)).Hex[..8]}";
        return Path.Combine(path, $"{image.Algorithm}-{image.Hex}{where}.{format}{Extension}");
    }

    /// <summary>Before anything is signed, too.</summary>
    /// <exception cref="ConfigurationException">There is a folder in the place of the file.</exception>
    public static void MustTake(string file)
    {
        if (Directory.Exists(file) && new DirectoryInfo(file).LinkTarget is null)
        {
            throw new ConfigurationException(Diagnostics.FileFailed, $"{Property} '{file}' cannot be written: it is a folder");
        }
    }

    public static void Keep(string file, ReadOnlyMemory<byte> bundle) => WholeFile.Write(Property, file, bundle.Span, ownerOnly: true);

    /// <summary>From now on it is in the registry, with everything that leads to it there.</summary>
    public static void Finish(string file, ReadOnlyMemory<byte> bundle) =>
        WholeFile.Write(Property, file + Marker, Encoding.ASCII.GetBytes(Digest.Of(bundle.Span).ToString()), ownerOnly: true);

    /// <summary>The bundle in a file that nobody has said to be in the registry; null where there is none.</summary>
    /// <exception cref="ConfigurationException">There is something that is not read.</exception>
    public static byte[]? ReadUnfinished(string file) => Read(file) is { } bundle && !IsFinished(file, bundle) ? bundle : null;

    private static bool MayBeUnfinished(string file)
    {
        try
        {
            return ReadUnfinished(file) is not null;
        }
        catch (ConfigurationException)
        {
            return true;
        }
    }

    private static bool IsFinished(string file, byte[] bundle)
    {
        try
        {
            return Read(file + Marker) is { } marker && marker.AsSpan().SequenceEqual(Encoding.ASCII.GetBytes(Digest.Of(bundle).ToString()));
        }
        catch (ConfigurationException)
        {
            // Pushing it once more changes nothing.
            return false;
        }
    }

    private static byte[]? Read(string file)
    {
        var info = new FileInfo(file);
        string? why = null;
        try
        {
            if (info.LinkTarget is not null)
            {
                // It would be somebody else's file.
                why = "it is a link, which is not followed";
            }
            else if (!info.Exists)
            {
                return null;
            }
            else if (info.Length > Largest)
            {
                why = $"it is larger than {Largest} bytes";
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            why = e.Message;
        }

        return why is null
            ? WholeFile.ReadPlain(Property, file, Largest)
            : throw new ConfigurationException(Diagnostics.FileFailed, $"{Property} '{file}' cannot be read: {why}");
    }
}
