using Keyless.Sigstore;
using Polly;

namespace Keyless.MSBuild;

/// <summary>
/// Where the documents of a Sigstore instance come from. A document that is given as a file is never fetched, and with all that is needed given the
/// instance is not looked at.
/// </summary>
/// <param name="Instance"><c>SigstoreInstance</c>: a name, or the absolute path of a ClientTrustConfig.</param>
/// <param name="TrustedRoot"><c>SigstoreTrustedRoot</c>: an absolute path, or empty.</param>
/// <param name="SigningConfig"><c>SigstoreSigningConfig</c>: an absolute path, or empty.</param>
/// <param name="TufUrl"><c>SigstoreTufUrl</c>, or null; with it comes <paramref name="TufRoot"/>, an absolute path.</param>
/// <param name="CacheDirectory">Absolute; null where nothing can be kept.</param>
internal sealed record SigstoreSource(string Instance, string TrustedRoot, string SigningConfig, Uri? TufUrl, string TufRoot, string? CacheDirectory, bool Offline)
{
    /// <param name="Warnings">What everybody should know of their age.</param>
    /// <param name="Notes">What is worth a line.</param>
    public sealed record Documents(SigstoreInstance Instance, IReadOnlyList<string> Warnings, IReadOnlyList<string> Notes);

    public static bool IsName(string instance) => instance is "" or "public-good" or "staging";

    /// <exception cref="ConfigurationException">A file cannot be read, or lacks what is needed.</exception>
    /// <exception cref="TufException">What would be fetched cannot be had, or not be trusted.</exception>
    /// <exception cref="ServiceException">The repository cannot be asked, and nothing was fetched before.</exception>
    public async Task<Documents> GetAsync(bool signing, HttpClient client, string userAgent, TimeProvider time, ResiliencePipeline? retries, CancellationToken cancel)
    {
        IReadOnlyList<TrustedRoot> roots = TrustedRoot.Length > 0 ? SigstoreFiles.ReadTrustedRoots(TrustedRoot) : [];
        if (signing && roots.Count > 1)
        {
            throw new ConfigurationException(Diagnostics.Contradiction, $"SigstoreTrustedRoot '{TrustedRoot}' has {roots.Count} trusted roots, a line each; that is for verifying, signing needs the one of the instance that it signs at");
        }

        TrustedRoot? root = roots.Count > 0 ? roots[0] : null;
        SigningConfig? config = signing && SigningConfig.Length > 0 ? SigstoreFiles.ReadSigningConfig(SigningConfig) : null;
        SigstoreDocuments missing = (root is null ? SigstoreDocuments.TrustedRoot : 0) | (signing && config is null ? SigstoreDocuments.SigningConfig : 0);
        if (missing == 0)
        {
            return Of(root!, config, [], [], [.. roots.Skip(1)]);
        }

        if (!IsName(Instance))
        {
            SigstoreInstance file = SigstoreFiles.ReadClientTrustConfig(Instance);
            return signing && (config ?? file.SigningConfig) is null
                ? throw new ConfigurationException(Diagnostics.NoTrustRoot, $"SigstoreInstance '{Instance}' has no signing config, and SigstoreSigningConfig is empty")
                : Of(root ?? file.TrustedRoot, signing ? config ?? file.SigningConfig : null, [], []);
        }

        FetchedDocuments fetched = await Repository().FetchAsync(new SigstoreFetching(client, userAgent, time, CacheDirectory, Offline, retries), missing, cancel);
        return Of(root ?? fetched.TrustedRoot!, config ?? fetched.SigningConfig, fetched.Warnings, fetched.Notes);
    }

    private SigstoreRepository Repository() => (TufUrl, Instance) switch
    {
        ({ } url, _) => SigstoreRepository.At(url, SigstoreFiles.ReadTufRoot(TufRoot)),
        (_, "staging") => SigstoreRepository.Staging(),
        _ => SigstoreRepository.PublicGood(),
    };

    private static Documents Of(TrustedRoot root, SigningConfig? config, IReadOnlyList<string> warnings, IReadOnlyList<string> notes, IReadOnlyList<TrustedRoot>? others = null) =>
        new(new SigstoreInstance { TrustedRoot = root, OtherTrustedRoots = others ?? [], SigningConfig = config }, warnings, notes);
}
