using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Keyless.Sandbox;

/// <summary>An RFC 3161 timestamp authority: a leaf for signing tokens under a root of its own.</summary>
public sealed class TimestampAuthority
{
    /// <summary>The policy of Sigstore's timestamp authorities.</summary>
    internal const string Policy = "1.3.6.1.4.1.57264.2";

    private const string TimeStamping = "1.3.6.1.5.5.7.3.8";

    private readonly TimeProvider time;
    private readonly Lock gate = new();

    /// <param name="leafCurve">P-256 unless given.</param>
    public TimestampAuthority(TimeProvider time, ECCurve? leafCurve = null)
    {
        this.time = time;
        Start = TrustMaterial.StartOf(time);
        Root = CertificateIssuer.Root(CertificateIssuer.Name("tsa-root.sandbox", "Sandbox timestamp root"), 0, Start, Start.AddYears(10));
        Key = ECDsa.Create(leafCurve ?? ECCurve.NamedCurves.nistP256);
        Leaf = Issue(Key, CertificateIssuer.Purpose(TimeStamping, critical: true));
    }

    internal CertificateIssuer Root { get; }

    internal ECDsa Key { get; }

    internal X509Certificate2 Leaf { get; }

    internal DateTimeOffset Start { get; }

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost("/api/v1/timestamp", (Delegate)AnswerAsync);
        routes.MapGet("/api/v1/timestamp/certchain", () =>
            Results.Text($"{Leaf.ExportCertificatePem()}\n{Root.Certificate.ExportCertificatePem()}\n", "application/pem-certificate-chain"));
    }

    /// <summary>A leaf of this authority. RFC 3161 §2.3: only a critical extended key usage for time-stamping alone is right.</summary>
    internal X509Certificate2 Issue(ECDsa key, X509Extension purpose)
    {
        var publicKey = new PublicKey(key);
        return Root.Issue(CertificateIssuer.Name("tsa.sandbox", "Sandbox timestamp authority"), publicKey, Start, Start.AddYears(9), CertificateIssuer.NewSerial(),
            [new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true), purpose, CertificateIssuer.SubjectKey(publicKey), Root.AuthorityKey()]);
    }

    /// <summary>A granted TimeStampResp, of this second: Sigstore's authority writes no fraction (RFC 3161 §2.4.2 leaves it open), and some clients read none.</summary>
    internal byte[] Stamp(TimestampQuery query, TimestampLie? lie = null)
    {
        using var stranger = ECDsa.Create(Key.ExportParameters(includePrivateParameters: false).Curve);
        var now = DateTimeOffset.FromUnixTimeSeconds(time.GetUtcNow().ToUnixTimeSeconds());
        return TimestampToken.Response(lie switch
        {
            TimestampLie.ForeignAuthority => new TimestampAuthority(time).Token(query, now),
            TimestampLie.SignedByOtherKey => Token(query, now, stranger),
            TimestampLie.OtherImprint => Token(query with { Hash = RandomNumberGenerator.GetBytes(query.Hash.Length) }, now),
            TimestampLie.OtherNonce => Token(query with { Nonce = query.Nonce is { } nonce ? [.. nonce[..^1], (byte)(nonce[^1] ^ 1)] : [1] }, now),
            TimestampLie.HourEarly => Token(query, now.AddHours(-1)),
            TimestampLie.HourLate => Token(query, now.AddHours(1)),
            _ => Token(query, now),
        });
    }

    /// <summary>A token that says <paramref name="genTime"/>, cut to milliseconds.</summary>
    internal byte[] Token(TimestampQuery query, DateTimeOffset genTime) => Token(query, genTime, Key);

    private byte[] Token(TimestampQuery query, DateTimeOffset genTime, ECDsa key)
    {
        var moment = DateTimeOffset.FromUnixTimeMilliseconds(genTime.ToUnixTimeMilliseconds());
        byte[] info = TimestampToken.TstInfo(Policy, query, CertificateIssuer.NewSerial(), moment, Leaf.SubjectName);
        lock (gate)
        {
            return TimestampToken.Sign(info, Leaf, key, moment, query.WantsCertificate);
        }
    }

    private async Task<IResult> AnswerAsync(HttpContext context)
    {
        if (context.Request.ContentType != "application/timestamp-query")
        {
            return Answers.RestError("the content type is not application/timestamp-query", StatusCodes.Status415UnsupportedMediaType);
        }

        try
        {
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body, context.RequestAborted);
            TimestampQuery query = TimestampQuery.Parse(body.ToArray());
            if (query.Policy is not (null or Policy))
            {
                throw new BadHttpRequestException($"the only policy here is {Policy}");
            }

            context.Response.StatusCode = StatusCodes.Status201Created;
            return Results.Bytes(Stamp(query, context.Lie<TimestampLie>()), "application/timestamp-reply");
        }
        catch (BadHttpRequestException e)
        {
            return Answers.RestError(e.Message, e.StatusCode);
        }
    }
}
