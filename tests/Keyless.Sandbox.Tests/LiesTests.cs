using System.Formats.Asn1;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Org.BouncyCastle.Asn1.Nist;
using Org.BouncyCastle.Math;
using Org.BouncyCastle.Tsp;
using Org.BouncyCastle.X509;

namespace Keyless.Sandbox.Tests;

/// <summary>Each lie is untrue in the one thing it is about, and true in everything else.</summary>
[TestClass]
public sealed class LiesTests
{
    private const string V1 = "/api/v1/log/entries";
    private const string V2 = "/api/v2/log/entries";
    private const string Image = "application/vnd.oci.image.manifest.v1+json";

    public required TestContext TestContext { get; init; }

    private CancellationToken Cancel => TestContext.CancellationToken;

    [TestMethod]
    [DataRow(null, "")]
    [DataRow(IssuerLie.OtherAudience, "audience")]
    [DataRow(IssuerLie.Expired, "expired")]
    [DataRow(IssuerLie.OtherIdentity, "identity")]
    public async Task The_issuer_gives_out_another_token(IssuerLie? lie, string untrue)
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: Cancel);
        if (lie is { } told)
        {
            sandbox.IssuerServer.Faults.Add(Fault.Lie(told));
        }

        JsonObject claims = Claims(await TokenAsync(sandbox));

        var found = new List<string>();
        Note(found, "audience", (string?)claims["aud"] != "sigstore");
        Note(found, "expired", DateTimeOffset.FromUnixTimeSeconds((long)claims["exp"]!) < DateTimeOffset.UtcNow);
        Note(found, "identity", (string?)claims["job_workflow_ref"] != (string?)sandbox.Issuer.Claims["job_workflow_ref"]);
        Note(found, "issuer", (string?)claims["iss"] != sandbox.Issuer.Url);
        Assert.AreEqual(untrue, string.Join(' ', found));
    }

    [TestMethod]
    [DataRow(null, "")]
    [DataRow(FulcioLie.OtherKey, "key")]
    [DataRow(FulcioLie.OtherIdentity, "identity")]
    [DataRow(FulcioLie.Expired, "expired soon")]
    [DataRow(FulcioLie.EndsSoon, "soon")]
    [DataRow(FulcioLie.NoSct, "sct")]
    [DataRow(FulcioLie.ForeignSct, "log promise")]
    [DataRow(FulcioLie.SctByOtherKey, "promise")]
    public async Task Fulcio_gives_out_another_certificate(FulcioLie? lie, string untrue)
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: Cancel);
        if (lie is { } told)
        {
            sandbox.FulcioServer.Faults.Add(Fault.Lie(told));
        }

        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using X509Certificate2 leaf = await CertificateAsync(sandbox, key, sandbox.Issuer.CreateToken());

        var found = new List<string>();
        byte[]? sct = leaf.Extensions["1.3.6.1.4.1.11129.2.4.2"] is { } list ? AsnDecoder.ReadOctetString(list.RawData, AsnEncodingRules.DER, out _)[4..] : null;
        Note(found, "key", !leaf.PublicKey.ExportSubjectPublicKeyInfo().SequenceEqual(key.ExportSubjectPublicKeyInfo()));
        Note(found, "identity", San(leaf, tag: 6) != sandbox.Issuer.CertificateIdentity);
        Note(found, "expired", leaf.NotAfter < DateTime.Now);
        Note(found, "soon", leaf.NotAfter < DateTime.Now.AddSeconds(71));
        Note(found, "sct", sct is null);
        Note(found, "log", sct is not null && !sct.AsSpan(1, 32).SequenceEqual(SHA256.HashData(sandbox.CtLog.Spki)));
        Note(found, "promise", sct is not null && !Promises(sandbox, leaf, sct));
        Note(found, "issuer", Encoding.UTF8.GetString(leaf.Extensions["1.3.6.1.4.1.57264.1.1"]!.RawData) != sandbox.Issuer.Url);
        Note(found, "chain", !leaf.IssuerName.RawData.SequenceEqual(sandbox.Fulcio.Intermediate.Certificate.SubjectName.RawData));
        Assert.AreEqual(untrue, string.Join(' ', found));
    }

    [TestMethod]
    public async Task Fulcio_names_somebody_else_for_a_person_too()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: Cancel);
        sandbox.FulcioServer.Faults.Add(Fault.Lie(FulcioLie.OtherIdentity));
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var person = new JsonObject { ["sub"] = "1", ["email"] = "person@example.com", ["email_verified"] = true };

        using X509Certificate2 leaf = await CertificateAsync(sandbox, key, sandbox.Issuer.Sign("/google", person, "sigstore", lifetime: null));

        Assert.AreEqual("somebody-else@example.com", San(leaf, tag: 1));
    }

    [TestMethod]
    [DataRow(null, "")]
    [DataRow(TimestampLie.ForeignAuthority, "authority named")]
    [DataRow(TimestampLie.SignedByOtherKey, "authority")]
    [DataRow(TimestampLie.OtherImprint, "imprint")]
    [DataRow(TimestampLie.OtherNonce, "nonce")]
    [DataRow(TimestampLie.HourEarly, "-60")]
    [DataRow(TimestampLie.HourLate, "60")]
    public async Task The_timestamp_authority_stamps_something_else(TimestampLie? lie, string untrue)
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: Cancel);
        if (lie is { } told)
        {
            sandbox.TimestampServer.Faults.Add(Fault.Lie(told));
        }

        byte[] imprint = SHA256.HashData("a signature"u8);
        var generator = new TimeStampRequestGenerator();
        generator.SetCertReq(true);
        using var client = new HttpClient { BaseAddress = sandbox.TimestampServer.BaseUrl };
        using var query = new ByteArrayContent(generator.Generate(NistObjectIdentifiers.IdSha256.Id, imprint, BigInteger.ValueOf(77)).GetEncoded()) { Headers = { ContentType = new MediaTypeHeaderValue("application/timestamp-query") } };
        using HttpResponseMessage answer = await client.PostAsync("/api/v1/timestamp", query, Cancel);

        TimeStampToken token = new TimeStampResponse(await answer.Content.ReadAsByteArrayAsync(Cancel)).TimeStampToken;
        var found = new List<string>();
        Note(found, "authority", !Verifies(token, sandbox.TimestampAuthority.Leaf.RawData));
        Note(found, "named", !token.SignerID.SerialNumber.Equals(new BigInteger(sandbox.TimestampAuthority.Leaf.SerialNumber, 16)));
        Note(found, "imprint", !token.TimeStampInfo.GetMessageImprintDigest().SequenceEqual(imprint));
        Note(found, "nonce", !BigInteger.ValueOf(77).Equals(token.TimeStampInfo.Nonce));
        double minutes = Math.Round((token.TimeStampInfo.GenTime.ToUniversalTime() - DateTime.UtcNow).TotalMinutes);
        Note(found, minutes.ToString(CultureInfo.InvariantCulture), minutes != 0);
        Assert.AreEqual(untrue, string.Join(' ', found));

        static bool Verifies(TimeStampToken token, byte[] certificate)
        {
            try
            {
                token.Validate(new X509CertificateParser().ReadCertificate(certificate));
                return true;
            }
            catch (TspException)
            {
                return false;
            }
        }
    }

    [TestMethod]
    [DataRow(null, "")]
    [DataRow(RekorLie.ForeignLogId, "log")]
    [DataRow(RekorLie.SetByOtherKey, "set")]
    [DataRow(RekorLie.CheckpointByOtherKey, "checkpoint")]
    [DataRow(RekorLie.ProofOfOtherTree, "proof")]
    [DataRow(RekorLie.OtherSignature, "signature key")]
    [DataRow(RekorLie.OtherDigest, "digest")]
    public async Task Rekor_1_answers_with_another_entry(RekorLie? lie, string untrue)
    {
        var log = new RekorV1(TimeProvider.System, "rekor.test");
        await using LoopbackServer server = await StartAsync(log.Map, lie);
        using var client = new HttpClient { BaseAddress = server.BaseUrl };
        JsonObject proposed = RekorTests.HashedRekord("hello", out _);

        using HttpResponseMessage answer = await client.PostAsJsonAsync(V1, proposed, Cancel);
        Assert.AreEqual(HttpStatusCode.Created, answer.StatusCode);
        JsonObject told = (await answer.Content.ReadFromJsonAsync<JsonObject>(Cancel))!;
        Assert.AreEqual(untrue, UntrueOf(log, proposed, told));
        Assert.AreEqual($"{V1}/{told.Single().Key}", answer.Headers.Location!.OriginalString);

        // Who was refused with 409 reads the entry, and is told the same.
        using HttpResponseMessage again = await client.PostAsJsonAsync(V1, proposed, Cancel);
        Assert.AreEqual(HttpStatusCode.Conflict, again.StatusCode);
        Assert.AreEqual(untrue, UntrueOf(log, proposed, (await client.GetFromJsonAsync<JsonObject>(again.Headers.Location, Cancel))!));
    }

    [TestMethod]
    [DataRow(null, RekorV2Key.Ed25519, "")]
    [DataRow(null, RekorV2Key.EcdsaP256, "")]
    [DataRow(RekorLie.ForeignLogId, RekorV2Key.Ed25519, "log")]
    [DataRow(RekorLie.CheckpointByOtherKey, RekorV2Key.Ed25519, "checkpoint")]
    [DataRow(RekorLie.CheckpointByOtherKey, RekorV2Key.EcdsaP256, "checkpoint")]
    [DataRow(RekorLie.ProofOfOtherTree, RekorV2Key.Ed25519, "proof")]
    [DataRow(RekorLie.OtherSignature, RekorV2Key.Ed25519, "signature key")]
    [DataRow(RekorLie.OtherDigest, RekorV2Key.Ed25519, "digest")]
    public async Task Rekor_2_answers_with_another_entry(RekorLie? lie, RekorV2Key kind, string untrue)
    {
        var log = new RekorV2(kind, "rekor.test", TimeProvider.System);
        await using LoopbackServer server = await StartAsync(log.Map, lie);
        using var client = new HttpClient { BaseAddress = server.BaseUrl };
        JsonObject request = RekorTests.Request("hello", out _);

        using HttpResponseMessage answer = await client.PostAsJsonAsync(V2, request, Cancel);

        Assert.AreEqual(HttpStatusCode.Created, answer.StatusCode);
        JsonNode entry = (await answer.Content.ReadFromJsonAsync<JsonObject>(Cancel))!, proof = entry["inclusionProof"]!;
        JsonNode sent = request["hashedRekordRequestV002"]!;
        byte[] body = Convert.FromBase64String((string)entry["canonicalizedBody"]!), root = Convert.FromBase64String((string)proof["rootHash"]!);
        JsonNode spec = JsonNode.Parse(body)!["spec"]!["hashedRekordV002"]!;
        string text = $"rekor.test\n{proof["treeSize"]}\n{Convert.ToBase64String(root)}\n", note = (string)proof["checkpoint"]!["envelope"]!;
        byte[] signature = SignatureOf(note, text, log.KeyId);
        var found = new List<string>();
        Note(found, "log", (string?)entry["logId"]!["keyId"] != Convert.ToBase64String(log.KeyId));
        Note(found, "checkpoint", !(kind == RekorV2Key.Ed25519 ? RekorTests.VerifiesEd25519(log.Spki, Encoding.UTF8.GetBytes(text), signature) : World.Verifies(log.Spki, Encoding.UTF8.GetBytes(text), signature)));
        Note(found, "proof", !Folds(body, long.Parse((string)proof["logIndex"]!), long.Parse((string)proof["treeSize"]!), [.. proof["hashes"]!.AsArray().Select(hash => Convert.FromBase64String((string)hash!))], root));
        Note(found, "signature", (string?)spec["signature"]!["content"] != (string?)sent["signature"]!["content"]);
        Note(found, "key", !JsonNode.DeepEquals(spec["signature"]!["verifier"], sent["signature"]!["verifier"]));
        Note(found, "digest", (string?)spec["data"]!["digest"] != (string?)sent["digest"]);
        Assert.AreEqual(untrue, string.Join(' ', found));
    }

    [TestMethod]
    [DataRow(RekorLie.OtherSignature, false, "$.spec.signatures[0].signature $.spec.signatures[0].verifier")]
    [DataRow(RekorLie.OtherSignature, true, "$.spec.content.envelope.signatures[0].publicKey $.spec.content.envelope.signatures[0].sig")]
    [DataRow(RekorLie.OtherDigest, false, "$.spec.payloadHash.value")]
    [DataRow(RekorLie.OtherDigest, true, "$.spec.content.payloadHash.value")]
    public async Task Rekor_1_lies_about_envelopes_too(RekorLie lie, bool intoto, string changed)
    {
        await using LoopbackServer truthful = await StartAsync(new RekorV1(TimeProvider.System, "rekor.test").Map, null);
        await using LoopbackServer lying = await StartAsync(new RekorV1(TimeProvider.System, "rekor.test").Map, lie);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        string certificate = new CertificateRequest("CN=signer", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(90)).ExportCertificatePem() + "\n";
        JsonObject proposed = intoto ? RekorTests.Intoto("{}", out _) : RekorTests.Dsse(RekorTests.Envelope(key, "{}"), Convert.ToBase64String(Encoding.UTF8.GetBytes(certificate)));

        Dictionary<string, string> truth = await BodyAsync(truthful, proposed), told = await BodyAsync(lying, proposed);

        CollectionAssert.AreEquivalent(truth.Keys, told.Keys);
        Assert.AreEqual(changed, string.Join(' ', truth.Where(value => told[value.Key] != value.Value).Select(value => value.Key).Order(StringComparer.Ordinal)));
        if (!intoto && lie == RekorLie.OtherSignature)
        {
            Assert.StartsWith("-----BEGIN CERTIFICATE-----", Encoding.UTF8.GetString(Convert.FromBase64String(told["$.spec.signatures[0].verifier"])));
        }
    }

    [TestMethod]
    public async Task An_answer_of_Rekor_that_was_lost_leaves_its_entry()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: Cancel);
        using var client = new HttpClient();
        foreach ((LoopbackServer server, string path, JsonObject request) in new[]
        {
            (sandbox.RekorV1Server, V1, RekorTests.HashedRekord("hello", out _)), (sandbox.RekorV2Server, V2, RekorTests.Request("hello", out _)),
        })
        {
            var entries = new Uri(server.BaseUrl, path);
            server.Faults.Add(Fault.Drop.AfterTheWork().ForRequests(1, 1));

            await Assert.ThrowsExactlyAsync<HttpRequestException>(() => client.PostAsJsonAsync(entries, request, Cancel));
            using HttpResponseMessage again = await client.PostAsJsonAsync(entries, request, Cancel);

            Assert.AreEqual(HttpStatusCode.Conflict, again.StatusCode);
            Assert.AreEqual(path == V1, again.Headers.Location is not null);
            Assert.AreEqual(path == V2, again.Headers.Contains("X-Log-Index"));
        }
    }

    [TestMethod]
    [DataRow(null, "")]
    [DataRow(RegistryLie.OtherDigest, "digest")]
    [DataRow(RegistryLie.StoresNothing, "stored listed")]
    [DataRow(RegistryLie.ForgetsSubject, "subject")]
    [DataRow(RegistryLie.DoesNotList, "listed")]
    public async Task The_registry_does_not_do_what_it_says(RegistryLie? lie, string untrue)
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: Cancel);
        using var client = new HttpClient { BaseAddress = sandbox.RegistryServer.BaseUrl };
        string config = sandbox.Registry.PutBlob("app", "{}"u8.ToArray());
        byte[] image = Manifest(config, subject: null);
        string subject = sandbox.Registry.PutManifest("app", "1", image, Image);
        byte[] referrer = Manifest(config, subject);
        string digest = RegistryDigest.Of(referrer);
        if (lie is { } told)
        {
            sandbox.RegistryServer.Faults.Add(Fault.Lie(told));
        }

        using var content = new ByteArrayContent(referrer) { Headers = { ContentType = new MediaTypeHeaderValue(Image) } };
        using HttpResponseMessage put = await client.PutAsync($"/v2/app/manifests/{digest}", content, Cancel);
        using HttpResponseMessage get = await client.GetAsync($"/v2/app/manifests/{digest}", Cancel);
        var index = await client.GetFromJsonAsync<JsonObject>($"/v2/app/referrers/{subject}", Cancel);

        Assert.AreEqual(HttpStatusCode.Created, put.StatusCode);
        var found = new List<string>();
        Note(found, "digest", put.Headers.GetValues("Docker-Content-Digest").Single() != digest);
        Note(found, "subject", !put.Headers.TryGetValues("OCI-Subject", out IEnumerable<string>? subjects) || subjects.Single() != subject);
        Note(found, "stored", get.StatusCode == HttpStatusCode.NotFound);
        Note(found, "listed", !index!["manifests"]!.AsArray().Any(one => (string?)one!["digest"] == digest));
        Assert.AreEqual(untrue, string.Join(' ', found));
        Assert.AreEqual(get.IsSuccessStatusCode, (await get.Content.ReadAsByteArrayAsync(Cancel)).SequenceEqual(referrer));
    }

    private static void Note(List<string> found, string what, bool untrue)
    {
        if (untrue)
        {
            found.Add(what);
        }
    }

    private static string UntrueOf(RekorV1 log, JsonObject proposed, JsonObject answer)
    {
        JsonNode entry = answer.Single().Value!, proof = entry["verification"]!["inclusionProof"]!;
        byte[] body = Convert.FromBase64String((string)entry["body"]!), root = Convert.FromHexString((string)proof["rootHash"]!);
        JsonNode sent = proposed["spec"]!, spec = JsonNode.Parse(body)!["spec"]!;
        string promised = $$"""{"body":"{{entry["body"]}}","integratedTime":{{entry["integratedTime"]}},"logID":"{{entry["logID"]}}","logIndex":{{entry["logIndex"]}}}""";
        string text = $"rekor.test - {log.TreeId}\n{proof["treeSize"]}\n{Convert.ToBase64String(root)}\n";
        var found = new List<string>();
        Note(found, "log", (string?)entry["logID"] != Convert.ToHexStringLower(log.LogId));
        Note(found, "set", !World.Verifies(log.Spki, Encoding.UTF8.GetBytes(promised), Convert.FromBase64String((string)entry["verification"]!["signedEntryTimestamp"]!)));
        Note(found, "checkpoint", !World.Verifies(log.Spki, Encoding.UTF8.GetBytes(text), SignatureOf((string)proof["checkpoint"]!, text, log.LogId)));
        Note(found, "proof", !Folds(body, (long)proof["logIndex"]!, (long)proof["treeSize"]!, [.. proof["hashes"]!.AsArray().Select(hash => Convert.FromHexString((string)hash!))], root));
        Note(found, "signature", (string?)spec["signature"]!["content"] != (string?)sent["signature"]!["content"]);
        Note(found, "key", (string?)spec["signature"]!["publicKey"]!["content"] != (string?)sent["signature"]!["publicKey"]!["content"]);
        Note(found, "digest", (string?)spec["data"]!["hash"]!["value"] != (string?)sent["data"]!["hash"]!["value"]);
        return string.Join(' ', found);
    }

    private static bool Folds(byte[] body, long index, long size, byte[][] path, byte[] root) =>
        MerkleTreeTests.Fold(MerkleTree.LeafHash(body), index, size, path).SequenceEqual(root);

    /// <summary>The signature of a note that is of this text, under this name and key id.</summary>
    private static byte[] SignatureOf(string note, string text, byte[] keyId)
    {
        string start = $"{text}\n— rekor.test ";
        Assert.StartsWith(start, note);
        byte[] line = Convert.FromBase64String(note[start.Length..^1]);
        CollectionAssert.AreEqual(keyId[..4], line[..4]);
        return line[4..];
    }

    private async Task<LoopbackServer> StartAsync(Action<Microsoft.AspNetCore.Routing.IEndpointRouteBuilder> map, RekorLie? lie)
    {
        LoopbackServer server = await LoopbackServer.StartAsync("rekor", 0, new Traffic(), TimeProvider.System, map, cancel: Cancel);
        server.Faults.Tells = _ => true;
        if (lie is { } told)
        {
            server.Faults.Add(Fault.Lie(told));
        }

        return server;
    }

    /// <summary>The values of the body a log answers with, by path.</summary>
    private async Task<Dictionary<string, string>> BodyAsync(LoopbackServer server, JsonObject proposed)
    {
        using var client = new HttpClient { BaseAddress = server.BaseUrl };
        using HttpResponseMessage answer = await client.PostAsJsonAsync(V1, proposed, Cancel);
        var entry = await answer.Content.ReadFromJsonAsync<JsonObject>(Cancel);
        var values = new Dictionary<string, string>();
        Collect(JsonNode.Parse(Convert.FromBase64String((string)entry!.Single().Value!["body"]!))!);
        return values;

        void Collect(JsonNode node)
        {
            foreach (JsonNode? inner in node is JsonObject members ? members.Select(member => member.Value) : node is JsonArray items ? items : [])
            {
                Collect(inner!);
            }

            if (node is JsonValue)
            {
                values[node.GetPath()] = node.GetValue<string>();
            }
        }
    }

    private async Task<string> TokenAsync(SandboxHost sandbox)
    {
        using var client = new HttpClient();
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("bearer", sandbox.Issuer.RequestToken);
        var answer = await client.GetFromJsonAsync<JsonObject>($"{sandbox.Issuer.RequestUrl}&audience=sigstore", Cancel);
        return (string)answer!["value"]!;
    }

    private static JsonObject Claims(string token) => JsonNode.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(token.Split('.')[1]))!.AsObject();

    private async Task<X509Certificate2> CertificateAsync(SandboxHost sandbox, ECDsa key, string token)
    {
        using var client = new HttpClient { BaseAddress = sandbox.FulcioServer.BaseUrl };
        string csr = new CertificateRequest("CN=unused", key, HashAlgorithmName.SHA256).CreateSigningRequestPem();
        using HttpResponseMessage answer = await client.PostAsJsonAsync("/api/v2/signingCert", new JsonObject
        {
            ["credentials"] = new JsonObject { ["oidcIdentityToken"] = token },
            ["certificateSigningRequest"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(csr)),
        }, Cancel);
        var body = await answer.Content.ReadFromJsonAsync<JsonObject>(Cancel);
        Assert.AreEqual(HttpStatusCode.OK, answer.StatusCode, body!.ToJsonString());
        return X509Certificate2.CreateFromPem((string)body!["signedCertificateEmbeddedSct"]!["chain"]!["certificates"]![0]!);
    }

    /// <summary>Whether an SCT without extensions is by this world's log (RFC 6962 §3.2).</summary>
    private static bool Promises(SandboxHost sandbox, X509Certificate2 leaf, byte[] sct)
    {
        byte[] tbs = FulcioTests.WithoutLastExtension(leaf), issuer = sandbox.Fulcio.Intermediate.Certificate.PublicKey.ExportSubjectPublicKeyInfo();
        byte[] input = [0, 0, .. sct[33..41], 0, 1, .. SHA256.HashData(issuer), (byte)(tbs.Length >> 16), (byte)(tbs.Length >> 8), (byte)tbs.Length, .. tbs, 0, 0];
        return World.Verifies(sandbox.CtLog.Spki, input, sct[47..]);
    }

    private static string San(X509Certificate2 leaf, int tag) =>
        new AsnReader(leaf.Extensions["2.5.29.17"]!.RawData, AsnEncodingRules.DER).ReadSequence().ReadCharacterString(UniversalTagNumber.IA5String, new Asn1Tag(TagClass.ContextSpecific, tag));

    private static byte[] Manifest(string config, string? subject)
    {
        var manifest = new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = Image,
            ["config"] = new JsonObject { ["mediaType"] = "application/vnd.oci.empty.v1+json", ["digest"] = config, ["size"] = 2 },
            ["layers"] = new JsonArray(),
        };
        if (subject is not null)
        {
            manifest["subject"] = new JsonObject { ["mediaType"] = Image, ["digest"] = subject, ["size"] = 1 };
        }

        return Encoding.UTF8.GetBytes(manifest.ToJsonString());
    }
}
