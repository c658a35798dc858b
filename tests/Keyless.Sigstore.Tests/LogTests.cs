using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

[TestClass]
public sealed class LogTests
{
    private static readonly LogKind[] All = Enum.GetValues<LogKind>();
    private static readonly LogKind[] V2 = [LogKind.V2Ed25519, LogKind.V2Ecdsa];

    [TestMethod]
    public void Accepts_an_entry_at_every_place_of_every_small_tree()
    {
        for (int size = 1; size <= 9; size++)
        {
            for (int index = 0; index < size; index++)
            {
                Accepts(LogKind.V2Ecdsa, entry => entry with { Index = index, Size = size });
            }
        }
    }

    // Where no promise says the index, two entries of a log may not have one.
    [TestMethod]
    [Clause("L.4")]
    public void Refuses_two_entries_under_one_index()
    {
        LoggedIn first = new(LogKind.V1) { Promise = false }, second = first with { Index = 5 };
        Verdict.Accepts(Forge.V1 with { Timestamps = [new Stamped()], Entries = [first, second] });
        Verdict.Refuses("tlog.duplicate", Forge.V1 with { Timestamps = [new Stamped()], Entries = [first, second with { Edit = entry => entry["logIndex"] = "4004" }] });
    }

    [TestMethod]
    [Clause("M.12")]
    public void Accepts_notes_with_lines_of_others()
    {
        foreach (LogKind log in All)
        {
            LoggedIn entry = new(log);
            string witness = $"\u2014 witness.example {Convert.ToBase64String([1, 2, 3, 4, .. new byte[72]])}\n";
            string sameName = $"\u2014 {entry.Name} {Convert.ToBase64String([1, 2, 3, 4, .. new byte[64]])}\n";
            string sameId = $"\u2014 other.example {Convert.ToBase64String([.. entry.KeyId[..4], .. new byte[64]])}\n";
            Accepts(log, good => good with { Note = note => note + witness });
            Accepts(log, good => good with { Note = note => note.Replace("\n\n", "\n\n" + witness, StringComparison.Ordinal) });
            Accepts(log, good => good with { Note = note => note + sameName + sameId });
            Accepts(log, good => good with { Note = note => note + string.Concat(Enumerable.Repeat(witness, 63)) });
            Accepts(log, good => good with { Note = note => note + note[(note.IndexOf("\n\n", StringComparison.Ordinal) + 2)..] }); // our line twice
            Accepts(log, good => good with { CheckpointText = text => text + "Timestamp: 1\nmore\n" });
        }
    }

    [TestMethod]
    [Clause("M.10", "M.11", "M.13", "M.14", "M.15")]
    public void Refuses_a_checkpoint_that_the_log_did_not_sign()
    {
        foreach (LogKind log in All)
        {
            LoggedIn entry = new(log);
            string line(string name, byte[] id, byte[] signature) => $"\u2014 {name} {Convert.ToBase64String([.. id[..4], .. signature])}\n";
            string Text(string note) => note[..(note.IndexOf("\n\n", StringComparison.Ordinal) + 1)];
            Refuses("tlog.checkpoint", log, good => good with { Note = note => Text(note) + "\n" + line("other.example", entry.KeyId, entry.Sign(Text(note))) });
            Refuses("tlog.checkpoint", log, good => good with { Note = note => Text(note) + "\n" + line(entry.Name, [9, 9, 9, 9], entry.Sign(Text(note))) });
            Refuses("tlog.checkpoint", log, good => good with { Note = note => Text(note) + "\n" + line(entry.Name, entry.KeyId, entry.Sign(Text(note) + "\n")) });
            Refuses("tlog.checkpoint", log, good => good with { Note = note => Text(note) + "\n" + line(entry.Name, entry.KeyId, [1]) });
            Refuses("tlog.checkpoint", log, good => good with { Note = note => note + line(entry.Name, entry.KeyId, new byte[64]) }); // a good line does not save a bad one
            Refuses("tlog.checkpoint", log, good => good with { Note = note => note.Replace(entry.Origin + "\n", entry.Origin + ".\n", StringComparison.Ordinal) });
            Refuses("tlog.checkpoint", log, good => good with { CheckpointText = text => text.Replace(entry.Origin + "\n", "other.example\n", StringComparison.Ordinal) });
        }
    }

