using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

/// <summary>What is asked of a bundle's JSON before anything in it is believed: in each version, with each content, signer and log.</summary>
[TestClass]
public sealed class BundleShapeTests
{
    private static readonly byte[] File = Encoding.UTF8.GetBytes("a file\n");
    private static readonly bool[] YesAndNo = [true, false];

    /// <summary>Made once; the rows edit copies.</summary>
    private static readonly Lazy<Made[]> All = new(() =>
    [
        .. from version in (string[])["0.1", "0.2", "0.3"]
           from message in YesAndNo
           from managed in YesAndNo
           select new Made(Forge.V1 with { Version = version, Content = message ? File : null, Managed = managed, Timestamps = [new Stamped()] }, $"v{version} in Rekor v1, {Kind(message, managed)}"),
        .. from log in (LogKind[])[LogKind.V2Ed25519, LogKind.V2Ecdsa]
           from version in (string[])["0.2", "0.3"]
           from message in YesAndNo
           from managed in YesAndNo
           select new Made(Forge.LoggedBy(log) with { Version = version, Content = message ? File : null, Managed = managed }, $"v{version} in {log}, {Kind(message, managed)}"),
    ]);

    private static IEnumerable<Made> V01 => All.Value.Where(made => made.Forge.Version == "0.1");

    private static IEnumerable<Made> V02AndLater => All.Value.Where(made => made.Forge.Version != "0.1");

    private static IEnumerable<Made> Messages => All.Value.Where(made => made.Forge.Content is not null);

    private static IEnumerable<Made> Envelopes => All.Value.Where(made => made.Forge.Content is null);

    private static IEnumerable<Made> Certified => All.Value.Where(made => !made.Forge.Managed);

    private static IEnumerable<Made> Managed => All.Value.Where(made => made.Forge.Managed);

    [TestMethod]
    public void Accepts_every_version_content_signer_and_log() => Accept(All.Value, _ => { });

    [TestMethod]
    [Clause("B.1")]
    public void Accepts_16_MiB_and_refuses_a_byte_more()
    {
        foreach (Made made in All.Value.Where((_, index) => index % 6 == 0))
        {
            byte[] most = new byte[16 * 1024 * 1024];
            most.AsSpan().Fill((byte)' ');
            made.Text(text => text).CopyTo(most, 0);
            Verdict.Accepts(made.Forge, most, made.What);
            Verdict.Refuses("bundle.too-large", made.Forge, [.. most, (byte)' '], made.What);
        }
    }

    [TestMethod]
    [Clause("B.1", "B.6")]
    public void Refuses_an_unknown_string_of_80_MB_and_200_000_levels()
    {
        foreach (Made made in (Made[])[All.Value[0], All.Value[^1]])
        {
            Verdict.Refuses("bundle.too-large", made.Forge, made.Text(text => $"{{\"x\":\"{new string('a', 80_000_000)}\",{text[1..]}"), made.What);
            Verdict.Refuses("bundle.json", made.Forge, made.Text(text => $"{{\"x\":{new string('[', 200_000)}{new string(']', 200_000)},{text[1..]}"), made.What);
            Verdict.Refuses("bundle.json", made.Forge, made.Text(text => $"{{\"x\":{Deep(200_000)},{text[1..]}"), made.What);
        }

        static string Deep(int levels) => string.Concat(Enumerable.Repeat("{\"a\":", levels)) + "1" + new string('}', levels);
    }

    [TestMethod]
    [Clause("B.6")]
    public void Reads_32_levels_and_no_33rd()
    {
        foreach (Made made in All.Value)
        {
            Verdict.Refuses("bundle.unknown-field", made.Forge, made.Text(text => $"{{\"x\":{new string('[', 31)}{new string(']', 31)},{text[1..]}"), made.What);
            Verdict.Refuses("bundle.json", made.Forge, made.Text(text => $"{{\"x\":{new string('[', 32)}{new string(']', 32)},{text[1..]}"), made.What);
        }
    }

