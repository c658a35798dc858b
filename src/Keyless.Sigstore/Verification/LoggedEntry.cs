using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>
/// A log entry proven to be in a log that the trusted root knows (client-spec §4.4): the log signed a checkpoint and the entry's body is
/// in the tree of that checkpoint, or, in the forms that have no place for a proof, the log promised to include it. The body says what
/// is verified: this signature, this certificate, this content (<see cref="LogBody"/>).
/// </summary>
internal sealed class LoggedEntry
{
    private LoggedEntry(TransparencyLog log, long index, SignatureScheme? scheme, string check) => (Log, Index, Scheme, Check) = (log, index, scheme, check);

    public TransparencyLog Log { get; }

    /// <summary>The entry's index as it is proven: across all shards where the log promised that, else within the tree.</summary>
    public long Index { get; }

    /// <summary>How the entry says its signature was made; null where it does not say.</summary>
    public SignatureScheme? Scheme { get; }

    public string Check { get; }

    public static bool IsRekor2(LogEntry entry) => entry.KindVersion == "0.0.2" && entry.Kind is "hashedrekord" or "dsse";

    /// <summary>Every entry of a known log must hold, and there must be one. Entries of unknown logs prove nothing.</summary>
    public static IReadOnlyList<LoggedEntry> Verify(
        IReadOnlyList<LogEntry> entries, SignedContent content, SignedBytes signed, ProvenSigner signer, SigningTime time, TrustedRoot root)
    {
        // One entry given twice would count for two. Its place in the tree is asked as well: in Rekor v1 nobody but the promise says the index.
        if (entries.DistinctBy(entry => (entry.LogIndex, Convert.ToHexString(entry.LogId))).Count() != entries.Count
            || entries.DistinctBy(entry => (entry.Proof?.LogIndex, Convert.ToHexString(entry.LogId), Convert.ToHexString(SHA256.HashData(entry.Body)))).Count() != entries.Count)
        {
            throw new VerificationException("tlog.duplicate", "one log entry is given twice");
        }

        var proven = new List<LoggedEntry>();
        foreach (LogEntry entry in entries)
        {
            TransparencyLog[] logs = [.. root.LogsOf(entry.LogId)];
            if (logs.Length > 0)
            {
                proven.Add(Verify(entry, logs, content, signed, signer, time));
            }
        }

        return proven.Count > 0 ? proven : throw NoneKnown(entries, root);
    }

    public static VerificationException NoneKnown(IReadOnlyList<LogEntry> entries, TrustedRoot root) => new(
        entries.Count == 0 ? "tlog.missing" : "tlog.unknown-log",
        entries.Count == 0 ? "the signature is in no transparency log" : "no log entry is of a log that the trusted root knows",
        string.Join(" or ", root.Logs.Select(log => Convert.ToBase64String(log.LogId))),
        entries.Count == 0 ? null : string.Join(", ", entries.Select(entry => Convert.ToBase64String(entry.LogId))));

    private static LoggedEntry Verify(
        LogEntry entry, TransparencyLog[] logs, SignedContent content, SignedBytes signed, ProvenSigner signer, SigningTime time)
    {
        bool isRekor2 = IsRekor2(entry);
        TransparencyLog log = LogInUse(entry, logs, time);
        SignatureScheme? scheme;
        if (entry.Proof is { Checkpoint: not null } proof)
        {
            RequireInclusion(entry, proof, log, isRekor2);
            scheme = LogBody.RequireSame(entry, content, signed, signer);
            // Rekor v1 signs the index across its shards in the promise alone; without one only the index in the tree is proven. Rekor v2 has no other.
            long index = entry.SignedEntryTimestamp is not null ? entry.LogIndex : proof.LogIndex;
            return new LoggedEntry(log, index, scheme, string.Create(
                CultureInfo.InvariantCulture,
                $"The signature is included in the transparency log {Shown.Of(log.BaseUrl)} (Rekor v{(isRekor2 ? 2 : 1)}) at index {index}: inclusion proof to a checkpoint the log signed"));
        }

        // Bundles v0.1 and simple-signing annotations: there is no proof that the entry is in the tree, only the log's word for it.
        if (!time.IsPromised(entry))
        {
            throw new VerificationException("tlog.inclusion", "the entry has neither an inclusion proof with a checkpoint nor a signed entry timestamp");
        }

        scheme = LogBody.RequireSame(entry, content, signed, signer);
        return new LoggedEntry(log, entry.LogIndex, scheme, string.Create(
            CultureInfo.InvariantCulture,
            $"The transparency log {Shown.Of(log.BaseUrl)} (Rekor v1) promised to include the signature at index {entry.LogIndex}: signed entry timestamp (SET)"));
    }

