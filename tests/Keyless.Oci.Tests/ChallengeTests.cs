namespace Keyless.Oci.Tests;

[TestClass]
public sealed class ChallengeTests
{
    [TestMethod]
    public void Reads_a_bearer_challenge()
    {
        Challenge challenge = Challenge.ParseAll(["Bearer realm=\"https://auth.example/token?a=b,c\", Service=registry.example ,scope=\"repository:a:pull,push\""]).Single();

        Assert.AreEqual("bearer", challenge.Scheme);
        Assert.AreEqual("https://auth.example/token?a=b,c", challenge.Parameters["realm"]);
        Assert.AreEqual("registry.example", challenge.Parameters["service"]);
        Assert.AreEqual("repository:a:pull,push", challenge.Parameters["scope"]);
    }

    [TestMethod]
    [DataRow("Basic realm=\"a \\\"b\\\" c\"", "basic", "a \"b\" c")]
    [DataRow("bAsIc REALM = x", "basic", "x")]
    [DataRow("Basic", "basic", null)]
    [DataRow("Negotiate, Basic realm=\"x\"", "negotiate basic", "x")]
    [DataRow("Negotiate YWJj==, Basic realm=\"x\"", "negotiate basic", "x")]
    [DataRow("Basic realm=\"x\", Bearer realm=\"x\",service=\"y\"", "basic bearer", "x")]
    [DataRow(", ,Basic realm=\"x\",", "basic", "x")]
    public void Reads_every_form_of_the_grammar(string line, string schemes, string? realm)
    {
        IReadOnlyList<Challenge> challenges = Challenge.ParseAll([line]);

        Assert.AreEqual(schemes, string.Join(' ', challenges.Select(c => c.Scheme)));
        Assert.AreEqual(realm, challenges[^1].Parameters.GetValueOrDefault("realm"));
    }

    [TestMethod]
    [DataRow("Bearer realm=\"https://a", DisplayName = "quote that does not end")]
    [DataRow("Bearer realm=\"https://a\\", DisplayName = "escape at the end")]
    [DataRow("Bearer realm=\"a\",realm=\"b\"", DisplayName = "realm twice")]
    [DataRow("Bearer realm=\"a\" service=\"b\"", DisplayName = "no comma")]
    [DataRow("Bearer realm=,service=\"b\"", DisplayName = "no value")]
    [DataRow("\"Bearer\" realm=a", DisplayName = "quoted scheme")]
    [DataRow("Bearer=a", DisplayName = "parameter without scheme")]
    public void Refuses_what_is_not_by_the_grammar(string line) =>
        Assert.StartsWith("malformed challenge", Assert.ThrowsExactly<FormatException>(() => Challenge.ParseAll([line])).Message);

    [TestMethod]
    public void Refuses_a_line_that_is_too_long() =>
        Assert.Contains("too long", Assert.ThrowsExactly<FormatException>(() => Challenge.ParseAll(["Bearer realm=" + new string('a', 9000)])).Message);
}
