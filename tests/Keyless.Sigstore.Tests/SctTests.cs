using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Sigstore.Formats;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

/// <summary>Signed certificate timestamps (RFC 6962 §3): the list in its two OCTET STRINGs, what the log signed, by which key, and when.</summary>
[TestClass]
public sealed class SctTests
{
    private const string ListOid = SignedCertificateTimestamp.ExtensionOid;
    private static readonly Certificate Issuer = Certificate.Parse(Forge.World.Fulcio.Intermediate.Certificate.RawData);

    // Every length form of DER around what the list's removal shortens: 127/128, 255/256, 65,535/65,536, each at the extensions, at their
    // wrapper and at the TBSCertificate. The writer here shares nothing with the reader.
    [TestMethod]
    [Clause("S.10")]
    public void Finds_what_the_log_signed_at_every_boundary_of_DER_lengths()
    {
        var reached = new HashSet<(string, int)>();
        foreach (int target in (int[])[127, 128, 255, 256])
        {
            foreach (string where in (string[])["extensions", "wrapper", "tbs"])
            {
                // The padding that makes the length before the list went in exactly this long.
                for (int padding = 0; padding < 256 && !reached.Contains((where, target)); padding++)
                {
                    byte[] tbs = Tbs(Own(padding));
                    if (Lengths(tbs)[where] == target)
                    {
                        Proves(Own(padding), tbs);
                        reached.Add((where, target));
                    }
                }
            }
        }

        Assert.HasCount(12, reached);
        foreach (int padding in (int[])[0xff00 - 400, 0xff00 - 256, 0xff00 - 255, 0xff00])
        {
            Proves(Own(padding), Tbs(Own(padding)));
        }

        static void Proves(byte[][] extensions, byte[] tbs)
        {
            for (int at = 0; at <= extensions.Length; at++)
            {
                byte[] list = ListExtension(CtLog.List([Forge.World.CtLog.Add(Issuer.Spki, tbs)]));
                Assert.Contains("ct.sandbox", Verify(Make([.. extensions[..at], list, .. extensions[at..]])));
            }
        }
    }

    // The 65,535th byte of a certificate is the last one that is read.
    [TestMethod]
    [Clause("S.10")]
    public void Finds_what_the_log_signed_up_to_the_largest_certificate_that_is_read()
    {
        int proven = 0;
        for (int padding = 65_536 - 460; padding < 65_536; padding += 3)
        {
            byte[][] extensions = Own(padding);
            byte[] der = Make([.. extensions, ListExtension(CtLog.List([Forge.World.CtLog.Add(Issuer.Spki, Tbs(extensions))]))]);
            if (der.Length <= 64 * 1024)
            {
                Verify(der);
                proven++;
            }
            else
            {
                Assert.ThrowsExactly<FormatException>(() => Certificate.Parse(der));
            }
        }

        Assert.IsGreaterThan(0, proven);
    }

    // RFC 5280 §4.1: extensions are absent rather than empty.
    [TestMethod]
    [Clause("S.10")]
    public void Leaves_no_empty_list_of_extensions_behind() =>
        Verify(Make([ListExtension(CtLog.List([Forge.World.CtLog.Add(Issuer.Spki, Tbs([]))]))]));

    // Whatever the issuer wrote stays as it is: a critical flag, an order, an OCTET STRING of anything.
    [TestMethod]
    [Clause("S.10")]
    public void Keeps_every_other_byte_as_it_is()
    {
        var random = new Random(5);
        for (int round = 0; round < 60; round++)
        {
            byte[][] extensions = [.. Enumerable.Range(0, random.Next(1, 6)).Select(number =>
            {
                byte[] value = new byte[random.Next(0, 90)];
                random.NextBytes(value);
                return Extension($"1.2.3.{number}", value, random.Next(2) == 0);
            })];
            byte[] list = ListExtension(CtLog.List([Forge.World.CtLog.Add(Issuer.Spki, Tbs(extensions))]));
            int at = random.Next(extensions.Length + 1);
            Verify(Make([.. extensions[..at], list, .. extensions[at..]]));
            byte[][] other = [.. extensions[1..], Extension("1.2.4", [], critical: false)];
            Refuses("sct.signature", Make([.. other, list]));
        }
    }

