using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

[TestClass]
public sealed class SignerTests(TestContext test)
{
    private const string PredicateType = "https://sigstore.dev/cosign/sign/v1";

    private static readonly ArtifactDigest Image = ArtifactDigest.Sha256(new string('a', 64));
    private static readonly Dictionary<string, string> Annotations = new() { ["env"] = "prod", ["build"] = "7" };

    [TestMethod]
    [DataRow(RekorVersion.V1)]
    [DataRow(RekorVersion.V2)]
    public async Task Signs_what_its_own_verifier_accepts(RekorVersion rekor)
    {
        await using SandboxHost sandbox = await StartAsync(rekor);

        SignedBundle signed = await SignAsync(sandbox);

        Assert.AreEqual(sandbox.Issuer.CertificateIdentity, signed.Verified.Signer!.Subject);
        Assert.AreEqual(sandbox.Issuer.Url, signed.Verified.Signer!.Issuer);
        Assert.AreEqual("prod", signed.Verified.Annotations["env"]);
        VerifiedSignature again = new Verifier(Root(sandbox)).Verify(
            signed.Json, Image, Policy.Exactly(sandbox.Issuer.CertificateIdentity, sandbox.Issuer.Url, PredicateType));
        Assert.AreEqual(signed.Verified.LogIndex, again.LogIndex);
    }

    [TestMethod]
    public async Task Serves_many_artifacts_with_one_token_key_and_certificate()
    {
        await using SandboxHost sandbox = await StartAsync();
        using HttpClient client = Clients.New();
        Signer signer = New(sandbox, client);
        using SigningSession session = await signer.BeginAsync(test.CancellationToken);

        SignedBundle[] signed = await Task.WhenAll(Enumerable.Range(0, 3).Select(n =>
            signer.SignAsync(session, ArtifactDigest.Sha256(new string("abc"[n], 64)), PredicateType, Annotations, test.CancellationToken)));

        Assert.HasCount(3, signed.Select(bundle => bundle.Verified.LogIndex).Distinct());
        Assert.HasCount(1, signed.Select(bundle => (string?)JsonNode.Parse(bundle.Json.Span)!["verificationMaterial"]!["certificate"]!["rawBytes"]).Distinct());
        // Token, certificate, and for each artifact a timestamp and a log entry at the same time.
        Assert.AreEqual(2 + 2 * 3, sandbox.Traffic.Measure(Clients.UserAgent).Requests);
    }

    [TestMethod]
    public async Task Asks_four_times_and_waits_three_times()
    {
        await using SandboxHost sandbox = await StartAsync();
        foreach (LoopbackServer server in sandbox.Servers)
        {
            server.Delay = TimeSpan.FromMilliseconds(100);
        }

        _ = await SignAsync(sandbox);

        Assert.AreEqual(new TrafficMeasure(4, 3), sandbox.Traffic.Measure(Clients.UserAgent));
    }

    [TestMethod]
    public async Task Pins_the_certificates_own_subject_where_no_rule_is_known()
    {
        await using SandboxHost sandbox = await StartAsync();
        string jwt = sandbox.Issuer.CreateToken();
        using HttpClient client = Clients.New();
        using SigningSession session = await New(sandbox, client, environment: name => name == "SIGSTORE_ID_TOKEN" ? jwt : null).BeginAsync(test.CancellationToken);

        Assert.IsNull(session.Token.ExpectedSubject);
        Assert.AreEqual(sandbox.Issuer.CertificateIdentity, session.Subject);
    }

    [TestMethod]
    public async Task Refuses_a_certificate_for_somebody_else()
    {
        await using SandboxHost sandbox = await StartAsync();
        IReadOnlyDictionary<string, string> environment = sandbox.Environment;
        Func<string, string?> elsewhere = name => name == "GITHUB_SERVER_URL" ? "https://github.example" : environment.GetValueOrDefault(name);

        ServiceException no = await Assert.ThrowsExactlyAsync<ServiceException>(() => SignAsync(sandbox, environment: elsewhere));

        Assert.AreEqual(ServiceFailure.Nonsense, no.Failure);
        Assert.AreEqual("Fulcio", no.Service);
        Assert.AreEqual("policy", Assert.IsInstanceOfType<VerificationException>(no.InnerException).Step);
    }

