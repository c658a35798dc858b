using System.Collections.Concurrent;
using System.Net;

namespace Keyless.Oci;

/// <content>
/// Tags: those of an image, which are moved and taken away, and those that several writers add to, the referrers fallback tag and cosign's
/// <c>.sig</c> tag. There nobody's entry may be lost, ours included.
/// </content>
public sealed partial class Registry
{
    private readonly ConcurrentDictionary<string, SemaphoreSlim> turns = new(StringComparer.Ordinal);

    /// <summary>Puts tags on manifests of this repository, one after the other, by storing their exact bytes under each tag.</summary>
    /// <exception cref="RegistryException">It says which tags have moved by then.</exception>
    public async Task TagAsync(IReadOnlyList<(string Tag, Manifest Manifest)> tags, CancellationToken cancel)
    {
        for (int i = 0; i < tags.Count; i++)
        {
            (string tag, Manifest manifest) = tags[i];
            try
            {
                await TagAsync(tag, manifest, cancel);
            }
            catch (RegistryException e)
            {
                string moved = i == 0 ? "no tag has moved" : $"moved: {string.Join(", ", tags.Take(i).Select(before => before.Tag))}";
                string left = $"not moved: {string.Join(", ", tags.Skip(i).Select(after => after.Tag))}";
                // A request that got no answer may have done its work all the same.
                string unknown = e.Failure == RegistryFailure.Unreachable ? $" ({tag} perhaps)" : "";
                throw new RegistryException(e.Failure, $"{e.Message}; {moved}, {left}{unknown}", e.Status, e);
            }
        }
    }

    private async Task TagAsync(string tag, Manifest manifest, CancellationToken cancel)
    {
        (_, bool stated) = await PutManifestAsync(manifest.Bytes, manifest.MediaType, RequireTag(tag), manifest.Digest, null, cancel);
        if (!stated && await HeadManifestAsync(tag, cancel) is var found && found.Digest != manifest.Digest)
        {
            throw Failed(RegistryFailure.Nonsense, HttpMethod.Put, ManifestPath(tag), $"stored {manifest.Digest}, and it holds {found.Digest}");
        }
    }

    /// <summary>
    /// Takes a tag away by its name (distribution-spec 1.1 "Deleting tags"). What it held should stay, which not every registry keeps to. A tag that
    /// is not there is gone already.
    /// </summary>
    /// <exception cref="RegistryException">Many registries refuse: by 400 or 405, or because the token may not delete (<see cref="RegistrySettings.Deletes"/>).</exception>
    public Task RemoveTagAsync(string tag, CancellationToken cancel) => TryAsync(stop => RemoveTagOnceAsync(RequireTag(tag), stop), cancel);

    private async Task<bool> RemoveTagOnceAsync(string tag, CancellationToken cancel)
    {
        using HttpResponseMessage response = await SendAsync(HttpMethod.Delete, At(ManifestPath(tag)), null, cancel);
        return response.IsSuccessStatusCode || (response.StatusCode == HttpStatusCode.NotFound ? false : throw await connection.FailureAsync(response, auth.Redact, cancel));
    }

    /// <summary>Adds a signature in the form of cosign 1 and 2 to those that the image has under its <c>.sig</c> tag.</summary>
    /// <param name="upload">A place for the payload, if one was opened; null otherwise.</param>
    /// <returns><c>registry/repository:tag</c>.</returns>
    public async Task<string> AddSignatureAsync(Digest image, SignatureLayer layer, BlobUpload? upload, CancellationToken cancel)
    {
        string tag = $"{image.Algorithm}-{image.Hex}.sig";
        await PushAsync(layer.Content, upload, cancel);
        await ChangeTagAsync(tag, stop => FindSignaturesAsync(tag, stop), layer.IsIn, (signatures, stop) => AddAsync(tag, layer, signatures, stop), addsSlowly: true, cancel);
        return $"{host}/{repository}:{tag}";
    }

    private async Task<(byte[] Bytes, string MediaType)> AddAsync(string tag, SignatureLayer layer, Manifest? signatures, CancellationToken cancel)
    {
        if (signatures?.Layers.Count >= Limits.IndexEntries)
        {
            throw Failed(RegistryFailure.TooLarge, HttpMethod.Put, ManifestPath(tag), $"the image already has {Limits.IndexEntries} signatures");
        }

        byte[]? config = null;
        if (signatures is null || SignatureLayer.ListsLayers(signatures.Config!))
        {
            config = layer.AppendToConfig(signatures is null ? null : await FindBlobAsync(signatures.Config!, cancel), signatures?.Layers ?? []);
            await PushBlobAsync(config, cancel);
        }

        return (layer.AppendToManifest(signatures, config), signatures?.MediaType ?? MediaTypes.OciManifest);
    }

    private async Task<(Manifest Manifest, string? ETag)?> FindSignaturesAsync(string tag, CancellationToken cancel)
    {
        try
        {
            (Manifest Manifest, string? ETag) found = await GetManifestAsync(tag, null, Limits.ManifestBytes, cancel);
            return !found.Manifest.IsIndex
                ? found
                : throw Failed(RegistryFailure.Nonsense, HttpMethod.Get, ManifestPath(tag), "the tag of the signatures holds an image index");
        }
        catch (RegistryException e) when (e.Failure == RegistryFailure.NotFound)
        {
            return null;
        }
    }

    private async Task<byte[]?> FindBlobAsync(Descriptor blob, CancellationToken cancel)
    {
        try
        {
            return await GetBlobAsync(blob, Limits.ManifestBytes, cancel);
        }
        catch (RegistryException e) when (e.Failure is RegistryFailure.NotFound or RegistryFailure.TooLarge or RegistryFailure.Nonsense)
        {
            return null;
        }
    }

