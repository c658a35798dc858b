using System.Globalization;
using System.Numerics;
using System.Text.Json.Nodes;
using Keyless.Sigstore;

namespace Keyless.Fuzz;

/// <summary>
/// What a signature says to whoever relies on it, read without the product's readers: signer, content, signature, and each piece of
/// evidence with everything in it that somebody signed. An accepted mutant must say the same as its original. What may differ is listed
/// here by name, and each name says why nothing is decided by it.
/// </summary>
internal sealed class Meaning
{
    // Of signer and content: nobody signs these, and nothing is selected by them.
    private static readonly Dictionary<string, string> Unsigned = new()
    {
        ["mediaType"] = "version: v0.1 to v0.3 name the same evidence, and each asks for its own",
        ["dsseEnvelope.signatures[0].keyid"] = "keyid: an unauthenticated hint (DSSE), never used",
        ["verificationMaterial.publicKey.hint"] = "hint: the policy names the key",
    };

    private const string Chain = "chain: who may issue is the trusted root's to say; what the bundle adds is read and not used";
    private const string Removed = "less evidence: the rest suffices";
    private const string Repeated = "evidence repeated: one authority counts once";
    private const string Stranger = "stranger's evidence: proves nothing, so it may be anything";
    private const string Twin = "ECDSA twin: s and n - s verify alike; the signed bytes are the same";
    private const string UnprovenIndex = "v1 without promise: index across shards and time stand in the promise alone, and are not reported";
    private const string UnprovenTime = "v2: an entry's time is nobody's word, and is not read";
    private const string UnusedProof = "v0.1: the promise decides; a proof without checkpoint leads nowhere";
    private const string NoteLines = "note lines of other keys: witnesses are not known here";
    private const string TokenExtras = "timestamp: status, certificates and unsigned attributes are outside its signature";

    private readonly Dictionary<string, string> core = new(StringComparer.Ordinal);
    private readonly List<Dictionary<string, string>> entries = [];
    private readonly List<Token> tokens = [];

    private sealed record Token(string Signed, byte[] Signature, string Whole, string Signer);

    private Meaning()
    {
    }

    public static Meaning Of(Form form, byte[] document) => form == Form.Simple ? OfSimple(document) : OfBundle(JsonNode.Parse(document)!.AsObject());

    /// <summary>Why the mutant may differ from the original, one name for each difference.</summary>
    /// <exception cref="ChangedMeaningException">It may not.</exception>
    public static IReadOnlyCollection<string> Compare(Meaning original, Meaning mutant, IReadOnlySet<string> knownLogs, IReadOnlySet<string> knownAuthorities)
    {
        var reasons = new SortedSet<string>(StringComparer.Ordinal);
        foreach (string path in Differences(original.core, mutant.core))
        {
            reasons.Add(Unsigned.GetValueOrDefault(path)
                ?? (path.StartsWith("verificationMaterial.x509CertificateChain.certificates[", StringComparison.Ordinal) && !path.Contains("[0]", StringComparison.Ordinal) ? Chain : null)
                ?? (path.StartsWith("ignored.", StringComparison.Ordinal) ? Chain : null)
                ?? throw Changed(path, original.core, mutant.core));
        }

        CompareEntries(original, mutant, knownLogs, reasons);
        CompareTokens(original, mutant, knownAuthorities, reasons);
        return reasons;
    }

    /// <summary>Whether the verdicts say the same, or less where there is less evidence.</summary>
    public static void CompareVerdicts(VerifiedSignature original, VerifiedSignature mutant, IReadOnlyCollection<string> reasons)
    {
        Same("signer", original.Signer?.ToString(), mutant.Signer?.ToString());
        Same("key", original.Key?.ToString(), mutant.Key?.ToString());
        Same("predicate type", original.PredicateType, mutant.PredicateType);
        Same("annotations", Sorted(original.Annotations), Sorted(mutant.Annotations));
        bool less = reasons.Contains(Removed);
        if (!less)
        {
            Same("time", $"{original.SignedAt:O}", $"{mutant.SignedAt:O}");
            if (!reasons.Contains(Repeated))
            {
                Same("index", $"{original.LogIndex}", $"{mutant.LogIndex}");
            }
        }
        else if (mutant.SignedAt < original.SignedAt)
        {
            throw new ChangedMeaningException($"signed earlier than the original: {original.SignedAt:O}, {mutant.SignedAt:O}");
        }
    }

