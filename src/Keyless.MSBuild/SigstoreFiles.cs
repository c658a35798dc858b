using Keyless.Sigstore;

namespace Keyless.MSBuild;

/// <summary>Reads the documents that properties name as files.</summary>
internal static class SigstoreFiles
{
    /// <summary>Trust roots of all instances together are some tens of KiB; this is a wrong file.</summary>
    private const int LargestFile = 8 * 1024 * 1024;

    /// <summary>One, or several as JSON Lines.</summary>
    public static IReadOnlyList<TrustedRoot> ReadTrustedRoots(string path) => Read("SigstoreTrustedRoot", path, TrustedRoot.ParseLines);

    public static SigningConfig ReadSigningConfig(string path) => Read("SigstoreSigningConfig", path, SigningConfig.Parse);

    public static SigstoreInstance ReadClientTrustConfig(string path) =>
        Read("SigstoreInstance", path, SigstoreInstance.FromClientTrustConfig, "; expected public-good, staging or the path of a ClientTrustConfig");

    /// <summary>Only read: whether trust may begin there is for the TUF client to say.</summary>
    public static byte[] ReadTufRoot(string path) => Read("SigstoreTufRoot", path, content => content.ToArray());

    private static T Read<T>(string property, string path, Func<ReadOnlyMemory<byte>, T> parse, string expected = "")
    {
        if (!File.Exists(path))
        {
            throw new ConfigurationException(Diagnostics.FileFailed, $"{property} is '{path}'; {(Directory.Exists(path) ? "that is a folder" : "there is no such file")}{expected}");
        }

        try
        {
            // Read up to the bound, not measured before: what is no plain file has no length.
            byte[] content = new byte[LargestFile + 1];
            using FileStream file = File.OpenRead(path);
            int length = file.ReadAtLeast(content, content.Length, throwOnEndOfStream: false);
            if (length > LargestFile)
            {
                throw new ConfigurationException(Diagnostics.MalformedTrustRoot, $"{property} '{path}' is larger than {LargestFile} bytes");
            }

            return parse(content.AsMemory(0, length));
        }
        catch (FormatException e)
        {
            throw new ConfigurationException(Diagnostics.MalformedTrustRoot, $"{property} '{path}' cannot be used: {e.Message}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ConfigurationException(Diagnostics.FileFailed, $"{property} '{path}' cannot be read: {e.Message}", e);
        }
    }
}
