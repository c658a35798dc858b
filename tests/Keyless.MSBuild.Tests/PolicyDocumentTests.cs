using YamlDotNet.RepresentationModel;

namespace Keyless.MSBuild.Tests;

/// <summary>The documents for clusters, read as YAML by somebody else's reader.</summary>
[TestClass]
public sealed class PolicyDocumentTests
{
    [TestMethod]
    [DataRow("https://github.com/a/b/.github/workflows/c.yml@refs/heads/main")]
    [DataRow("it's \"me\" # &a *b !c %d |e >f [g] {h}: - i, ? j @k `l` \\n")]
    [DataRow("---\n...\r\n- a: b\t\u2028\u2029\u0085\0\a\u001b")]
    [DataRow("\uFEFF\u202E\U000E0041\U0001F600é")]
    [DataRow("null")]
    [DataRow("~")]
    [DataRow("1e3")]
    [DataRow(" a ")]
    [DataRow("")]
    public void An_identity_reads_back_as_itself(string identity)
    {
        foreach (bool isPublicGood in new[] { true, false })
        {
            YamlNode cluster = Read(Recipe(isPublicGood, subject: identity, issuer: identity).ClusterImagePolicy);
            YamlNode kyverno = Read(Recipe(isPublicGood, subject: identity, issuer: identity).KyvernoPolicy);

            foreach (YamlNode known in new[] { cluster["spec"]["authorities"][0]["keyless"]["identities"], kyverno["spec"]["attestors"][0]["cosign"]["keyless"]["identities"] })
            {
                Assert.AreEqual((identity, identity, 1), (Text(known[0]["issuer"]), Text(known[0]["subject"]), ((YamlSequenceNode)known).Children.Count));
            }
        }
    }

    [TestMethod]
    [DataRow(true, "signatureFormat keyless ctlog attestations name", "keyless ctlog")]
    [DataRow(false, "signatureFormat keyless ctlog attestations name", "keyless trustedRoot ctlog")]
    public void Members_stand_where_their_reader_looks(bool isPublicGood, string inAuthority, string inCosign)
    {
        YamlNode cluster = Read(Recipe(isPublicGood).ClusterImagePolicy), kyverno = Read(Recipe(isPublicGood).KyvernoPolicy);

        Assert.AreEqual(Sorted(inAuthority), Members(cluster["spec"]["authorities"][0]));
        Assert.AreEqual(isPublicGood ? "identities url" : "identities trustRootRef", Members(cluster["spec"]["authorities"][0]["keyless"]));
        Assert.AreEqual("https://sigstore.dev/cosign/sign/v1", Text(cluster["spec"]["authorities"][0]["attestations"][0]["predicateType"]));
        // kyverno issue 17562, 2026-09-13: the trusted root is a member of cosign, as of Kyverno 1.19.
        Assert.AreEqual(Sorted(inCosign), Members(kyverno["spec"]["attestors"][0]["cosign"]));
        Assert.AreEqual("identities", Members(kyverno["spec"]["attestors"][0]["cosign"]["keyless"]));
        Assert.AreEqual("attestors matchConstraints matchImageReferences validationActions validations", Members(kyverno["spec"]));
    }

    /// <summary>What no glob matches, Kyverno admits unseen.</summary>
    [TestMethod]
    [DataRow("ghcr.io", "team/hello", "ghcr.io/team/hello", "ghcr.io/team/hello:1.0", "ghcr.io/team/hello@sha256:0", "ghcr.io/team/hello:1.0@sha256:0")]
    [DataRow("localhost:5000", "hello", "localhost:5000/hello", "localhost:5000/hello:latest")]
    [DataRow("docker.io", "team/hello", "team/hello", "team/hello:1.0", "docker.io/team/hello", "index.docker.io/team/hello@sha256:0", "registry-1.docker.io/team/hello:1.0")]
    [DataRow("docker.io", "library/busybox", "busybox", "busybox:1", "library/busybox", "docker.io/busybox", "docker.io/library/busybox:1", "index.docker.io/library/busybox")]
    public void Kyverno_is_told_every_way_to_write_the_name(string registry, string repository, params string[] written)
    {
        string[] globs = [.. ((YamlSequenceNode)Read(Recipe(true, registry, repository).KyvernoPolicy)["spec"]["matchImageReferences"]).Select(reference => Text(reference["glob"]))];

        foreach (string image in written)
        {
            Assert.IsTrue(globs.Any(glob => Matches(glob, image)), image);
        }

        Assert.IsFalse(globs.Any(glob => Matches(glob, $"{written[0]}-world:1.0") || Matches(glob, $"evil.example/{written[0]}:1.0")));
    }

    [TestMethod]
    public void Kyverno_is_told_of_every_kind_of_container()
    {
        string expression = Text(Read(Recipe(true).KyvernoPolicy)["spec"]["validations"][0]["expression"]);

        foreach (string kind in new[] { "images.containers", "images.initContainers", "images.ephemeralContainers" })
        {
            Assert.Contains(kind, expression);
        }
    }

    [TestMethod]
    public void The_policy_controller_is_told_which_form_to_look_for()
    {
        YamlMappingNode bundle = Authority(isLegacy: false), legacy = Authority(isLegacy: true);

        Assert.AreEqual("bundle", Text(bundle["signatureFormat"]));
        Assert.AreEqual("https://sigstore.dev/cosign/sign/v1", Text(bundle["attestations"][0]["predicateType"]));
        Assert.AreSequenceEqual(["name", "keyless", "ctlog"], legacy.Children.Keys.Select(Text).ToArray());

        static YamlMappingNode Authority(bool isLegacy) => (YamlMappingNode)Read(
            new StepSummary.Recipe("ghcr.io", "team/hello", "ghcr.io/team/hello@sha256:0", "me@example.com", "https://accounts.example", isPublicGood: true, isLegacy: isLegacy).ClusterImagePolicy)["spec"]["authorities"][0];
    }

    // gobwas/glob without separators: a star at the end stands for anything.
    private static bool Matches(string glob, string image) => glob.EndsWith('*') ? image.StartsWith(glob[..^1], StringComparison.Ordinal) : image == glob;

    private static StepSummary.Recipe Recipe(bool isPublicGood, string registry = "ghcr.io", string repository = "team/hello", string subject = "me@example.com", string issuer = "https://accounts.example") =>
        new(registry, repository, $"{registry}/{repository}@sha256:0", subject, issuer, isPublicGood);

    /// <summary>One document, no member twice.</summary>
    private static YamlNode Read(string yaml)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(yaml));
        return stream.Documents.Single().RootNode;
    }

    private static string Text(YamlNode node) => ((YamlScalarNode)node).Value!;

    private static string Members(YamlNode node) => Sorted(string.Join(' ', ((YamlMappingNode)node).Children.Keys.Select(Text)));

    private static string Sorted(string words) => string.Join(' ', words.Split(' ').Order(StringComparer.Ordinal));
}
