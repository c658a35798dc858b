using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.MSBuild;
using Keyless.Sandbox;
using Keyless.Testing;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;
using Task = System.Threading.Tasks.Task;

namespace Keyless.Interop.Tests;

/// <summary>Where images and signatures are kept.</summary>
public enum RegistryKind
{
    /// <summary>CNCF distribution 2.8: referrers are listed under a fallback tag.</summary>
    Distribution,

    /// <summary>The sandbox's own, with the referrers API.</summary>
    Sandbox,
}

/// <summary>Where signatures are logged.</summary>
public enum Log
{
    Rekor1,
    Rekor2Ed25519,
    Rekor2Ecdsa,
}

/// <summary>A Sigstore instance and a registry, and the clients that meet there: ours and cosign.</summary>
internal sealed class World : IAsyncDisposable
{
    private const string ImageType = "application/vnd.oci.image.manifest.v1+json";

    private readonly Distribution? distribution;
    private readonly HttpClient http = new();
    private readonly CancellationToken cancel;

    private World(SandboxHost sandbox, Distribution? distribution, CancellationToken cancel)
    {
        (Sandbox, this.distribution, this.cancel) = (sandbox, distribution, cancel);
        sandbox.WriteTo(Folder.Path);
    }

    public SandboxHost Sandbox { get; }

    public TemporaryFolder Folder { get; } = new();

    public string RegistryHost => distribution?.Host ?? Sandbox.RegistryHost;

    public string Signer => Sandbox.Issuer.CertificateIdentity;

    public static async Task<World> StartAsync(RegistryKind registry, Log log, CancellationToken cancel)
    {
        Distribution? distribution = registry == RegistryKind.Distribution ? await Distribution.StartAsync(cancel) : null;
        var options = new SandboxOptions
        {
            Rekor = log == Log.Rekor1 ? RekorVersion.V1 : RekorVersion.V2,
            RekorV2Key = log == Log.Rekor2Ecdsa ? RekorV2Key.EcdsaP256 : RekorV2Key.Ed25519,
        };
        return new World(await SandboxHost.StartAsync(options, cancel), distribution, cancel);
    }

    /// <summary>Pushes an image that nobody has seen before.</summary>
    /// <returns><c>localhost:PORT/repository@sha256:…</c></returns>
    public async Task<string> PushAsync(string repository = "team/app")
    {
        byte[] config = Encoding.UTF8.GetBytes($$"""{"architecture":"amd64","os":"linux","author":"{{Guid.NewGuid()}}","rootfs":{"type":"layers","diff_ids":[]} }""");
        byte[] manifest = Encoding.UTF8.GetBytes(new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = ImageType,
            ["config"] = new JsonObject { ["mediaType"] = "application/vnd.oci.image.config.v1+json", ["size"] = config.Length, ["digest"] = Digest(config) },
            ["layers"] = new JsonArray(),
        }.ToJsonString());

