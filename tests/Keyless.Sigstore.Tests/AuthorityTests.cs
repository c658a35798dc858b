using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Sigstore.Formats;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

/// <summary>Certificates field by field, and authorities of every kind of key: which signatures in a chain count, and when.</summary>
[TestClass]
public sealed class AuthorityTests
{
    private static readonly DateTimeOffset Start = Forge.Now.AddHours(-1);

    [TestMethod]
    [Clause("C.15", "C.41")]
    [DataRow("RSA-2048", "SHA256", null)]
    [DataRow("RSA-3072", "SHA384", null)]
    [DataRow("RSA-2048", "SHA512", null)]
    [DataRow("P-256", "SHA256", null)]
    [DataRow("P-256", "SHA384", null)]
    [DataRow("P-384", "SHA384", null)]
    [DataRow("P-521", "SHA512", null)]
    [DataRow("RSA-2048", "SHA1", "cert.signature")]
    [DataRow("P-256", "SHA1", "cert.signature")]
    [DataRow("RSA-2048-PSS", "SHA256", "cert.der")] // its parameters are none that a certificate of this field has
    [DataRow("RSA-1024", "SHA256", "cert.path")]
    public void Takes_an_authority_by_its_key_and_hash(string kind, string hash, string? reason)
    {
        using AsymmetricAlgorithm key = kind switch
        {
            "P-256" => ECDsa.Create(ECCurve.NamedCurves.nistP256),
            "P-384" => ECDsa.Create(ECCurve.NamedCurves.nistP384),
            "P-521" => ECDsa.Create(ECCurve.NamedCurves.nistP521),
            _ => RSA.Create(int.Parse(kind.Split('-')[1], CultureInfo.InvariantCulture)),
        };
        var name = CertificateIssuer.Name("o", "authority");
        X509SignatureGenerator generator = key is RSA rsa
            ? X509SignatureGenerator.CreateForRSA(rsa, kind.EndsWith("PSS", StringComparison.Ordinal) ? RSASignaturePadding.Pss : RSASignaturePadding.Pkcs1)
            : X509SignatureGenerator.CreateForECDsa((ECDsa)key);
        X509SignatureGenerator signing = hash == "SHA1" ? new Sha1(generator, key) : generator;
        PublicKey publicKey = key is RSA known ? new PublicKey(known) : new PublicKey((ECDsa)key);
        var request = new CertificateRequest(name, publicKey, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, true, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
        X509Certificate2 authority = request.Create(name, generator, Start, Forge.Now.AddYears(1), CertificateIssuer.NewSerial());
        byte[]? leaf = null;
        Forge forge = Forge.V2 with
        {
            Certificate = der => leaf = Reissued(der, authority, signing, new HashAlgorithmName(hash)),
            Root = root => root.Instance("certificateAuthorities")["certChain"]!["certificates"] = new JsonArray(new JsonObject { ["rawBytes"] = Convert.ToBase64String(authority.RawData) }),
        };
        _ = reason is null ? Verdict.Accepts(forge) : (object)Verdict.Refuses(reason, forge);
        Assert.IsNotNull(leaf);
    }

    // The signature itself is right, under the name of an algorithm that its key, or its hash, does not have.
    [TestMethod]
    [Clause("C.15")]
    [DataRow("Ed25519", "1.3.101.112", "SHA512", null)]
    [DataRow("Ed25519", "1.3.101.113", "SHA512", "cert.signature")]
    [DataRow("Ed25519", "1.2.840.10045.4.3.4", "SHA512", "cert.signature")]
    [DataRow("P-256", "1.2.840.10045.4.3.4", "SHA512", null)]
    [DataRow("P-256", "1.2.840.10045.4.3.1", "SHA512", "cert.signature")]
    [DataRow("P-256", "1.2.840.113549.1.1.11", "SHA256", "cert.signature")]
    [DataRow("P-256", "1.2.840.113549.1.1.12", "SHA384", "cert.signature")]
    [DataRow("P-256", "1.2.840.113549.1.1.13", "SHA512", "cert.signature")]
    [DataRow("P-256", "1.3.101.112", "SHA512", "cert.signature")]
    [DataRow("RSA-2048", "1.2.840.113549.1.1.13", "SHA512", null)]
    [DataRow("RSA-2048", "1.2.840.113549.1.1.14", "SHA512", "cert.signature")]
    [DataRow("RSA-2048", "1.2.840.10045.4.3.2", "SHA256", "cert.signature")]
    [DataRow("RSA-2048", "1.2.840.10045.4.3.3", "SHA384", "cert.signature")]
    [DataRow("RSA-2048", "1.2.840.10045.4.3.4", "SHA512", "cert.signature")]
    public void Takes_a_signature_under_the_name_of_its_own_algorithm(string kind, string oid, string hash, string? reason)
    {
        ForgedKey key = kind switch
        {
            "Ed25519" => ForgedKey.Ed25519(prehash: false),
            "P-256" => ForgedKey.Of(ECDsa.Create(ECCurve.NamedCurves.nistP256), new HashAlgorithmName(hash)),
            _ => ForgedKey.Of(RSA.Create(2048), new HashAlgorithmName(hash)),
        };
        var name = CertificateIssuer.Name("o", "authority");
        var signing = new Naming(oid, key);
        var request = new CertificateRequest(name, signing.PublicKey, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, true, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
        X509Certificate2 authority = request.Create(name, signing, Start, Forge.Now.AddYears(1), CertificateIssuer.NewSerial());
        Forge forge = Forge.V2 with
        {
            Certificate = der => Reissued(der, authority, signing, HashAlgorithmName.SHA256),
            Root = root => root.Instance("certificateAuthorities")["certChain"]!["certificates"] = new JsonArray(new JsonObject { ["rawBytes"] = Convert.ToBase64String(authority.RawData) }),
        };
        _ = reason is null ? Verdict.Accepts(forge) : (object)Verdict.Refuses(reason, forge);
    }

    // Two proven moments, and an authority that was valid, or in use, at one of them only.
    [TestMethod]
    [Clause("C.18", "C.26")]
    public void Holds_the_chain_at_each_proven_moment()
    {
        DateTimeOffset between = Forge.Now.AddMinutes(2);
        foreach ((string reason, DateTimeOffset intermediateTo, DateTimeOffset rootTo) in ((string, DateTimeOffset, DateTimeOffset)[])[("cert.path", between, Forge.Now.AddYears(1)), ("cert.path", Forge.Now.AddYears(1), between)])
        {
            var root = CertificateIssuer.Root(CertificateIssuer.Name("o", "short root"), 1, Start, rootTo);
            CertificateIssuer issuer = root.Intermediate(CertificateIssuer.Name("o", "short"), 0, "1.3.6.1.5.5.7.3.3", Start, intermediateTo);
            Forge forge = Forge.V2 with
            {
                Authority = issuer,
                Root = trusted => trusted.Instance("certificateAuthorities")["certChain"]!["certificates"] =
                    new JsonArray(new JsonObject { ["rawBytes"] = Convert.ToBase64String(issuer.Certificate.RawData) }, new JsonObject { ["rawBytes"] = Convert.ToBase64String(root.Certificate.RawData) }),
            };
            Stamped early = new() { GenTime = between.AddSeconds(-1) }, late = new() { GenTime = between.AddSeconds(1), Authority = Forge.World.SecondTsa };
            Verdict.Accepts(forge with { Timestamps = [early] });
            Verdict.Accepts(forge with { Timestamps = [early with { GenTime = between }] });
            Verdict.Refuses(reason, forge with { Timestamps = [early, late] });
            Verdict.Refuses(reason, forge with { Timestamps = [late, early] });
            Verdict.Refuses(reason, forge with { Timestamps = [late], Entries = [new LoggedIn(LogKind.V1)] });
        }

        Action<JsonObject> window = root => root.Instance("certificateAuthorities")["validFor"]!["end"] = "2026-11-23T06:02:00Z";
        Verdict.Accepts(Forge.V1 with { Root = window });
        Verdict.Refuses("cert.window", Forge.V1 with { Root = window, Timestamps = [new Stamped { GenTime = between.AddSeconds(1) }] });
    }

    public static IEnumerable<object[]> Fields =>
    [
        Row("a certificate", true, new()),
        Row("a serial number of 20 bytes", true, new(Serial: [2, 20, 0x7f, .. new byte[19]])),
        Row("a serial number of 20 bytes and a sign", true, new(Serial: [2, 21, 0, 0x80, .. new byte[19]])),
        Row("a serial number of 21 bytes", false, new(Serial: [2, 22, 0, 0x80, .. new byte[20]])),
        Row("a serial number of zero", false, new(Serial: [2, 1, 0])),
        Row("a negative serial number", false, new(Serial: [2, 1, 0x80])),
        Row("a serial number with leading zeros", false, new(Serial: [2, 2, 0, 1])),
        Row("version 1", false, new(Version: [])),
        Row("version 2", false, new(Version: [0xa0, 3, 2, 1, 1])),
        Row("version 4", false, new(Version: [0xa0, 3, 2, 1, 3])),
        Row("another algorithm inside", false, new(InnerAlgorithm: [0x30, 5, 6, 3, 0x2b, 0x65, 0x71])),
        Row("parameters of the algorithm", false, new(OuterAlgorithm: [0x30, 7, 6, 3, 0x2b, 0x65, 0x70, 5, 0])),
        Row("a time with a fraction", false, new(To: [0x18, 17, .. "20500101000000.5Z"u8])),
        Row("a time in 2050", true, new(To: [0x18, 15, .. "20500101000000Z"u8])),
        Row("a time without seconds", false, new(To: [0x17, 11, .. "2711230600Z"u8])),
        Row("a time with an offset", false, new(To: [0x17, 17, .. "271123060000+0100"u8])),
        Row("a time that is none", false, new(To: [0x17, 13, .. "271323060000Z"u8])),
        Row("an issuer's unique id", false, new(AfterKey: [0x81, 2, 0, 1])),
        Row("a subject's unique id", false, new(AfterKey: [0x82, 2, 0, 1])),
        Row("no extensions at all", false, new(Extensions: [])),
        Row("something after the extensions", false, new(Extensions: [.. Wrapped([.. Extension(1)]), 5, 0])),
        Row("an extension twice", false, new(Extensions: Wrapped([.. Extension(1), .. Extension(1)]))),
        Row("a critical flag that is spelled out as false", false, new(Extensions: Wrapped([0x30, 9, 6, 2, 0x2a, 3, 1, 1, 0, 4, 0]))),
        Row("a critical flag of another byte", false, new(Extensions: Wrapped([0x30, 9, 6, 2, 0x2a, 3, 1, 1, 1, 4, 0]))),
        Row("something after an extension's value", false, new(Extensions: Wrapped([0x30, 8, 6, 2, 0x2a, 3, 4, 0, 5, 0]))),
        Row("128 extensions", true, new(Extensions: Wrapped([.. Enumerable.Range(1, 128).SelectMany(Extension)]))),
        Row("129 extensions", false, new(Extensions: Wrapped([.. Enumerable.Range(1, 129).SelectMany(Extension)]))),
        Row("a signature of broken bytes", false, new(Signature: [3, 2, 1, 0])),
        Row("something after the signature", false, new(Signature: [3, 2, 0, 0, 5, 0])),
    ];

    [TestMethod]
    [Clause("C.1", "C.2", "C.3", "C.4", "C.5", "C.6", "C.7")]
    [DynamicData(nameof(Fields), DynamicDataDisplayName = nameof(Name))]
    public void Reads_or_refuses(string what, bool good, object fields)
    {
        byte[] der = ((Made)fields).Write();
        if (good)
        {
            _ = Certificate.Parse(der);
            Assert.ThrowsExactly<FormatException>(() => Certificate.Parse([.. der, 0]), what);
        }
        else
        {
            Assert.ThrowsExactly<FormatException>(() => Certificate.Parse(der), what);
            Verdict.Refuses("cert.der", Forge.V1 with { Version = "0.1" }, Edited("0.1"), what);
            Verdict.Refuses("cert.der", Forge.V2, Edited("0.3"), what);
        }

        byte[] Edited(string version)
        {
            JsonObject bundle = JsonNode.Parse((version == "0.1" ? Old : New).Value)!.AsObject();
            (bundle.Material()["certificate"] ?? bundle.Material()["x509CertificateChain"]!["certificates"]![0])!["rawBytes"] = Convert.ToBase64String(der);
            return System.Text.Encoding.UTF8.GetBytes(bundle.ToJsonString());
        }
    }

    [TestMethod]
    [Clause("C.34", "C.36", "C.40")]
    public void Refuses_a_subject_that_is_not_text_of_its_kind()
    {
        foreach ((string reason, byte[] name) in ((string, byte[])[])
        [
            ("policy.san-encoding", [0x86, 4, .. "a:"u8, 0xc3, 0xa9]), // UTF-8 in an IA5String
            ("policy.san-encoding", [0x81, 3, (byte)'@', 0x80, 0x81]),
            ("policy.san-encoding", [0x86, 3, .. "a:"u8, 0x7f]),
            ("policy.san-encoding", [0xa0, 18, 6, 10, 0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 7, 0xa0, 4, 0x0c, 2, 0xc3, 0x28]), // broken UTF-8
            ("policy.san-type", [0xa0, 12, 6, 3, 0x2a, 3, 4, 0xa0, 5, 0x0c, 3, .. "a!b"u8]), // a name of another kind
            ("policy.san-type", [0x82, 11, .. "example.com"u8]),
            ("policy.san-type", [0x87, 4, 127, 0, 0, 1]),
            ("policy.san-type", [0xa4, 2, 0x30, 0]),
            ("policy.san-type", [0x88, 1, 1]),
            ("cert.san", [0x86, 1, .. "a"u8, 0x86]),
            ("policy.san-type", [0x46, 3, .. "a:b"u8]), // numbers of the kinds that are taken, in another class
            ("policy.san-type", [0x41, 3, .. "a@b"u8]),
            ("policy.san-type", [0x60, 19, 6, 10, 0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 7, 0xa0, 5, 0x0c, 3, .. "a!b"u8]),
            ("policy.identity", [0xa0, 19, 6, 10, 0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 7, 0xa0, 5, 0x0c, 3, .. "a!b"u8]), // nothing wrong but whose it is
            ("policy.san-encoding", [0xa0, 21, 6, 10, 0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 7, 0xa0, 7, 0x0c, 3, .. "a!b"u8, 5, 0]), // something after the text
            ("policy.san-encoding", [0xa0, 21, 6, 10, 0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 7, 0xa0, 5, 0x0c, 3, .. "a!b"u8, 5, 0]), // something after the value
        ])
        {
            byte[] san = [0x30, (byte)name.Length, .. name];
            Verdict.Refuses(reason, Forge.V2 with
            {
                Extensions = extensions => [.. extensions.Where(extension => extension.Oid!.Value != "2.5.29.17"), new X509Extension("2.5.29.17", san, critical: true)],
            });
        }

        Verdict.Refuses("cert.san", Forge.V2 with
        {
            Extensions = extensions => extensions.Select(extension => extension.Oid!.Value == "2.5.29.17" ? new X509Extension("2.5.29.17", [.. extension.RawData, 5, 0], critical: true) : extension),
        });
    }

    // Verdicts are the same wherever they are made. The culture is made here, since not every machine has others.
    [TestMethod]
    public void Gives_one_verdict_in_every_culture()
    {
        CultureInfo before = CultureInfo.CurrentCulture, other = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        (other.NumberFormat.NegativeSign, other.NumberFormat.NumberDecimalSeparator, other.NumberFormat.NumberGroupSeparator) = ("~", ",", ".");
        (other.DateTimeFormat.DateSeparator, other.DateTimeFormat.TimeSeparator) = ("/", ".");
        CultureInfo.CurrentCulture = other;
        try
        {
            foreach (LogKind log in Enum.GetValues<LogKind>())
            {
                Verdict.Accepts(Forge.LoggedBy(log));
                Verdict.Refuses("bundle.number", Forge.LoggedBy(log) with { Bundle = bundle => bundle.Entry()["logIndex"] = "~4" });
                Verdict.Refuses("policy.identity", Forge.LoggedBy(log), Policy.Exactly(Forge.Identity.ToUpperInvariant(), Forge.Issuer, null));
            }

            _ = new SimpleForge().Verify();
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    public static string Name(System.Reflection.MethodInfo method, object[] data) => $"{method.Name} {data[0]}";

    private static readonly Lazy<byte[]> Old = new(() => (Forge.V1 with { Version = "0.1" }).Make()), New = new(Forge.V2.Make);

    private static object[] Row(string what, bool good, Made fields) => [what, good, fields];

    private static byte[] Extension(int number) => [0x30, 8, 6, 4, 0x2a, 3, (byte)(0x81 + (number >> 7)), (byte)(number & 0x7f), 4, 0];

    private static byte[] Wrapped(byte[] extensions) => Der([0xa3], Der([0x30], extensions));

    private static byte[] Der(byte[] tag, byte[] content) => content.Length < 128
        ? [.. tag, (byte)content.Length, .. content]
        : content.Length < 256 ? [.. tag, 0x81, (byte)content.Length, .. content] : [.. tag, 0x82, (byte)(content.Length >> 8), (byte)content.Length, .. content];

    // The leaf's own key and extensions under another issuer, with an SCT for that.
    private static byte[] Reissued(byte[] der, X509Certificate2 issuer, X509SignatureGenerator generator, HashAlgorithmName hash)
    {
        using X509Certificate2 leaf = X509CertificateLoader.LoadCertificate(der);
        X509Extension[] own = [.. leaf.Extensions.Where(extension => extension.Oid!.Value is not (SignedCertificateTimestamp.ExtensionOid or "2.5.29.35"))];
        byte[] serial = CertificateIssuer.NewSerial();
        byte[] sct = Forge.World.CtLog.Add(issuer.PublicKey.ExportSubjectPublicKeyInfo(), Fulcio.Tbs(Issue(own)));
        return Issue([.. own, Fulcio.SctExtension(CtLog.List([sct]))]).RawData;

        X509Certificate2 Issue(IEnumerable<X509Extension> extensions)
        {
            var request = new CertificateRequest(leaf.SubjectName, leaf.PublicKey, hash);
            foreach (X509Extension extension in extensions)
            {
                request.CertificateExtensions.Add(extension);
            }

            return request.Create(issuer.SubjectName, generator, leaf.NotBefore, leaf.NotAfter, serial);
        }
    }

    /// <summary>Signs with SHA-1, which the platform no longer does for certificates.</summary>
    private sealed class Sha1(X509SignatureGenerator other, AsymmetricAlgorithm key) : X509SignatureGenerator
    {
        public override byte[] GetSignatureAlgorithmIdentifier(HashAlgorithmName hashAlgorithm) => key is RSA
            ? [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5, 5, 0]
            : [0x30, 9, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1];

        public override byte[] SignData(byte[] data, HashAlgorithmName hashAlgorithm) => key is RSA rsa
            ? rsa.SignData(data, HashAlgorithmName.SHA1, RSASignaturePadding.Pkcs1)
            : ((ECDsa)key).SignData(data, HashAlgorithmName.SHA1, DSASignatureFormat.Rfc3279DerSequence);

        protected override PublicKey BuildPublicKey() => other.PublicKey;
    }

    /// <summary>Signs with the key and says that it was this algorithm.</summary>
    private sealed class Naming(string oid, ForgedKey key) : X509SignatureGenerator
    {
        public override byte[] GetSignatureAlgorithmIdentifier(HashAlgorithmName hashAlgorithm) => ForgedToken.Der(writer =>
        {
            using (writer.PushSequence())
            {
                writer.WriteObjectIdentifier(oid);
            }
        });

        public override byte[] SignData(byte[] data, HashAlgorithmName hashAlgorithm) => key.Sign(data);

        protected override PublicKey BuildPublicKey() => PublicKey.CreateFromSubjectPublicKeyInfo(key.Spki, out _);
    }

    /// <summary>DER of the fields of a small certificate.</summary>
    private sealed record Made(
        byte[]? Version = null, byte[]? Serial = null, byte[]? InnerAlgorithm = null, byte[]? OuterAlgorithm = null, byte[]? To = null, byte[]? AfterKey = null, byte[]? Extensions = null, byte[]? Signature = null)
    {
        private static readonly byte[] Ed25519 = [0x30, 5, 6, 3, 0x2b, 0x65, 0x70];

        public byte[] Write()
        {
            byte[] validity = Der([0x30], [0x17, 13, .. "261123060000Z"u8, .. To ?? [0x17, 13, .. "271123060000Z"u8]]);
            byte[] tbs = Der([0x30],
            [
                .. Version ?? [0xa0, 3, 2, 1, 2], .. Serial ?? [2, 1, 1], .. InnerAlgorithm ?? Ed25519, 0x30, 0, .. validity, 0x30, 0, .. Der([0x30], [.. Ed25519, 3, 2, 0, 1]),
                .. AfterKey ?? [], .. Extensions ?? Wrapped(Extension(1)),
            ]);
            return Der([0x30], [.. tbs, .. OuterAlgorithm ?? Ed25519, .. Signature ?? [3, 2, 0, 0]]);
        }
    }
}
