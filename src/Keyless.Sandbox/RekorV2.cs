using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Org.BouncyCastle.Crypto;
using Org.BouncyCastle.Crypto.Parameters;
using Org.BouncyCastle.Security;
using Org.BouncyCastle.X509;

namespace Keyless.Sandbox;

/// <summary>The key with which a Rekor v2 signs its checkpoints.</summary>
public enum RekorV2Key
{
    Ed25519,
    EcdsaP256,
}

/// <summary>A Rekor of version 2 (rekor-tiles): takes hashedrekord entries and answers each with its inclusion proof once a checkpoint covers it.</summary>
public sealed class RekorV2
{
    private readonly TimeProvider time;
    private readonly string host;
    private readonly Lock gate = new();
    private readonly MerkleTree tree = new();
    private readonly Dictionary<string, int> indexes = new(StringComparer.Ordinal);
    private Task<SignedTree>? next;

    /// <param name="host">Origin and key name of the checkpoints: the host of the log's URL, without a port.</param>
    public RekorV2(RekorV2Key kind, string host, TimeProvider time)
    {
        this.time = time;
        this.host = host;
        Kind = kind;
        Start = TrustMaterial.StartOf(time);
        if (kind == RekorV2Key.Ed25519)
        {
            Ed25519 = new Ed25519PrivateKeyParameters(new SecureRandom());
            Spki = SubjectPublicKeyInfoFactory.CreateSubjectPublicKeyInfo(Ed25519.GeneratePublicKey()).GetDerEncoded();
        }
        else
        {
            Ecdsa = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            Spki = Ecdsa.ExportSubjectPublicKeyInfo();
        }

        // A first entry of its own: proto3 JSON leaves out an index of zero, and some clients do not expect that.
        using var seed = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        byte[] digest = SHA256.HashData(Encoding.UTF8.GetBytes(host));
        Append(RekorV2Entry.Canonical(digest, seed.SignHash(digest, DSASignatureFormat.Rfc3279DerSequence), SubmittedKey.FromSpki(seed.ExportSubjectPublicKeyInfo())));
    }

    /// <summary>How far checkpoints are apart; all entries of an interval share one. Zero: each entry gets its own at once.</summary>
    public TimeSpan CheckpointInterval { get; init; }

    internal RekorV2Key Kind { get; }

    internal Ed25519PrivateKeyParameters? Ed25519 { get; }

    internal ECDsa? Ecdsa { get; }

    internal byte[] Spki { get; }

    internal DateTimeOffset Start { get; }

    /// <summary>C2SP signed-note: an Ed25519 key's id hashes name, LF, 0x01 and the 32 bytes of the key; an ECDSA key's id hashes its SPKI.</summary>
    internal byte[] KeyId => SHA256.HashData(Ed25519 is null ? Spki : [.. Encoding.UTF8.GetBytes(host), (byte)'\n', 1, .. Ed25519.GeneratePublicKey().GetEncoded()]);

    public void Map(IEndpointRouteBuilder routes) => routes.MapPost("/api/v2/log/entries", (Delegate)PostAsync);

    internal string SignCheckpoint(long size, byte[] root) => SignCheckpoint(size, root, Sign);

    internal byte[] Sign(byte[] data)
    {
        if (Ecdsa is not null)
        {
            return Ecdsa.SignData(data, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence);
        }

        ISigner signer = SignerUtilities.InitSigner("Ed25519", forSigning: true, Ed25519, random: null);
        signer.BlockUpdate(data, 0, data.Length);
        return signer.GenerateSignature();
    }

    /// <summary>Logs a body and returns its TransparencyLogEntry; null if the log has it already, at <paramref name="index"/>.</summary>
    internal Task<JsonObject>? Add(byte[] body, out int index, CancellationToken cancel) => Add(body, out index, null, cancel);

    private Task<JsonObject>? Add(byte[] body, out int index, RekorLie? lie, CancellationToken cancel)
    {
        lock (gate)
        {
            if (indexes.TryGetValue(Leaf(body), out index))
            {
                return null;
            }

            index = Append(body);
            if (RekorForgery.Body(body, lie) is { } other)
            {
                (body, index) = (other, Append(other));
            }

            Task<SignedTree> covering = CheckpointInterval > TimeSpan.Zero
                ? next ??= Task.Run(SignLaterAsync, CancellationToken.None)
                : Task.FromResult(SignNow());
            return ProveAsync(body, index, covering, lie, cancel);
        }
    }

