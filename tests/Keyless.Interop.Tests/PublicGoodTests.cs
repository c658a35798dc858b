using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Keyless.Sigstore;
using Keyless.Testing;

namespace Keyless.Interop.Tests;

/// <summary>The public-good instance as its own clients carry it, and what was signed there: real provenance, real certificates, the real log.</summary>
[TestClass]
public sealed class PublicGoodTests
{
    private const string SigstoreGo = "usr/share/gocode/src/github.com/sigstore/sigstore-go";
    private const string Workflow = "https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main";
    private const string GitHub = "https://token.actions.githubusercontent.com";
    private const string Provenance = "https://slsa.dev/provenance/v1";

    private static readonly byte[] Embedded = File.ReadAllBytes(Repository.PathTo("src/Keyless.Sigstore/Tuf/Roots/public-good.trusted_root.json"));

    private static readonly Verifier Verifier = new(TrustedRoot.Parse(Embedded));

    [TestMethod]
    public void Npms_client_carries_the_trusted_root_that_we_do()
    {
        JsonNode seeds = JsonNode.Parse(File.ReadAllBytes(Tools.RequireFile("node", "node_modules/@sigstore/tuf/seeds.json")))!;

        byte[] theirs = Convert.FromBase64String((string)seeds["https://tuf-repo-cdn.sigstore.dev"]!["targets"]!["trusted_root.json"]!);

        CollectionAssert.AreEqual(theirs, Embedded);
    }

    [TestMethod]
    public void The_trusted_root_in_sigstore_gos_examples_is_usable_without_exception() =>
        Assert.IsEmpty(TrustedRoot.Parse(File.ReadAllBytes(Tools.RequireFile("sid", $"{SigstoreGo}/examples/trusted-root-public-good.json"))).Warnings);

    // npm's registry made it in August 2023: a bundle v0.1 with an intoto 0.0.2 entry, over the SHA-512 of the package.
    [TestMethod]
    public async Task Accepts_the_provenance_that_was_published_with_an_npm_package()
    {
        Policy[] policies =
        [
            Policy.Exactly(Workflow, GitHub, Provenance),
            new Policy(null, null, new GitHubIdentity { Repository = "sigstore/sigstore-js", Workflow = "release.yml", Ref = "refs/heads/main" }, Provenance),
        ];
        foreach (Policy policy in policies)
        {
            VerifiedSignature verified = Verifier.Verify(Bundle("sigstore.js@2.0.0-provenance"), await PackageAsync(), policy);

            Assert.AreEqual(Workflow, verified.Signer!.Subject);
            Assert.AreEqual(new DateTimeOffset(2023, 8, 18, 16, 5, 35, TimeSpan.Zero), verified.SignedAt);
        }
    }

    [TestMethod]
    public async Task Refuses_it_for_another_package_another_signer_or_another_statement()
    {
        byte[] bundle = Bundle("sigstore.js@2.0.0-provenance");
        Artifact package = await PackageAsync();

        Assert.AreEqual("subject.digest", Reason(bundle, Artifact.FromContent("another package"u8.ToArray()), Policy.Exactly(Workflow, GitHub, Provenance)));
        Assert.AreEqual("policy.identity", Reason(bundle, package, Policy.Exactly(Workflow.Replace("main", "next", StringComparison.Ordinal), GitHub, Provenance)));
        Assert.AreEqual("subject.predicate-type", Reason(bundle, package, Policy.Exactly(Workflow, GitHub, SimpleSignature.PredicateType)));
    }

    // Of November 2022, when Fulcio had just begun to embed SCTs; the package it is about is not to be had, so that is where it has to end.
    [TestMethod]
    public void Follows_a_signature_of_2022_by_a_person_up_to_its_subject()
    {
        byte[] bundle = Bundle("dsse");

        var no = Assert.ThrowsExactly<VerificationException>(
            () => Verifier.Verify(bundle, Artifact.FromContent("not the package"u8.ToArray()), Policy.Exactly("nobody@example.com", "https://issuer.example.com", null)));

        Assert.AreEqual("subject.digest", no.Reason, no.Message);
        Assert.AreEqual("https://github.com/login/oauth", no.Signer!.Issuer);
        Assert.AreEqual(new DateTimeOffset(2022, 11, 9, 23, 0, 36, TimeSpan.Zero), no.SignedAt);
    }

    [TestMethod]
    public void Refuses_an_envelope_with_a_second_signature() =>
        Assert.AreEqual("bundle.limit", Reason(Bundle("dsse-2sigs"), Artifact.FromContent("not the package"u8.ToArray()), Policy.Exactly(Workflow, GitHub, null)));

    [TestMethod]
    public async Task Cosign_agrees()
    {
        string cosign = Tools.Require("cosign");
        using var home = new TemporaryFolder();
        await File.WriteAllBytesAsync(home["root.json"], Embedded);

        ToolResult verify = await Tools.RunAsync(
            cosign,
            [
                "verify-blob-attestation", "--trusted-root", home["root.json"], "--bundle", BundlePath("sigstore.js@2.0.0-provenance"),
                "--certificate-identity", Workflow, "--certificate-oidc-issuer", GitHub, "--type", "slsaprovenance1",
                "--digest", Convert.ToHexStringLower(SHA512.HashData(await File.ReadAllBytesAsync(PackagePath))), "--digestAlg", "sha512",
            ],
            home.Path,
            null,
            CancellationToken.None);

        Assert.AreEqual(0, verify.ExitCode, verify.ToString());
    }

    private static string PackagePath => Tools.RequireFile("node", "sigstore-2.0.0.tgz");

    private static async Task<Artifact> PackageAsync()
    {
        await using FileStream package = File.OpenRead(PackagePath);
        return await Artifact.ReadAsync(package, CancellationToken.None);
    }

    private static string BundlePath(string name) => Tools.RequireFile("sid", $"{SigstoreGo}/pkg/testing/data/bundles/{name}.sigstore.json");

    private static byte[] Bundle(string name) => File.ReadAllBytes(BundlePath(name));

    private static string Reason(byte[] bundle, Artifact artifact, Policy policy) =>
        Assert.ThrowsExactly<VerificationException>(() => Verifier.Verify(bundle, artifact, policy)).Reason;
}
