using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;

namespace Keyless.Sandbox;

/// <summary>What a client is told about the services: whom to trust (trusted root) and where to sign (signing config).</summary>
/// <remarks>Add the parts with the URLs they answer at, then ask for the documents. Not thread-safe.</remarks>
public sealed class TrustMaterial
{
    private const string Operator = "keyless.sandbox";

    private readonly JsonArray logs = [];
    private readonly JsonArray authorities = [];
    private readonly JsonArray ctLogs = [];
    private readonly JsonArray timestampAuthorities = [];
    private readonly JsonArray caServices = [];
    private readonly JsonArray oidcServices = [];
    private readonly JsonArray rekorServices = [];
    private readonly JsonArray tsaServices = [];

    /// <summary>From when on parts are valid that are made now: somewhat earlier, so that a clock a little behind still trusts them.</summary>
    internal static DateTimeOffset StartOf(TimeProvider time) => DateTimeOffset.FromUnixTimeSeconds(time.GetUtcNow().ToUnixTimeSeconds()).AddHours(-1);

    public TrustMaterial Add(Fulcio fulcio, string url)
    {
        authorities.Add(Authority(fulcio.Root.Certificate, url, fulcio.Start, fulcio.Intermediate.Certificate, fulcio.Root.Certificate));
        caServices.Add(Service(url, 1, fulcio.Start));
        return this;
    }

    public TrustMaterial Add(CtLog log, string url)
    {
        // PKCS #1 is the bare RSAPublicKey; the log id is still that of the SPKI around it.
        (byte[] key, string details) = log.Key is RSA rsa ? (rsa.ExportRSAPublicKey(), "PKCS1_RSA_PKCS1V5") : (log.Spki, "PKIX_ECDSA_P256_SHA_256");
        ctLogs.Add(Log(url, key, details, log.LogId, log.Start));
        return this;
    }

    public TrustMaterial Add(RekorV1 log, string url)
    {
        logs.Add(Log(url, log.Spki, "PKIX_ECDSA_P256_SHA_256", log.LogId, log.Start));
        rekorServices.Add(Service(url, 1, log.Start));
        return this;
    }

    public TrustMaterial Add(RekorV2 log, string url)
    {
        logs.Add(Log(url, log.Spki, log.Kind == RekorV2Key.Ed25519 ? "PKIX_ED25519" : "PKIX_ECDSA_P256_SHA_256", log.KeyId, log.Start));
        rekorServices.Add(Service(url, 2, log.Start));
        return this;
    }

    /// <param name="url">The whole address of the timestamp endpoint, path included.</param>
    public TrustMaterial Add(TimestampAuthority authority, string url)
    {
        timestampAuthorities.Add(Authority(authority.Root.Certificate, url, authority.Start, authority.Leaf, authority.Root.Certificate));
        tsaServices.Add(Service(url, 1, authority.Start));
        return this;
    }

    public TrustMaterial AddOidcIssuer(string url, TimeProvider time)
    {
        oidcServices.Add(Service(url, 1, StartOf(time)));
        return this;
    }

    /// <summary><c>trusted_root.json</c> with every part added.</summary>
    public JsonObject TrustedRoot() => new()
    {
        ["mediaType"] = "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        ["tlogs"] = logs.DeepClone(),
        ["certificateAuthorities"] = authorities.DeepClone(),
        ["ctlogs"] = ctLogs.DeepClone(),
        ["timestampAuthorities"] = timestampAuthorities.DeepClone(),
    };

    /// <summary><c>signing_config.json</c> (v0.2).</summary>
    /// <param name="rekorUrls">The logs to sign into, of those added; none named: all. A client then takes one of the highest version it knows.</param>
    public JsonObject SigningConfig(params IReadOnlyCollection<string> rekorUrls) => new()
    {
        ["mediaType"] = "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        ["caUrls"] = caServices.DeepClone(),
        ["oidcUrls"] = oidcServices.DeepClone(),
        ["rekorTlogUrls"] = new JsonArray([.. rekorServices.Where(log => rekorUrls.Count == 0 || rekorUrls.Contains((string?)log!["url"])).Select(log => log!.DeepClone())]),
        ["rekorTlogConfig"] = new JsonObject { ["selector"] = "ANY" },
        ["tsaUrls"] = tsaServices.DeepClone(),
        ["tsaConfig"] = new JsonObject { ["selector"] = "ANY" },
    };

    /// <summary>Both documents in one.</summary>
    public JsonObject ClientTrustConfig(params IReadOnlyCollection<string> rekorUrls) => new()
    {
        ["mediaType"] = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        ["trustedRoot"] = TrustedRoot(),
        ["signingConfig"] = SigningConfig(rekorUrls),
    };

    private static JsonObject Log(string url, byte[] key, string details, byte[] id, DateTimeOffset start) => new()
    {
        ["baseUrl"] = url,
        ["hashAlgorithm"] = "SHA2_256",
        ["publicKey"] = new JsonObject { ["rawBytes"] = Convert.ToBase64String(key), ["keyDetails"] = details, ["validFor"] = From(start) },
        ["logId"] = new JsonObject { ["keyId"] = Convert.ToBase64String(id) },
    };

    private static JsonObject Authority(X509Certificate2 named, string url, DateTimeOffset start, params X509Certificate2[] chain) => new()
    {
        ["subject"] = new JsonObject { ["organization"] = NamePart(named, "2.5.4.10"), ["commonName"] = NamePart(named, "2.5.4.3") },
        ["uri"] = url,
        ["certChain"] = new JsonObject
        {
            ["certificates"] = new JsonArray([.. chain.Select(one => (JsonNode)new JsonObject { ["rawBytes"] = Convert.ToBase64String(one.RawData) })]),
        },
        ["validFor"] = From(start),
    };

    private static JsonObject Service(string url, int version, DateTimeOffset start) =>
        new() { ["url"] = url, ["majorApiVersion"] = version, ["validFor"] = From(start), ["operator"] = Operator };

    private static JsonObject From(DateTimeOffset start) => new() { ["start"] = start.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture) };

    private static string? NamePart(X509Certificate2 certificate, string oid) =>
        certificate.SubjectName.EnumerateRelativeDistinguishedNames().First(part => part.GetSingleElementType().Value == oid).GetSingleElementValue();
}
