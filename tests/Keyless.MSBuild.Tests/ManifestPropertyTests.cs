using System.Globalization;
using System.Text;
using CsCheck;
using Keyless.MSBuild.Manifests;
using Keyless.Oci;
using Keyless.Testing;

namespace Keyless.MSBuild.Tests;

/// <summary>Deploy files as a generator writes them: it knows what is in them and where, and can write the same file with digests.</summary>
[TestClass]
public sealed class ManifestPropertyTests
{
    private const int Styles = 9;

    /// <param name="Style">How the value is written.</param>
    /// <param name="Depth">How many other fields it stands below, where the kind of file allows that.</param>
    private sealed record Entry(string Name, string Tag, int Style, int Depth, bool Comment);

    private enum Kind
    {
        Compose,
        Kubernetes,
        Helm,
        Json,
    }

    private sealed record Sample(Kind Kind, Entry[] Entries, string LineEnd, bool Mark, int Indent);

    private static readonly Gen<Entry> Entries = Gen.Select(
        OneOf("nginx", "team/app", "ghcr.io/team/app", "localhost:5000/a__b/c-d--e/f.g_h", "Registry.Example.COM/team/app", "[::1]:5000/app"),
        OneOf("v1", "1.2.3", "latest", "1.0-rc.1", "20261126-abc"),
        Gen.Int[0, Styles - 1], Gen.Int[0, 12], Gen.Bool, (name, tag, style, depth, comment) => new Entry(name, tag, style, depth, comment));

    private static readonly Gen<Sample> Samples = Gen.Select(
        Gen.Enum<Kind>(), Entries.Array[1, 6], OneOf("\n", "\r\n", "\r"), Gen.Bool, Gen.Int[1, 4], (kind, entries, end, mark, indent) => new Sample(kind, entries, end, mark, indent));

    [TestMethod]
    public void Everything_is_found_where_it_was_written() => Properties.Holds(Samples, 400, sample =>
    {
        (byte[] bytes, IReadOnlyList<(int Line, int Column)> places) = Write(sample, "");
        ContainerManifest manifest = ContainerManifest.Parse("generated", bytes, []);

        CollectionAssert.AreEqual(sample.Entries.Select(Reference).ToArray(), manifest.Images.Select(image => image.Text).ToArray());
        CollectionAssert.AreEqual(places.ToArray(), manifest.Images.Select(image => (image.Line, image.Column)).ToArray());
        CollectionAssert.AreEqual(bytes, manifest.Pin(_ => null));
    });

    [TestMethod]
    public void What_is_pinned_is_what_would_have_been_written_with_digests() => Properties.Holds(Samples, 400, sample =>
    {
        Digest digest = Digest.Of("{}"u8);
        byte[] pinned = ContainerManifest.Parse("generated", Write(sample, "").Bytes, []).Pin(_ => digest);

        Assert.AreEqual(Encoding.UTF8.GetString(Write(sample, $"@{digest}").Bytes), Encoding.UTF8.GetString(pinned));
    });

    [TestMethod]
    public void Whatever_is_done_to_a_file_it_is_read_or_refused()
    {
        byte[][] corpus = [.. ContainerManifestTests.Corpus.Concat(ContainerManifestTests.Refused).Select(file => File.ReadAllBytes(Repository.PathTo(file[0])))];
        Gen<(int File, (double At, int What, int Length)[] Changes)> mutants = Gen.Select(Gen.Int[0, corpus.Length - 1], Gen.Select(Gen.Double[0, 1], Gen.Int[0, 40], Gen.Int[1, 8]).Array[1, 4]);
        Properties.Holds(mutants, 4000, mutant =>
        {
            byte[] bytes = mutant.Changes.Aggregate(corpus[mutant.File], Change);
            try
            {
                ContainerManifest manifest = ContainerManifest.Parse("mutant", bytes, []);
                CollectionAssert.AreEqual(bytes, manifest.Pin(_ => null));
                ContainerManifest again = ContainerManifest.Parse("mutant", manifest.Pin(image => image.Reference.Digest ?? Digest.Of("{}"u8)), []);
                Assert.IsTrue(again.Images.All(image => image.Reference.Digest is not null));
            }
            catch (ConfigurationException e)
            {
                Assert.IsNotNull(e.Position);
            }
        });

        static byte[] Change(byte[] bytes, (double At, int What, int Length) change)
        {
            const string Pieces = ":-?,[]{}#&*!|>'\"%@` \t\r\n\\<~=$0aé";
            int at = (int)(change.At * bytes.Length), end = Math.Min(bytes.Length, at + change.Length);
            byte[] piece = change.What < Pieces.Length ? Encoding.UTF8.GetBytes(Pieces[change.What].ToString()) : change.What < 38 ? [] : bytes[at..end];
            return change.What % 2 == 0 ? [.. bytes[..at], .. piece, .. bytes[at..]] : [.. bytes[..at], .. piece, .. bytes[end..]];
        }
    }

    private static Gen<string> OneOf(params string[] values) => Gen.Int[0, values.Length - 1].Select(i => values[i]);

