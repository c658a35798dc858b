using System.Collections.Concurrent;
using System.Globalization;
using Keyless.Oci;
using Keyless.Sigstore;

namespace Keyless.MSBuild;

/// <summary>An image of which a signature is asked for.</summary>
/// <param name="Recursive">If it is an index, of every manifest in it, too.</param>
/// <param name="Positions">Where the project, or one of its manifest files, names it; empty where a target does.</param>
internal sealed record ImageToVerify(ImageReference Reference, TrustPolicy Policy, bool Recursive, IReadOnlyList<Position> Positions)
{
    /// <summary>What it is to the build, before its name in what is said of it; empty where it is just an image.</summary>
    public string Role { get; init; } = "";

    /// <summary>The first place; null where there is none.</summary>
    public Position? Position => Positions is [var first, ..] ? first : null;
}

/// <summary>What became of what was asked.</summary>
/// <param name="Verdicts">Of the image, and if so asked of every manifest in it; empty where there is none, because something failed before.</param>
/// <param name="Problem">Why the image does not count as verified, as the build log has it; null where it does.</param>
internal sealed record ImageOutcome(ImageToVerify Image, IReadOnlyList<ImageVerdict> Verdicts, Diagnostic? Problem)
{
    public bool IsVerified => Problem is null;

    /// <summary><c>accepted</c>, <c>refused</c>, or <c>warned</c>: not verified, and the policy is being rolled out.</summary>
    public string Verdict => VerdictOf(Problem is null);

    /// <inheritdoc cref="Verdict"/>
    public string VerdictOf(bool accepted) => accepted ? "accepted" : Image.Policy.Warn ? "warned" : "refused";
}

/// <summary>What became of one signature: the items of the policy that it satisfies, each by its number, or else the refusal that came nearest.</summary>
/// <param name="Format"><c>bundle</c>, <c>legacy</c> or <c>oci11</c>.</param>
/// <param name="Reference">Where it is: a digest, or a tag for the legacy form.</param>
/// <param name="ForItsSignerAlone">It would be accepted if the policy named its signer: everything is proven, and all else is as it should be.</param>
internal sealed record SignatureVerdict(
    string Format, string Reference, IReadOnlyList<(int Item, VerifiedSignature Signature)> Accepted, VerificationException? Refusal, bool ForItsSignerAlone = false);

/// <summary>What became of one image.</summary>
/// <param name="Image">As asked: of a manifest in an index, the index.</param>
/// <param name="Signatures">All that were looked at, in the order in which they were.</param>
/// <param name="Quorum">Proof that the policy is satisfied; null where it is not.</param>
/// <param name="Refusal">Of the signature that came furthest, or of all of them together; null where there is no signature, or enough.</param>
internal sealed record ImageVerdict(
    ImageReference Image, Digest Digest, TrustPolicy Policy, IReadOnlyList<SignatureVerdict> Signatures, Quorum? Quorum, VerificationException? Refusal)
{
    /// <summary>What else is known of why, each a part of a sentence.</summary>
    public IReadOnlyList<string> Hints { get; init; } = [];

    /// <summary>Its signatures are those of an earlier build, verified again; the registry was not asked for them.</summary>
    public bool IsKept { get; init; }

    public string Pinned => Image.Pinned(Digest);

    /// <summary>Artifact types of what refers to the image and is no signature that is read here.</summary>
    public IReadOnlyCollection<string> OtherReferrers { get; init; } = [];
}

/// <summary>
/// Decides whether an image carries signatures that its policy takes. Everything the registry says is a claim: a candidate counts only by what it
/// proves.
/// </summary>
/// <param name="kept">Signatures of earlier builds, which are looked at first; null where the registry is to be asked.</param>
internal sealed class ImageVerifier(Verifier verifier, Registries registries, TimeProvider time, KeptSignatures? kept = null)
{
    /// <summary>More at once only queue up at the registry.</summary>
    private const int AtOnce = 8;

    /// <summary>An index in an index in an index: nobody has so many platforms.</summary>
    private const int MostManifests = 1000;

    private readonly ConcurrentDictionary<(Registry, string Tag), Lazy<Task<Digest>>> resolved = new();

    /// <summary>A registry that trickles its answers must not hold a build for hours.</summary>
    private static readonly TimeSpan LongestSearch = TimeSpan.FromMinutes(5);

    /// <returns>The image, and if so asked every manifest in it.</returns>
    /// <exception cref="ConfigurationException">More than is looked at: that is no verdict, and never "not signed".</exception>
    public async Task<IReadOnlyList<ImageVerdict>> VerifyAsync(ImageToVerify image, CancellationToken cancel)
    {
        using var deadline = new CancellationTokenSource(LongestSearch, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel, deadline.Token);
        try
        {
            return await VerifyAllAsync(image, either.Token, cancel);
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested && !cancel.IsCancellationRequested)
        {
            throw new ConfigurationException(Diagnostics.TooMuch, string.Create(CultureInfo.InvariantCulture,
                $"'{image.Reference}' could not be verified within {LongestSearch.TotalMinutes} minutes; its registry answers too slowly, or lists too many signatures"));
        }
    }