    private static string Sorted(IReadOnlyDictionary<string, string> annotations) => string.Join(';', annotations.OrderBy(pair => pair.Key, StringComparer.Ordinal));

    private static void Same(string what, string? original, string? mutant)
    {
        if (original != mutant)
        {
            throw new ChangedMeaningException($"{what}: {original} became {mutant}");
        }
    }

    private static void CompareEntries(Meaning original, Meaning mutant, IReadOnlySet<string> knownLogs, SortedSet<string> reasons)
    {
        var seen = new HashSet<Dictionary<string, string>>();
        foreach (Dictionary<string, string> entry in mutant.entries)
        {
            if (!knownLogs.Contains(entry.GetValueOrDefault("logId.keyId", "")))
            {
                if (!original.entries.Exists(other => Differences(other, entry).Count == 0))
                {
                    reasons.Add(Stranger);
                }

                continue;
            }

            Dictionary<string, string> same = original.entries.Find(other => other["canonicalizedBody"] == entry.GetValueOrDefault("canonicalizedBody") && other["logId.keyId"] == entry["logId.keyId"])
                ?? throw new ChangedMeaningException("a log entry with another body or of another log");
            if (!seen.Add(same))
            {
                throw new ChangedMeaningException("one log entry counted twice");
            }

            CompareEntry(same, entry, reasons);
        }

        if (seen.Count < original.entries.Count(entry => knownLogs.Contains(entry["logId.keyId"])))
        {
            reasons.Add(Removed);
        }
        else if (mutant.entries.Count < original.entries.Count)
        {
            reasons.Add(Stranger);
        }
    }

    private static void CompareEntry(Dictionary<string, string> original, Dictionary<string, string> mutant, SortedSet<string> reasons)
    {
        const string promise = "inclusionPromise.signedEntryTimestamp", checkpoint = "inclusionProof.checkpoint.envelope";
        bool promised = mutant.ContainsKey(promise);
        bool isV2 = original["kindVersion.version"] == "0.0.2" && original["kindVersion.kind"] == "hashedrekord";
        foreach (string path in Differences(original, mutant))
        {
            reasons.Add(path switch
            {
                promise when !promised => Removed,
                promise when IsTwin(original.GetValueOrDefault(promise), mutant[promise]) => Twin,
                "logIndex" when !isV2 && !promised => UnprovenIndex,
                "integratedTime" when !promised => isV2 ? UnprovenTime : UnprovenIndex,
                _ when path.StartsWith("inclusionProof.", StringComparison.Ordinal) && promised && !mutant.ContainsKey(checkpoint) => UnusedProof,
                checkpoint => CompareNotes(original[checkpoint], mutant[checkpoint]),
                _ => throw Changed(path, original, mutant),
            });
        }
    }

    private static string CompareNotes(string original, string mutant)
    {
        (string text, string[] lines) = Split(original);
        (string otherText, string[] otherLines) = Split(mutant);
        // The log's own line is the first of every note in the corpus, and alone of its name and key id.
        string[] ours = [.. otherLines.Where(line => IsOfSameKey(line, lines[0]))];
        if (text != otherText || ours.Length == 0)
        {
            throw new ChangedMeaningException("a checkpoint with another text or without the log's line");
        }

        return ours.All(line => line == lines[0]) ? NoteLines
            : ours.All(line => line == lines[0] || IsTwin(SignatureOf(lines[0]), SignatureOf(line))) ? Twin
            : throw new ChangedMeaningException("a checkpoint with another signature of the log");

        static (string Text, string[] Lines) Split(string note)
        {
            int blank = note.LastIndexOf("\n\n", StringComparison.Ordinal);
            return (note[..(blank + 1)], note[(blank + 2)..].TrimEnd('\n').Split('\n'));
        }

        static bool IsOfSameKey(string line, string own) => line.Split(' ') is [_, var name, var signature] && own.Split(' ') is [_, var ownName, var ownSignature]
            && name == ownName && signature.Length > 5 && signature[..5] == ownSignature[..5];

        static string SignatureOf(string line) => Convert.ToHexString(Convert.FromBase64String(line.Split(' ')[2])[4..]);
    }

