using System.Formats.Asn1;
using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;

namespace Keyless.Sandbox.Tests;

[TestClass]
public sealed class FulcioTests
{
    private const string Workflow = "example-org/example-repo/.github/workflows/publish.yml@refs/heads/main";

    public required TestContext TestContext { get; init; }

    [TestMethod]
    public async Task Certifies_a_workflow_that_sends_a_signing_request()
    {
        var fulcio = new Fulcio(new CtLog(TimeProvider.System), _ => GitHub(), TimeProvider.System);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

        X509Certificate2[] chain = await IssueAsync(fulcio, WithRequest(key));

        Assert.HasCount(3, chain);
        X509Certificate2 leaf = chain[0];
        CollectionAssert.AreEqual(key.ExportSubjectPublicKeyInfo(), leaf.PublicKey.ExportSubjectPublicKeyInfo());
        Assert.AreEqual("", leaf.Subject);
        Assert.AreEqual(TimeSpan.FromMinutes(10), leaf.NotAfter - leaf.NotBefore);
        Assert.IsTrue(leaf.Extensions["2.5.29.17"]!.Critical);
        Assert.AreEqual($"https://github.com/{Workflow}", Name(leaf, tag: 6));
        Assert.AreEqual("https://issuer.test", Encoding.UTF8.GetString(leaf.Extensions["1.3.6.1.4.1.57264.1.1"]!.RawData));
        Assert.AreEqual("https://issuer.test", Utf8(leaf, 8));
        Assert.AreEqual("https://github.com/example-org/example-repo", Utf8(leaf, 12));
        Assert.AreEqual("https://github.com/example-org/example-repo/actions/runs/12/attempts/1", Utf8(leaf, 21));
        Assert.IsNull(leaf.Extensions["1.3.6.1.4.1.57264.1.23"]);
        Assert.IsTrue(Chains(leaf, chain[1], chain[2]));
    }

    [TestMethod]
    public async Task Names_the_holder_of_an_email_token()
    {
        var fulcio = new Fulcio(new CtLog(TimeProvider.System), _ => Email(verified: true), TimeProvider.System);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

        X509Certificate2[] chain = await IssueAsync(fulcio, WithPossession(key, "dev@example.com"));

        Assert.AreEqual("dev@example.com", Name(chain[0], tag: 1));
    }

    // cosign 2 speaks it: https://github.com/sigstore/fulcio, pkg/api/client.go.
    [TestMethod]
    public async Task Speaks_version_1_too()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var tokens = new List<string>();
        var fulcio = new Fulcio(new CtLog(TimeProvider.System), token => { tokens.Add(token); return GitHub(); }, TimeProvider.System);
        await using World world = await World.StartAsync(fulcio.Map, TestContext.CancellationToken);
        world.Client.DefaultRequestHeaders.Authorization = new("Bearer", "token");

        using HttpResponseMessage response = await world.Client.PostAsJsonAsync(
            "/api/v1/signingCert",
            new JsonObject
            {
                ["publicKey"] = new JsonObject { ["content"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(key.ExportSubjectPublicKeyInfoPem())) },
                ["signedEmailAddress"] = Convert.ToBase64String(World.Sign(key, Encoding.UTF8.GetBytes((string)GitHub()["sub"]!))),
                ["certificateSigningRequest"] = null,
            },
            TestContext.CancellationToken);
        string text = await response.Content.ReadAsStringAsync(TestContext.CancellationToken);

