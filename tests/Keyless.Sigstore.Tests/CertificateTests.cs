using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Sigstore.Formats;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

[TestClass]
public sealed class CertificateTests
{
    private const string CodeSigning = "1.3.6.1.5.5.7.3.3";
    private static readonly DateTimeOffset Signed = Forge.Now.AddMinutes(1);

    [TestMethod]
    [Clause("L.26")]
    [DataRow("1.2.840.10045.3.1.7")]
    [DataRow("1.3.132.0.34")]
    [DataRow("1.3.132.0.35")]
    public void Accepts_a_leaf_with_each_curve_in_each_log(string curve)
    {
        using var key = ECDsa.Create(ECCurve.CreateFromValue(curve));
        foreach (LogKind log in Enum.GetValues<LogKind>())
        {
            Verdict.Accepts(Forge.LoggedBy(log) with { Key = key });
        }
    }

    [TestMethod]
    [DataRow(2048)]
    [DataRow(3072)]
    public void Accepts_a_leaf_with_an_RSA_key(int bits)
    {
        using var key = RSA.Create(bits);
        Verdict.Accepts(Forge.V1 with { Key = key });
        Verdict.Accepts(Forge.V2 with { Key = key });
    }

    [TestMethod]
    [Clause("C.17", "L.12")]
    public void Counts_a_moment_at_either_end_of_the_validity()
    {
        Verdict.Accepts(Forge.V2 with { NotBefore = Signed });
        Verdict.Accepts(Forge.V2 with { NotAfter = Signed });
        Verdict.Refuses("cert.validity", Forge.V2 with { NotBefore = Signed.AddSeconds(1) });
        Verdict.Refuses("cert.validity", Forge.V2 with { NotAfter = Signed.AddSeconds(-1) });
        Verdict.Refuses("cert.validity", Forge.V1 with { NotAfter = Signed.AddSeconds(-1) });
        Verdict.Refuses("cert.validity", Forge.V2 with { NotAfter = Signed, Timestamps = [new Stamped { GenTime = Signed.AddMilliseconds(1) }] });
    }

    [TestMethod]
    [Clause("C.1")]
    public void Refuses_a_certificate_that_is_not_strict_DER()
    {
        Verdict.Refuses("cert.der", Forge.V2 with { Certificate = der => [.. der, 0] });
        Verdict.Refuses("cert.der", Forge.V2 with { Certificate = der => der[..^1] });
        Verdict.Refuses("cert.der", Forge.V2 with { Certificate = der => [0x30, 0x80, .. der[4..], 0, 0] });
        Verdict.Refuses("cert.der", Forge.V2 with { Certificate = der => System.Text.Encoding.ASCII.GetBytes(PemEncoding.WriteString("CERTIFICATE", der)) });
    }

    [TestMethod]
    [Clause("C.8", "C.9", "C.10", "C.11")]
    public void Refuses_a_leaf_that_is_not_for_signing_code()
    {
        Without("cert.usage", "2.5.29.15");
        Without("cert.usage", "2.5.29.37");
        Instead("cert.usage", new X509KeyUsageExtension(X509KeyUsageFlags.KeyEncipherment, critical: true));
        Instead("cert.usage", CertificateIssuer.Purpose("2.5.29.37.0", critical: false));
        Instead("cert.usage", new X509EnhancedKeyUsageExtension([new Oid(CodeSigning), new Oid("2.5.29.37.0")], critical: false));
        Instead("cert.usage", CertificateIssuer.Purpose("1.3.6.1.5.5.7.3.8", critical: false));
        Instead("cert.usage", new X509BasicConstraintsExtension(true, false, 0, critical: true));
        Instead("cert.usage", new X509Extension("1.2.3.4", [5, 0], critical: true));
        Verdict.Accepts(Forge.V2 with { Extensions = extensions => [.. extensions, new X509Extension("1.2.3.4", [5, 0], critical: false)] });
        Verdict.Accepts(Forge.V2 with { Extensions = extensions => [.. extensions, new X509BasicConstraintsExtension(false, false, 0, critical: true)] });
    }

