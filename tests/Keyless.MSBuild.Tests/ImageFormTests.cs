using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Testing;
using Microsoft.Build.Framework;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>The forms in which an image's signatures are kept, and where they are looked for.</summary>
[TestClass]
public sealed class ImageFormTests
{
    private const string Attestation = "https://slsa.dev/provenance/v1";

    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow("bundle", RekorVersion.V1, RekorV2Key.Ed25519, true, 3, 3)]
    [DataRow("bundle", RekorVersion.V1, RekorV2Key.Ed25519, false, 4, 4)]
    [DataRow("bundle", RekorVersion.V2, RekorV2Key.Ed25519, true, 3, 3)]
    [DataRow("bundle", RekorVersion.V2, RekorV2Key.Ed25519, false, 4, 4)]
    [DataRow("bundle", RekorVersion.V2, RekorV2Key.EcdsaP256, true, 3, 3)]
    [DataRow("bundle", RekorVersion.V2, RekorV2Key.EcdsaP256, false, 4, 4)]
    [DataRow("legacy", RekorVersion.V1, RekorV2Key.Ed25519, true, 4, 4)]
    [DataRow("legacy", RekorVersion.V1, RekorV2Key.Ed25519, false, 4, 4)]
    [DataRow("oci11", RekorVersion.V1, RekorV2Key.Ed25519, true, 3, 3)]
    [DataRow("oci11", RekorVersion.V1, RekorV2Key.Ed25519, false, 4, 4)]
    public async Task Accepts_every_form_wherever_it_is_kept(string format, RekorVersion rekor, RekorV2Key key, bool referrersApi, int requests, int depth)
    {
        await using World world = await StartAsync(new SandboxOptions { Rekor = rekor, RekorV2Key = key, ReferrersApi = referrersApi });
        string image = Sign(world, format);
        long before = world.Sandbox.Traffic.Mark();
        KeylessVerifyContainer task = world.Verify(world.Image(image));
        task.ContainerVerificationReport = "report.json";

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.AreEqual(new TrafficMeasure(requests, depth), world.Sandbox.Traffic.Measure("Keyless.MSBuild/", before));
        ITaskItem verified = task.VerifiedContainerImages.Single();
        Assert.AreEqual(image, verified.ItemSpec);
        Assert.AreEqual(format, verified.GetMetadata("Format"));
        Assert.AreEqual("https://sigstore.dev/cosign/sign/v1", verified.GetMetadata("PredicateType"));
        Assert.AreEqual(world.Signer, verified.GetMetadata("CertificateIdentity"));
        Assert.AreEqual(world.Sandbox.Issuer.Url, verified.GetMetadata("CertificateOidcIssuer"));
        Assert.AreNotEqual("", verified.GetMetadata("SignedAt"));
        Assert.AreNotEqual("", verified.GetMetadata("LogIndex"));
        JsonNode signature = Report(world)["images"]![0]!["signatures"]!.AsArray().Single()!;
        Assert.AreEqual(format, (string?)signature["format"]);
        Assert.AreEqual("accepted", (string?)signature["verdict"]);
        Assert.AreEqual(image.Split('@')[1], (string?)signature["critical"]!["image"]!["docker-manifest-digest"]);
        Assert.AreEqual(format == "bundle" ? image : image.Split('@')[0], (string?)signature["critical"]!["identity"]!["docker-reference"]);
        Assert.AreEqual(format == "bundle" ? "https://sigstore.dev/cosign/sign/v1" : "cosign container image signature", (string?)signature["critical"]!["type"]);
    }

    [TestMethod]
    [DataRow("bundle")]
    [DataRow("legacy")]
    [DataRow("oci11")]
    public async Task Asks_once_more_for_a_tag(string format)
    {
        await using World world = await StartAsync(new SandboxOptions { Rekor = RekorVersion.V1 });
        string image = Sign(world, format);
        long before = world.Sandbox.Traffic.Mark();
        KeylessVerifyContainer task = world.Verify(world.Image($"{image.Split('@')[0]}:1.0"));

        Assert.IsTrue(task.Execute(), World.Log(task));

        int requests = format == "legacy" ? 5 : 4;
        Assert.AreEqual(new TrafficMeasure(requests, requests), world.Sandbox.Traffic.Measure("Keyless.MSBuild/", before));
    }

    [TestMethod]
    public async Task Asks_four_times_before_it_calls_an_image_unsigned_and_once_more_to_say_why()
    {
        await using World world = await StartAsync();
        string image = world.Push();
        long before = world.Sandbox.Traffic.Mark();

        World.Refusal(world.Verify(world.Image(image)), "KEYLESS4001");

        // Referrers, fallback tag, .sig tag; whether the image is there at all; and what is in it.
        Assert.AreEqual(
            $"referrers/{image.Split('@')[1]}, manifests/{image.Split('@')[1].Replace(':', '-')}, manifests/{Attached.SignatureTag(image)}, manifests/{image.Split('@')[1]}, manifests/{image.Split('@')[1]}",
            string.Join(", ", world.Sandbox.Traffic.Snapshot(before).Select(exchange => exchange.Path["/v2/team/app/".Length..])));
    }

    [TestMethod]
    public async Task Says_that_the_log_only_promised_where_there_is_no_proof()
    {
        await using World world = await StartAsync();
        string image = Sign(world, "legacy");
        KeylessVerifyContainer task = world.Verify(world.Image(image));

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.Contains("promised to include the signature at index 4242: signed entry timestamp (SET)", World.Log(task));
        Assert.DoesNotContain("is included", World.Log(task));
    }

    [TestMethod]
    public async Task Counts_a_timestamp_beside_the_promise()
    {
        await using World world = await StartAsync();
        string image = world.Push();
        var forge = new SimpleForge(world, image);
        world.Tag(image, (forge with { Stamped = forge.Signer.Stamp }).Make());
        KeylessVerifyContainer task = world.Verify(world.Image(image));

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.Contains("RFC 3161 timestamp", World.Log(task));
    }

    // cosign appends: the newest signature is the last layer. Of another signer's it does not hide ours, nor ours theirs.
    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    [DataRow(2)]
    public async Task Looks_at_every_layer(int place)
    {
        await using World world = await StartAsync();
        string image = world.Push();
        List<Layer> layers = [Stranger(world, image), Stranger(world, image)];
        layers.Insert(place, new SimpleForge(world, image).Make());
        world.Tag(image, [.. layers]);
        KeylessVerifyContainer task = world.Verify(world.Image(image));

        Assert.IsTrue(task.Execute(), World.Log(task));
    }

    // All payloads of one image are the same bytes unless somebody annotates.
    [TestMethod]
    public async Task Tells_layers_with_the_same_payload_apart_and_fetches_it_once()
    {
        await using World world = await StartAsync();
        string image = world.Push();
        Layer[] layers = [Stranger(world, image), Stranger(world, image), new SimpleForge(world, image).Make()];
        Assert.HasCount(1, layers.Select(layer => Encoding.UTF8.GetString(layer.Content)).Distinct().ToArray());
        world.Tag(image, layers);
        long before = world.Sandbox.Traffic.Mark();
        KeylessVerifyContainer task = world.Verify(world.Image(image));

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.HasCount(4, world.Sandbox.Traffic.Snapshot(before));
    }

    [TestMethod]
    [Clause("X.1")]
    [DataRow(true)]
    [DataRow(false)]
    public async Task Takes_no_other_layer_for_a_signature(bool tag)
    {
        await using World world = await StartAsync();
        string image = world.Push();
        Layer good = new SimpleForge(world, image).Make();
        Put(world, image, tag, good with { MediaType = "application/vnd.dev.cosign.simplesigning.v2+json" });
        World.Refusal(world.Verify(world.Image(image)), "KEYLESS4001");

        Put(world, image, tag, good with { MediaType = "application/vnd.oci.image.layer.v1.tar" }, good);
        KeylessVerifyContainer task = world.Verify(world.Image(image));
        Assert.IsTrue(task.Execute(), World.Log(task));
    }

    [TestMethod]
    public async Task Knows_the_oci11_form_by_its_layer_where_the_config_does_not_say_so()
    {
        await using World world = await StartAsync();
        string image = world.Push();
        world.Attach(image, new SimpleForge(world, image).Make());
        KeylessVerifyContainer task = world.Verify(world.Image(image));

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.AreEqual("oci11", task.VerifiedContainerImages.Single().GetMetadata("Format"));
    }

    [TestMethod]
    [Clause("A.14")]
    [DataRow(true)]
    [DataRow(false)]
    public async Task Refuses_an_oci11_signature_whose_manifest_refers_to_another_image(bool without)
    {
        await using World world = await StartAsync(new SandboxOptions { ReferrersApi = false });
        string image = world.Push(), other = world.Push(tag: null);
        string digest = world.AttachOci11(image, new SimpleForge(world, image).Make());
        JsonObject manifest = JsonNode.Parse(world.Sandbox.Registry.FindManifest("team/app", digest)!.Bytes)!.AsObject();
        if (without)
        {
            manifest.Remove("subject");
        }

        world.Sandbox.Registry.DeleteManifest("team/app", image.Split('@')[1].Replace(':', '-'));
        world.AttachManifest(without ? image : other, manifest);

        Assert.Contains("(subject.referrer)", World.Refusal(world.Verify(world.Image(without ? image : other)), "KEYLESS4002"));
    }

    [TestMethod]
    public async Task Goes_on_from_one_place_to_the_next_while_the_policy_is_unmet()
    {
        await using World world = await StartAsync();
        string image = world.Push();
        var stranger = new ForgedSigner(world) { Claims = claims => claims["job_workflow_ref"] = "somebody/else/.github/workflows/x.yml@refs/heads/main" };
        world.AttachBundle(image, new BundleForge(world, image) { Signer = stranger }.Make());
        world.AttachOci11(image, (new SimpleForge(world, image) { Signer = stranger }).Make());
        world.Tag(image, new SimpleForge(world, image).Make());
        KeylessVerifyContainer task = world.Verify(world.Image(image));
        task.ContainerVerificationReport = "report.json";

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.AreEqual("bundle refused, oci11 refused, legacy accepted", string.Join(
            ", ", Report(world)["images"]![0]!["signatures"]!.AsArray().Select(signature => $"{signature!["format"]} {signature["verdict"]}")));
    }

    [TestMethod]
    public async Task Looks_no_further_than_the_first_signature_that_is_enough()
    {
        await using World world = await StartAsync();
        string image = world.Push();
        var mine = new BundleForge(world, image);
        for (int i = 0; i < 5; i++)
        {
            world.AttachBundle(image, mine.Make());
        }

        world.Tag(image, new SimpleForge(world, image).Make());
        long before = world.Sandbox.Traffic.Mark();
        KeylessVerifyContainer task = world.Verify(world.Image(image));

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.HasCount(3, world.Sandbox.Traffic.Snapshot(before));
    }

    [TestMethod]
    [Clause("P.1")]
    [DataRow(true)]
    [DataRow(false)]
    public async Task Takes_no_statement_of_another_kind_for_a_signature_unless_it_is_asked_for(bool referrersApi)
    {
        await using World world = await StartAsync(new SandboxOptions { ReferrersApi = referrersApi });
        string image = world.Push();
        world.AttachBundle(image, new BundleForge(world, image) { PredicateType = Attestation }.Make());

        Assert.Contains("(subject.predicate-type)", World.Refusal(world.Verify(world.Image(image)), "KEYLESS4002"));

        KeylessVerifyContainer task = world.Verify(world.Image(image, ("PredicateType", Attestation)));
        Assert.IsTrue(task.Execute(), World.Log(task));
        Assert.AreEqual(Attestation, task.VerifiedContainerImages.Single().GetMetadata("PredicateType"));
    }

    [TestMethod]
    [Clause("P.1")]
    [DataRow("bundle")]
    [DataRow("legacy")]
    [DataRow("oci11")]
    public async Task Takes_no_signature_for_a_statement_of_another_kind(string format)
    {
        await using World world = await StartAsync();
        string image = Sign(world, format);

        Assert.Contains("(subject.predicate-type)", World.Refusal(world.Verify(world.Image(image, ("PredicateType", Attestation))), "KEYLESS4002"));
    }

    [TestMethod]
    [Clause("B.36")]
    public async Task Refuses_a_signature_over_the_manifest_s_bytes()
    {
        await using World world = await StartAsync();
        string image = world.Push();
        world.AttachBundle(image, new BundleForge(world, image) { Message = true }.Make());

        Assert.Contains("(bundle.content)", World.Refusal(world.Verify(world.Image(image)), "KEYLESS4002"));
    }

    [TestMethod]
    [Clause("B.16", "B.35")]
    [DataRow("application/vnd.dev.sigstore.bundle+json;version=0.1", "bundle.version")]
    [DataRow("application/vnd.dev.sigstore.bundle+json;version=0.2", "bundle.version")]
    [DataRow("application/vnd.dev.sigstore.bundle.v0.4+json", "bundle.version")]
    public async Task Refuses_a_bundle_of_another_version(string type, string reason)
    {
        await using World world = await StartAsync();
        string image = world.Push();
        byte[] bundle = new BundleForge(world, image)
        {
            Edit = bundle =>
            {
                bundle["mediaType"] = type;
                JsonObject material = bundle["verificationMaterial"]!.AsObject();
                if (material["certificate"] is JsonObject certificate && !type.Contains("v0.4", StringComparison.Ordinal))
                {
                    material.Remove("certificate");
                    material["x509CertificateChain"] = new JsonObject { ["certificates"] = new JsonArray(certificate) };
                }
            },
        }.Make();
        world.AttachBundle(image, bundle, type);

        Assert.Contains($"({reason})", World.Refusal(world.Verify(world.Image(image)), "KEYLESS4002"));
    }

    [TestMethod]
    [Clause("B.40")]
    public async Task Takes_both_spellings_of_the_bundle_s_type_and_no_other_for_the_layer()
    {
        await using World world = await StartAsync();
        string image = world.Push(), other = world.Push(tag: null);
        const string Parameter = "application/vnd.dev.sigstore.bundle+json;version=0.3";
        world.AttachBundle(image, new BundleForge(world, image) { Edit = bundle => bundle["mediaType"] = Parameter }.Make(), Parameter);
        world.AttachBundle(other, new BundleForge(world, other).Make(), "application/vnd.dev.sigstore.bundle+json;version=0.2");

        KeylessVerifyContainer task = world.Verify(world.Image(image));
        Assert.IsTrue(task.Execute(), World.Log(task));
        Assert.Contains("(bundle.layer)", World.Refusal(world.Verify(world.Image(other)), "KEYLESS4002"));
    }

    [TestMethod]
    [Clause("B.37")]
    public async Task Refuses_a_bundle_s_manifest_with_two_layers()
    {
        await using World world = await StartAsync();
        string image = world.Push();
        var layer = new Layer(Attached.BundleType, new BundleForge(world, image).Make());
        world.Attach(image, [layer, layer], Attached.BundleType);

        Assert.Contains("(bundle.layer)", World.Refusal(world.Verify(world.Image(image)), "KEYLESS4002"));
    }

    // The list is the registry's or whoever wrote the fallback tag; what counts is in the manifest.
    [TestMethod]
    [DataRow("application/spdx+json")]
    [DataRow("application/vnd.oci.empty.v1+json")]
    [DataRow(null)]
    public async Task Leaves_nobody_out_for_what_the_list_says_of_him(string? artifactType)
    {
        await using World world = await StartAsync(new SandboxOptions { ReferrersApi = false });
        string image = world.Push();
        string digest = world.AttachBundle(image, new BundleForge(world, image).Make());
        world.Sandbox.Registry.DeleteManifest("team/app", image.Split('@')[1].Replace(':', '-'));
        JsonObject entry = Attached.Described(Attached.Manifest, world.Sandbox.Registry.FindManifest("team/app", digest)!.Bytes.Length, digest);
        entry["artifactType"] = artifactType;
        entry["annotations"] = new JsonObject { ["dev.sigstore.bundle.predicateType"] = Attestation };
        world.List(image, entry);
        KeylessVerifyContainer task = world.Verify(world.Image(image));

        Assert.IsTrue(task.Execute(), World.Log(task));
    }

    [TestMethod]
    public async Task Lists_every_signature_it_found()
    {
        await using World world = await StartAsync();
        string image = world.Push(), other = world.Push(tag: null);
        world.AttachBundle(image, new BundleForge(world, other).Make());
        world.AttachBundle(image, "{ not a bundle"u8.ToArray());
        world.AttachOci11(image, new SimpleForge(world, other).Make());
        world.Tag(image, Stranger(world, image), new SimpleForge(world, image) { Annotations = annotations => annotations.Remove(SimpleForge.BundleName) }.Make());
        KeylessVerifyContainer task = world.Verify(world.Image(image));
        task.ContainerVerificationReport = "report.json";
        task.IntermediateOutputPath = "obj/Release/";

        string error = World.Refusal(task, "KEYLESS4002");

        Assert.Contains("none of 5 signatures satisfies the policy; the nearest (legacy) by https://github.com/somebody/else/", error);
        Assert.Contains("is refused (policy.identity)", error);
        Assert.Contains("every signature is listed in obj/Release/keyless/refused-images.txt", error);
        string[] expected = ["bundle subject.digest", "bundle bundle.json", "oci11 sig.payload", "legacy policy.identity", "legacy tlog.missing"];
        JsonArray signatures = Report(world)["images"]![0]!["signatures"]!.AsArray();
        Assert.AreEqual(string.Join('\n', expected), string.Join('\n', signatures.Select(signature => $"{signature!["format"]} {signature["reason"]}")));
        string list = await File.ReadAllTextAsync(world.Folder["obj/Release/keyless/refused-images.txt"], TestContext.CancellationToken);
        foreach (string[] one in expected.Select(one => one.Split(' ')))
        {
            Assert.Contains($"({one[1]})", World.Log(task));
            Assert.Contains($"{one[0]} ", list);
            Assert.Contains($"   refused at {one[1].Split('.')[0]} ({one[1]})\n", list);
        }

        Assert.Contains($"   expected   {world.Signer}\n   found      https://github.com/somebody/else/", list);
        Assert.Contains($"4. legacy {Attached.SignatureTag(image)} layer 1\n   signed by  https://github.com/somebody/else/", list);
    }

    [TestMethod]
    public async Task Forgets_the_list_once_nothing_is_refused()
    {
        await using World world = await StartAsync();
        string image = world.PushSigned();
        World.Refusal(world.Verify(world.Image(image, ("CertificateIdentity", "https://example.com/somebody"))), "KEYLESS4002");
        Assert.IsTrue(File.Exists(world.Folder["obj/keyless/refused-images.txt"]));

        KeylessVerifyContainer task = world.Verify(world.Image(image));
        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.IsFalse(File.Exists(world.Folder["obj/keyless/refused-images.txt"]));
    }

    [TestMethod]
    public async Task The_verdict_stays_the_news_where_the_list_has_no_place()
    {
        await using World world = await StartAsync();
        string image = world.PushSigned();
        world.Folder.Write("obj/keyless", "not a folder");
        KeylessVerifyContainer task = world.Verify(world.Image(image, ("CertificateIdentity", "https://example.com/somebody")));

        Assert.DoesNotContain("refused-images.txt", World.Refusal(task, "KEYLESS4002"));

        Assert.Contains("warning KEYLESS5012: ", World.Log(task));
    }

    private Task<World> StartAsync(SandboxOptions? options = null) => World.StartAsync(TestContext.CancellationToken, options);

    private static string Sign(World world, string format)
    {
        if (format == "bundle")
        {
            return world.PushSigned();
        }

        string image = world.Push();
        Put(world, image, tag: format == "legacy", new SimpleForge(world, image).Make());
        return image;
    }

    private static void Put(World world, string image, bool tag, params Layer[] layers)
    {
        if (tag)
        {
            world.Tag(image, layers);
        }
        else
        {
            world.AttachOci11(image, layers);
        }
    }

    /// <summary>A good signature by somebody nobody asked for.</summary>
    private static Layer Stranger(World world, string image) => new SimpleForge(world, image)
    {
        Signer = new ForgedSigner(world) { Claims = claims => claims["job_workflow_ref"] = "somebody/else/.github/workflows/x.yml@refs/heads/main" },
    }.Make();

    private static JsonNode Report(World world) => JsonNode.Parse(File.ReadAllText(world.Folder["report.json"]))!;
}
