using System.Text;
using Keyless.MSBuild.Manifests;
using Keyless.Oci;
using Keyless.Testing;

namespace Keyless.MSBuild.Tests;

[TestClass]
public sealed class ImagePathTests
{
    private const string Custom = "tests/Keyless.MSBuild.Tests/manifests/kubernetes-custom.yaml";

    [TestMethod]
    [DataRow("spec.image", "spec.image")]
    [DataRow("spec.images[*].ref", "spec.images[0].ref spec.images[1].ref")]
    [DataRow("spec.images[1].ref", "spec.images[1].ref")]
    [DataRow("spec['images'][0][\"ref\"]", "spec.images[0].ref")]
    [DataRow("spec.*.agentImage", "spec.agent.agentImage")]
    [DataRow("**.agentImage", "spec.agent.agentImage")]
    [DataRow("spec.**.ref", "spec.images[0].ref spec.images[1].ref")]
    [DataRow("**.images[*].ref", "spec.images[0].ref spec.images[1].ref")]
    [DataRow("*.image", "spec.image")]
    [DataRow("spec.members[*].podTemplate.spec.containers[*].image", "")]
    public void Names_fields_beside_those_that_count_anyway(string path, string fields)
    {
        byte[] bytes = File.ReadAllBytes(Repository.PathTo(Custom));
        IEnumerable<string> without = ContainerManifest.Parse(Custom, bytes, []).Images.Select(image => image.Field);

        Assert.AreEqual(fields, string.Join(' ', ContainerManifest.Parse(Custom, bytes, [path]).Images.Select(image => image.Field).Except(without)));
    }

    [TestMethod]
    public void What_a_path_names_is_overlooked_no_longer()
    {
        byte[] bytes = File.ReadAllBytes(Repository.PathTo(Custom));
        Assert.HasCount(2, ContainerManifest.Parse(Custom, bytes, []).Overlooked);
        Assert.HasCount(0, ContainerManifest.Parse(Custom, bytes, ["spec.image", "**.agentImage"]).Overlooked);
    }

    [TestMethod]
    [DataRow("metadata.annotations['sidecar.istio.io/proxyImage']")]
    [DataRow("metadata.annotations[\"sidecar.istio.io/proxyImage\"]")]
    [DataRow("metadata.*['sidecar.istio.io/proxyImage']")]
    [DataRow("**['sidecar.istio.io/proxyImage']")]
    [DataRow("metadata.annotations.*")]
    public void Names_with_dots_stand_in_quotes(string path)
    {
        const string Pod = """
            apiVersion: v1
            kind: Pod
            metadata:
              annotations: { sidecar.istio.io/proxyImage: docker.io/istio/proxyv2:1.27 }
            """;

        ManifestImage image = ContainerManifest.Parse("pod.yaml", Encoding.UTF8.GetBytes(Pod), [path]).Images.Single();
        Assert.AreEqual(("metadata.annotations['sidecar.istio.io/proxyImage']", "docker.io/istio/proxyv2:1.27"), (image.Field, image.Text));
        Assert.HasCount(1, ContainerManifest.Parse("pod.yaml", Encoding.UTF8.GetBytes(Pod), [image.Field]).Images, "a field can be pasted as a path");
    }

    [TestMethod]
    public void A_quote_in_a_name_is_doubled()
    {
        byte[] values = "it's: { a: ghcr.io/team/a:1 }"u8.ToArray();
        Assert.AreEqual("['it''s'].a", ContainerManifest.Parse("values.yaml", values, ["['it''s'].a"]).Images.Single().Field);
        Assert.AreEqual("['it''s'].a", ContainerManifest.Parse("values.yaml", values, ["[\"it's\"].a"]).Images.Single().Field);
    }

    [TestMethod]
    public void In_values_a_path_may_name_an_image_in_parts()
    {
        byte[] values = "custom: { repository: ghcr.io/team/a, tag: v1 }\nother: { repository: ghcr.io/team/b, digest: '' }"u8.ToArray();
        Assert.AreEqual("ghcr.io/team/a:v1", ContainerManifest.Parse("values.yaml", "custom: { repository: ghcr.io/team/a, tag: v1 }"u8.ToArray(), ["custom"]).Images.Single().Text);
        ConfigurationException no = Assert.ThrowsExactly<ConfigurationException>(() => ContainerManifest.Parse("values.yaml", values, ["other"]));
        Assert.Contains("no tag", no.Message);
    }

