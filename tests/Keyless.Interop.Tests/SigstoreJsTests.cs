using System.Text;
using System.Text.Json.Nodes;
using Keyless.Testing;
using Microsoft.Build.Framework;

namespace Keyless.Interop.Tests;

/// <summary>@sigstore/verify, which npm verifies provenance with: written independently of cosign, and stricter in places.</summary>
[TestClass]
public sealed class SigstoreJsTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow(Log.Rekor1)]
    [DataRow(Log.Rekor2Ed25519)]
    [DataRow(Log.Rekor2Ecdsa)]
    public async Task Accepts_what_we_sign(Log log)
    {
        Tools.RequireNodeModules();
        await using World world = await World.StartAsync(RegistryKind.Sandbox, log, TestContext.CancellationToken);
        ITaskItem signed = world.Sign(await world.PushAsync());

        ToolResult verify = await VerifyAsync(world, signed, world.Signer);

        Assert.AreEqual(0, verify.ExitCode, verify.ToString());
        Assert.AreEqual(world.Signer, verify.Output.Trim());
    }

    [TestMethod]
    public async Task Refuses_it_for_another_identity()
    {
        Tools.RequireNodeModules();
        await using World world = await World.StartAsync(RegistryKind.Sandbox, Log.Rekor1, TestContext.CancellationToken);
        ITaskItem signed = world.Sign(await world.PushAsync());

        ToolResult verify = await VerifyAsync(world, signed, world.Signer + "x");

        Assert.AreEqual(1, verify.ExitCode);
        Assert.StartsWith("UNTRUSTED_SIGNER_ERROR", verify.Errors);
    }

    [TestMethod]
    public async Task Refuses_a_statement_that_was_altered()
    {
        Tools.RequireNodeModules();
        await using World world = await World.StartAsync(RegistryKind.Sandbox, Log.Rekor1, TestContext.CancellationToken);
        ITaskItem signed = world.Sign(await world.PushAsync(), ("env", "test"));
        string file = signed.GetMetadata("BundlePath");
        JsonNode bundle = JsonNode.Parse(await File.ReadAllTextAsync(file, TestContext.CancellationToken))!;
        string statement = Encoding.UTF8.GetString(Convert.FromBase64String((string)bundle["dsseEnvelope"]!["payload"]!));
        bundle["dsseEnvelope"]!["payload"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(statement.Replace("\"test\"", "\"prod\"", StringComparison.Ordinal)));
        await File.WriteAllTextAsync(file, bundle.ToJsonString(), TestContext.CancellationToken);

        ToolResult verify = await VerifyAsync(world, signed, world.Signer);

        Assert.AreEqual(1, verify.ExitCode);
        Assert.StartsWith("TLOG_BODY_ERROR", verify.Errors);
    }

    private Task<ToolResult> VerifyAsync(World world, ITaskItem signed, string identity) => Tools.RunAsync(
        Tools.Require("node"),
        [
            Repository.PathTo("tests/Keyless.Interop.Tests/node/verify.cjs"), world.Folder["trusted_root.json"], signed.GetMetadata("BundlePath"),
            identity, world.Sandbox.Issuer.Url, signed.GetMetadata("Digest")["sha256:".Length..],
        ],
        world.Folder.Path,
        new Dictionary<string, string> { ["NODE_PATH"] = Tools.RequireNodeModules() },
        TestContext.CancellationToken);
}
