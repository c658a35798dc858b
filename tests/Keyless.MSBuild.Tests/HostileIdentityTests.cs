using System.Collections;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using System.Web;
using Keyless.Sandbox;
using Keyless.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.Build.Framework;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>Those who should give an identity, each broken in one way.</summary>
[TestClass]
public sealed class HostileIdentityTests
{
    public required TestContext TestContext { get; init; }

    private const string Ok = "HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\nConnection: close\r\n";

    public static IEnumerable<(string Provider, string Answer, string Code, string Says)> Answers =>
    [
        .. from provider in (string[])["github-actions", "buildkite"]
           from answer in ((string Answer, string Says)[])
           [
               ($"{Ok}Content-Type: text/html\r\n\r\n<html>canary</html>", "an HTML page"),
               ($"{Ok}Content-Length: 0\r\n\r\n", "something else than expected"),
               ($$"""{{Ok}}{{"\r\n\r\n"}}{"value":"canary","value":"canary"}""", "something else than expected"),
               ($$"""{{Ok}}{{"\r\n\r\n"}}{"value":7,"token":7}""", "something else than expected"),
           ]
           select (provider, answer.Answer, "KEYLESS1005", answer.Says),
        .. from provider in (string[])["github-actions", "buildkite", "google"]
           from answer in ((string Answer, string Says)[])
           [
               ("HTTP/1.1 302 Found\r\nMetadata-Flavor: Google\r\nLocation: http://127.0.0.1:1/canary\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "a redirect, which is not followed"),
               ($"{Ok}\r\n{new string('c', 65537)}", "with more than 65536 bytes"),
               ("canary canary canary\r\n\r\n", "answered something that is not HTTP"),
               ("", "broke the connection off"),
               ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ncan", "broke the connection off"),
               ("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "status 503"),
           ]
           select (provider, answer.Answer, "KEYLESS1005", answer.Says),
        ("github-actions", $$"""{{Ok}}{{"\r\n"}}{"value":"canary"}""", "KEYLESS1002", "three parts separated by dots expected"),
        ("google", $"{Ok}\r\n<html>canary</html>", "KEYLESS1002", "malformed identity token"),
        ("google", $"{Ok}Content-Length: 0\r\n\r\n", "KEYLESS1002", "malformed identity token"),
        // Whatever has that address elsewhere, a captive portal's name server say, is no metadata server.
        ("google", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\ncanary", "KEYLESS1005", "Metadata-Flavor"),
        ("google", "HTTP/1.1 200 OK\r\nMetadata-Flavor: canary\r\nConnection: close\r\n\r\ncanary", "KEYLESS1005", "Metadata-Flavor"),
    ];

    [TestMethod]
    [DynamicData(nameof(Answers))]
    public async Task Refuses_an_endpoint_that_answers_otherwise(string provider, string answer, string code, string says)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        using var server = new RawAnswer(answer);
        world.Environment.Clear();
        foreach ((string name, string value) in ((string, string)[])
        [
            ("ACTIONS_ID_TOKEN_REQUEST_URL", $"http://{server.Authority}/canary?api-version=2.0"), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "canary-request-token"),
            ("BUILDKITE_AGENT_ENDPOINT", $"http://{server.Authority}/v3"), ("BUILDKITE_AGENT_ACCESS_TOKEN", "canary-access-token"), ("BUILDKITE_JOB_ID", "1"),
            ("GCE_METADATA_HOST", server.Authority),
        ])
        {
            world.Environment[name] = value;
        }

        KeylessSignContainer task = world.Sign(world.Push());
        task.SigstoreOidcProvider = provider;

        Assert.Contains(says, World.Refusal(task, code));
        Assert.DoesNotContain("canary", World.Log(task));
    }

    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    public async Task Waits_for_no_pipe_that_nobody_writes_to()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();
        using (Process made = Process.Start("mkfifo", [world.Folder["pipe"]]))
        {
            await made.WaitForExitAsync(TestContext.CancellationToken);
        }

        KeylessSignContainer task = world.Sign(world.Push());
        (task.SigstoreOidcProvider, task.SigstoreIdentityTokenFile) = ("file", "pipe");
        Task<bool> running = Task.Run(task.Execute, TestContext.CancellationToken);

        Assert.IsFalse(await running.WaitAsync(TimeSpan.FromMinutes(1), TestContext.CancellationToken));
        Assert.Contains("KEYLESS1001: no identity token: the file '", World.Log(task));
        Assert.Contains("cannot be read", World.Log(task));
    }

