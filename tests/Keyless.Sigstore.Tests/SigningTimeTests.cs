using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

[TestClass]
public sealed class SigningTimeTests
{
    private static readonly DateTimeOffset Start = Forge.Now.AddHours(-1);

    [TestMethod]
    public void Takes_the_earliest_of_all_proven_moments_in_any_order()
    {
        Stamped early = new() { GenTime = Forge.Now.AddMinutes(2) }, late = new() { GenTime = Forge.Now.AddMinutes(3), Authority = Forge.World.SecondTsa };

        Assert.AreEqual(early.GenTime, Verdict.Accepts(Forge.V2 with { Timestamps = [early, late] }).SignedAt);
        Assert.AreEqual(early.GenTime, Verdict.Accepts(Forge.V2 with { Timestamps = [late, early] }).SignedAt);
        Assert.AreEqual(Forge.Now.AddMinutes(1), Verdict.Accepts(Forge.V1 with { Timestamps = [early] }).SignedAt);
    }

    [TestMethod]
    public void Takes_the_earliest_moment_of_one_authority_too()
    {
        Stamped early = new() { GenTime = Forge.Now.AddMinutes(2) }, late = new() { GenTime = Forge.Now.AddMinutes(3) };

        Assert.AreEqual(early.GenTime, Verdict.Accepts(Forge.V2 with { Timestamps = [early, late] }).SignedAt);
        Assert.AreEqual(early.GenTime, Verdict.Accepts(Forge.V2 with { Timestamps = [late, early] }).SignedAt);
    }

    // Each proven moment must be within the certificate's validity, also the second of one authority.
    [TestMethod]
    [Clause("C.17")]
    [DataRow(0, 11)]
    [DataRow(11, 0)]
    [DataRow(-1, 1)]
    [DataRow(1, -1)]
    public void Refuses_one_moment_outside_the_certificate_whatever_the_order(int first, int second)
    {
        Stamped[] ofOne = [new() { GenTime = Forge.Now.AddMinutes(first) }, new() { GenTime = Forge.Now.AddMinutes(second) }];

        Verdict.Refuses("cert.validity", Forge.V2 with { Timestamps = ofOne });
        Verdict.Refuses("cert.validity", Forge.V2 with { Timestamps = [ofOne[0], ofOne[1] with { Authority = Forge.World.SecondTsa }] });
        Verdict.Refuses("cert.validity", Forge.V1 with
        {
            Entries =
            [
                new LoggedIn(LogKind.V1) { IntegratedTime = Forge.Now.AddMinutes(first) },
                new LoggedIn(LogKind.V1) { IntegratedTime = Forge.Now.AddMinutes(second), Index = 5 },
            ],
        });
    }

    [TestMethod]
    [DataRow("2.16.840.1.101.3.4.2.1")]
    [DataRow("2.16.840.1.101.3.4.2.2")]
    [DataRow("2.16.840.1.101.3.4.2.3")]
    public void Accepts_a_timestamp_over_each_hash(string algorithm) => Verdict.Accepts(Forge.V2 with { Timestamps = [new Stamped { HashAlgorithm = algorithm }] });

    [TestMethod]
    public void Accepts_a_timestamp_without_certificate_and_one_granted_with_modifications()
    {
        Verdict.Accepts(Forge.V2 with { Timestamps = [new Stamped { WithCertificate = false }] });
        Verdict.Accepts(Forge.V2 with { Timestamps = [new Stamped { Status = 1 }] });
        Verdict.Accepts(Forge.V2 with { Timestamps = [new Stamped { Authority = Forge.World.SecondTsa }] });
    }

    [TestMethod]
    [Clause("T.18")]
    public void Ignores_an_unknown_authority_beside_a_known_one()
    {
        Verdict.Accepts(Forge.V2 with { Timestamps = [new Stamped { Authority = Forge.World.StrangeTsa, GenTime = Forge.Now.AddYears(-1) }, new Stamped()] });
        Verdict.Accepts(Forge.V2 with { Timestamps = [new Stamped(), new Stamped { Authority = Forge.World.StrangeTsa, Over = _ => [] }] });
    }

