using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>
/// Decides whether a signature proves that somebody the policy names signed an artifact (Sigstore client spec §4). The answer depends
/// on the signature, the trusted roots and the policy alone: not on the network, the clock, the machine or its culture.
/// </summary>
/// <param name="roots">Each is tried alone, in order; never a union, since what one deployment vouches for another need not.</param>
public sealed class Verifier(params IReadOnlyList<TrustedRoot> roots)
{
    private readonly LeafCertificate.Known known = new();

    /// <param name="bundle">A Sigstore bundle v0.1 to v0.3, as JSON.</param>
    /// <exception cref="VerificationException">It does not; the exception names the clause.</exception>
    public VerifiedSignature Verify(ReadOnlyMemory<byte> bundle, Artifact artifact, Policy policy) =>
        Prove(Bundle.Read(bundle), artifact, policy.Key, policy.Proofs).Require(policy);

    /// <summary>Image signatures are statements in bundles v0.3: older versions, and signatures over a manifest's bytes, are for files.</summary>
    /// <inheritdoc cref="Verify"/>
    public VerifiedSignature VerifyImage(ReadOnlyMemory<byte> bundle, ArtifactDigest image, Policy policy) =>
        ProveImage(bundle, image, policy.Key, policy.Proofs).Require(policy);

    /// <inheritdoc cref="ProveImage(ReadOnlyMemory{byte}, ArtifactDigest, ManagedKey?, Proofs)"/>
    public ProvenSignature ProveImage(SimpleSignature signature, ArtifactDigest image, ManagedKey? key, Proofs proofs) =>
        ByOneRoot(proofs, root => Prove(signature, image, key, proofs, root));

    /// <summary>All that does not depend on whom a policy names, so that several policies can be asked about one proof.</summary>
    /// <param name="key">The policy's, if it has one: what it signed carries no certificate.</param>
    /// <exception cref="VerificationException">The signature proves nothing, whoever is asked for.</exception>
    public ProvenSignature ProveImage(ReadOnlyMemory<byte> bundle, ArtifactDigest image, ManagedKey? key, Proofs proofs)
    {
        Bundle given = Bundle.Read(bundle);
        if (given.Version != BundleVersion.V03)
        {
            throw new VerificationException("bundle.version", "image signatures are bundles of version 0.3", "0.3", given.Version == BundleVersion.V01 ? "0.1" : "0.2");
        }

        return given.Content is SignedEnvelope
            ? Prove(given, image, key, proofs)
            : throw new VerificationException("bundle.content", "a signature over bytes is no image signature, even if they are the manifest's", "dsseEnvelope", "messageSignature");
    }

    private ProvenSignature Prove(Bundle bundle, Artifact artifact, ManagedKey? key, Proofs proofs) =>
        ByOneRoot(proofs, root => Prove(bundle, artifact, key, proofs, root));

    private ProvenSignature Prove(Bundle bundle, Artifact artifact, ManagedKey? key, Proofs proofs, TrustedRoot root)
    {
        RequireKind(hasCertificate: bundle.Certificates.Count > 0, key);
        var signed = new SignedBytes(bundle.Content, artifact);
        SigningTime time = SigningTime.Establish(bundle.Timestamps, bundle.LogEntries, bundle.Content.Signature, root, proofs, required: key is null);   // §4.2
        ProvenSigner signer = key?.Signer ?? SigningCertificate.Validate(bundle.Certificates, time, root, proofs, known);                                 // §4.3
        return Naming(signer, time, () =>
        {
            IReadOnlyList<LoggedEntry> logged = proofs == Proofs.Log
                ? LoggedEntry.Verify(bundle.LogEntries, bundle.Content, signed, signer, time, root)                                                      // §4.4
                : [];
            VerifiedContent content = VerifiedContent.Verify(bundle.Content, signed, signer, logged);                                                    // §4.5
            VerifiedStatement? statement = bundle.Content is SignedEnvelope ? VerifiedStatement.Open(content) : null;
            statement?.MustBeAbout(artifact);
            return new ProvenSignature(signer, time, logged, new[] { content.Check }.Concat(statement?.Checks ?? []), statement?.PredicateType, statement?.Annotations);
        });
    }

