using System.Text;
using System.Text.Json.Nodes;

namespace Keyless.MSBuild.Tests;

/// <summary>One layer of a signature's manifest.</summary>
internal sealed record Layer(string MediaType, byte[] Content, IReadOnlyDictionary<string, string>? Annotations = null)
{
    /// <summary>In bytes, as the descriptor claims.</summary>
    public long? ClaimedSize { get; init; }

    /// <summary>What the descriptor claims.</summary>
    public string? ClaimedDigest { get; init; }
}

/// <summary>Puts beside an image in the sandbox's registry what clients would push, and what nobody should.</summary>
internal static class Attached
{
    public const string BundleType = "application/vnd.dev.sigstore.bundle.v0.3+json";
    public const string SimpleType = "application/vnd.dev.cosign.simplesigning.v1+json";
    public const string Oci11Config = "application/vnd.dev.cosign.artifact.sig.v1+json";
    public const string Manifest = "application/vnd.oci.image.manifest.v1+json";
    public const string Index = "application/vnd.oci.image.index.v1+json";

    /// <summary>A bundle, or whatever is given as one.</summary>
    /// <returns>The digest of its manifest.</returns>
    public static string AttachBundle(this World world, string image, byte[] bundle, string type = BundleType) =>
        world.Attach(image, new Layer(type, bundle), artifactType: type);

    /// <summary>A referrer with one layer; listed under the fallback tag where the registry has no referrers API.</summary>
    public static string Attach(this World world, string image, Layer layer, string? artifactType = null, string config = "application/vnd.oci.empty.v1+json") =>
        world.Attach(image, [layer], artifactType, config);

    public static string Attach(this World world, string image, Layer[] layers, string? artifactType = null, string config = "application/vnd.oci.empty.v1+json")
    {
        (string repository, string digest) = Parts(image);
        byte[] subject = world.Sandbox.Registry.FindManifest(repository, digest)!.Bytes;
        return world.AttachManifest(image, Write(world, repository, layers, artifactType, config, Described(Manifest, subject.Length, digest)));
    }

    /// <summary>cosign's experimental OCI 1.1 form.</summary>
    public static string AttachOci11(this World world, string image, params Layer[] layers) => world.Attach(image, layers, artifactType: null, Oci11Config);

    /// <summary>cosign 1 and 2's form: the tag holds these layers from now on.</summary>
    public static string Tag(this World world, string image, params Layer[] layers)
    {
        (string repository, string digest) = Parts(image);
        JsonObject manifest = Write(world, repository, layers, null, "application/vnd.oci.image.config.v1+json", subject: null);
        return world.Sandbox.Registry.PutManifest(repository, SignatureTag(image), Encoding.UTF8.GetBytes(manifest.ToJsonString()), Manifest);
    }

    public static string SignatureTag(string image) => $"{Parts(image).Digest.Replace(':', '-')}.sig";

    /// <summary>Any manifest, listed as a referrer of the image whatever its subject is.</summary>
    public static string AttachManifest(this World world, string image, JsonObject manifest)
    {
        (string repository, string digest) = Parts(image);
        byte[] bytes = Encoding.UTF8.GetBytes(manifest.ToJsonString());
        string referrer = world.Sandbox.Registry.PutManifest(repository, null, bytes, Manifest);
        if (!world.Sandbox.Registry.ReferrersApi)
        {
            JsonObject entry = Described(Manifest, bytes.Length, referrer);
            // As cosign writes it: the config's type, which says nothing of what the manifest is.
            entry["artifactType"] = "application/vnd.oci.empty.v1+json";
            world.List(image, entry);
        }

        return referrer;
    }

    /// <summary>Adds an entry to the fallback tag.</summary>
    public static void List(this World world, string image, JsonObject entry)
    {
        (string repository, string digest) = Parts(image);
        string tag = digest.Replace(':', '-');
        JsonObject index = world.Sandbox.Registry.FindManifest(repository, tag) is { } before
            ? JsonNode.Parse(before.Bytes)!.AsObject()
            : new JsonObject { ["schemaVersion"] = 2, ["mediaType"] = Index, ["manifests"] = new JsonArray() };
        index["manifests"]!.AsArray().Add((JsonNode)entry);
        world.Sandbox.Registry.PutManifest(repository, tag, Encoding.UTF8.GetBytes(index.ToJsonString()), Index);
    }

    public static JsonObject Described(string mediaType, long size, string digest) => new() { ["mediaType"] = mediaType, ["size"] = size, ["digest"] = digest };

    public static (string Repository, string Digest) Parts(string image)
    {
        string[] parts = image[(image.IndexOf('/', StringComparison.Ordinal) + 1)..].Split('@');
        return (parts[0], parts[1]);
    }

    private static JsonObject Write(World world, string repository, Layer[] layers, string? artifactType, string config, JsonObject? subject)
    {
        var manifest = new JsonObject { ["schemaVersion"] = 2, ["mediaType"] = Manifest };
        if (artifactType is not null)
        {
            manifest["artifactType"] = artifactType;
        }

        manifest["config"] = Described(config, 2, world.Sandbox.Registry.PutBlob(repository, "{}"u8.ToArray()));
        manifest["layers"] = new JsonArray([.. layers.Select(layer =>
        {
            string digest = world.Sandbox.Registry.PutBlob(repository, layer.Content);
            JsonObject described = Described(layer.MediaType, layer.ClaimedSize ?? layer.Content.Length, layer.ClaimedDigest ?? digest);
            if (layer.Annotations is { } annotations)
            {
                described["annotations"] = new JsonObject(annotations.Select(annotation => KeyValuePair.Create<string, JsonNode?>(annotation.Key, annotation.Value)));
            }

            return described;
        })]);
        if (subject is not null)
        {
            manifest["subject"] = subject;
        }

        return manifest;
    }
}
