using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

/// <summary>RFC 3161 responses line by line: what a known authority may leave open, and each way in which its token can be wrong.</summary>
[TestClass]
public sealed class TimestampTests
{
    private static readonly byte[] Null = [5, 0];

    public static IEnumerable<object[]> Good => Rows(
        ("nothing optional", new()),
        ("granted with modifications", new() { Status = 1 }),
        ("a status text", new() { StatusText = ForgedToken.Der(status => { using (status.PushSequence()) { status.WriteCharacterString(UniversalTagNumber.UTF8String, "granted"); } }) }),
        ("failure bits without a text", new() { StatusText = [3, 2, 7, 0x80] }),
        ("an accuracy", new() { AfterTime = [0x30, 3, 2, 1, 1] }),
        ("an accuracy of milli- and microseconds", new() { AfterTime = [0x30, 6, 0x80, 1, 5, 0x81, 1, 6] }),
        ("ordering", new() { AfterTime = [1, 1, 0xff] }),
        ("a nonce", new() { AfterTime = [2, 8, 0x7f, 2, 3, 4, 5, 6, 7, 8] }),
        ("an authority's name", new() { AfterTime = [0xa0, 4, 0xa4, 2, 0x30, 0] }),
        ("everything optional", new() { AfterTime = [0x30, 3, 2, 1, 1, 1, 1, 0xff, 2, 1, 9, 0xa0, 4, 0xa4, 2, 0x30, 0] }),
        ("an extension that is not critical", new() { AfterTime = Extension(critical: false) }),
        ("a fraction of a second", new() { GenTime = ForgedToken.Time("20261123060100.123Z") }),
        ("nine digits of a second", new() { GenTime = ForgedToken.Time("20261123060100.123456789Z") }),
        ("its certificate", new() { Bag = Bag(Forge.World.Tsa.Leaf.RawData) }),
        ("the whole chain", new() { Bag = Bag(Forge.World.Tsa.Root.Certificate.RawData, Forge.World.Tsa.Leaf.RawData) }),
        ("another certificate first in the bag", new() { Bag = Bag(Forge.World.Fulcio.Intermediate.Certificate.RawData, Forge.World.Tsa.Leaf.RawData) }),
        ("a forged certificate of the authority's name in the bag", new() { Bag = Bag(Twin().Certificate.RawData, Forge.World.Tsa.Leaf.RawData) }),
        ("garbage in the bag", new() { Bag = [0xa0, 2, 5, 0] }),
        ("an empty bag", new() { Bag = [0xa0, 0] }),
        ("a revocation list", new() { Bag = [0xa1, 2, 0x30, 0] }),
        ("the signer by its key identifier", new() { ByKeyIdentifier = true }),
        ("an unsigned attribute", new() { AfterSignature = [0xa1, 11, 0x30, 9, 6, 3, 0x2a, 3, 4, 0x31, 2, 5, 0] }),
        ("a signed attribute nobody knows", new() { Attributes = With("1.2.3.4", Null) }),
        ("SHA-384 throughout", new() { Digest = ForgedToken.Sha384, DigestAlgorithms = [ForgedToken.Sha384], Imprint = ForgedToken.Sha384, SignatureAlgorithm = "1.2.840.10045.4.3.3" }),
        ("SHA-512 throughout", new() { Digest = ForgedToken.Sha512, DigestAlgorithms = [ForgedToken.Sha512], Imprint = ForgedToken.Sha512, SignatureAlgorithm = "1.2.840.10045.4.3.4" }),
        ("the certificate's SHA-384", new() { Attributes = With(ForgedToken.CertificateV2, ForgedToken.CertificateId(SHA384.HashData(Forge.World.Tsa.Leaf.RawData), ForgedToken.Sha384)) }),
        ("the certificate's SHA-256, named although it is the default", new() { Attributes = With(ForgedToken.CertificateV2, ForgedToken.CertificateId(SHA256.HashData(Forge.World.Tsa.Leaf.RawData), ForgedToken.Sha256)) }),
        ("the certificate by the first version of the attribute", new() { Attributes = FirstVersion }));

