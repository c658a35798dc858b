using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Testing;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

[TestClass]
public sealed class VerifyingTaskTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    public async Task Accepts_what_the_signer_signed_and_pins_it()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.PushSigned();
        string byTag = $"{world.Sandbox.RegistryHost}/team/app:1.0";
        KeylessVerifyContainer task = world.Verify(world.Image(byTag));

        Assert.IsTrue(task.Execute(), World.Log(task));

        ITaskItem verified = task.VerifiedContainerImages.Single();
        Assert.AreEqual(image, verified.ItemSpec);
        Assert.AreEqual(byTag, verified.GetMetadata("Reference"));
        Assert.AreEqual(image.Split('@')[1], verified.GetMetadata("Digest"));
        Assert.AreEqual(world.Signer, verified.GetMetadata("CertificateIdentity"));
        Assert.AreEqual(world.Sandbox.Issuer.Url, verified.GetMetadata("CertificateOidcIssuer"));
        Assert.AreEqual("bundle", verified.GetMetadata("Format"));
        Assert.AreEqual("https://sigstore.dev/cosign/sign/v1", verified.GetMetadata("PredicateType"));
        Assert.Contains($"high: Deploy -> {image} (verified: signed by {world.Signer} at ", World.Log(task));
    }

    [TestMethod]
    public async Task Needs_three_requests_and_waits_for_three()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.PushSigned();
        long before = world.Sandbox.Traffic.Mark();
        KeylessVerifyContainer task = world.Verify(world.Image(image));

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.AreEqual(new TrafficMeasure(3, 3), world.Sandbox.Traffic.Measure("Keyless.MSBuild/", before));
        Assert.HasCount(3, world.Sandbox.Traffic.Snapshot(before));
    }

    [TestMethod]
    public async Task Prints_other_checks_for_another_kind_of_log()
    {
        await using World v1 = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { Rekor = RekorVersion.V1 });
        await using World v2 = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { Rekor = RekorVersion.V2 });

        string first = Checks(v1), second = Checks(v2);

        Assert.AreNotEqual(first, second);

        static string Checks(World world)
        {
            KeylessVerifyContainer task = world.Verify(world.Image(world.PushSigned()));
            task.ContainerVerificationReport = "report.json";
            Assert.IsTrue(task.Execute(), World.Log(task));
            string[] checks = [.. Report(world)["images"]![0]!["checks"]!.AsArray().Select(check => (string)check!)];
            Assert.IsNotEmpty(checks);
            foreach (string check in checks)
            {
                Assert.Contains($"normal:   - {check}\n", World.Log(task));
            }
            // Digests, times and addresses differ anyway.
            return string.Join('\n', checks.Select(check => check.Split(' ').Where(word => word.All(char.IsLetter))).Select(words => string.Join(' ', words)));
        }
    }

    [TestMethod]
    public async Task Finds_a_signature_by_the_fallback_tag_of_a_registry_without_referrers_api()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { ReferrersApi = false });
        KeylessVerifyContainer task = world.Verify(world.Image(world.PushSigned()));

        Assert.IsTrue(task.Execute(), World.Log(task));
    }

    [TestMethod]
    public async Task Reports_what_was_accepted_in_the_words_of_cosign()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.PushSigned();
        KeylessVerifyContainer task = world.Verify(world.Image(image));
        task.ContainerVerificationReport = "out/report.json";

        Assert.IsTrue(task.Execute(), World.Log(task));

        JsonNode report = JsonNode.Parse(await File.ReadAllTextAsync(world.Folder["out/report.json"], TestContext.CancellationToken))!;
        Assert.AreEqual("keyless-msbuild/container-verification/v1", (string?)report["schema"]);
        JsonNode entry = report["images"]!.AsArray().Single()!;
        Assert.AreEqual("reference,digest,policy,verdict,checks,signatures,project,target,run,positions,error", Names(entry));
        Assert.AreEqual(image, (string?)entry["reference"]);
        Assert.AreEqual("accepted", (string?)entry["verdict"]);
        JsonNode signature = entry["signatures"]!.AsArray().Single()!;
        Assert.AreEqual("critical,optional,format,signedAt,logIndex,verdict,step,reason,expected,found", Names(signature));
        Assert.AreEqual(image.Split('@')[1], (string?)signature["critical"]!["image"]!["docker-manifest-digest"]);
        Assert.AreEqual(image, (string?)signature["critical"]!["identity"]!["docker-reference"]);
        Assert.AreEqual("https://sigstore.dev/cosign/sign/v1", (string?)signature["critical"]!["type"]);
        Assert.AreEqual(world.Signer, (string?)signature["optional"]!["Subject"]);
        Assert.AreEqual(world.Sandbox.Issuer.Url, (string?)signature["optional"]!["Issuer"]);
        Assert.AreEqual("bundle", (string?)signature["format"]);
        Assert.AreEqual("accepted", (string?)signature["verdict"]);
        Assert.IsNull(signature["reason"]);
    }

    [TestMethod]
    [DataRow("file/report.json")]
    [DataRow("folder.json")]
    public async Task Says_in_one_line_that_the_report_has_no_place(string path)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Folder.Write("file", "not a folder");
        Directory.CreateDirectory(world.Folder["folder.json"]);
        KeylessVerifyContainer task = world.Verify(world.Image(world.PushSigned()));
        task.ContainerVerificationReport = path;

        long before = world.Sandbox.Traffic.Mark();

        StringAssert.Contains(World.Refusal(task, "KEYLESS5012"), "ContainerVerificationReport", StringComparison.Ordinal);

        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot(before));
        Assert.IsEmpty(Directory.GetFiles(world.Folder.Path, ".*.json.*"));
    }

    [TestMethod]
    public async Task Reports_what_was_refused_and_why()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = world.Verify(world.Image(world.PushSigned(), ("CertificateIdentity", "https://example.com/somebody")));
        task.ContainerVerificationReport = "report.json";

        World.Refusal(task, "KEYLESS4002");

        JsonNode entry = Report(world)["images"]!.AsArray().Single()!;
        Assert.AreEqual("refused", (string?)entry["verdict"]);
        Assert.IsEmpty(entry["checks"]!.AsArray());
        JsonNode signature = entry["signatures"]!.AsArray().Single()!;
        Assert.AreEqual("refused", (string?)signature["verdict"]);
        Assert.AreEqual("policy", (string?)signature["step"]);
        Assert.AreEqual("policy.identity", (string?)signature["reason"]);
        Assert.AreEqual("https://example.com/somebody", (string?)signature["expected"]);
        Assert.AreEqual(world.Signer, (string?)signature["found"]);
        Assert.IsNull(signature["critical"]);
    }

    [TestMethod]
    [Clause("I.3", "I.4", "P.1", "P.2")]
    [DataRow("CertificateIdentity", "https://github.com/example-org/example-repo/.github/workflows/publish.yml@refs/heads/mai", "policy.identity")]
    [DataRow("CertificateOidcIssuer", "https://token.actions.githubusercontent.com", "policy.issuer")]
    [DataRow("PredicateType", "https://slsa.dev/provenance/v1", "subject.predicate-type")]
    [DataRow("Annotations", "env=prod", "policy.annotation")]
    public async Task Refuses_a_signature_that_is_not_what_the_item_asks_for(string metadata, string value, string reason)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = world.Verify(world.Image(world.PushSigned(), (metadata, value)));

        string error = World.Refusal(task, "KEYLESS4002");

        Assert.Contains($"({reason})", error);
        Assert.Contains(value.Split('=')[^1], error);
        Assert.IsEmpty(task.VerifiedContainerImages);
    }

    [TestMethod]
    [Clause("A.8", "A.13")]
    public async Task Refuses_the_signature_of_another_image()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string signed = world.PushSigned(), other = world.Push();
        Move(world, world.Referrers(signed).Single(), signed, other);

        Assert.Contains("(subject.digest)", World.Refusal(world.Verify(world.Image(other)), "KEYLESS4002"));
    }

    [TestMethod]
    [Clause("A.14")]
    public async Task Refuses_a_listed_signature_whose_manifest_refers_to_another_image()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { ReferrersApi = false });
        string signed = world.PushSigned(), other = world.Push();
        // Who may push may write any fallback tag.
        byte[] list = world.Sandbox.Registry.FindManifest("team/app", signed.Split('@')[1].Replace(':', '-'))!.Bytes;
        world.Sandbox.Registry.PutManifest("team/app", other.Split('@')[1].Replace(':', '-'), list, "application/vnd.oci.image.index.v1+json");

        Assert.Contains("(subject.referrer)", World.Refusal(world.Verify(world.Image(other)), "KEYLESS4002"));
    }

    [TestMethod]
    public async Task Accepts_when_one_of_several_signatures_is_good()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string signed = world.PushSigned(), other = world.PushSigned();
        Move(world, world.Referrers(signed).Single(), signed, other);
        KeylessVerifyContainer task = world.Verify(world.Image(other));

        Assert.IsTrue(task.Execute(), World.Log(task));
    }

    [TestMethod]
    public async Task Refuses_a_bundle_that_does_not_parse()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        world.AttachBundle(image, Encoding.UTF8.GetBytes("{ not a bundle"));

        Assert.Contains("(bundle.", World.Refusal(world.Verify(world.Image(image)), "KEYLESS4002"));
    }

    [TestMethod]
    public async Task Stops_at_a_heap_of_signatures_and_calls_it_no_verdict()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        for (int i = 0; i < 5; i++)
        {
            byte[] heap = new byte[15 * 1024 * 1024];
            heap[0] = (byte)i;
            world.AttachBundle(image, heap);
        }

        World.Refusal(world.Verify(world.Image(image)), "KEYLESS4005");
    }

    [TestMethod]
    public async Task Names_ten_refused_signatures_and_counts_the_rest()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        for (int i = 0; i < 12; i++)
        {
            world.AttachBundle(image, Encoding.UTF8.GetBytes($"{{ not bundle {i}"));
        }

        KeylessVerifyContainer task = world.Verify(world.Image(image));

        Assert.Contains("none of 12 signatures", World.Refusal(task, "KEYLESS4002"));

        string log = World.Log(task);
        Assert.AreEqual(10, log.Split('\n').Count(line => line.StartsWith("high: ", StringComparison.Ordinal) && line.Contains(": bundle signature sha256:", StringComparison.Ordinal)), log);
        Assert.AreEqual(2, log.Split('\n').Count(line => line.StartsWith("normal: ", StringComparison.Ordinal) && line.Contains(": bundle signature sha256:", StringComparison.Ordinal)), log);
        Assert.Contains("and 2 more, all in obj/keyless/refused-images.txt", log);
        Assert.AreEqual(12, File.ReadAllText(world.Folder["obj/keyless/refused-images.txt"]).Split("\n   refused at bundle (bundle.").Length - 1);
    }

    [TestMethod]
    public async Task Refuses_an_unsigned_image()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();

        Assert.Contains("is not signed", World.Refusal(world.Verify(world.Image(image)), "KEYLESS4001"));
    }

    [TestMethod]
    public async Task Does_not_take_an_sbom_for_a_signature()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        world.AttachBundle(image, Encoding.UTF8.GetBytes("{}"), "application/spdx+json");

        World.Refusal(world.Verify(world.Image(image)), "KEYLESS4001");
    }

    [TestMethod]
    public async Task Says_that_an_image_is_missing_and_not_that_it_is_unsigned()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string missing = $"{world.Push().Split('@')[0]}@sha256:{new string('0', 64)}";

        World.Refusal(world.Verify(world.Image(missing)), "KEYLESS3003");
    }

    [TestMethod]
    public async Task A_registry_that_denies_the_list_of_signatures_is_an_error_of_its_own()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.PushSigned();
        world.Sandbox.RegistryServer.Intercept = World.Answer(403, "application/json", """{"errors":[{"code":"DENIED","message":"no"}]}""");

        World.Refusal(world.Verify(world.Image(image)), "KEYLESS3002");
    }

    [TestMethod]
    public async Task A_registry_that_is_down_is_one_error_for_all_its_images()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string first = world.PushSigned(), second = world.PushSigned();
        await world.Sandbox.RegistryServer.StopAsync(TestContext.CancellationToken);

        Assert.Contains("and 1 more", World.Refusal(world.Verify(world.Image(first), world.Image(second)), "KEYLESS3001"));
    }

    [TestMethod]
    [Clause("P.16")]
    public async Task In_warn_mode_a_refusal_is_a_warning_and_the_image_still_does_not_count()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = world.Verify(world.Image(world.Push(), ("Mode", "warn")));
        task.ContainerVerificationReport = "report.json";

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.Contains("warning KEYLESS4001: ", World.Log(task));
        Assert.IsEmpty(task.VerifiedContainerImages);
        Assert.AreEqual("warned", (string?)Report(world)["images"]![0]!["verdict"]);
    }

    [TestMethod]
    public async Task Any_policy_of_the_name_suffices()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        var image = new TaskItem(world.PushSigned(), new Dictionary<string, string> { ["Policy"] = "release" });
        KeylessVerifyContainer task = world.Verify(image);
        task.ContainerTrustPolicies = [world.Image("release", ("CertificateIdentity", "https://example.com/somebody")), world.Image("release")];

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.AreEqual("release", task.VerifiedContainerImages.Single().GetMetadata("Policy"));
    }

    [TestMethod]
    public async Task Accepts_the_workflow_of_a_repository_by_its_short_form()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = world.Verify(ShortForm(world, "example-org/example-repo"));

        Assert.IsTrue(task.Execute(), World.Log(task));
    }

    [TestMethod]
    [Clause("I.10")]
    [DataRow("example-org/example")]
    [DataRow("example-org/Example-Repo")]
    [DataRow("somebody/example-repo")]
    public async Task Refuses_the_workflow_of_another_repository_by_its_short_form(string repository)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);

        Assert.Contains("(policy.github-repository)", World.Refusal(world.Verify(ShortForm(world, repository)), "KEYLESS4002"));
    }

    [TestMethod]
    [Clause("I.1")]
    public async Task Refuses_an_item_that_trusts_nobody_in_particular()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        World.Refusal(world.Verify(new TaskItem(world.PushSigned())), "KEYLESS5008");
    }

    [TestMethod]
    [Clause("I.8", "I.29", "I.30", "P.14")]
    [DataRow("CertificateIdentiy", "x", "KEYLESS5002")]
    [DataRow("CertificateIdentityRegexp", ".*", "KEYLESS5009")]
    [DataRow("Policy", "release", "KEYLESS5009")]
    [DataRow("Mode", "wran", "KEYLESS5001")]
    [DataRow("Recursive", "ture", "KEYLESS5001")]
    [DataRow("Proofs", "timestamp", "KEYLESS5009")]
    [DataRow("Proofs", "none", "KEYLESS5001")]
    [DataRow("PublicKey", "key.pem", "KEYLESS5009")]
    [DataRow("MinSignatures", "2", "KEYLESS5009")]
    [DataRow("MinSignatures", "0", "KEYLESS5001")]
    [DataRow("MinSignatures", "-1", "KEYLESS5001")]
    [DataRow("MinSignatures", " 1", "KEYLESS5001")]
    [DataRow("MinSignatures", "1001", "KEYLESS5001")]
    [DataRow("MinSignatures", "two", "KEYLESS5001")]
    [DataRow("MaxAge", "30", "KEYLESS5001")]
    [DataRow("MaxAge", "00:00:00", "KEYLESS5001")]
    [DataRow("MaxAge", "-1.00:00:00", "KEYLESS5001")]
    [DataRow("MaxAge", "1 day", "KEYLESS5001")]
    [DataRow("Annotations", "env", "KEYLESS5001")]
    [DataRow("GitHubRepository", "example-org", "KEYLESS5001")]
    [DataRow("GitHubRef", "", "KEYLESS5001")]
    [DataRow("Annotations", "", "KEYLESS5001")]
    [DataRow("Policy", "", "KEYLESS5001")]
    public async Task Refuses_metadata_that_cannot_be(string metadata, string value, string code)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.PushSigned();
        long before = world.Sandbox.Traffic.Mark();

        string refusal = World.Refusal(world.Verify(world.Image(image, (metadata, value))), code);

        Assert.Contains(image, refusal, "it says which item");
        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot(before));
    }

    [TestMethod]
    [Clause("P.15")]
    public async Task Refuses_a_policy_that_does_not_exist()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        var image = new TaskItem(world.PushSigned(), new Dictionary<string, string> { ["Policy"] = "relaese" });
        KeylessVerifyContainer task = world.Verify(image);
        task.ContainerTrustPolicies = [world.Image("release")];

        Assert.Contains("known are release", World.Refusal(task, "KEYLESS5010"));
    }

    [TestMethod]
    [Clause("I.7", "I.31")]
    [DataRow(".*", "which admits everything")]
    [DataRow("https://github.com/example-org/.*", "where any character may stand for a dot of 'github.com'")]
    [DataRow(@"https://github\.com/.*", "which admits every repository of github.com; ")]
    public async Task Warns_of_a_pattern_that_admits_others(string pattern, string what)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        ITaskItem image = world.Image(world.PushSigned(), ("CertificateIdentityRegexp", pattern));
        image.RemoveMetadata("CertificateIdentity");
        KeylessVerifyContainer task = world.Verify(image);

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.Contains("warning KEYLESS5013: ", World.Log(task));
        Assert.Contains(what, World.Log(task));
    }

    [TestMethod]
    public async Task Refuses_when_there_is_nothing_to_verify()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        World.Refusal(world.Verify(), "KEYLESS5011");
    }

    [TestMethod]
    [DataRow("localhost:5000/App:1.0")]
    [DataRow("http://localhost:5000/app:1.0")]
    [DataRow("localhost:5000/app@sha256:12")]
    public async Task Refuses_a_reference_that_does_not_parse(string reference)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        Assert.Contains(reference, World.Refusal(world.Verify(world.Image(reference)), "KEYLESS5006"));
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public async Task Tries_each_line_of_a_trusted_root_alone(bool oursFirst)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        await using SandboxHost other = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);
        string image = world.PushSigned();
        string[] lines = [Line(world.Sandbox), Line(other)];
        await File.WriteAllLinesAsync(world.PathOf("roots.jsonl"), oursFirst ? lines : lines.Reverse(), TestContext.CancellationToken);
        await File.WriteAllLinesAsync(world.PathOf("others.jsonl"), [lines[1], lines[1]], TestContext.CancellationToken);

        KeylessVerifyContainer both = world.Verify(world.Image(image));
        both.SigstoreTrustedRoot = "roots.jsonl";
        Assert.IsTrue(both.Execute(), World.Log(both));
        KeylessVerifyContainer others = world.Verify(world.Image(image));
        others.SigstoreTrustedRoot = "others.jsonl";
        World.Refusal(others, "KEYLESS4002");
        KeylessSignContainer sign = world.Sign(image);
        sign.SigstoreTrustedRoot = "roots.jsonl";
        sign.SigstoreSigningConfig = "signing_config.json";
        Assert.Contains("2 trusted roots", World.Refusal(sign, "KEYLESS5009"));

        static string Line(SandboxHost sandbox) => System.Text.Json.Nodes.JsonNode.Parse(sandbox.TrustedRoot)!.ToJsonString();
    }

    [TestMethod]
    [DataRow("SigstoreTrustedRoot", "missing.json", "KEYLESS5012")]
    [DataRow("SigstoreTrustedRoot", "environment", "KEYLESS2102")]
    [DataRow("ContainerVerificationReport", "report.txt", "KEYLESS5001")]
    [DataRow("ContainerVerificationCache", "ture", "KEYLESS5001")]
    [DataRow("VerifyContainerImages", "ture", "KEYLESS5001")]
    [DataRow("SigstoreTufRoot", "root.json", "KEYLESS5009")]
    public async Task Refuses_a_value_that_is_unknown_or_not_built_yet(string property, string value, string code)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = world.Verify(world.Image(world.PushSigned()));
        typeof(KeylessVerifyContainer).GetProperty(property)!.SetValue(task, value);

        World.Refusal(task, code);
    }

    private static TaskItem ShortForm(World world, string repository) => new(world.PushSigned(), new Dictionary<string, string>
    {
        ["GitHubRepository"] = repository,
        ["CertificateOidcIssuer"] = world.Sandbox.Issuer.Url,
    });

    private static JsonNode Report(World world) => JsonNode.Parse(File.ReadAllText(world.Folder["report.json"]))!;

    private static string Names(JsonNode node) => string.Join(',', node.AsObject().Select(member => member.Key));

    /// <summary>The same bundle as a referrer of another image.</summary>
    private static void Move(World world, RegistryManifest signature, string from, string to)
    {
        string layer = (string)JsonNode.Parse(signature.Bytes)!["layers"]![0]!["digest"]!;
        Assert.AreNotEqual(from, to);
        world.AttachBundle(to, world.Sandbox.Registry.FindBlob("team/app", layer)!);
    }
}
