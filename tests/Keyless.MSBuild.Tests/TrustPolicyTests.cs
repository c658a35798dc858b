using System.Text.Json.Nodes;
using Keyless.Sigstore;
using Keyless.Testing;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>Keys, proofs and ages: what policies ask for beside identities.</summary>
[TestClass]
public sealed class TrustPolicyTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow("bundle")]
    [DataRow("legacy")]
    [DataRow("oci11")]
    public async Task Accepts_what_a_managed_key_signed(string format)
    {
        await using World world = await StartAsync();
        string image = world.Push();
        var holder = new ForgedSigner(world) { Managed = true };
        Sign(world, image, format, holder);
        world.Folder.Write("keys/cosign.pub", holder.PublicKeyPem);
        KeylessVerifyContainer task = world.Verify(Item(image, ("PublicKey", "keys/cosign.pub")));

        Assert.IsTrue(task.Execute(), World.Log(task));

        ITaskItem verified = task.VerifiedContainerImages.Single();
        Assert.AreEqual(format, verified.GetMetadata("Format"));
        Assert.AreEqual("", verified.GetMetadata("CertificateIdentity"));
        Assert.AreEqual("https://sigstore.dev/cosign/sign/v1", verified.GetMetadata("PredicateType"));
        Assert.Contains("verified: signed by key sha256:", World.Log(task));
    }

    [TestMethod]
    [Clause("K.5")]
    [DataRow("bundle")]
    [DataRow("legacy")]
    [DataRow("oci11")]
    public async Task Refuses_what_another_key_signed(string format)
    {
        await using World world = await StartAsync();
        string image = world.Push();
        Sign(world, image, format, new ForgedSigner(world) { Managed = true });
        world.Folder.Write("cosign.pub", new ForgedSigner(world).PublicKeyPem);

        Assert.Contains("(sig.key)", World.Refusal(world.Verify(Item(image, ("PublicKey", "cosign.pub"))), "KEYLESS4002"));
    }

    [TestMethod]
    [Clause("K.3", "K.4")]
    [DataRow("bundle")]
    [DataRow("legacy")]
    public async Task Refuses_a_key_for_an_identity_and_an_identity_for_a_key(string format)
    {
        await using World world = await StartAsync();
        string byKey = world.Push(), byIdentity = world.Push(tag: null);
        var holder = new ForgedSigner(world) { Managed = true };
        Sign(world, byKey, format, holder);
        Sign(world, byIdentity, format, holder with { Managed = false });
        world.Folder.Write("cosign.pub", holder.PublicKeyPem);

        Assert.Contains("(policy.key-without-key)", World.Refusal(world.Verify(world.Image(byKey)), "KEYLESS4002"));
        Assert.Contains("(policy.certificate-without-identity)", World.Refusal(world.Verify(Item(byIdentity, ("PublicKey", "cosign.pub"))), "KEYLESS4002"));
    }

    // A key and an identity are two ways to be trusted; what is said of the other way is no news.
    [TestMethod]
    public async Task Names_the_refusal_that_came_nearest_of_all_items()
    {
        await using World world = await StartAsync();
        string image = world.Push();
        world.AttachBundle(image, new BundleForge(world, image) { Edit = bundle => bundle["dsseEnvelope"]!["payload"] = Convert.ToBase64String("{}"u8) }.Make());
        world.Folder.Write("cosign.pub", new ForgedSigner(world).PublicKeyPem);
        KeylessVerifyContainer task = world.Verify(Item(image, ("Policy", "either")));
        task.ContainerTrustPolicies = [Item("either", ("PublicKey", "cosign.pub")), world.Image("either")];

        Assert.Contains("(tlog.binding)", World.Refusal(task, "KEYLESS4002"));
    }

    [TestMethod]
    [Clause("K.1")]
    [DataRow("missing.pub", null, "KEYLESS5012")]
    [DataRow("cosign.pub", "", "KEYLESS5001")]
    [DataRow("cosign.pub", "not a key", "KEYLESS5001")]
    [DataRow("cosign.pub", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "KEYLESS5001")]
    [DataRow("cosign.pub", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "KEYLESS5001")]
    [DataRow("keys", null, "KEYLESS5012")]
    public async Task Refuses_a_file_that_is_no_public_key(string path, string? content, string code)
    {
        await using World world = await StartAsync();
        Directory.CreateDirectory(world.Folder["keys"]);
        if (content is not null)
        {
            world.Folder.Write(path, content);
        }

        string refusal = World.Refusal(world.Verify(Item("localhost:1/app:1.0", ("PublicKey", path))), code);
        Assert.Contains("PublicKey", refusal);
        Assert.Contains("localhost:1/app:1.0", refusal);
    }

    [TestMethod]
    public async Task Refuses_a_key_file_larger_than_any()
    {
        await using World world = await StartAsync();
        world.Folder.Write("cosign.pub", new string('\n', 70_000));

        Assert.Contains("larger than", World.Refusal(world.Verify(Item("localhost:1/app:1.0", ("PublicKey", "cosign.pub"))), "KEYLESS5012"));
    }

    [TestMethod]
    [Clause("K.2")]
    [DataRow("CertificateIdentity")]
    [DataRow("CertificateIdentityRegexp")]
    [DataRow("CertificateOidcIssuer")]
    [DataRow("CertificateOidcIssuerRegexp")]
    [DataRow("GitHubRepository")]
    [DataRow("GitHubWorkflow")]
    [DataRow("GitHubRef")]
    [DataRow("RunnerEnvironment")]
    [DataRow("GitHubServerUrl")]
    public async Task Refuses_a_key_beside_an_identity(string metadata)
    {
        await using World world = await StartAsync();
        world.Folder.Write("cosign.pub", new ForgedSigner(world).PublicKeyPem);

        string refusal = World.Refusal(world.Verify(Item("localhost:1/app:1.0", ("PublicKey", "cosign.pub"), (metadata, "owner/name"))), "KEYLESS5009");

        Assert.Contains("PublicKey", refusal);
        Assert.Contains(metadata, refusal);
    }

    [TestMethod]
    [Clause("P.9")]
    [DataRow("bundle", 59, true)]
    [DataRow("bundle", 61, false)]
    [DataRow("legacy", 59, true)]
    [DataRow("legacy", 61, false)]
    public async Task Refuses_a_signature_older_than_MaxAge(string format, int minutes, bool accepted)
    {
        await using World world = await StartAsync();
        string image = world.Push();
        Sign(world, image, format, new ForgedSigner(world));
        KeylessVerifyContainer task = world.Verify(world.Image(image, ("MaxAge", "01:00:00")));
        task.Time = new LaterClock(TimeSpan.FromMinutes(minutes));

        Expect(accepted, "policy.max-age", task);
    }

    [TestMethod]
    [Clause("P.10")]
    [DataRow(-4, true)]
    [DataRow(-6, false)]
    public async Task Refuses_a_signature_of_the_future_where_an_age_is_asked_for(int minutes, bool accepted)
    {
        await using World world = await StartAsync();
        string image = world.PushSigned();
        KeylessVerifyContainer task = world.Verify(world.Image(image, ("MaxAge", "1.00:00:00")));
        task.Time = new LaterClock(TimeSpan.FromMinutes(minutes));

        Expect(accepted, "policy.future", task);
    }

    [TestMethod]
    public async Task Asks_no_clock_without_MaxAge()
    {
        await using World world = await StartAsync();
        string image = world.PushSigned();
        KeylessVerifyContainer task = world.Verify(world.Image(image));
        task.Time = new LaterClock(TimeSpan.FromDays(3650));

        Assert.IsTrue(task.Execute(), World.Log(task));
    }

    [TestMethod]
    [Clause("P.9")]
    public async Task Takes_a_newer_signature_beside_one_that_is_too_old()
    {
        await using World world = await StartAsync();
        string image = world.Push();
        DateTimeOffset then = DateTimeOffset.FromUnixTimeSeconds(DateTimeOffset.UtcNow.AddMinutes(-50).ToUnixTimeSeconds());
        Layer old = new SimpleForge(world, image) { Signer = new ForgedSigner(world) { NotBefore = then }, IntegratedTime = then.AddMinutes(1) }.Make();
        world.Tag(image, old);
        Expect(false, "policy.max-age", world.Verify(world.Image(image, ("MaxAge", "00:30:00"))));

        world.Tag(image, old, new SimpleForge(world, image).Make());
        Expect(true, "", world.Verify(world.Image(image, ("MaxAge", "00:30:00"))));
    }

    [TestMethod]
    [Clause("P.11")]
    public async Task Refuses_to_do_without_a_log_where_there_is_one()
    {
        await using World world = await StartAsync();
        KeylessVerifyContainer unnamed = world.Verify(world.Image("localhost:1/app:1.0"));
        unnamed.ContainerTrustPolicies = [world.Image("release", ("Proofs", "timestamp"))];

        Assert.Contains("ContainerTrustPolicy 'release' has Proofs 'timestamp', and the trusted root lists a log", World.Refusal(unnamed, "KEYLESS5009"));
    }

    [TestMethod]
    public async Task Does_without_a_log_where_there_is_none_and_says_so()
    {
        await using World world = await StartAsync();
        string image = world.Push();
        world.AttachBundle(image, WithoutLog(world, image).Make());
        KeylessVerifyContainer task = world.Verify(world.Image(image, ("Proofs", "timestamp")));
        task.SigstoreTrustedRoot = RootWithoutLogs(world);

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.Contains("No transparency log: the trusted root lists none", World.Log(task));
        Assert.AreEqual("", task.VerifiedContainerImages.Single().GetMetadata("LogIndex"));
        Assert.AreNotEqual("", task.VerifiedContainerImages.Single().GetMetadata("SignedAt"));
    }

    [TestMethod]
    public async Task Needs_a_log_unless_the_policy_does_without()
    {
        await using World world = await StartAsync();
        string image = world.Push();
        world.AttachBundle(image, WithoutLog(world, image).Make());
        KeylessVerifyContainer task = world.Verify(world.Image(image));
        task.SigstoreTrustedRoot = RootWithoutLogs(world);

        World.Refusal(task, "KEYLESS4002");
    }

    [TestMethod]
    [Clause("P.12")]
    public async Task Needs_the_timestamp_where_it_does_without_a_log()
    {
        await using World world = await StartAsync();
        string image = world.Push();
        world.AttachBundle(image, (WithoutLog(world, image) with { Stamped = false }).Make());
        KeylessVerifyContainer task = world.Verify(world.Image(image, ("Proofs", "timestamp")));
        task.SigstoreTrustedRoot = RootWithoutLogs(world);

        Assert.Contains("(time.missing)", World.Refusal(task, "KEYLESS4002"));
    }

    // One list that is not empty is enough: an instance that has any log has it for a reason.
    [TestMethod]
    [Clause("P.11")]
    [DataRow("tlogs")]
    [DataRow("ctlogs")]
    public async Task Refuses_to_do_without_a_log_where_either_kind_is_listed(string kept)
    {
        await using World world = await StartAsync();
        JsonObject root = JsonNode.Parse(world.Sandbox.TrustedRoot)!.AsObject();
        root.Remove(kept == "tlogs" ? "ctlogs" : "tlogs");
        world.Folder.Write("root.json", root.ToJsonString());
        KeylessVerifyContainer task = world.Verify(world.Image("localhost:1/app:1.0", ("Proofs", "timestamp")));
        task.SigstoreTrustedRoot = "root.json";

        World.Refusal(task, "KEYLESS5009");
    }

    [TestMethod]
    public async Task Warns_once_of_a_policy_that_several_images_have()
    {
        await using World world = await StartAsync();
        string image = world.PushSigned();
        ITaskItem policy = world.Image("release", ("CertificateIdentityRegexp", ".*"));
        policy.RemoveMetadata("CertificateIdentity");
        KeylessVerifyContainer task = world.Verify(Item(image, ("Policy", "release")), Item($"{image.Split('@')[0]}:1.0", ("Policy", "release")));
        task.ContainerTrustPolicies = [policy];

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.HasCount(2, World.Log(task).Split("warning KEYLESS5013: "));
    }

    // The signatures checked along the way are what verification costs.
    [TestMethod]
    [DataRow("identities", 1)]
    [DataRow("identities and two keys", 3)]
    [DataRow("identities of two proofs", 2)]
    public async Task Proves_a_signature_once_for_all_items_that_ask_for_the_same_proofs(string what, int times)
    {
        await using World world = await StartAsync();
        string[] keys = [.. Enumerable.Range(0, 2).Select(i => world.Folder.Write($"{i}.pem", new ForgedSigner(world).PublicKeyPem))];
        List<ITaskItem> items = [.. Enumerable.Range(0, 10).Select(i => (ITaskItem)Item("release", ("CertificateIdentity", $"https://example.com/{i}"), ("CertificateOidcIssuer", "https://example.com")))];
        if (what.Contains("keys", StringComparison.Ordinal))
        {
            items.AddRange(keys.Concat(keys).Select(key => Item("release", ("PublicKey", key))));
        }

        if (what.Contains("proofs", StringComparison.Ordinal))
        {
            items[3].SetMetadata("Proofs", "timestamp");
        }

        var policies = new TrustPolicies([.. items], DateTimeOffset.UnixEpoch, (_, path) => path, _ => { });
        policies.ReadAll();
        int proven = 0;
        var found = new FoundSignature("bundle", "", (_, _, _) =>
        {
            proven++;
            throw new VerificationException("bundle.json", "counted");
        });

        SignatureVerdict verdict = ImageVerifier.Judge(new Verifier(), found, policies.For("ContainerImageToVerify", Item("localhost:1/app", ("Policy", "release"))));

        Assert.AreEqual(times, proven);
        Assert.AreEqual("bundle.json", verdict.Refusal!.Reason);
    }

    private Task<World> StartAsync() => World.StartAsync(TestContext.CancellationToken);

    private static void Expect(bool accepted, string reason, KeylessVerifyContainer task)
    {
        if (accepted)
        {
            Assert.IsTrue(task.Execute(), World.Log(task));
        }
        else
        {
            Assert.Contains($"({reason})", World.Refusal(task, "KEYLESS4002"));
        }
    }

    private static void Sign(World world, string image, string format, ForgedSigner signer)
    {
        switch (format)
        {
            case "bundle":
                world.AttachBundle(image, new BundleForge(world, image) { Signer = signer }.Make());
                break;
            case "legacy":
                world.Tag(image, new SimpleForge(world, image) { Signer = signer }.Make());
                break;
            default:
                world.AttachOci11(image, new SimpleForge(world, image) { Signer = signer }.Make());
                break;
        }
    }

    private static BundleForge WithoutLog(World world, string image) =>
        new(world, image) { Signer = new ForgedSigner(world) { WithSct = false }, Logged = false, Stamped = true };

    private static string RootWithoutLogs(World world)
    {
        JsonObject root = JsonNode.Parse(world.Sandbox.TrustedRoot)!.AsObject();
        root.Remove("tlogs");
        root.Remove("ctlogs");
        world.Folder.Write("root-without-logs.json", root.ToJsonString());
        return "root-without-logs.json";
    }

    private static TaskItem Item(string reference, params (string Name, string Value)[] metadata) =>
        new(reference, metadata.ToDictionary(one => one.Name, one => one.Value));

    private sealed class LaterClock(TimeSpan by) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + by;
    }
}