    [TestMethod]
    [Clause("C.31", "C.32", "C.33", "C.34", "C.36")]
    public void Refuses_a_leaf_whose_name_is_not_one_name_of_a_known_kind()
    {
        Without("cert.san", "2.5.29.17");
        Instead("cert.san", San(critical: false, (6, Forge.Identity)));
        Instead("cert.san", San(critical: true, (6, Forge.Identity), (6, Forge.Identity)));
        Instead("cert.san", San(critical: true, (6, Forge.Identity), (1, "dev@example.com")));
        Instead("cert.san", San(critical: true));
        Instead("policy.san-type", San(critical: true, (2, "example.com")));
        Instead("bundle.limit", San(critical: true, (6, "https://example.com/" + new string('a', 9000))));
        Instead("policy.san-encoding", San(critical: true, (6, Forge.Identity + "\0")));
        Instead("policy.san-encoding", San(critical: true, (6, "")));
        Instead("policy.san-encoding", San(critical: true, (6, Forge.Identity + "\n")));
    }

    // 8 KiB of the extension's value, of which the name is what two heads of four bytes leave.
    [TestMethod]
    [Clause("C.33")]
    public void Takes_a_name_of_8_KiB_and_no_byte_more()
    {
        string longest = "https://example.com/" + new string('a', (8 * 1024) - 8 - 20);
        Verdict.Accepts(With(longest), Policy.Exactly(longest, Forge.Issuer, Forge.PredicateType));
        Verdict.Refuses("bundle.limit", With(longest + "a"));

        static Forge With(string name) => Forge.V2 with
        {
            Extensions = extensions => [.. extensions.Where(extension => extension.Oid!.Value != "2.5.29.17"), San(critical: true, (6, name))],
        };
    }

    // RFC 5280 §4.2.1.6: critical where there is no subject; a certificate that has one may leave it.
    [TestMethod]
    [Clause("C.32")]
    public void Takes_a_name_that_is_not_critical_beside_a_subject()
    {
        X509Certificate2 leaf = Issued(CertificateIssuer.Name("o", "somebody")), nobody = Issued(new X500DistinguishedName(""));
        Assert.AreEqual(Forge.Identity, CertificateIdentity.Read(Certificate.Parse(leaf.RawData)).Subject);
        Assert.AreEqual("cert.san", Assert.ThrowsExactly<VerificationException>(() => CertificateIdentity.Read(Certificate.Parse(nobody.RawData))).Reason);

        static X509Certificate2 Issued(X500DistinguishedName subject) => Forge.World.Fulcio.Intermediate.Issue(
            subject, new PublicKey(Forge.World.Tsa.Key), Forge.Now, Forge.Now.AddMinutes(10), CertificateIssuer.NewSerial(), [San(critical: false, (6, Forge.Identity)), LeafExtensions.Extension(8, Forge.Issuer)]);
    }

    [TestMethod]
    [Clause("C.37", "C.38", "C.39")]
    public void Refuses_two_answers_to_who_vouched()
    {
        Instead("policy.issuer-conflict", LeafExtensions.Extension(1, "https://elsewhere.example"));
        Verdict.Refuses("policy.issuer-missing", Forge.V2 with { Extensions = extensions => extensions.Where(extension => extension.Oid!.Value is not ("1.3.6.1.4.1.57264.1.1" or "1.3.6.1.4.1.57264.1.8")) });
        Instead("policy.extension", new X509Extension("1.3.6.1.4.1.57264.1.8", System.Text.Encoding.UTF8.GetBytes(Forge.Issuer), critical: false));
        Instead("policy.extension", new X509Extension("1.3.6.1.4.1.57264.1.5", [0xff, 0xfe], critical: false));
        Instead("policy.extension", new X509Extension("1.3.6.1.4.1.57264.1.8", [.. LeafExtensions.Extension(8, Forge.Issuer).RawData, 5, 0], critical: false));
        Verdict.Accepts(Forge.V2 with { Extensions = extensions => extensions.Where(extension => extension.Oid!.Value != "1.3.6.1.4.1.57264.1.8") });
        Verdict.Accepts(Forge.V2 with { Extensions = extensions => extensions.Where(extension => extension.Oid!.Value != "1.3.6.1.4.1.57264.1.1") });
    }