    [TestMethod]
    [DataRow("certificateAuthorities", "cert", "Fulcio")]
    [DataRow("ctlogs", "sct", "Fulcio")]
    [DataRow("timestampAuthorities", "time", "timestamp authority")]
    [DataRow("tlogs", "tlog", "Rekor")]
    public async Task Publishes_nothing_its_own_verifier_refuses_and_names_the_service(string list, string step, string service)
    {
        await using SandboxHost ours = await StartAsync();
        await using SandboxHost theirs = await StartAsync();
        JsonNode root = JsonNode.Parse(ours.TrustedRoot)!;
        JsonArray keys = JsonNode.Parse(theirs.TrustedRoot)![list]!.DeepClone().AsArray();
        // Their keys under our addresses: an address that nobody knows is refused before anything is asked.
        foreach ((JsonNode? key, JsonNode? own) in keys.Zip(root[list]!.AsArray()))
        {
            string url = list.EndsWith("logs", StringComparison.Ordinal) ? "baseUrl" : "uri";
            key![url] = (string?)own![url];
        }

        root[list] = keys;

        ServiceException no = await Assert.ThrowsExactlyAsync<ServiceException>(() => SignAsync(ours, TrustedRoot.Parse(Bytes(root.ToJsonString()))));

        Assert.AreEqual(ServiceFailure.Nonsense, no.Failure);
        Assert.AreEqual(service, no.Service);
        Assert.AreEqual(step, Assert.IsInstanceOfType<VerificationException>(no.InnerException).Step);
    }

    // Both answer, and one of them in a name that the trusted root has for another key: such an answer proves nothing, and two were asked for.
    [TestMethod]
    [Clause("T.44", "L.5")]
    [DataRow("tlogs", "baseUrl", "rekorTlog", "tlog.threshold", "Rekor")]
    [DataRow("timestampAuthorities", "uri", "tsa", "time.threshold", "timestamp authority")]
    public async Task Publishes_nothing_that_fewer_witnesses_than_were_selected_stand_behind(string list, string url, string services, string reason, string service)
    {
        await using SandboxHost ours = await StartAsync();
        await using SandboxHost theirs = await StartAsync();
        JsonNode root = JsonNode.Parse(ours.TrustedRoot)!, config = JsonNode.Parse(ours.SigningConfig)!;
        foreach ((JsonNode? own, JsonNode? other) in root[list]!.DeepClone().AsArray().Zip(JsonNode.Parse(theirs.TrustedRoot)![list]!.AsArray()))
        {
            own![url] = (string?)other![url];
            root[list]!.AsArray().Add(own.DeepClone());
        }

        foreach (JsonNode? other in JsonNode.Parse(theirs.SigningConfig)![$"{services}Urls"]!.AsArray())
        {
            other!["operator"] = "theirs";
            config[$"{services}Urls"]!.AsArray().Add(other.DeepClone());
        }

        config[$"{services}Config"] = new JsonObject { ["selector"] = "ALL" };

        ServiceException no = await Assert.ThrowsExactlyAsync<ServiceException>(() => SignAsync(ours, TrustedRoot.Parse(Bytes(root.ToJsonString())), config.ToJsonString()));

        Assert.AreEqual((ServiceFailure.Nonsense, service), (no.Failure, no.Service));
        Assert.AreEqual(reason, Assert.IsInstanceOfType<VerificationException>(no.InnerException).Reason, no.Message);
        Assert.AreEqual(1, theirs.Traffic.Measure(Clients.UserAgent).Requests);
    }

    [TestMethod]
    public async Task Asks_nobody_with_a_token_that_is_about_to_expire()
    {
        await using SandboxHost sandbox = await StartAsync();
        string jwt = sandbox.Issuer.CreateToken(lifetime: TimeSpan.FromSeconds(50));

        IdentityException no = await Assert.ThrowsExactlyAsync<IdentityException>(() => SignAsync(sandbox, environment: name => name == "SIGSTORE_ID_TOKEN" ? jwt : null));

        Assert.AreEqual(IdentityFailure.Expired, no.Failure);
        Tokens.AssertNotIn(no, jwt);
        Assert.AreEqual(0, sandbox.Traffic.Measure(Clients.UserAgent).Requests);
    }

    [TestMethod]
    public async Task Asks_nobody_where_nothing_would_prove_the_time()
    {
        await using SandboxHost sandbox = await StartAsync();
        JsonNode config = JsonNode.Parse(sandbox.SigningConfig)!;
        config["tsaUrls"] = new JsonArray();

        FormatException no = await Assert.ThrowsExactlyAsync<FormatException>(() => SignAsync(sandbox, signingConfig: config.ToJsonString()));

        Assert.Contains("tsaUrls is empty", no.Message);
        Assert.AreEqual(0, sandbox.Traffic.Measure(Clients.UserAgent).Requests);
    }

    [TestMethod]
    [DataRow("certificateAuthorities", "certificate authority")]
    [DataRow("tlogs", "transparency log")]
    [DataRow("timestampAuthorities", "timestamp authority")]
    public async Task Asks_nobody_where_the_trusted_root_does_not_know_a_service(string list, string says)
    {
        await using SandboxHost ours = await StartAsync();
        await using SandboxHost theirs = await StartAsync();
        JsonNode root = JsonNode.Parse(ours.TrustedRoot)!;
        root[list] = JsonNode.Parse(theirs.TrustedRoot)![list]!.DeepClone();

        FormatException no = await Assert.ThrowsExactlyAsync<FormatException>(() => SignAsync(ours, TrustedRoot.Parse(Bytes(root.ToJsonString()))));

        Assert.Contains($"names the {says} http://127.0.0.1:", no.Message);
        Assert.Contains("which the trusted root does not know", no.Message);
        Assert.AreEqual(0, ours.Traffic.Measure(Clients.UserAgent).Requests);
    }

