using System.Globalization;
using System.Text;
using System.Text.Json;
using Keyless.Oci;
using Keyless.Sigstore;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;
using Polly;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild;

/// <summary>Signs what this build pushed, and whatever <c>ContainerToSign</c> names, each digest once.</summary>
[MSBuildMultiThreadableTask]
public sealed class KeylessSignContainer : SigningTask
{
    private const string GoesPublic = "Keyless.MSBuild: the signer's identity and the image's digest go into a public log, where they stay for ever";

    /// <summary>Without extension: a line that begins with it is the one the terminal logger shows for the project.</summary>
    public string ProjectName { get; set; } = "";

    /// <summary>The digest of the single image that was pushed; empty where an index was.</summary>
    public string GeneratedContainerDigest { get; set; } = "";

    /// <summary>The JSON of the index that was pushed, exactly as pushed; the SDK tells its digest nowhere.</summary>
    public string GeneratedImageIndex { get; set; } = "";

    /// <summary>Set where an archive was written instead of a registry.</summary>
    public string GeneratedArchiveOutputPath { get; set; } = "";

    /// <summary>The tag that the image was pushed under instead of <see cref="SigningTask.ContainerImageTags"/>, which it gets when it is signed; empty where it has those already.</summary>
    public string StagingTag { get; set; } = "";

    /// <summary>References with a digest, of images that are already pushed. No metadata.</summary>
    public ITaskItem[] ContainersToSign { get; set; } = [];

    public string ContainerSigningBundleDirectory { get; set; } = "";

    /// <summary>
    /// One item for each signed manifest and format: the identity is <c>registry/repository@digest</c>.
    /// <list type="table">
    /// <item><term>Digest, MediaType, Platform, Tags</term><description>of the manifest; platform and tags where known</description></item>
    /// <item><term>Format</term><description><c>bundle</c> or <c>legacy</c></description></item>
    /// <item><term>BundlePath, SignatureReference</term><description>the bundle on disk, unless the signature was there before, and the signature in the registry</description></item>
    /// <item><term>LogIndex, SignedAt</term><description>of the log entry; the proven time, ISO 8601 in UTC</description></item>
    /// <item><term>CertificateIdentity, CertificateOidcIssuer</term><description>what a verifier has to ask for</description></item>
    /// </list>
    /// </summary>
    [Output]
    public ITaskItem[] SignedContainers { get; set; } = [];

    /// <summary>The digest of the image or index that this build pushed.</summary>
    [Output]
    public string ContainerSignedDigest { get; set; } = "";

    private protected override async Task RunAsync(CancellationToken cancel)
    {
        SigningSettings settings = ReadSettings();
        SharedSigning? ofTheBuild = SharedSigning.Of(BuildEngine);
        using SharedSigning? own = ofTheBuild is null ? new SharedSigning() : null;
        SharedSigning shared = ofTheBuild ?? own!;
        ResiliencePipeline retries = CreateRetries(settings, shared.RetryTime);
        using HttpClient registry = CreateRegistryClient();
        var access = new RegistrySettings(Time, Note, () => retries);
        using var registries = new Registries(registry, EnvironmentVariable, RegistryAccess.Push, access, settings.SignatureRepository);
        if (StagingTag.Length == 0)
        {
            await SignAsync(settings, shared, registries, retries, null, cancel);
            return;
        }

        using var deleting = new Registries(registry, EnvironmentVariable, RegistryAccess.Push, access with { Deletes = true });
        ImageReference place = ReadRepository();
        var staged = new StagedPush(ReadStagedTags(StagingTag), registries[place], deleting[place], Time, line => Say(MessageImportance.High, $"Keyless.MSBuild: {line}"));
        try
        {
            await SignAsync(settings, shared, registries, retries, staged, cancel);
        }
        finally
        {
            await staged.RemoveAsync();
        }
    }

