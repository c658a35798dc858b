using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sigstore.Formats;
using Keyless.Sigstore.Signing;
using Microsoft.AspNetCore.Http;
using Org.BouncyCastle.Tsp;

namespace Keyless.Sigstore.Tests;

[TestClass]
public sealed class SigningTests(TestContext test)
{
    private static readonly string Jwt = Tokens.GitHub();

    [TestMethod]
    public async Task Gets_a_certificate_for_its_key()
    {
        byte[] sent = [];
        await using OneAnswer fulcio = await OneAnswer.StartAsync((context, body) =>
        {
            sent = body;
            return context.Response.WriteAsync(Issue(body), test.CancellationToken);
        });

        IssuedCertificate certificate = await IssueAsync(fulcio);

        Assert.AreEqual("https://signer.example/workflow", certificate.Identity.Subject);
        Assert.AreEqual(Tokens.Now.AddMinutes(10), certificate.NotAfter);
        Assert.AreEqual(new Asked("POST", "/api/v2/signingCert", "", Clients.UserAgent), fulcio.Asked.Single());
        Assert.AreEqual(Jwt, (string?)JsonNode.Parse(sent)!["credentials"]!["oidcIdentityToken"]);
        Assert.AreEqual("", ReadSigningRequest(sent).SubjectName.Name);
    }

    [TestMethod]
    public async Task Refuses_a_certificate_for_another_key()
    {
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        await using OneAnswer fulcio = await OneAnswer.StartAsync((context, body) => context.Response.WriteAsync(Issue(body, key: other), test.CancellationToken));

        await RefusedAsync(() => IssueAsync(fulcio), ServiceFailure.Nonsense, "Fulcio", "another key");
    }

    [TestMethod]
    [DataRow(60, false)]
    [DataRow(61, true)]
    public async Task Refuses_a_certificate_that_is_about_to_end(int seconds, bool accepted)
    {
        await using OneAnswer fulcio = await OneAnswer.StartAsync((context, body) => context.Response.WriteAsync(Issue(body, seconds), test.CancellationToken));

        if (accepted)
        {
            Assert.IsNotNull(await IssueAsync(fulcio));
        }
        else
        {
            await RefusedAsync(() => IssueAsync(fulcio), ServiceFailure.Nonsense, "Fulcio", "is the clock right?");
        }
    }

    [TestMethod]
    [DataRow("<html><body>Log in</body></html>", "an HTML page")]
    [DataRow("", "not JSON")]
    [DataRow("[]", "an object expected")]
    [DataRow("{}", "signedCertificateEmbeddedSct is missing")]
    [DataRow("""{"signedCertificateDetachedSct":{}}""", "no SCT")]
    [DataRow("""{"signedCertificateEmbeddedSct":{"chain":{}}}""", "chain is empty")]
    [DataRow("""{"signedCertificateEmbeddedSct":{"chain":{"certificates":[7]}}}""", "a string expected")]
    [DataRow("""{"signedCertificateEmbeddedSct":{"chain":{"certificates":["canary"]}}}""", "something else than PEM")]
    [DataRow("""{"signedCertificateEmbeddedSct":{"chain":{"certificates":["-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]}}}""", "something else than one PEM certificate")]
    [DataRow("""{"signedCertificateEmbeddedSct":{"chain":{"certificates":["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]}}}""", "malformed certificate")]
    public async Task Refuses_nonsense_for_a_certificate(string body, string says)
    {
        await using OneAnswer fulcio = await OneAnswer.StartAsync(200, body);

        await RefusedAsync(() => IssueAsync(fulcio), ServiceFailure.Nonsense, "Fulcio", says);
    }

    [TestMethod]
    public async Task Shows_why_fulcio_refuses_and_what_it_accepts()
    {
        await using OneAnswer fulcio = await OneAnswer.StartAsync((context, _) =>
        {
            bool asksForConfiguration = context.Request.Path == "/api/v2/configuration";
            context.Response.StatusCode = asksForConfiguration ? 200 : 400;
            return context.Response.WriteAsync(asksForConfiguration
                ? """{"issuers":[{"issuerUrl":"https://accounts.example","audience":"sigstore"},{"wildcardIssuerUrl":"https://*.example","audience":"private"}]}"""
                : $$"""{"code":3,"message":"There was an error\u001b[2J with {{Jwt}}\nsecond line","details":[]}""", test.CancellationToken);
        });

        ServiceException no = await RefusedAsync(() => IssueAsync(fulcio), ServiceFailure.Refused, "Fulcio", "There was an error\\u{1b}[2J with [token]");

        Assert.Contains("status 400", no.Message);
        Assert.DoesNotContain("second line", no.Message);
        Assert.Contains("accepted are https://accounts.example (audience sigstore), https://*.example (audience private)", no.Message);
    }

