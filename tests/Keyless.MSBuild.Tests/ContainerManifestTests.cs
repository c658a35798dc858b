using System.Globalization;
using System.Text;
using Keyless.MSBuild.Manifests;
using Keyless.Oci;
using Keyless.Testing;

namespace Keyless.MSBuild.Tests;

[TestClass]
public sealed class ContainerManifestTests
{
    public static IEnumerable<string[]> Corpus => Files("manifests");

    public static IEnumerable<string[]> Refused => Files("manifests/refused");

    [TestMethod]
    public void The_corpus_has_what_is_listed() => Golden.Verify(Listing(Corpus, (file, list) =>
    {
        ContainerManifest manifest = Read(file);
        foreach (ManifestImage image in manifest.Images)
        {
            list.AppendLine(CultureInfo.InvariantCulture, $"  ({image.Line},{image.Column}) {image.Field}: {image.Text}");
        }

        foreach (ManifestImage image in manifest.Overlooked)
        {
            list.AppendLine(CultureInfo.InvariantCulture, $"  ({image.Line},{image.Column}) {image.Field}: {image.Text}, if it is an image");
        }
    }), "ManifestsFound");

    [TestMethod]
    public void What_is_refused_is_refused_where_the_reason_is() => Golden.Verify(Listing(Refused, (file, list) =>
    {
        ConfigurationException no = Assert.ThrowsExactly<ConfigurationException>(() => Read(file));
        list.AppendLine(CultureInfo.InvariantCulture, $"  ({no.Position!.Line},{no.Position.Column}) {no.Kind.Code}: {Diagnostic.OneLine(no.Message)}");
        Assert.AreEqual(file, no.Position.File);
    }), "ManifestsRefused");

    [TestMethod]
    public void Pinned_files_are_what_is_listed() => Golden.Verify(Listing(Corpus, (file, list) =>
        list.AppendLine(Encoding.UTF8.GetString(Read(file).Pin(DigestOf)).ReplaceLineEndings("\n"))), "ManifestsPinned");

    [TestMethod]
    public void The_example_in_the_documentation_is_real()
    {
        const string File = "tests/Keyless.MSBuild.Tests/manifests/compose-plain.yaml";
        string page = System.IO.File.ReadAllText(Repository.PathTo("docs/manifests.md"));
        string pinned = Encoding.UTF8.GetString(Read(File).Pin(_ => Digest.Of("{}"u8))).Replace(Digest.Of("{}"u8).ToString(), "sha256:…", StringComparison.Ordinal);

        Assert.Contains($"This compose file\n\n```yaml\n{System.IO.File.ReadAllText(Repository.PathTo(File))}```\n\nis written as\n\n```yaml\n{pinned}```\n", page);
    }

    [TestMethod]
    [DynamicData(nameof(Corpus))]
    public void No_image_is_missed_and_none_invented(string file)
    {
        string[] found = [.. Read(file).Images.Select(image => image.Text).Distinct().Order(StringComparer.Ordinal)];

        string kind = Path.GetFileName(file).Split('-', '.')[0];
        CollectionAssert.AreEqual(PlainReader.ImagesOf(kind, File.ReadAllText(Repository.PathTo(file))).ToArray(), found);
    }

    [TestMethod]
    [DynamicData(nameof(Corpus))]
    public void Without_digests_a_file_stays_byte_for_byte(string file)
    {
        byte[] bytes = File.ReadAllBytes(Repository.PathTo(file));
        CollectionAssert.AreEqual(bytes, ContainerManifest.Parse(file, bytes, []).Pin(_ => null));
    }

