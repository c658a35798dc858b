using System.Globalization;
using System.Security.Cryptography;
using Keyless.Sigstore.Formats;
using Keyless.Sigstore.Signing;
using Polly;

namespace Keyless.Sigstore;

/// <summary>
/// Signs artifacts in the name of whoever runs the build (Sigstore client spec §2). One session, that is one token, key and
/// certificate, serves as many artifacts as its ten minutes allow.
/// </summary>
/// <param name="verifier">Accepts a bundle before it leaves here; its trusted root is that of the instance.</param>
/// <param name="client">Must not follow redirects: requests carry identity tokens.</param>
/// <param name="userAgent">Who asks: <c>Keyless.MSBuild/1.2.3</c>.</param>
/// <param name="allowHttp">Plain http to services on other machines.</param>
/// <param name="acceptPublicLog">The user agrees that an identity that may be private goes into a public log.</param>
/// <param name="retries">How often, and how long, what fails for the moment is tried again; null: not at all.</param>
public sealed class Signer(
    SigstoreInstance instance,
    Verifier verifier,
    AmbientIdentity identities,
    HttpClient client,
    string userAgent,
    TimeProvider time,
    bool allowHttp,
    bool acceptPublicLog,
    ResiliencePipeline? retries = null)
{
    /// <summary>What a clock that goes wrong, there or here, may take from a certificate's life.</summary>
    private static readonly TimeSpan Reserve = TimeSpan.FromSeconds(60);

    /// <summary>Of a private authority's certificates; a timer cannot wait for ever.</summary>
    private static readonly TimeSpan LongestLife = TimeSpan.FromDays(1);

    /// <summary>A lost answer explains one conflict; a log that always says so is broken.</summary>
    private const int SignaturesAfterConflict = 2;

    private readonly Http http = new(client, userAgent, time);
    private readonly ResiliencePipeline retries = retries ?? ResiliencePipeline.Empty;
    private IdentityToken? identified;

    /// <summary>The identity at hand, checked as before it is used. The session that is begun next uses it.</summary>
    /// <exception cref="FormatException">The signing config does not name what signing needs.</exception>
    /// <exception cref="IdentityException">There is no usable token.</exception>
    public async Task<IdentityToken> IdentifyAsync(CancellationToken cancel)
    {
        IdentityToken token = await retries.ExecuteAsync(async stop => await identities.GetAsync(stop), cancel);
        await MustBeUsableAsync(token, cancel);
        return identified = token;
    }

    /// <exception cref="FormatException">The signing config does not name what signing needs, or names what the trusted root does not know.</exception>
    /// <exception cref="IdentityException">There is no usable token.</exception>
    /// <exception cref="ServiceException">Fulcio gave no certificate.</exception>
    public async Task<SigningSession> BeginAsync(CancellationToken cancel)
    {
        SigningServices services = Services();
        var fulcio = new Fulcio(http, services.Fulcio, time);
        long began = time.GetTimestamp();
        IdentityToken token = Interlocked.Exchange(ref identified, null)
            ?? await retries.ExecuteAsync(async stop => await identities.GetAsync(stop), cancel);               // §2.1.1
        TimeSpan tokenTook = time.GetElapsedTime(began);
        began = time.GetTimestamp();
        SigningSession session = await retries.ExecuteAsync(async stop =>
        {
            if (identities.Provider is { IsGiven: false } && !token.IsUsableAt(time.GetUtcNow()))
            {
                token = await identities.GetAsync(stop);
            }

            await MustBeUsableAsync(token, fulcio, stop);
            return await CertifyAsync(services, token, fulcio, stop);                                       // §2.1.2, §2.1.3
        }, cancel);
        (session.TokenTook, session.CertificateTook) = (tokenTook, time.GetElapsedTime(began));
        return session;
    }

    /// <summary>Looks at a token before it is used: its times, for whom it is, and whether its owner agrees that it becomes public.</summary>
    /// <exception cref="FormatException">The signing config does not name what signing needs.</exception>
    /// <exception cref="IdentityException">It cannot be used here.</exception>
    public Task MustBeUsableAsync(IdentityToken token, CancellationToken cancel) =>
        MustBeUsableAsync(token, new Fulcio(http, Services().Fulcio, time), cancel);

    private bool MayTakeAnotherAudience => identities.Provider is { IsGiven: false } && !PublicRecord.IsKeptFor(instance.TrustedRoot);

    private async Task<SigningSession> CertifyAsync(SigningServices services, IdentityToken token, Fulcio fulcio, CancellationToken cancel)
    {
        try
        {
            return await SigningSession.CertifyAsync(services, token, fulcio, cancel);
        }
        catch (ServiceException no) when (no is { Failure: ServiceFailure.Refused, IsTransient: false } && MayTakeAnotherAudience)
        {
            // A private Fulcio may take tokens for another audience than the usual one; it is asked only now, because most do not.
            if ((await fulcio.AudiencesAsync(token.Issuer, cancel)).FirstOrDefault(audience => audience != IdentityToken.SigstoreAudience) is not { } other)
            {
                throw;
            }

            IdentityToken next = await identities.GetAsync(other, cancel);
            next.MustBeUsableAt(time.GetUtcNow());
            return await SigningSession.CertifyAsync(services, next, fulcio, cancel);
        }
    }

    private async Task MustBeUsableAsync(IdentityToken token, Fulcio fulcio, CancellationToken cancel)
    {
        bool isPublic = PublicRecord.IsKeptFor(instance.TrustedRoot);
        if (isPublic)
        {
            token.MustNotBeAzures();
        }

        token.MustBeUsableAt(time.GetUtcNow());
        if (isPublic || token.Audience.Contains(IdentityToken.SigstoreAudience, StringComparer.Ordinal))
        {
            token.MustBeFor(IdentityToken.SigstoreAudience);
        }
        else
        {
            string[] accepted = await fulcio.AudiencesAsync(token.Issuer, cancel);
            token.MustBeFor(accepted.Length > 0 ? accepted : [IdentityToken.SigstoreAudience]);
        }

        if (!acceptPublicLog)
        {
            PublicRecord.MustBePublic(token, instance.TrustedRoot);
        }
    }

    /// <summary>Signs a statement about an artifact that says nothing but what kind of statement it is, as cosign 3 does for an image.</summary>
    /// <param name="annotations">Go into the signed statement, sorted by name.</param>
    /// <exception cref="ServiceException">No timestamp or no log entry, or our own verifier would not accept the bundle.</exception>
    public Task<SignedBundle> SignAsync(
        SigningSession session, ArtifactDigest subject, string predicateType, IReadOnlyDictionary<string, string> annotations, CancellationToken cancel) =>
        FinishAsync(session, () => session.SignStatement(Statement.Write(subject, predicateType, annotations)), subject, predicateType, cancel);

    /// <summary>Signs an in-toto statement as it is given.</summary>
    /// <param name="statement">JSON; its bytes are what is signed.</param>
    /// <exception cref="FormatException">Not a statement about an artifact by its SHA-256 digest.</exception>
    /// <exception cref="ServiceException">No timestamp or no log entry, or our own verifier would not accept the bundle.</exception>
    public Task<SignedBundle> SignStatementAsync(SigningSession session, byte[] statement, CancellationToken cancel)
    {
        Statement parsed = Statement.Parse(statement);
        byte[] digest = parsed.Subjects.Select(subject => subject.Digests.GetValueOrDefault("sha256")).FirstOrDefault(digest => digest is not null)
            ?? throw new FormatException("the statement names no subject by its sha256 digest, so nobody could verify it");
        return FinishAsync(session, () => session.SignStatement(statement), ArtifactDigest.Sha256(Convert.ToHexStringLower(digest)), parsed.PredicateType, cancel);
    }

    /// <summary>Signs an artifact itself (a message signature), as <c>cosign sign-blob</c> does.</summary>
    /// <exception cref="ServiceException">No timestamp or no log entry, or our own verifier would not accept the bundle.</exception>
    public Task<SignedBundle> SignArtifactAsync(SigningSession session, Artifact artifact, CancellationToken cancel) =>
        FinishAsync(session, () => session.SignArtifact(artifact), artifact, null, cancel);

    /// <summary>Signs an image in the form of cosign 1 and 2.</summary>
    /// <param name="payload">From <see cref="SimpleSignature.WritePayload"/>.</param>
    /// <returns>To be kept: a message signature over the payload, from which <see cref="SimpleSignature.AnnotationsOf"/> makes the layer's annotations.</returns>
    /// <exception cref="FormatException">The signing config names no log of that form.</exception>
    /// <exception cref="ServiceException">No timestamp or no log entry, or our own verifier would not accept the signature.</exception>
    public Task<SignedBundle> SignSimplyAsync(SigningSession session, ArtifactDigest image, ReadOnlyMemory<byte> payload, CancellationToken cancel) => FinishAsync(
        session,
        Services(simply: true),
        () => session.SignArtifact(Artifact.FromContent(payload)),
        bundle => ProveSimply(bundle, image, payload).Require(Policy.Exactly(session.Subject, session.Issuer, SimpleSignature.PredicateType)),
        cancel);

    /// <summary>The annotations of the layer that a kept bundle stands for.</summary>
    public IReadOnlyDictionary<string, string> AnnotationsOf(ReadOnlyMemory<byte> bundle) => SimpleSignature.AnnotationsOf(bundle, instance.TrustedRoot);

    /// <summary>Proves a signature in the form of cosign 1 and 2 that was kept as a bundle.</summary>
    /// <exception cref="VerificationException">It proves nothing, or is no such bundle.</exception>
    public ProvenSignature ProveSimply(ReadOnlyMemory<byte> bundle, ArtifactDigest image, ReadOnlyMemory<byte> payload)
    {
        try
        {
            return verifier.ProveImage(SimpleSignature.Parse(payload, SimpleSignature.AnnotationsOf(bundle, instance.TrustedRoot)), image, null, Proofs.Log);
        }
        catch (FormatException e)
        {
            throw new VerificationException("bundle.content", e.Message, inner: e);
        }
    }

    /// <summary>
    /// Whether a signature that was made before, by whatever build, says what one made now would say: by the identity at hand, of the same commit,
    /// with the same annotations.
    /// </summary>
    /// <param name="token">The identity at hand.</param>
    /// <exception cref="VerificationException">It does not; the exception says what differs.</exception>
    public static VerifiedSignature MustBeAsNew(ProvenSignature signature, IdentityToken token, string predicateType, IReadOnlyDictionary<string, string> annotations)
    {
        string subject = token.ExpectedSubject ?? throw new VerificationException("policy.identity", "which subject this identity's certificates carry is not known before there is one");
        VerifiedSignature verified = signature.Require(Policy.Exactly(subject, token.ExpectedIssuer, predicateType));
        foreach ((int extension, string? claim) in token.ExpectedSource)
        {
            if (verified.Signer!.Extensions.TryGetValue(extension, out string? found) && found != claim)
            {
                throw new VerificationException("policy.extension", "the signature was made from another source", claim, found);
            }
        }

        return verified.Annotations.Count == annotations.Count && annotations.All(annotation => verified.Annotations.GetValueOrDefault(annotation.Key) == annotation.Value)
            ? verified
            : throw new VerificationException("policy.annotation", "the signature has other annotations than are asked for now");
    }

    /// <summary>Nothing is under way that could end when the certificate has: what is not stamped and logged by then is for the next certificate.</summary>
    private Task<SignedBundle> FinishAsync(SigningSession session, Func<FreshSignature> sign, Artifact artifact, string? predicateType, CancellationToken cancel) =>
        FinishAsync(session, session.Services, sign, bundle => verifier.Verify(bundle, artifact, Policy.Exactly(session.Subject, session.Issuer, predicateType)), cancel);

    private async Task<SignedBundle> FinishAsync(SigningSession session, SigningServices services, Func<FreshSignature> sign, Func<byte[], VerifiedSignature> verify, CancellationToken cancel)
    {
        TimeSpan left = session.ExpiresAt - Reserve - time.GetUtcNow();
        if (left <= TimeSpan.Zero)
        {
            throw TooLate(session);
        }

        using var end = new CancellationTokenSource(left < LongestLife ? left : LongestLife, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel, end.Token);
        try
        {
            for (int more = SignaturesAfterConflict; ; more--)
            {
                try
                {
                    return await StampAndLogAsync(services, sign(), verify, either.Token);
                }
                catch (ServiceException e) when (e.Failure == ServiceFailure.AlreadyLogged && more > 0)
                {
                    // An answer was lost, the entry is not. Another signature has an entry of its own, and needs a timestamp of its own.
                }
            }
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested && !cancel.IsCancellationRequested)
        {
            throw TooLate(session);
        }
    }

    private async Task<SignedBundle> StampAndLogAsync(SigningServices services, FreshSignature signed, Func<byte[], VerifiedSignature> verify, CancellationToken cancel)
    {
        (IReadOnlyList<byte[]> Answers, TimeSpan Took) stamps = ([], default), entries = ([], default);
        // In flight together: both need the signature alone (§2.1.5, §2.1.6). Where one fails for good, nobody waits for the other.
        await Parallel.ForEachAsync<Func<CancellationToken, Task>>(
            [
                async stop => stamps = await MeasureAsync(services.TimestampAuthorities.AskAsync(
                    retries, (service, each) => new TimestampAuthority(http, service).StampAsync(signed.Signature, each), stop)),
                async stop => entries = await MeasureAsync(services.Rekor.AskAsync(
                    retries, (service, each) => new Rekor(http, service).AddAsync(signed, each), stop)),
            ],
            new ParallelOptions { MaxDegreeOfParallelism = 2, CancellationToken = cancel },
            async (ask, stop) => await ask(stop));

        byte[] bundle = BundleWriter.Write(signed, entries.Answers, stamps.Answers);
        return new SignedBundle(bundle, Accept(services, () => verify(bundle)))                             // §2.1.8
        {
            TimestampTook = stamps.Took,
            LogTook = entries.Took,
        };
    }

    private async Task<(IReadOnlyList<byte[]> Answers, TimeSpan Took)> MeasureAsync(Task<IReadOnlyList<byte[]>> asking)
    {
        long began = time.GetTimestamp();
        return (await asking, time.GetElapsedTime(began));
    }

    private ServiceException TooLate(SigningSession session) => new(
        ServiceFailure.TooLate, "Fulcio", $"the certificate ends at {Shown.Of(session.ExpiresAt)}, which is too soon: it is {Shown.Of(time.GetUtcNow())}, and there is no timestamp or no log entry")
    {
        IsTransient = true,
    };

    private SigningServices Services(bool simply = false)
    {
        SigningConfig config = instance.SigningConfig
            ?? throw new FormatException("no signing config is given: verifying needs the trusted root alone, signing both");
        DateTimeOffset now = time.GetUtcNow();
        return (simply ? config.SelectSimply(now, allowHttp) : config.Select(now, allowHttp)).KnownTo(instance.TrustedRoot, now);
    }

    // What we would not accept nobody gets to see. The clause that refuses tells which service's answer it is about.
    private static VerifiedSignature Accept(SigningServices services, Func<VerifiedSignature> verify)
    {
        try
        {
            VerifiedSignature verified = verify();
            RequireWitnesses("tlog.threshold", "transparency logs", services.Rekor.Needed, verified.Logs);
            RequireWitnesses("time.threshold", "timestamp authorities", services.TimestampAuthorities.Needed, verified.Authorities);
            return verified;
        }
        catch (VerificationException e) when (Culprit(e.Step, services) is { } service)
        {
            throw new ServiceException(
                ServiceFailure.Nonsense, service, $"the answer of {service} is not accepted by our own verifier ({e.Reason}): {e.Message}", e);
        }
    }

    // The verifier ignores what an unknown service signed and needs one witness of each kind; the signing config may ask for more.
    private static void RequireWitnesses(string reason, string kind, int needed, int proven)
    {
        if (proven < needed)
        {
            throw new VerificationException(
                reason,
                $"fewer different {kind} stand behind the signature than the signing config asks for",
                needed.ToString(CultureInfo.InvariantCulture),
                proven.ToString(CultureInfo.InvariantCulture));
        }
    }

    // `sig` and `subject` are about bytes made here, `root` about the trusted root: no service is to blame.
    private static string? Culprit(string step, SigningServices asked) => step switch
    {
        "cert" or "sct" or "policy" => "Fulcio",
        // Rekor v1 dates its entries by itself.
        "time" when asked.TimestampAuthorities.Needed == 0 => "Rekor",
        "time" => "timestamp authority",
        "tlog" or "bundle" => "Rekor",
        _ => null,
    };
}

