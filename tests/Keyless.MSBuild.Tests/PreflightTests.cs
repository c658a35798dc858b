using System.Net;
using System.Text.Json.Nodes;
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

    // What a fork leaves behind when it is deleted, and a run of Dependabot's pull request that somebody else started.
    [TestMethod]
    [DataRow("pull_request", """{ "pull_request": { "head": { "repo": null } } }""", "a pull request from a fork")]
    [DataRow("pull_request_review", """{ "pull_request": { "head": { "repo": { "full_name": "fork/example-repo" } } } }""", "a pull request from a fork")]
    [DataRow("pull_request", """{ "pull_request": { "user": { "login": "dependabot[bot]" } } }""", "Dependabot")]
    [DataRow("pull_request_target", """{ "pull_request": { "user": { "login": "dependabot[bot]" } } }""", "Dependabot")]
    public async Task Tells_from_the_event_what_comes_from_outside(string name, string payload, string says)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Remove("ACTIONS_ID_TOKEN_REQUEST_URL");
        world.Environment["GITHUB_EVENT_NAME"] = name;
        world.Environment["GITHUB_EVENT_PATH"] = world.Folder.Write("event.json", payload);
        KeylessPreflight auto = Preflight(world, "auto");

        Assert.IsTrue(auto.Execute(), World.Log(auto));

        Assert.IsFalse(auto.Sign);
        Assert.Contains(says, World.Log(auto));
        Assert.Contains("use SignContainer=auto there", World.Refusal(Preflight(world, "true"), "KEYLESS1001"));
    }

    [TestMethod]
    [DataRow("pull_request_target", """{ "pull_request": { "head": { "repo": { "full_name": "fork/example-repo" } } } }""")]
    [DataRow("pull_request", """{ "pull_request": { "head": { "repo": { "full_name": "Example-Org/example-repo" } } } }""")]
    [DataRow("push", "{}")]
    [DataRow("pull_request", "not json")]
    public async Task Refuses_the_repositorys_own_job_without_permission(string name, string payload)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Remove("ACTIONS_ID_TOKEN_REQUEST_URL");
        world.Environment["GITHUB_EVENT_NAME"] = name;
        world.Environment["GITHUB_EVENT_PATH"] = world.Folder.Write("event.json", payload);

        Assert.Contains("the job lacks `id-token: write`", World.Refusal(Preflight(world, "auto"), "KEYLESS1001"));
    }

    [TestMethod]
    [DataRow("GITLAB_CI", "true", "the job lacks `id_tokens: { SIGSTORE_ID_TOKEN: { aud: sigstore } }`", true)]
    [DataRow("BUILDKITE", "true", "BUILDKITE_AGENT_ACCESS_TOKEN is not set", true)]
    [DataRow("TF_BUILD", "True", "Azure Pipelines gives no identity that a public Sigstore instance takes", false)]
    [DataRow("CIRCLECI", "true", "circleci run oidc get", false)]
    [DataRow("CI", "true", "this is no CI system that gives an identity", false)]
    public async Task Says_what_each_system_lacks_and_lets_auto_pass_where_it_gives_none(string variable, string value, string says, bool withheld)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();
        world.Environment[variable] = value;
        KeylessPreflight auto = Preflight(world, "auto");

        Assert.Contains(says, World.Refusal(Preflight(world, "true"), "KEYLESS1001"));
        Assert.AreEqual(!withheld, auto.Execute(), World.Log(auto));
        Assert.IsFalse(auto.Sign);
        Assert.Contains(says, World.Log(auto));
    }

    [TestMethod]
    [DataRow("true")]
    [DataRow("auto")]
    public async Task Leaves_what_to_paste_in_a_file_in_the_messages_and_on_the_page_of_the_run(string value)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Remove("ACTIONS_ID_TOKEN_REQUEST_URL");
        world.Environment["GITHUB_STEP_SUMMARY"] = world.Folder.Write("summary.md", "before\n");
        KeylessPreflight task = Preflight(world, value);
        task.PasteFile = "obj/net10.0/keyless/what-to-paste.md";

        string error = World.Refusal(task, "KEYLESS1001");

        Assert.Contains("what to paste is in obj/net10.0/keyless/what-to-paste.md", error);
        string file = await File.ReadAllTextAsync(world.Folder["obj/net10.0/keyless/what-to-paste.md"], TestContext.CancellationToken);
        string summary = WebUtility.HtmlDecode(await File.ReadAllTextAsync(world.Folder["summary.md"], TestContext.CancellationToken));
        Assert.StartsWith("before\n", summary);
        Assert.Contains("KEYLESS1001: no identity token: ACTIONS_ID_TOKEN_REQUEST_URL is not set", summary);
        foreach (string line in new[] { "      contents: read", "      packages: write", "      id-token: write", "the job that calls it must grant them too" })
        {
            Assert.Contains(line, file);
            Assert.Contains(line, summary);
            Assert.Contains(line, World.Log(task));
        }
    }

    [TestMethod]
    [DataRow("<script>alert(1)</script>")]
    [DataRow("`code` **bold** [link](https://evil.example) @team #1")]
    [DataRow("| a | b |")]
    [DataRow("\u202Egnp.exe")]
    public async Task What_a_refusal_repeats_is_text_on_the_page_of_the_run(string path)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment["GITHUB_STEP_SUMMARY"] = world.Folder["summary.md"];
        KeylessPreflight task = Preflight(world, "true");
        task.ContainerArchiveOutputPath = path;

        World.Refusal(task, "KEYLESS5007");

        string summary = await File.ReadAllTextAsync(world.Folder["summary.md"], TestContext.CancellationToken);
        string line = summary.Split('\n').Single(l => l.StartsWith("KEYLESS5007", StringComparison.Ordinal));
        foreach (char markup in "<>`*[]|@_!\u202E")
        {
            Assert.DoesNotContain(markup, line);
        }

        Assert.Contains(path.Replace("\u202E", "\\u202e", StringComparison.Ordinal), WebUtility.HtmlDecode(line));
    }

    [TestMethod]
    public async Task Leaves_the_page_of_the_run_alone_when_told_so()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Remove("ACTIONS_ID_TOKEN_REQUEST_URL");
        world.Environment["GITHUB_STEP_SUMMARY"] = world.Folder["summary.md"];
        KeylessPreflight task = Preflight(world, "true");
        task.ContainerSigningCIOutput = "false";

        World.Refusal(task, "KEYLESS1001");

        Assert.IsFalse(File.Exists(world.Folder["summary.md"]));
    }

    [TestMethod]
    public async Task Names_no_file_that_it_could_not_write()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Remove("ACTIONS_ID_TOKEN_REQUEST_URL");
        world.Folder.Write("obj", "a file where a folder should be");
        KeylessPreflight task = Preflight(world, "true");
        task.PasteFile = "obj/keyless/what-to-paste.md";

        Assert.DoesNotContain("what-to-paste", World.Refusal(task, "KEYLESS1001"));
    }

    [TestMethod]
    public async Task Asks_before_the_build_for_what_is_known_by_then_and_afterwards_for_the_rest()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessPreflight before = Preflight(world, "true"), after = Preflight(world, "true");
        (before.BeforeBuild, before.ContainerRegistry) = (true, "");
        (after.FoundBeforeBuild, after.ContainerRegistry) = ("true", "");

        Assert.IsTrue(before.Execute(), World.Log(before));
        Assert.IsTrue(before.Sign);
        Assert.Contains("kept beside the image in its registry; what to paste is in obj/keyless/what-to-paste.md (docs", World.Refusal(after, "KEYLESS5007"));
    }

    [TestMethod]
    public async Task Says_only_once_that_it_does_not_sign()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();
        KeylessPreflight after = Preflight(world, "auto");
        after.FoundBeforeBuild = "false";

        Assert.IsTrue(after.Execute(), World.Log(after));

        Assert.IsFalse(after.Sign);
        Assert.AreEqual("", World.Log(after));
    }

    [TestMethod]
    public async Task Asks_for_consent_before_a_private_repository_becomes_public()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment["GITHUB_EVENT_PATH"] = world.Folder.Write("event.json", """{ "repository": { "visibility": "private" } }""");
        KeylessPreflight task = Preflight(world, "true"), agreed = Preflight(world, "true"), privately = Preflight(world, "true");
        SignPublicly(world, task);
        SignPublicly(world, agreed);
        agreed.ContainerSigningAcceptPublicLog = "true";

        string error = World.Refusal(task, "KEYLESS1006");

        foreach (string published in (string[])["the repository is private", world.Signer, "example-org/example-repo", "https://github.com/example-org", "/actions/runs/"])
        {
            Assert.Contains(published, error);
        }

        Assert.IsTrue(agreed.Execute(), World.Log(agreed));
        Assert.IsTrue(privately.Execute(), World.Log(privately));
        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot());
    }

    [TestMethod]
    public async Task Asks_for_consent_before_a_private_project_of_GitLab_becomes_public()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();
        world.Environment["SIGSTORE_ID_TOKEN"] = world.Sandbox.Issuer.Places.CreateGitLabToken(visibility: "internal");
        KeylessPreflight task = Preflight(world, "true");
        SignPublicly(world, task);

        Assert.Contains("the repository is internal", World.Refusal(task, "KEYLESS1006"));
    }

    [TestMethod]
    public async Task Refuses_a_token_of_Azure_Pipelines_at_a_public_instance_and_names_the_alternatives()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();
        world.Environment["TF_BUILD"] = "True";
        world.Environment["SIGSTORE_ID_TOKEN"] = world.Sandbox.Issuer.CreateToken("api://AzureADTokenExchange", claims => claims["iss"] = "https://vstoken.dev.azure.com/11111111-0000-4000-8000-000000000000");
        KeylessPreflight task = Preflight(world, "true");
        SignPublicly(world, task);

        string error = World.Refusal(task, "KEYLESS1007");

        Assert.Contains("SigstoreOidcProvider=file, google or spiffe", error);
        Assert.Contains("at a private instance", error);
    }

    [TestMethod]
    public async Task Takes_a_token_for_whomever_a_private_Fulcio_names()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Sandbox.Issuer.FulcioAudience = "fulcio.example";
        world.Environment.Clear();
        world.Environment["SIGSTORE_ID_TOKEN"] = world.Sandbox.Issuer.CreateToken("fulcio.example");
        KeylessPreflight right = Preflight(world, "true");

        Assert.IsTrue(right.Execute(), World.Log(right));

        KeylessSignContainer signing = world.Sign(world.Push());
        Assert.IsTrue(signing.Execute(), World.Log(signing));
        world.Environment["SIGSTORE_ID_TOKEN"] = world.Sandbox.Issuer.CreateToken("somebody-else");
        Assert.Contains("\"fulcio.example\" expected, somebody-else found", World.Refusal(Preflight(world, "true"), "KEYLESS1004"));
    }

    [TestMethod]
    public async Task Asks_again_for_whom_a_private_Fulcio_names_where_tokens_are_made_anew()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Sandbox.Issuer.FulcioAudience = "fulcio.example";
        KeylessSignContainer task = world.Sign(world.Push());

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.AreEqual(2, world.Sandbox.Traffic.Snapshot().Count(exchange => exchange.Part == "issuer"));
    }

    [TestMethod]
    public async Task Auto_says_why_it_does_not_sign_at_a_desk()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();
        KeylessPreflight task = Preflight(world, "auto");

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.IsFalse(task.Sign);
        Assert.AreEqual("high: Keyless.MSBuild: SignContainer is auto, and the image is not signed: this is no CI system that gives an identity, and SIGSTORE_ID_TOKEN is not set; sign in CI, or put a token with audience \"sigstore\" there\n", World.Log(task));
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
    [DataRow("malformed", "{", "")]
    [DataRow("a helper that is not there, for the image", """{"credHelpers":{"REGISTRY":"keyless-is-not-there"}}""", "")]
    [DataRow("a helper that is not there, for the signatures", """{"credHelpers":{"signatures.example":"keyless-is-not-there"}}""", "signatures.example/team/signatures")]
    public async Task Refuses_credentials_that_cannot_be_read_before_anything_is_pushed(string what, string config, string signatures)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessPreflight task = Preflight(world, "true");
        task.ContainerSigningRepository = signatures;
        Assert.IsTrue(task.Execute(), $"{what}: {World.Log(task)}");
        world.Folder.Write("docker/config.json", config.Replace("REGISTRY", task.ContainerRegistry, StringComparison.Ordinal));
        world.Environment["DOCKER_CONFIG"] = world.Folder["docker"];

        KeylessPreflight refused = Preflight(world, "true");
        refused.ContainerSigningRepository = signatures;
        World.Refusal(refused, "KEYLESS3002");
        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot().Where(exchange => exchange.Part == "registry"));
    }

    [TestMethod]
    [DataRow("ContainerRegistry", "", "KEYLESS5007")]
    [DataRow("ContainerRegistry", "myregistry", "KEYLESS5006")]
    [DataRow("ContainerRepository", "Team/App", "KEYLESS5006")]
    [DataRow("ContainerArchiveOutputPath", "hello.tar", "KEYLESS5007")]
    [DataRow("SigstoreTufUrl", "https://tuf.example", "KEYLESS5009")]
    [DataRow("SigstoreInstance", "trusted_root.json", "KEYLESS2102")]
    [DataRow("ContainerSigningFormat", "both", "KEYLESS5009")]
    [DataRow("AttestContainerProvenance", "true", "KEYLESS5003")]
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
        world.Environment.Clear();
        KeylessPreflight task = Preflight(world, "true");
        task.SigstoreIdentityTokenFile = token;

        World.Refusal(task, "KEYLESS1001");

        foreach (string part in token.Split('.'))
        {
            Assert.DoesNotContain(part, World.Log(task));
        }
    }

    // The instance with the key of the public-good instance's CT log of 2022 in it: what is public is told by the keys.
    internal static void SignPublicly(World world, KeylessPreflight task)
    {
        JsonNode root = JsonNode.Parse(world.Sandbox.TrustedRoot)!;
        root["ctlogs"]!.AsArray().Add(JsonNode.Parse(
            """
            {"baseUrl":"https://ct.example","hashAlgorithm":"SHA2_256","logId":{"keyId":"3T0wasbHETJjGR4cmWc3AqJKXrjePK3/h4pygC8p7o4="},
             "publicKey":{"keyDetails":"PKIX_ECDSA_P256_SHA_256","validFor":{"start":"2022-10-20T00:00:00Z"},
             "rawBytes":"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEiPSlFi0CmFTfEjCUqF9HuCEcYXNKAaYalIJmBZ8yyezPjTqhxrKBpMnaocVtLJBI1eM3uXnQzQGAJdJ4gs9Fyw=="}}
            """));
        task.SigstoreTrustedRoot = world.Folder.Write("public_root.json", root.ToJsonString());
        task.SigstoreSigningConfig = "signing_config.json";
    }

    internal static KeylessPreflight Preflight(World world, string value) => new()
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
