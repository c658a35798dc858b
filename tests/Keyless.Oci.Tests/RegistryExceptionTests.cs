namespace Keyless.Oci.Tests;

[TestClass]
public sealed class RegistryExceptionTests
{
    [TestMethod]
    public void Shows_an_address_without_its_query() =>
        Assert.AreEqual("GET https://s.example/a/b", RegistryException.Describe(HttpMethod.Get, new Uri("https://s.example/a/b?X-Amz-Signature=secret")));

    [TestMethod]
    public void Escapes_what_a_terminal_or_a_log_would_obey() =>
        Assert.AreEqual("a\\u001b[31m\\u000a::error::\\u202eb", RegistryException.OneLine("a\u001b[31m\n::error::\u202eb", 200));

    [TestMethod]
    public void Shows_two_hundred_characters_at_most() =>
        Assert.AreEqual(new string('a', 200) + "…", RegistryException.OneLine(new string('a', 100_000), 200));

    [TestMethod]
    [DataRow("denied for eyJhbGciOi.eyJzdWIiOiJh.c2lnbmF0dXJl here", "denied for [redacted] here")]
    [DataRow("got Bearer abcdefgh123", "got [redacted]")]
    [DataRow("see https://s/x?a=1&sig=abc%3d&b", "see https://s/x?a=1&sig=[redacted]&b")]
    [DataRow("see ?X-Amz-Signature=0123 end", "see ?X-Amz-Signature=[redacted] end")]
    public void Shows_nothing_shaped_like_a_token(string text, string expected) =>
        Assert.AreEqual(expected, RegistryException.OneLine(text, 200));
}
