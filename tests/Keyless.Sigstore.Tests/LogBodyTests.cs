using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

/// <summary>What a log entry says was signed, kind by kind: each member must be the bundle's own, for certificates and for keys.</summary>
[TestClass]
public sealed class LogBodyTests
{
    private static readonly byte[] File = Encoding.UTF8.GetBytes("a file\n");
    private static readonly bool[] YesAndNo = [true, false];
    private static readonly LogKind[] V2 = [LogKind.V2Ed25519, LogKind.V2Ecdsa];

    // The bundle's word for the kind is nobody's signature; the body's is the log's.
    [TestMethod]
    [Clause("L.8")]
    public void Refuses_a_kind_or_version_that_the_body_does_not_have()
    {
        (string, string)[] kinds = [("hashedrekord", "0.0.1"), ("hashedrekord", "0.0.2"), ("dsse", "0.0.1"), ("dsse", "0.0.2"), ("intoto", "0.0.1"), ("intoto", "0.0.2"), ("rekord", "0.0.1"), ("HashedRekord", "0.0.1"), ("", ""), ("dsse", ""), ("", "0.0.1")];
        foreach (Forge forge in Everything())
        {
            JsonObject honest = JsonNode.Parse(forge.Make())!.AsObject();
            JsonObject own = honest.Entry()["kindVersion"]!.AsObject();
            foreach ((string kind, string version) in kinds.Where(other => other != ((string)own["kind"]!, (string)own["version"]!)))
            {
                honest.Entry()["kindVersion"] = new JsonObject { ["kind"] = kind, ["version"] = version };
                Verdict.Refuses("tlog.kind", forge, Encoding.UTF8.GetBytes(honest.ToJsonString()), $"{forge.Version} {own.ToJsonString()} as {kind} {version}");
            }
        }
    }

    // The log did log it; this client does not know, or no longer takes, such entries.
    [TestMethod]
    [Clause("L.6", "L.7")]
    [DataRow(LogKind.V1, "rekord", "0.0.1")]
    [DataRow(LogKind.V1, "intoto", "0.0.1")]
    [DataRow(LogKind.V1, "cose", "0.0.1")]
    [DataRow(LogKind.V1, "dsse", "0.0.3")]
    [DataRow(LogKind.V2Ed25519, "dsse", "0.0.2")]
    [DataRow(LogKind.V2Ecdsa, "dsse", "0.0.2")]
    public void Refuses_a_kind_that_is_not_taken(LogKind log, string kind, string version)
    {
        foreach (byte[]? content in (byte[]?[])[null, File])
        {
            VerificationException no = Verdict.Refuses("tlog.kind", Forge.LoggedBy(log) with
            {
                Content = content,
                Entries =
                [
                    new LoggedIn(log)
                    {
                        Body = body => { body["kind"] = kind; body["apiVersion"] = version; return body; },
                        Edit = entry => entry["kindVersion"] = new JsonObject { ["kind"] = kind, ["version"] = version },
                    },
                ],
            });
            Assert.IsTrue(kind != "dsse" || version != "0.0.2" || no.Message.Contains("dropped", StringComparison.Ordinal), no.Message);
        }
    }

    [TestMethod]
    [Clause("L.28")]
    public void Refuses_an_entry_of_a_kind_for_another_content()
    {
        JsonNode envelope = JsonNode.Parse(Forge.V1.Make())!, intoto = JsonNode.Parse((Forge.V1 with { Entries = [new LoggedIn(LogKind.V1) { Intoto = true }] }).Make())!, message = JsonNode.Parse((Forge.V1 with { Content = File }).Make())!;
        Verdict.Refuses("tlog.kind", Forge.V1 with { Bundle = bundle => Swap(bundle, message) });
        Verdict.Refuses("tlog.kind", Forge.V1 with { Content = File, Bundle = bundle => Swap(bundle, envelope) });
        Verdict.Refuses("tlog.kind", Forge.V1 with { Content = File, Bundle = bundle => Swap(bundle, intoto) });

        static void Swap(JsonObject bundle, JsonNode other) => bundle.Material()["tlogEntries"] = other["verificationMaterial"]!["tlogEntries"]!.DeepClone();
    }

