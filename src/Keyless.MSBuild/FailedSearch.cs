using System.Globalization;
using Keyless.Oci;

namespace Keyless.MSBuild;

/// <summary>
/// Why an image may have no signature that counts. Asked only after the verdict, which it cannot change: what it finds are guesses for people, and
/// what cannot be found out is left out.
/// </summary>
/// <param name="image">As asked.</param>
/// <param name="registry">Of the image.</param>
internal sealed class FailedSearch(Registries registries, ImageReference image, ImageVerdict verdict, Registry registry, TimeProvider time)
{
    /// <summary>Of an index so many of its manifests are looked at: enough to know how it was signed.</summary>
    private const int Children = 4;

    /// <summary>The verdict is there, and nobody waits for a guess.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(10);

    /// <returns>Each a part of a sentence.</returns>
    public async Task<IReadOnlyList<string>> ExplainAsync(CancellationToken cancel)
    {
        using var deadline = new CancellationTokenSource(Longest, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel, deadline.Token);
        CancellationToken stop = either.Token;
        Func<Task<string?>>[] questions = verdict.Signatures.Count > 0
            ? [() => TagAsync(stop), () => Task.FromResult(Unreadable())]
            : [() => TagAsync(stop), () => OwnRepositoryAsync(stop), () => ManifestsAsync(stop), () => Task.FromResult<string?>("what was signed a moment ago may not be listed yet")];
        var hints = new List<string>();
        foreach (Func<Task<string?>> question in questions)
        {
            try
            {
                if (await question() is { } hint)
                {
                    hints.Add(hint);
                }
            }
            catch (Exception e) when (e is RegistryException or ConfigurationException)
            {
                // It is about a guess; the verdict stands.
            }
            catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
            {
                break;
            }
        }

        return hints;
    }

    /// <summary>A reference with both names what was there when it was written down.</summary>
    private async Task<string?> TagAsync(CancellationToken cancel)
    {
        if (image is not { Tag: { } tag, Digest: not null })
        {
            return null;
        }

        Digest? now = await registry.FindManifestAsync(tag, cancel) is { } manifest ? manifest.Digest : null;
        return now == verdict.Digest ? null : now is null ? $"the tag '{tag}' is not there any more" : $"the tag '{tag}' has been moved, it is {now} now";
    }

    private string? Unreadable() => verdict.Signatures.All(signature => signature.Refusal?.InnerException is RegistryException { Failure: RegistryFailure.NotFound })
        ? "what the registry lists is not there: it may not be replicated yet, or something has deleted it and left the list"
        : null;

    /// <summary>With a repository for signatures, the image's own is not looked at.</summary>
    private async Task<string?> OwnRepositoryAsync(CancellationToken cancel)
    {
        ImageReference place = registries.PlaceOfSignatures(image);
        if (ReferenceEquals(place, image))
        {
            return null;
        }

        string where = $"they were looked for in {place.Registry}/{place.Repository} (ContainerSigningRepository)";
        return await AnyAsync(registry, verdict.Digest, cancel) ? $"{where}, while the image's own repository has some" : where;
    }

    /// <summary>Some sign the index, some what is in it; the one does not stand for the other.</summary>
    private async Task<string?> ManifestsAsync(CancellationToken cancel)
    {
        IReadOnlyList<Descriptor> manifests = (await registry.GetManifestAsync(verdict.Digest, cancel)).Manifests;
        bool[] signed = await Task.WhenAll(manifests.Take(Children).Select(child => AnyAsync(registries.SignaturesOf(image), child.Digest, cancel)));
        return signed.Any(any => any)
            ? string.Create(CultureInfo.InvariantCulture, $"it is an index, and manifests in it carry signatures ({signed.Count(any => any)} of {signed.Length} looked at): sign the index as well, or name the manifest that is deployed")
            : null;
    }

    private async Task<bool> AnyAsync(Registry where, Digest digest, CancellationToken cancel)
    {
        await foreach (FoundSignature _ in new SignatureSearch(where, image.Pinned(digest), digest, verdict.Policy.PredicateTypes).ReadAsync(cancel))
        {
            return true;
        }

        return false;
    }
}
