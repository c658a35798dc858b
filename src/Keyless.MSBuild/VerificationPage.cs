using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Keyless.Sigstore;

namespace Keyless.MSBuild;

/// <summary>
/// The verdicts as Markdown, for people. Each project has a section of its own between comments, by which the next one finds it again; whatever
/// others say goes through <see cref="Quoted"/>, so it begins no line and no comment.
/// </summary>
internal sealed partial class VerificationPage : VerificationReport.IForm
{
    private const string Head = "<!-- keyless-msbuild/container-verification/v1 -->\n# Container images: ";
    private const string End = "<!-- keyless-msbuild:end -->";

    /// <summary>Of one image, and images that are not verified; a page with more is read by nobody, and the JSON report has them all.</summary>
    private const int MostSignatures = 10, MostImages = 100;

    public byte[] Merge(byte[]? there, VerifiedProject project, string folder)
    {
        List<Section> sections = [.. Read(there).Where(section => project.LeavesAlone(section.Project, section.Target, section.Run.Length == 0 ? null : section.Run, folder))];
        if (project.Outcomes.Count > 0)
        {
            var own = new Section(project.NameFrom(folder), project.Target, project.Run ?? "", Numbers.Of(project.Outcomes), "");
            sections.Add(own with { Text = $"{own.Begin}\n{Write(project, images: MostImages, signatures: MostSignatures)}{End}\n" });
        }

        return Encoding.UTF8.GetBytes(Write([.. VerificationReport.InOrder(sections, section => section.Project, section => section.Target)]));
    }

    /// <summary>One project's part for the page of a CI run: with everything, then with less; a file that the CI system would refuse helps nobody.</summary>
    public static IReadOnlyList<string> Versions(VerifiedProject project) =>
    [
        Write(project, images: MostImages, signatures: MostSignatures),
        Write(project, images: MostImages, signatures: 0),
        Write(project, images: 0, signatures: 0),
        Title(project),
    ];

    private static string Write(IReadOnlyList<Section> sections) => $"{Head}{Numbers.Sum(sections.Select(section => section.Numbers))}\n\n{string.Join('\n', sections.Select(section => section.Text))}";

    /// <summary>What is not exactly what this class writes is somebody else's.</summary>
    private static Section[] Read(byte[]? there)
    {
        if (there is null)
        {
            return [];
        }

        string text = Encoding.UTF8.GetString(there).ReplaceLineEndings("\n");
        Section[] sections = [.. SectionPattern().Matches(text).Select(match => new Section(
            Uri.UnescapeDataString(match.Groups["project"].Value), match.Groups["target"].Value, Uri.UnescapeDataString(match.Groups["run"].Value), Numbers.Of(match), match.Value))];
        return Write(sections) == text ? sections : throw new FormatException("it is not a page of verified images, or somebody has changed it");
    }

    private static string Title(VerifiedProject project) =>
        $"### {Quoted.Text(project.Name)}{(project.Target == KeylessVerifyContainer.Target ? "" : $" ({project.Target})")}: {Numbers.Of(project.Outcomes)}\n\n";

    private static string Write(VerifiedProject project, int images, int signatures)
    {
        IReadOnlyList<ImageFinding> findings = project.Findings;
        var text = new StringBuilder(Title(project));
        text.Append("| image | verdict | signed by | signed at | policy |\n| --- | --- | --- | --- | --- |\n");
        foreach (ImageFinding finding in findings)
        {
            text.Append(CultureInfo.InvariantCulture, $"| {Name(finding)} | {Word(finding)} | {Cell(finding.Signers.Select(signer => Code(signer.Signature.SignedBy)))} | ");
            text.Append(CultureInfo.InvariantCulture, $"{Cell(finding.Signers.Select(signer => VerificationReport.Format(signer.Signature.SignedAt)))} | {(finding.Image.Policy.Name is { } policy ? Code(policy) : "")} |\n");
        }

        text.Append('\n');
        ImageFinding[] refused = [.. findings.Where(finding => finding.Problem is not null)];
        foreach (ImageFinding finding in refused.Take(images))
        {
            Append(text, finding, signatures);
        }

        if (refused.Length > images)
        {
            text.Append(CultureInfo.InvariantCulture, $"{(images == 0 ? "" : "And ")}{refused.Length - images}{(images == 0 ? "" : " more")} of them not verified; the build log says why.\n\n");
        }

        return text.ToString();
    }

    private static void Append(StringBuilder text, ImageFinding finding, int most)
    {
        Diagnostic problem = finding.Problem!;
        text.Append(CultureInfo.InvariantCulture, $"#### {Name(finding, " ")} is {(finding.Word == "warned" ? "not verified" : "refused")}\n\n**{problem.Code}** {Quoted.Text(problem.Message)}\n\n");
        if (finding.Image.Positions.Count > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $"Named at {string.Join(", ", finding.Image.Positions.Take(MostSignatures).Select(position => Code(position.ToString())))}{(finding.Image.Positions.Count > MostSignatures ? ", …" : "")}\n\n");
        }

