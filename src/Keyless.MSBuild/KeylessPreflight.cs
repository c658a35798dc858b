using System.Security.Cryptography;
using Keyless.Oci;
using Keyless.Sigstore;
using Microsoft.Build.Framework;

namespace Keyless.MSBuild;

/// <summary>
/// Says before anything is compiled or pushed whether signing can work, from what this machine knows: values, files, environment. No service is
/// asked, but for the audiences that a private Fulcio takes where a token is not for the usual one; trusted root and signing config are fetched where they
/// are not given.
/// </summary>
[MSBuildMultiThreadableTask]
public sealed class KeylessPreflight : SigningTask
{
    [Required]
    public string SignContainer { get; set; } = "";

    /// <summary>Whether a container is about to be published; otherwise the value of <see cref="SignContainer"/> alone is checked.</summary>
    public bool PublishesContainer { get; set; }

    /// <summary>Nothing is compiled yet: what is known by then is looked at, and that is not the registry.</summary>
    public bool BeforeBuild { get; set; }

    /// <summary>What the same task answered before the build, <c>true</c> or <c>false</c>; empty where it was not asked.</summary>
    public string FoundBeforeBuild { get; set; } = "";

    /// <summary>Where the text to paste goes, relative to the project.</summary>
    public string PasteFile { get; set; } = "obj/keyless/what-to-paste.md";

    public string ContainerArchiveOutputPath { get; set; } = "";

    public string VerifyContainerBaseImage { get; set; } = "";

    /// <summary>Whether this build signs: with <c>auto</c> that depends on where it runs.</summary>
    [Output]
    public bool Sign { get; set; }

    /// <summary>The one tag to push under, where the others are to wait for the signatures; unique, so that nobody else pushes under it. Else empty.</summary>
    [Output]
    public string StagingTag { get; set; } = "";

    private protected override async Task RunAsync(CancellationToken cancel)
    {
        string asked = Setting.OneOf(nameof(SignContainer), SignContainer, "false", "true", "auto");
        bool stages = Setting.IsTrue(nameof(SignContainerBeforeTagging), SignContainerBeforeTagging);
        Setting.IsTrue(nameof(VerifyContainerBaseImage), VerifyContainerBaseImage);
        if (!PublishesContainer)
        {
            return;
        }
        // These mean something without a signature, too.
        RefuseAttestations();
        if (asked == "false" || FoundBeforeBuild == "false")
        {
            return;
        }

        try
        {
            Sign = await CheckAsync(asked, ReadSettings(), cancel);
            if (Sign && stages && !BeforeBuild)
            {
                StagingTag = ReadStagedTags($"{StagedPush.Prefix}{RandomNumberGenerator.GetHexString(16, lowercase: true)}")[0].Name;
            }
        }
        catch (Exception e) when (Diagnostic.From(e) is { } known && TextToPaste.For(known.Kind, CiSystem.Find(EnvironmentVariable), SigstoreIdentityTokenFile.Length > 0 ? "file" : SigstoreOidcProvider) is { } text)
        {
            await RefuseAsync(known, text, cancel);
        }
    }

    private async Task<bool> CheckAsync(string asked, SigningSettings settings, CancellationToken cancel)
    {
        using HttpClient services = CreateServiceClient();
        using HttpClient direct = CreateDirectClient();
        AmbientIdentity identities = GetIdentities(settings, services, direct);
        SigningOccasion occasion = await SigningOccasion.FindAsync(asked, identities, cancel);
        if (occasion.WhyNot is { } whyNot)
        {
            Say(MessageImportance.High, $"Keyless.MSBuild: SignContainer is auto, and the image is not signed: {whyNot}");
            return false;
        }

        if (FoundBeforeBuild.Length == 0)
        {
            await CheckInstanceAsync(occasion, identities, settings, services, cancel);
        }

        if (!BeforeBuild)
        {
            await CheckRegistryAsync(settings, cancel);
            await PrepareReportAsync(cancel);
        }

        return true;
    }

