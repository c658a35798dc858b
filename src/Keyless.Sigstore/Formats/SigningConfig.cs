using System.Globalization;
using Keyless.Sigstore.Formats;
using Polly;

namespace Keyless.Sigstore;

/// <summary>
/// Where one Sigstore deployment signs: signing config v0.2 (protobuf-specs, sigstore_trustroot.proto). Members it does not
/// define are ignored, since deployments add some; duplicates are refused.
/// </summary>
public sealed class SigningConfig
{
    private const string MediaType = "application/vnd.dev.sigstore.signingconfig.v0.2+json";

    private readonly IReadOnlyList<Service> certificateAuthorities;
    private readonly IReadOnlyList<Service> logs;
    private readonly Selector logSelector;
    private readonly IReadOnlyList<Service> timestampAuthorities;
    private readonly Selector timestampSelector;
    private readonly IReadOnlyList<Service> logins;

    private SigningConfig(JsonFields config)
    {
        var warnings = new List<string>();
        certificateAuthorities = ReadServices(config, "caUrls", warnings);
        logs = ReadServices(config, "rekorTlogUrls", warnings);
        logSelector = Selector.Read(config.Object("rekorTlogConfig"));
        timestampAuthorities = ReadServices(config, "tsaUrls", warnings);
        timestampSelector = Selector.Read(config.Object("tsaConfig"));
        logins = ReadServices(config, "oidcUrls", warnings);
        Warnings = warnings;
    }

    /// <summary>What is left out because it lacks something; one sentence each.</summary>
    public IReadOnlyList<string> Warnings { get; }

    /// <exception cref="FormatException">Not a signing config v0.2.</exception>
    public static SigningConfig Parse(ReadOnlyMemory<byte> json)
    {
        JsonFields config = JsonFields.Parse(json, "signing config", Limits.TrustDocumentBytes);
        string mediaType = config.RequiredText("mediaType");
        return mediaType == MediaType
            ? new SigningConfig(config)
            : throw new FormatException($"not a signing config v0.2: media type {MediaType} expected, \"{Shown.Of(mediaType)}\" found");
    }

    /// <summary>Where people log in: the newest service of <c>oidcUrls</c> that is valid at the moment; null where there is none.</summary>
    /// <exception cref="FormatException">It is on another machine, and http.</exception>
    public Uri? Login(DateTimeOffset now, bool allowHttp)
    {
        Service? login = logins.Where(service => service.Window.Contains(now) && service.ApiVersion == 1).MaxBy(service => service.Window.Start);
        login?.MustBeEncrypted(allowHttp);
        return login?.Url;
    }

    /// <summary>Whether somebody could be asked at all; for those who want to know before they push.</summary>
    /// <exception cref="FormatException">The config does not name what signing needs, or whom the root does not know.</exception>
    public void MustNameServicesOf(TrustedRoot root, DateTimeOffset now, bool allowHttp) => Select(now, allowHttp).KnownTo(root, now);

    /// <summary>The same for signatures in cosign 1 and 2's form.</summary>
    /// <exception cref="FormatException">The config names no log of that form, or whom the root does not know.</exception>
    public void MustNameSimpleServicesOf(TrustedRoot root, DateTimeOffset now, bool allowHttp) => SelectSimply(now, allowHttp).KnownTo(root, now);

    /// <summary>Whether signatures in cosign 1 and 2's form can be made: they have a place for a log's promise, which Rekor v1 alone gives.</summary>
    public bool CanSignSimply(DateTimeOffset now) => logs.Any(log => log.ApiVersion == 1 && log.Window.Contains(now));

    /// <summary>
    /// The services for one signature: those that are valid at the moment, of the highest API version spoken here, the newest
    /// of each operator, as many as the selector asks for (sigstore_trustroot.proto, <c>SigningConfig</c>).
    /// </summary>
    /// <param name="allowHttp">Plain http to other machines than this one; the identity token then travels in the clear.</param>
    /// <exception cref="FormatException">The config does not name what signing needs; the message says what is missing.</exception>
    internal SigningServices Select(DateTimeOffset now, bool allowHttp = false)
    {
        // Any one authority will do: the list has no selector.
        ServiceChoice fulcio = Choose("caUrls", certificateAuthorities, new Selector("ANY", null), [1], now);
        ServiceChoice rekor = Choose("rekorTlogUrls", logs, logSelector, [1, 2], now);
        ServiceChoice timestamps = Choose("tsaUrls", timestampAuthorities, timestampSelector, [1], now);
        if (fulcio.Candidates.Count == 0)
        {
            throw new FormatException("the signing config names no certificate authority (caUrls is empty): nobody to ask for a certificate");
        }

        if (rekor.Candidates.Count == 0)
        {
            throw new FormatException("the signing config names no transparency log (rekorTlogUrls is empty): a signature without a log entry would be accepted by nobody");
        }

        // Rekor v2 answers without a time of its own, and a certificate counts only at a proven moment.
        if (rekor.Candidates[0].ApiVersion >= 2 && timestamps.Candidates.Count == 0)
        {
            throw new FormatException("the signing config names a Rekor v2 log but no timestamp authority (tsaUrls is empty): nothing would prove when the signature was made");
        }

        foreach (Service service in (IEnumerable<Service>)[fulcio.Candidates[0], .. rekor.Candidates, .. timestamps.Candidates])
        {
            service.MustBeEncrypted(allowHttp);
        }

        return new SigningServices(fulcio, rekor, timestamps);
    }