    // Browsers open connections that they do not use yet, or not at all; and other programs knock.
    [TestMethod]
    public async Task A_login_is_not_held_up_by_who_connects_and_says_nothing()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();
        KeylessSignContainer task = SignInPerson(world);
        using var silent = new TcpClient();
        task.OpenBrowser = page =>
        {
            int port = new Uri(HttpUtility.ParseQueryString(page.Query)["redirect_uri"]!).Port;
            silent.Connect(IPAddress.Loopback, port);
            using (var rude = new TcpClient { LingerState = new LingerOption(true, 0) })
            {
                rude.Connect(IPAddress.Loopback, port);
                rude.GetStream().Write("GET /"u8);
            }

            _ = Task.Run(async () =>
            {
                using var browser = new HttpClient();
                using HttpResponseMessage icon = await browser.GetAsync(new Uri($"http://127.0.0.1:{port}/favicon.ico"), TestContext.CancellationToken);
                using HttpResponseMessage posted = await browser.PostAsync(new Uri($"http://127.0.0.1:{port}/auth/callback?code=x"), null, TestContext.CancellationToken);
                await browser.GetStringAsync(page, TestContext.CancellationToken);
            }, TestContext.CancellationToken);
            return true;
        };

        Assert.IsTrue(await Task.Run(task.Execute, TestContext.CancellationToken).WaitAsync(TimeSpan.FromMinutes(1), TestContext.CancellationToken), World.Log(task));
        Assert.AreEqual("person@example.com", task.SignedContainers.Single().GetMetadata("CertificateIdentity"));
    }

    [TestMethod]
    public async Task The_node_is_free_until_the_login_is_over()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();
        KeylessSignContainer task = SignInPerson(world), other = world.Sign(world.Push());
        YieldingEngine engine = new(), ofOther = new();
        (task.BuildEngine, other.BuildEngine) = (engine, ofOther);
        bool free = false;
        task.OpenBrowser = _ =>
        {
            free = engine.IsYielded;
            throw new InvalidOperationException("seen");
        };

        Assert.ThrowsExactly<InvalidOperationException>(() => task.Execute());
        other.Execute();

        Assert.IsTrue(free);
        Assert.AreEqual("yield reacquire", engine.Calls);
        Assert.AreEqual("", ofOther.Calls);
    }

    [TestMethod]
    public async Task Preflight_says_that_there_is_nowhere_to_log_in()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();
        JsonObject config = JsonNode.Parse(world.Sandbox.SigningConfig)!.AsObject();
        config.Remove("oidcUrls");
        world.Folder.Write("nowhere.json", config.ToJsonString());
        KeylessPreflight task = PreflightTests.Preflight(world, "true");
        (task.SigstoreOidcProvider, task.SigstoreSigningConfig) = ("interactive", "nowhere.json");

        Assert.Contains("oidcUrls", World.Refusal(task, "KEYLESS1001"));
        Assert.IsFalse(task.Sign);
        task = PreflightTests.Preflight(world, "true");
        task.SigstoreOidcProvider = "interactive";
        Assert.IsTrue(task.Execute(), World.Log(task));
    }

    [TestMethod]
    public async Task Preflight_says_that_the_report_cannot_be_written()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Folder.Write("file", "");
        world.Folder.Write("other.json", "{}");
        foreach (string report in (string[])["file/report.json", "other.json", "./"])
        {
            KeylessPreflight task = PreflightTests.Preflight(world, "true");
            task.ContainerSigningReport = report;

            Assert.Contains("ContainerSigningReport", World.Refusal(task, "KEYLESS5012"));
        }
    }

    /// <summary>Each server in turn refuses and repeats whatever secret it was sent: nothing of it may be left behind.</summary>
    [TestMethod]
    [DataRow("issuer", 403)]
    [DataRow("fulcio", 400)]
    [DataRow("fulcio", 401)]
    [DataRow("timestamp", 403)]
    [DataRow("rekor-v2", 400)]
    public async Task Repeats_no_secret_that_a_server_sends_back(string part, int status)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        var secrets = new ConcurrentBag<string> { world.Sandbox.Issuer.RequestToken };
        foreach (LoopbackServer server in world.Sandbox.Servers)
        {
            server.Intercept = async context =>
            {
                context.Request.EnableBuffering();
                string body = await new StreamReader(context.Request.Body).ReadToEndAsync(context.RequestAborted);
                context.Request.Body.Position = 0;
                string sent = $"{context.Request.Headers.Authorization} {body}";
                foreach (string secret in Regex.Matches(sent, @"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+").SelectMany(jwt => jwt.Value.Split('.')[1..]))
                {
                    secrets.Add(secret);
                }

                if (server.Part == part)
                {
                    string escaped = JsonEncodedText.Encode(sent).ToString();
                    context.Response.StatusCode = status;
                    context.Response.ContentType = "application/json";
                    await context.Response.WriteAsync($$$"""{"message":"{{{escaped}}}","errors":[{"code":"DENIED","message":"{{{escaped}}}"}]}""", context.RequestAborted);
                }
            };
        }

        world.Environment["GITHUB_STEP_SUMMARY"] = world.Folder["summary.md"];
        world.Environment["GITHUB_OUTPUT"] = world.Folder["output"];
        KeylessSignContainer task = world.Sign(world.Push());
        task.ContainerSigningReport = "signed.json";
        // The sandbox has written what a shell needs to be such a job, too.
        string[] ofTheWorld = Directory.GetFiles(world.Folder.Path, "*", SearchOption.AllDirectories);

        Assert.IsFalse(task.Execute(), World.Log(task));

        Assert.IsTrue(part == "issuer" || secrets.Count > 1, "a token was sent");
        string[] files = [.. Directory.GetFiles(world.Folder.Path, "*", SearchOption.AllDirectories).Except(ofTheWorld).Select(File.ReadAllText)];
        foreach (string text in files.Append(World.Log(task)))
        {
            foreach (string secret in secrets)
            {
                Assert.DoesNotContain(secret, text);
            }
        }
    }

    [TestMethod]
    [DataRow("GET /auth/.well-known", true)]
    [DataRow("GET /auth/.well-known", false)]
    [DataRow("POST /auth/device", false)]
    public async Task Does_not_say_that_nobody_logged_in_where_the_login_hangs(string request, bool browser)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();
        world.Sandbox.IssuerServer.Faults.Add(Fault.Hang.On(request));
        KeylessSignContainer task = SignInPerson(world);
        task.OpenBrowser = _ => browser;

        string error = await Task.Run(() => World.Refusal(task, "KEYLESS1005"), TestContext.CancellationToken).WaitAsync(TimeSpan.FromMinutes(2), TestContext.CancellationToken);

        Assert.Contains("it did not answer within 10 s", error);
    }

    [TestMethod]
    public async Task Says_that_the_login_has_no_configuration()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();
        world.Sandbox.IssuerServer.Faults.Add(Fault.Status(503).On("GET /auth/.well-known"));
        KeylessSignContainer task = SignInPerson(world);
        task.OpenBrowser = _ => throw new InvalidOperationException("there is nothing to open");

        Assert.Contains("no identity token from the login: ", World.Refusal(task, "KEYLESS1005"));
    }

    [TestMethod]
    [DataRow("access_denied")]
    [DataRow("expired_token")]
    [DataRow("canary-<b>##vso[x]")]
    public async Task A_refused_device_is_not_asked_again(string answer)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();
        world.Sandbox.IssuerServer.Intercept = context => context.Request.Path == "/auth/token"
            ? World.Answer(400, "application/json", $$"""{"error":"{{answer}}"}""")(context)
            : Task.CompletedTask;
        KeylessSignContainer task = SignInPerson(world);
        task.OpenBrowser = _ => false;

        string error = World.Refusal(task, "KEYLESS1005");

        Assert.Contains(answer.Replace("##", "#\\u0023", StringComparison.Ordinal), error);
        Assert.HasCount(1, world.Sandbox.Traffic.Snapshot().Where(exchange => exchange.Path == "/auth/token").ToArray());
    }

    private static KeylessSignContainer SignInPerson(World world)
    {
        KeylessSignContainer task = world.Sign(world.Push());
        task.SigstoreOidcProvider = "interactive";
        return task;
    }

    /// <summary>Answers each request with the same bytes, be they HTTP or not.</summary>
    private sealed class RawAnswer : IDisposable
    {
        private readonly TcpListener listener = new(IPAddress.Loopback, 0);

        public RawAnswer(string answer)
        {
            listener.Start();
            Authority = $"127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}";
            _ = Task.Run(async () =>
            {
                while (true)
                {
                    using TcpClient connection = await listener.AcceptTcpClientAsync();
                    await using NetworkStream stream = connection.GetStream();
                    _ = await stream.ReadAsync(new byte[8192]);
                    await stream.WriteAsync(Encoding.Latin1.GetBytes(answer));
                }
            });
        }

        public string Authority { get; }

        public void Dispose() => listener.Dispose();
    }

    private sealed class YieldingEngine : RecordingEngine, IBuildEngine3
    {
        private readonly List<string> calls = [];
        private int thread;

        public bool IsYielded => thread != 0;

        public string Calls => string.Join(' ', calls);

        public bool IsRunningMultipleNodes => true;

        public void Yield()
        {
            calls.Add("yield");
            thread = Environment.CurrentManagedThreadId;
        }

        // MSBuild insists on the thread that yielded.
        public void Reacquire()
        {
            calls.Add(thread == Environment.CurrentManagedThreadId ? "reacquire" : "reacquire on another thread");
            thread = 0;
        }

        public bool BuildProjectFile(string projectFileName, string[] targetNames, IDictionary globalProperties, IDictionary targetOutputs, string toolsVersion) => throw new NotSupportedException();

        public bool BuildProjectFilesInParallel(string[] projectFileNames, string[] targetNames, IDictionary[] globalProperties, IDictionary[] targetOutputsPerProject, string[] toolsVersion, bool useResultsCache, bool unloadProjectsOnCompletion) => throw new NotSupportedException();

        public BuildEngineResult BuildProjectFilesInParallel(string[] projectFileNames, string[] targetNames, IDictionary[] globalProperties, IList<string>[] removeGlobalProperties, string[] toolsVersion, bool returnTargetOutputs) => throw new NotSupportedException();
    }
}
