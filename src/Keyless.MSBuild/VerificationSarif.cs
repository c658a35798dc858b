using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sigstore;

namespace Keyless.MSBuild;

/// <summary>
/// The verdicts as SARIF 2.1.0 for code scanning and editors: a result for each image, at the place that names it. One run, whoever adds to it;
/// <c>properties</c> say whose a result is.
/// </summary>
/// <param name="root">What paths are named from.</param>
/// <param name="passes">Whether verified images are results, too. To GitHub every result is an alert, whatever its kind (seen 2026-11).</param>
internal sealed class VerificationSarif(SourceRoot root, bool passes) : VerificationReport.IForm
{
    private const string ToolName = "Keyless.MSBuild";
    private const string BaseId = "SRCROOT";
    private const string FingerprintName = "imagePolicyCode/v1";

    // "SARIF support for code scanning": GitHub refuses an upload with more.
    private const int MostResults = 25_000;

    /// <summary>Of one image; strangers choose how many there are. With ten and 25,000 images a file stays within the 10 MB that GitHub takes, compressed.</summary>
    private const int MostSignatures = 10;

    /// <summary>Of one value: who reads it there wants to see what it is, and the JSON report has it all.</summary>
    private const int LongestValue = 500;

    /// <summary>What can be said of an image, in the order of their numbers.</summary>
    private static readonly DiagnosticKind[] Kinds =
    [
        Diagnostics.RegistryUnreachable, Diagnostics.RegistryDenied, Diagnostics.ImageNotFound, Diagnostics.RegistryRefused, Diagnostics.RegistryNonsense,
        Diagnostics.Unsigned, Diagnostics.Refused, Diagnostics.TooMuch, Diagnostics.NotYet,
    ];

    public byte[] Merge(byte[]? there, VerifiedProject project, string folder)
    {
        JsonObject? run = Read(there);
        JsonObject[] others = [.. (run?["results"]?.AsArray() ?? []).Select(result => (JsonObject)result!).Where(result => LeavesAlone(project, result["properties"]!, folder))];
        // Whose results stay has named its files from somewhere, and that stays, too; what is not there is then named absolutely.
        string uri = others.Length > 0 && BaseUri(run!) is { } theirs ? theirs : root.Uri;
        var unnamed = new Position(project.File);
        IEnumerable<JsonObject> own = project.Findings.Where(finding => passes || finding.Problem is not null)
            .Select(finding => ToJson(finding, finding.Image.Positions.Count > 0 ? finding.Image.Positions : [unnamed], Properties(finding, project, folder), isUnderRoot: uri == root.Uri));
        JsonObject[] results = [.. VerificationReport.InOrder(others.Select(result => (JsonObject)result.DeepClone()).Concat(Numbered(own)), result => Owner(result, "project"), result => Owner(result, "target"))];
        // Of too many, those stay that somebody has to look at.
        results = results.Length <= MostResults ? results : [.. results.OrderBy(result => (string?)result["kind"] == "pass").Take(MostResults)];
        JsonObject[] rules = Rules(results, run);
        foreach (JsonObject result in results)
        {
            result["ruleIndex"] = Array.FindIndex(rules, rule => (string?)rule["id"] == (string?)result["ruleId"]);
        }

        return VerificationJson.Write(new JsonObject
        {
            ["$schema"] = "https://json.schemastore.org/sarif-2.1.0.json",
            ["version"] = "2.1.0",
            ["runs"] = new JsonArray(new JsonObject
            {
                ["tool"] = new JsonObject { ["driver"] = Driver(rules) },
                ["originalUriBaseIds"] = new JsonObject { [BaseId] = new JsonObject { ["uri"] = uri } },
                ["columnKind"] = "utf16CodeUnits",
                ["results"] = new JsonArray([.. results]),
            }),
        });
    }

    private static JsonObject? Read(byte[]? there)
    {
        if (there is null)
        {
            return null;
        }

        JsonNode? log = SigningReport.Parse(there);
        return log is JsonObject && log["runs"] is JsonArray { Count: 1 } runs && runs[0] is JsonObject run && IsOurs(run)
            ? run
            : throw new FormatException($"it is not a SARIF log with one run, of {ToolName}");
    }