    /// <summary>
    /// The services for one signature in cosign 1 and 2's form. A layer has one place for a log, of version 1, and one for an authority, however many the
    /// selectors ask for.
    /// </summary>
    /// <inheritdoc cref="Select"/>
    internal SigningServices SelectSimply(DateTimeOffset now, bool allowHttp)
    {
        SigningServices all = Select(now, allowHttp);
        ServiceChoice log = Choose("rekorTlogUrls", logs, new Selector("ANY", null), [1], now);
        foreach (Service service in log.Candidates)
        {
            service.MustBeEncrypted(allowHttp);
        }

        return all with { Rekor = log, TimestampAuthorities = all.TimestampAuthorities with { Needed = Math.Min(1, all.TimestampAuthorities.Needed) } };
    }

    private static ServiceChoice Choose(string list, IReadOnlyList<Service> services, Selector selector, long[] spoken, DateTimeOffset now)
    {
        if (services.Count == 0)
        {
            return new ServiceChoice([], 0);
        }

        Service[] valid = [.. services.Where(service => service.Window.Contains(now))];
        Service[] usable = [.. valid.Where(service => spoken.Contains(service.ApiVersion))];
        if (usable.Length == 0)
        {
            throw new FormatException(valid.Length == 0
                ? $"the signing config names no service in {list} that is valid at {Shown.Of(now)}: it is outdated, or this machine's clock is wrong"
                : $"the signing config names no service in {list} with an API version this client speaks ({string.Join(", ", spoken)})");
        }

        // Versions are never mixed: verifiers of an old version could not count entries of a new one.
        long version = usable.Max(service => service.ApiVersion);
        Service[] newest =
        [
            .. usable.Where(service => service.ApiVersion == version)
                .OrderByDescending(service => service.Window.Start)
                .DistinctBy(service => service.Operator, StringComparer.Ordinal),
        ];
        return selector.Choose(list, newest);
    }

    private static List<Service> ReadServices(JsonFields config, string list, List<string> warnings)
    {
        var services = new List<Service>();
        foreach (JsonFields service in config.Objects(list, Limits.TrustRootInstances))
        {
            if (Service.Read(service) is { } known)
            {
                services.Add(known);
            }
            else
            {
                warnings.Add($"a service in {list} of the signing config is not used: it lacks the start of its validity");
            }
        }

        return services;
    }

    /// <summary>How many of the services must be used (sigstore_trustroot.proto, <c>ServiceSelector</c>).</summary>
    private sealed record Selector(string Name, long? Count)
    {
        public static Selector Read(JsonFields? config) => new(config?.Text("selector") ?? "", config?.Int64("count"));

        public ServiceChoice Choose(string list, Service[] services) => Name switch
        {
            "ANY" => new ServiceChoice(services, 1),
            "ALL" => AllOf(list, services),
            "EXACT" when Count is > 0 && Count <= services.Length => AllOf(list, services[..(int)Count]),
            "EXACT" => throw new FormatException(string.Create(
                CultureInfo.InvariantCulture, $"the signing config asks for exactly {Count ?? 0} of {list}, {services.Length} of different operators are valid")),
            "" => throw new FormatException($"the signing config does not say how many of {list} to use (no selector)"),
            _ => throw new FormatException($"the signing config has an unknown selector for {list}: ALL, ANY or EXACT expected, \"{Shown.Of(Name)}\" found"),
        };

        private static ServiceChoice AllOf(string list, Service[] services)
        {
            // One service asked twice would be counted as two witnesses.
            Service[] different = [.. services.DistinctBy(service => service.Address)];
            return different.Length == services.Length
                ? new ServiceChoice(services, services.Length)
                : throw new FormatException($"the signing config selects one service of {list} twice: {services.Except(different).First().Place}");
        }
    }
}

/// <summary>Whom to ask for one signature.</summary>
internal sealed record SigningServices(ServiceChoice CertificateAuthorities, ServiceChoice Rekor, ServiceChoice TimestampAuthorities)
{

    public Service Fulcio => CertificateAuthorities.Candidates[0];

    /// <summary>
    /// Those whose answers can be accepted. What an unknown service signs our own verifier refuses, and by then the identity has gone
    /// to it: documents of two deployments must be noticed before anything is asked.
    /// </summary>
    /// <exception cref="FormatException">Too few of a kind are known; the message names one that is not.</exception>
    public SigningServices KnownTo(TrustedRoot root, DateTimeOffset now) => new(
        CertificateAuthorities.KnownAs("certificate authority", Urls(root.CertificateAuthorities, now)),
        Rekor.KnownAs("transparency log", [.. root.Logs.Where(log => log.Window.Contains(now)).Select(log => log.BaseUrl)]),
        TimestampAuthorities.KnownAs("timestamp authority", Urls(root.TimestampAuthorities, now)));

