using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Keyless.Testing;

namespace Keyless.Interop.Tests;

/// <summary>distribution 2.8.3 as people run it, with users and with TLS: <c>dotnet publish</c> pushes and signs, and cosign 3.1.1 verifies with the same credentials.</summary>
[TestClass]
public sealed class RegistryAccessTests
{
    private const string Password = "a-test-s-password";

    // htpasswd -B, of that password.
    private const string Users = "ci:$2b$04$abcdefghijklmnopqrstuugRbQIx0iamFNjOQCh07NrCm2s7.X8gW\n";

    private static PackedFeed? feed;

    public required TestContext TestContext { get; init; }

    [ClassInitialize]
    public static async Task PackAsync(TestContext context) => feed = await PackedFeed.PackAsync(context.CancellationToken);

    [ClassCleanup]
    public static void Remove() => feed?.Dispose();

    [TestMethod]
    [DataRow(false, false, "OCI")]
    [DataRow(false, false, "Docker")]
    [DataRow(true, false, "OCI")]
    [DataRow(false, true, "OCI")]
    [DataRow(true, true, "OCI")]
    public async Task Cosign_accepts_what_is_signed_there(bool users, bool tls, string format)
    {
        Tools.Require("cosign");
        using X509Certificate2? certificate = tls ? Certificate() : null;
        await using World world = await World.StartAsync(
            await Distribution.StartAsync(TestContext.CancellationToken, certificate, users ? Users : null), TestContext.CancellationToken);
        var environment = new Dictionary<string, string> { ["DOCKER_CONFIG"] = world.Folder["docker"] };
        // The one form that the SDK reads, too: it fails over an entry with "username" and "password".
        string auth = Convert.ToBase64String(Encoding.UTF8.GetBytes($"ci:{Password}"));
        world.Folder.Write("docker/config.json", users ? $$$$"""{"auths":{"{{{{world.RegistryHost}}}}":{"auth":"{{{{auth}}}}"}}}""" : "{}");
        if (certificate is not null)
        {
            // Of .NET and of Go: this certificate instead of the system's, for the child alone.
            environment["SSL_CERT_FILE"] = world.Folder.Write("roots.pem", certificate.ExportCertificatePem());
        }

        Array.ForEach([.. environment], variable => world.CosignEnvironment.Add(variable.Key, variable.Value));
        string project = world.Folder.CopyFromRepository("samples/HelloContainer", "HelloContainer");
        DotNetResult publish = await DotNet.RunAsync(
            project,
            [
                "publish", "-t:PublishContainer", "-p:SignContainer=true", "-tl:off",
                $"-p:SigstoreInstance={world.Folder["client_trust_config.json"]}",
                $"-p:ContainerBaseImage={world.Sandbox.BaseImage}",
                $"-p:ContainerRegistry={world.RegistryHost}",
                $"-p:ContainerImageFormat={format}",
                "-p:ContainerImageTag=1.0",
            ],
            feed!.Environment.Concat(world.Sandbox.Environment).Concat(environment).ToDictionary(),
            TestContext.CancellationToken);

        Assert.AreEqual(0, publish.ExitCode, publish.ToString());
        ToolResult verify = await world.Cosign3.VerifyAsync($"{world.RegistryHost}/hello:1.0");
        Assert.AreEqual(0, verify.ExitCode, verify.ToString());
    }

    [TestMethod]
    [DataRow(RegistryKind.Sandbox)]
    [DataRow(RegistryKind.Distribution)]
    public async Task Cosign_finds_signatures_in_the_repository_that_keeps_them(RegistryKind registry)
    {
        Tools.Require("cosign");
        await using World world = await World.StartAsync(registry, Log.Rekor2Ed25519, TestContext.CancellationToken);
        string image = await world.PushAsync(), signatures = $"{world.RegistryHost}/team/signatures";

        world.SignAll(image, signatures);

        ToolResult beside = await world.Cosign3.VerifyAsync(image);
        Assert.AreNotEqual(0, beside.ExitCode);
        Assert.Contains("no signatures found", beside.Errors);
        world.CosignEnvironment["COSIGN_REPOSITORY"] = signatures;
        ToolResult verify = await world.Cosign3.VerifyAsync(image);
        Assert.AreEqual(0, verify.ExitCode, verify.ToString());

        // And the other way round.
        string other = await world.PushAsync();
        await world.Cosign3.SignAsync(other);
        MSBuild.KeylessVerifyContainer ours = world.Verify(other);
        ours.ContainerSigningRepository = signatures;
        Assert.IsTrue(ours.Execute(), World.Said(ours));
        World.Refusal(world.Verify(other), "KEYLESS4001");
    }

    /// <summary>For 127.0.0.1, signed by itself.</summary>
    private static X509Certificate2 Certificate()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=127.0.0.1", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddHours(1));
    }
}