    [TestMethod]
    [DynamicData(nameof(Good), DynamicDataDisplayName = nameof(Name))]
    public void Accepts_a_token_with(string what, object token) => Verdict.Accepts(Stamp(what, token));

    public static IEnumerable<object[]> Malformed => Rows(
        ("status 2, rejection", new() { Status = 2 }),
        ("status 3, waiting", new() { Status = 3 }),
        ("status 4, revocation warning", new() { Status = 4 }),
        ("status 5, revocation notification", new() { Status = 5 }),
        ("a negative status", new() { Status = -1 }),
        ("no token", new() { HasToken = false }),
        ("a rejection without a token", new() { HasToken = false, Status = 2 }),
        ("a byte after the response", new() { AfterToken = [0] }),
        ("a second response", new() { AfterToken = [0x30, 5, 0x30, 3, 2, 1, 0] }),
        ("a status of too many bytes", new() { Response = tree => tree[0, 0].Value = [1, 0, 0, 0, 0, 0, 0, 0, 0] }),
        ("something after the status' text and bits", new() { Response = tree => tree[0].Parts.AddRange([Der.Holding(0x30), Der.Of(3, 7, 0x80), Der.Of(5)]) }),
        ("something after the token in the response", new() { Response = tree => tree.Parts.Add(Der.Of(5)) }),
        ("something after the content of the token", new() { Response = tree => tree[1].Parts.Add(Der.Of(5)) }),
        ("something after SignedData", new() { Response = tree => tree[1, 1].Parts.Add(Der.Of(5)) }),
        ("something after the announced algorithm", new() { Response = tree => tree[1, 1, 0, 1, 0].Parts.Add(Der.Of(5)) }),
        ("something after the octets of the TSTInfo", new() { Response = tree => tree[1, 1, 0, 2, 1].Parts.Add(Der.Of(4, 0)) }),
        ("something after the TSTInfo in its place", new() { Response = tree => tree[1, 1, 0, 2].Parts.Add(Der.Of(5)) }),
        ("something after the signers", new() { Response = tree => tree[1, 1, 0].Parts.Add(Der.Of(5)) }),
        ("something after issuer and serial number", new() { Response = tree => Signer(tree)[1].Parts.Add(Der.Of(5)) }),
        ("something after a signed attribute", new() { MoreAttributes = [0x30, 11, 6, 3, 0x2a, 3, 4, 0x31, 2, 5, 0, 5, 0] }),
        ("something after the signature's algorithm", new() { Response = tree => Signer(tree)[4].Parts.AddRange([Der.Of(5), Der.Of(5)]) }),
        ("something after the unsigned attributes", new() { Response = tree => Signer(tree).Parts.AddRange([Der.Holding(0xa1), Der.Of(5)]) }),
        ("something after the imprint", new() { Info = info => Der.Edited(info, tree => tree[2].Parts.Add(Der.Of(5))) }),
        ("SignedData of a version of too many bytes", new() { Response = tree => tree[1, 1, 0, 0].Value = [1, 0, 0, 0, 0, 0, 0, 0, 3] }),
        ("TSTInfo of a version of too many bytes", new() { Info = info => Der.Edited(info, tree => tree[0].Value = [1, 0, 0, 0, 0, 0, 0, 0, 1]) }),
        ("a signer of a version of too many bytes", new() { Response = tree => Signer(tree)[0].Value = [1, 0, 0, 0, 0, 0, 0, 0, 1] }),
        ("a token of another type", new() { TokenType = "1.2.840.113549.1.7.1" }),
        ("SignedData of version 1", new() { SignedDataVersion = 1 }),
        ("content of another type", new() { ContentTypeOfToken = "1.2.840.113549.1.7.1" }),
        ("content that is no TSTInfo", new() { Info = _ => Null }),
        ("a byte after the TSTInfo", new() { Info = info => [.. info, 0] }),
        ("TSTInfo of version 2", new() { InfoVersion = 2 }),
        ("two signers", new() { Signers = 2 }),
        ("no signer", new() { Signers = 0 }),
        ("a signer of version 2", new() { SignerVersion = 2 }),
        ("a signer by key identifier that says version 1", new() { ByKeyIdentifier = true, SignerVersion = 1 }),
        ("no signed attributes", new() { HasAttributes = false }),
        ("no content type", new() { Attributes = Without(ForgedToken.ContentType) }),
        ("another signed content type", new() { Attributes = With(ForgedToken.ContentType, ForgedToken.Der(type => type.WriteObjectIdentifier("1.2.840.113549.1.7.1"))) }),
        ("two content types", new() { Attributes = With(ForgedToken.ContentType, ForgedToken.Der(type => type.WriteObjectIdentifier(ForgedToken.TstInfo)), ForgedToken.Der(type => type.WriteObjectIdentifier("1.2.3"))) }),
        ("no message digest", new() { Attributes = Without(ForgedToken.MessageDigest) }),
        ("two message digests", new() { Attributes = With(ForgedToken.MessageDigest, ForgedToken.Der(one => one.WriteOctetString(new byte[32])), ForgedToken.Der(two => two.WriteOctetString([1]))) }),
        ("a second message digest in an attribute of its own", new() { MoreAttributes = [0x30, 15, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4, 0x31, 2, 4, 0] }),
        ("no certificate id", new() { Attributes = Without(ForgedToken.CertificateV2) }),
        ("an empty certificate id", new() { Attributes = With(ForgedToken.CertificateV2, [0x30, 2, 0x30, 0]) }),
        ("an imprint by SHA-1", new() { Imprint = ForgedToken.Sha1 }),
        ("a digest by SHA-1", new() { Digest = ForgedToken.Sha1, DigestAlgorithms = [ForgedToken.Sha1], SignatureAlgorithm = "1.2.840.10045.4.1" }),
        ("another digest algorithm than announced", new() { DigestAlgorithms = [ForgedToken.Sha512] }),
        ("a second digest algorithm announced", new() { DigestAlgorithms = [ForgedToken.Sha256, ForgedToken.Sha512] }),
        ("a critical extension that nobody knows", new() { AfterTime = Extension(critical: true) }),
        ("something after the extensions", new() { AfterTime = [.. Extension(critical: false), .. Null] }),
        ("a moment in local time", new() { GenTime = ForgedToken.Time("20261123060100") }),
        ("a moment with an offset", new() { GenTime = ForgedToken.Time("20261123070100+0100") }),
        ("a moment without seconds", new() { GenTime = ForgedToken.Time("202611230601Z") }),
        ("a fraction that ends in zero", new() { GenTime = ForgedToken.Time("20261123060100.10Z") }),
        ("a moment as UTCTime", new() { GenTime = [0x17, 13, .. "261123060100Z"u8] }),
        ("a moment that is none", new() { GenTime = ForgedToken.Time("20261323060100Z") }));