    public static IEnumerable<object[]> HashedRekord1 => Rows(
        ("tlog.binding", "another signature", body => Spec(body)["signature"]!["content"] = "AAAA"),
        ("tlog.binding", "the signature in another spelling", body => Spec(body)["signature"]!["content"] = ((string)Spec(body)["signature"]!["content"]!).Insert(4, "\n")),
        ("tlog.binding", "another hash", body => Hash(body)["value"] = new string('0', 64)),
        ("tlog.binding", "an empty hash", body => Hash(body)["value"] = ""),
        ("tlog.binding", "half a hash", body => Hash(body)["value"] = ((string)Hash(body)["value"]!)[..32]),
        ("tlog.binding", "the hash in upper case", body => Hash(body)["value"] = ((string)Hash(body)["value"]!).ToUpperInvariant()),
        ("tlog.binding", "a hash of another length", body => (Hash(body)["algorithm"], Hash(body)["value"]) = ("sha512", new string('0', 128))),
        ("tlog.binding", "the artifact's SHA-512", body => (Hash(body)["algorithm"], Hash(body)["value"]) = ("sha512", Convert.ToHexStringLower(SHA512.HashData(File)))),
        ("tlog.binding", "another hash function", body => Hash(body)["algorithm"] = "sha1"),
        ("tlog.binding", "the hash function in upper case", body => Hash(body)["algorithm"] = "SHA256"),
        ("tlog.binding", "another certificate or key", body => Pem(body, (label, _) => PemEncoding.WriteString(label, Forge.World.Tsa.Leaf.RawData))),
        ("tlog.binding", "it twice", body => Pem(body, (_, pem) => pem + pem)),
        ("tlog.binding", "something before it", body => Pem(body, (_, pem) => "x\n" + pem)),
        ("tlog.binding", "something after it", body => Pem(body, (_, pem) => pem + "x")),
        ("tlog.binding", "another after it", body => Pem(body, (label, pem) => pem + PemEncoding.WriteString(label, Forge.World.Tsa.Leaf.RawData))),
        ("tlog.binding", "another before it", body => Pem(body, (label, pem) => PemEncoding.WriteString(label, Forge.World.Tsa.Leaf.RawData) + "\n" + pem)),
        ("tlog.binding", "it under another label", body => Pem(body, (label, pem) => pem.Replace(label, "X", StringComparison.Ordinal))),
        ("tlog.binding", "its DER", body => Key(body)["content"] = Convert.ToBase64String(Forge.World.Tsa.Leaf.RawData)),
        ("tlog.binding", "nothing in its place", body => Key(body)["content"] = ""),
        ("tlog.body", "no key", body => Spec(body)["signature"]!.AsObject().Remove("publicKey")),
        ("tlog.body", "no signature", body => Spec(body).Remove("signature")),
        ("tlog.body", "no data", body => Spec(body).Remove("data")),
        ("tlog.body", "no hash", body => Spec(body)["data"]!.AsObject().Remove("hash")),
        ("tlog.body", "no value", body => Hash(body).Remove("value")),
        ("tlog.body", "null for the key", body => Spec(body)["signature"]!["publicKey"] = null),
        ("tlog.body", "null for all", body => body["spec"] = null),
        ("tlog.body", "an unknown member", body => Spec(body)["extra"] = 1),
        ("tlog.body", "an unknown member of the hash", body => Hash(body)["extra"] = 1),
        ("tlog.body", "a URL to fetch the data from", body => Spec(body)["data"]!["url"] = "https://example.com"),
        ("tlog.body", "a URL to fetch the key from", body => Key(body)["url"] = "https://example.com"),
        ("tlog.body", "base64 that is none", body => Key(body)["content"] = "!"));

    [TestMethod]
    [Clause("L.10", "L.22", "L.23", "L.24", "K.7")]
    [DynamicData(nameof(HashedRekord1), DynamicDataDisplayName = nameof(Name))]
    public void Refuses_a_hashedrekord_0_0_1_with(string reason, string what, object edit)
    {
        foreach (string version in (string[])["0.1", "0.2", "0.3"])
        {
            foreach (bool managed in YesAndNo)
            {
                foreach (bool byDigest in YesAndNo)
                {
                    // The artifact's SHA-512 is not known where only its SHA-256 is; the entry is as wrong.
                    Verdict.Refuses(reason, Forge.V1 with { Content = File, ByDigest = byDigest, Version = version, Managed = managed, Entries = [Edited(LogKind.V1, edit)] });
                }
            }
        }

        Assert.AreNotEqual("", what);
    }

