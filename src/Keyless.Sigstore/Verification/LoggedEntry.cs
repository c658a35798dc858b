using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>
/// A log entry proven to be in a log that the trusted root knows (client-spec §4.4): the log signed a checkpoint, the entry's body is
/// in the tree of that checkpoint, and the body says what the bundle says: this signature, this certificate, this content.
/// </summary>
internal sealed class LoggedEntry
{
    private LoggedEntry(long index, byte[] logId, string check) => (Index, LogId, Check) = (index, logId, check);

    /// <summary>The entry's index as it is proven: across all shards where the log promised that, else within the tree.</summary>
    public long Index { get; }

    public byte[] LogId { get; }

    public string Check { get; }

    public static bool IsRekor2(LogEntry entry) => entry.KindVersion == "0.0.2" && entry.Kind is "hashedrekord" or "dsse";

    /// <summary>Every entry of a known log must hold, and there must be one. Entries of unknown logs prove nothing.</summary>
    public static IReadOnlyList<LoggedEntry> Verify(
        IReadOnlyList<LogEntry> entries, SignedEnvelope envelope, SigningCertificate signer, SigningTime time, TrustedRoot root)
    {
        // One entry given twice would count for two.
        if (entries.DistinctBy(entry => (entry.LogIndex, Convert.ToHexString(entry.LogId))).Count() != entries.Count)
        {
            throw new VerificationException("tlog.duplicate", "one log entry is given twice");
        }

        var proven = new List<LoggedEntry>();
        foreach (LogEntry entry in entries)
        {
            TransparencyLog[] logs = [.. root.Logs.Where(log => log.LogId.AsSpan().SequenceEqual(entry.LogId))];
            if (logs.Length > 0)
            {
                proven.Add(Verify(entry, logs, envelope, signer, time));
            }
        }

        return proven.Count > 0
            ? proven
            : throw new VerificationException(
                entries.Count == 0 ? "tlog.missing" : "tlog.unknown-log",
                entries.Count == 0 ? "the signature is in no transparency log" : "no log entry is of a log that the trusted root knows",
                string.Join(" or ", root.Logs.Select(log => Convert.ToBase64String(log.LogId))),
                entries.Count == 0 ? null : string.Join(", ", entries.Select(entry => Convert.ToBase64String(entry.LogId))));
    }

