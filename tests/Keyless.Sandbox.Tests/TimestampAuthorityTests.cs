using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using Org.BouncyCastle.Asn1.Cmp;
using Org.BouncyCastle.Asn1.Nist;
using Org.BouncyCastle.Math;
using Org.BouncyCastle.Tsp;
using Org.BouncyCastle.X509;

namespace Keyless.Sandbox.Tests;

[TestClass]
public sealed class TimestampAuthorityTests
{
    private static readonly byte[] Data = Encoding.UTF8.GetBytes("a signature");

    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow("SHA256", false)]
    [DataRow("SHA384", false)]
    [DataRow("SHA512", false)]
    [DataRow("SHA256", true)]
    public async Task Stamps_a_hash_of_any_kind_it_knows(string hash, bool p384)
    {
        var authority = new TimestampAuthority(TimeProvider.System, p384 ? ECCurve.NamedCurves.nistP384 : null);
        TimeStampRequest request = Request(hash, nonce: BigInteger.Ten, certificate: true);

        TimeStampResponse response = await AskAsync(authority, request);

        response.Validate(request);
        Assert.AreEqual((int)PkiStatus.Granted, response.Status);
        // Checks the signature, the attributes that bind the certificate (RFC 5035) and its extended key usage.
        response.TimeStampToken.Validate(new X509CertificateParser().ReadCertificate(authority.Leaf.RawData));
        Assert.AreEqual(BigInteger.Ten, response.TimeStampToken.TimeStampInfo.Nonce);
        Assert.AreEqual("1.3.6.1.4.1.57264.2", response.TimeStampToken.TimeStampInfo.Policy);
        Assert.HasCount(1, response.TimeStampToken.GetCertificates().EnumerateMatches(null).ToArray());
    }

    [TestMethod]
    public async Task Leaves_out_nonce_and_certificate_that_nobody_asked_for()
    {
        TimeStampResponse response = await AskAsync(new TimestampAuthority(TimeProvider.System), Request("SHA256", nonce: null, certificate: false));

        Assert.IsNull(response.TimeStampToken.TimeStampInfo.Nonce);
        Assert.IsEmpty(response.TimeStampToken.GetCertificates().EnumerateMatches(null));
    }

    [TestMethod]
    [DataRow(0, "20261123120000Z")]
    [DataRow(120, "20261123120000.12Z")]
    public void Writes_the_time_without_trailing_zeros(int milliseconds, string expected)
    {
        var authority = new TimestampAuthority(TimeProvider.System);
        var query = new TimestampQuery("2.16.840.1.101.3.4.2.1", new byte[32], null, null, false);

        byte[] token = authority.Token(query, new DateTimeOffset(2026, 11, 23, 12, 0, 0, milliseconds, TimeSpan.Zero));

        Assert.Contains(Encoding.ASCII.GetString([0x18, (byte)expected.Length]) + expected, Encoding.Latin1.GetString(token));
    }

    [TestMethod]
    public void Says_whole_seconds_as_the_real_authority_does()
    {
        // A fraction that ends in zero is shorter in DER, and @sigstore/verify takes three digits or none.
        var authority = new TimestampAuthority(new Clock(new DateTimeOffset(2026, 11, 23, 12, 0, 0, 120, TimeSpan.Zero)));
        var query = new TimestampQuery("2.16.840.1.101.3.4.2.1", new byte[32], null, null, false);

        byte[] response = authority.Stamp(query);

        Assert.AreEqual("20261123120000Z", new TimeStampResponse(response).TimeStampToken.TimeStampInfo.TstInfo.GenTime.TimeString);
    }

    [TestMethod]
    public async Task Refuses_a_hash_of_the_wrong_length()
    {
        var generator = new TimeStampRequestGenerator();
        TimeStampRequest request = generator.Generate(NistObjectIdentifiers.IdSha256.Id, new byte[31]);

        HttpResponseMessage response = await PostAsync(new TimestampAuthority(TimeProvider.System), request.GetEncoded(), "application/timestamp-query");

        Assert.AreEqual(HttpStatusCode.BadRequest, response.StatusCode);
        StringAssert.Contains(await response.Content.ReadAsStringAsync(TestContext.CancellationToken), "SHA-256");
    }

    [TestMethod]
    public async Task Refuses_another_media_type()
    {
        HttpResponseMessage response = await PostAsync(new TimestampAuthority(TimeProvider.System), Request("SHA256", null, false).GetEncoded(), "application/octet-stream");

        Assert.AreEqual(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
    }

    private static TimeStampRequest Request(string hash, BigInteger? nonce, bool certificate)
    {
        var generator = new TimeStampRequestGenerator();
        generator.SetCertReq(certificate);
        return generator.Generate(NistObjectIdentifiers.HashAlgs.Branch(hash switch { "SHA256" => "1", "SHA384" => "2", _ => "3" }).Id,
            CryptographicOperations.HashData(new HashAlgorithmName(hash), Data), nonce);
    }

    private async Task<TimeStampResponse> AskAsync(TimestampAuthority authority, TimeStampRequest request)
    {
        HttpResponseMessage response = await PostAsync(authority, request.GetEncoded(), "application/timestamp-query");
        Assert.AreEqual(HttpStatusCode.Created, response.StatusCode);
        Assert.AreEqual("application/timestamp-reply", response.Content.Headers.ContentType!.MediaType);
        return new TimeStampResponse(await response.Content.ReadAsByteArrayAsync(TestContext.CancellationToken));
    }

    private async Task<HttpResponseMessage> PostAsync(TimestampAuthority authority, byte[] query, string mediaType)
    {
        await using World world = await World.StartAsync(authority.Map, TestContext.CancellationToken);
        using var content = new ByteArrayContent(query) { Headers = { ContentType = new MediaTypeHeaderValue(mediaType) } };
        HttpResponseMessage response = await world.Client.PostAsync("/api/v1/timestamp", content, TestContext.CancellationToken);
        await response.Content.LoadIntoBufferAsync(TestContext.CancellationToken);
        return response;
    }

    private sealed class Clock(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }
}
