using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>Signatures in the form of cosign 1 and 2, alone and beside bundles.</summary>
[TestClass]
public sealed class SigningFormatTests
{
    private static readonly SandboxOptions RekorV1 = new() { Rekor = RekorVersion.V1 };

    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public async Task Writes_what_cosign_2_writes(bool referrersApi)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, RekorV1 with { ReferrersApi = referrersApi });
        string image = world.Push();
        KeylessSignContainer task = Sign(world, "legacy", image);
        task.ContainerSigningAnnotations = [new TaskItem("env", new Dictionary<string, string> { ["Value"] = "<prod> & more" })];

        Assert.IsTrue(task.Execute(), World.Log(task));

        JsonNode manifest = Signatures(world, image);
        JsonNode layer = manifest["layers"]!.AsArray().Single()!;
        Assert.AreEqual("application/vnd.dev.cosign.simplesigning.v1+json", (string?)layer["mediaType"]);
        Assert.AreSequenceEqual(
            ["dev.cosignproject.cosign/signature", "dev.sigstore.cosign/bundle", "dev.sigstore.cosign/certificate", "dev.sigstore.cosign/chain", "dev.sigstore.cosign/rfc3161timestamp"],
            layer["annotations"]!.AsObject().Select(annotation => annotation.Key).ToArray());
        string payload = Encoding.UTF8.GetString(world.Sandbox.Registry.FindBlob("team/app", (string)layer["digest"]!)!);
        Assert.AreEqual(
            $$$"""{"critical":{"identity":{"docker-reference":"{{{image.Split('@')[0]}}}"},"image":{"docker-manifest-digest":"{{{image.Split('@')[1]}}}"},"type":"cosign container image signature"},"optional":{"env":"\u003cprod\u003e \u0026 more"}}""",
            payload);
        string config = Encoding.UTF8.GetString(world.Sandbox.Registry.FindBlob("team/app", (string)manifest["config"]!["digest"]!)!);
        Assert.AreEqual(
            $$$"""{"architecture":"","created":"0001-01-01T00:00:00Z","history":[{"created":"0001-01-01T00:00:00Z"}],"os":"","rootfs":{"type":"layers","diff_ids":["{{{(string)layer["digest"]!}}}"]},"config":{}}""",
            config);
        Assert.IsEmpty(world.Referrers(image));
        ITaskItem signed = task.SignedContainers.Single();
        Assert.AreEqual("legacy", signed.GetMetadata("Format"));
        Assert.AreEqual($"{image.Split('@')[0]}:{image.Split('@')[1].Replace(':', '-')}.sig", signed.GetMetadata("SignatureReference"));
        VerifiedAs(world, image, "legacy");
    }

    [TestMethod]
    public async Task Writes_both_and_says_so_twice()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, RekorV1);
        (_, string index) = world.PushIndex(2);
        KeylessSignContainer task = Sign(world, "both", index);

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.HasCount(6, task.SignedContainers);
        foreach (IGrouping<string, ITaskItem> image in task.SignedContainers.GroupBy(item => item.ItemSpec))
        {
            Assert.AreSequenceEqual(["bundle", "legacy"], image.Select(item => item.GetMetadata("Format")).ToArray());
            Assert.HasCount(1, world.Referrers(image.Key));
            Assert.HasCount(1, Signatures(world, image.Key)["layers"]!.AsArray());
        }

        Assert.HasCount(1, world.Sandbox.Traffic.Snapshot().Where(exchange => exchange.Part == "fulcio"));
    }

    [TestMethod]
    [DataRow("legacy")]
    [DataRow("both")]
    public async Task Refuses_before_anything_is_asked_where_no_log_can_give_a_promise(string format)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();

        string error = World.Refusal(Sign(world, format, image), "KEYLESS5009");

        StringAssert.Contains(error, $"ContainerSigningFormat is '{format}', which needs a log of Rekor version 1", StringComparison.Ordinal);
        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot());
    }

    /// <summary>A log of version 1 that the config still names, and that the trusted root does not know or that is not encrypted.</summary>
    [TestMethod]
    [DataRow("bundle", "https://rekor.elsewhere.example", "")]
    [DataRow("legacy", "https://rekor.elsewhere.example", "which the trusted root does not know")]
    [DataRow("bundle", "http://rekor.elsewhere.example", "")]
    [DataRow("both", "http://rekor.elsewhere.example", "https expected")]
    public async Task Looks_at_the_log_of_a_form_where_that_form_is_asked_for(string format, string log, string says)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        JsonNode config = JsonNode.Parse(world.Sandbox.SigningConfig)!;
        JsonNode old = config["rekorTlogUrls"]![0]!.DeepClone();
        (old["url"], old["majorApiVersion"]) = (log, 1);
        config["rekorTlogUrls"]!.AsArray().Add(old);
        world.Folder.Write("config.json", config.ToJsonString());
        KeylessSignContainer task = Sign(world, format, image);
        (task.SigstoreTrustedRoot, task.SigstoreSigningConfig) = ("trusted_root.json", "config.json");

        if (says.Length == 0)
        {
            Assert.IsTrue(task.Execute(), World.Log(task));
            return;
        }

        StringAssert.Contains(World.Refusal(task, "KEYLESS2102"), says, StringComparison.Ordinal);
        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot());
    }

    [TestMethod]
    public async Task Adds_to_the_signatures_that_are_there_and_leaves_them_as_they_are()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, RekorV1);
        string image = world.Push();
        Assert.IsTrue(Sign(world, "legacy", image).Execute());
        JsonNode before = Signatures(world, image);

        Assert.IsTrue(Sign(world, "legacy", image).Execute());

        JsonNode after = Signatures(world, image);
        Assert.HasCount(2, after["layers"]!.AsArray());
        Assert.AreEqual(before["layers"]![0]!.ToJsonString(), after["layers"]![0]!.ToJsonString());
        JsonNode config = JsonNode.Parse(world.Sandbox.Registry.FindBlob("team/app", (string)after["config"]!["digest"]!)!)!;
        Assert.HasCount(2, config["history"]!.AsArray());
        Assert.AreSequenceEqual(after["layers"]!.AsArray().Select(layer => (string?)layer!["digest"]).ToArray(), config["rootfs"]!["diff_ids"]!.AsArray().Select(id => (string?)id).ToArray());
    }

    [TestMethod]
    [DataRow("legacy", 1)]
    [DataRow("bundle", 0)]
    public async Task Does_not_sign_again_what_it_has_signed_in_the_same_form(string before, int more)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, RekorV1);
        string image = world.Push();
        Assert.IsTrue(Sign(world, before, image).Execute());
        long mark = world.Sandbox.Traffic.Mark();
        KeylessSignContainer task = Sign(world, "bundle", image);
        task.ContainerSigningSkipIfSigned = "true";

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.HasCount(more, world.Sandbox.Traffic.Snapshot(mark).Where(exchange => exchange.Part == "fulcio"));
        Assert.HasCount(1, world.Referrers(image));
        ITaskItem signed = task.SignedContainers.Single();
        Assert.AreEqual($"{image.Split('@')[0]}@{world.Referrers(image).Single().Digest}", signed.GetMetadata("SignatureReference"));
        StringAssert.Contains(World.Log(task), more == 0 ? "(already signed by " : "(signed by ", StringComparison.Ordinal);
    }

    [TestMethod]
    [DataRow("sha")]
    [DataRow("ref")]
    [DataRow("repository")]
    [DataRow("annotation")]
    public async Task Signs_again_what_was_signed_for_something_else(string differs)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, RekorV1);
        string image = world.Push();
        Assert.IsTrue(Sign(world, "bundle", image).Execute());
        KeylessSignContainer task = Sign(world, "bundle", image);
        task.ContainerSigningSkipIfSigned = "true";
        if (differs == "annotation")
        {
            task.ContainerSigningAnnotations = [new TaskItem("env", new Dictionary<string, string> { ["Value"] = "prod" })];
        }
        else
        {
            world.Sandbox.Issuer.Claims[differs] = differs switch { "sha" => new string('7', 40), "ref" => "refs/heads/other", _ => "team/other" };
        }

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.HasCount(2, world.Referrers(image));
    }

    [TestMethod]
    [DataRow(ImmutableTags.AsEcr, "bundle", true, true)]
    [DataRow(ImmutableTags.AsEcr, "bundle", false, false)]
    [DataRow(ImmutableTags.AsEcr, "legacy", true, false)]
    [DataRow(ImmutableTags.AsHarbor, "bundle", false, false)]
    [DataRow(ImmutableTags.AsHarbor, "legacy", true, false)]
    [DataRow(ImmutableTags.AsHarbor, "both", true, false)]
    public async Task Where_tags_are_immutable_a_second_signature_needs_the_referrers_API(ImmutableTags tags, string format, bool referrersApi, bool second)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, RekorV1 with { ReferrersApi = referrersApi, RegistryQuirks = new RegistryQuirks { ImmutableTags = tags } });
        string image = world.Push();
        Assert.IsTrue(Sign(world, format, image).Execute());

        KeylessSignContainer task = Sign(world, format, image);

        if (second)
        {
            Assert.IsTrue(task.Execute(), World.Log(task));
        }
        else
        {
            StringAssert.Contains(World.Refusal(task, "KEYLESS3004"), "except sha256-* where the registry makes tags immutable", StringComparison.Ordinal);
        }

        KeylessVerifyContainer verify = world.Verify(world.Image(image));
        Assert.IsTrue(verify.Execute(), World.Log(verify));
    }

    private static KeylessSignContainer Sign(World world, string format, string image)
    {
        KeylessSignContainer task = world.Sign(image);
        task.ContainerSigningFormat = format;
        return task;
    }

    private static void VerifiedAs(World world, string image, string format)
    {
        KeylessVerifyContainer verify = world.Verify(world.Image(image));
        Assert.IsTrue(verify.Execute(), World.Log(verify));
        Assert.AreEqual(format, verify.VerifiedContainerImages.Single().GetMetadata("Format"));
    }

    private static JsonNode Signatures(World world, string image) =>
        JsonNode.Parse(world.Sandbox.Registry.FindManifest("team/app", $"{image.Split('@')[1].Replace(':', '-')}.sig")!.Bytes)!;
}
