namespace Keyless.Docs.Tests.Clauses;

/// <summary>One check.</summary>
/// <param name="Id">Stays with its check: tests name it. A new clause takes the next free number of its section.</param>
/// <param name="What">What has to hold, in one sentence; Markdown.</param>
/// <param name="Refusal">The slug it refuses with, or one of <see cref="Outcomes"/>.</param>
/// <param name="Source">The standard it comes from.</param>
internal sealed record Clause(string Id, string What, string Refusal, string Source)
{
    /// <summary>What else than a verdict may become of something that a clause is against.</summary>
    public static readonly string[] Outcomes = ["ignored", "not used", "warning", "configuration error", "TufException"];

    /// <summary>The first words of slugs: the steps of a verification.</summary>
    public static readonly string[] Steps = ["bundle", "root", "time", "cert", "sct", "policy", "tlog", "sig", "subject"];
}

/// <summary>A step of the verification, or a form of signature with checks of its own.</summary>
internal sealed record Section(string Letter, string Title, string Introduction, IReadOnlyList<Clause> Clauses);
