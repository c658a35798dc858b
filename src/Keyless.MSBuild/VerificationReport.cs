using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Keyless.Sigstore;

namespace Keyless.MSBuild;

/// <summary>
/// The verdicts of one build as JSON: what users of <c>cosign verify | jq</c> look for, filled from verified data only. What was refused shows no
/// more of itself than was proven before.
/// </summary>
internal static class VerificationReport
{
    private static readonly JsonWriterOptions Readable = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Fulcio's extensions under the names cosign gives them.</summary>
    private static readonly (int Number, string Name)[] GitHubNames =
        [(2, "githubWorkflowTrigger"), (3, "githubWorkflowSha"), (4, "githubWorkflowName"), (5, "githubWorkflowRepository"), (6, "githubWorkflowRef")];

    public static byte[] Write(IEnumerable<ImageVerdict> verdicts)
    {
        using var bytes = new MemoryStream();
        using (var json = new Utf8JsonWriter(bytes, Readable))
        {
            json.WriteStartObject();
            json.WriteString("schema", "keyless-msbuild/container-verification/v1");
            json.WriteStartArray("images");
            foreach (ImageVerdict verdict in verdicts)
            {
                Write(json, verdict);
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }
        return bytes.ToArray();
    }

    /// <summary>ISO 8601 in UTC, to the second: as precise as the proofs are.</summary>
    public static string Format(DateTimeOffset? moment) => moment?.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture) ?? "";

    private static void Write(Utf8JsonWriter json, ImageVerdict verdict)
    {
        json.WriteStartObject();
        json.WriteString("reference", verdict.Image.Text);
        json.WriteString("digest", verdict.Digest.ToString());
        json.WriteString("policy", verdict.Policy.Name);
        json.WriteString("verdict", verdict.Quorum is not null ? "accepted" : verdict.Policy.Warn ? "warned" : "refused");
        json.WriteStartArray("checks");
        foreach (string check in verdict.Quorum?.Checks ?? [])
        {
            json.WriteStringValue(check);
        }

        json.WriteEndArray();
        json.WriteStartArray("signatures");
        foreach (SignatureVerdict signature in verdict.Signatures)
        {
            Write(json, verdict, signature);
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, ImageVerdict verdict, SignatureVerdict signature)
    {
        VerifiedSignature? accepted = signature.Accepted.Count > 0 ? signature.Accepted[0].Signature : null;
        VerificationException? refusal = signature.Refusal;
        json.WriteStartObject();
        if (accepted is not null)
        {
            WriteCritical(json, verdict, signature.Format, accepted);
        }
        else
        {
            json.WriteNull("critical");
        }

        WriteOptional(json, accepted?.Signer ?? refusal?.Signer, accepted?.Annotations);
        json.WriteString("format", signature.Format);
        json.WriteString("signedAt", (accepted?.SignedAt ?? refusal?.SignedAt) is { } moment ? Format(moment) : null);
        if (accepted?.LogIndex is { } index)
        {
            json.WriteNumber("logIndex", index);
        }
        else
        {
            json.WriteNull("logIndex");
        }

        json.WriteString("verdict", accepted is not null ? "accepted" : "refused");
        json.WriteString("step", refusal?.Step);
        json.WriteString("reason", refusal?.Reason);
        json.WriteString("expected", refusal?.Expected);
        json.WriteString("found", refusal?.Found);
        json.WriteEndObject();
    }

    /// <summary>As cosign shows it: a simple-signing payload is repeated, for a statement the same is made up of what was asked and what it says.</summary>
    private static void WriteCritical(Utf8JsonWriter json, ImageVerdict verdict, string format, VerifiedSignature accepted)
    {
        json.WriteStartObject("critical");
        json.WriteStartObject("identity");
        json.WriteString("docker-reference", accepted.NamedImage ?? verdict.Image.Text);
        json.WriteEndObject();
        json.WriteStartObject("image");
        json.WriteString("docker-manifest-digest", verdict.Digest.ToString());
        json.WriteEndObject();
        json.WriteString("type", format == "bundle" ? accepted.PredicateType : "cosign container image signature");
        json.WriteEndObject();
    }

    /// <summary>Our names come first and stay ours: an annotation of the signer's cannot pose as the issuer.</summary>
    private static void WriteOptional(Utf8JsonWriter json, CertificateIdentity? signer, IReadOnlyDictionary<string, string>? annotations)
    {
        var values = new SortedDictionary<string, string>(StringComparer.Ordinal);
        if (signer is not null)
        {
            values.Add("Issuer", signer.Issuer);
            values.Add("Subject", signer.Subject);
            foreach ((int number, string name) in GitHubNames)
            {
                if (signer.Extensions.TryGetValue(number, out string? value))
                {
                    values.Add(name, value);
                }
            }
        }
        foreach ((string name, string value) in annotations ?? new Dictionary<string, string>())
        {
            values.TryAdd(name, value);
        }

        json.WriteStartObject("optional");
        foreach ((string name, string value) in values)
        {
            json.WriteString(name, value);
        }

        json.WriteEndObject();
    }
}