    // The identity would be public for ever before the private root had anything to say.
    [TestMethod]
    public async Task Asks_nobody_where_a_private_root_stands_beside_a_public_signing_config()
    {
        await using SandboxHost sandbox = await StartAsync();
        JsonNode config = JsonNode.Parse(sandbox.SigningConfig)!;
        config["caUrls"]![0]!["url"] = "https://fulcio.sigstore.dev";
        config["rekorTlogUrls"] = new JsonArray(config["rekorTlogUrls"]![0]!.DeepClone());
        config["rekorTlogUrls"]![0]!["url"] = "https://rekor.sigstore.dev";
        config["tsaUrls"]![0]!["url"] = "https://timestamp.sigstore.dev/api/v1/timestamp";

        FormatException no = await Assert.ThrowsExactlyAsync<FormatException>(() => SignAsync(sandbox, signingConfig: config.ToJsonString()));

        Assert.Contains("https://fulcio.sigstore.dev", no.Message);
        Assert.AreEqual(0, sandbox.Traffic.Measure(Clients.UserAgent).Requests);
    }

    [TestMethod]
    [DataRow("Fulcio")]
    [DataRow("Rekor")]
    [DataRow("timestamp authority")]
    public async Task Says_which_service_is_down(string service)
    {
        await using SandboxHost sandbox = await StartAsync();
        LoopbackServer down = service switch
        {
            "Fulcio" => sandbox.FulcioServer,
            "Rekor" => sandbox.RekorV2Server,
            _ => sandbox.TimestampServer,
        };
        await down.StopAsync(test.CancellationToken);

        ServiceException no = await Assert.ThrowsExactlyAsync<ServiceException>(() => SignAsync(sandbox));

        Assert.AreEqual(ServiceFailure.Unreachable, no.Failure);
        Assert.AreEqual(service, no.Service);
    }

    [TestMethod]
    public void Reads_both_documents_from_one_client_trust_config()
    {
        const string json = """
            {"mediaType":"application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot":{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"},
            "signingConfig":{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json"}}
            """;

        Assert.IsNotNull(SigstoreInstance.FromClientTrustConfig(Bytes(json)).SigningConfig);
        Assert.IsNull(SigstoreInstance.FromClientTrustConfig(Bytes(json.Replace("signingConfig", "other", StringComparison.Ordinal))).SigningConfig);
        Assert.Throws<FormatException>(() => SigstoreInstance.FromClientTrustConfig(Bytes(json.Replace("clienttrustconfig.v0.1", "clienttrustconfig.v0.2", StringComparison.Ordinal))));
        Assert.Throws<FormatException>(() => SigstoreInstance.FromClientTrustConfig(Bytes(json.Replace("trustedRoot", "other", StringComparison.Ordinal))));
    }

    private async Task<SignedBundle> SignAsync(
        SandboxHost sandbox, TrustedRoot? root = null, string? signingConfig = null, Func<string, string?>? environment = null)
    {
        using HttpClient client = Clients.New();
        Signer signer = New(sandbox, client, root, signingConfig, environment);
        using SigningSession session = await signer.BeginAsync(test.CancellationToken);
        return await signer.SignAsync(session, Image, PredicateType, Annotations, test.CancellationToken);
    }

    private static Signer New(
        SandboxHost sandbox, HttpClient client, TrustedRoot? root = null, string? signingConfig = null, Func<string, string?>? environment = null)
    {
        IReadOnlyDictionary<string, string> variables = sandbox.Environment;
        var instance = new SigstoreInstance
        {
            TrustedRoot = root ?? Root(sandbox),
            SigningConfig = SigningConfig.Parse(Bytes(signingConfig ?? sandbox.SigningConfig)),
        };
        var identities = new AmbientIdentity("auto", client, Clients.UserAgent, environment ?? (name => variables.GetValueOrDefault(name)));
        return new Signer(instance, new Verifier(instance.TrustedRoot), identities, client, Clients.UserAgent, TimeProvider.System, allowHttp: false, acceptPublicLog: false);
    }

    private Task<SandboxHost> StartAsync(RekorVersion rekor = RekorVersion.V2) =>
        SandboxHost.StartAsync(new SandboxOptions { Rekor = rekor }, test.CancellationToken);

    private static TrustedRoot Root(SandboxHost sandbox) => TrustedRoot.Parse(Bytes(sandbox.TrustedRoot));

    private static byte[] Bytes(string json) => Encoding.UTF8.GetBytes(json);
}
