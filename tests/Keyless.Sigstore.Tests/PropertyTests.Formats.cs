using System.Formats.Asn1;
using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using CsCheck;
using Keyless.Sandbox;
using Keyless.Sigstore.Formats;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

/// <summary>What holds for every input of a reader, whatever it is.</summary>
[TestClass]
public sealed class FormatPropertyTests
{
    private static readonly Gen<string> AnyText = Gen.OneOf<string>(Gen.String[Gen.Char.AlphaNumeric, 0, 20], Gen.String[Gen.OneOf('é', '\u2014', '\u20ac', '"', '\\', ' ', '/', 'a', '\u0000', '\uffff'), 0, 12]);

    [TestMethod]
    public void A_bundle_reads_the_same_however_its_JSON_is_spelled()
    {
        byte[][] bundles = [Forge.V1.Make(), Forge.V2.Make(), (Forge.V1 with { Version = "0.1", Content = [1] }).Make(), (Forge.V2 with { Managed = true }).Make()];
        Properties.Holds(Gen.Select(Gen.Int[0, bundles.Length - 1], Gen.Int), 60, input =>
        {
            byte[] bundle = bundles[input.Item1];
            Assert.AreEqual(Print(Bundle.Parse(bundle)), Print(Bundle.Parse(Encoding.UTF8.GetBytes(Respelled(JsonNode.Parse(bundle), new Random(input.Item2))))));
        });
    }

    [TestMethod]
    [Clause("B.8")]
    public void A_member_given_twice_is_refused_wherever_it_stands()
    {
        string bundle = Encoding.UTF8.GetString(Forge.V1.Make());
        int[] members = [.. Enumerable.Range(0, bundle.Length).Where(at => bundle[at] is '{' && bundle[at + 1] == '"')];
        foreach (int at in members)
        {
            string name = bundle[(at + 1)..bundle.IndexOf(':', at)];
            string twice = bundle.Insert(at + 1, name + ":null,");
            Assert.AreEqual("json-duplicate", Assert.ThrowsExactly<MalformedException>(() => Bundle.Parse(Encoding.UTF8.GetBytes(twice))).Clause, name);
        }
    }

    [TestMethod]
    public void The_order_of_a_trusted_root_decides_nothing()
    {
        Forge[] good = [Forge.V1, Forge.V2, Forge.LoggedBy(LogKind.V2Ecdsa), Forge.V1 with { Scts = (spki, tbs) => [Forge.World.RsaCtLog.Add(spki, tbs)] }];
        Forge[] bad = [Forge.V1 with { Entries = [new LoggedIn(LogKind.V1) { Strange = true }] }, Forge.V2 with { Timestamps = [new Stamped { Authority = Forge.World.StrangeTsa }] }];
        var bundles = good.Concat(bad).Select(forge => (Bundle: forge.Make(), Verdict: Verdict(forge.Make(), Forge.World.Root))).ToArray();
        Properties.Holds(Gen.Int, 25, seed =>
        {
            JsonObject root = Forge.World.RootJson();
            var random = new Random(seed);
            foreach (string list in (string[])["tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities"])
            {
                JsonNode[] instances = [.. root[list]!.AsArray().Select(instance => instance!.DeepClone())];
                // A kind of key that nobody knows yet narrows nothing and widens nothing.
                JsonNode future = instances[0].DeepClone();
                if (future["publicKey"] is { } key)
                {
                    key["keyDetails"] = "ML_DSA_65";
                    instances = [.. instances, future];
                }

                random.Shuffle(instances);
                root[list] = new JsonArray(instances);
            }

            var shuffled = TrustedRoot.Parse(Encoding.UTF8.GetBytes(root.ToJsonString()));
            foreach ((byte[] bundle, string verdict) in bundles)
            {
                Assert.AreEqual(verdict, Verdict(bundle, shuffled));
            }
        });

        static string Verdict(byte[] bundle, TrustedRoot root)
        {
            try
            {
                return string.Join('\n', new Verifier(root).Verify(bundle, Forge.Image, Forge.Policy).Checks);
            }
            catch (VerificationException no)
            {
                return no.Reason;
            }
        }
    }