    [TestMethod]
    [DataRow(302, "", "a redirect")]
    [DataRow(400, "<html>canary</html>", "an HTML page")]
    [DataRow(401, "nope", "nope")]
    [DataRow(404, "", "status 404")]
    [DataRow(500, """{"message":7}""", "status 500")]
    public async Task Says_so_when_fulcio_refuses(int status, string body, string says)
    {
        await using OneAnswer fulcio = await OneAnswer.StartAsync(status, body);

        await RefusedAsync(() => IssueAsync(fulcio), ServiceFailure.Refused, "Fulcio", says);
    }

    [TestMethod]
    public async Task Shows_at_most_a_line_of_what_a_server_says()
    {
        await using OneAnswer fulcio = await OneAnswer.StartAsync(500, new string('x', 5000), "text/plain");

        ServiceException no = await RefusedAsync(() => IssueAsync(fulcio), ServiceFailure.Refused, "Fulcio", "xxx");

        Assert.IsLessThan(400, no.Message.Length);
    }

    [TestMethod]
    public async Task Refuses_a_success_that_the_protocol_does_not_know()
    {
        await using OneAnswer fulcio = await OneAnswer.StartAsync(202, "");

        await RefusedAsync(() => IssueAsync(fulcio), ServiceFailure.Nonsense, "Fulcio", "status 202");
    }

    [TestMethod]
    public async Task Reads_no_more_than_it_must()
    {
        await using OneAnswer fulcio = await OneAnswer.StartAsync(200, new string(' ', 64 * 1024 + 1));

        await RefusedAsync(() => IssueAsync(fulcio), ServiceFailure.Nonsense, "Fulcio", "more than 65536 bytes");
    }

    [TestMethod]
    public async Task Says_that_nobody_is_there()
    {
        Uri gone;
        await using (OneAnswer fulcio = await OneAnswer.StartAsync(200, ""))
        {
            gone = fulcio.Url;
        }

        ServiceException no = await RefusedAsync(() => IssueAsync(gone), ServiceFailure.Unreachable, "Fulcio", "the connection was refused");

        Assert.Contains($"Fulcio at http://127.0.0.1:{gone.Port}/api/v2/signingCert ", no.Message);
    }

    [TestMethod]
    public async Task Says_that_the_connection_broke()
    {
        await using OneAnswer fulcio = await OneAnswer.StartAsync((context, _) =>
        {
            context.Abort();
            return Task.CompletedTask;
        });

        await RefusedAsync(() => IssueAsync(fulcio), ServiceFailure.Unreachable, "Fulcio", "broke the connection off");
    }

    [TestMethod]
    public async Task Does_not_wait_longer_than_agreed()
    {
        await using OneAnswer slow = await OneAnswer.StartAsync((context, _) => Task.Delay(Timeout.Infinite, context.RequestAborted));
        using HttpClient client = Clients.New();
        var request = new Request("Rekor", HttpMethod.Get, new Uri(slow.Url, "/canary?canary-query=1")) { Timeout = TimeSpan.FromMilliseconds(200), HidesPath = true };

        ServiceException no = await Assert.ThrowsExactlyAsync<ServiceException>(() => new Http(client, Clients.UserAgent).SendAsync(request, test.CancellationToken));

        Assert.AreEqual(ServiceFailure.Unreachable, no.Failure);
        Assert.Contains("did not answer within 0.2 s", no.Message);
        Assert.DoesNotContain("canary", no.ToString());
    }

    [TestMethod]
    public async Task Stops_when_it_is_told_to()
    {
        await using OneAnswer slow = await OneAnswer.StartAsync((context, _) => Task.Delay(Timeout.Infinite, context.RequestAborted));
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(test.CancellationToken);
        stop.CancelAfter(TimeSpan.FromMilliseconds(100));
        using HttpClient client = Clients.New();

        await Assert.ThrowsAsync<OperationCanceledException>(() =>
            new Http(client, Clients.UserAgent).SendAsync(new Request("Rekor", HttpMethod.Get, slow.Url), stop.Token));
    }