    [TestMethod]
    [Clause("B.3", "B.4", "B.5")]
    [DataRow("a byte order mark", "\uFEFF{0}")]
    [DataRow("a comment", "{0}//")]
    [DataRow("a comment before", "/**/{0}")]
    [DataRow("a second value", "{0}{0}")]
    [DataRow("a zero byte after", "{0}\0")]
    [DataRow("a comma after", "{0},")]
    [DataRow("a form feed before", "\f{0}")]
    public void Refuses_JSON_with(string what, string format) => Each("bundle.json", All.Value, made => made.Text(text => format.Replace("{0}", text, StringComparison.Ordinal)), what);

    [TestMethod]
    [Clause("B.8")]
    public void Refuses_a_member_twice_in_any_object()
    {
        foreach (Made made in All.Value)
        {
            foreach (string path in made.Objects())
            {
                string member = made.At(path).AsObject().First().Key;
                foreach (string again in (string[])["null", "1"])
                {
                    byte[] bundle = made.Edited(bundle => Find(bundle, path).AsObject().Insert(0, "@again", 1), text => text.Replace("\"@again\":1", $"\"{member}\":{again}", StringComparison.Ordinal));
                    Verdict.Refuses("bundle.json-duplicate", made.Forge, bundle, $"{made.What}, {path}.{member}");
                }
            }
        }
    }

    [TestMethod]
    [Clause("B.9")]
    public void Refuses_a_member_name_in_any_other_spelling()
    {
        foreach (Made made in All.Value)
        {
            foreach ((string path, string name) in made.Members())
            {
                string snake = string.Concat(name.Select(letter => char.IsUpper(letter) ? $"_{char.ToLowerInvariant(letter)}" : $"{letter}"));
                string[] spellings = [$"{char.ToUpperInvariant(name[0])}{name[1..]}", name.ToUpperInvariant(), .. snake == name ? [] : (string[])[snake, name.ToLowerInvariant()]];
                foreach (string other in spellings)
                {
                    byte[] bundle = made.Edited(bundle => Rename(Find(bundle, path).AsObject(), name, other));
                    Refuses("bundle", made, bundle, $"{path}.{name} as {other}");
                    // Beside the right one it is a second answer to the same question.
                    bundle = made.Edited(bundle => Find(bundle, path)[other] = Find(bundle, path)[name]!.DeepClone());
                    Verdict.Refuses("bundle.schema", made.Forge, bundle, $"{made.What}, {path}.{name} and {other}");
                }
            }
        }
    }

    [TestMethod]
    [Clause("B.9")]
    [DataRow("mediaType", "media_type")]
    [DataRow("mediaType", "MediaType")]
    [DataRow("verificationMaterial", "verification_material")]
    [DataRow("verificationMaterial.tlogEntries", "tlog_entries")]
    [DataRow("verificationMaterial.timestampVerificationData", "timestamp_verification_data")]
    [DataRow("verificationMaterial.tlogEntries[0].logIndex", "log_index")]
    [DataRow("verificationMaterial.tlogEntries[0].logId", "log_id")]
    [DataRow("verificationMaterial.tlogEntries[0].kindVersion", "kind_version")]
    [DataRow("verificationMaterial.tlogEntries[0].inclusionProof", "inclusion_proof")]
    [DataRow("verificationMaterial.tlogEntries[0].canonicalizedBody", "canonicalized_body")]
    [DataRow("verificationMaterial.tlogEntries[0].inclusionProof.rootHash", "root_hash")]
    [DataRow("verificationMaterial.tlogEntries[0].inclusionProof.treeSize", "tree_size")]
    public void Refuses_as_another_schema_what_is_spelled_as_in_the_proto_file(string path, string other) =>
        Refuse("bundle.schema", All.Value, bundle => Rename(Find(bundle, path).Parent!.AsObject(), path.Split('.')[^1], other));

    [TestMethod]
    [Clause("B.9")]
    public void Refuses_a_content_or_signer_spelled_as_in_the_proto_file()
    {
        Refuse("bundle.schema", Envelopes, bundle => Rename(bundle, "dsseEnvelope", "dsse_envelope"));
        Refuse("bundle.schema", Messages, bundle => Rename(bundle, "messageSignature", "message_signature"));
        Refuse("bundle.schema", Managed, bundle => Rename(bundle.Material(), "publicKey", "public_key"));
        Refuse("bundle.schema", Certified.Where(made => made.Forge.Version != "0.3"), bundle => Rename(bundle.Material(), "x509CertificateChain", "x509_certificate_chain"));
    }

