namespace Keyless.MSBuild.Manifests;

/// <summary>
/// The images of a Helm values file, as charts commonly name them: <c>image</c> with a whole reference, or in parts, <c>registry</c>, <c>repository</c>,
/// <c>tag</c>, <c>digest</c> (or <c>sha</c>). A chart may do with values what it likes; what is put together from parts can only be what charts usually do.
/// </summary>
/// <param name="top">The only document.</param>
internal sealed class HelmImages(FoundImages found, YamlMapping top)
{
    private static readonly FieldPath GlobalRegistry = FieldPath.Top.Field("global").Field("imageRegistry");

    // Charts let it replace the registry of every image.
    private readonly YamlScalar? globalRegistry = top["global"] is YamlMapping global && global["imageRegistry"] is YamlScalar { IsNull: false, Value.Length: > 0 } registry ? registry : null;

    public void Find()
    {
        if (top["images"] is YamlSequence images && images.Items.Any(item => item is YamlMapping mapping && (mapping["newTag"] ?? mapping["newName"]) is not null))
        {
            throw found.Refuse(images, "a Kustomization changes the images of other files, so that they cannot be known here; verify what `kubectl kustomize` prints");
        }

        Walk(top, FieldPath.Top, "");
    }

    /// <summary>An image in parts, if the mapping is one.</summary>
    /// <param name="isImage">Whether its place says that it is one.</param>
    public bool TryAdd(YamlMapping mapping, FieldPath path, bool isImage)
    {
        YamlNode? tag = mapping["tag"], digest = mapping["digest"], sha = mapping["sha"], registry = mapping["registry"];
        if (mapping["repository"] is YamlScalar repository)
        {
            bool isElsewhere = repository.Value.Contains("://", StringComparison.Ordinal) || repository.Value.StartsWith("git@", StringComparison.Ordinal);
            if (IsSaid(repository) && (isImage || (!isElsewhere && (tag ?? digest ?? sha ?? registry ?? mapping["pullPolicy"]) is not null)))
            {
                Add(mapping, "repository", "tag", path);
                return true;
            }
        }
        else if (mapping["image"] is YamlScalar image && IsSaid(image) && (tag ?? mapping["imageTag"] ?? digest ?? sha ?? registry) is not null)
        {
            Add(mapping, "image", tag is null && mapping["imageTag"] is not null ? "imageTag" : "tag", path);
            return true;
        }

        if (isImage && new[] { tag, digest, sha, registry, mapping["name"], mapping["repo"] }.FirstOrDefault(IsSaid) is { } part)
        {
            throw found.Refuse(part, $"{path} has no repository, so that its image cannot be known here; {found.Kind.FillIn}");
        }

        return false;
    }

    private void Walk(YamlNode node, FieldPath path, string key)
    {
        found.Visit(node);
        switch (node)
        {
            case YamlSequence list:
                foreach ((int i, YamlNode item) in list.Items.Index())
                {
                    Walk(item, path.Item(i), "");
                }

                break;
            case YamlMapping mapping:
                found.RequireUndisputed(mapping);
                bool isInParts = TryAdd(mapping, path, key == "image");
                foreach ((YamlScalar name, YamlNode value) in mapping.Entries)
                {
                    FindIn(name.Value, value, path.Field(name.Value), isInParts);
                    RequireOfOneImage(name.Value, value, path.Field(name.Value), isGlobal: key == "global");
                }

                break;
        }
    }

    private void FindIn(string key, YamlNode value, FieldPath path, bool isInParts)
    {
        switch (value)
        {
            case YamlScalar scalar when key == "image" && !isInParts && IsSaid(scalar):
                AddWhole(scalar, path);
                break;
            case YamlSequence when key == "image":
                throw found.Refuse(value, $"{path} is a list; expected an image reference");
            default:
                found.OverlookIn(key, value, path);
                break;
        }

        Walk(value, path, key);
    }

