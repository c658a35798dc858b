using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Order;
using Keyless.Sigstore;

namespace Keyless.Benchmarks;

/// <summary>
/// One warm verification: bundle bytes in, verdict out, trusted root kept; beside it the floor, which is nothing but the signature checks and the
/// parsing that any verifier has to do, and <c>@sigstore/verify</c> with the same bundle, if <c>bash eng/get-tools.sh</c> has installed it.
/// </summary>
[MemoryDiagnoser]
[GroupBenchmarksBy(BenchmarkLogicalGroupRule.ByParams)]
[Orderer(SummaryOrderPolicy.Declared)]
public class VerificationBenchmarks
{
    private const string Identity = "https://github.com/example-org/example-repo/.github/workflows/publish.yml@refs/heads/main";
    private const string Issuer = "http://127.0.0.1:18000";

    private readonly Policy policy = Policy.Exactly(Identity, Issuer, null);
    private Sample sample = null!;
    private byte[] bundle = [];
    private Artifact artifact = null!;
    private Verifier verifier = null!;
    private Floor floor = null!;
    private SigstoreJs? js;

    /// <summary>Made by cosign 3.1.1 on real servers: tests/Keyless.Sigstore.Tests/fixtures/real.</summary>
    [Params("Rekor v1, file", "Rekor v1, statement", "Rekor v2, file", "Rekor v2, statement")]
    public string Bundle { get; set; } = "";

    [GlobalSetup]
    public void Setup()
    {
        sample = Sample.Named(Bundle);
        bundle = sample.Bundle;
        artifact = sample.Artifact;
        verifier = new Verifier(TrustedRoot.Parse(Sample.TrustedRoot));
        floor = new Floor(sample);
        js = SigstoreJs.TryStart(sample, Identity, Issuer);
        Keyless(); // a sample that is not accepted would be measured as fast
    }

    [GlobalCleanup]
    public void Cleanup() => js?.Dispose();

    [Benchmark(Baseline = true)]
    public bool Floor() => floor.Once();

    [Benchmark]
    public VerifiedSignature Keyless() => verifier.Verify(bundle, artifact, policy);

    /// <summary>Asked for a hundred at a time, so that the pipe between the processes does not count.</summary>
    [Benchmark(OperationsPerInvoke = 100)]
    public void SigstoreVerifyJs() => (js ?? throw new NotSupportedException("node or @sigstore/verify is not here; bash eng/get-tools.sh installs the latter")).Verify(100);
}
