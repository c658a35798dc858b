using System.Globalization;
using System.Text.RegularExpressions;
using Keyless.Sandbox;
using Microsoft.Build.Framework;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>Every place that can say who is building, from its own server to the certificate.</summary>
[TestClass]
public sealed class IdentityProviderTests
{
    public required TestContext TestContext { get; init; }

    /// <summary>Of each place: what stands in the certificate. The issuer is a path behind the sandbox's, the server of an Enterprise Server its host.</summary>
    public static IEnumerable<(string Provider, string Identity, string Issuer)> Places =>
    [
        ("github-actions", "https://github.com/example-org/example-repo/.github/workflows/publish.yml@refs/heads/main", ""),
        ("github-actions on Enterprise Server", "SERVER/example-org/example-repo/.github/workflows/publish.yml@refs/heads/main", "/_services/token"),
        ("buildkite", "https://buildkite.com/example-org/publish-app", "/buildkite"),
        ("environment", "https://gitlab.example/example-group/example-app//.gitlab-ci.yml@refs/heads/main", "/gitlab"),
        ("file", "https://kubernetes.io/namespaces/builds/serviceaccounts/publisher", "/kubernetes"),
        ("google", "publisher@example-project.iam.gserviceaccount.example", "/google"),
        ("spiffe", "spiffe://example.org/ns/builds/sa/publisher", "/spiffe"),
    ];

    [TestMethod]
    [DynamicData(nameof(Places))]
    public async Task Signs_as_whom_the_place_says(string provider, string identity, string issuer)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        await using IAsyncDisposable place = await GoToAsync(world, provider);
        KeylessSignContainer task = world.Sign(world.Push());
        task.SigstoreOidcProvider = provider.Split(' ')[0];
        SetTokenFile(world, task, provider);

        Assert.IsTrue(task.Execute(), World.Log(task));

