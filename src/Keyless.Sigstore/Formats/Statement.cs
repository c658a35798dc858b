using System.Security.Cryptography;
using System.Text.Encodings.Web;
using System.Text.Json;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>An in-toto statement (in-toto attestation framework, spec/v1/statement.md): what a predicate says of which artifacts. Nothing in it is trusted yet.</summary>
public sealed class Statement
{
    private const string V1 = "https://in-toto.io/Statement/v1";
    private const string V01 = "https://in-toto.io/Statement/v0.1";

    private Statement(string predicateType, IReadOnlyList<StatementSubject> subjects) => (PredicateType, Subjects) = (predicateType, subjects);

    internal string PredicateType { get; }

    internal IReadOnlyList<StatementSubject> Subjects { get; }

    /// <summary>
    /// Reads the payload of an envelope. Members that in-toto does not define are ignored, as its parsing rules ask;
    /// duplicates are refused.
    /// </summary>
    /// <exception cref="FormatException">Not a statement.</exception>
    internal static Statement Parse(ReadOnlyMemory<byte> payload)
    {
        using JsonFields statement = JsonFields.Parse(payload, "statement", Limits.BundleBytes);
        string type = statement.RequiredText("_type");
        if (type is not (V1 or V01))
        {
            throw new MalformedException("schema", $"malformed statement: unknown _type \"{Shown.Of(type)}\"");
        }

        StatementSubject[] subjects = [.. statement.Objects("subject", Limits.Subjects).Select(ReadSubject)];
        return subjects.Length > 0
            ? new Statement(statement.RequiredText("predicateType"), subjects)
            : throw new MalformedException("schema", "malformed statement: it has no subject");
    }

    private static StatementSubject ReadSubject(JsonFields subject)
    {
        JsonFields? digest = subject.Object("digest");
        Dictionary<string, byte[]> digests = [];
        foreach ((string algorithm, string hex) in digest?.Strings(Limits.SubjectDigests) ?? new Dictionary<string, string>())
        {
            // Only what can match is decoded: other algorithms (gitCommit, dirHash …) have encodings of their own.
            if (algorithm is "sha256" or "sha384" or "sha512")
            {
                digests.Add(algorithm, Decode(algorithm, hex));
            }
        }

        return new StatementSubject(digests, subject.Object("annotations")?.Strings(Limits.Subjects) ?? new Dictionary<string, string>());
    }

    private static byte[] Decode(string algorithm, string hex)
    {
        int size = algorithm switch
        {
            "sha256" => SHA256.HashSizeInBytes,
            "sha384" => SHA384.HashSizeInBytes,
            _ => SHA512.HashSizeInBytes,
        };
        return hex.Length == 2 * size && hex.All(char.IsAsciiHexDigit)
            ? Convert.FromHexString(hex)
            : throw new MalformedException("schema", $"malformed statement: the {algorithm} digest of a subject is not {2 * size} hex digits");
    }

    /// <summary>
    /// A v1 statement about one artifact with an empty predicate, as cosign 3 writes it for an image: no subject name,
    /// annotations sorted by name, no white space.
    /// </summary>
    public static byte[] Write(ArtifactDigest subject, string predicateType, IReadOnlyDictionary<string, string> annotations)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteString("_type", V1);
            json.WriteStartArray("subject");
            json.WriteStartObject();
            json.WriteStartObject("digest");
            json.WriteString(subject.Algorithm, subject.Hex);
            json.WriteEndObject();
            json.WriteStartObject("annotations");
            foreach ((string name, string value) in annotations.OrderBy(annotation => annotation.Key, StringComparer.Ordinal))
            {
                json.WriteString(name, value);
            }

            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteEndArray();
            json.WriteString("predicateType", predicateType);
            json.WriteStartObject("predicate");
            json.WriteEndObject();
            json.WriteEndObject();
        }

        return buffer.ToArray();
    }
}

/// <summary>One artifact that a statement is about. Its name is not kept: nothing is decided by it.</summary>
internal sealed record StatementSubject(IReadOnlyDictionary<string, byte[]> Digests, IReadOnlyDictionary<string, string> Annotations)
{
    public override string ToString() => Digests.Count == 0
        ? "no digest this client knows"
        : string.Join(" ", Digests.Select(digest => $"{digest.Key}:{Convert.ToHexStringLower(digest.Value)}"));
}