    [TestMethod]
    [Clause("T.2", "T.3", "T.4", "T.5", "T.6", "T.7", "T.8", "T.9", "T.10", "T.11", "T.12", "T.13", "T.14", "T.15", "T.16")]
    [DynamicData(nameof(Malformed), DynamicDataDisplayName = nameof(Name))]
    public void Refuses_a_token_with(string what, object token) => Verdict.Refuses("time.token", Stamp(what, token));

    // Not DER at that place either, but to a person that says less.
    [TestMethod]
    [Clause("T.10", "T.15")]
    public void Says_what_a_token_lacks_or_has_too_much_of()
    {
        Assert.Contains("no signed attributes", Verdict.Refuses("time.token", Stamp("no attributes", new ForgedToken { HasAttributes = false })).Message);
        Assert.Contains("TSTInfo goes on", Verdict.Refuses("time.token", Stamp("another end", new ForgedToken { AfterTime = Null })).Message);
    }

    [TestMethod]
    [Clause("T.20", "T.21", "T.22", "T.23", "T.24", "T.46")]
    public void Refuses_a_token_that_does_not_fit_what_it_is_about_or_who_signed()
    {
        Refuses("time.imprint", new() { ImprintBytes = imprint => imprint.Flipped(0) });
        Refuses("time.imprint", new() { ImprintBytes = imprint => imprint[..31] });
        Refuses("time.imprint", new() { ImprintBytes = imprint => [.. imprint, 0] });
        Refuses("time.imprint", new() { ImprintBytes = _ => [] });
        Refuses("time.digest", new() { Attributes = With(ForgedToken.MessageDigest, ForgedToken.Der(digest => digest.WriteOctetString(new byte[32]))) });
        Refuses("time.digest", new() { Attributes = With(ForgedToken.MessageDigest, ForgedToken.Der(digest => digest.WriteOctetString([]))) });
        Refuses("time.signer", new() { Attributes = With(ForgedToken.CertificateV2, ForgedToken.CertificateId(new byte[32])) });
        Refuses("time.signer", new() { Attributes = With(ForgedToken.CertificateV2, ForgedToken.CertificateId(SHA256.HashData(Forge.World.Tsa.Leaf.RawData)[..31])) });
        Refuses("time.signer", new() { Serial = [1] });
        Refuses("time.signer", new() { Serial = [1], Attributes = FirstVersion });
        Refuses("time.signer", new() { ByKeyIdentifier = true, KeyIdentifier = new byte[20] });
        Refuses("time.signature", new() { SignatureAlgorithm = "1.2.840.10045.4.3.3" });
        Refuses("time.signature", new() { SignatureAlgorithm = "1.2.840.10045.4.1" }); // ECDSA with SHA-1
        Refuses("time.signature", new() { SignatureAlgorithm = "1.2.840.113549.1.1.11" });
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        Refuses("time.signature", new() { Key = other });

        static void Refuses(string reason, ForgedToken token) => Verdict.Refuses(reason, Stamp(reason, token));
    }

