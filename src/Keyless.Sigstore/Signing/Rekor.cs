using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore.Signing;

/// <summary>
/// A transparency log: a signature in, a TransparencyLogEntry (protobuf-specs, sigstore_rekor.proto) as ProtoJSON out.
/// Which of the two protocols is spoken, the signing config says.
/// </summary>
internal sealed class Rekor(Http http, Service service)
{
    private const string Name = "Rekor";

    /// <summary>The entry is read no further than copying needs; whether it is ours, and logged, is the verifier's to say.</summary>
    /// <exception cref="ServiceException">No entry.</exception>
    public Task<byte[]> AddAsync(FreshSignature signed, CancellationToken cancel) =>
        service.ApiVersion == 1 ? AddV1Async(signed, cancel) : AddV2Async(signed, cancel);

    // rekor-tiles, rekor_service.proto: the answer comes with the next checkpoint, seconds later, and goes into the bundle as it is.
    private async Task<byte[]> AddV2Async(FreshSignature signed, CancellationToken cancel)
    {
        var request = new Request(Name, HttpMethod.Post, service.At("/api/v2/log/entries"))
        {
            ContentType = "application/json",
            Body = Write(json => WriteHashedRekord2(json, signed)),
            Timeout = TimeSpan.FromSeconds(60),
        };
        Answer answer = await http.SendAsync(request, cancel);
        if (answer.Status == HttpStatusCode.Conflict)
        {
            // rekor-tiles has no way to ask for an entry that is there.
            throw new ServiceException(ServiceFailure.AlreadyLogged, Name, answer.Refused().Message);
        }

        return answer.MustBe(HttpStatusCode.Created).Read(json => JsonFields.Parse(json, "log entry", request.AnswerBytes).Has("canonicalizedBody")
            ? json.ToArray()
            : throw new FormatException("malformed log entry: canonicalizedBody is missing"));
    }

    // rekor, openapi.yaml, POST /api/v1/log/entries.
    private async Task<byte[]> AddV1Async(FreshSignature signed, CancellationToken cancel)
    {
        var request = new Request(Name, HttpMethod.Post, service.At("/api/v1/log/entries"))
        {
            ContentType = "application/json",
            Body = Write(json =>
            {
                if (signed.IsOverStatement)
                {
                    WriteDsse(json, signed);
                }
                else
                {
                    WriteHashedRekord1(json, signed);
                }
            }),
            // The entry repeats the certificate twice in base64, the statement not at all.
            AnswerBytes = 256 * 1024,
        };
        Answer answer = await http.SendAsync(request, cancel);
        if (answer.Status == HttpStatusCode.Conflict)
        {
            // The first answer to this very request was lost on its way: the entry is there.
            answer = await http.SendAsync(request with { Method = HttpMethod.Get, Uri = WhereItIs(answer), Body = default, ContentType = null }, cancel);
            if (answer.Status == HttpStatusCode.NotFound)
            {
                throw request.Lost("has the entry and has not integrated it yet");
            }

            return answer.MustBe(HttpStatusCode.OK).Read(ToLogEntry);
        }

        return answer.MustBe(HttpStatusCode.Created).Read(ToLogEntry);
    }

    private Uri WhereItIs(Answer conflict)
    {
        if (conflict.Location is not { } location)
        {
            throw conflict.Refused();
        }

        // RFC 3986 §4.2: `//` begins another authority, and whatever follows need not be one.
        if (!Uri.TryCreate(service.Url, location, out Uri? entry))
        {
            throw conflict.Refused("; where it says the entry is, is not an address");
        }

        return Uri.Compare(entry, service.Url, UriComponents.SchemeAndServer, UriFormat.UriEscaped, StringComparison.OrdinalIgnoreCase) == 0
            ? entry
            : throw conflict.Refused("; the entry it names is at another origin, which is not asked");
    }

    // For DSSE the artifact is the pre-authentication encoding (rekor-tiles, CLIENTS.md).
    private static void WriteHashedRekord2(Utf8JsonWriter json, FreshSignature signed)
    {
        json.WriteStartObject();
        json.WriteStartObject("hashedRekordRequestV002");
        json.WriteBase64String("digest", signed.MessageDigest);
        json.WriteStartObject("signature");
        json.WriteBase64String("content", signed.Signature);
        json.WriteStartObject("verifier");
        json.WriteStartObject("x509Certificate");
        json.WriteBase64String("rawBytes", signed.Certificate.Span);
        json.WriteEndObject();
        json.WriteString("keyDetails", "PKIX_ECDSA_P256_SHA_256");
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteEndObject();
    }

