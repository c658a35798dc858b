using System.Text;
using Keyless.Docs.Tests.Clauses;

namespace Keyless.Docs.Tests;

/// <summary>docs/verification.md.</summary>
internal static class VerificationPage
{
    private const string Introduction = """
        # What is verified

        Every check that stands between a signature and the verdict that it is good, in the order in which the checks are made. A verdict depends on the signature, the trusted root and the policy alone: not on the network, the clock, the machine or its culture.

        - *Refused with* is what a failed check is called: in the log, and as `reason` in reports. Its first word is the step, `step` in reports. A star stands for whichever check of that step it was. Words without a dot are no verdicts: what is *ignored* proves nothing and does no harm; an instance of the trusted root that is *not used* narrows what is accepted; a *configuration error* is found before anything is verified; a `TufException` means that there is no trusted root to verify with.
        - *From* is the standard that asks for the check; the client spec is Sigstore's own for clients, a name that ends in `.proto` a file of its protobuf-specs. `Limits` is [Limits.cs](../src/Keyless.Sigstore/Limits.cs), where each bound stands with its reason; README is a promise of our own.
        - *Tests* are the ones that fail where the check is not made. Those without a project before their name are in `tests/Keyless.Sigstore.Tests`; `MSBuild:` means `tests/Keyless.MSBuild.Tests`, and so on.

        This page is made from the tests. A clause without a test, a test of a clause that is not here, or a change by hand fails the build; `KEYLESS_UPDATE_GOLDEN=1 dotnet test --project tests/Keyless.Docs.Tests` writes the page anew.
        """;

    public static string Text()
    {
        var page = new StringBuilder(Introduction).Append('\n');
        foreach (Section section in Catalogue.Sections)
        {
            page.Append($"\n## {section.Letter}. {section.Title}\n\n{section.Introduction}\n\n");
            page.Append("| | what has to hold | refused with | from | tests |\n| --- | --- | --- | --- | --- |\n");
            foreach (Clause clause in section.Clauses)
            {
                string refusal = clause.Refusal.Contains(' ', StringComparison.Ordinal) || clause.Refusal is "ignored" or "warning" ? clause.Refusal : $"`{clause.Refusal}`";
                string tests = string.Join(", ", Proofs.Tests[clause.Id].Select(test => $"`{test}`"));
                page.Append($"| {clause.Id} | {clause.What} | {refusal} | {clause.Source} | {tests} |\n");
            }
        }

        return page.ToString();
    }
}
