using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sigstore.Formats;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

/// <summary>What a trusted root must say of an instance for it to count, seen from the verdict: what is not used accepts nothing.</summary>
[TestClass]
public sealed class TrustUseTests
{

    // By list and position, with the refusal where nothing else of that kind is left.
    private static readonly (string List, int Index, LogKind Log, string Reason)[] Logs =
        [("tlogs", 0, LogKind.V1, "tlog.unknown-log"), ("tlogs", 1, LogKind.V2Ed25519, "tlog.unknown-log"), ("tlogs", 2, LogKind.V2Ecdsa, "tlog.unknown-log"), ("ctlogs", 0, LogKind.V1, "sct.unknown-log")];

    public static IEnumerable<object[]> Unusable => Rows(
        ("no start", log => log["publicKey"]!["validFor"]!.AsObject().Remove("start")),
        ("a start of null", log => log["publicKey"]!["validFor"]!["start"] = null),
        ("no window", log => log["publicKey"]!.AsObject().Remove("validFor")),
        ("another hash", log => log["hashAlgorithm"] = "SHA2_384"),
        ("no hash", log => log.Remove("hashAlgorithm")),
        ("no log id", log => log.Remove("logId")),
        ("an empty log id", log => log["logId"] = new JsonObject()),
        ("another log id", log => log["logId"]!["keyId"] = Convert.ToBase64String(new byte[32])),
        ("half a log id", log => log["logId"]!["keyId"] = Convert.ToBase64String(Convert.FromBase64String((string)log["logId"]!["keyId"]!)[..16])),
        ("a longer log id", log => log["logId"]!["keyId"] = Convert.ToBase64String([.. Convert.FromBase64String((string)log["logId"]!["keyId"]!), 0])),
        ("no key", log => log.Remove("publicKey")),
        ("a key without bytes", log => log["publicKey"]!.AsObject().Remove("rawBytes")),
        ("an empty key", log => log["publicKey"]!["rawBytes"] = ""),
        ("another key", log => log["publicKey"]!["rawBytes"] = Convert.ToBase64String(Forge.World.StrangeV1.Spki)),
        ("a byte after the key", log => log["publicKey"]!["rawBytes"] = Convert.ToBase64String([.. Convert.FromBase64String((string)log["publicKey"]!["rawBytes"]!), 0])),
        ("no kind of key", log => log["publicKey"]!.AsObject().Remove("keyDetails")),
        ("a kind of key that nobody knows", log => log["publicKey"]!["keyDetails"] = "PKIX_ML_DSA_65"),
        ("a kind of key that comes later", log => log["publicKey"]!["keyDetails"] = "SOMETHING_NEW"),
        ("PSS", log => log["publicKey"]!["keyDetails"] = "PKIX_RSA_PSS_2048_SHA256"),
        ("the kind of another curve", log => log["publicKey"]!["keyDetails"] = "PKIX_ECDSA_P521_SHA_512"));

    [TestMethod]
    [Clause("R.10", "R.13", "R.14", "R.15", "R.16", "R.17")]
    [DynamicData(nameof(Unusable), DynamicDataDisplayName = nameof(Name))]
    public void Does_not_use_a_log_with(string what, object edit)
    {
        foreach ((string list, int index, LogKind log, string reason) in Logs)
        {
            Forge forge = Forge.LoggedBy(log) with { Root = root => ((Action<JsonObject>)edit)(root.Instance(list, index)) };
            Assert.HasCount(1, forge.TrustedRoot().Warnings, $"{list}[{index}] with {what}");
            Assert.Contains(list, forge.TrustedRoot().Warnings[0]);
            Assert.IsTrue(forge.TrustedRoot().ListsLogs);
            Verdict.Refuses(reason, forge);
            // Others are used as before, whatever came before them.
            Verdict.Accepts(Forge.LoggedBy(log == LogKind.V1 ? LogKind.V2Ed25519 : LogKind.V1) with
            {
                Root = forge.Root,
                Scts = list == "ctlogs" ? (spki, tbs) => [Forge.World.RsaCtLog.Add(spki, tbs)] : Forge.V1.Scts,
            });
        }
    }

