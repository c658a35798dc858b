using Keyless.Oci;
using YamlDotNet.Core;

namespace Keyless.MSBuild.Manifests;

/// <summary>
/// A file that says which images are deployed: a compose file, Kubernetes manifests or Helm values. Which it is, its content tells. Every image in it is
/// found, or the file is refused; <c>docs/manifests.md</c> says what counts.
/// </summary>
internal sealed class ContainerManifest
{
    private readonly string path;
    private readonly IReadOnlyList<string> imagePaths;
    private readonly YamlFile file;

    private ContainerManifest(string path, IReadOnlyList<string> imagePaths, YamlFile file, FoundImages found)
    {
        (this.path, this.imagePaths, this.file) = (path, imagePaths, file);
        Images = found.Images;
        Overlooked = found.Overlooked;
    }

    /// <summary>In the file's order, each once.</summary>
    public IReadOnlyList<ManifestImage> Images { get; }

    /// <summary>Fields that look like an image and are none of those that count; a path of <c>ImagePath</c> makes one count.</summary>
    public IReadOnlyList<ManifestImage> Overlooked { get; }

    /// <summary>Reads a file.</summary>
    /// <param name="path">For messages.</param>
    /// <param name="imagePaths">Fields that are images as well, each in the grammar of <see cref="ImagePath"/>.</param>
    /// <exception cref="ConfigurationException">With the place in the file: it cannot be read, or does not say which image it means.</exception>
    public static ContainerManifest Parse(string path, byte[] bytes, IReadOnlyList<string> imagePaths)
    {
        ImagePath[] others = [.. imagePaths.Select(ImagePath.Parse)];
        YamlFile file = YamlFile.Parse(path, bytes);
        var manifest = new ContainerManifest(path, imagePaths, file, Find(file, others));
        return manifest.Images.Count > 0
            ? manifest
            : throw file.Refuse(0, "there is no image in it; where the images are in fields of another name, ImagePath names them", Diagnostics.NothingToVerify);
    }

    /// <summary>The same file, byte for byte, with digests: <c>name:tag</c> becomes <c>name:tag@sha256:…</c>. What has a digest stays as it is.</summary>
    /// <param name="pinned">The digest that was verified; null: the image stays as it is.</param>
    /// <exception cref="ConfigurationException">Two images that share a value have different digests.</exception>
    public byte[] Pin(Func<ManifestImage, Digest?> pinned)
    {
        var digests = Images.Select(image => (Image: image, Digest: pinned(image))).ToList();
        var edits = new Dictionary<YamlScalar, string>();
        foreach (var place in digests.Where(image => image.Image.Reference.Digest is null).GroupBy(image => image.Image.Place!.Scalar))
        {
            if (Written(place.Key, [.. place]) is { } value)
            {
                edits.Add(place.Key, value);
            }
        }

        if (digests.Find(image => image.Image.Reference.Digest is { } own && image.Digest is { } other && own != other).Image is { } wrong)
        {
            throw new ArgumentException($"another digest than that of {wrong.Reference}", nameof(pinned));
        }

        byte[] written = file.Encode(Edit(edits));
        RequireOnlyPinned(written, edits, digests);
        return written;
    }

    private static FoundImages Find(YamlFile file, ImagePath[] others)
    {
        ManifestKind kind = file.Documents switch
        {
            var documents when documents.Any(KubernetesImages.IsObject) => ManifestKind.Kubernetes,
            var documents when documents.Any(ComposeImages.IsCompose) => ManifestKind.Compose,
            _ => ManifestKind.HelmValues,
        };
        var found = new FoundImages(file, kind);
        HelmImages? values = null;
        if (kind == ManifestKind.Kubernetes)
        {
            var objects = new KubernetesImages(found);
            foreach (YamlNode document in file.Documents)
            {
                objects.Find(document);
            }
        }
        else if (Single(file, found) is { } top)
        {
            values = new HelmImages(found, top);
            if (kind == ManifestKind.Compose)
            {
                ComposeImages.Find(top, found);
            }
            else
            {
                values.Find();
            }
        }

        // What is in parts is put together in an object as charts do it; in a compose file nothing is.
        FindOthers(file, others, found, kind == ManifestKind.Compose ? null : values ?? new HelmImages(found, new YamlMapping(0, "")));
        return found;
    }

    private static YamlMapping? Single(YamlFile file, FoundImages found) => file.Documents switch
    {
        [] => null,
        [YamlMapping top] => top,
        [var other] => throw found.Refuse(other, $"the document is {other.Kind}; expected a mapping"),
        [_, var second, ..] => throw found.Refuse(second, $"{found.Kind.Name} with a second document, which readers add to the first or leave out; {found.Kind.FillIn}"),
    };

    private static void FindOthers(YamlFile file, ImagePath[] others, FoundImages found, HelmImages? values)
    {
        if (others.Length > Limits.ImagePaths)
        {
            throw new ConfigurationException(Diagnostics.UnknownValue, $"ImagePath has more than {Limits.ImagePaths} paths");
        }

        foreach (ImagePath other in others)
        {
            var fields = file.Documents.SelectMany(document => other.Find(document, found.Visit)).ToList();
            if (fields.Count == 0)
            {
                throw file.Refuse(0, $"ImagePath '{other.Text}' names nothing in it", Diagnostics.UnknownValue);
            }

            foreach ((YamlNode node, FieldPath field) in fields)
            {
                if (values is null || node is not YamlMapping mapping || !values.TryAdd(mapping, field, isImage: true))
                {
                    found.Add(node, field);
                }
            }
        }
    }