    private static string Reference(Entry entry) => $"{entry.Name}:{entry.Tag}";

    private static (byte[] Bytes, IReadOnlyList<(int Line, int Column)> Places) Write(Sample sample, string digest)
    {
        var writer = new Writer(sample, digest);
        string text = writer.Write();
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        return (sample.Mark ? [.. Encoding.UTF8.Preamble, .. bytes] : bytes, writer.Places);
    }

    private sealed class Writer(Sample sample, string digest)
    {
        private readonly StringBuilder text = new();
        private readonly List<(int Line, int Column)> places = [];
        private int line = 1, lineStart;

        public IReadOnlyList<(int Line, int Column)> Places => places;

        public string Write()
        {
            switch (sample.Kind)
            {
                case Kind.Compose:
                    Line("# 😀 generated");
                    Line("services:");
                    foreach ((int i, Entry entry) in sample.Entries.Index())
                    {
                        Line($"{Pad(1)}s{i}:");
                        Field(entry, 2, "image", Reference(entry), isPlace: true);
                        Line($"{Pad(2)}restart: always");
                    }

                    break;
                case Kind.Kubernetes:
                    foreach (Entry entry in sample.Entries)
                    {
                        Pod(entry);
                    }

                    break;
                case Kind.Helm:
                    foreach ((int i, Entry entry) in sample.Entries.Index())
                    {
                        Line($"c{i}:");
                        Line($"{Pad(1)}image:");
                        Line($"{Pad(2)}repository: ", mark: true, entry.Name[0] == '[' ? $"'{entry.Name}'" : entry.Name);
                        Field(entry, 2, "tag", entry.Tag, isPlace: false);
                    }

                    break;
                default:
                    text.Append("{ \"services\": {");
                    foreach ((int i, Entry entry) in sample.Entries.Index())
                    {
                        text.Append(CultureInfo.InvariantCulture, $"{(i == 0 ? "" : ",")}\t\"s{i}\": {{ \"a\": \"\\ud83d\\ude00 é\", \"image\": ");
                        Mark();
                        text.Append(CultureInfo.InvariantCulture, $"\"{Reference(entry)}{digest}\" }}");
                    }

                    text.Append("} }");
                    break;
            }

            return text.ToString();
        }

        private void Pod(Entry entry)
        {
            Line("---");
            Line("apiVersion: v1");
            Line("kind: Anything");
            for (int i = 0; i < entry.Depth; i++)
            {
                Line($"{Pad(i)}{(i % 2 == 0 ? "'é 😀'" : "below")}:");
            }

            Line($"{Pad(entry.Depth)}initContainers:");
            Line($"{Pad(entry.Depth)}- name: first");
            Field(entry, entry.Depth, "image", Reference(entry), isPlace: true, before: "  ");
            Line($"{Pad(entry.Depth)}- name: second");
        }

        /// <summary>A field in one of the styles.</summary>
        private void Field(Entry entry, int level, string key, string value, bool isPlace, string before = "")
        {
            string pad = Pad(level) + before, deeper = pad + new string(' ', sample.Indent);
            string written = value + digest, comment = entry.Comment ? "  # ünïcode: 😀" : "";
            bool isPlainWrong = value[0] == '[';
            switch (entry.Style)
            {
                case 0 when !isPlainWrong:
                    Line($"{pad}{key}: ", isPlace, written + comment);
                    break;
                case 1 or 0:
                    Line($"{pad}{key}: ", isPlace, $"'{written}'{comment}");
                    break;
                case 2:
                    Line($"{pad}\"{key}\":   ", isPlace, $"\"{written}\"{comment}");
                    break;
                case 3:
                    Line($"{pad}{key}: ", isPlace, $"\"\\x{(int)written[0]:X2}{written[1..]}\"{comment}");
                    break;
                case 4:
                    Line($"{pad}{key}: ", isPlace, $"\"{written[0]}\\");
                    Line($"{deeper}{written[1..]}\"{comment}");
                    break;
                case 5:
                    Line($"{pad}{key}: ", isPlace, $">-{comment}");
                    Line(deeper + written);
                    Line("");
                    break;
                case 6:
                    Line($"{pad}? {key}");
                    Line($"{pad}: ", isPlace, $"|-{comment}");
                    Line($"{deeper} {written}");
                    Line($"{(entry.Comment ? $"{pad}# behind the block" : "")}");
                    break;
                case 7 when !isPlainWrong:
                    Line($"{pad}{key}:{comment}");
                    Line(deeper, isPlace, written);
                    break;
                default:
                    Line($"{pad}{key}: &a{line} !!str ", isPlace, $"'{written}'{comment}");
                    break;
            }
        }

        private string Pad(int level) => new(' ', level * sample.Indent);

        private void Line(string before, bool mark = false, string behind = "")
        {
            text.Append(before);
            if (mark)
            {
                Mark();
            }

            text.Append(behind).Append(sample.LineEnd);
            line++;
            lineStart = text.Length;
        }

        private void Mark() => places.Add((line, text.Length - lineStart + 1));
    }
}