    [TestMethod]
    [Clause("R.11", "R.12")]
    public void Does_not_use_an_authority_without_start_or_certificates()
    {
        foreach ((string list, string reason) in ((string, string)[])[("certificateAuthorities", "cert.issuer"), ("timestampAuthorities", "time.missing")])
        {
            foreach (Action<JsonObject> edit in (Action<JsonObject>[])
            [
                one => one.Remove("validFor"), one => one["validFor"] = new JsonObject(), one => one["validFor"]!.AsObject().Remove("start"), one => one["validFor"] = new JsonObject { ["end"] = "2030-01-01T00:00:00Z" },
                one => one.Remove("certChain"), one => one["certChain"] = new JsonObject(), one => one["certChain"]!["certificates"] = new JsonArray(),
            ])
            {
                Forge forge = Forge.V2 with { Root = root => edit(root.Instance(list)) };
                Assert.HasCount(1, forge.TrustedRoot().Warnings);
                Verdict.Refuses(reason, forge);
            }
        }
    }

    // A certificate that is not one harms nobody but those who need it.
    [TestMethod]
    [Clause("R.23")]
    public void Judges_certificates_of_authorities_when_they_are_used()
    {
        foreach (string broken in (string[])["", "AAAA", Convert.ToBase64String([.. Forge.World.Fulcio.Intermediate.Certificate.RawData, 0])])
        {
            foreach (int position in (int[])[0, 1])
            {
                Forge forge = Forge.V2 with { Root = root => root.Instance("certificateAuthorities")["certChain"]!["certificates"]![position]!["rawBytes"] = broken };
                Assert.AreEqual("cert", Assert.ThrowsExactly<VerificationException>(() => forge.Verify()).Step);
                Verdict.Accepts(forge with { Managed = true });
                forge = Forge.V2 with { Root = root => root.Instance("timestampAuthorities")["certChain"]!["certificates"]![position]!["rawBytes"] = broken };
                Assert.AreEqual("time", Assert.ThrowsExactly<VerificationException>(() => forge.Verify()).Step);
                Verdict.Accepts(forge with { Timestamps = [new Stamped { Authority = Forge.World.SecondTsa }] });
                Verdict.Accepts(Forge.V1 with { Root = forge.Root });
            }
        }
    }

    [TestMethod]
    [Clause("R.4")]
    public void Refuses_a_media_type_that_is_not_exactly_the_one()
    {
        foreach (string? mediaType in (string?[])
            [null, "", "application/json", "application/vnd.dev.sigstore.trustedroot+json", "application/vnd.dev.sigstore.trustedroot+json;version=0.2", "application/vnd.dev.sigstore.trustedroot.v0.1+json",
                "application/vnd.dev.sigstore.trustedroot+json; version=0.1", "application/vnd.dev.sigstore.trustedroot+json;version=0.1 ", "Application/vnd.dev.sigstore.trustedroot+json;version=0.1"])
        {
            JsonObject root = Forge.World.RootJson();
            root["mediaType"] = mediaType;
            Assert.ThrowsExactly<MalformedException>(() => TrustedRoot.Parse(Encoding.UTF8.GetBytes(root.ToJsonString())));
        }
    }

    [TestMethod]
    [Clause("R.1")]
    public void Reads_1_MiB_and_no_byte_more()
    {
        byte[] most = new byte[1024 * 1024];
        most.AsSpan().Fill((byte)' ');
        Encoding.UTF8.GetBytes(Forge.World.RootJson().ToJsonString()).CopyTo(most, 0);
        Assert.HasCount(3, TrustedRoot.Parse(most).Logs);
        Assert.AreEqual("too-large", Assert.ThrowsExactly<MalformedException>(() => TrustedRoot.Parse((byte[])[.. most, (byte)' '])).Clause);
    }

    [TestMethod]
    [Clause("R.21", "R.22")]
    public void Reads_up_to_64_lines_each_of_them_a_root()
    {
        string line = Forge.World.RootJson().ToJsonString();
        Assert.HasCount(1, Lines(line));
        Assert.HasCount(1, Lines(JsonNode.Parse(line)!.ToJsonString(new System.Text.Json.JsonSerializerOptions { WriteIndented = true })));
        Assert.HasCount(2, Lines($"{line}\n\n \r\n{line}\r\n"));
        Assert.HasCount(64, Lines(string.Join('\n', Enumerable.Repeat(line, 64))));
        Assert.AreEqual("limit", Assert.ThrowsExactly<MalformedException>(() => Lines(string.Join('\n', Enumerable.Repeat(line, 65)))).Clause);
        var no = Assert.ThrowsExactly<MalformedException>(() => Lines(line + "\n{}\n" + line));
        Assert.AreEqual("schema", no.Clause);
        Assert.StartsWith("line 2: ", no.Message);
        Assert.StartsWith("malformed ", Assert.ThrowsExactly<MalformedException>(() => Lines("{}")).Message, "there is one line");
        // What begins with anything else is one document, and none.
        Assert.AreEqual("json", Assert.ThrowsExactly<MalformedException>(() => Lines($"7\n{line}")).Clause);
        Assert.AreEqual("json", Assert.ThrowsExactly<MalformedException>(() => Lines($"{line}{line}\n{line}")).Clause);

        static IReadOnlyList<TrustedRoot> Lines(string text) => TrustedRoot.ParseLines(Encoding.UTF8.GetBytes(text));
    }

