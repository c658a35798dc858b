using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

namespace Keyless.MSBuild.Tests;

/// <summary>A sandbox with the environment of a job in it, and tasks as the targets would call them.</summary>
internal sealed class World : IAsyncDisposable
{
    private readonly TemporaryFolder folder = new();

    private World(SandboxHost sandbox, TimeProvider time)
    {
        (Sandbox, Time) = (sandbox, time);
        Environment = sandbox.Environment.ToDictionary(StringComparer.Ordinal);
        sandbox.WriteTo(folder.Path);
    }

    public SandboxHost Sandbox { get; }

    /// <summary>Of the sandbox and of every task.</summary>
    public TimeProvider Time { get; }

    public TemporaryFolder Folder => folder;

    /// <summary>What the next task sees; a test takes away or changes one variable.</summary>
    public Dictionary<string, string> Environment { get; }

    /// <summary>The folder itself is made before anybody is asked; what counts is what is in it.</summary>
    public bool HasBundles => Directory.Exists(folder["bundles"]) && Directory.EnumerateFileSystemEntries(folder["bundles"]).Any();

    public string Signer => Sandbox.Issuer.CertificateIdentity;

    /// <param name="time">The clock; null: one on which waits are short.</param>
    public static async Task<World> StartAsync(CancellationToken cancel, SandboxOptions? options = null, TimeProvider? time = null)
    {
        time ??= new LeapingClock();
        return new(await SandboxHost.StartAsync((options ?? new SandboxOptions()) with { TimeProvider = time }, cancel), time);
    }

    /// <summary>Puts an image into the registry that nobody has seen before.</summary>
    /// <returns><c>localhost:PORT/repository@sha256:…</c></returns>
    public string Push(string repository = "team/app", string? tag = "1.0") => Sandbox.PushImage(repository, tag);

    /// <summary>Puts an index of new images into the registry.</summary>
    /// <returns>Its bytes, and the reference.</returns>
    public (byte[] Bytes, string Pinned) PushIndex(int platforms, string repository = "team/app", string tag = "1.0")
    {
        var entries = new JsonArray();
        for (int i = 0; i < platforms; i++)
        {
            RegistryManifest image = Sandbox.Registry.FindManifest(repository, Push(repository, null).Split('@')[1])!;
            JsonObject entry = new() { ["mediaType"] = "application/vnd.oci.image.manifest.v1+json", ["size"] = image.Bytes.Length, ["digest"] = image.Digest };
            entry["platform"] = new JsonObject { ["os"] = "linux", ["architecture"] = string.Create(CultureInfo.InvariantCulture, $"cpu{i}") };
            entries.Add((JsonNode)entry);
        }

        const string type = "application/vnd.oci.image.index.v1+json";
        byte[] index = Encoding.UTF8.GetBytes(new JsonObject { ["schemaVersion"] = 2, ["mediaType"] = type, ["manifests"] = entries }.ToJsonString());
        return (index, $"{Sandbox.RegistryHost}/{repository}@{Sandbox.Registry.PutManifest(repository, tag, index, type)}");
    }

    public IReadOnlyList<RegistryManifest> Referrers(string pinned)
    {
        string[] parts = pinned[(pinned.IndexOf('/', StringComparison.Ordinal) + 1)..].Split('@');
        return Sandbox.Registry.Referrers(parts[0], parts[1]);
    }

    /// <summary>Of a file in the project's folder.</summary>
    public string PathOf(string name) => folder[name];

    public KeylessSignContainer Sign(params string[] references) => new()
    {
        BuildEngine = new RecordingEngine(),
        EnvironmentVariable = Environment.GetValueOrDefault,
        Time = Time,
        ProjectName = "Hello",
        ProjectDirectory = folder.Path,
        ContainersToSign = [.. references.Select(reference => new TaskItem(reference))],
        ContainerSigningBundleDirectory = "bundles",
        // A test of what is refused does not wait; those of waiting say how long.
        ContainerSigningRetryBudget = "00:00:00",
        SigstoreInstance = "client_trust_config.json",
    };

    public KeylessVerifyContainer Verify(params ITaskItem[] images) => new()
    {
        BuildEngine = new RecordingEngine(),
        EnvironmentVariable = Environment.GetValueOrDefault,
        Time = Time,
        ProjectName = "Deploy",
        ProjectDirectory = folder.Path,
        ContainerImagesToVerify = images,
        SigstoreTrustedRoot = "trusted_root.json",
        RetryBudget = TimeSpan.Zero,
    };

    /// <summary>Exactly the signer of <see cref="Sign"/>, with one thing changed or added.</summary>
    public ITaskItem Image(string reference, params (string Name, string Value)[] metadata)
    {
        var item = new TaskItem(reference);
        item.SetMetadata("CertificateIdentity", Signer);
        item.SetMetadata("CertificateOidcIssuer", Sandbox.Issuer.Url);
        foreach ((string name, string value) in metadata)
        {
            item.SetMetadata(name, value);
        }

        return item;
    }

    /// <summary>A repository with one signed image.</summary>
    public string PushSigned()
    {
        string image = Push();
        KeylessSignContainer task = Sign(image);
        Assert.IsTrue(task.Execute(), Log(task));
        return image;
    }

    public static string Log(ITask task) => ((RecordingEngine)task.BuildEngine).Log;

    /// <summary>The one error a refusing task logs, after everything that holds for all of them was asserted.</summary>
    public static string Refusal(ITask task, string code)
    {
        Assert.IsFalse(task.Execute(), $"it should have failed\n{Log(task)}");
        var engine = (RecordingEngine)task.BuildEngine;
        Assert.HasCount(1, engine.Errors, engine.Log);
        BuildErrorEventArgs error = engine.Errors[0];
        Assert.AreEqual(code, error.Code, engine.Log);
        Assert.EndsWith($" (docs/errors.md#{code.ToLowerInvariant()})", error.Message!);
        Assert.DoesNotContain("\n", error.Message!);
        Assert.DoesNotContain("   at ", engine.Log);
        return error.Message!;
    }

    public static RequestDelegate Answer(int status, string contentType, string body) => async context =>
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = contentType;
        await context.Response.WriteAsync(body, context.RequestAborted);
    };

    public async ValueTask DisposeAsync()
    {
        await Sandbox.DisposeAsync();
        folder.Dispose();
    }
}