    [TestMethod]
    [Clause("M.2", "M.3", "M.4", "M.5", "M.8")]
    [DataRow("no text", "\n\u2014 x AAAAAAA=\n")]
    [DataRow("no signatures", "{0}\n")]
    [DataRow("no blank line", "{0}{1}")]
    [DataRow("an empty line after the signatures", "{0}\n{1}\n")]
    [DataRow("a blank line in the text", "a\n\n{0}\n{1}")]
    [DataRow("no last line feed", "{0}\n{1}.")]
    [DataRow("a hyphen for the dash", "{0}\n- x AAAAAAA=\n{1}")]
    [DataRow("two spaces", "{0}\n\u2014  x AAAAAAA=\n{1}")]
    [DataRow("an empty name", "{0}\n\u2014  AAAAAAA=\n{1}")]
    [DataRow("no name", "{0}\n\u2014 AAAAAAA=\n{1}")]
    [DataRow("a plus in a name", "{0}\n\u2014 a+b AAAAAAA=\n{1}")]
    [DataRow("a wide space in a name", "{0}\n\u2014 a\u3000b AAAAAAA=\n{1}")]
    [DataRow("too few bytes", "{0}\n\u2014 x AAAAAA==\n{1}")]
    [DataRow("no base64", "{0}\n\u2014 x AAAA!AA=\n{1}")]
    [DataRow("a carriage return", "{0}\r\n{1}")]
    [DataRow("a tab", "\t{0}\n{1}")]
    [DataRow("url-safe base64 of enough bytes", "{0}\n\u2014 x ________\n{1}")]
    [DataRow("url-safe base64", "{0}\n\u2014 x _____w==\n{1}")]
    public void Refuses_a_note_with(string what, string format)
    {
        Assert.AreNotEqual("", what);
        foreach (LogKind log in All)
        {
            Refuses("tlog.checkpoint", log, good => good with
            {
                Note = note =>
                {
                    int blank = note.IndexOf("\n\n", StringComparison.Ordinal) + 1;
                    string made = string.Format(CultureInfo.InvariantCulture, format, note[..blank], note[(blank + 1)..]);
                    return what == "no last line feed" ? made.TrimEnd('.').TrimEnd('\n') : made;
                },
            });
        }
    }

    [TestMethod]
    [Clause("M.6")]
    [DataRow("07")]
    [DataRow("+7")]
    [DataRow("7 ")]
    [DataRow("")]
    [DataRow("-7")]
    [DataRow("7.0")]
    [DataRow("9223372036854775808")]
    public void Refuses_a_tree_size_in_a_checkpoint_that_is_not_a_plain_number(string size)
    {
        foreach (LogKind log in All)
        {
            Refuses("tlog.checkpoint", log, good => good with { CheckpointText = text => text.Replace("\n7\n", $"\n{size}\n", StringComparison.Ordinal) });
        }
    }

    [TestMethod]
    [Clause("M.1", "M.9")]
    public void Refuses_too_long_a_note()
    {
        string witness = $"\u2014 witness.example {Convert.ToBase64String([1, 2, 3, 4, .. new byte[72]])}\n";
        foreach (LogKind log in All)
        {
            Refuses("bundle.limit", log, good => good with { Note = note => note + string.Concat(Enumerable.Repeat(witness, 64)) });
            Refuses("bundle.limit", log, good => good with { CheckpointText = text => text + new string('a', 65 * 1024) + "\n" });
            Refuses("bundle.limit", log, good => good with { CheckpointText = text => text + new string('\u00e4', 33 * 1024) + "\n" }); // bytes are counted, not characters
        }
    }

