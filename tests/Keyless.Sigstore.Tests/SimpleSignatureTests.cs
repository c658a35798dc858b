using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

/// <summary>Image signatures in the form of cosign 1 and 2, check by check: layer, annotations, entry, promise, binding, times, SCT, payload.</summary>
[TestClass]
public sealed class SimpleSignatureTests
{
    private static readonly SimpleForge Good = new();
    private static readonly SimpleForge Managed = new() { Forge = Forge.V1 with { Managed = true } };

    [TestMethod]
    public void Accepts_a_good_signature_and_says_that_its_entry_was_promised()
    {
        VerifiedSignature verified = Accepts(Good);
        Assert.AreEqual(Forge.Identity, verified.Signer!.Subject);
        Assert.AreEqual(4004, verified.LogIndex);
        Assert.AreEqual(Forge.Now.AddMinutes(1), verified.SignedAt);
        Assert.AreEqual(SimpleSignature.PredicateType, verified.PredicateType);
        Assert.IsTrue(verified.Checks.Any(check => check.Contains("promised", StringComparison.Ordinal) && check.Contains("SET", StringComparison.Ordinal)));
        Assert.IsFalse(verified.Checks.Any(check => check.Contains("included", StringComparison.Ordinal)), "nothing here proves inclusion");
        Assert.IsTrue(verified.Checks.Any(check => check.Contains("registry.example/team/app", StringComparison.Ordinal)), "the reference is reported");
        Assert.IsNull(Accepts(Managed).Signer);
    }

    [TestMethod]
    [Clause("X.2")]
    [DataRow(64 * 1024, null)]
    [DataRow(64 * 1024 + 1, "sig.layer")]
    [DataRow(1024 * 1024, "sig.layer")]
    public void Reads_payloads_up_to_64_KiB(int size, string? reason)
    {
        byte[] payload = SimpleForge.PayloadOf(_ => { });
        byte[] padded = [.. payload, .. Enumerable.Repeat((byte)' ', size - payload.Length)];
        Judge(reason, Good with { Payload = padded });
    }

    [TestMethod]
    [Clause("X.4", "X.5", "X.26")]
    public void Refuses_an_annotation_that_is_not_what_it_should_be()
    {
        foreach (SimpleForge good in (SimpleForge[])[Good, Managed])
        {
            Annotated("sig.annotation", good, SimpleForge.Signature, _ => null);
            foreach (Func<string, string> edit in (Func<string, string>[])
                [_ => "", text => text + "\n", text => " " + text, text => text.TrimEnd('=') + "!", text => text.Insert(8, "\n"), text => text.Insert(8, " "), text => text + "====", text => text[..4] + "-_-_" + text[4..], _ => "AAA", _ => "AAAA AAAA", text => text + "\u00e9"])
            {
                Annotated("sig.annotation", good, SimpleForge.Signature, edit);
            }

            Annotated("sig.annotation", good, SimpleForge.Signature, _ => new string('A', 1024 * 1024));
            Annotated("sig.annotation", good, SimpleForge.Bundle, _ => new string(' ', 1024 * 1024));
        }

        foreach (Func<string, string> edit in (Func<string, string>[])
            [_ => "", text => text + text, text => "x" + text, text => text + "x", text => text.Replace("CERTIFICATE", "PUBLIC KEY", StringComparison.Ordinal), text => text.Replace("CERTIFICATE", "TRUSTED CERTIFICATE", StringComparison.Ordinal), _ => Convert.ToBase64String(new byte[100]), text => text[..^30]])
        {
            Annotated("sig.annotation", Good, SimpleForge.Certificate, edit);
        }

        Annotated("cert.der", Good, SimpleForge.Certificate, _ => PemEncoding.WriteString("CERTIFICATE", [0x30, 0]));
    }