        using HttpResponseMessage begun = (await http.PostAsync(new Uri($"http://{RegistryHost}/v2/{repository}/blobs/uploads/"), null, cancel)).EnsureSuccessStatusCode();
        var upload = new Uri(begun.RequestMessage!.RequestUri!, begun.Headers.Location!);
        await PutAsync($"{upload}{(upload.Query.Length > 0 ? '&' : '?')}digest={Uri.EscapeDataString(Digest(config))}", config, "application/octet-stream");
        await PutAsync($"http://{RegistryHost}/v2/{repository}/manifests/{Digest(manifest)}", manifest, ImageType);
        return $"{RegistryHost}/{repository}@{Digest(manifest)}";
    }

    /// <summary>What the registry has under a tag or digest of the image's repository.</summary>
    public async Task<JsonNode> ManifestAsync(string image, string reference)
    {
        string crane = Tools.Require("crane");
        return JsonNode.Parse(await RunAsync(crane, "manifest", "--insecure", reference.Contains(':', StringComparison.Ordinal) ? $"{Repository(image)}@{reference}" : $"{Repository(image)}:{reference}"))!;
    }

    /// <summary>The signatures as <c>oras discover</c> lists them, oldest first where the registry keeps an order.</summary>
    public async Task<IReadOnlyList<JsonNode>> DiscoverAsync(string image)
    {
        string oras = Tools.Require("oras");
        JsonNode found = JsonNode.Parse(await RunAsync(oras, "discover", "--plain-http", "--format", "json", image))!;
        return [.. found["referrers"]!.AsArray().Select(referrer => referrer!)];
    }

    /// <summary>Signs with our task.</summary>
    /// <returns>The item that it gives to the build.</returns>
    public ITaskItem Sign(string image, params (string Name, string Value)[] annotations)
    {
        var task = new KeylessSignContainer
        {
            BuildEngine = new RecordingEngine(),
            EnvironmentVariable = Sandbox.Environment.GetValueOrDefault,
            ProjectName = "Hello",
            ProjectDirectory = Folder.Path,
            ContainersToSign = [new TaskItem(image)],
            ContainerSigningAnnotations = [.. annotations.Select(annotation => new TaskItem(annotation.Name, new Dictionary<string, string> { ["Value"] = annotation.Value }))],
            ContainerSigningBundleDirectory = "bundles",
            SigstoreInstance = "client_trust_config.json",
        };
        Assert.IsTrue(task.Execute(), Said(task));
        return task.SignedContainers.Single();
    }

    /// <summary>Our verifying task, for exactly the signer of <see cref="Sign"/>, with one thing changed or added.</summary>
    public KeylessVerifyContainer Verify(string image, params (string Name, string Value)[] metadata)
    {
        var item = new TaskItem(image);
        item.SetMetadata("CertificateIdentity", Signer);
        item.SetMetadata("CertificateOidcIssuer", Sandbox.Issuer.Url);
        foreach ((string name, string value) in metadata)
        {
            item.SetMetadata(name, value);
        }

        return new KeylessVerifyContainer
        {
            BuildEngine = new RecordingEngine(),
            EnvironmentVariable = _ => null,
            ProjectName = "Deploy",
            ProjectDirectory = Folder.Path,
            ContainerImagesToVerify = [item],
            SigstoreTrustedRoot = "trusted_root.json",
        };
    }

    /// <summary>Signs with cosign 3, as the same workflow.</summary>
    public async Task CosignSignAsync(string image, params string[] more)
    {
        ToolResult result = await Tools.RunAsync(
            Tools.Require("cosign"),
            ["sign", "--yes", "--signing-config", Folder["signing_config.json"], "--trusted-root", Folder["trusted_root.json"], .. more, image],
            Folder.Path,
            Sandbox.Environment,
            cancel);
        Assert.AreEqual(0, result.ExitCode, result.ToString());
    }

    /// <summary>Asks cosign 3 whether the image is signed by <see cref="Signer"/>, or by somebody else.</summary>
    public Task<ToolResult> CosignVerifyAsync(string image, string? identity = null, params string[] more) => Tools.RunAsync(
        Tools.Require("cosign"),
        ["verify", "--trusted-root", Folder["trusted_root.json"], "--certificate-identity", identity ?? Signer, "--certificate-oidc-issuer", Sandbox.Issuer.Url, .. more, image],
        Folder.Path,
        null,
        cancel);

    /// <returns>What the program printed; it must have ended well.</returns>
    public async Task<string> RunAsync(string program, params string[] arguments)
    {
        ToolResult result = await Tools.RunAsync(program, arguments, Folder.Path, null, cancel);
        Assert.AreEqual(0, result.ExitCode, $"{string.Join(' ', arguments)}: {result}");
        return result.Output;
    }

    public static string Said(ITask task) => ((RecordingEngine)task.BuildEngine).Log;

    /// <summary>Asserts that our verification ended with exactly this error.</summary>
    /// <returns>Its message.</returns>
    public static string Refusal(KeylessVerifyContainer task, string code)
    {
        Assert.IsFalse(task.Execute(), Said(task));
        BuildErrorEventArgs error = ((RecordingEngine)task.BuildEngine).Errors.Single();
        Assert.AreEqual(code, error.Code, Said(task));
        return error.Message!;
    }

    public async ValueTask DisposeAsync()
    {
        http.Dispose();
        await Sandbox.DisposeAsync();
        if (distribution is not null)
        {
            await distribution.DisposeAsync();
        }

        Folder.Dispose();
    }

    private static string Repository(string image) => image[..image.IndexOf('@', StringComparison.Ordinal)];

    private static string Digest(byte[] content) => $"sha256:{Convert.ToHexStringLower(SHA256.HashData(content))}";

    private async Task PutAsync(string url, byte[] content, string mediaType)
    {
        using var body = new ByteArrayContent(content) { Headers = { ContentType = new MediaTypeHeaderValue(mediaType) } };
        using HttpResponseMessage response = await http.PutAsync(new Uri(url), body, cancel);
        response.EnsureSuccessStatusCode();
    }
}
