using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;

namespace Keyless.Sandbox;

/// <summary>A Fulcio: hands out certificates of ten minutes for a key and an identity token, with an SCT of its CT log embedded.</summary>
/// <param name="claims">
/// Checks a token and returns its claims. Throws <see cref="FormatException"/> for one it refuses; the message goes to the client.
/// </param>
public sealed class Fulcio(CtLog log, Func<string, JsonObject> claims, TimeProvider time)
{
    private const string CodeSigning = "1.3.6.1.5.5.7.3.3";
    private const string SctList = "1.3.6.1.4.1.11129.2.4.2";

    private static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(10);

    private readonly Lock gate = new();
    private readonly Hierarchy authority = Hierarchy.Create(TrustMaterial.StartOf(time));

    /// <summary>The issuer of tokens, as the configuration endpoint names it.</summary>
    public string IssuerUrl { get; set; } = "";

    /// <summary>For whom tokens must be.</summary>
    public Func<string> Audience { get; init; } = () => OidcIssuer.Sigstore;

    /// <summary>The paths behind it that are issuers of their own.</summary>
    public IReadOnlyList<string> IssuerPaths { get; init; } = [""];

    /// <summary>What stands before repository names in certificates for GitHub's workflows.</summary>
    public string GitHubServer { get; init; } = "https://github.com";

    internal DateTimeOffset Start { get; } = TrustMaterial.StartOf(time);

    internal CertificateIssuer Root => authority.Root;

