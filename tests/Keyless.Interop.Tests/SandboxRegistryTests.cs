using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Testing;

namespace Keyless.Interop.Tests;

/// <summary>Other people's clients against the sandbox's registry: if they take it for the real thing, tests against it mean something.</summary>
[TestClass]
public sealed class SandboxRegistryTests : IDisposable
{
    private readonly TemporaryFolder home = new();

    public required TestContext TestContext { get; init; }

    private CancellationToken Cancel => TestContext.CancellationToken;

    public void Dispose() => home.Dispose();

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public async Task Crane_pulls_pushes_copies_and_lists(bool referrersApi)
    {
        string crane = Tools.Require("crane");
        await using SandboxHost sandbox = await SandboxHost.StartAsync(new SandboxOptions { ReferrersApi = referrersApi }, Cancel);
        string copy = $"{sandbox.RegistryHost}/team/app/x";

        await RunAsync(crane, "validate", "--insecure", "--remote", sandbox.BaseImage);
        await RunAsync(crane, "copy", "--insecure", sandbox.BaseImage, $"{copy}:1");
        await RunAsync(crane, "pull", "--insecure", "--platform", "linux/arm64", $"{copy}:1", home["image.tar"]);
        await RunAsync(crane, "push", "--insecure", home["image.tar"], $"{copy}:2");

        Assert.AreEqual("1\n2\n", await RunAsync(crane, "ls", "--insecure", copy));
        Assert.AreEqual(sandbox.Registry.FindManifest("keyless/base", "1")!.Digest, (await RunAsync(crane, "digest", "--insecure", $"{copy}:1")).Trim());
        await RunAsync(crane, "delete", "--insecure", $"{copy}:2");
        Assert.AreEqual("1\n", await RunAsync(crane, "ls", "--insecure", copy));
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public async Task Oras_attaches_and_discovers(bool referrersApi)
    {
        string oras = Tools.Require("oras");
        await using SandboxHost sandbox = await SandboxHost.StartAsync(new SandboxOptions { ReferrersApi = referrersApi }, Cancel);
        string digest = sandbox.Registry.FindManifest("keyless/base", "1")!.Digest;
        string image = $"{sandbox.RegistryHost}/keyless/base@{digest}";
        home.Write("note.txt", "a note");

        await RunAsync(oras, "attach", "--plain-http", "--artifact-type", "application/vnd.example.note", "--annotation", "k=v", image, "note.txt:text/plain");
        JsonNode found = JsonNode.Parse(await RunAsync(oras, "discover", "--plain-http", "--format", "json", image))!["referrers"]!.AsArray().Single()!;

        Assert.AreEqual(("application/vnd.example.note", "v"), ((string?)found["artifactType"], (string?)found["annotations"]!["k"]));
        Assert.AreEqual(sandbox.Registry.Referrers("keyless/base", digest).Single().Digest, (string?)found["digest"]);
        bool fallback = sandbox.Registry.Tags("keyless/base").Contains(digest.Replace(':', '-'));
        Assert.AreEqual(!referrersApi, fallback, "the fallback tag is for registries without the API");
    }

    private async Task<string> RunAsync(string program, params string[] arguments)
    {
        ToolResult result = await Tools.RunAsync(program, arguments, home.Path, null, Cancel);
        Assert.AreEqual(0, result.ExitCode, $"{string.Join(' ', arguments)}: {result}");
        return result.Output;
    }
}
