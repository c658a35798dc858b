using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.CompilerServices;
using Keyless.Oci;
using Keyless.Sigstore;

namespace Keyless.MSBuild;

/// <summary>Something in a registry that says to be a signature of an image.</summary>
/// <param name="Format"><c>bundle</c>, <c>legacy</c> or <c>oci11</c>.</param>
/// <param name="Reference">Where it is: a manifest's digest, or a tag for the legacy form; of several layers, which.</param>
/// <param name="Prove">What it proves, for a policy's key or none. Throws <see cref="VerificationException"/> where that is nothing.</param>
internal sealed record FoundSignature(string Format, string Reference, Func<Verifier, ManagedKey?, Proofs, ProvenSignature> Prove)
{
    /// <summary>The bundle, or the payload; null where there was nothing to read.</summary>
    public byte[]? Content { get; private init; }

    /// <summary>Of the payload's layer; null for a bundle.</summary>
    public IReadOnlyDictionary<string, string>? Annotations { get; private init; }

    public static FoundSignature OfBundle(string reference, byte[] bundle, ArtifactDigest image) =>
        new("bundle", reference, (verifier, key, proofs) => verifier.ProveImage(bundle, image, key, proofs)) { Content = bundle };

    /// <exception cref="VerificationException">It is no simple-signing signature.</exception>
    public static FoundSignature OfPayload(string format, string reference, byte[] payload, IReadOnlyDictionary<string, string> annotations, ArtifactDigest image)
    {
        SimpleSignature signature = SimpleSignature.Parse(payload, annotations);
        return new FoundSignature(format, reference, (verifier, key, proofs) => verifier.ProveImage(signature, image, key, proofs)) { Content = payload, Annotations = annotations };
    }
}

/// <summary>
/// Finds everything in a repository that may be a signature of one image: bundles and cosign's OCI 1.1 form among the referrers, by the API and by
/// the fallback tag, then cosign 1 and 2's <c>.sig</c> tag. What the registry says of any of them is a claim, which decides at most what is looked
/// at first. One search is for one image, and is read once.
/// </summary>
/// <param name="registry">Where signatures are, which need not be where the image is.</param>
/// <param name="name">The image, for messages.</param>
/// <param name="predicateTypes">Of the statements that are wanted.</param>
internal sealed class SignatureSearch(Registry registry, string name, Digest image, IReadOnlyCollection<string> predicateTypes)
{
    /// <summary>A bundle is some 10 KiB; the largest attestations with an SBOM in them reach a few MiB.</summary>
    private const long LargestBundle = 16 * 1024 * 1024;

    /// <summary>A thousand signatures are some 10 MiB. Whoever can push to the repository chooses how many and how large they are.</summary>
    private const long LargestSearch = 64 * 1024 * 1024;

    /// <summary>cosign's experimental OCI 1.1 form says so by its config.</summary>
    private const string Oci11Type = "application/vnd.dev.cosign.artifact.sig.v1+json";

    private const string AnyBundleType = "application/vnd.dev.sigstore.bundle";

    /// <summary>Types of what is no signature, to be named: a stranger chooses how many there are.</summary>
    private const int MostOtherTypes = 32;

    // cosign's first releases of the format wrote the version as a parameter.
    private static readonly string[] BundleTypes = [ImageSigner.BundleMediaType, "application/vnd.dev.sigstore.bundle+json;version=0.3"];

    private readonly ArtifactDigest artifact = ArtifactDigest.Sha256(image.Hex);
    private readonly ConcurrentDictionary<Digest, bool> seen = new();
    private readonly ConcurrentDictionary<Digest, byte[]> payloads = new();
    private readonly ReadAhead ahead = new();
    private readonly HashSet<string> otherReferrers = new(StringComparer.Ordinal);
    private RegistryException? unread;
    private long bytes;

    /// <summary>Artifact types of the referrers that were read and are no signatures, as their manifests say.</summary>
    public IReadOnlyCollection<string> OtherReferrers => otherReferrers;

    /// <summary>
    /// One after the other: whoever has found what he wanted reads no further. The first is fetched alone, since it is mostly the one; whoever goes
    /// on reading has more and more fetched ahead of him.
    /// </summary>
    /// <exception cref="ConfigurationException">More than is looked at: that is no verdict, and never "not signed".</exception>
    public async IAsyncEnumerable<FoundSignature> ReadAsync([EnumeratorCancellation] CancellationToken cancel)
    {
        // One list after the other: what both have is read once.
        foreach (IAsyncEnumerable<Descriptor> list in (IAsyncEnumerable<Descriptor>[])[ReadPagesAsync(cancel), ReadFallbackAsync(cancel)])
        {
            await foreach (Referrer referrer in ahead.Over(list, ReadReferrerAsync, cancel))
            {
                unread ??= referrer.Unread;
                if (otherReferrers.Count < MostOtherTypes && referrer.OtherType is { } other)
                {
                    otherReferrers.Add(other);
                }

                if (referrer.Signature is { } signature)
                {
                    yield return signature;
                }

                await foreach (FoundSignature layer in ReadLayersAsync("oci11", referrer.Reference, referrer.Layers, cancel))
                {
                    yield return layer;
                }
            }
        }

        string tag = $"{image.Algorithm}-{image.Hex}.sig";
        if (await ReadListAsync(() => registry.FindManifestAsync(tag, cancel)) is { } legacy)
        {
            await foreach (FoundSignature signature in ReadLayersAsync("legacy", tag, legacy.Layers, cancel))
            {
                yield return signature;
            }
        }

        if (unread is not null)
        {
            throw unread.Failure == RegistryFailure.TooLarge ? new ConfigurationException(Diagnostics.TooMuch, $"not everything is looked at: {unread.Message}", unread) : unread;
        }
    }

