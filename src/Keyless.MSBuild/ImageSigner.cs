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
/// <param name="Took">How long each step took.</param>
internal sealed record SignedImage(ImageToSign Image, string MediaType, string BundlePath, string SignatureReference, VerifiedSignature Bundle, SigningTimes Took)
{
    public string Reference => Image.Reference.Pinned(Image.Digest);
}

/// <summary>How long each step of a signature took. Timestamp and log are asked together.</summary>
internal sealed record SigningTimes(TimeSpan Timestamp, TimeSpan Log, TimeSpan Attach);

/// <summary>
/// Signs images the way <c>cosign sign</c> 3 does: one in-toto statement for each digest, in a Sigstore bundle that is attached to the image as
/// an OCI referrer.
/// </summary>
/// <param name="begin">Gets the certificate to sign with. It belongs to whoever gives it, and may serve others at the same time.</param>
internal sealed class ImageSigner(
    Signer signer, Func<CancellationToken, Task<SigningSession>> begin, Registries registries, BundleDirectory kept, IReadOnlyDictionary<string, string> annotations,
    ResiliencePipeline retries, TimeProvider time)
{
    /// <summary>What such a signature says: "I signed this", and nothing else about it.</summary>
    public const string PredicateType = "https://sigstore.dev/cosign/sign/v1";

    public const string BundleMediaType = "application/vnd.dev.sigstore.bundle.v0.3+json";

    /// <summary>
    /// All platforms of an image there is today, so that signing takes as long for twelve as for two: what takes time is the log, whose answers are
    /// waited for together. It is bounded because whoever writes an index chooses its length, and each signature under way holds connections.
    /// </summary>
    private const int AtOnce = 64;

    /// <summary>All in one session: one token, one key, one certificate.</summary>
    public async Task<IReadOnlyList<SignedImage>> SignAsync(IReadOnlyList<ImageToSign> images, CancellationToken cancel)
    {
        Subject[] subjects = [];
        // The registry is asked while Fulcio works. What is not there is never signed: the certificate stays unused.
        await Parallel.ForEachAsync<Func<CancellationToken, Task>>(
            [async stop => subjects = await ConfirmAsync(images, stop), BeginAsync],
            new ParallelOptions { MaxDegreeOfParallelism = 2, CancellationToken = cancel },
            async (part, stop) => await part(stop));

        var signed = new SignedImage?[subjects.Length];
        try
        {
            await Parallel.ForAsync(0, subjects.Length, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancel },
                async (i, each) => signed[i] = await SignAsync(subjects[i], each));
        }
        catch (IdentityException e) when (signed.Contains(null))
        {
            // A token that somebody gave the build ends sooner than the images to sign.
            IEnumerable<string> left = subjects.Where((_, i) => signed[i] is null).Select(subject => subject.Image.Reference.Pinned(subject.Image.Digest));
            throw new IdentityException(e.Failure, $"{e.Message}; not signed: {string.Join(", ", left)}", e);
        }

        return [.. signed.Select(image => image!)];
    }

    private async Task<SignedImage> SignAsync(Subject subject, CancellationToken cancel)
    {
        ImageToSign image = subject.Image;
        // The certificate is asked for with each try: the one before may have come to its end.
        SignedBundle bundle = await retries.ExecuteAsync(
            async stop => await signer.SignAsync(await BeginAsync(stop), ArtifactDigest.Sha256(image.Digest.Hex), PredicateType, annotations, stop), cancel);
        string path = kept.Keep(image.Digest, "bundle", bundle.Json);
        long began = time.GetTimestamp();
        AttachedReferrer referrer = await registries.SignaturesOf(image.Reference).AttachAsync(subject.Manifest, ToAttachment(bundle), subject.Upload, cancel);
        var took = new SigningTimes(bundle.TimestampTook, bundle.LogTook, time.GetElapsedTime(began));
        return new SignedImage(image, subject.Manifest.MediaType, path, referrer.Reference, bundle.Verified, took);
    }

    /// <summary>The referrer's manifest depends on the bundle alone, so that pushing it twice makes one.</summary>
    private static Attachment ToAttachment(SignedBundle bundle) => new(BundleMediaType, BundleMediaType, bundle.Json,
    [
        new("dev.sigstore.bundle.content", "dsse-envelope"),
        new("dev.sigstore.bundle.predicateType", PredicateType),
        new("org.opencontainers.image.created", VerificationReport.Format(bundle.Verified.SignedAt)),
    ]);

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
        Task<BlobUpload[]> uploads = Task.WhenAll(all.Take(AtOnce).Select(image => registries.SignaturesOf(image.Reference).OpenUploadAsync(cancel)));
        await Task.WhenAll([uploads, .. all.Select(image => registries.SignaturesOf(image.Reference).PrepareEmptyConfigAsync(cancel))]);
        BlobUpload[] opened = await uploads;
        return [.. all.Select((image, i) => new Subject(image, image.Manifest!, opened.ElementAtOrDefault(i)))];
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

    private async Task<SigningSession> BeginAsync(CancellationToken cancel)
    {
        try
        {
            return await begin(cancel);
        }
        catch (FormatException e)
        {
            throw new ConfigurationException(Diagnostics.MalformedTrustRoot, e.Message, e);
        }
    }

    /// <param name="Upload">The place for the bundle; null where one is opened when it is its turn.</param>
    private sealed record Subject(ImageToSign Image, Descriptor Manifest, BlobUpload? Upload);
}