    private async Task SignAsync(SigningSettings settings, SharedSigning shared, Registries registries, ResiliencePipeline retries, StagedPush? staged, CancellationToken cancel)
    {
        List<ImageToSign> images = Collect(settings.Recursive);
        if (images.Count == 0)
        {
            throw new ConfigurationException(Diagnostics.NothingToSign,
                "there is nothing to sign: this build pushed no image and there is no ContainerToSign; use dotnet publish -t:PublishContainer -p:SignContainer=true");
        }
        SigstoreInstance instance = await GetInstanceAsync(settings.Source, signing: true, cancel, retries);
        MustHaveLogFor(settings, instance);
        var kept = new BundleDirectory(PathOf(nameof(ContainerSigningBundleDirectory), ContainerSigningBundleDirectory.Length > 0 ? ContainerSigningBundleDirectory : "obj/keyless"));

        SigningReport? report = await PrepareReportAsync(cancel);
        // Once per build and process: projects that other nodes build say it there.
        if (PublicRecord.IsKeptFor(instance.TrustedRoot) && shared.IsFirst(GoesPublic))
        {
            Say(MessageImportance.High, GoesPublic);
        }

        using HttpClient services = CreateServiceClient();
        using HttpClient direct = CreateDirectClient();
        AmbientIdentity identities = GetIdentities(settings, services, direct, ReadLogin(instance, settings));
        var verifier = new Verifier(instance.TrustedRoot);
        var signer = new Signer(instance, verifier, identities, services, UserAgent, Time, settings.AllowHttp, settings.AcceptPublicLog, retries);

        kept.Create();
        if (staged is not null)
        {
            Digest pushed = PushedDigest() ?? throw new ConfigurationException(Diagnostics.NothingToSign, $"there is nothing to sign: this build pushed no image under {StagingTag}");
            await staged.ReadAsync(pushed, [.. ImagesInIndex(ReadRepository()).Select(child => child.Digest)], cancel);
        }

        string sharing = SharedSigning.KeyOf(settings, EnvironmentVariable);
        var work = new ImageSigner(signer, verifier, stop => shared.GetAsync(sharing, also => BeginAsync(signer, also), Time, stop), registries, kept, settings.Wanted, retries, Time, Note);
        IReadOnlyList<SignedImage> signed = await work.SignAsync(images, cancel);
        // What was pushed comes last: of several such lines the terminal logger keeps the last.
        foreach (SignedImage image in signed.Reverse())
        {
            Report(image);
        }

        if (staged is not null)
        {
            await staged.TagAsync(cancel);
            await staged.RemoveAsync();
        }

        SignedContainers = [.. signed.Select(ToItem)];
        ContainerSignedDigest = PushedDigest()?.ToString() ?? "";
        await PublishAsync(report, settings, PublicRecord.IsPublicGood(instance.TrustedRoot), identities.Ci, signed, cancel);
        work.Finish();
    }

    private protected override bool WaitsForSomebody => SigstoreOidcProvider.Equals("interactive", StringComparison.OrdinalIgnoreCase);

    private async Task<SigningSession> BeginAsync(Signer signer, CancellationToken cancel)
    {
        SigningSession session = await signer.BeginAsync(cancel);
        Say(MessageImportance.Low, $"  took: token {Milliseconds(session.TokenTook)}, certificate {Milliseconds(session.CertificateTook)}");
        return session;
    }

    /// <summary>Everything is signed by now; who was promised a file and gets none has to know all the same.</summary>
    private async Task PublishAsync(SigningReport? report, SigningSettings settings, bool isPublicGood, CiSystem ci, IReadOnlyList<SignedImage> signed, CancellationToken cancel)
    {
        SignedProject project = SignedProject.Of(ProjectName, ProjectDirectory, ci.Run, signed);
        if (report is not null)
        {
            await report.MergeAsync(project, cancel);
        }

        if (!settings.WritesCIOutput)
        {
            return;
        }

        var summary = new StepSummary(project, isPublicGood, settings.SignatureRepository is { } other ? $"{other.Registry}/{other.Repository}" : null);
        if (ci.Kind == CiKind.GitHubActions)
        {
            var github = new GitHubActions(EnvironmentVariable, ProjectDirectory);
            await github.WriteOutputsAsync(project, cancel);
            if (!await github.AddToSummaryAsync(summary.Versions, cancel))
            {
                Note($"the step summary is full, so {ProjectName} is not in it");
            }
        }
        else if (ci.Kind == CiKind.AzurePipelines)
        {
            foreach (string command in (string[])[.. AzurePipelines.Variables(project), AzurePipelines.UploadSummary(project, summary)])
            {
                // The only lines that may command a CI system; all others go through Say, which takes that from them.
                Log.LogMessage(MessageImportance.High, command);
            }
        }
    }

