using Keyless.Oci;
using Keyless.Sigstore;
using Microsoft.Build.Framework;
using Polly;

namespace Keyless.MSBuild;

/// <summary>The properties that say how and as whom to sign, with what each may be. Each is the public property of the same name.</summary>
public abstract class SigningTask : SigstoreTask
{
    private protected SigningTask() { }

    public string ContainerRegistry { get; set; } = "";

    public string ContainerRepository { get; set; } = "";

    public ITaskItem[] ContainerImageTags { get; set; } = [];

    /// <summary>The runtime identifiers whose images are pushed by the tag of the index, a hyphen and their name; none where there is no index.</summary>
    public ITaskItem[] Runtimes { get; set; } = [];

    /// <summary>Whether each of them gets such tags to keep.</summary>
    public bool TagsRuntimes { get; set; }

    public string ContainerSigningFormat { get; set; } = "";

    public string ContainerSigningRecursive { get; set; } = "";

    /// <summary><c>ContainerSigningAnnotation</c> items: the identity is the name, the metadata <c>Value</c> the value.</summary>
    public ITaskItem[] ContainerSigningAnnotations { get; set; } = [];

    public string ContainerSigningAcceptPublicLog { get; set; } = "";

    public string ContainerSigningRetryBudget { get; set; } = "";

    public string ContainerSigningRepository { get; set; } = "";

    public string ContainerSigningSkipIfSigned { get; set; } = "";

    public string ContainerSigningReport { get; set; } = "";

    public string ContainerSigningCIOutput { get; set; } = "";

    public string SignContainerBeforeTagging { get; set; } = "";

    public string AttestContainerProvenance { get; set; } = "";

    public string AttestContainerSbom { get; set; } = "";

    public ITaskItem[] ContainerAttestations { get; set; } = [];

    public string SigstoreSigningConfig { get; set; } = "";

    public string SigstoreOidcProvider { get; set; } = "";

    public string SigstoreIdentityTokenFile { get; set; } = "";

    /// <summary>Everything above, checked.</summary>
    /// <exception cref="ConfigurationException">A value it cannot have, or one that is not built yet.</exception>
    private protected SigningSettings ReadSettings()
    {
        _ = Setting.IsTrue(nameof(SignContainerBeforeTagging), SignContainerBeforeTagging);
        RefuseAttestations();
        return new SigningSettings(
            ReadSource(SigstoreSigningConfig),
            ReadProvider(),
            SigstoreIdentityTokenFile.Length > 0 ? PathOf(nameof(SigstoreIdentityTokenFile), SigstoreIdentityTokenFile) : null,
            AllowHttp,
            Recursive: ContainerSigningRecursive.Length == 0 || Setting.IsTrue(nameof(ContainerSigningRecursive), ContainerSigningRecursive),
            Setting.IsTrue(nameof(ContainerSigningAcceptPublicLog), ContainerSigningAcceptPublicLog),
            new SignaturesWanted(ReadFormats(), ReadAnnotations(), Setting.IsTrue(nameof(ContainerSigningSkipIfSigned), ContainerSigningSkipIfSigned)),
            WritesCIOutput: Setting.IsTrueOrEmpty(nameof(ContainerSigningCIOutput), ContainerSigningCIOutput),
            Setting.Repository(nameof(ContainerSigningRepository), ContainerSigningRepository),
            Setting.Duration(nameof(ContainerSigningRetryBudget), ContainerSigningRetryBudget, TimeSpan.FromMinutes(5), mayBeZero: true));
    }

    /// <summary>Attestations are not built yet; nobody shall believe there is one.</summary>
    private protected void RefuseAttestations()
    {
        Setting.NotYetTrue(nameof(AttestContainerProvenance), AttestContainerProvenance);
        Setting.NotYetTrue(nameof(AttestContainerSbom), AttestContainerSbom);
        Setting.NotYet("ContainerAttestation", ContainerAttestations);
    }

    /// <summary>The repository the SDK pushes to, at a digest or without.</summary>
    private protected ImageReference ReadRepository(string at = "")
    {
        string text = $"{ContainerRegistry}/{ContainerRepository}{at}";
        ImageReference reference = ParseReference("ContainerRegistry and ContainerRepository", text);
        // What has neither dot nor port is a host to the SDK, and a user of Docker Hub in a reference.
        bool same = reference.Registry.Equals(ContainerRegistry, StringComparison.OrdinalIgnoreCase)
            || (reference.Registry == "docker.io" && ContainerRegistry.EndsWith("docker.io", StringComparison.OrdinalIgnoreCase));
        return same
            ? reference
            : throw new ConfigurationException(Diagnostics.MalformedReference, $"ContainerRegistry is '{ContainerRegistry}', which a reference would read as {reference.Registry}; write it with its domain or port");
    }

    /// <summary>The tags that the SDK pushes under instead of those that were asked for, and what becomes of each. The image or index comes first.</summary>
    private protected IReadOnlyList<StagedTag> ReadStagedTags(string stagingTag)
    {
        string[] tags = [.. ContainerImageTags.Select(tag => tag.ItemSpec)];
        StagedTag[] staged =
        [
            new(stagingTag, tags),
            .. Runtimes.Select(runtime => new StagedTag($"{stagingTag}-{runtime.ItemSpec}", TagsRuntimes ? [.. tags.Select(tag => $"{tag}-{runtime.ItemSpec}")] : [])),
        ];
        // The SDK will look at the staging tags alone.
        foreach (string tag in staged.SelectMany(manifest => manifest.Wanted))
        {
            ReadRepository($":{tag}");
        }

        return staged;
    }

