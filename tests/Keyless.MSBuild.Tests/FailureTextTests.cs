using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Keyless.Sandbox;
using Microsoft.Build.Utilities;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>What a refusal says beside the refusal: the change that would accept it, and why there may be nothing.</summary>
[TestClass]
public sealed partial class FailureTextTests
{
    private const string Suggestion = "to trust this signer, if that is who should sign";

    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow("CertificateIdentity", "https://example.com/somebody")]
    [DataRow("CertificateOidcIssuer", "https://token.actions.githubusercontent.com")]
    public async Task Suggests_the_item_that_would_accept_and_it_does(string metadata, string value)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.PushSigned();
        var asked = new TaskItem(image, new Dictionary<string, string> { ["Policy"] = "release & <more>" });
        KeylessVerifyContainer task = world.Verify(asked);
        task.ContainerTrustPolicies = [world.Image("release & <more>", (metadata, value))];

        World.Refusal(task, "KEYLESS4002");

        var suggested = XElement.Parse(Item().Match(World.Log(task)).Value);
        KeylessVerifyContainer again = world.Verify(asked);
        again.ContainerTrustPolicies = [.. task.ContainerTrustPolicies, Read(suggested)];
        Assert.IsTrue(again.Execute(), World.Log(again));
    }

    [TestMethod]
    public async Task Suggests_the_metadata_of_an_item_with_a_policy_of_its_own()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = world.Verify(world.Image(world.PushSigned(), ("CertificateIdentity", "https://example.com/somebody")));

        World.Refusal(task, "KEYLESS4002");

        string line = $"{Suggestion}, the item says: CertificateIdentity=\"{world.Signer}\" CertificateOidcIssuer=\"{world.Sandbox.Issuer.Url}\"";
        Assert.Contains($"high:     {line}\n", World.Log(task));
        Assert.Contains($"   {line}\n", await File.ReadAllTextAsync(world.Folder["obj/keyless/refused-images.txt"], TestContext.CancellationToken));
    }

    [TestMethod]
    [DataRow("Annotations", "env=prod")]
    [DataRow("PredicateType", "https://slsa.dev/provenance/v1")]
    [DataRow("MaxAge", "00:00:00.0000001")]
    public async Task Suggests_nothing_where_the_signer_is_not_all_that_differs(string metadata, string value)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = world.Verify(world.Image(world.PushSigned(), ("CertificateIdentity", "https://example.com/somebody"), (metadata, value)));

        World.Refusal(task, "KEYLESS4002");

        Assert.DoesNotContain(Suggestion, World.Log(task));
    }

    [TestMethod]
    public async Task Suggests_nothing_for_a_broken_proof()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        await using SandboxHost other = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);
        world.Folder.Write("other.json", other.TrustedRoot);
        KeylessVerifyContainer task = world.Verify(world.Image(world.PushSigned(), ("CertificateIdentity", "https://example.com/somebody")));
        task.SigstoreTrustedRoot = "other.json";

        World.Refusal(task, "KEYLESS4002");

        Assert.DoesNotContain(Suggestion, World.Log(task));
    }

    [TestMethod]
    public async Task Suggests_nobody_whom_a_stranger_can_make_sign()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Sandbox.Issuer.Claims["event_name"] = "pull_request_target";
        KeylessVerifyContainer task = world.Verify(world.Image(world.PushSigned(), ("CertificateIdentity", "https://example.com/somebody")));

        World.Refusal(task, "KEYLESS4002");

        Assert.DoesNotContain(Suggestion, World.Log(task));
    }

    [TestMethod]
    public async Task Says_that_the_tag_beside_the_digest_has_been_moved()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string old = world.Push(), now = world.PushSigned();
        string asked = old.Replace("@", ":1.0@", StringComparison.Ordinal);

        Assert.Contains($"; the tag '1.0' has been moved, it is {now.Split('@')[1]} now", World.Refusal(world.Verify(world.Image(asked)), "KEYLESS4001"));
        Assert.DoesNotContain("has been moved", World.Refusal(world.Verify(world.Image(now.Replace("@", ":1.0@", StringComparison.Ordinal), ("CertificateIdentity", "x"))), "KEYLESS4002"));
    }

    [TestMethod]
    public async Task Says_that_signatures_are_in_the_other_repository()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string signed = world.PushSigned(), unsigned = world.Push();
        string place = $"{world.Sandbox.RegistryHost}/team/signatures";

        Assert.Contains($"they were looked for in {place} (ContainerSigningRepository), while the image's own repository has some", Refusal(signed));
        Assert.DoesNotContain("while", Refusal(unsigned));

        string Refusal(string image)
        {
            KeylessVerifyContainer task = world.Verify(world.Image(image));
            task.ContainerSigningRepository = place;
            return World.Refusal(task, "KEYLESS4001");
        }
    }

    [TestMethod]
    public async Task Says_that_what_is_in_the_index_is_signed_and_the_index_is_not()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        (byte[] bytes, string index) = world.PushIndex(3);
        string child = (string)JsonNode.Parse(bytes)!["manifests"]![1]!["digest"]!;
        Assert.DoesNotContain("it is an index", World.Refusal(world.Verify(world.Image(index)), "KEYLESS4001"));
        KeylessSignContainer sign = world.Sign($"{index.Split('@')[0]}@{child}");
        Assert.IsTrue(sign.Execute(), World.Log(sign));

        Assert.Contains("it is an index, and manifests in it carry signatures (1 of 3 looked at)", World.Refusal(world.Verify(world.Image(index)), "KEYLESS4001"));
    }

    [TestMethod]
    public async Task Says_that_what_is_listed_may_not_be_replicated()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { ReferrersApi = false });
        string image = world.PushSigned();
        string list = image.Split('@')[1].Replace(':', '-');
        string referrer = (string)JsonNode.Parse(world.Sandbox.Registry.FindManifest("team/app", list)!.Bytes)!["manifests"]![0]!["digest"]!;
        Assert.IsTrue(world.Sandbox.Registry.DeleteManifest("team/app", referrer));

        Assert.Contains("it may not be replicated yet", World.Refusal(world.Verify(world.Image(image)), "KEYLESS4002"));
    }

    [TestMethod]
    public async Task A_guess_that_fails_leaves_the_verdict_alone()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        string digest = image.Split('@')[1];
        // The image is there for the verdict (HEAD), and its manifest is not for the guess (GET).
        world.Sandbox.RegistryServer.Faults.Add(Fault.Status(500).On($"GET /v2/team/app/manifests/{digest}"));
        KeylessVerifyContainer task = world.Verify(world.Image(image));

        Assert.Contains("is not signed", World.Refusal(task, "KEYLESS4001"));

        Assert.HasCount(1, world.Sandbox.Traffic.Snapshot().Where(exchange => exchange.Status == 500).ToArray());
    }

    [TestMethod]
    public async Task Waits_ten_seconds_for_guesses_and_keeps_the_verdict()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        world.Sandbox.RegistryServer.Faults.Add(Fault.Hang.On($"GET /v2/team/app/manifests/{image.Split('@')[1]}"));
        KeylessVerifyContainer task = world.Verify(world.Image(image));
        // A try of a request would wait for longer.
        long began = world.Time.GetTimestamp();

        Assert.Contains("is not signed", World.Refusal(task, "KEYLESS4001"));

        Assert.IsLessThan(30, world.Time.GetElapsedTime(began).TotalSeconds);
    }

    private static TaskItem Read(XElement element) => new(
        (string)element.Attribute("Include")!,
        element.Attributes().Where(attribute => attribute.Name != "Include").ToDictionary(attribute => attribute.Name.LocalName, attribute => attribute.Value));

    [GeneratedRegex("<ContainerTrustPolicy [^\n]*/>")]
    private static partial Regex Item();
}
