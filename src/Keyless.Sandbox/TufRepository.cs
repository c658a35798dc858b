using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http.Features;

namespace Keyless.Sandbox;

/// <summary>
/// A TUF repository (specification 1.0.34) of the public Sigstore instances' shape: consistent snapshots, five ECDSA keys of which three sign root and
/// targets, one that signs snapshot and timestamp, no hashes of metadata, stale entries in the snapshot. What is published next may be changed at will
/// (<see cref="this[string]"/>, <see cref="Signers"/>); what has been published stays as it was, and so do the files that tests put in their place.
/// </summary>
/// <remarks>Not safe for changes from several threads; serving is.</remarks>
public sealed class TufRepository
{
    /// <summary>What old clients knew and the public snapshot still lists, though nothing delegates to it.</summary>
    private static readonly string[] StaleEntries = ["rekor.json", "revocation.json", "root.json", "staging.json"];

    private static readonly JsonSerializerOptions Indented = new(JsonAnswer.Readable) { WriteIndented = true };

    private readonly TimeProvider time;
    private readonly Dictionary<string, JsonObject> roles = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, byte[]> files = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<string> requests = new();

    /// <param name="keys">How many keys root and targets have, and how many of them must sign. The public instance: five, three.</param>
    public TufRepository(TimeProvider time, TufKeyKind kind = TufKeyKind.EcdsaP256, int keys = 5, int threshold = 3)
    {
        this.time = time;
        TufSigner[] people = [.. Enumerable.Range(0, keys).Select(_ => TufSigner.Create(kind))];
        TufSigner online = TufSigner.Create(kind);
        roles["root"] = Signed("root", TimeSpan.FromDays(197));
        roles["root"]["consistent_snapshot"] = true;
        roles["root"]["keys"] = new JsonObject();
        roles["root"]["roles"] = new JsonObject();
        SetKeys("root", threshold, people);
        SetKeys("targets", threshold, people);
        SetKeys("snapshot", 1, online);
        SetKeys("timestamp", 1, online);
        roles["timestamp"] = Signed("timestamp", TimeSpan.FromDays(7));
        roles["timestamp"]["meta"] = new JsonObject { ["snapshot.json"] = new JsonObject { ["version"] = 1 } };
        roles["snapshot"] = Signed("snapshot", TimeSpan.FromDays(3650));
        roles["snapshot"]["meta"] = new JsonObject([.. StaleEntries.Select(file => KeyValuePair.Create(file, (JsonNode?)new JsonObject { ["version"] = 1 }))]);
        roles["targets"] = Signed("targets", TimeSpan.FromDays(3650));
        roles["targets"]["targets"] = new JsonObject();
        Sign("root");
        Sign("targets");
        Sign("snapshot");
        Sign("timestamp");
        FirstRoot = files["1.root.json"];
    }

    /// <summary>Where a client's trust begins.</summary>
    public byte[] FirstRoot { get; }

    /// <summary>Who signs a role; the keys themselves are named by the role above, see <see cref="SetKeys"/>.</summary>
    public Dictionary<string, List<TufSigner>> Signers { get; } = new(StringComparer.Ordinal);

    /// <summary>Every file by its path as it stands in a URL, such as <c>2.root.json</c> or <c>targets/HASH.name</c>. What is put here is served as it is.</summary>
    public ConcurrentDictionary<string, byte[]> Files => files;

    /// <summary>What was asked for, in order; paths as sent.</summary>
    public IReadOnlyList<string> Requests => [.. requests];

    /// <summary>Whether timestamp and snapshot list lengths and hashes of what they name.</summary>
    public bool HashesInMeta { get; set; }

    /// <summary>Whether files carry versions and hashes in their names. A client learns it from the next root.</summary>
    public bool ConsistentSnapshot
    {
        get => (bool)roles["root"]["consistent_snapshot"]!;
        set => roles["root"]["consistent_snapshot"] = value;
    }

    /// <summary>The <c>signed</c> part of a role as it will be published next.</summary>
    public JsonObject this[string role] => roles[role];