    private protected static ImageReference ParseReference(string what, string text)
    {
        try
        {
            return ImageReference.Parse(text);
        }
        catch (FormatException e)
        {
            throw new ConfigurationException(Diagnostics.MalformedReference, $"{what} '{text}' cannot be used: {e.Message}", e);
        }
    }

    private string ReadProvider()
    {
        string provider = Setting.OneOf(nameof(SigstoreOidcProvider), SigstoreOidcProvider,
            "auto", "github-actions", "buildkite", "environment", "file", "google", "spiffe", "none", "interactive");
        if (SigstoreIdentityTokenFile.Length > 0 && provider is not ("auto" or "file"))
        {
            throw new ConfigurationException(Diagnostics.Contradiction, $"{nameof(SigstoreOidcProvider)} is '{provider}' and {nameof(SigstoreIdentityTokenFile)} is '{SigstoreIdentityTokenFile}', which is read for auto and file only; remove one");
        }

        return provider;
    }

    /// <param name="spent">Of the whole build.</param>
    private protected ResiliencePipeline CreateRetries(SigningSettings settings, RetryTime spent) =>
        new Retries(settings.RetryBudget, nameof(ContainerSigningRetryBudget), spent, Time, line => Say(MessageImportance.High, $"Keyless.MSBuild: {line}")).ToPipeline();

    /// <summary>Who may say who is building.</summary>
    /// <param name="client">For services; <paramref name="direct"/>: for servers of the machine itself.</param>
    /// <param name="login">Where people log in; null where nobody is asked to.</param>
    private protected AmbientIdentity GetIdentities(SigningSettings settings, HttpClient client, HttpClient direct, Uri? login = null) => new(
        settings.OidcProvider, client, UserAgent, EnvironmentVariable,
        new IdentityOptions
        {
            TokenFile = settings.TokenFile,
            DirectClient = direct,
            SocketClient = CreateSocketClient,
            // The terminal logger drops such messages, but not those that speak of --interactive.
            Login = new InteractiveLogin(login, CreateServiceClient, OpenBrowser, line => Say(MessageImportance.High, $"Keyless.MSBuild: {line} (--interactive)"), Time),
        });

    private protected Uri? ReadLogin(SigstoreInstance instance, SigningSettings settings)
    {
        try
        {
            return settings.OidcProvider == "interactive" ? instance.SigningConfig?.Login(Time.GetUtcNow(), settings.AllowHttp) : null;
        }
        catch (FormatException e)
        {
            throw new ConfigurationException(Diagnostics.MalformedTrustRoot, e.Message, e);
        }
    }

    private IReadOnlyList<string> ReadFormats() =>
        Setting.OneOf(nameof(ContainerSigningFormat), ContainerSigningFormat, SignaturesWanted.Bundle, SignaturesWanted.Legacy, "both") is not "both" and var format
            ? [format]
            : [SignaturesWanted.Bundle, SignaturesWanted.Legacy];

    /// <summary>Before anything is pushed or logged: of two forms that were asked for, both are made or none.</summary>
    /// <exception cref="ConfigurationException">The instance has no log for it.</exception>
    private protected void MustHaveLogFor(SigningSettings settings, SigstoreInstance instance)
    {
        if (!settings.Wanted.Formats.Contains(SignaturesWanted.Legacy))
        {
            return;
        }

        if (!instance.SigningConfig!.CanSignSimply(Time.GetUtcNow()))
        {
            throw new ConfigurationException(Diagnostics.Contradiction,
                $"{nameof(ContainerSigningFormat)} is '{ContainerSigningFormat}', which needs a log of Rekor version 1 for the .sig tag, and the signing config names none that is in use now; set it to bundle");
        }

        try
        {
            instance.SigningConfig.MustNameSimpleServicesOf(instance.TrustedRoot, Time.GetUtcNow(), settings.AllowHttp);
        }
        catch (FormatException e)
        {
            throw new ConfigurationException(Diagnostics.MalformedTrustRoot, e.Message, e);
        }
    }

    /// <summary>The file of <see cref="ContainerSigningReport"/>, which can be written; null where none is asked for.</summary>
    /// <exception cref="ConfigurationException">It cannot be written, or is another kind of file.</exception>
    private protected async Task<SigningReport?> PrepareReportAsync(CancellationToken cancel)
    {
        if (ContainerSigningReport.Length == 0)
        {
            return null;
        }

        var report = new SigningReport(PathOf(nameof(ContainerSigningReport), ContainerSigningReport));
        await report.PrepareAsync(cancel);
        return report;
    }

    private SortedDictionary<string, string> ReadAnnotations()
    {
        var annotations = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (ITaskItem item in ContainerSigningAnnotations)
        {
            Setting.OnlyMetadata("ContainerSigningAnnotation", item, "Value");
            if (!annotations.TryAdd(item.ItemSpec, item.GetMetadata("Value")))
            {
                throw new ConfigurationException(Diagnostics.Contradiction, $"ContainerSigningAnnotation '{item.ItemSpec}' is there twice; a signature says one thing of one name");
            }
        }
        return annotations;
    }
}

/// <summary>How and as whom to sign.</summary>
/// <param name="TokenFile">Absolute; null where none is named.</param>
/// <param name="AcceptPublicLog">Whether the user consents that an identity becomes public.</param>
/// <param name="WritesCIOutput">Whether what CI systems read is written where there is one.</param>
/// <param name="SignatureRepository">Where signatures go; null: beside each image.</param>
/// <param name="RetryBudget">For the whole build.</param>
internal sealed record SigningSettings(
    SigstoreSource Source,
    string OidcProvider,
    string? TokenFile,
    bool AllowHttp,
    bool Recursive,
    bool AcceptPublicLog,
    SignaturesWanted Wanted,
    bool WritesCIOutput,
    ImageReference? SignatureRepository,
    TimeSpan RetryBudget);
