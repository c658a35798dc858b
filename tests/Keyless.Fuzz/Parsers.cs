using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sigstore;
using Keyless.Sigstore.Formats;

namespace Keyless.Fuzz;

/// <summary>Every reader of a stranger's bytes, each with good inputs to start from.</summary>
internal static class Parsers
{
    public static (string Name, byte[][] Inputs, Func<byte[], object> Parse)[] Of(Corpus corpus)
    {
        JsonNode[] bundles = [.. corpus.Specimens.Where(specimen => specimen.Form != Form.Simple).Select(specimen => JsonNode.Parse(specimen.Document)!["verificationMaterial"]!)];
        byte[][] leaves = [.. bundles.Select(material => material["certificate"]).OfType<JsonNode>().Select(Raw)];
        byte[][] authorities = [.. corpus.Roots.Values.SelectMany(root => JsonNode.Parse(root)!["certificateAuthorities"]!.AsArray().SelectMany(authority => authority!["certChain"]!["certificates"]!.AsArray().Select(node => Raw(node!))))];
        JsonNode[] entries = [.. bundles.SelectMany(material => (material["tlogEntries"] as JsonArray) ?? []).OfType<JsonNode>()];
        byte[][] keys = [.. leaves.Select(der => Certificate.Parse(der).Spki)];
        return
        [
            ("bundle", [.. corpus.Specimens.Where(specimen => specimen.Form != Form.Simple).Select(specimen => specimen.Document)], input => Bundle.Parse(input)),
            ("certificate", [.. leaves, .. authorities], ReadCertificate),
            ("public key", keys, VerificationKey.FromSpki),
            ("PEM public key", [.. keys.Select(key => Encoding.UTF8.GetBytes(System.Security.Cryptography.PemEncoding.WriteString("PUBLIC KEY", key)))], input => ManagedKey.FromPem(Encoding.UTF8.GetString(input))),
            ("SCT list", [.. leaves.Select(der => Certificate.Parse(der).Extension(SignedCertificateTimestamp.ExtensionOid)!.Value)], SignedCertificateTimestamp.ParseList),
            ("timestamp", [.. bundles.SelectMany(material => (material["timestampVerificationData"]?["rfc3161Timestamps"] as JsonArray) ?? []).Select(stamp => Convert.FromBase64String((string)stamp!["signedTimestamp"]!))], TimestampToken.Parse),
            ("checkpoint", [.. entries.Select(entry => (string?)entry["inclusionProof"]?["checkpoint"]?["envelope"]).OfType<string>().Select(Encoding.UTF8.GetBytes)], input => Checkpoint.Parse(Encoding.UTF8.GetString(input))),
            ("statement", [.. corpus.Specimens.Where(specimen => specimen.Form == Form.Image).Select(specimen => Convert.FromBase64String((string)JsonNode.Parse(specimen.Document)!["dsseEnvelope"]!["payload"]!))], input => Statement.Parse(input)),
            ("trusted root", [.. corpus.Roots.Values], input => TrustedRoot.Parse(input)),
            ("signing config", ["""{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","caUrls":[{"url":"https://fulcio.sandbox","majorApiVersion":1,"validFor":{"start":"2026-01-01T00:00:00Z"},"operator":"o"}],"rekorTlogUrls":[{"url":"https://rekor.sandbox","majorApiVersion":2,"validFor":{"start":"2026-01-01T00:00:00.5Z","end":"2030-01-01T00:00:00Z"},"operator":"o"}],"rekorTlogConfig":{"selector":"EXACT","count":1},"tsaUrls":[{"url":"https://tsa.sandbox/api","majorApiVersion":1,"validFor":{"start":"2026-01-01T00:00:00Z"},"operator":"o"}],"tsaConfig":{"selector":"ANY"}}"""u8.ToArray()], ReadSigningConfig),
            ("RFC 3339 time", ["2026-11-23T06:00:00Z"u8.ToArray(), "2026-11-23T06:00:00.123456789+02:00"u8.ToArray()], input => Rfc3339.Parse(Encoding.UTF8.GetString(input), "time")),
        ];

        static byte[] Raw(JsonNode node) => Convert.FromBase64String((string)node["rawBytes"]!);
    }

    private static string ReadCertificate(byte[] der)
    {
        Certificate certificate = Certificate.Parse(der);
        return string.Join(
            ' ', certificate.BasicConstraints(), certificate.KeyUsage(), string.Join(',', certificate.ExtendedKeyUsages()), certificate.SubjectKeyIdentifier()?.Length, Certificate.ShowName(certificate.Subject),
            Certificate.ShowName(certificate.Issuer), CertificateIdentity.Read(certificate));
    }

    private static string ReadSigningConfig(byte[] json)
    {
        var config = SigningConfig.Parse(json);
        return config.Select(new DateTimeOffset(2026, 11, 23, 6, 0, 0, TimeSpan.Zero)).Fulcio.Place;
    }
}