    // cosign pads; a signature whose base64 needs padding and has none is not the standard's.
    [TestMethod]
    [Clause("X.4")]
    public void Refuses_a_signature_without_its_padding_and_in_the_url_alphabet()
    {
        SimpleForge forge = Good with { Forge = Forge.V1 with { Key = ECDsa.Create(ECCurve.NamedCurves.nistP256) } };
        bool padded = false, special = false;
        for (int tries = 0; tries < 40 && !(padded && special); tries++)
        {
            Dictionary<string, string> annotations = forge.MakeAnnotations();
            string text = annotations[SimpleForge.Signature];
            padded |= Changes(annotations, text.TrimEnd('='));
            special |= Changes(annotations, text.Replace('+', '-').Replace('/', '_'));
        }

        Assert.IsTrue(padded && special);

        static bool Changes(Dictionary<string, string> annotations, string other)
        {
            if (other == annotations[SimpleForge.Signature])
            {
                return false;
            }

            var no = Assert.ThrowsExactly<VerificationException>(() => SimpleSignature.Parse(SimpleForge.PayloadOf(_ => { }), new Dictionary<string, string>(annotations) { [SimpleForge.Signature] = other }));
            Assert.AreEqual("sig.annotation", no.Reason);
            return true;
        }
    }

    // The chain is read and never used.
    [TestMethod]
    [Clause("X.6", "X.7", "X.26")]
    public void Never_uses_the_chain_and_bounds_it()
    {
        string pem = Forge.World.Tsa.Root.Certificate.ExportCertificatePem() + "\n";
        Annotated(null, Good, SimpleForge.Chain, _ => null);
        Annotated(null, Good, SimpleForge.Chain, _ => "");
        Annotated(null, Good, SimpleForge.Chain, _ => "\n");
        Annotated(null, Good, SimpleForge.Chain, _ => pem); // somebody else's
        Annotated(null, Good, SimpleForge.Chain, _ => string.Concat(Enumerable.Repeat(pem, 10)));
        Annotated("sig.annotation", Good, SimpleForge.Chain, _ => string.Concat(Enumerable.Repeat(pem, 11)));
        Annotated(null, Good, SimpleForge.Chain, _ => new string('\n', 256 * 1024));
        Annotated("sig.annotation", Good, SimpleForge.Chain, _ => new string('\n', 256 * 1024 + 1));
        Annotated("sig.annotation", Good, SimpleForge.Chain, _ => pem.Insert(pem.IndexOf('\n') + 5, " "));
        Annotated("sig.annotation", Good, SimpleForge.Chain, _ => "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n");
        Annotated("sig.annotation", Good, SimpleForge.Chain, _ => "garbage");
        Annotated("sig.annotation", Good, SimpleForge.Chain, _ => pem + "x");
        Annotated("sig.annotation", Good, SimpleForge.Chain, _ => PemEncoding.WriteString("PRIVATE KEY", [1]));
        var other = new Sandbox.Fulcio(Forge.World.CtLog, _ => [], new StoppedClock(Forge.Now));
        Judge("cert.signature", Good with
        {
            Forge = Forge.V1 with { Authority = other.Intermediate },
            Annotations = annotations => annotations[SimpleForge.Chain] = other.Intermediate.Certificate.ExportCertificatePem() + "\n" + other.Root.Certificate.ExportCertificatePem(),
        });
    }