    public static IEnumerable<object[]> Intoto => Rows(
        ("tlog.binding", "another payload hash", body => Content(body)["payloadHash"]!["value"] = new string('0', 64)),
        ("tlog.binding", "a payload hash by another function", body => Content(body)["payloadHash"]!["algorithm"] = "sha512"),
        ("tlog.binding", "an envelope hash by another function", body => Content(body)["hash"]!["algorithm"] = "sha1"),
        ("tlog.binding", "another signature", body => Signature(body)["sig"] = Twice("AAAA")),
        ("tlog.binding", "the signature in base64 once", body => Signature(body)["sig"] = Encoding.ASCII.GetString(Convert.FromBase64String((string)Signature(body)["sig"]!))),
        ("tlog.binding", "two signatures", body => Envelope(body)["signatures"]!.AsArray().Add(Signature(body).DeepClone())),
        ("tlog.binding", "no signature", body => Envelope(body)["signatures"] = new JsonArray()),
        ("tlog.binding", "another payload type", body => Envelope(body)["payloadType"] = "text/plain"),
        ("tlog.binding", "another certificate or key", body => Signature(body)["publicKey"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(Forge.World.Tsa.Leaf.ExportCertificatePem()))),
        ("tlog.binding", "no certificate or key", body => Signature(body)["publicKey"] = ""),
        ("tlog.body", "an unknown member", body => Content(body)["extra"] = 1),
        ("tlog.body", "the payload", body => Envelope(body)["payload"] = "AAAA"),
        ("tlog.body", "no envelope", body => Content(body).Remove("envelope")),
        ("tlog.body", "no payload hash", body => Content(body).Remove("payloadHash")),
        ("tlog.body", "null for the envelope", body => Content(body)["envelope"] = null),
        ("tlog.body", "null for a signature", body => Envelope(body)["signatures"] = new JsonArray((JsonNode?)null)),
        ("tlog.body", "no content", body => Spec(body).Remove("content")));

    [TestMethod]
    [Clause("L.10", "L.19", "L.20", "L.21", "L.27", "K.7")]
    [DynamicData(nameof(Intoto), DynamicDataDisplayName = nameof(Name))]
    public void Refuses_an_intoto_0_0_2_with(string reason, string what, object edit)
    {
        foreach (string version in (string[])["0.1", "0.2", "0.3"])
        {
            foreach (bool managed in YesAndNo)
            {
                Forge forge = Forge.V1 with { Version = version, Managed = managed, Entries = [new LoggedIn(LogKind.V1) { Intoto = true }] };
                Verdict.Accepts(forge);
                Verdict.Refuses(reason, forge with { Entries = [Edited(LogKind.V1, edit) with { Intoto = true }] });
            }
        }

        Assert.AreNotEqual("", what);
    }

    public static IEnumerable<object[]> Dsse => Rows(
        ("tlog.binding", "another payload hash", body => Spec(body)["payloadHash"]!["value"] = new string('0', 64)),
        ("tlog.binding", "another signature", body => Logged(body)["signature"] = "AAAA"),
        ("tlog.binding", "two signatures", body => Spec(body)["signatures"]!.AsArray().Add(Logged(body).DeepClone())),
        ("tlog.binding", "no signature", body => Spec(body)["signatures"] = new JsonArray()),
        ("tlog.binding", "another certificate or key", body => Logged(body)["verifier"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(Forge.World.Tsa.Leaf.ExportCertificatePem()))),
        ("tlog.body", "no verifier", body => Logged(body).Remove("verifier")),
        ("tlog.body", "an unknown member of the signature", body => Logged(body)["extra"] = 1),
        ("tlog.body", "an unknown member of the payload hash", body => Spec(body)["payloadHash"]!["extra"] = 1),
        ("tlog.body", "null for the signatures' members", body => Spec(body)["signatures"] = new JsonArray((JsonNode?)null)),
        ("tlog.body", "the proposed content", body => Spec(body)["proposedContent"] = new JsonObject()));

