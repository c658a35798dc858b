using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Keyless.Sandbox;
using Keyless.Testing;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>Whichever single request of signing fails, and nothing is tried again: what was there stays, and this build or the next ends with one signature more.</summary>
[TestClass]
public sealed partial class EveryRequestTests
{
    private const string Cancelled = "cancelled";

    private static readonly Dictionary<string, Fault> Ways = new()
    {
        ["lost"] = Fault.Drop.AfterTheWork(),
        ["404"] = Fault.Status(404),
        ["empty"] = Fault.Empty,
    };

    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow("bundle", "lost")]
    [DataRow("bundle", "404")]
    [DataRow("bundle", "empty")]
    [DataRow("bundle", Cancelled)]
    [DataRow("legacy", "lost")]
    [DataRow("legacy", "404")]
    [DataRow("legacy", "empty")]
    [DataRow("legacy", Cancelled)]
    public async Task Whichever_request_fails_nothing_is_lost(string format, string way)
    {
        int asked = await RunAsync(format, way, int.MaxValue);
        Assert.IsGreaterThan(10, asked);
        await Parallel.ForAsync(1, asked + 1, new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (number, _) => await RunAsync(format, way, number));
    }

    /// <summary>Where lists are tags that everybody writes and somebody has written before.</summary>
    /// <returns>How many requests signing took.</returns>
    private async Task<int> RunAsync(string format, string way, int number)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { Rekor = RekorVersion.V1, ReferrersApi = false });
        // Where nothing keeps us from it, what is said not to be there is written over.
        world.Sandbox.Registry.HonoursIfMatch = way == "404";
        string image = world.Push();
        string[] before = SignAsSomebodyElse(world, image);
        KeylessSignContainer task = Sign(world, image, format, "ours");
        (int count, string what) = (0, "");
        foreach (LoopbackServer server in world.Sandbox.Servers)
        {
            server.Intercept = async context =>
            {
                if (Interlocked.Increment(ref count) != number)
                {
                    return;
                }

                what = $"{server.Part}: {context.Request.Method} {context.Request.Path}";
                if (way == Cancelled)
                {
                    task.Cancel();
                    await Task.Delay(Timeout.InfiniteTimeSpan, context.RequestAborted);
                }

                server.Faults.Add(Ways[way].ForRequests(1, 1));
            };
        }

        bool signs = task.Execute();

        foreach (LoopbackServer server in world.Sandbox.Servers)
        {
            server.Intercept = null;
            server.Faults.Clear();
        }

        string log = $"request {number}, {what}\n{World.Log(task)}";
        Assert.HasCount(signs || way == Cancelled ? 0 : 1, ((RecordingEngine)task.BuildEngine).Errors, log);
        if (!signs)
        {
            KeylessSignContainer again = Sign(world, image, format, "ours");
            Assert.IsTrue(again.Execute(), $"{log}\n{World.Log(again)}");
            log += $"\n{World.Log(again)}";
        }

        Assert.DoesNotContain("   at ", log);
        Assert.DoesNotMatchRegex(TokenShape(), log);
        string[] after = Listed(world, image);
        Assert.IsEmpty(before.Except(after), $"somebody else's signature is lost\n{log}");
        Assert.HasCount(before.Length + 1, after, log);
        KeylessVerifyContainer verify = world.Verify(world.Image(image));
        Assert.IsTrue(verify.Execute(), $"{log}\n{World.Log(verify)}");
        return count;
    }

    private static string[] SignAsSomebodyElse(World world, string image)
    {
        JsonObject claims = world.Sandbox.Issuer.Claims;
        JsonNode workflow = claims["job_workflow_ref"]!.DeepClone();
        claims["job_workflow_ref"] = "example-org/example-repo/.github/workflows/other.yml@refs/heads/main";
        KeylessSignContainer task = Sign(world, image, "both", "theirs");
        Assert.IsTrue(task.Execute(), World.Log(task));
        claims["job_workflow_ref"] = workflow;
        return Listed(world, image);
    }

    private static KeylessSignContainer Sign(World world, string image, string format, string bundles)
    {
        KeylessSignContainer task = world.Sign(image);
        task.ContainerSigningFormat = format;
        task.ContainerSigningBundleDirectory = bundles;
        return task;
    }

    private static string[] Listed(World world, string image) => [.. Listed(world, image, "", "manifests"), .. Listed(world, image, ".sig", "layers")];

    private static IEnumerable<string> Listed(World world, string image, string suffix, string list) =>
        world.Sandbox.Registry.FindManifest("team/app", image.Split('@')[1].Replace(':', '-') + suffix) is { } manifest
            ? JsonNode.Parse(manifest.Bytes)![list]!.AsArray().Select(entry => entry!.ToJsonString())
            : [];

    [GeneratedRegex("eyJ[A-Za-z0-9_-]{16,}", RegexOptions.CultureInvariant)]
    private static partial Regex TokenShape();
}
