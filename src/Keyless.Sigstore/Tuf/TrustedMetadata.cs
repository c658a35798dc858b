using System.Globalization;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>How strictly the age of metadata is taken.</summary>
internal enum TufAge
{
    /// <summary>Nothing expired, and every role of exactly the version that is listed: what the specification asks of an update.</summary>
    Current,

    /// <summary>
    /// Offline: signatures decide alone. Expiry is told, not refused, and a role may be older than listed, which is how an update
    /// that broke off leaves it.
    /// </summary>
    Any,
}

/// <summary>
/// What may be trusted after what (specification 1.0.34 §5). No input and output here. The rules that hold at any time:
/// roles come in the order root, timestamp, snapshot, targets, delegated; what a method has accepted was signed by enough keys that the role above
/// names; no role is ever replaced by an older one, unless a new root took a key of the role away.
/// </summary>
internal sealed class TrustedMetadata
{
    private const string Older = "somebody serves older metadata than before; tell whoever runs the repository";

    private readonly string place;
    private readonly DateTimeOffset now;
    private readonly TufAge age;
    private readonly List<TufMetadata> expired = [];
    private readonly Dictionary<(TargetsMetadata Delegator, string Role), TargetsMetadata> delegated = [];

    private TimestampMetadata? knownTimestamp;
    private SnapshotMetadata? knownSnapshot;
    private TimestampMetadata? timestamp;
    private SnapshotMetadata? snapshot;
    private TargetsMetadata? targets;

    private TrustedMetadata(RootMetadata root, string place, DateTimeOffset now, TufAge age) =>
        (Root, this.place, this.now, this.age) = (root, place, now, age);

    public RootMetadata Root { get; private set; }

    public TimestampMetadata Timestamp => timestamp ?? throw new InvalidOperationException("there is no timestamp yet");

    public SnapshotMetadata Snapshot => snapshot ?? throw new InvalidOperationException("there is no snapshot yet");

    public TargetsMetadata Targets => targets ?? throw new InvalidOperationException("there are no targets yet");

    /// <summary>What is trusted although it has expired; empty but for <see cref="TufAge.Any"/>.</summary>
    public IReadOnlyList<TufMetadata> Expired => expired;

    /// <summary>§5.2: the root that the user gave, or that was shipped. It has to be signed by its own keys; it may have expired.</summary>
    /// <param name="place">The repository as messages name it.</param>
    /// <param name="now">One moment for the whole update (§5.1).</param>
    /// <exception cref="TufException">It cannot be where trust begins.</exception>
    public static TrustedMetadata Start(byte[] root, string place, DateTimeOffset now, TufAge age)
    {
        RootMetadata first;
        try
        {
            first = RootMetadata.Parse(root);
            _ = first.SignedBytes;
        }
        catch (FormatException e)
        {
            throw new TufException(TufFailure.Malformed, "root", $"the first root for {place} cannot be used: {e.Message}", e);
        }

        var trusted = new TrustedMetadata(first, place, now, age);
        trusted.MustBeSigned(first, "root", first["root"]);
        return trusted;
    }

    /// <summary>§5.3.4 to §5.3.7: the next root.</summary>
    /// <returns>Whether it takes a timestamp or snapshot key away: then what those keys have signed is forgotten (§5.3.11).</returns>
    /// <exception cref="TufException">It does not follow; nothing has changed.</exception>
    public bool UpdateRoot(byte[] bytes)
    {
        RootMetadata next = Parse("root", bytes, RootMetadata.Parse);
        MustBeSigned(next, "root", Root["root"]);
        MustBeSigned(next, "root", next["root"]);
        if (next.Version != Root.Version + 1)
        {
            throw No(TufFailure.Version, "root", next, $"version {Text(Root.Version + 1)} expected");
        }

        bool rotated = Root["timestamp"].HasKeyNotIn(next["timestamp"]) || Root["snapshot"].HasKeyNotIn(next["snapshot"]);
        Root = next;
        return rotated;
    }

    /// <summary>§5.3.10: there is no newer root. Roots in between may have expired, the last one must not.</summary>
    public void RootIsLast() => MustNotBeExpired(Root, "root");

    /// <summary>A timestamp and a snapshot of an earlier update: nothing older is accepted from here on. What the root's keys have not signed says nothing.</summary>
    public void Remember(byte[]? timestampBytes, byte[]? snapshotBytes)
    {
        knownTimestamp = SignedOrNull(timestampBytes, TimestampMetadata.Parse, Root["timestamp"]);
        knownSnapshot = SignedOrNull(snapshotBytes, SnapshotMetadata.Parse, Root["snapshot"]);
    }