    /// <param name="all">Of all images, whatever becomes of this one.</param>
    private async Task<IReadOnlyList<ImageVerdict>> VerifyAllAsync(ImageToVerify image, CancellationToken cancel, CancellationToken all)
    {
        Registry registry = registries[image.Reference];
        // A tag is resolved once; from here on there is only the digest.
        Digest digest = image.Reference.Digest ?? await ResolveAsync(registry, image.Reference, all).WaitAsync(cancel);
        IReadOnlyList<Digest> manifests = image.Recursive ? await ManifestsAsync(registry, image, digest, cancel) : [digest];
        var verdicts = new ImageVerdict[manifests.Count];
        await Parallel.ForAsync(0, manifests.Count, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancel }, async (i, each) =>
        {
            // What was resolved or listed by a manifest that was fetched is there, or was; of a digest that somebody typed nobody knows.
            verdicts[i] = await SearchAsync(registry, image, manifests[i], mayBeMissing: manifests.Count > 1 || image.Reference.Digest is not null, each);
        });
        return verdicts[0].Quorum is null ? [verdicts[0] with { Hints = await new FailedSearch(registries, image.Reference, verdicts[0], registry, time).ExplainAsync(cancel) }, .. verdicts.Skip(1)] : verdicts;
    }

    /// <summary>A tag that is named twice in a build is one image, even if it is moved meanwhile.</summary>
    private Task<Digest> ResolveAsync(Registry registry, ImageReference image, CancellationToken cancel) =>
        resolved.GetOrAdd((registry, image.Tag!), _ => new Lazy<Task<Digest>>(async () => (await registry.ResolveAsync(image, cancel)).Digest)).Value;

    /// <summary>The image, and what is in it, down to the last index.</summary>
    private static async Task<IReadOnlyList<Digest>> ManifestsAsync(Registry registry, ImageToVerify image, Digest digest, CancellationToken cancel)
    {
        var manifests = new List<Digest> { digest };
        var indexes = new Queue<Digest>([digest]);
        while (indexes.TryDequeue(out Digest? next))
        {
            foreach (Descriptor child in (await registry.GetManifestAsync(next, cancel)).Manifests.Where(child => !manifests.Contains(child.Digest)))
            {
                manifests.Add(child.Digest);
                if (child.MediaType is MediaTypes.OciIndex or MediaTypes.DockerManifestList)
                {
                    indexes.Enqueue(child.Digest);
                }
            }

            if (manifests.Count > MostManifests)
            {
                throw new ConfigurationException(Diagnostics.TooMuch, $"'{image.Reference}' has more than {MostManifests} manifests in it");
            }
        }

        return manifests;
    }

    private async Task<ImageVerdict> SearchAsync(Registry registry, ImageToVerify image, Digest digest, bool mayBeMissing, CancellationToken cancel)
    {
        if (digest.Algorithm != "sha256")
        {
            throw new ConfigurationException(Diagnostics.NotYet, $"'{image.Reference}' has a {digest.Algorithm} digest, which cannot be verified yet; sha256 can");
        }

        TrustPolicy policy = image.Policy;
        if (kept?.Read(digest).ToAsyncEnumerable() is { } before && await CountAsync(before, keep: false) is { Quorum: not null } known)
        {
            return known with { IsKept = true };
        }

        var search = new SignatureSearch(registries.SignaturesOf(image.Reference), image.Reference.Pinned(digest), digest, policy.PredicateTypes);
        ImageVerdict verdict = (await CountAsync(search.ReadAsync(cancel), keep: true)) with { OtherReferrers = search.OtherReferrers };

        // "Not signed" is a statement about an image that is there.
        if (verdict.Signatures.Count == 0 && mayBeMissing)
        {
            await registry.HeadManifestAsync(digest, cancel);
        }

        return verdict;

        async Task<ImageVerdict> CountAsync(IAsyncEnumerable<FoundSignature> candidates, bool keep)
        {
            var count = new Quorum.Count(policy);
            var signatures = new List<SignatureVerdict>();
            var counted = new List<FoundSignature>();
            await foreach (FoundSignature found in candidates)
            {
                SignatureVerdict signature = Judge(verifier, found, policy);
                signatures.Add(signature);
                count.Add(signature);
                if (signature.Accepted.Count > 0)
                {
                    counted.Add(found);
                }

                if (count.Reached is { } quorum)
                {
                    if (keep)
                    {
                        kept?.Write(digest, counted);
                    }

                    return new ImageVerdict(image.Reference, digest, policy, signatures, quorum, null);
                }
            }

            VerificationException? refusal = signatures.Any(signature => signature.Accepted.Count > 0)
                ? count.TooFew
                : signatures.Select(signature => signature.Refusal!).MaxBy(refusal => refusal.Progress);
            return new ImageVerdict(image.Reference, digest, policy, signatures, null, refusal);
        }
    }

    /// <summary>What a signature proves is found out once for all items of the policy that ask for the same proofs; each is then asked about that.</summary>
    internal static SignatureVerdict Judge(Verifier verifier, FoundSignature found, TrustPolicy policy)
    {
        var accepted = new List<(int, VerifiedSignature)>();
        var refusals = new List<VerificationException>();
        bool forItsSignerAlone = false;
        foreach (var alike in policy.Items.Index().GroupBy(item => (item.Item.Key, item.Item.Proofs)))
        {
            try
            {
                ProvenSignature proven = found.Prove(verifier, alike.Key.Key, alike.Key.Proofs);
                foreach ((int number, Policy item) in alike)
                {
                    try
                    {
                        accepted.Add((number, proven.Require(item)));
                    }
                    catch (VerificationException refusal)
                    {
                        refusals.Add(refusal);
                        forItsSignerAlone |= proven.IsRefusedForItsSignerAlone(item);
                    }
                }
            }
            catch (VerificationException refusal)
            {
                refusals.Add(refusal);
            }
        }

        return new SignatureVerdict(found.Format, found.Reference, accepted, accepted.Count > 0 ? null : refusals.MaxBy(refusal => refusal.Progress), accepted.Count == 0 && forItsSignerAlone);
    }
}
