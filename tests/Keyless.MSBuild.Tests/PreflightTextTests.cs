using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>What a refusal before the push tells to paste: what helps in that place, and nothing else.</summary>
[TestClass]
public sealed class PreflightTextTests
{
    public required TestContext TestContext { get; init; }

    private static readonly string[] Titles =
    [
        "permissions:", "SignContainer=auto", "id_tokens:", "docker run -e BUILDKITE", "circleci run", "serviceAccountToken", "SPIFFE_ENDPOINT_SOCKET=unix:", "gcloud auth",
        "Azure Pipelines:", "SigstoreOidcProvider=interactive", "SIGSTORE_ID_TOKEN=\u2026", "ContainerSigningAcceptPublicLog>", "<ContainerRegistry>", "A token lives some minutes",
    ];

    private static readonly Dictionary<string, Action<World, KeylessPreflight>> Cases = new(StringComparer.Ordinal)
    {
        ["no permission"] = (world, _) => world.Environment.Remove("ACTIONS_ID_TOKEN_REQUEST_TOKEN"),
        ["fork"] = (world, _) => Event(world, """{ "pull_request": { "head": { "repo": { "full_name": "fork/example-repo" } } } }"""),
        ["fork, by name"] = (world, task) =>
        {
            Event(world, """{ "pull_request": { "head": { "repo": { "full_name": "fork/example-repo" } } } }""");
            task.SigstoreOidcProvider = "github-actions";
        },
        ["Dependabot"] = (world, _) => Event(world, """{ "pull_request": { "user": { "login": "dependabot[bot]" } } }"""),
        ["GitLab"] = (world, _) => Only(world, "GITLAB_CI"),
        ["GitLab, interactive"] = (world, task) =>
        {
            Only(world, "GITLAB_CI");
            task.SigstoreOidcProvider = "interactive";
        },
        ["GitLab, expired"] = (world, _) =>
        {
            Only(world, "GITLAB_CI");
            world.Environment["SIGSTORE_ID_TOKEN"] = world.Sandbox.Issuer.Places.CreateGitLabToken(lifetime: TimeSpan.FromMinutes(-1));
        },
        ["GitLab, about to expire"] = (world, _) =>
        {
            Only(world, "GITLAB_CI");
            world.Environment["SIGSTORE_ID_TOKEN"] = world.Sandbox.Issuer.Places.CreateGitLabToken(lifetime: TimeSpan.FromSeconds(5));
        },
        ["GitLab, foreign audience"] = (world, _) =>
        {
            Only(world, "GITLAB_CI");
            world.Environment["SIGSTORE_ID_TOKEN"] = world.Sandbox.Issuer.Places.CreateGitLabToken("https://gitlab.example");
        },
        ["GitLab, private"] = (world, task) =>
        {
            Only(world, "GITLAB_CI");
            world.Environment["SIGSTORE_ID_TOKEN"] = world.Sandbox.Issuer.Places.CreateGitLabToken(visibility: "private");
            PreflightTests.SignPublicly(world, task);
        },
        ["Azure Pipelines"] = (world, _) => Only(world, "TF_BUILD"),
        ["Buildkite"] = (world, _) => Only(world, "BUILDKITE"),
        ["CircleCI"] = (world, _) => Only(world, "CIRCLECI"),
        ["another system"] = (world, _) => Only(world, "CI"),
        ["desk"] = (world, _) => world.Environment.Clear(),
        ["desk, no file"] = (world, task) =>
        {
            world.Environment.Clear();
            task.SigstoreIdentityTokenFile = "missing";
        },
        ["desk, no agent"] = (world, task) =>
        {
            world.Environment.Clear();
            task.SigstoreOidcProvider = "SPIFFE";
        },
        ["desk, another account"] = (world, task) =>
        {
            world.Environment.Clear();
            world.Environment["GOOGLE_SERVICE_ACCOUNT_NAME"] = "other@example.com";
            task.SigstoreOidcProvider = "google";
        },
        ["desk, none"] = (world, task) =>
        {
            world.Environment.Clear();
            task.SigstoreOidcProvider = "none";
        },
        ["no registry"] = (_, task) => task.ContainerRegistry = "",
        ["archive"] = (_, task) => task.ContainerArchiveOutputPath = "hello.tar",
    };

