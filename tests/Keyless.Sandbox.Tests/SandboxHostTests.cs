using System.Text.Json.Nodes;
using Keyless.Testing;

namespace Keyless.Sandbox.Tests;

[TestClass]
public sealed class SandboxHostTests
{
    public required TestContext TestContext { get; init; }

    private CancellationToken Cancel => TestContext.CancellationToken;

    [TestMethod]
    [DataRow(RekorVersion.V1, 1)]
    [DataRow(RekorVersion.V2, 2)]
    public async Task Names_one_log_for_signing_and_trusts_both(RekorVersion rekor, int version)
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(new SandboxOptions { Rekor = rekor }, Cancel);

        JsonNode config = JsonNode.Parse(sandbox.SigningConfig)!, root = JsonNode.Parse(sandbox.TrustedRoot)!;
        JsonNode log = config["rekorTlogUrls"]!.AsArray().Single()!;
        LoopbackServer expected = rekor == RekorVersion.V1 ? sandbox.RekorV1Server : sandbox.RekorV2Server;
        Assert.AreEqual((expected.BaseUrl, version), (new Uri((string)log["url"]!), (int)log["majorApiVersion"]!));
        CollectionAssert.AreEquivalent(
            new[] { sandbox.RekorV1Server.BaseUrl, sandbox.RekorV2Server.BaseUrl }, root["tlogs"]!.AsArray().Select(one => new Uri((string)one!["baseUrl"]!)).ToArray());
        Assert.AreEqual(sandbox.Issuer.Dex.Url, (string?)config["oidcUrls"]![0]!["url"]);
        JsonNode both = JsonNode.Parse(sandbox.ClientTrustConfig)!;
        Assert.IsTrue(JsonNode.DeepEquals(config, both["signingConfig"]) && JsonNode.DeepEquals(root, both["trustedRoot"]));
    }

    [TestMethod]
    public async Task Fulcio_says_whose_tokens_it_takes()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: Cancel);
        using var client = new HttpClient { BaseAddress = sandbox.FulcioServer.BaseUrl };

        JsonNode configuration = JsonNode.Parse(await client.GetStringAsync("/api/v2/configuration", Cancel))!;

        Assert.AreEqual(sandbox.Issuer.Url, (string?)configuration["issuers"]![0]!["issuerUrl"]);
    }

    [TestMethod]
    public async Task Writes_what_clients_are_given()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: Cancel);
        using var folder = new TemporaryFolder();

        sandbox.WriteTo(folder["world"]);

        Assert.AreEqual(sandbox.TrustedRoot, File.ReadAllText(folder["world/trusted_root.json"]));
        Assert.AreEqual(sandbox.SigningConfig, File.ReadAllText(folder["world/signing_config.json"]));
        Assert.AreEqual(sandbox.ClientTrustConfig, File.ReadAllText(folder["world/client_trust_config.json"]));
        CollectionAssert.AreEqual(sandbox.Tuf.FirstRoot, File.ReadAllBytes(folder["world/root.json"]));
        foreach ((string name, string file) in SandboxHost.Cosign2Environment(folder["world"]))
        {
            CollectionAssert.Contains(File.ReadAllLines(folder["world/environment.cosign2"]), $"export {name}='{file}'");
            Assert.StartsWith("-----BEGIN ", File.ReadAllText(file));
        }

        string[] lines = File.ReadAllLines(folder["world/environment"]);
        CollectionAssert.Contains(lines, $"export ACTIONS_ID_TOKEN_REQUEST_URL='{sandbox.Issuer.Url}/github/token?api-version=2.0'");
        CollectionAssert.Contains(lines, "export GITHUB_REPOSITORY='example-org/example-repo'");
        if (!OperatingSystem.IsWindows())
        {
            Assert.AreEqual(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(folder["world/environment"]));
        }
    }

    [TestMethod]
    public async Task Has_a_base_image_for_two_platforms()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: Cancel);

        JsonNode index = JsonNode.Parse(sandbox.Registry.FindManifest("keyless/base", "1")!.Bytes)!;

        Assert.AreEqual($"localhost:{sandbox.RegistryServer.BaseUrl.Port}/keyless/base:1", sandbox.BaseImage);
        Assert.AreEqual(
            "linux/amd64 linux/arm64", string.Join(' ', index["manifests"]!.AsArray().Select(one => $"{one!["platform"]!["os"]}/{one["platform"]!["architecture"]}")));
    }

    [TestMethod]
    public async Task Two_sandboxes_share_nothing()
    {
        await using SandboxHost one = await SandboxHost.StartAsync(cancel: Cancel), other = await SandboxHost.StartAsync(cancel: Cancel);

        Assert.IsEmpty(one.Servers.Select(server => server.BaseUrl).Intersect(other.Servers.Select(server => server.BaseUrl)));
        Assert.AreNotEqual(one.Issuer.RequestToken, other.Issuer.RequestToken);
        one.Registry.PutBlob("app", [1]);
        CollectionAssert.DoesNotContain(other.Registry.Repositories.ToArray(), "app");
    }

    [TestMethod]
    public async Task Leaves_no_server_behind_when_a_port_is_taken()
    {
        await using SandboxHost first = await SandboxHost.StartAsync(cancel: Cancel);
        int free;
        await using (SandboxHost second = await SandboxHost.StartAsync(cancel: Cancel))
        {
            free = second.RegistryServer.BaseUrl.Port;
        }

        await Assert.ThrowsAsync<IOException>(
            () => SandboxHost.StartAsync(new SandboxOptions { RegistryPort = free, TimestampPort = first.TimestampServer.BaseUrl.Port }, Cancel));

        using var client = new HttpClient();
        await Assert.ThrowsExactlyAsync<HttpRequestException>(() => client.GetAsync($"http://127.0.0.1:{free}/v2/", Cancel));
    }

    [TestMethod]
    public async Task Publishing_on_its_base_image_needs_nothing_else()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: Cancel);
        using var folder = new TemporaryFolder();
        folder.Write("app.csproj", """
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <EnableSdkContainerSupport>true</EnableSdkContainerSupport>
                <UseAppHost>false</UseAppHost>
              </PropertyGroup>
            </Project>
            """);
        folder.Write("Program.cs", "System.Console.WriteLine();");

        DotNetResult publish = await DotNet.RunAsync(
            folder.Path,
            [
                "publish", "-t:PublishContainer", "-r", "linux-arm64", "--no-self-contained", $"-p:ContainerRegistry={sandbox.RegistryHost}", "-p:ContainerRepository=team/app",
                $"-p:ContainerBaseImage={sandbox.BaseImage}", "-p:ContainerImageTag=1.0", "-getProperty:GeneratedContainerDigest",
            ],
            null,
            Cancel);

        Assert.AreEqual(0, publish.ExitCode, publish.ToString());
        Assert.AreEqual(sandbox.Registry.FindManifest("team/app", "1.0")!.Digest, publish.Output.Trim());
    }
}
