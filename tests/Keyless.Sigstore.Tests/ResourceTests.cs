using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sigstore.Formats;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

/// <summary>
/// Input that was made to keep a verifier busy is refused before it costs anything. What is measured is memory, which does not depend on
/// what else the machine does.
/// </summary>
[TestClass]
[DoNotParallelize]
public sealed class ResourceTests
{
    /// <summary>Of what a verification allocates whatever the input (Keyless.Fuzz, Watch).</summary>
    private const long Always = 1024 * 1024;

    private static readonly byte[] Good = Forge.V1.Make();

    private static int Limit => Limits.BundleBytes;

    [TestMethod]
    [Clause("B.1")]
    public void Refuses_80_MB_without_reading_them()
    {
        byte[] huge = new byte[80_000_000];
        Refuses("bundle.too-large", huge, 0);
        Assert.ThrowsExactly<MalformedException>(() => TrustedRoot.Parse(huge));
    }

    [TestMethod]
    public void Refuses_an_unknown_member_of_16_MiB() =>
        Refuses("bundle.unknown-field", Filled(Good, room => $"{{\"x\":\"{new string('a', room - 10)}\","), 8);

    [TestMethod]
    public void Refuses_16_MiB_of_escapes() =>
        Refuses("bundle.unknown-field", Filled(Good, room => $"{{\"x\":\"{string.Concat(Enumerable.Repeat("\\u00e9", (room - 10) / 6))}\","), 8);