    [TestMethod]
    public void Accepts_an_extension_of_Fulcio_that_came_later() => Verdict.Accepts(Forge.V2 with
    {
        Extensions = extensions => [.. extensions, new X509Extension("1.3.6.1.4.1.57264.1.99", [1, 1, 0xff], critical: false), new X509Extension("1.3.6.1.4.1.57264.1.9.1", [0xff], critical: false)],
    });

    // The youngest that is known is .24.
    [TestMethod]
    [Clause("C.39")]
    public void Reads_every_extension_that_it_knows()
    {
        CertificateIdentity signer = Verdict.Accepts(Forge.V2 with
        {
            Extensions = extensions => [.. extensions.Where(extension => extension.Oid!.Value != "1.3.6.1.4.1.57264.1.24"), LeafExtensions.Extension(24, "the subject of the token"), LeafExtensions.Extension(25, "younger")],
        }).Signer!;
        Assert.AreEqual("the subject of the token", signer.Extensions[24]);
        Assert.IsFalse(signer.Extensions.ContainsKey(25));
    }

    [TestMethod]
    [Clause("C.27", "C.30")]
    public void Refuses_a_key_of_a_kind_that_is_not_taken()
    {
        using var small = RSA.Create(1024);
        Verdict.Refuses("cert.key", Forge.V1 with { Key = small });
        using var koblitz = ECDsa.Create(ECCurve.CreateFromValue("1.3.132.0.10"));
        Verdict.Refuses("cert.key", Forge.V1 with { Key = koblitz, Hash = HashAlgorithmName.SHA256 });
    }

    [TestMethod]
    [Clause("C.12", "C.14")]
    public void Refuses_a_certificate_of_another_authority()
    {
        var stranger = new Fulcio(Forge.World.CtLog, _ => [], new StoppedClock(Forge.Now));
        Verdict.Refuses("cert.signature", Forge.V2 with { Authority = stranger.Intermediate }); // the same name, another key
        Verdict.Refuses("cert.issuer", Forge.V2 with { Authority = CertificateIssuer.Root(CertificateIssuer.Name("o", "cn"), 0, Forge.Now, Forge.Now.AddYears(1)) });
        Verdict.Refuses("cert.issuer", Forge.V2 with { Root = root => root["certificateAuthorities"] = new JsonArray() });
        Verdict.Refuses("cert.signature", Forge.V2 with { Certificate = der => der.Flipped(-3) });
        Verdict.Refuses("cert.issuer", Forge.V2 with { Authority = Forge.World.Fulcio.Root }); // not the chain's issuer of leaves
        Verdict.Refuses("cert.issuer", Forge.V2 with { Authority = Forge.World.Tsa.Root }); // trusted, for something else
    }

