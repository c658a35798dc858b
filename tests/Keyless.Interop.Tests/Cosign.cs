using Keyless.Sandbox;
using Keyless.Testing;

namespace Keyless.Interop.Tests;

/// <summary>How an image signature is kept.</summary>
public enum Form
{
    /// <summary>A Sigstore bundle as an OCI referrer.</summary>
    Bundle,

    /// <summary>Simple signing under a <c>.sig</c> tag.</summary>
    Sig,

    /// <summary>The same, with an RFC 3161 timestamp.</summary>
    SigWithTimestamp,

    /// <summary>Simple signing as an OCI referrer, which cosign calls experimental.</summary>
    Oci11,
}

/// <summary>cosign 2.5 or 3.1, told where one world's services are and whom to trust there; as its workflow, unless there is a key.</summary>
internal sealed class Cosign(World world, int version)
{
    private const string KeyPassword = "a test's key is no secret";

    private string Program => Tools.Require(version == 3 ? "cosign" : "cosign2");

    private string[] TrustedRoot => ["--trusted-root", world.Folder["trusted_root.json"]];

    private string[] SigningConfig => ["--signing-config", world.Folder["signing_config.json"], .. TrustedRoot];

    /// <summary>How services were named before there were signing configs; Rekor v1 is the only one then.</summary>
    private string[] Services => ["--fulcio-url", Url(world.Sandbox.FulcioServer), "--rekor-url", Url(world.Sandbox.RekorV1Server)];

    private string[] Timestamps => ["--timestamp-server-url", $"{Url(world.Sandbox.TimestampServer)}/api/v1/timestamp"];

    /// <param name="more">For cosign, before the image: <c>-a k=v</c>, <c>--recursive</c>, <c>--key</c>.</param>
    public async Task SignAsync(string image, Form form, params string[] more)
    {
        string[] how = (version, form) switch
        {
            (3, Form.Bundle) => SigningConfig,
            (3, _) => [.. TrustedRoot, "--new-bundle-format=false", "--use-signing-config=false", .. Services],
            (_, Form.Bundle) => throw new InvalidOperationException("cosign 2.5 signs no images in bundles"),
            _ => Services,
        };
        string[] kept = form switch
        {
            Form.SigWithTimestamp => Timestamps,
            Form.Oci11 => ["--registry-referrers-mode=oci-1-1"],
            _ => [],
        };
        await SucceedsAsync(["sign", "--yes", .. how, .. kept, .. more, image], experimental: form == Form.Oci11);
    }

    public Task SignAsync(string image, params string[] more) => SignAsync(image, Form.Bundle, more);

    /// <summary>Asks whether the image is signed by <see cref="World.Signer"/>, or by somebody else.</summary>
    public Task<ToolResult> VerifyAsync(string image, Form form, string? identity, params string[] more) =>
        VerifyAsync(image, form, [.. Identity(identity), .. more]);

    public Task<ToolResult> VerifyAsync(string image, string? identity = null, params string[] more) => VerifyAsync(image, Form.Bundle, identity, more);

    public Task<ToolResult> VerifyKeyAsync(string image, Form form, string publicKey) => VerifyAsync(image, form, ["--key", publicKey]);

    /// <summary>Attests a predicate of the type <c>custom</c> about the image.</summary>
    public Task AttestAsync(string image) => SucceedsAsync(
        ["attest", "--yes", .. version == 3 ? SigningConfig : Services, "--predicate", world.Folder.Write("predicate.json", """{"answer":42}"""), "--type", "custom", image]);

    public Task<ToolResult> VerifyAttestationAsync(string image) => RunAsync(["verify-attestation", .. TrustedRoot, .. Identity(null), "--type", "custom", image]);

    /// <param name="bundle">The file to write.</param>
    /// <param name="more">For cosign, before the file: <c>--key</c>, <c>--new-bundle-format</c>.</param>
    public Task SignBlobAsync(string file, string bundle, params string[] more) =>
        SucceedsAsync(["sign-blob", "--yes", .. BlobServices(more), "--bundle", bundle, .. more, file]);

    /// <summary>As <see cref="SignBlobAsync"/>, with a statement about the file whose predicate is of the type <c>custom</c>.</summary>
    public Task AttestBlobAsync(string file, string bundle, params string[] more) => SucceedsAsync(
        ["attest-blob", "--yes", .. BlobServices(more), "--bundle", bundle,
            "--predicate", world.Folder.Write("predicate.json", """{"answer":42}"""), "--type", "custom", .. more, file]);

    /// <param name="publicKey">Null where the world's workflow signed.</param>
    public Task<ToolResult> VerifyBlobAsync(string file, string bundle, bool attestation, string? publicKey = null, params string[] more) => RunAsync(
        [attestation ? "verify-blob-attestation" : "verify-blob", .. TrustedRoot, .. version == 3 ? Array.Empty<string>() : ["--new-bundle-format"],
            .. publicKey is null ? Identity(null) : ["--key", publicKey], .. attestation ? (string[])["--type", "custom"] : [], .. more, "--bundle", bundle, file]);

    /// <summary>Makes <c>name.key</c>, which cosign signs with, of a private key in PEM, and <c>name.pub</c>.</summary>
    public async Task<(string Private, string Public)> ImportKeyAsync(string name, string pem)
    {
        await SucceedsAsync(["import-key-pair", "--key", world.Folder.Write($"{name}.pem", pem), "--output-key-prefix", name]);
        return (world.Folder[$"{name}.key"], world.Folder[$"{name}.pub"]);
    }

    private Task<ToolResult> VerifyAsync(string image, Form form, string[] more) => RunAsync(
        ["verify", .. version == 3 ? TrustedRoot : [], .. form == Form.SigWithTimestamp ? (string[])["--use-signed-timestamps"] : [],
            .. form == Form.Oci11 ? (string[])["--experimental-oci11"] : [], .. more, image],
        experimental: form == Form.Oci11);

    private string[] BlobServices(string[] more) => version == 3 && !more.Contains("--use-signing-config=false") ? SigningConfig : Services;

    private string[] Identity(string? identity) => ["--certificate-identity", identity ?? world.Signer, "--certificate-oidc-issuer", world.Sandbox.Issuer.Url];

    private async Task SucceedsAsync(string[] arguments, bool experimental = false)
    {
        ToolResult result = await RunAsync(arguments, experimental);
        Assert.AreEqual(0, result.ExitCode, $"cosign {version} {string.Join(' ', arguments)}: {result}");
    }

    private Task<ToolResult> RunAsync(string[] arguments, bool experimental = false)
    {
        var environment = new Dictionary<string, string>(world.Sandbox.Environment.Concat(world.CosignEnvironment)) { ["COSIGN_PASSWORD"] = KeyPassword };
        if (experimental)
        {
            environment["COSIGN_EXPERIMENTAL"] = "1";
        }

        // cosign 3 would prefer these to the trusted root it is given.
        foreach ((string name, string file) in version == 2 ? SandboxHost.Cosign2Environment(world.Folder.Path) : new Dictionary<string, string>())
        {
            environment[name] = file;
        }

        return Tools.RunAsync(Program, arguments, world.Folder.Path, environment, world.Cancel);
    }

    private static string Url(LoopbackServer server) => server.BaseUrl.GetLeftPart(UriPartial.Authority);
}