    [TestMethod]
    [Clause("R.1", "R.21")]
    public void Reads_64_MiB_of_lines_and_no_byte_more()
    {
        byte[] lines = new byte[64 * 1024 * 1024 + 1];
        lines.AsSpan().Fill((byte)' ');
        byte[] root = Encoding.UTF8.GetBytes(Forge.World.RootJson().ToJsonString());
        for (int line = 0; line < 64; line++)
        {
            root.CopyTo(lines, line * 1024 * 1024);
            lines[(line + 1) * 1024 * 1024 - 1] = (byte)'\n';
        }

        Assert.HasCount(64, TrustedRoot.ParseLines(lines.AsMemory(0, 64 * 1024 * 1024)));
        Assert.AreEqual("too-large", Assert.ThrowsExactly<MalformedException>(() => TrustedRoot.ParseLines(lines)).Clause);
    }

    [TestMethod]
    [Clause("R.7")]
    public void Reads_a_time_with_an_offset()
    {
        Verdict.Accepts(Forge.V1 with { Root = root => Window(root, "2026-11-23T00:01:00-06:00", "2026-11-23T07:01:00.0+01:00") });
        Verdict.Refuses("tlog.window", Forge.V1 with { Root = root => Window(root, "2026-11-23T00:01:01-06:00", null) });
        foreach (string time in (string[])["2026-11-23T06:00:00", "2026-11-23T06:00:00.Z", "2026-11-23T06:00:00.0000000000Z", ".", "2026-11-23T06:00:00 06:00"])
        {
            Assert.ThrowsExactly<MalformedException>(() => (Forge.V1 with { Root = root => Window(root, time, null) }).TrustedRoot(), time);
        }

        static void Window(JsonObject root, string start, string? end) => root.Instance("tlogs")["publicKey"]!["validFor"] = new JsonObject { ["start"] = start, ["end"] = end };
    }

    [TestMethod]
    [Clause("R.16", "R.17")]
    public void Says_whether_a_kind_of_key_is_unknown_or_not_the_keys()
    {
        foreach ((string details, string says) in ((string, string)[])[("PKIX_ML_DSA_65", "keys of kind PKIX_ML_DSA_65 are not supported"), ("PKIX_ED25519", "its key is not a PKIX_ED25519")])
        {
            Assert.Contains(says, (Forge.V1 with { Root = root => root.Instance("tlogs")["publicKey"]!["keyDetails"] = details }).TrustedRoot().Warnings.Single());
        }
    }

    [TestMethod]
    [Clause("R.6")]
    public void Takes_null_for_absent_and_not_inside_an_array()
    {
        Verdict.Accepts(Forge.V1 with { Root = root => root["timestampAuthorities"] = null });
        Verdict.Accepts(Forge.V1 with { Root = root => root.Instance("tlogs")["publicKey"]!["validFor"]!["end"] = null });
        Verdict.Accepts(Forge.V1 with { Root = root => root.Instance("certificateAuthorities")["subject"] = null });
        foreach (string list in (string[])["tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities"])
        {
            JsonObject root = Forge.World.RootJson();
            root[list]!.AsArray().Add((JsonNode?)null);
            Assert.ThrowsExactly<MalformedException>(() => TrustedRoot.Parse(Encoding.UTF8.GetBytes(root.ToJsonString())));
        }
    }

    [TestMethod]
    [Clause("R.3", "R.9")]
    public void Refuses_a_member_twice_and_ignores_one_it_does_not_know()
    {
        string good = Forge.World.RootJson().ToJsonString();
        foreach (string member in (string[])["mediaType", "tlogs", "baseUrl", "keyDetails", "start", "certChain"])
        {
            int at = good.IndexOf($"\"{member}\":", StringComparison.Ordinal);
            Assert.ThrowsExactly<MalformedException>(() => TrustedRoot.Parse(Encoding.UTF8.GetBytes(good.Insert(at, $"\"{member}\":null,"))), member);
            Assert.IsEmpty(TrustedRoot.Parse(Encoding.UTF8.GetBytes(good.Insert(at, "\"somethingNew\":{\"a\":[null]},"))).Warnings);
        }
    }

