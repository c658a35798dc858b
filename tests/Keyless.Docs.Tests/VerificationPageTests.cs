using System.Reflection;
using System.Text.RegularExpressions;
using Keyless.Docs.Tests.Clauses;
using Keyless.Testing;

namespace Keyless.Docs.Tests;

[TestClass]
public sealed partial class VerificationPageTests
{
    [TestMethod]
    public void Every_clause_has_a_test()
    {
        string[] without = [.. Catalogue.All.Select(clause => clause.Id).Where(id => !Proofs.Tests.Contains(id))];
        Assert.AreEqual("", string.Join(' ', without));
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