/// <summary>A key with a certificate for it, and where to take its signatures.</summary>
public sealed class SigningSession : IDisposable
{
    private readonly SigningKey key;
    private readonly IssuedCertificate certificate;

    private SigningSession(SigningServices services, IdentityToken token, SigningKey key, IssuedCertificate certificate)
    {
        Services = services;
        Token = token;
        this.key = key;
        this.certificate = certificate;
    }

    public IdentityToken Token { get; }

    /// <summary>The issuer that the certificate must name.</summary>
    public string Issuer => Token.ExpectedIssuer;

    /// <summary>The subject alternative name that the certificate must carry: the token's where the rule is known, else the certificate's own.</summary>
    public string Subject => Token.ExpectedSubject ?? certificate.Identity.Subject;

    /// <summary>DER. Signatures count only if they are stamped and logged before it ends.</summary>
    public ReadOnlyMemory<byte> Certificate => certificate.Der;

    public DateTimeOffset ExpiresAt => certificate.NotAfter;

    /// <summary>How long the identity provider took.</summary>
    public TimeSpan TokenTook { get; internal set; }

    /// <summary>How long Fulcio took.</summary>
    public TimeSpan CertificateTook { get; internal set; }

    internal SigningServices Services { get; }

    internal static async Task<SigningSession> CertifyAsync(SigningServices services, IdentityToken token, Fulcio fulcio, CancellationToken cancel)
    {
        var key = SigningKey.Create();
        try
        {
            IssuedCertificate certificate = await fulcio.IssueAsync(token, key, cancel);
            return new SigningSession(services, token, key, certificate);
        }
        catch
        {
            key.Dispose();
            throw;
        }
    }

    internal FreshSignature SignStatement(byte[] statement) => FreshSignature.OverStatement(statement, key, certificate.Der); // §2.1.4

    internal FreshSignature SignArtifact(Artifact artifact) =>
        FreshSignature.OverArtifact(artifact.Digest(HashAlgorithmName.SHA256) ?? throw new ArgumentException($"only {artifact} is known of the artifact"), key, certificate.Der);

    public void Dispose() => key.Dispose();
}

/// <summary>A bundle that was made and then accepted by our own verifier.</summary>
public sealed record SignedBundle(ReadOnlyMemory<byte> Json, VerifiedSignature Verified)
{
    /// <summary>How long the timestamp authorities took; zero where none is asked.</summary>
    public TimeSpan TimestampTook { get; init; }

    /// <summary>How long the logs took.</summary>
    public TimeSpan LogTook { get; init; }
}
