using Keyless.Sandbox;
using Microsoft.Build.Utilities;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>A signature that was made and did not reach the registry is pushed by the next build, and by nobody whom it does not speak for.</summary>
[TestClass]
public sealed class KeptBundleTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow("bundle", true)]
    [DataRow("bundle", false)]
    [DataRow("legacy", true)]
    public async Task Pushes_what_the_build_before_could_not_and_asks_for_no_certificate(string format, bool referrersApi)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { Rekor = RekorVersion.V1, ReferrersApi = referrersApi });
        string image = world.Push();
        KeylessSignContainer failed = await FailToAttachAsync(world, format, image);
        StringAssert.Contains(World.Log(failed), "is made and not in the registry; it is kept in", StringComparison.Ordinal);
        long mark = world.Sandbox.Traffic.Mark();
        KeylessSignContainer task = Sign(world, format, image);

        Assert.IsTrue(task.Execute(), World.Log(task));

        string[] asked = [.. world.Sandbox.Traffic.Snapshot(mark).Select(exchange => exchange.Part).Distinct()];
        Assert.IsEmpty(asked.Except(["registry", "issuer"]));
        StringAssert.Contains(World.Log(task), "is pushed; nothing is signed anew", StringComparison.Ordinal);
        KeylessVerifyContainer verify = world.Verify(world.Image(image));
        Assert.IsTrue(verify.Execute(), World.Log(verify));
        Assert.AreEqual(format, verify.VerifiedContainerImages.Single().GetMetadata("Format"));
    }

    [TestMethod]
    public async Task Signs_anew_what_was_finished()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.PushSigned();
        KeylessSignContainer task = world.Sign(image);

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.HasCount(2, world.Referrers(image));
    }

    [TestMethod]
    public async Task Makes_one_entry_of_a_bundle_that_is_pushed_twice()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { ReferrersApi = false });
        string image = world.PushSigned();
        // As if the build had ended between the push and the marker.
        File.Delete(Directory.GetFiles(world.PathOf("bundles"), "*.attached").Single());
        KeylessSignContainer task = world.Sign(image);

        Assert.IsTrue(task.Execute(), World.Log(task));

        byte[] list = world.Sandbox.Registry.FindManifest("team/app", image.Split('@')[1].Replace(':', '-'))!.Bytes;
        Assert.HasCount(1, System.Text.Json.Nodes.JsonNode.Parse(list)!["manifests"]!.AsArray());
    }

    [TestMethod]
    [DataRow("sha", "policy.extension")]
    [DataRow("ref", "policy.extension")]
    [DataRow("repository", "policy.extension")]
    [DataRow("job_workflow_ref", "policy.identity")]
    [DataRow("annotation", "policy.annotation")]
    [DataRow("torn", "bundle.json")]
    [DataRow("another image's", "subject.digest")]
    [DataRow("empty", "bundle.json")]
    public async Task Does_not_use_a_bundle_that_is_not_what_would_be_signed_now(string differs, string reason)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        await FailToAttachAsync(world, "bundle", image);
        string file = Directory.GetFiles(world.PathOf("bundles"), "*.sigstore.json").Single();
        KeylessSignContainer task = Sign(world, "bundle", image);
        switch (differs)
        {
            case "annotation":
                task.ContainerSigningAnnotations = [new TaskItem("env", new Dictionary<string, string> { ["Value"] = "prod" })];
                break;
            case "torn":
                byte[] half = await File.ReadAllBytesAsync(file, TestContext.CancellationToken);
                await File.WriteAllBytesAsync(file, half[..(half.Length / 2)], TestContext.CancellationToken);
                break;
            case "empty":
                await File.WriteAllBytesAsync(file, [], TestContext.CancellationToken);
                break;
            case "another image's":
                string other = world.Push();
                await FailToAttachAsync(world, "bundle", other);
                File.Move(Directory.GetFiles(world.PathOf("bundles"), $"{other.Split('@')[1].Replace(':', '-')}*.sigstore.json").Single(), file, overwrite: true);
                break;
            default:
                world.Sandbox.Issuer.Claims[differs] = differs switch
                {
                    "sha" => new string('7', 40),
                    "ref" => "refs/heads/other",
                    "repository" => "example-org/other",
                    _ => "example-org/example-repo/.github/workflows/other.yml@refs/heads/main",
                };
                break;
        }

        Assert.IsTrue(task.Execute(), World.Log(task));

        StringAssert.Contains(World.Log(task), $"is not used ({reason})", StringComparison.Ordinal);
        Assert.HasCount(1, world.Referrers(image));
        Assert.HasCount(1, world.Sandbox.Traffic.Snapshot().Where(exchange => exchange.Part == "registry" && exchange.Path.Contains("/manifests/sha256:", StringComparison.Ordinal) && exchange.Method == "PUT" && exchange.Status == 201));
    }

    [TestMethod]
    public async Task Does_not_follow_a_link_in_the_bundle_s_place()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        await FailToAttachAsync(world, "bundle", image);
        string file = Directory.GetFiles(world.PathOf("bundles"), "*.sigstore.json").Single();
        File.Move(file, world.PathOf("elsewhere"));
        File.CreateSymbolicLink(file, world.PathOf("elsewhere"));
        KeylessSignContainer task = world.Sign(image);

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.DoesNotContain("is pushed; nothing is signed anew", World.Log(task));
        Assert.IsNull(new FileInfo(file).LinkTarget);
    }

    private static async Task<KeylessSignContainer> FailToAttachAsync(World world, string format, string image)
    {
        KeylessSignContainer task = Sign(world, format, image);
        world.Sandbox.RegistryServer.Intercept = context =>
        {
            if (context.Request.Method == "PUT" && context.Request.Path.Value!.Contains("/manifests/", StringComparison.Ordinal))
            {
                context.Response.StatusCode = 503;
            }

            return Task.CompletedTask;
        };
        World.Refusal(task, "KEYLESS3001");
        world.Sandbox.RegistryServer.Intercept = null;
        await Task.CompletedTask;
        return task;
    }

    private static KeylessSignContainer Sign(World world, string format, string image)
    {
        KeylessSignContainer task = world.Sign(image);
        task.ContainerSigningFormat = format;
        return task;
    }
}
