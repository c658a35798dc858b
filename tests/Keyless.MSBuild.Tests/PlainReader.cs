using YamlDotNet.RepresentationModel;

namespace Keyless.MSBuild.Tests;

/// <summary>
/// Reads deploy files a second time, with YamlDotNet's own object model and no more than the corpus needs: what has to be found is told by the name of
/// the file and the simplest walk, not by the product's.
/// </summary>
internal static class PlainReader
{
    private static readonly string[] Several = ["containers", "initContainers", "ephemeralContainers", "steps", "sidecars"];
    private static readonly string[] Single = ["container", "script", "stepTemplate"];

    /// <param name="kind">The first word of the file's name.</param>
    public static IReadOnlyCollection<string> ImagesOf(string kind, string text)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(text));
        YamlNode[] documents = [.. stream.Documents.Select(document => document.RootNode)];
        return
        [
            .. documents.SelectMany(document => kind switch
            {
                "compose" => Compose(document),
                "kubernetes" => Everywhere(document).SelectMany(Containers),
                _ => Everywhere(document).SelectMany(node => Charts(node, documents[0])),
            }).ToHashSet(StringComparer.Ordinal).Order(StringComparer.Ordinal),
        ];
    }

    private static IEnumerable<string> Compose(YamlNode document)
    {
        Dictionary<string, YamlNode> services = Map(Map(document).GetValueOrDefault("services"));
        foreach (Dictionary<string, YamlNode> service in services.Values.Select(Map))
        {
            for (Dictionary<string, YamlNode> at = service; at.GetValueOrDefault("extends") is { } extends;)
            {
                at = Map(services[extends is YamlScalarNode { Value: { } name } ? name : Text(Map(extends), "service")!]);
                foreach ((string key, YamlNode value) in at.Where(field => field.Key is "image" or "build" or "pull_policy"))
                {
                    service.TryAdd(key, value);
                }
            }

            bool isBuilt = service.GetValueOrDefault("build") is YamlMappingNode || (Text(service, "build") is { } folder && folder[0] != '$');
            if (!(isBuilt && Text(service, "pull_policy") == "build") && Text(service, "image") is { } image)
            {
                yield return image;
            }

            foreach (string step in Items(service.GetValueOrDefault("pre_start")).Select(step => Text(Map(step), "image")).OfType<string>())
            {
                yield return step;
            }

            foreach (Dictionary<string, YamlNode> volume in Items(service.GetValueOrDefault("volumes")).Select(Map).Where(volume => Text(volume, "type") == "image"))
            {
                yield return Text(volume, "source")!;
            }
        }
    }

    private static IEnumerable<string> Containers(YamlNode node)
    {
        Dictionary<string, YamlNode> fields = Map(node);
        foreach (string list in Several)
        {
            foreach (string image in Items(fields.GetValueOrDefault(list)).Select(item => Text(Map(item), "image")).OfType<string>())
            {
                yield return image;
            }
        }

        foreach (string image in Single.Select(name => Text(Map(fields.GetValueOrDefault(name)), "image")).OfType<string>())
        {
            yield return image;
        }

        foreach (string image in Items(fields.GetValueOrDefault("volumes")).Select(item => Text(Map(Map(item).GetValueOrDefault("image")), "reference")).OfType<string>())
        {
            yield return image;
        }
    }

    private static IEnumerable<string> Charts(YamlNode node, YamlNode top)
    {
        Dictionary<string, YamlNode> fields = Map(node);
        string? name = Text(fields, "repository") ?? Text(fields, "image"), tag = Text(fields, "tag") ?? Text(fields, "imageTag");
        string? digest = Text(fields, "digest") ?? (Text(fields, "sha") is { } sha ? $"sha256:{sha}" : null);
        string? registry = fields.ContainsKey("registry") ? Text(Map(Map(top).GetValueOrDefault("global")), "imageRegistry") ?? Text(fields, "registry") : null;
        if (name is null || name.Contains("github.com", StringComparison.Ordinal) || (Text(fields, "repository") is not null && (tag ?? digest) is null))
        {
            yield break;
        }

        yield return $"{(registry is null ? "" : $"{registry}/")}{name}{(tag is null ? "" : $":{tag}")}{(digest is null ? "" : $"@{digest}")}";
    }

    private static IEnumerable<YamlNode> Everywhere(YamlNode node) =>
        [node, .. Map(node).Values.Concat(Items(node)).SelectMany(Everywhere)];

    private static IEnumerable<YamlNode> Items(YamlNode? node) => node is YamlSequenceNode list ? list.Children : [];

    private static Dictionary<string, YamlNode> Map(YamlNode? node)
    {
        var fields = new Dictionary<string, YamlNode>(StringComparer.Ordinal);
        if (node is YamlMappingNode mapping)
        {
            foreach ((YamlNode key, YamlNode value) in mapping.Children.Where(child => ((YamlScalarNode)child.Key).Value != "<<"))
            {
                fields.Add(((YamlScalarNode)key).Value!, value);
            }

            foreach ((_, YamlNode merged) in mapping.Children.Where(child => ((YamlScalarNode)child.Key).Value == "<<"))
            {
                foreach ((string key, YamlNode value) in (merged is YamlSequenceNode several ? several.Children : [merged]).SelectMany(Map))
                {
                    fields.TryAdd(key, value);
                }
            }
        }

        return fields;
    }

    private static string? Text(Dictionary<string, YamlNode> fields, string name) =>
        fields.GetValueOrDefault(name) is YamlScalarNode { Value: { Length: > 0 } value } scalar && !(value is "null" or "~" && scalar.Style == YamlDotNet.Core.ScalarStyle.Plain) ? value : null;
}