    [TestMethod]
    [Clause("X.8", "X.9", "X.10")]
    public void Refuses_a_signature_without_its_log_entry()
    {
        foreach (SimpleForge good in (SimpleForge[])[Good, Managed])
        {
            Annotated("tlog.missing", good, SimpleForge.Bundle, _ => null);
            Annotated("tlog.missing", good with { Forge = good.Forge with { Timestamps = [new Stamped()] } }, SimpleForge.Bundle, _ => null); // a timestamp is no entry
            foreach (Func<string, string> edit in (Func<string, string>[])
                [_ => "", _ => "null", _ => "[]", text => text + "x", text => "\uFEFF" + text, text => "{\"SignedEntryTimestamp\":\"\"," + text[1..], text => text.Replace("\"logIndex\"", "\"logindex\"", StringComparison.Ordinal),
                    text => text.Replace("\"SignedEntryTimestamp\"", "\"signedEntryTimestamp\"", StringComparison.Ordinal), text => text.Replace("\"Payload\"", "\"payload\"", StringComparison.Ordinal)])
            {
                Annotated("tlog.missing", good, SimpleForge.Bundle, edit);
            }

            foreach (Action<JsonObject> edit in (Action<JsonObject>[])
            [
                entry => entry["extra"] = 1, entry => entry["extra"] = null, entry => Payload(entry)["extra"] = 1, entry => entry.Remove("SignedEntryTimestamp"), entry => entry.Remove("Payload"),
                entry => Payload(entry).Remove("body"), entry => Payload(entry).Remove("integratedTime"), entry => Payload(entry).Remove("logIndex"), entry => Payload(entry).Remove("logID"),
                entry => Payload(entry)["logIndex"] = $"{Payload(entry)["logIndex"]}", entry => Payload(entry)["integratedTime"] = $"{Payload(entry)["integratedTime"]}",
                entry => Payload(entry)["logIndex"] = -1, entry => Payload(entry)["integratedTime"] = JsonNode.Parse("1.0"), entry => Payload(entry)["integratedTime"] = JsonNode.Parse("1e9"),
                entry => Payload(entry)["logID"] = ((string)Payload(entry)["logID"]!).ToUpperInvariant(), entry => Payload(entry)["logID"] = ((string)Payload(entry)["logID"]!)[1..], entry => Payload(entry)["logID"] = "",
                entry => Payload(entry)["logID"] = Convert.ToBase64String(Convert.FromHexString((string)Payload(entry)["logID"]!)), entry => Payload(entry)["body"] = "!", entry => Payload(entry)["body"] = new JsonObject(), entry => entry["SignedEntryTimestamp"] = 1,
            ])
            {
                Judge("tlog.missing", good with { Entry = edit });
            }
        }
    }

    [TestMethod]
    [Clause("X.11", "X.12")]
    public void Refuses_a_promise_that_the_log_did_not_make_for_this_entry()
    {
        foreach (SimpleForge good in (SimpleForge[])[Good, Managed])
        {
            Judge("tlog.set", good with { Entry = entry => entry["SignedEntryTimestamp"] = "AAAA" });
            Judge("tlog.set", good with { Entry = entry => entry["SignedEntryTimestamp"] = "" });
            Judge("tlog.set", good with { Entry = entry => Payload(entry)["logIndex"] = 4005 });
            Judge("tlog.set", good with { Entry = entry => Payload(entry)["integratedTime"] = Forge.Now.AddMinutes(2).ToUnixTimeSeconds() });
            Judge("tlog.set", good with { Entry = entry => entry["SignedEntryTimestamp"] = (string)JsonNode.Parse(good.MakeAnnotations()[SimpleForge.Bundle])!["SignedEntryTimestamp"]! }); // of another entry
            Judge("tlog.set", good with { Forge = good.Forge with { Entries = [new LoggedIn(LogKind.V1) { IntegratedTime = DateTimeOffset.UnixEpoch }] } });
            Judge("tlog.unknown-log", good with { Forge = good.Forge with { Entries = [new LoggedIn(LogKind.V1) { Strange = true }] } });
            Judge("tlog.unknown-log", good with { Forge = good.Forge with { Root = root => root["tlogs"] = new JsonArray() } });
            Judge("tlog.window", good with { Forge = good.Forge with { Root = root => root.Instance("tlogs")["publicKey"]!["validFor"]!["end"] = "2026-11-23T06:00:59Z" } });
            Judge(null, good with { Forge = good.Forge with { Root = root => root.Instance("tlogs")["publicKey"]!["validFor"]!["end"] = "2026-11-23T06:01:00Z" } });
        }
    }

