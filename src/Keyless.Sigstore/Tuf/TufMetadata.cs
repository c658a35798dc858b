using System.Globalization;
using System.Security.Cryptography;
using System.Text;
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

/// <summary>Who may sign for a role: the keys that can be used, and how many different ones must.</summary>
internal sealed class TufSigners
{
    private readonly List<(string Id, TufKey Key)> keys = [];

    private TufSigners(long threshold) => Threshold = threshold;

    public long Threshold { get; }

    public static TufSigners Read(JsonFields role, Dictionary<string, TufKey> known, string what)
    {
        long threshold = role.RequiredInteger("threshold");
        if (threshold < 1)
        {
            throw new FormatException($"malformed {what}.threshold: at least 1 expected, 0 found");
        }

        var signers = new TufSigners(threshold);
        var ids = new HashSet<string>(StringComparer.Ordinal);
        if (!role.Has("keyids"))
        {
            throw new FormatException($"malformed {what}: keyids is missing");
        }

        foreach (string id in role.Texts("keyids", Limits.TufKeys))
        {
            if (!ids.Add(id))
            {
                throw new FormatException($"malformed {what}.keyids: {Shown.Of(id)} is there twice");
            }

            if (known.TryGetValue(id, out TufKey? key))
            {
                signers.keys.Add((id, key));
            }
        }

        return signers;
    }

    /// <summary>How many different keys have signed. The same key under two ids is one key (an id is only a label), and a bad signature is no signature.</summary>
    public int CountSignatures(TufMetadata metadata)
    {
        var signed = new HashSet<string>(StringComparer.Ordinal);
        foreach ((string id, TufKey key) in keys)
        {
            if (metadata.SignatureOf(id) is { } hex && TufKey.TryDecodeHex(hex) is { } signature && !signed.Contains(key.Material)
                && key.Verifies(metadata.SignedBytes, signature))
            {
                signed.Add(key.Material);
            }
        }

        return signed.Count;
    }

    /// <summary>Whether a key of these is none of the others.</summary>
    public bool HasKeyNotIn(TufSigners others) => keys.Exists(mine => !others.keys.Exists(other => other.Key.Material == mine.Key.Material));
}

/// <summary>A key that can verify signatures of the kinds in use: ECDSA on P-256, Ed25519, RSA-PSS with SHA-256.</summary>
internal sealed class TufKey
{
    // RFC 8410 §4: SubjectPublicKeyInfo up to the 32 bytes of an Ed25519 key.
    private static readonly byte[] Ed25519Prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

    private readonly VerificationKey key;
    private readonly RSA? pss;

    private TufKey(VerificationKey key, RSA? pss = null) => (this.key, this.pss, Material) = (key, pss, Convert.ToHexString(key.Spki));

    /// <summary>What makes two keys the same key, whatever their ids.</summary>
    public string Material { get; }

    /// <returns>Null for a key that cannot be used: it is never counted, and no reason to refuse those that can (§4.2).</returns>
    public static TufKey? Read(JsonFields fields)
    {
        string kind = $"{fields.RequiredText("keytype")} {fields.RequiredText("scheme")}";
        if (kind is not ("ecdsa ecdsa-sha2-nistp256" or "ecdsa-sha2-nistp256 ecdsa-sha2-nistp256" or "ed25519 ed25519" or "rsa rsassa-pss-sha256"))
        {
            return null;
        }

        string value = fields.RequiredObject("keyval").RequiredText("public");
        try
        {
            if (kind[1] == 'd')
            {
                return TryDecodeHex(value) is { Length: 32 } bytes ? new TufKey(VerificationKey.FromSpki([.. Ed25519Prefix, .. bytes])) : null;
            }

            VerificationKey key = VerificationKey.FromSpki(FromPem(value));
            return kind[0] switch
            {
                'e' when key.FieldBytes == 32 => new TufKey(key),
                'r' when key.IsRsa => new TufKey(key, ImportRsa(key.Spki)),
                _ => null,
            };
        }
        catch (FormatException)
        {
            return null;
        }
    }

    public bool Verifies(byte[] data, byte[] signature)
    {
        if (pss is null)
        {
            return key.Verifies(data, signature, HashAlgorithmName.SHA256);
        }

        return signature.Length == pss.KeySize / 8 && pss.VerifyData(data, signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pss);
    }

    /// <summary>Null for what is not hex.</summary>
    public static byte[]? TryDecodeHex(string hex)
    {
        var bytes = new byte[hex.Length / 2];
        return hex.Length % 2 == 0 && Convert.FromHexString(hex, bytes, out _, out int written) == System.Buffers.OperationStatus.Done && written == bytes.Length ? bytes : null;
    }