    // The bag is the sender's: a certificate in it that names the authority, with a key of the sender's, signs nothing.
    [TestMethod]
    [Clause("T.19", "T.20")]
    public void Refuses_a_token_signed_by_a_certificate_that_the_bag_alone_vouches_for()
    {
        (X509Certificate2 certificate, ECDsa key) = Twin();
        Verdict.Refuses("time.signature", Stamp("twin", new ForgedToken
        {
            Certificate = Forge.World.Tsa.Leaf, // named in id and attribute
            Key = key,
            Bag = Bag(certificate.RawData, Forge.World.Tsa.Leaf.RawData),
        }));
        // Named as itself it is a stranger.
        Verdict.Refuses("time.missing", Stamp("stranger", new ForgedToken { Certificate = certificate, Key = key, Bag = Bag(certificate.RawData), Attributes = With(ForgedToken.CertificateV2, ForgedToken.CertificateId(new byte[32])), Serial = [9] }));
    }

    // What a stranger stamped is none of our business, in whatever way it was made, as long as it tells whose it is.
    [TestMethod]
    [Clause("T.18", "T.45")]
    [DataRow("SHA-1 imprint")]
    [DataRow("SHA-1 digest")]
    [DataRow("two signers")]
    [DataRow("no attributes")]
    [DataRow("no certificate id")]
    [DataRow("content of another type")]
    [DataRow("content that is no TSTInfo")]
    [DataRow("a critical extension")]
    [DataRow("SignedData of version 1")]
    [DataRow("another imprint")]
    [DataRow("the known certificate's hash in an attribute of another meaning")]
    [DataRow("32 signers")]
    [DataRow("a broken signature")]
    public void Ignores_a_token_of_an_unknown_authority_with(string what)
    {
        var stranger = new ForgedToken { Certificate = Forge.World.StrangeTsa.Leaf, Key = Forge.World.StrangeTsa.Key };
        ForgedToken token = what switch
        {
            "SHA-1 imprint" => stranger with { Imprint = ForgedToken.Sha1 },
            "SHA-1 digest" => stranger with { Digest = ForgedToken.Sha1, DigestAlgorithms = [ForgedToken.Sha1], SignatureAlgorithm = "1.2.840.10045.4.1" },
            "two signers" => stranger with { Signers = 2 },
            "no attributes" => stranger with { HasAttributes = false },
            "no certificate id" => stranger with { Attributes = Without(ForgedToken.CertificateV2) },
            "content of another type" => stranger with { ContentTypeOfToken = "1.2.840.113549.1.7.1" },
            "content that is no TSTInfo" => stranger with { Info = _ => Null },
            "a critical extension" => stranger with { AfterTime = Extension(critical: true) },
            "SignedData of version 1" => stranger with { SignedDataVersion = 1 },
            "another imprint" => stranger with { ImprintBytes = imprint => imprint.Flipped(0) },
            "the known certificate's hash in an attribute of another meaning" => stranger with
            {
                Attributes = attributes => FirstVersion(attributes).ToDictionary(attribute => attribute.Key == ForgedToken.CertificateV1 ? "1.2.3.4" : attribute.Key, attribute => attribute.Value),
            },
            "32 signers" => stranger with { Signers = 32 },
            _ => stranger with { Key = Forge.World.SecondTsa.Key },
        };
        foreach (Stamped[] stamps in (Stamped[][])[[new Stamped { Token = token }, new Stamped()], [new Stamped(), new Stamped { Token = token }]])
        {
            Verdict.Accepts(Forge.V2 with { Timestamps = stamps });
        }

        Verdict.Refuses("time.missing", Forge.V2 with { Timestamps = [new Stamped { Token = token }] });
    }

