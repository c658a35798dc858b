using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Keyless.Sigstore.Tests;

/// <summary>
/// A recipe for an image signature in the form of cosign 1 and 2, beside <see cref="Forge"/>: the same certificate, entry and times, written
/// into a layer's annotations.
/// </summary>
internal sealed record SimpleForge
{
    public const string Signature = "dev.cosignproject.cosign/signature", Certificate = "dev.sigstore.cosign/certificate", Chain = "dev.sigstore.cosign/chain";
    public const string Bundle = "dev.sigstore.cosign/bundle", Timestamp = "dev.sigstore.cosign/rfc3161timestamp";

    /// <summary>All but the payload; its content is replaced by it.</summary>
    public Forge Forge { get; init; } = Forge.V1;

    public byte[] Payload { get; init; } = PayloadOf(_ => { });

    /// <summary>Edits the annotations.</summary>
    public Action<Dictionary<string, string>>? Annotations { get; init; }

    /// <summary>Edits the entry's annotation.</summary>
    public Action<JsonObject>? Entry { get; init; }

    /// <summary>What is given as the layer's bytes instead of the payload that was signed.</summary>
    public byte[]? Layer { get; init; }

    public static byte[] PayloadOf(Action<JsonObject> edit)
    {
        var payload = new JsonObject
        {
            ["critical"] = new JsonObject
            {
                ["identity"] = new JsonObject { ["docker-reference"] = "registry.example/team/app" },
                ["image"] = new JsonObject { ["docker-manifest-digest"] = Forge.Image.ToString() },
                ["type"] = "cosign container image signature",
            },
            ["optional"] = null,
        };
        edit(payload);
        return Encoding.UTF8.GetBytes(payload.ToJsonString());
    }

    public VerifiedSignature Verify(Policy? policy = null)
    {
        Forge made = Made;
        policy ??= made.Managed ? Policy.ForKey(made.ManagedPolicy.Key!, null) : Policy.Exactly(Forge.Identity, Forge.Issuer, SimpleSignature.PredicateType);
        var signature = SimpleSignature.Parse(Layer ?? Payload, MakeAnnotations());
        return new Verifier(made.TrustedRoot()).ProveImage(signature, Forge.Image, policy.Key, policy.Proofs).Require(policy);
    }

    private Forge Made => Forge with { Content = Payload };

    public Dictionary<string, string> MakeAnnotations()
    {
        JsonObject bundle = JsonNode.Parse(Made.Make())!.AsObject();
        var annotations = new Dictionary<string, string> { [Signature] = (string)bundle["messageSignature"]!["signature"]! };
        if (bundle.Material()["certificate"] is { } certificate)
        {
            annotations[Certificate] = PemEncoding.WriteString("CERTIFICATE", Convert.FromBase64String((string)certificate["rawBytes"]!)) + "\n";
            annotations[Chain] = Forge.World.Fulcio.Intermediate.Certificate.ExportCertificatePem() + "\n" + Forge.World.Fulcio.Root.Certificate.ExportCertificatePem();
        }

        if (bundle.Material()["tlogEntries"]!.AsArray().Count > 0)
        {
            JsonObject entry = OfEntry(bundle.Entry());
            Entry?.Invoke(entry);
            annotations[Bundle] = entry.ToJsonString();
        }

        if (bundle.Timestamps().Count > 0)
        {
            annotations[Timestamp] = new JsonObject { ["SignedRFC3161Timestamp"] = (string)bundle.Timestamps()[0]!["signedTimestamp"]! }.ToJsonString();
        }

        Annotations?.Invoke(annotations);
        return annotations;
    }

    private static JsonObject OfEntry(JsonObject entry) => new()
    {
        ["SignedEntryTimestamp"] = (string?)entry["inclusionPromise"]?["signedEntryTimestamp"] ?? "AAAA",
        [nameof(Payload)] = new JsonObject
        {
            ["body"] = (string)entry["canonicalizedBody"]!,
            ["integratedTime"] = JsonNode.Parse((string)entry["integratedTime"]!),
            ["logIndex"] = JsonNode.Parse((string)entry["logIndex"]!),
            ["logID"] = Convert.ToHexStringLower(Convert.FromBase64String((string)entry["logId"]!["keyId"]!)),
        },
    };
}
