using System.Globalization;
using Keyless.Sigstore;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild;

/// <summary>Verifies images against the policies that the project gives for them, and says of each refused one why.</summary>
[MSBuildMultiThreadableTask]
public sealed class KeylessVerifyContainer : VerifyingTask
{
    /// <summary>Which calls it.</summary>
    internal const string Target = "VerifyContainerImages";

    /// <summary>The property that makes verifying a part of every build.</summary>
    public string VerifyContainerImages { get; set; } = "";

    /// <summary>
    /// References to images.
    /// <list type="table">
    /// <item><term>Policy</term><description>the name of a <c>ContainerTrustPolicy</c>, or instead of it the metadata of <see cref="VerifyingTask.ContainerTrustPolicies"/></description></item>
    /// <item><term>Recursive</term><description><c>true</c>: of an index, every manifest in it as well</description></item>
    /// </list>
    /// </summary>
    public ITaskItem[] ContainerImagesToVerify { get; set; } = [];

    /// <summary>
    /// Compose files, Kubernetes manifests, Helm values (docs/manifests.md).
    /// <list type="table">
    /// <item><term>Policy</term><description>the name of a <c>ContainerTrustPolicy</c>, for every image in it</description></item>
    /// <item><term>PinnedOutput</term><description>a path: the same file, with digests</description></item>
    /// <item><term>ImagePath</term><description>further fields that are images, separated by semicolons</description></item>
    /// <item><term>Recursive</term><description>as of <see cref="ContainerImagesToVerify"/></description></item>
    /// </list>
    /// </summary>
    public ITaskItem[] ContainerManifestFiles { get; set; } = [];

    public string ContainerPinnedImagesFile { get; set; } = "";

    /// <summary>
    /// One item for each image whose policy is satisfied: the identity is <c>registry/repository@digest</c>.
    /// <list type="table">
    /// <item><term>Reference, Digest, Policy</term><description>as asked; what that was; the policy's name, if it has one</description></item>
    /// <item><term>CertificateIdentity, CertificateOidcIssuer, SignedAt, LogIndex</term><description>of the signature that was accepted</description></item>
    /// <item><term>Format, PredicateType</term><description><c>bundle</c>, <c>legacy</c> or <c>oci11</c>; what was signed</description></item>
    /// </list>
    /// </summary>
    [Output]
    public ITaskItem[] VerifiedContainerImages { get; set; } = [];

    private protected override string TargetName => Target;

    private protected override async Task RunAsync(CancellationToken cancel)
    {
        Setting.IsTrue(nameof(VerifyContainerImages), VerifyContainerImages);
        var build = new VerifiedInBuild(BuildEngine, VerifiedInBuild.Question(
            [
                ProjectDirectory, ProjectName, ContainerVerificationReport, ContainerSigningRepository, ContainerVerificationCache, ContainerPinnedImagesFile, ContainerSigningCIOutput,
                SigstoreInstance, SigstoreTrustedRoot, SigstoreTufUrl, SigstoreTufRoot, SigstoreCacheDirectory, SigstoreOffline, SigstoreAllowHttp,
            ],
            [ContainerImagesToVerify, ContainerTrustPolicies, ContainerManifestFiles],
            [
                .. ContainerManifestFiles.Select(file => PathOf("ContainerManifestFile", file.ItemSpec)),
                .. ContainerImagesToVerify.Concat(ContainerTrustPolicies).Select(item => item.GetMetadata("PublicKey")).Where(path => path.Length > 0).Select(path => PathOf("PublicKey", path)),
                .. new[] { (nameof(SigstoreTrustedRoot), SigstoreTrustedRoot), (nameof(SigstoreTufRoot), SigstoreTufRoot), (nameof(SigstoreInstance), SigstoreSource.IsName(SigstoreInstance) ? "" : SigstoreInstance) }
                    .Where(file => file.Item2.Length > 0).Select(file => PathOf(file.Item1, file.Item2)),
            ]));
        if (build.Items is { } before)
        {
            Note("everything was verified already in this build");
            VerifiedContainerImages = before;
            return;
        }

        RequireApart();
        PinnedImagesFile? pinned = ContainerPinnedImagesFile.Length == 0 ? null
            : PinnedImagesFile.Of(PathOf(nameof(ContainerPinnedImagesFile), ContainerPinnedImagesFile), Path.Combine(ProjectDirectory, ProjectName), CiSystem.Find(EnvironmentVariable).Run);
        await (pinned?.PrepareAsync(cancel) ?? Task.CompletedTask);

        ImagesToVerify? asked = null;
        IReadOnlyList<ImageOutcome> outcomes = await VerifyAsync(
            policies => (asked = new ImagesToVerify(ContainerImagesToVerify, ContainerManifestFiles, policies, PathOf, Warn)).Images, cancel);
        ImageVerdict[] verified = [.. outcomes.Where(outcome => outcome.IsVerified).Select(outcome => outcome.Verdicts[0])];
        VerifiedContainerImages = [.. verified.Select(verdict => ToItem(verdict, verdict.Quorum!))];
        // One image that is refused, and nothing of this project is deployed by these files.
        if (Log.HasLoggedErrors)
        {
            return;
        }

        // All or nothing: what can be wrong with the content of one is found before another is written.
        Action writePinned = asked!.Pin(outcomes);
        if (pinned is not null)
        {
            await pinned.MergeAsync([.. verified.Select(verdict => new PinnedImage(verdict.Image, verdict.Digest, verdict.Policy.Name))], cancel);
        }

        writePinned();
        build.Keep(VerifiedContainerImages);
    }

    /// <summary>
    /// Of two things that are written to one file the later would take the place of the other, without a word. Paths that differ in case only are one
    /// file on some systems.
    /// </summary>
    private void RequireApart()
    {
        IEnumerable<(string Name, string Path)> written =
        [
            (nameof(ContainerVerificationReport), ContainerVerificationReport),
            (nameof(ContainerPinnedImagesFile), ContainerPinnedImagesFile),
            .. ContainerManifestFiles.Select(file => ($"PinnedOutput of ContainerManifestFile '{file.ItemSpec}'", file.GetMetadata("PinnedOutput"))),
        ];
        if (written.Where(one => one.Path.Length > 0).GroupBy(one => PathOf(one.Name, one.Path), StringComparer.OrdinalIgnoreCase).FirstOrDefault(same => same.Count() > 1) is { } twice)
        {
            throw new ConfigurationException(Diagnostics.Contradiction, $"{string.Join(" and ", twice.Select(one => one.Name))} are one file, '{twice.Key}'; give each its own");
        }
    }

    /// <summary>Of several signers the first stands for all: the report has the others.</summary>
    private static TaskItem ToItem(ImageVerdict verdict, Quorum quorum)
    {
        (string format, VerifiedSignature accepted) = quorum.Signatures[0];
        return Item.Of(verdict.Pinned,
            ("Reference", verdict.Image.Text),
            ("Digest", verdict.Digest.ToString()),
            ("CertificateIdentity", accepted.Signer?.Subject ?? ""),
            ("CertificateOidcIssuer", accepted.Signer?.Issuer ?? ""),
            ("SignedAt", VerificationReport.Format(accepted.SignedAt)),
            ("LogIndex", accepted.LogIndex?.ToString(CultureInfo.InvariantCulture) ?? ""),
            ("Format", format),
            ("PredicateType", accepted.PredicateType ?? ""),
            ("Policy", verdict.Policy.Name ?? ""));
    }
}
