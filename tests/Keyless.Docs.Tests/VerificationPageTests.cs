using System.Reflection;
using System.Text.RegularExpressions;
using Keyless.Docs.Tests.Clauses;
using Keyless.Testing;

namespace Keyless.Docs.Tests;

[TestClass]
public sealed partial class VerificationPageTests
{
    /// <summary>Clauses whose check or whose test is still to be written. It only ever gets shorter.</summary>
    private static readonly string[] NotYet =
    [
        "B.2", "B.15", "B.20", "B.21", "B.22", "B.25", "B.28", "B.34", "B.35", "B.36", "B.37",
        "R.1", "R.3", "R.19",
        "T.5", "T.6", "T.7", "T.8", "T.9", "T.10", "T.11", "T.12", "T.13", "T.15", "T.16", "T.30", "T.32", "T.33",
        "T.44",
        "C.2", "C.3", "C.4", "C.5", "C.6", "C.7", "C.13", "C.15",
        "S.4", "S.13", "S.15",
        "L.5", "L.19", "L.20", "L.21", "L.22", "L.23", "L.24",
        "M.7",
        "G.5", "G.7", "G.8", "G.9",
        "A.12",
        "P.4", "P.5", "P.6", "P.7", "P.8", "P.9", "P.10", "P.11", "P.12",
        "K.1", "K.2", "K.3", "K.5", "K.6", "K.7", "K.8",
        "X.1", "X.2", "X.3", "X.4", "X.5", "X.6", "X.7", "X.8", "X.9", "X.10", "X.11", "X.12", "X.13", "X.14",
        "X.15", "X.16", "X.17", "X.18", "X.19", "X.20", "X.21", "X.22", "X.23", "X.24", "X.25",
        "U.1", "U.2", "U.3", "U.4", "U.5", "U.6", "U.7", "U.8", "U.9", "U.10", "U.11", "U.12", "U.13", "U.14",
        "U.15", "U.16", "U.17", "U.18", "U.19", "U.20", "U.21", "U.22", "U.23", "U.24", "U.25", "U.26", "U.27", "U.28",
        "U.29", "U.30", "U.31", "U.32", "U.33", "U.34", "U.35", "U.36", "U.37", "U.38", "U.39", "U.40", "U.41", "U.42",
        "U.43", "U.44", "U.45", "U.46", "U.47", "U.48", "U.49", "U.50", "U.51", "U.52", "U.53", "U.54",
    ];

    [TestMethod]
    public void Every_clause_has_a_test()
    {
        string[] without = [.. Catalogue.All.Select(clause => clause.Id).Where(id => !Proofs.Tests.Contains(id))];
        Assert.AreEqual("", string.Join(' ', without.Except(NotYet)), "clauses without a test");
        Assert.AreEqual("", string.Join(' ', NotYet.Except(without)), "clauses that have one now; take them out of NotYet");
    }

    [TestMethod]
    public void Every_test_proves_clauses_that_exist()
    {
        string[] known = [.. Catalogue.All.Select(clause => clause.Id)];
        string[] unknown = [.. Proofs.Methods.SelectMany(method => Proofs.ClausesOf(method).Except(known).Select(id => $"{Proofs.NameOf(method)}: {id}"))];
        Assert.AreEqual("", string.Join('\n', unknown));
    }

    [TestMethod]
    public void Only_tests_that_run_prove_something()
    {
        string[] others = [.. Proofs.Methods.Where(method => !Runs(method)).Select(Proofs.NameOf)];
        Assert.AreEqual("", string.Join('\n', others));

        static bool Runs(MethodInfo method) => method.GetCustomAttributes<TestMethodAttribute>().Any() && !method.GetCustomAttributes<IgnoreAttribute>().Any()
            && method.DeclaringType!.GetCustomAttributes<TestClassAttribute>().Any() && !method.DeclaringType!.GetCustomAttributes<IgnoreAttribute>().Any();
    }

    [TestMethod]
    public void Clauses_are_numbered_in_order_and_refuse_with_a_slug()
    {
        foreach (Section section in Catalogue.Sections)
        {
            int last = 0;
            foreach (Clause clause in section.Clauses)
            {
                string[] id = clause.Id.Split('.');
                Assert.AreEqual(section.Letter, id[0], clause.Id);
                int number = int.Parse(id[1], null);
                Assert.IsGreaterThan(last, number, clause.Id);
                last = number;
                bool isSlug = Slug().Match(clause.Refusal) is { Success: true } slug && Clause.Steps.Contains(slug.Groups[1].Value);
                Assert.IsTrue(isSlug || Clause.Outcomes.Contains(clause.Refusal), $"{clause.Id} refuses with {clause.Refusal}");
            }
        }
    }

    // A refusal that no clause has is a check that nobody listed. Slugs that are put together from parts are not found here.
    [TestMethod]
    public void Every_slug_in_the_source_is_a_clauses()
    {
        string[] listed = [.. Catalogue.All.Select(clause => clause.Refusal)];
        string[] unlisted =
        [
            .. Directory.EnumerateFiles(Repository.PathTo("src"), "*.cs", SearchOption.AllDirectories)
                .SelectMany(file => SlugInSource().Matches(File.ReadAllText(file)).Select(slug => slug.Groups[1].Value))
                .Distinct().Except(listed).Order(StringComparer.Ordinal),
        ];
        Assert.AreEqual("", string.Join(' ', unlisted));
    }

    [TestMethod]
    public void The_page_says_what_the_tests_say() => Golden.VerifyPage(VerificationPage.Text(), "docs/verification.md");

    [GeneratedRegex(@"\A([a-z]+)\.([a-z0-9]+(-[a-z0-9]+)*|\*)\z")]
    private static partial Regex Slug();

    [GeneratedRegex("\"((?:bundle|root|time|cert|sct|policy|tlog|sig|subject)\\.[a-z0-9]+(?:-[a-z0-9]+)*)\"")]
    private static partial Regex SlugInSource();
}