    [TestMethod]
    [Clause("B.10")]
    public void Refuses_an_unknown_member_in_any_object()
    {
        foreach (Made made in All.Value)
        {
            foreach (string path in made.Objects())
            {
                foreach (JsonNode? value in (JsonNode?[])[null, 1, new JsonObject()])
                {
                    Verdict.Refuses("bundle.unknown-field", made.Forge, made.Edited(bundle => Find(bundle, path)["extra"] = value?.DeepClone()), $"{made.What}, {path}");
                }
            }
        }
    }

    [TestMethod]
    [Clause("B.12")]
    public void Refuses_null_inside_an_array()
    {
        Refuse("bundle.schema", All.Value, bundle => bundle.Material()["tlogEntries"]!.AsArray().Add((JsonNode?)null));
        Refuse("bundle.schema", All.Value, bundle => bundle.Timestamps().Add((JsonNode?)null));
        Refuse("bundle.schema", All.Value, bundle => bundle.Entry().Proof()["hashes"]!.AsArray().Add((JsonNode?)null));
        Refuse("bundle.schema", Envelopes, bundle => bundle.Envelope()["signatures"]!.AsArray().Add((JsonNode?)null));
        Refuse("bundle.schema", Certified.Where(made => made.Forge.Version != "0.3"), bundle => Chain(bundle).Add((JsonNode?)null));
    }

    // ProtoJSON: null is absent. What is required is then missing, what is not is fine.
    [TestMethod]
    [Clause("B.12", "B.16")]
    public void Takes_null_for_absent()
    {
        Accept(Envelopes, bundle => bundle["messageSignature"] = null);
        Accept(Messages, bundle => bundle["dsseEnvelope"] = null);
        Accept(Certified, bundle => bundle.Material()["publicKey"] = null);
        Accept(Managed, bundle => (bundle.Material()["certificate"], bundle.Material()["x509CertificateChain"]) = (null, null));
        Accept(All.Value.Where(made => made.Forge.Entries[0].Log != LogKind.V1), bundle => bundle.Entry()["inclusionPromise"] = null);
        Accept(Envelopes, bundle => bundle.Envelope()["signatures"]![0]!["keyid"] = null);
        Refuse("bundle.version", All.Value, bundle => bundle["mediaType"] = null);
        Refuse("bundle.schema", All.Value, bundle => bundle.Entry()["logId"] = null);
    }

    // 2^63-1, a string or a number, in one spelling.
    [TestMethod]
    [Clause("B.12", "B.13")]
    public void Reads_int64_in_its_canonical_spellings_only()
    {
        string[] bad = ["-1", "-0", "01", "00", " 1", "1 ", "1.0", "1e0", "1E0", "+1", "0x1", "", "1_0", "9223372036854775808", "99999999999999999999", "\u0661", "NaN"];
        foreach (Made made in All.Value)
        {
            foreach (string path in made.Numbers())
            {
                string what = $"{made.What}, {path}";
                Verdict.Accepts(made.Forge, made.Edited(bundle => Replace(bundle, path, JsonNode.Parse((string)Find(bundle, path)!)!)), what);
                foreach (string number in bad)
                {
                    Verdict.Refuses("bundle.number", made.Forge, made.Edited(bundle => Replace(bundle, path, number)), $"{what} = \"{number}\"");
                }

                foreach (string number in (string[])["-1", "-0", "1.0", "1e0", "1E2", "0.5", "9223372036854775808", "18446744073709551615"])
                {
                    Verdict.Refuses("bundle.number", made.Forge, made.Edited(bundle => Replace(bundle, path, JsonNode.Parse(number)!)), $"{what} = {number}");
                }

                foreach (string other in (string[])["true", "[]", "{}"])
                {
                    Verdict.Refuses("bundle.schema", made.Forge, made.Edited(bundle => Replace(bundle, path, JsonNode.Parse(other)!)), $"{what} = {other}");
                }

                // The largest number is read, and then refused for what it says.
                Assert.AreNotEqual("bundle.number", Reason(made, made.Edited(bundle => Replace(bundle, path, "9223372036854775807"))), what);
            }
        }
    }