    // The titles that are there, by number; and what the line says.
    [TestMethod]
    [DataRow("no permission", "KEYLESS1001", "0", "ACTIONS_ID_TOKEN_REQUEST_TOKEN is not set; the job lacks `id-token: write`")]
    [DataRow("fork", "KEYLESS1001", "1", "a pull request from a fork gets no identity, use SignContainer=auto there")]
    [DataRow("fork, by name", "KEYLESS1001", "1", "a pull request from a fork gets no identity, use SignContainer=auto there")]
    [DataRow("Dependabot", "KEYLESS1001", "1", "a run that Dependabot started gets no identity, use SignContainer=auto there")]
    [DataRow("GitLab", "KEYLESS1001", "2", "the job lacks `id_tokens: { SIGSTORE_ID_TOKEN: { aud: sigstore } }`")]
    [DataRow("GitLab, interactive", "KEYLESS1001", "2", "in a CI system nobody is there to log in; use auto")]
    [DataRow("GitLab, expired", "KEYLESS1003", "2 13", "; 60 s more are needed: get a fresh token right before signing")]
    [DataRow("GitLab, about to expire", "KEYLESS1003", "2 13", "; 60 s more are needed: get a fresh token right before signing")]
    [DataRow("GitLab, foreign audience", "KEYLESS1004", "2 13", "\"sigstore\" expected, https://gitlab.example found")]
    [DataRow("GitLab, private", "KEYLESS1006", "11", "the repository is private")]
    [DataRow("Azure Pipelines", "KEYLESS1001", "8", "or at a private instance")]
    [DataRow("Buildkite", "KEYLESS1001", "3", "BUILDKITE_AGENT_ACCESS_TOKEN is not set")]
    [DataRow("CircleCI", "KEYLESS1001", "4", "circleci run oidc get")]
    [DataRow("another system", "KEYLESS1001", "10", "put a token with audience \"sigstore\" there")]
    [DataRow("desk", "KEYLESS1001", "1 9 10", "this is no CI system that gives an identity")]
    [DataRow("desk, no file", "KEYLESS1001", "5", "there is no file '")]
    [DataRow("desk, no agent", "KEYLESS1001", "6", "set it to the agent's, such as unix:///run/spire/agent.sock")]
    [DataRow("desk, another account", "KEYLESS1001", "7", "GOOGLE_SERVICE_ACCOUNT_NAME is set")]
    [DataRow("desk, none", "KEYLESS1001", "", "SigstoreOidcProvider is none; remove it, or set SignContainer=false")]
    [DataRow("no registry", "KEYLESS5007", "12", "set ContainerRegistry, or SignContainer=false; a signature is kept beside the image in its registry")]
    [DataRow("archive", "KEYLESS5007", "12", "remove it, or set SignContainer=false; a signature is kept beside the image in its registry")]
    public async Task Tells_what_helps_in_that_place_and_nothing_else(string place, string code, string titles, string says)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessPreflight task = PreflightTests.Preflight(world, "true");
        Cases[place](world, task);

        string error = World.Refusal(task, code);

        Assert.Contains(says, error);
        Assert.DoesNotMatchRegex(@"\d\.\d+Z", error, "no fractions of seconds");
        string pasted = string.Concat(World.Log(task).Split('\n').Where(line => line.StartsWith("high: ", StringComparison.Ordinal)).Select(line => line + "\n"));
        Assert.AreEqual(titles, string.Join(' ', Titles.Index().Where(title => pasted.Contains(title.Item, StringComparison.Ordinal)).Select(title => title.Index)), pasted);
        Assert.AreEqual(titles.Length > 0, error.Contains("; what to paste is in obj/keyless/what-to-paste.md", StringComparison.Ordinal));
        TestContext.WriteLine(World.Log(task));
    }

    private static void Only(World world, string system)
    {
        world.Environment.Clear();
        world.Environment[system] = "true";
    }

    private static void Event(World world, string payload)
    {
        world.Environment.Remove("ACTIONS_ID_TOKEN_REQUEST_URL");
        world.Environment["GITHUB_EVENT_NAME"] = "pull_request";
        world.Environment["GITHUB_EVENT_PATH"] = world.Folder.Write("event.json", payload);
    }
}
