namespace Keyless.Oci.Tests;

[TestClass]
public sealed class RegistryAddressTests
{
    private static readonly Uri Public = new("https://registry.example/v2/app/blobs/uploads/");

    [TestMethod]
    [DataRow("/v2/app/blobs/uploads/1?_state=a%2Db%41%2f..", "https://registry.example/v2/app/blobs/uploads/1?_state=a%2Db%41%2f..")]
    [DataRow("https://storage.example/x?X-Amz-Signature=%2b%7E", "https://storage.example/x?X-Amz-Signature=%2b%7E")]
    [DataRow("//storage.example/x", "https://storage.example/x")]
    [DataRow("one?two", "https://registry.example/v2/app/blobs/uploads/one?two")]
    [DataRow("one?two=%7e%2f..", "https://registry.example/v2/app/blobs/uploads/one?two=%7e%2f..")]
    [DataRow("../one?two=../x", "https://registry.example/v2/app/blobs/one?two=../x")]
    [DataRow("?two=%7e", "https://registry.example/v2/app/blobs/uploads/?two=%7e")]
    [DataRow("https://storage.example?sig=%7e/x", "https://storage.example/?sig=%7e/x")]
    [DataRow("https://storage.example", "https://storage.example/")]
    [DataRow("https://8.8.8.8/x", "https://8.8.8.8/x")]
    [DataRow("https://[64:ff9b::808:808]/x", "https://[64:ff9b::808:808]/x")]
    [DataRow("https://[2001:db8::1]/x", "https://[2001:db8::1]/x")]
    public void Resolves_and_keeps_the_spelling(string location, string expected)
    {
        Uri uri = RegistryAddress.Resolve(Public, location, Public);

        Assert.AreEqual(expected, uri.AbsoluteUri);
    }

    [TestMethod]
    [DataRow("", "empty")]
    [DataRow("/a b", "printable")]
    [DataRow("/a\r\nHost: b", "printable")]
    [DataRow("/ä", "printable")]
    [DataRow("/a#b", "printable")]
    [DataRow("\\\\evil\\x", "printable")]
    [DataRow("http://registry.example/x", "https to http")]
    [DataRow("http://storage.example/x", "https to http")]
    [DataRow("ftp://storage.example/x", "neither https nor http")]
    [DataRow("file:///etc/passwd", "neither https nor http")]
    [DataRow("https://user:pass@storage.example/x", "user information")]
    [DataRow("https://127.0.0.1/x", "private address")]
    [DataRow("https://127.1/x", "private address")]
    [DataRow("https://0x7f000001/x", "private address")]
    [DataRow("https://localhost/x", "private address")]
    [DataRow("https://localhost./x", "private address")]
    [DataRow("https://[::1]/x", "private address")]
    [DataRow("https://[::ffff:10.0.0.1]/x", "private address")]
    [DataRow("https://10.1.2.3/x", "private address")]
    [DataRow("https://172.31.0.1/x", "private address")]
    [DataRow("https://192.168.0.1/x", "private address")]
    [DataRow("https://100.64.0.1/x", "private address")]
    [DataRow("https://169.254.169.254/latest/meta-data", "private address")]
    [DataRow("https://[fe80::1]/x", "private address")]
    [DataRow("https://[fd00::1]/x", "private address")]
    [DataRow("https://0.0.0.0/x", "private address")]
    [DataRow("https://[::]/x", "private address")]
    [DataRow("https://[::10.0.0.1]/x", "private address")]
    [DataRow("https://[::ffff:127.0.0.1]/x", "private address")]
    [DataRow("https://[64:ff9b::10.0.0.1]/x", "private address")]
    [DataRow("https://[64:ff9b:1::1]/x", "private address")]
    [DataRow("https://[2002:a9fe:a9fe::1]/x", "private address")]
    public void Refuses_where_a_public_registry_has_no_reason_to_send_us(string location, string why) =>
        Assert.Contains(why, Assert.ThrowsExactly<FormatException>(() => RegistryAddress.Resolve(Public, location, Public)).Message);

    [TestMethod]
    [DataRow("https://10.0.0.1:5000/", "https://10.0.0.2:9000/x")]
    [DataRow("https://127.0.0.1:5000/", "https://127.0.0.1:9000/x")]
    [DataRow("http://localhost:5000/", "http://127.0.0.1:9000/x")]
    public void Lets_a_private_registry_name_its_own_kind(string registry, string location) =>
        Assert.AreEqual(location, RegistryAddress.Resolve(new Uri(registry), location, new Uri(registry)).AbsoluteUri);

    [TestMethod]
    [DataRow("https://10.0.0.1:5000/", "https://127.0.0.1/x")]
    [DataRow("https://127.0.0.1:5000/", "https://10.0.0.1/x")]
    [DataRow("https://10.0.0.1:5000/", "https://169.254.169.254/x")]
    public void Refuses_a_private_address_of_another_kind(string registry, string location) =>
        Assert.Contains("private address", Assert.ThrowsExactly<FormatException>(() => RegistryAddress.Resolve(new Uri(registry), location, new Uri(registry))).Message);
}