    [TestMethod]
    [Clause("X.13", "X.14", "X.15", "X.16")]
    public void Refuses_the_entry_of_something_else()
    {
        foreach (SimpleForge good in (SimpleForge[])[Good, Managed])
        {
            string another = good.MakeAnnotations()[SimpleForge.Bundle]; // another signature over the same payload, by another certificate
            Annotated("tlog.binding", good, SimpleForge.Bundle, _ => another);
            Body("tlog.binding", good, body => body["spec"]!["signature"]!["content"] = "AAAA");
            Body("tlog.binding", good, body => body["spec"]!["data"]!["hash"]!["value"] = new string('0', 64));
            Body("tlog.binding", good, body => Hash(body, "sha512", SHA512.HashData(good.Payload)));
            Body("tlog.binding", good, body => Hash(body, "sha384", SHA384.HashData(good.Payload)));
            Body("tlog.binding", good, body => Hash(body, "sha1", new byte[20]));
            Body("tlog.binding", good, body => body["spec"]!["data"]!["hash"]!["value"] = ((string)body["spec"]!["data"]!["hash"]!["value"]!).ToUpperInvariant());
            Body("tlog.binding", good, body => Verifier(body, _ => PemEncoding.WriteString(good == Good ? "CERTIFICATE" : "PUBLIC KEY", Forge.World.Tsa.Leaf.RawData)));
            Body("tlog.binding", good, body => Verifier(body, pem => pem + pem));
            Body("tlog.binding", good, body => Verifier(body, pem => "x" + pem));
            Body("tlog.kind", good, body => body["kind"] = "rekord");
            Body("tlog.kind", good, body => body["apiVersion"] = "0.0.2");
            Body("tlog.body", good, body => body["extra"] = 1);
            Body("tlog.body", good, body => body.Remove("spec"));
        }

        static void Hash(JsonObject body, string algorithm, byte[] value) =>
            body["spec"]!["data"]!["hash"] = new JsonObject { ["algorithm"] = algorithm, ["value"] = Convert.ToHexStringLower(value) };
    }

    [TestMethod]
    [Clause("K.3", "K.4", "X.15")]
    public void Swapping_the_certificate_for_another_good_one_of_the_signer_is_refused()
    {
        string other = Good.MakeAnnotations()[SimpleForge.Certificate]; // the same key, another certificate
        Annotated("tlog.binding", Good, SimpleForge.Certificate, _ => other);
        string foreign = (Good with { Forge = Forge.V1 with { Key = ECDsa.Create(ECCurve.NamedCurves.nistP256) } }).MakeAnnotations()[SimpleForge.Certificate];
        Annotated("tlog.binding", Good, SimpleForge.Certificate, _ => foreign);
        Annotated("policy.key-without-key", Good, SimpleForge.Certificate, _ => null);
        Judge("policy.certificate-without-identity", Good, Policy.ForKey(Managed.Forge.ManagedPolicy.Key!, null));
        Judge("policy.key-without-key", Managed, Policy.Exactly(Forge.Identity, Forge.Issuer, null));
    }

    [TestMethod]
    [Clause("X.17", "X.18")]
    public void Holds_a_timestamp_if_there_is_one()
    {
        Stamp(null, new Stamped());
        Stamp(null, new Stamped { Authority = Forge.World.StrangeTsa, Over = _ => [] });
        Stamp("time.imprint", new Stamped { Over = signature => signature.Flipped(0) });
        Stamp("time.token", new Stamped { Status = 2 });
        Stamp("time.token", new Stamped { Edit = response => [.. response, 0] });
        Stamp("time.signature", new Stamped { Edit = response => response.Flipped(-5) });
        Stamp("cert.validity", new Stamped { GenTime = Forge.Now.AddMinutes(11) }); // both times are held against the certificate
        Stamp("cert.validity", new Stamped { GenTime = Forge.Now.AddMinutes(-1) });
        SimpleForge stamped = Good with { Forge = Forge.V1 with { Timestamps = [new Stamped()] } };
        foreach (Func<string, string> edit in (Func<string, string>[])[_ => "", _ => "{}", _ => "null", text => text.Replace("Signed", "signed", StringComparison.Ordinal), text => "{\"x\":1," + text[1..], text => text + "x", _ => "{\"SignedRFC3161Timestamp\":\"!\"}"])
        {
            Annotated("time.token", stamped, SimpleForge.Timestamp, edit);
        }

        static void Stamp(string? reason, Stamped stamp) => Judge(reason, Good with { Forge = Forge.V1 with { Timestamps = [stamp] } });
    }

