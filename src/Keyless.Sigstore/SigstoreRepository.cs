using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Keyless.Sigstore.Formats;
using Polly;

namespace Keyless.Sigstore;

/// <summary>Which documents of a deployment are wanted.</summary>
[Flags]
public enum SigstoreDocuments
{
    TrustedRoot = 1,
    SigningConfig = 2,
}

/// <summary>What fetching may use, and how.</summary>
/// <param name="Client">Must not follow redirects.</param>
/// <param name="CacheFolder">Where all repositories have a folder each; absolute. Null: nothing is kept.</param>
/// <param name="Offline">No request; what is kept or shipped is used, however old it is.</param>
/// <param name="Retries">How often, and how long, a repository that does not answer is asked where nothing usable is kept; null: once.</param>
public sealed record SigstoreFetching(HttpClient Client, string UserAgent, TimeProvider Time, string? CacheFolder, bool Offline, ResiliencePipeline? Retries = null);

/// <summary>What was asked for; the rest is null.</summary>
/// <param name="Warnings">What the reader of the build log should know of their age, a sentence each.</param>
/// <param name="Notes">What is worth a line only for those who look.</param>
public sealed record FetchedDocuments(TrustedRoot? TrustedRoot, SigningConfig? SigningConfig, IReadOnlyList<string> Warnings, IReadOnlyList<string> Notes);

/// <summary>The TUF repository from which one Sigstore deployment delivers its trusted root and its signing config.</summary>
public sealed class SigstoreRepository
{
    /// <summary>When the first root shipped for the public-good instance was signed; the trusted root beside it is of that time.</summary>
    private static readonly DateTimeOffset Shipped = new(2025, 12, 7, 0, 0, 0, TimeSpan.Zero);

    private readonly string name;
    private readonly Uri url;
    private readonly byte[] firstRoot;
    private readonly string? shippedTrustedRoot;

    private SigstoreRepository(string name, Uri url, byte[] firstRoot, string? shippedTrustedRoot = null) =>
        (this.name, this.url, this.firstRoot, this.shippedTrustedRoot) = (name, url, firstRoot, shippedTrustedRoot);

    /// <summary>The instance the Sigstore project runs for everybody.</summary>
    public static SigstoreRepository PublicGood() =>
        new("public-good", new Uri("https://tuf-repo-cdn.sigstore.dev/"), Resource("public-good.root.json"), "public-good.trusted_root.json");

    /// <summary>The instance the Sigstore project tries things on.</summary>
    public static SigstoreRepository Staging() =>
        new("staging", new Uri("https://tuf-repo-cdn.sigstage.dev/"), Resource("staging.root.json"));

    /// <param name="url">Where the metadata is; the targets are in <c>targets/</c> below it.</param>
    /// <param name="firstRoot">A root of the repository that the user trusts.</param>
    public static SigstoreRepository At(Uri url, byte[] firstRoot) =>
        new($"the repository {new Request("", HttpMethod.Get, url).Place}", url.AbsoluteUri.EndsWith('/') ? url : new Uri($"{url.AbsoluteUri}/"), firstRoot);

    /// <summary>The documents, all of one version of the targets role.</summary>
    /// <exception cref="TufException">They cannot be had, or not be trusted.</exception>
    /// <exception cref="ServiceException">The repository cannot be asked, and nothing is cached.</exception>
    public async Task<FetchedDocuments> FetchAsync(SigstoreFetching how, SigstoreDocuments wanted, CancellationToken cancel)
    {
        var cache = new TufCache(how.CacheFolder is null ? null : Path.Combine(how.CacheFolder, FolderName()));
        TufClient Client() => new(url, firstRoot, new Http(how.Client, how.UserAgent, how.Time), how.Time, cache);

        if (how.Offline)
        {
            return await ReadOfflineAsync(Client(), how.Time.GetUtcNow(), wanted, cancel);
        }

        try
        {
            return await RefreshAsync(Client(), cache, wanted, cancel);
        }
        catch (ServiceException first)
        {
            try
            {
                return await ReadUnexpiredAsync(Client(), first, wanted, cancel);
            }
            catch (TufException) when (first.IsTransient && how.Retries is not null)
            {
                return await RefreshAgainAsync(Client, how.Retries, cache, wanted, cancel);
            }
        }
    }

    private async Task<FetchedDocuments> RefreshAsync(TufClient client, TufCache cache, SigstoreDocuments wanted, CancellationToken cancel)
    {
        await client.RefreshAsync(cancel);
        string[] notes = cache.Trouble is { } trouble ? [$"what was fetched from {name} is not kept for the next build: {trouble}"] : [];
        return await ReadAsync(client, wanted, [], notes, cancel);
    }

