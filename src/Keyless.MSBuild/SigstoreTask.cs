using Keyless.Sigstore;
using Microsoft.Build.Framework;
using Polly;

namespace Keyless.MSBuild;

/// <summary>A task that needs to know which Sigstore instance is meant. Each property is the public one of the same name.</summary>
public abstract class SigstoreTask : KeylessTask
{
    private protected SigstoreTask() { }

    public string SigstoreInstance { get; set; } = "";

    public string SigstoreTrustedRoot { get; set; } = "";

    public string SigstoreTufUrl { get; set; } = "";

    public string SigstoreTufRoot { get; set; } = "";

    public string SigstoreCacheDirectory { get; set; } = "";

    public string SigstoreOffline { get; set; } = "";

    public string SigstoreAllowHttp { get; set; } = "";

    private protected bool AllowHttp => Setting.IsTrue(nameof(SigstoreAllowHttp), SigstoreAllowHttp);

    /// <exception cref="ConfigurationException">A value one of the properties cannot have, or two that do not go together.</exception>
    private protected SigstoreSource ReadSource(string signingConfig = "")
    {
        bool allowHttp = AllowHttp;
        bool named = SigstoreSource.IsName(SigstoreInstance);
        if (SigstoreTufUrl.Length > 0 != SigstoreTufRoot.Length > 0)
        {
            throw new ConfigurationException(Diagnostics.Contradiction, SigstoreTufUrl.Length > 0
                ? $"{nameof(SigstoreTufUrl)} is '{SigstoreTufUrl}' and {nameof(SigstoreTufRoot)} is empty; give the path of the repository's first root, where trust in it begins"
                : $"{nameof(SigstoreTufRoot)} is '{SigstoreTufRoot}' and {nameof(SigstoreTufUrl)} is empty; give the address of the repository it belongs to");
        }

        if (SigstoreTufUrl.Length > 0 && SigstoreInstance is not ("" or "public-good"))
        {
            throw new ConfigurationException(Diagnostics.Contradiction, $"{nameof(SigstoreInstance)} is '{SigstoreInstance}' and {nameof(SigstoreTufUrl)} is '{SigstoreTufUrl}'; remove one");
        }

        return new SigstoreSource(
            named ? SigstoreInstance : PathOf(nameof(SigstoreInstance), SigstoreInstance),
            SigstoreTrustedRoot.Length == 0 ? "" : PathOf(nameof(SigstoreTrustedRoot), SigstoreTrustedRoot),
            signingConfig.Length == 0 ? "" : PathOf("SigstoreSigningConfig", signingConfig),
            SigstoreTufUrl.Length == 0 ? null : ReadTufUrl(allowHttp),
            SigstoreTufRoot.Length == 0 ? "" : PathOf(nameof(SigstoreTufRoot), SigstoreTufRoot),
            SigstoreCacheDirectory.Length > 0 ? PathOf(nameof(SigstoreCacheDirectory), SigstoreCacheDirectory) : DefaultCacheDirectory(),
            Setting.IsTrue(nameof(SigstoreOffline), SigstoreOffline));
    }

    /// <summary>The documents of the instance, read or fetched, with a word about those that are old.</summary>
    private protected async Task<SigstoreInstance> GetInstanceAsync(SigstoreSource source, bool signing, CancellationToken cancel, ResiliencePipeline? retries = null)
    {
        using HttpClient client = CreateServiceClient();
        SigstoreSource.Documents documents = await source.GetAsync(signing, client, UserAgent, Time, retries, cancel);
        foreach (string warning in documents.Warnings)
        {
            Warn(new Diagnostic(Diagnostics.OldTrustRoot, warning));
        }

        foreach (string note in documents.Notes)
        {
            Say(MessageImportance.Normal, $"Keyless.MSBuild: {note}");
        }

        return documents.Instance;
    }

    private Uri ReadTufUrl(bool allowHttp)
    {
        if (!Uri.TryCreate(SigstoreTufUrl, UriKind.Absolute, out Uri? url) || url.Scheme is not ("https" or "http") || url.UserInfo.Length > 0 || url.Query.Length > 0 || url.Fragment.Length > 0)
        {
            throw new ConfigurationException(Diagnostics.UnknownValue, $"{nameof(SigstoreTufUrl)} is '{SigstoreTufUrl}'; expected an address such as https://tuf.example");
        }

        return url.Scheme == Uri.UriSchemeHttps || url.IsLoopback || allowHttp
            ? url
            : throw new ConfigurationException(Diagnostics.UnknownValue, $"{nameof(SigstoreTufUrl)} is '{SigstoreTufUrl}'; expected https, plain http is for services on this machine ({nameof(SigstoreAllowHttp)}=true allows it)");
    }

    /// <summary>
    /// Where this user's programs keep what they can fetch again. Null without a home: a folder that everybody may write to would let others decide
    /// what this build remembers.
    /// </summary>
    private string? DefaultCacheDirectory()
    {
        string? home = OperatingSystem.IsWindows()
            ? Absolute(EnvironmentVariable("LOCALAPPDATA"))
            : Absolute(EnvironmentVariable("XDG_CACHE_HOME"))
                ?? (Absolute(EnvironmentVariable("HOME")) is { } user ? Path.Combine(user, OperatingSystem.IsMacOS() ? "Library/Caches" : ".cache") : null);
        return home is null ? null : Path.Combine(home, "keyless-msbuild", "tuf");
    }

    private static string? Absolute(string? path) => !string.IsNullOrEmpty(path) && Path.IsPathFullyQualified(path) ? path : null;
}
