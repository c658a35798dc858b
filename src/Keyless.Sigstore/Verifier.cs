using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>
/// Decides whether a bundle proves that somebody the policy names signed an artifact (Sigstore client spec §4). The answer depends
/// on the bundle, the trusted root and the policy alone: not on the network, the clock, the machine or its culture.
/// </summary>
public sealed class Verifier(TrustedRoot root)
{
    public TrustedRoot Root { get; } = root;

    /// <exception cref="VerificationException">It does not; the exception names the clause.</exception>
    public VerifiedBundle Verify(ReadOnlyMemory<byte> bundle, ArtifactDigest artifact, Policy policy)
    {
        Bundle given = Read(bundle);
        SignedEnvelope envelope = given.Envelope!;
        SigningTime time = SigningTime.Establish(given.Timestamps, given.LogEntries, envelope.Signature, Root);       // §4.2
        SigningCertificate signer = SigningCertificate.Validate(given.Certificates[0], time, Root);                    // §4.3
        try
        {
            IReadOnlyList<LoggedEntry> logged = LoggedEntry.Verify(given.LogEntries, envelope, signer, time, Root);    // §4.4
            VerifiedStatement statement = VerifiedStatement.Open(envelope, signer);                                        // §4.5
            statement.MustBeAbout(artifact);
            PolicyMatch match = policy.Require(signer, statement);                                                     // last: only what is proven can be wanted
            return new VerifiedBundle(
                signer.Identity, statement, time.Earliest, logged[0].Index, [.. time.Checks, .. signer.Checks, .. logged.Select(entry => entry.Check), .. statement.Checks, .. match.Checks], match.Warnings);
        }
        catch (VerificationException refusal)
        {
            refusal.Signer = signer.Identity;
            refusal.SignedAt = time.Earliest;
            throw;
        }
    }

    // Older versions, message signatures and managed keys are read as far as their shape; what this client cannot check in full
    // it refuses by name.
    private static Bundle Read(ReadOnlyMemory<byte> json)
    {
        Bundle bundle;
        try
        {
            bundle = Bundle.Parse(json);
        }
        catch (MalformedException e)
        {
            throw new VerificationException($"bundle.{e.Clause}", e.Message, inner: e);
        }

        return bundle switch
        {
            { Version: not BundleVersion.V03 } => throw NotYet("bundle.version", "bundles before version 0.3"),
            // Every policy names a signer, and a bare key says nothing about who that is.
            { Certificates.Count: 0 } => throw NotYet("policy.key-without-key", "bundles signed with a managed key"),
            { Envelope: null } => throw NotYet("bundle.content", "message signatures"),
            _ => bundle,
        };
    }

    private static VerificationException NotYet(string reason, string what) =>
        new(reason, $"{what} are not yet verified by this version; a v0.3 bundle with a DSSE envelope and a certificate is expected");
}

/// <summary>What is known after <see cref="Verifier.Verify"/>; nobody else can make one.</summary>
public sealed class VerifiedBundle
{
    internal VerifiedBundle(
        CertificateIdentity signer, VerifiedStatement statement, DateTimeOffset signedAt, long logIndex, IReadOnlyList<string> checks, IReadOnlyList<string> warnings)
    {
        Signer = signer;
        Statement = statement;
        SignedAt = signedAt;
        LogIndex = logIndex;
        Checks = checks;
        Warnings = warnings;
    }

    public CertificateIdentity Signer { get; }

    public VerifiedStatement Statement { get; }

    /// <summary>The earliest proven moment at which the signature existed.</summary>
    public DateTimeOffset SignedAt { get; }

    /// <summary>The entry's index in its log; across all shards where a log has several.</summary>
    public long LogIndex { get; }

    /// <summary>One sentence for each proof, made by the proof itself.</summary>
    public IReadOnlyList<string> Checks { get; }

    /// <summary>What the policy let pass although its author may not have meant it.</summary>
    public IReadOnlyList<string> Warnings { get; }
}