    [TestMethod]
    [Clause("B.12", "B.14")]
    public void Reads_bytes_in_either_alphabet_with_or_without_padding_and_in_no_other_spelling()
    {
        foreach (Made made in All.Value)
        {
            foreach (string path in made.Bytes())
            {
                string what = $"{made.What}, {path}", value = (string)made.At(path)!;
                foreach (string good in (string[])[value.Replace('+', '-').Replace('/', '_'), value.TrimEnd('='), value.Replace('+', '-').Replace('/', '_').TrimEnd('=')])
                {
                    Verdict.Accepts(made.Forge, made.Edited(bundle => Replace(bundle, path, good)), what);
                }

                string[] bad =
                [
                    value + "!", value + "!!!!", value + "\n", value + " ", " " + value, value.Insert(4, "\n"), value.Insert(4, "\r\n"), value.Insert(4, " "), value.Insert(4, "="), value + "====",
                    value.TrimEnd('=') + "===", value.TrimEnd('=') + (value.EndsWith('=') ? value + "A" : "="), "A", value[..4] + "+-/_" + value[4..], value[..4] + "\u0000AAA" + value[4..],
                ];
                foreach (string spelling in bad)
                {
                    Verdict.Refuses("bundle.base64", made.Forge, made.Edited(bundle => Replace(bundle, path, spelling)), $"{what} = {spelling}");
                }

                foreach (string other in (string[])["1", "true", "[]", "{}"])
                {
                    Verdict.Refuses("bundle.schema", made.Forge, made.Edited(bundle => Replace(bundle, path, JsonNode.Parse(other)!)), $"{what} = {other}");
                }
            }
        }
    }

    // What is just within the bound is read, and refused for what it is.
    [TestMethod]
    [Clause("B.29", "B.30")]
    [DataRow(0, "bundle.limit", "bundle.limit")]
    [DataRow(1, "cert.der", "time.token")]
    [DataRow(64 * 1024, "cert.der", "time.token")]
    [DataRow(64 * 1024 + 1, "bundle.limit", "bundle.limit")]
    public void Reads_a_certificate_and_a_timestamp_of_64_KiB_and_no_more(int size, string certificate, string timestamp)
    {
        string bytes = Convert.ToBase64String(new byte[size]);
        Verdict.Refuses(certificate, Forge.V2 with { Bundle = bundle => bundle.Material()["certificate"]!["rawBytes"] = bytes });
        Verdict.Refuses(timestamp, Forge.V2 with { Bundle = bundle => bundle.Timestamps()[0]!["signedTimestamp"] = bytes });
    }

    [TestMethod]
    [Clause("B.15")]
    public void Reads_an_enum_by_name_only()
    {
        Refuse("bundle.schema", Messages, bundle => bundle["messageSignature"]!["messageDigest"]!["algorithm"] = 1);
        Refuse("bundle.schema", Messages, bundle => bundle["messageSignature"]!["messageDigest"]!.AsObject().Remove("algorithm"));
        foreach (string name in (string[])["", "sha256", "SHA-256", "SHA256", "sha2_256", "SHA3_256", "HASH_ALGORITHM_UNSPECIFIED", "1"])
        {
            foreach (Made made in Messages)
            {
                Assert.AreEqual("sig", Refusal(made, made.Edited(bundle => bundle["messageSignature"]!["messageDigest"]!["algorithm"] = name)).Step, $"{made.What}: {name}");
            }
        }
    }

