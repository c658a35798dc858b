using Keyless.Oci;
using Microsoft.Build.Framework;

namespace Keyless.MSBuild;

/// <summary>
/// Verifies the image that a published one is built on, before it is pulled, and says by which reference nothing but what was verified is pulled.
/// </summary>
[MSBuildMultiThreadableTask]
public sealed class KeylessVerifyBaseImage : VerifyingTask
{
    /// <summary>The property that asks for it.</summary>
    [Required]
    public string VerifyContainerBaseImage { get; set; } = "";

    /// <summary>Absolute; where the image is said to be named if no line of it does.</summary>
    [Required]
    public string ProjectFile { get; set; } = "";

    /// <summary>As the project has it, or as the SDK chose it.</summary>
    public string ContainerBaseImage { get; set; } = "";

    /// <summary>The name of the policy that says who may have signed it.</summary>
    public string ContainerBaseImageTrustPolicy { get; set; } = "";

    /// <summary><c>registry/repository:tag@digest</c>; empty where the image does not satisfy its policy and that is a warning.</summary>
    [Output]
    public string PinnedBaseImage { get; set; } = "";

    private protected override string TargetName => nameof(VerifyContainerBaseImage);

    private protected override string ListOfRefused => "refused-base-image.txt";

    private protected override async Task RunAsync(CancellationToken cancel)
    {
        if (!Setting.IsTrue(nameof(VerifyContainerBaseImage), VerifyContainerBaseImage))
        {
            return;
        }

        ImageOutcome outcome = (await VerifyAsync(policies => [Read(policies)], cancel))[0];
        if (outcome.IsVerified)
        {
            PinnedBaseImage = outcome.Image.Reference.PinnedWithTag(outcome.Verdicts[0].Digest);
        }
    }

    private ImageToVerify Read(TrustPolicies policies)
    {
        if (ContainerBaseImageTrustPolicy.Length == 0)
        {
            throw new ConfigurationException(Diagnostics.NoIdentityInPolicy,
                $"{nameof(VerifyContainerBaseImage)} is true and {nameof(ContainerBaseImageTrustPolicy)} is empty; it is the name of the ContainerTrustPolicy that says who may have signed the base image");
        }

        Position position = ItemPositions.OfProperty(ProjectFile, nameof(ContainerBaseImage), ContainerBaseImage);
        try
        {
            return new ImageToVerify(
                ImageReference.Parse(ContainerBaseImage), policies.Named(nameof(ContainerBaseImageTrustPolicy), ContainerBaseImageTrustPolicy), Recursive: false, [position])
            {
                Role = $"the base image ({nameof(ContainerBaseImage)}) ",
            };
        }
        catch (FormatException e)
        {
            throw new ConfigurationException(Diagnostics.MalformedReference, $"{nameof(ContainerBaseImage)} '{ContainerBaseImage}' cannot be used: {e.Message}", e) { Position = position };
        }
    }
}