        IReadOnlyList<SignatureVerdict> signatures = finding.Verdict?.Signatures ?? [];
        if (signatures.Count == 0 || most == 0)
        {
            return;
        }

        text.Append("| signature | signed by | signed at | refused | expected | found |\n| --- | --- | --- | --- | --- | --- |\n");
        foreach (SignatureVerdict signature in signatures.Take(most))
        {
            VerifiedSignature? accepted = signature.Accepted.Count > 0 ? signature.Accepted[0].Signature : null;
            VerificationException? refusal = signature.Refusal;
            string signer = accepted?.SignedBy ?? refusal?.Signer?.Subject ?? "";
            string moment = VerificationReport.Format(accepted?.SignedAt ?? refusal?.SignedAt);
            text.Append(CultureInfo.InvariantCulture, $"| {signature.Format} {Code(signature.Reference)} | {(signer.Length == 0 ? "not proven" : Code(signer))} | {(moment.Length == 0 ? "not proven" : moment)} | ");
            text.Append(CultureInfo.InvariantCulture, $"{(refusal is null ? "no: one signer of those that are needed" : Code(refusal.Reason))} | {OrNothing(refusal?.Expected)} | {OrNothing(refusal?.Found)} |\n");
        }

        text.Append(signatures.Count > most ? string.Create(CultureInfo.InvariantCulture, $"\nand {signatures.Count - most} more signatures.\n\n") : "\n");
    }

    /// <summary>The image as asked, and the digest that it was.</summary>
    private static string Name(ImageFinding finding, string between = "<br>") =>
        finding.Verdict is { } verdict && verdict.Image.Digest != verdict.Digest ? $"{Code(verdict.Image.Text)}{between}{Code(verdict.Digest.ToString())}" : Code(finding.Image.Reference.Text);

    private static string Word(ImageFinding finding) => finding.Word switch
    {
        "accepted" => "verified",
        "warned" => $"not verified: {finding.Problem!.Code} (warning)",
        _ => $"**refused**: {finding.Problem!.Code}",
    };

    private static string Cell(IEnumerable<string> lines) => string.Join("<br>", lines);

    private static string OrNothing(string? text) => string.IsNullOrEmpty(text) ? "" : Code(text);

    /// <summary>As in the log, where a token that somebody wrote in a name's place is none any more.</summary>
    private static string Code(string text) => Quoted.Code(Diagnostic.OneLine(text));

    [GeneratedRegex(@"^<!-- keyless-msbuild:section project=(?<project>\S*) target=(?<target>\S+) run=(?<run>\S*) verified=(?<verified>\d{1,9}) refused=(?<refused>\d{1,9}) warned=(?<warned>\d{1,9}) -->\n(?:.*\n)*?<!-- keyless-msbuild:end -->\n",
        RegexOptions.Multiline | RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant)]
    private static partial Regex SectionPattern();

    /// <param name="Text">With both comments.</param>
    private sealed record Section(string Project, string Target, string Run, Numbers Numbers, string Text)
    {
        public string Begin => string.Create(CultureInfo.InvariantCulture,
            $"<!-- keyless-msbuild:section project={Escape(Project)} target={Target} run={Escape(Run)} verified={Numbers.Verified} refused={Numbers.Refused} warned={Numbers.Warned} -->");

        // A hyphen as well: two of them are no part of a comment.
        private static string Escape(string value) => Uri.EscapeDataString(value).Replace("-", "%2D", StringComparison.Ordinal);
    }

    private sealed record Numbers(int Verified, int Refused, int Warned)
    {
        public static Numbers Of(IReadOnlyList<ImageOutcome> outcomes) =>
            new(outcomes.Count(outcome => outcome.Verdict == "accepted"), outcomes.Count(outcome => outcome.Verdict == "refused"), outcomes.Count(outcome => outcome.Verdict == "warned"));

        public static Numbers Of(Match match)
        {
            int Read(string name) => int.Parse(match.Groups[name].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture);
            return new Numbers(Read("verified"), Read("refused"), Read("warned"));
        }

        public static Numbers Sum(IEnumerable<Numbers> all) =>
            all.Aggregate(new Numbers(0, 0, 0), (sum, one) => new Numbers(sum.Verified + one.Verified, sum.Refused + one.Refused, sum.Warned + one.Warned));

        public override string ToString()
        {
            int all = Verified + Refused + Warned;
            return string.Create(CultureInfo.InvariantCulture, $"{all} {(all == 1 ? "image" : "images")}: {Verified} verified, {Refused} refused, {Warned} warned");
        }
    }
}
