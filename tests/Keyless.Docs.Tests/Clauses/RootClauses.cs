namespace Keyless.Docs.Tests.Clauses;

internal static class RootClauses
{
    public static Section Section => new("R", "Reading the trusted root",
        "The document is signed (TUF) or chosen by the user, so it may say more than this client knows. An instance that cannot be used is left out, with a warning that names it: that narrows what is accepted. Only a document that cannot be read is refused: a build stops there with [KEYLESS2102](errors.md#keyless2102), before anything is verified.",
    [
        new("R.1", "A trusted root has at most 1 MiB", "root.too-large", "`Limits`"),
        new("R.2", "It is strict JSON, as a bundle is", "root.json", "RFC 8259"),
        new("R.3", "No object has a member twice", "root.json-duplicate", "RFC 7493 §2.3"),
        new("R.4", "The media type is exactly that of version 0.1", "root.schema", "sigstore_trustroot.proto"),
        new("R.5", "Members that are read have the type of their field, and those that are required are there", "root.schema", "sigstore_trustroot.proto"),
        new("R.6", "`null` inside an array is refused", "root.schema", "ProtoJSON"),
        new("R.7", "A time is RFC 3339 with an offset and at most nine fractional digits", "root.schema", "ProtoJSON, RFC 3339 §5.6"),
        new("R.8", "There are at most 256 instances of a kind", "root.limit", "`Limits`"),
        new("R.9", "Members that this client does not know are passed over", "ignored", "sigstore_trustroot.proto"),
        new("R.10", "A log says since when its key counts", "not used", "sigstore_trustroot.proto"),
        new("R.11", "A certificate authority says since when it counts, and has certificates", "not used", "sigstore_trustroot.proto"),
        new("R.12", "A timestamp authority says since when it counts, and has certificates", "not used", "sigstore_trustroot.proto"),
        new("R.13", "A log hashes with SHA-256", "not used", "RFC 6962 §2.1"),
        new("R.14", "A log's id is the one that follows from its key, and for Ed25519 from its name as well", "not used", "RFC 6962 §3.2, C2SP signed-note"),
        new("R.15", "A log's key can be read", "not used", "RFC 5280 §4.1"),
        new("R.16", "A key of a kind that this client does not know makes one instance unusable and not the document", "not used", "sigstore_common.proto"),
        new("R.17", "A log's key is of the kind that the document says", "not used", "sigstore_common.proto"),
        new("R.18", "One key may be listed with several windows; each of them is tried", "tlog.window", "sigstore_trustroot.proto"),
        new("R.19", "A root of several lines is several roots: each is tried alone, and what only their union would accept is refused, with the reason of the one that came furthest", "tlog.unknown-log", "JSON Lines"),
        new("R.20", "There is a trusted root", "root.none", "client spec §4.1"),
        new("R.21", "A root of several lines has at most 64 of them", "root.limit", "`Limits`"),
        new("R.22", "Of several lines each one is a trusted root", "root.schema", "JSON Lines"),
        new("R.23", "A defect of an authority's certificates refuses what needs that authority, and nothing else", "cert.*", "client spec §4.3"),
    ]);
}
