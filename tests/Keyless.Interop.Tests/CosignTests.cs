using System.Text.Json.Nodes;
using Keyless.MSBuild;
using Keyless.Testing;

namespace Keyless.Interop.Tests;

/// <summary>cosign 3 accepts what we sign, and we what it signs, on either kind of registry and with each log.</summary>
[TestClass]
public sealed class CosignTests
{
    private const string SomebodyElse = "https://github.com/somebody/else/.github/workflows/publish.yml@refs/heads/main";

    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow(RegistryKind.Distribution, Log.Rekor1)]
    [DataRow(RegistryKind.Distribution, Log.Rekor2Ed25519)]
    [DataRow(RegistryKind.Distribution, Log.Rekor2Ecdsa)]
    [DataRow(RegistryKind.Sandbox, Log.Rekor1)]
    [DataRow(RegistryKind.Sandbox, Log.Rekor2Ed25519)]
    [DataRow(RegistryKind.Sandbox, Log.Rekor2Ecdsa)]
    public async Task Cosign_accepts_what_we_sign(RegistryKind registry, Log log)
    {
        Tools.Require("cosign");
        await using World world = await World.StartAsync(registry, log, TestContext.CancellationToken);
        string image = await world.PushAsync();
        world.Sign(image, ("env", "prod"));

        ToolResult verify = await world.Cosign3.VerifyAsync(image, null, "-a", "env=prod");

        Assert.AreEqual(0, verify.ExitCode, verify.ToString());
        JsonNode payload = JsonNode.Parse(verify.Output)!.AsArray().Single()!;
        Assert.AreEqual(image.Split('@')[1], (string?)payload["critical"]!["image"]!["docker-manifest-digest"]);
        Assert.AreEqual("prod", (string?)payload["optional"]!["env"]);
    }

    [TestMethod]
    public async Task Cosign_refuses_what_we_sign_for_another_identity()
    {
        Tools.Require("cosign");
        await using World world = await World.StartAsync(RegistryKind.Sandbox, Log.Rekor2Ed25519, TestContext.CancellationToken);
        string image = await world.PushAsync();
        world.Sign(image);

        ToolResult verify = await world.Cosign3.VerifyAsync(image, SomebodyElse);

        Assert.AreNotEqual(0, verify.ExitCode);
        Assert.Contains("no matching CertificateIdentity found", verify.Errors);
    }

    [TestMethod]
    public async Task Cosign_refuses_what_we_sign_for_another_annotation()
    {
        Tools.Require("cosign");
        await using World world = await World.StartAsync(RegistryKind.Sandbox, Log.Rekor2Ed25519, TestContext.CancellationToken);
        string image = await world.PushAsync();
        world.Sign(image, ("env", "prod"));

        ToolResult verify = await world.Cosign3.VerifyAsync(image, null, "-a", "env=test");

        Assert.AreNotEqual(0, verify.ExitCode);
        Assert.Contains("annotation", verify.Errors);
    }

    [TestMethod]
    [DataRow(RegistryKind.Distribution, Log.Rekor1)]
    [DataRow(RegistryKind.Distribution, Log.Rekor2Ed25519)]
    [DataRow(RegistryKind.Distribution, Log.Rekor2Ecdsa)]
    [DataRow(RegistryKind.Sandbox, Log.Rekor1)]
    [DataRow(RegistryKind.Sandbox, Log.Rekor2Ed25519)]
    [DataRow(RegistryKind.Sandbox, Log.Rekor2Ecdsa)]
    public async Task We_accept_what_cosign_signs(RegistryKind registry, Log log)
    {
        Tools.Require("cosign");
        await using World world = await World.StartAsync(registry, log, TestContext.CancellationToken);
        string image = await world.PushAsync();
        await world.Cosign3.SignAsync(image);
        // So does cosign: our servers must not be the only ones that find our servers' signatures good.
        ToolResult cosign = await world.Cosign3.VerifyAsync(image);
        Assert.AreEqual(0, cosign.ExitCode, cosign.ToString());

        KeylessVerifyContainer verify = world.Verify(image);

        Assert.IsTrue(verify.Execute(), World.Said(verify));
        Assert.AreEqual(image, verify.VerifiedContainerImages.Single().ItemSpec);
        Assert.AreEqual(world.Signer, verify.VerifiedContainerImages.Single().GetMetadata("CertificateIdentity"));
        Assert.Contains("(policy.identity)", World.Refusal(world.Verify(image, ("CertificateIdentity", SomebodyElse)), "KEYLESS4002"));
    }

    [TestMethod]
    [DataRow(RegistryKind.Distribution, Log.Rekor2Ed25519)]
    [DataRow(RegistryKind.Sandbox, Log.Rekor1)]
    public async Task We_read_the_annotations_that_cosign_signs(RegistryKind registry, Log log)
    {
        Tools.Require("cosign");
        await using World world = await World.StartAsync(registry, log, TestContext.CancellationToken);
        string image = await world.PushAsync();
        await world.Cosign3.SignAsync(image, "-a", "env=prod", "-a", "team=core");

        KeylessVerifyContainer verify = world.Verify(image, ("Annotations", "env=prod"));

        Assert.IsTrue(verify.Execute(), World.Said(verify));
        Assert.Contains("(policy.annotation)", World.Refusal(world.Verify(image, ("Annotations", "env=test")), "KEYLESS4002"));
    }

    [TestMethod]
    [DataRow(RegistryKind.Distribution)]
    [DataRow(RegistryKind.Sandbox)]
    public async Task We_do_not_take_what_cosign_signs_for_the_signature_of_another_image(RegistryKind registry)
    {
        Tools.Require("cosign");
        await using World world = await World.StartAsync(registry, Log.Rekor2Ed25519, TestContext.CancellationToken);
        string image = await world.PushAsync();
        string other = await world.PushAsync();
        await world.Cosign3.SignAsync(image);

        Assert.Contains("is not signed", World.Refusal(world.Verify(other), "KEYLESS4001"));
    }
}
