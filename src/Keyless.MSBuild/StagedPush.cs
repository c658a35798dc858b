using Keyless.Oci;

namespace Keyless.MSBuild;

/// <summary>A manifest that was pushed under a staging tag.</summary>
/// <param name="Name">The staging tag.</param>
/// <param name="Wanted">The tags that were asked for, which it gets when everything is signed.</param>
internal sealed record StagedTag(string Name, IReadOnlyList<string> Wanted);

/// <summary>
/// A push under tags that nobody asked for. When everything in it is signed, the tags that were asked for are put on what was pushed; where anything
/// fails they stay where they were. In both cases the staging tags go, by their names, and the manifests stay.
/// </summary>
/// <param name="tags">The image or index that was pushed comes first, then what is in it.</param>
/// <param name="deleting">The same repository, with tokens that may delete.</param>
/// <param name="note">Told, in one line, what becomes of the tags.</param>
internal sealed class StagedPush(IReadOnlyList<StagedTag> tags, Registry registry, Registry deleting, TimeProvider time, Action<string> note)
{
    /// <summary>Begins every staging tag.</summary>
    public const string Prefix = "keyless-staging-";

    /// <summary>A build that failed or was cancelled tidies up, and does not keep anybody waiting for that.</summary>
    private static readonly TimeSpan LongestRemoval = TimeSpan.FromSeconds(30);

    private readonly Manifest?[] manifests = new Manifest?[tags.Count];
    private bool isTagged;
    private bool isRemoved;
    private bool losesImages;

    /// <summary>Reads what was pushed, before anything is logged: what is not there, or is something else by now, gets no tag.</summary>
    /// <param name="pushed">The image or index; <paramref name="children"/>: the manifests in it.</param>
    public async Task ReadAsync(Digest pushed, IReadOnlyCollection<Digest> children, CancellationToken cancel)
    {
        await Parallel.ForAsync(0, tags.Count, cancel, async (i, stop) =>
        {
            Descriptor held = await registry.HeadManifestAsync(tags[i].Name, stop);
            // Whoever may push may move a tag; what gets the tags of a child is in the index that is signed.
            if (i == 0 ? held.Digest != pushed : !children.Contains(held.Digest))
            {
                throw new ConfigurationException(Diagnostics.RegistryNonsense,
                    $"the tag {tags[i].Name} was moved by somebody else: expected {(i == 0 ? pushed : "a manifest of the index")}, found {held.Digest}");
            }

            manifests[i] = await registry.GetManifestAsync(held, stop);
        });
    }

    /// <summary>Puts the tags on what was pushed. The index comes last: who pulls it by its tag finds in it what has tags of its own.</summary>
    public async Task TagAsync(CancellationToken cancel)
    {
        (string Tag, Manifest)[] wanted = [.. Enumerable.Range(0, tags.Count).Reverse().SelectMany(i => tags[i].Wanted.Select(tag => (tag, manifests[i]!)))];
        try
        {
            await registry.TagAsync(wanted, cancel);
        }
        catch (OperationCanceledException)
        {
            note($"the build was stopped while it tagged what is signed; which of these have moved is not known: {string.Join(", ", wanted.Select(tag => tag.Tag))}");
            throw;
        }

        isTagged = true;
        note($"signed, then tagged: {string.Join(", ", tags.SelectMany(tag => tag.Wanted))}");
    }

    /// <summary>Takes the staging tags away, whatever became of the build. Those that stay are named.</summary>
    public async Task RemoveAsync()
    {
        if (isRemoved)
        {
            return;
        }

        isRemoved = true;
        using var stop = new CancellationTokenSource(LongestRemoval, time);
        for (int i = 0; i < tags.Count; i++)
        {
            if (await WhyKeptAsync(i, stop.Token) is { } why)
            {
                // What one tag cannot have, the others cannot either.
                note($"the staging tags stay in the registry and can be removed by hand: {string.Join(", ", tags.Skip(i).Select(tag => tag.Name))}; {why}");
                return;
            }
        }
    }

    private async Task<string?> WhyKeptAsync(int i, CancellationToken cancel)
    {
        try
        {
            return losesImages ? "the registry removes images with their tags" : await RemoveAsync(i, cancel);
        }
        catch (RegistryException e)
        {
            return e.Message;
        }
        catch (OperationCanceledException)
        {
            return "there was no answer in time";
        }
    }

    /// <returns>Null: it is gone. Else why not.</returns>
    private async Task<string?> RemoveAsync(int i, CancellationToken cancel)
    {
        StagedTag tag = tags[i];
        // The push may have ended before it.
        if ((manifests[i] ?? await registry.FindManifestAsync(tag.Name, cancel)) is not { } manifest)
        {
            return null;
        }

        IReadOnlyList<string> others = isTagged ? tag.Wanted : await HoldersAsync(tag.Wanted, manifest.Digest, cancel);
        await DeleteAsync(tag.Name, cancel);
        if (await FindAsync(() => registry.HeadManifestAsync(tag.Name, cancel)) is not null)
        {
            return "the registry says that it is gone, and has it all the same";
        }

        // distribution-spec 1.1 leaves the manifest where it is. Where it went along, with every tag it had, it is put back.
        if (await FindAsync(() => others.Count > 0 ? registry.HeadManifestAsync(others[0], cancel) : registry.HeadManifestAsync(manifest.Digest, cancel)) is not null)
        {
            return null;
        }

        await registry.PutManifestAsync(manifest.Bytes, manifest.MediaType, manifest.Digest, cancel);
        await registry.TagAsync([.. others.Select(other => (other, manifest))], cancel);
        note($"the registry removed {manifest.Digest} together with the tag {tag.Name}; it has been put back{(others.Count > 0 ? $", with {string.Join(", ", others)}" : "")}");
        losesImages = true;
        return null;
    }

    /// <summary>A push to a token service with users may need an action of its own for this; one without knows only pull and push.</summary>
    private async Task DeleteAsync(string tag, CancellationToken cancel)
    {
        try
        {
            await registry.RemoveTagAsync(tag, cancel);
        }
        catch (RegistryException e) when (e.Failure == RegistryFailure.Unauthorized)
        {
            await deleting.RemoveTagAsync(tag, cancel);
        }
    }

    /// <summary>Those of the tags that hold this digest, from this push or from one before.</summary>
    private async Task<IReadOnlyList<string>> HoldersAsync(IReadOnlyList<string> wanted, Digest digest, CancellationToken cancel)
    {
        Descriptor?[] held = await Task.WhenAll(wanted.Select(tag => FindAsync(() => registry.HeadManifestAsync(tag, cancel))));
        return [.. wanted.Where((_, i) => held[i]?.Digest == digest)];
    }

    private static async Task<Descriptor?> FindAsync(Func<Task<Descriptor>> head)
    {
        try
        {
            return await head();
        }
        catch (RegistryException e) when (e.Failure == RegistryFailure.NotFound)
        {
            return null;
        }
    }
}