    private ProvenSignature Prove(SimpleSignature signature, ArtifactDigest image, ManagedKey? key, Proofs proofs, TrustedRoot root)
    {
        RequireKind(signature.Certificate is not null, key);
        var content = new MessageSignature("SHA2_256", signature.PayloadDigest, signature.Signature);
        var signed = new SignedBytes(content, signature.Payload);
        LogEntry[] entries = proofs == Proofs.Timestamp ? [] : signature.Entry is { } entry ? [entry] : throw new VerificationException(
            "tlog.missing", "the signature carries no log entry (annotation dev.sigstore.cosign/bundle)");
        SigningTime time = SigningTime.Establish(signature.Timestamps, entries, signature.Signature, root, proofs, required: key is null);
        ProvenSigner signer = key?.Signer ?? SigningCertificate.Validate([signature.Certificate!], time, root, proofs, known);
        return Naming(signer, time, () =>
        {
            IReadOnlyList<LoggedEntry> logged = proofs == Proofs.Log ? LoggedEntry.Verify(entries, content, signed, signer, time, root) : [];
            VerifiedContent verified = VerifiedContent.Verify(content, signed, signer, logged);
            VerifiedPayload payload = VerifiedPayload.Open(verified, signature);
            payload.MustBeAbout(image);
            return new ProvenSignature(signer, time, logged, [verified.Check, payload.Check], SimpleSignature.PredicateType, payload.Annotations) { NamedImage = payload.Reference };
        });
    }

    // A policy that names an identity is not met by a bare key, nor one that names a key by a certificate for it.
    private static void RequireKind(bool hasCertificate, ManagedKey? key)
    {
        if (hasCertificate && key is not null)
        {
            throw new VerificationException(VerificationException.CertificateWithoutIdentity, "signed with a certificate, while the policy names a key", key.Fingerprint);
        }

        if (!hasCertificate && key is null)
        {
            throw new VerificationException(VerificationException.KeyWithoutKey, "signed with a managed key, while the policy names who signs");
        }
    }

    private ProvenSignature ByOneRoot(Proofs proofs, Func<TrustedRoot, ProvenSignature> prove)
    {
        VerificationException? nearest = null;
        foreach (TrustedRoot root in roots)
        {
            try
            {
                return proofs == Proofs.Timestamp && root.ListsLogs
                    ? throw new VerificationException("root.logs", "the trusted root lists a log, so a signature without log entry is not enough (Proofs=timestamp is for instances without logs)")
                    : prove(root);
            }
            catch (VerificationException refusal)
            {
                nearest = nearest is null || refusal.Progress > nearest.Progress ? refusal : nearest;
            }
        }

        throw nearest ?? new VerificationException("root.none", "there is no trusted root");
    }

    private static ProvenSignature Naming(ProvenSigner signer, SigningTime time, Func<ProvenSignature> prove)
    {
        try
        {
            return prove();
        }
        catch (VerificationException refusal)
        {
            refusal.Signer = signer.Identity;
            refusal.SignedAt = time.Earliest;
            throw;
        }
    }
}

/// <summary>A signature that is proven to be somebody's, over this artifact. Whether it is one of those who are trusted, a policy says.</summary>
public sealed class ProvenSignature
{
    private readonly ProvenSigner signer;
    private readonly SigningTime time;
    private readonly IEnumerable<string> checks;
    private readonly string? predicateType;
    private readonly IReadOnlyDictionary<string, string> annotations;
    private readonly IReadOnlyList<LoggedEntry> logged;

    internal ProvenSignature(
        ProvenSigner signer, SigningTime time, IReadOnlyList<LoggedEntry> logged, IEnumerable<string> checks, string? predicateType, IReadOnlyDictionary<string, string>? annotations)
    {
        this.signer = signer;
        this.time = time;
        this.predicateType = predicateType;
        this.annotations = annotations ?? new Dictionary<string, string>();
        this.logged = logged;
        IEnumerable<string> inLogs = logged.Count > 0 ? logged.Select(entry => entry.Check) : ["No transparency log: the trusted root lists none"];
        // Put into words only when somebody reads them: names of authorities are slow to print.
        this.checks = time.Checks.Concat(signer.Checks).Concat(inLogs).Concat(checks);
    }