    /// <summary>§5.4.2 to §5.4.4.</summary>
    /// <returns>Whether it is newer than the one that was known. If not, the known one stays, whatever is in this one.</returns>
    /// <exception cref="TufException">It is not accepted.</exception>
    public bool UpdateTimestamp(byte[] bytes)
    {
        TimestampMetadata next = Parse("timestamp", bytes, TimestampMetadata.Parse);
        MustBeSigned(next, "timestamp", Root["timestamp"]);
        if (knownTimestamp is { } known)
        {
            if (next.Version < known.Version)
            {
                throw No(TufFailure.Rollback, "timestamp", next, $"version {Text(known.Version)} is known here; {Older}");
            }

            if (next.Version == known.Version)
            {
                MustNotBeExpired(known, "timestamp");
                timestamp = known;
                return false;
            }
        }

        long lowest = Math.Max(knownTimestamp?.Snapshot.Version ?? 0, knownSnapshot?.Version ?? 0);
        if (next.Snapshot.Version < lowest)
        {
            throw No(TufFailure.Rollback, "timestamp", next, $"it lists snapshot version {Text(next.Snapshot.Version)}, version {Text(lowest)} is known here; {Older}");
        }

        MustNotBeExpired(next, "timestamp");
        timestamp = next;
        return true;
    }

    /// <summary>The timestamp of an earlier update, where there is none newer to be had.</summary>
    public void UseKnownTimestamp()
    {
        timestamp = knownTimestamp ?? throw new TufException(TufFailure.Missing, "timestamp", $"no timestamp of {place} is cached that its root's keys have signed");
        MustNotBeExpired(timestamp, "timestamp");
    }

    /// <summary>§5.5.2 to §5.5.6.</summary>
    /// <exception cref="TufException">It is not accepted.</exception>
    public void UpdateSnapshot(byte[] bytes)
    {
        // Before anything is parsed: the hash is the cheaper proof.
        MustBeListed("snapshot", bytes, Timestamp.Snapshot);
        SnapshotMetadata next = Parse("snapshot", bytes, SnapshotMetadata.Parse);
        MustBeSigned(next, "snapshot", Root["snapshot"]);
        MustBeOfVersion(next, "snapshot", Timestamp.Snapshot.Version, "the timestamp");
        foreach ((string file, ListedFile listed) in knownSnapshot?.Meta ?? new Dictionary<string, ListedFile>())
        {
            if (!next.Meta.TryGetValue(file, out ListedFile? now))
            {
                throw No(TufFailure.Rollback, "snapshot", next, $"it no longer lists {Shown.Of(file)}, version {Text(listed.Version)} of which is known here");
            }

            if (now.Version < listed.Version)
            {
                throw No(TufFailure.Rollback, "snapshot", next, $"it lists version {Text(now.Version)} of {Shown.Of(file)}, version {Text(listed.Version)} is known here; {Older}");
            }
        }

        MustNotBeExpired(next, "snapshot");
        snapshot = next;
    }

    /// <summary>How the snapshot lists a targets role.</summary>
    /// <exception cref="TufException">Not at all.</exception>
    public ListedFile Listed(string role) => Snapshot.Meta.GetValueOrDefault($"{role}.json")
        ?? throw new TufException(TufFailure.Missing, role, $"TUF {Named(role)} of {place}: snapshot version {Text(Snapshot.Version)} does not list it; tell whoever runs the repository");

    /// <summary>§5.6.2 to §5.6.6 for the top-level role, or for one that <paramref name="delegator"/> delegates to: its keys count, nobody else's.</summary>
    /// <exception cref="TufException">It is not accepted.</exception>
    public TargetsMetadata UpdateTargets(byte[] bytes, string role, TargetsMetadata? delegator)
    {
        ListedFile listed = Listed(role);
        MustBeListed(role, bytes, listed);
        TargetsMetadata next = Parse(role, bytes, TargetsMetadata.Parse);
        MustBeSigned(next, role, delegator is null ? Root["targets"] : delegator.Delegations.Single(delegation => delegation.Name == role).Signers);
        MustBeOfVersion(next, role, listed.Version, "the snapshot");
        MustNotBeExpired(next, role);
        return delegator is null ? targets = next : delegated[(delegator, role)] = next;
    }

    /// <summary>What <see cref="UpdateTargets"/> accepted under this delegator, if it did.</summary>
    public TargetsMetadata? Find(string role, TargetsMetadata? delegator) => delegator is null ? targets : delegated.GetValueOrDefault((delegator, role));

