namespace Keyless.Docs.Tests.Clauses;

internal static class TransparencyClauses
{
    public static Section Section => new("S", "Certificate transparency",
        "Whoever obtains a certificate in somebody's name must leave a public trace, so the certificate carries a CT log's promise to publish it.",
    [
        new("S.1", "The certificate carries a list of signed certificate timestamps; signatures from before spring 2022 do not", "sct.missing", "RFC 6962 §3.3"),
        new("S.2", "The extension is DER of an octet string, and no byte follows it", "sct.malformed", "RFC 6962 §3.3"),
        new("S.3", "Every length in the list is right: nothing is cut off, nothing left over", "sct.malformed", "RFC 6962 §3.3, RFC 5246 §4.3"),
        new("S.4", "The list is not empty", "sct.malformed", "RFC 6962 §3.3"),
        new("S.5", "The list has at most 10 timestamps", "sct.malformed", "`Limits`"),
        new("S.6", "A timestamp is of version 1", "sct.malformed", "RFC 6962 §3.2"),
        new("S.7", "It is signed with ECDSA or RSA over SHA-256", "sct.malformed", "RFC 6962 §2.1.4"),
        new("S.8", "At least one is of a log in the trusted root; ones of other logs prove nothing", "sct.unknown-log", "client spec §4.3"),
        new("S.9", "A trusted root without CT logs accepts no certificate", "sct.unknown-log", "client spec §4.3"),
        new("S.10", "The log's signature covers this certificate as it was without the list, byte for byte", "sct.signature", "RFC 6962 §3.2"),
        new("S.11", "It covers the key of the issuer that the path was validated with", "sct.signature", "RFC 6962 §3.2"),
        new("S.12", "It covers time and extensions as they are given", "sct.signature", "RFC 6962 §3.2"),
        new("S.13", "It is of the kind of the log's key", "sct.signature", "RFC 6962 §2.1.4"),
        new("S.14", "Its time, in milliseconds, is within the log's window, which is closed at both ends", "sct.window", "sigstore_trustroot.proto"),
        new("S.15", "The issuer is not a certificate for signing precertificates: whose key was signed over would be a guess", "sct.precertificate-issuer", "RFC 6962 §3.1"),
        new("S.16", "The certificate carries one such list; with two, each reader could look at another", "sct.malformed", "RFC 6962 §3.3, RFC 5280 §4.2"),
        new("S.17", "One timestamp that does not parse spoils the list, also beside good ones", "sct.malformed", "RFC 6962 §3.3"),
    ]);
}
