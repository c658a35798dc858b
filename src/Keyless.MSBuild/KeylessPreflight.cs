using Keyless.Sigstore;
using Microsoft.Build.Framework;

namespace Keyless.MSBuild;

/// <summary>
/// Says before anything is pushed whether signing can work, from what this machine knows: values, files, environment. No service is
/// asked; trusted root and signing config are fetched where they are not given.
/// </summary>
[MSBuildMultiThreadableTask]
public sealed class KeylessPreflight : SigningTask
{
    [Required]
    public string SignContainer { get; set; } = "";

    /// <summary>Whether a container is about to be published; otherwise the value of <see cref="SignContainer"/> alone is checked.</summary>
    public bool PublishesContainer { get; set; }

    public string ContainerArchiveOutputPath { get; set; } = "";

    public string VerifyContainerBaseImage { get; set; } = "";

    /// <summary>Whether this build signs: with <c>auto</c> that depends on where it runs.</summary>
    [Output]
    public bool Sign { get; set; }

    private protected override async Task RunAsync(CancellationToken cancel)
    {
        string asked = Setting.OneOf(nameof(SignContainer), SignContainer, "false", "true", "auto");
        if (!PublishesContainer)
        {
            return;
        }
        // These mean something without a signature, too.
        Setting.NotYetTrue(nameof(VerifyContainerBaseImage), VerifyContainerBaseImage);
        RefuseAttestations();
        if (asked == "false")
        {
            return;
        }

        SigningSettings settings = ReadSettings();
        SigningOccasion occasion = SigningOccasion.Find(asked, settings.OidcProvider, EnvironmentVariable);
        if (occasion.WhyNot is { } whyNot)
        {
            Say(MessageImportance.High, $"Keyless.MSBuild: SignContainer is auto, and the image is not signed: {whyNot}");
            return;
        }

        SigstoreInstance instance = await GetInstanceAsync(settings.Source, signing: true, cancel);
        occasion.MustBeUsable(Time.GetUtcNow(), instance.TrustedRoot, settings.AcceptPublicLog);
        CheckServices(instance, settings.AllowHttp);
        if (ContainerArchiveOutputPath.Length > 0)
        {
            throw new ConfigurationException(Diagnostics.NoRegistry, $"ContainerArchiveOutputPath is '{ContainerArchiveOutputPath}', and an archive has no place for a signature");
        }

        if (ContainerRegistry.Length == 0)
        {
            throw new ConfigurationException(Diagnostics.NoRegistry, "ContainerRegistry is empty, so the image goes to the local daemon, where there is no place for a signature");
        }

        ReadRepository();
        Sign = true;
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