    // What the merging looks at; all else stays as it is.
    private static bool IsOurs(JsonObject run) =>
        run["tool"] is JsonObject tool && tool["driver"] is JsonObject driver && SigningReport.IsText(driver["name"]) && (string?)driver["name"] == ToolName
        && driver["rules"] is JsonArray rules && rules.All(rule => rule is JsonObject && SigningReport.IsText(rule["id"]))
        && run["originalUriBaseIds"] is JsonObject bases && bases[BaseId] is JsonObject source && SigningReport.IsText(source["uri"])
        && run["results"] is JsonArray results && results.All(result => result is JsonObject && SigningReport.IsText(result["ruleId"]) && SigningReport.IsText(result["kind"], orNull: true)
            && rules.Any(rule => (string?)rule!["id"] == (string?)result["ruleId"])
            && result["properties"] is JsonObject own && SigningReport.IsText(own["project"]) && SigningReport.IsText(own["target"]) && SigningReport.IsText(own["run"], orNull: true));

    private static string Owner(JsonObject result, string member) => (string)result["properties"]![member]!;

    private static bool LeavesAlone(VerifiedProject project, JsonNode own, string folder) =>
        project.LeavesAlone((string)own["project"]!, (string)own["target"]!, (string?)own["run"], folder);

    private static string? BaseUri(JsonObject run) => (string?)run["originalUriBaseIds"]![BaseId]!["uri"];

    private static JsonObject Driver(JsonObject[] rules)
    {
        var driver = new JsonObject { ["name"] = ToolName, ["semanticVersion"] = KeylessTask.UserAgent[(ToolName.Length + 1)..] };
        if (Diagnostic.HelpLink is { } page)
        {
            driver["informationUri"] = page;
        }

        driver["rules"] = new JsonArray([.. rules]);
        return driver;
    }

    /// <summary>Those of ours, and those that a result of another version of ours needs.</summary>
    private static JsonObject[] Rules(IReadOnlyList<JsonObject> results, JsonObject? run)
    {
        HashSet<string> used = [.. results.Select(result => (string)result["ruleId"]!)];
        IEnumerable<DiagnosticKind> kinds = Kinds.Concat(Diagnostics.All.Where(kind => used.Contains(kind.Code))).Distinct();
        HashSet<string> known = [.. kinds.Select(kind => kind.Code)];
        IEnumerable<JsonObject> theirs = (run?["tool"]!["driver"]!["rules"]!.AsArray() ?? []).Select(rule => (JsonObject)rule!.DeepClone())
            .Where(rule => used.Contains((string)rule["id"]!) && known.Add((string)rule["id"]!));
        return [.. kinds.Select(Rule).Concat(theirs.ToArray()).OrderBy(rule => (string?)rule["id"], StringComparer.Ordinal)];
    }

    private static JsonObject Rule(DiagnosticKind kind)
    {
        string hint = kind.Hint is null ? "" : $" {char.ToUpperInvariant(kind.Hint[0])}{kind.Hint[1..]}.";
        string page = $"docs/errors.md#{kind.Code.ToLowerInvariant()}";
        var rule = new JsonObject
        {
            ["id"] = kind.Code,
            ["shortDescription"] = new JsonObject { ["text"] = kind.Sentence },
            ["fullDescription"] = new JsonObject { ["text"] = $"{kind.Sentence}{hint}" },
            ["help"] = new JsonObject { ["text"] = $"{kind.Sentence}{hint} What it means and what to do: {page}, in the package {ToolName}." },
            ["defaultConfiguration"] = new JsonObject { ["level"] = "error" },
        };
        if (Diagnostic.HelpLink is { } help)
        {
            rule["helpUri"] = help;
        }

        return rule;
    }

    private JsonObject ToJson(ImageFinding finding, IReadOnlyList<Position> positions, JsonObject properties, bool isUnderRoot)
    {
        Diagnostic? problem = finding.Problem;
        var result = new JsonObject
        {
            // What is asked of a verified image is answered by the same rule.
            ["ruleId"] = (problem?.Kind ?? Diagnostics.Refused).Code,
            ["kind"] = problem is null ? "pass" : "fail",
            ["level"] = problem is null ? "none" : finding.Word == "warned" ? "warning" : "error",
            ["message"] = new JsonObject { ["text"] = Plain(problem?.Message ?? Diagnostic.OneLine($"{finding.Image.Role}{VerdictText.Name(finding.Verdict!)} is verified: signed {string.Join(", ", finding.Signers.Select(signer => VerdictText.Accepted(signer.Signature)))}.")) },
            ["locations"] = new JsonArray(Location(positions[0], isUnderRoot)),
        };
        if (positions.Count > 1)
        {
            result["relatedLocations"] = new JsonArray([.. positions.Skip(1).Take(MostSignatures).Select((position, i) => Related(Location(position, isUnderRoot), i + 1))]);
        }

        result["partialFingerprints"] = new JsonObject { [FingerprintName] = Fingerprint(finding, positions[0]) };
        result["properties"] = properties;
        return result;
    }