    [TestMethod]
    [Clause("L.10", "L.16", "L.17", "L.18", "K.7")]
    [DynamicData(nameof(Dsse), DynamicDataDisplayName = nameof(Name))]
    public void Refuses_a_dsse_0_0_1_with(string reason, string what, object edit)
    {
        foreach (string version in (string[])["0.1", "0.2", "0.3"])
        {
            foreach (bool managed in YesAndNo)
            {
                Verdict.Refuses(reason, Forge.V1 with { Version = version, Managed = managed, Entries = [Edited(LogKind.V1, edit)] });
            }
        }

        Assert.AreNotEqual("", what);
    }

    public static IEnumerable<object[]> HashedRekord2 => Rows(
        ("tlog.binding", "another digest", body => Record(body)["data"]!["digest"] = Convert.ToBase64String(new byte[32])),
        ("tlog.binding", "no digest", body => Record(body)["data"]!.AsObject().Remove("digest")),
        ("tlog.binding", "another hash function", body => Record(body)["data"]!["algorithm"] = "SHA2_384"),
        ("tlog.binding", "another signature", body => Record(body)["signature"]!["content"] = "AAAA"),
        ("tlog.binding", "another kind of key", body => Record(body)["signature"]!["verifier"]!["keyDetails"] = "PKIX_ECDSA_P384_SHA_384"),
        ("tlog.binding", "a kind of key that nobody knows", body => Record(body)["signature"]!["verifier"]!["keyDetails"] = "PKIX_ML_DSA_65"),
        ("tlog.binding", "another certificate or key", body => Material(body)["rawBytes"] = Convert.ToBase64String(Forge.World.Tsa.Leaf.RawData)),
        ("tlog.binding", "an empty certificate or key", body => Material(body)["rawBytes"] = ""),
        ("tlog.binding", "an unknown member", body => Record(body)["extra"] = 1),
        ("tlog.binding", "an unknown member at the top", body => body["extra"] = 1),
        ("tlog.binding", "null for the data", body => Record(body)["data"] = null),
        ("tlog.body", "no kind of key", body => Record(body)["signature"]!["verifier"]!.AsObject().Remove("keyDetails")),
        ("tlog.body", "no verifier", body => Record(body)["signature"]!.AsObject().Remove("verifier")),
        ("tlog.body", "no record", body => Spec(body).Remove("hashedRekordV002")),
        ("tlog.body", "null for the record", body => Spec(body)["hashedRekordV002"] = null));

    [TestMethod]
    [Clause("L.25", "L.29", "K.7")]
    [DynamicData(nameof(HashedRekord2), DynamicDataDisplayName = nameof(Name))]
    public void Refuses_a_hashedrekord_0_0_2_with(string reason, string what, object edit)
    {
        foreach (LogKind log in V2)
        {
            foreach (bool managed in YesAndNo)
            {
                Verdict.Refuses(reason, Forge.LoggedBy(log) with { Managed = managed, Entries = [Edited(log, edit)] });
                Verdict.Refuses(reason, Forge.LoggedBy(log) with { Managed = managed, Content = File, Entries = [Edited(log, edit)] });
                Verdict.Refuses(reason, Forge.LoggedBy(log) with { Managed = managed, Content = File, ByDigest = true, Entries = [Edited(log, edit)] });
            }
        }

        Assert.AreNotEqual("", what);
    }

    // Whose key it was is the reason only where the entry is otherwise the bundle's.
    [TestMethod]
    [Clause("L.25", "K.5", "K.7")]
    public void Names_the_key_where_nothing_but_the_key_differs()
    {
        foreach (LogKind log in V2)
        {
            Forge managed = Forge.LoggedBy(log) with { Managed = true };
            using var another = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            Policy other = (managed with { Key = another }).ManagedPolicy;
            Verdict.Refuses("sig.key", managed, other);
            Action<JsonObject> digest = body => Record(body)["data"]!["digest"] = Convert.ToBase64String(new byte[32]);
            Verdict.Refuses("tlog.binding", managed with { Entries = [Edited(log, digest)] }, other);
        }
    }

