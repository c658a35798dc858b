using System.Globalization;
using Keyless.Oci;
using Keyless.Sigstore;
using Microsoft.Build.Framework;

namespace Keyless.MSBuild;

/// <summary>A task that has images verified: what it asks the project for beside them, and how it says what became of each.</summary>
public abstract class VerifyingTask : SigstoreTask
{
    /// <summary>Three requests wait for each other for an image, so a hundred images wait twice three times. Each more would cost a connection.</summary>
    private const int AtOnce = 64;

    /// <summary>More refusals than this hide the build around them, so the others are messages of less importance; strangers choose how many there are.</summary>
    private const int ShownRefusals = 10;

    /// <summary>Who waits longer than this wants to know what for.</summary>
    private static readonly TimeSpan ProgressEvery = TimeSpan.FromSeconds(5);

    /// <summary>Fetching anew costs nobody a signature, so whoever waits longer had better build again.</summary>
    private static readonly TimeSpan ForRetries = TimeSpan.FromSeconds(30);

    private protected VerifyingTask() { }

    /// <summary>How long what fails for the moment is tried again altogether; zero: not at all.</summary>
    internal TimeSpan RetryBudget { get; set; } = ForRetries;

    public string ProjectName { get; set; } = "";

    /// <summary>
    /// Policies by name; of several with one name any suffices.
    /// <list type="table">
    /// <item><term>CertificateIdentity[Regexp], CertificateOidcIssuer[Regexp]</term><description>who has to have signed, and who vouches for that</description></item>
    /// <item><term>GitHubRepository and the other GitHub names</term><description>the short form for workflows</description></item>
    /// <item><term>PublicKey</term><description>the path of a PEM file instead, for managed keys</description></item>
    /// <item><term>Annotations, PredicateType</term><description>what has to be signed</description></item>
    /// <item><term>Proofs</term><description>what witnessed it: <c>log</c>, or <c>timestamp</c> for instances without logs</description></item>
    /// <item><term>MinSignatures, MaxAge</term><description>how many different signers; how long ago at most, a TimeSpan</description></item>
    /// <item><term>Mode</term><description><c>enforce</c> or <c>warn</c></description></item>
    /// </list>
    /// </summary>
    public ITaskItem[] ContainerTrustPolicies { get; set; } = [];

    /// <summary>A path that ends in <c>.json</c>, <c>.md</c> or <c>.sarif</c>.</summary>
    public string ContainerVerificationReport { get; set; } = "";

    public string ContainerSigningCIOutput { get; set; } = "";

    /// <summary>Where the list of all refused signatures is kept, in <c>keyless/</c>.</summary>
    public string IntermediateOutputPath { get; set; } = "";

    /// <summary>Where signatures are looked for instead of beside each image, <c>registry/repository</c>.</summary>
    public string ContainerSigningRepository { get; set; } = "";

    public string ContainerVerificationCache { get; set; } = "";

    /// <summary>The public target that has the images verified; in a report it tells apart what one project asks for.</summary>
    private protected abstract string TargetName { get; }

    /// <summary>The file, below <c>keyless/</c>, with all refused signatures.</summary>
    private protected virtual string ListOfRefused => "refused-images.txt";

    /// <summary>Reads what is asked, looks for signatures of all images side by side, and says of each what became of it.</summary>
    /// <param name="read">The images, in the order in which they are to be spoken of.</param>
    /// <returns>In that order.</returns>
    private protected async Task<IReadOnlyList<ImageOutcome>> VerifyAsync(Func<TrustPolicies, IReadOnlyList<ImageToVerify>> read, CancellationToken cancel)
    {
        var ci = CiSystem.Find(EnvironmentVariable);
        // First of all, so that nothing of an earlier build stays in it, whatever else is wrong.
        VerificationReport? report = await PrepareReportAsync(ci, cancel);
        KeptSignatures? kept = Setting.IsTrue(nameof(ContainerVerificationCache), ContainerVerificationCache) ? new KeptSignatures(PathOf(nameof(IntermediateOutputPath), Path.Combine(OwnFolder, "verified"))) : null;
        bool writesCIOutput = Setting.IsTrueOrEmpty(nameof(ContainerSigningCIOutput), ContainerSigningCIOutput);
        ImageReference? signatures = Setting.Repository(nameof(ContainerSigningRepository), ContainerSigningRepository);
        var policies = new TrustPolicies(ContainerTrustPolicies, Time.GetUtcNow(), PathOf, Warn);
        policies.ReadAll();
        IReadOnlyList<ImageToVerify> images = read(policies);
        Retrying? retries = RetryBudget > TimeSpan.Zero ? CreateRetries() : null;
        IReadOnlyList<TrustedRoot> roots = await GetTrustedRootsAsync(retries, cancel);
        policies.RequireFitting(roots);

        using HttpClient client = CreateRegistryClient();
        using var registries = new Registries(client, EnvironmentVariable, RegistryAccess.Pull, new RegistrySettings(Time, Note, retries), signatures);
        ImageOutcome[] outcomes = await VerifyAsync(images, new ImageVerifier(new Verifier(roots), registries, Time, kept), cancel);

        IReadOnlyList<SaidProblem> said = Say(outcomes, KeepRefused([.. outcomes.SelectMany(outcome => outcome.Verdicts).Where(verdict => verdict.Quorum is null)]));
        await PublishAsync(Project(ci, outcomes), report, writesCIOutput ? ci.Kind : CiKind.None, said, cancel);
        return outcomes;
    }