    private static LoggedEntry Verify(LogEntry entry, TransparencyLog[] logs, SignedEnvelope envelope, SigningCertificate signer, SigningTime time)
    {
        // A log's key may be listed with several windows. A Rekor v2 log gives no time of its own, so it is asked of the moments
        // that are proven otherwise: a key that was taken out of use must not vouch for what came later.
        TransparencyLog[] inUse = [.. logs.Where(log => time.Times.Any(proven => log.Window.Contains(proven.Moment)))];
        if (inUse.Length == 0)
        {
            throw new VerificationException("tlog.window", "the log's key was not in use when the signature was made", logs[0].Window.ToString(), Shown.Of(time.Earliest));
        }

        bool isRekor2 = IsRekor2(entry);
        // An ECDSA key may also be listed under several names, of which a Rekor v2 log signs with one.
        TransparencyLog log = inUse.FirstOrDefault(log => isRekor2 && entry.Proof!.Checkpoint!.StartsWith(log.Host + "\n", StringComparison.Ordinal)) ?? inUse[0];
        RequireInclusion(entry, entry.Proof!, log, isRekor2);
        RequireSameContent(entry, envelope, signer);
        // Rekor v1 signs the index across its shards in the promise alone; without one only the index in the tree is proven.
        long index = isRekor2 || entry.SignedEntryTimestamp is not null ? entry.LogIndex : entry.Proof!.LogIndex;
        return new LoggedEntry(
            index,
            entry.LogId,
            string.Create(
                CultureInfo.InvariantCulture,
                $"The signature is included in the transparency log {Shown.Of(log.BaseUrl)} (Rekor v{(isRekor2 ? 2 : 1)}) at index {index}: inclusion proof to a checkpoint the log signed"));
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
        string name = isRekor2 ? log.Host : separator < 0 ? "" : checkpoint.Origin[..separator];
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

    private static void RequireSameContent(LogEntry entry, SignedEnvelope envelope, SigningCertificate signer)
    {
        switch (entry.Kind, entry.KindVersion)
        {
            case ("dsse", "0.0.1"):
                VerificationException.Reading("tlog.body", () => RequireDsse001(entry.Body, envelope, signer));
                break;
            case ("hashedrekord", "0.0.2"):
                RequireHashedRekord002(entry.Body, envelope, signer);
                break;
            case ("dsse", "0.0.2"):
                throw new VerificationException("tlog.kind", "the entry is a dsse 0.0.2, a form that Rekor v2 dropped", "hashedrekord 0.0.2");
            default:
                throw new VerificationException("tlog.kind", "the entry is of a kind that does not hold a DSSE signature", "dsse 0.0.1 or hashedrekord 0.0.2", $"{entry.Kind} {entry.KindVersion}");
        }
    }

    // Rekor v2 (rekor-tiles, CLIENTS.md) logs the hash of what DSSE signs. The whole body can be made from the bundle, so it is
    // made and compared: there is no member left to forget.
    private static void RequireHashedRekord002(byte[] body, SignedEnvelope envelope, SigningCertificate signer)
    {
        byte[] expected = HashedRekord002(envelope, signer);
        if (!body.AsSpan().SequenceEqual(expected))
        {
            throw new VerificationException(
                "tlog.binding", "the log entry is about another signature, certificate or content", Encoding.UTF8.GetString(expected), Encoding.UTF8.GetString(body));
        }
    }

    // RFC 8785: members in order, no white space, nothing escaped that need not be.
    private static byte[] HashedRekord002(SignedEnvelope envelope, SigningCertificate signer)
    {
        byte[] signed = DsseEnvelope.PreAuthenticationEncoding(envelope.PayloadType, envelope.Payload);
        (HashAlgorithmName hash, string name) = signer.Key.DefaultHash.Name switch
        {
            "SHA384" => (HashAlgorithmName.SHA384, "SHA2_384"),
            "SHA512" => (HashAlgorithmName.SHA512, "SHA2_512"),
            _ => (HashAlgorithmName.SHA256, "SHA2_256"),
        };
        using var body = new MemoryStream();
        using (var json = new Utf8JsonWriter(body, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteString("apiVersion", "0.0.2");
            json.WriteString("kind", "hashedrekord");
            json.WriteStartObject("spec");
            json.WriteStartObject("hashedRekordV002");
            json.WriteStartObject("data");
            json.WriteString("algorithm", name);
            json.WriteBase64String("digest", CryptographicOperations.HashData(hash, signed));
            json.WriteEndObject();
            json.WriteStartObject("signature");
            json.WriteBase64String("content", envelope.Signature);
            json.WriteStartObject("verifier");
            json.WriteString("keyDetails", signer.Key.Details);
            json.WriteStartObject("x509Certificate");
            json.WriteBase64String("rawBytes", signer.Der);
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteEndObject();
        }

        return body.ToArray();
    }

    // Rekor v1 keeps hashes of envelope and payload, and signature and verifier in full. envelopeHash covers a serialisation that
    // nobody kept and cannot be made again; payload and signature say the same (rekor, pkg/types/dsse/v0.0.1).
    private static bool RequireDsse001(byte[] body, SignedEnvelope envelope, SigningCertificate signer)
    {
        JsonFields entry = JsonFields.Parse(body, "log entry", Limits.LogBodyBytes);
        RequireSame("kind", "dsse", entry.RequiredText("kind"));
        RequireSame("apiVersion", "0.0.1", entry.RequiredText("apiVersion"));
        JsonFields spec = entry.RequiredObject("spec");
        JsonFields envelopeHash = spec.RequiredObject("envelopeHash");
        RequireSame("envelope hash algorithm", "sha256", envelopeHash.RequiredText("algorithm"));
        _ = envelopeHash.RequiredText("value");
        JsonFields payloadHash = spec.RequiredObject("payloadHash");
        RequireSame("payload hash algorithm", "sha256", payloadHash.RequiredText("algorithm"));
        RequireSame("payload hash", Convert.ToHexStringLower(SHA256.HashData(envelope.Payload)), payloadHash.RequiredText("value"));
        IReadOnlyList<JsonFields> signatures = spec.Objects("signatures", Limits.LogEntries);
        RequireSame("number of signatures", "1", signatures.Count.ToString(CultureInfo.InvariantCulture));
        RequireSame("signature", Convert.ToBase64String(envelope.Signature), signatures[0].RequiredText("signature"));
        RequireCertificate(signer.Der, signatures[0].RequiredBytes("verifier"));
        foreach (JsonFields closed in new[] { signatures[0], payloadHash, envelopeHash, spec, entry })
        {
            closed.NoOthers();
        }

        return true;
    }

    /// <summary>Rekor v1 keeps the verifier as PEM: one block, nothing around it, and our certificate in it.</summary>
    private static void RequireCertificate(byte[] der, byte[] pem)
    {
        string text = Encoding.UTF8.GetString(pem);
        string found = "no PEM certificate";
        if (PemEncoding.TryFind(text, out PemFields fields) && text[fields.Label] == "CERTIFICATE"
            && text.AsSpan(0, fields.Location.Start.Value).IsEmpty && text.AsSpan(fields.Location.End.Value).Trim('\n').IsEmpty
            && Base64.TryDecode(text[fields.Base64Data].Replace("\n", "", StringComparison.Ordinal), out byte[] logged))
        {
            if (logged.AsSpan().SequenceEqual(der))
            {
                return;
            }

            found = $"SHA-256 {Shown.Hex(SHA256.HashData(logged))}";
        }

        throw new VerificationException("tlog.binding", "the log entry has another certificate", $"SHA-256 {Shown.Hex(SHA256.HashData(der))}", found);
    }

    private static void RequireSame(string what, string expected, string found)
    {
        if (!string.Equals(expected, found, StringComparison.Ordinal))
        {
            throw new VerificationException("tlog.binding", $"the log entry has another {what}", expected, found);
        }
    }
}
