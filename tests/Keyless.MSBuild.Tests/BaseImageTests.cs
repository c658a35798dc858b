using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Testing;
using Microsoft.Build.Framework;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>The task behind <c>VerifyContainerBaseImage</c>.</summary>
[TestClass]
public sealed class BaseImageTests
{
    private const string Tag = "team/app:1.0";

    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow(Tag, Tag)]
    [DataRow("team/app@{0}", "team/app")]
    [DataRow("team/app:gone@{0}", "team/app:gone")]
    public async Task Pins_what_the_policy_takes_and_keeps_its_tag(string name, string kept)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string digest = world.PushSigned().Split('@')[1];
        KeylessVerifyBaseImage task = Verify(world, name.Replace("{0}", digest, StringComparison.Ordinal));

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.AreEqual($"{world.Sandbox.RegistryHost}/{kept}@{digest}", task.PinnedBaseImage);
        Assert.Contains($"high: Keyless.MSBuild: the base image (ContainerBaseImage) {world.Sandbox.RegistryHost}/team/app@{digest} (verified: signed by {world.Signer} at ", World.Log(task));
    }

    [TestMethod]
    public async Task Refuses_one_that_is_not_signed_by_the_policys_signer()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.PushSigned();
        KeylessVerifyBaseImage task = Verify(world, Tag, ("CertificateIdentity", "https://example.com/somebody"));

        string refusal = World.Refusal(task, "KEYLESS4002");

        Assert.StartsWith($"the base image (ContainerBaseImage) {world.Sandbox.RegistryHost}/{Tag} (sha256:", refusal);
        Assert.Contains("is refused (policy.identity)", refusal);
        Assert.Contains("every signature is listed in obj/keyless/refused-base-image.txt", refusal);
        Assert.AreEqual("", task.PinnedBaseImage);
    }

    [TestMethod]
    [DataRow("", 1)]
    [DataRow("warn", 0)]
    public async Task Pins_nothing_that_is_not_signed_whatever_the_mode(string mode, int warnsNot)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Push();
        KeylessVerifyBaseImage task = Verify(world, Tag, mode.Length == 0 ? [] : [("Mode", mode)]);

        Assert.AreEqual(warnsNot == 0, task.Execute(), World.Log(task));

        var engine = (RecordingEngine)task.BuildEngine;
        Assert.HasCount(warnsNot, engine.Errors, engine.Log);
        Assert.Contains($"KEYLESS4001: the base image (ContainerBaseImage) {world.Sandbox.RegistryHost}/{Tag} (sha256:", engine.Log);
        Assert.AreEqual("", task.PinnedBaseImage);
    }

    [TestMethod]
    [DataRow("VerifyContainerBaseImage", "ture", "KEYLESS5001", "VerifyContainerBaseImage is 'ture'; expected false, true or empty; did you mean true?")]
    [DataRow("ContainerBaseImageTrustPolicy", "", "KEYLESS5008", "VerifyContainerBaseImage is true and ContainerBaseImageTrustPolicy is empty")]
    [DataRow("ContainerBaseImageTrustPolicy", "bsae", "KEYLESS5010", "ContainerBaseImageTrustPolicy names the policy 'bsae', which no ContainerTrustPolicy has; known are base; did you mean base?")]
    [DataRow("ContainerBaseImage", "Team/App", "KEYLESS5006", "ContainerBaseImage 'Team/App' cannot be used: ")]
    [DataRow("ContainerBaseImage", "", "KEYLESS5006", "ContainerBaseImage '' cannot be used: ")]
    public async Task Says_which_property_cannot_be(string property, string value, string code, string says)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyBaseImage task = Verify(world, Tag);
        typeof(KeylessVerifyBaseImage).GetProperty(property)!.SetValue(task, value);

        Assert.Contains(says, World.Refusal(task, code));
        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot());
    }

    // Who reads one of them has to find the same in the others.
    [TestMethod]
    [DataRow("signed", ".sarif", "pass")]
    [DataRow("unsigned", ".json", "KEYLESS4001")]
    [DataRow("unsigned", ".md", "KEYLESS4001")]
    [DataRow("unsigned", ".sarif", "KEYLESS4001")]
    [DataRow("missing", ".json", "KEYLESS3003")]
    [DataRow("missing", ".md", "KEYLESS3003")]
    [DataRow("missing", ".sarif", "KEYLESS3003")]
    public async Task Every_report_calls_it_the_base_image_as_the_log_does(string what, string form, string code)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        _ = what == "signed" ? world.PushSigned() : world.Push();
        KeylessVerifyBaseImage task = Verify(world, what == "missing" ? "team/app:gone" : Tag);
        task.ContainerVerificationReport = $"images{form}";
        world.Environment.Remove("GITHUB_ACTIONS");

        task.Execute();

        string report = await File.ReadAllTextAsync(world.PathOf($"images{form}"), TestContext.CancellationToken);
        string[] said = form switch
        {
            ".json" => [(string)JsonNode.Parse(report)!["images"]![0]!["error"]!["message"]!],
            ".sarif" => [(string)JsonNode.Parse(report)!["runs"]![0]!["results"]![0]!["message"]!["text"]!],
            _ => [.. report.Split('\n').Where(line => line.StartsWith($"**{code}** ", StringComparison.Ordinal)).Select(line => line.Replace($"**{code}** ", "", StringComparison.Ordinal))],
        };
        string begins = $"the base image (ContainerBaseImage) {world.Sandbox.RegistryHost}/team/app";
        Assert.StartsWith(form == ".md" ? Quoted.Text(begins) : begins, Assert.ContainsSingle(said));
        Assert.Contains(begins, World.Log(task));
    }

    [TestMethod]
    [DataRow("<P><ContainerBaseImage>{0}</ContainerBaseImage></P>", 3, 5)]
    [DataRow("<ContainerBaseImage>another.example/base:1</ContainerBaseImage>", 0, 0)]
    [DataRow("<ContainerBaseImage>{0}</ContainerBaseImage><ContainerBaseImage>{0}</ContainerBaseImage>", 0, 0)]
    [DataRow("", 0, 0)]
    public async Task A_refusal_points_at_the_project_and_at_the_line_that_names_it(string property, int line, int column)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Push();
        KeylessVerifyBaseImage task = Verify(world, Tag);
        world.Folder.Write("Hello.csproj", $"<Project>\n\n{property.Replace("{0}", task.ContainerBaseImage, StringComparison.Ordinal)}\n</Project>");

        World.Refusal(task, "KEYLESS4001");

        BuildErrorEventArgs error = ((RecordingEngine)task.BuildEngine).Errors[0];
        Assert.AreEqual((task.ProjectFile, line, column), (error.File, error.LineNumber, error.ColumnNumber));
    }

    [TestMethod]
    [DataRow("signed")]
    [DataRow("unsigned")]
    [DataRow("missing")]
    [DataRow("warned")]
    public async Task Its_report_follows_the_schema(string what)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        _ = what == "signed" ? world.PushSigned() : world.Push();
        KeylessVerifyBaseImage task = Verify(world, what == "missing" ? "team/app:gone" : Tag, what == "warned" ? [("Mode", "warn")] : []);
        task.ContainerVerificationReport = "images.json";

        task.Execute();

        JsonNode report = JsonNode.Parse(await File.ReadAllTextAsync(world.PathOf("images.json"), TestContext.CancellationToken))!;
        Assert.AreEqual("VerifyContainerBaseImage", (string?)report["images"]!.AsArray().Single()!["target"]);
        VerificationReportTests.AssertFollows(report);
    }

    [TestMethod]
    public async Task Says_that_a_registry_without_the_image_has_no_base_image()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);

        Assert.StartsWith("the base image (ContainerBaseImage) ", World.Refusal(Verify(world, "team/other:1.0"), "KEYLESS3003"));
    }

    [TestMethod]
    [DataRow(null)]
    [DataRow("application/vnd.cncf.notary.signature")]
    public async Task Says_of_one_that_Notary_signed_that_this_is_something_else(string? artifactType)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        AddReferrer(world, world.Push(), artifactType, config: "application/vnd.cncf.notary.signature");

        string refusal = World.Refusal(Verify(world, Tag), "KEYLESS4001");

        Assert.Contains("is not signed: its registry has no Sigstore bundle attached to it, and no signature of cosign's older forms; it has Notary Project signatures, which Keyless.MSBuild does not verify: ", refusal);
        Assert.Contains("verify it with notation and name it by its digest, or copy it into a registry of yours and sign it there", refusal);
    }

    [TestMethod]
    public async Task Says_nothing_of_Notary_where_something_else_is_attached()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        AddReferrer(world, world.Push(), "application/spdx+json", config: "application/vnd.oci.empty.v1+json");

        Assert.DoesNotContain("Notary", World.Refusal(Verify(world, Tag), "KEYLESS4001"));
    }

    [TestMethod]
    public async Task A_signature_beside_Notarys_is_what_counts()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        AddReferrer(world, world.PushSigned(), "application/vnd.cncf.notary.signature", config: "application/vnd.oci.empty.v1+json");

        KeylessVerifyBaseImage task = Verify(world, Tag);

        Assert.IsTrue(task.Execute(), World.Log(task));
    }

    private static KeylessVerifyBaseImage Verify(World world, string image, params (string Name, string Value)[] policy)
    {
        ITaskItem item = world.Image("base", policy);
        return new()
        {
            BuildEngine = new RecordingEngine(),
            EnvironmentVariable = world.Environment.GetValueOrDefault,
            ProjectName = "Hello",
            ProjectDirectory = world.Folder.Path,
            ProjectFile = world.PathOf("Hello.csproj"),
            VerifyContainerBaseImage = "true",
            ContainerBaseImage = $"{world.Sandbox.RegistryHost}/{image}",
            ContainerBaseImageTrustPolicy = "base",
            ContainerTrustPolicies = [item],
            SigstoreTrustedRoot = "trusted_root.json",
            RetryBudget = TimeSpan.Zero,
        };
    }

    /// <summary>As notation pushes a signature: an image manifest with a subject, and the type in the config where artifactType is not known.</summary>
    private static void AddReferrer(World world, string pinned, string? artifactType, string config)
    {
        string[] parts = pinned[(pinned.IndexOf('/', StringComparison.Ordinal) + 1)..].Split('@');
        byte[] empty = Encoding.UTF8.GetBytes("{}");
        var manifest = new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = RegistryManifest.OciImage,
            ["config"] = Descriptor(config),
            ["layers"] = new JsonArray(Descriptor("application/cose")),
            ["subject"] = Descriptor(RegistryManifest.OciImage, world.Sandbox.Registry.FindManifest(parts[0], parts[1])!),
        };
        if (artifactType is not null)
        {
            manifest["artifactType"] = artifactType;
        }

        world.Sandbox.Registry.PutManifest(parts[0], null, Encoding.UTF8.GetBytes(manifest.ToJsonString()), RegistryManifest.OciImage);

        JsonObject Descriptor(string type, RegistryManifest? of = null) => new()
        {
            ["mediaType"] = type,
            ["digest"] = of?.Digest ?? world.Sandbox.Registry.PutBlob(parts[0], empty),
            ["size"] = of?.Bytes.Length ?? empty.Length,
        };
    }
}