    /// <summary>Charts, and those in them, have further ways to change the registry or tag of many images; only <c>global.imageRegistry</c> means the same in most.</summary>
    private void RequireOfOneImage(string key, YamlNode value, FieldPath path, bool isGlobal)
    {
        if (value != globalRegistry && IsSaid(value) && (key == "imageRegistry" || (isGlobal && key is ("registry" or "hub" or "tag" or "imageTag"))))
        {
            throw found.Refuse(value, $"{path} is about images elsewhere, and about which of them cannot be known here; {found.Kind.FillIn}");
        }
    }

    private void AddWhole(YamlScalar scalar, FieldPath path)
    {
        found.Add(scalar, path);
        if (globalRegistry is not null && !NamesRegistry(scalar.Value))
        {
            throw UnknownRegistry(scalar, path);
        }
    }

    private void Add(YamlMapping mapping, string nameKey, string tagKey, FieldPath path)
    {
        var name = (YamlScalar)mapping[nameKey]!;
        YamlScalar? registry = Part(mapping, "registry", path), tag = Part(mapping, tagKey, path), digest = Part(mapping, "digest", path), sha = Part(mapping, "sha", path);
        string text = found.Required(name, path.Field(nameKey));
        if (globalRegistry is not null)
        {
            registry = mapping["registry"] is not null ? globalRegistry : NamesRegistry(text) ? null : throw UnknownRegistry(name, path);
        }

        if (digest is not null && sha is not null)
        {
            throw found.Refuse(sha, $"{path} has both digest and sha, and which of them the chart takes cannot be known here; keep one");
        }

        string hash = digest is not null ? found.Required(digest, path.Field("digest")) : sha is not null ? $"sha256:{found.Required(sha, path.Field("sha"))}" : "";
        if (tag is null && hash.Length == 0)
        {
            throw found.Refuse(mapping[tagKey] ?? name, $"{path} has no {tagKey}: charts then take their appVersion, which cannot be known here; {found.Kind.FillIn}");
        }

        string before = registry is null ? "" : found.Required(registry, registry == globalRegistry ? GlobalRegistry : path.Field("registry")) + "/";
        string behind = (tag is null ? "" : ":" + found.Required(tag, path.Field(tagKey))) + (hash.Length == 0 ? "" : "@" + hash);
        found.Add(new ImageParts(name, registry, tag, digest ?? sha), before + text + behind, path, Place(mapping, tag));
    }

    /// <summary>Where a chart has a field for the digest, it knows what to do with it. Elsewhere it prints name, colon and tag, and a tag may have a digest behind it.</summary>
    private static DigestPlace Place(YamlMapping mapping, YamlScalar? tag) =>
        mapping["digest"] is YamlScalar digest ? new DigestPlace(digest, DigestForm.Whole, IsPart: true)
        : mapping["sha"] is YamlScalar sha ? new DigestPlace(sha, DigestForm.Hex, IsPart: true)
        : new DigestPlace(tag!, DigestForm.Appended, IsPart: true);

    private YamlScalar? Part(YamlMapping mapping, string key, FieldPath path) => mapping[key] switch
    {
        null => null,
        YamlScalar scalar => IsSaid(scalar) ? scalar : null,
        { } other => throw found.Refuse(other, $"{path.Field(key)} is {other.Kind}; expected a string"),
    };

    private static bool IsSaid(YamlNode? node) => node is not null and not YamlScalar { IsNull: true } and not YamlScalar { Value: "" };

    private static bool NamesRegistry(string reference) => reference.Split('/') is [var first, _, ..] && (first.AsSpan().ContainsAny('.', ':') || first == "localhost");

    private ConfigurationException UnknownRegistry(YamlScalar name, FieldPath path) =>
        found.Refuse(name, $"{path} names no registry, and global.imageRegistry is set: whether the chart puts it before this image cannot be known here; {found.Kind.FillIn}");
}