    private async IAsyncEnumerable<Descriptor> ReadPagesAsync([EnumeratorCancellation] CancellationToken cancel)
    {
        await using IAsyncEnumerator<IReadOnlyList<Descriptor>> pages = registry.ReadReferrersAsync(image, cancel).GetAsyncEnumerator(cancel);
        while (await ReadListAsync(() => pages.MoveNextAsync().AsTask()))
        {
            foreach (Descriptor referrer in pages.Current.OrderBy(Place))
            {
                yield return referrer;
            }
        }
    }

    private async IAsyncEnumerable<Descriptor> ReadFallbackAsync([EnumeratorCancellation] CancellationToken cancel)
    {
        // cosign writes another artifact type here than the manifest has, so nobody is left out for what the list says of it.
        foreach (Descriptor referrer in (await ReadListAsync(() => registry.GetFallbackReferrersAsync(image, cancel)) ?? []).OrderBy(Place))
        {
            yield return referrer;
        }
    }

    /// <summary>
    /// A list that cannot be read, or not to its end, must not hide what the others have; but it is not a list without signatures either, so the
    /// failure is kept for the end. Denied and unreachable end the search at once.
    /// </summary>
    private async Task<T?> ReadListAsync<T>(Func<Task<T?>> read)
    {
        try
        {
            return await read();
        }
        catch (RegistryException e) when (e.Failure is RegistryFailure.Nonsense or RegistryFailure.TooLarge)
        {
            unread ??= e;
            return default;
        }
    }

    /// <summary>Who says to be what is wanted is looked at first.</summary>
    private int Place(Descriptor referrer) =>
        !BundleTypes.Contains(referrer.ArtifactType) ? 2
        : referrer.Annotations?.GetValueOrDefault("dev.sigstore.bundle.predicateType") is { } type && !predicateTypes.Contains(type) ? 1
        : 0;

    /// <summary>What one entry of a list leads to. Nothing for what is no signature at all: an SBOM, a scan report, somebody else's format.</summary>
    private async Task<Referrer> ReadReferrerAsync(Descriptor entry, CancellationToken cancel)
    {
        string reference = entry.Digest.ToString();
        if (seen.ContainsKey(entry.Digest))
        {
            return new Referrer(reference);
        }

        Manifest manifest;
        try
        {
            manifest = await registry.GetManifestAsync(entry, cancel);
            seen.TryAdd(entry.Digest, true);
            Take(manifest.Bytes.Length);
        }
        catch (RegistryException e) when (e.Failure == RegistryFailure.TooLarge)
        {
            return new Referrer(reference) { Unread = e };
        }
        catch (RegistryException e) when (LeadsNowhere(e))
        {
            return new Referrer(reference) { Signature = Unreadable("bundle", reference, "bundle.unreadable", e) };
        }

        string? format = FormatOf(manifest);
        if (format is not null && manifest.Subject?.Digest != image)
        {
            return new Referrer(reference)
            {
                Signature = Refused(format, reference, new VerificationException(
                "subject.referrer", "the signature's manifest refers to another image", image.ToString(), manifest.Subject?.Digest.ToString() ?? "none"))
            };
        }

        return format switch
        {
            // image-spec, "Guidelines for Artifact Usage": without an artifact type the config's is it.
            null => new Referrer(reference) { OtherType = manifest.ArtifactType ?? manifest.Config?.MediaType },
            "bundle" => new Referrer(reference) { Signature = await ReadBundleAsync(reference, manifest, cancel) },
            _ => new Referrer(reference) { Layers = manifest.Layers },
        };
    }

    /// <param name="Reference">The manifest's digest.</param>
    private sealed record Referrer(string Reference)
    {
        public FoundSignature? Signature { get; init; }

        /// <summary>Each may be a signature.</summary>
        public IReadOnlyList<Descriptor> Layers { get; init; } = [];

        /// <summary>The type of what is no signature.</summary>
        public string? OtherType { get; init; }

        /// <summary>It is there, and nobody knows what it is.</summary>
        public RegistryException? Unread { get; init; }
    }

