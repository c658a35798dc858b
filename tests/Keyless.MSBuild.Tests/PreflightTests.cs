using System.Text.RegularExpressions;
using Keyless.Testing;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

[TestClass]
public sealed class PreflightTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow("true")]
    [DataRow("True")]
    [DataRow("auto")]
    public async Task Lets_a_build_sign_that_has_all_it_needs_and_asks_nobody(string value)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessPreflight task = Preflight(world, value);

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.IsTrue(task.Sign);
        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot());
    }

    [TestMethod]
    [DataRow("ture", "did you mean true?")]
    [DataRow("yes", "expected false, true, auto or empty")]
    [DataRow(" true", "did you mean true?")]
    [DataRow("autp\nmatic", "autp\\u000amatic")]
    public async Task Refuses_a_misspelled_value(string value, string says)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);

        Assert.Contains(says, World.Refusal(Preflight(world, value), "KEYLESS5001"));
    }

    [TestMethod]
    public async Task Refuses_a_misspelled_value_where_no_container_is_published_and_looks_no_further()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();
        KeylessPreflight misspelled = Preflight(world, "ture");
        misspelled.PublishesContainer = false;
        KeylessPreflight right = Preflight(world, "true");
        right.PublishesContainer = false;

        World.Refusal(misspelled, "KEYLESS5001");
        Assert.IsTrue(right.Execute(), World.Log(right));
    }

    [TestMethod]
    public async Task Refuses_a_job_without_the_permission_and_says_which()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Remove("ACTIONS_ID_TOKEN_REQUEST_URL");

        string error = World.Refusal(Preflight(world, "true"), "KEYLESS1001");

        Assert.Contains("ACTIONS_ID_TOKEN_REQUEST_URL is not set", error);
        Assert.Contains("`id-token: write`", error);
    }

    [TestMethod]
    public async Task Auto_refuses_a_job_without_the_permission_too()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Remove("ACTIONS_ID_TOKEN_REQUEST_URL");

        World.Refusal(Preflight(world, "auto"), "KEYLESS1001");
    }

    [TestMethod]
    [DataRow("fork/example-repo", "example-org", "a pull request from a fork")]
    [DataRow("example-org/example-repo", "dependabot[bot]", "Dependabot")]
    public async Task Auto_says_why_it_does_not_sign_what_comes_from_outside(string head, string actor, string says)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Remove("ACTIONS_ID_TOKEN_REQUEST_URL");
        world.Environment["GITHUB_EVENT_NAME"] = "pull_request";
        world.Environment["GITHUB_ACTOR"] = actor;
        world.Environment["GITHUB_EVENT_PATH"] = world.Folder.Write("event.json", """{ "pull_request": { "head": { "repo": { "full_name": "HEAD" } } } }""".Replace("HEAD", head, StringComparison.Ordinal));
        KeylessPreflight task = Preflight(world, "auto");

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.IsFalse(task.Sign);
        Assert.Contains(says, World.Log(task));
    }

    [TestMethod]
    public async Task Auto_says_why_it_does_not_sign_at_a_desk()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();
        KeylessPreflight task = Preflight(world, "auto");

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.IsFalse(task.Sign);
        Assert.AreEqual("high: Keyless.MSBuild: SignContainer is auto, and the image is not signed: this is no CI system that gives an identity, and SIGSTORE_ID_TOKEN is not set\n", World.Log(task));
    }

    [TestMethod]
    public async Task Refuses_a_token_that_has_expired_before_anything_is_pushed()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();
        world.Environment["SIGSTORE_ID_TOKEN"] = world.Sandbox.Issuer.CreateToken(lifetime: TimeSpan.FromMinutes(-1));

        World.Refusal(Preflight(world, "true"), "KEYLESS1003");
    }

    [TestMethod]
    [DataRow("ContainerRegistry", "", "KEYLESS5007")]
    [DataRow("ContainerRegistry", "myregistry", "KEYLESS5006")]
    [DataRow("ContainerRepository", "Team/App", "KEYLESS5006")]
    [DataRow("ContainerArchiveOutputPath", "hello.tar", "KEYLESS5007")]
    [DataRow("SigstoreTufUrl", "https://tuf.example", "KEYLESS5009")]
    [DataRow("SigstoreInstance", "trusted_root.json", "KEYLESS2102")]
    [DataRow("ContainerSigningFormat", "both", "KEYLESS5003")]
    [DataRow("VerifyContainerBaseImage", "true", "KEYLESS5003")]
    public async Task Refuses_what_cannot_work_before_anything_is_pushed(string property, string value, string code)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessPreflight task = Preflight(world, "true");
        typeof(KeylessPreflight).GetProperty(property)!.SetValue(task, value);

        World.Refusal(task, code);
        Assert.IsFalse(task.Sign);
    }

    [TestMethod]
    public async Task Refuses_documents_that_do_not_belong_together_before_anything_is_pushed()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        await using World other = await World.StartAsync(TestContext.CancellationToken);
        KeylessPreflight task = Preflight(world, "true");
        task.SigstoreTrustedRoot = other.Folder["trusted_root.json"];

        Assert.Contains("the trusted root does not know", World.Refusal(task, "KEYLESS2102"));
    }

    [TestMethod]
    public async Task Refuses_a_signing_config_that_names_no_service_any_more()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Folder.Write("outdated.json", Regex.Replace(world.Sandbox.SigningConfig, "\"start\":\\s*\"20", "\"start\":\"30"));
        KeylessPreflight task = Preflight(world, "true");
        task.SigstoreSigningConfig = "outdated.json";

        Assert.Contains("names no service", World.Refusal(task, "KEYLESS2102"));
    }

    [TestMethod]
    [DataRow("SigstoreInstance", "public-goood", "expected public-good, staging or the path")]
    [DataRow("SigstoreInstance", "missing.json", "there is no such file")]
    [DataRow("SigstoreInstance", ".", "that is a folder")]
    public async Task Says_what_an_instance_can_be(string property, string value, string says)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessPreflight task = Preflight(world, "true");
        typeof(KeylessPreflight).GetProperty(property)!.SetValue(task, value);

        Assert.Contains(says, World.Refusal(task, "KEYLESS5012"));
    }

    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    public async Task Reads_no_more_of_a_file_than_a_trust_config_can_have()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessPreflight task = Preflight(world, "true");
        task.SigstoreInstance = "/dev/zero";

        World.Refusal(task, "KEYLESS2102");
    }

    [TestMethod]
    [DataRow("VerifyContainerBaseImage", "true", "KEYLESS5003")]
    [DataRow("VerifyContainerBaseImage", "ture", "KEYLESS5001")]
    [DataRow("AttestContainerProvenance", "true", "KEYLESS5003")]
    [DataRow("AttestContainerSbom", "true", "KEYLESS5003")]
    public async Task Refuses_what_is_not_built_yet_also_where_nothing_is_signed(string property, string value, string code)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessPreflight task = Preflight(world, "false");
        typeof(KeylessPreflight).GetProperty(property)!.SetValue(task, value);

        World.Refusal(task, code);
    }

    [TestMethod]
    public async Task Does_not_repeat_a_token_that_stands_where_a_path_belongs()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string token = world.Sandbox.Issuer.CreateToken();
        KeylessPreflight task = Preflight(world, "true");
        task.SigstoreIdentityTokenFile = token;

        World.Refusal(task, "KEYLESS5003");

        foreach (string part in token.Split('.'))
        {
            Assert.DoesNotContain(part, World.Log(task));
        }
    }

    private static KeylessPreflight Preflight(World world, string value) => new()
    {
        BuildEngine = new RecordingEngine(),
        EnvironmentVariable = world.Environment.GetValueOrDefault,
        ProjectDirectory = world.Folder.Path,
        SignContainer = value,
        PublishesContainer = true,
        ContainerRegistry = world.Sandbox.RegistryHost,
        ContainerRepository = "team/app",
        SigstoreInstance = "client_trust_config.json",
    };
}