    [TestMethod]
    public async Task Refuses_a_client_that_follows_redirects()
    {
        await using OneAnswer server = await OneAnswer.StartAsync((context, _) =>
        {
            context.Response.Redirect("/elsewhere");
            context.Response.StatusCode = context.Request.Path == "/" ? 302 : 200;
            return Task.CompletedTask;
        });
        using var client = new HttpClient();

        await Assert.ThrowsExactlyAsync<InvalidOperationException>(() =>
            new Http(client, Clients.UserAgent).SendAsync(new Request("Rekor", HttpMethod.Get, server.Url), test.CancellationToken));
    }

    [TestMethod]
    [DataRow("error for {jwt}", "error for [token]")]
    [DataRow("part {header} here", "part [token] here")]
    [DataRow("signature {signature}.", "signature [token].")]
    [DataRow("another eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.", "another [token]")]
    [DataRow("first\r\nsecond", "first")]
    [DataRow("\n  first", "first")]
    [DataRow("a\tb\u202ec\u2028d", "a\\u{9}b\\u{202e}c\\u{2028}d")]
    [DataRow("::error::x", "::error::x")]
    public void Quotes_a_server_without_tokens_and_on_one_line(string words, string expected)
    {
        string said = words.Replace("{jwt}", Jwt, StringComparison.Ordinal).Replace("{header}", Jwt.Split('.')[0], StringComparison.Ordinal)
            .Replace("{signature}", Tokens.Signature, StringComparison.Ordinal);

        Assert.AreEqual(expected, new Request("Fulcio", HttpMethod.Get, new Uri("https://fulcio.example")) { Secret = Jwt }.Quote(said));
    }

    [TestMethod]
    public void Shows_where_it_goes_without_user_and_query()
    {
        var request = new Request("Fulcio", HttpMethod.Post, new Uri("https://user:canary@fulcio.example:8443/a/b?canary=1#canary")) { Secret = "canary", Bearer = "canary" };

        Assert.AreEqual("https://fulcio.example:8443/a/b", request.Place);
        Assert.DoesNotContain("canary", request.ToString());
    }

    [TestMethod]
    public async Task Gets_a_timestamp_for_its_signature()
    {
        byte[] signature = RandomNumberGenerator.GetBytes(70);
        byte[] sent = [], answered = [];
        await using OneAnswer authority = await OneAnswer.StartAsync((context, body) =>
        {
            sent = body;
            answered = Stamp(body);
            context.Response.StatusCode = 201;
            return context.Response.Body.WriteAsync(answered, test.CancellationToken).AsTask();
        });

        byte[] timestamp = await StampAsync(authority, signature);

        Assert.AreSequenceEqual(answered, timestamp);
        var request = new TimeStampRequest(sent);
        Assert.AreSequenceEqual(SHA256.HashData(signature), request.GetMessageImprintDigest());
        Assert.AreEqual(TspAlgorithms.Sha256, request.MessageImprintAlgOid);
        Assert.AreEqual(63, request.Nonce.BitLength);
        Assert.IsTrue(request.CertReq);
    }

    [TestMethod]
    [DataRow("imprint", "something else than the signature")]
    [DataRow("hash", "something else than the signature")]
    [DataRow("nonce", "does not carry the nonce")]
    [DataRow("no nonce", "does not carry the nonce")]
    [DataRow("no token", "sends none")]
    [DataRow("content", "does not hold a TSTInfo")]
    [DataRow("cms", "is not CMS SignedData")]
    [DataRow("trailing", "DER")]
    [DataRow("cut", "DER")]
    public async Task Refuses_a_timestamp_that_does_not_answer_the_question(string defect, string says)
    {
        await using OneAnswer authority = await OneAnswer.StartAsync((context, body) =>
            context.Response.Body.WriteAsync(Stamp(body, defect), test.CancellationToken).AsTask());

        await RefusedAsync(() => StampAsync(authority, [1, 2, 3]), ServiceFailure.Nonsense, "timestamp authority", says);
    }

