using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Testing;
using Microsoft.Build.Logging.StructuredLogger;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>The real thing: <c>dotnet publish</c> in a process of its own, with the package as it is shipped.</summary>
[TestClass]
public sealed class PublishTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    public async Task Publishes_signs_and_verifies()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);

        Published published = await PublishAsync(sandbox, "-p:SignContainer=true");

        Assert.AreEqual(0, published.Result.ExitCode, published.Result.ToString());
        string digest = sandbox.Registry.FindManifest("hello", "latest")!.Digest;
        Assert.HasCount(1, sandbox.Registry.Referrers("hello", digest));
        string image = $"{sandbox.RegistryHost}/hello@{digest}";
        Assert.Contains($"HelloContainer -> {image} (signed by {sandbox.Issuer.CertificateIdentity}, log index ", published.Result.Output);

        DotNetResult deployed = await Samples.DeployAsync(sandbox, image, sandbox.Issuer.CertificateIdentity, [], TestContext.CancellationToken, "-t:Deploy");
        Assert.AreEqual(0, deployed.ExitCode, deployed.ToString());
        Assert.Contains($"would deploy {image}", deployed.Output);
    }

    [TestMethod]
    public async Task Hands_the_signature_to_the_command_line()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);

        Published published = await PublishAsync(sandbox, "-p:SignContainer=true", "-getItem:SignedContainer", "-getProperty:ContainerSignedDigest");

        Assert.AreEqual(0, published.Result.ExitCode, published.Result.ToString());
        JsonNode output = JsonNode.Parse(published.Result.Output)!;
        string digest = sandbox.Registry.FindManifest("hello", "latest")!.Digest;
        Assert.AreEqual(digest, (string?)output["Properties"]!["ContainerSignedDigest"]);
        Assert.AreEqual($"{sandbox.RegistryHost}/hello@{digest}", (string?)output["Items"]!["SignedContainer"]![0]!["Identity"]);
        JsonNode signed = output["Items"]!["SignedContainer"]![0]!;
        Assert.AreEqual(digest, (string?)signed["Digest"]);
        Assert.AreEqual("application/vnd.oci.image.manifest.v1+json", (string?)signed["MediaType"]);
        Assert.AreEqual("", (string?)signed["Platform"]);
        Assert.AreEqual("latest", (string?)signed["Tags"]);
        Assert.AreEqual("bundle", (string?)signed["Format"]);
        Assert.IsTrue(File.Exists((string?)signed["BundlePath"]));
        Assert.AreEqual($"{sandbox.RegistryHost}/hello@{sandbox.Registry.Referrers("hello", digest).Single().Digest}", (string?)signed["SignatureReference"]);
        Assert.IsTrue(long.TryParse((string?)signed["LogIndex"], CultureInfo.InvariantCulture, out _));
        Assert.AreEqual(sandbox.Issuer.CertificateIdentity, (string?)signed["CertificateIdentity"]);
        Assert.AreEqual(sandbox.Issuer.Url, (string?)signed["CertificateOidcIssuer"]);
        Assert.IsTrue(DateTimeOffset.TryParseExact((string?)signed["SignedAt"], "yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out _));
    }

    [TestMethod]
    public async Task Verifies_without_compiling_anything()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);

        DotNetResult deployed = await Samples.DeployAsync(sandbox, sandbox.BaseImage, "https://example.com/nobody", [], TestContext.CancellationToken);

        Assert.AreEqual(1, deployed.ExitCode, deployed.ToString());
        Assert.Contains("error KEYLESS4001: ", deployed.ErrorLines.Single());
        Assert.DoesNotContain("CoreCompile", deployed.Output);
        Assert.DoesNotContain("DeployVerified.dll", deployed.Output);
    }

    [TestMethod]
    public async Task Keeps_the_list_of_refused_signatures_beside_what_the_build_makes()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.PushSigned(), folder = $"{world.Folder["intermediate"]}/";

        DotNetResult deployed = await Samples.DeployAsync(world.Sandbox, image, "https://example.com/nobody", [$"-p:IntermediateOutputPath={folder}"], TestContext.CancellationToken);

        Assert.AreEqual(1, deployed.ExitCode, deployed.ToString());
        Assert.Contains($"every signature is listed in {folder}keyless/refused-images.txt", deployed.ErrorLines.Single());
        Assert.Contains("refused at policy (policy.identity)", await File.ReadAllTextAsync($"{folder}keyless/refused-images.txt", TestContext.CancellationToken));
    }

    [TestMethod]
    public async Task Signs_nothing_unless_asked()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);

        Published published = await PublishAsync(sandbox);

        Assert.AreEqual(0, published.Result.ExitCode, published.Result.ToString());
        Assert.IsEmpty(sandbox.Registry.Referrers("hello", sandbox.Registry.FindManifest("hello", "latest")!.Digest));
        Assert.DoesNotContain("Keyless", published.Result.Output);
        Assert.IsEmpty(sandbox.Traffic.Snapshot().Where(exchange => exchange.Part != "registry").ToArray());
    }

    [TestMethod]
    [DataRow("", false)]
    [DataRow("true", true)]
    public async Task Loads_no_task_unless_asked(string sign, bool loads)
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);

        Published published = await PublishAsync(sandbox, $"-p:SignContainer={sign}", "-v:diag");

        Assert.AreEqual(0, published.Result.ExitCode, published.Result.ToString());
        Assert.AreEqual(loads, published.Result.Output.Contains("Using \"Keyless.MSBuild.", StringComparison.Ordinal));
    }

    [TestMethod]
    public async Task A_token_is_in_no_binary_log()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);
        string token = sandbox.Issuer.CreateToken();
        using var folder = new TemporaryFolder();
        var environment = new Dictionary<string, string> { ["SIGSTORE_ID_TOKEN"] = token };

        Published published = await Samples.PublishAsync(
            sandbox, environment, ["-p:SignContainer=true", $"-bl:{folder["build.binlog"]}"], TestContext.CancellationToken);

        Assert.AreEqual(0, published.Result.ExitCode, published.Result.ToString());
        string log = await UnpackAsync(folder["build.binlog"]);
        Assert.Contains("KeylessSignContainer", log);
        foreach (string part in (string[])[token, .. token.Split('.')])
        {
            Assert.DoesNotContain(part, log);
            Assert.DoesNotContain(part, published.Result.Output);
        }
    }

    [TestMethod]
    public async Task Neither_token_of_a_GitHub_job_is_in_the_most_talkative_logs()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);
        using var folder = new TemporaryFolder();

        Published published = await PublishAsync(sandbox, "-p:SignContainer=true", "-v:diagnostic", $"-bl:{folder["build.binlog"]}");

        Assert.AreEqual(0, published.Result.ExitCode, published.Result.ToString());
        foreach (string log in (string[])[await UnpackAsync(folder["build.binlog"]), published.Result.Output])
        {
            Assert.Contains("KeylessSignContainer", log);
            Assert.DoesNotContain(sandbox.Issuer.RequestToken, log);
            // Nor the token that was had for it: header and claims begin with `{"`.
            Assert.DoesNotMatchRegex(@"eyJ[\w-]+\.eyJ[\w-]+", log);
        }
    }

    [TestMethod]
    [DataRow("SignContainer=ture", "-t:PublishContainer")]
    [DataRow("SignContainer=ture", "-v:minimal")] // a folder publish
    [DataRow("SignContainer=yes", "-t:PublishContainer")]
    [DataRow("VerifyContainerBaseImage=ture", "-t:PublishContainer")]
    [DataRow("VerifyContainerBaseImage=ture", "-v:minimal")]
    public async Task A_misspelled_switch_fails_before_anything_is_pushed(string property, string target)
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);

        Published published = await Samples.PublishAsync(sandbox, sandbox.Environment, [$"-p:{property}"], TestContext.CancellationToken, target);

        MustBeRefused(published, "KEYLESS5001");
        Assert.IsNull(sandbox.Registry.FindManifest("hello", "latest"));
    }

    [TestMethod]
    public async Task A_missing_permission_fails_before_anything_is_pushed()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);
        Dictionary<string, string> environment = sandbox.Environment.ToDictionary();
        environment.Remove("ACTIONS_ID_TOKEN_REQUEST_URL");

        Published published = await Samples.PublishAsync(sandbox, environment, ["-p:SignContainer=true"], TestContext.CancellationToken);

        MustBeRefused(published, "KEYLESS1001");
        Assert.IsNull(sandbox.Registry.FindManifest("hello", "latest"));
    }

    [TestMethod]
    [DataRow(false, "Csc KeylessPreflight")]
    [DataRow(true, "KeylessPreflight")]
    public async Task A_missing_permission_fails_before_anything_is_compiled(bool missing, string tasks)
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);
        using var folder = new TemporaryFolder();
        Dictionary<string, string> environment = sandbox.Environment.ToDictionary();
        if (missing)
        {
            environment.Remove("ACTIONS_ID_TOKEN_REQUEST_URL");
        }

        DotNetResult published = await Samples.PublishFromSourceAsync(sandbox, environment, ["-p:SignContainer=true", $"-bl:{folder["build.binlog"]}"], TestContext.CancellationToken);

        Assert.AreEqual(missing ? 1 : 0, published.ExitCode, published.ToString());
        Build build = BinaryLog.ReadBuild(folder["build.binlog"]);
        var ran = new SortedSet<string>(StringComparer.Ordinal);
        build.VisitAllChildren<Microsoft.Build.Logging.StructuredLogger.Task>(task => ran.Add(task.Name.Split('.')[^1]));
        Assert.AreEqual(tasks, string.Join(' ', ran.Intersect(["Csc", "KeylessPreflight"]).Order(StringComparer.Ordinal)));
        if (missing)
        {
            string error = Assert.ContainsSingle(published.ErrorLines, published.ToString());
            Assert.Contains("error KEYLESS1001: ", error);
            Assert.Contains("keyless/what-to-paste.md", error);
            Assert.IsNull(sandbox.Registry.FindManifest("hello", "latest"));
        }
    }

    [TestMethod]
    [DataRow(-1, "sigstore", "KEYLESS1003")]
    [DataRow(5, "https://github.com/example-org", "KEYLESS1004")]
    public async Task A_token_that_is_no_good_fails_before_anything_is_pushed(int minutes, string audience, string code)
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);
        var environment = new Dictionary<string, string> { ["SIGSTORE_ID_TOKEN"] = sandbox.Issuer.CreateToken(audience, lifetime: TimeSpan.FromMinutes(minutes)) };

        Published published = await Samples.PublishAsync(sandbox, environment, ["-p:SignContainer=true"], TestContext.CancellationToken);

        MustBeRefused(published, code);
        Assert.IsNull(sandbox.Registry.FindManifest("hello", "latest"));
    }

    [TestMethod]
    public async Task No_registry_fails_before_anything_is_pushed()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);

        Published published = await PublishAsync(sandbox, "-p:SignContainer=true", "-p:ContainerRegistry=");

        MustBeRefused(published, "KEYLESS5007");
    }

    [TestMethod]
    [DataRow("fulcio", false, "KEYLESS2001")]
    [DataRow("rekor-v2", true, "KEYLESS2003")]
    [DataRow("timestamp", true, "KEYLESS2003")]
    public async Task A_service_that_is_down_or_answers_nonsense_leaves_the_image_unsigned_and_says_so(string part, bool html, string code)
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);
        LoopbackServer server = sandbox.Servers.Single(server => server.Part == part);
        if (html)
        {
            server.Intercept = World.Answer(200, "text/html", "<html>\n<body>Please log in</body>\n</html>");
        }
        else
        {
            await server.StopAsync(TestContext.CancellationToken);
        }

        Published published = await PublishAsync(sandbox, "-p:SignContainer=true");

        MustBeRefused(published, code);
        Assert.IsEmpty(sandbox.Registry.Referrers("hello", sandbox.Registry.FindManifest("hello", "latest")!.Digest));
    }

    [TestMethod]
    public async Task The_target_alone_has_nothing_to_sign_and_names_the_command()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);

        Published published = await Samples.PublishAsync(sandbox, sandbox.Environment, [], TestContext.CancellationToken, "-t:SignContainer");

        MustBeRefused(published, "KEYLESS5005");
        Assert.Contains("dotnet publish -t:PublishContainer -p:SignContainer=true", published.Result.Output);
    }

    [TestMethod]
    public async Task Verifies_by_itself_before_a_build_when_told_so()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);

        DotNetResult build = await Samples.DeployAsync(sandbox, sandbox.BaseImage, sandbox.Issuer.CertificateIdentity, ["-p:VerifyContainerImages=true"], TestContext.CancellationToken, "-t:Build");

        Assert.AreEqual(1, build.ExitCode, build.ToString());
        Assert.Contains("error KEYLESS4001: ", build.ErrorLines.Single());
    }

    [TestMethod]
    [DataRow("-p:VerifyContainerImages=true", 0, "has no ContainerImageToVerify: nothing is verified")]
    [DataRow("-p:VerifyContainerImages=ture", 1, "error KEYLESS5001: VerifyContainerImages is 'ture'")]
    public async Task Says_that_a_project_has_nothing_to_verify_and_refuses_a_misspelled_switch(string property, int exitCode, string says)
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);

        DotNetResult build = await Samples.DeployAsync(sandbox, "", sandbox.Issuer.CertificateIdentity, [property], TestContext.CancellationToken, "-t:Build");

        Assert.AreEqual(exitCode, build.ExitCode, build.ToString());
        Assert.Contains(says, build.Output);
    }

    [TestMethod]
    public async Task A_protection_that_is_not_built_yet_is_refused_whether_or_not_the_build_signs()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);

        Published published = await PublishAsync(sandbox, "-p:AttestContainerProvenance=true");

        MustBeRefused(published, "KEYLESS5003");
        Assert.IsEmpty(sandbox.Registry.Tags("hello"));
    }

    [TestMethod]
    public async Task A_push_after_the_signing_is_noticed()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);
        using var folder = new TemporaryFolder();
        string pushedBefore = $"{sandbox.BaseImage.Split(':')[0]}:{sandbox.BaseImage.Split(':')[1]}@{sandbox.Registry.FindManifest("keyless/base", "1")!.Digest}";
        string targets = folder.Write("before.targets", $"""<Project><ItemGroup><ContainerToSign Include="{pushedBefore}" /></ItemGroup></Project>""");

        Published published = await Samples.PublishAsync(
            sandbox, sandbox.Environment, ["-p:SignContainer=true", $"-p:CustomAfterMicrosoftCommonTargets={targets}"], TestContext.CancellationToken, "-t:SignContainer;PublishContainer");

        Assert.AreEqual(1, published.Result.ExitCode, published.Result.ToString());
        Assert.Contains("error KEYLESS5005: the image that was pushed is not signed", published.Result.ErrorLines.Single());
    }

    private Task<Published> PublishAsync(SandboxHost sandbox, params string[] properties) =>
        Samples.PublishAsync(sandbox, sandbox.Environment, properties, TestContext.CancellationToken);

    private static void MustBeRefused(Published published, string code)
    {
        Assert.AreEqual(1, published.Result.ExitCode, published.Result.ToString());
        string error = Assert.ContainsSingle(published.Result.ErrorLines, published.Result.ToString());
        Assert.Contains($": error {code}: ", error);
        Assert.Contains($"(docs/errors.md#{code.ToLowerInvariant()})", error);
        Assert.DoesNotContain("   at ", published.Result.Output);
        Assert.IsFalse(published.HasBundles);
    }

    internal static async Task<string> UnpackAsync(string binaryLog)
    {
        await using var gzip = new GZipStream(File.OpenRead(binaryLog), CompressionMode.Decompress);
        using var bytes = new MemoryStream();
        await gzip.CopyToAsync(bytes);
        // The strings in it are UTF-8; what is between them does not matter here.
        return Encoding.Latin1.GetString(bytes.ToArray());
    }
}