    [TestMethod]
    [Clause("B.16")]
    [DataRow("application/vnd.dev.sigstore.bundle+json")]
    [DataRow("application/vnd.dev.sigstore.bundle+json;version=0.4")]
    [DataRow("application/vnd.dev.sigstore.bundle+json;version=1.0")]
    [DataRow("application/vnd.dev.sigstore.bundle+json;version=0.0")]
    [DataRow("application/vnd.dev.sigstore.bundle+json; version=0.3")]
    [DataRow("application/vnd.dev.sigstore.bundle+json;version=0.3;x=1")]
    [DataRow("application/vnd.dev.sigstore.bundle+json;version=0.30")]
    [DataRow("application/vnd.dev.sigstore.bundle.v0.1+json")]
    [DataRow("application/vnd.dev.sigstore.bundle.v0.2+json")]
    [DataRow("application/vnd.dev.sigstore.bundle.v0.3.1+json")]
    [DataRow("application/vnd.dev.sigstore.bundle.v0.3+json\n")]
    [DataRow("APPLICATION/VND.DEV.SIGSTORE.BUNDLE.V0.3+JSON")]
    [DataRow("application/json")]
    [DataRow("")]
    public void Refuses_an_unknown_version_of_every_kind(string mediaType) => Refuse("bundle.version", All.Value, bundle => bundle["mediaType"] = mediaType);

    [TestMethod]
    [Clause("B.19", "B.20", "B.21")]
    public void Refuses_a_signer_of_another_version()
    {
        Refuse("bundle.material", Certified.Where(made => made.Forge.Version != "0.3"), bundle => bundle["mediaType"] = "application/vnd.dev.sigstore.bundle.v0.3+json");
        foreach (string version in (string[])["0.1", "0.2"])
        {
            Refuse("bundle.material", Certified.Where(made => made.Forge.Version == "0.3"), bundle => bundle["mediaType"] = $"application/vnd.dev.sigstore.bundle+json;version={version}");
        }

        Refuse("bundle.material", Certified.Where(made => made.Forge.Version != "0.3"), bundle => Chain(bundle).Clear());
        Refuse("bundle.material", Certified.Where(made => made.Forge.Version != "0.3"), bundle => bundle.Material()["x509CertificateChain"] = new JsonObject());
        // A key has no version.
        Accept(Managed.Where(made => made.Forge.Version == "0.2"), bundle => bundle["mediaType"] = "application/vnd.dev.sigstore.bundle.v0.3+json");
    }

    [TestMethod]
    [Clause("B.17", "B.18")]
    public void Refuses_any_number_of_contents_and_signers_but_one()
    {
        Refuse("bundle.oneof", Envelopes, bundle => bundle.Remove("dsseEnvelope"));
        Refuse("bundle.oneof", Messages, bundle => bundle.Remove("messageSignature"));
        Refuse("bundle.oneof", Envelopes, bundle => bundle["messageSignature"] = new JsonObject());
        Refuse("bundle.oneof", Messages, bundle => bundle["dsseEnvelope"] = new JsonObject());
        Refuse("bundle.oneof", Envelopes, bundle => bundle["messageSignature"] = JsonNode.Parse(Messages.First().Text(text => text))!["messageSignature"]!.DeepClone());
        Refuse("bundle.oneof", Messages, bundle => bundle["dsseEnvelope"] = JsonNode.Parse(Envelopes.First().Text(text => text))!["dsseEnvelope"]!.DeepClone());

        string[] signers = ["publicKey", "x509CertificateChain", "certificate"];
        Refuse("bundle.oneof", All.Value, bundle =>
        {
            foreach (string signer in signers)
            {
                bundle.Material().Remove(signer);
            }
        });
        foreach (string signer in signers)
        {
            Refuse("bundle.oneof", All.Value.Where(made => !made.At("verificationMaterial").AsObject().ContainsKey(signer)), bundle => bundle.Material()[signer] = new JsonObject());
        }
    }

    [TestMethod]
    [Clause("B.22", "B.23", "B.24")]
    public void Refuses_an_entry_without_the_evidence_of_the_version()
    {
        Refuse("bundle.promise-missing", V01, bundle => bundle.Entry().Remove("inclusionPromise"));
        Refuse("bundle.promise-missing", V01, bundle => bundle.Entry()["inclusionPromise"] = new JsonObject());
        Refuse("bundle.promise-missing", V01, bundle => bundle.Entry()["inclusionPromise"]!["signedEntryTimestamp"] = "");
        Refuse("bundle.proof-missing", V02AndLater, bundle => bundle.Entry().Remove("inclusionProof"));
        Refuse("bundle.proof-missing", V02AndLater, bundle => bundle.Entry()["inclusionProof"] = new JsonObject());
        Refuse("bundle.proof-missing", V02AndLater, bundle => bundle.Entry().Proof().Remove("checkpoint"));
        Refuse("bundle.proof-missing", V02AndLater, bundle => bundle.Entry().Proof()["checkpoint"] = new JsonObject());
    }