    [TestMethod]
    public async Task Says_that_the_authority_rejects()
    {
        await using OneAnswer authority = await OneAnswer.StartAsync((context, body) =>
            context.Response.Body.WriteAsync(Stamp(body, "rejected"), test.CancellationToken).AsTask());

        await RefusedAsync(() => StampAsync(authority, [1, 2, 3]), ServiceFailure.Refused, "timestamp authority", "PKIStatus 2): no policy for you");
    }

    [TestMethod]
    [DataRow(200, "<html></html>", ServiceFailure.Nonsense, "an HTML page")]
    [DataRow(200, "", ServiceFailure.Nonsense, "DER")]
    [DataRow(503, "busy", ServiceFailure.Refused, "503: busy")]
    public async Task Says_so_when_there_is_no_timestamp(int status, string body, ServiceFailure failure, string says)
    {
        await using OneAnswer authority = await OneAnswer.StartAsync(status, body);

        await RefusedAsync(() => StampAsync(authority, [1, 2, 3]), failure, "timestamp authority", says);
    }

    [TestMethod]
    public async Task Logs_in_rekor_v2_and_keeps_the_answer_as_it_is()
    {
        const string entry = """{ "logIndex": "7", "canonicalizedBody": "e30=", "novelty":"é—+" }""";
        byte[] sent = [];
        await using OneAnswer log = await OneAnswer.StartAsync((context, body) =>
        {
            sent = body;
            context.Response.StatusCode = 201;
            return context.Response.WriteAsync(entry, test.CancellationToken);
        });
        FreshSignature signed = Sign();

        byte[] kept = await AddAsync(log, 2, signed);

        Assert.AreEqual(entry, Encoding.UTF8.GetString(kept));
        Assert.AreEqual("/api/v2/log/entries", log.Asked.Single().PathAndQuery);
        Assert.IsTrue(JsonNode.DeepEquals(JsonNode.Parse(sent), new JsonObject
        {
            ["hashedRekordRequestV002"] = new JsonObject
            {
                ["digest"] = Convert.ToBase64String(SHA256.HashData("DSSEv1 28 application/vnd.in-toto+json 9 statement"u8)),
                ["signature"] = new JsonObject
                {
                    ["content"] = Convert.ToBase64String(signed.Signature),
                    ["verifier"] = new JsonObject
                    {
                        ["x509Certificate"] = new JsonObject { ["rawBytes"] = "AQID" },
                        ["keyDetails"] = "PKIX_ECDSA_P256_SHA_256",
                    },
                },
            },
        }));
    }

    [TestMethod]
    public async Task Logs_in_rekor_v1_and_translates_the_answer()
    {
        byte[] sent = [];
        await using OneAnswer log = await OneAnswer.StartAsync((context, body) =>
        {
            sent = body;
            context.Response.StatusCode = 201;
            return context.Response.WriteAsync(RekorV1Answer, test.CancellationToken);
        });
        FreshSignature signed = Sign();

        byte[] entry = await AddAsync(log, 1, signed);

        Assert.IsTrue(JsonNode.DeepEquals(JsonNode.Parse(entry), JsonNode.Parse(RekorV1Entry)), Encoding.UTF8.GetString(entry));
        JsonNode proposed = JsonNode.Parse(sent)!;
        Assert.AreEqual("dsse", (string?)proposed["kind"]);
        JsonNode content = proposed["spec"]!["proposedContent"]!;
        JsonNode envelope = JsonNode.Parse((string)content["envelope"]!)!;
        Assert.AreEqual(Convert.ToBase64String("statement"u8), (string?)envelope["payload"]);
        Assert.AreEqual("application/vnd.in-toto+json", (string?)envelope["payloadType"]);
        Assert.AreEqual(Convert.ToBase64String(signed.Signature), (string?)envelope["signatures"]![0]!["sig"]);
        Assert.AreEqual("-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n", Encoding.ASCII.GetString(Convert.FromBase64String((string)content["verifiers"]![0]!)));
    }

