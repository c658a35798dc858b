using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>
/// The moments at which the signature is proven to have existed (client-spec §4.2). A moment counts only with somebody's signature
/// under it: a timestamp authority's over the signature, or a Rekor v1 log's over its entry. The clock of this machine never counts.
/// </summary>
internal sealed class SigningTime
{
    private SigningTime(IReadOnlyList<ProvenTime> times) => Times = times;

    /// <summary>
    /// At least one, unless none was required. Several of one authority all stand here: each must be within what it is held against, and
    /// one alone is enough.
    /// </summary>
    public IReadOnlyList<ProvenTime> Times { get; }

    public DateTimeOffset? Earliest => Times.Count == 0 ? null : Times.Min(time => time.Moment);

    public IEnumerable<string> Checks => Times.Select(time => time.Check);

    /// <summary>How many different authorities stamped the signature: one that is listed under two addresses, or two under one, are one.</summary>
    public int Authorities => Times.Select(time => time.Authority).OfType<CertificateAuthority>()
        .Select(authority => (authority.Uri, Key: Convert.ToHexString(authority.Keys[0].Spki)))
        .DistinctBy(authority => authority.Key).DistinctBy(authority => authority.Uri.Length > 0 ? authority.Uri : authority.Key).Count();

    /// <summary>Whether the entry's log signed a promise to include it (SET).</summary>
    public bool IsPromised(LogEntry entry) => Times.Any(time => ReferenceEquals(time.Promised, entry));

    /// <summary>
    /// Everything of a known authority must hold; what an unknown one signed is ignored and proves nothing (client-spec §4.2.1).
    /// </summary>
    /// <param name="required">False for a managed key, which does not expire: what is given must still hold.</param>
    public static SigningTime Establish(
        IReadOnlyList<byte[]> timestamps, IReadOnlyList<LogEntry> entries, byte[] signature, TrustedRoot root, Proofs proofs, bool required)
    {
        var times = new List<ProvenTime>();
        foreach (byte[] response in timestamps)
        {
            if (FromAuthority(response, signature, root) is { } time)
            {
                times.Add(time);
            }
        }

        foreach (LogEntry entry in entries)
        {
            if (FromLog(entry, root) is { } time)
            {
                times.Add(time);
            }
        }

        if (times.Count > 0 || !required)
        {
            return new SigningTime(times);
        }

        // A log that could have told the time, and is not known, is the nearer reason.
        throw proofs == Proofs.Log && timestamps.Count == 0 && entries.All(entry => !LoggedEntry.IsRekor2(entry) && !root.LogsOf(entry.LogId).Any())
            ? LoggedEntry.NoneKnown(entries, root)
            : new VerificationException(
                "time.missing",
                "no moment of signing is proven",
                "a timestamp of an authority, or a signed entry timestamp of a log, that the trusted root knows",
                string.Create(CultureInfo.InvariantCulture, $"{timestamps.Count} timestamps and {entries.Count} log entries"));
    }

    // A token is of a known authority if its signer id or its signed certificate id names a leaf of the trusted root. Both are
    // asked, because the signer id is not signed: with it changed, a bad token would pass for a stranger's. Certificates inside
    // the token decide nothing, and what else is in a stranger's token is not read.
    private static ProvenTime? FromAuthority(byte[] response, byte[] signature, TrustedRoot root)
    {
        IReadOnlyList<TimestampSigner> signers = VerificationException.Reading("time.token", () => TimestampToken.ReadSigners(response));
        CertificateAuthority[] authorities = VerificationException.Reading("time.certificate", () =>
            root.TimestampAuthorities.Where(authority => authority.First is { } leaf && signers.Any(signer => signer.Names(leaf))).ToArray());
        if (authorities.Length == 0)
        {
            return null;
        }

        TimestampToken token = VerificationException.Reading("time.token", () => TimestampToken.Parse(response));
        VerificationException? refusal = null;
        foreach (CertificateAuthority authority in authorities)
        {
            try
            {
                return Verify(token, signature, authority);
            }
            catch (VerificationException e)
            {
                refusal = e; // the same leaf may be listed again with another window
            }
        }

        throw refusal!;
    }

    private static ProvenTime Verify(TimestampToken token, byte[] signature, CertificateAuthority authority)
    {
        // RFC 5652 §5.4 first: until the signature over the attributes holds, nothing in the token is anybody's word.
        (Certificate leaf, VerificationKey key) = VerificationException.Reading("time.certificate", () => (authority.Certificates[0], authority.Keys[0]));
        if (SignatureHash(token, key) is not { } hash || !key.Verifies(token.SignedAttributes, token.Signature, hash))
        {
            throw new VerificationException("time.signature", $"the timestamp was not signed by {Shown.Of(authority.Uri)}");
        }

        if (!CryptographicOperations.HashData(token.DigestHash, token.Content).AsSpan().SequenceEqual(token.SignedDigest))
        {
            throw new VerificationException("time.digest", "the timestamp's signature covers another content");
        }

        if (!token.Signer.IsIdentifiedAs(leaf) || !token.Signer.IsTiedTo(leaf))
        {
            throw new VerificationException("time.signer", "the timestamp names another certificate than the one that signed it");
        }

        byte[] imprint = CryptographicOperations.HashData(token.ImprintHash, signature);
        if (!imprint.AsSpan().SequenceEqual(token.Imprint))
        {
            throw new VerificationException("time.imprint", "the timestamp is about another signature", Shown.Hex(imprint), Shown.Hex(token.Imprint));
        }

        if (!authority.Window.Contains(token.GenTime))
        {
            throw new VerificationException("time.window", "the timestamp was made outside the authority's window", authority.Window.ToString(), Shown.Of(token.GenTime));
        }

        VerificationException.Reading("time.certificate", () => RequireAuthority(leaf, authority, token.GenTime));
        return new ProvenTime(
            token.GenTime,
            $"The signature existed at {Shown.Of(token.GenTime)}: RFC 3161 timestamp of {Shown.Of(authority.Uri)}",
            Authority: authority);
    }