    [TestMethod]
    [Clause("S.10", "S.13")]
    public void Takes_RSA_and_ECDSA_logs_in_every_form_of_key()
    {
        foreach ((string details, Func<AsymmetricAlgorithm> make) in (KeyKind[])
        [
            new("PKCS1_RSA_PKCS1V5", () => RSA.Create(2048)), new("PKIX_RSA_PKCS1V5", () => RSA.Create(2048)), new("PKIX_RSA_PKCS1V15_2048_SHA256", () => RSA.Create(2048)), new("PKIX_RSA_PKCS1V15_3072_SHA256", () => RSA.Create(3072)),
            new("PKIX_ECDSA_P256_SHA_256", () => ECDsa.Create(ECCurve.NamedCurves.nistP256)),
        ])
        {
            using AsymmetricAlgorithm key = make();
            byte[] id = SHA256.HashData(key.ExportSubjectPublicKeyInfo());
            Forge forge = Forge.V2 with
            {
                Scts = (spki, tbs) => [Sign(key, id, spki, tbs)],
                Root = root => root["ctlogs"] = new JsonArray(Listed(details == "PKCS1_RSA_PKCS1V5" ? ((RSA)key).ExportRSAPublicKey() : key.ExportSubjectPublicKeyInfo(), details, id)),
            };
            Verdict.Accepts(forge);
            Verdict.Refuses("sct.signature", forge with { Scts = (spki, tbs) => [Sign(key, id, spki, tbs.Flipped(9))] });
            // Signed by the right key, said to be by another kind.
            Verdict.Refuses("sct.signature", forge with { Scts = (spki, tbs) => [OfKind(Sign(key, id, spki, tbs), key is RSA ? (byte)3 : (byte)1)] });
        }

        static byte[] OfKind(byte[] sct, byte kind)
        {
            int at = 1 + 32 + 8 + 2 + 1;
            return [.. sct[..at], kind, .. sct[(at + 1)..]];
        }
    }

    [TestMethod]
    [Clause("S.8", "S.17")]
    public void Takes_one_good_SCT_among_others_in_any_order()
    {
        Forge good = Forge.V2;
        Func<byte[], byte[], byte[]> right = (spki, tbs) => Forge.World.CtLog.Add(spki, tbs), wrong = (spki, tbs) => Forge.World.RsaCtLog.Add(spki, tbs.Flipped(-1)), strange = (spki, tbs) => Forge.World.StrangeCtLog.Add(spki, tbs);
        Verdict.Accepts(good with { Scts = (spki, tbs) => [right(spki, tbs), wrong(spki, tbs)] });
        Verdict.Accepts(good with { Scts = (spki, tbs) => [wrong(spki, tbs), right(spki, tbs)] });
        Verdict.Accepts(good with { Scts = (spki, tbs) => [strange(spki, tbs), wrong(spki, tbs), right(spki, tbs)] });
        Verdict.Refuses("sct.signature", good with { Scts = (spki, tbs) => [strange(spki, tbs), wrong(spki, tbs)] });
        // One that does not parse spoils the list.
        Verdict.Refuses("sct.malformed", good with { Scts = (spki, tbs) => [right(spki, tbs), [0]] });
        Verdict.Refuses("sct.malformed", good with { Scts = (spki, tbs) => [right(spki, tbs), []] });
        Verdict.Refuses("sct.malformed", good with { Scts = (spki, tbs) => [right(spki, tbs), [1, .. strange(spki, tbs)[1..]]] });
    }