    // Each entry, not some entry; also where the other one alone would do, and where the log is a stranger.
    [TestMethod]
    [Clause("B.22", "B.23")]
    [DataRow(false)]
    [DataRow(true)]
    public void Refuses_a_second_entry_without_the_evidence_of_the_version(bool strange)
    {
        foreach (string version in (string[])["0.1", "0.2", "0.3"])
        {
            foreach (int bad in (int[])[0, 1])
            {
                Forge forge = Forge.V1 with { Version = version, Entries = [new LoggedIn(LogKind.V1), new LoggedIn(LogKind.V1) { Index = 5, Strange = strange }] };
                Verdict.Accepts(forge);
                Verdict.Refuses(version == "0.1" ? "bundle.promise-missing" : "bundle.proof-missing", forge with
                {
                    Bundle = bundle => bundle.Entry(bad).Remove(version == "0.1" ? "inclusionPromise" : "inclusionProof"),
                });
            }
        }
    }

    // v0.1 rests on the promise: without checkpoint a proof proves nothing, and is not looked at.
    [TestMethod]
    [Clause("B.25")]
    public void Accepts_a_promise_alone_in_v0_1()
    {
        Accept(V01, bundle => bundle.Entry().Remove("inclusionProof"));
        Accept(V01, bundle => bundle.Entry()["inclusionProof"] = null);
        Accept(V01, bundle => bundle.Entry()["inclusionProof"] = new JsonObject());
        Accept(V01, bundle => bundle.Entry().Proof().Remove("checkpoint"));
        Accept(V01, bundle =>
        {
            bundle.Entry().Proof().Remove("checkpoint");
            bundle.Entry().Proof()["rootHash"] = Convert.ToBase64String(new byte[32]);
            bundle.Entry().Proof()["treeSize"] = "1";
        });
        Refuse("tlog.checkpoint", V01, bundle => bundle.Entry().Proof()["treeSize"] = "8"); // with a checkpoint it is
        Refuse("tlog.set", V01, bundle => bundle.Entry()["inclusionPromise"]!["signedEntryTimestamp"] = "AAAA");
    }

    [TestMethod]
    [Clause("B.28", "B.39", "C.13", "C.42")]
    public void Accepts_what_old_versions_carry_after_the_leaf_and_uses_none_of_it()
    {
        byte[] root = Forge.World.Fulcio.Root.Certificate.RawData, intermediate = Forge.World.Fulcio.Intermediate.Certificate.RawData, stranger = Forge.World.Tsa.Root.Certificate.RawData;
        foreach (string version in (string[])["0.1", "0.2"])
        {
            foreach (byte[][] chain in (byte[][][])[[], [intermediate], [root], [intermediate, root], [root, intermediate], [stranger], [.. Enumerable.Repeat(intermediate, 9)]])
            {
                Verdict.Accepts(Forge.V1 with { Version = version, Chain = chain });
            }

            Verdict.Refuses("bundle.limit", Forge.V1 with { Version = version, Chain = [.. Enumerable.Repeat(intermediate, 10)] });
            Verdict.Refuses("cert.der", Forge.V1 with { Version = version, Chain = [[0x30, 0]] });
            Verdict.Refuses("bundle.material", Forge.V1 with { Version = version, Chain = [Forge.World.Tsa.Leaf.RawData] });
            // An issuer that the trusted root does not know does not become known by being brought along.
            var other = new Sandbox.Fulcio(Forge.World.CtLog, _ => [], new StoppedClock(Forge.Now));
            Verdict.Refuses("cert.signature", Forge.V1 with { Version = version, Authority = other.Intermediate, Chain = [other.Intermediate.Certificate.RawData, other.Root.Certificate.RawData] });
        }
    }

