using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

/// <summary>The trusted root that everybody uses: what it lists must be usable here, or real signatures are refused.</summary>
[TestClass]
public sealed class PublicGoodTests
{
    private static readonly byte[] Json = File.ReadAllBytes(Repository.PathTo("src/Keyless.Sigstore/Tuf/Roots/public-good.trusted_root.json"));

    [TestMethod]
    public void Leaves_nothing_out()
    {
        TrustedRoot root = TrustedRoot.Parse(Json);

        Assert.IsEmpty(root.Warnings);
        Assert.AreEqual(
            "https://rekor.sigstore.dev https://log2025-1.rekor.sigstore.dev", string.Join(' ', root.Logs.Select(log => log.BaseUrl)));
        Assert.AreEqual(
            "https://ctfe.sigstore.dev/test https://ctfe.sigstore.dev/2022", string.Join(' ', root.CertificateLogs.Select(log => log.BaseUrl)));
        Assert.AreEqual(
            "https://fulcio.sigstore.dev https://fulcio.sigstore.dev", string.Join(' ', root.CertificateAuthorities.Select(authority => authority.Uri)));
        // Reading them checks every link, constraint and key of the chains.
        Assert.AreEqual("1 2 2", string.Join(' ', root.CertificateAuthorities.Concat(root.TimestampAuthorities).Select(authority => authority.Certificates.Count)));
        Assert.AreEqual(
            "https://timestamp.sigstore.dev/api/v1/timestamp", string.Join(' ', root.TimestampAuthorities.Select(authority => authority.Uri)));
    }
}