    // One bundle, every form: the entry of another signature by the same key, over the same content.
    [TestMethod]
    [Clause("L.17", "L.20", "L.23", "L.25")]
    public void Refuses_the_entry_of_another_signature_in_every_form()
    {
        foreach (Forge forge in Everything())
        {
            JsonNode other = JsonNode.Parse(forge.Make())!.AsObject().Entry();
            Verdict.Refuses("tlog.binding", forge with { Bundle = bundle => bundle.Material()["tlogEntries"] = new JsonArray(other.DeepClone()) });
        }
    }

    // The hash that the bundle states, the one in the entry and the one that was signed.
    [TestMethod]
    [Clause("L.22", "G.7", "G.10", "G.11", "G.12")]
    public void Refuses_a_stated_digest_that_is_not_the_artifacts_or_not_the_signed_one()
    {
        foreach (Forge forge in Everything().Where(forge => forge.Content is not null))
        {
            Stated("sig.digest", forge, digest => digest["digest"] = Convert.ToBase64String(new byte[32]));
            Stated("sig.digest", forge, digest => digest["digest"] = "");
            Stated("sig.digest", forge, digest => digest["digest"] = Convert.ToBase64String(SHA256.HashData(File)[..31]));
            Stated("sig.digest", forge, digest => digest["digest"] = Convert.ToBase64String([.. SHA256.HashData(File), 0]));
            Stated("sig.digest", forge, digest => digest["digest"] = Convert.ToBase64String(SHA512.HashData(File)));
            Stated("sig.digest", forge, digest => digest["algorithm"] = "SHA2_512"); // of 32 bytes
            Stated("sig.digest", forge, digest => digest["algorithm"] = "SHA3_256");
            Stated("tlog.binding", forge, digest => (digest["algorithm"], digest["digest"]) = ("SHA2_512", Convert.ToBase64String(SHA512.HashData(File)))); // true, and not what was signed
            Stated("sig.digest-unsupported", forge with { ByDigest = true }, digest => (digest["algorithm"], digest["digest"]) = ("SHA2_512", Convert.ToBase64String(SHA512.HashData(File))));
            Assert.Contains("does not say which digest", Verdict.Refuses("sig.digest", forge with { Bundle = bundle => bundle["messageSignature"]!.AsObject().Remove("messageDigest") }).Message);
            Verdict.Refuses("sig.digest", forge with { Bundle = bundle => bundle["messageSignature"]!["messageDigest"] = null });
        }

        static void Stated(string reason, Forge forge, Action<JsonObject> edit) => Verdict.Refuses(reason, forge with { Bundle = bundle => edit(bundle["messageSignature"]!["messageDigest"]!.AsObject()) });
    }

    // What a stranger's log says is none of our business, however wrong it is.
    [TestMethod]
    [Clause("L.30")]
    public void Ignores_an_entry_of_an_unknown_log_whatever_is_in_it()
    {
        foreach (LogKind log in Enum.GetValues<LogKind>())
        {
            LoggedIn stranger = new(log) { Strange = true, Index = 5 };
            foreach (LoggedIn bad in (LoggedIn[])
            [
                stranger with { BodyBytes = _ => "garbage"u8.ToArray() },
                stranger with { Edit = entry => entry["kindVersion"] = new JsonObject { ["kind"] = "rekord", ["version"] = "9" } },
                stranger with { Edit = entry => entry["inclusionPromise"] = new JsonObject { ["signedEntryTimestamp"] = "AAAA" } },
                stranger with { Edit = entry => entry.Proof()["rootHash"] = "AAAA" },
                stranger with { Note = _ => "no note" },
                stranger with { IntegratedTime = Forge.Now.AddYears(-3) },
            ])
            {
                Verdict.Accepts(Forge.V1 with { Entries = [new LoggedIn(LogKind.V1), bad] });
                Verdict.Accepts(Forge.V2 with { Entries = [bad, new LoggedIn(LogKind.V2Ed25519)] });
            }
        }
    }