    /// <summary>Whether another process has gone on to a newer root than this one.</summary>
    public static bool Follows(RootMetadata root, byte[] bytes) =>
        SignedOrNull(bytes, RootMetadata.Parse, root["root"]) is { } next && next["root"].CountSignatures(next) >= next["root"].Threshold && next.Version == root.Version + 1;

    /// <summary>Whether a file of this role, written by another process, is newer than ours. Only what the root's keys have signed can be.</summary>
    public bool IsNewer(byte[] timestampOrSnapshot, string role) => role == "timestamp"
        ? SignedOrNull(timestampOrSnapshot, TimestampMetadata.Parse, Root["timestamp"])?.Version > Timestamp.Version
        : SignedOrNull(timestampOrSnapshot, SnapshotMetadata.Parse, Root["snapshot"])?.Version > Snapshot.Version;

    /// <summary>How long ago, or how long from now, in words.</summary>
    public string Age(TufMetadata metadata)
    {
        TimeSpan left = metadata.Expires - now;
        return $"{(left <= TimeSpan.Zero ? $"expired {Duration(-left)} ago" : $"is valid for another {Duration(left)}")} ({Shown.Of(metadata.Expires)})";
    }

    private static string Duration(TimeSpan time) => time switch
    {
        { TotalHours: < 1 } => Count((long)time.TotalMinutes, "minute"),
        { TotalDays: < 2 } => Count((long)time.TotalHours, "hour"),
        _ => Count((long)time.TotalDays, "day"),
    };

    private static string Count(long number, string unit) => $"{Text(number)} {unit}{(number == 1 ? "" : "s")}";

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static T? SignedOrNull<T>(byte[]? bytes, Func<byte[], T> parse, TufSigners signers)
        where T : TufMetadata
    {
        try
        {
            return bytes is not null && parse(bytes) is var metadata && signers.CountSignatures(metadata) >= signers.Threshold ? metadata : null;
        }
        catch (FormatException)
        {
            return null;
        }
    }

    private T Parse<T>(string role, byte[] bytes, Func<byte[], T> parse)
        where T : TufMetadata
    {
        try
        {
            T metadata = parse(bytes);
            _ = metadata.SignedBytes;
            return metadata;
        }
        catch (FormatException e)
        {
            throw new TufException(TufFailure.Malformed, role, $"TUF {Named(role)} of {place} cannot be read: {e.Message}; check that the address is the repository's and that no proxy answers for it", e);
        }
    }

    private void MustBeSigned(TufMetadata metadata, string role, TufSigners signers)
    {
        int signed = signers.CountSignatures(metadata);
        if (signed < signers.Threshold)
        {
            throw No(TufFailure.NotSigned, role, metadata, $"signatures by {Text(signers.Threshold)} of its keys expected, {Text(signed)} found; check that the first root (SigstoreTufRoot) is this repository's");
        }
    }

    private void MustBeListed(string role, byte[] bytes, ListedFile listed)
    {
        // An older file than the one listed has other bytes; whether it may be older is the version's matter.
        if (age == TufAge.Current && listed.Differs(bytes) is { } difference)
        {
            throw new TufException(TufFailure.Content, role, $"TUF {Named(role)} version {Text(listed.Version)} of {place} is not the file that is listed: {difference}; tell whoever runs the repository");
        }
    }

    private void MustBeOfVersion(TufMetadata metadata, string role, long listed, string by)
    {
        bool fits = age == TufAge.Any ? metadata.Version <= listed : metadata.Version == listed;
        if (!fits)
        {
            throw No(TufFailure.Version, role, metadata, $"version {Text(listed)} expected, which {by} lists; tell whoever runs the repository");
        }
    }

    private void MustNotBeExpired(TufMetadata metadata, string role)
    {
        if (metadata.Expires > now)
        {
            return;
        }

        if (age == TufAge.Current)
        {
            throw No(TufFailure.Expired, role, metadata, $"it {Age(metadata)}; check this machine's clock, else whoever runs the repository has to sign it anew");
        }

        expired.Add(metadata);
    }

    private TufException No(TufFailure failure, string role, TufMetadata metadata, string why) =>
        new(failure, role, $"TUF {Named(role)} version {Text(metadata.Version)} of {place} is refused: {why}");

    private static string Named(string role) => role is "root" or "timestamp" or "snapshot" or "targets" ? role : $"role {Shown.Of(role)}";
}