    public long Version(string role) => VersionOf(roles[role]);

    public void ForgetRequests() => requests.Clear();

    public void Map(IEndpointRouteBuilder routes) => routes.MapGet("/{**path}", AnswerAsync);

    /// <summary>Names the keys of a role in the role above it, and who signs from now on.</summary>
    public void SetKeys(string role, int threshold, params IReadOnlyList<TufSigner> signers)
    {
        JsonObject holder = roles["root"];
        JsonObject entry = [];
        if (role is "root" or "timestamp" or "snapshot" or "targets")
        {
            holder["roles"]![role] = entry;
        }
        else
        {
            holder = roles.Values.Select(candidate => candidate["delegations"]).OfType<JsonObject>().Single(delegations => Delegated(delegations, role) is not null);
            entry = Delegated(holder, role)!;
        }

        foreach (TufSigner signer in signers)
        {
            holder["keys"]![signer.KeyId] = signer.Key.DeepClone();
        }

        entry["keyids"] = new JsonArray([.. signers.Select(signer => (JsonNode)signer.KeyId)]);
        entry["threshold"] = threshold;
        Signers[role] = [.. signers];
    }

    /// <summary>New keys for a role, as many as it had. Root is signed by the old ones as well; it is published, the role is not.</summary>
    public void RotateKeys(string role, TufKeyKind kind = TufKeyKind.EcdsaP256)
    {
        List<TufSigner> old = Signers[role];
        int threshold = (int)roles["root"]["roles"]![role]!["threshold"]!;
        SetKeys(role, threshold, [.. old.Select(_ => TufSigner.Create(kind))]);
        if (role == "root")
        {
            Signers["root"].AddRange(old);
        }

        Publish("root");
        if (role == "root")
        {
            Signers["root"].RemoveRange(old.Count, old.Count);
        }
    }

    /// <summary>Lets a role be delegated by another, with a key of its own.</summary>
    /// <param name="pathsOrPrefixes">The delegation's <c>paths</c>; or, where they begin with <c>#</c>, its <c>path_hash_prefixes</c>.</param>
    public void Delegate(string delegator, string role, bool terminating = false, params IReadOnlyList<string> pathsOrPrefixes)
    {
        if (roles[delegator]["delegations"] is not JsonObject delegations)
        {
            roles[delegator]["delegations"] = delegations = new JsonObject { ["keys"] = new JsonObject(), ["roles"] = new JsonArray() };
        }

        if (!roles.ContainsKey(role))
        {
            roles[role] = Signed("targets", TimeSpan.FromDays(365));
            roles[role]["targets"] = new JsonObject();
            Signers[role] = [TufSigner.Create()];
        }

        TufSigner signer = Signers[role][0];
        delegations["keys"]![signer.KeyId] = signer.Key.DeepClone();
        bool prefixes = pathsOrPrefixes.Any(path => path.StartsWith('#'));
        delegations["roles"]!.AsArray().Add(new JsonObject
        {
            ["name"] = role,
            ["keyids"] = new JsonArray(signer.KeyId),
            ["threshold"] = 1,
            ["terminating"] = terminating,
            [prefixes ? "path_hash_prefixes" : "paths"] = new JsonArray([.. pathsOrPrefixes.Select(path => (JsonNode)path.TrimStart('#'))]),
        });
    }

    /// <summary>Lists a target in a role and serves it. The role has to be published for clients to see it.</summary>
    public void AddTarget(string name, byte[] content, string role = "targets")
    {
        string hash = Convert.ToHexStringLower(SHA256.HashData(content));
        roles[role]["targets"]![name] = new JsonObject { ["length"] = content.Length, ["hashes"] = new JsonObject { ["sha256"] = hash } };
        string[] path = name.Split('/');
        files[TargetPath(path)] = content;
        path[^1] = $"{hash}.{path[^1]}";
        files[TargetPath(path)] = content;
    }

