using System.Globalization;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Testing;
using Microsoft.AspNetCore.Http;

namespace Keyless.Sigstore.Tests;

/// <summary>A TUF repository on loopback, a clock that stands still until it is set, and the folder of a client.</summary>
internal sealed class TufWorld : IAsyncDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly HttpClient http = Clients.New();

    private TufWorld(SettableClock clock, TufRepository repository, LoopbackServer server) => (Clock, Repository, Server) = (clock, repository, server);

    public SettableClock Clock { get; }

    public TufRepository Repository { get; }

    public LoopbackServer Server { get; }

    /// <summary>Where the client keeps its files.</summary>
    public string Folder => folder["cache"];

    public TemporaryFolder Temporary => folder;

    /// <summary>Where the client's trust begins.</summary>
    public byte[] FirstRoot { get; set; } = [];

    public static async Task<TufWorld> StartAsync(TufKeyKind kind = TufKeyKind.EcdsaP256, int keys = 3, int threshold = 2)
    {
        var clock = new SettableClock(Tokens.Now);
        var repository = new TufRepository(clock, kind, keys, threshold);
        LoopbackServer server = await LoopbackServer.StartAsync("tuf", 0, new Traffic(), clock, repository.Map);
        return new TufWorld(clock, repository, server) { FirstRoot = repository.FirstRoot };
    }

    /// <summary>A repository whose roles but root are at version 2, and a client that has seen that.</summary>
    public static async Task<TufWorld> StartKnownAsync(TufKeyKind kind = TufKeyKind.EcdsaP256)
    {
        TufWorld world = await StartAsync(kind);
        world.Repository.AddTarget("artifact.txt", "first"u8.ToArray());
        world.Repository.Publish("targets");
        await world.RefreshAsync();
        Assert.AreEqual("root 1, timestamp 2, snapshot 2, targets 2", world.OnDisk());
        world.Repository.ForgetRequests();
        return world;
    }

    public TufClient Client(string? cache = "", HttpClient? client = null, TimeSpan? timeout = null) =>
        new(Server.BaseUrl, FirstRoot, new Http(client ?? http, Clients.UserAgent), Clock, new TufCache(cache is "" ? Folder : cache)) { Timeout = timeout ?? TimeSpan.FromSeconds(30) };

    /// <summary>A client as a new process would have it.</summary>
    public async Task<TufClient> RefreshAsync()
    {
        TufClient client = Client();
        await client.RefreshAsync(CancellationToken.None);
        return client;
    }

    public async Task<TufException> RefusalAsync() => await Assert.ThrowsExactlyAsync<TufException>(RefreshAsync);

    /// <summary>What the client has on disk: <c>root 1, timestamp 2, …</c>, delegated roles at the end.</summary>
    public string OnDisk()
    {
        string[] order = ["root", "timestamp", "snapshot", "targets"];
        return string.Join(", ", Files()
            .Where(file => file.Key.EndsWith(".json", StringComparison.Ordinal) && !file.Key.Contains('/', StringComparison.Ordinal))
            .Select(file => file.Key[..^5])
            .OrderBy(role => Array.IndexOf(order, role) is var at and >= 0 ? at : order.Length).ThenBy(role => role, StringComparer.Ordinal)
            .Select(role => string.Create(CultureInfo.InvariantCulture, $"{role} {Version(role)}")));
    }

    public long Version(string role) => (long)JsonNode.Parse(File.ReadAllBytes(Path.Combine(Folder, $"{role}.json")))!["signed"]!["version"]!;

    /// <summary>The client's files by path, but for the lock.</summary>
    public SortedDictionary<string, byte[]> Files() => new(
        Directory.Exists(Folder)
            ? Directory.EnumerateFiles(Folder, "*", SearchOption.AllDirectories).Where(file => Path.GetFileName(file) != ".lock")
                .ToDictionary(file => Path.GetRelativePath(Folder, file).Replace('\\', '/'), File.ReadAllBytes)
            : [],
        StringComparer.Ordinal);

    /// <summary>Answers some paths in another way.</summary>
    public void Answer(string path, Func<HttpContext, Task> answer) =>
        Server.Intercept = context => context.Request.Path == $"/{path}" ? answer(context) : Task.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        http.Dispose();
        folder.Dispose();
    }
}

internal sealed class SettableClock(DateTimeOffset now) : TimeProvider
{
    public DateTimeOffset Now { get; set; } = now;

    public override DateTimeOffset GetUtcNow() => Now;
}