    [TestMethod]
    public void The_order_of_a_signing_config_decides_nothing_where_its_services_differ_in_age()
    {
        Gen<JsonObject> service = Gen.Select(Gen.Int[1, 3], Gen.Int[0, 3]).Select(pick => new JsonObject { ["majorApiVersion"] = pick.Item1, ["operator"] = $"o{pick.Item2}" });
        Properties.Holds(Gen.Select(service.Array[1, 6], Gen.Int), 100, input =>
        {
            JsonObject[] services = [.. input.Item1.Select((from, at) =>
            {
                JsonObject copy = from.DeepClone().AsObject();
                copy["url"] = $"https://service{at}.sandbox";
                copy["validFor"] = new JsonObject { ["start"] = $"2026-01-{at + 1:00}T00:00:00Z" };
                return copy;
            })];
            JsonObject[] shuffled = [.. services];
            new Random(input.Item2).Shuffle(shuffled);
            Assert.AreEqual(Choice(services), Choice(shuffled));
        });

        static string Choice(JsonObject[] logs)
        {
            JsonArray One() => new(new JsonObject { ["url"] = "https://one.sandbox", ["majorApiVersion"] = 1, ["validFor"] = new JsonObject { ["start"] = "2026-01-01T00:00:00Z" } });
            var config = new JsonObject
            {
                ["mediaType"] = "application/vnd.dev.sigstore.signingconfig.v0.2+json",
                ["caUrls"] = One(),
                ["tsaUrls"] = One(),
                ["tsaConfig"] = new JsonObject { ["selector"] = "ANY" },
                ["rekorTlogUrls"] = new JsonArray([.. logs.Select(log => log.DeepClone())]),
                ["rekorTlogConfig"] = new JsonObject { ["selector"] = "ALL" },
            };
            try
            {
                return string.Join(' ', SigningConfig.Parse(Encoding.UTF8.GetBytes(config.ToJsonString())).Select(Forge.Now).Rekor.Candidates.Select(log => log.Url));
            }
            catch (FormatException e)
            {
                return e.Message;
            }
        }
    }

    [TestMethod]
    public void A_checkpoint_is_its_text_and_its_signatures_and_nothing_else()
    {
        Gen<string> line = Gen.String[Gen.OneOf('a', 'Z', '0', ' ', '\u2014', '\u00e9', '+', '/'), 1, 12];
        Gen<string> signature = Gen.Select(Gen.String[Gen.Char.AlphaNumeric, 1, 8], Gen.Byte.Array[5, 80], (name, bytes) => $"\u2014 {name} {Convert.ToBase64String(bytes)}");
        Gen<string> note = Gen.Select(line, Gen.Long[0, long.MaxValue], Gen.Byte.Array[32], line.Array[0, 3], signature.Array[1, 4], (origin, size, hash, more, signatures) =>
            string.Create(CultureInfo.InvariantCulture, $"{origin}\n{size}\n{Convert.ToBase64String(hash)}\n{string.Concat(more.Select(text => text + "\n"))}\n{string.Concat(signatures.Select(text => text + "\n"))}"));
        Properties.Holds(note, 300, text =>
        {
            var checkpoint = Formats.Checkpoint.Parse(text);
            string signatures = string.Concat(checkpoint.Signatures.Select(one =>
                $"\u2014 {one.Name} {Convert.ToBase64String([(byte)(one.KeyId >> 24), (byte)(one.KeyId >> 16), (byte)(one.KeyId >> 8), (byte)one.KeyId, .. one.Signature])}\n"));
            Assert.AreEqual(text, Encoding.UTF8.GetString(checkpoint.Text) + "\n" + signatures);
            Assert.AreEqual(text.Split('\n')[1], checkpoint.Size.ToString(CultureInfo.InvariantCulture));
        });
    }

