using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Reflection;
using System.Text.Json.Nodes;
using Keyless.Sandbox;

namespace Quickstart;

/// <summary>A sandbox, a folder with copies of the samples and a package feed; all of it gone at the end.</summary>
internal sealed class World : IAsyncDisposable
{
    private readonly string root = typeof(World).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(attribute => attribute.Key == "RepositoryRoot").Value!;
    private readonly string folder = Directory.CreateTempSubdirectory("keyless-quickstart-").FullName;
    private readonly string version = string.Create(CultureInfo.InvariantCulture, $"0.0.0-quickstart.{DateTime.UtcNow.Ticks}");
    private SandboxHost? sandbox;

    /// <summary>The usual signer: the sandbox's imitation of a GitHub workflow.</summary>
    public string Signer => Sandbox.Issuer.CertificateIdentity;

    private SandboxHost Sandbox => sandbox ?? throw new InvalidOperationException("the sandbox has not started");

    /// <param name="broken">Takes a port that somebody else has.</param>
    public async Task StartAsync(bool broken, CancellationToken cancel)
    {
        using var somebody = new TcpListener(IPAddress.Loopback, 0);
        somebody.Start();
        int port = broken ? ((IPEndPoint)somebody.LocalEndpoint).Port : 0;
        try
        {
            sandbox = await SandboxHost.StartAsync(new SandboxOptions { RegistryPort = port }, cancel);
        }
        catch (IOException e)
        {
            throw new StepFailedException($"the sandbox does not start: {e.Message}");
        }
        sandbox.WriteTo(Path.Combine(folder, "sandbox"));
        foreach (string sample in new[] { "HelloContainer", "DeployVerified" })
        {
            Copy(Path.Combine(root, "samples", sample), Path.Combine(folder, sample));
        }
    }

    public async Task<string> PackAsync(bool broken, CancellationToken cancel)
    {
        string configuration = typeof(World).Assembly.GetCustomAttribute<AssemblyConfigurationAttribute>()!.Configuration;
        string project = Path.Combine(root, "src", "Keyless.MSBuild", broken ? "Missing.csproj" : "Keyless.MSBuild.csproj");
        ChildResult pack = await Child.DotNetAsync(
            root, ["pack", project, "--no-build", "-c", configuration, "-o", Path.Combine(folder, "feed"), $"-p:Version={version}", "-p:MinVerSkip=true", "-tl:off"],
            Temporary(), cancel);
        return pack.ExitCode == 0 ? $"Keyless.MSBuild {version}" : throw new StepFailedException(pack.Output.Trim());
    }

    /// <returns>The pinned reference of the image.</returns>
    public async Task<string> PublishAsync(string repository, bool sign, bool withIdentity, CancellationToken cancel)
    {
        ChildResult publish = await Child.DotNetAsync(
            Path.Combine(folder, "HelloContainer"),
            [
                "publish", "-t:PublishContainer", "-tl:off",
                $"-p:SignContainer={(sign ? "true" : "false")}",
                $"-p:SigstoreInstance={Path.Combine(folder, "sandbox", "client_trust_config.json")}",
                $"-p:ContainerBaseImage={Sandbox.BaseImage}",
                $"-p:ContainerRegistry={Sandbox.RegistryHost}",
                $"-p:ContainerRepository={repository}",
            ],
            Environment(withIdentity), cancel);
        if (publish.ExitCode != 0)
        {
            throw new StepFailedException(string.Join("\n", publish.Errors.DefaultIfEmpty(publish.Output)));
        }

        foreach (string line in publish.Lines.Where(line => line.StartsWith("HelloContainer -> ", StringComparison.Ordinal) && line.Contains('@', StringComparison.Ordinal)))
        {
            Console.WriteLine($"      {line}");
        }

        return $"{Sandbox.RegistryHost}/{repository}@{Digest(repository)}";
    }

    /// <summary>Runs the deploy project: exit code 0 means that the image was accepted.</summary>
    public Task<ChildResult> DeployAsync(string image, string signer, CancellationToken cancel) => Child.DotNetAsync(
        Path.Combine(folder, "DeployVerified"),
        [
            "build", "-t:Deploy", "-tl:off",
            $"-p:Image={image}", $"-p:Signer={signer}", $"-p:SignerIssuer={Sandbox.Issuer.Url}",
            $"-p:SigstoreTrustedRoot={Path.Combine(folder, "sandbox", "trusted_root.json")}",
        ],
        Environment(withIdentity: false), cancel);

    /// <summary>Does what an attacker with push rights can do: attaches the signature of one image to another.</summary>
    public void MoveSignature(string fromRepository, string toRepository)
    {
        RegistryManifest signature = Sandbox.Registry.Referrers(fromRepository, Digest(fromRepository)).Single();
        RegistryManifest image = Sandbox.Registry.FindManifest(toRepository, "latest")!;
        JsonObject manifest = JsonNode.Parse(signature.Bytes)!.AsObject();
        foreach (JsonNode? content in manifest["layers"]!.AsArray().Append(manifest["config"]))
        {
            Sandbox.Registry.PutBlob(toRepository, Sandbox.Registry.FindBlob(fromRepository, (string)content!["digest"]!)!);
        }

        manifest["subject"] = new JsonObject { ["mediaType"] = image.MediaType, ["size"] = image.Bytes.Length, ["digest"] = image.Digest };
        Sandbox.Registry.PutManifest(toRepository, null, System.Text.Encoding.UTF8.GetBytes(manifest.ToJsonString()), signature.MediaType);
    }

    public async ValueTask DisposeAsync()
    {
        if (sandbox is not null)
        {
            await sandbox.DisposeAsync();
        }

        Directory.Delete(folder, recursive: true);
    }

    private string Digest(string repository) => Sandbox.Registry.FindManifest(repository, "latest")!.Digest;

    /// <summary>Only our feed, our version and a packages folder of our own: nothing of this run stays in a cache, nothing of a cache gets into it.</summary>
    private Dictionary<string, string> Environment(bool withIdentity)
    {
        Dictionary<string, string> environment = Temporary();
        environment["KeylessVersion"] = version;
        environment["RestoreSources"] = Path.Combine(folder, "feed");
        environment["NUGET_PACKAGES"] = Path.Combine(folder, "packages");
        if (withIdentity)
        {
            foreach ((string name, string value) in Sandbox.Environment)
            {
                environment[name] = value;
            }
        }
        return environment;
    }

    /// <summary>A child that is stopped cannot sweep after itself, so its temporary files are inside of what is deleted in the end.</summary>
    private Dictionary<string, string> Temporary()
    {
        string temporary = Directory.CreateDirectory(Path.Combine(folder, "tmp")).FullName;
        return new Dictionary<string, string> { ["TMPDIR"] = temporary, ["TEMP"] = temporary, ["TMP"] = temporary };
    }

    private static void Copy(string from, string to)
    {
        foreach (string file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            string relative = Path.GetRelativePath(from, file);
            if (relative.Split(Path.DirectorySeparatorChar)[0] is "bin" or "obj")
            {
                continue;
            }

            string target = Path.Combine(to, relative);
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }
    }
}

/// <summary>A step did not go as it should; the message is what the person at the terminal needs.</summary>
internal sealed class StepFailedException(string message) : Exception(message);