    private async Task<FetchedDocuments> RefreshAgainAsync(Func<TufClient> client, ResiliencePipeline retries, TufCache cache, SigstoreDocuments wanted, CancellationToken cancel)
    {
        try
        {
            return await retries.ExecuteAsync(async stop => await RefreshAsync(client(), cache, wanted, stop), cancel);
        }
        catch (ServiceException last)
        {
            // Another build may have had more luck meanwhile.
            return await ReadUnexpiredAsync(client(), last, wanted, cancel);
        }
    }

    /// <summary>The repository could not be asked. It would not have told us anything else as long as its own timestamp says so.</summary>
    private async Task<FetchedDocuments> ReadUnexpiredAsync(TufClient client, ServiceException failure, SigstoreDocuments wanted, CancellationToken cancel)
    {
        try
        {
            client.LoadKept(TufAge.Current);
            string warning = $"{failure.Message}; the documents of {name} are those of the cache, whose timestamp (version {client.Trusted.Timestamp.Version}) {client.Trusted.Age(client.Trusted.Timestamp)}";
            return await ReadAsync(client, wanted, [warning], [], cancel);
        }
        catch (TufException e)
        {
            throw new TufException(TufFailure.Stale, e.Role, $"{failure.Message}; and what is cached is not good enough: {e.Message}", failure);
        }
    }

    /// <summary>The newest there is: what was kept or, where that is older or nothing, what was shipped.</summary>
    private async Task<FetchedDocuments> ReadOfflineAsync(TufClient client, DateTimeOffset now, SigstoreDocuments wanted, CancellationToken cancel)
    {
        try
        {
            client.LoadKept(TufAge.Any);
            TrustedMetadata trusted = client.Trusted;
            if (trusted.Timestamp.Expires < Shipped && shippedTrustedRoot is not null && wanted == SigstoreDocuments.TrustedRoot)
            {
                return ReadShipped(shippedTrustedRoot, now);
            }

            string about = $"SigstoreOffline is true; the documents of {name} are those of the cache (targets version {trusted.Targets.Version}), whose timestamp (version {trusted.Timestamp.Version}) {trusted.Age(trusted.Timestamp)}";
            string others = string.Concat(trusted.Expired.Where(role => role != trusted.Timestamp).Select(role => $", whose {role.Type} (version {role.Version}) {trusted.Age(role)}"));
            return await (trusted.Expired.Count > 0
                ? ReadAsync(client, wanted, [about + others], [], cancel)
                : ReadAsync(client, wanted, [], [about], cancel));
        }
        catch (TufException) when (shippedTrustedRoot is not null && wanted == SigstoreDocuments.TrustedRoot)
        {
            return ReadShipped(shippedTrustedRoot, now);
        }
        catch (TufException e)
        {
            throw new TufException(TufFailure.Stale, e.Role, $"SigstoreOffline is true and the documents of {name} are not at hand: {e.Message}; build once without SigstoreOffline, or give SigstoreTrustedRoot and, for signing, SigstoreSigningConfig", e);
        }
    }

    private FetchedDocuments ReadShipped(string resource, DateTimeOffset now) => new(TrustedRoot.Parse(Resource(resource)), null,
        [string.Create(CultureInfo.InvariantCulture, $"SigstoreOffline is true and nothing newer is cached; the trusted root of {name} is the one shipped with this version, {(int)(now - Shipped).TotalDays} days old ({Shown.Of(Shipped)})")], []);

    private async Task<FetchedDocuments> ReadAsync(TufClient client, SigstoreDocuments wanted, IReadOnlyList<string> warnings, IReadOnlyList<string> notes, CancellationToken cancel) => new(
        wanted.HasFlag(SigstoreDocuments.TrustedRoot) ? await ReadAsync(client, "trusted_root.json", TrustedRoot.Parse, cancel) : null,
        wanted.HasFlag(SigstoreDocuments.SigningConfig) ? await ReadAsync(client, "signing_config.v0.2.json", SigningConfig.Parse, cancel) : null,
        warnings,
        notes);

    private async Task<T> ReadAsync<T>(TufClient client, string target, Func<ReadOnlyMemory<byte>, T> parse, CancellationToken cancel)
    {
        byte[] bytes = await client.GetTargetAsync(target, cancel);
        try
        {
            return parse(bytes);
        }
        catch (FormatException e)
        {
            throw new TufException(TufFailure.Malformed, "targets", $"{target} of {name} (targets version {client.Trusted.Targets.Version}) cannot be used: {e.Message}", e);
        }
    }

    // Host and path for people, and a hash: two addresses may look alike once they are a file name.
    private string FolderName()
    {
        string readable = string.Concat(url.GetComponents(UriComponents.HostAndPort | UriComponents.Path, UriFormat.UriEscaped)
            .Select(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' ? char.ToLowerInvariant(c) : '-')).Trim('-');
        string hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(url.AbsoluteUri)))[..16];
        return $"{(readable.Length > 64 ? readable[..64] : readable)}-{hash}";
    }

    private static byte[] Resource(string name)
    {
        using Stream stream = typeof(SigstoreRepository).Assembly.GetManifestResourceStream(name)!;
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }
}
