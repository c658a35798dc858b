using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;

namespace Keyless.Sandbox.Tests;

[TestClass]
public sealed class TrustMaterialTests
{
    private static readonly TimeProvider Time = TimeProvider.System;
    private static readonly CtLog Ct = new(Time, CtLogKey.Rsa);
    private static readonly RekorV2 Newer = new(RekorV2Key.Ed25519, "new.test", Time);

    private static TrustMaterial Material() => new TrustMaterial()
        .Add(new Fulcio(Ct, _ => [], Time), "http://fulcio.test")
        .Add(Ct, "http://ct.test")
        .Add(new RekorV1(Time, "old.test"), "http://old.test")
        .Add(Newer, "http://new.test")
        .Add(new TimestampAuthority(Time), "http://tsa.test/api/v1/timestamp")
        .AddOidcIssuer("http://issuer.test", Time);

    [TestMethod]
    public void Lists_an_rsa_log_as_a_bare_key_under_the_id_of_the_wrapped_one()
    {
        JsonNode log = Material().TrustedRoot()["ctlogs"]![0]!;

        using var key = RSA.Create();
        key.ImportRSAPublicKey(Convert.FromBase64String((string)log["publicKey"]!["rawBytes"]!), out _);
        Assert.AreEqual("PKCS1_RSA_PKCS1V5", (string)log["publicKey"]!["keyDetails"]!);
        Assert.AreEqual(Convert.ToBase64String(SHA256.HashData(key.ExportSubjectPublicKeyInfo())), (string)log["logId"]!["keyId"]!);
    }

    [TestMethod]
    public void Lists_an_ed25519_log_under_the_id_of_its_notes()
    {
        JsonNode log = Material().TrustedRoot()["tlogs"]![1]!;

        Assert.AreEqual("PKIX_ED25519", (string)log["publicKey"]!["keyDetails"]!);
        Assert.AreEqual(Convert.ToBase64String(SHA256.HashData([.. "new.test\n\u0001"u8, .. Newer.Spki[^32..]])), (string)log["logId"]!["keyId"]!);
    }

    [TestMethod]
    public void Ends_every_chain_with_its_anchor()
    {
        JsonObject root = Material().TrustedRoot();

        foreach (JsonNode? authority in root["certificateAuthorities"]!.AsArray().Concat(root["timestampAuthorities"]!.AsArray()))
        {
            X509Certificate2[] chain = [.. authority!["certChain"]!["certificates"]!.AsArray()
                .Select(one => X509CertificateLoader.LoadCertificate(Convert.FromBase64String((string)one!["rawBytes"]!)))];
            Assert.HasCount(2, chain);
            Assert.AreEqual(chain[1].Subject, chain[0].Issuer);
            Assert.AreEqual(chain[1].Subject, chain[1].Issuer);
            Assert.AreEqual($"CN={authority["subject"]!["commonName"]}, O={authority["subject"]!["organization"]}", chain[1].Subject);
            Assert.IsLessThanOrEqualTo(DateTimeOffset.Parse((string)authority["validFor"]!["start"]!, null), new DateTimeOffset(chain[0].NotBefore));
        }
    }

    [TestMethod]
    public void Configures_only_the_log_asked_for()
    {
        JsonArray logs = Material().SigningConfig("http://old.test")["rekorTlogUrls"]!.AsArray();

        Assert.HasCount(1, logs);
        Assert.AreEqual("http://old.test", (string)logs[0]!["url"]!);
        Assert.AreEqual(1, (int)logs[0]!["majorApiVersion"]!);
    }

    [TestMethod]
    public void Holds_both_documents_in_a_client_trust_config()
    {
        JsonObject config = Material().ClientTrustConfig();

        Assert.AreEqual("application/vnd.dev.sigstore.clienttrustconfig.v0.1+json", (string)config["mediaType"]!);
        Assert.AreEqual("application/vnd.dev.sigstore.trustedroot+json;version=0.1", (string)config["trustedRoot"]!["mediaType"]!);
        Assert.AreEqual("application/vnd.dev.sigstore.signingconfig.v0.2+json", (string)config["signingConfig"]!["mediaType"]!);
        Assert.HasCount(2, config["signingConfig"]!["rekorTlogUrls"]!.AsArray());
    }
}
