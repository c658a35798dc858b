using System.Globalization;
using Keyless.Oci;
using Keyless.Sigstore;

namespace Keyless.MSBuild;

/// <summary>What became of one signature: proof, or the clause that refused it.</summary>
/// <param name="Format"><c>bundle</c>, <c>legacy</c> or <c>oci11</c>.</param>
/// <param name="Reference">Where it is: a digest, or a tag for the legacy form.</param>
internal sealed record SignatureVerdict(string Format, string Reference, VerifiedSignature? Accepted, VerificationException? Refusal);

/// <summary>What became of one image.</summary>
/// <param name="Signatures">All that were looked at, in the order in which they were.</param>
internal sealed record ImageVerdict(ImageReference Image, Digest Digest, TrustPolicy Policy, IReadOnlyList<SignatureVerdict> Signatures)
{
    public VerifiedSignature? Accepted => Signatures.FirstOrDefault(signature => signature.Accepted is not null)?.Accepted;

    public string Pinned => Image.Pinned(Digest);

    /// <summary>The refusal that came furthest: the one its reader most likely cares for.</summary>
    public SignatureVerdict? Nearest => Signatures.Where(signature => signature.Refusal is not null)
        .MaxBy(signature => signature.Refusal!.Progress);
}

/// <summary>
/// Decides whether an image carries a signature that its policy takes. Everything the registry says is a claim: a candidate counts only by what
/// its bundle proves.
/// </summary>
internal sealed class ImageVerifier(Verifier verifier, Registries registries, TimeProvider time)
{
    /// <summary>A bundle is some 10 KiB; the largest attestations with an SBOM in them reach a few MiB.</summary>
    private const long LargestBundle = 16 * 1024 * 1024;

    /// <summary>A thousand signatures are some 10 MiB. Whoever can push to the repository chooses how many and how large they are.</summary>
    private const long LargestSearch = 64 * 1024 * 1024;

    /// <summary>A registry that trickles its answers must not hold a build for hours.</summary>
    private static readonly TimeSpan LongestSearch = TimeSpan.FromMinutes(5);

    /// <summary>The simple-signing layers of cosign's experimental OCI 1.1 form.</summary>
    private const string Oci11Type = "application/vnd.dev.cosign.artifact.sig.v1+json";

    private const string AnyBundleType = "application/vnd.dev.sigstore.bundle";

    // cosign's first releases of the format wrote the version as a parameter.
    private static readonly string[] BundleTypes = [ImageSigner.BundleMediaType, "application/vnd.dev.sigstore.bundle+json;version=0.3"];

    /// <exception cref="ConfigurationException">More than is looked at: that is no verdict, and never "not signed".</exception>
    public async Task<ImageVerdict> VerifyAsync(ImageReference image, TrustPolicy policy, CancellationToken cancel)
    {
        using var deadline = new CancellationTokenSource(LongestSearch, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel, deadline.Token);
        try
        {
            return await SearchAsync(image, policy, either.Token);
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested && !cancel.IsCancellationRequested)
        {
            throw new ConfigurationException(Diagnostics.TooMuch, string.Create(CultureInfo.InvariantCulture,
                $"'{image}' could not be verified within {LongestSearch.TotalMinutes} minutes; its registry answers too slowly, or lists too many signatures"));
        }
    }

    private async Task<ImageVerdict> SearchAsync(ImageReference image, TrustPolicy policy, CancellationToken cancel)
    {
        Registry registry = registries[image];
        // A tag is resolved once; from here on there is only the digest.
        Digest digest = image.Digest ?? (await registry.ResolveAsync(image, cancel)).Digest;
        var verdict = new ImageVerdict(image, digest, policy, []);
        if (digest.Algorithm != "sha256")
        {
            throw new ConfigurationException(Diagnostics.NotYet, $"'{image}' has a {digest.Algorithm} digest, which cannot be verified yet; sha256 can");
        }

        var seen = new Seen();
        verdict = await TryAsync(registry, verdict, await registry.GetReferrersAsync(digest, cancel), seen, cancel);
        if (verdict.Accepted is null)
        {
            verdict = await TryAsync(registry, verdict, await registry.GetFallbackReferrersAsync(digest, cancel), seen, cancel);
        }

        if (verdict.Accepted is null && await FindLegacyAsync(registry, digest, cancel) is { } legacy)
        {
            verdict = verdict with { Signatures = [.. verdict.Signatures, legacy] };
        }

        // "Not signed" is a statement about an image that is there.
        if (verdict.Signatures.Count == 0 && image.Digest is not null)
        {
            await registry.HeadManifestAsync(digest, cancel);
        }

        return verdict;
    }