    [TestMethod]
    [DynamicData(nameof(Corpus))]
    public void Nothing_but_digests_is_written(string file)
    {
        ContainerManifest manifest = Read(file);
        byte[] bytes = File.ReadAllBytes(Repository.PathTo(file)), pinned = manifest.Pin(DigestOf);

        // Latin-1 makes a character of every byte.
        string text = Encoding.Latin1.GetString(pinned), before = Encoding.Latin1.GetString(bytes);
        foreach (string digest in manifest.Images.Where(image => image.Reference.Digest is null).Select(image => DigestOf(image).ToString()).Distinct())
        {
            text = text.Replace($"@{digest}", "", StringComparison.Ordinal);
            // Fields of their own: empty, or with one of the ways to write null.
            foreach (string written in new[] { digest, digest["sha256:".Length..] })
            {
                text = text.Replace($" \"{written}\"", " \"\"", StringComparison.Ordinal).Replace($"'{written}'", "''", StringComparison.Ordinal);
            }
        }

        Assert.AreEqual(Fields(before), Fields(text));

        static string Fields(string text) => System.Text.RegularExpressions.Regex.Replace(text, @"(\b(?:digest|sha)""?:) *(?:""""|null|~)? *", "$1");
    }

    [TestMethod]
    [DynamicData(nameof(Corpus))]
    public void What_is_pinned_is_found_again_where_it_was(string file)
    {
        ContainerManifest manifest = Read(file);
        byte[] pinned = manifest.Pin(DigestOf);
        ContainerManifest again = ContainerManifest.Parse(file, pinned, []);

        CollectionAssert.AreEqual(manifest.Images.Select(image => image.Field).ToArray(), again.Images.Select(image => image.Field).ToArray());
        CollectionAssert.AreEqual(manifest.Images.Select(image => image.Reference.Digest ?? DigestOf(image)).ToArray(), again.Images.Select(image => image.Reference.Digest!).ToArray());
        CollectionAssert.AreEqual(pinned, again.Pin(image => image.Reference.Digest), "what is pinned is not pinned again");
        string kind = Path.GetFileName(file).Split('-', '.')[0];
        Assert.AreEqual(PlainReader.ImagesOf(kind, File.ReadAllText(Repository.PathTo(file))).Count, PlainReader.ImagesOf(kind, Encoding.UTF8.GetString(pinned).TrimStart('\ufeff')).Count);
    }

    [TestMethod]
    public void An_alias_is_verified_once_and_pinned_once()
    {
        ContainerManifest manifest = Read("tests/Keyless.MSBuild.Tests/manifests/compose-anchors.yaml");
        var asked = new List<string>();
        manifest.Pin(image =>
        {
            asked.Add(image.Field);
            return null;
        });

        Assert.AreEqual("services.web.image services.plain.image services.other.image services.named.image", string.Join(' ', asked));
    }

    [TestMethod]
    public void Only_what_has_a_digest_is_pinned()
    {
        ContainerManifest manifest = Read("tests/Keyless.MSBuild.Tests/manifests/compose-plain.yaml");
        string pinned = Encoding.UTF8.GetString(manifest.Pin(image => image.Field == "services.db.image" ? DigestOf(image) : null));

        Assert.AreEqual(1, pinned.Split("@sha256:").Length - 1);
        Assert.Contains($"    image: postgres:17@{DigestOf(manifest.Images[1])}     # Docker's own\n", pinned);
    }

    [TestMethod]
    public void Another_digest_than_the_one_that_is_there_is_a_bug()
    {
        ContainerManifest manifest = Read("tests/Keyless.MSBuild.Tests/manifests/compose-pinned.yaml");
        Assert.ThrowsExactly<ArgumentException>(() => manifest.Pin(_ => Digest.Of("another"u8)));
    }

    [TestMethod]
    [DataRow("a: { image: { repository: ghcr.io/team/a, tag: &tag v1 } }\nb: { image: { repository: ghcr.io/team/b, tag: *tag } }\n", "have different digests")]
    [DataRow("a: { image: { repository: ghcr.io/team/a, tag: &tag v1 } }\nversion: *tag\n", "aliases repeat this value")]
    [DataRow("a: { image: &a { repository: ghcr.io/team/a, tag: v1 } }\nb: { image: { <<: *a, repository: ghcr.io/team/b } }\n", "have different digests")]
    [DataRow("a: { image: &a { repository: ghcr.io/team/a, tag: v1 } }\nb: { image: { <<: *a, registry: docker.io } }\n", "have different digests")]
    [DataRow("a: { image: &a ghcr.io/team/a }\nb: { image: { repository: *a, tag: v1 } }\n", "would mean something else")]
    public void Values_that_two_images_share_are_not_pinned_unless_both_agree(string text, string why)
    {
        ContainerManifest manifest = ContainerManifest.Parse("values.yaml", Encoding.UTF8.GetBytes(text), []);
        CollectionAssert.AreEqual(Encoding.UTF8.GetBytes(text), manifest.Pin(_ => null));

        ConfigurationException no = Assert.ThrowsExactly<ConfigurationException>(() => manifest.Pin(DigestOf));
        Assert.AreEqual((Diagnostics.UnreadableManifest, "values.yaml"), (no.Kind, no.Position!.File));
        Assert.Contains(why, no.Message);
    }

    [TestMethod]
    [DataRow("", " \"DIGEST\"")]
    [DataRow(" ", " \"DIGEST\" ")]
    [DataRow("   # comment\n", " \"DIGEST\"   # comment\n")]
    [DataRow(" null # comment\r\n", " \"DIGEST\" # comment\r\n")]
    [DataRow(" &d\n", " &d \"DIGEST\"\n")]
    [DataRow(" &d ~\n", " &d \"DIGEST\"\n")]
    [DataRow(" ''", " 'DIGEST'")]
    public void An_empty_field_at_the_end_is_filled(string behind, string pinned)
    {
        const string Before = "image:\n  repository: ghcr.io/team/a\n  tag: v1\n  digest:";
        ContainerManifest manifest = ContainerManifest.Parse("values.yaml", Encoding.UTF8.GetBytes(Before + behind), []);

        Assert.AreEqual(Before + pinned, Encoding.UTF8.GetString(manifest.Pin(DigestOf)).Replace(DigestOf(manifest.Images[0]).ToString(), "DIGEST", StringComparison.Ordinal));
    }

    [TestMethod]
    public void A_field_for_the_hex_digits_takes_sha256_only()
    {
        var sha512 = Digest.Parse($"sha512:{new string('0', 128)}");
        byte[] Values(string field) => Encoding.UTF8.GetBytes($"image: {{ repository: ghcr.io/team/a, tag: v1, {field}: '' }}");

        Assert.Contains(sha512.ToString(), Encoding.UTF8.GetString(ContainerManifest.Parse("values.yaml", Values("digest"), []).Pin(_ => sha512)));
        ConfigurationException no = Assert.ThrowsExactly<ConfigurationException>(() => ContainerManifest.Parse("values.yaml", Values("sha"), []).Pin(_ => sha512));
        Assert.Contains("SHA-256 only", no.Message);
    }

    [TestMethod]
    [DataRow("1.0")]
    [DataRow("1")]
    [DataRow("0x1f")]
    [DataRow("0o17")]
    [DataRow("0b11")]
    [DataRow("1_000")]
    [DataRow("12e4567")]
    [DataRow(".5")]
    [DataRow("-1")]
    [DataRow(".inf")]
    [DataRow(".NaN")]
    [DataRow("1:20")]
    [DataRow("190:20:30.15")]
    [DataRow("2026-11-26")]
    [DataRow("2026-11-26T10:00:00Z")]
    [DataRow("2026-11-26 10:00:00 +1")]
    [DataRow("yes")]
    [DataRow("NO")]
    [DataRow("On")]
    [DataRow("y")]
    [DataRow("true")]
    [DataRow("=")]
    public void What_some_readers_take_for_something_else_is_a_string_in_quotes_only(string value)
    {
        byte[] Values(string tag) => Encoding.UTF8.GetBytes($"image: {{ repository: ghcr.io/team/a, tag: {tag} }}");
        ConfigurationException no = Assert.ThrowsExactly<ConfigurationException>(() => ContainerManifest.Parse("values.yaml", Values(value), []));
        Assert.AreEqual((Diagnostics.UnreadableManifest, 43), (no.Kind, no.Position!.Column));
        Assert.Contains("put it in quotes", no.Message);
        Assert.IsTrue(new YamlScalar(0, 0, "", value, YamlDotNet.Core.ScalarStyle.SingleQuoted).IsString);
    }

    [TestMethod]
    [DataRow("1.0.0")]
    [DataRow("v1")]
    [DataRow("1.0-rc.1")]
    [DataRow("1a")]
    [DataRow("0x")]
    [DataRow("2026-11")]
    [DataRow("1e")]
    [DataRow("yess")]
    [DataRow("nginx")]
    [DataRow("nginx:1")]
    [DataRow("nulls")]
    [DataRow("sha256:00")]
    public void What_every_reader_takes_for_a_string_needs_no_quotes(string value) => Assert.IsTrue(PlainScalar.IsString(value));

    [TestMethod]
    public void Sizes_are_bounded()
    {
        string Compose(int images) => $"services:\n{string.Concat(Enumerable.Range(0, images).Select(i => $"  s{i}: {{ image: team/a{i} }}\n"))}";
        string Nested(int depth) => $"x-deep: {new string('[', depth)}{new string(']', depth)}\n{Compose(1)}";
        string Chain(int length) => $"x-0: &a0 [x]\n{string.Concat(Enumerable.Range(1, length).Select(i => $"x-{i}: &a{i} [*a{i - 1}]\n"))}{Compose(1)}";

        Assert.HasCount(Limits.ManifestImages, Parse(Compose(Limits.ManifestImages)).Images);
        Refuses("more than 1000 images", Compose(Limits.ManifestImages + 1));
        Refuses("expected at most 4194304", Compose(1) + new string('#', Limits.ManifestFileBytes));
        Assert.HasCount(1, Parse(Nested(Limits.YamlDepth - 2)).Images);
        Refuses("64 levels", Nested(Limits.YamlDepth));
        Assert.HasCount(1, Parse(Chain(Limits.YamlDepth - 4)).Images);
        Refuses("64 levels", Chain(Limits.YamlDepth));
        Refuses("more than 1000000 values", $"x: [{string.Concat(Enumerable.Repeat("a,", Limits.YamlNodes))}]");
    }

    [TestMethod]
    public void A_chain_of_merges_is_bounded()
    {
        // Each level has all entries of the ones before.
        string text = $"x-0: &a0 {{ {string.Concat(Enumerable.Range(0, 20_000).Select(i => $"k{i}: v, "))} }}\n"
            + string.Concat(Enumerable.Range(1, 60).Select(i => $"x-{i}: &a{i}\n  <<: *a{i - 1}\n"));
        Refuses("more than 1000000 values", text);
    }

    [TestMethod]
    public void A_chain_of_extended_services_is_bounded() => Refuses(
        "more than 1000000 values",
        $"services:\n  s0: {{ image: team/a }}\n{string.Concat(Enumerable.Range(1, 2000).Select(i => $"  s{i}: {{ extends: s{i - 1} }}\n"))}");

    [TestMethod]
    public void Errors_stand_at_the_place_in_the_file()
    {
        var engine = new RecordingEngine();
        var task = new PlacedError { BuildEngine = engine };

        Assert.IsFalse(task.Execute());
        Assert.AreEqual("deploy/compose.yaml(3,12): KEYLESS5015", $"{engine.Errors[0].File}({engine.Errors[0].LineNumber},{engine.Errors[0].ColumnNumber}): {engine.Errors[0].Code}");
    }

    private static void Refuses(string why, string text) =>
        Assert.Contains(why, Assert.ThrowsExactly<ConfigurationException>(() => Parse(text)).Message);

    private static ContainerManifest Parse(string text) => ContainerManifest.Parse("compose.yaml", Encoding.UTF8.GetBytes(text), []);

    private static Digest DigestOf(ManifestImage image) => image.Reference.Digest ?? Digest.Of(Encoding.UTF8.GetBytes(image.Text));

    private static ContainerManifest Read(string file) => ContainerManifest.Parse(file, File.ReadAllBytes(Repository.PathTo(file)), []);

    private static IEnumerable<string[]> Files(string folder) =>
        Directory.GetFiles(Repository.PathTo($"tests/Keyless.MSBuild.Tests/{folder}")).Where(file => Path.GetExtension(file) is ".yaml" or ".json")
            .Select(file => new[] { $"tests/Keyless.MSBuild.Tests/{folder}/{Path.GetFileName(file)}" }).OrderBy(file => file[0], StringComparer.Ordinal);

    private static string Listing(IEnumerable<string[]> files, Action<string, StringBuilder> write)
    {
        var list = new StringBuilder();
        foreach (string[] file in files)
        {
            list.AppendLine(Path.GetFileName(file[0]));
            write(file[0], list);
        }

        return list.ToString();
    }

    private sealed class PlacedError : KeylessTask
    {
        private protected override Task RunAsync(CancellationToken cancel)
        {
            ContainerManifest.Parse("deploy/compose.yaml", "services:\n  web:\n    image: $IMAGE\n"u8.ToArray(), []);
            return Task.CompletedTask;
        }
    }
}
