namespace Keyless.Sigstore.Tests;

/// <summary>What one verifier keeps of a certificate that it has proven, and what it must ask again each time.</summary>
[TestClass]
public sealed class KnownCertificateTests
{
    private static readonly byte[] Certificate = CertificateOf(Forge.V2);

    private static readonly Forge Known = Forge.V2 with { Certificate = _ => Certificate };

    [TestMethod]
    public void Is_still_asked_for_each_moment()
    {
        Verifier verifier = Seen(Known.TrustedRoot());

        Refuses(verifier, "cert.validity", Known with { Timestamps = [new Stamped { GenTime = Forge.Now.AddMinutes(11) }] });
        Accepts(verifier, Known);
    }

    [TestMethod]
    public void Is_still_asked_whether_it_is_the_same_certificate()
    {
        Verifier verifier = Seen(Known.TrustedRoot());

        // A certificate that differs by its last bit, which is the authority's signature's, is another one.
        Refuses(verifier, "cert.signature", Known with { Certificate = _ => [.. Certificate[..^1], (byte)(Certificate[^1] ^ 1)] });
    }

    [TestMethod]
    public void Is_still_asked_under_each_root()
    {
        Forge withoutLogs = Known with { Root = root => root["ctlogs"] = new System.Text.Json.Nodes.JsonArray() };
        var verifier = new Verifier(Known.TrustedRoot(), withoutLogs.TrustedRoot());
        Accepts(verifier, Known);

        // Proven under the first root, it still has no log under the second, which says so where the first has refused for another reason.
        var alone = new Verifier(withoutLogs.TrustedRoot());
        Refuses(alone, "sct.unknown-log", Known);
        Refuses(alone, "sct.unknown-log", Known);
    }

    [TestMethod]
    public void Its_key_still_has_to_have_signed()
    {
        Verifier verifier = Seen(Known.TrustedRoot());

        Refuses(verifier, "sig.invalid", Known with { Signature = signature => [.. signature[..^1], (byte)(signature[^1] ^ 1)] });
    }

    [TestMethod]
    public void Is_kept_side_by_side()
    {
        var verifier = new Verifier(Known.TrustedRoot());
        byte[] bundle = Known.Make();

        Parallel.For(0, 64, _ => verifier.Verify(bundle, Known.Artifact, Forge.Policy));
    }

    private static Verifier Seen(TrustedRoot root)
    {
        var verifier = new Verifier(root);
        Accepts(verifier, Known);
        return verifier;
    }

    private static void Accepts(Verifier verifier, Forge forge) => verifier.Verify(forge.Make(), forge.Artifact, Forge.Policy);

    private static void Refuses(Verifier verifier, string reason, Forge forge)
    {
        var no = Assert.ThrowsExactly<VerificationException>(() => verifier.Verify(forge.Make(), forge.Artifact, Forge.Policy));
        Assert.AreEqual(reason, no.Reason, no.Message);
    }

    private static byte[] CertificateOf(Forge forge)
    {
        byte[]? made = null;
        (forge with { Certificate = der => made = der }).Make();
        return made!;
    }
}