    // One of two signers is known: then the token is a known authority's, and wrong.
    [TestMethod]
    [Clause("T.1", "T.17")]
    public void Refuses_what_says_nobodys_name_or_a_known_one_among_others()
    {
        byte[] tooMany = new ForgedToken { Certificate = Forge.World.StrangeTsa.Leaf, Key = Forge.World.StrangeTsa.Key, Signers = 33 }.Make([]);
        foreach (byte[] response in (byte[][])[[5, 0], [0x30, 0], "not DER"u8.ToArray(), [0x30, 0x80, 0, 0], tooMany])
        {
            Verdict.Refuses("time.token", Forge.V2 with { Timestamps = [new Stamped(), new Stamped { Edit = _ => response }] });
        }
    }

    [TestMethod]
    [Clause("T.46")]
    public void Takes_an_authority_with_an_RSA_key()
    {
        using var rsa = RSA.Create(2048);
        X509Certificate2 leaf = Leaf(new PublicKey(rsa));
        foreach (string algorithm in (string[])["1.2.840.113549.1.1.1", "1.2.840.113549.1.1.11"])
        {
            Verdict.Accepts(Listing(leaf, new ForgedToken { Certificate = leaf, Key = rsa, SignatureAlgorithm = algorithm }));
        }

        Verdict.Refuses("time.signature", Listing(leaf, new ForgedToken { Certificate = leaf, Key = rsa, SignatureAlgorithm = "1.2.840.113549.1.1.12" }));
        Verdict.Refuses("time.signature", Listing(leaf, new ForgedToken { Certificate = leaf, Key = rsa, SignatureAlgorithm = "1.2.840.113549.1.1.5" })); // SHA-1
    }