    [TestMethod]
    [Clause("T.18", "T.19", "T.41", "T.42", "T.43")]
    public void Takes_no_moment_that_nobody_of_the_trusted_root_signed()
    {
        Verdict.Refuses("time.missing", Forge.V2 with { Timestamps = [] });
        Verdict.Refuses("time.missing", Forge.V2 with { Timestamps = [new Stamped { Authority = Forge.World.StrangeTsa }] });
        Verdict.Refuses("time.missing", Forge.V2 with { Root = root => root["timestampAuthorities"] = new JsonArray() });
        Verdict.Refuses("time.missing", Forge.V1 with { Entries = [new LoggedIn(LogKind.V1) { Promise = false }] });
        Verdict.Refuses("tlog.unknown-log", Forge.V1 with { Entries = [new LoggedIn(LogKind.V1) { Strange = true }] });
        Verdict.Refuses("time.missing", Forge.V2 with { Timestamps = [], Entries = [new LoggedIn(LogKind.V2Ed25519) { Edit = entry => entry["integratedTime"] = $"{Forge.Now.ToUnixTimeSeconds()}" }] });
        Verdict.Refuses("tlog.missing", Forge.V2 with { Timestamps = [], Entries = [] });
    }

    [TestMethod]
    [Clause("T.44", "L.5")]
    public void Counts_each_log_and_each_authority_once()
    {
        Stamped first = new(), second = new() { Authority = Forge.World.SecondTsa }, again = new() { GenTime = Forge.Now.AddMinutes(2) };
        LoggedIn v1 = new(LogKind.V1), another = new(LogKind.V1) { Index = 5 }, v2 = new(LogKind.V2Ed25519), strange = new(LogKind.V2Ecdsa) { Strange = true };
        Counts(1, 1, Forge.V2);
        Counts(1, 0, Forge.V1);
        Counts(1, 1, Forge.V2 with { Timestamps = [first, again] });
        Counts(1, 2, Forge.V2 with { Timestamps = [first, second, again] });
        Counts(1, 1, Forge.V2 with { Timestamps = [first, new Stamped { Authority = Forge.World.StrangeTsa }] });
        Counts(1, 1, Forge.V1 with { Entries = [v1, another], Timestamps = [first] });
        Counts(2, 1, Forge.V1 with { Entries = [v1, another, v2, strange], Timestamps = [first] });
        // Two keys at one address are one authority.
        Counts(1, 1, Forge.V2 with { Timestamps = [first, second], Root = root => root.Instance("timestampAuthorities", 1)["uri"] = (string?)root.Instance("timestampAuthorities")["uri"] });
        // No address is nobody's.
        Counts(1, 2, Forge.V2 with { Timestamps = [first, second], Root = root => { root.Instance("timestampAuthorities").Remove("uri"); root.Instance("timestampAuthorities", 1).Remove("uri"); } });

        static void Counts(int logs, int authorities, Forge forge) =>
            Assert.AreEqual((logs, authorities), Verdict.Accepts(forge) is var verified ? (verified.Logs, verified.Authorities) : default);
    }

    [TestMethod]
    public void Accepts_a_timestamp_instead_of_a_promise() => Verdict.Accepts(Forge.V1 with { Entries = [new LoggedIn(LogKind.V1) { Promise = false }], Timestamps = [new Stamped()] });

    // Without a promise nobody signed the index across shards, and anybody may write another.
    [TestMethod]
    public void Reports_the_index_in_the_tree_where_the_log_promised_no_other()
    {
        var entry = new LoggedIn(LogKind.V1) { Promise = false, Edit = entry => entry["logIndex"] = "987654321" };

        VerifiedSignature verified = (Forge.V1 with { Entries = [entry], Timestamps = [new Stamped()] }).Verify();

        Assert.AreNotEqual(987654321, verified.LogIndex);
    }