    private JsonObject Location(Position position, bool isUnderRoot)
    {
        JsonObject artifact = isUnderRoot && root.Relative(position.File) is { } relative
            ? new JsonObject { ["uri"] = SourceRoot.Escape(relative), ["uriBaseId"] = BaseId }
            : new JsonObject { ["uri"] = SourceRoot.FileUri(position.File) };
        var place = new JsonObject { ["artifactLocation"] = artifact };
        if (position.Line > 0)
        {
            var region = new JsonObject { ["startLine"] = position.Line };
            if (position.Column > 0)
            {
                region["startColumn"] = position.Column;
            }

            place["region"] = region;
        }

        return new JsonObject { ["physicalLocation"] = place };
    }

    private static JsonObject Related(JsonObject location, int id)
    {
        location["id"] = id;
        location["message"] = new JsonObject { ["text"] = "The image is named here, too." };
        return location;
    }

    /// <summary>The same from run to run, also where the tag has moved on: what is asked, of which image, where, and what came of it.</summary>
    private string Fingerprint(ImageFinding finding, Position position)
    {
        var identity = new JsonArray(
            finding.Image.Reference.Registry, finding.Image.Reference.Repository, finding.Image.Reference.Tag, finding.Image.Policy.Name,
            (finding.Problem?.Kind ?? Diagnostics.Refused).Code, root.Relative(position.File) ?? Path.GetFileName(position.File));
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(identity.ToJsonString())))[..32];
    }

    /// <summary>Results that would look the same, such as the manifests of an index, are told apart by their order.</summary>
    private static IEnumerable<JsonObject> Numbered(IEnumerable<JsonObject> results)
    {
        var seen = new Dictionary<string, int>();
        foreach (JsonObject result in results)
        {
            JsonNode fingerprints = result["partialFingerprints"]!;
            string fingerprint = (string)fingerprints[FingerprintName]!;
            int number = seen[fingerprint] = seen.GetValueOrDefault(fingerprint) + 1;
            fingerprints[FingerprintName] = string.Create(CultureInfo.InvariantCulture, $"{fingerprint}:{number}");
            yield return result;
        }
    }

    private static JsonObject Properties(ImageFinding finding, VerifiedProject project, string folder)
    {
        IReadOnlyList<SignatureVerdict> signatures = finding.Verdict?.Signatures ?? [];
        return new JsonObject
        {
            ["project"] = project.NameFrom(folder),
            ["target"] = project.Target,
            ["run"] = project.Run,
            ["reference"] = finding.Image.Reference.Text,
            ["digest"] = finding.Verdict?.Digest.ToString(),
            ["policy"] = finding.Image.Policy.Name,
            ["signatureCount"] = signatures.Count,
            ["signatures"] = new JsonArray([.. signatures.Take(MostSignatures).Select(ToJson)]),
        };
    }

    private static JsonObject ToJson(SignatureVerdict signature)
    {
        VerifiedSignature? accepted = signature.Accepted.Count > 0 ? signature.Accepted[0].Signature : null;
        VerificationException? refusal = signature.Refusal;
        return new JsonObject
        {
            ["format"] = signature.Format,
            ["reference"] = signature.Reference,
            ["verdict"] = accepted is null ? "refused" : "accepted",
            ["signedBy"] = Clipped(accepted?.SignedBy ?? refusal?.Signer?.Subject),
            ["issuer"] = Clipped(accepted?.Signer?.Issuer ?? refusal?.Signer?.Issuer),
            ["signedAt"] = (accepted?.SignedAt ?? refusal?.SignedAt) is { } moment ? VerificationReport.Format(moment) : null,
            ["reason"] = refusal?.Reason,
            ["expected"] = Clipped(refusal?.Expected),
            ["found"] = Clipped(refusal?.Found),
        };
    }

    /// <summary>SARIF 2.1.0 §3.11.5, §3.11.6: in a message <c>{0}</c> is a placeholder, and <c>[text](address)</c> a link. Ours has neither, so whoever wrote one is a stranger.</summary>
    private static string Plain(string message) =>
        message.Replace("{", "{{", StringComparison.Ordinal).Replace("}", "}}", StringComparison.Ordinal).Replace("](", @"]\u0028", StringComparison.Ordinal);

    private static string? Clipped(string? text)
    {
        string? line = text is null ? null : Diagnostic.OneLine(text);
        return line is { Length: > LongestValue } ? $"{line[..LongestValue]}…" : line;
    }
}