    // The signature itself is right, under the name of an algorithm that its key, or its hash, does not have.
    [TestMethod]
    [Clause("T.46")]
    [DataRow(true, "1.2.840.113549.1.1.1", ForgedToken.Sha512, true)]
    [DataRow(true, "1.2.840.113549.1.1.12", ForgedToken.Sha384, true)]
    [DataRow(true, "1.2.840.113549.1.1.13", ForgedToken.Sha512, true)]
    [DataRow(true, "1.2.840.113549.1.1.14", ForgedToken.Sha384, false)]
    [DataRow(true, "1.2.840.113549.1.1.14", ForgedToken.Sha512, false)]
    [DataRow(true, "1.2.840.10045.4.3.2", ForgedToken.Sha256, false)]
    [DataRow(true, "1.2.840.10045.4.3.3", ForgedToken.Sha384, false)]
    [DataRow(true, "1.2.840.10045.4.3.4", ForgedToken.Sha512, false)]
    [DataRow(false, "1.2.840.10045.4.3.3", ForgedToken.Sha384, true)]
    [DataRow(false, "1.2.840.10045.4.3.4", ForgedToken.Sha512, true)]
    [DataRow(false, "1.2.840.10045.4.3.1", ForgedToken.Sha512, false)]
    [DataRow(false, "1.2.840.113549.1.1.1", ForgedToken.Sha256, false)]
    [DataRow(false, "1.2.840.113549.1.1.11", ForgedToken.Sha256, false)]
    [DataRow(false, "1.2.840.113549.1.1.12", ForgedToken.Sha384, false)]
    [DataRow(false, "1.2.840.113549.1.1.13", ForgedToken.Sha512, false)]
    public void Takes_a_signature_under_the_name_of_its_own_algorithm(bool rsa, string algorithm, string digest, bool good)
    {
        using AsymmetricAlgorithm key = rsa ? RSA.Create(2048) : ECDsa.Create(ECCurve.NamedCurves.nistP256);
        X509Certificate2 leaf = Leaf(key is RSA known ? new PublicKey(known) : new PublicKey((ECDsa)key));
        Forge forge = Listing(leaf, new ForgedToken { Certificate = leaf, Key = key, SignatureAlgorithm = algorithm, Digest = digest, DigestAlgorithms = [digest] });
        _ = good ? Verdict.Accepts(forge) : (object)Verdict.Refuses("time.signature", forge);
    }

