using System.Text;
using Keyless.Sandbox;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Polly;

namespace Keyless.Oci.Tests;

/// <summary>A registry on loopback, the client for it, and whatever other servers a test needs beside them.</summary>
internal sealed class World : IAsyncDisposable
{
    public const string UserAgent = "Keyless.Oci.Tests/1.0";

    private readonly List<IAsyncDisposable> owned = [];
    private readonly HttpClient http = new(RegistryTransport.CreateHandler([]));

    private World()
    {
    }

    public Traffic Traffic { get; } = new();

    public Sandbox.Registry Content { get; } = new();

    public LoopbackServer Server { get; private set; } = null!;

    public string Host => Server.BaseUrl.Authority;

    public List<string> Notes { get; } = [];

    public static async Task<World> StartAsync(bool referrersApi = true, CancellationToken cancel = default)
    {
        var world = new World();
        world.Content.ReferrersApi = referrersApi;
        world.Server = await LoopbackServer.StartAsync("registry", 0, world.Traffic, TimeProvider.System, world.Content.Map, cancel: cancel);
        world.owned.Add(world.Server);
        return world;
    }

    /// <summary>A server that is nobody's registry.</summary>
    public async Task<Stranger> StrangerAsync(RequestDelegate answer, CancellationToken cancel)
    {
        var seen = new List<string>();
        LoopbackServer server = await LoopbackServer.StartAsync(
            "stranger",
            0,
            Traffic,
            TimeProvider.System,
            routes => routes.Map("/{**path}", context =>
            {
                lock (seen)
                {
                    seen.Add(context.Request.Headers.Authorization.ToString());
                }

                return answer(context);
            }),
            cancel: cancel);
        owned.Add(server);
        return new Stranger(server.BaseUrl, seen);
    }

    public Registry Client(RegistryAccess access = RegistryAccess.Push, Dictionary<string, string>? environment = null, string repository = "app", TimeProvider? time = null, ResiliencePipeline? retries = null) =>
        new(http, Host, repository, new RegistryCredentials((environment ?? []).GetValueOrDefault, access), new RegistrySettings(time ?? TimeProvider.System, Notes.Add, retries is null ? null : () => retries), UserAgent);

    /// <summary>An image of one layer.</summary>
    public Descriptor Image(string name = "1.0", string repository = "app")
    {
        byte[] config = "{}"u8.ToArray();
        byte[] layer = Encoding.UTF8.GetBytes(name);
        Content.PutBlob(repository, layer);
        byte[] bytes = Encoding.UTF8.GetBytes($$"""
            {"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}","config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":"{{Digest.Of(config)}}"},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","size":{{layer.Length}},"digest":"{{Digest.Of(layer)}}"}]}
            """);
        return new Descriptor(MediaTypes.OciManifest, Digest.Parse(Content.PutManifest(repository, name, bytes, MediaTypes.OciManifest)), bytes.Length);
    }

    public async ValueTask DisposeAsync()
    {
        http.Dispose();
        foreach (IAsyncDisposable server in owned)
        {
            await server.DisposeAsync();
        }
    }
}

internal static class Pages
{
    /// <summary>All pages of referrers in one list; null where there is not even a first page.</summary>
    public static async Task<IReadOnlyList<Descriptor>?> GetReferrersAsync(this Registry registry, Digest subject, CancellationToken cancel)
    {
        List<Descriptor>? all = null;
        await foreach (IReadOnlyList<Descriptor> page in registry.ReadReferrersAsync(subject, cancel))
        {
            (all ??= []).AddRange(page);
        }

        return all;
    }
}

/// <param name="Authorizations">Of every request it got, empty where there was none.</param>
internal sealed record Stranger(Uri BaseUrl, List<string> Authorizations);