    [TestMethod]
    [Clause("T.34")]
    public void Refuses_a_bad_timestamp_of_a_known_authority_although_others_are_good()
    {
        Stamped bad = new() { Over = _ => [1, 2, 3], Authority = Forge.World.SecondTsa };

        Verdict.Refuses("time.imprint", Forge.V2 with { Timestamps = [new Stamped(), bad] });
        Verdict.Refuses("time.imprint", Forge.V2 with { Timestamps = [bad, new Stamped()] });
        Verdict.Refuses("time.imprint", Forge.V1 with { Timestamps = [bad] });
    }

    [TestMethod]
    [Clause("T.1", "T.2", "T.3", "T.4", "T.14", "T.17")]
    public void Refuses_what_is_not_a_granted_token()
    {
        RefusesToken("time.token", new Stamped { Status = 2 });
        RefusesToken("time.token", new Stamped { Edit = response => [.. response, 0] });
        RefusesToken("time.token", new Stamped { Edit = response => response[..^1] });
        RefusesToken("time.token", new Stamped { Edit = _ => [0x30, 0x05, 0x30, 0x03, 2, 1, 0] });
        RefusesToken("time.token", new Stamped { Edit = _ => "garbage"u8.ToArray() });
        RefusesToken("time.token", new Stamped { HashAlgorithm = "1.3.14.3.2.26" });
        // Garbage cannot be a stranger's: nobody knows whose it is.
        Verdict.Refuses("time.token", Forge.V2 with { Timestamps = [new Stamped(), new Stamped { Edit = response => [.. response, 0] }] });
    }

    [TestMethod]
    [Clause("T.20", "T.21", "T.24")]
    public void Refuses_a_token_whose_parts_do_not_belong_together()
    {
        byte[] sha256 = [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
        RefusesToken("time.signature", new Stamped { Edit = response => response.Flipped(-5) });
        RefusesToken("time.digest", new Stamped { Edit = response => response.Replaced(Forge.World.Tsa.Leaf.SubjectName.RawData, new X500DistinguishedName(Forge.World.Tsa.Leaf.SubjectName.RawData.Flipped(-1)).RawData), WithCertificate = false });
        RefusesToken("time.imprint", new Stamped { Over = signature => [.. signature, 0] });
        RefusesToken("time.imprint", new Stamped { Info = info => Short(info, sha256) });
    }

    [TestMethod]
    [Clause("T.18", "T.22", "T.23")]
    public void Refuses_a_token_that_names_another_certificate_than_its_signature_does()
    {
        X509Certificate2 other = Forge.World.Tsa.Issue(Forge.World.Tsa.Key, CertificateIssuer.Purpose("1.3.6.1.5.5.7.3.8", critical: true));
        byte[] ours = Forge.World.Tsa.Leaf.SerialNumberBytes.ToArray(), theirs = other.SerialNumberBytes.ToArray();

        // The same key with another certificate is a stranger.
        Verdict.Refuses("time.missing", Forge.V2 with { Timestamps = [new Stamped { Signer = (other, Forge.World.Tsa.Key), WithCertificate = false }] });
        // The signer id is outside the signature; what is inside names the other one.
        RefusesToken("time.signer", new Stamped { Signer = (other, Forge.World.Tsa.Key), WithCertificate = false, Edit = response => response.Replaced(theirs, ours) });
        // The other way round: a known authority's token does not become a stranger's by changing what it did not sign.
        RefusesToken("time.signer", new Stamped { WithCertificate = false, Edit = response => response.Replaced(ours, theirs) });
    }

    [TestMethod]
    [Clause("T.20")]
    public void Refuses_a_token_that_another_key_signed_in_the_authoritys_name()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        RefusesToken("time.signature", new Stamped { Signer = (Forge.World.Tsa.Leaf, key) });
    }

