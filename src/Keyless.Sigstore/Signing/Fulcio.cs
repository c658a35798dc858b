using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore.Signing;

/// <summary>The certificate authority: an identity token and a key in, a short-lived certificate out (fulcio.proto, v2).</summary>
internal sealed class Fulcio(Http http, Service service, TimeProvider time)
{
    private const string Name = "Fulcio";

    /// <summary>
    /// What is checked here is what would make everything after it a waste: that the certificate is for our key, and that it
    /// lives. Chain, SCT and identity are the verifier's to judge.
    /// </summary>
    /// <exception cref="ServiceException">No certificate, or not one for this key.</exception>
    public async Task<IssuedCertificate> IssueAsync(IdentityToken token, SigningKey key, CancellationToken cancel)
    {
        var request = new Request(Name, HttpMethod.Post, service.At("/api/v2/signingCert"))
        {
            ContentType = "application/json",
            Body = WriteRequest(token, key),
            Secret = token.Secret,
        };
        Answer answer = await http.SendAsync(request, cancel);
        if (answer.Status is HttpStatusCode.BadRequest or HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden)
        {
            throw answer.Refused(await WhatItAcceptsAsync(token, cancel));
        }

        // The gateway of Fulcio's v2 API says 200, its v1 said 201; proxies in front of private ones are seen to mix them.
        return answer.MustBe(HttpStatusCode.OK, HttpStatusCode.Created).Read(json => ReadCertificate(json, key));
    }

    private static byte[] WriteRequest(IdentityToken token, SigningKey key)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, BundleWriter.Plain))
        {
            json.WriteStartObject();
            json.WriteStartObject("credentials");
            json.WriteString("oidcIdentityToken", token.Secret);
            json.WriteEndObject();
            json.WriteBase64String("certificateSigningRequest", Encoding.ASCII.GetBytes(key.CreateSigningRequestPem()));
            json.WriteEndObject();
        }

        return buffer.ToArray();
    }

    private IssuedCertificate ReadCertificate(ReadOnlyMemory<byte> json, SigningKey key)
    {
        JsonFields answer = JsonFields.Parse(json, "answer", Limits.CertificateBytes);
        if (answer.Has("signedCertificateDetachedSct"))
        {
            throw new FormatException("the certificate carries no SCT, and a bundle has no place for a detached one");
        }

        IReadOnlyList<string> chain = answer.RequiredObject("signedCertificateEmbeddedSct").RequiredObject("chain")
            .Texts("certificates", Limits.ChainCertificates);
        byte[][] certificates = [.. chain.Select(DecodePem)];
        if (certificates.Length == 0)
        {
            throw new FormatException("the certificate chain is empty");
        }

        IssuedCertificate issued = IssuedCertificate.Parse(certificates[0]);
        if (!issued.SubjectPublicKeyInfo.Span.SequenceEqual(key.SubjectPublicKeyInfo.Span))
        {
            throw new FormatException("the certificate is for another key than the one it was asked for");
        }

        DateTimeOffset now = time.GetUtcNow();
        return issued.NotAfter - now > TimeSpan.FromSeconds(60)
            ? issued
            : throw new FormatException(
                $"the certificate ends at {Shown.Of(issued.NotAfter)}, and this machine's clock says {Shown.Of(now)}; more than 60 s are needed, is the clock right?");
    }

    private static byte[] DecodePem(string pem)
    {
        try
        {
            PemFields fields = PemEncoding.Find(pem);
            (int start, int length) = fields.Location.GetOffsetAndLength(pem.Length);
            bool alone = string.IsNullOrWhiteSpace(pem[..start]) && string.IsNullOrWhiteSpace(pem[(start + length)..]);
            return alone && pem[fields.Label] == "CERTIFICATE"
                ? Convert.FromBase64String(pem[fields.Base64Data])
                : throw new FormatException("the chain holds something else than one PEM certificate each");
        }
        catch (ArgumentException e)
        {
            throw new FormatException("the chain holds something else than PEM certificates", e);
        }
    }

    /// <summary>For whom tokens of this issuer must be, as Fulcio's configuration says; none where it does not know the issuer, or does not say.</summary>
    public async Task<string[]> AudiencesAsync(string issuer, CancellationToken cancel) =>
        [.. (await ConfigurationAsync(cancel)).Where(known => known.Url == issuer && known.Audience.Length > 0).Select(known => known.Audience).Distinct(StringComparer.Ordinal)];

    private async Task<string?> WhatItAcceptsAsync(IdentityToken token, CancellationToken cancel)
    {
        const int named = 8;
        AcceptedIssuer[] accepted = await ConfigurationAsync(cancel);
        string others = accepted.Length > named ? $" and {accepted.Length - named} more" : "";
        return accepted.Length == 0
            ? null
            : $"; the token is from {Shown.Of(token.Issuer)}, accepted are {string.Join(", ", accepted.Take(named).Select(one => $"{Shown.Of(one.Url)} (audience {Shown.Of(one.Audience)})"))}{others}";
    }

    // Best effort: the refusal is the news, and a private Fulcio may not say what it accepts.
    private async Task<AcceptedIssuer[]> ConfigurationAsync(CancellationToken cancel)
    {
        try
        {
            var request = new Request(Name, HttpMethod.Get, service.At("/api/v2/configuration"))
            {
                Timeout = TimeSpan.FromSeconds(5),
                AnswerBytes = Limits.TrustDocumentBytes,
            };
            Answer answer = (await http.SendAsync(request, cancel)).MustBe(HttpStatusCode.OK);
            return answer.Read(json => JsonFields.Parse(json, "configuration", Limits.TrustDocumentBytes)
                .Objects("issuers", Limits.TrustRootInstances)
                .Select(issuer => new AcceptedIssuer(issuer.Text("issuerUrl") ?? issuer.Text("wildcardIssuerUrl") ?? "", issuer.Text("audience") ?? ""))
                .ToArray());
        }
        catch (ServiceException)
        {
            return [];
        }
    }

    private sealed record AcceptedIssuer(string Url, string Audience);
}

/// <summary>A certificate that was issued for our key. Who issued it, and whether it names the right one, is not judged yet.</summary>
internal sealed record IssuedCertificate(ReadOnlyMemory<byte> Der, ReadOnlyMemory<byte> SubjectPublicKeyInfo, DateTimeOffset NotAfter, CertificateIdentity Identity)
{
    /// <exception cref="FormatException">Not an X.509 certificate, or not one that names a signer.</exception>
    public static IssuedCertificate Parse(byte[] der)
    {
        Certificate certificate = Certificate.Parse(der);
        try
        {
            return new IssuedCertificate(der, certificate.Spki, certificate.NotAfter, CertificateIdentity.Read(certificate));
        }
        catch (VerificationException e)
        {
            throw new FormatException(e.Message, e);
        }
    }
}