    // One key, several windows: each counts, in any order, for every list.
    [TestMethod]
    [Clause("R.18", "T.25", "T.38", "C.18", "S.14")]
    public void Looks_at_every_window_of_a_key()
    {
        string[][] windows = [["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"], ["2026-11-23T06:00:00Z", "2026-11-23T06:01:00Z"], ["2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"]];
        foreach (string list in (string[])["tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities"])
        {
            foreach (int first in (int[])[0, 1, 2])
            {
                Action<JsonObject, IEnumerable<string[]>> listed = (root, all) =>
                {
                    JsonNode one = root.Instance(list).DeepClone();
                    root[list]!.AsArray().RemoveAt(0);
                    foreach (string[] window in all)
                    {
                        JsonNode copy = one.DeepClone();
                        (copy["publicKey"] ?? copy)["validFor"] = new JsonObject { ["start"] = window[0], ["end"] = window[1] };
                        root[list]!.AsArray().Add(copy);
                    }
                };
                string[][] rotated = [.. windows.Skip(first), .. windows.Take(first)];
                Forge forge = list == "tlogs" ? Forge.V1 : Forge.V2;
                Verdict.Accepts(forge with { Root = root => listed(root, rotated) });
                string reason = list switch { "tlogs" => "tlog.window", "ctlogs" => "sct.window", "certificateAuthorities" => "cert.window", _ => "time.window" };
                Verdict.Refuses(reason, forge with { Root = root => listed(root, rotated.Where(window => window != windows[1])) });
            }
        }
    }

    // The window is closed at both ends, to the last digit that is written.
    [TestMethod]
    [Clause("T.25", "T.38", "C.18", "S.14")]
    public void Counts_a_moment_at_either_end_of_every_window()
    {
        string[] log = ["2026-11-23T06:01:00Z", "2026-11-23T06:00:59.999999999Z", "2026-11-23T06:01:00.000000100Z"], sct = ["2026-11-23T06:00:00.000Z", "2026-11-23T05:59:59.999Z", "2026-11-23T06:00:00.001Z"];
        foreach ((string list, string reason, string[] at) in ((string, string, string[])[])
            [("tlogs", "tlog.window", log), ("ctlogs", "sct.window", sct), ("certificateAuthorities", "cert.window", log), ("timestampAuthorities", "time.window", log)])
        {
            Forge forge = list == "tlogs" ? Forge.V1 : Forge.V2;
            Verdict.Accepts(forge with { Root = root => Window(root, list, at[0], at[0]) });
            Verdict.Refuses(reason, forge with { Root = root => Window(root, list, "2026-01-01T00:00:00Z", at[1]) });
            Verdict.Refuses(reason, forge with { Root = root => Window(root, list, at[2], null) });
            Verdict.Refuses(reason, forge with { Root = root => Window(root, list, at[2], at[1]) }); // ends before it starts
        }

        static void Window(JsonObject root, string list, string start, string? end)
        {
            JsonObject one = root.Instance(list);
            (one["publicKey"] ?? one)["validFor"] = new JsonObject { ["start"] = start, ["end"] = end };
        }
    }

    // A root that lists no log of a kind means no, not "need not".
    [TestMethod]
    [Clause("T.43", "C.12", "S.9", "L.2", "P.13")]
    public void Refuses_where_a_list_is_empty_or_absent()
    {
        foreach ((string list, string reason) in ((string, string)[])[("tlogs", "tlog.unknown-log"), ("ctlogs", "sct.unknown-log"), ("certificateAuthorities", "cert.issuer"), ("timestampAuthorities", "time.missing")])
        {
            foreach (Action<JsonObject> edit in (Action<JsonObject>[])[root => root.Remove(list), root => root[list] = new JsonArray(), root => root[list] = null])
            {
                Verdict.Refuses(reason, Forge.V2 with { Root = edit });
                if (list != "timestampAuthorities")
                {
                    Verdict.Refuses(reason, Forge.V1 with { Root = edit });
                }
            }
        }
    }