    [TestMethod]
    [Clause("L.13", "L.14", "L.15", "M.19", "M.20", "M.21", "M.23")]
    public void Refuses_a_proof_that_does_not_lead_to_the_checkpoint()
    {
        foreach (LogKind log in All)
        {
            LoggedIn entry = new(log);
            Edited("tlog.checkpoint", log, proof => proof["treeSize"] = "8");
            Edited("tlog.checkpoint", log, proof => proof.Remove("treeSize"));
            Edited("tlog.checkpoint", log, proof => proof["rootHash"] = Convert.ToBase64String(new byte[32]));
            Edited("tlog.checkpoint", log, proof => proof.Remove("rootHash"));
            Edited("tlog.inclusion", log, proof => proof["hashes"]![0] = Convert.ToBase64String(new byte[32]));
            Edited("tlog.inclusion", log, proof => proof["hashes"]![0] = Convert.ToBase64String(new byte[31]));
            Edited("tlog.inclusion", log, proof => proof["hashes"]!.AsArray().RemoveAt(0));
            Edited("tlog.inclusion", log, proof => proof["hashes"]!.AsArray().Add(Convert.ToBase64String(new byte[32])));
            Edited("tlog.inclusion", log, proof => proof.Remove("hashes"));
            Refuses("tlog.inclusion", log, good => good with { CheckpointText = text => $"{entry.Origin}\n7\n{Convert.ToBase64String(new byte[32])}\n", Edit = made => made.Proof()["rootHash"] = Convert.ToBase64String(new byte[32]) });
            Refuses("tlog.inclusion", log, good => good with { CheckpointText = text => text.Replace("\n7\n", "\n3\n", StringComparison.Ordinal), Edit = made => made.Proof()["treeSize"] = "3" });
            Refuses("tlog.inclusion", log, good => good with { CheckpointText = text => text.Replace("\n7\n", "\n0\n", StringComparison.Ordinal), Edit = made => made.Proof()["treeSize"] = "0" });
        }

        Edited("tlog.inclusion", LogKind.V1, proof => proof["logIndex"] = "3");
        foreach (LogKind log in V2)
        {
            Edited("tlog.inclusion", log, proof => proof["logIndex"] = "3");
            Refuses("tlog.inclusion", log, good => good with { Edit = made => made["logIndex"] = "3" });
            Refuses("tlog.inclusion", log, good => good with { Edit = made => { made["logIndex"] = "3"; made.Proof()["logIndex"] = "3"; } });
        }

        static void Edited(string reason, LogKind log, Action<JsonObject> edit) => Refuses(reason, log, good => good with { Edit = made => edit(made.Proof()) });
    }

    [TestMethod]
    [Clause("L.1", "L.2", "P.13")]
    public void Requires_an_entry_of_a_known_log()
    {
        Verdict.Refuses("tlog.missing", Forge.V2 with { Entries = [] });
        Verdict.Refuses("tlog.unknown-log", Forge.V2 with { Entries = [new LoggedIn(LogKind.V2Ed25519) { Strange = true }] });
        Verdict.Refuses("tlog.unknown-log", Forge.V2 with { Root = root => root["tlogs"] = new JsonArray() });
        Verdict.Refuses("tlog.unknown-log", Forge.V1 with { Timestamps = [new Stamped()], Entries = [new LoggedIn(LogKind.V1) { Strange = true }] });
        Verdict.Accepts(Forge.V2 with { Entries = [new LoggedIn(LogKind.V2Ed25519) { Strange = true }, new LoggedIn(LogKind.V2Ecdsa)] });
        Verdict.Accepts(Forge.V2 with { Entries = [new LoggedIn(LogKind.V2Ecdsa), new LoggedIn(LogKind.V1) { Strange = true }] });
    }

    [TestMethod]
    public void Accepts_entries_of_several_logs_in_any_order()
    {
        LoggedIn[] entries = [new(LogKind.V1), new(LogKind.V2Ed25519), new(LogKind.V2Ecdsa)];
        Verdict.Accepts(Forge.V2 with { Entries = entries });
        Verdict.Accepts(Forge.V2 with { Entries = [.. entries.Reverse()] });
        Verdict.Accepts(Forge.V2 with { Entries = [new LoggedIn(LogKind.V2Ed25519), new LoggedIn(LogKind.V2Ed25519) { Index = 5 }] });
    }

    [TestMethod]
    [Clause("L.3", "L.4")]
    public void Refuses_one_bad_entry_of_a_known_log_among_good_ones()
    {
        LoggedIn bad = new(LogKind.V2Ecdsa) { Edit = entry => entry.Proof()["hashes"]![0] = Convert.ToBase64String(new byte[32]) };
        Verdict.Refuses("tlog.inclusion", Forge.V2 with { Entries = [new LoggedIn(LogKind.V2Ed25519), bad] });
        Verdict.Refuses("tlog.inclusion", Forge.V2 with { Entries = [bad, new LoggedIn(LogKind.V2Ed25519)] });
        Verdict.Refuses("tlog.duplicate", Forge.V2 with { Entries = [new LoggedIn(LogKind.V2Ed25519), new LoggedIn(LogKind.V2Ed25519)] });
        Verdict.Refuses("tlog.duplicate", Forge.V1 with { Entries = [new LoggedIn(LogKind.V1), new LoggedIn(LogKind.V1)] });
        // Without a promise nobody has signed the index across shards, so it cannot tell two entries apart.
        var unpromised = new LoggedIn(LogKind.V1) { Promise = false };
        Verdict.Refuses("tlog.duplicate", Forge.V1 with { Entries = [unpromised, unpromised with { Edit = entry => entry["logIndex"] = "4005" }], Timestamps = [new Stamped()] });
        Verdict.Refuses("tlog.duplicate", Forge.V1 with { Entries = [new LoggedIn(LogKind.V1), unpromised with { Edit = entry => entry["logIndex"] = "4005" }] });
    }

