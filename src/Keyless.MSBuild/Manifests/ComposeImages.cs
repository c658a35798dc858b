namespace Keyless.MSBuild.Manifests;

/// <summary>
/// The images of a compose file (compose specification, as of 2026-11): <c>image</c> of every service, and volumes of type <c>image</c>. A service with
/// <c>build</c> as well has its image pulled if the registry has it, unless <c>pull_policy</c> is <c>build</c>.
/// </summary>
internal static class ComposeImages
{
    private static readonly string[] Known = ["version", "name", "services", "networks", "volumes", "configs", "secrets", "include", "models"];

    /// <summary>Compose takes no other field at the top than its own, so a file with others is something else.</summary>
    public static bool IsCompose(YamlNode document) =>
        document is YamlMapping top && top["services"] is YamlMapping
        && top.Entries.All(entry => Known.Contains(entry.Key.Value) || entry.Key.Value.StartsWith("x-", StringComparison.Ordinal));

    public static void Find(YamlMapping top, FoundImages found)
    {
        found.Visit(top);
        if (top["include"] is { } include)
        {
            throw found.Refuse(include, $"include brings in other files, so that the images of this one cannot be known here; {found.Kind.FillIn}");
        }

        FieldPath path = FieldPath.Top.Field("services");
        var services = (YamlMapping)top["services"]!;
        found.Visit(services);
        foreach ((YamlScalar name, YamlNode value) in services.Entries)
        {
            found.Visit(value);
            FindInService(value as YamlMapping ?? throw found.Refuse(value, $"{path.Field(name.Value)} is {value.Kind}; expected a mapping"), path.Field(name.Value), found);
        }
    }

    private static void FindInService(YamlMapping service, FieldPath path, FoundImages found)
    {
        bool isBuilt = service["build"] is not null && service["pull_policy"] is YamlScalar { Value: "build" };
        if (service["image"] is { } image)
        {
            if (!isBuilt)
            {
                found.Add(image, path.Field("image"));
            }
        }
        else if (service["extends"] is YamlMapping extends && extends["file"] is { } other)
        {
            throw found.Refuse(other, $"{path} extends a service of another file, so that its image cannot be known here; {found.Kind.FillIn}");
        }

        if (service["volumes"] is YamlSequence volumes)
        {
            foreach ((int i, YamlNode volume) in volumes.Items.Index())
            {
                found.Visit(volume);
                if (volume is YamlMapping mapping && mapping["type"] is YamlScalar { Value: "image" } && mapping["source"] is { } source)
                {
                    found.Add(source, path.Field("volumes").Item(i).Field("source"));
                }
            }
        }
    }
}