    [TestMethod]
    [Clause("T.26", "T.27")]
    [DataRow("1.3.6.1.5.5.7.3.8", false)]
    [DataRow("1.3.6.1.5.5.7.3.3", true)]
    [DataRow("2.5.29.37.0", true)]
    public void Refuses_an_authority_whose_certificate_is_not_for_timestamps_alone(string purpose, bool critical)
    {
        X509Certificate2 leaf = Forge.World.Tsa.Issue(Forge.World.Tsa.Key, CertificateIssuer.Purpose(purpose, critical));
        RefusesAuthority("time.certificate", leaf);
    }

    [TestMethod]
    [Clause("T.26", "T.28", "T.29", "T.31")]
    public void Refuses_an_authority_with_two_purposes_or_that_is_a_ca()
    {
        var both = new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.8"), new Oid("1.3.6.1.5.5.7.3.3")], critical: true);
        RefusesAuthority("time.certificate", Forge.World.Tsa.Issue(Forge.World.Tsa.Key, both));
        RefusesAuthority("time.certificate", TsaLeaf(usage: X509KeyUsageFlags.KeyEncipherment));
        RefusesAuthority("time.certificate", TsaLeaf(isAuthority: true));
        RefusesAuthority("time.certificate", TsaLeaf(to: Forge.Now));
        Verdict.Accepts(With(TsaLeaf()));
    }

    [TestMethod]
    [Clause("T.25")]
    public void Counts_a_moment_at_either_end_of_the_authoritys_window()
    {
        Verdict.Accepts(Forge.V2 with { Root = Window("timestampAuthorities", 0, Forge.Now.AddMinutes(1), Forge.Now.AddMinutes(1)) });
        Verdict.Refuses("time.window", Forge.V2 with { Root = Window("timestampAuthorities", 0, Forge.Now.AddMinutes(1).AddMilliseconds(1), null) });
        Verdict.Refuses("time.window", Forge.V2 with { Root = Window("timestampAuthorities", 0, Start, Forge.Now.AddMinutes(1).AddMilliseconds(-1)) });
        Verdict.Accepts(Forge.V2 with
        {
            Timestamps = [new Stamped { GenTime = Forge.Now.AddMilliseconds(999) }],
            Root = Window("timestampAuthorities", 0, Start, Forge.Now.AddMilliseconds(999)),
        });
    }

    [TestMethod]
    public void Looks_at_every_window_of_an_authority_that_is_listed_twice()
    {
        Verdict.Accepts(Forge.V2 with { Root = root => Twice(root, "timestampAuthorities") });
        Verdict.Refuses("time.window", Forge.V2 with
        {
            Root = root =>
            {
                Twice(root, "timestampAuthorities");
                root.Instance("timestampAuthorities", 2)["validFor"]!["end"] = "2026-11-23T05:30:00Z";
            },
        });
    }

    [TestMethod]
    [Clause("R.18", "T.38")]
    public void Counts_an_integration_time_at_either_end_of_the_logs_window()
    {
        Verdict.Accepts(Forge.V1 with { Root = Window("tlogs", 0, Forge.Now.AddMinutes(1), Forge.Now.AddMinutes(1)) });
        Verdict.Refuses("tlog.window", Forge.V1 with { Root = Window("tlogs", 0, Forge.Now.AddMinutes(1).AddMilliseconds(1), null) });
        Verdict.Refuses("tlog.window", Forge.V1 with { Root = Window("tlogs", 0, Start, Forge.Now.AddMinutes(1).AddMilliseconds(-1)) });
        Verdict.Accepts(Forge.V1 with { Root = root => Twice(root, "tlogs") });
        // A timestamp within the window does not make up for a promise outside of it.
        Verdict.Refuses("tlog.window", Forge.V1 with { Root = Window("tlogs", 0, Forge.Now.AddMinutes(2), null), Timestamps = [new Stamped { GenTime = Forge.Now.AddMinutes(3) }] });
    }