    private static string? FormatOf(Manifest manifest) =>
        manifest.ArtifactType?.StartsWith(AnyBundleType, StringComparison.Ordinal) == true
            || manifest.Layers.Any(layer => layer.MediaType.StartsWith(AnyBundleType, StringComparison.Ordinal)) ? "bundle"
        : manifest.Config?.MediaType == Oci11Type || manifest.ArtifactType == Oci11Type || manifest.Layers.Any(IsSimple) ? "oci11"
        : null;

    private static bool IsSimple(Descriptor layer) => layer.MediaType == SimpleSignature.LayerMediaType;

    private async Task<FoundSignature> ReadBundleAsync(string reference, Manifest manifest, CancellationToken cancel)
    {
        try
        {
            Descriptor layer = manifest.Layers is [var only]
                ? only
                : throw new VerificationException("bundle.layer", "the signature's manifest does not have exactly one layer", "1", $"{manifest.Layers.Count}");
            if (layer.Size > LargestBundle)
            {
                throw new VerificationException("bundle.too-large", "the bundle is larger than any", Bytes(LargestBundle), Bytes(layer.Size));
            }

            Take(layer.Size);
            byte[] bundle = await registry.GetBlobAsync(layer, LargestBundle, cancel);
            var found = FoundSignature.OfBundle(reference, bundle, artifact);
            return BundleTypes.Contains(layer.MediaType) ? found : new FoundSignature("bundle", reference, (verifier, key, proofs) =>
            {
                _ = found.Prove(verifier, key, proofs);
                throw new VerificationException("bundle.layer", "the layer is not of the type of the bundle in it", BundleTypes[0], layer.MediaType);
            });
        }
        catch (VerificationException refusal)
        {
            return Refused("bundle", reference, refusal);
        }
        catch (RegistryException e) when (LeadsNowhere(e))
        {
            return Unreadable("bundle", reference, "bundle.unreadable", e);
        }
    }

    /// <summary>Every layer is a signature of its own. Two may have the same payload, and so the same digest, with different annotations.</summary>
    private IAsyncEnumerable<FoundSignature> ReadLayersAsync(string format, string where, IReadOnlyList<Descriptor> layers, CancellationToken cancel) =>
        ahead.Over(
            layers.Index().Where(layer => IsSimple(layer.Item)).ToAsyncEnumerable(),
            (layer, each) => ReadLayerAsync(format, layers.Count == 1 ? where : string.Create(CultureInfo.InvariantCulture, $"{where} layer {layer.Index + 1}"), layer.Item, each),
            cancel);

    private async Task<FoundSignature> ReadLayerAsync(string format, string reference, Descriptor layer, CancellationToken cancel)
    {
        try
        {
            if (layer.Size > SimpleSignature.LargestPayload)
            {
                throw new VerificationException("sig.layer", "the payload is larger than any", Bytes(SimpleSignature.LargestPayload), Bytes(layer.Size));
            }

            return FoundSignature.OfPayload(format, reference, await ReadPayloadAsync(layer, cancel), layer.Annotations ?? new Dictionary<string, string>(), artifact);
        }
        catch (VerificationException refusal)
        {
            return Refused(format, reference, refusal);
        }
        catch (RegistryException e) when (LeadsNowhere(e))
        {
            return Unreadable(format, reference, "sig.layer", e);
        }
    }

    private async Task<byte[]> ReadPayloadAsync(Descriptor layer, CancellationToken cancel)
    {
        // Of one digest there is one content; another size is another claim, which is for the registry client to refuse.
        if (payloads.TryGetValue(layer.Digest, out byte[]? known) && known.Length == layer.Size)
        {
            return known;
        }

        Take(layer.Size);
        return payloads[layer.Digest] = await registry.GetBlobAsync(layer, SimpleSignature.LargestPayload, cancel);
    }

    /// <summary>Counts what is fetched, blobs before they are.</summary>
    private void Take(long size)
    {
        if (Interlocked.Add(ref bytes, size) > LargestSearch)
        {
            throw new ConfigurationException(Diagnostics.TooMuch, $"'{name}' carries more than {LargestSearch / 1024 / 1024} MiB of signatures that its policy does not take");
        }
    }

    /// <summary>One entry that leads nowhere must not hide the others. Denied and unreachable is an error: what is there is unknown then.</summary>
    private static bool LeadsNowhere(RegistryException e) => e.Failure is RegistryFailure.NotFound or RegistryFailure.Nonsense or RegistryFailure.TooLarge;

    private static FoundSignature Unreadable(string format, string reference, string slug, RegistryException e) =>
        Refused(format, reference, new VerificationException(slug, $"the signature cannot be read: {e.Message}", inner: e));

    private static FoundSignature Refused(string format, string reference, VerificationException refusal) => new(format, reference, (_, _, _) => throw refusal);

    private static string Bytes(long size) => string.Create(CultureInfo.InvariantCulture, $"{size} bytes");
}
