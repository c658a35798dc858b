using System.Text.Encodings.Web;
using System.Text.Json;
using Keyless.Sigstore.Signing;

namespace Keyless.Sigstore.Formats;

/// <summary>Puts a bundle v0.3 together (protobuf-specs, sigstore_bundle.proto, as ProtoJSON, without white space).</summary>
internal static class BundleWriter
{
    // Base64 holds `+`, checkpoints an em dash; other readers expect both as they are.
    public static readonly JsonWriterOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <param name="logEntries">Each a TransparencyLogEntry in ProtoJSON; goes in as it is.</param>
    /// <param name="timestamps">Each a DER TimeStampResp.</param>
    public static byte[] Write(FreshSignature signed, IReadOnlyList<byte[]> logEntries, IReadOnlyList<byte[]> timestamps)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, Plain))
        {
            json.WriteStartObject();
            json.WriteString("mediaType", "application/vnd.dev.sigstore.bundle.v0.3+json");
            json.WriteStartObject("verificationMaterial");
            // The leaf alone: v0.3 has no place for a chain.
            json.WriteStartObject("certificate");
            json.WriteBase64String("rawBytes", signed.Certificate.Span);
            json.WriteEndObject();
            json.WriteStartArray("tlogEntries");
            foreach (byte[] entry in logEntries)
            {
                json.WriteRawValue(entry);
            }

            json.WriteEndArray();
            if (timestamps.Count > 0)
            {
                WriteTimestamps(json, timestamps);
            }

            json.WriteEndObject();
            signed.WriteContent(json);
            json.WriteEndObject();
        }

        return buffer.ToArray();
    }

    private static void WriteTimestamps(Utf8JsonWriter json, IReadOnlyList<byte[]> timestamps)
    {
        json.WriteStartObject("timestampVerificationData");
        json.WriteStartArray("rfc3161Timestamps");
        foreach (byte[] timestamp in timestamps)
        {
            json.WriteStartObject();
            json.WriteBase64String("signedTimestamp", timestamp);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }
}
