namespace Keyless.Sigstore.Tests;

[TestClass]
public sealed class VerificationExceptionTests
{
    [TestMethod]
    [DataRow(null, null, "it is wrong")]
    [DataRow("a", null, "it is wrong: expected a")]
    [DataRow(null, "b", "it is wrong: found b")]
    [DataRow("a", "b", "it is wrong: expected a, found b")]
    public void Says_what_was_expected_and_what_was_found(string? expected, string? found, string sentence) =>
        Assert.AreEqual(sentence, new VerificationException("sig.invalid", "it is wrong", expected, found).Message);

    // Both are seen before anything is proven.
    [TestMethod]
    [DataRow("policy.key-without-key")]
    [DataRow("policy.certificate-without-identity")]
    public void Counts_the_wrong_kind_of_signer_as_no_progress(string reason)
    {
        Assert.AreEqual(new VerificationException("bundle.json", "it is wrong").Progress, new VerificationException(reason, "it is wrong").Progress);
        Assert.IsLessThan(new VerificationException("policy.identity", "it is wrong").Progress, new VerificationException(reason, "it is wrong").Progress);
    }
}