    // An own valid certificate signs a "certificate" of its own.
    [TestMethod]
    [Clause("C.14")]
    public void Refuses_a_certificate_that_a_leaf_issued()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(Forge.World.Fulcio.Intermediate.Certificate.SubjectName, key, HashAlgorithmName.SHA256);
        var leaf = new CertificateIssuer(key, request.CreateSelfSigned(Forge.Now, Forge.Now.AddYears(1)));
        Verdict.Refuses("cert.signature", Forge.V2 with { Authority = leaf });
    }

    [TestMethod]
    [Clause("C.16")]
    public void Tries_every_authority_of_the_name()
    {
        var twin = new Fulcio(Forge.World.CtLog, _ => [], new StoppedClock(Forge.Now));
        JsonObject other = new TrustMaterial().Add(twin, "https://twin.sandbox").TrustedRoot();
        Action<JsonObject> first = root => root["certificateAuthorities"]!.AsArray().Insert(0, other.Instance("certificateAuthorities").DeepClone());
        Action<JsonObject> last = root => root["certificateAuthorities"]!.AsArray().Add(other.Instance("certificateAuthorities").DeepClone());
        foreach (Action<JsonObject> root in (Action<JsonObject>[])[first, last])
        {
            Verdict.Accepts(Forge.V2 with { Root = root });
            Verdict.Accepts(Forge.V2 with { Root = root, Authority = twin.Intermediate });
        }
    }

    [TestMethod]
    [Clause("C.16")]
    [DataRow(0)]
    [DataRow(1)]
    public void Accepts_by_a_good_chain_beside_a_broken_one_of_the_name(int position)
    {
        Verdict.Accepts(Forge.V2 with
        {
            Root = root =>
            {
                JsonNode broken = root.Instance("certificateAuthorities").DeepClone();
                broken["certChain"]!["certificates"]![1]!["rawBytes"] = Convert.ToBase64String(Forge.World.Tsa.Root.Certificate.RawData);
                root["certificateAuthorities"]!.AsArray().Insert(position, broken);
            },
        });
    }

    [TestMethod]
    public void Accepts_a_chain_that_is_listed_twice_with_two_windows() => Verdict.Accepts(Forge.V2 with
    {
        Root = root =>
        {
            root["certificateAuthorities"]!.AsArray().Add(root.Instance("certificateAuthorities").DeepClone());
            root.Instance("certificateAuthorities")["validFor"]!["end"] = "2026-11-23T05:30:00Z";
        },
    });

    [TestMethod]
    [Clause("C.18")]
    public void Counts_a_moment_at_either_end_of_the_authoritys_window()
    {
        Verdict.Accepts(Window("2026-11-23T06:01:00Z", "2026-11-23T06:01:00Z"));
        Verdict.Accepts(Window("2026-11-23T07:01:00+01:00", null));
        Verdict.Refuses("cert.window", Window("2026-11-23T06:01:00.001Z", null));
        Verdict.Refuses("cert.window", Window("2026-11-23T05:00:00Z", "2026-11-23T06:00:59.999Z"));

        static Forge Window(string start, string? end) => Forge.V2 with
        {
            Root = root => root.Instance("certificateAuthorities")["validFor"] = new JsonObject { ["start"] = start, ["end"] = end },
        };
    }

    [TestMethod]
    [Clause("C.20", "C.21", "C.22", "C.23", "C.24", "C.25", "C.26")]
    public void Follows_a_path_of_four_certificates_with_their_constraints()
    {
        Chained(null, new Ca(2), new Ca(1), new Ca(0));
        Chained(null, new Ca(null), new Ca(null), new Ca(null));
        Chained(null, new Ca(0));
        Chained("cert.path", new Ca(3), new Ca(2), new Ca(1), new Ca(0)); // five certificates
        Chained("cert.path", new Ca(0), new Ca(0));
        Chained("cert.path", new Ca(1), new Ca(1), new Ca(0));
        Chained("cert.path", new Ca(1), new Ca(0, IsAuthority: false));
        Chained("cert.path", new Ca(1), new Ca(0, Usage: X509KeyUsageFlags.DigitalSignature));
        Chained("cert.path", new Ca(1), new Ca(0, Usage: X509KeyUsageFlags.None));
        Chained("cert.path", new Ca(1), new Ca(0, Purpose: "1.3.6.1.5.5.7.3.8"));
        Chained("cert.path", new Ca(1, Purpose: "1.3.6.1.5.5.7.3.8"), new Ca(0));
        Chained(null, new Ca(1), new Ca(0, Purpose: "2.5.29.37.0"));
        Chained("cert.path", new Ca(1), new Ca(0, Unknown: true));
        Chained("cert.path", new Ca(1), new Ca(0, Seconds: 59));
        Chained(null, new Ca(1), new Ca(0, Seconds: 60));
        Chained("cert.path", new Ca(1, Seconds: 59), new Ca(0, Seconds: 59));
    }

    [TestMethod]
    [Clause("C.19")]
    public void Refuses_a_chain_whose_certificates_did_not_issue_one_another() => Verdict.Refuses("cert.path", Forge.V2 with
    {
        Root = root => root.Instance("certificateAuthorities")["certChain"]!["certificates"]![1]!["rawBytes"] =
            Convert.ToBase64String(new Fulcio(Forge.World.CtLog, _ => [], new StoppedClock(Forge.Now)).Root.Certificate.RawData),
    });

    // The key signed the certificate below it, which names another issuer.
    [TestMethod]
    [Clause("C.19")]
    public void Refuses_a_chain_whose_certificates_have_the_right_key_and_another_name()
    {
        foreach ((string? reason, X500DistinguishedName name) in ((string?, X500DistinguishedName)[])[(null, Forge.World.Fulcio.Root.Certificate.SubjectName), ("cert.path", CertificateIssuer.Name("o", "another name"))])
        {
            var request = new CertificateRequest(name, Forge.World.Fulcio.Root.Key, HashAlgorithmName.SHA384);
            request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, true, 1, critical: true));
            request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
            byte[] renamed = request.CreateSelfSigned(Forge.Now.AddHours(-1), Forge.Now.AddYears(1)).RawData;
            Forge forge = Forge.V2 with { Root = root => root.Instance("certificateAuthorities")["certChain"]!["certificates"]![1]!["rawBytes"] = Convert.ToBase64String(renamed) };
            _ = reason is null ? Verdict.Accepts(forge) : (object)Verdict.Refuses(reason, forge);
        }
    }

    [TestMethod]
    [Clause("S.1", "S.8", "S.9")]
    public void Requires_an_SCT_of_a_known_log()
    {
        Verdict.Refuses("sct.missing", Forge.V2 with { Scts = (_, _) => [] });
        Verdict.Refuses("sct.unknown-log", Forge.V2 with { Scts = (spki, tbs) => [Forge.World.StrangeCtLog.Add(spki, tbs)] });
        Verdict.Refuses("sct.unknown-log", Forge.V2 with { Root = root => root["ctlogs"] = new JsonArray() });
        Verdict.Refuses("sct.unknown-log", Forge.V2 with { Root = root => root.Remove("ctlogs") });
        Verdict.Accepts(Forge.V2 with { Scts = (spki, tbs) => [Forge.World.RsaCtLog.Add(spki, tbs)] });
        Verdict.Accepts(Forge.V2 with { Scts = (spki, tbs) => [Forge.World.StrangeCtLog.Add(spki, tbs), Forge.World.CtLog.Add(spki, tbs)] });
        Verdict.Accepts(Forge.V2 with { Scts = (spki, tbs) => [.. Enumerable.Repeat(Forge.World.CtLog.Add(spki, tbs), 10)] });
        Verdict.Accepts(Forge.V2 with { Scts = (spki, tbs) => [Forge.World.CtLog.Sign(spki, tbs, Milliseconds, new byte[300])] });
    }

    [TestMethod]
    [Clause("S.10", "S.11", "S.12")]
    public void Refuses_an_SCT_over_something_else()
    {
        Verdict.Refuses("sct.signature", Forge.V2 with { Scts = (spki, tbs) => [Forge.World.CtLog.Add(spki, tbs.Flipped(-1))] });
        Verdict.Refuses("sct.signature", Forge.V2 with { Scts = (spki, tbs) => [Forge.World.CtLog.Add(Forge.World.CtLog.Spki, tbs)] });
        Verdict.Refuses("sct.signature", Forge.V2 with { Scts = (spki, tbs) => [Changed(Forge.World.CtLog.Add(spki, tbs), 40)] }); // its time
        Verdict.Refuses("sct.signature", Forge.V2 with { Scts = (spki, tbs) => [Changed(Forge.World.RsaCtLog.Add(spki, tbs), 50)] }); // its extensions
        Verdict.Refuses("sct.signature", Forge.V2 with { Scts = (spki, tbs) => [Changed(Forge.World.CtLog.Add(spki, tbs), -2)] });
        Verdict.Refuses("sct.signature", Forge.V2 with { Scts = (spki, tbs) => [[.. Forge.World.StrangeCtLog.Add(spki, tbs)[..1], .. Forge.World.CtLog.LogId, .. Forge.World.StrangeCtLog.Add(spki, tbs)[33..]]] });

        static byte[] Changed(byte[] sct, int at) => sct.Flipped(at);
    }

    [TestMethod]
    [Clause("S.3", "S.5", "S.6", "S.7")]
    public void Refuses_a_list_of_SCTs_that_is_not_one()
    {
        Sct("sct.malformed", sct => [.. sct, 0]);
        Sct("sct.malformed", sct => sct[..^1]);
        Sct("sct.malformed", sct => [1, .. sct[1..]]);
        Sct("sct.malformed", sct => sct[..43].Concat((byte[])[2, 3]).Concat(sct[45..]).ToArray());
        Sct("sct.malformed", _ => []);
        Verdict.Refuses("sct.malformed", Forge.V2 with { Scts = (spki, tbs) => [.. Enumerable.Repeat(Forge.World.CtLog.Add(spki, tbs), 11)] });

        static void Sct(string reason, Func<byte[], byte[]> edit) => Verdict.Refuses(reason, Forge.V2 with { Scts = (spki, tbs) => [edit(Forge.World.CtLog.Add(spki, tbs))] });
    }

    [TestMethod]
    [Clause("S.14")]
    public void Counts_milliseconds_at_either_end_of_the_CT_logs_window()
    {
        Sct(null, Milliseconds, "2026-11-23T06:00:00Z", null);
        Sct(null, Milliseconds + 999, "2026-11-23T05:00:00Z", "2026-11-23T06:00:00.999Z");
        Sct("sct.window", Milliseconds + 999, "2026-11-23T05:00:00Z", "2026-11-23T06:00:00.998Z");
        Sct("sct.window", Milliseconds, "2026-11-23T06:00:00.001Z", null);
        Sct("sct.window", -1, "2026-11-23T05:00:00Z", null); // 2^64-1 of them
        Sct("sct.window", 253402300800000, "2026-11-23T05:00:00Z", null);
        Sct(null, 253402300799999, "2026-11-23T05:00:00Z", null);

        static void Sct(string? reason, long time, string start, string? end)
        {
            Forge forge = Forge.V2 with
            {
                Scts = (spki, tbs) => [Forge.World.CtLog.Sign(spki, tbs, time, [])],
                Root = root => root.Instance("ctlogs")["publicKey"]!["validFor"] = new JsonObject { ["start"] = start, ["end"] = end },
            };
            _ = reason is null ? Verdict.Accepts(forge) : (object)Verdict.Refuses(reason, forge);
        }
    }

    // What the log signed is what the issuer wrote, whatever lengths around it grow when the list goes in.
    [TestMethod]
    [Clause("S.10")]
    public void Finds_the_TBS_that_the_log_signed_at_every_length()
    {
        foreach (int size in (int[])[.. Enumerable.Range(0, 12).Select(i => i * 11), .. Enumerable.Range(120, 16), .. Enumerable.Range(250, 8), 1000, 20_000, .. Enumerable.Range(64_000, 6).Select(i => i)])
        {
            byte[]? tbs = null;
            byte[] bundle = (Forge.V2 with
            {
                Extensions = extensions => [.. extensions, new X509Extension("1.2.3.4", new byte[size], critical: false)],
                Scts = (spki, given) => [Forge.World.CtLog.Add(spki, tbs = given)],
            }).Make();
            byte[] der = Convert.FromBase64String((string)JsonNode.Parse(bundle)!.AsObject().Material()["certificate"]!["rawBytes"]!);
            if (der.Length > 64 * 1024)
            {
                continue;
            }

            var certificate = Certificate.Parse(der);
            CertificateTransparency proof = CertificateTransparency.Verify(certificate, Certificate.Parse(Forge.World.Fulcio.Intermediate.Certificate.RawData), Forge.World.Root);
            Assert.Contains("ct.sandbox", proof.Check);
            Assert.IsNotNull(tbs);
        }
    }

    private static long Milliseconds => Forge.Now.ToUnixTimeMilliseconds();

    private static void Without(string reason, string oid) => Verdict.Refuses(reason, Forge.V2 with { Extensions = extensions => extensions.Where(extension => extension.Oid!.Value != oid) });

    private static void Instead(string reason, X509Extension replacement) => Verdict.Refuses(
        reason, Forge.V2 with { Extensions = extensions => [.. extensions.Where(extension => extension.Oid!.Value != replacement.Oid!.Value), replacement] });

    private static X509Extension San(bool critical, params (int Tag, string Name)[] names)
    {
        var san = new AsnWriter(AsnEncodingRules.DER);
        using (san.PushSequence())
        {
            foreach ((int tag, string name) in names)
            {
                san.WriteCharacterString(UniversalTagNumber.IA5String, name, new Asn1Tag(TagClass.ContextSpecific, tag));
            }
        }

        return new X509Extension("2.5.29.17", san.Encode(), critical);
    }

    /// <summary>From the root to the issuer of the leaf.</summary>
    private static void Chained(string? reason, params Ca[] authorities)
    {
        CertificateIssuer? issuer = null;
        List<X509Certificate2> chain = [];
        for (int i = 0; i < authorities.Length; i++)
        {
            issuer = authorities[i].Issue(issuer, $"ca {i}");
            chain.Insert(0, issuer.Certificate);
        }

        Forge forge = Forge.V2 with
        {
            Authority = issuer!,
            Root = root => root.Instance("certificateAuthorities")["certChain"] = new JsonObject
            {
                ["certificates"] = new JsonArray([.. chain.Select(one => new JsonObject { ["rawBytes"] = Convert.ToBase64String(one.RawData) })]),
            },
        };
        _ = reason is null ? Verdict.Accepts(forge) : (object)Verdict.Refuses(reason, forge);
    }

    private sealed record Ca(int? PathLength, bool IsAuthority = true, X509KeyUsageFlags Usage = X509KeyUsageFlags.KeyCertSign, string? Purpose = CodeSigning, bool Unknown = false, int Seconds = 3600)
    {
        public CertificateIssuer Issue(CertificateIssuer? above, string name)
        {
            var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var subject = CertificateIssuer.Name("chain", name);
            var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA256);
            request.CertificateExtensions.Add(new X509BasicConstraintsExtension(IsAuthority, IsAuthority && PathLength is not null, PathLength ?? 0, critical: true));
            if (Usage != X509KeyUsageFlags.None)
            {
                request.CertificateExtensions.Add(new X509KeyUsageExtension(Usage, critical: true));
            }

            if (Purpose is not null)
            {
                request.CertificateExtensions.Add(CertificateIssuer.Purpose(Purpose, critical: false));
            }

            if (Unknown)
            {
                request.CertificateExtensions.Add(new X509Extension("1.2.3.4", [5, 0], critical: true));
            }

            DateTimeOffset from = Forge.Now, to = Forge.Now.AddSeconds(Seconds);
            X509Certificate2 certificate = request.Create(
                above?.Certificate.SubjectName ?? subject, X509SignatureGenerator.CreateForECDsa(above?.Key ?? key), from, to, CertificateIssuer.NewSerial());
            return new CertificateIssuer(key, certificate);
        }
    }
}