    [TestMethod]
    [DataRow("/api/v1/log/entries/abc")]
    [DataRow("{origin}/api/v1/log/entries/abc")]
    public async Task Fetches_the_entry_that_is_there_already(string location)
    {
        await using OneAnswer log = await OneAnswer.StartAsync((context, _) =>
        {
            bool get = context.Request.Method == "GET";
            context.Response.StatusCode = get ? 200 : 409;
            context.Response.Headers.Location = location.Replace("{origin}", $"http://{context.Request.Host}", StringComparison.Ordinal);
            return context.Response.WriteAsync(get ? RekorV1Answer : """{"code":409,"message":"an equivalent entry already exists"}""", test.CancellationToken);
        });

        byte[] entry = await AddAsync(log, 1, Sign());

        Assert.IsTrue(JsonNode.DeepEquals(JsonNode.Parse(entry), JsonNode.Parse(RekorV1Entry)));
        Assert.AreEqual(new Asked("GET", "/api/v1/log/entries/abc", "", Clients.UserAgent), log.Asked[1]);
    }

    [TestMethod]
    [DataRow("http://127.0.0.1:1/api/v1/log/entries/abc", "another origin")]
    [DataRow("//rekor.example/abc", "another origin")]
    [DataRow("https://127.0.0.1/abc", "another origin")]
    [DataRow(null, "an equivalent entry")]
    [DataRow("//[bad", "not an address")]
    [DataRow("//", "not an address")]
    [DataRow("///x", "not an address")]
    [DataRow("//h:99999/x", "not an address")]
    public async Task Does_not_fetch_an_entry_from_elsewhere(string? location, string says)
    {
        await using OneAnswer log = await OneAnswer.StartAsync((context, _) =>
        {
            context.Response.StatusCode = 409;
            context.Response.Headers.Location = location;
            return context.Response.WriteAsync("""{"code":409,"message":"an equivalent entry already exists"}""", test.CancellationToken);
        });

        await RefusedAsync(() => AddAsync(log, 1, Sign()), ServiceFailure.Refused, "Rekor", says);
        Assert.HasCount(1, log.Asked);
    }

    [TestMethod]
    [DataRow(1, 201, "<html></html>", ServiceFailure.Nonsense, "an HTML page")]
    [DataRow(1, 201, "{}", ServiceFailure.Nonsense, "exactly one entry")]
    [DataRow(1, 201, """{"a":{},"b":{}}""", ServiceFailure.Nonsense, "exactly one entry")]
    [DataRow(1, 201, """{"a":{}}""", ServiceFailure.Nonsense, "body is missing")]
    [DataRow(1, 201, """{"a":{"body":"e30="}}""", ServiceFailure.Nonsense, "verification is missing")]
    [DataRow(1, 200, "{}", ServiceFailure.Nonsense, "status 200")]
    [DataRow(1, 400, """{"code":400,"message":"bad entry"}""", ServiceFailure.Refused, "400: bad entry")]
    [DataRow(2, 201, "<html></html>", ServiceFailure.Nonsense, "an HTML page")]
    [DataRow(2, 201, "[]", ServiceFailure.Nonsense, "an object expected")]
    [DataRow(2, 201, "{}", ServiceFailure.Nonsense, "canonicalizedBody is missing")]
    [DataRow(2, 201, """{"canonicalizedBody":"","canonicalizedBody":""}""", ServiceFailure.Nonsense, "twice")]
    [DataRow(2, 200, "{}", ServiceFailure.Nonsense, "status 200")]
    [DataRow(2, 409, """{"code":6,"message":"an equivalent entry"}""", ServiceFailure.AlreadyLogged, "409: an equivalent entry")]
    public async Task Says_so_when_there_is_no_log_entry(int version, int status, string body, ServiceFailure failure, string says)
    {
        await using OneAnswer log = await OneAnswer.StartAsync(status, body);

        await RefusedAsync(() => AddAsync(log, version, Sign()), failure, "Rekor", says);
    }

