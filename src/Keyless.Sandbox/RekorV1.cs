using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Keyless.Sandbox;

/// <summary>A Rekor of version 1: entries of the kinds hashedrekord 0.0.1, dsse 0.0.1, intoto 0.0.1 and 0.0.2, each answered with SET, inclusion proof and checkpoint.</summary>
public sealed class RekorV1
{
    /// <summary>The entries of earlier shards: a global index is never the index in the tree.</summary>
    internal const long FirstIndex = 4_000;

    private readonly TimeProvider time;
    private readonly string host;
    private readonly Lock gate = new();
    private readonly MerkleTree tree = new();
    private readonly List<(byte[] Body, long IntegratedTime)> entries = [];
    private readonly Dictionary<string, int> indexes = new(StringComparer.Ordinal);

    /// <param name="host">The name under which the log signs its checkpoints.</param>
    public RekorV1(TimeProvider time, string host)
    {
        this.time = time;
        this.host = host;
        Start = TrustMaterial.StartOf(time);
        Key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        Spki = Key.ExportSubjectPublicKeyInfo();
        TreeId = BitConverter.ToInt64(RandomNumberGenerator.GetBytes(sizeof(long))) & long.MaxValue;

        // A first entry of its own: proto3 JSON leaves out an index of zero, and some clients do not expect that.
        using var seed = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        byte[] digest = SHA256.HashData(Encoding.UTF8.GetBytes(Origin));
        byte[] signature = seed.SignHash(digest, DSASignatureFormat.Rfc3279DerSequence);
        Add(RekorV1Entry.HashedRekord("sha256", Convert.ToHexStringLower(digest), signature, SubmittedKey.FromSpki(seed.ExportSubjectPublicKeyInfo())));
    }

    internal ECDsa Key { get; }

    internal byte[] Spki { get; }

    internal byte[] LogId => SHA256.HashData(Spki);

    internal long TreeId { get; }

    internal DateTimeOffset Start { get; }

