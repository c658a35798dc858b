using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

/// <summary>Checkpoints of both generations: who signs, under which name and key id, which lines are somebody else's, and which log's they are.</summary>
[TestClass]
public sealed class CheckpointTests
{
    private static readonly LogKind[] All = Enum.GetValues<LogKind>();

    // C2SP tlog-cosignature: type 4 is Ed25519 over a time and the text, type 6 is ML-DSA-44; no witness is in the trusted root.
    [TestMethod]
    [Clause("M.12")]
    public void Ignores_cosignatures_of_witnesses()
    {
        foreach (LogKind log in All)
        {
            LoggedIn entry = new(log);
            foreach ((string name, int length) in ((string, int)[])[("witness.example/w1", 72), (entry.Name, 72), ("witness.example", 2428), (entry.Name, 64), ("\u00fcml\u00e4ut", 64), ("sub." + entry.Name, 64), (entry.Name + "/witness", 1)])
            {
                string line = Line(name, [4, 3, 2, 1], RandomNumberGenerator.GetBytes(length));
                Accepts(log, note => note + line);
                Accepts(log, note => Before(note, line));
            }
        }
    }

    [TestMethod]
    [Clause("M.11", "M.12")]
    public void Takes_the_logs_line_in_any_place_and_more_than_once()
    {
        foreach (LogKind log in All)
        {
            LoggedIn entry = new(log);
            string witness = Line("witness.example", [1, 2, 3, 4], new byte[72]);
            Accepts(log, note => Before(note, witness + witness) + witness);
            Accepts(log, note => note + Line(entry.Name, entry.KeyId, entry.Sign(TextOf(note)))); // a second signature of the same key
            Refuses(log, note => note + Line(entry.Name, entry.KeyId, entry.Sign(TextOf(note)).Flipped(-1)));
            Refuses(log, note => Before(note, Line(entry.Name, entry.KeyId, entry.Sign(TextOf(note)).Flipped(-1))));
        }
    }

    [TestMethod]
    [Clause("M.10", "M.15")]
    public void Knows_a_line_by_name_and_key_id_together()
    {
        foreach (LogKind log in All)
        {
            LoggedIn entry = new(log);
            foreach (string name in (string[])["other.example", entry.Name.ToUpperInvariant(), entry.Name + ".", entry.Name + ":3000", "https://" + entry.Name, entry.Origin.Replace(" ", "", StringComparison.Ordinal) + "x"])
            {
                Refuses(log, note => TextOf(note) + "\n" + Line(name, entry.KeyId, entry.Sign(TextOf(note))));
                Accepts(log, note => note + Line(name, entry.KeyId, [1])); // somebody else's, beside ours
            }

            Refuses(log, note => TextOf(note) + "\n" + Line(entry.Name, entry.KeyId.Flipped(0), entry.Sign(TextOf(note))));
            Refuses(log, note => TextOf(note) + "\n" + Line(entry.Name, entry.KeyId.Flipped(3), entry.Sign(TextOf(note))));
            // An Ed25519 key's id is over its name, an ECDSA key's is not.
            byte[] other = log == LogKind.V2Ed25519 ? SHA256.HashData(Forge.World.V2.Spki) : SHA256.HashData([.. Encoding.UTF8.GetBytes(entry.Name), 10, 2, .. entry.KeyId]);
            Refuses(log, note => TextOf(note) + "\n" + Line(entry.Name, other, entry.Sign(TextOf(note))));
        }
    }

    // Rekor v1 signs under its host and writes a tree id into the origin; which host that is was never fixed.
    [TestMethod]
    [Clause("M.14")]
    [DataRow("rekor.sandbox - 123456", "rekor.sandbox", true)]
    [DataRow("rekor.sandbox - 0", "rekor.sandbox", true)]
    [DataRow("rekor.example.com - 7 - 8", "rekor.example.com", true)]
    [DataRow("anything - 1", "anything", true)]
    [DataRow("rekor.sandbox - 123456", "rekor.sandbox - 123456", false)]
    [DataRow("rekor.sandbox - 123456", "rekor.sandbo", false)]
    [DataRow("rekor.sandbox", "rekor.sandbox", false)]
    [DataRow("rekor.sandbox-123456", "rekor.sandbox", false)]
    [DataRow(" - 123456", "rekor.sandbox", false)]
    public void Compares_the_name_of_a_Rekor_v1_line_with_the_origin(string origin, string name, bool good)
    {
        LoggedIn entry = new(LogKind.V1);
        var made = new LoggedIn(LogKind.V1)
        {
            CheckpointText = text => text.Replace(entry.Origin, origin, StringComparison.Ordinal),
            Note = note => $"{TextOf(note)}\n\u2014 {name} {Convert.ToBase64String([.. entry.KeyId[..4], .. entry.Sign(TextOf(note))])}\n",
        };
        foreach (string version in (string[])["0.1", "0.2", "0.3"])
        {
            Forge forge = Forge.V1 with { Version = version, Entries = [made] };
            _ = good ? Verdict.Accepts(forge) : (object)Verdict.Refuses("tlog.checkpoint", forge);
            if (good)
            {
                Verdict.Accepts(forge with { Root = root => root.Instance("tlogs")["baseUrl"] = "https://elsewhere.example" });
            }
        }
    }