    [TestMethod]
    public void Signs_what_dsse_says_and_bundles_it()
    {
        using var key = SigningKey.Create();
        var signed = FreshSignature.OverStatement("statement"u8.ToArray(), key, new byte[] { 1, 2, 3 });
        using var verifier = ECDsa.Create();
        verifier.ImportSubjectPublicKeyInfo(key.SubjectPublicKeyInfo.Span, out _);

        Assert.IsTrue(verifier.VerifyData(
            "DSSEv1 28 application/vnd.in-toto+json 9 statement"u8, signed.Signature, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence));
        string signature = Convert.ToBase64String(signed.Signature);
        Assert.AreEqual(
            """{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"certificate":{"rawBytes":"AQID"},"tlogEntries":[{"a": 1}],"timestampVerificationData":{"rfc3161Timestamps":[{"signedTimestamp":"BAUG"}]}},"dsseEnvelope":{"payload":"c3RhdGVtZW50","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"SIG"}]}}"""
                .Replace("SIG", signature, StringComparison.Ordinal),
            Encoding.UTF8.GetString(BundleWriter.Write(signed, ["""{"a": 1}"""u8.ToArray()], [[4, 5, 6]])));
        // Without authorities there is no empty list of theirs.
        Assert.Contains("\"tlogEntries\":[{\"a\": 1}]},\"dsseEnvelope\"", Encoding.UTF8.GetString(BundleWriter.Write(signed, ["""{"a": 1}"""u8.ToArray()], [])));
    }

    private const string RekorV1Answer = """
        {"24296fb24b8ad77a0000000000000000000000000000000000000000000000000000000000000000":{
        "body":"eyJhcGlWZXJzaW9uIjoiMC4wLjEiLCJraW5kIjoiZHNzZSIsInNwZWMiOnt9fQ==","integratedTime":1795383006,
        "logID":"0000000000000000000000000000000000000000000000000000000000000001","logIndex":123,
        "verification":{"inclusionProof":{"checkpoint":"origin\n2\nroot\n\n— origin AAAA\n","hashes":["ff00000000000000000000000000000000000000000000000000000000000000"],
        "logIndex":0,"rootHash":"fb00000000000000000000000000000000000000000000000000000000000000","treeSize":2},"signedEntryTimestamp":"+/8="}}}
        """;

    private const string RekorV1Entry = """
        {"logIndex":"123","logId":{"keyId":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="},"kindVersion":{"kind":"dsse","version":"0.0.1"},"integratedTime":"1795383006",
        "inclusionPromise":{"signedEntryTimestamp":"+/8="},"inclusionProof":{"logIndex":"0","rootHash":"+wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","treeSize":"2",
        "hashes":["/wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="],"checkpoint":{"envelope":"origin\n2\nroot\n\n— origin AAAA\n"}},
        "canonicalizedBody":"eyJhcGlWZXJzaW9uIjoiMC4wLjEiLCJraW5kIjoiZHNzZSIsInNwZWMiOnt9fQ=="}
        """;

    private static async Task<ServiceException> RefusedAsync(Func<Task> action, ServiceFailure failure, string service, string says)
    {
        ServiceException no = await Assert.ThrowsExactlyAsync<ServiceException>(action);
        Assert.Contains(says, no.Message);
        Assert.AreEqual(failure, no.Failure);
        Assert.AreEqual(service, no.Service);
        Assert.DoesNotContain("\n", no.Message);
        Tokens.AssertNotIn(no, Jwt);
        return no;
    }

    private Task<IssuedCertificate> IssueAsync(OneAnswer fulcio) => IssueAsync(fulcio.Url);

    private async Task<IssuedCertificate> IssueAsync(Uri fulcio)
    {
        using HttpClient client = Clients.New();
        using var key = SigningKey.Create();
        return await new Fulcio(new Http(client, Clients.UserAgent), At(fulcio, 1), new StoppedClock(Tokens.Now))
            .IssueAsync(IdentityToken.Parse(Jwt), key, test.CancellationToken);
    }

    private async Task<byte[]> StampAsync(OneAnswer authority, byte[] signature)
    {
        using HttpClient client = Clients.New();
        return await new TimestampAuthority(new Http(client, Clients.UserAgent), At(authority.Url, 1)).StampAsync(signature, test.CancellationToken);
    }

    private async Task<byte[]> AddAsync(OneAnswer log, int version, FreshSignature signed)
    {
        using HttpClient client = Clients.New();
        return await new Rekor(new Http(client, Clients.UserAgent), At(log.Url, version)).AddAsync(signed, test.CancellationToken);
    }

    private static Service At(Uri url, int version) => new(url, version, "", new TimeWindow(DateTimeOffset.MinValue, null));

    private static FreshSignature Sign()
    {
        using var key = SigningKey.Create();
        return FreshSignature.OverStatement("statement"u8.ToArray(), key, new byte[] { 1, 2, 3 });
    }