    // rekor, pkg/types/dsse/v0.0.1: the envelope as a JSON string, the certificate as base64 of PEM.
    private static void WriteDsse(Utf8JsonWriter json, FreshSignature signed)
    {
        json.WriteStartObject();
        json.WriteString("apiVersion", "0.0.1");
        json.WriteString("kind", "dsse");
        json.WriteStartObject("spec");
        json.WriteStartObject("proposedContent");
        json.WriteString("envelope", Write(signed.WriteEnvelope));
        json.WriteStartArray("verifiers");
        json.WriteBase64StringValue(Pem(signed));
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteEndObject();
    }

    // rekor, pkg/types/hashedrekord/v0.0.1.
    private static void WriteHashedRekord1(Utf8JsonWriter json, FreshSignature signed)
    {
        json.WriteStartObject();
        json.WriteString("apiVersion", "0.0.1");
        json.WriteString("kind", "hashedrekord");
        json.WriteStartObject("spec");
        json.WriteStartObject("data");
        json.WriteStartObject("hash");
        json.WriteString("algorithm", "sha256");
        json.WriteString("value", Convert.ToHexStringLower(signed.MessageDigest));
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteStartObject("signature");
        json.WriteBase64String("content", signed.Signature);
        json.WriteStartObject("publicKey");
        json.WriteBase64String("content", Pem(signed));
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static byte[] Pem(FreshSignature signed) => Encoding.ASCII.GetBytes(PemEncoding.WriteString("CERTIFICATE", signed.Certificate.Span) + "\n");

    // The names differ, and hashes are hex there, base64 here (rekor, pkg/tle/tle.go says which is which).
    internal static byte[] ToLogEntry(ReadOnlyMemory<byte> answer)
    {
        JsonFields entry = JsonFields.Parse(answer, "log entry", 256 * 1024).OnlyEntry();
        byte[] body = entry.RequiredBytes("body");
        JsonFields content = JsonFields.Parse(body, "log entry body", 256 * 1024);
        JsonFields verification = entry.RequiredObject("verification");
        JsonFields proof = verification.RequiredObject("inclusionProof");
        return Write(json =>
        {
            json.WriteStartObject();
            WriteNumber(json, "logIndex", entry.Int64("logIndex"));
            json.WriteStartObject("logId");
            json.WriteBase64String("keyId", Hash(entry.RequiredText("logID")));
            json.WriteEndObject();
            json.WriteStartObject("kindVersion");
            json.WriteString("kind", content.RequiredText("kind"));
            json.WriteString("version", content.RequiredText("apiVersion"));
            json.WriteEndObject();
            WriteNumber(json, "integratedTime", entry.Int64("integratedTime"));
            json.WriteStartObject("inclusionPromise");
            json.WriteBase64String("signedEntryTimestamp", verification.RequiredBytes("signedEntryTimestamp"));
            json.WriteEndObject();
            WriteProof(json, proof);
            json.WriteBase64String("canonicalizedBody", body);
            json.WriteEndObject();
        });
    }

    private static void WriteProof(Utf8JsonWriter json, JsonFields proof)
    {
        json.WriteStartObject("inclusionProof");
        WriteNumber(json, "logIndex", proof.Int64("logIndex"));
        json.WriteBase64String("rootHash", Hash(proof.RequiredText("rootHash")));
        WriteNumber(json, "treeSize", proof.Int64("treeSize"));
        json.WriteStartArray("hashes");
        foreach (string hash in proof.Texts("hashes", Limits.ProofHashes))
        {
            json.WriteBase64StringValue(Hash(hash));
        }

        json.WriteEndArray();
        json.WriteStartObject("checkpoint");
        json.WriteString("envelope", proof.RequiredText("checkpoint"));
        json.WriteEndObject();
        json.WriteEndObject();
    }

    // ProtoJSON writes int64 as a string, since JavaScript's numbers end at 2^53.
    private static void WriteNumber(Utf8JsonWriter json, string name, long? number) =>
        json.WriteString(name, FormattableString.Invariant($"{number ?? throw new FormatException($"malformed log entry: {name} is missing")}"));

    private static byte[] Hash(string hex) => hex.Length == 2 * SHA256.HashSizeInBytes && hex.All(char.IsAsciiHexDigit)
        ? Convert.FromHexString(hex)
        : throw new FormatException("malformed log entry: a hash of 64 hex digits expected");

    private static byte[] Write(Action<Utf8JsonWriter> content)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, BundleWriter.Plain))
        {
            content(json);
        }

        return buffer.ToArray();
    }
}
