using System.Collections.Concurrent;
using Keyless.Oci;
using Keyless.Sigstore;
using Polly;

namespace Keyless.MSBuild;

/// <summary>A manifest to sign, by its digest: never by a tag, which may be moved before we get there.</summary>
/// <param name="Platform"><c>os/architecture</c> of a manifest in an index; null where that is not known.</param>
/// <param name="WithChildren">If it is an index, every manifest in it is signed, too.</param>
/// <param name="Within">The index that it is signed for; null where it is signed for itself.</param>
/// <param name="Manifest">What the index says of it that it stands in, and that is signed with it; null where the registry has to be asked.</param>
internal sealed record ImageToSign(
    ImageReference Reference,
    Digest Digest,
    IReadOnlyList<string> Tags,
    string? Platform = null,
    bool WithChildren = false,
    Digest? Within = null,
    Descriptor? Manifest = null);

/// <summary>A manifest that is signed, and whose signature is in its registry.</summary>
/// <param name="Format">The form of the signature: <c>bundle</c> or <c>legacy</c>.</param>
/// <param name="BundlePath">Absolute; null where the signature was there before.</param>
/// <param name="Took">How long each step took; null where nothing was signed now.</param>
internal sealed record SignedImage(
    ImageToSign Image, string Format, string MediaType, string? BundlePath, string SignatureReference, VerifiedSignature Bundle, SigningTimes? Took)
{
    public string Reference => Image.Reference.Pinned(Image.Digest);
}

/// <summary>How long each step of a signature took. Timestamp and log are asked together.</summary>
internal sealed record SigningTimes(TimeSpan Timestamp, TimeSpan Log, TimeSpan Attach);

/// <summary>What signatures are to be like.</summary>
/// <param name="Formats"><c>bundle</c>, <c>legacy</c> or both.</param>
/// <param name="SkipIfSigned">A digest that has such a signature by this identity gets no other.</param>
internal sealed record SignaturesWanted(IReadOnlyList<string> Formats, IReadOnlyDictionary<string, string> Annotations, bool SkipIfSigned)
{
    public const string Bundle = "bundle";
    public const string Legacy = "legacy";
}