        Assert.AreEqual(HttpStatusCode.Created, response.StatusCode, text);
        Assert.AreEqual("token", tokens.Single());
        var chain = new X509Certificate2Collection();
        chain.ImportFromPem(text);
        CollectionAssert.AreEqual(key.ExportSubjectPublicKeyInfo(), chain[0].PublicKey.ExportSubjectPublicKeyInfo());
        Assert.IsTrue(Chains(chain[0], chain[1], chain[2]));
        string root = await world.Client.GetStringAsync("/api/v1/rootCert", TestContext.CancellationToken);
        Assert.EndsWith(root, text);
    }

    [TestMethod]
    public async Task Embeds_an_sct_that_its_log_signed_over_the_certificate_without_it()
    {
        var log = new CtLog(TimeProvider.System);

        (byte[] input, byte[] signature, byte algorithm) = await SctAsync(log);

        Assert.AreEqual(3, algorithm);
        Assert.IsTrue(World.Verifies(log.Spki, input, signature));
        Assert.AreEqual(1, log.Entries);
    }

    [TestMethod]
    public async Task Signs_the_extensions_of_an_sct_too()
    {
        var log = new CtLog(TimeProvider.System) { ExtensionBytes = [0, 0, 5, 0, 0, 0, 0, 2] };

        (byte[] input, byte[] signature, _) = await SctAsync(log);

        CollectionAssert.AreEqual(new byte[] { 0, 8, 0, 0, 5, 0, 0, 0, 0, 2 }, input[^10..]);
        Assert.IsTrue(World.Verifies(log.Spki, input, signature));
    }

    [TestMethod]
    public async Task Lets_an_rsa_log_sign_the_sct()
    {
        var log = new CtLog(TimeProvider.System, CtLogKey.Rsa);

        (byte[] input, byte[] signature, byte algorithm) = await SctAsync(log);

        using var key = RSA.Create();
        key.ImportSubjectPublicKeyInfo(log.Spki, out _);
        Assert.AreEqual(1, algorithm);
        Assert.IsTrue(key.VerifyData(input, signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1));
    }

    [TestMethod]
    public async Task Refuses_a_signing_request_that_another_key_signed()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        JsonObject request = WithRequest(key);
        byte[] der = PemDer(Encoding.UTF8.GetString(Convert.FromBase64String((string)request["certificateSigningRequest"]!)));
        der[^1] ^= 1;
        request["certificateSigningRequest"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(PemEncoding.WriteString("CERTIFICATE REQUEST", der)));

        await RefusesAsync(request, _ => GitHub(), "certificate signing request");
    }

    [TestMethod]
    public async Task Refuses_a_proof_over_another_subject()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

        await RefusesAsync(WithPossession(key, "somebody else"), _ => GitHub(), "proof of possession");
    }

    [TestMethod]
    public async Task Refuses_an_email_address_that_is_not_verified()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

        await RefusesAsync(WithPossession(key, "dev@example.com"), _ => Email(verified: false), "not verified");
    }

    [TestMethod]
    public async Task Says_why_the_issuer_refused_the_token()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

        await RefusesAsync(WithRequest(key), _ => throw new FormatException("it expired at noon"), "it expired at noon");
    }

    private static JsonObject GitHub() => new()
    {
        ["iss"] = "https://issuer.test",
        ["sub"] = "repo:example-org/example-repo:ref:refs/heads/main",
        ["job_workflow_ref"] = Workflow,
        ["workflow_ref"] = Workflow,
        ["repository"] = "example-org/example-repo",
        ["run_id"] = 12,
        ["run_attempt"] = "1",
    };

    private static JsonObject Email(bool verified) =>
        new() { ["iss"] = "https://issuer.test", ["sub"] = "17", ["email"] = "dev@example.com", ["email_verified"] = verified };

    private static JsonObject WithRequest(ECDsa key) => new()
    {
        ["credentials"] = new JsonObject { ["oidcIdentityToken"] = "token" },
        ["certificateSigningRequest"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(
            new CertificateRequest(new X500DistinguishedName(""), key, HashAlgorithmName.SHA256).CreateSigningRequestPem())),
    };

    private static JsonObject WithPossession(ECDsa key, string subject) => new()
    {
        ["credentials"] = new JsonObject { ["oidcIdentityToken"] = "token" },
        ["publicKeyRequest"] = new JsonObject
        {
            ["publicKey"] = new JsonObject { ["algorithm"] = "ECDSA", ["content"] = key.ExportSubjectPublicKeyInfoPem() },
            ["proofOfPossession"] = Convert.ToBase64String(World.Sign(key, Encoding.UTF8.GetBytes(subject))),
        },
    };

    private async Task<X509Certificate2[]> IssueAsync(Fulcio fulcio, JsonObject request)
    {
        await using World world = await World.StartAsync(fulcio.Map, TestContext.CancellationToken);
        (HttpResponseMessage response, JsonObject body) = await world.PostAsync("/api/v2/signingCert", request, TestContext.CancellationToken);
        Assert.AreEqual(HttpStatusCode.OK, response.StatusCode, body.ToJsonString());
        return [.. body["signedCertificateEmbeddedSct"]!["chain"]!["certificates"]!.AsArray().Select(pem => X509Certificate2.CreateFromPem((string)pem!))];
    }

    private async Task RefusesAsync(JsonObject request, Func<string, JsonObject> claims, string because)
    {
        await using World world = await World.StartAsync(new Fulcio(new CtLog(TimeProvider.System), claims, TimeProvider.System).Map, TestContext.CancellationToken);
        (HttpResponseMessage response, JsonObject body) = await world.PostAsync("/api/v2/signingCert", request, TestContext.CancellationToken);
        Assert.AreEqual(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.AreEqual(3, (int)body["code"]!);
        StringAssert.Contains((string)body["message"]!, because);
    }

    /// <summary>Takes the SCT apart and puts together what must have been signed (RFC 6962 §3.2).</summary>
    private async Task<(byte[] Input, byte[] Signature, byte Algorithm)> SctAsync(CtLog log)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        X509Certificate2[] chain = await IssueAsync(new Fulcio(log, _ => GitHub(), TimeProvider.System), WithRequest(key));
        X509Extension last = chain[0].Extensions[^1];
        Assert.AreEqual("1.3.6.1.4.1.11129.2.4.2", last.Oid!.Value);
        byte[] list = AsnDecoder.ReadOctetString(last.RawData, AsnEncodingRules.DER, out _);
        byte[] sct = list[4..];
        Assert.AreEqual(Convert.ToHexString(SHA256.HashData(log.Spki)), Convert.ToHexString(sct[1..33]));
        int extensions = sct[41] << 8 | sct[42];
        byte[] tbs = WithoutLastExtension(chain[0]);
        byte[] input =
        [
            0, 0, .. sct[33..41], 0, 1, .. SHA256.HashData(chain[1].PublicKey.ExportSubjectPublicKeyInfo()),
            (byte)(tbs.Length >> 16), (byte)(tbs.Length >> 8), (byte)tbs.Length, .. tbs, .. sct[41..(43 + extensions)],
        ];
        return (input, sct[(43 + extensions + 4)..], sct[43 + extensions + 1]);
    }

    internal static byte[] WithoutLastExtension(X509Certificate2 certificate)
    {
        AsnReader fields = new AsnReader(certificate.RawData, AsnEncodingRules.DER).ReadSequence().ReadSequence();
        var tbs = new AsnWriter(AsnEncodingRules.DER);
        var wrapper = new Asn1Tag(TagClass.ContextSpecific, 3, isConstructed: true);
        using (tbs.PushSequence())
        {
            while (fields.PeekTag() != wrapper)
            {
                tbs.WriteEncodedValue(fields.ReadEncodedValue().Span);
            }

            AsnReader extensions = fields.ReadSequence(wrapper).ReadSequence();
            using (tbs.PushSequence(wrapper))
            using (tbs.PushSequence())
            {
                for (ReadOnlyMemory<byte> extension = extensions.ReadEncodedValue(); extensions.HasData; extension = extensions.ReadEncodedValue())
                {
                    tbs.WriteEncodedValue(extension.Span);
                }
            }
        }
        return tbs.Encode();
    }

    private static string Name(X509Certificate2 leaf, int tag) =>
        new AsnReader(leaf.Extensions["2.5.29.17"]!.RawData, AsnEncodingRules.DER).ReadSequence()
            .ReadCharacterString(UniversalTagNumber.IA5String, new Asn1Tag(TagClass.ContextSpecific, tag));

    private static string Utf8(X509Certificate2 leaf, int number) =>
        new AsnReader(leaf.Extensions[$"1.3.6.1.4.1.57264.1.{number}"]!.RawData, AsnEncodingRules.DER).ReadCharacterString(UniversalTagNumber.UTF8String);

    private static byte[] PemDer(string pem) => Convert.FromBase64String(pem[PemEncoding.Find(pem).Base64Data]);

    private static bool Chains(X509Certificate2 leaf, X509Certificate2 intermediate, X509Certificate2 root)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.CustomTrustStore.Add(root);
        chain.ChainPolicy.ExtraStore.Add(intermediate);
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid("1.3.6.1.5.5.7.3.3"));
        return chain.Build(leaf) && chain.ChainElements.Count == 3;
    }
}