    private async Task CheckInstanceAsync(SigningOccasion occasion, AmbientIdentity identities, SigningSettings settings, HttpClient services, CancellationToken cancel)
    {
        occasion.Token?.MustBeUsableAt(Time.GetUtcNow());
        SigstoreInstance instance = await GetInstanceAsync(settings.Source, signing: true, cancel, CreateRetries(settings, SharedSigning.Of(BuildEngine)?.RetryTime ?? new RetryTime()));
        CheckServices(instance, settings.AllowHttp);
        MustHaveLogFor(settings, instance);
        if (identities.Provider is InteractiveIdentity && ReadLogin(instance, settings) is null)
        {
            throw new IdentityException(IdentityFailure.Missing, "no identity token: SigstoreOidcProvider is interactive, and the signing config names nobody to log in at (oidcUrls has none that is valid now); name another provider or another instance");
        }

        if (occasion.Token is { } token)
        {
            var signer = new Signer(instance, new Verifier(instance.TrustedRoot), identities, services, UserAgent, Time, settings.AllowHttp, settings.AcceptPublicLog);
            await signer.MustBeUsableAsync(token, cancel);
        }
        else if (!settings.AcceptPublicLog && identities.Provider is GitHubActionsIdentity)
        {
            PublicRecord.MustBePublic(identities.Ci, instance.TrustedRoot);
        }
    }

    private async Task CheckRegistryAsync(SigningSettings settings, CancellationToken cancel)
    {
        if (ContainerArchiveOutputPath.Length > 0)
        {
            throw new ConfigurationException(Diagnostics.NoRegistry, $"ContainerArchiveOutputPath is '{ContainerArchiveOutputPath}', and an archive has no place for a signature; remove it, or set SignContainer=false");
        }

        if (ContainerRegistry.Length == 0)
        {
            throw new ConfigurationException(Diagnostics.NoRegistry, "ContainerRegistry is empty, so the image goes to the local daemon, where there is no place for a signature; set ContainerRegistry, or SignContainer=false");
        }

        // What files and helpers have is told without asking the registry; whether it takes them it says to the push.
        ImageReference image = ReadRepository();
        foreach (ImageReference place in settings.SignatureRepository is { } signatures && signatures.Registry != image.Registry ? (ImageReference[])[image, signatures] : [image])
        {
            await new RegistryCredentials(EnvironmentVariable, RegistryAccess.Push, useVariables: place == image).FindAsync(place.Registry, place.Repository, cancel);
        }
    }

    private async Task RefuseAsync(Diagnostic known, string text, CancellationToken cancel)
    {
        foreach (string line in text.ReplaceLineEndings("\n").Split('\n'))
        {
            Say(MessageImportance.High, line);
        }

        if (!ContainerSigningCIOutput.Equals("false", StringComparison.OrdinalIgnoreCase))
        {
            await ShowOnPageAsync(TextToPaste.Summary($"{known.Code}: {known.Message}", text), cancel);
        }

        bool written = TextToPaste.Write(PathOf(nameof(PasteFile), PasteFile), text);
        string cure = known.Kind.Hint is { } hint ? $"; {hint}" : "";
        Error(written ? known with { Text = $"{known.Text}{cure}; what to paste is in {PasteFile}" } : known);
    }

    // The error stands in the log all the same, so a page that cannot be written is no second one.
    private async Task ShowOnPageAsync(string summary, CancellationToken cancel)
    {
        try
        {
            await new GitHubActions(EnvironmentVariable, ProjectDirectory).AddToSummaryAsync([summary], cancel);
        }
        catch (ConfigurationException)
        {
        }
    }

    private void CheckServices(SigstoreInstance instance, bool allowHttp)
    {
        try
        {
            instance.SigningConfig!.MustNameServicesOf(instance.TrustedRoot, Time.GetUtcNow(), allowHttp);
        }
        catch (FormatException e)
        {
            throw new ConfigurationException(Diagnostics.MalformedTrustRoot, e.Message, e);
        }
    }
}