    // A log's key may be listed with several windows. A Rekor v2 log gives no time of its own, so it is asked of the moments that are
    // proven otherwise: a key that was taken out of use must not vouch for what came later. A managed key may have signed at a moment
    // that nobody proves; then only a key that is still in use will do.
    private static TransparencyLog LogInUse(LogEntry entry, TransparencyLog[] logs, SigningTime time)
    {
        TransparencyLog[] inUse = time.Times.Count == 0
            ? [.. logs.Where(log => log.Window.End is null)]
            : [.. logs.Where(log => time.Times.Any(proven => log.Window.Contains(proven.Moment)))];
        if (inUse.Length == 0)
        {
            throw new VerificationException(
                "tlog.window", "the log's key was not in use when the signature was made", logs[0].Window.ToString(), time.Earliest is { } earliest ? Shown.Of(earliest) : "no proven moment");
        }

        // An ECDSA key may also be listed under several names, of which a Rekor v2 log signs with one.
        return inUse.FirstOrDefault(log => entry.Proof?.Checkpoint?.StartsWith(log.Host + "\n", StringComparison.Ordinal) == true) ?? inUse[0];
    }

    private static void RequireInclusion(LogEntry entry, InclusionProof proof, TransparencyLog log, bool isRekor2)
    {
        Checkpoint checkpoint = VerificationException.Reading("tlog.checkpoint", () => Checkpoint.Parse(proof.Checkpoint!));
        RequireSignedByLog(checkpoint, log, isRekor2);

        // Said twice, so it must be said alike: what is not compared could be changed.
        if (proof.TreeSize != checkpoint.Size || !proof.RootHash.AsSpan().SequenceEqual(checkpoint.RootHash))
        {
            throw new VerificationException(
                "tlog.checkpoint",
                "the inclusion proof leads to another tree than the checkpoint's",
                string.Create(CultureInfo.InvariantCulture, $"size {checkpoint.Size}, root {Shown.Hex(checkpoint.RootHash)}"),
                string.Create(CultureInfo.InvariantCulture, $"size {proof.TreeSize}, root {Shown.Hex(proof.RootHash)}"));
        }

        // Rekor v1 counts entries across shards in logIndex and within the tree in the proof; Rekor v2 has one count.
        if (isRekor2 && proof.LogIndex != entry.LogIndex)
        {
            throw new VerificationException(
                "tlog.inclusion", "the inclusion proof is for another index", entry.LogIndex.ToString(CultureInfo.InvariantCulture), proof.LogIndex.ToString(CultureInfo.InvariantCulture));
        }

        byte[] root = VerificationException.Reading(
            "tlog.inclusion", () => MerkleTree.RootFromPath(proof.LogIndex, checkpoint.Size, MerkleTree.LeafHash(entry.Body), proof.Hashes));
        if (!root.AsSpan().SequenceEqual(checkpoint.RootHash))
        {
            throw new VerificationException("tlog.inclusion", "the entry is not in the tree of the checkpoint", Shown.Hex(checkpoint.RootHash), Shown.Hex(root));
        }
    }

    // C2SP signed-note: lines of unknown keys are ignored (witnesses), every line of a known key must verify, and there is one.
    private static void RequireSignedByLog(Checkpoint checkpoint, TransparencyLog log, bool isRekor2)
    {
        // Rekor v1 writes "<host> - <tree id>" as origin and signs under the host alone; whose host it is was never fixed, so the
        // key id decides. Rekor v2 signs under its origin, which is the host it is known by.
        int separator = checkpoint.Origin.IndexOf(" - ", StringComparison.Ordinal);
        string name = isRekor2 ? log.Host : checkpoint.Origin[..Math.Max(separator, 0)];
        if (isRekor2 ? checkpoint.Origin != name : name.Length == 0)
        {
            throw new VerificationException("tlog.checkpoint", "the checkpoint is of another log", isRekor2 ? name : "<host> - <tree id>", checkpoint.Origin);
        }

        uint keyId = BinaryPrimitives.ReadUInt32BigEndian(isRekor2 ? log.NoteKeyHash() : SHA256.HashData(log.Key.Spki));
        NoteSignature[] ours = [.. checkpoint.Signatures.Where(line => line.KeyId == keyId && line.Name == name)];
        if (ours.Length == 0)
        {
            throw new VerificationException(
                "tlog.checkpoint",
                "the log did not sign the checkpoint",
                string.Create(CultureInfo.InvariantCulture, $"a signature by {name} with key id {keyId:x8}"),
                string.Join(", ", checkpoint.Signatures.Select(line => string.Create(CultureInfo.InvariantCulture, $"{line.Name} {line.KeyId:x8}"))));
        }

        if (!ours.All(line => log.Key.Verifies(checkpoint.Text, line.Signature, HashAlgorithmName.SHA256)))
        {
            throw new VerificationException("tlog.checkpoint", $"the checkpoint's signature is not of {Shown.Of(log.BaseUrl)}");
        }
    }
}
