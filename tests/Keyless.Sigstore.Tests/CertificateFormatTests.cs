using Keyless.Sigstore.Formats;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

/// <summary>One thing about a certificate's structure is wrong; that its signature does not fit any more is found only later.</summary>
[TestClass]
public sealed class CertificateFormatTests
{
    private static readonly byte[] Sha256WithEcdsa = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

    public static IEnumerable<object[]> Defects =>
    [
        Row("version 2", tree => tree[0, 0, 0].Value = [1]),
        Row("version 3 in too many bytes", tree => tree[0, 0, 0].Value = [2, 0, 0, 0, 0, 0, 0, 0, 2]),
        Row("something after the version", tree => tree[0, 0].Parts.Add(Der.Of(5))),
        Row("no version", tree => tree[0].Parts.RemoveAt(0)),
        Row("serial number 0", tree => tree[0, 1].Value = [0]),
        Row("a negative serial number", tree => tree[0, 1].Value = [0x80]),
        Row("a serial number of 21 bytes", tree => tree[0, 1].Value = [1, .. new byte[20]]),
        Row("a serial number of 22 bytes", tree => tree[0, 1].Value = [1, .. new byte[21]]),
        Row("two signature algorithms", tree => tree[0, 2, 0].Value = Sha256WithEcdsa),
        Row("a third time", tree => tree[0, 4].Parts.Add(Der.Of(23, "261123060000Z"u8.ToArray()))),
        Row("an issuer's unique id", tree => tree[0].Parts.Insert(7, Der.Of(0x81, 0, 1))),
        Row("a subject's unique id", tree => tree[0].Parts.Insert(7, Der.Of(0x82, 0, 1))),
        Row("something after the extensions", tree => tree[0].Parts.Add(Der.Of(5))),
        Row("something after the list of extensions", tree => tree[0, 7].Parts.Add(Der.Of(5))),
        Row("something after an extension's value", tree => tree[0, 7, 0, 0].Parts.Add(Der.Of(5))),
        Row("an extension twice", tree => tree[0, 7, 0].Parts.Add(Der.Parse(tree[0, 7, 0, 0].Encode()))),
        Row("129 extensions", tree => Fill(tree, 129)),
        Row("an extension that says it is not critical", tree => tree[0, 7, 0].Parts.Add(Der.Holding(0x30, Der.Of(6, 42, 3, 4), Der.Of(1, 0), Der.Of(4, 5, 0)))),
        Row("parameters of the algorithm that are not NULL", tree => Algorithms(tree, algorithm => algorithm.Parts.Add(Der.Of(4)))),
        Row("something after the algorithm", tree => Algorithms(tree, algorithm => algorithm.Parts.AddRange([Der.Of(5), Der.Of(5)]))),
        Row("a signature of broken bytes", tree => (tree[2].Value[0], tree[2].Value[^1]) = (1, 0)),
        Row("something after the signature", tree => tree.Parts.Add(Der.Of(5))),
    ];

    [TestMethod]
    [DynamicData(nameof(Defects), DynamicDataDisplayName = nameof(Name))]
    [Clause("C.1", "C.2", "C.3", "C.4", "C.5", "C.6", "C.7")]
    public void Refuses_a_certificate_with(string what, object edit)
    {
        Assert.AreNotEqual("", what);
        Verdict.Refuses("cert.der", Forge.V2 with { Certificate = der => Der.Edited(der, (Action<Der>)edit) });
    }

    [TestMethod]
    public void Reads_what_a_certificate_may_be()
    {
        byte[] der = Forge.World.Fulcio.Intermediate.Certificate.RawData;
        Assert.HasCount(128, Certificate.Parse(Der.Edited(der, tree => Fill(tree, 128))).Extensions);
        byte[] serial = [0, .. Enumerable.Repeat((byte)0xff, 20)];
        CollectionAssert.AreEqual(serial, Certificate.Parse(Der.Edited(der, tree => tree[0, 1].Value = serial)).SerialNumber);
        Assert.AreEqual("1.2.840.10045.4.3.3", Certificate.Parse(Der.Edited(der, tree => Algorithms(tree, algorithm => algorithm.Parts.Add(Der.Of(5))))).SignatureAlgorithm);
        Assert.AreEqual(new DateTimeOffset(2049, 12, 31, 23, 59, 59, TimeSpan.Zero), Certificate.Parse(Der.Edited(der, tree => tree[0, 4, 1].Value = "491231235959Z"u8.ToArray())).NotAfter);
        Assert.AreEqual(
            new DateTimeOffset(2050, 1, 1, 0, 0, 0, TimeSpan.Zero),
            Certificate.Parse(Der.Edited(der, tree => (tree[0, 4, 1].Tag, tree[0, 4, 1].Value) = (24, "20500101000000Z"u8.ToArray()))).NotAfter);
    }

    [TestMethod]
    public void Bounds_a_certificate_in_a_trusted_root()
    {
        byte[] Of(int size)
        {
            byte[] der = Forge.World.Fulcio.Intermediate.Certificate.RawData;
            byte[] Padded(int padding) => Der.Edited(der, tree => tree[0, 7, 0].Parts.Add(Der.Holding(0x30, Der.Of(6, 42, 3, 4), Der.Of(4, new byte[padding]))));
            return Padded(60_000 + size - Padded(60_000).Length);
        }

        Assert.HasCount(64 * 1024, Certificate.Parse(Of(64 * 1024)).Der);
        Assert.Contains("65537 bytes", Assert.ThrowsExactly<FormatException>(() => Certificate.Parse(Of(64 * 1024 + 1))).Message);
    }

    // Extensions that this client acts upon are read to their last byte.
    [TestMethod]
    [DataRow("2.5.29.15", "0303078000")]
    [DataRow("2.5.29.15", "030207800500")]
    [DataRow("2.5.29.19", "30000500")]
    [DataRow("2.5.29.19", "3006010100020100")]
    [DataRow("2.5.29.19", "30060101ff0201ff")]
    [DataRow("2.5.29.19", "300b0101ff0206010000000000")]
    [DataRow("2.5.29.19", "30080101ff0201000500")]
    [DataRow("2.5.29.19", "30030201ff")]
    [DataRow("2.5.29.19", "30080206010000000000")]
    [DataRow("2.5.29.19", "30050201000500")]
    [DataRow("2.5.29.37", "300a06082b060105050703030500")]
    [DataRow("2.5.29.37", "300c06082b060105050703030500")]
    public void Refuses_an_extension_that_is_not_what_it_says(string oid, string hex) => Verdict.Refuses("cert.usage", Forge.V2 with
    {
        Extensions = extensions =>
        [
            .. extensions.Where(extension => extension.Oid!.Value != oid),
            new System.Security.Cryptography.X509Certificates.X509Extension(oid, Convert.FromHexString(hex), critical: true),
        ],
    });

    public static string Name(System.Reflection.MethodInfo method, object[] data) => $"{method.Name} {data[0]}";

    private static object[] Row(string what, Action<Der> edit) => [what, edit];

    private static void Fill(Der tree, int count)
    {
        List<Der> extensions = tree[0, 7, 0].Parts;
        for (byte next = 0; extensions.Count < count; next++)
        {
            extensions.Add(Der.Holding(0x30, Der.Of(6, 42, 3, (byte)(next / 100), (byte)(next % 100)), Der.Of(4, 5, 0)));
        }
    }

    private static void Algorithms(Der tree, Action<Der> edit)
    {
        edit(tree[0, 2]);
        edit(tree[1]);
    }
}
