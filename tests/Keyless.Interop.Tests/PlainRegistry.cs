using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Keyless.Interop.Tests;

/// <summary>A registry by plain HTTP: neither our client nor anybody else's decides what a test puts there.</summary>
internal sealed class PlainRegistry(string host, CancellationToken cancel) : IDisposable
{
    private const string ImageType = "application/vnd.oci.image.manifest.v1+json";
    private const string IndexType = "application/vnd.oci.image.index.v1+json";

    private readonly HttpClient http = new();

    /// <summary>Pushes an image that nobody has seen before.</summary>
    /// <returns><c>localhost:PORT/repository@sha256:…</c></returns>
    public async Task<string> PushAsync(string repository)
    {
        byte[] config = Encoding.UTF8.GetBytes($$"""{"architecture":"amd64","os":"linux","author":"{{Guid.NewGuid()}}","rootfs":{"type":"layers","diff_ids":[]} }""");
        using HttpResponseMessage begun = (await http.PostAsync(new Uri($"http://{host}/v2/{repository}/blobs/uploads/"), null, cancel)).EnsureSuccessStatusCode();
        var upload = new Uri(begun.RequestMessage!.RequestUri!, begun.Headers.Location!);
        await PutAsync($"{upload}{(upload.Query.Length > 0 ? '&' : '?')}digest={Uri.EscapeDataString(Digest(config))}", config, "application/octet-stream");
        return await PutManifestAsync(repository, null, new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = ImageType,
            ["config"] = new JsonObject { ["mediaType"] = "application/vnd.oci.image.config.v1+json", ["size"] = config.Length, ["digest"] = Digest(config) },
            ["layers"] = new JsonArray(),
        });
    }

    /// <summary>Pushes an index of new images, two unless told otherwise.</summary>
    public async Task<(string Index, string[] Images)> PushIndexAsync(string repository, params string[] architectures)
    {
        architectures = architectures.Length > 0 ? architectures : ["amd64", "arm64"];
        string[] images = await Task.WhenAll(architectures.Select(_ => PushAsync(repository)));
        JsonNode[] entries = await Task.WhenAll(images.Zip(architectures, async (image, architecture) => (JsonNode)new JsonObject
        {
            ["mediaType"] = ImageType,
            ["size"] = (await GetAsync(repository, $"manifests/{image.Split('@')[1]}")).Length,
            ["digest"] = image.Split('@')[1],
            ["platform"] = new JsonObject { ["os"] = "linux", ["architecture"] = architecture },
        }));
        return (await PutManifestAsync(repository, null, new JsonObject { ["schemaVersion"] = 2, ["mediaType"] = IndexType, ["manifests"] = new JsonArray(entries) }), images);
    }

    /// <summary>Makes what is signed of one image a signature of another, as far as the registry's own words go.</summary>
    public async Task CopySignaturesAsync(Form form, string from, string to)
    {
        string repository = Repository(from);
        if (form is Form.Sig or Form.SigWithTimestamp)
        {
            await PutManifestAsync(repository, SigTag(to), await GetJsonAsync(repository, $"manifests/{SigTag(from)}"));
            return;
        }

        foreach (JsonNode? referrer in (await GetJsonAsync(repository, $"referrers/{from.Split('@')[1]}"))["manifests"]!.AsArray())
        {
            JsonObject manifest = await GetJsonAsync(repository, $"manifests/{referrer!["digest"]}");
            manifest["subject"] = new JsonObject
            {
                ["mediaType"] = ImageType,
                ["size"] = (await GetAsync(repository, $"manifests/{to.Split('@')[1]}")).Length,
                ["digest"] = to.Split('@')[1],
            };
            await PutManifestAsync(repository, null, manifest);
        }
    }

    public void Dispose() => http.Dispose();

    private async Task<JsonObject> GetJsonAsync(string repository, string path) => JsonNode.Parse(await GetAsync(repository, path))!.AsObject();

    private async Task<byte[]> GetAsync(string repository, string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://{host}/v2/{repository}/{path}");
        request.Headers.Accept.ParseAdd(ImageType);
        request.Headers.Accept.ParseAdd(IndexType);
        using HttpResponseMessage response = await http.SendAsync(request, cancel);
        return await response.EnsureSuccessStatusCode().Content.ReadAsByteArrayAsync(cancel);
    }

    private async Task<string> PutManifestAsync(string repository, string? tag, JsonObject manifest)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(manifest.ToJsonString());
        await PutAsync($"http://{host}/v2/{repository}/manifests/{tag ?? Digest(bytes)}", bytes, (string)manifest["mediaType"]!);
        return $"{host}/{repository}@{Digest(bytes)}";
    }

    private async Task PutAsync(string url, byte[] content, string mediaType)
    {
        using var body = new ByteArrayContent(content) { Headers = { ContentType = new MediaTypeHeaderValue(mediaType) } };
        using HttpResponseMessage response = await http.PutAsync(new Uri(url), body, cancel);
        response.EnsureSuccessStatusCode();
    }

    private string Repository(string image) => image[(host.Length + 1)..image.IndexOf('@', StringComparison.Ordinal)];

    private static string SigTag(string image) => $"{image.Split('@')[1].Replace(':', '-')}.sig";

    private static string Digest(byte[] content) => $"sha256:{Convert.ToHexStringLower(SHA256.HashData(content))}";
}
