namespace Keyless.Oci.Tests;

[TestClass]
public sealed class ImageReferenceTests
{
    private const string Hash = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    [TestMethod]
    [DataRow("ghcr.io/org/app:1.0", "ghcr.io", "org/app", "1.0", null)]
    [DataRow("ghcr.io/org/app", "ghcr.io", "org/app", "latest", null)]
    [DataRow("ghcr.io/org/app@" + Hash, "ghcr.io", "org/app", null, Hash)]
    [DataRow("ghcr.io/org/app:1.0@" + Hash, "ghcr.io", "org/app", "1.0", Hash)]
    [DataRow("localhost:5000/app", "localhost:5000", "app", "latest", null)]
    [DataRow("localhost/app", "localhost", "app", "latest", null)]
    [DataRow("127.0.0.1:5000/a/b/c:x", "127.0.0.1:5000", "a/b/c", "x", null)]
    [DataRow("[::1]:5000/app", "[::1]:5000", "app", "latest", null)]
    [DataRow("Registry.Example.COM/app", "registry.example.com", "app", "latest", null)]
    [DataRow("app", "docker.io", "library/app", "latest", null)]
    [DataRow("app:1", "docker.io", "library/app", "1", null)]
    [DataRow("org/app", "docker.io", "org/app", "latest", null)]
    [DataRow("docker.io/app", "docker.io", "library/app", "latest", null)]
    [DataRow("index.docker.io/org/app", "docker.io", "org/app", "latest", null)]
    [DataRow("ghcr.io/a__b/c-d--e/f.g_h", "ghcr.io", "a__b/c-d--e/f.g_h", "latest", null)]
    public void Is_read_by_its_parts(string text, string registry, string repository, string? tag, string? digest)
    {
        ImageReference reference = ImageReference.Parse(text);

        Assert.AreEqual((registry, repository, tag, digest, text), (reference.Registry, reference.Repository, reference.Tag, reference.Digest?.ToString(), reference.Text));
    }

    [TestMethod]
    [DataRow("ghcr.io/org/app:1.0", "ghcr.io/org/app@")]
    [DataRow("localhost:5000/app", "localhost:5000/app@")]
    [DataRow("app:1", "app@")]
    [DataRow("app:1@" + Hash, "app@")]
    public void Is_pinned_as_it_was_typed(string text, string expected) =>
        Assert.AreEqual(expected + Digest.Of("{}"u8), ImageReference.Parse(text).Pinned(Digest.Of("{}"u8)));

    [TestMethod]
    [DataRow("ghcr.io/org/app:1.0", "ghcr.io/org/app:1.0@")]
    [DataRow("ghcr.io/org/app", "ghcr.io/org/app:latest@")]
    [DataRow("ghcr.io/org/app@" + Hash, "ghcr.io/org/app@")]
    [DataRow("localhost:5000/app:1@" + Hash, "localhost:5000/app:1@")]
    [DataRow("Registry.Example.COM/app:1", "registry.example.com/app:1@")]
    [DataRow("app:1", "docker.io/library/app:1@")]
    [DataRow("org/app", "docker.io/org/app:latest@")]
    public void Is_pinned_with_its_tag_and_all_that_was_left_out(string text, string expected)
    {
        string pinned = ImageReference.Parse(text).PinnedWithTag(Digest.Of("{}"u8));

        Assert.AreEqual(expected + Digest.Of("{}"u8), pinned);
        Assert.AreEqual(pinned, ImageReference.Parse(pinned).PinnedWithTag(Digest.Of("{}"u8)));
    }

    [TestMethod]
    [DataRow("", "empty")]
    [DataRow("ghcr.io/Org/app", "lower case")]
    [DataRow("App", "lower case")]
    [DataRow("https://ghcr.io/org/app", "scheme")]
    [DataRow("ghcr.io/", "missing")]
    [DataRow("ghcr.io/org//app", "separated")]
    [DataRow("ghcr.io/org/../app", "separated")]
    [DataRow("ghcr.io/org%2fapp", "separated")]
    [DataRow("ghcr.io/org\\app", "separated")]
    [DataRow("ghcr.io/org/app ", "separated")]
    [DataRow("ghcr.io/org/app\n", "separated")]
    [DataRow("ghcr.io/org/___app", "separated")]
    [DataRow("ghcr.io/org/app:", "tag")]
    [DataRow("ghcr.io/org/app:.1", "tag")]
    [DataRow("ghcr.io/org/app:1:2", "tag")]
    [DataRow("ghcr.io/org/app:1\n", "tag")]
    [DataRow("ghcr.io/org/app@sha256:44", "after @")]
    [DataRow("ghcr.io/org/app@" + Hash + "@" + Hash, "after @")]
    [DataRow("user:secret@ghcr.io/org/app", "after @")]
    [DataRow("münchen.de/app", "host name")]
    [DataRow("-bad.io/app", "host name")]
    [DataRow("ghcr.io:port/app", "host name")]
    [DataRow("ghcr.io:99999/app", "canonical")]
    [DataRow("127.1/app", "canonical")]
    [DataRow("0x7f.0.0.1/app", "canonical")]
    public void Refuses_what_is_malformed_and_says_why(string text, string why)
    {
        var no = Assert.ThrowsExactly<FormatException>(() => ImageReference.Parse(text));

        Assert.StartsWith("malformed image reference", no.Message);
        Assert.Contains(why, no.Message);
    }

    [TestMethod]
    public void Refuses_what_is_longer_than_any_reference()
    {
        Assert.AreEqual(128, ImageReference.Parse("app:" + new string('a', 128)).Tag!.Length);
        Assert.Contains("a tag is", Assert.ThrowsExactly<FormatException>(() => ImageReference.Parse("app:" + new string('a', 129))).Message);
        Assert.Contains("255", Assert.ThrowsExactly<FormatException>(() => ImageReference.Parse(new string('a', 256))).Message);
        Assert.Contains("1024", Assert.ThrowsExactly<FormatException>(() => ImageReference.Parse(new string('a', 2000))).Message);
    }
}