    // Rekor v2: name, origin and the host of the log's address are one; the port and the path are not part of it.
    [TestMethod]
    [Clause("M.13")]
    [DataRow("https://ecdsa.log.sandbox", true)]
    [DataRow("https://ecdsa.log.sandbox/", true)]
    [DataRow("https://ecdsa.log.sandbox:3000", true)]
    [DataRow("https://ecdsa.log.sandbox:3000/path/", true)]
    [DataRow("http://ecdsa.log.sandbox", true)]
    [DataRow("https://ECDSA.log.sandbox", true)]
    [DataRow("https://log.sandbox", false)]
    [DataRow("https://ecdsa.log.sandbox.example", false)]
    [DataRow("https://x.ecdsa.log.sandbox", false)]
    [DataRow("https://user@other.example/ecdsa.log.sandbox", false)]
    [DataRow("ecdsa.log.sandbox", false)]
    [DataRow(null, false)]
    public void Compares_the_origin_of_a_Rekor_v2_log_with_its_host(string? baseUrl, bool good)
    {
        Forge forge = Forge.LoggedBy(LogKind.V2Ecdsa) with { Root = root => root.Instance("tlogs", 2)["baseUrl"] = baseUrl };
        _ = good ? Verdict.Accepts(forge) : (object)Verdict.Refuses("tlog.checkpoint", forge);
    }

    [TestMethod]
    [Clause("M.13")]
    [DataRow("ecdsa.log.sandbox:3000")]
    [DataRow("https://ecdsa.log.sandbox")]
    [DataRow("ecdsa.log.sandbox/path")]
    [DataRow("ecdsa.log.sandbox - 5")]
    [DataRow("ECDSA.log.sandbox")]
    public void Refuses_an_origin_of_a_Rekor_v2_log_that_is_more_than_the_host(string origin)
    {
        LoggedIn entry = new(LogKind.V2Ecdsa);
        string name = origin.Replace(" ", "", StringComparison.Ordinal);
        Verdict.Refuses("tlog.checkpoint", Forge.LoggedBy(LogKind.V2Ecdsa) with
        {
            Root = root => root.Instance("tlogs", 2)["baseUrl"] = "https://ecdsa.log.sandbox:3000/path",
            Entries =
            [
                entry with
                {
                    CheckpointText = text => text.Replace(entry.Origin + "\n", origin + "\n", StringComparison.Ordinal),
                    Note = note => $"{TextOf(note)}\n{Line(name, entry.KeyId, entry.Sign(TextOf(note)))}{Line(entry.Name, entry.KeyId, entry.Sign(TextOf(note)))}",
                },
            ],
        });
    }

    // C2SP signed-note: an RSA key has an id under a type of its own, over name and SPKI; the log id is the whole hash.
    [TestMethod]
    [Clause("M.11", "M.15")]
    public void Takes_a_Rekor_v2_log_with_an_RSA_key()
    {
        using var rsa = RSA.Create(2048);
        byte[] spki = rsa.ExportSubjectPublicKeyInfo();
        byte[] id = SHA256.HashData([.. "rsa.log.sandbox\n"u8, 0xff, .. "PKIX-RSA-PKCS#1v1.5"u8, .. spki]);
        foreach ((string? reason, byte[] keyId, Func<byte[], byte[]> edit) in ((string?, byte[], Func<byte[], byte[]>)[])[(null, id, same => same), ("tlog.checkpoint", id, signature => signature.Flipped(5)), ("tlog.checkpoint", SHA256.HashData(spki), same => same)])
        {
            Forge forge = Forge.LoggedBy(LogKind.V2Ecdsa) with
            {
                Root = root =>
                {
                    JsonObject log = root.Instance("tlogs", 2);
                    log["baseUrl"] = "https://rsa.log.sandbox:1234";
                    log["publicKey"]!["rawBytes"] = Convert.ToBase64String(spki);
                    log["publicKey"]!["keyDetails"] = "PKIX_RSA_PKCS1V15_2048_SHA256";
                    log["logId"]!["keyId"] = Convert.ToBase64String(id);
                },
                Entries =
                [
                    new LoggedIn(LogKind.V2Ecdsa)
                    {
                        CheckpointText = text => text.Replace("ecdsa.log.sandbox", "rsa.log.sandbox", StringComparison.Ordinal),
                        Note = note => TextOf(note) + "\n" + Line("rsa.log.sandbox", keyId, edit(rsa.SignData(Encoding.UTF8.GetBytes(TextOf(note)), HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1))),
                        Edit = entry => entry["logId"]!["keyId"] = Convert.ToBase64String(id),
                    },
                ],
            };
            _ = reason is null ? Verdict.Accepts(forge) : (object)Verdict.Refuses(reason, forge);
        }
    }

