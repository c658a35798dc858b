using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace Keyless.Sandbox.Tests;

/// <summary>One service on a free loopback port, and a client for it.</summary>
internal sealed class World : IAsyncDisposable
{
    private readonly WebApplication app;

    private World(WebApplication app)
    {
        this.app = app;
        Client = new HttpClient { BaseAddress = new Uri(app.Urls.Single()) };
    }

    public HttpClient Client { get; }

    public static async Task<World> StartAsync(Action<IEndpointRouteBuilder> map, CancellationToken cancel)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        WebApplication app = builder.Build();
        map(app);
        await app.StartAsync(cancel);
        return new World(app);
    }

    public async Task<(HttpResponseMessage Response, JsonObject Body)> PostAsync(string path, JsonNode body, CancellationToken cancel)
    {
        HttpResponseMessage response = await Client.PostAsJsonAsync(path, body, cancel);
        return (response, (await response.Content.ReadFromJsonAsync<JsonObject>(cancel))!);
    }

    public static byte[] Sign(ECDsa key, byte[] data) => key.SignData(data, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence);

    public static bool Verifies(byte[] spki, byte[] data, byte[] signature)
    {
        using var key = ECDsa.Create();
        key.ImportSubjectPublicKeyInfo(spki, out _);
        return key.VerifyData(data, signature, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence);
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await app.DisposeAsync();
    }
}