    [TestMethod]
    [Clause("M.11", "M.12")]
    [DataRow(LogKind.V1)]
    [DataRow(LogKind.V2Ed25519)]
    [DataRow(LogKind.V2Ecdsa)]
    public void Every_change_in_a_checkpoints_text_is_refused_and_no_line_of_a_stranger_is(LogKind log)
    {
        byte[] bundle = Forge.LoggedBy(log).Make();
        string note = (string)JsonNode.Parse(bundle)!.AsObject().Entry().Proof()["checkpoint"]!["envelope"]!;
        int text = note.IndexOf("\n\n", StringComparison.Ordinal) + 1;
        for (int at = 0; at < text; at++)
        {
            foreach (string changed in (string[])[note.Remove(at, 1), note.Insert(at, "a"), note[..at] + (char)(note[at] ^ 1) + note[(at + 1)..]])
            {
                var no = Assert.ThrowsExactly<VerificationException>(() => Verify(bundle, changed));
                Assert.AreEqual("tlog.checkpoint", no.Reason);
            }
        }

        Properties.Holds(Gen.Select(Gen.Byte.Array[5, 80], Gen.Bool), 20, input =>
        {
            string line = $"\u2014 witness.example {Convert.ToBase64String(input.Item1)}\n";
            Verify(bundle, input.Item2 ? note + line : note.Insert(text + 1, line));
        });

        static void Verify(byte[] bundle, string note)
        {
            JsonObject changed = JsonNode.Parse(bundle)!.AsObject();
            changed.Entry().Proof()["checkpoint"]!["envelope"] = note;
            new Verifier(Forge.World.Root).Verify(Encoding.UTF8.GetBytes(changed.ToJsonString()), Forge.Image, Forge.Policy);
        }
    }

    // RFC 6962 §2.1 as it is written, with nothing in common with the arithmetic that is tested: split at the largest power of two below n.
    [TestMethod]
    [Clause("M.20", "M.21", "M.23")]
    public void Every_leaf_of_every_tree_up_to_257_has_one_path_and_any_single_change_leads_elsewhere()
    {
        byte[][] leaves = [.. Enumerable.Range(0, 257).Select(leaf => SHA256.HashData([0, (byte)leaf, (byte)(leaf >> 8)]))];
        var known = new Dictionary<(int, int), byte[]>();
        var random = new Random(257);
        for (int size = 1; size <= leaves.Length; size++)
        {
            byte[] root = Root(0, size);
            for (int index = 0; index < size; index++)
            {
                byte[][] path = [.. Path(index, 0, size)];
                CollectionAssert.AreEqual(root, Formats.MerkleTree.RootFromPath(index, size, leaves[index], path));
                byte[][] changed = [.. path];
                switch ((index + size) % 6)
                {
                    case 0:
                        Never(root, index, size, leaves[index].Flipped(random.Next(32)), path);
                        break;
                    case 1:
                        Never(root, random.Next(size) is var other && other != index ? other : index + 1, size, leaves[index], path);
                        break;
                    case 2 when path.Length > 0:
                        int at = random.Next(path.Length);
                        changed[at] = changed[at].Flipped(random.Next(32));
                        Never(root, index, size, leaves[index], changed);
                        break;
                    case 3:
                        Never(root, index, size, leaves[index], [.. path, new byte[32]]);
                        Never(root, index, size, leaves[index], [.. path.Skip(1), .. path.Take(path.Length > 1 ? 0 : 1).Select(hash => hash.Flipped(0)), .. path.Length == 0 ? new byte[][] { root } : []]);
                        break;
                    case 4 when path.Length > 0:
                        changed[^1] = changed[^1][..31];
                        Never(root, index, size, leaves[index], changed);
                        break;
                    default:
                        // Another size may need the very same path; then it leads to the same root, and the checkpoint tells the two apart.
                        int otherSize = size + 1 + random.Next(3);
                        if (ShapeOf(index, otherSize) != ShapeOf(index, size))
                        {
                            Never(root, index, otherSize, leaves[index], path);
                        }

                        break;
                }
            }
        }

        byte[] Root(int from, int to) => known.TryGetValue((from, to), out byte[]? hash) ? hash
            : known[(from, to)] = to - from == 1 ? leaves[from] : SHA256.HashData([1, .. Root(from, from + Split(to - from)), .. Root(from + Split(to - from), to)]);

        IEnumerable<byte[]> Path(int index, int from, int to)
        {
            if (to - from == 1)
            {
                return [];
            }

            int middle = from + Split(to - from);
            return index < middle ? Path(index, from, middle).Append(Root(middle, to)) : Path(index, middle, to).Append(Root(from, middle));
        }

        // From the leaf up: on which side the path's hash stands.
        string ShapeOf(int index, int size) => size == 1 ? "" : Split(size) is var middle && index < middle ? ShapeOf(index, middle) + "r" : ShapeOf(index - middle, size - middle) + "l";

        static int Split(int size) => (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)size) / 2;

