using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Keyless.Sigstore;

namespace Keyless.MSBuild;

/// <summary>
/// The verdicts as JSON (docs/container-verification.v1.schema.json): what users of <c>cosign verify | jq</c> look for, filled from verified data
/// only. What was refused shows no more of itself than was proven before.
/// </summary>
internal sealed class VerificationJson : VerificationReport.IForm
{
    public const string Schema = "keyless-msbuild/container-verification/v1";

    private static readonly JsonSerializerOptions Readable = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Fulcio's extensions under the names cosign gives them.</summary>
    private static readonly (int Number, string Name)[] GitHubNames =
        [(2, "githubWorkflowTrigger"), (3, "githubWorkflowSha"), (4, "githubWorkflowName"), (5, "githubWorkflowRepository"), (6, "githubWorkflowRef")];

    public byte[] Merge(byte[]? there, VerifiedProject project, string folder)
    {
        IEnumerable<JsonNode> others = Read(there)
            .Where(entry => project.LeavesAlone((string)entry["project"]!, (string)entry["target"]!, (string?)entry["run"], folder))
            .Select(entry => entry.DeepClone());
        IEnumerable<JsonNode> all = others.Concat(project.Findings.Select(finding => ToJson(finding, project, folder)));
        return Write(new JsonObject { ["schema"] = Schema, ["images"] = new JsonArray([.. VerificationReport.InOrder(all, entry => (string)entry["project"]!, entry => (string)entry["target"]!)]) });
    }

    /// <summary>As people can read it, and the same bytes for the same content.</summary>
    public static byte[] Write(JsonNode report) => [.. JsonSerializer.SerializeToUtf8Bytes(report, Readable), (byte)'\n'];

    private static IReadOnlyList<JsonObject> Read(byte[]? there)
    {
        if (there is null)
        {
            return [];
        }

        if (SigningReport.Parse(there) is not JsonObject report || !SigningReport.IsText(report["schema"]) || (string?)report["schema"] != Schema)
        {
            throw new FormatException($"its schema is not {Schema}");
        }

        return report["images"] is JsonArray list && list.All(IsEntry)
            ? [.. list.Select(entry => (JsonObject)entry!)]
            : throw new FormatException("images is not a list of verified images");
    }

    // What the merging looks at; all else stays as it is.
    private static bool IsEntry(JsonNode? node) => node is JsonObject entry && SigningReport.IsText(entry["project"]) && SigningReport.IsText(entry["target"]) && SigningReport.IsText(entry["run"], orNull: true);

    private static JsonObject ToJson(ImageFinding finding, VerifiedProject project, string folder) => new()
    {
        ["reference"] = finding.Image.Reference.Text,
        ["digest"] = finding.Verdict?.Digest.ToString(),
        ["policy"] = finding.Image.Policy.Name,
        ["verdict"] = finding.Word,
        ["checks"] = new JsonArray([.. (finding.Verdict?.Quorum?.Checks ?? []).Select(check => JsonValue.Create(check))]),
        ["signatures"] = new JsonArray([.. (finding.Verdict?.Signatures ?? []).Select(signature => ToJson(finding.Verdict!, signature))]),
        ["project"] = project.NameFrom(folder),
        ["target"] = project.Target,
        ["run"] = project.Run,
        ["positions"] = new JsonArray([.. finding.Image.Positions.Select(position => ToJson(position, folder))]),
        ["error"] = finding.Problem is { } problem ? new JsonObject { ["code"] = problem.Code, ["message"] = problem.Message } : null,
    };

    private static JsonObject ToJson(Position position, string folder) => new()
    {
        ["file"] = VerifiedProject.Relative(folder, position.File),
        ["line"] = position.Line == 0 ? null : position.Line,
        ["column"] = position.Column == 0 ? null : position.Column,
    };

    private static JsonObject ToJson(ImageVerdict verdict, SignatureVerdict signature)
    {
        VerifiedSignature? accepted = signature.Accepted.Count > 0 ? signature.Accepted[0].Signature : null;
        VerificationException? refusal = signature.Refusal;
        return new JsonObject
        {
            ["critical"] = accepted is null ? null : Critical(verdict, signature.Format, accepted),
            ["optional"] = Optional(accepted?.Signer ?? refusal?.Signer, accepted?.Annotations),
            ["format"] = signature.Format,
            ["signedAt"] = (accepted?.SignedAt ?? refusal?.SignedAt) is { } moment ? VerificationReport.Format(moment) : null,
            ["logIndex"] = accepted?.LogIndex,
            ["verdict"] = accepted is not null ? "accepted" : "refused",
            ["step"] = refusal?.Step,
            ["reason"] = refusal?.Reason,
            ["expected"] = refusal?.Expected,
            ["found"] = refusal?.Found,
        };
    }

    /// <summary>As cosign shows it: a simple-signing payload is repeated, for a statement the same is made up of what was asked and what it says.</summary>
    private static JsonObject Critical(ImageVerdict verdict, string format, VerifiedSignature accepted) => new()
    {
        ["identity"] = new JsonObject { ["docker-reference"] = accepted.NamedImage ?? verdict.Image.Text },
        ["image"] = new JsonObject { ["docker-manifest-digest"] = verdict.Digest.ToString() },
        ["type"] = format == "bundle" ? accepted.PredicateType : "cosign container image signature",
    };

    /// <summary>Our names come first and stay ours: an annotation of the signer's cannot pose as the issuer.</summary>
    private static JsonObject Optional(CertificateIdentity? signer, IReadOnlyDictionary<string, string>? annotations)
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

        return new JsonObject(values.Select(value => KeyValuePair.Create<string, JsonNode?>(value.Key, value.Value)));
    }
}