    // Whatever is taken out of the text, or put into it, the log did not sign it; and what it did sign must still be a checkpoint.
    [TestMethod]
    [Clause("M.3", "M.4", "M.5", "M.11")]
    public void Refuses_a_text_without_one_of_its_lines()
    {
        foreach (LogKind log in All)
        {
            foreach (int line in (int[])[0, 1, 2])
            {
                Func<string, string> without = text => string.Join('\n', text.Split('\n').Where((_, number) => number != line));
                Refuses(log, note => without(TextOf(note)) + note[TextOf(note).Length..]); // taken out afterwards
                Verdict.Refuses("tlog.checkpoint", Forge.LoggedBy(log) with { Entries = [new LoggedIn(log) { CheckpointText = without }] }); // signed like that
                Func<string, string> emptied = text => string.Join('\n', text.Split('\n').Select((content, number) => number == line ? "" : content));
                Verdict.Refuses("tlog.checkpoint", Forge.LoggedBy(log) with { Entries = [new LoggedIn(log) { CheckpointText = emptied }] });
            }

            Refuses(log, note => TextOf(note)); // no signatures
            Refuses(log, note => TextOf(note) + "\n");
            Refuses(log, note => TextOf(note) + "\n\u2014 x\n");
            Refuses(log, _ => "");
            Refuses(log, note => TextOf(note) + "extension\n" + note[TextOf(note).Length..]);
            Refuses(log, note => note.Replace("\n\n", "\n\n\n", StringComparison.Ordinal));
        }
    }

    [TestMethod]
    [Clause("M.7")]
    [DataRow("AAAA")]
    [DataRow("")]
    [DataRow("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=")] // unused bits
    [DataRow("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")] // no padding
    [DataRow("____________________________________________")]
    [DataRow("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= ")]
    [DataRow("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")] // 36 bytes
    public void Refuses_a_signed_root_hash_that_is_not_32_bytes_of_base64(string hash)
    {
        foreach (LogKind log in All)
        {
            Verdict.Refuses("tlog.checkpoint", Forge.LoggedBy(log) with
            {
                Entries = [new LoggedIn(log) { CheckpointText = text => string.Join('\n', text.Split('\n').Select((content, number) => number == 2 ? hash : content)) }],
            });
        }
    }

    // The proof and the log agree on the bytes; the spelling alone is wrong.
    [TestMethod]
    [Clause("M.7")]
    public void Refuses_the_right_root_hash_in_another_spelling_and_one_of_another_length()
    {
        foreach (LogKind log in All)
        {
            LoggedIn entry = new(log);
            Verdict.Refuses("tlog.checkpoint", Forge.LoggedBy(log) with { Entries = [entry with { CheckpointText = text => text.Replace("=", "", StringComparison.Ordinal) }] });
            foreach (int length in (int[])[0, 31, 33])
            {
                string hash = Convert.ToBase64String(new byte[length]);
                Assert.ThrowsExactly<FormatException>(() => Formats.Checkpoint.Parse($"{entry.Origin}\n7\n{hash}\n\n{Line(entry.Name, entry.KeyId, [1])}"));
            }
        }
    }

    // The log has signed it, and it is no checkpoint all the same.
    [TestMethod]
    [Clause("M.2", "M.4")]
    [DataRow("a\tb\n")]
    [DataRow("a\r\n")]
    [DataRow("\0\n")]
    [DataRow("\u001f\n")]
    [DataRow("\nmore\n")]
    public void Refuses_a_signed_text_that_goes_on_with(string more)
    {
        foreach (LogKind log in All)
        {
            Verdict.Refuses("tlog.checkpoint", Forge.LoggedBy(log) with { Entries = [new LoggedIn(log) { CheckpointText = text => text + more }] });
        }
    }

