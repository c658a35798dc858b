using System.Collections.Concurrent;
using System.Globalization;
using Keyless.Oci;
using Keyless.Sigstore;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild;

/// <summary>Verifies images against the policies that the project gives for them, and says of each refused one why.</summary>
[MSBuildMultiThreadableTask]
public sealed class KeylessVerifyContainer : SigstoreTask
{
    /// <summary>More at once only queue up at the registry.</summary>
    private const int AtOnce = 8;

    /// <summary>More refusals than this hide the build around them; strangers choose how many there are.</summary>
    private const int ShownRefusals = 10;

    public string ProjectName { get; set; } = "";

    /// <summary>The property that makes verifying a part of every build.</summary>
    public string VerifyContainerImages { get; set; } = "";

    /// <summary>
    /// References to images.
    /// <list type="table">
    /// <item><term>CertificateIdentity[Regexp], CertificateOidcIssuer[Regexp]</term><description>who has to have signed, and who vouches for that</description></item>
    /// <item><term>GitHubRepository and the other GitHub names</term><description>the short form for workflows</description></item>
    /// <item><term>Annotations, PredicateType</term><description>what has to be signed</description></item>
    /// <item><term>Mode</term><description><c>enforce</c> or <c>warn</c></description></item>
    /// <item><term>Policy</term><description>the name of a <c>ContainerTrustPolicy</c>, instead of all of these</description></item>
    /// </list>
    /// </summary>
    public ITaskItem[] ContainerImagesToVerify { get; set; } = [];

    /// <summary>Policies by name; of several with one name any suffices. The metadata is that of <see cref="ContainerImagesToVerify"/>.</summary>
    public ITaskItem[] ContainerTrustPolicies { get; set; } = [];

    public ITaskItem[] ContainerManifestFiles { get; set; } = [];

    public string ContainerVerificationReport { get; set; } = "";

    public string ContainerPinnedImagesFile { get; set; } = "";

    public string ContainerVerificationCache { get; set; } = "";

    /// <summary>
    /// One item for each image whose policy is satisfied: the identity is <c>registry/repository@digest</c>.
    /// <list type="table">
    /// <item><term>Reference, Digest, Policy</term><description>as asked; what that was; the policy's name, if it has one</description></item>
    /// <item><term>CertificateIdentity, CertificateOidcIssuer, SignedAt, LogIndex</term><description>of the signature that was accepted</description></item>
    /// <item><term>Format, PredicateType</term><description><c>bundle</c>; what was signed</description></item>
    /// </list>
    /// </summary>
    [Output]
    public ITaskItem[] VerifiedContainerImages { get; set; } = [];

    private protected override async Task RunAsync(CancellationToken cancel)
    {
        string report = CheckProperties();
        (ImageReference Image, TrustPolicy Policy)[] images = ReadImages();
        TrustedRoot root = await GetTrustedRootAsync(cancel);

        using HttpClient client = CreateRegistryClient();
        using var registries = new Registries(client, new RegistryCredentials(EnvironmentVariable, RegistryAccess.Pull), new RegistrySettings(Time, Note));
        var verifier = new ImageVerifier(new Verifier(root), registries, Time);

        var verdicts = new ImageVerdict?[images.Length];
        var failures = new ConcurrentDictionary<int, Exception>();
        await Parallel.ForAsync(0, images.Length, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancel }, async (i, each) =>
        {
            try
            {
                verdicts[i] = await verifier.VerifyAsync(images[i].Image, images[i].Policy, each);
            }
            catch (Exception e) when (Diagnostic.From(e) is not null)
            {
                failures[i] = e;
            }
        });

        ImageVerdict[] reached = [.. verdicts.OfType<ImageVerdict>()];
        foreach (ImageVerdict verdict in reached)
        {
            Say(verdict);
        }

        SayFailures(failures.OrderBy(failure => failure.Key).Select(failure => (images[failure.Key].Image, failure.Value)));
        if (report.Length > 0)
        {
            WholeFile.Write(nameof(ContainerVerificationReport), report, VerificationReport.Write(reached));
        }