    public static IEnumerable<object[]> Certificates => Leaves(
        ("", "for time stamping", null),
        ("time.certificate", "with a usage that is not critical", extensions => Instead(extensions, CertificateIssuer.Purpose("1.3.6.1.5.5.7.3.8", critical: false))),
        ("time.certificate", "with a second usage", extensions => Instead(extensions, new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.8"), new Oid("1.3.6.1.5.5.7.3.3")], critical: true))),
        ("time.certificate", "with another usage", extensions => Instead(extensions, CertificateIssuer.Purpose("1.3.6.1.5.5.7.3.3", critical: true))),
        ("time.certificate", "for any usage", extensions => Instead(extensions, CertificateIssuer.Purpose("2.5.29.37.0", critical: true))),
        ("time.certificate", "without extended usage", extensions => extensions.Where(extension => extension.Oid!.Value != "2.5.29.37")),
        ("time.certificate", "without key usage", extensions => extensions.Where(extension => extension.Oid!.Value != "2.5.29.15")),
        ("time.certificate", "whose key may not sign", extensions => Instead(extensions, new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true))),
        ("time.certificate", "of an authority over certificates", extensions => [.. extensions, new X509BasicConstraintsExtension(true, false, 0, critical: true)]),
        ("time.certificate", "with a critical extension that nobody knows", extensions => [.. extensions, new X509Extension("1.2.3.4", Null, critical: true)]),
        ("", "with an extension that nobody knows", extensions => [.. extensions, new X509Extension("1.2.3.4", Null, critical: false)]),
        ("", "that says it is no authority over certificates", extensions => [.. extensions, new X509BasicConstraintsExtension(false, false, 0, critical: true)]));

    [TestMethod]
    [Clause("T.26", "T.27", "T.28", "T.29", "T.30")]
    [DynamicData(nameof(Certificates), DynamicDataDisplayName = nameof(Name))]
    public void Judges_an_authority_by_its_certificate(string reason, string what, object edit)
    {
        X509Certificate2 leaf = Leaf(new PublicKey(Forge.World.Tsa.Key), (Func<IEnumerable<X509Extension>, IEnumerable<X509Extension>>?)edit);
        Forge forge = Listing(leaf, new ForgedToken { Certificate = leaf });
        _ = reason.Length == 0 ? Verdict.Accepts(forge) : (object)Verdict.Refuses(reason, forge);
        Assert.AreNotEqual("", what);
    }

    // The moment decides, never today: a chain that was good for a minute is good for what was stamped in that minute.
    [TestMethod]
    [Clause("T.31", "T.33")]
    public void Judges_the_chain_at_the_stamped_moment()
    {
        DateTimeOffset moment = Forge.Now.AddMinutes(1);
        Chain(null, moment, moment, moment, moment);
        Chain("time.certificate", moment.AddSeconds(1), moment.AddYears(1), moment, moment.AddYears(1)); // leaf not yet valid
        Chain("time.certificate", moment.AddYears(-1), moment.AddSeconds(-1), moment, moment.AddYears(1)); // leaf no longer valid
        Chain("time.certificate", moment, moment.AddYears(1), moment.AddSeconds(1), moment.AddYears(1)); // root not yet valid
        Chain("time.certificate", moment, moment.AddYears(1), moment.AddYears(-1), moment.AddSeconds(-1)); // root no longer valid

        static void Chain(string? reason, DateTimeOffset leafFrom, DateTimeOffset leafTo, DateTimeOffset rootFrom, DateTimeOffset rootTo)
        {
            var root = CertificateIssuer.Root(CertificateIssuer.Name("o", "chain root"), 0, rootFrom, rootTo);
            X509Certificate2 leaf = Leaf(new PublicKey(Forge.World.Tsa.Key), null, root, leafFrom, leafTo);
            Forge forge = Listing(leaf, new ForgedToken { Certificate = leaf }, root.Certificate);
            _ = reason is null ? Verdict.Accepts(forge) : (object)Verdict.Refuses(reason, forge);
        }
    }

    [TestMethod]
    [Clause("T.32", "T.33")]
    public void Follows_intermediates_of_an_authority()
    {
        DateTimeOffset from = Forge.Now, to = Forge.Now.AddYears(1);
        var root = CertificateIssuer.Root(CertificateIssuer.Name("o", "top"), 1, from, to);
        foreach ((string? reason, string purpose) in ((string?, string)[])[(null, "1.3.6.1.5.5.7.3.8"), ("time.certificate", "1.3.6.1.5.5.7.3.3")])
        {
            CertificateIssuer intermediate = root.Intermediate(CertificateIssuer.Name("o", "middle"), 0, purpose, from, to);
            X509Certificate2 leaf = Leaf(new PublicKey(Forge.World.Tsa.Key), null, intermediate, from, to);
            Forge forge = Listing(leaf, new ForgedToken { Certificate = leaf }, intermediate.Certificate, root.Certificate);
            _ = reason is null ? Verdict.Accepts(forge) : (object)Verdict.Refuses(reason, forge);
            // A link that is missing, or another's.
            Verdict.Refuses("time.certificate", Listing(leaf, new ForgedToken { Certificate = leaf }, root.Certificate));
            Verdict.Refuses("time.certificate", Listing(leaf, new ForgedToken { Certificate = leaf }, intermediate.Certificate, Forge.World.Tsa.Root.Certificate));
        }
    }

    // Bundles of every version, with and without a log that tells the time.
    [TestMethod]
    [Clause("T.17", "T.24", "T.34")]
    public void Holds_every_timestamp_of_a_known_authority_in_every_kind_of_bundle()
    {
        byte[] file = [1, 2, 3];
        foreach (byte[]? content in (byte[]?[])[null, file])
        {
            foreach (bool managed in (bool[])[true, false])
            {
                foreach (string version in (string[])["0.1", "0.2", "0.3"])
                {
                    Forge forge = Forge.V1 with { Content = content, Managed = managed, Version = version };
                    Verdict.Accepts(forge with { Timestamps = [new Stamped { Token = new ForgedToken() }] });
                    Verdict.Refuses("time.imprint", forge with { Timestamps = [new Stamped { Token = new ForgedToken { ImprintBytes = imprint => imprint.Flipped(3) } }] });
                    Verdict.Refuses("time.token", forge with { Timestamps = [new Stamped { Edit = _ => [1, 2] }] });
                }
            }
        }
    }

    public static string Name(System.Reflection.MethodInfo method, object[] data) => $"{method.Name} {string.Join(": ", data.OfType<string>().Where(text => text.Length > 0))}";

    private static IEnumerable<object[]> Rows(params (string What, ForgedToken Token)[] rows) => rows.Select(row => new object[] { row.What, row.Token });

    private static IEnumerable<object[]> Leaves(params (string Reason, string What, Func<IEnumerable<X509Extension>, IEnumerable<X509Extension>>? Edit)[] rows) =>
        rows.Select(row => new object[] { row.Reason, row.What, row.Edit! });

    private static IEnumerable<X509Extension> Instead(IEnumerable<X509Extension> extensions, X509Extension replacement) =>
        [.. extensions.Where(extension => extension.Oid!.Value != replacement.Oid!.Value), replacement];

    private static Der Signer(Der response) => response[1, 1, 0, 3, 0];

    private static Forge Stamp(string what, object token)
    {
        Assert.AreNotEqual("", what);
        return Forge.V2 with { Timestamps = [new Stamped { Token = (ForgedToken)token }] };
    }

    private static Forge Listing(X509Certificate2 leaf, ForgedToken token, params X509Certificate2[] above) => Forge.V2 with
    {
        Timestamps = [new Stamped { Token = token }],
        Root = root => root.Instance("timestampAuthorities")["certChain"] = new JsonObject
        {
            ["certificates"] = new JsonArray([.. above.DefaultIfEmpty(Forge.World.Tsa.Root.Certificate).Prepend(leaf).Select(one => new JsonObject { ["rawBytes"] = Convert.ToBase64String(one.RawData) })]),
        },
    };

    private static X509Certificate2 Leaf(
        PublicKey key, Func<IEnumerable<X509Extension>, IEnumerable<X509Extension>>? edit = null, CertificateIssuer? issuer = null, DateTimeOffset? from = null, DateTimeOffset? to = null)
    {
        X509Extension[] extensions = [new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true), CertificateIssuer.Purpose("1.3.6.1.5.5.7.3.8", critical: true)];
        return (issuer ?? Forge.World.Tsa.Root).Issue(
            CertificateIssuer.Name("o", "leaf"), key, from ?? Forge.Now.AddHours(-1), to ?? Forge.Now.AddYears(1), CertificateIssuer.NewSerial(), edit?.Invoke(extensions) ?? extensions);
    }