    /// <returns>What the value becomes; null where it stays.</returns>
    private string? Written(YamlScalar scalar, IReadOnlyList<(ManifestImage Image, Digest? Digest)> images)
    {
        Digest?[] digests = [.. images.Select(image => image.Digest).Distinct()];
        DigestPlace place = images[0].Image.Place!;
        if (digests is [null])
        {
            return null;
        }

        string names = string.Join(" and ", images.Take(2).Select(image => image.Image.Field));
        if (digests is not [{ } digest])
        {
            throw file.Refuse(scalar.Start, $"{names} share this value and have different digests, so that it cannot have either; write it out for each");
        }

        if (place.IsPart && scalar.IsShared)
        {
            throw file.Refuse(scalar.Start, $"the digest of {names} cannot be written here, because aliases repeat this value elsewhere; write it out for each");
        }

        return place.Form switch
        {
            DigestForm.Appended => $"{scalar.Value}@{digest}",
            DigestForm.Hex when digest.Algorithm != "sha256" => throw file.Refuse(scalar.Start, $"{names} has the digest {digest}, and sha takes SHA-256 only"),
            DigestForm.Hex => digest.Hex,
            _ => digest.ToString(),
        };
    }

    private string Edit(Dictionary<YamlScalar, string> edits)
    {
        string text = file.Text;
        foreach ((YamlScalar scalar, string value) in edits.OrderByDescending(edit => edit.Key.Start))
        {
            text = scalar.Value.Length > 0 && !scalar.IsNull
                ? text.Insert(Behind(scalar), value[scalar.Value.Length..])
                : Fill(text, scalar, value);
        }

        return text;
    }

    /// <summary>Where more can be added to a value, whatever its style.</summary>
    private int Behind(YamlScalar scalar)
    {
        if (scalar.Style is ScalarStyle.SingleQuoted or ScalarStyle.DoubleQuoted)
        {
            return scalar.End - 1;
        }

        // A block without a line break in its value has one line of text, and may have blank lines around it.
        int end = scalar.End;
        while (char.IsWhiteSpace(file.Text[end - 1]))
        {
            end--;
        }

        return end;
    }

    /// <summary>Puts a value where there is none. In double quotes, so that JSON stays JSON.</summary>
    private static string Fill(string text, YamlScalar scalar, string value)
    {
        if (scalar.Style is ScalarStyle.SingleQuoted or ScalarStyle.DoubleQuoted)
        {
            return text.Insert(scalar.End - 1, value);
        }

        int start = scalar.Start;
        while (scalar.Value.Length == 0 && char.IsWhiteSpace(text[start - 1]) && text[start - 1] != ' ')
        {
            start--;
        }

        return text.Remove(start, scalar.Value.Length).Insert(start, text[start - 1] is ' ' ? $"\"{value}\"" : $" \"{value}\"");
    }

    /// <summary>Reads again what was written: every value but the pinned ones has to be what it was, and every image found where it was.</summary>
    private void RequireOnlyPinned(byte[] written, Dictionary<YamlScalar, string> edits, IReadOnlyList<(ManifestImage Image, Digest? Digest)> digests)
    {
        const string Why = "its images cannot be pinned: with digests written into it, it would mean something else";
        ContainerManifest again;
        try
        {
            again = Parse(path, written, imagePaths);
        }
        catch (ConfigurationException e)
        {
            throw file.Refuse(0, $"{Why} ({e.Message})", inner: e);
        }

        var expected = digests.Select(image => (image.Image.Field, image.Image.Reference.Digest is null && image.Digest is { } digest ? $"{image.Image.Text}@{digest}" : image.Image.Text));
        if (!again.Images.Select(image => (image.Field, image.Text)).SequenceEqual(expected) || !Same(file.Documents, again.file.Documents, edits))
        {
            throw file.Refuse(0, Why);
        }
    }

    private static bool Same(IReadOnlyList<YamlNode> before, IReadOnlyList<YamlNode> after, Dictionary<YamlScalar, string> edits)
    {
        var seen = new Dictionary<YamlNode, YamlNode>();
        return before.Count == after.Count && before.Zip(after).All(pair => Same(pair.First, pair.Second));

        bool Same(YamlNode one, YamlNode other)
        {
            if (seen.TryGetValue(one, out YamlNode? known))
            {
                return known == other;
            }

            seen.Add(one, other);
            return one.Tag == other.Tag && (one, other) switch
            {
                (YamlScalar a, YamlScalar b) => edits.TryGetValue(a, out string? value) ? b.Value == value && b.IsString : a.Value == b.Value && a.Style == b.Style,
                (YamlSequence a, YamlSequence b) => a.Items.Count == b.Items.Count && a.Items.Zip(b.Items).All(pair => Same(pair.First, pair.Second)),
                (YamlMapping a, YamlMapping b) => a.Entries.Count == b.Entries.Count
                    && a.Entries.Zip(b.Entries).All(pair => pair.First.Key.Value == pair.Second.Key.Value && Same(pair.First.Value, pair.Second.Value)),
                _ => false,
            };
        }
    }
}