    [TestMethod]
    [Clause("L.11")]
    public void Refuses_a_v2_log_whose_key_was_not_in_use()
    {
        Verdict.Refuses("tlog.window", Forge.V2 with { Root = root => root.Instance("tlogs", 1)["publicKey"]!["validFor"]!["end"] = "2026-11-23T06:00:59.999Z" });
        Verdict.Refuses("tlog.window", Forge.V2 with { Root = root => root.Instance("tlogs", 1)["publicKey"]!["validFor"]!["start"] = "2026-11-23T06:01:00.001Z" });
        Verdict.Accepts(Forge.V2 with { Root = root => root.Instance("tlogs", 1)["publicKey"]!["validFor"]!["end"] = "2026-11-23T06:01:00Z" });
    }

    [TestMethod]
    public void Looks_at_every_listing_of_a_log()
    {
        // The same ECDSA key under an older name, still in use.
        foreach (int position in (int[])[0, 3])
        {
            Verdict.Accepts(Forge.LoggedBy(LogKind.V2Ecdsa) with
            {
                Root = root =>
                {
                    JsonNode renamed = root.Instance("tlogs", 2).DeepClone();
                    renamed["baseUrl"] = "https://old.log.sandbox";
                    root["tlogs"]!.AsArray().Insert(position, renamed);
                },
            });
        }
    }

    [TestMethod]
    [Clause("M.13", "R.14")]
    [DataRow("https://other.sandbox:3000")]
    [DataRow("log.sandbox")]
    [DataRow("")]
    public void Refuses_a_v2_log_under_another_host(string baseUrl)
    {
        // The log id of an Ed25519 key is over its name, so such a log is left out; an ECDSA key's is not, so the name decides.
        Verdict.Refuses("tlog.unknown-log", Forge.V2 with { Root = root => root.Instance("tlogs", 1)["baseUrl"] = baseUrl });
        Verdict.Refuses("tlog.checkpoint", Forge.LoggedBy(LogKind.V2Ecdsa) with { Root = root => root.Instance("tlogs", 2)["baseUrl"] = baseUrl });
        Verdict.Accepts(Forge.V1 with { Root = root => root.Instance("tlogs")["baseUrl"] = baseUrl });
    }

    [TestMethod]
    [Clause("L.6", "L.7")]
    [DataRow(LogKind.V1, "hashedrekord", "0.0.1")]
    [DataRow(LogKind.V1, "intoto", "0.0.1")]
    [DataRow(LogKind.V1, "DSSE", "0.0.1")]
    [DataRow(LogKind.V1, "dsse", "0.0.3")]
    [DataRow(LogKind.V1, "", "")]
    [DataRow(LogKind.V2Ed25519, "dsse", "0.0.2")]
    public void Refuses_an_entry_of_another_kind(LogKind log, string kind, string version) =>
        Refuses("tlog.kind", log, good => good with { Edit = entry => entry["kindVersion"] = new JsonObject { ["kind"] = kind, ["version"] = version } });

    [TestMethod]
    [Clause("L.8")]
    public void Refuses_a_kind_that_the_body_contradicts()
    {
        Body("tlog.kind", body => body["kind"] = "hashedrekord");
        Body("tlog.kind", body => body["apiVersion"] = "0.0.2");
        Verdict.Refuses("tlog.kind", Forge.V2 with { Entries = [new LoggedIn(LogKind.V2Ed25519) { Body = body => { body["kind"] = "dsse"; return body; }, Edit = entry => entry["kindVersion"]!["kind"] = "hashedrekord" }] });

        static void Body(string reason, Action<JsonObject> edit) => Verdict.Refuses(reason, Forge.V1 with
        {
            Entries = [new LoggedIn(LogKind.V1) { Body = body => Edit(body, edit), Edit = entry => entry["kindVersion"] = new JsonObject { ["kind"] = "dsse", ["version"] = "0.0.1" } }],
        });
    }