    // Name and issuer of the known authority's leaf, another key.
    private static (X509Certificate2 Certificate, ECDsa Key) Twin()
    {
        var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(Forge.World.Tsa.Leaf.SubjectName, key, HashAlgorithmName.SHA256);
        X509Certificate2 certificate = request.Create(
            Forge.World.Tsa.Leaf.IssuerName, X509SignatureGenerator.CreateForECDsa(key), Forge.Now, Forge.Now.AddYears(1), Forge.World.Tsa.Leaf.SerialNumberBytes.Span);
        return (certificate, key);
    }

    private static byte[] Bag(params byte[][] certificates) => ForgedToken.Der(bag =>
    {
        using (bag.PushSequence(ForgedToken.Zero))
        {
            foreach (byte[] certificate in certificates)
            {
                bag.WriteEncodedValue(certificate);
            }
        }
    });

    private static byte[] Extension(bool critical) => ForgedToken.Der(writer =>
    {
        using (writer.PushSequence(ForgedToken.One))
        using (writer.PushSequence())
        {
            writer.WriteObjectIdentifier("1.2.3.4");
            if (critical)
            {
                writer.WriteBoolean(true);
            }

            writer.WriteOctetString(Null);
        }
    });

    private static Func<Dictionary<string, byte[][]>, Dictionary<string, byte[][]>> With(string type, params byte[][] values) => attributes => new(attributes) { [type] = values };

    private static Func<Dictionary<string, byte[][]>, Dictionary<string, byte[][]>> Without(string type) => attributes => attributes.Where(attribute => attribute.Key != type).ToDictionary();

#pragma warning disable CA5350 // What RFC 2634 fixed.
    private static Dictionary<string, byte[][]> FirstVersion(Dictionary<string, byte[][]> attributes) =>
        With(ForgedToken.CertificateV1, ForgedToken.CertificateId(SHA1.HashData(Forge.World.Tsa.Leaf.RawData)))(Without(ForgedToken.CertificateV2)(attributes));
#pragma warning restore CA5350
}