    private async Task<IResult> PostAsync(HttpContext context)
    {
        try
        {
            byte[] body = RekorV2Entry.Canonical(await Answers.ReadAsync<RekorV2Entry.AddRequest>(context));
            if (Add(body, out int index, context.Lie<RekorLie>(), context.RequestAborted) is { } entry)
            {
                return Answers.Json(await entry, StatusCodes.Status201Created);
            }

            context.Response.Headers["X-Log-Index"] = Decimal(index);
            return Answers.GatewayError($"an equivalent entry already exists in the transparency log with index {index}", StatusCodes.Status409Conflict, code: 6);
        }
        catch (BadHttpRequestException e)
        {
            return Answers.GatewayError(e.Message, e.StatusCode);
        }
    }

    private int Append(byte[] body)
    {
        indexes.Add(Leaf(body), tree.Size);
        return tree.Append(body);
    }

    private SignedTree SignNow()
    {
        byte[] root = tree.Root();
        return new SignedTree(tree.Size, root, SignCheckpoint(tree.Size, root));
    }

    /// <summary>Checkpoints are made on the ticks of a clock that started with the log, not so long after a request.</summary>
    private async Task<SignedTree> SignLaterAsync()
    {
        await Task.Delay(CheckpointInterval - TimeSpan.FromTicks((time.GetUtcNow() - Start).Ticks % CheckpointInterval.Ticks), time);
        lock (gate)
        {
            next = null;
            return SignNow();
        }
    }

    private async Task<JsonObject> ProveAsync(byte[] body, int index, Task<SignedTree> covering, RekorLie? lie, CancellationToken cancel)
    {
        SignedTree signed = await covering.WaitAsync(cancel);
        IReadOnlyList<byte[]> hashes;
        lock (gate)
        {
            MerkleTree proving = lie == RekorLie.ProofOfOtherTree ? RekorForgery.Tree(tree.Size) : tree;
            byte[] root = proving.Root(signed.Size);
            hashes = proving.InclusionProof(index, signed.Size);
            signed = lie switch
            {
                RekorLie.ProofOfOtherTree => signed with { Root = root, Note = SignCheckpoint(signed.Size, root) },
                RekorLie.CheckpointByOtherKey => signed with { Note = SignCheckpoint(signed.Size, root, new RekorV2(Kind, host, time).Sign) },
                _ => signed,
            };
        }

        var proof = new JsonObject
        {
            ["rootHash"] = Convert.ToBase64String(signed.Root),
            ["treeSize"] = Decimal(signed.Size),
            ["checkpoint"] = new JsonObject { ["envelope"] = signed.Note },
        };
        var entry = new JsonObject
        {
            ["logId"] = new JsonObject { ["keyId"] = Convert.ToBase64String(lie == RekorLie.ForeignLogId ? RekorForgery.LogId() : KeyId) },
            ["kindVersion"] = new JsonObject { ["kind"] = "hashedrekord", ["version"] = "0.0.2" },
            ["inclusionProof"] = proof,
            ["canonicalizedBody"] = Convert.ToBase64String(body),
        };
        // proto3 JSON: a 64-bit integer is a string, and zero or nothing is left out.
        if (index > 0)
        {
            (entry["logIndex"], proof["logIndex"]) = (Decimal(index), Decimal(index));
        }

        if (hashes.Count > 0)
        {
            proof["hashes"] = new JsonArray([.. hashes.Select(hash => (JsonNode)Convert.ToBase64String(hash))]);
        }

        return entry;
    }

    private string SignCheckpoint(long size, byte[] root, Func<byte[], byte[]> sign)
    {
        string text = Checkpoint.Text(host, size, root);
        return Checkpoint.Note(text, host, KeyId, sign(Checkpoint.Bytes(text)));
    }

    private static string Decimal(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Leaf(byte[] body) => Convert.ToHexString(MerkleTree.LeafHash(body));

    private sealed record SignedTree(int Size, byte[] Root, string Note);
}
