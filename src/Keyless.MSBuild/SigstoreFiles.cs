using Keyless.Sigstore;

namespace Keyless.MSBuild;

/// <summary>Which Sigstore instance a build uses, from the files its properties name. Nothing is fetched.</summary>
/// <param name="Instance"><c>SigstoreInstance</c>: a name, or the absolute path of a ClientTrustConfig.</param>
/// <param name="TrustedRoot"><c>SigstoreTrustedRoot</c>: an absolute path, or empty.</param>
/// <param name="SigningConfig"><c>SigstoreSigningConfig</c>: an absolute path, or empty.</param>
internal sealed record SigstoreFiles(string Instance, string TrustedRoot, string SigningConfig)
{
    /// <summary>Trust roots of all instances together are some tens of KiB; this is a wrong file.</summary>
    private const int LargestFile = 8 * 1024 * 1024;

    public static bool IsName(string instance) => instance is "" or "public-good" or "staging";

    /// <summary>For verifying the trusted root suffices. What is given as a file of its own replaces what the instance says.</summary>
    public SigstoreInstance ForVerifying()
    {
        if (TrustedRoot.Length > 0)
        {
            return new SigstoreInstance { TrustedRoot = ReadTrustedRoot() };
        }

        return ReadInstance("SigstoreTrustedRoot is empty");
    }

    public SigstoreInstance ForSigning()
    {
        if (TrustedRoot.Length > 0 && SigningConfig.Length > 0)
        {
            return new SigstoreInstance { TrustedRoot = ReadTrustedRoot(), SigningConfig = ReadSigningConfig() };
        }

        SigstoreInstance instance = ReadInstance((TrustedRoot.Length, SigningConfig.Length) switch
        {
            ( > 0, _) => "SigstoreSigningConfig is empty",
            (_, > 0) => "SigstoreTrustedRoot is empty",
            _ => "SigstoreTrustedRoot and SigstoreSigningConfig are empty",
        });
        SigningConfig? config = SigningConfig.Length > 0 ? ReadSigningConfig() : instance.SigningConfig;
        return new SigstoreInstance
        {
            TrustedRoot = TrustedRoot.Length > 0 ? ReadTrustedRoot() : instance.TrustedRoot,
            SigningConfig = config ?? throw new ConfigurationException(Diagnostics.NoTrustRoot, $"SigstoreInstance '{Instance}' has no signing config, and SigstoreSigningConfig is empty"),
        };
    }

    private SigstoreInstance ReadInstance(string missing)
    {
        if (IsName(Instance))
        {
            throw new ConfigurationException(Diagnostics.NoTrustRoot,
                $"SigstoreInstance is '{(Instance.Length == 0 ? "public-good" : Instance)}', whose documents are not fetched yet, and {missing}");
        }
        return Read("SigstoreInstance", Instance, SigstoreInstance.FromClientTrustConfig, "; expected public-good, staging or the path of a ClientTrustConfig");
    }

    private TrustedRoot ReadTrustedRoot() => Read("SigstoreTrustedRoot", TrustedRoot, Sigstore.TrustedRoot.Parse);

    private SigningConfig ReadSigningConfig() => Read("SigstoreSigningConfig", SigningConfig, Sigstore.SigningConfig.Parse);

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