    private static CertificateRequest ReadSigningRequest(byte[] body)
    {
        string pem = Encoding.ASCII.GetString(Convert.FromBase64String((string)JsonNode.Parse(body)!["certificateSigningRequest"]!));
        return CertificateRequest.LoadSigningRequestPem(pem, HashAlgorithmName.SHA256);
    }

    private static string Issue(byte[] body, int seconds = 600, ECDsa? key = null)
    {
        PublicKey asked = ReadSigningRequest(body).PublicKey;
        using var authority = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var name = new X500DistinguishedName("O=authority");
        var request = new CertificateRequest(new X500DistinguishedName(""), key is null ? asked : new PublicKey(key), HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddUri(new Uri("https://signer.example/workflow"));
        request.CertificateExtensions.Add(names.Build(critical: true));
        request.CertificateExtensions.Add(new X509Extension("1.3.6.1.4.1.57264.1.1", "https://issuer.example"u8, critical: false));
        using X509Certificate2 certificate = request.Create(
            name, X509SignatureGenerator.CreateForECDsa(authority), Tokens.Now.AddMinutes(-1), Tokens.Now.AddSeconds(seconds), [1]);
        return new JsonObject
        {
            ["signedCertificateEmbeddedSct"] = new JsonObject { ["chain"] = new JsonObject { ["certificates"] = new JsonArray(certificate.ExportCertificatePem() + "\n") } },
        }.ToJsonString();
    }

    // As much of a TimeStampResp as a requester reads; the signatures in it are the verifier's to judge.
    private static byte[] Stamp(byte[] query, string defect = "")
    {
        var request = new TimeStampRequest(query);
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            using (writer.PushSequence())
            {
                writer.WriteInteger(defect == "rejected" ? 2 : 0);
                if (defect == "rejected")
                {
                    using (writer.PushSequence())
                    {
                        writer.WriteCharacterString(UniversalTagNumber.UTF8String, "no policy for you");
                    }
                }
            }

            if (defect is not ("rejected" or "no token"))
            {
                WriteToken(writer, Info(request, defect), defect);
            }
        }

        byte[] answer = writer.Encode();
        return defect switch
        {
            "trailing" => [.. answer, 0],
            "cut" => answer[..^1],
            _ => answer,
        };
    }

    private static void WriteToken(AsnWriter writer, byte[] info, string defect)
    {
        var explicit0 = new Asn1Tag(TagClass.ContextSpecific, 0);
        using (writer.PushSequence())
        {
            writer.WriteObjectIdentifier(defect == "cms" ? "1.2.840.113549.1.7.1" : "1.2.840.113549.1.7.2");
            using (writer.PushSequence(explicit0))
            using (writer.PushSequence())
            {
                writer.WriteInteger(3);
                using (writer.PushSetOf())
                {
                }

                using (writer.PushSequence())
                {
                    writer.WriteObjectIdentifier(defect == "content" ? "1.2.840.113549.1.7.1" : "1.2.840.113549.1.9.16.1.4");
                    using (writer.PushSequence(explicit0))
                    {
                        writer.WriteOctetString(info);
                    }
                }
            }
        }
    }

    private static byte[] Info(TimeStampRequest request, string defect)
    {
        byte[] imprint = request.GetMessageImprintDigest();
        byte[] nonce = request.Nonce.ToByteArray();
        imprint[0] ^= (byte)(defect == "imprint" ? 1 : 0);
        nonce[^1] ^= (byte)(defect == "nonce" ? 1 : 0);
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            writer.WriteInteger(1);
            writer.WriteObjectIdentifier("1.3.6.1.4.1.57264.2");
            using (writer.PushSequence())
            {
                using (writer.PushSequence())
                {
                    writer.WriteObjectIdentifier(defect == "hash" ? "2.16.840.1.101.3.4.2.2" : TspAlgorithms.Sha256);
                }

                writer.WriteOctetString(imprint);
            }

            writer.WriteInteger(1);
            writer.WriteGeneralizedTime(Tokens.Now, omitFractionalSeconds: true);
            using (writer.PushSequence())
            {
                writer.WriteInteger(1);
            }

            if (defect != "no nonce")
            {
                writer.WriteInteger(nonce);
            }
        }

        return writer.Encode();
    }
}
