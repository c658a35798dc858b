using System.Globalization;
using Keyless.Oci;

namespace Keyless.MSBuild.Manifests;

/// <summary>Collects the images of one file, each place once.</summary>
internal sealed class FoundImages(YamlFile file, ManifestKind kind)
{
    // Of an image, and nothing by themselves.
    private static readonly string[] Parts = ["registry", "tag", "digest", "sha"];

    private readonly Dictionary<ImageParts, ManifestImage> images = [];
    private readonly Dictionary<YamlScalar, ManifestImage> overlooked = [];
    private int visits;

    /// <summary>In the file's order.</summary>
    public IReadOnlyList<ManifestImage> Images => [.. images.OrderBy(image => image.Key.Name.Start).Select(image => image.Value)];

    /// <summary>What looks like an image and nobody said to be one.</summary>
    public IReadOnlyList<ManifestImage> Overlooked =>
        [.. overlooked.Where(image => images.Keys.All(found => found.Name != image.Key)).OrderBy(image => image.Key.Start).Select(image => image.Value)];

    public ManifestKind Kind => kind;

    /// <summary>To be told of every step through the file.</summary>
    public void Visit(YamlNode node)
    {
        if (++visits > Limits.YamlNodes)
        {
            throw Refuse(node, string.Create(CultureInfo.InvariantCulture, $"with what its aliases repeat, the file has more than {Limits.YamlNodes} values"));
        }

        if (node is not YamlScalar)
        {
            RequireUntagged(node);
        }
    }

    /// <summary>A mapping that every reader reads alike.</summary>
    public void RequireUndisputed(YamlMapping mapping)
    {
        if (mapping.Disputed is { } key)
        {
            throw Refuse(key, $"'{key.Value}' stands before a << that has it, too: kubectl and helm would take the merged one, others would not; put << first");
        }
    }

    /// <summary>A whole reference, which has to be one.</summary>
    public void Add(YamlNode node, FieldPath field)
    {
        string text = Required(node, field);
        var scalar = (YamlScalar)node;
        Add(new ImageParts(scalar), text, field, new DigestPlace(scalar, DigestForm.Appended, IsPart: false));
    }

    /// <summary>A reference that its reader puts together.</summary>
    public void Add(ImageParts parts, string text, FieldPath field, DigestPlace place)
    {
        if (images.ContainsKey(parts))
        {
            return;
        }

        if (images.Count == Limits.ManifestImages)
        {
            throw Refuse(parts.Name, string.Create(CultureInfo.InvariantCulture, $"the file names more than {Limits.ManifestImages} images"));
        }

        try
        {
            images.Add(parts, Image(parts.Name, text, field) with { Place = place });
        }
        catch (FormatException e)
        {
            string hint = text.EndsWith('\n') ? "; the block ends with a line break: write >- instead, or one line" : "";
            throw file.Refuse(parts.Name.Start, $"{field} is no image: {e.Message}{hint}", Diagnostics.MalformedReference, e);
        }
    }

    /// <summary>Points out what may be meant as an image, and is not counted: by the name of its field, or of the variable that it is the value of.</summary>
    public void OverlookIn(string key, YamlNode value, FieldPath field)
    {
        switch (value)
        {
            case YamlScalar scalar when key.Contains("image", StringComparison.OrdinalIgnoreCase) && !key.EndsWith("Registry", StringComparison.Ordinal):
                Overlook(scalar, field, isNamed: key == "image");
                break;
            case YamlSequence list when key is "images" or "image":
                foreach ((int i, YamlScalar item) in list.Items.Index().Where(item => item.Item is YamlScalar).Select(item => (item.Index, (YamlScalar)item.Item)))
                {
                    Overlook(item, field.Item(i));
                }

                break;
            case YamlMapping mapping when mapping["repository"] is YamlScalar repository && (key == "image" || (mapping["tag"] ?? mapping["digest"]) is not null):
                Overlook(repository, field, isNamed: key == "image");
                break;
            case YamlMapping mapping when key is "images" or "image":
                foreach ((YamlScalar name, YamlScalar item) in mapping.Entries.Where(entry => entry.Value is YamlScalar && !Parts.Contains(entry.Key.Value)).Select(entry => (entry.Key, (YamlScalar)entry.Value)))
                {
                    Overlook(item, field.Field(name.Value));
                }

                break;
            case YamlSequence list when key == "env":
                OverlookVariables(list, field);
                break;
        }
    }

    /// <summary>Operators take the images of what they start from variables with such names.</summary>
    private void OverlookVariables(YamlSequence variables, FieldPath field)
    {
        foreach ((int i, YamlNode item) in variables.Items.Index())
        {
            if (item is YamlMapping variable && variable["name"] is YamlScalar name && name.Value.StartsWith("RELATED_IMAGE_", StringComparison.Ordinal) && variable["value"] is YamlScalar value)
            {
                Overlook(value, field.Item(i).Field("value"));
            }
        }
    }

    /// <param name="isNamed">Whether the field's name alone says it; elsewhere a slash or colon has to.</param>
    private void Overlook(YamlScalar scalar, FieldPath field, bool isNamed = false)
    {
        // Else it would hide what it is.
        RequireUntagged(scalar);
        try
        {
            if (scalar.IsString && (isNamed || scalar.Value.AsSpan().ContainsAny('/', ':')) && overlooked.Count < Limits.ManifestImages)
            {
                overlooked.TryAdd(scalar, Image(scalar, scalar.Value, field));
            }
        }
        catch (FormatException)
        {
            // So it is none.
        }
    }

    /// <summary>A string that is there and means what it says.</summary>
    public string Required(YamlNode node, FieldPath field)
    {
        if (node is not YamlScalar scalar)
        {
            throw Refuse(node, $"{field} is {node.Kind}; expected an image reference");
        }

        RequireUntagged(scalar);
        return scalar switch
        {
            _ when scalar.Value.Contains("{{", StringComparison.Ordinal) =>
                throw Refuse(scalar, $"{field} is '{scalar.Value}', which a template fills in, so that it cannot be known here; verify what `helm template` prints"),
            _ when scalar.Value.Contains('$', StringComparison.Ordinal) =>
                throw Refuse(scalar, $"{field} is '{scalar.Value}', which has a variable in it, so that it cannot be known here; {kind.FillIn}"),
            _ when scalar.IsNull || scalar.Value.Length == 0 => throw Refuse(scalar, $"{field} is empty"),
            _ when !scalar.IsString => throw Refuse(scalar, $"{field} is {scalar.Value} without quotes, which is no string for every reader of YAML; put it in quotes"),
            _ => scalar.Value,
        };
    }

    /// <summary>A node that is what it looks like.</summary>
    public void RequireUntagged(YamlNode node)
    {
        if (!node.IsUntagged)
        {
            throw Refuse(node, $"the tag {node.Tag} changes what stands there, so that it cannot be known here; {kind.FillIn}");
        }
    }

    public ConfigurationException Refuse(YamlNode node, string why) => file.Refuse(node.Start, why);

    private ManifestImage Image(YamlScalar scalar, string text, FieldPath field)
    {
        Position position = file.PositionOf(scalar.Start);
        return new ManifestImage(ImageReference.Parse(text), text, position.Line, position.Column, field.ToString());
    }
}

/// <summary>The values that one reference is made of; two references of the same values are one.</summary>
internal sealed record ImageParts(YamlScalar Name, YamlScalar? Registry = null, YamlScalar? Tag = null, YamlScalar? Digest = null);