    [TestMethod]
    [Clause("M.1", "M.4", "M.5", "M.9")]
    public void Reads_a_note_to_its_last_byte_and_64_lines_of_signatures()
    {
        foreach (LogKind log in All)
        {
            Accepts(log, note => Padded(note, 64 * 1024));
            Verdict.Refuses("bundle.limit", Forge.LoggedBy(log) with { Entries = [new LoggedIn(log) { Note = note => Padded(note, 64 * 1024 + 1) }] });
            Refuses(log, note => note[..^1] + "x");
        }

        string line = Line("n", new byte[4], [1]), text = $"origin\n1\n{Convert.ToBase64String(new byte[32])}\n\n";
        Refuses(LogKind.V1, _ => "\n\n" + string.Concat(Enumerable.Repeat(line, 64))); // so few that it is read
        Assert.HasCount(64, Formats.Checkpoint.Parse(text + string.Concat(Enumerable.Repeat(line, 64))).Signatures);
        Assert.ThrowsExactly<FormatException>(() => Formats.Checkpoint.Parse(text + string.Concat(Enumerable.Repeat(line, 65))));

        static string Padded(string note, int bytes)
        {
            string Of(int length) => note + Line(new string('w', length), new byte[4], [1]);
            return Of(1 + bytes - Encoding.UTF8.GetByteCount(Of(1)));
        }
    }

    // A checkpoint of the same log for another tree, with the proof that belongs to this one.
    [TestMethod]
    public void Refuses_another_checkpoint_of_the_same_log()
    {
        foreach (LogKind log in All)
        {
            string other = (string)JsonNode.Parse((Forge.LoggedBy(log) with { Entries = [new LoggedIn(log) { Size = 9 }] }).Make())!.AsObject().Entry().Proof()["checkpoint"]!["envelope"]!;
            Refuses(log, _ => other);
            LogKind another = log == LogKind.V1 ? LogKind.V2Ecdsa : LogKind.V1;
            string foreign = (string)JsonNode.Parse(Forge.LoggedBy(another).Make())!.AsObject().Entry().Proof()["checkpoint"]!["envelope"]!;
            Refuses(log, _ => foreign);
        }
    }

    [TestMethod]
    public void Accepts_extension_lines_of_any_kind()
    {
        foreach (LogKind log in All)
        {
            foreach (string lines in (string[])["Timestamp: 1700000000000000000\n", "a\nb\nc\n", "\u2014 looks.like a signature\n", " \n", "\u2028\n", new string('x', 20_000) + "\n"])
            {
                Verdict.Accepts(Forge.LoggedBy(log) with { Entries = [new LoggedIn(log) { CheckpointText = text => text + lines }] });
            }
        }
    }

    [TestMethod]
    [Clause("M.6")]
    public void Reads_sizes_up_to_2_to_the_63_minus_1()
    {
        foreach ((string size, bool read) in ((string, bool)[])[("0", true), ("1", true), ("9223372036854775807", true), ("9223372036854775808", false), ("00", false), ("-0", false), ("1_000", false), ("\u0661", false), ("1\u00a0", false)])
        {
            Func<Formats.Checkpoint> parse = () => Formats.Checkpoint.Parse($"origin\n{size}\n{Convert.ToBase64String(new byte[32])}\n\n{Line("n", new byte[4], [1])}");
            if (read)
            {
                Assert.AreEqual(size, parse().Size.ToString(CultureInfo.InvariantCulture));
            }
            else
            {
                Assert.ThrowsExactly<FormatException>(() => parse());
            }
        }
    }

    private static string Line(string name, byte[] id, byte[] signature) => $"\u2014 {name} {Convert.ToBase64String([.. id[..4], .. signature])}\n";

    private static string TextOf(string note) => note[..(note.IndexOf("\n\n", StringComparison.Ordinal) + 1)];

    private static string Before(string note, string line) => $"{TextOf(note)}\n{line}{note[(TextOf(note).Length + 1)..]}";

    private static void Accepts(LogKind log, Func<string, string> edit) => Verdict.Accepts(Forge.LoggedBy(log) with { Entries = [new LoggedIn(log) { Note = edit }] });

    private static void Refuses(LogKind log, Func<string, string> edit) => Verdict.Refuses("tlog.checkpoint", Forge.LoggedBy(log) with { Entries = [new LoggedIn(log) { Note = edit }] });
}
