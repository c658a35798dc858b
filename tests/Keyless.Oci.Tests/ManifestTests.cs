using System.Text;

namespace Keyless.Oci.Tests;

[TestClass]
public sealed class ManifestTests
{
    // Written by cosign 3.1.1, as distribution 2.8.3 served them.
    private const string Referrer =
        """{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json"},"layers":[{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","size":8165,"digest":"sha256:e6d02af417a424ec4b9beb812521b3550d55a975e2e56d4be5790bb24151bde0"}],"annotations":{"dev.sigstore.bundle.content":"dsse-envelope","dev.sigstore.bundle.predicateType":"https://sigstore.dev/cosign/sign/v1","org.opencontainers.image.created":"2026-11-22T21:29:45Z"},"subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":401,"digest":"sha256:b2fafd95b34d5b99e7ccea34383b3bf3e51d2c3ee649ccad5932d73cde21dfdc"},"artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json"}""";

    private const string Index =
        """{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":878,"digest":"sha256:eb53e136adda0b5897bd5555c738f10bc9d3cb5aa03db06431ad5c1d0c329dc7","artifactType":"application/vnd.oci.empty.v1+json"}]}""";

    [TestMethod]
    public void Reads_a_referrer()
    {
        Manifest manifest = Parse(Referrer, MediaTypes.OciManifest);

        Assert.AreEqual("sha256:eb53e136adda0b5897bd5555c738f10bc9d3cb5aa03db06431ad5c1d0c329dc7", manifest.Digest.ToString());
        Assert.IsFalse(manifest.IsIndex);
        Assert.AreEqual("application/vnd.dev.sigstore.bundle.v0.3+json", manifest.ArtifactType);
        Assert.AreEqual(MediaTypes.OciEmpty, manifest.Config!.MediaType);
        Assert.AreEqual(8165, manifest.Layers.Single().Size);
        Assert.AreEqual("sha256:b2fafd95b34d5b99e7ccea34383b3bf3e51d2c3ee649ccad5932d73cde21dfdc", manifest.Subject!.Digest.ToString());
        Assert.AreEqual("dsse-envelope", manifest.Annotations!["dev.sigstore.bundle.content"]);
        Assert.IsEmpty(manifest.Manifests);
    }

    [TestMethod]
    public void Reads_an_index_with_its_platforms()
    {
        const string Platform = """{"os":"linux","architecture":"arm64","variant":"v8"}""";
        Manifest index = Parse(Index.Replace("\"size\":878", $"\"size\":878,\"platform\":{Platform}", StringComparison.Ordinal), MediaTypes.OciIndex);

        Assert.IsTrue(index.IsIndex);
        Assert.AreEqual("linux/arm64/v8", index.Manifests.Single().Platform);
        Assert.AreEqual("application/vnd.oci.empty.v1+json", index.Manifests.Single().ArtifactType);
        Assert.IsEmpty(index.Layers);
    }

    [TestMethod]
    public void Takes_the_media_type_from_either_place()
    {
        Assert.AreEqual(MediaTypes.OciManifest, Parse(Referrer, null).MediaType);
        Assert.AreEqual(MediaTypes.OciIndex, Parse(Index.Replace("\"mediaType\":\"application/vnd.oci.image.index.v1+json\",", "", StringComparison.Ordinal), MediaTypes.OciIndex).MediaType);
    }

    [TestMethod]
    [DataRow("\"schemaVersion\":2", "\"schemaVersion\":1", "schemaVersion is 1")]
    [DataRow("\"schemaVersion\":2", "\"schemaVersion\":\"2\"", "not the JSON")]
    [DataRow("\"schemaVersion\":2,", "", "not the JSON")]
    [DataRow("\"schemaVersion\":2", "\"schemaVersion\":2,\"schemaVersion\":2", "not the JSON")]
    [DataRow("\"layers\":[", "\"manifests\":[],\"layers\":[", "both manifests and layers")]
    [DataRow("\"layers\":[", "\"manifests\":[", "without config or layers")]
    [DataRow("\"layers\":[", "\"layers\":[null,", "null where a descriptor")]
    [DataRow("\"config\"", "\"Config\"", "without config or layers")]
    [DataRow("image.manifest.v1+json\",\"config\"", "image.index.v1+json\",\"config\"", "but came as")]
    [DataRow("\"size\":8165", "\"size\":-1", "negative size")]
    [DataRow("\"size\":8165", "\"size\":\"8165\"", "not the JSON")]
    [DataRow("\"size\":8165", "\"size\":1e400", "not the JSON")]
    [DataRow("\"size\":8165,", "", "not the JSON")]
    [DataRow("sha256:e6d0", "sha256:E6d0", "malformed digest")]
    [DataRow("\"dsse-envelope\"", "null", "is null")]
    [DataRow("\"dsse-envelope\"", "[]", "not the JSON")]
    [DataRow("\"dsse-envelope\"", "\"\\ud800\"", "not the JSON")]
    [DataRow("]", "],", "not the JSON")]
    public void Refuses_another_shape(string from, string to, string why)
    {
        Assert.Contains(from, Referrer);
        int at = Referrer.IndexOf(from, StringComparison.Ordinal);

        var no = Assert.ThrowsExactly<FormatException>(() => Parse(Referrer[..at] + to + Referrer[(at + from.Length)..], MediaTypes.OciManifest));

        Assert.Contains(why, no.Message);
    }

    [TestMethod]
    [DataRow("")]
    [DataRow("null")]
    [DataRow("[]")]
    [DataRow("<html></html>")]
    [DataRow("{} {}")]
    public void Refuses_what_is_no_manifest_at_all(string text) =>
        Assert.StartsWith("malformed manifest", Assert.ThrowsExactly<FormatException>(() => Parse(text, MediaTypes.OciManifest)).Message);

    [TestMethod]
    public void Refuses_a_type_it_does_not_know() =>
        Assert.Contains("neither", Assert.ThrowsExactly<FormatException>(() => Parse("""{"schemaVersion":2,"layers":[]}""", "application/json")).Message);

    [TestMethod]
    public void Refuses_more_entries_than_any_image_has()
    {
        const string Entry = """{"mediaType":"a/b","size":1,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}""";
        string Many(int count) => $$"""{"schemaVersion":2,"manifests":[{{string.Join(',', Enumerable.Repeat(Entry, count))}}]}""";

        Assert.HasCount(1000, Parse(Many(1000), MediaTypes.OciIndex).Manifests);
        Assert.Contains("1001 manifests", Assert.ThrowsExactly<TooManyException>(() => Parse(Many(1001), MediaTypes.OciIndex)).Message);
    }

    [TestMethod]
    public void Refuses_json_that_is_too_deep()
    {
        string Deep(int depth) => $$"""{"schemaVersion":2,"manifests":[],"x":{{new string('[', depth)}}{{new string(']', depth)}}}""";

        Assert.IsTrue(Parse(Deep(30), MediaTypes.OciIndex).IsIndex);
        Assert.Contains("not the JSON", Assert.ThrowsExactly<FormatException>(() => Parse(Deep(100_000), MediaTypes.OciIndex)).Message);
    }

    private static Manifest Parse(string text, string? contentType) => Manifest.Parse(Encoding.UTF8.GetBytes(text), contentType);
}