    public static IEnumerable<object[]> DsseBodies =>
    [
        .. Bodies("tlog.binding", body => body["spec"]!["payloadHash"]!["value"] = new string('0', 64)),
        .. Bodies("tlog.binding", body => body["spec"]!["payloadHash"]!["algorithm"] = "sha512"),
        .. Bodies("tlog.binding", body => body["spec"]!["envelopeHash"]!["algorithm"] = "md5"),
        .. Bodies("tlog.binding", body => Signature(body)["signature"] = "AAAA"),
        .. Bodies("tlog.binding", body => body["spec"]!["signatures"]!.AsArray().Add(Signature(body).DeepClone())),
        .. Bodies("tlog.binding", body => body["spec"]!["signatures"] = new JsonArray()),
        .. Bodies("tlog.binding", body => Verifier(body, pem => pem + pem)),
        .. Bodies("tlog.binding", body => Verifier(body, pem => "x\n" + pem)),
        .. Bodies("tlog.binding", body => Verifier(body, pem => pem + "x")),
        .. Bodies("tlog.binding", body => Verifier(body, pem => pem.Replace("CERTIFICATE", "PUBLIC KEY", StringComparison.Ordinal))),
        .. Bodies("tlog.binding", body => Verifier(body, _ => "")),
        .. Bodies("tlog.binding", body => Verifier(body, _ => PemEncoding.WriteString("CERTIFICATE", Forge.World.Tsa.Leaf.RawData) + "\n")),
        .. Bodies("tlog.body", body => Signature(body).Remove("verifier")),
        .. Bodies("tlog.body", body => Signature(body)["verifier"] = "!"),
        .. Bodies("tlog.body", body => body["spec"]!["extra"] = 1),
        .. Bodies("tlog.body", body => body["extra"] = 1),
        .. Bodies("tlog.body", body => body.Remove("spec")),
        .. Bodies("tlog.body", body => body["spec"]!.AsObject().Remove("payloadHash")),
        .. Bodies("tlog.body", body => body["spec"]!.AsObject().Remove("envelopeHash")),
        .. Bodies("tlog.body", body => body["spec"]!["signatures"] = "x"),
    ];

    [TestMethod]
    [Clause("L.10", "L.16", "L.17", "L.18")]
    [DynamicData(nameof(DsseBodies))]
    public void Refuses_a_dsse_entry_about_something_else(int number, string reason, object edit)
    {
        Assert.IsGreaterThan(0, number);
        Verdict.Refuses(reason, Forge.V1 with { Entries = [new LoggedIn(LogKind.V1) { Body = body => Edit(body, (Action<JsonObject>)edit) }] });
    }

    [TestMethod]
    public void Accepts_a_verifier_without_or_with_several_last_line_feeds()
    {
        foreach (Func<string, string> edit in (Func<string, string>[])[pem => pem.TrimEnd('\n'), pem => pem + "\n"])
        {
            Verdict.Accepts(Forge.V1 with { Entries = [new LoggedIn(LogKind.V1) { Body = body => Edit(body, made => Verifier(made, edit)) }] });
        }
    }

    [TestMethod]
    [Clause("L.9")]
    public void Refuses_a_body_that_is_not_strict_JSON()
    {
        foreach (Func<byte[], byte[]> edit in (Func<byte[], byte[]>[])[body => [.. body, (byte)'x'], body => body[..^1], _ => [], body => [.. "{\"kind\":\"dsse\","u8, .. body[1..]], _ => [0xff], body => [0xef, 0xbb, 0xbf, .. body]])
        {
            Verdict.Refuses("tlog.body", Forge.V1 with { Entries = [new LoggedIn(LogKind.V1) { BodyBytes = edit }] });
        }
    }

