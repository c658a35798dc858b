using System.Text;
using Keyless.Sandbox;
using Keyless.Testing;

namespace Keyless.MSBuild.Tests;

/// <summary>
/// The signature is pushed by whoever pushed the image. Each test has credentials in one place where the .NET SDK looks and others, as valid, in
/// every place where it looks later.
/// </summary>
[TestClass]
[OSCondition(OperatingSystems.Linux | OperatingSystems.OSX)]
public sealed class PublishCredentialsTests
{
    private static readonly string[] Sources =
    [
        "DOTNET_CONTAINER_PUSH_REGISTRY", "DOTNET_CONTAINER_REGISTRY", "SDK_CONTAINER_REGISTRY", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_DIR", "DOCKER_CONFIG", "HOME",
    ];

    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow("DOTNET_CONTAINER_PUSH_REGISTRY")]
    [DataRow("DOTNET_CONTAINER_REGISTRY")]
    [DataRow("SDK_CONTAINER_REGISTRY")]
    [DataRow("REGISTRY_AUTH_FILE")]
    [DataRow("XDG_RUNTIME_DIR")]
    [DataRow("XDG_CONFIG_DIR")]
    [DataRow("DOCKER_CONFIG")]
    [DataRow("HOME")]
    public async Task Are_those_of_the_push(string source)
    {
        await using SandboxHost sandbox = await StartAsync(RegistryLogin.Basic);
        using var folder = new TemporaryFolder();
        var environment = new Dictionary<string, string>(sandbox.Environment);
        foreach (string place in Sources.SkipWhile(place => place != source))
        {
            Put(place, Auths(sandbox, place), environment, folder);
        }

        await AssertOneUserAsync(sandbox, environment, source);
    }

    [TestMethod]
    [DataRow("credHelpers", RegistryLogin.Basic)]
    [DataRow("credsStore", RegistryLogin.Basic)]
    [DataRow("identitytoken", RegistryLogin.Bearer)]
    [DataRow("auths", RegistryLogin.Bearer)]
    public async Task Are_those_of_the_push_in_every_form_a_file_has(string form, RegistryLogin login)
    {
        await using SandboxHost sandbox = await StartAsync(login);
        using var folder = new TemporaryFolder();
        Dictionary<string, string> environment = InAFile(sandbox, folder, form);

        await AssertOneUserAsync(sandbox, environment, form);
    }

    /// <summary>However much a build is made to say: no password, no token, and not what HTTP makes of user and password.</summary>
    [TestMethod]
    [DataRow("credHelpers", RegistryLogin.Basic)]
    [DataRow("identitytoken", RegistryLogin.Bearer)]
    [DataRow("auths", RegistryLogin.Bearer)]
    public async Task Are_in_no_log(string form, RegistryLogin login)
    {
        await using SandboxHost sandbox = await StartAsync(login);
        await using SandboxHost bases = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);
        using var folder = new TemporaryFolder();
        Dictionary<string, string> environment = InAFile(sandbox, folder, form);

        Published published = await Samples.PublishAsync(
            sandbox, environment, ["-p:SignContainer=true", $"-p:ContainerBaseImage={bases.BaseImage}", "-v:diagnostic", $"-bl:{folder["build.binlog"]}"], TestContext.CancellationToken);

        Assert.AreEqual(0, published.Result.ExitCode, published.Result.ToString());
        string log = await PublishTests.UnpackAsync(folder["build.binlog"]);
        Assert.Contains("KeylessSignContainer", log);
        foreach (string secret in new[] { "canary", Pair(form, Password(form)) })
        {
            Assert.DoesNotContain(secret, log);
            Assert.DoesNotContain(secret, published.Result.Output);
        }
    }

    private static Dictionary<string, string> InAFile(SandboxHost sandbox, TemporaryFolder folder, string form)
    {
        var environment = new Dictionary<string, string>(sandbox.Environment) { ["PATH"] = $"{folder["bin"]}:{Environment.GetEnvironmentVariable("PATH")}" };
        Helper(folder, "first", "credHelpers");
        Helper(folder, "second", "credsStore");
        string auths = Auths(sandbox, "auths");
        string config = form switch
        {
            "credHelpers" => $$"""{"credHelpers":{"{{sandbox.RegistryHost}}":"first"},"credsStore":"second",{{auths}}}""",
            "credsStore" => $$"""{"credsStore":"second",{{auths}}}""",
            "identitytoken" => $$$$"""{"auths":{"{{{{sandbox.RegistryHost}}}}":{"auth":"{{{{Pair("00000000-0000-0000-0000-000000000000", "")}}}}","identitytoken":"canary-identitytoken"}}}""",
            _ => $$"""{{{auths}}}""",
        };
        environment["DOCKER_CONFIG"] = folder["docker"];
        folder.Write("docker/config.json", config);
        Put("HOME", Auths(sandbox, "HOME"), environment, folder);
        return environment;
    }

    private async Task AssertOneUserAsync(SandboxHost sandbox, Dictionary<string, string> environment, string user)
    {
        await using SandboxHost bases = await SandboxHost.StartAsync(cancel: TestContext.CancellationToken);

        Published published = await Samples.PublishAsync(sandbox, environment, ["-p:SignContainer=true", $"-p:ContainerBaseImage={bases.BaseImage}"], TestContext.CancellationToken);

        Assert.AreEqual(0, published.Result.ExitCode, published.Result.ToString());
        Assert.DoesNotContain("canary", published.Result.Output);
        ILookup<bool, string> users = sandbox.Registry.Visits.Where(visit => visit.User.Length > 0)
            .ToLookup(visit => visit.UserAgent.StartsWith("Keyless.MSBuild/", StringComparison.Ordinal), visit => visit.User);
        Assert.AreEqual(user, string.Join(',', users[false].Distinct()), "the SDK's");
        Assert.AreEqual(user, string.Join(',', users[true].Distinct()), "ours");
    }

    private Task<SandboxHost> StartAsync(RegistryLogin login) => SandboxHost.StartAsync(
        new SandboxOptions
        {
            RegistryLogin = login,
            RegistryUsers = Sources.Concat(["credHelpers", "credsStore", "auths"]).ToDictionary(user => user, Password),
            RegistryIdentityTokens = new Dictionary<string, string> { ["canary-identitytoken"] = "identitytoken" },
        },
        TestContext.CancellationToken);

    private static void Put(string place, string auths, Dictionary<string, string> environment, TemporaryFolder folder)
    {
        switch (place)
        {
            case "REGISTRY_AUTH_FILE":
                environment[place] = folder.Write("podman/auth.json", $$"""{{{auths}}}""");
                break;
            case "XDG_RUNTIME_DIR":
                folder.Write("runtime/containers/auth.json", $$"""{{{auths}}}""");
                environment[place] = folder["runtime"];
                break;
            case "XDG_CONFIG_DIR":
                folder.Write("settings/containers/auth.json", $$"""{{{auths}}}""");
                environment[place] = folder["settings"];
                break;
            case "DOCKER_CONFIG":
                folder.Write("docker/config.json", $$"""{{{auths}}}""");
                environment[place] = folder["docker"];
                break;
            case "HOME":
                folder.Write("home/.docker/config.json", $$"""{{{auths}}}""");
                environment[place] = folder["home"];
                break;
            default:
                (environment[$"{place}_UNAME"], environment[$"{place}_PWORD"]) = (place, Password(place));
                break;
        }
    }

    private static void Helper(TemporaryFolder folder, string name, string user)
    {
        string file = folder.Write($"bin/docker-credential-{name}", $$"""
            #!/bin/sh
            cat > /dev/null
            echo '{"ServerURL":"","Username":"{{user}}","Secret":"{{Password(user)}}"}'

            """);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        }
    }

    /// <summary>A member of a docker configuration.</summary>
    private static string Auths(SandboxHost sandbox, string user) => $"\"auths\":{{\"{sandbox.RegistryHost}\":{{\"auth\":\"{Pair(user, Password(user))}\"}}}}";

    private static string Password(string user) => $"canary-{user}";

    private static string Pair(string user, string password) => Convert.ToBase64String(Encoding.UTF8.GetBytes($"{user}:{password}"));
}
