using System.Diagnostics;
using System.Text.Json.Nodes;
using Microsoft.Build.Framework;

namespace Keyless.MSBuild.Tests;

/// <summary>ContainerVerificationCache: evidence is kept, and judged anew by every build.</summary>
[TestClass]
public sealed class KeptSignaturesTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow("bundle")]
    [DataRow("legacy")]
    public async System.Threading.Tasks.Task Are_not_asked_for_again(string format)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new Sandbox.SandboxOptions { Rekor = Sandbox.RekorVersion.V1 });
        string image = world.Push();
        KeylessSignContainer sign = world.Sign(image);
        sign.ContainerSigningFormat = format;
        Assert.IsTrue(sign.Execute(), World.Log(sign));
        string byTag = $"{world.Sandbox.RegistryHost}/team/app:1.0";

        Assert.IsGreaterThanOrEqualTo(3, Requests(world, world.Image(image)));

        Assert.AreEqual(0, Requests(world, world.Image(image)));
        Assert.AreEqual(1, Requests(world, world.Image(byTag)), "a tag is still looked up");
        ITaskItem verified = Verify(world, world.Image(image)).VerifiedContainerImages.Single();
        Assert.AreEqual((image, format, world.Signer), (verified.ItemSpec, verified.GetMetadata("Format"), verified.GetMetadata("CertificateIdentity")));
    }

    [TestMethod]
    public async System.Threading.Tasks.Task Are_judged_by_the_policy_of_this_build()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.PushSigned();
        Verify(world, world.Image(image));

        Assert.Contains("(policy.identity)", World.Refusal(Task(world, world.Image(image, ("CertificateIdentity", "https://example.com/somebody"))), "KEYLESS4002"));
        KeylessVerifyContainer later = Task(world, world.Image(image, ("MaxAge", "00:10:00")));
        later.Time = new Later(TimeSpan.FromMinutes(11));
        Assert.Contains("(policy.max-age)", World.Refusal(later, "KEYLESS4002"));
    }

    [TestMethod]
    public async System.Threading.Tasks.Task Are_judged_by_the_trusted_root_of_this_build()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        await using Sandbox.SandboxHost other = await Sandbox.SandboxHost.StartAsync(cancel: TestContext.CancellationToken);
        string image = world.PushSigned();
        Verify(world, world.Image(image));
        world.Folder.Write("other.json", other.TrustedRoot);

        KeylessVerifyContainer task = Task(world, world.Image(image));
        task.SigstoreTrustedRoot = "other.json";

        World.Refusal(task, "KEYLESS4002");
    }

    [TestMethod]
    public async System.Threading.Tasks.Task Make_nothing_pass_whatever_somebody_writes_there()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string signed = world.PushSigned(), unsigned = world.Push();
        Verify(world, world.Image(signed));

        File.Copy(Kept(world, signed), Kept(world, unsigned));

        World.Refusal(Task(world, world.Image(unsigned)), "KEYLESS4001");
    }

    [TestMethod]
    [DataRow("")]
    [DataRow("{")]
    [DataRow("null")]
    [DataRow("[]")]
    [DataRow("""{"schema":"keyless-msbuild/kept-signatures/v1"}""")]
    [DataRow("""{"schema":"keyless-msbuild/kept-signatures/v1","signatures":[null]}""")]
    [DataRow("""{"schema":"keyless-msbuild/kept-signatures/v1","signatures":[{"format":1}]}""")]
    [DataRow("""{"schema":"keyless-msbuild/kept-signatures/v1","signatures":[{"format":"legacy","reference":"x","content":"e30=","annotations":{}}]}""")]
    [DataRow("""{"schema":"keyless-msbuild/kept-signatures/v1","signatures":[{"format":"bundle","reference":"x","content":"***"}]}""")]
    [DataRow("""{"schema":"\ud800","signatures":[]}""")]
    [DataRow("""{"\ud800":"","schema":"keyless-msbuild/kept-signatures/v1","signatures":[]}""")]
    [DataRow("""{"schema":"keyless-msbuild/kept-signatures/v1","signatures":[{"format":"bundle","reference":"\udc00","content":"e30="}]}""")]
    [DataRow("""{"schema":"keyless-msbuild/kept-signatures/v1","signatures":[{"format":"legacy","reference":"x","content":"e30=","annotations":{"\ud800":""}}]}""")]
    public async System.Threading.Tasks.Task Are_left_aside_where_they_cannot_be_read(string content)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.PushSigned();
        Directory.CreateDirectory(Path.GetDirectoryName(Kept(world, image))!);
        await File.WriteAllTextAsync(Kept(world, image), content, TestContext.CancellationToken);

        Assert.AreEqual(3, Requests(world, world.Image(image)));

        Assert.HasCount(1, JsonNode.Parse(await File.ReadAllTextAsync(Kept(world, image), TestContext.CancellationToken))!["signatures"]!.AsArray(), "and replaced");
    }

    [TestMethod]
    public async System.Threading.Tasks.Task Are_left_aside_where_they_are_more_than_anybody_asks_for()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.PushSigned();
        Verify(world, world.Image(image));
        JsonNode kept = JsonNode.Parse(await File.ReadAllTextAsync(Kept(world, image), TestContext.CancellationToken))!;
        string signature = kept["signatures"]![0]!.ToJsonString();
        for (int i = 0; i < 1000; i++)
        {
            kept["signatures"]!.AsArray().Add(JsonNode.Parse(signature));
        }

        await File.WriteAllTextAsync(Kept(world, image), kept.ToJsonString(), TestContext.CancellationToken);

        Assert.AreEqual(3, Requests(world, world.Image(image)));
    }

    [TestMethod]
    [OSCondition(ConditionMode.Exclude, OperatingSystems.Windows)]
    [DataRow("pipe")]
    [DataRow("link to a pipe")]
    [DataRow("link to good ones")]
    [DataRow("folder")]
    public async System.Threading.Tasks.Task Are_no_reason_to_wait_or_fail_where_something_else_is_in_their_place(string what)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.PushSigned();
        Verify(world, world.Image(image));
        string kept = Kept(world, image), elsewhere = world.Folder["elsewhere"];
        File.Move(kept, elsewhere);
        switch (what)
        {
            case "pipe": await MakePipeAsync(kept); break;
            case "link to a pipe": await MakePipeAsync($"{elsewhere}.pipe"); File.CreateSymbolicLink(kept, $"{elsewhere}.pipe"); break;
            case "folder": Directory.CreateDirectory(kept); break;
            default: File.CreateSymbolicLink(kept, elsewhere); break;
        }

        Assert.AreEqual(3, Requests(world, world.Image(image)));

        Assert.IsNull(new FileInfo(kept).LinkTarget, "what is written takes the place of a link");

        async System.Threading.Tasks.Task MakePipeAsync(string path)
        {
            using Process made = Process.Start("mkfifo", [path]);
            await made.WaitForExitAsync(TestContext.CancellationToken);
        }
    }

    // An archive of the folder may be years old, and whoever made it may have had another clock.
    [TestMethod]
    public async System.Threading.Tasks.Task Are_not_enough_where_more_signers_are_asked_for_by_now()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.PushSigned();
        Verify(world, world.Image(image));
        ITaskItem two = world.Image(image, ("CertificateIdentityRegexp", "https://github\\.com/example-org/.*"), ("MinSignatures", "2"));
        two.RemoveMetadata("CertificateIdentity");

        Assert.Contains("(policy.min-signatures)", World.Refusal(Task(world, two), "KEYLESS4002"));
        Assert.AreEqual(0, Requests(world, world.Image(image)), "and stay for whoever asks for one");
    }

    [TestMethod]
    public async System.Threading.Tasks.Task Are_not_written_without_being_asked_for()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = world.Verify(world.Image(world.PushSigned()));

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.IsFalse(Directory.Exists(world.Folder["obj/keyless/verified"]));
    }

    private static string Kept(World world, string pinned) => world.Folder[$"obj/keyless/verified/{pinned.Split('@')[1].Replace(':', '-')}.json"];

    private static int Requests(World world, ITaskItem image)
    {
        long before = world.Sandbox.Traffic.Mark();
        Verify(world, image);
        return world.Sandbox.Traffic.Measure("Keyless.MSBuild/", before).Requests;
    }

    private static KeylessVerifyContainer Verify(World world, ITaskItem image)
    {
        KeylessVerifyContainer task = Task(world, image);
        Assert.IsTrue(task.Execute(), World.Log(task));
        return task;
    }

    private static KeylessVerifyContainer Task(World world, ITaskItem image)
    {
        KeylessVerifyContainer task = world.Verify(image);
        task.ContainerVerificationCache = "true";
        return task;
    }

    private sealed class Later(TimeSpan by) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + by;
    }
}
