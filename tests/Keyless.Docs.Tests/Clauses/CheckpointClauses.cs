namespace Keyless.Docs.Tests.Clauses;

internal static class CheckpointClauses
{
    public static Section Section => new("M", "Checkpoints and Merkle proofs",
        "A log commits to its tree with a signed note, and the proof leads from the entry to the root in that note.",
    [
        new("M.1", "A note has at most 64 KiB", "bundle.limit", "`Limits`"),
        new("M.2", "It has no control characters but line feeds", "tlog.checkpoint", "C2SP signed-note"),
        new("M.3", "The last blank line divides text and signatures", "tlog.checkpoint", "C2SP signed-note"),
        new("M.4", "It has at least one signature line, ends in a line feed, and has no empty line besides that one", "tlog.checkpoint", "C2SP signed-note"),
        new("M.5", "Its text has an origin, a size and a root hash, in the first three lines", "tlog.checkpoint", "C2SP tlog-checkpoint"),
        new("M.6", "The size is a plain decimal number up to 2^63-1", "tlog.checkpoint", "C2SP tlog-checkpoint"),
        new("M.7", "The root hash is 32 bytes in standard base64", "tlog.checkpoint", "C2SP tlog-checkpoint"),
        new("M.8", "Each signature line is an em dash, a name without spaces and plus signs, and base64 of at least five bytes; one bad line spoils the note", "tlog.checkpoint", "C2SP signed-note"),
        new("M.9", "It has at most 64 signature lines", "bundle.limit", "`Limits`"),
        new("M.10", "At least one line is by the log: by its name and its key id", "tlog.checkpoint", "C2SP signed-note"),
        new("M.11", "Every line by the log verifies over the text", "tlog.checkpoint", "C2SP signed-note"),
        new("M.12", "Lines of others, witnesses included, prove nothing and do no harm", "ignored", "C2SP signed-note, tlog-cosignature"),
        new("M.13", "Rekor v2: origin and name are the host of the log's URL, without port", "tlog.checkpoint", "rekor-tiles"),
        new("M.14", "Rekor v1: the name is what stands before ` - ` in the origin", "tlog.checkpoint", "rekor"),
        new("M.15", "The key id follows from the key, and for Ed25519 and RSA from the name as well", "tlog.checkpoint", "C2SP signed-note"),
        new("M.16", "An Ed25519 signature has 64 bytes and a scalar below the group order", "tlog.checkpoint", "RFC 8032 §5.1.7"),
        new("M.17", "Ed25519 keys and points are in their canonical encoding", "tlog.checkpoint", "RFC 8032 §5.1.3"),
        new("M.18", "Ed25519 keys and points are not of small order", "tlog.checkpoint", "RFC 8032 §5.1.7, strict"),
        new("M.19", "The index is within the tree", "tlog.inclusion", "RFC 9162 §2.1.3.2"),
        new("M.20", "The path has exactly as many hashes as index and size ask for", "tlog.inclusion", "RFC 9162 §2.1.3.2"),
        new("M.21", "Each hash has 32 bytes", "tlog.inclusion", "RFC 6962 §2.1"),
        new("M.22", "Leaves and nodes are hashed apart", "tlog.inclusion", "RFC 6962 §2.1"),
        new("M.23", "The path leads from the entry's body to the root of the checkpoint", "tlog.inclusion", "RFC 9162 §2.1.3.2"),
    ]);
}