        VerifiedContainerImages = [.. reached.Where(verdict => verdict.Accepted is not null).Select(ToItem)];
    }

    /// <returns>The absolute path of the report; empty if none is asked for.</returns>
    private string CheckProperties()
    {
        Setting.IsTrue(nameof(VerifyContainerImages), VerifyContainerImages);
        Setting.NotYet("ContainerManifestFile", ContainerManifestFiles);
        Setting.NotYet(nameof(ContainerPinnedImagesFile), ContainerPinnedImagesFile);
        Setting.NotYetTrue(nameof(ContainerVerificationCache), ContainerVerificationCache);
        if (ContainerVerificationReport.Length == 0)
        {
            return "";
        }

        return Path.GetExtension(ContainerVerificationReport).ToLowerInvariant() switch
        {
            ".json" => PathOf(nameof(ContainerVerificationReport), ContainerVerificationReport),
            ".md" or ".sarif" => throw new ConfigurationException(Diagnostics.NotYet, $"{nameof(ContainerVerificationReport)} is '{ContainerVerificationReport}', a form that is not built yet; .json is"),
            _ => throw new ConfigurationException(Diagnostics.UnknownValue, $"{nameof(ContainerVerificationReport)} is '{ContainerVerificationReport}'; expected a path that ends in .json"),
        };
    }

    private (ImageReference, TrustPolicy)[] ReadImages()
    {
        if (ContainerImagesToVerify.Length == 0)
        {
            throw new ConfigurationException(Diagnostics.NothingToVerify, "there is nothing to verify: the project has no ContainerImageToVerify");
        }

        var policies = new TrustPolicies(ContainerTrustPolicies, Warn);
        policies.CheckAll();
        return
        [
            .. ContainerImagesToVerify.Select(item =>
            {
                try
                {
                    return (ImageReference.Parse(item.ItemSpec), policies.For(item));
                }
                catch (FormatException e)
                {
                    throw new ConfigurationException(Diagnostics.MalformedReference, $"ContainerImageToVerify '{item.ItemSpec}' cannot be used: {e.Message}", e);
                }
            }),
        ];
    }

    private async Task<TrustedRoot> GetTrustedRootAsync(CancellationToken cancel)
    {
        TrustedRoot root = (await GetInstanceAsync(ReadSource(), signing: false, cancel)).TrustedRoot;
        foreach (string warning in root.Warnings)
        {
            Warn(new Diagnostic(Diagnostics.UnusedTrust, warning));
        }

        return root;
    }

    private void Say(ImageVerdict verdict)
    {
        if (verdict.Accepted is { } accepted)
        {
            Say(MessageImportance.High, $"{ProjectName} -> {verdict.Pinned} (verified: signed by {accepted.SignedBy}{At(accepted.SignedAt)})");
            Say(MessageImportance.Normal, $"  checks performed on the signature of {verdict.Image}:");
            foreach (string check in accepted.Checks)
            {
                Say(MessageImportance.Normal, $"  - {check}");
            }

            foreach (string warning in accepted.Warnings)
            {
                Warn(new Diagnostic(Diagnostics.Odd, $"{verdict.Image}: {warning}"));
            }

            return;
        }

        foreach (SignatureVerdict signature in verdict.Signatures.Take(ShownRefusals))
        {
            Say(MessageImportance.High, $"  {verdict.Image}: signature {signature.Reference}{By(signature.Refusal!)} refused ({signature.Refusal!.Reason}): {signature.Refusal.Message}");
        }

        if (verdict.Signatures.Count > ShownRefusals)
        {
            Say(MessageImportance.High, string.Create(CultureInfo.InvariantCulture, $"  {verdict.Image}: and {verdict.Signatures.Count - ShownRefusals} more, all in the report (ContainerVerificationReport)"));
        }

        Diagnostic refusal = verdict.Nearest?.Refusal is { } nearest
            ? new Diagnostic(Diagnostics.Refused, $"{Name(verdict)}: {Count(verdict.Signatures.Count)}{By(nearest)} is refused ({nearest.Reason}): {nearest.Message}")
            : new Diagnostic(Diagnostics.Unsigned, $"{Name(verdict)} is not signed: the registry has no Sigstore bundle attached to it");
        if (verdict.Policy.Warn)
        {
            Warn(refusal with { Text = $"{refusal.Text}; Mode is warn, so the build goes on, and the image does not count as verified" });
        }
        else
        {
            Error(refusal);
        }
    }

    private static string Name(ImageVerdict verdict) =>
        verdict.Image.Digest is null ? $"{verdict.Image} ({verdict.Digest})" : verdict.Image.Text;

    private static string Count(int signatures) =>
        signatures == 1 ? "no signature satisfies the policy; the only one found" : string.Create(CultureInfo.InvariantCulture, $"none of {signatures} signatures satisfies the policy; the nearest");

    private static string At(DateTimeOffset? moment) => moment is null ? "" : $" at {VerificationReport.Format(moment)}";

    private static string By(VerificationException refusal) => refusal.Signer is { } signer ? $" by {signer.Subject}" : "";

    /// <summary>A registry that is down is one error, however many images were expected from it.</summary>
    private void SayFailures(IEnumerable<(ImageReference Image, Exception Failure)> failures)
    {
        foreach (var alike in failures.GroupBy(failure => failure.Failure is RegistryException { Failure: RegistryFailure.Unreachable }
            ? failure.Image.Registry
            : $"{failure.Image}: {failure.Failure.Message}", StringComparer.Ordinal))
        {
            (ImageReference image, Exception failure) = alike.First();
            Diagnostic known = Diagnostic.From(failure)!;
            int others = alike.Select(other => other.Image.Text).Distinct(StringComparer.Ordinal).Count() - 1;
            string more = others == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $" and {others} more");
            Error(known with { Text = $"{image}{more}: {known.Text}" });
        }
    }

    private void Note(string note) => Say(MessageImportance.Normal, $"Keyless.MSBuild: {note}");

    private static TaskItem ToItem(ImageVerdict verdict)
    {
        VerifiedSignature accepted = verdict.Accepted!;
        return Item.Of(verdict.Pinned,
            ("Reference", verdict.Image.Text),
            ("Digest", verdict.Digest.ToString()),
            ("CertificateIdentity", accepted.Signer?.Subject ?? ""),
            ("CertificateOidcIssuer", accepted.Signer?.Issuer ?? ""),
            ("SignedAt", VerificationReport.Format(accepted.SignedAt)),
            ("LogIndex", accepted.LogIndex?.ToString(CultureInfo.InvariantCulture) ?? ""),
            ("Format", "bundle"),
            ("PredicateType", accepted.PredicateType ?? ""),
            ("Policy", verdict.Policy.Name ?? ""));
    }
}