    private async Task<ImageOutcome[]> VerifyAsync(IReadOnlyList<ImageToVerify> images, ImageVerifier verifier, CancellationToken cancel)
    {
        var outcomes = new ImageOutcome[images.Count];
        var progress = new Progress(images.Count, Time, text => Say(MessageImportance.High, $"Keyless.MSBuild: {text}"));
        await Parallel.ForAsync(0, images.Count, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancel }, async (i, each) =>
        {
            outcomes[i] = await VerifyAsync(images[i], verifier, each);
            progress.Advance();
        });
        return outcomes;
    }

    /// <summary>What fails for one image says nothing about the others.</summary>
    private static async Task<ImageOutcome> VerifyAsync(ImageToVerify image, ImageVerifier verifier, CancellationToken cancel)
    {
        try
        {
            IReadOnlyList<ImageVerdict> verdicts = await verifier.VerifyAsync(image, cancel);
            return new ImageOutcome(image, verdicts, VerdictText.Problem(image, verdicts));
        }
        catch (Exception e) when (Diagnostic.From(e) is { } known)
        {
            return new ImageOutcome(image, [], known with { Text = $"{image.Role}{image.Reference}: {known.Text}", Position = image.Position });
        }
    }

    /// <summary>The file of <see cref="ContainerVerificationReport"/>, which can be written; null where none is asked for.</summary>
    /// <exception cref="ConfigurationException">It cannot be written, or is another kind of file.</exception>
    private async Task<VerificationReport?> PrepareReportAsync(CiSystem ci, CancellationToken cancel)
    {
        if (ContainerVerificationReport.Length == 0)
        {
            return null;
        }

        VerificationReport.IForm form = Path.GetExtension(ContainerVerificationReport).ToLowerInvariant() switch
        {
            ".json" => new VerificationJson(),
            ".md" => new VerificationPage(),
            ".sarif" => new VerificationSarif(SourceRoot.Find(EnvironmentVariable, ProjectDirectory), passes: ci.Kind != CiKind.GitHubActions),
            _ => throw new ConfigurationException(Diagnostics.UnknownValue, $"{nameof(ContainerVerificationReport)} is '{ContainerVerificationReport}'; expected a path that ends in .json, .md or .sarif"),
        };
        var report = new VerificationReport(PathOf(nameof(ContainerVerificationReport), ContainerVerificationReport), form);
        await report.PrepareAsync(Project(ci, []), cancel);
        return report;
    }

    private VerifiedProject Project(CiSystem ci, IReadOnlyList<ImageOutcome> outcomes) => new(ProjectName, Path.Combine(ProjectDirectory, ProjectName), TargetName, ci.Run, outcomes);

    /// <summary>The verdicts stand by now; who was promised a file and gets none has to know all the same.</summary>
    /// <param name="ci">What is to be told of them; none where that is switched off.</param>
    private async Task PublishAsync(VerifiedProject project, VerificationReport? report, CiKind ci, IReadOnlyList<SaidProblem> said, CancellationToken cancel)
    {
        // The only lines that may command a CI system; all others go through Say, which takes that from them.
        void Command(string line) => Log.LogMessage(MessageImportance.High, line);

        if (ci == CiKind.GitHubActions)
        {
            foreach (string line in GitHubAnnotations.Of(said, SourceRoot.Find(EnvironmentVariable, ProjectDirectory)))
            {
                Command(line);
            }
        }

        if (report is not null)
        {
            await report.MergeAsync(project, cancel);
        }

        if (ci == CiKind.GitHubActions)
        {
            var github = new GitHubActions(EnvironmentVariable, ProjectDirectory);
            await github.WriteVerifiedAsync(project, cancel);
            if (!await github.AddToSummaryAsync(VerificationPage.Versions(project), cancel))
            {
                Note($"the step summary is full, so {ProjectName} is not in it");
            }
        }
        else if (ci == CiKind.AzurePipelines)
        {
            string folder = PathOf(nameof(IntermediateOutputPath), OwnFolder);
            Command(AzurePipelines.UploadSummary(nameof(IntermediateOutputPath), Path.Combine(folder, $"{ProjectName}.{TargetName}.md"), VerificationPage.Versions(project)[0]));
        }
    }

    /// <summary>One budget for all that is asked. What is asked side by side fails side by side, so of all that is said of it one line is loud.</summary>
    private Retrying CreateRetries()
    {
        var spent = new RetryTime();
        int said = 0;
        void SayOf(string line) => Say(Interlocked.Increment(ref said) == 1 ? MessageImportance.High : MessageImportance.Normal, $"Keyless.MSBuild: {line}");
        return () => new Retries(RetryBudget, null, spent, Time, SayOf).ToPipeline();
    }

    private async Task<IReadOnlyList<TrustedRoot>> GetTrustedRootsAsync(Retrying? retries, CancellationToken cancel)
    {
        SigstoreSource source = ReadSource();
        SigstoreInstance instance;
        try
        {
            instance = await GetInstanceAsync(source, signing: false, cancel);
        }
        catch (TufException e) when (e.InnerException is ServiceException { IsTransient: true } && retries is not null)
        {
            instance = await GetInstanceAsync(source, signing: false, cancel, retries());
        }

        TrustedRoot[] roots = [instance.TrustedRoot, .. instance.OtherTrustedRoots];
        foreach (string warning in roots.SelectMany(root => root.Warnings).Distinct(StringComparer.Ordinal))
        {
            Warn(new Diagnostic(Diagnostics.UnusedTrust, warning));
        }

        return roots;
    }

    private string OwnFolder => Path.Combine(IntermediateOutputPath.Length == 0 ? "obj" : IntermediateOutputPath, "keyless");

    /// <summary>Keeps the whole list where the terminal logger cannot hide it.</summary>
    /// <returns>The file's path as people read it; empty where there is nothing to keep, or no place.</returns>
    private string KeepRefused(IReadOnlyList<ImageVerdict> refused)
    {
        string path = Path.Combine(OwnFolder, ListOfRefused);
        string file = PathOf(nameof(IntermediateOutputPath), path);
        try
        {
            if (refused.Count > 0)
            {
                WholeFile.Write("the list of refused signatures", file, VerdictText.Write(refused));
                return path;
            }

            // What an earlier build refused is no longer so.
            if (File.Exists(file))
            {
                File.Delete(file);
            }
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

    /// <param name="list">The file that has all refused signatures; empty if there is none.</param>
    /// <returns>What was said of those that do not count as verified.</returns>
    private IReadOnlyList<SaidProblem> Say(IReadOnlyList<ImageOutcome> outcomes, string list)
    {
        foreach (ImageOutcome outcome in outcomes)
        {
            foreach (ImageVerdict verdict in outcome.Verdicts.Where(verdict => verdict.Quorum is not null))
            {
                SayAccepted(verdict, verdict.Quorum!, outcome);
            }

            SaySignatures(outcome, list);

            if (outcome.IsVerified)
            {
                string within = outcome.Verdicts.Count == 1 ? "" : string.Create(CultureInfo.InvariantCulture, $", with {outcome.Verdicts.Count - 1} manifests in it");
                string from = outcome.Verdicts.All(verdict => verdict.IsKept) ? ", kept from an earlier build" : "";
                Quorum quorum = outcome.Verdicts[0].Quorum!;
                string image = outcome.Image.Role is { Length: > 0 } role ? $"Keyless.MSBuild: {role}{outcome.Verdicts[0].Pinned}" : $"{ProjectName} -> {outcome.Verdicts[0].Pinned}";
                Say(MessageImportance.High, $"{image} (verified: signed {string.Join(", ", quorum.Signatures.Select(signature => VerdictText.Accepted(signature.Signature)))}{within}{from})");
            }
        }

        // A registry that is down is one error, however many images were expected from it.
        return [.. outcomes.Where(outcome => !outcome.IsVerified).GroupBy(RootCause).Select(alike => SayProblem([.. alike], list))];
    }

    private static object RootCause(ImageOutcome outcome) => outcome.Problem!.Kind == Diagnostics.RegistryUnreachable ? (outcome.Image.Reference.Registry, outcome.Image.Policy.Warn) : outcome;

    /// <param name="alike">Images with one cause.</param>
    private SaidProblem SayProblem(IReadOnlyList<ImageOutcome> alike, string list)
    {
        ImageOutcome first = alike[0];
        Diagnostic problem = first.Problem!;
        string text = problem.Text;
        if (alike.Select(outcome => outcome.Image.Reference.Text).Distinct(StringComparer.Ordinal).Count() - 1 is > 0 and int others)
        {
            text += string.Create(CultureInfo.InvariantCulture, $" (and {others} more of its images)");
        }

        if (first.Image.Positions.Count > 1)
        {
            text += $"; also named at {string.Join(", ", first.Image.Positions.Skip(1).Take(ShownRefusals))}{(first.Image.Positions.Count > ShownRefusals + 1 ? ", …" : "")}";
        }

        if (list.Length > 0 && first.Verdicts.Any(verdict => verdict.Quorum is null && verdict.Signatures.Count > 0))
        {
            text += $"; every signature is listed in {list}";
        }

        if (first.Image.Policy.Warn)
        {
            problem = problem with { Text = $"{text}; Mode is warn, so the build goes on, and the image does not count as verified" };
            Warn(problem);
        }
        else
        {
            problem = problem with { Text = text };
            Error(problem);
        }

        return new SaidProblem(problem, first.Image.Policy.Warn);
    }

    private void SayAccepted(ImageVerdict verdict, Quorum quorum, ImageOutcome outcome)
    {
        Say(MessageImportance.Normal, $"  checks performed on the signature of {VerdictText.Name(verdict)}:");
        foreach (string check in quorum.Checks)
        {
            Say(MessageImportance.Normal, $"  - {check}");
        }

        foreach (string warning in quorum.Signatures.SelectMany(signature => signature.Signature.Warnings).Distinct())
        {
            Warn(new Diagnostic(Diagnostics.Odd, $"{verdict.Image}: {warning}", outcome.Image.Position));
        }
    }

    /// <summary>Of an image with everything in it together: whoever can push chooses how many manifests an index has, too.</summary>
    private void SaySignatures(ImageOutcome outcome, string list)
    {
        int said = 0;
        foreach ((ImageVerdict verdict, SignatureVerdict signature) in outcome.Verdicts.Where(verdict => verdict.Quorum is null).SelectMany(verdict => verdict.Signatures, (verdict, signature) => (verdict, signature)))
        {
            MessageImportance importance = said++ < ShownRefusals ? MessageImportance.High : MessageImportance.Normal;
            Say(importance, $"  {VerdictText.Name(verdict)}: {VerdictText.Line(signature)}");
            if (VerdictText.Suggestion(verdict, signature) is { } suggestion)
            {
                Say(importance, $"    {suggestion}");
            }
        }

        if (said > ShownRefusals)
        {
            Say(MessageImportance.High, string.Create(CultureInfo.InvariantCulture, $"  {VerdictText.Name(outcome.Verdicts[0])}: and {said - ShownRefusals} more{(list.Length == 0 ? "" : $", all in {list}")}"));
        }
    }

    private protected void Note(string note) => Say(MessageImportance.Normal, $"Keyless.MSBuild: {note}");

    /// <summary>A word now and then on a long list.</summary>
    private sealed class Progress(int total, TimeProvider time, Action<string> say)
    {
        private readonly Lock gate = new();
        private long last = time.GetTimestamp();
        private int done;

        public void Advance()
        {
            lock (gate)
            {
                done++;
                if (done < total && time.GetElapsedTime(last) >= ProgressEvery)
                {
                    last = time.GetTimestamp();
                    say(string.Create(CultureInfo.InvariantCulture, $"{done} of {total} images looked at"));
                }
            }
        }
    }
}
