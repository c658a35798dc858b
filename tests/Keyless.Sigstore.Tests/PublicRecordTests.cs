using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

[TestClass]
public sealed class PublicRecordTests(TestContext test)
{
    [TestMethod]
    [DataRow("private")]
    [DataRow("internal")]
    public async Task Asks_before_an_identity_that_is_not_public_goes_into_a_public_log(string visibility)
    {
        await using SandboxHost sandbox = await StartAsync(visibility);

        var no = await Assert.ThrowsExactlyAsync<IdentityException>(() => BeginAsync(sandbox, WithPublicLog(sandbox), acceptPublicLog: false));

        Assert.AreEqual(IdentityFailure.MayBePrivate, no.Failure);
        foreach (string published in new[]
        {
            sandbox.Issuer.CertificateIdentity, "example-org/example-repo", "https://github.com/example-org/example-repo", "https://github.com/example-org", "/actions/runs/",
        })
        {
            Assert.Contains(published, no.Message);
        }

        Assert.AreEqual(0, sandbox.Traffic.Snapshot().Count(request => request.Part == sandbox.FulcioServer.Part), "CT publishes when a certificate is issued");
    }

    [TestMethod]
    public async Task Asks_where_the_token_does_not_say_what_kind_of_repository_it_is()
    {
        await using SandboxHost sandbox = await StartAsync(visibility: null);

        var no = await Assert.ThrowsExactlyAsync<IdentityException>(() => BeginAsync(sandbox, WithPublicLog(sandbox), acceptPublicLog: false));

        Assert.AreEqual(IdentityFailure.MayBePrivate, no.Failure);
    }

    [TestMethod]
    public async Task Does_not_ask_for_public_repositories()
    {
        await using SandboxHost sandbox = await StartAsync("public");

        using SigningSession session = await BeginAsync(sandbox, WithPublicLog(sandbox), acceptPublicLog: false);

        Assert.AreEqual(sandbox.Issuer.CertificateIdentity, session.Subject);
    }

    [TestMethod]
    public async Task Does_not_ask_who_has_agreed()
    {
        await using SandboxHost sandbox = await StartAsync("private");

        using SigningSession session = await BeginAsync(sandbox, WithPublicLog(sandbox), acceptPublicLog: true);

        Assert.AreEqual(sandbox.Issuer.CertificateIdentity, session.Subject);
    }

    [TestMethod]
    public async Task Does_not_ask_where_all_logs_are_private()
    {
        await using SandboxHost sandbox = await StartAsync("private");

        using SigningSession session = await BeginAsync(sandbox, Root(sandbox.TrustedRoot), acceptPublicLog: false);

        Assert.AreEqual(sandbox.Issuer.CertificateIdentity, session.Subject);
    }

    [TestMethod]
    public async Task Knows_the_public_instance_by_its_logs_whatever_file_they_stand_in()
    {
        await using SandboxHost sandbox = await StartAsync("public");
        string json = await File.ReadAllTextAsync(Repository.PathTo("src/Keyless.Sigstore/Tuf/Roots/public-good.trusted_root.json"), test.CancellationToken);
        JsonNode withAnother = JsonNode.Parse(json)!, withNone = JsonNode.Parse(json)!, staging = JsonNode.Parse(sandbox.TrustedRoot)!;
        withAnother["tlogs"]!.AsArray().Add(JsonNode.Parse(sandbox.TrustedRoot)!["tlogs"]![0]!.DeepClone());
        withNone["tlogs"] = new JsonArray();
        foreach (JsonNode? log in staging["tlogs"]!.AsArray())
        {
            log!["baseUrl"] = "https://rekor.sigstage.dev";
        }

        Assert.IsTrue(PublicRecord.IsPublicGood(Root(json)));
        Assert.IsFalse(PublicRecord.IsPublicGood(Root(withAnother.ToJsonString())));
        Assert.IsFalse(PublicRecord.IsPublicGood(Root(withNone.ToJsonString())));
        Assert.IsFalse(PublicRecord.IsPublicGood(Root(staging.ToJsonString())));
        Assert.IsFalse(PublicRecord.IsPublicGood(WithPublicLog(sandbox)));
        Assert.IsFalse(PublicRecord.IsPublicGood(Root(sandbox.TrustedRoot)));
    }

    private async Task<SandboxHost> StartAsync(string? visibility)
    {
        SandboxHost sandbox = await SandboxHost.StartAsync(null, test.CancellationToken);
        sandbox.Issuer.Claims["repository_visibility"] = visibility;
        if (visibility is null)
        {
            sandbox.Issuer.Claims.Remove("repository_visibility");
        }

        return sandbox;
    }

    private async Task<SigningSession> BeginAsync(SandboxHost sandbox, TrustedRoot root, bool acceptPublicLog)
    {
        using HttpClient client = Clients.New();
        var instance = new SigstoreInstance { TrustedRoot = root, SigningConfig = SigningConfig.Parse(Encoding.UTF8.GetBytes(sandbox.SigningConfig)) };
        IReadOnlyDictionary<string, string> variables = sandbox.Environment;
        var identities = new AmbientIdentity("auto", client, Clients.UserAgent, name => variables.GetValueOrDefault(name));
        var signer = new Signer(instance, new Verifier(root), identities, client, Clients.UserAgent, TimeProvider.System, allowHttp: false, acceptPublicLog);
        return await signer.BeginAsync(test.CancellationToken);
    }

    // The key of the public-good instance's CT log of 2022, under another name.
    private static TrustedRoot WithPublicLog(SandboxHost sandbox)
    {
        JsonNode root = JsonNode.Parse(sandbox.TrustedRoot)!;
        root["ctlogs"]!.AsArray().Add(JsonNode.Parse(
            """
            {"baseUrl":"https://ct.example","hashAlgorithm":"SHA2_256","logId":{"keyId":"3T0wasbHETJjGR4cmWc3AqJKXrjePK3/h4pygC8p7o4="},
             "publicKey":{"keyDetails":"PKIX_ECDSA_P256_SHA_256","validFor":{"start":"2022-10-20T00:00:00Z"},
             "rawBytes":"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEiPSlFi0CmFTfEjCUqF9HuCEcYXNKAaYalIJmBZ8yyezPjTqhxrKBpMnaocVtLJBI1eM3uXnQzQGAJdJ4gs9Fyw=="}}
            """));
        return Root(root.ToJsonString());
    }

    private static TrustedRoot Root(string json) => TrustedRoot.Parse(Encoding.UTF8.GetBytes(json));
}
