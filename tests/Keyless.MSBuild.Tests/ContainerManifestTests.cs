using System.Globalization;
using System.Text;
using CsCheck;
using Keyless.MSBuild.Manifests;
using Keyless.Oci;
using Keyless.Testing;

namespace Keyless.MSBuild.Tests;

[TestClass]
public sealed class ContainerManifestTests
{
    private static readonly Digest Other = Digest.Of("[]"u8);

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
    }), "manifests/Found");

    [TestMethod]
    public void What_is_refused_is_refused_where_the_reason_is() => Golden.Verify(Listing(Refused, (file, list) =>
    {
        ConfigurationException no = Assert.ThrowsExactly<ConfigurationException>(() => Read(file));
        list.AppendLine(CultureInfo.InvariantCulture, $"  ({no.Position!.Line},{no.Position.Column}) {no.Kind.Code}: {Diagnostic.OneLine(no.Message)}");
        Assert.AreEqual(file, no.Position.File);
    }), "manifests/Refused");

    [TestMethod]
    public void Pinned_files_are_what_is_listed() => Golden.Verify(Listing(Corpus, (file, list) =>
        list.AppendLine(Encoding.UTF8.GetString(Read(file).Pin(DigestOf)).ReplaceLineEndings("\n"))), "manifests/Pinned");

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
    public void Places_are_where_the_value_begins(string file)
    {
        string[] lines = File.ReadAllText(Repository.PathTo(file)).Split(["\r\n", "\n", "\r"], StringSplitOptions.None);
        foreach (ManifestImage image in Read(file).Images)
        {
            string there = lines[image.Line - 1][(image.Column - 1)..];
            string name = there.TrimStart('\'', '"').Split('\\')[0];
            Assert.IsTrue(there[0] is '>' or '|' || image.Text.Contains(name.Length > 5 ? name[..5] : name, StringComparison.Ordinal), $"{image.Field}: {there}");
        }
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

        static string Fields(string text) => System.Text.RegularExpressions.Regex.Replace(text, @"(\b(?:digest|sha)""?:) *(?:""""|null|~|(?=[ }\r\n]))", "$1");
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
        Assert.AreEqual(
            PlainReader.ImagesOf(kind, File.ReadAllText(Repository.PathTo(file)).TrimStart('\ufeff')).Count,
            PlainReader.ImagesOf(kind, Encoding.UTF8.GetString(pinned).TrimStart('\ufeff')).Count);
    }

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
}
