using System.Text.Json.Nodes;
using Keyless.Testing;

namespace Keyless.MSBuild.Tests;

/// <summary>The deploy project of the samples with its compose and Kubernetes files: the run, and what happens when one thing is not as it was.</summary>
[TestClass]
public sealed class DeploySampleTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    public async Task Deploys_what_is_verified_and_refuses_what_was_swapped_signed_by_another_or_moved()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string hello = Push("hello"), worker = Push("worker");
        Sign(hello, worker);
        string project = world.Folder.CopyFromRepository("samples/DeployVerified", "DeployVerified");
        foreach (string file in (string[])["compose.yaml", "kubernetes.yaml"])
        {
            string text = await File.ReadAllTextAsync(Path.Combine(project, file), TestContext.CancellationToken);
            await File.WriteAllTextAsync(Path.Combine(project, file), text.Replace("localhost:5000", world.Sandbox.RegistryHost, StringComparison.Ordinal), TestContext.CancellationToken);
        }

        DotNetResult run = await DeployAsync("restore");
        Assert.AreEqual(0, run.ExitCode, run.ToString());

        DotNetResult deployed = await DeployAsync();
        Assert.AreEqual(0, deployed.ExitCode, deployed.ToString());
        Assert.Contains($"would deploy {hello};{hello};{worker}", deployed.Output);
        Assert.AreEqual(Pinned("compose.yaml"), Read("pinned/compose.yaml"));
        Assert.AreEqual(Pinned("kubernetes.yaml"), Read("pinned/kubernetes.yaml"));
        Assert.AreEqual("accepted accepted accepted", string.Join(' ', JsonNode.Parse(Read("report.json"))!["images"]!.AsArray().Select(image => (string?)image!["verdict"])));

        // One image is swapped: the tag holds something that nobody signed.
        string pinned = Read("pinned/compose.yaml"), swapped = Push("worker");
        DotNetResult unsigned = await DeployAsync();
        Assert.AreEqual(1, unsigned.ExitCode, unsigned.ToString());
        string error = Assert.ContainsSingle(unsigned.ErrorLines);
        Assert.Contains($"compose.yaml(12,12): error KEYLESS4001: {world.Sandbox.RegistryHost}/worker:latest ({swapped.Split('@')[1]}) is not signed", error);
        Assert.Contains("kubernetes.yaml(13,18), ", error);
        Assert.AreEqual(pinned, Read("pinned/compose.yaml"), "what was pinned before stays");

        // Somebody else has signed it.
        world.Sandbox.Issuer.Claims["job_workflow_ref"] = "somebody/else/.github/workflows/publish.yml@refs/heads/main";
        Sign(swapped);
        DotNetResult other = await DeployAsync();
        error = Assert.ContainsSingle(other.ErrorLines);
        Assert.Contains("compose.yaml(12,12): error KEYLESS4002: ", error);
        Assert.Contains("by https://github.com/somebody/else/.github/workflows/publish.yml@refs/heads/main is refused (policy.identity)", error);

        // The tag is moved back: what it holds is signed, and is what is deployed.
        world.Sandbox.Registry.PutManifest("worker", "latest", world.Sandbox.Registry.FindManifest("worker", worker.Split('@')[1])!.Bytes, Attached.Manifest);
        DotNetResult back = await DeployAsync();
        Assert.AreEqual(0, back.ExitCode, back.ToString());
        Assert.AreEqual(pinned, Read("pinned/compose.yaml"));

        string Push(string name) => world.Push(name, "latest");

        void Sign(params string[] images)
        {
            KeylessSignContainer task = world.Sign(images);
            Assert.IsTrue(task.Execute(), World.Log(task));
        }

        string Read(string file) => File.ReadAllText(Path.Combine(project, file));

        string Pinned(string file) => Read(file)
            .Replace("hello:latest", $"hello:latest@{hello.Split('@')[1]}", StringComparison.Ordinal)
            .Replace("worker:latest", $"worker:latest@{worker.Split('@')[1]}", StringComparison.Ordinal);

        async Task<DotNetResult> DeployAsync(string command = "build") => await DotNet.RunAsync(
            project,
            [
                command, .. command == "restore" ? [] : (string[])["--no-restore", "-t:Deploy"], "-tl:off", "-p:DeployFiles=true", $"-p:Image={hello}",
                $"-p:Signer=https://github.com/example-org/example-repo/.github/workflows/publish.yml@refs/heads/main", $"-p:SignerIssuer={world.Sandbox.Issuer.Url}",
                $"-p:SigstoreTrustedRoot={world.Folder["trusted_root.json"]}", "-p:ContainerVerificationReport=report.json",
            ],
            (await Setup.FeedAsync()).Environment,
            TestContext.CancellationToken);
    }
}
