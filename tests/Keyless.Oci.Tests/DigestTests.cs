namespace Keyless.Oci.Tests;

[TestClass]
public sealed class DigestTests
{
    private const string OfEmptyConfig = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    [TestMethod]
    public void Is_what_it_was_parsed_from_and_equal_by_value()
    {
        Digest digest = Digest.Parse(OfEmptyConfig);

        Assert.AreEqual("sha256", digest.Algorithm);
        Assert.AreEqual(OfEmptyConfig[7..], digest.Hex);
        Assert.AreEqual(OfEmptyConfig, digest.ToString());
        Assert.AreEqual(Digest.Of("{}"u8), digest);
    }

    [TestMethod]
    public void Reads_sha512_and_compares_by_that_algorithm()
    {
        Digest digest = Digest.Parse("sha512:" + new string('a', 128));

        Assert.AreEqual("sha512", digest.OfSameAlgorithm("{}"u8).Algorithm);
        Assert.AreNotEqual(digest, digest.OfSameAlgorithm("{}"u8));
    }

    [TestMethod]
    [DataRow("", DisplayName = "nothing")]
    [DataRow("44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", DisplayName = "no algorithm")]
    [DataRow("sha256:44136FA355B3678A1146AD16F7E8649E94FB4FC21FE77E8310C060F61CAAFF8A", DisplayName = "upper case")]
    [DataRow("SHA256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", DisplayName = "upper-case algorithm")]
    [DataRow("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8", DisplayName = "one digit short")]
    [DataRow("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a0", DisplayName = "one digit long")]
    [DataRow("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\n", DisplayName = "line end")]
    [DataRow("sha512:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", DisplayName = "length of another algorithm")]
    [DataRow("md5:d41d8cd98f00b204e9800998ecf8427e", DisplayName = "unknown algorithm")]
    public void Refuses_anything_else(string text)
    {
        Assert.IsFalse(Digest.TryParse(text, out _));
        Assert.StartsWith("malformed digest", Assert.ThrowsExactly<FormatException>(() => Digest.Parse(text)).Message);
    }
}
