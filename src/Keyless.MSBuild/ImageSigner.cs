using Keyless.Oci;
using Keyless.Sigstore;

namespace Keyless.MSBuild;

/// <summary>A manifest to sign, by its digest: never by a tag, which may be moved before we get there.</summary>
/// <param name="Platform"><c>os/architecture</c> of a manifest in an index; null where that is not known.</param>
/// <param name="WithChildren">If it is an index, every manifest in it is signed, too.</param>
internal sealed record ImageToSign(ImageReference Reference, Digest Digest, IReadOnlyList<string> Tags, string? Platform = null, bool WithChildren = false);

/// <summary>A manifest that is signed, and whose signature is in its registry.</summary>
internal sealed record SignedImage(ImageToSign Image, string MediaType, string BundlePath, string SignatureReference, VerifiedSignature Bundle)
{
    public string Reference => Image.Reference.Pinned(Image.Digest);
}

/// <summary>
/// Signs images the way <c>cosign sign</c> 3 does: one in-toto statement for each digest, in a Sigstore bundle that is attached to the image as
/// an OCI referrer.
/// </summary>
internal sealed class ImageSigner(Signer signer, Registries registries, BundleDirectory kept, IReadOnlyDictionary<string, string> annotations)
{
    /// <summary>What such a signature says: "I signed this", and nothing else about it.</summary>
    public const string PredicateType = "https://sigstore.dev/cosign/sign/v1";

    public const string BundleMediaType = "application/vnd.dev.sigstore.bundle.v0.3+json";

    /// <summary>More at once only queue up at the registry.</summary>
    private const int AtOnce = 8;

    /// <summary>All in one session: one token, one key, one certificate.</summary>
    public async Task<IReadOnlyList<SignedImage>> SignAsync(IReadOnlyList<ImageToSign> images, CancellationToken cancel)
    {
        // The registry is asked while Fulcio works. What is not there is never signed: the session ends unused.
        Task<Subject[]> confirming = ConfirmAsync(images, cancel);
        Task<SigningSession> beginning = BeginAsync(cancel);
        using SigningSession session = await Both(beginning, confirming);
        Subject[] subjects = await confirming;

        var signed = new SignedImage[subjects.Length];
        await Parallel.ForAsync(0, subjects.Length, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancel },
            async (i, each) => signed[i] = await SignAsync(session, subjects[i], each));
        return signed;
    }

    private async Task<SignedImage> SignAsync(SigningSession session, Subject subject, CancellationToken cancel)
    {
        ImageToSign image = subject.Image;
        SignedBundle bundle = await signer.SignAsync(session, ArtifactDigest.Sha256(image.Digest.Hex), PredicateType, annotations, cancel);
        string path = kept.Keep(image.Digest, "bundle", bundle.Json);
        AttachedReferrer referrer = await registries[image.Reference].AttachAsync(subject.Manifest, ToAttachment(bundle), subject.EmptyConfigPresent, cancel);
        return new SignedImage(image, subject.Manifest.MediaType, path, referrer.Reference, bundle.Verified);
    }

    /// <summary>The referrer's manifest depends on the bundle alone, so that pushing it twice makes one.</summary>
    private static Attachment ToAttachment(SignedBundle bundle) => new(BundleMediaType, BundleMediaType, bundle.Json,
    [
        new("dev.sigstore.bundle.content", "dsse-envelope"),
        new("dev.sigstore.bundle.predicateType", PredicateType),
        new("org.opencontainers.image.created", VerificationReport.Format(bundle.Verified.SignedAt)),
    ]);

    /// <summary>The images, and what is in those that are an index whose children were asked for.</summary>
    private async Task<Subject[]> ConfirmAsync(IReadOnlyList<ImageToSign> images, CancellationToken cancel)
    {
        Subject[] named = await Task.WhenAll(images.Select(image => ConfirmAsync(image, cancel)));
        ImageToSign[][] children = await Task.WhenAll(named
            .Where(subject => subject.Image.WithChildren && subject.Manifest.MediaType is MediaTypes.OciIndex or MediaTypes.DockerManifestList)
            .Select(subject => ChildrenAsync(subject, cancel)));
        ImageToSign[] more = [.. children.SelectMany(list => list).ExceptBy(images.Select(Place), Place).DistinctBy(Place)];
        return more.Length == 0 ? named : [.. named, .. await ConfirmAsync(more, cancel)];
    }

    private static (string Registry, string Repository, Digest Digest) Place(ImageToSign image) => (image.Reference.Registry, image.Reference.Repository, image.Digest);

    private async Task<ImageToSign[]> ChildrenAsync(Subject index, CancellationToken cancel)
    {
        Manifest manifest = await registries[index.Image.Reference].GetManifestAsync(index.Manifest, cancel);
        return [.. manifest.Manifests.Select(child => new ImageToSign(index.Image.Reference, child.Digest, [], child.Platform))];
    }

    private async Task<Subject> ConfirmAsync(ImageToSign image, CancellationToken cancel)
    {
        Registry registry = registries[image.Reference];
        Task<bool> emptyConfigPresent = registry.HasBlobAsync(Attachment.EmptyConfigDigest, cancel);
        Task<Descriptor> manifest = registry.HeadManifestAsync(image.Digest, cancel);
        await Task.WhenAll(manifest, emptyConfigPresent);
        return new Subject(image, await manifest, await emptyConfigPresent);
    }

    private async Task<SigningSession> BeginAsync(CancellationToken cancel)
    {
        try
        {
            return await signer.BeginAsync(cancel);
        }
        catch (FormatException e)
        {
            throw new ConfigurationException(Diagnostics.MalformedTrustRoot, e.Message, e);
        }
    }

    /// <summary>The session, once both are there; neither is left behind when the other fails.</summary>
    private static async Task<SigningSession> Both(Task<SigningSession> beginning, Task confirming)
    {
        try
        {
            await Task.WhenAll(confirming, beginning);
            return await beginning;
        }
        catch
        {
            if (beginning.IsCompletedSuccessfully)
            {
                (await beginning).Dispose();
            }

            throw;
        }
    }

    private sealed record Subject(ImageToSign Image, Descriptor Manifest, bool EmptyConfigPresent);
}
