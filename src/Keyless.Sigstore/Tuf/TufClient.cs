using System.Globalization;
using System.Net;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>
/// A TUF client (specification 1.0.34 §5): asks a repository for what is new, keeps it, and delivers targets. What may be trusted is decided by
/// <see cref="TrustedMetadata"/>; what is kept here from earlier runs is only ever a hint, because the walk begins at the first root every time.
/// </summary>
/// <param name="repository">Where the metadata is; ends with a slash.</param>
/// <param name="firstRoot">Where trust begins.</param>
internal sealed class TufClient(Uri repository, byte[] firstRoot, Http http, TimeProvider time, TufCache cache)
{
    private const string Service = "TUF repository";

    private readonly string place = new Request(Service, HttpMethod.Get, repository).Place;
    private TrustedMetadata? trusted;
    private bool online;

    /// <summary>Where the targets are; ends with a slash.</summary>
    public Uri TargetsUrl { get; init; } = new(repository, "targets/");

    /// <summary>For one request.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Of the last update that came so far.</summary>
    public TrustedMetadata Trusted => trusted ?? throw new InvalidOperationException("there was no update yet");

    /// <summary>§5: brings root, timestamp, snapshot and top-level targets up to date. What was verified before a failure stays kept.</summary>
    /// <exception cref="TufException">The repository says something that cannot be trusted.</exception>
    /// <exception cref="ServiceException">The repository cannot be asked.</exception>
    public async Task RefreshAsync(CancellationToken cancel)
    {
        online = true;
        trusted = TrustedMetadata.Start(firstRoot, place, time.GetUtcNow(), TufAge.Current); // §5.1, §5.2
        WalkKnownRoots();
        await UpdateRootAsync(cancel);                                                      // §5.3
        trusted.RootIsLast();
        trusted.Remember(cache.Read("timestamp", Limits.TufTimestampBytes), cache.Read("snapshot", Limits.TufSnapshotBytes));
        await UpdateTimestampAsync(cancel);                                                 // §5.4
        await UpdateSnapshotAsync(cancel);                                                  // §5.5
        await LoadTargetsAsync("targets", null, cancel);                                    // §5.6
    }

    /// <summary>The same from what was kept, without a request.</summary>
    /// <exception cref="TufException">What was kept is not enough, or too old for <paramref name="age"/>.</exception>
    public void LoadKept(TufAge age)
    {
        online = false;
        trusted = TrustedMetadata.Start(firstRoot, place, time.GetUtcNow(), age);
        WalkKnownRoots();
        trusted.RootIsLast();
        byte[]? snapshot = cache.Read("snapshot", Limits.TufSnapshotBytes);
        trusted.Remember(cache.Read("timestamp", Limits.TufTimestampBytes), snapshot);
        trusted.UseKnownTimestamp();
        trusted.UpdateSnapshot(snapshot ?? throw NotKept("snapshot"));
        trusted.UpdateTargets(cache.Read("targets", Limits.TufTargetsBytes) ?? throw NotKept("targets"), "targets", null);
    }

    /// <summary>§5.7: the bytes of a target, kept or fetched.</summary>
    /// <param name="name">As the targets role lists it.</param>
    /// <exception cref="TufException">There is no such target, or its bytes are not the ones listed.</exception>
    /// <exception cref="ServiceException">The repository cannot be asked.</exception>
    public async Task<byte[]> GetTargetAsync(string name, CancellationToken cancel)
    {
        TargetFile target = await FindTargetAsync(name, cancel);
        if (cache.ReadTarget(target) is { } kept)
        {
            return kept;
        }

        byte[] bytes = await FetchTargetAsync(target, cancel);
        await cache.ChangeAsync(() => cache.WriteTarget(target, bytes), cancel);
        return bytes;
    }

