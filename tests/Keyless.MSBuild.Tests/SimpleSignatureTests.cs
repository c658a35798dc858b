using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Testing;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>What a signature in cosign 1 and 2's form must be, one defect at a time, in both places where it may be kept.</summary>
[TestClass]
public sealed class SimpleSignatureTests
{
    private static World shared = null!;

    [ClassInitialize]
    public static async Task Start(TestContext context) => shared = await World.StartAsync(context.CancellationToken);

    [ClassCleanup]
    public static async Task Stop() => await shared.DisposeAsync();

    [TestMethod]
    [Clause("X.2")]
    public void Refuses_a_payload_larger_than_any()
    {
        Refuses("sig.layer", forge => forge with { Said = payload => payload["optional"] = new JsonObject { ["padding"] = new string('x', 64 * 1024) } });
        Accepts(forge => forge with { Said = payload => payload["optional"] = new JsonObject { ["padding"] = new string('x', 32 * 1024) } });
    }

    [TestMethod]
    [Clause("X.3")]
    public void Refuses_a_layer_whose_content_is_not_what_its_descriptor_says()
    {
        Refuses("sig.layer", forge => forge, layer => layer with { ClaimedSize = layer.Content.Length + 1 });
        Refuses("sig.layer", forge => forge, layer => layer with { ClaimedSize = layer.Content.Length - 1 });
        Refuses("sig.layer", forge => forge, layer => layer with { ClaimedDigest = $"sha256:{new string('0', 64)}" });
    }

