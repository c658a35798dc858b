using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

[TestClass]
public sealed class SigningTaskTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    public async Task Attaches_a_bundle_to_the_image_and_says_so_in_one_line()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        KeylessSignContainer task = world.Sign(image);

        Assert.IsTrue(task.Execute(), World.Log(task));

        string line = World.Log(task).Split('\n').Single(line => line.StartsWith("high: ", StringComparison.Ordinal));
        Assert.StartsWith($"high: Hello -> {image} (signed by {world.Signer}, log index ", line);
        RegistryManifest referrer = world.Referrers(image).Single();
        JsonNode manifest = JsonNode.Parse(referrer.Bytes)!;
        Assert.AreEqual("application/vnd.dev.sigstore.bundle.v0.3+json", (string?)manifest["artifactType"]);
        Assert.AreEqual("application/vnd.oci.empty.v1+json", (string?)manifest["config"]!["mediaType"]);
        Assert.AreEqual("application/vnd.dev.sigstore.bundle.v0.3+json", (string?)manifest["layers"]![0]!["mediaType"]);
        Assert.AreEqual("dsse-envelope", (string?)manifest["annotations"]!["dev.sigstore.bundle.content"]);
        Assert.AreEqual("https://sigstore.dev/cosign/sign/v1", (string?)manifest["annotations"]!["dev.sigstore.bundle.predicateType"]);
        Assert.AreEqual(task.SignedContainers[0].GetMetadata("SignedAt"), (string?)manifest["annotations"]!["org.opencontainers.image.created"]);
    }

    [TestMethod]
    public async Task Tells_the_build_everything_about_the_signature()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        KeylessSignContainer task = world.Sign();
        (task.ContainerRegistry, task.ContainerRepository) = (world.Sandbox.RegistryHost, "team/app");
        task.GeneratedContainerDigest = image.Split('@')[1];
        task.ContainerImageTags = [new TaskItem("1.0"), new TaskItem("latest")];

        Assert.IsTrue(task.Execute(), World.Log(task));

        ITaskItem signed = task.SignedContainers.Single();
        Assert.AreEqual(image, signed.ItemSpec);
        Assert.AreEqual(image.Split('@')[1], task.ContainerSignedDigest);
        Assert.AreEqual(image.Split('@')[1], signed.GetMetadata("Digest"));
        Assert.AreEqual("application/vnd.oci.image.manifest.v1+json", signed.GetMetadata("MediaType"));
        Assert.AreEqual("1.0;latest", signed.GetMetadata("Tags"));
        Assert.AreEqual("bundle", signed.GetMetadata("Format"));
        Assert.AreEqual($"{world.Sandbox.RegistryHost}/team/app@{world.Referrers(image).Single().Digest}", signed.GetMetadata("SignatureReference"));
        Assert.AreEqual(world.Signer, signed.GetMetadata("CertificateIdentity"));
        Assert.AreEqual(world.Sandbox.Issuer.Url, signed.GetMetadata("CertificateOidcIssuer"));
        Assert.IsTrue(long.TryParse(signed.GetMetadata("LogIndex"), CultureInfo.InvariantCulture, out _));
    }

    [TestMethod]
    public async Task Finds_out_that_a_bundle_cannot_be_kept_before_anybody_is_asked()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessSignContainer task = world.Sign(world.Push());
        task.ContainerSigningBundleDirectory = "client_trust_config.json/bundles";

        World.Refusal(task, "KEYLESS5012");

        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot());
    }

    [TestMethod]
    public async Task Keeps_the_bundle_that_it_pushed_for_its_owner_alone()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        KeylessSignContainer task = world.Sign(image);

        Assert.IsTrue(task.Execute(), World.Log(task));

        string path = task.SignedContainers.Single().GetMetadata("BundlePath");
        Assert.AreEqual(world.Folder[$"bundles/{image.Split('@')[1].Replace(':', '-')}.bundle.sigstore.json"], path);
        string layer = (string)JsonNode.Parse(world.Referrers(image).Single().Bytes)!["layers"]![0]!["digest"]!;
        CollectionAssert.AreEqual(world.Sandbox.Registry.FindBlob("team/app", layer), await File.ReadAllBytesAsync(path, TestContext.CancellationToken));
        // And beside it that it is in the registry.
        Assert.AreSequenceEqual([path, $"{path}.attached"], Directory.GetFiles(world.Folder["bundles"]).Order().ToArray());
        if (!OperatingSystem.IsWindows())
        {
            Assert.AreEqual(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        }
    }

    [TestMethod]
    [DataRow("file")]
    [DataRow("file/bundles")]
    public async Task Says_in_one_line_that_a_bundle_cannot_be_kept_and_attaches_none(string directory)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Folder.Write("file", "not a folder");
        string image = world.Push();
        KeylessSignContainer task = world.Sign(image);
        task.ContainerSigningBundleDirectory = directory;

        StringAssert.Contains(World.Refusal(task, "KEYLESS5012"), "ContainerSigningBundleDirectory", StringComparison.Ordinal);

        Assert.IsEmpty(world.Referrers(image));
    }

    [TestMethod]
    public async Task Replaces_a_link_in_the_place_of_a_bundle_and_does_not_follow_it()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        string victim = world.Folder.Write("victim", "untouched");
        Directory.CreateDirectory(world.Folder["bundles"]);
        File.CreateSymbolicLink(world.Folder[$"bundles/{image.Split('@')[1].Replace(':', '-')}.bundle.sigstore.json"], victim);
        KeylessSignContainer task = world.Sign(image);

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.AreEqual("untouched", await File.ReadAllTextAsync(victim, TestContext.CancellationToken));
    }

    [TestMethod]
    public async Task Signs_an_index_and_every_manifest_in_it_with_one_certificate()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessSignContainer task = SignBaseImage(world);

        Assert.IsTrue(task.Execute(), World.Log(task));

        RegistryManifest index = world.Sandbox.Registry.FindManifest("keyless/base", "1")!;
        Assert.AreEqual(index.Digest, task.ContainerSignedDigest);
        Assert.HasCount(3, task.SignedContainers);
        Assert.AreEqual(",linux/amd64,linux/arm64", string.Join(',', task.SignedContainers.Select(item => item.GetMetadata("Platform"))));
        foreach (ITaskItem signed in task.SignedContainers)
        {
            Assert.HasCount(1, world.Referrers(signed.ItemSpec));
        }

        Assert.HasCount(1, world.Sandbox.Traffic.Snapshot().Where(exchange => exchange.Part == "fulcio").ToArray());
    }

    [TestMethod]
    public async Task Signs_the_index_alone_when_told_so()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessSignContainer task = SignBaseImage(world);
        task.ContainerSigningRecursive = "false";

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.AreEqual(world.Sandbox.Registry.FindManifest("keyless/base", "1")!.Digest, task.SignedContainers.Single().GetMetadata("Digest"));
    }

    [TestMethod]
    [DataRow("true", 3)]
    [DataRow("false", 1)]
    public async Task Signs_what_is_in_an_index_that_is_named(string recursive, int signatures)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string index = $"{world.Sandbox.RegistryHost}/keyless/base@{world.Sandbox.Registry.FindManifest("keyless/base", "1")!.Digest}";
        KeylessSignContainer task = world.Sign(index);
        task.ContainerSigningRecursive = recursive;

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.HasCount(signatures, task.SignedContainers.Select(item => item.ItemSpec).Distinct());
        Assert.AreEqual(index, task.SignedContainers[0].ItemSpec);
    }

    [TestMethod]
    public async Task Signs_each_digest_once_however_often_it_is_named()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        KeylessSignContainer task = world.Sign(image, image);

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.HasCount(1, task.SignedContainers);
        Assert.HasCount(1, world.Referrers(image));
    }

    [TestMethod]
    public async Task Lists_the_signature_under_the_fallback_tag_of_a_registry_without_referrers_api()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { ReferrersApi = false });
        string image = world.Push();
        KeylessSignContainer task = world.Sign(image);

        Assert.IsTrue(task.Execute(), World.Log(task));

        JsonNode index = JsonNode.Parse(world.Sandbox.Registry.FindManifest("team/app", image.Split('@')[1].Replace(':', '-'))!.Bytes)!;
        Assert.AreEqual("application/vnd.dev.sigstore.bundle.v0.3+json", (string?)index["manifests"]![0]!["artifactType"]);
    }

    [TestMethod]
    public async Task Uses_a_token_from_the_environment()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        UseStaticToken(world, world.Sandbox.Issuer.CreateToken());
        KeylessSignContainer task = world.Sign(world.Push());

        Assert.IsTrue(task.Execute(), World.Log(task));
    }

    [TestMethod]
    public async Task Puts_no_token_into_the_log()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string token = world.Sandbox.Issuer.CreateToken();
        UseStaticToken(world, token);
        world.Sandbox.FulcioServer.Intercept = World.Answer(400, "application/json", $$"""{"message":"no such token: {{token}}"}""");
        KeylessSignContainer task = world.Sign(world.Push());

        World.Refusal(task, "KEYLESS2002");

        foreach (string part in (string[])[token, .. token.Split('.')])
        {
            Assert.DoesNotContain(part, World.Log(task));
        }
    }

    [TestMethod]
    [DataRow("missing", "KEYLESS1001")]
    [DataRow("malformed", "KEYLESS1002")]
    [DataRow("expired", "KEYLESS1003")]
    [DataRow("foreign", "KEYLESS1004")]
    public async Task Refuses_to_sign_without_a_good_token_and_asks_nobody(string token, string code)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        UseStaticToken(world, token switch
        {
            "malformed" => "not a token",
            "expired" => world.Sandbox.Issuer.CreateToken(lifetime: TimeSpan.FromMinutes(-1)),
            "foreign" => world.Sandbox.Issuer.CreateToken("https://github.com/example-org"),
            _ => null,
        });
        string image = world.Push();

        World.Refusal(world.Sign(image), code);

        Assert.IsEmpty(world.Referrers(image));
        // A private Fulcio is asked for whom it takes tokens, without showing it one.
        string[] asked = [.. world.Sandbox.Traffic.Snapshot().Where(exchange => exchange.Part != "registry").Select(exchange => $"{exchange.Method} {exchange.Path}")];
        Assert.AreEqual(token == "foreign" ? "GET /api/v2/configuration" : "", string.Join(", ", asked));
        Assert.IsFalse(world.HasBundles);
    }

    [TestMethod]
    [DataRow("issuer", "KEYLESS1005")]
    [DataRow("fulcio", "KEYLESS2001")]
    [DataRow("rekor-v2", "KEYLESS2001")]
    [DataRow("timestamp", "KEYLESS2001")]
    [DataRow("registry", "KEYLESS3001")]
    public async Task Says_which_server_is_down_and_leaves_the_image_as_it_was(string part, string code)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        LoopbackServer server = world.Sandbox.Servers.Single(server => server.Part == part);
        await server.StopAsync(TestContext.CancellationToken);

        string error = World.Refusal(world.Sign(image), code);

        if (part != "issuer") // its address is the runner's business and may carry secrets
        {
            Assert.Contains(server.BaseUrl.Port.ToString(CultureInfo.InvariantCulture), error);
        }

        Assert.IsEmpty(world.Referrers(image));
        Assert.IsFalse(world.HasBundles);
    }

    [TestMethod]
    [DataRow("issuer", "KEYLESS1005")]
    [DataRow("fulcio", "KEYLESS2003")]
    [DataRow("rekor-v2", "KEYLESS2003")]
    [DataRow("timestamp", "KEYLESS2003")]
    [DataRow("registry", "KEYLESS3005")]
    public async Task Says_which_server_answers_with_a_web_page_and_leaves_the_image_as_it_was(string part, string code)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        world.Sandbox.Servers.Single(server => server.Part == part).Intercept =
            World.Answer(200, "text/html", "<!DOCTYPE html>\r\n<html><body>Please log in</body></html>");

        World.Refusal(world.Sign(image), code);

        Assert.IsEmpty(world.Referrers(image));
        Assert.IsFalse(world.HasBundles);
    }

    [TestMethod]
    [DataRow("issuer", "KEYLESS1005")]
    [DataRow("fulcio", "KEYLESS2002")]
    [DataRow("rekor-v2", "KEYLESS2002")]
    [DataRow("timestamp", "KEYLESS2002")]
    [DataRow("registry", "KEYLESS3002")]
    public async Task Says_which_server_refuses_and_leaves_the_image_as_it_was(string part, string code)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        world.Sandbox.Servers.Single(server => server.Part == part).Intercept = World.Answer(403, "application/json", """{"message":"go away\nnow"}""");

        World.Refusal(world.Sign(image), code);

        Assert.IsEmpty(world.Referrers(image));
    }

    [TestMethod]
    [DataRow(403, "KEYLESS3002")]
    [DataRow(500, "KEYLESS3001")]
    public async Task Logs_nothing_where_the_registry_would_not_say_what_it_has(int status, string code)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        world.Sandbox.RegistryServer.Intercept = context =>
        {
            if (context.Request.Method == "HEAD" && context.Request.Path.Value!.Contains("/blobs/", StringComparison.Ordinal))
            {
                context.Response.StatusCode = status;
            }

            return Task.CompletedTask;
        };

        World.Refusal(world.Sign(image), code);

        Assert.IsFalse(world.HasBundles);
        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot().Where(exchange => exchange.Part.StartsWith("rekor", StringComparison.Ordinal)).ToArray());
    }

    [TestMethod]
    public async Task Refuses_an_image_that_is_not_there_and_keeps_no_bundle()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        string missing = $"{image.Split('@')[0]}@sha256:{new string('0', 64)}";

        string error = World.Refusal(world.Sign(missing), "KEYLESS3003");

        Assert.Contains(new string('0', 64), error);
        Assert.IsFalse(world.HasBundles);
        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot().Where(exchange => exchange.Part.StartsWith("rekor", StringComparison.Ordinal)).ToArray());
    }

    [TestMethod]
    [DataRow("localhost:5000/app:latest", "tag")]
    [DataRow("localhost:5000/app", "tag")]
    [DataRow("localhost:5000/App@sha256:0000000000000000000000000000000000000000000000000000000000000000", "lower case")]
    [DataRow("https://localhost:5000/app", "scheme")]
    [DataRow("localhost:5000/app@sha256:12", "sha256:")]
    public async Task Refuses_a_reference_that_is_not_enough(string reference, string says)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);

        string error = World.Refusal(world.Sign(reference), "KEYLESS5006");

        Assert.Contains(says, error);
        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot());
    }

    [TestMethod]
    public async Task Refuses_when_there_is_nothing_to_sign()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        Assert.Contains("dotnet publish -t:PublishContainer -p:SignContainer=true", World.Refusal(world.Sign(), "KEYLESS5005"));
    }

    [TestMethod]
    public async Task Refuses_what_went_into_an_archive()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessSignContainer task = SignBaseImage(world);
        task.GeneratedArchiveOutputPath = "/tmp/hello.tar";
        World.Refusal(task, "KEYLESS5007");
    }

    [TestMethod]
    public async Task Refuses_what_went_to_the_local_daemon()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessSignContainer task = SignBaseImage(world);
        task.ContainerRegistry = "";
        World.Refusal(task, "KEYLESS5007");
    }

    [TestMethod]
    public async Task Refuses_metadata_nobody_reads()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessSignContainer task = world.Sign(world.Push());
        var annotation = new TaskItem("env");
        annotation.SetMetadata("Vlaue", "prod");
        task.ContainerSigningAnnotations = [annotation];
        Assert.Contains("did you mean Value?", World.Refusal(task, "KEYLESS5002"));
    }

    [TestMethod]
    [DataRow("ContainerSigningFormat", "bundel", "KEYLESS5001")]
    [DataRow("ContainerSigningRecursive", "yes", "KEYLESS5001")]
    [DataRow("ContainerSigningRetryBudget", "5", "KEYLESS5001")]
    [DataRow("ContainerSigningRepository", "localhost:5000/signatures:1.0", "KEYLESS5006")]
    [DataRow("ContainerSigningRepository", "localhost:5000/Signatures", "KEYLESS5006")]
    [DataRow("ContainerSigningSkipIfSigned", "perhaps", "KEYLESS5001")]
    [DataRow("ContainerSigningCIOutput", "maybe", "KEYLESS5001")]
    [DataRow("SignContainerBeforeTagging", "ture", "KEYLESS5001")]
    [DataRow("AttestContainerProvenance", "true", "KEYLESS5003")]
    [DataRow("AttestContainerSbom", "true", "KEYLESS5003")]
    [DataRow("SigstoreInstance", "missing.json", "KEYLESS5012")]
    [DataRow("SigstoreInstance", "trusted_root.json", "KEYLESS2102")]
    [DataRow("SigstoreInstance", "environment", "KEYLESS2102")]
    [DataRow("SigstoreTufUrl", "https://tuf.example", "KEYLESS5009")]
    [DataRow("SigstoreTufRoot", "root.json", "KEYLESS5009")]
    [DataRow("SigstoreOidcProvider", "github", "KEYLESS5001")]
    [DataRow("SigstoreOidcProvider", "none", "KEYLESS1001")]
    [DataRow("SigstoreOffline", "maybe", "KEYLESS5001")]
    public async Task Refuses_a_value_that_is_unknown_or_not_built_yet(string property, string value, string code)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        KeylessSignContainer task = world.Sign(image);
        typeof(KeylessSignContainer).GetProperty(property)!.SetValue(task, value);

        World.Refusal(task, code);

        Assert.IsEmpty(world.Referrers(image));
    }

    [TestMethod]
    public async Task Stops_when_the_build_is_cancelled()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        world.Sandbox.FulcioServer.Delay = TimeSpan.FromSeconds(20);
        KeylessSignContainer task = world.Sign(image);
        Task<bool> running = Task.Run(task.Execute, TestContext.CancellationToken);
        while (!world.Sandbox.Traffic.Snapshot().Any(exchange => exchange.Part == "issuer"))
        {
            await Task.Delay(20, TestContext.CancellationToken);
        }

        task.Cancel();

        Assert.IsFalse(await running.WaitAsync(TimeSpan.FromSeconds(10), TestContext.CancellationToken));
        Assert.DoesNotContain("error ", World.Log(task));
        Assert.IsEmpty(world.Referrers(image));
    }

    private static KeylessSignContainer SignBaseImage(World world)
    {
        RegistryManifest index = world.Sandbox.Registry.FindManifest("keyless/base", "1")!;
        KeylessSignContainer task = world.Sign();
        (task.ContainerRegistry, task.ContainerRepository) = (world.Sandbox.RegistryHost, "keyless/base");
        task.GeneratedImageIndex = Encoding.UTF8.GetString(index.Bytes);
        return task;
    }

    private static void UseStaticToken(World world, string? token)
    {
        world.Environment.Clear();
        if (token is not null)
        {
            world.Environment["SIGSTORE_ID_TOKEN"] = token;
        }
    }
}
