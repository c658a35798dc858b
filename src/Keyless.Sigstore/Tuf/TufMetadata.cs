using System.Globalization;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>
/// One file of TUF metadata (specification 1.0.34 §4), read strictly. Nothing in it is trusted: <see cref="TrustedMetadata"/> decides that.
/// Members nobody knows are left alone; they are under the signature like the others.
/// </summary>
internal abstract partial class TufMetadata
{
    private readonly Dictionary<string, string> signatures = new(StringComparer.Ordinal);
    private readonly Lazy<byte[]> signedBytes;

    /// <exception cref="FormatException">Not the metadata of such a role.</exception>
    private protected TufMetadata(string type, byte[] bytes, int limit)
    {
        Type = type;
        Bytes = bytes;
        JsonFields envelope = JsonFields.Parse(bytes, type, limit);
        Signed = envelope.RequiredObject("signed");
        foreach (JsonFields signature in envelope.Objects("signatures", Limits.TufSignatures))
        {
            string keyId = signature.RequiredText("keyid");
            if (!signatures.TryAdd(keyId, signature.RequiredText("sig")))
            {
                throw new FormatException($"malformed {type}: key {Shown.Of(keyId)} has two signatures");
            }
        }

        string found = Signed.RequiredText("_type");
        if (found != type)
        {
            throw new FormatException($"malformed {type}: _type \"{type}\" expected, \"{Shown.Of(found)}\" found");
        }

        // Two components only at some public repositories, whatever the specification asks of semantic versions.
        string specification = Signed.RequiredText("spec_version");
        if (!SpecificationVersion().IsMatch(specification))
        {
            throw new FormatException($"unsupported {type}: spec_version 1.x expected, \"{Shown.Of(specification)}\" found");
        }

        Version = ReadVersion(Signed, type);
        string expires = Signed.RequiredText("expires");
        Expires = DateTimeOffset.TryParseExact(
            expires, "yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out DateTimeOffset moment)
                ? moment
                : throw new FormatException($"malformed {type}.expires: YYYY-MM-DDTHH:MM:SSZ expected, \"{Shown.Of(expires)}\" found");
        signedBytes = new Lazy<byte[]>(() => TufCanonicalJson.Bytes(Signed.Raw()));
    }

    public string Type { get; }

    /// <summary>As received. What is kept on disk are these, since hashes are of these.</summary>
    public byte[] Bytes { get; }

    public long Version { get; }

    public DateTimeOffset Expires { get; }

    private protected JsonFields Signed { get; }

    /// <summary>Hex, as written: a signature that is no hex is an invalid one, not a malformed file.</summary>
    public string? SignatureOf(string keyId) => signatures.GetValueOrDefault(keyId);

    /// <summary>What the signatures are over (§4.2.1: the canonical form of <c>signed</c>).</summary>
    /// <exception cref="FormatException">There is no such form.</exception>
    public byte[] SignedBytes => signedBytes.Value;

    // The last value would leave no place for a next one.
    private protected static long ReadVersion(JsonFields fields, string what) => fields.RequiredInteger("version") is > 0 and < long.MaxValue and var version
        ? version
        : throw new FormatException($"malformed {what}.version: a number from 1 on expected");

    private protected static Dictionary<string, TufKey> ReadKeys(JsonFields keys, string what)
    {
        var known = new Dictionary<string, TufKey>(StringComparer.Ordinal);
        int count = 0;
        foreach ((string id, JsonFields fields) in keys.Entries())
        {
            if (++count > Limits.TufKeys)
            {
                throw new FormatException($"malformed {what}.keys: more than {Limits.TufKeys}");
            }

            // §4.2: a key of a kind that is not known here is no key.
            if (TufKey.Read(fields) is { } key)
            {
                known.Add(id, key);
            }
        }

        return known;
    }

    [GeneratedRegex(@"\A1(\.[0-9]+){1,2}\z", RegexOptions.CultureInvariant)]
    private static partial Regex SpecificationVersion();
}

/// <summary>§4.3.</summary>
internal sealed class RootMetadata : TufMetadata
{
    private readonly Dictionary<string, TufSigners> roles = new(StringComparer.Ordinal);

    private RootMetadata(byte[] bytes) : base("root", bytes, Limits.TufRootBytes)
    {
        ConsistentSnapshot = Signed.Boolean("consistent_snapshot") ?? false;
        Dictionary<string, TufKey> keys = ReadKeys(Signed.RequiredObject("keys"), "root");
        JsonFields listed = Signed.RequiredObject("roles");
        foreach (string role in (string[])["root", "timestamp", "snapshot", "targets"])
        {
            roles.Add(role, TufSigners.Read(listed.RequiredObject(role), keys, $"root.roles.{role}"));
        }
    }

    public bool ConsistentSnapshot { get; }

    public TufSigners this[string role] => roles[role];

    public static RootMetadata Parse(byte[] bytes) => new(bytes);
}

/// <summary>§4.6.</summary>
internal sealed class TimestampMetadata : TufMetadata
{
    private TimestampMetadata(byte[] bytes) : base("timestamp", bytes, Limits.TufTimestampBytes)
    {
        JsonFields meta = Signed.RequiredObject("meta");
        Snapshot = ListedFile.Read(meta.RequiredObject("snapshot.json"), "timestamp.meta.snapshot.json");
        meta.NoOthers();
    }