    [TestMethod]
    [Clause("X.4", "X.5", "X.6")]
    [DataRow(SimpleForge.SignatureName, null)]
    [DataRow(SimpleForge.SignatureName, "")]
    [DataRow(SimpleForge.SignatureName, "MEUCIQ==!")]
    [DataRow(SimpleForge.SignatureName, "____")]
    [DataRow(SimpleForge.CertificateName, "")]
    [DataRow(SimpleForge.CertificateName, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")]
    [DataRow(SimpleForge.ChainName, "-----BEGIN CERTIFICATE-----")]
    [DataRow(SimpleForge.ChainName, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")]
    public void Refuses_an_annotation_that_is_not_what_it_should_be(string name, string? value) =>
        Refuses("sig.annotation", forge => forge with { Annotations = annotations => Set(annotations, name, value) });

    [TestMethod]
    [Clause("X.5")]
    public void Refuses_two_certificates_where_one_signed()
    {
        Refuses("sig.annotation", forge => forge with { Annotations = annotations => annotations[SimpleForge.CertificateName] += annotations[SimpleForge.CertificateName] });
        Refuses("sig.annotation", forge => forge with { Annotations = annotations => annotations[SimpleForge.CertificateName] += annotations[SimpleForge.ChainName] });
    }

    [TestMethod]
    [DataRow(null)]
    [DataRow("")]
    public void Does_without_the_chain(string? chain) => Accepts(forge => forge with { Annotations = annotations => Set(annotations, SimpleForge.ChainName, chain) });

    // Who may issue is the trusted root's to say.
    [TestMethod]
    public void Never_uses_the_chain_for_the_path()
    {
        using RSA stranger = RSA.Create(2048);
        var request = new System.Security.Cryptography.X509Certificates.CertificateRequest("CN=stranger", stranger, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        string pem = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1)).ExportCertificatePem() + "\n";
        Accepts(forge => forge with { Annotations = annotations => annotations[SimpleForge.ChainName] = pem });
    }

    [TestMethod]
    public void Refuses_a_certificate_of_another_instance()
    {
        var strange = new Fulcio(shared.Sandbox.CtLog, _ => [], TimeProvider.System);
        string pem = PemEncoding.WriteString("CERTIFICATE", strange.Issue(new ForgedSigner(shared).Key.ExportSubjectPublicKeyInfo(), Claims()).RawData) + "\n";
        Refuses("cert.signature", forge => forge with { Annotations = annotations => annotations[SimpleForge.CertificateName] = pem });

        static JsonObject Claims()
        {
            JsonObject claims = shared.Sandbox.Issuer.Claims.DeepClone().AsObject();
            claims["iss"] = shared.Sandbox.Issuer.Url;
            return claims;
        }
    }

    [TestMethod]
    [Clause("X.8")]
    [DataRow(true)]
    [DataRow(false)]
    public void Refuses_a_signature_without_a_log_entry_also_with_a_timestamp(bool stamped) => Refuses("tlog.missing", forge => forge with
    {
        Stamped = stamped ? forge.Signer.Stamp : null,
        Annotations = annotations => annotations.Remove(SimpleForge.BundleName),
    });

    [TestMethod]
    [Clause("X.9", "X.10")]
    public void Refuses_a_log_entry_that_is_not_of_its_form()
    {
        Action<JsonObject>[] edits =
        [
            entry => entry.Remove("SignedEntryTimestamp"),
            entry => entry.Remove("Payload"),
            entry => entry["more"] = 1,
            entry => entry["Payload"]!["more"] = 1,
            entry => entry["Payload"]!.AsObject().Remove("body"),
            entry => entry["Payload"]!["integratedTime"] = $"{entry["Payload"]!["integratedTime"]}",
            entry => entry["Payload"]!["logIndex"] = "4242",
            entry => entry["Payload"]!["logIndex"] = 4242.5,
            entry => entry["Payload"]!["logIndex"] = -1,
            entry => entry["Payload"]!["logID"] = ((string)entry["Payload"]!["logID"]!).ToUpperInvariant(),
            entry => entry["Payload"]!["logID"] = ((string)entry["Payload"]!["logID"]!)[2..],
            entry => entry["Payload"]!["body"] = "!",
            entry => Rename(entry, "SignedEntryTimestamp", "signedEntryTimestamp"),
            entry => Rename(entry["Payload"]!.AsObject(), "body", "Body"),
        ];
        foreach (Action<JsonObject> edit in edits)
        {
            Refuses("tlog.missing", forge => forge with { Entry = edit });
        }

        foreach (Func<string, string> text in (Func<string, string>[])[_ => "", text => text[..^1], text => text + "{}", text => $"[{text}]", text => text.Replace("\"Payload\":", "\"Payload\":{},\"Payload\":", StringComparison.Ordinal)])
        {
            Refuses("tlog.missing", forge => forge with { Annotations = annotations => annotations[SimpleForge.BundleName] = text(annotations[SimpleForge.BundleName]) });
        }
    }

    [TestMethod]
    [Clause("X.11")]
    public void Refuses_a_promise_that_the_log_did_not_make()
    {
        Refuses("tlog.set", forge => forge with { Entry = entry => entry["SignedEntryTimestamp"] = Flipped((string)entry["SignedEntryTimestamp"]!) });
        Refuses("tlog.set", forge => forge with { Entry = entry => entry["Payload"]!["integratedTime"] = (long)entry["Payload"]!["integratedTime"]! + 1 });
        Refuses("tlog.set", forge => forge with { Entry = entry => entry["Payload"]!["logIndex"] = 4243 });
        Refuses("tlog.set", forge => forge with { Entry = entry => entry["Payload"]!["body"] = Convert.ToBase64String("{}"u8) });
        // Another log's promise under our log's name; and under its own, which nobody knows.
        var strange = new RekorV1(TimeProvider.System, "127.0.0.1");
        Refuses("tlog.set", forge => forge with { Log = strange, Entry = entry => entry["Payload"]!["logID"] = Convert.ToHexStringLower(shared.Sandbox.RekorV1.LogId) });
        Refuses("tlog.unknown-log", forge => forge with { Log = strange });
    }

    [TestMethod]
    [Clause("X.12")]
    [DataRow("start")]
    [DataRow("end")]
    public void Refuses_a_promise_outside_the_log_s_window(string end)
    {
        JsonObject root = JsonNode.Parse(shared.Sandbox.TrustedRoot)!.AsObject();
        JsonObject window = root["tlogs"]!.AsArray().Single(log => (string?)log!["logId"]!["keyId"] == Convert.ToBase64String(shared.Sandbox.RekorV1.LogId))!["publicKey"]!["validFor"]!.AsObject();
        window["start"] = "2020-01-01T00:00:00Z";
        window[end] = end == "start" ? "2100-01-01T00:00:00Z" : "2021-01-01T00:00:00Z";
        string file = $"root-{end}.json";
        shared.Folder.Write(file, root.ToJsonString());

        Refuses("tlog.window", forge => forge, root: file);
    }

    [TestMethod]
    [Clause("X.13", "X.14", "X.15", "X.16")]
    public void Refuses_an_entry_that_says_something_else_than_the_signature()
    {
        Action<JsonObject>[] edits =
        [
            body => body["spec"]!["data"]!["hash"]!["value"] = new string('0', 64),
            body => body["spec"]!["data"]!["hash"]!["algorithm"] = "sha512",
            body => body["spec"]!["signature"]!["content"] = Flipped((string)body["spec"]!["signature"]!["content"]!),
            body => body["spec"]!["signature"]!["publicKey"]!["content"] = AnotherCertificate(),
        ];
        foreach (Action<JsonObject> edit in edits)
        {
            Refuses("tlog.binding", forge => forge with { Body = edit });
        }

        Refuses("tlog.kind", forge => forge with { Body = body => body["apiVersion"] = "0.0.2" });
        Refuses("tlog.kind", forge => forge with { Body = body => body["kind"] = "rekord" });
        Refuses("tlog.kind", forge => forge with { Body = body => body["kind"] = "dsse" });
    }

    [TestMethod]
    [Clause("X.17")]
    public void Refuses_a_timestamp_that_does_not_hold()
    {
        Refuses("time.imprint", forge => forge with { Stamped = _ => forge.Signer.Stamp([1]) });
        Refuses("time.token", forge => forge with { Stamped = _ => [0x30, 0] });
        foreach (string json in (string[])["", "{}", "null", """{"SignedRFC3161Timestamp":"!"}""", """{"signedRFC3161Timestamp":"MAA="}""", """{"SignedRFC3161Timestamp":"MAA=","more":1}"""])
        {
            Refuses("time.token", forge => forge with { Annotations = annotations => annotations[SimpleForge.TimestampName] = json });
        }
    }

    [TestMethod]
    [Clause("X.18")]
    [DataRow(11)]
    [DataRow(-1)]
    public void Refuses_a_certificate_that_was_not_valid_when_the_log_had_it(int minutes) =>
        Refuses("cert.validity", forge => forge with { IntegratedTime = forge.Signer.NotBefore.AddMinutes(minutes) });

    // Both moments must be within the certificate's life: the stamp is of now, the certificate of twenty minutes ago.
    [TestMethod]
    [Clause("X.18")]
    public void Refuses_a_certificate_that_was_not_valid_at_the_timestamp()
    {
        DateTimeOffset then = DateTimeOffset.FromUnixTimeSeconds(DateTimeOffset.UtcNow.AddMinutes(-20).ToUnixTimeSeconds());
        SimpleForge Then(SimpleForge forge) => forge with { Signer = forge.Signer with { NotBefore = then }, IntegratedTime = then.AddMinutes(1) };
        Accepts(Then);
        Refuses("cert.validity", forge => Then(forge) with { Stamped = forge.Signer.Stamp });
    }

    [TestMethod]
    [Clause("X.19")]
    public void Refuses_a_certificate_without_SCT() => Refuses("sct.missing", forge => forge with { Signer = forge.Signer with { WithSct = false } });

    [TestMethod]
    [Clause("X.20")]
    public void Refuses_a_signature_over_other_bytes()
    {
        Refuses("sig.invalid", forge => forge with { Signed = payload => [.. payload, (byte)' '], Body = Logged(forge) });
        // Signed by another key than the certificate's, and logged so.
        Refuses("sig.invalid", forge => forge with { Signature = _ => new ForgedSigner(shared).Sign([1]) });

        // The log has the payload as it is, so that only the signature itself is wrong.
        static Action<JsonObject> Logged(SimpleForge forge) => body =>
            body["spec"]!["data"]!["hash"]!["value"] = Convert.ToHexStringLower(SHA256.HashData((forge with { Annotations = null }).Make().Content));
    }

    [TestMethod]
    [Clause("X.21", "X.22", "X.23")]
    public void Refuses_a_payload_that_does_not_say_what_it_should()
    {
        Action<JsonObject>[] edits =
        [
            payload => payload["critical"]!["image"]!["docker-manifest-digest"] = $"sha256:{new string('0', 64)}",
            payload => payload["critical"]!["image"]!["docker-manifest-digest"] = ((string)payload["critical"]!["image"]!["docker-manifest-digest"]!).ToUpperInvariant(),
            payload => payload["critical"]!["type"] = "atomic container signature",
            payload => payload["critical"]!["type"] = "Cosign container image signature",
            payload => payload["critical"]!.AsObject().Remove("type"),
            payload => payload["critical"]!.AsObject().Remove("image"),
            payload => payload["critical"]!.AsObject().Remove("identity"),
            payload => payload.Remove("critical"),
            payload => payload["critical"]!["more"] = 1,
            payload => payload["critical"]!["image"]!["more"] = 1,
            payload => payload["more"] = 1,
            payload => Rename(payload, "critical", "Critical"),
            payload => Rename(payload["critical"]!.AsObject(), "image", "Image"),
            payload => Rename(payload["critical"]!["image"]!.AsObject(), "docker-manifest-digest", "Docker-manifest-digest"),
        ];
        foreach (Action<JsonObject> edit in edits)
        {
            Refuses("sig.payload", forge => forge with { Said = edit });
        }

        foreach (Func<string, string> text in (Func<string, string>[])[text => text[..^1], text => text + "{}", text => $"[{text}]", text => "\ufeff" + text, text => text.Replace("\"optional\":", "\"critical\":{},\"optional\":", StringComparison.Ordinal), _ => "null", _ => ""])
        {
            Refuses("sig.payload", forge => forge with { Text = text });
        }
    }

    [TestMethod]
    [Clause("X.25")]
    public void Takes_the_optional_part_in_any_shape()
    {
        Accepts(forge => forge with { Said = payload => payload.Remove("optional") });
        foreach (string value in (string[])["{}", "[]", "1", "\"text\"", """{"number":1,"null":null,"list":[1],"object":{"a":{}}}"""])
        {
            Accepts(forge => forge with { Said = payload => payload["optional"] = JsonNode.Parse(value) });
        }
    }

    [TestMethod]
    [Clause("X.24")]
    [DataRow("docker.io/library/other")]
    [DataRow("")]
    public void Never_compares_what_the_payload_calls_the_image(string name) =>
        Accepts(forge => forge with { Said = payload => payload["critical"]!["identity"]!["docker-reference"] = name });

    [TestMethod]
    [Clause("X.25")]
    [DataRow("\"prod\"", null)]
    [DataRow("\"Prod\"", "policy.annotation")]
    [DataRow("1", "policy.annotation")]
    [DataRow("null", "policy.annotation")]
    [DataRow("[\"prod\"]", "policy.annotation")]
    public void Compares_annotations_with_strings_alone(string value, string? reason)
    {
        SimpleForge Annotated(SimpleForge forge) => forge with { Said = payload => payload["optional"] = JsonNode.Parse($$"""{"env":{{value}},"other":2}""") };
        if (reason is null)
        {
            Accepts(Annotated, ("Annotations", "env=prod"));
        }
        else
        {
            Refuses(reason, Annotated, metadata: [("Annotations", "env=prod")]);
        }
    }

    // What belongs to another signature of the same signer and image, each part for itself.
    [TestMethod]
    [Clause("X.14", "X.15", "X.17")]
    [DataRow(SimpleForge.BundleName, "tlog.binding")]
    [DataRow(SimpleForge.CertificateName, "tlog.binding")]
    [DataRow(SimpleForge.SignatureName, "tlog.binding")]
    [DataRow(SimpleForge.TimestampName, "time.imprint")]
    public void Refuses_a_part_of_another_signature(string name, string reason) => Refuses(reason, forge =>
    {
        SimpleForge mine = forge with { Stamped = name == SimpleForge.TimestampName ? forge.Signer.Stamp : null };
        string others = mine.Make().Annotations![name];
        return mine with { Annotations = annotations => annotations[name] = others };
    });

    [TestMethod]
    [Clause("X.11")]
    public void Refuses_the_promise_for_another_entry()
    {
        Refuses("tlog.set", forge =>
        {
            JsonNode other = JsonNode.Parse(forge.Make().Annotations![SimpleForge.BundleName])!;
            return forge with { Entry = entry => entry["SignedEntryTimestamp"] = (string?)other["SignedEntryTimestamp"] };
        });
    }

    [TestMethod]
    [Clause("X.23")]
    public void Refuses_a_whole_signature_of_another_image()
    {
        string other = shared.Push(tag: null);
        Refuses("sig.payload", forge => new SimpleForge(shared, other));
    }

    private static void Accepts(Func<SimpleForge, SimpleForge> change, params (string, string)[] metadata)
    {
        foreach (bool tag in (bool[])[true, false])
        {
            KeylessVerifyContainer task = Verify(tag, change, null, null, metadata);
            Assert.IsTrue(task.Execute(), World.Log(task));
        }
    }

    private static void Refuses(string reason, Func<SimpleForge, SimpleForge> change, Func<Layer, Layer>? layer = null, string? root = null, params (string, string)[] metadata)
    {
        foreach (bool tag in (bool[])[true, false])
        {
            Assert.Contains($"({reason})", World.Refusal(Verify(tag, change, layer, root, metadata), "KEYLESS4002"));
        }
    }

    private static KeylessVerifyContainer Verify(bool tag, Func<SimpleForge, SimpleForge> change, Func<Layer, Layer>? edit, string? root, (string, string)[] metadata)
    {
        string image = shared.Push(tag: null);
        Layer layer = change(new SimpleForge(shared, image)).Make();
        layer = edit?.Invoke(layer) ?? layer;
        if (tag)
        {
            shared.Tag(image, layer);
        }
        else
        {
            shared.AttachOci11(image, layer);
        }

        KeylessVerifyContainer task = shared.Verify(shared.Image(image, metadata));
        // Many of these run at the same time.
        task.IntermediateOutputPath = $"obj/{Guid.NewGuid()}/";
        task.SigstoreTrustedRoot = root ?? task.SigstoreTrustedRoot;
        return task;
    }

    private static string AnotherCertificate() =>
        Convert.ToBase64String(Encoding.UTF8.GetBytes(PemEncoding.WriteString("CERTIFICATE", new ForgedSigner(shared).Certify()) + "\n"));

    private static string Flipped(string base64)
    {
        byte[] bytes = Convert.FromBase64String(base64);
        bytes[^1] ^= 1;
        return Convert.ToBase64String(bytes);
    }

    private static void Rename(JsonObject members, string name, string other)
    {
        JsonNode? value = members[name];
        members.Remove(name);
        members[other] = value;
    }

    private static void Set(Dictionary<string, string> annotations, string name, string? value)
    {
        if (value is null)
        {
            annotations.Remove(name);
        }
        else
        {
            annotations[name] = value;
        }
    }
}