    internal string? NamedImage { get; init; }

    /// <summary>
    /// Whether nothing but the name keeps a policy from accepting it: everything is proven, and the other conditions are met. Never for what ran a
    /// stranger's proposal (<c>pull_request_target</c>), whose name is the repository's own.
    /// </summary>
    public bool IsRefusedForItsSignerAlone(Policy policy)
    {
        if (policy.Key is not null || signer.Identity is not { } identity)
        {
            return false;
        }

        try
        {
            return Require(policy.For(identity)).Warnings.Count == 0;
        }
        catch (VerificationException)
        {
            return false;
        }
    }

    /// <exception cref="VerificationException">The policy does not want it; the exception says which condition is not met.</exception>
    public VerifiedSignature Require(Policy policy)
    {
        try
        {
            if (policy.Key?.Signer is { } key ? !ReferenceEquals(key, signer) : signer.Identity is null)
            {
                throw new VerificationException(VerificationException.KeyWithoutKey, "signed with another kind of signer than the policy names");
            }

            PolicyMatch match = policy.Require(signer.Identity, predicateType, annotations, time.Earliest);
            return new VerifiedSignature(checks.Concat(match.Checks))
            {
                Logs = logged.DistinctBy(entry => Convert.ToHexString(entry.Log.LogId)).Count(),
                Authorities = time.Authorities,
                Signer = signer.Identity,
                Key = policy.Key,
                PredicateType = predicateType,
                Annotations = annotations,
                NamedImage = NamedImage,
                SignedAt = time.Earliest,
                LogIndex = logged.Count > 0 ? logged[0].Index : null,
                Warnings = match.Warnings,
            };
        }
        catch (VerificationException refusal)
        {
            refusal.Signer = signer.Identity;
            refusal.SignedAt = time.Earliest;
            throw;
        }
    }
}

/// <summary>What is known of a signature that a policy accepts; only <see cref="ProvenSignature.Require"/> makes one.</summary>
public sealed class VerifiedSignature
{
    private readonly IEnumerable<string> proofs;

    internal VerifiedSignature(IEnumerable<string> proofs) => this.proofs = proofs;

    /// <summary>Null where a managed key signed.</summary>
    public required CertificateIdentity? Signer { get; init; }

    /// <summary>The policy's key, where it names one.</summary>
    public required ManagedKey? Key { get; init; }

    /// <summary>Who signed, in few words.</summary>
    public string SignedBy => Signer?.Subject ?? $"key {Key}";

    /// <summary>What kind of statement it is; null for a signature over the artifact itself.</summary>
    public required string? PredicateType { get; init; }

    /// <summary>Of the statement's subject, or the payload's optional part; strings only.</summary>
    public required IReadOnlyDictionary<string, string> Annotations { get; init; }

    /// <summary>What a simple-signing payload calls the image; signed, and never compared. Null for statements, which name nothing.</summary>
    public required string? NamedImage { get; init; }

    /// <summary>The earliest proven moment at which the signature existed; null where none had to be proven (managed keys).</summary>
    public required DateTimeOffset? SignedAt { get; init; }

    /// <summary>The entry's index in its log, across all shards where a log has several; null where the instance has no log.</summary>
    public required long? LogIndex { get; init; }

    /// <summary>How many different logs and timestamp authorities of the trusted root stand behind it, however often each does.</summary>
    internal int Logs { get; init; }

    /// <inheritdoc cref="Logs"/>
    internal int Authorities { get; init; }

    /// <summary>One sentence for each proof, made by the proof itself.</summary>
    public IReadOnlyList<string> Checks => field ??= [.. proofs];

    /// <summary>What the policy let pass although its author may not have meant it.</summary>
    public required IReadOnlyList<string> Warnings { get; init; }
}