    [TestMethod]
    public void Refuses_a_number_of_16_MiB() =>
        Refuses("bundle.number", Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(Good).Replace("\"logIndex\":\"4004\"", "\"logIndex\":" + new string('9', Limit - Good.Length), StringComparison.Ordinal)), 16);

    [TestMethod]
    public void Refuses_16_MiB_of_numbers() =>
        Refuses("bundle.unknown-field", Filled(Good, room => $"{{\"x\":[{string.Concat(Enumerable.Repeat("1,", (room - 20) / 2))}1],"), 64);

    [TestMethod]
    public void Refuses_16_MiB_of_members() =>
        Refuses("bundle.unknown-field", Filled(Good, room => $"{{{string.Concat(Enumerable.Range(0, (room - 20) / 12).Select(n => string.Create(CultureInfo.InvariantCulture, $"\"{n:x7}\":0,")))}"), 64);

    [TestMethod]
    public void Refuses_16_MiB_of_one_member_again_and_again() =>
        Refuses("bundle.json-duplicate", Filled(Good, room => $"{{{string.Concat(Enumerable.Repeat("\"a\":0,", (room - 20) / 6))}"), 64);

    [TestMethod]
    [Clause("B.6")]
    [DataRow('[', ']')]
    [DataRow('{', '}')]
    public void Refuses_200_000_levels(char open, char close)
    {
        string deep = open == '[' ? new string('[', 200_000) + new string(close, 200_000) : string.Concat(Enumerable.Repeat("{\"a\":", 200_000)) + "0" + new string(close, 200_000);
        Refuses("bundle.json", Encoding.UTF8.GetBytes("{\"x\":" + deep + "," + Encoding.UTF8.GetString(Good)[1..]), 4);
    }

    [TestMethod]
    [Clause("B.27")]
    public void Refuses_1_000_timestamps() =>
        Refuses("bundle.limit", (Forge.V2 with { Bundle = bundle => Repeat(bundle.Timestamps(), 1000) }).Make(), 16);

    [TestMethod]
    [Clause("B.26")]
    public void Refuses_33_entries() =>
        Refuses("bundle.limit", (Forge.V1 with { Bundle = bundle => Repeat(bundle.Material()["tlogEntries"]!.AsArray(), 33) }).Make(), 16);

    [TestMethod]
    [Clause("B.28", "B.31")]
    [DataRow("x509CertificateChain", 11)]
    [DataRow("hashes", 65)]
    [DataRow("signatures", 33)]
    public void Refuses_more_of_anything_than_occurs(string list, int count)
    {
        Forge forge = list == "x509CertificateChain" ? Forge.V1 with { Version = "0.1" } : Forge.V1;
        Refuses("bundle.limit", (forge with
        {
            Bundle = bundle => Repeat(
                (list switch
                {
                    "hashes" => bundle.Entry().Proof()["hashes"]!,
                    "signatures" => bundle.Envelope()["signatures"]!,
                    _ => bundle.Material()[list]!["certificates"]!,
                }).AsArray(),
                count),
        }).Make(), 16);
    }

    [TestMethod]
    [Clause("B.29", "B.30")]
    public void Refuses_a_certificate_or_a_timestamp_of_a_megabyte()
    {
        string megabyte = Convert.ToBase64String(new byte[1 << 20]);
        Refuses("bundle.limit", (Forge.V1 with { Bundle = bundle => bundle.Material()["certificate"]!["rawBytes"] = megabyte }).Make(), 16);
        Refuses("bundle.limit", (Forge.V2 with { Bundle = bundle => bundle.Timestamps()[0]!["signedTimestamp"] = megabyte }).Make(), 16);
    }

    // A length of four bytes, with nothing behind it.
    [TestMethod]
    [DataRow("3084ffffffff")]
    [DataRow("30847fffffff")]
    [DataRow("3085012a05f200")] // 5,000,000,000
    [DataRow("3088000000012a05f200")]
    public void Believes_no_length_that_DER_claims(string head)
    {
        byte[] liar = [.. Convert.FromHexString(head), .. new byte[64]];
        Measured(liar.Length, 0, () => Assert.ThrowsExactly<FormatException>(() => Certificate.Parse(liar)));
        Measured(liar.Length, 0, () => Assert.ThrowsExactly<FormatException>(() => TimestampToken.Parse(liar)));
        Measured(liar.Length, 0, () => Assert.ThrowsExactly<FormatException>(() => VerificationKey.FromSpki(liar)));
        Refuses("cert.der", (Forge.V1 with { Bundle = bundle => bundle.Material()["certificate"]!["rawBytes"] = Convert.ToBase64String(liar) }).Make(), 64);
    }

    [TestMethod]
    [Clause("M.9")]
    public void Refuses_a_checkpoint_of_a_thousand_signatures() => Refuses("bundle.limit", (Forge.V2 with
    {
        Entries = [new LoggedIn(LogKind.V2Ed25519) { Note = note => note + string.Concat(Enumerable.Repeat("\u2014 a AAAAAAAA\n", 1000)) }],
    }).Make(), 64);

    [TestMethod]
    [Clause("A.5")]
    public void Refuses_a_statement_of_a_million_subjects()
    {
        string subjects = string.Join(',', Enumerable.Repeat("{}", 1_000_000));
        byte[] payload = Encoding.UTF8.GetBytes($$"""{"_type":"https://in-toto.io/Statement/v1","subject":[{{subjects}}],"predicateType":"p"}""");
        Measured(payload.Length, 32, () => Assert.ThrowsExactly<MalformedException>(() => Statement.Parse(payload)));
    }

    [TestMethod]
    [Clause("X.2", "X.26")]
    public void Refuses_a_simple_signing_payload_or_an_annotation_that_is_too_large()
    {
        byte[] payload = new byte[Limits.SimpleSigningPayloadBytes + 1];
        Measured(payload.Length, 1, () => Assert.AreEqual("sig.layer", Assert.ThrowsExactly<VerificationException>(() => SimpleSignature.Parse(payload, new Dictionary<string, string>())).Reason));
        var annotations = new Dictionary<string, string> { ["dev.cosignproject.cosign/signature"] = new('A', 4 * 1024 * 1024) };
        Measured(4 * 1024 * 1024, 1, () => Assert.AreEqual("sig.annotation", Assert.ThrowsExactly<VerificationException>(() => SimpleSignature.Parse(new byte[1], annotations)).Reason));
    }

    [TestMethod]
    public void A_good_verification_is_modest()
    {
        foreach (Forge forge in (Forge[])[Forge.V1, Forge.V2, Forge.V2 with { Signer = ForgedKey.Ed25519(prehash: true), Content = [1] }])
        {
            byte[] bundle = forge.Make();
            Measured(bundle.Length, 32, () => forge.Verify());
        }
    }

    private static void Repeat(JsonArray array, int count)
    {
        JsonNode one = array[0]!;
        while (array.Count < count)
        {
            array.Add(one.DeepClone());
        }
    }

    /// <summary>The bundle with an opening that makes it exactly as large as bundles may be.</summary>
    private static byte[] Filled(byte[] bundle, Func<int, string> opening)
    {
        byte[] filled = [.. Encoding.UTF8.GetBytes(opening(Limit - bundle.Length)), .. bundle.AsSpan(1)];
        Assert.IsInRange(Limit - 64, Limit, filled.Length);
        return filled;
    }

    private static void Refuses(string reason, byte[] bundle, int bytesPerByte)
    {
        var verifier = new Verifier(Forge.World.Root);
        Measured(bundle.Length, bytesPerByte, () =>
        {
            var no = Assert.ThrowsExactly<VerificationException>(() => verifier.Verify(bundle, Forge.Image, Forge.Policy));
            Assert.AreEqual(reason, no.Reason, no.Message);
        });
    }

    /// <summary>Runs twice: what is made once for all (tables, trusted keys) is not the input's doing.</summary>
    private static void Measured(int inputBytes, int bytesPerByte, Action run)
    {
        run();
        long before = GC.GetAllocatedBytesForCurrentThread();
        run();
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.IsLessThanOrEqualTo((long)bytesPerByte * inputBytes + Always, allocated, $"for {inputBytes} bytes");
    }
}
