using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Keyless.Sandbox;

/// <summary>
/// A base image with nothing in it that runs: enough for <c>dotnet publish -t:PublishContainer</c>, which copies layers and
/// reads the configuration, and starts nothing. One manifest each for linux-x64 and linux-arm64 under one index.
/// </summary>
internal static class BaseImage
{
    public const string Repository = "keyless/base";
    public const string Tag = "1";

    /// <param name="text">What is in its one file: another text is another image.</param>
    /// <returns>The digest of the index.</returns>
    public static string PushTo(Registry registry, string repository = Repository, string tag = Tag, string text = "An empty base image of Keyless.Sandbox, for trials and tests.\n")
    {
        byte[] tar = Layer(text);
        byte[] layer = Compress(tar);
        var index = new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = RegistryManifest.OciIndex,
            ["manifests"] = new JsonArray(Push(registry, repository, "amd64", tar, layer), Push(registry, repository, "arm64", tar, layer)),
        };
        return registry.PutManifest(repository, tag, Bytes(index), RegistryManifest.OciIndex);
    }

    /// <returns>The descriptor for the index.</returns>
    private static JsonObject Push(Registry registry, string repository, string architecture, byte[] tar, byte[] layer)
    {
        byte[] config = Bytes(new JsonObject
        {
            ["created"] = "1970-01-01T00:00:00Z",
            ["architecture"] = architecture,
            ["os"] = "linux",
            ["config"] = new JsonObject { ["Env"] = new JsonArray("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin") },
            // image-spec, "Image Configuration": diff_ids are digests of the layers before compression.
            ["rootfs"] = new JsonObject { ["type"] = "layers", ["diff_ids"] = new JsonArray(RegistryDigest.Of(tar)) },
            ["history"] = new JsonArray(new JsonObject { ["created"] = "1970-01-01T00:00:00Z", ["created_by"] = "Keyless.Sandbox" }),
        });
        byte[] manifest = Bytes(new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = RegistryManifest.OciImage,
            ["config"] = Descriptor("application/vnd.oci.image.config.v1+json", registry.PutBlob(repository, config), config),
            ["layers"] = new JsonArray(Descriptor("application/vnd.oci.image.layer.v1.tar+gzip", registry.PutBlob(repository, layer), layer)),
        });
        JsonObject descriptor = Descriptor(RegistryManifest.OciImage, registry.PutManifest(repository, null, manifest, RegistryManifest.OciImage), manifest);
        descriptor["platform"] = new JsonObject { ["architecture"] = architecture, ["os"] = "linux" };
        return descriptor;
    }

    private static byte[] Layer(string content)
    {
        var bytes = new MemoryStream();
        using (var tar = new TarWriter(bytes, TarEntryFormat.Ustar))
        {
            using var text = new MemoryStream(Encoding.UTF8.GetBytes(content));
            // A fixed time: the same base image, and the same digest, every time the sandbox starts.
            tar.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, "keyless-base.txt") { DataStream = text, ModificationTime = DateTimeOffset.UnixEpoch });
        }
        return bytes.ToArray();
    }

    private static byte[] Compress(byte[] tar)
    {
        var bytes = new MemoryStream();
        using (var gzip = new GZipStream(bytes, CompressionLevel.Optimal))
        {
            gzip.Write(tar);
        }

        return bytes.ToArray();
    }

    private static JsonObject Descriptor(string mediaType, string digest, byte[] bytes) =>
        new() { ["mediaType"] = mediaType, ["digest"] = digest, ["size"] = bytes.Length };

    private static byte[] Bytes(JsonObject json) => JsonSerializer.SerializeToUtf8Bytes(json, JsonAnswer.Readable);
}
