namespace Keyless.Docs.Tests.Clauses;

/// <summary>Everything the verifier checks, in the order in which it does. docs/verification.md shows it beside the tests that prove it.</summary>
internal static class Catalogue
{
    public static IReadOnlyList<Section> Sections { get; } =
    [
        BundleClauses.Section,
        RootClauses.Section,
        TimeClauses.Section,
        CertificateClauses.Section,
        TransparencyClauses.Section,
        LogClauses.Section,
        CheckpointClauses.Section,
        SignatureClauses.Section,
        SubjectClauses.Section,
        IdentityClauses.Section,
        PolicyClauses.Section,
        KeyClauses.Section,
        SimpleSigningClauses.Section,
        TufClauses.Section,
    ];

    public static IEnumerable<Clause> All => Sections.SelectMany(section => section.Clauses);
}
