namespace Keyless.MSBuild.Manifests;

/// <summary>
/// The images of a compose file (compose specification, as of 2026-11): <c>image</c> of every service and of its steps in <c>pre_start</c>, and volumes of
/// type <c>image</c>. A service with <c>build</c> as well has its image pulled if the registry has it, unless <c>pull_policy</c> is <c>build</c>.
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
            YamlMapping service = value as YamlMapping ?? throw found.Refuse(value, $"{path.Field(name.Value)} is {value.Kind}; expected a mapping");
            FindInService(Extended(service, services, path.Field(name.Value), found), path.Field(name.Value), found);
        }
    }

    /// <summary>A service and, behind it, what it extends: the first that has a field counts.</summary>
    private static List<YamlMapping> Extended(YamlMapping service, YamlMapping services, FieldPath path, FoundImages found)
    {
        List<YamlMapping> chain = [service];
        while (chain[^1]["extends"] is { } extends and not YamlScalar { IsNull: true })
        {
            found.Visit(extends);
            if (extends is YamlMapping mapping && mapping["file"] is { } file)
            {
                throw found.Refuse(file, $"{path} extends a service of another file, so that its images cannot be known here; {found.Kind.FillIn}");
            }

            YamlNode name = extends is YamlMapping { } named ? named["service"] ?? throw found.Refuse(named, $"{path} extends no service") : extends;
            YamlMapping other = services[found.Required(name, path.Field("extends"))] as YamlMapping ?? throw found.Refuse(name, $"{path} extends a service that is not there");
            chain.Add(!chain.Contains(other) ? other : throw found.Refuse(name, $"{path} extends itself"));
        }

        return chain;
    }

    /// <param name="chain">What the service has its fields of.</param>
    private static void FindInService(List<YamlMapping> chain, FieldPath path, FoundImages found)
    {
        if (Field("image") is { } image && !IsBuilt(Field("build"), Field("pull_policy")))
        {
            found.Add(image, path.Field("image"));
        }

        if (chain[0]["pre_start"] is YamlSequence steps)
        {
            found.Visit(steps);
            foreach ((int i, YamlNode step) in steps.Items.Index())
            {
                found.Visit(step);
                if (step is YamlMapping { } mapping && mapping["image"] is { } own)
                {
                    found.Add(own, path.Field("pre_start").Item(i).Field("image"));
                }
            }
        }

        if (chain[0]["volumes"] is YamlSequence volumes)
        {
            found.Visit(volumes);
            foreach ((int i, YamlNode volume) in volumes.Items.Index())
            {
                found.Visit(volume);
                if (volume is YamlMapping mapping && mapping["type"] is YamlScalar type && mapping["source"] is { } source
                    && found.Required(type, path.Field("volumes").Item(i).Field("type")) == "image")
                {
                    found.Add(source, path.Field("volumes").Item(i).Field("source"));
                }
            }
        }

        YamlNode? Field(string name)
        {
            YamlNode? value = chain.Select(service => service[name]).FirstOrDefault(value => value is not null);
            if (value is not null)
            {
                found.RequireUntagged(value);
            }

            return value;
        }
    }

    /// <summary>Whether it is built and never pulled. What a variable stands for may be nothing.</summary>
    private static bool IsBuilt(YamlNode? build, YamlNode? policy) => policy is YamlScalar { Value: "build" }
        && (build is YamlMapping || (build is YamlScalar { IsNull: false, Value.Length: > 0 } folder && !folder.Value.Contains('$', StringComparison.Ordinal)));
}
