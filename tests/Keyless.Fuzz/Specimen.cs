using System.Text.Json;
using System.Text.Json.Nodes;
using Keyless.Sigstore;

namespace Keyless.Fuzz;

/// <summary>How a signature is given to the verifier.</summary>
internal enum Form
{
    /// <summary>A bundle, for a file or a digest.</summary>
    Bundle,

    /// <summary>A bundle as an image's signature.</summary>
    Image,

    /// <summary>Payload and annotations of a simple-signing layer, as one JSON object.</summary>
    Simple,
}

/// <summary>A signature that is accepted, with everything its verdict depends on.</summary>
internal sealed record Specimen(string Name, Form Form, string RootName, byte[] Document)
{
    /// <summary>The artifact itself; null where <see cref="Digest"/> is all that is known.</summary>
    public byte[]? Content { get; init; }

    public string Digest { get; init; } = "";

    public string? Identity { get; init; }

    public string? Issuer { get; init; }

    public string? PredicateType { get; init; }

    /// <summary>PEM of the managed key, instead of identity and issuer.</summary>
    public string? Key { get; init; }

    private Policy? policy;

    public Policy Policy => policy ??= Key is { } pem ? Policy.ForKey(ManagedKey.FromPem(pem), PredicateType) : Policy.Exactly(Identity!, Issuer!, PredicateType);

    private Artifact Artifact => Content is { } content ? Artifact.FromContent(content) : ArtifactDigest.Sha256(Digest);

    /// <exception cref="VerificationException">Refused.</exception>
    public VerifiedSignature Verify(Verifier verifier, byte[] document)
    {
        if (Form == Form.Simple)
        {
            (byte[] payload, Dictionary<string, string> annotations) = Layer(document);
            return verifier.ProveImage(SimpleSignature.Parse(payload, annotations), ArtifactDigest.Sha256(Digest), Policy.Key, Policy.Proofs).Require(Policy);
        }

        return Form == Form.Image ? verifier.VerifyImage(document, ArtifactDigest.Sha256(Digest), Policy) : verifier.Verify(document, Artifact, Policy);
    }

    /// <summary>Whether a mutant is still something that can be handed to the verifier: a registry's layer always has bytes and a map of strings.</summary>
    public bool Takes(byte[] document)
    {
        try
        {
            return Form != Form.Simple || Layer(document).Payload.Length >= 0;
        }
        catch (Exception e) when (e is JsonException or FormatException or InvalidOperationException or ArgumentException or NullReferenceException or KeyNotFoundException)
        {
            return false;
        }
    }

    public static (byte[] Payload, Dictionary<string, string> Annotations) Layer(byte[] document)
    {
        JsonNode layer = JsonNode.Parse(document)!;
        return (Convert.FromBase64String((string)layer["payload"]!), layer["annotations"]!.AsObject().ToDictionary(pair => pair.Key, pair => (string)pair.Value!));
    }

    public JsonObject ToJson(byte[] document) => new()
    {
        ["name"] = Name,
        ["form"] = Form.ToString(),
        ["root"] = RootName,
        ["content"] = Content is null ? null : Convert.ToBase64String(Content),
        ["digest"] = Digest,
        ["identity"] = Identity,
        ["issuer"] = Issuer,
        ["predicateType"] = PredicateType,
        ["key"] = Key,
        ["document"] = Convert.ToBase64String(document),
    };

    public static Specimen FromJson(JsonNode json) => new(
        (string)json["name"]!, Enum.Parse<Form>((string)json["form"]!), (string)json["root"]!, Convert.FromBase64String((string)json["document"]!))
    {
        Content = (string?)json["content"] is { } content ? Convert.FromBase64String(content) : null,
        Digest = (string)json["digest"]!,
        Identity = (string?)json["identity"],
        Issuer = (string?)json["issuer"],
        PredicateType = (string?)json["predicateType"],
        Key = (string?)json["key"],
    };
}
