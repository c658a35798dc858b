using System.Text;
using System.Text.Json.Nodes;
using Keyless.MSBuild;
using Keyless.Sandbox;
using Keyless.Sigstore;
using Keyless.Testing;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

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
    private readonly Distribution? distribution;

    private World(SandboxHost sandbox, Distribution? distribution, CancellationToken cancel)
    {
        (Sandbox, this.distribution, Cancel) = (sandbox, distribution, cancel);
        Registry = new PlainRegistry(RegistryHost, cancel);
        (Cosign2, Cosign3) = (new Cosign(this, 2), new Cosign(this, 3));
        sandbox.WriteTo(Folder.Path);
    }

    public SandboxHost Sandbox { get; }

    public TemporaryFolder Folder { get; } = new();

    public PlainRegistry Registry { get; }

    public Cosign Cosign2 { get; }

    public Cosign Cosign3 { get; }

    public CancellationToken Cancel { get; }

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

    /// <param name="distribution">From then on the world's to end.</param>
    public static async Task<World> StartAsync(Distribution distribution, CancellationToken cancel) =>
        new(await SandboxHost.StartAsync(cancel: cancel), distribution, cancel);

    /// <summary>On top of what every cosign gets.</summary>
    public Dictionary<string, string> CosignEnvironment { get; } = [];

    /// <inheritdoc cref="PlainRegistry.PushAsync"/>
    public Task<string> PushAsync(string repository = "team/app") => Registry.PushAsync(repository);

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

    /// <inheritdoc cref="SignAll(string, ValueTuple{string, string}[])"/>
    public ITaskItem Sign(string image, params (string Name, string Value)[] annotations) => SignAll(image, annotations).Single();

    /// <summary>Signs with our task.</summary>
    /// <returns>The items that it gives to the build.</returns>
    public ITaskItem[] SignAll(string image, params (string Name, string Value)[] annotations) => SignAll(image, "", annotations);

    /// <inheritdoc cref="SignAll(string, ValueTuple{string, string}[])"/>
    /// <param name="repository">Keeps the signature, if not the image's own does.</param>
    public ITaskItem[] SignAll(string image, string repository, params (string Name, string Value)[] annotations) => SignIn("", image, repository, annotations);

    /// <inheritdoc cref="SignAll(string, ValueTuple{string, string}[])"/>
    /// <param name="format"><c>ContainerSigningFormat</c>.</param>
    public ITaskItem[] SignIn(string format, string image, string repository = "", params (string Name, string Value)[] annotations)
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
            ContainerSigningRepository = repository,
            ContainerSigningFormat = format,
            SigstoreInstance = "client_trust_config.json",
        };
        Assert.IsTrue(task.Execute(), Said(task));
        return task.SignedContainers;
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

        return Verify(item);
    }

    /// <summary>The same for whoever holds a key.</summary>
    public KeylessVerifyContainer VerifyKey(string image, string publicKey) => Verify(new TaskItem(image, new Dictionary<string, string> { ["PublicKey"] = publicKey }));

    /// <summary>Our library, which files have no task for.</summary>
    public Verifier Verifier => new(TrustedRoot.Parse(Encoding.UTF8.GetBytes(Sandbox.TrustedRoot)));

    /// <returns>What the program printed; it must have ended well.</returns>
    public async Task<string> RunAsync(string program, params string[] arguments)
    {
        ToolResult result = await Tools.RunAsync(program, arguments, Folder.Path, null, Cancel);
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
        Registry.Dispose();
        await Sandbox.DisposeAsync();
        if (distribution is not null)
        {
            await distribution.DisposeAsync();
        }

        Folder.Dispose();
    }

    private KeylessVerifyContainer Verify(TaskItem item) => new()
    {
        BuildEngine = new RecordingEngine(),
        EnvironmentVariable = _ => null,
        ProjectName = "Deploy",
        ProjectDirectory = Folder.Path,
        ContainerImagesToVerify = [item],
        SigstoreTrustedRoot = "trusted_root.json",
    };

    private static string Repository(string image) => image[..image.IndexOf('@', StringComparison.Ordinal)];
}
