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

    /// <summary>More refusals than this hide the build around them, so the others are messages of less importance; strangers choose how many there are.</summary>
    private const int ShownRefusals = 10;

    public string ProjectName { get; set; } = "";

    /// <summary>The property that makes verifying a part of every build.</summary>
    public string VerifyContainerImages { get; set; } = "";

    /// <summary>
    /// References to images.
    /// <list type="table">
    /// <item><term>CertificateIdentity[Regexp], CertificateOidcIssuer[Regexp]</term><description>who has to have signed, and who vouches for that</description></item>
    /// <item><term>GitHubRepository and the other GitHub names</term><description>the short form for workflows</description></item>
    /// <item><term>PublicKey</term><description>the path of a PEM file instead, for managed keys</description></item>
    /// <item><term>Annotations, PredicateType</term><description>what has to be signed</description></item>
    /// <item><term>Proofs</term><description>what witnessed it: <c>log</c>, or <c>timestamp</c> for instances without logs</description></item>
    /// <item><term>MinSignatures, MaxAge</term><description>how many different signers; how long ago at most, a TimeSpan</description></item>
    /// <item><term>Recursive</term><description><c>true</c>: of an index, every manifest in it as well</description></item>
    /// <item><term>Mode</term><description><c>enforce</c> or <c>warn</c></description></item>
    /// <item><term>Policy</term><description>the name of a <c>ContainerTrustPolicy</c>, instead of all of these</description></item>
    /// </list>
    /// </summary>
    public ITaskItem[] ContainerImagesToVerify { get; set; } = [];

    /// <summary>Policies by name; of several with one name any suffices. The metadata is that of <see cref="ContainerImagesToVerify"/>, but for Recursive.</summary>
    public ITaskItem[] ContainerTrustPolicies { get; set; } = [];

    public ITaskItem[] ContainerManifestFiles { get; set; } = [];

    public string ContainerVerificationReport { get; set; } = "";

    /// <summary>Where the list of all refused signatures is kept, in <c>keyless/refused-images.txt</c>.</summary>
    public string IntermediateOutputPath { get; set; } = "";

    /// <summary>Where signatures are looked for instead of beside each image, <c>registry/repository</c>.</summary>
    public string ContainerSigningRepository { get; set; } = "";

    public string ContainerPinnedImagesFile { get; set; } = "";

    public string ContainerVerificationCache { get; set; } = "";

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

    private protected override async Task RunAsync(CancellationToken cancel)
    {
        string report = CheckProperties();
        ImageReference? signatures = Setting.Repository(nameof(ContainerSigningRepository), ContainerSigningRepository);
        var policies = new TrustPolicies(ContainerTrustPolicies, Time.GetUtcNow(), PathOf, Warn);
        ImageToVerify[] images = ReadImages(policies);
        IReadOnlyList<TrustedRoot> roots = await GetTrustedRootsAsync(cancel);
        policies.RequireFitting(roots);

        using HttpClient client = CreateRegistryClient();
        using var registries = new Registries(client, EnvironmentVariable, RegistryAccess.Pull, new RegistrySettings(Time, Note), signatures);
        var verifier = new ImageVerifier(new Verifier(roots), registries, Time);

        var verdicts = new IReadOnlyList<ImageVerdict>?[images.Length];
        var failures = new ConcurrentDictionary<int, Exception>();
        await Parallel.ForAsync(0, images.Length, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancel }, async (i, each) =>
        {
            try
            {
                verdicts[i] = await verifier.VerifyAsync(images[i], each);
            }
            catch (Exception e) when (Diagnostic.From(e) is not null)
            {
                failures[i] = e;
            }
        });

        IReadOnlyList<ImageVerdict>[] reached = [.. verdicts.OfType<IReadOnlyList<ImageVerdict>>()];
        string refused = KeepRefused([.. reached.SelectMany(image => image).Where(verdict => verdict.Quorum is null)]);
        foreach (IReadOnlyList<ImageVerdict> image in reached)
        {
            Say(image, refused);
        }

        SayFailures(failures.OrderBy(failure => failure.Key).Select(failure => (images[failure.Key].Reference, failure.Value)));
        if (report.Length > 0)
        {
            WholeFile.Write(nameof(ContainerVerificationReport), report, VerificationReport.Write(reached.SelectMany(image => image)));
        }

        VerifiedContainerImages = [.. reached.Where(image => image.All(verdict => verdict.Quorum is not null)).Select(image => ToItem(image[0], image[0].Quorum!))];
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

    private ImageToVerify[] ReadImages(TrustPolicies policies)
    {
        if (ContainerImagesToVerify.Length == 0)
        {
            throw new ConfigurationException(Diagnostics.NothingToVerify, "there is nothing to verify: the project has no ContainerImageToVerify");
        }

        policies.ReadAll();
        return
        [
            .. ContainerImagesToVerify.Select(item =>
            {
                try
                {
                    return new ImageToVerify(
                        ImageReference.Parse(item.ItemSpec), policies.For(item), Setting.IsTrue($"Recursive of ContainerImageToVerify '{item.ItemSpec}'", item.GetMetadata("Recursive")));
                }
                catch (FormatException e)
                {
                    throw new ConfigurationException(Diagnostics.MalformedReference, $"ContainerImageToVerify '{item.ItemSpec}' cannot be used: {e.Message}", e);
                }
            }),
        ];
    }

    private async Task<IReadOnlyList<TrustedRoot>> GetTrustedRootsAsync(CancellationToken cancel)
    {
        SigstoreInstance instance = await GetInstanceAsync(ReadSource(), signing: false, cancel);
        TrustedRoot[] roots = [instance.TrustedRoot, .. instance.OtherTrustedRoots];
        foreach (string warning in roots.SelectMany(root => root.Warnings).Distinct(StringComparer.Ordinal))
        {
            Warn(new Diagnostic(Diagnostics.UnusedTrust, warning));
        }

        return roots;
    }

    /// <summary>Keeps the whole list where the terminal logger cannot hide it.</summary>
    /// <returns>The file's path as people read it; empty where there is nothing to keep, or no place.</returns>
    private string KeepRefused(IReadOnlyList<ImageVerdict> refused)
    {
        string path = Path.Combine(IntermediateOutputPath.Length == 0 ? "obj" : IntermediateOutputPath, "keyless", "refused-images.txt");
        string file = PathOf(nameof(IntermediateOutputPath), path);
        try
        {
            if (refused.Count > 0)
            {
                WholeFile.Write("the list of refused signatures", file, VerdictText.Write(refused));
                return path;
            }

            // What an earlier build refused is no longer so.
            File.Delete(file);
        }
        catch (ConfigurationException e)
        {
            // The verdict is the news.
            Warn(new Diagnostic(e.Kind, e.Message));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // An old list that nobody points at does no harm, and where there is no folder there is none.
        }

        return "";
    }

    /// <param name="image">What was asked, and what is in it.</param>
    /// <param name="list">The file that has all refused signatures; empty if there is none.</param>
    private void Say(IReadOnlyList<ImageVerdict> image, string list)
    {
        ImageVerdict[] refused = [.. image.Where(verdict => verdict.Quorum is null)];
        foreach (ImageVerdict verdict in image)
        {
            if (verdict.Quorum is { } quorum)
            {
                SayAccepted(verdict, quorum);
            }
            else
            {
                SaySignatures(verdict, list);
            }
        }

        if (refused.Length == 0)
        {
            string within = image.Count == 1 ? "" : string.Create(CultureInfo.InvariantCulture, $", with {image.Count - 1} manifests in it");
            Say(MessageImportance.High, $"{ProjectName} -> {image[0].Pinned} (verified: signed {string.Join(", ", image[0].Quorum!.Signatures.Select(signature => VerdictText.Accepted(signature.Signature)))}{within})");
            return;
        }

        string others = refused.Length == 1 ? "" : string.Create(CultureInfo.InvariantCulture, $"; {refused.Length - 1} more of its manifests are refused");
        string where = list.Length == 0 || refused.All(verdict => verdict.Signatures.Count == 0) ? "" : $"; every signature is listed in {list}";
        string text = $"{VerdictText.Refusal(refused[0])}{others}{where}";
        DiagnosticKind kind = refused[0].Refusal is null ? Diagnostics.Unsigned : Diagnostics.Refused;
        if (refused[0].Policy.Warn)
        {
            Warn(new Diagnostic(kind, $"{text}; Mode is warn, so the build goes on, and the image does not count as verified"));
        }
        else
        {
            Error(new Diagnostic(kind, text));
        }
    }

    private void SayAccepted(ImageVerdict verdict, Quorum quorum)
    {
        Say(MessageImportance.Normal, $"  checks performed on the signature of {VerdictText.Name(verdict)}:");
        foreach (string check in quorum.Checks)
        {
            Say(MessageImportance.Normal, $"  - {check}");
        }

        foreach (string warning in quorum.Signatures.SelectMany(signature => signature.Signature.Warnings).Distinct())
        {
            Warn(new Diagnostic(Diagnostics.Odd, $"{verdict.Image}: {warning}"));
        }
    }

    private void SaySignatures(ImageVerdict verdict, string list)
    {
        foreach ((int i, SignatureVerdict signature) in verdict.Signatures.Index())
        {
            Say(i < ShownRefusals ? MessageImportance.High : MessageImportance.Normal, $"  {VerdictText.Name(verdict)}: {VerdictText.Line(signature)}");
        }

        if (verdict.Signatures.Count > ShownRefusals)
        {
            Say(MessageImportance.High, string.Create(CultureInfo.InvariantCulture, $"  {VerdictText.Name(verdict)}: and {verdict.Signatures.Count - ShownRefusals} more{(list.Length == 0 ? "" : $", all in {list}")}"));
        }
    }

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