    // RFC 3161 §2.3: the certificate is for time stamping and nothing else, and says so critically. The chain is looked at as of
    // the stamped moment; that it has expired since says nothing about the stamp.
    private static bool RequireAuthority(Certificate leaf, CertificateAuthority authority, DateTimeOffset moment)
    {
        CertificatePath.RequireUnderstood(leaf);
        bool fits = leaf.Extension("2.5.29.37") is { Critical: true }
            && leaf.ExtendedKeyUsages() is [CertificatePath.TimeStamping]
            && leaf.KeyUsage() is { } usage && usage.HasFlag(KeyUsages.DigitalSignature)
            && !leaf.BasicConstraints().IsAuthority;
        if (!fits)
        {
            throw new FormatException($"{Certificate.ShowName(leaf.Subject)} is not a certificate for time stamping alone");
        }

        if (!CertificatePath.IsValidAt(leaf, moment))
        {
            throw new FormatException($"{Certificate.ShowName(leaf.Subject)} was not valid at {Shown.Of(moment)}");
        }

        CertificatePath.RequireAuthorities([.. authority.Certificates.Skip(1)], CertificatePath.TimeStamping, moment);
        return true;
    }

    // RFC 5652 §5.3 leaves two ways to name RSA and one for ECDSA; the hash of the attributes goes with the digest algorithm.
    private static HashAlgorithmName? SignatureHash(TimestampToken token, VerificationKey key) => (token.SignatureAlgorithm, key) switch
    {
        ("1.2.840.10045.4.3.2", { IsEcdsa: true }) => HashAlgorithmName.SHA256,
        ("1.2.840.10045.4.3.3", { IsEcdsa: true }) => HashAlgorithmName.SHA384,
        ("1.2.840.10045.4.3.4", { IsEcdsa: true }) => HashAlgorithmName.SHA512,
        ("1.2.840.113549.1.1.1", { IsRsa: true }) => token.DigestHash,
        ("1.2.840.113549.1.1.11", { IsRsa: true }) => HashAlgorithmName.SHA256,
        ("1.2.840.113549.1.1.12", { IsRsa: true }) => HashAlgorithmName.SHA384,
        ("1.2.840.113549.1.1.13", { IsRsa: true }) => HashAlgorithmName.SHA512,
        _ => null,
    };

    // No time is taken from an inclusion proof: inclusion is proven, the moment is not (client-spec §4.2.2).
    private static ProvenTime? FromLog(LogEntry entry, TrustedRoot root)
    {
        TransparencyLog[] logs = [.. root.LogsOf(entry.LogId)];
        if (logs.Length == 0)
        {
            return null;
        }

        // Of which generation an entry is, its kind tells; so first of all the kind must be what the log has.
        LogBody.RequireKind(entry);
        if (entry.SignedEntryTimestamp is not { } promise)
        {
            return null;
        }

        if (LoggedEntry.IsRekor2(entry))
        {
            throw new VerificationException("tlog.set", "a Rekor v2 entry carries a signed entry timestamp");
        }

        if (!logs[0].Key.Verifies(PromisedText(entry), promise, HashAlgorithmName.SHA256))
        {
            throw new VerificationException("tlog.set", $"the signed entry timestamp was not signed by {Shown.Of(logs[0].BaseUrl)}");
        }

        // 9999-12-31T23:59:59Z: the last second that .NET, and RFC 3339, can name.
        if (entry.IntegratedTime is <= 0 or > 253402300799)
        {
            throw new VerificationException("tlog.set", "the entry's integration time is out of range");
        }

        DateTimeOffset moment = DateTimeOffset.FromUnixTimeSeconds(entry.IntegratedTime);
        TransparencyLog log = logs.FirstOrDefault(log => log.Window.Contains(moment)) ?? throw new VerificationException(
            "tlog.window", "the entry was made outside the log's window", logs[0].Window.ToString(), Shown.Of(moment));
        return new ProvenTime(
            moment,
            $"The signature existed at {Shown.Of(moment)}: signed entry timestamp of {Shown.Of(log.BaseUrl)}",
            entry);
    }

    // The log signs the RFC 8785 form of these four members, which is theirs in this order without white space.
    private static ReadOnlySpan<byte> PromisedText(LogEntry entry)
    {
        var text = new ArrayBufferWriter<byte>(256 + entry.Body.Length * 2);
        using (var json = new Utf8JsonWriter(text, BundleWriter.Plain))
        {
            json.WriteStartObject();
            json.WriteBase64String("body", entry.Body);
            json.WriteNumber("integratedTime", entry.IntegratedTime);
            json.WriteString("logID", Convert.ToHexStringLower(entry.LogId));
            json.WriteNumber("logIndex", entry.LogIndex);
            json.WriteEndObject();
        }

        return text.WrittenSpan;
    }
}

/// <summary>A moment with somebody's signature under it.</summary>
/// <param name="Check">What was proven, in a sentence for the user.</param>
/// <param name="Promised">The log entry that the moment is of, whose inclusion the log then promised; null for a timestamp.</param>
/// <param name="Authority">Whose timestamp it is; null for a log's promise.</param>
internal sealed record ProvenTime(DateTimeOffset Moment, string Check, LogEntry? Promised = null, CertificateAuthority? Authority = null);