    // A time that nobody signed is no time, in no form; one that is there beside a timestamp is not looked at.
    [TestMethod]
    [Clause("T.40", "T.41", "T.42")]
    public void Never_takes_an_integration_time_without_a_promise()
    {
        foreach (byte[]? content in (byte[]?[])[null, File])
        {
            foreach (string version in (string[])["0.2", "0.3"])
            {
                Verdict.Refuses("time.missing", Forge.V1 with { Version = version, Content = content, Entries = [new LoggedIn(LogKind.V1) { Promise = false }] });
            }

            foreach (LogKind log in V2)
            {
                Action<JsonObject> timed = entry => entry["integratedTime"] = $"{Forge.Now.ToUnixTimeSeconds()}";
                Verdict.Refuses("time.missing", Forge.LoggedBy(log) with { Content = content, Timestamps = [], Entries = [new LoggedIn(log) { Edit = timed }] });
                Action<JsonObject> promised = entry => { timed(entry); entry["inclusionPromise"] = new JsonObject { ["signedEntryTimestamp"] = Convert.ToBase64String(Forge.World.V1.SignEntry("", 1, 1)) }; };
                Verdict.Refuses("tlog.set", Forge.LoggedBy(log) with { Content = content, Timestamps = [], Entries = [new LoggedIn(log) { Edit = promised }] });
                Verdict.Refuses("tlog.set", Forge.LoggedBy(log) with { Content = content, Entries = [new LoggedIn(log) { Edit = promised }] });
            }
        }
    }

    public static string Name(System.Reflection.MethodInfo method, object[] data) => $"{method.Name} {data[1]} by {data[0]}";

    private static IEnumerable<Forge> Everything()
    {
        foreach (bool managed in YesAndNo)
        {
            foreach (string version in (string[])["0.1", "0.2", "0.3"])
            {
                yield return Forge.V1 with { Managed = managed, Version = version };
                yield return Forge.V1 with { Managed = managed, Version = version, Content = File };
                yield return Forge.V1 with { Managed = managed, Version = version, Entries = [new LoggedIn(LogKind.V1) { Intoto = true }] };
            }

            foreach (LogKind log in V2)
            {
                yield return Forge.LoggedBy(log) with { Managed = managed };
                yield return Forge.LoggedBy(log) with { Managed = managed, Content = File };
            }
        }
    }

    private static LoggedIn Edited(LogKind log, object edit) => new(log)
    {
        Body = body =>
        {
            ((Action<JsonObject>)edit)(body);
            return body;
        },
    };

    private static IEnumerable<object[]> Rows(params (string Reason, string What, Action<JsonObject> Edit)[] rows) => rows.Select(row => new object[] { row.Reason, row.What, row.Edit });

    private static string Twice(string text) => Convert.ToBase64String(Encoding.ASCII.GetBytes(text));

    private static JsonObject Spec(JsonObject body) => body["spec"]!.AsObject();

    private static JsonObject Hash(JsonObject body) => Spec(body)["data"]!["hash"]!.AsObject();

    private static JsonObject Key(JsonObject body) => Spec(body)["signature"]!["publicKey"]!.AsObject();

    private static JsonObject Content(JsonObject body) => Spec(body)["content"]!.AsObject();

    private static JsonObject Envelope(JsonObject body) => Content(body)["envelope"]!.AsObject();

    private static JsonObject Signature(JsonObject body) => Envelope(body)["signatures"]![0]!.AsObject();

    private static JsonObject Logged(JsonObject body) => Spec(body)["signatures"]![0]!.AsObject();

    private static JsonObject Record(JsonObject body) => Spec(body)["hashedRekordV002"]!.AsObject();

    private static JsonObject Material(JsonObject body)
    {
        JsonNode verifier = Record(body)["signature"]!["verifier"]!;
        return (verifier["x509Certificate"] ?? verifier["publicKey"])!.AsObject();
    }

    private static void Pem(JsonObject body, Func<string, string, string> edit)
    {
        string pem = Encoding.UTF8.GetString(Convert.FromBase64String((string)Key(body)["content"]!));
        string label = pem.Contains("CERTIFICATE", StringComparison.Ordinal) ? "CERTIFICATE" : "PUBLIC KEY";
        Key(body)["content"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(edit(label, pem)));
    }
}