    internal CertificateIssuer Intermediate => authority.Intermediate;

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost("/api/v2/signingCert", (Delegate)((HttpContext context) => AnswerAsync(context, Answers.ReadAsync<SigningRequest>, leaf =>
            Answers.Json(new JsonObject { ["signedCertificateEmbeddedSct"] = new JsonObject { ["chain"] = Chain(leaf) } }))));
        // cosign 2 speaks version 1: certificates are answered as text.
        routes.MapPost("/api/v1/signingCert", (Delegate)((HttpContext context) => AnswerAsync(context, ReadVersion1Async, leaf => Pem(StatusCodes.Status201Created, leaf))));
        routes.MapGet("/api/v1/rootCert", () => Pem(StatusCodes.Status200OK));
        routes.MapGet("/api/v2/trustBundle", () => Answers.Json(new JsonObject { ["chains"] = new JsonArray(Chain()) }));
        routes.MapGet("/api/v2/configuration", () => Answers.Json(new JsonObject
        {
            ["issuers"] = new JsonArray([.. IssuerPaths.Select(path => new JsonObject
            {
                ["issuerUrl"] = IssuerUrl + path,
                ["audience"] = Audience(),
                ["challengeClaim"] = path is "/google" or Dex.Path ? "email" : "sub",
                ["spiffeTrustDomain"] = path == "/spiffe" ? "example.org" : "",
            })]),
        }));
    }

    /// <summary>A certificate for this key and these claims, its SCT embedded.</summary>
    /// <exception cref="FormatException">The claims name nobody.</exception>
    internal X509Certificate2 Issue(byte[] spki, JsonObject identity, FulcioLie? lie = null)
    {
        using var stranger = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        byte[] certified = lie == FulcioLie.OtherKey ? stranger.ExportSubjectPublicKeyInfo() : spki;
        JsonObject named = lie == FulcioLie.OtherIdentity ? SomebodyElse(identity) : identity;
        TimeSpan left = lie switch
        {
            FulcioLie.Expired => TimeSpan.FromMinutes(-1),
            FulcioLie.EndsSoon => TimeSpan.FromSeconds(70),
            _ => Lifetime,
        };
        DateTimeOffset to = DateTimeOffset.FromUnixTimeSeconds(time.GetUtcNow().ToUnixTimeSeconds()) + left;
        return Issue(certified, Extensions(certified, named), to - Lifetime, to,
            tbs => Scts(tbs, lie));
    }

    /// <summary>A certificate with these extensions and, last, the SCTs that <paramref name="scts"/> returns for its TBS; none of them: no SCT list.</summary>
    internal X509Certificate2 Issue(byte[] spki, IReadOnlyList<X509Extension> extensions, DateTimeOffset from, DateTimeOffset to, Func<byte[], IReadOnlyList<byte[]>> scts)
    {
        var key = PublicKey.CreateFromSubjectPublicKeyInfo(spki, out _);
        var nobody = new X500DistinguishedName("");
        byte[] serial = CertificateIssuer.NewSerial();
        lock (gate)
        {
            // RFC 6962 §3.2: what the log signs is the TBS as it is without the list.
            X509Certificate2 plain = Intermediate.Issue(nobody, key, from, to, serial, extensions);
            IReadOnlyList<byte[]> promised = scts(Tbs(plain));
            return promised.Count == 0 ? plain : Intermediate.Issue(nobody, key, from, to, serial, [.. extensions, SctExtension(CtLog.List(promised))]);
        }
    }

    /// <summary>All extensions of a leaf but the SCT list.</summary>
    internal IReadOnlyList<X509Extension> Extensions(byte[] spki, JsonObject identity) =>
    [
        new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true),
        CertificateIssuer.Purpose(CodeSigning, critical: false),
        CertificateIssuer.SubjectKey(PublicKey.CreateFromSubjectPublicKeyInfo(spki, out _)),
        Intermediate.AuthorityKey(),
        LeafExtensions.SubjectAlternativeName(identity, GitHubServer),
        .. LeafExtensions.About(identity, GitHubServer),
    ];

    internal static X509Extension SctExtension(byte[] list)
    {
        var value = new AsnWriter(AsnEncodingRules.DER);
        value.WriteOctetString(list);
        return new X509Extension(SctList, value.Encode(), critical: false);
    }

    internal static byte[] Tbs(X509Certificate2 certificate) =>
        new AsnReader(certificate.RawData, AsnEncodingRules.DER).ReadSequence().ReadEncodedValue().ToArray();

    private async Task<IResult> AnswerAsync(HttpContext context, Func<HttpContext, Task<SigningRequest>> read, Func<X509Certificate2, IResult> answer)
    {
        try
        {
            SigningRequest request = await read(context);
            JsonObject identity = claims(request.Credentials?.OidcIdentityToken ?? Bearer(context) ?? throw new FormatException("no identity token"));
            return answer(Issue(ProvenKey(request, identity), identity, context.Lie<FulcioLie>()));
        }
        catch (FormatException e)
        {
            return Answers.GatewayError($"the identity token is not accepted: {e.Message}");
        }
        catch (BadHttpRequestException e)
        {
            return Answers.GatewayError(e.Message, e.StatusCode);
        }
    }

    private IReadOnlyList<byte[]> Scts(byte[] tbs, FulcioLie? lie)
    {
        byte[] issuer = Intermediate.Certificate.PublicKey.ExportSubjectPublicKeyInfo();
        switch (lie)
        {
            case FulcioLie.NoSct:
                return [];
            case FulcioLie.ForeignSct:
                return [new CtLog(time).Add(issuer, tbs)];
            case FulcioLie.SctByOtherKey:
                // RFC 6962 §3.2: a version, the 32 bytes of the log's id, the rest.
                byte[] strange = new CtLog(time).Add(issuer, tbs);
                return [[strange[0], .. log.LogId, .. strange[33..]]];
            default:
                return [log.Add(issuer, tbs)];
        }
    }

    /// <summary>Another person or workflow, or whoever else, of the same issuer.</summary>
    private static JsonObject SomebodyElse(JsonObject identity)
    {
        JsonObject other = identity.ContainsKey("job_workflow_ref") ? OidcIssuer.SomebodyElse() : [];
        if (identity.ContainsKey("email"))
        {
            (other["email"], other["email_verified"]) = ("somebody-else@example.com", true);
        }

        other["sub"] ??= "https://somebody-else.example";
        other["iss"] = identity["iss"]?.DeepClone();
        other["federated_claims"] = identity["federated_claims"]?.DeepClone();
        return other;
    }

    /// <summary>Version 1 has the PEM of the key in base64, under other names; the token is in the header.</summary>
    private static async Task<SigningRequest> ReadVersion1Async(HttpContext context)
    {
        SigningRequestV1 request = await Answers.ReadAsync<SigningRequestV1>(context);
        string? pem = request.PublicKey?.Content is { Length: > 0 } content ? Encoding.UTF8.GetString(Answers.Base64(content, "publicKey.content")) : null;
        return new SigningRequest(null, new PublicKeyRequest(new SubmittedPublicKey(pem), request.SignedEmailAddress), request.CertificateSigningRequest);
    }

    /// <summary>The public key whose private half the client has shown to hold.</summary>
    private static byte[] ProvenKey(SigningRequest request, JsonObject identity)
    {
        if (request.CertificateSigningRequest is { Length: > 0 } csr)
        {
            return KeyOf(Encoding.UTF8.GetString(Answers.Base64(csr, "certificateSigningRequest")));
        }

        if (request.PublicKeyRequest?.PublicKey?.Content is not { Length: > 0 } pem)
        {
            throw new BadHttpRequestException("neither a certificate signing request nor a public key");
        }

        SubmittedKey key = SubmittedKey.FromPem(pem);
        byte[] challenge = Encoding.UTF8.GetBytes(LeafExtensions.Challenge(identity));
        byte[] proof = Answers.Base64(request.PublicKeyRequest.ProofOfPossession, "proofOfPossession");
        return key.Verifies(CryptographicOperations.HashData(key.Hash, challenge), key.Hash, proof)
            ? key.Spki
            : throw new BadHttpRequestException("the proof of possession does not verify with the public key");
    }

    private static byte[] KeyOf(string csr)
    {
        try
        {
            // Loading checks the request's own signature; nothing else of it is used.
            byte[] spki = CertificateRequest.LoadSigningRequestPem(csr, HashAlgorithmName.SHA384).PublicKey.ExportSubjectPublicKeyInfo();
            return SubmittedKey.FromSpki(spki).Spki;
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException or NotSupportedException)
        {
            throw new BadHttpRequestException("the certificate signing request cannot be read or its signature does not verify", e);
        }
    }

    private static string? Bearer(HttpContext context) =>
        context.Request.Headers.Authorization.ToString() is { } header && header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase) ? header[7..].Trim() : null;

    private IResult Pem(int status, params IEnumerable<X509Certificate2> leaf) => Results.Text(
        string.Join('\n', leaf.Append(Intermediate.Certificate).Append(Root.Certificate).Select(one => one.ExportCertificatePem())),
        "application/pem-certificate-chain",
        statusCode: status);

    private JsonObject Chain(params IEnumerable<X509Certificate2> leaf) => new()
    {
        ["certificates"] = new JsonArray([.. leaf.Append(Intermediate.Certificate).Append(Root.Certificate).Select(one => (JsonNode)(one.ExportCertificatePem() + "\n"))]),
    };

    private sealed record Hierarchy(CertificateIssuer Root, CertificateIssuer Intermediate)
    {
        public static Hierarchy Create(DateTimeOffset start)
        {
            CertificateIssuer root = CertificateIssuer.Root(CertificateIssuer.Name("fulcio-root.sandbox", "Sandbox Fulcio root"), 1, start, start.AddYears(10));
            return new Hierarchy(root, root.Intermediate(
                CertificateIssuer.Name("fulcio.sandbox", "Sandbox Fulcio"), 0, CodeSigning, start, start.AddYears(9)));
        }
    }

    private sealed record SigningRequest(Credentials? Credentials, PublicKeyRequest? PublicKeyRequest, string? CertificateSigningRequest);

    private sealed record SigningRequestV1(SubmittedPublicKey? PublicKey, string? SignedEmailAddress, string? CertificateSigningRequest);

    private sealed record Credentials(string? OidcIdentityToken);

    private sealed record PublicKeyRequest(SubmittedPublicKey? PublicKey, string? ProofOfPossession);

    private sealed record SubmittedPublicKey(string? Content);
}