    /// <summary>
    /// Read, add, write, and read again until the entry is there. Most registries, distribution 2.8 among them, answer an ETag without honouring
    /// If-Match, and cosign writes without a condition: whoever read before us writes over our entry. So it is looked for when such a writer has
    /// had its time. Against losing theirs in the moment between our own reading and writing, or to a registry that says untruly that there is no such
    /// tag, there are only conditions.
    /// </summary>
    /// <param name="find">What the tag holds now, with its ETag; null where there is no such tag.</param>
    /// <param name="isThere">Whether our entry is in it.</param>
    /// <param name="add">The manifest with our entry added, and its media type. What others wrote stays.</param>
    /// <param name="addsSlowly">Whether adding takes requests, in which somebody else may write.</param>
    private async Task ChangeTagAsync(
        string tag,
        Func<CancellationToken, Task<(Manifest Manifest, string? ETag)?>> find,
        Func<Manifest, bool> isThere,
        Func<Manifest?, CancellationToken, Task<(byte[] Bytes, string MediaType)>> add,
        bool addsSlowly,
        CancellationToken cancel)
    {
        // Each subject has a tag of its own; only what is attached to one subject waits for one another.
        SemaphoreSlim turn = turns.GetOrAdd(tag, _ => new SemaphoreSlim(1, 1));
        bool wrote = false;
        long began = 0;
        await turn.WaitAsync(cancel);
        try
        {
            for (int attempt = 0; attempt < Limits.TagAttempts; attempt++)
            {
                if (attempt > 0)
                {
                    await Task.Delay(Limits.TagDelay * Random.Shared.NextDouble(), settings.Time, cancel);
                }

                // The reading is tried again with the writing: while we waited, somebody else may have written.
                Digest? seen = await TryAsync(ReadAndWriteAsync, cancel);
                if (seen is not null && (!wrote || await StaysAsync(seen, began)))
                {
                    return;
                }
            }
        }
        finally
        {
            turn.Release();
        }

        throw Failed(RegistryFailure.Refused, HttpMethod.Put, ManifestPath(tag), $"the entry was lost {Limits.TagAttempts} times to other writers of this tag");

        // What the tag holds with our entry in it; null where somebody else was faster.
        async Task<Digest?> ReadAndWriteAsync(CancellationToken stop)
        {
            began = settings.Time.GetTimestamp();
            (Manifest Manifest, string? ETag)? current = await find(stop);
            return current is { } there && isThere(there.Manifest) ? there.Manifest.Digest : await WriteAsync(current, stop);
        }

        async Task<Digest?> WriteAsync((Manifest Manifest, string? ETag)? current, CancellationToken stop)
        {
            (byte[] bytes, string mediaType) = await add(current?.Manifest, stop);
            if (bytes.Length > Limits.ManifestBytes)
            {
                throw Failed(RegistryFailure.TooLarge, HttpMethod.Put, ManifestPath(tag), $"what it lists would be larger than {Limits.ManifestBytes} bytes");
            }

            if (addsSlowly && (await find(stop))?.Manifest.Digest != current?.Manifest.Digest)
            {
                return null;
            }

            var condition = Condition.ThatIsStill(current);
            try
            {
                wrote = true;
                await PutManifestOnceAsync(bytes, mediaType, RequireTag(tag), Digest.Of(bytes), condition, stop);
                return Digest.Of(bytes);
            }
            catch (RegistryException e) when (e.Status is HttpStatusCode.PreconditionFailed)
            {
                // Harbor answers 412 for a tag that is immutable, too. Only where the tag has moved was it our condition that failed.
                return condition is not null && Condition.ThatIsStill(await find(stop)) != condition ? null : throw Unwritable(e);
            }
            catch (RegistryException e) when (e.Failure == RegistryFailure.Refused && current is not null)
            {
                throw Unwritable(e);
            }
        }

        // Once where nobody else writes; where somebody does, until it is quiet, or our entry has outlived several of them.
        async Task<bool> StaysAsync(Digest seen, long since)
        {
            TimeSpan theirs = 3 * settings.Time.GetElapsedTime(since);
            TimeSpan wait = theirs < Limits.ShortestTagCheck ? Limits.ShortestTagCheck : theirs > Limits.LongestTagCheck ? Limits.LongestTagCheck : theirs;
            for (int check = 0; check < Limits.TagChecks; check++, wait *= 2)
            {
                await Task.Delay(wait < Limits.LongestTagCheck ? wait : Limits.LongestTagCheck, settings.Time, cancel);
                if (await find(cancel) is not { } now || !isThere(now.Manifest))
                {
                    return false;
                }

                if (now.Manifest.Digest == seen)
                {
                    return true;
                }

                seen = now.Manifest.Digest;
            }

            return true;
        }
    }

    /// <summary>What must hold for a registry that honours it to store a manifest (RFC 9110 §13.1.1, §13.1.2); it answers 412 otherwise. Not all do.</summary>
    private sealed record Condition(string Header, string Value)
    {
        /// <summary>The tag holds what was found there, or nothing. Null where that cannot be said: a weak ETag never matches.</summary>
        public static Condition? ThatIsStill((Manifest Manifest, string? ETag)? found) => found switch
        {
            null => new Condition("If-None-Match", "*"),
            { ETag: null } => null,
            { ETag: var etag } => etag.StartsWith("W/", StringComparison.Ordinal) ? null : new Condition("If-Match", etag),
        };
    }

    /// <summary>Where tags are immutable (ECR, Harbor), a first signature can be listed and no second.</summary>
    private static RegistryException Unwritable(RegistryException refusal) => new(
        refusal.Failure,
        $"{refusal.Message}; this tag lists what was said of the image, and has to stay writable: except sha256-* where the registry makes tags immutable",
        refusal.Status,
        refusal);
}
