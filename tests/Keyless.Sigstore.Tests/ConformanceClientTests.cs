using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

/// <summary>The program behind tests/Keyless.Conformance/keyless-conformance, called as the public suite calls it.</summary>
[TestClass]
public sealed class ConformanceClientTests(TestContext test)
{
    private static readonly string Root = Fixture("trusted_root.json");
    private static readonly string Hello = Fixture("blob/hello.txt");

    [TestMethod]
    [DataRow("c3-rekor1.sigstore.json")]
    [DataRow("c3-rekor2.sigstore.json")]
    [DataRow("c3-rekor1-dsse.sigstore.json")]
    public async Task Verifies_by_path_and_by_digest(string bundle)
    {
        string digest = $"sha256:{Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(Hello, test.CancellationToken)))}";
        Assert.AreEqual(0, (await VerifyAsync(bundle, RealSamples.Identity, Hello)).ExitCode);
        Assert.AreEqual(0, (await VerifyAsync(bundle, RealSamples.Identity, digest)).ExitCode);
    }

    [TestMethod]
    [DataRow("c3-rekor1.sigstore.json", "somebody else", "blob/hello.txt", "policy.identity")]
    [DataRow("c3-rekor1.sigstore.json", RealSamples.Identity, "blob/pred.json", "sig.digest")]
    [DataRow("c3-rekor1-dsse.sigstore.json", RealSamples.Identity, "blob/pred.json", "subject.digest")]
    [DataRow("pred.json", RealSamples.Identity, "blob/hello.txt", "bundle.version")]
    [DataRow("c3-rekor1.sigstore.json", "", "blob/hello.txt", "policy.configuration")]
    public async Task Says_why_it_refuses(string bundle, string identity, string artifact, string reason)
    {
        Ran ran = await VerifyAsync(bundle, identity, Fixture(artifact));
        Assert.AreEqual(1, ran.ExitCode, ran.Errors);
        Assert.AreEqual($"reason: {reason}\n", ran.Output.ReplaceLineEndings("\n"));
        Assert.Contains($"reason: {reason}", ran.Errors);
    }

    [TestMethod]
    public async Task Refuses_a_trusted_root_and_a_key_that_are_none()
    {
        string bundle = Fixture("blob/c3-rekor1.sigstore.json");
        Assert.Contains("reason: root.schema", (await RunAsync("verify-bundle", "--bundle", bundle, "--certificate-identity", "x", "--certificate-oidc-issuer", "y", "--trusted-root", Fixture("blob/pred.json"), Hello)).Output);
        Assert.Contains("reason: policy.key", (await RunAsync("verify-bundle", "--bundle", bundle, "--key", Hello, "--trusted-root", Root, Hello)).Output);
        Assert.AreEqual(2, (await RunAsync("verify-bundle", "--bundle", bundle, Hello)).ExitCode);
    }

    // The public-good root is shipped, so that no network decides; these bundles are another instance's.
    [TestMethod]
    public async Task Takes_the_shipped_root_of_the_public_instance_where_none_is_given() =>
        Assert.Contains("reason: time.missing", (await RunAsync(
            "verify-bundle", "--bundle", Fixture("blob/c3-rekor1.sigstore.json"), "--certificate-identity", RealSamples.Identity, "--certificate-oidc-issuer", RealSamples.Issuer, Hello)).Output);

    [TestMethod]
    [DataRow(RekorVersion.V1, false)]
    [DataRow(RekorVersion.V1, true)]
    [DataRow(RekorVersion.V2, false)]
    [DataRow(RekorVersion.V2, true)]
    public async Task Signs_what_it_then_verifies(RekorVersion rekor, bool inToto)
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(new SandboxOptions { Rekor = rekor }, test.CancellationToken);
        using var folder = new TemporaryFolder();
        sandbox.WriteTo(folder.Path);
        byte[] content = Encoding.UTF8.GetBytes("an artifact with spaces in its name\n");
        await File.WriteAllBytesAsync(folder["an artifact"], content, test.CancellationToken);
        string digest = Convert.ToHexStringLower(SHA256.HashData(content));
        string statement = $$"""{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a","digest":{"sha256":"{{digest}}"} }],"predicateType":"https://example.com/p","predicate":{} }""";
        await File.WriteAllTextAsync(folder["statement.json"], statement, test.CancellationToken);
        using var client = new HttpClient();
        string token = await TokenAsync(client, sandbox);

        string[] sign = ["sign-bundle", "--identity-token", token, "--bundle", folder["bundle.json"], "--trusted-root", folder["trusted_root.json"], "--signing-config", folder["signing_config.json"]];
        Ran signed = await RunAsync([.. sign, .. inToto ? ["--in-toto", folder["statement.json"]] : (string[])[folder["an artifact"]]]);
        Ran verified = await RunAsync(
            "verify-bundle", "--bundle", folder["bundle.json"], "--certificate-identity", sandbox.Issuer.CertificateIdentity, "--certificate-oidc-issuer", sandbox.Issuer.Url, "--trusted-root", folder["trusted_root.json"], folder["an artifact"]);

        Assert.AreEqual(0, signed.ExitCode, signed.Errors);
        Assert.AreEqual(0, verified.ExitCode, verified.Errors);
        Assert.AreEqual(inToto, JsonNode.Parse(await File.ReadAllTextAsync(folder["bundle.json"], test.CancellationToken))!["dsseEnvelope"] is not null);
    }

    private async Task<string> TokenAsync(HttpClient client, SandboxHost sandbox)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"{sandbox.Issuer.RequestUrl}&audience=sigstore");
        request.Headers.Authorization = new("Bearer", sandbox.Issuer.RequestToken);
        using HttpResponseMessage answer = (await client.SendAsync(request, test.CancellationToken)).EnsureSuccessStatusCode();
        return (string)JsonNode.Parse(await answer.Content.ReadAsStringAsync(test.CancellationToken))!["value"]!;
    }

    private Task<Ran> VerifyAsync(string bundle, string identity, string artifact) => RunAsync(
        "verify-bundle", "--bundle", Fixture("blob/" + bundle), "--certificate-identity", identity, "--certificate-oidc-issuer", RealSamples.Issuer, "--trusted-root", Root, artifact);

    private async Task<Ran> RunAsync(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = Path.GetTempPath() };
        foreach (string argument in (string[])[Path.Combine(AppContext.BaseDirectory, "Keyless.Conformance.dll"), "bundle", .. arguments])
        {
            start.ArgumentList.Add(argument);
        }

        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(test.CancellationToken), errors = process.StandardError.ReadToEndAsync(test.CancellationToken);
        await process.WaitForExitAsync(test.CancellationToken);
        return new Ran(process.ExitCode, await output, await errors);
    }

    private static string Fixture(string path) => Path.Combine(AppContext.BaseDirectory, "fixtures", "real", path);

    private sealed record Ran(int ExitCode, string Output, string Errors);
}
