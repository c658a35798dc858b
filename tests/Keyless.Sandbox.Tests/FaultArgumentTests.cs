namespace Keyless.Sandbox.Tests;

[TestClass]
public sealed class FaultArgumentTests
{
    [TestMethod]
    [DataRow("rekor-v2:502:1-3", "502 1 3")]
    [DataRow("registry:429=2s", "429 1 2147483647")]
    [DataRow("fulcio:drop:2", "dropped 2 2")]
    [DataRow("fulcio:hang", "never answered 1 2147483647")]
    [DataRow("fulcio:html", "HTML 1 2147483647")]
    [DataRow("fulcio:empty", "empty 1 2147483647")]
    [DataRow("fulcio:cut", "cut 1 2147483647")]
    [DataRow("fulcio:cut-chunked", "cut between chunks 1 2147483647")]
    [DataRow("fulcio:down=2s", "down 1 2147483647")]
    [DataRow("fulcio:slow=2s", "slow 1 2147483647")]
    [DataRow("fulcio:slow-body=2s", "slow body 1 2147483647")]
    [DataRow("registry:does-not-list", "lie: DoesNotList 1 2147483647")]
    [DataRow("issuer:expired", "lie: Expired 1 2147483647")]
    [DataRow("fulcio:other-key:4", "lie: OtherKey 4 4")]
    [DataRow("rekor-v1:set-by-other-key", "lie: SetByOtherKey 1 2147483647")]
    [DataRow("rekor-v2:proof-of-other-tree", "lie: ProofOfOtherTree 1 2147483647")]
    [DataRow("timestamp:hour-late", "lie: HourLate 1 2147483647")]
    public void Reads_what_and_for_which_requests(string text, string expected)
    {
        (string part, Fault fault) = FaultArgument.Parse(text, _ => TimeSpan.FromSeconds(2));

        Assert.AreEqual((text.Split(':')[0], expected), (part, $"{fault} {fault.First} {fault.Last}"));
        Assert.IsFalse(fault.Performed);
    }

    [TestMethod]
    public void A_lost_answer_is_dropped_after_the_work()
    {
        (_, Fault fault) = FaultArgument.Parse("registry:lost", _ => TimeSpan.Zero);

        Assert.AreEqual(("dropped", true), ($"{fault}", fault.Performed));
    }
}
