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
        routes.MapGet("/api/v1/log/entries/{id}", (HttpContext context, string id) =>
            Find(Told(id, context.Lie<RekorLie>()), context.Lie<RekorLie>()) is { } entry ? Answers.Json(entry) : Answers.RestError("there is no such entry in the transparency log", StatusCodes.Status404NotFound));
        routes.MapGet("/api/v1/log/entries", (HttpContext context, long logIndex) =>
            Find(logIndex, context.Lie<RekorLie>()) is { } entry ? Answers.Json(entry) : Answers.RestError("there is no such entry in the transparency log", StatusCodes.Status404NotFound));
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
            return (IdOf(body), !added);
        }
    }

    /// <summary>The entry as the log answers it, proven against the tree of this moment; null if there is none.</summary>
    internal JsonObject? Find(string id, RekorLie? lie = null)
    {
        lock (gate)
        {
            return IndexOf(id) is { } index ? new JsonObject { [IdOf(entries[index].Body)] = Entry(index, lie) } : null;
        }
    }

    /// <summary>The entry with this global index.</summary>
    internal JsonObject? Find(long logIndex, RekorLie? lie = null)
    {
        lock (gate)
        {
            long index = logIndex - FirstIndex;
            return index >= 0 && index < entries.Count ? Find(Told(IdOf(entries[(int)index].Body), lie), lie) : null;
        }
    }

    /// <summary>The signed entry timestamp: over the RFC 8785 form of these four members. The index is the global one.</summary>
    internal byte[] SignEntry(string body, long integratedTime, long logIndex) => Sign(EntryInput(body, integratedTime, LogId, logIndex));

    internal string SignCheckpoint(long size, byte[] root) => SignCheckpoint(size, root, Key);

    internal byte[] Sign(byte[] data) => Sign(data, Key);

    private async Task<IResult> PostAsync(HttpContext context)
    {
        try
        {
            byte[] body = RekorV1Entry.Canonical(await Answers.ReadAsync<JsonElement>(context));
            (string id, bool existed) = Add(body);
            if (existed)
            {
                context.Response.Headers.Location = $"/api/v1/log/entries/{id}";
                return Answers.RestError($"an equivalent entry already exists in the transparency log with UUID {id}", StatusCodes.Status409Conflict);
            }

            RekorLie? lie = context.Lie<RekorLie>();
            id = Told(id, lie);
            context.Response.Headers.Location = $"/api/v1/log/entries/{id}";
            context.Response.Headers.ETag = id;
            return Answers.Json(Find(id, lie)!, StatusCodes.Status201Created);
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
                .. (query.EntryUUIDs ?? []).Select(id => Find(id)),
                .. (query.LogIndexes ?? []).Select(index => Find(index)),
                .. (query.Entries ?? []).Select(entry => Find(Convert.ToHexStringLower(MerkleTree.LeafHash(RekorV1Entry.Canonical(entry))))),
            ];
            return Answers.Json(new JsonArray([.. found.Where(entry => entry is not null)]));
        }
        catch (BadHttpRequestException e)
        {
            return Answers.RestError(e.Message, e.StatusCode);
        }
    }

    /// <summary>The tree's id, 16 digits, and the leaf hash, 64.</summary>
    private string IdOf(byte[] body) => TreeId.ToString("x16", CultureInfo.InvariantCulture) + Convert.ToHexStringLower(MerkleTree.LeafHash(body));

    private int? IndexOf(string id)
    {
        // The leaf hash alone will do.
        string prefix = TreeId.ToString("x16", CultureInfo.InvariantCulture);
        return indexes.TryGetValue(id.Length == 80 && id.StartsWith(prefix, StringComparison.Ordinal) ? id[16..] : id, out int index) ? index : null;
    }

    /// <summary>The id of the entry that is told of when somebody asks for this one: another one, if that is the lie.</summary>
    private string Told(string id, RekorLie? lie)
    {
        lock (gate)
        {
            return IndexOf(id) is { } index && RekorForgery.Body(entries[index].Body, lie) is { } other ? Add(other).Id : id;
        }
    }

    private JsonObject Entry(int index, RekorLie? lie)
    {
        (byte[] body, long integratedTime) = entries[index];
        string base64 = Convert.ToBase64String(body);
        byte[] id = lie == RekorLie.ForeignLogId ? RekorForgery.LogId() : LogId;
        MerkleTree proving = lie == RekorLie.ProofOfOtherTree ? RekorForgery.Tree(tree.Size) : tree;
        byte[] root = proving.Root();
        using var stranger = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        byte[] promise = Sign(EntryInput(base64, integratedTime, id, FirstIndex + index), lie == RekorLie.SetByOtherKey ? stranger : Key);
        return new JsonObject
        {
            ["body"] = base64,
            ["integratedTime"] = integratedTime,
            ["logID"] = Convert.ToHexStringLower(id),
            ["logIndex"] = FirstIndex + index,
            ["verification"] = new JsonObject
            {
                ["inclusionProof"] = new JsonObject
                {
                    ["checkpoint"] = SignCheckpoint(proving.Size, root, lie == RekorLie.CheckpointByOtherKey ? stranger : Key),
                    ["hashes"] = new JsonArray([.. proving.InclusionProof(index, proving.Size).Select(hash => (JsonNode)Convert.ToHexStringLower(hash))]),
                    ["logIndex"] = index,
                    ["rootHash"] = Convert.ToHexStringLower(root),
                    ["treeSize"] = proving.Size,
                },
                ["signedEntryTimestamp"] = Convert.ToBase64String(promise),
            },
        };
    }

    private static byte[] EntryInput(string body, long integratedTime, byte[] logId, long logIndex) => CanonicalJson.Bytes(new JsonObject
    {
        ["body"] = body,
        ["integratedTime"] = integratedTime,
        ["logID"] = Convert.ToHexStringLower(logId),
        ["logIndex"] = logIndex,
    });

    private string SignCheckpoint(long size, byte[] root, ECDsa key)
    {
        string text = Checkpoint.Text(Origin, size, root);
        return Checkpoint.Note(text, host, LogId, Sign(Checkpoint.Bytes(text), key));
    }

    private static byte[] Sign(byte[] data, ECDsa key) => key.SignData(data, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence);

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