    // What a token brings along is not signed, so it can be made as long as one likes.
    [TestMethod]
    [Clause("X.17")]
    public void Reads_a_timestamp_of_64_KiB_and_no_byte_more()
    {
        foreach ((string? reason, int size) in ((string?, int)[])[(null, 64 * 1024), ("time.token", 64 * 1024 + 1)])
        {
            Judge(reason, Good with { Forge = Forge.V1 with { Timestamps = [new Stamped { WithCertificate = false, Edit = response => Padded(response, size) }] } });
        }

        static byte[] Padded(byte[] response, int size)
        {
            byte[] Of(int padding) => Der.Edited(response, tree => tree[1, 1, 0].Parts.Insert(3, Der.Holding(0xa0, Der.Of(4, new byte[padding]))));
            return Of(60_000 + size - Of(60_000).Length);
        }
    }

    [TestMethod]
    [Clause("X.18", "X.19")]
    public void Holds_the_certificate_at_the_promised_time_and_asks_for_its_SCT()
    {
        Judge("cert.validity", Good with { Forge = Forge.V1 with { NotAfter = Forge.Now.AddSeconds(59) } });
        Judge(null, Good with { Forge = Forge.V1 with { NotAfter = Forge.Now.AddSeconds(60) } });
        Judge("cert.validity", Good with { Forge = Forge.V1 with { NotBefore = Forge.Now.AddSeconds(61) } });
        Judge("sct.unknown-log", Good with { Forge = Forge.V1 with { Root = root => root["ctlogs"] = new JsonArray() } });
        Judge("sct.signature", Good with { Forge = Forge.V1 with { Scts = (spki, tbs) => [Forge.World.CtLog.Add(spki, tbs.Flipped(-1))] } });
        VerificationException no = Judge("sct.missing", Good with { Forge = Forge.V1 with { Scts = (_, _) => [] } })!;
        Assert.Contains("2022", no.Message);
    }

    [TestMethod]
    [Clause("X.16", "X.20")]
    public void Refuses_a_signature_over_other_bytes()
    {
        foreach (SimpleForge good in (SimpleForge[])[Good, Managed])
        {
            Judge("tlog.binding", good with { Layer = [.. good.Payload, (byte)' '] });
            Judge("tlog.binding", good with { Layer = [] });
            Judge("sig.invalid", good with { Forge = good.Forge with { Signed = payload => [.. payload, (byte)' '] } });
            Judge("sig.invalid", good with { Forge = good.Forge with { Signature = signature => signature.Flipped(-1) } });
            Judge("sig.invalid", good with { Forge = good.Forge with { Signature = signature => [.. signature, 0] } });
        }
    }