    [TestMethod]
    [Clause("S.12")]
    [DataRow(0)]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(8)]
    [DataRow(255)]
    [DataRow(256)]
    [DataRow(20_000)]
    public void Takes_the_extensions_of_an_SCT_as_given(int length)
    {
        byte[] extensions = RandomNumberGenerator.GetBytes(length);
        Forge forge = Forge.V2 with { Scts = (spki, tbs) => [Forge.World.CtLog.Sign(spki, tbs, Forge.Now.ToUnixTimeMilliseconds(), extensions)] };
        Verdict.Accepts(forge);
        Verdict.Refuses("sct.signature", forge with
        {
            Scts = (spki, tbs) => [length == 0 ? WithExtensions(forge.Scts(spki, tbs)[0]) : forge.Scts(spki, tbs)[0].Flipped(43)],
        });

        static byte[] WithExtensions(byte[] sct) => [.. sct[..41], 0, 1, 7, .. sct[43..]];
    }

    [TestMethod]
    [Clause("S.2", "S.3", "S.4", "S.6", "S.7")]
    public void Refuses_lengths_that_do_not_use_up_the_bytes()
    {
        byte[]? sct = null;
        byte[] list = CtLog.List([Captured()]);
        foreach ((string what, byte[] value) in ((string, byte[])[])
        [
            ("no inner OCTET STRING", list),
            ("something after the inner OCTET STRING", [.. Octets(list), 0]),
            ("something after the list", Octets([.. list, 0])),
            ("a list that is cut off", Octets(list[..^1])),
            ("a list that says it is shorter", Octets([list[0], (byte)(list[1] - 1), .. list[2..]])),
            ("a list that says it is longer", Octets([list[0], (byte)(list[1] + 1), .. list[2..]])),
            ("an SCT that says it is shorter", Octets([.. list[..2], list[2], (byte)(list[3] - 1), .. list[4..]])),
            ("an empty list", Octets([0, 0])),
            ("nothing", Octets([])),
            ("half a length", Octets([0])),
            ("an indefinite length", [0x24, 0x80, .. Octets(list), 0, 0]),
            ("another type", [0x30, .. Octets(list)[1..]]),
            ("SHA-384", Octets(CtLog.List([[.. sct![..43], 5, .. sct[44..]]]))),
            ("SHA-1", Octets(CtLog.List([[.. sct![..43], 2, .. sct[44..]]]))),
            ("DSA", Octets(CtLog.List([[.. sct![..44], 2, .. sct[45..]]]))),
            ("version 2", Octets(CtLog.List([[1, .. sct![1..]]]))),
        ])
        {
            var no = Assert.ThrowsExactly<VerificationException>(() => Verify(Make([.. Own(3), Extension(ListOid, value, critical: false)])), what);
            Assert.AreEqual("sct.malformed", no.Reason, what);
        }

        byte[] Captured() => sct = Forge.World.CtLog.Add(Issuer.Spki, Tbs(Own(3)));
    }

    // Two lists: each reader could look at another.
    [TestMethod]
    [Clause("C.6", "S.16")]
    public void Refuses_two_lists_in_one_certificate()
    {
        foreach (LogKind log in Enum.GetValues<LogKind>())
        {
            Verdict.Refuses("sct.malformed", Forge.LoggedBy(log) with { Certificate = TwoLists });
        }

        // Any other extension twice makes it no certificate.
        Verdict.Refuses("cert.der", Forge.V2 with { Certificate = der => Repeated(der, "2.5.29.37") });

        static byte[] TwoLists(byte[] der) => Repeated(der, ListOid);
    }

    [TestMethod]
    [Clause("S.15")]
    public void Refuses_an_issuer_that_is_for_precertificates()
    {
        var root = CertificateIssuer.Root(CertificateIssuer.Name("o", "precertificates"), 1, Forge.Now.AddHours(-1), Forge.Now.AddYears(1));
        var key = ECDsa.Create(ECCurve.NamedCurves.nistP384);
        X509Certificate2 issuing = root.Issue(CertificateIssuer.Name("o", "issuing"), new PublicKey(key), Forge.Now.AddHours(-1), Forge.Now.AddYears(1), CertificateIssuer.NewSerial(),
        [
            new X509BasicConstraintsExtension(true, true, 0, critical: true), new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true),
            new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.3"), new Oid("1.3.6.1.4.1.11129.2.4.4")], critical: false),
        ]);
        Verdict.Refuses("sct.precertificate-issuer", Forge.V2 with
        {
            Authority = new CertificateIssuer(key, issuing),
            Root = trusted => trusted.Instance("certificateAuthorities")["certChain"]!["certificates"] =
                new JsonArray(new JsonObject { ["rawBytes"] = Convert.ToBase64String(issuing.RawData) }, new JsonObject { ["rawBytes"] = Convert.ToBase64String(root.Certificate.RawData) }),
        });
    }

    // Without a CT log in the trusted root nothing is skipped, in no kind of bundle that has a certificate.
    [TestMethod]
    [Clause("S.1", "S.9")]
    public void Refuses_every_certificate_where_no_CT_log_is_known()
    {
        byte[] file = [1];
        foreach (byte[]? content in (byte[]?[])[null, file])
        {
            foreach (string version in (string[])["0.1", "0.2", "0.3"])
            {
                Forge forge = Forge.V1 with { Version = version, Content = content };
                Verdict.Refuses("sct.unknown-log", forge with { Root = root => root["ctlogs"] = new JsonArray() });
                Verdict.Refuses("sct.unknown-log", forge with { Root = root => root.Remove("ctlogs") });
                Verdict.Refuses("sct.unknown-log", forge with { Root = root => root["ctlogs"] = null });
                Verdict.Refuses("sct.missing", forge with { Scts = (_, _) => [] });
                Verdict.Accepts(forge with { Managed = true, Root = root => root.Remove("ctlogs") }); // a key has no SCT
            }
        }
    }

    private static string Verify(byte[] der) => CertificateTransparencyOf(Certificate.Parse(der));

    private static string CertificateTransparencyOf(Certificate certificate)
    {
        CertificateTransparency.RequireOneList(certificate);
        return CertificateTransparency.Verify(certificate, Issuer, Forge.World.Root).Check;
    }

    private static void Refuses(string reason, byte[] der) => Assert.AreEqual(reason, Assert.ThrowsExactly<VerificationException>(() => Verify(der)).Reason);

    private static byte[] Sign(AsymmetricAlgorithm key, byte[] id, byte[] issuer, byte[] tbs)
    {
        byte[] time = [0, 0, .. BitConverter.GetBytes(Forge.Now.ToUnixTimeMilliseconds()).Reverse().Skip(2)];
        byte[] signed = [0, 0, .. time, 0, 1, .. SHA256.HashData(issuer), (byte)(tbs.Length >> 16), (byte)(tbs.Length >> 8), (byte)tbs.Length, .. tbs, 0, 0];
        byte[] signature = key is RSA rsa
            ? rsa.SignData(signed, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
            : ((ECDsa)key).SignData(signed, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence);
        return [0, .. id, .. time, 0, 0, 4, key is RSA ? (byte)1 : (byte)3, (byte)(signature.Length >> 8), (byte)signature.Length, .. signature];
    }

    private static JsonObject Listed(byte[] key, string details, byte[] id) => new()
    {
        ["baseUrl"] = "https://own.ct.sandbox",
        ["hashAlgorithm"] = "SHA2_256",
        ["publicKey"] = new JsonObject { ["rawBytes"] = Convert.ToBase64String(key), ["keyDetails"] = details, ["validFor"] = new JsonObject { ["start"] = "2026-01-01T00:00:00Z" } },
        ["logId"] = new JsonObject { ["keyId"] = Convert.ToBase64String(id) },
    };

    private static byte[][] Own(int padding) => [Extension("1.2.3", new byte[padding], critical: false)];

    private static byte[] Octets(byte[] value) => Write(writer => writer.WriteOctetString(value));

    private static byte[] ListExtension(byte[] list) => Extension(ListOid, Octets(list), critical: false);

    private static byte[] Extension(string oid, byte[] value, bool critical) => Write(writer =>
    {
        using (writer.PushSequence())
        {
            writer.WriteObjectIdentifier(oid);
            if (critical)
            {
                writer.WriteBoolean(true);
            }

            writer.WriteOctetString(value);
        }
    });

    /// <summary>A certificate of the fewest bytes, signed by nobody.</summary>
    private static byte[] Make(byte[][] extensions) => Write(writer =>
    {
        using (writer.PushSequence())
        {
            writer.WriteEncodedValue(Tbs(extensions));
            Algorithm(writer);
            writer.WriteBitString([0]);
        }
    });

    private static byte[] Tbs(byte[][] extensions) => Write(writer =>
    {
        using (writer.PushSequence())
        {
            using (writer.PushSequence(ForgedToken.Zero))
            {
                writer.WriteInteger(2);
            }

            writer.WriteInteger(1);
            Algorithm(writer);
            writer.WriteEncodedValue([0x30, 0]);
            using (writer.PushSequence())
            {
                writer.WriteUtcTime(Forge.Now);
                writer.WriteUtcTime(Forge.Now);
            }

            writer.WriteEncodedValue([0x30, 0]);
            using (writer.PushSequence())
            {
                Algorithm(writer);
                writer.WriteBitString([1]);
            }

            if (extensions.Length > 0)
            {
                using (writer.PushSequence(new Asn1Tag(TagClass.ContextSpecific, 3)))
                using (writer.PushSequence())
                {
                    foreach (byte[] extension in extensions)
                    {
                        writer.WriteEncodedValue(extension);
                    }
                }
            }
        }
    });

    private static void Algorithm(AsnWriter writer)
    {
        using (writer.PushSequence())
        {
            writer.WriteObjectIdentifier("1.3.101.112");
        }
    }

    /// <summary>Lengths of the contents of the three that shrink.</summary>
    private static Dictionary<string, int> Lengths(byte[] tbs)
    {
        AsnReader fields = new AsnReader(tbs, AsnEncodingRules.DER).ReadSequence();
        int whole = Content(tbs);
        for (int field = 0; field < 7; field++)
        {
            _ = fields.ReadEncodedValue();
        }

        ReadOnlyMemory<byte> wrapper = fields.ReadEncodedValue();
        AsnReader inside = new AsnReader(wrapper, AsnEncodingRules.DER).ReadSequence(new Asn1Tag(TagClass.ContextSpecific, 3));
        return new() { ["tbs"] = whole, ["wrapper"] = Content(wrapper.Span), ["extensions"] = Content(inside.PeekEncodedValue().Span) };

        static int Content(ReadOnlySpan<byte> encoded)
        {
            AsnDecoder.ReadEncodedValue(encoded, AsnEncodingRules.DER, out _, out int length, out _);
            return length;
        }
    }

    // Reads a certificate down to its extensions, and writes it with one of them twice.
    private static byte[] Repeated(byte[] der, string oid)
    {
        AsnReader certificate = new AsnReader(der, AsnEncodingRules.DER).ReadSequence();
        AsnReader tbs = certificate.ReadSequence();
        var tag = new Asn1Tag(TagClass.ContextSpecific, 3);
        return Write(writer =>
        {
            using (writer.PushSequence())
            {
                using (writer.PushSequence())
                {
                    while (!tbs.PeekTag().HasSameClassAndValue(tag))
                    {
                        writer.WriteEncodedValue(tbs.ReadEncodedValue().Span);
                    }

                    using (writer.PushSequence(tag))
                    using (writer.PushSequence())
                    {
                        AsnReader extensions = tbs.ReadSequence(tag).ReadSequence();
                        while (extensions.HasData)
                        {
                            ReadOnlyMemory<byte> extension = extensions.ReadEncodedValue();
                            writer.WriteEncodedValue(extension.Span);
                            if (new AsnReader(extension, AsnEncodingRules.DER).ReadSequence().ReadObjectIdentifier() == oid)
                            {
                                writer.WriteEncodedValue(extension.Span);
                            }
                        }
                    }
                }

                while (certificate.HasData)
                {
                    writer.WriteEncodedValue(certificate.ReadEncodedValue().Span);
                }
            }
        });
    }

    private static byte[] Write(Action<AsnWriter> write)
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        write(writer);
        return writer.Encode();
    }

    private sealed record KeyKind(string Details, Func<AsymmetricAlgorithm> Make);
}