    private string Origin => string.Create(CultureInfo.InvariantCulture, $"{host} - {TreeId}");

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost("/api/v1/log/entries", (Delegate)PostAsync);
        routes.MapGet("/api/v1/log/entries/{id}", (string id) =>
            Find(id) is { } entry ? Answers.Json(entry) : Answers.RestError("there is no such entry in the transparency log", StatusCodes.Status404NotFound));
        routes.MapGet("/api/v1/log/entries", (long logIndex) =>
            Find(logIndex) is { } entry ? Answers.Json(entry) : Answers.RestError("there is no such entry in the transparency log", StatusCodes.Status404NotFound));
        routes.MapPost("/api/v1/log/entries/retrieve", (Delegate)RetrieveAsync);
        routes.MapGet("/api/v1/log/publicKey", () => Results.Text(PemEncoding.WriteString("PUBLIC KEY", Spki) + "\n", "application/x-pem-file"));
        routes.MapGet("/api/v1/log", () => Answers.Json(State()));
    }

    /// <summary>Adds a canonical body; says under which id it stands, and whether it stood there before.</summary>
    internal (string Id, bool Existed) Add(byte[] body)
    {
        lock (gate)
        {
            string leaf = Convert.ToHexStringLower(MerkleTree.LeafHash(body));
            bool added = indexes.TryAdd(leaf, entries.Count);
            if (added)
            {
                tree.Append(body);
                entries.Add((body, time.GetUtcNow().ToUnixTimeSeconds()));
            }
            return (TreeId.ToString("x16", CultureInfo.InvariantCulture) + leaf, !added);
        }
    }

    /// <summary>The entry as the log answers it, proven against the tree of this moment; null if there is none.</summary>
    internal JsonObject? Find(string id)
    {
        lock (gate)
        {
            // An id is the tree's, 16 digits, and the leaf hash, 64; the leaf hash alone will do.
            string prefix = TreeId.ToString("x16", CultureInfo.InvariantCulture);
            string leaf = id.Length == 80 && id.StartsWith(prefix, StringComparison.Ordinal) ? id[16..] : id;
            return indexes.TryGetValue(leaf, out int index) ? new JsonObject { [prefix + leaf] = Entry(index) } : null;
        }
    }

    /// <summary>The entry with this global index.</summary>
    internal JsonObject? Find(long logIndex)
    {
        lock (gate)
        {
            long index = logIndex - FirstIndex;
            return index >= 0 && index < entries.Count ? Find(Convert.ToHexStringLower(MerkleTree.LeafHash(entries[(int)index].Body))) : null;
        }
    }

    /// <summary>The signed entry timestamp: over the RFC 8785 form of these four members. The index is the global one.</summary>
    internal byte[] SignEntry(string body, long integratedTime, long logIndex)
    {
        var signed = new JsonObject { ["body"] = body, ["integratedTime"] = integratedTime, ["logID"] = Convert.ToHexStringLower(LogId), ["logIndex"] = logIndex };
        return Sign(CanonicalJson.Bytes(signed));
    }

    internal string SignCheckpoint(long size, byte[] root)
    {
        string text = Checkpoint.Text(Origin, size, root);
        return Checkpoint.Note(text, host, LogId, Sign(Checkpoint.Bytes(text)));
    }

    internal byte[] Sign(byte[] data) => Key.SignData(data, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence);

    private async Task<IResult> PostAsync(HttpContext context)
    {
        try
        {
            byte[] body = RekorV1Entry.Canonical(await Answers.ReadAsync<JsonElement>(context));
            (string id, bool existed) = Add(body);
            context.Response.Headers.Location = $"/api/v1/log/entries/{id}";
            if (existed)
            {
                return Answers.RestError($"an equivalent entry already exists in the transparency log with UUID {id}", StatusCodes.Status409Conflict);
            }

            context.Response.Headers.ETag = id;
            return Answers.Json(Find(id)!, StatusCodes.Status201Created);
        }
        catch (BadHttpRequestException e)
        {
            return Answers.RestError(e.Message, e.StatusCode);
        }
    }

    /// <summary>The entries that are there of those asked for by id, by global index, or as they were proposed.</summary>
    private async Task<IResult> RetrieveAsync(HttpContext context)
    {
        try
        {
            SearchQuery query = await Answers.ReadAsync<SearchQuery>(context);
            IEnumerable<JsonObject?> found =
            [
                .. (query.EntryUUIDs ?? []).Select(Find),
                .. (query.LogIndexes ?? []).Select(Find),
                .. (query.Entries ?? []).Select(entry => Find(Convert.ToHexStringLower(MerkleTree.LeafHash(RekorV1Entry.Canonical(entry))))),
            ];
            return Answers.Json(new JsonArray([.. found.Where(entry => entry is not null)]));
        }
        catch (BadHttpRequestException e)
        {
            return Answers.RestError(e.Message, e.StatusCode);
        }
    }

    private JsonObject Entry(int index)
    {
        (byte[] body, long integratedTime) = entries[index];
        string base64 = Convert.ToBase64String(body);
        byte[] root = tree.Root();
        return new JsonObject
        {
            ["body"] = base64,
            ["integratedTime"] = integratedTime,
            ["logID"] = Convert.ToHexStringLower(LogId),
            ["logIndex"] = FirstIndex + index,
            ["verification"] = new JsonObject
            {
                ["inclusionProof"] = new JsonObject
                {
                    ["checkpoint"] = SignCheckpoint(tree.Size, root),
                    ["hashes"] = new JsonArray([.. tree.InclusionProof(index, tree.Size).Select(hash => (JsonNode)Convert.ToHexStringLower(hash))]),
                    ["logIndex"] = index,
                    ["rootHash"] = Convert.ToHexStringLower(root),
                    ["treeSize"] = tree.Size,
                },
                ["signedEntryTimestamp"] = Convert.ToBase64String(SignEntry(base64, integratedTime, FirstIndex + index)),
            },
        };
    }

    private JsonObject State()
    {
        lock (gate)
        {
            byte[] root = tree.Root();
            return new JsonObject
            {
                ["inactiveShards"] = new JsonArray(),
                ["rootHash"] = Convert.ToHexStringLower(root),
                ["signedTreeHead"] = SignCheckpoint(tree.Size, root),
                ["treeID"] = TreeId.ToString(CultureInfo.InvariantCulture),
                ["treeSize"] = tree.Size,
            };
        }
    }

    private sealed record SearchQuery(string[]? EntryUUIDs, long[]? LogIndexes, JsonElement[]? Entries);
}