    /// <summary>The target as the first role lists it that may speak for its path (§5.6.7: pre-order, depth first).</summary>
    /// <exception cref="TufException">None does, or a role on the way cannot be trusted.</exception>
    public async Task<TargetFile> FindTargetAsync(string name, CancellationToken cancel)
    {
        var visited = new HashSet<string>(StringComparer.Ordinal);
        var next = new Stack<(string Role, TargetsMetadata? Delegator)>([("targets", null)]);
        while (next.TryPop(out (string Role, TargetsMetadata? Delegator) visit))
        {
            if (!visited.Add(visit.Role))
            {
                continue;
            }

            if (visited.Count > 1 + Limits.TufDelegations)
            {
                throw new TufException(TufFailure.Missing, visit.Role, $"target {Shown.Of(name)} of {place} was not found in the first {Limits.TufDelegations} delegated roles; more are not searched");
            }

            TargetsMetadata role = await LoadTargetsAsync(visit.Role, visit.Delegator, cancel);
            if (role.Targets.TryGetValue(name, out TargetFile? target))
            {
                return target;
            }

            List<Delegation> below = [.. role.Delegations.Where(delegation => delegation.Covers(name))];
            int end = below.FindIndex(delegation => delegation.Terminating);
            if (end >= 0)
            {
                next.Clear();
                below.RemoveRange(end + 1, below.Count - end - 1);
            }

            below.Reverse();
            below.ForEach(delegation => next.Push((delegation.Name, role)));
        }

        throw new TufException(TufFailure.Missing, "targets", string.Create(CultureInfo.InvariantCulture,
            $"there is no target {Shown.Of(name)} in {place} (targets version {Trusted.Targets.Version})"));
    }

    // Those that an earlier run has verified; only roots that follow can be counted, so nobody makes this endless. One that does not is fetched like a new one.
    private void WalkKnownRoots()
    {
        while (Accepts(cache.ReadRoot(Trusted.Root.Version + 1), bytes => Trusted.UpdateRoot(bytes)))
        {
        }
    }

    private async Task UpdateRootAsync(CancellationToken cancel)
    {
        // The number counts what is fetched; so many at once and the rest next time (§5.3.3).
        for (int i = 0; i < Limits.TufRootRotations; i++)
        {
            RootMetadata before = Trusted.Root;
            Answer answer = await AskAsync("root", repository, string.Create(CultureInfo.InvariantCulture, $"{before.Version + 1}.root.json"), Limits.TufRootBytes, cancel);
            // Stores without listing rights answer 403 for what is not there. Anything else is no word about newer roots.
            if (answer.Status is HttpStatusCode.NotFound or HttpStatusCode.Forbidden)
            {
                break;
            }

            byte[] bytes = answer.MustBe(HttpStatusCode.OK).Body.ToArray();
            bool rotated = Trusted.UpdateRoot(bytes);
            await cache.ChangeAsync(() => KeepRoot(before, bytes, rotated), cancel);
        }

        if (cache.Read("root", Limits.TufRootBytes) is not { } kept || !kept.AsSpan().SequenceEqual(Trusted.Root.Bytes))
        {
            await KeepAsync("root", Trusted.Root.Bytes, cancel);
        }
    }

    private void KeepRoot(RootMetadata before, byte[] bytes, bool rotated)
    {
        if (cache.ReadRoot(before.Version + 1) is { } other && TrustedMetadata.Follows(before, other))
        {
            return; // another process was first, and what there is of the other roles is of the new keys
        }

        if (rotated)
        {
            // §5.3.11: whoever had the old keys may have signed the highest of all versions.
            cache.Delete("timestamp");
            cache.Delete("snapshot");
        }

        cache.WriteRoot(before.Version + 1, bytes);
    }

    private async Task UpdateTimestampAsync(CancellationToken cancel)
    {
        if (Trusted.UpdateTimestamp(await FetchAsync("timestamp", "timestamp.json", Limits.TufTimestampBytes, cancel)))
        {
            await KeepAsync("timestamp", Trusted.Timestamp.Bytes, cancel);
        }
    }

    private async Task UpdateSnapshotAsync(CancellationToken cancel)
    {
        if (Accepts(cache.Read("snapshot", Limits.TufSnapshotBytes), Trusted.UpdateSnapshot))
        {
            return;
        }

        ListedFile listed = Trusted.Timestamp.Snapshot;
        Trusted.UpdateSnapshot(await FetchAsync("snapshot", VersionedName("snapshot", listed), Bound(listed, Limits.TufSnapshotBytes), cancel));
        await KeepAsync("snapshot", Trusted.Snapshot.Bytes, cancel);
    }

    private async Task<TargetsMetadata> LoadTargetsAsync(string role, TargetsMetadata? delegator, CancellationToken cancel)
    {
        if (Trusted.Find(role, delegator) is { } loaded)
        {
            return loaded;
        }

        ListedFile listed = Trusted.Listed(role);
        int bound = Bound(listed, Limits.TufTargetsBytes);
        if (Accepts(cache.Read(role, bound), bytes => Trusted.UpdateTargets(bytes, role, delegator)))
        {
            return Trusted.Find(role, delegator)!;
        }

        TargetsMetadata fetched = Trusted.UpdateTargets(await FetchAsync(role, VersionedName(Uri.EscapeDataString(role), listed), bound, cancel), role, delegator);
        await KeepAsync(role, fetched.Bytes, cancel);
        return fetched;
    }