/// <summary>
/// Signs images the way <c>cosign sign</c> does: version 3's, one in-toto statement for each digest, in a Sigstore bundle that is attached to the
/// image as an OCI referrer; version 2's, a payload in a layer under the <c>.sig</c> tag.
/// </summary>
/// <param name="verifier">Of the signer's instance.</param>
/// <param name="begin">Gets the certificate to sign with. It belongs to whoever gives it, and may serve others at the same time.</param>
/// <param name="note">Told, in one line, what becomes of bundles that were kept.</param>
internal sealed class ImageSigner(
    Signer signer, Verifier verifier, Func<CancellationToken, Task<SigningSession>> begin, Registries registries, BundleDirectory kept, SignaturesWanted wanted,
    ResiliencePipeline retries, TimeProvider time, Action<string> note)
{
    /// <summary>What such a signature says: "I signed this", and nothing else about it.</summary>
    public const string PredicateType = SimpleSignature.PredicateType;

    public const string BundleMediaType = "application/vnd.dev.sigstore.bundle.v0.3+json";

    /// <summary>
    /// All platforms of an image there is today, so that signing takes as long for twelve as for two: what takes time is the log, whose answers are
    /// waited for together. It is bounded because whoever writes an index chooses its length, and each signature under way holds connections.
    /// </summary>
    private const int AtOnce = 64;

    private readonly ConcurrentQueue<(string Path, ReadOnlyMemory<byte> Bundle)> attached = [];

    /// <summary>All in one session: one token, one key, one certificate.</summary>
    public async Task<IReadOnlyList<SignedImage>> SignAsync(IReadOnlyList<ImageToSign> images, CancellationToken cancel)
    {
        // Where nothing may be left to sign, nobody is asked for a certificate before that is known.
        bool mayBeDone = wanted.SkipIfSigned || kept.HasUnfinished;
        Subject[] subjects = [];
        SignedImage?[] signed = [];
        try
        {
            // The registry is asked while Fulcio works. What is not there is never signed: the certificate stays unused.
            await Parallel.ForEachAsync<Func<CancellationToken, Task>>(
                [async stop => subjects = await ConfirmAsync(images, stop), mayBeDone ? _ => Task.CompletedTask : BeginAsync],
                new ParallelOptions { MaxDegreeOfParallelism = 2, CancellationToken = cancel },
                async (part, stop) => await part(stop));

            var identity = new Lazy<Task<IdentityToken>>(() => AskAsync(() => signer.IdentifyAsync(cancel)));
            signed = new SignedImage?[subjects.Length];
            await Parallel.ForAsync(0, subjects.Length, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancel },
                async (i, each) => signed[i] = (mayBeDone ? await FindDoneAsync(subjects[i], identity, each) : null) ?? await SignAsync(subjects[i], each));
        }
        catch (IdentityException e) when (signed.Contains(null))
        {
            // A token that somebody gave the build ends sooner than the images to sign.
            throw new IdentityException(e.Failure, $"{e.Message}; not signed: {Unsigned()}", e);
        }
        catch (Exception e) when (e is ServiceException or RegistryException)
        {
            note($"not signed: {Unsigned()}");
            throw;
        }

        return [.. signed.Select(image => image!)];

        string Unsigned() => string.Join(", ", (signed.Length == 0 ? images : subjects.Where((_, i) => signed[i] is null).Select(subject => subject.Image))
            .Select(image => image.Reference.Pinned(image.Digest)).Distinct());
    }

    /// <summary>
    /// Marks what was kept as done: when everything that was asked for stands and success has been reported, not before. Of a build that is killed
    /// earlier the next one pushes all that is kept, which changes nothing where it stands already, and nothing is signed twice.
    /// </summary>
    public void Finish()
    {
        foreach ((string path, ReadOnlyMemory<byte> bundle) in attached)
        {
            try
            {
                BundleDirectory.Finish(path, bundle);
            }
            catch (ConfigurationException e)
            {
                // Pushing it once more changes nothing.
                note(e.Message);
            }
        }
    }

    private async Task<SignedImage> SignAsync(Subject subject, CancellationToken cancel)
    {
        ArtifactDigest digest = subject.Artifact;
        // The certificate is asked for with each try: the one before may have come to its end.
        SignedBundle bundle = await retries.ExecuteAsync(
            async stop =>
            {
                SigningSession session = await BeginAsync(stop);
                return subject.Format == SignaturesWanted.Legacy
                    ? await signer.SignSimplyAsync(session, digest, Payload(subject), stop)
                    : await signer.SignAsync(session, digest, PredicateType, wanted.Annotations, stop);
            },
            cancel);
        BundleDirectory.Keep(subject.Path, bundle.Json);
        return await AttachAsync(subject, bundle.Json, bundle.Verified, attach => new SigningTimes(bundle.TimestampTook, bundle.LogTook, attach), cancel);
    }

    private async Task<SignedImage> AttachAsync(Subject subject, ReadOnlyMemory<byte> bundle, VerifiedSignature verified, Func<TimeSpan, SigningTimes?> took, CancellationToken cancel)
    {
        ImageToSign image = subject.Image;
        Registry registry = registries.SignaturesOf(image.Reference);
        long began = time.GetTimestamp();
        string? reference = null;
        try
        {
            reference = subject.Format == SignaturesWanted.Legacy
                ? await registry.AddSignatureAsync(image.Digest, new SignatureLayer(SimpleSignature.LayerMediaType, Payload(subject), signer.AnnotationsOf(bundle)), subject.Upload, cancel)
                : (await registry.AttachAsync(subject.Manifest, ToAttachment(bundle, verified), subject.Upload, cancel)).Reference;
        }
        finally
        {
            if (reference is null)
            {
                note($"the signature of {image.Reference.Pinned(image.Digest)} is made and not in the registry; it is kept in '{subject.Path}', from where the next build pushes it");
            }
        }

        attached.Enqueue((subject.Path, bundle));
        return new SignedImage(image, subject.Format, subject.Manifest.MediaType, subject.Path, reference, verified, took(time.GetElapsedTime(began)));
    }

    /// <summary>The referrer's manifest depends on the bundle alone, so that pushing it twice makes one.</summary>
    private static Attachment ToAttachment(ReadOnlyMemory<byte> bundle, VerifiedSignature verified) => new(BundleMediaType, BundleMediaType, bundle,
    [
        new("dev.sigstore.bundle.content", "dsse-envelope"),
        new("dev.sigstore.bundle.predicateType", PredicateType),
        new("org.opencontainers.image.created", VerificationReport.Format(verified.SignedAt)),
    ]);

    /// <summary>What cosign signs in its form, with its name for Docker Hub.</summary>
    private byte[] Payload(Subject subject)
    {
        ImageReference reference = subject.Image.Reference;
        string registry = reference.Registry == "docker.io" ? "index.docker.io" : reference.Registry;
        return SimpleSignature.WritePayload(subject.Artifact, $"{registry}/{reference.Repository}", wanted.Annotations);
    }

    /// <summary>A signature that an earlier build made and did not bring to the registry, or one that is there.</summary>
    private async Task<SignedImage?> FindDoneAsync(Subject subject, Lazy<Task<IdentityToken>> identity, CancellationToken cancel) =>
        await PushKeptAsync(subject, identity, cancel) ?? (wanted.SkipIfSigned ? await FindSignedAsync(subject, identity, cancel) : null);

    private async Task<SignedImage?> PushKeptAsync(Subject subject, Lazy<Task<IdentityToken>> identity, CancellationToken cancel)
    {
        byte[]? bundle;
        try
        {
            bundle = BundleDirectory.ReadUnfinished(subject.Path);
        }
        catch (ConfigurationException e)
        {
            note($"the bundle that an earlier build kept is not used: {e.Message}; the image is signed anew");
            return null;
        }

        if (bundle is null)
        {
            return null;
        }

        IdentityToken token = await identity.Value;
        VerifiedSignature verified;
        try
        {
            ProvenSignature proven = subject.Format == SignaturesWanted.Legacy
                ? signer.ProveSimply(bundle, subject.Artifact, Payload(subject))
                : verifier.ProveImage(bundle, subject.Artifact, null, Proofs.Log);
            verified = Signer.MustBeAsNew(proven, token, PredicateType, wanted.Annotations);
        }
        catch (VerificationException e)
        {
            note($"the bundle that an earlier build kept in '{subject.Path}' is not used ({e.Reason}): {e.Message}; the image is signed anew");
            return null;
        }

        note($"the bundle that an earlier build kept in '{subject.Path}' is pushed; nothing is signed anew");
        return await AttachAsync(subject, bundle, verified, _ => null, cancel);
    }

    private async Task<SignedImage?> FindSignedAsync(Subject subject, Lazy<Task<IdentityToken>> identity, CancellationToken cancel)
    {
        ImageToSign image = subject.Image;
        string pinned = image.Reference.Pinned(image.Digest);
        ImageReference place = registries.PlaceOfSignatures(image.Reference);
        IdentityToken token = await identity.Value;
        try
        {
            var search = new SignatureSearch(registries.SignaturesOf(image.Reference), pinned, image.Digest, [PredicateType]);
            await foreach (FoundSignature found in search.ReadAsync(cancel))
            {
                if (found.Format == subject.Format && AsNew(found, token) is { } verified)
                {
                    string at = found.Format == SignaturesWanted.Legacy ? $":{found.Reference.Split(' ')[0]}" : $"@{found.Reference}";
                    return new SignedImage(image, subject.Format, subject.Manifest.MediaType, null, $"{place.Registry}/{place.Repository}{at}", verified, null);
                }
            }
        }
        catch (ConfigurationException e)
        {
            note($"{pinned} is signed although it may be signed already: {e.Message}");
        }

        return null;
    }

    private VerifiedSignature? AsNew(FoundSignature found, IdentityToken token)
    {
        try
        {
            return Signer.MustBeAsNew(found.Prove(verifier, null, Proofs.Log), token, PredicateType, wanted.Annotations);
        }
        catch (VerificationException)
        {
            // Somebody else's, or of another commit.
            return null;
        }
    }

    /// <summary>
    /// The images, and what is in those that are an index whose children were asked for. The first question to a repository is for the image: what
    /// is not there, or not for us, ends it. The uploads are opened here, so that who may not push is told so before anything is logged.
    /// </summary>
    private async Task<Subject[]> ConfirmAsync(IReadOnlyList<ImageToSign> images, CancellationToken cancel)
    {
        ImageToSign[] named = await Task.WhenAll(images.Select(image => DescribeAsync(image, cancel)));
        ImageToSign[][] children = await Task.WhenAll(named
            .Where(image => image.WithChildren && image.Manifest!.MediaType is MediaTypes.OciIndex or MediaTypes.DockerManifestList)
            .Select(index => ChildrenAsync(index, cancel)));
        ImageToSign[] all = [.. named, .. children.SelectMany(list => list).ExceptBy(named.Select(Place), Place).DistinctBy(Place)];
        (ImageToSign Image, string Format)[] signatures = [.. all.SelectMany(image => wanted.Formats.Select(format => (image, format)))];
        // Where a signature may be there already, a place is opened when it is known to be needed.
        Task<BlobUpload[]> uploads = Task.WhenAll(signatures.Take(wanted.SkipIfSigned ? 0 : AtOnce).Select(signature => registries.SignaturesOf(signature.Image.Reference).OpenUploadAsync(cancel)));
        IEnumerable<Task> configs = signatures.Where(signature => signature.Format == SignaturesWanted.Bundle)
            .Select(signature => registries.SignaturesOf(signature.Image.Reference).PrepareEmptyConfigAsync(cancel));
        await Task.WhenAll([uploads, .. configs]);
        BlobUpload[] opened = await uploads;
        HashSet<string> repeated = [.. all.GroupBy(image => image.Digest.ToString()).Where(same => same.Skip(1).Any()).Select(same => same.Key)];
        return
        [
            .. signatures.Select((signature, i) =>
            {
                ImageToSign image = signature.Image;
                string? place = repeated.Contains(image.Digest.ToString()) ? $"{image.Reference.Registry}/{image.Reference.Repository}" : null;
                string path = kept.PathOf(image.Digest, signature.Format, place);
                BundleDirectory.MustTake(path);
                return new Subject(image, image.Manifest!, signature.Format, path, opened.ElementAtOrDefault(i));
            }),
        ];
    }

    private static (string Registry, string Repository, Digest Digest) Place(ImageToSign image) => (image.Reference.Registry, image.Reference.Repository, image.Digest);

    /// <summary>Nobody is asked about what stands in an index that is signed: its digest is over what it says.</summary>
    private async Task<ImageToSign> DescribeAsync(ImageToSign image, CancellationToken cancel) =>
        image.Manifest is null ? image with { Manifest = await registries[image.Reference].HeadManifestAsync(image.Digest, cancel) } : image;

    private async Task<ImageToSign[]> ChildrenAsync(ImageToSign index, CancellationToken cancel)
    {
        Manifest manifest = await registries[index.Reference].GetManifestAsync(index.Manifest!, cancel);
        return [.. manifest.Manifests.Select(child => new ImageToSign(index.Reference, child.Digest, [], child.Platform, Within: index.Digest, Manifest: child))];
    }

    private Task<SigningSession> BeginAsync(CancellationToken cancel) => AskAsync(() => begin(cancel));

    /// <summary>The first who asks for anything finds out that the signing config does not name what signing needs, or whom nobody knows.</summary>
    private static async Task<T> AskAsync<T>(Func<Task<T>> ask)
    {
        try
        {
            return await ask();
        }
        catch (FormatException e)
        {
            throw new ConfigurationException(Diagnostics.MalformedTrustRoot, e.Message, e);
        }
    }

    /// <summary>One signature to make.</summary>
    /// <param name="Path">Where its bundle is kept; absolute.</param>
    /// <param name="Upload">The place for what is pushed; null where one is opened when it is its turn.</param>
    private sealed record Subject(ImageToSign Image, Descriptor Manifest, string Format, string Path, BlobUpload? Upload)
    {
        public ArtifactDigest Artifact => ArtifactDigest.Sha256(Image.Digest.Hex);
    }
}