    [TestMethod]
    public void In_an_object_a_path_may_name_an_image_in_parts_and_it_is_pinned()
    {
        const string Text = "apiVersion: example.org/v1\nkind: Shop\nspec:\n  image: { repository: ghcr.io/team/a, tag: v1 }\n";
        ContainerManifest manifest = ContainerManifest.Parse("shop.yaml", Encoding.UTF8.GetBytes(Text), ["spec.image"]);

        Assert.AreEqual("ghcr.io/team/a:v1", manifest.Images.Single().Text);
        Assert.IsEmpty(manifest.Overlooked);
        Assert.AreEqual(Text.Replace("v1 }", $"v1@{Digest.Of("{}"u8)} }}", StringComparison.Ordinal), Encoding.UTF8.GetString(manifest.Pin(_ => Digest.Of("{}"u8))));
        Assert.Contains("a mapping", Assert.ThrowsExactly<ConfigurationException>(
            () => ContainerManifest.Parse("compose.yaml", "services: { a: { image: a/b, x: { repository: a/c, tag: v1 } } }"u8.ToArray(), ["services.a.x"])).Message);
    }

    [TestMethod]
    [DataRow("spec.nothing", "names nothing")]
    [DataRow("spec.images[2].ref", "names nothing")]
    [DataRow("spec.images.ref", "names nothing")]
    [DataRow("spec[0]", "names nothing")]
    [DataRow("spec.images", "a list")]
    [DataRow("spec", "a mapping")]
    [DataRow("spec.*", "expected an image reference")]
    public void Refuses_a_path_that_names_no_image(string path, string why)
    {
        ConfigurationException no = Assert.ThrowsExactly<ConfigurationException>(() => ContainerManifest.Parse(Custom, File.ReadAllBytes(Repository.PathTo(Custom)), [path]));
        Assert.Contains(why, no.Message);
        Assert.AreEqual(Custom, no.Position!.File);
    }

    [TestMethod]
    [DataRow("", "a name is missing")]
    [DataRow("spec.", "a name is missing")]
    [DataRow(".spec", "a name is missing")]
    [DataRow("spec..image", "a name is missing")]
    [DataRow("spec.images[]", "in brackets")]
    [DataRow("spec.images[-1]", "in brackets")]
    [DataRow("spec.images[0", "in brackets")]
    [DataRow("spec.images[name]", "in brackets")]
    [DataRow("spec.images[0]ref", "separated by dots")]
    [DataRow("spec['image", "ends with the same quote")]
    [DataRow("spec['image'", "ends with the same quote")]
    [DataRow("spec['image\"]", "ends with the same quote")]
    [DataRow("spec.im*", "has to be written as")]
    [DataRow("spec.my image", "has to be written as")]
    [DataRow("spec.**", "after **")]
    [DataRow("**", "after **")]
    [DataRow("**.**.image", "any number of steps already")]
    public void Refuses_what_is_no_path_and_says_why(string path, string why)
    {
        ConfigurationException no = Assert.ThrowsExactly<ConfigurationException>(() => ContainerManifest.Parse("a.yaml", "image: a/b"u8.ToArray(), [path]));
        Assert.AreEqual(Diagnostics.UnknownValue, no.Kind);
        Assert.Contains(why, no.Message);
    }

    [TestMethod]
    public void Paths_are_bounded()
    {
        byte[] values = "image: a/b"u8.ToArray();
        Assert.HasCount(1, ContainerManifest.Parse("a.yaml", values, [.. Enumerable.Repeat("image", Limits.ImagePaths)]).Images);
        Refuses("more than 100 paths", [.. Enumerable.Repeat("image", Limits.ImagePaths + 1)]);
        Refuses("more than 64 steps", [string.Join('.', Enumerable.Repeat("a", Limits.ImagePathSteps + 1))]);
        Refuses("names nothing", [string.Join('.', Enumerable.Repeat("a", Limits.ImagePathSteps))]);

        void Refuses(string why, string[] paths) =>
            Assert.Contains(why, Assert.ThrowsExactly<ConfigurationException>(() => ContainerManifest.Parse("a.yaml", values, paths)).Message);
    }
}