    /// <summary>The image or index that was pushed comes first, then what is in it, then what was named.</summary>
    private List<ImageToSign> Collect(bool recursive)
    {
        var images = new List<ImageToSign>();
        if (PushedDigest() is { } digest)
        {
            if (GeneratedArchiveOutputPath.Length > 0)
            {
                throw new ConfigurationException(Diagnostics.NoRegistry, $"the image went into the archive '{GeneratedArchiveOutputPath}', where there is no place for a signature");
            }

            if (ContainerRegistry.Length == 0)
            {
                throw new ConfigurationException(Diagnostics.NoRegistry, "ContainerRegistry is empty, so the image went to the local daemon, where there is no place for a signature; set ContainerRegistry");
            }

            ImageReference repository = ReadRepository($"@{digest}");
            images.Add(new ImageToSign(repository, digest, [.. ContainerImageTags.Select(tag => tag.ItemSpec)]));
            if (GeneratedImageIndex.Length > 0 && recursive)
            {
                images.AddRange(ImagesInIndex(repository));
            }
        }

        foreach (ITaskItem item in ContainersToSign)
        {
            Setting.OnlyMetadata("ContainerToSign", item);
            ImageReference reference = ParseReference("ContainerToSign", item.ItemSpec);
            if (reference.Digest is null)
            {
                throw new ConfigurationException(Diagnostics.MalformedReference,
                    $"ContainerToSign '{item.ItemSpec}' has no digest; a tag may be moved before it is signed, so write registry/repository@sha256:…");
            }
            images.Add(new ImageToSign(reference, reference.Digest, reference.Tag is { } tag ? [tag] : [], WithChildren: recursive));
        }

        foreach (ImageToSign image in images.Where(image => image.Digest.Algorithm != "sha256"))
        {
            throw new ConfigurationException(Diagnostics.NotYet, $"'{image.Reference}' has a {image.Digest.Algorithm} digest, which cannot be signed yet; sha256 can");
        }

        return [.. images.DistinctBy(image => (image.Reference.Registry, image.Reference.Repository, image.Digest))];
    }

    private Digest? PushedDigest()
    {
        // The bytes of the property are the bytes that were pushed; the registry is asked for exactly this digest before anything is signed.
        if (GeneratedImageIndex.Length > 0)
        {
            return Digest.Of(Encoding.UTF8.GetBytes(GeneratedImageIndex));
        }

        if (GeneratedContainerDigest.Length == 0)
        {
            return null;
        }

        return Digest.TryParse(GeneratedContainerDigest, out Digest? digest)
            ? digest
            : throw new ConfigurationException(Diagnostics.MalformedReference, $"GeneratedContainerDigest is '{GeneratedContainerDigest}'; expected sha256: and 64 hex digits");
    }

    /// <summary>What stands in the index that was pushed, and nothing else: that is what a platform will pull.</summary>
    private ImageToSign[] ImagesInIndex(ImageReference repository)
    {
        if (GeneratedImageIndex.Length == 0)
        {
            return [];
        }

        try
        {
            Digest? index = PushedDigest();
            return [.. Manifest.Parse(Encoding.UTF8.GetBytes(GeneratedImageIndex), null).Manifests.Select(entry => new ImageToSign(repository, entry.Digest, [], entry.Platform, Within: index, Manifest: entry))];
        }
        catch (Exception e) when (e is FormatException or JsonException)
        {
            throw new ConfigurationException(Diagnostics.MalformedReference, $"GeneratedImageIndex is not an image index: {e.Message}", e);
        }
    }

    private void Report(SignedImage image)
    {
        Say(MessageImportance.High, string.Create(CultureInfo.InvariantCulture,
            $"{ProjectName} -> {image.Reference} ({(image.BundlePath is null ? "already signed" : "signed")} by {image.Bundle.SignedBy}, log index {image.Bundle.LogIndex})"));
        foreach (string check in image.Bundle.Checks)
        {
            Say(MessageImportance.Low, $"  {check}");
        }

        if (image.Took is { } took)
        {
            Say(MessageImportance.Low, $"  took: timestamp {Milliseconds(took.Timestamp)}, log {Milliseconds(took.Log)} (both at once), attach {Milliseconds(took.Attach)}");
        }
    }

    private static string Milliseconds(TimeSpan time) => string.Create(CultureInfo.InvariantCulture, $"{time.TotalMilliseconds:F0} ms");

    private void Note(string note) => Say(MessageImportance.Normal, $"Keyless.MSBuild: {note}");

    private static TaskItem ToItem(SignedImage image) => Item.Of(image.Reference,
        ("Digest", image.Image.Digest.ToString()),
        ("MediaType", image.MediaType),
        ("Platform", image.Image.Platform ?? ""),
        ("Tags", string.Join(';', image.Image.Tags)),
        ("Format", image.Format),
        ("BundlePath", image.BundlePath ?? ""),
        ("SignatureReference", image.SignatureReference),
        ("LogIndex", image.Bundle.LogIndex?.ToString(CultureInfo.InvariantCulture) ?? ""),
        ("CertificateIdentity", image.Bundle.SignedBy),
        ("CertificateOidcIssuer", image.Bundle.Signer!.Issuer),
        ("SignedAt", VerificationReport.Format(image.Bundle.SignedAt)));
}