    private static void CompareTokens(Meaning original, Meaning mutant, IReadOnlySet<string> knownAuthorities, SortedSet<string> reasons)
    {
        var seen = new HashSet<Token>();
        foreach (Token token in mutant.tokens)
        {
            Token? same = original.tokens.Find(other => other.Signed == token.Signed);
            if (same is null && !knownAuthorities.Contains(token.Signer))
            {
                reasons.Add(Stranger);
                continue;
            }

            if (same is null)
            {
                throw new ChangedMeaningException("a timestamp with another content or of another signer");
            }

            if (same.Signer != token.Signer && knownAuthorities.Contains(same.Signer))
            {
                throw new ChangedMeaningException("a timestamp that names another signer");
            }

            if (!seen.Add(same))
            {
                reasons.Add(Repeated);
            }

            if (same.Whole != token.Whole)
            {
                reasons.Add(same.Signature.AsSpan().SequenceEqual(token.Signature) ? TokenExtras
                    : IsTwin(Convert.ToHexString(same.Signature), Convert.ToHexString(token.Signature)) ? Twin
                    : !knownAuthorities.Contains(token.Signer) ? Stranger
                    : throw new ChangedMeaningException("a timestamp with another signature"));
            }
        }

        if (original.tokens.Exists(token => !seen.Contains(token)))
        {
            reasons.Add(Removed);
        }
    }

    private static Meaning OfBundle(JsonObject bundle)
    {
        var meaning = new Meaning();
        JsonNode? material = bundle["verificationMaterial"];
        foreach (JsonNode? entry in (material?["tlogEntries"] as JsonArray) ?? [])
        {
            meaning.entries.Add(Flatten(entry));
        }

        foreach (JsonNode? stamp in (material?["timestampVerificationData"]?["rfc3161Timestamps"] as JsonArray) ?? [])
        {
            meaning.tokens.Add(ReadToken(Base64((string)stamp!["signedTimestamp"]!)));
        }

        foreach ((string path, string value) in Flatten(bundle))
        {
            if (!path.StartsWith("verificationMaterial.tlogEntries", StringComparison.Ordinal) && !path.StartsWith("verificationMaterial.timestampVerificationData", StringComparison.Ordinal))
            {
                meaning.core.Add(path, value);
            }
        }

        return meaning;
    }

    private static Meaning OfSimple(byte[] document)
    {
        var meaning = new Meaning();
        (byte[] payload, Dictionary<string, string> annotations) = Specimen.Layer(document);
        meaning.core.Add("payload", Convert.ToHexString(payload));
        foreach ((string name, string value) in annotations)
        {
            switch (name)
            {
                case "dev.cosignproject.cosign/signature":
                    meaning.core.Add(name, Convert.ToHexString(Base64(value)));
                    break;
                case "dev.sigstore.cosign/certificate":
                    meaning.core.Add(name, Convert.ToHexString(Base64(string.Concat(value.Split('\n').Where(line => !line.Contains("--", StringComparison.Ordinal)).Select(line => line.Trim())))));
                    break;
                case "dev.sigstore.cosign/bundle":
                    JsonNode entry = JsonNode.Parse(value)!;
                    meaning.entries.Add(new Dictionary<string, string>
                    {
                        ["canonicalizedBody"] = Convert.ToHexString(Base64((string)entry["Payload"]!["body"]!)),
                        ["logId.keyId"] = ((string)entry["Payload"]!["logID"]!).ToUpperInvariant(),
                        ["logIndex"] = Number(entry["Payload"]!["logIndex"]!),
                        ["integratedTime"] = Number(entry["Payload"]!["integratedTime"]!),
                        ["kindVersion.version"] = "0.0.1",
                        ["inclusionPromise.signedEntryTimestamp"] = Convert.ToHexString(Base64((string)entry["SignedEntryTimestamp"]!)),
                    });
                    break;
                case "dev.sigstore.cosign/rfc3161timestamp":
                    meaning.tokens.Add(ReadToken(Base64((string)JsonNode.Parse(value)!["SignedRFC3161Timestamp"]!)));
                    break;
                default:
                    meaning.core.Add("ignored." + name, value);
                    break;
            }
        }

        return meaning;
    }