    [TestMethod]
    [Clause("X.21", "X.22", "X.23")]
    public void Reads_the_payload_by_its_exact_member_names()
    {
        foreach (Action<JsonObject> edit in (Action<JsonObject>[])
        [
            payload => payload.Remove("critical"), payload => payload["critical"] = "x", payload => Critical(payload).Remove("type"), payload => Critical(payload).Remove("image"), payload => Critical(payload).Remove("identity"),
            payload => Critical(payload)["type"] = "atomic container signature", payload => Critical(payload)["type"] = "Cosign container image signature", payload => Critical(payload)["type"] = "", payload => Critical(payload)["type"] = 1,
            payload => Critical(payload)["image"] = new JsonObject(), payload => Critical(payload)["image"] = new JsonObject { ["Docker-manifest-digest"] = Forge.Image.ToString() },
            payload => Critical(payload)["Image"] = new JsonObject(), payload => payload["Critical"] = new JsonObject(), payload => Critical(payload)["extra"] = 1, payload => Critical(payload)["image"]!["extra"] = 1,
            payload => Critical(payload)["image"]!["docker-manifest-digest"] = 1, payload => payload["extra"] = 1,
            payload => Critical(payload)["image"]!["docker-manifest-digest"] = $"sha256:{new string('b', 64)}", // another image
            payload => Critical(payload)["image"]!["docker-manifest-digest"] = Forge.Image.Hex,
            payload => Critical(payload)["image"]!["docker-manifest-digest"] = Forge.Image.ToString().ToUpperInvariant(),
            payload => Critical(payload)["image"]!["docker-manifest-digest"] = $"sha256:{new string('A', 64)}",
            payload => Critical(payload)["image"]!["docker-manifest-digest"] = Forge.Image + " ",
            payload => Critical(payload)["image"]!["docker-manifest-digest"] = "",
        ])
        {
            Judge("sig.payload", Good with { Payload = SimpleForge.PayloadOf(edit) });
        }

        foreach (Func<string, string> edit in (Func<string, string>[])
            [text => text + "x", text => "\uFEFF" + text, text => text[..^1], _ => "null", _ => "[]", text => $"[{text}]", text => "{\"critical\":{}," + text[1..], text => text.Replace("\"critical\"", "\"Critical\"", StringComparison.Ordinal), text => text.Replace("\"type\"", "\"Type\"", StringComparison.Ordinal)])
        {
            Judge("sig.payload", Good with { Payload = Encoding.UTF8.GetBytes(edit(Encoding.UTF8.GetString(Good.Payload))) });
        }

        Judge("sig.payload", Managed with { Payload = SimpleForge.PayloadOf(payload => Critical(payload)["image"]!["docker-manifest-digest"] = $"sha256:{new string('b', 64)}") });
    }

    [TestMethod]
    [Clause("X.24", "X.25")]
    public void Leaves_to_the_signer_what_is_optional_and_never_compares_the_reference()
    {
        foreach (Action<JsonObject> edit in (Action<JsonObject>[])
        [
            payload => payload.Remove("optional"), payload => payload["optional"] = null, payload => payload["optional"] = new JsonObject(), payload => payload["optional"] = "text", payload => payload["optional"] = new JsonArray(1),
            payload => payload["optional"] = 1, payload => payload["optional"] = true, payload => payload["optional"] = new JsonObject { ["a"] = 1, ["b"] = new JsonObject { ["c"] = null }, ["creator"] = "x" },
            payload => Critical(payload)["identity"]!["docker-reference"] = "", payload => Critical(payload)["identity"]!["docker-reference"] = "elsewhere.example/other@sha256:0",
        ])
        {
            Judge(null, Good with { Payload = SimpleForge.PayloadOf(edit) });
        }

        Judge(null, Good with { Payload = Encoding.UTF8.GetBytes(JsonNode.Parse(Good.Payload)!.ToJsonString(new System.Text.Json.JsonSerializerOptions { WriteIndented = true }) + "\n") });
    }

    [TestMethod]
    [Clause("X.25")]
    public void Matches_annotations_with_strings_only()
    {
        SimpleForge forge = Good with { Payload = SimpleForge.PayloadOf(payload => payload["optional"] = new JsonObject { ["a"] = "1", ["b"] = 1, ["c"] = null }) };
        Judge(null, forge, Wanting("a", "1"));
        Judge("policy.annotation", forge, Wanting("a", "2"));
        Judge("policy.annotation", forge, Wanting("A", "1"));
        Judge("policy.annotation", forge, Wanting("b", "1"));
        Judge("policy.annotation", forge, Wanting("c", ""));
        Judge("policy.annotation", Good, Wanting("a", "1"));
        Judge("policy.annotation", Good with { Payload = SimpleForge.PayloadOf(payload => payload["optional"] = "a=1") }, Wanting("a", "1"));

        static Policy Wanting(string name, string value) =>
            new(TextMatch.Exactly(Forge.Identity), TextMatch.Exactly(Forge.Issuer), null, SimpleSignature.PredicateType, new Dictionary<string, string> { [name] = value });
    }