    /// <summary>Publishes the next version of these roles, and of every role that lists them: targets roles make a new snapshot, a snapshot makes a new timestamp.</summary>
    public void Publish(params IReadOnlyCollection<string> changed)
    {
        foreach (string role in changed.Where(role => role is not ("snapshot" or "timestamp")))
        {
            Bump(role);
            Sign(role);
        }

        if (changed.Any(role => role is not ("root" or "timestamp")))
        {
            Bump("snapshot");
            Sign("snapshot");
        }

        if (changed.Any(role => role != "root"))
        {
            Bump("timestamp");
            Sign("timestamp");
        }
    }

    /// <summary>Publishes a role that expired an hour ago.</summary>
    public void Expire(string role)
    {
        SetExpiry(role, TimeSpan.FromHours(-1));
        Publish(role);
    }

    public void SetExpiry(string role, TimeSpan fromNow) => roles[role]["expires"] = At(fromNow);

    /// <summary>Signs a role as it stands and serves it, whatever its version.</summary>
    /// <returns>The file.</returns>
    public byte[] Sign(string role)
    {
        JsonObject signed = roles[role];
        if (role == "snapshot")
        {
            foreach (string listed in roles.Keys.Where(name => name is not ("root" or "timestamp" or "snapshot")))
            {
                List(listed, signed, $"{listed}.json");
            }
        }
        else if (role == "timestamp")
        {
            List("snapshot", signed, "snapshot.json");
        }

        return Serve(role, signed, Signers[role]);
    }

    /// <summary>Serves any content as the current file of a role.</summary>
    public byte[] Serve(string role, JsonObject content, IEnumerable<TufSigner> signers)
    {
        byte[] bytes = Envelope(content, signers);
        string name = Uri.EscapeDataString(role);
        files[string.Create(CultureInfo.InvariantCulture, $"{VersionOf(content)}.{name}.json")] = bytes;
        files[$"{name}.json"] = bytes;
        return bytes;
    }

    /// <summary>Content and signatures as one file.</summary>
    public static byte[] Envelope(JsonObject content, IEnumerable<TufSigner> signers) => JsonSerializer.SerializeToUtf8Bytes(
        new JsonObject { ["signatures"] = new JsonArray([.. signers.Select(signer => (JsonNode)signer.Sign(content))]), ["signed"] = content.DeepClone() }, Indented);

    // A node made from an int is no long until it has been text.
    private static long VersionOf(JsonObject content) => long.TryParse(content["version"]?.ToJsonString(), CultureInfo.InvariantCulture, out long version) ? version : 0;

    private static JsonObject? Delegated(JsonNode delegations, string role) =>
        delegations["roles"]!.AsArray().OfType<JsonObject>().SingleOrDefault(entry => (string?)entry["name"] == role);

    private static string TargetPath(string[] path) => $"targets/{string.Join('/', path.Select(Uri.EscapeDataString))}";

    private void Bump(string role) => roles[role]["version"] = Version(role) + 1;

    private void List(string role, JsonObject by, string file)
    {
        var entry = new JsonObject { ["version"] = Version(role) };
        if (HashesInMeta && files.TryGetValue($"{Uri.EscapeDataString(role)}.json", out byte[]? bytes))
        {
            entry["length"] = bytes.Length;
            entry["hashes"] = new JsonObject { ["sha256"] = Convert.ToHexStringLower(SHA256.HashData(bytes)) };
        }

        by["meta"]![file] = entry;
    }

    private JsonObject Signed(string type, TimeSpan life) => new()
    {
        ["_type"] = type,
        ["expires"] = At(life),
        // The public repositories write two components.
        ["spec_version"] = "1.0",
        ["version"] = 1,
    };

    private string At(TimeSpan fromNow) => (time.GetUtcNow() + fromNow).UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    private async Task AnswerAsync(HttpContext context)
    {
        // As sent: routing would have decoded what is part of a role's name.
        string path = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget.TrimStart('/');
        requests.Enqueue(path);
        if (!files.TryGetValue(path, out byte[]? bytes))
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        context.Response.ContentType = "application/octet-stream";
        context.Response.ContentLength = bytes.Length;
        await context.Response.Body.WriteAsync(bytes, context.RequestAborted);
    }
}
