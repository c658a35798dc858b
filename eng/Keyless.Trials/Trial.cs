using System.Text.Json.Nodes;
using Keyless.MSBuild;
using Keyless.Sandbox;
using Keyless.Testing;
using Microsoft.Build.Utilities;

namespace Keyless.Trials;

/// <summary>A sandbox with images to sign, and what is in it afterwards.</summary>
internal sealed class Trial : IAsyncDisposable
{
    public const string Repository = "team/app";

    private readonly TemporaryFolder folder = new();

    private Trial(SandboxHost sandbox)
    {
        Sandbox = sandbox;
        sandbox.WriteTo(folder.Path);
    }

    public SandboxHost Sandbox { get; }

    public string Folder => folder.Path;

    public static async Task<Trial> StartAsync(string format, bool referrersApi, bool ifMatch = false)
    {
        SandboxHost sandbox = await SandboxHost.StartAsync(new SandboxOptions
        {
            ReferrersApi = referrersApi,
            Rekor = format == "bundle" ? RekorVersion.V2 : RekorVersion.V1,
        });
        sandbox.Registry.HonoursIfMatch = ifMatch;
        return new Trial(sandbox);
    }

    /// <summary>Puts an image into the registry that nobody has seen before.</summary>
    public string Push() => Sandbox.PushImage(Repository, null);

    /// <summary>How many signatures are listed in each form. What is listed twice, or leads nowhere, is an error.</summary>
    /// <exception cref="InvalidOperationException">The lists are not what they should be.</exception>
    public (int Bundles, int Layers) Count(string image)
    {
        string digest = image.Split('@')[1];
        string[] listed = [.. Referrers(image)];
        string[] layers = [.. Digests($"{digest.Replace(':', '-')}.sig", "layers")];
        if (listed.Distinct().Count() != listed.Length)
        {
            throw new InvalidOperationException($"{image}: a referrer is listed twice");
        }

        if (listed.FirstOrDefault(referrer => Sandbox.Registry.FindManifest(Repository, referrer) is null) is { } missing)
        {
            throw new InvalidOperationException($"{image}: {missing} is listed and not there");
        }

        return (listed.Length, layers.Length);
    }

    /// <summary>The digests of what is listed for an image.</summary>
    public IEnumerable<string> Referrers(string image) => Sandbox.Registry.ReferrersApi
        ? Sandbox.Registry.Referrers(Repository, image.Split('@')[1]).Select(referrer => referrer.Digest)
        : Digests(image.Split('@')[1].Replace(':', '-'), "manifests");

    /// <summary>Our verifying task's verdict, for exactly the sandbox's workflow.</summary>
    /// <returns>Null where it accepts.</returns>
    public string? WhyNotVerified(string image)
    {
        var item = new TaskItem(image);
        item.SetMetadata("CertificateIdentity", Sandbox.Issuer.CertificateIdentity);
        item.SetMetadata("CertificateOidcIssuer", Sandbox.Issuer.Url);
        var task = new KeylessVerifyContainer
        {
            BuildEngine = new RecordingEngine(),
            ProjectName = "Trial",
            ProjectDirectory = Folder,
            ContainerImagesToVerify = [item],
            SigstoreTrustedRoot = "trusted_root.json",
        };
        return task.Execute() ? null : ((RecordingEngine)task.BuildEngine).Log;
    }

    private IEnumerable<string> Digests(string tag, string list) => Sandbox.Registry.FindManifest(Repository, tag) is { } manifest
        ? JsonNode.Parse(manifest.Bytes)![list]!.AsArray().Select(entry => (string)entry!["digest"]!)
        : [];

    public async ValueTask DisposeAsync()
    {
        await Sandbox.DisposeAsync();
        folder.Dispose();
    }
}