    public ListedFile Snapshot { get; }

    public static TimestampMetadata Parse(byte[] bytes) => new(bytes);
}

/// <summary>§4.4.</summary>
internal sealed class SnapshotMetadata : TufMetadata
{
    private SnapshotMetadata(byte[] bytes) : base("snapshot", bytes, Limits.TufListedBytes)
    {
        Meta = Signed.RequiredObject("meta").Entries()
            .ToDictionary(entry => entry.Name, entry => ListedFile.Read(entry.Value, "snapshot.meta"), StringComparer.Ordinal);
    }

    /// <summary>By file name: <c>targets.json</c>, <c>ROLE.json</c>.</summary>
    public IReadOnlyDictionary<string, ListedFile> Meta { get; }

    public static SnapshotMetadata Parse(byte[] bytes) => new(bytes);
}

/// <summary>§4.5: the top-level targets role, or a delegated one.</summary>
internal sealed class TargetsMetadata : TufMetadata
{
    private TargetsMetadata(byte[] bytes) : base("targets", bytes, Limits.TufListedBytes)
    {
        Targets = Signed.RequiredObject("targets").Entries().ToDictionary(entry => entry.Name, entry => TargetFile.Read(entry.Name, entry.Value), StringComparer.Ordinal);
        if (Signed.Object("delegations") is { } delegations)
        {
            Dictionary<string, TufKey> keys = ReadKeys(delegations.RequiredObject("keys"), "targets.delegations");
            Delegations = [.. delegations.Objects("roles", int.MaxValue).Select(role => Delegation.Read(role, keys))];
            if (Delegations.DistinctBy(role => role.Name, StringComparer.Ordinal).Count() != Delegations.Count)
            {
                throw new FormatException("malformed targets.delegations: a role is there twice");
            }
        }
    }

    public IReadOnlyDictionary<string, TargetFile> Targets { get; }

    public IReadOnlyList<Delegation> Delegations { get; } = [];

    public static TargetsMetadata Parse(byte[] bytes) => new(bytes);
}

/// <summary>A file that other metadata lists, with what is listed of it.</summary>
internal sealed record ListedFile(long Version, long? Length, TufHashes? Hashes)
{
    public static ListedFile Read(JsonFields file, string what) => file.RequiredInteger("version") is > 0 and < long.MaxValue and var version
        ? new ListedFile(version, file.Integer("length"), TufHashes.Read(file, what))
        : throw new FormatException($"malformed {what}.version: a number from 1 on expected");

    /// <summary>Why these bytes are not the file; null if they may be.</summary>
    public string? Differs(byte[] bytes) => Length is { } length && length != bytes.Length
        ? string.Create(CultureInfo.InvariantCulture, $"{length} bytes expected, {bytes.Length} found")
        : Hashes?.Differs(bytes);
}

/// <summary>One target, as a targets role lists it.</summary>
internal sealed record TargetFile(string Name, long Length, TufHashes Hashes)
{
    public static TargetFile Read(string name, JsonFields file) => new(
        name,
        file.RequiredInteger("length"),
        TufHashes.Read(file, "targets") ?? throw new FormatException($"malformed targets: {Shown.Of(name)} has no hashes"));

    /// <inheritdoc cref="ListedFile.Differs"/>
    public string? Differs(byte[] bytes) => Length != bytes.Length
        ? string.Create(CultureInfo.InvariantCulture, $"{Length} bytes expected, {bytes.Length} found")
        : Hashes.Differs(bytes);
}

/// <summary>Hashes of a file by algorithm. Those of unknown algorithms prove nothing and refute nothing.</summary>
internal sealed class TufHashes
{
    private readonly (string Name, byte[] Value)[] known;

    private TufHashes((string, byte[])[] known) => this.known = known;

    /// <summary>One that is known, lower-case hex: the prefix under which a consistent repository keeps a target (§6.2). Null where there is none.</summary>
    public string? Prefix => known.Length > 0 ? Convert.ToHexStringLower(known[0].Value) : null;

    public static TufHashes? Read(JsonFields file, string what)
    {
        if (file.Object("hashes") is not { } hashes)
        {
            return null;
        }

        var known = new List<(string, byte[])>();
        foreach ((string name, int bytes) in (ReadOnlySpan<(string, int)>)[("sha256", 32), ("sha512", 64)])
        {
            if (hashes.Text(name) is { } hex)
            {
                known.Add((name, TufKey.TryDecodeHex(hex) is { } value && value.Length == bytes
                    ? value
                    : throw new FormatException($"malformed {what}.hashes.{name}: {2 * bytes} hex digits expected")));
            }
        }

        return new TufHashes([.. known]);
    }

    /// <summary>Why these bytes are not the ones hashed; null if they are. Nothing but unknown algorithms is a reason, too.</summary>
    public string? Differs(byte[] bytes)
    {
        if (known.Length == 0)
        {
            return "no hash of a known algorithm (sha256, sha512) is listed";
        }

        foreach ((string name, byte[] value) in known)
        {
            byte[] found = name == "sha256" ? SHA256.HashData(bytes) : SHA512.HashData(bytes);
            if (!value.AsSpan().SequenceEqual(found))
            {
                return $"{name} {Shown.Hex(value)} expected, {Shown.Hex(found)} found";
            }
        }

        return null;
    }
}