    [TestMethod]
    [Clause("B.26", "B.27", "B.28", "B.31", "B.32", "M.1", "M.9")]
    public void Refuses_more_than_is_ever_needed()
    {
        Refuse("bundle.limit", All.Value, bundle => Fill(bundle.Material()["tlogEntries"]!.AsArray(), 33));
        Refuse("bundle.limit", All.Value, bundle => Fill(bundle.Timestamps(), 33));
        Refuse("bundle.limit", All.Value.Take(2), bundle => Fill(bundle.Timestamps(), 1000));
        Refuse("bundle.limit", All.Value.Take(2), bundle => Fill(bundle.Material()["tlogEntries"]!.AsArray(), 1000));
        Refuse("bundle.limit", All.Value, bundle => Fill(bundle.Entry().Proof()["hashes"]!.AsArray(), 65));
        Refuse("bundle.limit", Envelopes, bundle => Fill(bundle.Envelope()["signatures"]!.AsArray(), 2));
        Refuse("bundle.limit", Envelopes, bundle => bundle.Envelope()["signatures"]!.AsArray().Clear());
        Refuse("bundle.limit", Envelopes, bundle => bundle.Envelope().Remove("signatures"));
        Refuse("bundle.limit", Certified.Where(made => made.Forge.Version != "0.3"), bundle => Fill(Chain(bundle), 11));
        Refuse("bundle.limit", All.Value, bundle => Checkpoint(bundle, note => note + string.Concat(Enumerable.Repeat($"\u2014 witness.example {Convert.ToBase64String(new byte[72])}\n", 64))));
        Refuse("bundle.limit", All.Value, bundle => Checkpoint(bundle, note => note + new string('a', 64 * 1024)));
    }

    [TestMethod]
    [Clause("L.4")]
    public void Reads_as_much_as_may_be_needed()
    {
        // 32 timestamps, and 64 hashes that are then refused for what they say.
        Accept(All.Value.Where((_, index) => index % 4 == 0), bundle => Fill(bundle.Timestamps(), 32));
        Refuse("tlog.inclusion", V02AndLater, bundle => Fill(bundle.Entry().Proof()["hashes"]!.AsArray(), 64));
        Refuse("tlog.duplicate", All.Value, bundle => Fill(bundle.Material()["tlogEntries"]!.AsArray(), 32));
        Accept(V02AndLater, bundle => Checkpoint(bundle, note => note + string.Concat(Enumerable.Repeat($"\u2014 witness.example {Convert.ToBase64String(new byte[72])}\n", 63))));
    }

    // DER that says it is much longer than it is.
    [TestMethod]
    public void Refuses_claimed_sizes_without_believing_them()
    {
        byte[] huge = [0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 0x30, 0x84, 0x7f, 0xff, 0xff, 0xf0];
        foreach (Made made in All.Value)
        {
            Verdict.Refuses("time.token", made.Forge, made.Edited(bundle => bundle.Timestamps()[0]!["signedTimestamp"] = Convert.ToBase64String(huge)), made.What);
        }

        Refuse("cert.der", Certified.Where(made => made.Forge.Version == "0.3"), bundle => bundle.Material()["certificate"]!["rawBytes"] = Convert.ToBase64String(huge));
        Refuse("cert.der", Certified.Where(made => made.Forge.Version != "0.3"), bundle => Chain(bundle)[0]!["rawBytes"] = Convert.ToBase64String(huge));
    }

    private static string Kind(bool message, bool managed) => $"{(message ? "message" : "envelope")}, {(managed ? "key" : "certificate")}";

    private static void Accept(IEnumerable<Made> all, Action<JsonObject> edit) => Each(all, made => Verdict.Accepts(made.Forge, made.Edited(edit), made.What));

    private static void Refuse(string reason, IEnumerable<Made> all, Action<JsonObject> edit) => Each(all, made => Verdict.Refuses(reason, made.Forge, made.Edited(edit), made.What));

    private static void Each(string reason, IEnumerable<Made> all, Func<Made, byte[]> bundle, string what) => Each(all, made => Verdict.Refuses(reason, made.Forge, bundle(made), $"{made.What}: {what}"));

    private static void Each(IEnumerable<Made> all, Action<Made> check)
    {
        int count = 0;
        foreach (Made made in all)
        {
            check(made);
            count++;
        }

        Assert.IsGreaterThan(0, count);
    }