    // TimeStampResp, SignedData and SignerInfo by position (RFC 3161 §2.4.2, RFC 5652 §5); the optional parts between are nobody's word.
    private static Token ReadToken(byte[] response)
    {
        if (DerTree.Parse(response)?.Children is [_, { Children: [_, { Children: [{ Children: [_, _, { Children: [_, { Children: [var content] }] }, .., { Children: [{ Children: [_, var signer, _, var attributes, _, var signature, ..] }] }] }] }] }])
        {
            return new Token(
                Convert.ToHexString(content.Content) + "|" + Convert.ToHexString(attributes.ToBytes()), signature.Content, Convert.ToHexString(response), Convert.ToHexString(signer.ToBytes()));
        }

        throw new ChangedMeaningException("a timestamp that another reader cannot read");
    }

    /// <summary>Names the signer as tokens do (SignerIdentifier), to tell known authorities.</summary>
    public static string SignerOf(byte[] issuer, byte[] serial) =>
        Convert.ToHexString(new Org.BouncyCastle.Asn1.DerSequence(
            Org.BouncyCastle.Asn1.Asn1Object.FromByteArray(issuer), new Org.BouncyCastle.Asn1.DerInteger(serial)).GetEncoded("DER"));

    // Members that hold bytes, by name: their value is what they decode to, however it is spelled.
    private static bool HoldsBytes(string path) => path.Split('.')[^1] is "rawBytes" or "keyId" or "sig" or "payload" or "canonicalizedBody" or "signedEntryTimestamp"
        or "rootHash" or "signedTimestamp" or "digest" or "signature" || path.Contains("hashes[", StringComparison.Ordinal);

    private static Dictionary<string, string> Flatten(JsonNode? node)
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        Visit(node, "");
        return values;

        // proto3 JSON: null, zero and empty are the same as absent.
        void Visit(JsonNode? value, string path)
        {
            switch (value)
            {
                case JsonObject members:
                    foreach ((string name, JsonNode? member) in members)
                    {
                        Visit(member, path.Length == 0 ? name : $"{path}.{name}");
                    }

                    break;
                case JsonArray items:
                    for (int i = 0; i < items.Count; i++)
                    {
                        Visit(items[i], string.Create(CultureInfo.InvariantCulture, $"{path}[{i}]"));
                    }

                    break;
                case JsonValue scalar:
                    string text = scalar.ToString();
                    text = HoldsBytes(path) ? Convert.ToHexString(Base64(text)) : path.Split('.')[^1] is "logIndex" or "treeSize" or "integratedTime" ? Number(scalar) : text;
                    if (text.Length > 0 && text != "0")
                    {
                        values.Add(path, text);
                    }

                    break;
                default:
                    break;
            }
        }
    }

    private static string Number(JsonNode scalar) => BigInteger.Parse(scalar.ToString(), NumberStyles.None, CultureInfo.InvariantCulture).ToString(CultureInfo.InvariantCulture);

    private static byte[] Base64(string text)
    {
        string digits = text.TrimEnd('=').Replace('-', '+').Replace('_', '/');
        return Convert.FromBase64String(digits + new string('=', (4 - digits.Length % 4) % 4));
    }

    private static bool IsTwin(string? hex, string otherHex) =>
        hex is not null && DerTree.EcdsaTwin(Convert.FromHexString(hex)) is { } twin && Convert.ToHexString(twin) == otherHex;

    private static List<string> Differences(Dictionary<string, string> original, Dictionary<string, string> mutant) =>
        [.. original.Keys.Union(mutant.Keys).Where(path => original.GetValueOrDefault(path) != mutant.GetValueOrDefault(path))];

    private static ChangedMeaningException Changed(string path, Dictionary<string, string> original, Dictionary<string, string> mutant) =>
        new($"{path}: \"{Short(original.GetValueOrDefault(path))}\" became \"{Short(mutant.GetValueOrDefault(path))}\"");

    private static string Short(string? text) => text is null ? "(absent)" : text.Length <= 80 ? text : text[..80] + "…";
}

/// <summary>An accepted mutant that says something else than its original.</summary>
internal sealed class ChangedMeaningException(string what) : Exception(what);
