using System.Text;
using Keyless.Testing;

namespace Keyless.Oci.Tests;

[TestClass]
[DoNotParallelize] // A script that another thread's fork still holds open for writing cannot be started ("text file busy").
public sealed class RegistryCredentialsTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly Dictionary<string, string> environment = [];

    public TestContext TestContext { get; set; } = null!;

    public void Dispose() => folder.Dispose();

    [TestMethod]
    public async Task Pushes_with_the_push_pair_before_the_generic_and_the_legacy_one()
    {
        Pair("DOTNET_CONTAINER_PUSH_REGISTRY", "push");
        Pair("DOTNET_CONTAINER_PULL_REGISTRY", "pull");
        Pair("DOTNET_CONTAINER_REGISTRY", "generic");
        Pair("SDK_CONTAINER_REGISTRY", "legacy");
        environment["DOCKER_CONFIG"] = Config("""{"auths":{"reg.example":{"username":"file","password":"p"}}}""");

        Assert.AreEqual("push", (await FindAsync(RegistryAccess.Push)).User);
        environment["DOTNET_CONTAINER_PUSH_REGISTRY_PWORD"] = "";
        Assert.AreEqual("generic", (await FindAsync(RegistryAccess.Push)).User);
        environment.Remove("DOTNET_CONTAINER_REGISTRY_UNAME");
        Assert.AreEqual("legacy", (await FindAsync(RegistryAccess.Push)).User);
        environment.Remove("SDK_CONTAINER_REGISTRY_UNAME");
        Assert.AreEqual("file", (await FindAsync(RegistryAccess.Push)).User);
    }

    [TestMethod]
    public async Task Pulls_with_the_pull_pair_and_never_with_the_push_pair()
    {
        Pair("DOTNET_CONTAINER_PUSH_REGISTRY", "push");
        Pair("DOTNET_CONTAINER_PULL_REGISTRY", "pull");
        Pair("DOTNET_CONTAINER_REGISTRY", "generic");

        Assert.AreEqual("pull", (await FindAsync(RegistryAccess.Pull)).User);
        environment.Remove("DOTNET_CONTAINER_PULL_REGISTRY_UNAME");
        Assert.AreEqual("generic", (await FindAsync(RegistryAccess.Pull)).User);
        environment.Remove("DOTNET_CONTAINER_REGISTRY_UNAME");
        Assert.IsTrue((await FindAsync(RegistryAccess.Pull)).IsAnonymous);
    }

    [TestMethod]
    public async Task Reads_podmans_files_before_dockers()
    {
        static string User(string name) => $$$$"""{"auths":{"reg.example":{"username":"{{{{name}}}}","password":"p"}}}""";
        environment["HOME"] = environment["USERPROFILE"] = folder["home"];
        folder.Write("home/.docker/config.json", User("home"));
        Assert.AreEqual("home", (await FindAsync()).User);

        environment["DOCKER_CONFIG"] = folder["docker"];
        folder.Write("docker/config.json", User("docker"));
        Assert.AreEqual("docker", (await FindAsync()).User);

        folder.Write("home/.config/containers/auth.json", User("settings of home"));
        Assert.AreEqual("settings of home", (await FindAsync()).User);

        environment["XDG_CONFIG_DIR"] = folder["settings"];
        folder.Write("settings/containers/auth.json", User("settings"));
        Assert.AreEqual("settings", (await FindAsync()).User);

        environment["XDG_RUNTIME_DIR"] = folder["run"];
        folder.Write("run/containers/auth.json", User("runtime"));
        Assert.AreEqual("runtime", (await FindAsync()).User);

        environment["REGISTRY_AUTH_FILE"] = folder.Write("auth.json", User("named"));
        Assert.AreEqual("named", (await FindAsync()).User);

        folder.Write("auth.json", """{"auths":{"other.example":{"username":"x","password":"y"}}}""");
        Assert.IsTrue((await FindAsync()).IsAnonymous, "what is named is the only one");
    }

    [TestMethod]
    public async Task Reads_every_kind_of_entry()
    {
        string pair = Convert.ToBase64String(Encoding.UTF8.GetBytes("user:pass:word"));
        RegistryCredential basic = await FindInAsync($$$$"""{"auths":{"reg.example":{"auth":"{{{{pair}}}}","username":"other","password":"other"}}}""");
        Assert.AreEqual(("user", "pass:word"), (basic.User, basic.Password));

        Assert.AreEqual("refresh", (await FindInAsync($$$$"""{"auths":{"reg.example":{"auth":"{{{{pair}}}}","identitytoken":"refresh"}}}""")).IdentityToken);
        Assert.AreEqual("ready", (await FindInAsync("""{"auths":{"reg.example":{"registrytoken":"ready"}}}""")).RegistryToken);
        Assert.IsTrue((await FindInAsync("""{"auths":{"reg.example":{}}}""")).IsAnonymous);
    }

    [TestMethod]
    [DataRow("reg.example", true)]
    [DataRow("https://reg.example", true)]
    [DataRow("https://reg.example/v1/", true)]
    [DataRow("http://reg.example/v2/", true)]
    [DataRow("HTTPS://reg.example/v1/", true)]
    [DataRow("https://reg.example:443/", false)]
    [DataRow("https://user@reg.example", false)]
    [DataRow("https://reg.example@evil.example", false)]
    [DataRow("https://evil.example/reg.example", false)]
    [DataRow("//reg.example", false)]
    [DataRow("*.example", false)]
    [DataRow("", false)]
    [DataRow("/", false)]
    [DataRow("REG.example", true)]
    [DataRow("reg.example/", true)]
    [DataRow("reg.example/org", true)]
    [DataRow("reg.example/org/app", true)]
    [DataRow("reg.example/or", false)]
    [DataRow("reg.example/org/app/x", false)]
    [DataRow("reg.example:443", false)]
    [DataRow("reg.example.evil.test", false)]
    [DataRow("my-reg.example", false)]
    [DataRow("example", false)]
    public async Task Matches_whole_hosts_and_whole_namespaces_only(string key, bool expected) =>
        Assert.AreEqual(expected, !(await FindInAsync($$$$"""{"auths":{"{{{{key}}}}":{"username":"u","password":"p"}}}""")).IsAnonymous);

    [TestMethod]
    public async Task Prefers_the_longest_namespace() =>
        Assert.AreEqual("long", (await FindInAsync("""
            {"auths":{"reg.example":{"username":"host","password":"p"},"reg.example/org":{"username":"long","password":"p"}}}
            """)).User);

    /// <summary>As docker does: an entry under the name itself counts before one that only belongs to the same host, wherever it stands.</summary>
    [TestMethod]
    [DataRow("reg.example", "https://reg.example/elsewhere/")]
    [DataRow("reg.example", "REG.example")]
    public async Task Prefers_the_name_as_it_is(string exact, string other)
    {
        static string Entry(string key, string user) => $$"""{{key}}":{"username":"{{user}}","password":"p"}""";
        foreach (string[] order in new[] { new[] { exact, other }, [other, exact] })
        {
            string entries = string.Join(",\"", order.Select(key => Entry(key, key == exact ? "exact" : "other")));

            Assert.AreEqual("exact", (await FindInAsync($$$"""{"auths":{"{{{entries}}}}}""")).User);
        }
    }

    /// <summary>Docker's login keeps parts of one session under names of their own beside the one that counts.</summary>
    [TestMethod]
    public async Task Takes_no_part_of_a_Docker_Hub_session_for_the_whole()
    {
        environment["DOCKER_CONFIG"] = Config("""
            {"auths":{"https://index.docker.io/v1/access-token":{"username":"part","password":"p"},"https://index.docker.io/v1/refresh-token":{"username":"part","password":"p"},
            "https://index.docker.io/v1/":{"username":"whole","password":"p"}}}
            """);

        Assert.AreEqual("whole", (await Credentials(RegistryAccess.Pull).FindAsync("docker.io", "library/app", TestContext.CancellationToken)).User);
    }

    [TestMethod]
    public async Task Reads_a_file_that_begins_with_a_byte_order_mark() =>
        Assert.AreEqual("u", (await FindInAsync("\uFEFF" + """{"auths":{"reg.example":{"username":"u","password":"p"}}}""")).User);

    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    public async Task Refuses_a_file_without_an_end()
    {
        environment["REGISTRY_AUTH_FILE"] = "/dev/zero";

        Assert.Contains("larger than", (await Assert.ThrowsExactlyAsync<RegistryException>(() => FindAsync())).Message);
    }

    [TestMethod]
    [DataRow("https://index.docker.io/v1/")]
    [DataRow("docker.io")]
    [DataRow("index.docker.io")]
    [DataRow("registry-1.docker.io")]
    public async Task Knows_docker_hub_by_all_its_names(string key)
    {
        environment["DOCKER_CONFIG"] = Config($$$$"""{"auths":{"{{{{key}}}}":{"username":"hub","password":"p"}}}""");

        Assert.AreEqual("hub", (await Credentials(RegistryAccess.Pull).FindAsync("docker.io", "library/app", TestContext.CancellationToken)).User);
    }

    [TestMethod]
    [DataRow("""{"auths":{"reg.example":{"auth":"canary!"}}}""", "not base64")]
    [DataRow("""{"auths":{"reg.example":{"auth":"Y2FuYXJ5"}}}""", "not base64")]
    [DataRow("""{"auths":{"reg.example":{"auth":"dTpjYW5hcnkKeA=="}}}""", "not base64")]
    [DataRow("""{"auths":{"reg.example":{"auth":"canary""", "not the JSON")]
    [DataRow("""{"auths":{"reg.example":{"auth":["canary"]}}}""", "not the JSON")]
    [DataRow("""{"auths":{},"auths":{"reg.example":{"password":"canary"}}}""", "not the JSON")]
    [DataRow("""{"auths":{"reg.example":{"password":"canary"},"reg.example":{"password":"canary"}}}""", "not the JSON")]
    [DataRow("""{"auths":[{"reg.example":{"password":"canary"}}]}""", "not the JSON")]
    [DataRow("""{"credsStore":{"canary":1}}""", "not the JSON")]
    [DataRow("""{"credHelpers":["canary"]}""", "not the JSON")]
    [DataRow("""{"auths":{"reg.example":{"auth":"/////w=="}}}""", "not base64")]
    [DataRow("""{"auths":{"reg.example":{"auth":"OmNhbmFyeQ=="}}}""", "not base64")]
    [DataRow("", "not the JSON")]
    public async Task Refuses_a_file_it_cannot_read_without_quoting_it(string json, string why)
    {
        var no = await Assert.ThrowsExactlyAsync<RegistryException>(() => FindInAsync(json));

        Assert.AreEqual(RegistryFailure.Unauthorized, no.Failure);
        Assert.Contains(why, no.Message);
        Assert.DoesNotContain("canary", no.ToString());
    }

    [TestMethod]
    public async Task Refuses_a_file_that_is_too_large() =>
        Assert.Contains("larger than", (await Assert.ThrowsExactlyAsync<RegistryException>(() => FindInAsync(new string(' ', 1024 * 1024 + 1)))).Message);

    [TestMethod]
    public async Task Refuses_a_path_that_depends_on_the_current_directory()
    {
        environment["REGISTRY_AUTH_FILE"] = "auth.json";

        Assert.Contains("not absolute", (await Assert.ThrowsExactlyAsync<RegistryException>(() => FindAsync())).Message);
    }

    [TestMethod]
    public async Task Never_shows_a_secret_in_its_text()
    {
        RegistryCredential credential = await FindInAsync("""{"auths":{"reg.example":{"username":"u","password":"canary"}}}""");

        Assert.AreEqual("canary", credential.Password);
        Assert.DoesNotContain("canary", credential.ToString());
    }

    [TestMethod]
    [OSCondition(OperatingSystems.Linux | OperatingSystems.OSX)]
    public async Task Asks_the_helper_of_the_registry_before_the_store_and_the_file()
    {
        Helper("one", """read server; printf '{"ServerURL":"%s","Username":"%s","Secret":"s1"}' "$server" "$server" """);
        Helper("two", """printf '{"ServerURL":"x","Username":"two","Secret":"s2"}'""");
        const string Auths = "\"auths\":{\"reg.example\":{\"username\":\"file\",\"password\":\"p\"}}";

        RegistryCredential one = await FindInAsync($$$$"""{"credHelpers":{"reg.example":"one"},"credsStore":"two",{{{{Auths}}}}}""");
        Assert.AreEqual(("reg.example", "s1", "docker-credential-one"), (one.User, one.Password, one.Source));
        Assert.AreEqual("two", (await FindInAsync($$$$"""{"credHelpers":{"other.example":"one"},"credsStore":"two",{{{{Auths}}}}}""")).User);
        Assert.AreEqual("file", (await FindInAsync($$$$"""{"credHelpers":{"other.example":"one"},{{{{Auths}}}}}""")).User);
    }

    [TestMethod]
    [OSCondition(OperatingSystems.Linux | OperatingSystems.OSX)]
    public async Task Takes_the_user_token_for_an_identity_token()
    {
        Helper("one", """printf '{"ServerURL":"x","Username":"<token>","Secret":"refresh"}'""");

        Assert.AreEqual("refresh", (await FindInAsync("""{"credsStore":"one"}""")).IdentityToken);
    }

    [TestMethod]
    [OSCondition(OperatingSystems.Linux | OperatingSystems.OSX)]
    public async Task Goes_on_when_a_helper_has_nothing()
    {
        Helper("one", "echo 'credentials not found in native keychain'; exit 1");

        Assert.AreEqual("file", (await FindInAsync("""{"credsStore":"one","auths":{"reg.example":{"username":"file","password":"p"}}}""")).User);
    }

    [TestMethod]
    [OSCondition(OperatingSystems.Linux | OperatingSystems.OSX)]
    [DataRow("echo canary >&2; exit 3", "exit code 3")]
    [DataRow("echo canary", "not the JSON")]
    [DataRow("""printf '{"Username":"u"}'""", "not the JSON")]
    [DataRow("""printf '{"Username":"","Secret":"canary"}'""", "no user name")]
    [DataRow("""printf '{"Username":"u","Secret":"canary\\nx"}'""", "control characters")]
    [DataRow("head -c 70000 /dev/zero", "more than 65536 bytes")]
    [DataRow("cat /dev/zero", "more than 65536 bytes")]
    [DataRow("echo canary; exit 1", "exit code 1")]
    [DataRow("kill -9 $$", "exit code 137")]
    [DataRow("""printf '{"Username":"u","Secret":"canary","Secret":"canary"}'""", "not the JSON")]
    [DataRow("""printf '{"Username":"u","Secret":"canary"} canary'""", "not the JSON")]
    [DataRow("""printf '{"Username":"u","Secret":["canary"]}'""", "not the JSON")]
    [DataRow("""printf '{"Username":"u","Secret":"canary\\u0000"}'""", "control characters")]
    [DataRow("""printf '\377'""", "not the JSON")]
    [DataRow("", "not the JSON")]
    public async Task Stops_when_a_helper_fails_and_sends_nothing_else_in_its_place(string script, string why)
    {
        Helper("one", script);

        var no = await Assert.ThrowsExactlyAsync<RegistryException>(() => FindInAsync("""{"credsStore":"one","auths":{"reg.example":{"username":"file","password":"p"}}}"""));

        Assert.AreEqual(RegistryFailure.Unauthorized, no.Failure);
        Assert.Contains(why, no.Message);
        Assert.DoesNotContain("canary", no.ToString());
    }

    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    public async Task Runs_a_helper_in_its_own_folder()
    {
        Helper("one", """printf '{"Username":"%s","Secret":"s"}' "$(pwd -P)" """);

        Assert.AreEqual(folder["bin"], (await FindInAsync("""{"credsStore":"one"}""")).User);
    }

    [TestMethod]
    [OSCondition(OperatingSystems.Linux | OperatingSystems.OSX)]
    public async Task Drops_what_a_helper_says_beside_its_answer_however_much()
    {
        Helper("one", """head -c 3000000 /dev/zero >&2; printf '{"Username":"u","Secret":"s"}'; head -c 3000000 /dev/zero >&2""");

        Assert.AreEqual("s", (await FindInAsync("""{"credsStore":"one"}""")).Password);
    }

    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    public async Task Ends_a_helper_that_hangs_with_all_that_it_has_started()
    {
        Helper("one", $"sleep 1000 & echo $! > {folder["child"]}.part; mv {folder["child"]}.part {folder["child"]}; wait");
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.CancellationToken);
        environment["DOCKER_CONFIG"] = Config("""{"credsStore":"one"}""");
        Task<RegistryCredential> asking = Credentials(RegistryAccess.Push).FindAsync("reg.example", "org/app", stop.Token);
        while (!File.Exists(folder["child"]))
        {
            await Task.Delay(10, TestContext.CancellationToken);
        }

        int child = int.Parse(await File.ReadAllTextAsync(folder["child"], TestContext.CancellationToken), System.Globalization.CultureInfo.InvariantCulture);
        Assert.IsTrue(Runs(child));
        await stop.CancelAsync();

        await Assert.ThrowsAsync<OperationCanceledException>(() => asking);
        while (Runs(child))
        {
            await Task.Delay(10, TestContext.CancellationToken);
        }

        // Proc's "stat": the state comes behind the name, and a zombie only waits for whoever adopted it.
        static bool Runs(int id)
        {
            try
            {
                return !File.ReadAllText($"/proc/{id}/stat").Contains(") Z ", StringComparison.Ordinal);
            }
            catch (IOException)
            {
                return false;
            }
        }
    }

    [TestMethod]
    [DataRow("../one")]
    [DataRow("one two")]
    [DataRow("-one")]
    [DataRow("one;id")]
    public async Task Refuses_a_helper_by_a_name_that_is_none(string name) =>
        Assert.Contains("its name", (await Assert.ThrowsExactlyAsync<RegistryException>(() => FindInAsync($$"""{"credsStore":"{{name}}"}"""))).Message);

    [TestMethod]
    [OSCondition(OperatingSystems.Linux | OperatingSystems.OSX)]
    public async Task Looks_for_helpers_in_absolute_folders_of_PATH_only()
    {
        Helper("one", """printf '{"ServerURL":"x","Username":"u","Secret":"s"}'""");
        environment["PATH"] = Path.GetRelativePath(Directory.GetCurrentDirectory(), folder["bin"]) + "::.";

        Assert.Contains("not on PATH", (await Assert.ThrowsExactlyAsync<RegistryException>(() => FindInAsync("""{"credsStore":"one"}"""))).Message);
    }

    [TestMethod]
    public async Task Refuses_a_server_name_of_two_lines()
    {
        var helper = new CredentialHelper("one", _ => null);

        Assert.Contains("line break", (await Assert.ThrowsExactlyAsync<RegistryException>(() => helper.GetAsync("a\nb", TestContext.CancellationToken))).Message);
    }

    private void Pair(string prefix, string user) => (environment[prefix + "_UNAME"], environment[prefix + "_PWORD"]) = (user, "secret");

    private string Config(string json) => Path.GetDirectoryName(folder.Write("config/config.json", json))!;

    private void Helper(string name, string script)
    {
        string file = folder.Write($"bin/docker-credential-{name}", $"#!/bin/sh\n{script}\n");
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        environment["PATH"] = folder["bin"];
    }

    private Task<RegistryCredential> FindInAsync(string json)
    {
        environment["DOCKER_CONFIG"] = Config(json);
        return FindAsync();
    }

    private Task<RegistryCredential> FindAsync(RegistryAccess access = RegistryAccess.Pull) =>
        Credentials(access).FindAsync("reg.example", "org/app", TestContext.CancellationToken);

    private RegistryCredentials Credentials(RegistryAccess access) => new(environment.GetValueOrDefault, access);
}