    /// <summary>One after the other, until one is enough. Who says to be a bundle goes first, but nobody is left out for what a list says of it.</summary>
    private async Task<ImageVerdict> TryAsync(Registry registry, ImageVerdict verdict, IReadOnlyList<Descriptor>? candidates, Seen seen, CancellationToken cancel)
    {
        foreach (Descriptor candidate in (candidates ?? []).OrderBy(candidate => BundleTypes.Contains(candidate.ArtifactType) ? 0 : 1))
        {
            if (!seen.Digests.Add(candidate.Digest) || await VerifyAsync(registry, verdict, candidate, seen, cancel) is not { } signature)
            {
                continue;
            }

            verdict = verdict with { Signatures = [.. verdict.Signatures, signature] };
            if (signature.Accepted is not null)
            {
                return verdict;
            }
        }
        return verdict;
    }

    /// <summary>Null for a referrer that is no signature at all: an SBOM, a scan report, somebody else's format.</summary>
    private async Task<SignatureVerdict?> VerifyAsync(Registry registry, ImageVerdict verdict, Descriptor candidate, Seen seen, CancellationToken cancel)
    {
        SignatureVerdict Refused(VerificationException refusal, string format = "bundle") => new(format, candidate.Digest.ToString(), null, refusal);
        try
        {
            Manifest manifest = await registry.GetManifestAsync(candidate, cancel);
            if (manifest.ArtifactType == Oci11Type || manifest.Config?.MediaType == Oci11Type)
            {
                return Refused(NotYet("signatures in cosign's experimental OCI 1.1 form"), "oci11");
            }

            if (!IsBundle(manifest))
            {
                return null;
            }

            if (manifest.Subject?.Digest != verdict.Digest)
            {
                return Refused(new VerificationException("subject.referrer", "the signature's manifest refers to another image", verdict.Digest.ToString(), manifest.Subject?.Digest.ToString() ?? "none"));
            }

            if (manifest.Layers is not [var layer])
            {
                return Refused(new VerificationException("bundle.layer", "the signature's manifest does not have exactly one layer", "1", $"{manifest.Layers.Count}"));
            }

            if (!BundleTypes.Contains(layer.MediaType))
            {
                return Refused(NotYet($"bundles of type {layer.MediaType}"));
            }

            seen.Bytes += layer.Size;
            if (seen.Bytes > LargestSearch)
            {
                throw new ConfigurationException(Diagnostics.TooMuch, $"'{verdict.Image}' carries more than {LargestSearch / 1024 / 1024} MiB of signatures that its policy does not take");
            }

            byte[] bundle = await registry.GetBlobAsync(layer, LargestBundle, cancel);
            return new SignatureVerdict("bundle", candidate.Digest.ToString(), Verify(bundle, verdict), null);
        }
        catch (VerificationException refusal)
        {
            return Refused(refusal);
        }
        catch (RegistryException e) when (e.Failure is RegistryFailure.NotFound or RegistryFailure.Nonsense or RegistryFailure.TooLarge)
        {
            // One entry that leads nowhere must not hide the others. Denied and unreachable is an error: what is there is unknown then.
            return Refused(new VerificationException("bundle.content", $"the signature cannot be read: {e.Message}", inner: e));
        }
    }

    private VerifiedSignature Verify(byte[] bundle, ImageVerdict verdict)
    {
        VerificationException? first = null;
        foreach (Policy policy in verdict.Policy.Alternatives)
        {
            try
            {
                return verifier.VerifyImage(bundle, ArtifactDigest.Sha256(verdict.Digest.Hex), policy);
            }
            catch (VerificationException refusal)
            {
                first ??= refusal;
            }
        }
        throw first!;
    }

    private static bool IsBundle(Manifest manifest) =>
        manifest.ArtifactType?.StartsWith(AnyBundleType, StringComparison.Ordinal) == true
        || manifest.Layers.Any(layer => layer.MediaType.StartsWith(AnyBundleType, StringComparison.Ordinal));

    /// <summary>The tag under which cosign 1 and 2 keep signatures. It is named, so that nobody takes the image for unsigned.</summary>
    private static async Task<SignatureVerdict?> FindLegacyAsync(Registry registry, Digest digest, CancellationToken cancel)
    {
        string tag = $"{digest.Algorithm}-{digest.Hex}.sig";
        try
        {
            await registry.HeadManifestAsync(tag, cancel);
            return new SignatureVerdict("legacy", tag, null, NotYet("signatures under a .sig tag"));
        }
        catch (RegistryException e) when (e.Failure == RegistryFailure.NotFound)
        {
            return null;
        }
    }

    private static VerificationException NotYet(string what) =>
        new("bundle.format", $"{what} are not verified yet; a Sigstore bundle v0.3 attached as a referrer is expected");

    /// <summary>What was looked at for one image.</summary>
    private sealed class Seen
    {
        public HashSet<Digest> Digests { get; } = [];

        public long Bytes { get; set; }
    }
}