    private static byte[] FromPem(string pem)
    {
        if (!PemEncoding.TryFind(pem, out PemFields fields) || pem[fields.Label] != "PUBLIC KEY" || pem.AsSpan(fields.Location.End.Value).Trim().Length > 0
            || pem.AsSpan(0, fields.Location.Start.Value).Trim().Length > 0)
        {
            throw new FormatException("malformed key: one PEM public key expected");
        }

        return Convert.FromBase64String(pem[fields.Base64Data]);
    }

    private static RSA ImportRsa(byte[] spki)
    {
        RSA rsa = RSA.Create();
        rsa.ImportSubjectPublicKeyInfo(spki, out _);
        return rsa;
    }
}

/// <summary>Targets that a role leaves to another role.</summary>
internal sealed class Delegation
{
    private readonly IReadOnlyList<string>? patterns;
    private readonly IReadOnlyList<string>? hashPrefixes;

    private Delegation(JsonFields role, Dictionary<string, TufKey> keys)
    {
        Name = role.RequiredText("name");
        // They have files of their own, which a delegated role must not replace; some file systems know no case.
        if (Name.Length == 0 || Name.ToLowerInvariant() is "root" or "timestamp" or "snapshot" or "targets")
        {
            throw new FormatException($"malformed targets.delegations: a delegated role cannot be named \"{Shown.Of(Name)}\"");
        }

        Signers = TufSigners.Read(role, keys, $"targets.delegations.{Shown.Of(Name)}");
        Terminating = role.Boolean("terminating") ?? false;
        patterns = role.Has("paths") ? role.Texts("paths", int.MaxValue) : null;
        hashPrefixes = role.Has("path_hash_prefixes") ? role.Texts("path_hash_prefixes", int.MaxValue) : null;
        if (patterns is null == hashPrefixes is null)
        {
            throw new FormatException($"malformed targets.delegations.{Shown.Of(Name)}: either paths or path_hash_prefixes expected");
        }
    }

    public string Name { get; }

    public TufSigners Signers { get; }

    /// <summary>Whether the search ends with this role and those below it.</summary>
    public bool Terminating { get; }

    public static Delegation Read(JsonFields role, Dictionary<string, TufKey> keys) => new(role, keys);

    public bool Covers(string target)
    {
        if (patterns is not null)
        {
            return patterns.Any(pattern => PathPattern.Matches(pattern, target));
        }

        string hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(target)));
        return hashPrefixes!.Any(prefix => hash.StartsWith(prefix, StringComparison.Ordinal));
    }
}

/// <summary>Patterns of delegated paths (§4.5): those of a shell, where no wildcard matches a slash.</summary>
internal static class PathPattern
{
    public static bool Matches(string pattern, string path)
    {
        string[] expected = pattern.Split('/');
        string[] found = path.Split('/');
        return expected.Length == found.Length && expected.Zip(found).All(segment => MatchesSegment(segment.First, segment.Second));
    }

    // Goes back to the last star only, so a pattern costs at most its length times the segment's.
    private static bool MatchesSegment(string pattern, string text)
    {
        int p = 0, t = 0, star = -1, resume = 0;
        while (t < text.Length)
        {
            if (p < pattern.Length && pattern[p] == '*')
            {
                (star, resume) = (p++, t);
            }
            else if (p < pattern.Length && MatchesOne(pattern, ref p, text[t]))
            {
                t++;
            }
            else if (star >= 0)
            {
                (p, t) = (star + 1, ++resume);
            }
            else
            {
                return false;
            }
        }

        return pattern.AsSpan(p).TrimStart('*').IsEmpty;
    }

    private static bool MatchesOne(string pattern, ref int p, char c)
    {
        int close = pattern[p] == '[' ? CloseOf(pattern, p) : -1;
        if (close < 0)
        {
            return pattern[p++] is var one && (one == '?' || one == c);
        }

        ReadOnlySpan<char> set = pattern.AsSpan(p + 1, close - p - 1);
        p = close + 1;
        return set[0] == '!' ? !Contains(set[1..], c) : Contains(set, c);
    }

    // A bracket directly after the opening one (or its negation) is a member; one that is never closed stands for itself.
    private static int CloseOf(string pattern, int open)
    {
        int first = open + 1 < pattern.Length && pattern[open + 1] == '!' ? open + 2 : open + 1;
        return first + 1 <= pattern.Length - 1 ? pattern.IndexOf(']', first + 1) : -1;
    }

    private static bool Contains(ReadOnlySpan<char> set, char c)
    {
        for (int i = 0; i < set.Length; i++)
        {
            bool range = i + 2 < set.Length && set[i + 1] == '-';
            if (range ? c >= set[i] && c <= set[i + 2] : c == set[i])
            {
                return true;
            }

            i += range ? 2 : 0;
        }

        return false;
    }
}