    [TestMethod]
    [Clause("L.25")]
    public void Refuses_a_hashedrekord_that_differs_in_any_member()
    {
        Action<JsonObject>[] edits =
        [
            body => Record(body)["data"]!["digest"] = Convert.ToBase64String(new byte[32]),
            body => Record(body)["data"]!["algorithm"] = "SHA2_512",
            body => Record(body)["signature"]!["content"] = "AAAA",
            body => Record(body)["signature"]!["verifier"]!["keyDetails"] = "PKIX_ECDSA_P384_SHA_384",
            body => Record(body)["signature"]!["verifier"]!["x509Certificate"]!["rawBytes"] = Convert.ToBase64String(Forge.World.Tsa.Leaf.RawData),
            body => Record(body)["signature"]!["verifier"]!["publicKey"] = new JsonObject { ["rawBytes"] = "AAAA" },
            body => Record(body)["extra"] = 1,
            body => body["extra"] = 1,
        ];
        foreach (LogKind log in V2)
        {
            foreach (Action<JsonObject> edit in edits)
            {
                Refuses("tlog.binding", log, good => good with { Body = body => Edit(body, edit), Edit = entry => entry["kindVersion"] = new JsonObject { ["kind"] = "hashedrekord", ["version"] = "0.0.2" } });
            }

            foreach (Func<byte[], byte[]> edit in (Func<byte[], byte[]>[])[body => [.. body, (byte)'\n'], body => [(byte)' ', .. body]])
            {
                Refuses("tlog.binding", log, good => good with { BodyBytes = edit });
            }

            Refuses("tlog.body", log, good => good with { BodyBytes = body => [.. body, .. body] });
            Refuses("tlog.body", log, good => good with { BodyBytes = _ => [] });
        }
    }

    // Somebody else's good entry, or an own older one, under this signature.
    [TestMethod]
    [Clause("L.17", "L.25")]
    public void Refuses_the_entry_of_another_signature()
    {
        foreach (LogKind log in All)
        {
            JsonNode other = JsonNode.Parse(Forge.LoggedBy(log).Make())!.AsObject().Entry().DeepClone();
            Verdict.Refuses("tlog.binding", Forge.LoggedBy(log) with { Bundle = bundle => bundle.Material()["tlogEntries"] = new JsonArray(other.DeepClone()) });
        }
    }

    [TestMethod]
    [Clause("M.23", "T.36")]
    public void Refuses_a_body_that_is_not_the_one_in_the_tree()
    {
        foreach (LogKind log in All)
        {
            Refuses(log == LogKind.V1 ? "tlog.set" : "tlog.inclusion", log, good => good with
            {
                Edit = entry => entry["canonicalizedBody"] = Convert.ToBase64String(Convert.FromBase64String((string)entry["canonicalizedBody"]!).Flipped(-1)),
            });
        }
    }

    // Many things that a stranger may put into a bundle; all of them together are still quick.
    [TestMethod]
    public void Decides_on_a_crowded_bundle_in_time()
    {
        string witness = string.Concat(Enumerable.Repeat($"\u2014 witness.example {Convert.ToBase64String([1, 2, 3, 4, .. new byte[72]])}\n", 63));
        byte[] bundle = (Forge.V2 with
        {
            Entries = [.. Enumerable.Range(0, 32).Select(index => new LoggedIn(LogKind.V2Ed25519) { Index = index, Size = 32, Note = note => note + witness })],
            Timestamps = [.. Enumerable.Range(0, 32).Select(_ => new Stamped())],
        }).Make();
        var clock = System.Diagnostics.Stopwatch.StartNew();

        new Verifier(Forge.World.Root).Verify(bundle, Forge.Image, Forge.Policy);

        Assert.IsLessThan(5_000, clock.ElapsedMilliseconds);
    }

    private static void Accepts(LogKind log, Func<LoggedIn, LoggedIn> change) => Verdict.Accepts(Forge.LoggedBy(log) with { Entries = [change(new LoggedIn(log))] });

    private static void Refuses(string reason, LogKind log, Func<LoggedIn, LoggedIn> change) => Verdict.Refuses(reason, Forge.LoggedBy(log) with { Entries = [change(new LoggedIn(log))] });

    private static JsonObject Edit(JsonObject body, Action<JsonObject> edit)
    {
        edit(body);
        return body;
    }

    private static int count;

    private static IEnumerable<object[]> Bodies(string reason, Action<JsonObject> edit) => [[++count, reason, edit]];

    private static JsonObject Signature(JsonObject body) => body["spec"]!["signatures"]![0]!.AsObject();

    private static JsonObject Record(JsonObject body) => body["spec"]!["hashedRekordV002"]!.AsObject();

    private static void Verifier(JsonObject body, Func<string, string> edit) =>
        Signature(body)["verifier"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(edit(Encoding.UTF8.GetString(Convert.FromBase64String((string)Signature(body)["verifier"]!)))));
}