    [TestMethod]
    [Clause("I.3", "I.4", "P.1", "K.5")]
    public void Holds_the_policy_as_for_bundles()
    {
        Judge("policy.identity", Good, Policy.Exactly(Forge.Identity + "x", Forge.Issuer, null));
        Judge("policy.issuer", Good, Policy.Exactly(Forge.Identity, Forge.Issuer + "x", null));
        Judge("subject.predicate-type", Good, Policy.Exactly(Forge.Identity, Forge.Issuer, "https://slsa.dev/provenance/v1"));
        Policy other = (Managed.Forge with { Signer = ForgedKey.Ed25519(prehash: false) }).ManagedPolicy;
        Assert.AreEqual("sig", Judge("sig.key", Managed, Policy.ForKey(other.Key!, null))!.Step);
    }

    // An instance without logs: a timestamp takes the place of entry and SCT.
    [TestMethod]
    [Clause("P.12", "P.18")]
    public void Takes_a_timestamp_alone_where_the_instance_has_no_log()
    {
        Action<JsonObject> without = root => { root.Remove("tlogs"); root.Remove("ctlogs"); };
        SimpleForge forge = Good with { Forge = Forge.V1 with { Entries = [], Scts = (_, _) => [], Timestamps = [new Stamped()], Root = without } };
        Policy timestamp = new(TextMatch.Exactly(Forge.Identity), TextMatch.Exactly(Forge.Issuer), null, null) { Proofs = Proofs.Timestamp };
        Assert.IsTrue(forge.Verify(timestamp).Checks.Any(check => check.Contains("No transparency log", StringComparison.Ordinal)));
        Judge("tlog.missing", forge);
        Judge("time.missing", forge with { Forge = forge.Forge with { Timestamps = [] } }, timestamp);
        Judge("root.logs", forge with { Forge = forge.Forge with { Root = null } }, timestamp);
    }

    private static VerifiedSignature Accepts(SimpleForge forge, Policy? policy = null)
    {
        try
        {
            return forge.Verify(policy);
        }
        catch (VerificationException no)
        {
            throw new AssertFailedException($"refused by {no.Reason}: {no.Message}", no);
        }
    }

    private static VerificationException? Judge(string? reason, SimpleForge forge, Policy? policy = null)
    {
        if (reason is null)
        {
            Accepts(forge, policy);
            return null;
        }

        var no = Assert.ThrowsExactly<VerificationException>(() => forge.Verify(policy));
        Assert.AreEqual(reason, no.Reason, no.Message);
        return no;
    }

    private static void Annotated(string? reason, SimpleForge forge, string name, Func<string, string?> edit) => Judge(reason, forge with
    {
        Annotations = annotations =>
        {
            string? edited = edit(annotations.GetValueOrDefault(name, ""));
            annotations.Remove(name);
            if (edited is not null)
            {
                annotations[name] = edited;
            }
        },
    });

    private static void Body(string reason, SimpleForge forge, Action<JsonObject> edit) => Judge(reason, forge with
    {
        Forge = forge.Forge with
        {
            Entries =
            [
                new LoggedIn(LogKind.V1)
                {
                    Body = body =>
                    {
                        edit(body);
                        return body;
                    },
                },
            ],
        },
    });

    private static JsonObject Payload(JsonObject entry) => entry["Payload"]!.AsObject();

    private static JsonObject Critical(JsonObject payload) => payload["critical"]!.AsObject();

    private static void Verifier(JsonObject body, Func<string, string> edit)
    {
        JsonNode key = body["spec"]!["signature"]!["publicKey"]!;
        key["content"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(edit(Encoding.UTF8.GetString(Convert.FromBase64String((string)key["content"]!)))));
    }
}