    private static VerificationException Refusal(Made made, byte[] bundle) => Assert.ThrowsExactly<VerificationException>(() => made.Forge.Judge(bundle), made.What);

    private static void Refuses(string step, Made made, byte[] bundle, string what)
    {
        VerificationException no = Refusal(made, bundle);
        Assert.AreEqual(step, no.Step, $"{made.What}: {what}: {no.Reason}: {no.Message}");
    }

    private static string Reason(Made made, byte[] bundle)
    {
        try
        {
            made.Forge.Judge(bundle);
            return "";
        }
        catch (VerificationException no)
        {
            return no.Reason;
        }
    }

    private static void Checkpoint(JsonObject bundle, Func<string, string> edit) =>
        bundle.Entry().Proof()["checkpoint"]!["envelope"] = edit((string)bundle.Entry().Proof()["checkpoint"]!["envelope"]!);

    private static JsonArray Chain(JsonObject bundle) => bundle.Material()["x509CertificateChain"]!["certificates"]!.AsArray();

    private static void Fill(JsonArray array, int count)
    {
        while (array.Count < count)
        {
            array.Add(array[0]!.DeepClone());
        }
    }

    private static void Rename(JsonObject holder, string from, string to)
    {
        JsonNode value = holder[from]!.DeepClone();
        holder.Remove(from);
        holder[to] = value;
    }

    private static void Replace(JsonNode node, string path, JsonNode by) => Find(node, path).ReplaceWith(by.DeepClone());

    private static JsonNode Find(JsonNode node, string path)
    {
        foreach (string step in path.Split('.', StringSplitOptions.RemoveEmptyEntries).Where(step => step != "$"))
        {
            string[] parts = step.Split('[', ']');
            node = parts.Length == 1 ? node[parts[0]]! : node[parts[0]]![int.Parse(parts[1], CultureInfo.InvariantCulture)]!;
        }

        return node;
    }

    private sealed class Made(Forge forge, string what)
    {
        private static readonly string[] Integers = ["logIndex", "treeSize", "integratedTime"];

        private static readonly string[] Base64 =
            ["rawBytes", "keyId", "signedEntryTimestamp", "rootHash", "canonicalizedBody", "signedTimestamp", "payload", "sig", "digest", "signature"];

        private readonly string text = Encoding.UTF8.GetString(forge.Make());

        public Forge Forge { get; } = forge;

        public string What { get; } = what;

        public byte[] Text(Func<string, string> edit) => Encoding.UTF8.GetBytes(edit(text));

        public byte[] Edited(Action<JsonObject> edit, Func<string, string>? then = null)
        {
            JsonObject bundle = JsonNode.Parse(text)!.AsObject();
            edit(bundle);
            string edited = bundle.ToJsonString();
            return Encoding.UTF8.GetBytes(then?.Invoke(edited) ?? edited);
        }

        public JsonNode At(string path) => Find(JsonNode.Parse(text)!, path);

        public IEnumerable<string> Objects() => Walk(JsonNode.Parse(text)!).OfType<JsonObject>().Select(node => node.GetPath());

        public IEnumerable<(string Path, string Name)> Members() => Walk(JsonNode.Parse(text)!).OfType<JsonObject>().SelectMany(node => node.Select(member => (node.GetPath(), member.Key)));

        public IEnumerable<string> Numbers() => Leaves().Where(path => Integers.Contains(path.Split('.')[^1]));

        public IEnumerable<string> Bytes() => Leaves().Where(path => Base64.Contains(path.Split('.')[^1]) || path.Contains("hashes[", StringComparison.Ordinal));

        private IEnumerable<string> Leaves() => Walk(JsonNode.Parse(text)!).OfType<JsonValue>().Select(node => node.GetPath());

        private static IEnumerable<JsonNode> Walk(JsonNode node) => node switch
        {
            JsonObject fields => fields.SelectMany(field => Walk(field.Value!)).Prepend(node),
            JsonArray items => items.SelectMany(item => Walk(item!)).Prepend(node),
            _ => [node],
        };
    }
}