    private static string[] Urls(IReadOnlyList<CertificateAuthority> authorities, DateTimeOffset now) =>
        [.. authorities.Where(authority => authority.Window.Contains(now)).Select(authority => authority.Uri)];
}

/// <summary>Services of one kind, best first, and how many of them must answer.</summary>
internal sealed record ServiceChoice(IReadOnlyList<Service> Candidates, int Needed)
{
    /// <summary>Without those the trusted root does not know, where enough others are left.</summary>
    /// <param name="urls">Of the trusted root's instances of this kind that are valid now; one without a URL may be any service.</param>
    /// <exception cref="FormatException">Fewer than needed are left.</exception>
    public ServiceChoice KnownAs(string kind, IReadOnlyCollection<string> urls)
    {
        Service[] known = [.. Candidates.Where(service => urls.Any(url => url.Length == 0 || service.IsAt(url)))];
        if (known.Length >= Needed)
        {
            return this with { Candidates = known };
        }

        string knows = urls.Count == 0 ? "none that is valid now" : string.Join(", ", urls.Distinct(StringComparer.Ordinal).Take(3).Select(url => Shown.Of(url)));
        throw new FormatException(
            $"the signing config names the {kind} {Candidates.Except(known).First().Place}, which the trusted root does not know (it knows {knows}): the two do not belong together");
    }

    /// <summary>
    /// Asks until as many as needed have answered. Where all are needed they are asked at once, and one that fails for good ends it; where any will do,
    /// the next one is asked when one fails, and nobody is waited for before all have been asked.
    /// </summary>
    /// <exception cref="ServiceException">Where any would have done, that of who may be asked again first, else the last one's; else the first failure.</exception>
    public async Task<IReadOnlyList<T>> AskAsync<T>(ResiliencePipeline retries, Func<Service, CancellationToken, Task<T>> ask, CancellationToken cancel)
    {
        if (Needed < Candidates.Count)
        {
            return await retries.ExecuteAsync(async stop => (IReadOnlyList<T>)[await AskOneAsync(ask, stop)], cancel);
        }

        var answers = new T[Candidates.Count];
        await Parallel.ForAsync(0, answers.Length, new ParallelOptions { MaxDegreeOfParallelism = Math.Max(1, answers.Length), CancellationToken = cancel },
            async (i, stop) => answers[i] = await retries.ExecuteAsync(async each => await ask(Candidates[i], each), stop));
        return answers;
    }

    private async Task<T> AskOneAsync<T>(Func<Service, CancellationToken, Task<T>> ask, CancellationToken cancel)
    {
        ServiceException? failure = null;
        foreach (Service service in Candidates)
        {
            try
            {
                return await ask(service, cancel);
            }
            catch (ServiceException e)
            {
                // The next one is as good. If all fail, those that are only busy may come back.
                failure = failure is { IsTransient: true } && (!e.IsTransient || failure.RetryAfter.GetValueOrDefault() < e.RetryAfter.GetValueOrDefault()) ? failure : e;
            }
        }

        throw failure!;
    }
}

/// <summary>One service of a signing config.</summary>
/// <param name="Url">Base of Fulcio's and Rekor's API; a timestamp authority's whole address.</param>
internal sealed record Service(Uri Url, long ApiVersion, string Operator, TimeWindow Window)
{
    public string Place => Shown.Of(Url.GetComponents(UriComponents.SchemeAndServer | UriComponents.Path, UriFormat.UriEscaped));

    /// <summary>Null where it has no start: nobody can say since when it counts.</summary>
    public static Service? Read(JsonFields service)
    {
        string url = service.RequiredText("url");
        if (!Uri.TryCreate(url, UriKind.Absolute, out Uri? uri) || uri.Scheme is not ("https" or "http") || uri.UserInfo.Length > 0
            || uri.Query.Length > 0 || uri.Fragment.Length > 0)
        {
            throw new FormatException($"malformed signing config: a plain http(s) URL expected, \"{Shown.Of(url)}\" found");
        }

        return TimeWindow.Parse(service.Object("validFor"), "signing config") is { } window
            ? new Service(uri, service.Int64("majorApiVersion") ?? 0, service.Text("operator") ?? "", window)
            : null;
    }

    /// <summary>Whether this is the address of the service. Scheme and host have no case (RFC 3986 §6.2.2.1); a slash at the end is none of the address.</summary>
    public bool IsAt(string url) => Uri.TryCreate(url, UriKind.Absolute, out Uri? other)
        && string.Equals(other.AbsoluteUri.TrimEnd('/'), Address, StringComparison.Ordinal);

    /// <summary>What tells it from others.</summary>
    public string Address => Url.AbsoluteUri.TrimEnd('/');

    public Uri At(string path) => new(Address + path);

    public void MustBeEncrypted(bool allowHttp)
    {
        if (Url.Scheme == Uri.UriSchemeHttp && !Url.IsLoopback && !allowHttp)
        {
            throw new FormatException($"the signing config names {Place}: https expected, plain http is for services on this machine (SigstoreAllowHttp=true allows it)");
        }
    }
}