        static void Never(byte[] root, long index, long size, byte[] leaf, byte[][] path)
        {
            try
            {
                CollectionAssert.AreNotEqual(root, Formats.MerkleTree.RootFromPath(index, size, leaf, path));
            }
            catch (FormatException)
            {
                // Does not even fit.
            }
        }
    }

    [TestMethod]
    [Clause("T.2", "C.1", "S.3")]
    public void Nothing_that_is_cut_off_or_goes_on_is_read()
    {
        byte[] leaf = Leaf(Forge.V1.Make());
        byte[] list = Certificate.Parse(leaf).Extension(SignedCertificateTimestamp.ExtensionOid)!.Value;
        byte[] token = new Stamped().Make([1, 2, 3]);
        Refused(leaf, Certificate.Parse);
        Refused(list, SignedCertificateTimestamp.ParseList);
        Refused(token, Formats.TimestampToken.Parse);
        Refused(Certificate.Parse(leaf).Spki, VerificationKey.FromSpki);
        Refused(RSA.Create(2048).ExportSubjectPublicKeyInfo(), VerificationKey.FromSpki);

        static void Refused(byte[] good, Func<byte[], object> read)
        {
            _ = read(good);
            for (int length = 0; length < good.Length; length++)
            {
                Assert.ThrowsExactly<FormatException>(() => read(good[..length]));
            }

            Assert.ThrowsExactly<FormatException>(() => read([.. good, 0]));
        }
    }

    // RFC 6962 §3.2. Lengths are written in one, two or three bytes; the sizes lie on both sides of where they change.
    [TestMethod]
    [Clause("S.10")]
    public void The_list_of_timestamps_comes_out_of_a_certificate_as_if_it_had_never_been_in()
    {
        CertificateIssuer authority = Forge.World.Fulcio.Intermediate;
        var issuer = Certificate.Parse(authority.Certificate.RawData);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        Gen<int> size = Gen.OneOf<int>(Gen.Int[0, 300], Gen.OneOf(100, 119, 120, 121, 122, 127, 128, 129, 240, 246, 247, 248, 255, 256, 257, 30000, 62000));
        Properties.Holds(Gen.Select(Gen.Select(size, Gen.Bool).Array[0, 5], Gen.Int[0, 5], Gen.Int[0, 3]), 40, input =>
        {
            int budget = 62000;
            X509Extension[] extensions = [.. input.Item1.Where(one => (budget -= one.Item1) >= 0).Select((one, at) => new X509Extension($"1.3.6.1.4.1.99999.{at}", RandomNumberGenerator.GetBytes(one.Item1), one.Item2))];
            byte[] serial = CertificateIssuer.NewSerial();
            var publicKey = new PublicKey(key);
            X509Certificate2 Issue(IEnumerable<X509Extension> with) => authority.Issue(new X500DistinguishedName("CN=" + new string('n', 40 * input.Item3)), publicKey, Forge.Now, Forge.Now.AddMinutes(10), serial, with);
            byte[] sct = Forge.World.CtLog.Add(authority.Certificate.PublicKey.ExportSubjectPublicKeyInfo(), Fulcio.Tbs(Issue(extensions)));
            int place = Math.Min(input.Item2, extensions.Length);
            byte[] der = Issue([.. extensions[..place], Fulcio.SctExtension(CtLog.List([sct])), .. extensions[place..]]).RawData;
            Assert.Contains("embedded SCT", CertificateTransparency.Verify(Certificate.Parse(der), issuer, Forge.World.Root).Check);
        });
    }

    [TestMethod]
    public void Every_flipped_byte_of_a_timestamp_is_refused_or_changes_nothing_that_is_signed()
    {
        byte[] signature = [1, 2, 3];
        byte[] response = new Stamped().Make(signature);
        byte[] bag = Forge.World.Tsa.Leaf.RawData;
        int from = response.AsSpan().IndexOf(bag) - 4, taken = 0; // with tag and length: [1] would be revocation lists, which are skipped as well
        DateTimeOffset moment = Moment(response);
        for (int at = 0; at < response.Length; at++)
        {
            try
            {
                Assert.AreEqual(moment, Moment(response.Flipped(at)));
                taken++;
                Assert.IsTrue(at < 12 || (at >= from && at < from + 4 + bag.Length), $"byte {at} of {response.Length}: neither status nor bag");
            }
            catch (VerificationException no)
            {
                Assert.Contains(no.Step, (string[])["time"]);
            }
        }

        Assert.IsGreaterThan(bag.Length / 2, taken, "the bag decides nothing, so most of it may change");

        DateTimeOffset Moment(byte[] token) => SigningTime.Establish([token], [], signature, Forge.World.Root, Proofs.Log, required: true).Earliest!.Value;
    }

    // CVE-2026-39984: whose key verified, and whose constraints were looked at, must be one certificate, wherever it stands.
    [TestMethod]
    [Clause("T.19")]
    public void What_certificates_a_timestamp_brings_along_and_in_which_order_decides_nothing()
    {
        byte[] signature = [1, 2, 3];
        byte[][] bag = [Forge.World.Tsa.Leaf.RawData, Forge.World.StrangeTsa.Leaf.RawData, Forge.World.Fulcio.Intermediate.Certificate.RawData, Leaf(Forge.V1.Make())];
        byte[] good = new Stamped().Make(signature), strange = new Stamped { Authority = Forge.World.StrangeTsa }.Make(signature), bad = new Stamped { Over = _ => [4] }.Make(signature);
        Properties.Holds(Gen.Select(Gen.Shuffle(bag), Gen.Int[0, bag.Length]), 24, input =>
        {
            byte[][] certificates = input.Item1[..input.Item2];
            Assert.AreEqual(Forge.Now.AddMinutes(1), Establish(WithBag(good, certificates)).Earliest);
            Assert.AreEqual("time.missing", Assert.ThrowsExactly<VerificationException>(() => Establish(WithBag(strange, certificates))).Reason);
            Assert.AreEqual("time.imprint", Assert.ThrowsExactly<VerificationException>(() => Establish(WithBag(bad, certificates))).Reason);
        });

        SigningTime Establish(byte[] token) => SigningTime.Establish([token], [], signature, Forge.World.Root, Proofs.Log, required: true);
    }

    // The log signs RFC 8785 text. It is written here a second time, by the sandbox.
    [TestMethod]
    [Clause("T.36")]
    public void What_a_log_signs_is_written_as_RFC_8785_has_it()
    {
        Gen<byte[]> body = Gen.Select(AnyText, AnyText).Select(pair => CanonicalJson.Bytes(new JsonObject { [pair.Item1 + "b"] = pair.Item2, ["a"] = 1 }));
        Properties.Holds(Gen.Select(body, Gen.Long[0, long.MaxValue], Gen.Long[Forge.Now.ToUnixTimeSeconds(), Forge.Now.AddYears(1).ToUnixTimeSeconds()]), 50, input =>
        {
            (byte[] bytes, long index, long time) = input;
            var signed = new JsonObject { ["logIndex"] = index, ["logID"] = Convert.ToHexStringLower(Forge.World.V1.LogId), ["integratedTime"] = time, ["body"] = Convert.ToBase64String(bytes) };
            var entry = new LogEntry
            {
                LogIndex = index,
                LogId = Forge.World.V1.LogId,
                Kind = "hashedrekord",
                KindVersion = "0.0.1",
                IntegratedTime = time,
                SignedEntryTimestamp = Forge.World.V1.Sign(CanonicalJson.Bytes(signed)),
                Proof = null,
                Body = bytes,
            };
            Assert.AreEqual(time, SigningTime.Establish([], [entry], [], Forge.World.Root, Proofs.Log, required: true).Earliest!.Value.ToUnixTimeSeconds());
            string text = CanonicalJson.Text(signed);
            Assert.AreEqual(text, CanonicalJson.Text(JsonNode.Parse(text)!), "canonical text is its own canonical text");
        });
    }

    [TestMethod]
    [Clause("G.2")]
    public void The_encoding_that_DSSE_signs_can_be_read_back_so_no_two_contents_share_one() =>
        Properties.Holds(Gen.Select(AnyText, Gen.Byte.Array[0, 40]), 500, input =>
        {
            (string type, byte[] payload) = Decode(DsseEnvelope.PreAuthenticationEncoding(input.Item1, input.Item2));
            Assert.AreEqual(input.Item1, type);
            CollectionAssert.AreEqual(input.Item2, payload);
        });

    [TestMethod]
    public void The_order_of_a_statements_subjects_decides_nothing()
    {
        Gen<JsonObject> subject = Gen.Select(Gen.Char['a', 'c'], Gen.Int[0, 2]).Select(pick => new JsonObject
        {
            ["name"] = "n",
            ["digest"] = new JsonObject { ["sha256"] = new string(pick.Item1, 64), ["gitCommit"] = "x" },
            ["annotations"] = new JsonObject { ["env"] = $"v{pick.Item2}", ["same"] = "same" },
        });
        Properties.Holds(Gen.Select(subject.Array[1, 6], Gen.Int), 200, input =>
        {
            JsonObject[] subjects = [.. input.Item1.Select(one => one.DeepClone().AsObject())];
            JsonObject[] shuffled = [.. subjects.Select(one => one.DeepClone().AsObject())];
            new Random(input.Item2).Shuffle(shuffled);
            Assert.AreEqual(About(subjects), About(shuffled));
        });
        Assert.StartsWith("malformed statement", Assert.ThrowsExactly<MalformedException>(() => About([])).Message);

        static string About(JsonObject[] subjects)
        {
            var statement = new JsonObject { ["_type"] = "https://in-toto.io/Statement/v1", ["subject"] = new JsonArray([.. subjects.Select(one => one.DeepClone())]), ["predicateType"] = "p" };
            byte[] payload = Encoding.UTF8.GetBytes(statement.ToJsonString());
            var read = Statement.Parse(payload);
            Assert.HasCount(subjects.Length, read.Subjects);
            Forge forge = Forge.V1 with { Payload = payload, Managed = true };
            try
            {
                return string.Join(' ', new Verifier(Forge.World.Root).Verify(forge.Make(), Forge.Image, Policy.ForKey(forge.ManagedPolicy.Key!, "p")).Annotations.OrderBy(pair => pair.Key, StringComparer.Ordinal));
            }
            catch (VerificationException no)
            {
                return no.Reason;
            }
        }
    }

    [TestMethod]
    [Clause("I.3")]
    public void An_exact_name_matches_itself_alone() =>
        Properties.Holds(Gen.Select(AnyText.Where(text => text.Length > 0), AnyText, Gen.Int[0, 3]), 500, input =>
        {
            (string name, string other, int how) = input;
            string value = how switch { 0 => other, 1 => name + other, 2 => name.ToUpperInvariant(), _ => name.Normalize(NormalizationForm.FormD) };
            Assert.IsTrue(TextMatch.Exactly(name).IsMatch(name));
            Assert.AreEqual(name.AsSpan().SequenceEqual(value), TextMatch.Exactly(name).IsMatch(value));
        });

    // In .NET `$` also matches before a line feed at the end, and an alternative can escape an anchor that is not outside a group.
    [TestMethod]
    [Clause("I.5")]
    public void A_pattern_matches_the_whole_value_or_not_at_all()
    {
        Gen<string> piece = Gen.OneOf("a", "b", "a|b", "(a)", "[ab]", "a*", "b+", "a?", "^a", "b$", "^", "$", "ab|", "\\w", "(?:a|ab)");
        Properties.Holds(Gen.Select(piece.Array[1, 4], Gen.String[Gen.OneOf('a', 'b', 'c'), 0, 5]), 500, input =>
        {
            string pattern = string.Concat(input.Item1);
            var match = TextMatch.Pattern(pattern);
            if (match.IsMatch(input.Item2))
            {
                Assert.IsFalse(match.IsMatch(input.Item2 + "\n"), pattern);
                Assert.IsFalse(match.IsMatch("c" + input.Item2), pattern);
                Assert.IsFalse(match.IsMatch(input.Item2 + "c") && !pattern.Contains("\\w", StringComparison.Ordinal), pattern);
            }
        });
    }

    [TestMethod]
    public void What_is_shown_of_a_stranger_is_one_short_line_that_hides_nothing() =>
        Properties.Holds(Gen.String[Gen.OneOf<char>(Gen.Char, Gen.OneOf('\n', '\r', '\u001b', '\u202e', '\u200b', '\ud83d', '\udca9', 'a')), 0, 400], 300, text =>
        {
            string shown = Shown.Of(text);
            Assert.IsLessThan(Limits.ShownCharacters + 16, shown.Length);
            Assert.IsFalse(shown.Any(character => char.IsControl(character) || char.GetUnicodeCategory(character) is UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.PrivateUse));
            Assert.IsTrue(shown.EnumerateRunes().All(rune => rune != Rune.ReplacementChar), "half a character");
        });

    private static (string Type, byte[] Payload) Decode(byte[] encoding)
    {
        int at = 0;
        Assert.AreEqual("DSSEv1", Encoding.ASCII.GetString(Until(' ')));
        byte[] type = Counted();
        byte[] payload = Counted();
        Assert.AreEqual(encoding.Length, at - 1);
        return (Encoding.UTF8.GetString(type), payload);

        byte[] Until(char end)
        {
            int to = Array.IndexOf(encoding, (byte)end, at);
            byte[] taken = encoding[at..to];
            at = to + 1;
            return taken;
        }

        byte[] Counted()
        {
            int length = int.Parse(Encoding.ASCII.GetString(Until(' ')), NumberStyles.None, CultureInfo.InvariantCulture);
            byte[] taken = encoding[at..(at + length)];
            at += length + 1;
            return taken;
        }
    }

    private static byte[] Leaf(byte[] bundle) => Convert.FromBase64String((string)JsonNode.Parse(bundle)!.AsObject().Material()["certificate"]!["rawBytes"]!);

    private static byte[] WithBag(byte[] response, byte[][] certificates)
    {
        var zero = new Asn1Tag(TagClass.ContextSpecific, 0);
        AsnReader fields = new AsnReader(response, AsnEncodingRules.DER).ReadSequence();
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            writer.WriteEncodedValue(fields.ReadEncodedValue().Span);
            AsnReader contentInfo = fields.ReadSequence();
            using (writer.PushSequence())
            {
                writer.WriteEncodedValue(contentInfo.ReadEncodedValue().Span);
                AsnReader signedData = contentInfo.ReadSequence(zero).ReadSequence();
                using (writer.PushSequence(zero))
                using (writer.PushSequence())
                {
                    for (int i = 0; i < 3; i++)
                    {
                        writer.WriteEncodedValue(signedData.ReadEncodedValue().Span);
                    }

                    _ = signedData.ReadEncodedValue();
                    byte[] bag = [.. certificates.SelectMany(der => der)];
                    var set = new AsnWriter(AsnEncodingRules.DER);
                    set.WriteOctetString(bag, zero);
                    byte[] encoded = set.Encode();
                    encoded[0] = 0xa0;
                    writer.WriteEncodedValue(encoded);
                    writer.WriteEncodedValue(signedData.ReadEncodedValue().Span);
                }
            }
        }

        return writer.Encode();
    }

    // Order, white space, escapes, null, numbers as strings, base64 alphabet and padding.
    private static string Respelled(JsonNode? node, Random random, string name = "")
    {
        string space = random.Next(4) == 0 ? " \n\t" : "";
        switch (node)
        {
            case JsonObject members:
                (string Key, JsonNode? Value)[] shuffled = [.. members.Select(member => (member.Key, member.Value))];
                random.Shuffle(shuffled);
                return $"{{{space}{string.Join(space + ',', shuffled.Select(member => $"{Escaped(member.Key, random)}{space}:{Respelled(member.Value, random, member.Key)}"))}{space}}}";
            case JsonArray items:
                return $"[{space}{string.Join(',', items.Select(item => Respelled(item, random, name)))}]";
            case null:
                return "null";
            default:
                string text = node.ToString();
                bool isNumber = name is "logIndex" or "treeSize" or "integratedTime";
                bool isBase64 = name is "rawBytes" or "keyId" or "sig" or "payload" or "canonicalizedBody" or "signedTimestamp" or "hashes" or "rootHash" or "signature" or "digest" or "signedEntryTimestamp";
                text = isBase64 && random.Next(3) == 0 ? text.Replace('+', '-').Replace('/', '_') : text;
                text = isBase64 && random.Next(3) == 0 ? text.TrimEnd('=') : text;
                return isNumber && random.Next(2) == 0 ? text : Escaped(text, random);
        }
    }

    private static string Escaped(string text, Random random) =>
        $"\"{string.Concat(text.Select(character => character is < ' ' or '"' or '\\' || random.Next(20) == 0 ? $"\\u{(int)character:x4}" : character.ToString()))}\"";

    private static string Print(Bundle bundle) => string.Join(
        '|',
        bundle.Version,
        string.Join(',', bundle.Certificates.Select(Convert.ToHexString)),
        string.Join(',', bundle.Timestamps.Select(Convert.ToHexString)),
        bundle.Content is SignedEnvelope envelope ? $"{envelope.PayloadType} {Convert.ToHexString(envelope.Payload)}" : bundle.Content is MessageSignature message ? $"{message.Algorithm} {Convert.ToHexString(message.Digest!)}" : "",
        Convert.ToHexString(bundle.Content.Signature),
        string.Join(',', bundle.LogEntries.Select(entry => string.Join(
            ' ', entry.LogIndex, Convert.ToHexString(entry.LogId), entry.Kind, entry.KindVersion, entry.IntegratedTime, Convert.ToHexString(entry.SignedEntryTimestamp ?? []), Convert.ToHexString(entry.Body),
            entry.Proof?.LogIndex, entry.Proof?.TreeSize, Convert.ToHexString(entry.Proof?.RootHash ?? []), string.Join('+', entry.Proof?.Hashes.Select(Convert.ToHexString) ?? []), entry.Proof?.Checkpoint))));
}