    [TestMethod]
    [Clause("T.35", "T.36", "T.37", "T.39")]
    public void Refuses_a_promise_that_the_log_did_not_make()
    {
        Edited("tlog.set", entry => entry["integratedTime"] = $"{Forge.Now.AddMinutes(2).ToUnixTimeSeconds()}");
        Edited("tlog.set", entry => entry["logIndex"] = "4005");
        Edited("tlog.set", entry => entry.Remove("integratedTime"));
        Edited("tlog.set", entry => entry["inclusionPromise"]!["signedEntryTimestamp"] = "AA==");
        Edited("tlog.set", entry => entry["inclusionPromise"]!["signedEntryTimestamp"] = "");
        Verdict.Refuses("tlog.set", Forge.V1 with { Entries = [new LoggedIn(LogKind.V1) { IntegratedTime = DateTimeOffset.UnixEpoch }] });
        // The last second of the year 9999, and the one after it, promised by the log.
        Verdict.Refuses("cert.validity", Forge.V1 with { Entries = [At(253402300799)] });
        Verdict.Refuses("tlog.set", Forge.V1 with { Entries = [At(253402300800)] });
        // Also where a timestamp would have been enough.
        Verdict.Refuses("tlog.set", Forge.V1 with { Timestamps = [new Stamped()], Entries = [new LoggedIn(LogKind.V1) { Edit = entry => entry["inclusionPromise"]!["signedEntryTimestamp"] = "AA==" }] });

        static void Edited(string reason, Action<JsonObject> edit) => Verdict.Refuses(reason, Forge.V1 with { Entries = [new LoggedIn(LogKind.V1) { Edit = edit }] });

        static LoggedIn At(long seconds) => new(LogKind.V1)
        {
            Edit = entry =>
            {
                entry["integratedTime"] = $"{seconds}";
                entry["inclusionPromise"]!["signedEntryTimestamp"] = Convert.ToBase64String(Forge.World.V1.SignEntry((string)entry["canonicalizedBody"]!, seconds, 4004));
            },
        };
    }

    [TestMethod]
    [Clause("T.40")]
    public void Refuses_a_promise_in_an_entry_of_Rekor_v2() => Verdict.Refuses("tlog.set", Forge.V2 with
    {
        Entries = [new LoggedIn(LogKind.V2Ed25519) { Edit = entry => entry["inclusionPromise"] = new JsonObject { ["signedEntryTimestamp"] = "AAAA" } }],
    });

    // Although the log's own key made it.
    [TestMethod]
    [Clause("T.40", "T.42")]
    [DataRow(LogKind.V2Ed25519)]
    [DataRow(LogKind.V2Ecdsa)]
    public void Refuses_a_promise_that_a_log_of_Rekor_v2_made(LogKind log)
    {
        LoggedIn entry = new(log);
        long time = Forge.Now.AddMinutes(1).ToUnixTimeSeconds();
        Verdict.Refuses("tlog.set", Forge.LoggedBy(log) with
        {
            Entries =
            [
                entry with
                {
                    Edit = made =>
                    {
                        string text = $"{{\"body\":\"{made["canonicalizedBody"]}\",\"integratedTime\":{time},\"logID\":\"{Convert.ToHexStringLower(entry.KeyId)}\",\"logIndex\":{entry.Index}}}";
                        made["integratedTime"] = $"{time}";
                        made["inclusionPromise"] = new JsonObject { ["signedEntryTimestamp"] = Convert.ToBase64String(entry.Sign(text)) };
                    },
                },
            ],
        });
    }

    [TestMethod]
    public void Gives_no_other_meaning_to_a_token_with_a_flipped_bit()
    {
        byte[] bundle = Forge.V2.Make();
        JsonNode original = JsonNode.Parse(bundle)!;
        byte[] token = Convert.FromBase64String((string)original.AsObject().Timestamps()[0]!["signedTimestamp"]!);
        DateTimeOffset signedAt = Forge.Now.AddMinutes(1);
        int refused = 0;
        for (int bit = 0; bit < 8 * token.Length; bit += 7)
        {
            byte[] flipped = [.. token];
            flipped[bit / 8] ^= (byte)(1 << (bit % 8));
            original.AsObject().Timestamps()[0]!["signedTimestamp"] = Convert.ToBase64String(flipped);
            try
            {
                VerifiedSignature same = new Verifier(Forge.World.Root).Verify(System.Text.Encoding.UTF8.GetBytes(original.ToJsonString()), Forge.Image, Forge.Policy);
                Assert.AreEqual(signedAt, same.SignedAt);
            }
            catch (VerificationException no)
            {
                Assert.AreEqual("time", no.Step);
                refused++;
            }
        }

        Assert.IsGreaterThan(300, refused);
    }