    // Instances without logs: a timestamp takes the place of entry and SCT, and only where the root lists neither.
    [TestMethod]
    [Clause("L.1", "P.12", "P.18")]
    public void Takes_a_timestamp_alone_only_where_the_root_lists_no_log()
    {
        Action<JsonObject> none = root => { root.Remove("tlogs"); root.Remove("ctlogs"); };
        Forge forge = Forge.V2 with { Entries = [], Scts = (_, _) => [], Root = none };
        Policy timestamp = new(TextMatch.Exactly(Forge.Identity), TextMatch.Exactly(Forge.Issuer), null, Forge.PredicateType) { Proofs = Proofs.Timestamp };
        Assert.IsTrue(Verdict.Accepts(forge, timestamp).Checks.Any(check => check.Contains("No transparency log", StringComparison.Ordinal)));
        Verdict.Refuses("sct.missing", forge with { Root = root => root.Remove("tlogs") });
        Verdict.Refuses("time.missing", forge with { Timestamps = [] }, timestamp);
        Verdict.Refuses("time.missing", forge with { Timestamps = [], Entries = [new LoggedIn(LogKind.V1)] }, timestamp); // the entry's time is a stranger's
        Verdict.Refuses("time.imprint", forge with { Timestamps = [new Stamped { Over = _ => [] }] }, timestamp);
        Verdict.Refuses("cert.validity", forge with { Timestamps = [new Stamped { GenTime = Forge.Now.AddMinutes(11) }] }, timestamp);
        Verdict.Refuses("sig.invalid", forge with { Signature = signature => signature.Flipped(-1) }, timestamp);
        Verdict.Refuses("root.logs", forge with { Root = root => root.Remove("tlogs") }, timestamp);
        Verdict.Refuses("root.logs", forge with { Root = root => root.Remove("ctlogs") }, timestamp);
        // A log that cannot be used is listed all the same.
        Verdict.Refuses("root.logs", forge with { Root = root => { none(root); root["tlogs"] = new JsonArray(new JsonObject()); } }, timestamp);
        Verdict.Accepts(forge with { Root = root => { root["tlogs"] = new JsonArray(); root["ctlogs"] = null; } }, timestamp);
        Verdict.Refuses("tlog.missing", forge with { Root = null, Scts = Forge.V2.Scts }); // by a policy that asks for the log
    }

    // Each root alone, never a union: the log of one does not vouch for the certificate of another.
    [TestMethod]
    [Clause("R.19", "R.20")]
    public void Tries_several_roots_each_alone()
    {
        byte[] bundle = Forge.V2.Make();
        TrustedRoot whole = Forge.World.Root, withoutLogs = Root(root => root["tlogs"] = new JsonArray()), withoutAuthorities = Root(root => root["certificateAuthorities"] = new JsonArray());
        _ = new Verifier(withoutLogs, whole).Verify(bundle, Forge.Image, Forge.Policy);
        _ = new Verifier(whole, withoutLogs).Verify(bundle, Forge.Image, Forge.Policy);
        foreach (TrustedRoot[] roots in (TrustedRoot[][])[[withoutLogs, withoutAuthorities], [withoutAuthorities, withoutLogs]])
        {
            var no = Assert.ThrowsExactly<VerificationException>(() => new Verifier(roots).Verify(bundle, Forge.Image, Forge.Policy));
            Assert.AreEqual("tlog.unknown-log", no.Reason, "the nearest of the refusals");
        }

        // Of two that came equally far the first is named.
        TrustedRoot unknown = Root(root => root["ctlogs"] = new JsonArray()), expired = Root(root => root.Instance("ctlogs")["publicKey"]!["validFor"]!["end"] = "2026-11-23T05:30:00Z");
        foreach ((string reason, TrustedRoot[] roots) in ((string, TrustedRoot[])[])[("sct.unknown-log", [unknown, expired]), ("sct.window", [expired, unknown])])
        {
            Assert.AreEqual(reason, Assert.ThrowsExactly<VerificationException>(() => new Verifier(roots).Verify(bundle, Forge.Image, Forge.Policy)).Reason);
        }

        Assert.AreEqual("root.none", Assert.ThrowsExactly<VerificationException>(() => new Verifier().Verify(bundle, Forge.Image, Forge.Policy)).Reason);

        static TrustedRoot Root(Action<JsonObject> edit) => (Forge.V2 with { Root = edit }).TrustedRoot();
    }

    public static string Name(System.Reflection.MethodInfo method, object[] data) => $"{method.Name} {data[0]}";

    private static IEnumerable<object[]> Rows(params (string What, Action<JsonObject> Edit)[] rows) => rows.Select(row => new object[] { row.What, row.Edit });
}
