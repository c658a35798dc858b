using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Build.Utilities;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

[TestClass]
public sealed class SigningReportTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    public async Task Says_what_was_signed_and_where_its_signature_is()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        KeylessSignContainer task = Published(world, image, "1.0", "latest");

        Assert.IsTrue(task.Execute(), World.Log(task));

        JsonNode report = Read(world);
        Assert.AreEqual("keyless-msbuild/container-signing/v1", (string?)report["schema"]);
        JsonNode entry = report["images"]!.AsArray().Single()!;
        Assert.AreEqual("../Hello", (string?)entry["project"]);
        Assert.AreEqual($"github {world.Environment["GITHUB_RUN_ID"]}.1", (string?)entry["run"]);
        Assert.AreEqual(image, (string?)entry["reference"]);
        Assert.AreEqual(image.Split('@')[0], (string?)entry["name"]);
        Assert.AreEqual(image.Split('@')[1], (string?)entry["digest"]);
        Assert.AreEqual("""["1.0","latest"]""", entry["tags"]!.ToJsonString());
        Assert.AreEqual(world.Signer, (string?)entry["certificateIdentity"]);
        Assert.AreEqual(world.Sandbox.Issuer.Url, (string?)entry["certificateOidcIssuer"]);
        JsonNode signature = entry["signatures"]!.AsArray().Single()!;
        foreach ((string member, string metadata) in new[] { ("digest", "Digest"), ("mediaType", "MediaType"), ("format", "Format"), ("bundlePath", "BundlePath"), ("signatureReference", "SignatureReference"), ("signedAt", "SignedAt") })
        {
            Assert.AreEqual(task.SignedContainers[0].GetMetadata(metadata), (string?)signature[member], member);
        }

        Assert.AreEqual(task.SignedContainers[0].GetMetadata("LogIndex"), $"{(long)signature["logIndex"]!}");
    }

    [TestMethod]
    public async Task Lists_an_index_once_with_the_signatures_of_everything_in_it()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessSignContainer task = world.Sign($"{world.Sandbox.RegistryHost}/keyless/base@{world.Sandbox.Registry.FindManifest("keyless/base", "1")!.Digest}");
        task.ContainerSigningReport = "out/signed.json";

        Assert.IsTrue(task.Execute(), World.Log(task));

        JsonArray signatures = Read(world)["images"]!.AsArray().Single()!["signatures"]!.AsArray();
        Assert.AreEqual(",linux/amd64,linux/arm64", string.Join(',', signatures.Select(signature => (string?)signature!["platform"])));
    }

    [TestMethod]
    public async Task A_push_takes_the_place_of_the_same_projects_earlier_one_and_leaves_the_others()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string old = world.Push(), other = world.Push(), variant = world.Push(), renewed = world.Push();
        KeylessSignContainer[] tasks = [Published(world, old, "1.0"), Published(world, other, "1.0"), Published(world, variant, "1.0-alpine"), Published(world, renewed, "1.0")];
        tasks[1].ProjectName = "Other";

        foreach (KeylessSignContainer task in tasks)
        {
            Assert.IsTrue(task.Execute(), World.Log(task));
        }

        Assert.AreEqual($"{other},{variant},{renewed}", string.Join(',', Read(world)["images"]!.AsArray().Select(entry => (string?)entry!["reference"])));
    }

    [TestMethod]
    public async Task What_another_run_of_the_CI_system_signed_goes()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessSignContainer earlier = Published(world, world.Push(), "1.0");
        Assert.IsTrue(earlier.Execute(), World.Log(earlier));
        world.Environment["GITHUB_RUN_ATTEMPT"] = "2";
        string image = world.Push();
        KeylessSignContainer task = Published(world, image, "2.0");

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.AreEqual(image, (string?)Read(world)["images"]!.AsArray().Single()!["reference"]);
    }

    [TestMethod]
    public async Task Many_projects_at_once_lose_none()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessSignContainer[] tasks = [.. Enumerable.Range(0, 8).Select(i =>
        {
            KeylessSignContainer task = Published(world, world.Push(), "1.0");
            task.ProjectName = $"Project{i}";
            return task;
        })];

        await Task.WhenAll(tasks.Select(task => Task.Run(() => Assert.IsTrue(task.Execute(), World.Log(task)), TestContext.CancellationToken)));

        Assert.HasCount(8, Read(world)["images"]!.AsArray());
    }

    [TestMethod]
    [DataRow("what somebody wrote")]
    [DataRow("[]")]
    [DataRow("""{"schema":"keyless-msbuild/container-verification/v1","images":[]}""")]
    [DataRow("""{"schema":"keyless-msbuild/container-signing/v0","images":[]}""")]
    [DataRow("""{"schema":["keyless-msbuild/container-signing/v1"],"images":[]}""")]
    [DataRow("""{"schema":"keyless-msbuild/container-signing/v1","images":[{"project":"a","na""")]
    [DataRow("""{"schema":"keyless-msbuild/container-signing/v1","images":[{"project":"a","name":"a","digest":"a","tags":[1]}]}""")]
    [DataRow("""{"schema":"keyless-msbuild/container-signing/v1","images":[{"project":"\ud800","name":"a","digest":"a","tags":[]}]}""")]
    [DataRow("""{"schema":"keyless-msbuild/container-signing/v1","images":[],"\udc00":1}""")]
    [DataRow("")]
    [DataRow("\0\0\0\0")]
    [DataRow("\uFEFF[]")]
    [DataRow("""{"schema":"keyless-msbuild/container-signing/v1","images":{}}""")]
    [DataRow("""{"schema":"keyless-msbuild/container-signing/v1","images":[{"project":"../Hello"}]}""")]
    [DataRow("""{"schema":"keyless-msbuild/container-signing/v1","schema":"keyless-msbuild/container-signing/v1","images":[]}""")]
    public async Task Leaves_another_file_alone_and_finds_out_before_anybody_is_asked(string content)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Folder.Write("out/signed.json", content);
        KeylessSignContainer task = Published(world, world.Push(), "1.0");

        Assert.Contains("is not a report of this kind", World.Refusal(task, "KEYLESS5012"));

        Assert.AreEqual(content, Encoding.UTF8.GetString(await File.ReadAllBytesAsync(world.Folder["out/signed.json"], TestContext.CancellationToken)));
        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot());
    }

    [TestMethod]
    [DataRow("client_trust_config.json/signed.json")]
    [DataRow("out/")]
    [DataRow("/")]
    public async Task A_place_that_cannot_be_written_is_found_out_before_anybody_is_asked(string path)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessSignContainer task = Published(world, world.Push(), "1.0");
        task.ContainerSigningReport = path;

        World.Refusal(task, "KEYLESS5012");

        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot());
    }

    [TestMethod]
    public async Task A_folder_in_its_place_is_found_out_before_anybody_is_asked()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        Directory.CreateDirectory(world.Folder["out/signed.json"]);
        KeylessSignContainer task = Published(world, world.Push(), "1.0");

        Assert.Contains("is a folder", World.Refusal(task, "KEYLESS5012"));

        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot());
    }

    [TestMethod]
    public async Task A_file_larger_than_any_report_is_left_alone()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        Directory.CreateDirectory(world.Folder["out"]);
        using (FileStream file = File.Create(world.Folder["out/signed.json"]))
        {
            file.SetLength(17 * 1024 * 1024);
        }

        KeylessSignContainer task = Published(world, world.Push(), "1.0");

        Assert.Contains("larger than", World.Refusal(task, "KEYLESS5012"));

        Assert.AreEqual(17 * 1024 * 1024, new FileInfo(world.Folder["out/signed.json"]).Length);
        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot());
    }

    [TestMethod]
    [OSCondition(ConditionMode.Exclude, OperatingSystems.Windows)]
    public async Task A_link_is_replaced_and_what_it_led_to_stays()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string precious = world.Folder.Write("precious.json", """{"schema":"keyless-msbuild/container-signing/v1","images":[]}""");
        Directory.CreateDirectory(world.Folder["out"]);
        File.CreateSymbolicLink(world.Folder["out/signed.json"], precious);
        KeylessSignContainer task = Published(world, world.Push(), "1.0");

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.HasCount(1, Read(world)["images"]!.AsArray());
        Assert.AreEqual("""{"schema":"keyless-msbuild/container-signing/v1","images":[]}""", await File.ReadAllTextAsync(precious, TestContext.CancellationToken));
    }

    [TestMethod]
    public async Task Leaves_nothing_beside_it_but_the_lock()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessSignContainer task = Published(world, world.Push(), "1.0");

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.AreEqual(".signed.json.lock signed.json", string.Join(' ', Directory.GetFileSystemEntries(world.Folder["out"]).Select(Path.GetFileName).Order(StringComparer.Ordinal)));
    }

    /// <summary>As the targets would call it after a push.</summary>
    private static KeylessSignContainer Published(World world, string image, params string[] tags)
    {
        KeylessSignContainer task = world.Sign();
        (task.ContainerRegistry, task.ContainerRepository) = (world.Sandbox.RegistryHost, "team/app");
        task.GeneratedContainerDigest = image.Split('@')[1];
        task.ContainerImageTags = [.. tags.Select(tag => new TaskItem(tag))];
        task.ContainerSigningReport = "out/signed.json";
        return task;
    }

    private static JsonNode Read(World world) => JsonNode.Parse(File.ReadAllText(world.Folder["out/signed.json"]))!;
}