    /// <summary>Whether a kept file is as good as what would be fetched. If not, that is fetched and judged, and the kept one replaced.</summary>
    private static bool Accepts(byte[]? kept, Action<byte[]> update)
    {
        if (kept is null)
        {
            return false;
        }

        try
        {
            update(kept);
            return true;
        }
        catch (TufException)
        {
            return false;
        }
    }

    private Task KeepAsync(string role, byte[] bytes, CancellationToken cancel) => cache.ChangeAsync(() =>
    {
        if (!IsOutdated(role))
        {
            cache.Write(role, bytes);
        }
    }, cancel);

    /// <summary>Whether another process has seen a newer root, or a newer timestamp or snapshot under the same root: it knows better than this one.</summary>
    private bool IsOutdated(string role)
    {
        if (cache.ReadRoot(Trusted.Root.Version + 1) is { } root && TrustedMetadata.Follows(Trusted.Root, root))
        {
            return true;
        }

        return role switch
        {
            "root" => false,
            "timestamp" => cache.Read("timestamp", Limits.TufTimestampBytes) is { } timestamp && Trusted.IsNewer(timestamp, "timestamp"),
            _ => cache.Read("snapshot", Limits.TufSnapshotBytes) is { } snapshot && Trusted.IsNewer(snapshot, "snapshot"),
        };
    }

    private async Task<byte[]> FetchTargetAsync(TargetFile target, CancellationToken cancel)
    {
        string[] segments = target.Name.Split('/');
        if (target.Length > Limits.TufListedBytes || segments.Any(segment => segment is "" or "." or ".."))
        {
            throw new TufException(TufFailure.Malformed, "targets", $"target {Shown.Of(target.Name)} of {place} is not fetched: {(target.Length > Limits.TufListedBytes ? $"it is larger than {Limits.TufListedBytes} bytes" : "its name is no plain path")}");
        }

        if (target.Hashes.Prefix is not { } prefix)
        {
            throw new TufException(TufFailure.Content, "targets", $"target {Shown.Of(target.Name)} of {place} is not fetched: no hash of a known algorithm (sha256, sha512) is listed");
        }

        // §6.2: dir/HASH.name
        if (Trusted.Root.ConsistentSnapshot)
        {
            segments[^1] = $"{prefix}.{segments[^1]}";
        }

        byte[] bytes = await FetchAsync("targets", TargetsUrl, string.Join('/', segments.Select(Uri.EscapeDataString)), (int)target.Length, cancel);
        return target.Differs(bytes) is { } difference
            ? throw new TufException(TufFailure.Content, "targets", $"target {Shown.Of(target.Name)} of {place} is not the file that is listed: {difference}; tell whoever runs the repository")
            : bytes;
    }

    private Task<byte[]> FetchAsync(string role, string file, int limit, CancellationToken cancel) => FetchAsync(role, repository, file, limit, cancel);

    private async Task<byte[]> FetchAsync(string role, Uri from, string path, int limit, CancellationToken cancel) =>
        (await AskAsync(role, from, path, limit, cancel)).MustBe(HttpStatusCode.OK).Body.ToArray();

    private async Task<Answer> AskAsync(string role, Uri from, string path, int limit, CancellationToken cancel)
    {
        if (!online)
        {
            throw NotKept(path);
        }

        try
        {
            return await http.SendAsync(new Request(Service, HttpMethod.Get, new Uri(from, path)) { Accept = null, AnswerBytes = limit, Timeout = Timeout }, cancel);
        }
        catch (ServiceException e) when (e.Failure == ServiceFailure.Nonsense)
        {
            // It did answer, and with more than it may: no reason to be content with what is cached.
            throw new TufException(TufFailure.Content, role, e.Message, e);
        }
    }

    private string VersionedName(string encodedRole, ListedFile listed) => Trusted.Root.ConsistentSnapshot
        ? string.Create(CultureInfo.InvariantCulture, $"{listed.Version}.{encodedRole}.json")
        : $"{encodedRole}.json";

    private static int Bound(ListedFile listed, int otherwise) => (int)Math.Min(listed.Length ?? otherwise, Limits.TufListedBytes);

    private TufException NotKept(string what) => new(TufFailure.Missing, "targets", $"{Shown.Of(what)} of {place} is not in the cache, and nothing is fetched (SigstoreOffline)");
}