        ITaskItem signed = task.SignedContainers.Single();
        Assert.AreEqual(identity.Replace("SERVER", world.Sandbox.Issuer.Url, StringComparison.Ordinal), signed.GetMetadata("CertificateIdentity"));
        Assert.AreEqual(world.Sandbox.Issuer.Url + issuer, signed.GetMetadata("CertificateOidcIssuer"));
    }

    [TestMethod]
    [DynamicData(nameof(Places))]
    public async Task Finds_the_place_by_itself_and_asks_nobody_where_it_is(string provider, string identity, string issuer)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        await using IAsyncDisposable place = await GoToAsync(world, provider);
        KeylessSignContainer task = world.Sign(world.Push());
        SetTokenFile(world, task, provider);
        KeylessPreflight preflight = PreflightTests.Preflight(world, "auto");
        preflight.SigstoreIdentityTokenFile = task.SigstoreIdentityTokenFile;

        Assert.IsTrue(preflight.Execute(), World.Log(preflight));
        Assert.IsTrue(preflight.Sign, World.Log(preflight));
        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot());
        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.AreEqual(world.Sandbox.Issuer.Url + issuer, task.SignedContainers.Single().GetMetadata("CertificateOidcIssuer"));
        Assert.AreEqual(identity.Replace("SERVER", world.Sandbox.Issuer.Url, StringComparison.Ordinal), task.SignedContainers.Single().GetMetadata("CertificateIdentity"));
    }

    [TestMethod]
    [DataRow("github-actions")]
    [DataRow("github-actions on Enterprise Server")]
    [DataRow("buildkite")]
    [DataRow("environment")]
    [DataRow("file")]
    [DataRow("google")]
    [DataRow("spiffe")]
    public async Task Leaves_no_token_in_the_log_in_outputs_or_in_files(string provider)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        await using IAsyncDisposable place = await GoToAsync(world, provider);
        KeylessSignContainer task = world.Sign(world.Push());
        SetTokenFile(world, task, provider);
        task.ContainerSigningReport = "signed.json";

        Assert.IsTrue(task.Execute(), World.Log(task));

        string[] files = [world.PathOf("signed.json"), .. Directory.GetFiles(world.PathOf("bundles"), "*", SearchOption.AllDirectories)];
        Assert.IsGreaterThan(1, files.Length);
        IEnumerable<string> outputs = task.SignedContainers.SelectMany(item => item.MetadataNames.Cast<string>().Select(item.GetMetadata));
        foreach (string text in (string[])[World.Log(task), .. outputs, .. files.Select(File.ReadAllText)])
        {
            // Header and claims of a token begin with `{"`; so does the payload of an envelope, but nothing with a dot follows it.
            Assert.DoesNotMatchRegex(@"eyJ[\w-]+\.eyJ[\w-]+", text);
            Assert.DoesNotContain(world.Sandbox.Issuer.RequestToken, text);
            Assert.DoesNotContain(world.Sandbox.Issuer.Places.BuildkiteToken, text);
        }
    }

    [TestMethod]
    public async Task Takes_the_first_of_several_places_in_a_fixed_order()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string[] order = ["github-actions", "buildkite", "environment", "file", "google", "spiffe"];
        var everywhere = new Dictionary<string, Dictionary<string, string>>(StringComparer.Ordinal);
        var places = new List<IAsyncDisposable>();
        foreach (string provider in order)
        {
            places.Add(await GoToAsync(world, provider));
            everywhere[provider] = new Dictionary<string, string>(world.Environment);
        }

        var found = new List<string>();
        for (int from = 0; from < order.Length; from++)
        {
            world.Environment.Clear();
            foreach ((string name, string value) in order[from..].SelectMany(provider => everywhere[provider]))
            {
                world.Environment[name] = value;
            }

            // What tells GitHub's and GitLab's jobs from the machines they run on has its own test.
            world.Environment.Remove("GITLAB_CI");
            world.Environment.Remove("BUILDKITE");
            KeylessSignContainer task = world.Sign(world.Push());
            task.SigstoreIdentityTokenFile = from <= 3 ? "token" : "";
            Assert.IsTrue(task.Execute(), World.Log(task));
            found.Add(task.SignedContainers.Single().GetMetadata("CertificateOidcIssuer")[world.Sandbox.Issuer.Url.Length..]);
        }

        Assert.AreEqual(" /buildkite /gitlab /kubernetes /google /spiffe", string.Join(' ', found));
        foreach (IAsyncDisposable place in places)
        {
            await place.DisposeAsync();
        }
    }

    [TestMethod]
    [DataRow("google")]
    [DataRow("spiffe")]
    public async Task A_job_without_permission_is_not_the_machine_it_runs_on(string provider)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        await using IAsyncDisposable place = await GoToAsync(world, provider);
        world.Environment["GITHUB_ACTIONS"] = "true";

        Assert.Contains("`id-token: write`", World.Refusal(world.Sign(world.Push()), "KEYLESS1001"));
    }

    [TestMethod]
    public async Task Follows_the_links_of_a_projected_token_when_it_is_renewed()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();
        // As the kubelet lays it out: token -> ..data/token, and ..data -> a folder that is replaced as a whole.
        world.Folder.Write("..old/token", world.Sandbox.Issuer.Places.CreateKubernetesToken(lifetime: TimeSpan.FromMinutes(-1)));
        world.Folder.Write("..new/token", world.Sandbox.Issuer.Places.CreateKubernetesToken() + "\n");
        Directory.CreateSymbolicLink(world.Folder["..data"], "..old");
        File.CreateSymbolicLink(world.Folder["token"], "..data/token");
        KeylessSignContainer expired = world.Sign(world.Push()), renewed = world.Sign(world.Push());
        expired.SigstoreIdentityTokenFile = renewed.SigstoreIdentityTokenFile = "token";

        World.Refusal(expired, "KEYLESS1003");
        Directory.Delete(world.Folder["..data"]);
        Directory.CreateSymbolicLink(world.Folder["..data"], "..new");

        Assert.IsTrue(renewed.Execute(), World.Log(renewed));
    }

    [TestMethod]
    [DataRow("file", "missing", "KEYLESS1001", "there is no file '")]
    [DataRow("file", "empty", "KEYLESS1002", "is empty")]
    [DataRow("file", "large", "KEYLESS1002", "has more than 16384 bytes")]
    [DataRow("file", "no-token", "KEYLESS1002", "three parts separated by dots expected")]
    [DataRow("auto", "missing", "KEYLESS1001", "there is no file '")]
    public async Task Refuses_a_file_that_is_no_token(string provider, string file, string code, string says)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();
        world.Folder.Write("empty", "\n");
        world.Folder.Write("large", new string('a', 20_000));
        world.Folder.Write("no-token", "canary-secret");
        KeylessSignContainer task = world.Sign(world.Push());
        (task.SigstoreOidcProvider, task.SigstoreIdentityTokenFile) = (provider, file);

        Assert.Contains(says, World.Refusal(task, code));
        Assert.DoesNotContain("canary", World.Log(task));
    }

    [TestMethod]
    public async Task Refuses_a_token_file_beside_another_provider()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessSignContainer task = world.Sign(world.Push());
        (task.SigstoreOidcProvider, task.SigstoreIdentityTokenFile) = ("github-actions", "token");

        World.Refusal(task, "KEYLESS5009");
    }

    [TestMethod]
    [DataRow("buildkite", "BUILDKITE_JOB_ID", null, "KEYLESS1001", "BUILDKITE_JOB_ID is not set")]
    [DataRow("buildkite", "BUILDKITE_AGENT_ACCESS_TOKEN", null, "KEYLESS1001", "BUILDKITE_AGENT_ACCESS_TOKEN is not set")]
    [DataRow("buildkite", "BUILDKITE_AGENT_ACCESS_TOKEN", "canary", "KEYLESS1005", "status 401")]
    [DataRow("buildkite", "BUILDKITE_AGENT_ACCESS_TOKEN", "canary\r\nX: y", "KEYLESS1005", "is not a bearer token")]
    [DataRow("buildkite", "BUILDKITE_JOB_ID", "canary/../..", "KEYLESS1005", "BUILDKITE_JOB_ID is not a job's id")]
    [DataRow("buildkite", "BUILDKITE_AGENT_ENDPOINT", "http://agent.example/canary", "KEYLESS1005", "BUILDKITE_AGENT_ENDPOINT is not an https URL")]
    [DataRow("google", "GCE_METADATA_HOST", "127.0.0.1:1", "KEYLESS1005", "the connection was refused")]
    [DataRow("google", "GCE_METADATA_HOST", "user@host/canary?", "KEYLESS1005", "GCE_METADATA_HOST is neither a host nor")]
    [DataRow("google", "GOOGLE_SERVICE_ACCOUNT_NAME", "other@example.com", "KEYLESS1001", "signing as another account than the machine's is not built")]
    [DataRow("spiffe", "SPIFFE_ENDPOINT_SOCKET", "unix:///nowhere/agent.sock", "KEYLESS1005", "cannot be reached")]
    [DataRow("spiffe", "SPIFFE_ENDPOINT_SOCKET", "tcp://127.0.0.1:8080", "KEYLESS1005", "is not the address of a Unix socket")]
    public async Task Refuses_what_a_place_gives_otherwise(string provider, string variable, string? value, string code, string says)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        await using IAsyncDisposable place = await GoToAsync(world, provider);
        world.Environment.Remove(variable);
        if (value is not null)
        {
            world.Environment[variable] = value;
        }

        KeylessSignContainer task = world.Sign(world.Push());
        task.SigstoreOidcProvider = provider;

        Assert.Contains(says, World.Refusal(task, code));
        Assert.DoesNotContain("canary", World.Log(task));
    }

    [TestMethod]
    public async Task Says_that_the_agent_does_not_know_this_process()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        await using SpiffeAgent agent = await SpiffeAgent.StartAsync(world.Folder["agent.sock"], _ => null, TestContext.CancellationToken);
        world.Environment.Clear();
        world.Environment["SPIFFE_ENDPOINT_SOCKET"] = agent.Address;

        Assert.Contains("the agent knows no identity for this process (PermissionDenied)", World.Refusal(world.Sign(world.Push()), "KEYLESS1005"));
    }

    [TestMethod]
    [DataRow("https://accounts.example/login")]
    [DataRow(null)]
    public async Task A_person_logs_in_with_a_browser(string? connector)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();
        world.Sandbox.Issuer.Dex.Connector = connector;
        KeylessSignContainer task = SignInPerson(world);
        task.OpenBrowser = FollowRedirects();

        Assert.IsTrue(task.Execute(), World.Log(task));

        ITaskItem signed = task.SignedContainers.Single();
        Assert.AreEqual("person@example.com", signed.GetMetadata("CertificateIdentity"));
        Assert.AreEqual(connector ?? world.Sandbox.Issuer.Dex.Url, signed.GetMetadata("CertificateOidcIssuer"));
    }

    [TestMethod]
    public async Task A_person_without_a_browser_logs_in_on_another_device()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();
        KeylessSignContainer task = SignInPerson(world);
        task.OpenBrowser = _ => false;
        Task<bool> running = Task.Run(task.Execute, TestContext.CancellationToken);
        Match shown;
        while (!(shown = Regex.Match(World.Log(task), "to log in, open (?<page>[^ ]+) and enter (?<code>[^ ]+)")).Success && !running.IsCompleted)
        {
            await Task.Delay(20, TestContext.CancellationToken);
        }

        Assert.AreEqual($"{world.Sandbox.Issuer.Dex.Url}/device", shown.Groups["page"].Value, World.Log(task));
        Assert.IsTrue(world.Sandbox.Issuer.Dex.Approve(shown.Groups["code"].Value));
        Assert.IsTrue(await running, World.Log(task));
        Assert.AreEqual("person@example.com", task.SignedContainers.Single().GetMetadata("CertificateIdentity"));
    }

    [TestMethod]
    public async Task Refuses_a_login_that_somebody_else_began()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();
        KeylessSignContainer task = SignInPerson(world);
        task.OpenBrowser = FollowRedirects(page => Regex.Replace(page, "state=[^&]+", "state=of-somebody-else"));

        Assert.Contains("nvalid state", World.Refusal(task, "KEYLESS1005"));
    }

    [TestMethod]
    public async Task Refuses_a_token_of_another_login()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();
        world.Sandbox.Issuer.Dex.Adjust = claims => claims["nonce"] = "of-another-login";
        KeylessSignContainer task = SignInPerson(world);
        task.OpenBrowser = FollowRedirects();

        Assert.Contains("the token is not of this login (nonce)", World.Refusal(task, "KEYLESS1005"));
    }

    [TestMethod]
    public async Task Refuses_an_address_that_the_login_has_not_verified()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();
        world.Sandbox.Issuer.Dex.Adjust = claims => claims["email_verified"] = false;
        KeylessSignContainer task = SignInPerson(world);
        task.OpenBrowser = FollowRedirects();

        Assert.Contains("its e-mail address is not verified", World.Refusal(task, "KEYLESS1002"));
    }

    [TestMethod]
    public async Task Waits_for_nobody_in_a_CI_system()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();
        world.Environment["CI"] = "true";
        KeylessSignContainer task = SignInPerson(world);
        task.OpenBrowser = _ => throw new InvalidOperationException("no browser is opened in CI");

        Assert.Contains("in a CI system nobody is there to log in", World.Refusal(task, "KEYLESS1001"));
        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot().Where(exchange => exchange.Part == "issuer").ToArray());
    }

    [TestMethod]
    public async Task Opens_no_browser_unless_asked_by_name()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();
        KeylessSignContainer task = world.Sign(world.Push());
        task.OpenBrowser = _ => throw new InvalidOperationException("nobody asked for a browser");

        World.Refusal(task, "KEYLESS1001");
    }

    private static KeylessSignContainer SignInPerson(World world)
    {
        KeylessSignContainer task = world.Sign(world.Push());
        task.SigstoreOidcProvider = "interactive";
        return task;
    }

    /// <summary>A browser without a window: what it is sent to it opens, as changed by <paramref name="change"/>.</summary>
    private Func<Uri, bool> FollowRedirects(Func<string, string>? change = null) => page =>
    {
        _ = Task.Run(async () =>
        {
            using var client = new HttpClient();
            await client.GetStringAsync(change is null ? page.AbsoluteUri : change(page.AbsoluteUri), TestContext.CancellationToken);
        }, TestContext.CancellationToken);
        return true;
    };

    /// <summary>Leaves GitHub's cloud and sets what a job reads in that place.</summary>
    private async Task<IAsyncDisposable> GoToAsync(World world, string provider)
    {
        OidcIssuer issuer = world.Sandbox.Issuer;
        if (provider == "github-actions")
        {
            return new Nothing();
        }

        Dictionary<string, string> environment = world.Environment;
        bool enterprise = provider.Contains("Enterprise", StringComparison.Ordinal);
        if (!enterprise)
        {
            environment.Clear();
        }

        switch (provider)
        {
            case "buildkite":
                environment["BUILDKITE"] = "true";
                environment["BUILDKITE_AGENT_ACCESS_TOKEN"] = issuer.Places.BuildkiteToken;
                environment["BUILDKITE_AGENT_ENDPOINT"] = $"{issuer.Url}/buildkite/v3";
                environment["BUILDKITE_JOB_ID"] = issuer.Places.BuildkiteJob;
                break;
            case "environment":
                environment["GITLAB_CI"] = "true";
                environment["SIGSTORE_ID_TOKEN"] = issuer.Places.CreateGitLabToken();
                break;
            case "file":
                world.Folder.Write("token", issuer.Places.CreateKubernetesToken());
                break;
            case "google":
                environment["GCE_METADATA_HOST"] = new Uri(issuer.Url).Authority;
                break;
            case "spiffe":
                SpiffeAgent agent = await SpiffeAgent.StartAsync(
                    world.Folder[$"{Guid.NewGuid().ToString("N", CultureInfo.InvariantCulture)[..8]}.sock"], audience => issuer.Places.CreateSpiffeToken(audience), TestContext.CancellationToken);
                environment["SPIFFE_ENDPOINT_SOCKET"] = agent.Address;
                return agent;
            default:
                environment["ACTIONS_ID_TOKEN_REQUEST_URL"] = issuer.Places.EnterpriseServerRequestUrl;
                environment["GITHUB_SERVER_URL"] = issuer.Url;
                break;
        }

        return new Nothing();
    }

    private static void SetTokenFile(World world, KeylessSignContainer task, string provider) =>
        task.SigstoreIdentityTokenFile = provider == "file" ? world.PathOf("token") : "";

    private sealed class Nothing : IAsyncDisposable
    {
        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