    private static void RefusesToken(string reason, Stamped stamp) => Verdict.Refuses(reason, Forge.V2 with { Timestamps = [stamp] });

    private static void RefusesAuthority(string reason, X509Certificate2 leaf) => Verdict.Refuses(reason, With(leaf));

    private static Forge With(X509Certificate2 leaf) => Forge.V2 with
    {
        Timestamps = [new Stamped { Signer = (leaf, Forge.World.Tsa.Key) }],
        Root = root => root.Instance("timestampAuthorities")["certChain"]!["certificates"]![0]!["rawBytes"] = Convert.ToBase64String(leaf.RawData),
    };

    private static X509Certificate2 TsaLeaf(X509KeyUsageFlags usage = X509KeyUsageFlags.DigitalSignature, bool isAuthority = false, DateTimeOffset? to = null)
    {
        List<X509Extension> extensions = [new X509KeyUsageExtension(usage, critical: true), CertificateIssuer.Purpose("1.3.6.1.5.5.7.3.8", critical: true)];
        if (isAuthority)
        {
            extensions.Add(new X509BasicConstraintsExtension(true, false, 0, critical: true));
        }

        return Forge.World.Tsa.Root.Issue(CertificateIssuer.Name("o", "cn"), new PublicKey(Forge.World.Tsa.Key), Start, to ?? Forge.Now.AddYears(1), CertificateIssuer.NewSerial(), extensions);
    }

    // A digest of 31 bytes in the imprint: DER of OCTET STRING shortened, lengths above adjusted by writing anew.
    private static byte[] Short(byte[] info, byte[] hashOid)
    {
        Assert.IsGreaterThan(0, info.AsSpan().IndexOf(hashOid));
        AsnReader fields = new AsnReader(info, AsnEncodingRules.DER).ReadSequence();
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            writer.WriteEncodedValue(fields.ReadEncodedValue().Span);
            writer.WriteEncodedValue(fields.ReadEncodedValue().Span);
            AsnReader imprint = fields.ReadSequence();
            using (writer.PushSequence())
            {
                writer.WriteEncodedValue(imprint.ReadEncodedValue().Span);
                writer.WriteOctetString(imprint.ReadOctetString().AsSpan(0, 31));
            }

            while (fields.HasData)
            {
                writer.WriteEncodedValue(fields.ReadEncodedValue().Span);
            }
        }

        return writer.Encode();
    }

    private static void Twice(JsonObject root, string list)
    {
        JsonNode old = root.Instance(list).DeepClone();
        int last = root[list]!.AsArray().Count;
        root[list]!.AsArray().Add(old.DeepClone());
        JsonObject window = root.Instance(list);
        (window["publicKey"] ?? window)["validFor"]!["end"] = "2026-11-23T05:30:00Z";
        Assert.HasCount(last + 1, root[list]!.AsArray());
    }

    private static Action<JsonObject> Window(string list, int index, DateTimeOffset start, DateTimeOffset? end) => root =>
    {
        JsonObject instance = root.Instance(list, index);
        var window = new JsonObject { ["start"] = start.ToString("yyyy-MM-dd'T'HH:mm:ss.fffffff'Z'", null) };
        if (end is { } last)
        {
            window["end"] = last.ToString("yyyy-MM-dd'T'HH:mm:ss.fffffff'00Z'", null);
        }

        (instance["publicKey"] ?? instance)["validFor"] = window;
    };
}
