namespace Keyless.MSBuild.Manifests;

/// <summary>
/// The images of Kubernetes objects: <c>image</c> of every container in a list of containers, at any depth, since custom resources embed pod templates
/// where they like; those of Tekton and Argo Workflows, which have other names; and image volumes.
/// </summary>
internal sealed class KubernetesImages(FoundImages found)
{
    // Those of a pod template, and of Tekton and Argo Workflows.
    private static readonly string[] ContainerLists = ["containers", "initContainers", "ephemeralContainers", "steps", "sidecars"];
    private static readonly string[] Containers = ["container", "script", "stepTemplate"];

    public static bool IsObject(YamlNode document) => document is YamlMapping top && top["apiVersion"] is YamlScalar && top["kind"] is YamlScalar;

    public void Find(YamlNode document)
    {
        if (!IsObject(document))
        {
            throw found.Refuse(document, "the document has no apiVersion and kind, and others in the file have");
        }

        var top = (YamlMapping)document;
        RequireComplete(top);
        Walk(top, FieldPath.Top, isAside: false);
    }

    /// <summary>Objects that have others made of what is not in the file are refused, in lists as well.</summary>
    private void RequireComplete(YamlMapping item)
    {
        string version = NameIn(item, "apiVersion"), kind = NameIn(item, "kind");
        // Items of a HelmReleaseList need not say that they are HelmReleases.
        string? why = (version.Split('/')[0], kind.EndsWith("List", StringComparison.Ordinal) ? kind[..^"List".Length] : kind) switch
        {
            ("kustomize.config.k8s.io", _) or ("kustomize.toolkit.fluxcd.io", "Kustomization") => "changes and adds objects of other files, so that images cannot be known here; verify what `kubectl kustomize` prints",
            ("helm.toolkit.fluxcd.io", "HelmRelease") or ("helm.cattle.io", "HelmChart" or "HelmChartConfig") => "has a chart installed, whose images cannot be known here; verify what `helm template` prints",
            ("argoproj.io", "Application" or "ApplicationSet") => "has other files deployed, whose images cannot be known here; verify what `argocd app manifests` prints",
            _ => null,
        };
        if (why is not null)
        {
            throw found.Refuse(item, $"the {kind} {why}");
        }

        foreach (YamlMapping inside in item["items"] is YamlSequence items ? items.Items.OfType<YamlMapping>() : [])
        {
            found.Visit(inside);
            RequireComplete(inside);
        }
    }

    private string NameIn(YamlMapping item, string field)
    {
        if (item[field] is not YamlScalar scalar)
        {
            return "";
        }

        found.RequireUntagged(scalar);
        return scalar.Value;
    }

    private void Walk(YamlNode node, FieldPath path, bool isAside)
    {
        found.Visit(node);
        switch (node)
        {
            case YamlSequence list:
                foreach ((int i, YamlNode item) in list.Items.Index())
                {
                    Walk(item, path.Item(i), isAside);
                }

                break;
            case YamlMapping mapping:
                found.RequireUndisputed(mapping);
                foreach ((YamlScalar key, YamlNode value) in mapping.Entries)
                {
                    FindIn(key.Value, value, path.Field(key.Value), isAside);
                }

                break;
        }
    }

    private void FindIn(string key, YamlNode value, FieldPath path, bool isAside)
    {
        if (value is YamlSequence list && (key == "volumes" || ContainerLists.Contains(key)))
        {
            foreach ((int i, YamlNode item) in list.Items.Index())
            {
                if (item is YamlMapping { } mapping && mapping["image"] is { } image)
                {
                    FindInItem(key, image, path.Item(i).Field("image"));
                }
            }
        }
        else if (value is YamlMapping container && Containers.Contains(key) && container["image"] is YamlScalar own)
        {
            found.Add(own, path.Field("image"));
        }
        else if (!isAside)
        {
            found.OverlookIn(key, value, path);
        }

        // Labels name what they like, and what the cluster reports is not what it is asked for.
        Walk(value, path, isAside || key is "metadata" or "status");
    }

    private void FindInItem(string list, YamlNode image, FieldPath path)
    {
        if (list != "volumes")
        {
            found.Add(image, path);
        }
        else if (image is YamlMapping volume && volume["reference"] is { } reference)
        {
            found.Add(reference, path.Field("reference"));
        }
    }
}
