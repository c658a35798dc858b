using System.IO.Pipelines;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;

namespace Keyless.Oci.Tests;

[TestClass]
public sealed class RegistryTransportTests
{
    public TestContext TestContext { get; set; } = null!;

    private CancellationToken Cancel => TestContext.CancellationToken;

    [TestMethod]
    public void Reads_insecure_hosts_as_the_SDK_does() =>
        Assert.AreEqual("a.example b.example:5000", string.Join(' ', RegistryTransport.InsecureHosts(name => name == "DOTNET_CONTAINER_INSECURE_REGISTRIES" ? " a.example ;; b.example:5000;" : null)));

    [TestMethod]
    public async Task Speaks_https_with_any_certificate_to_an_insecure_host_and_stays_there()
    {
        await using WebApplication server = await SelfSignedAsync();
        int port = Port(server);
        using var http = new HttpClient(RegistryTransport.CreateHandler([]));

        Assert.AreEqual("https", await http.GetStringAsync($"https://127.0.0.1:{port}/", Cancel));

        // Once found on https, a host that is away, or replaced by one that speaks http, is not asked over http.
        await server.StopAsync(Cancel);
        await using Sandbox.LoopbackServer plain = await Sandbox.LoopbackServer.StartAsync(
            "plain", port, new Sandbox.Traffic(), TimeProvider.System, routes => routes.Map("/", context => context.Response.WriteAsync("http", Cancel)), cancel: Cancel);
        var no = await Assert.ThrowsExactlyAsync<HttpRequestException>(() => http.GetStringAsync($"https://127.0.0.1:{port}/", Cancel));
        Assert.AreEqual(HttpRequestError.SecureConnectionError, no.HttpRequestError);
    }

    [TestMethod]
    public async Task Goes_over_to_http_for_an_insecure_host_only()
    {
        await using World world = await World.StartAsync(cancel: Cancel);
        using var http = new HttpClient(RegistryTransport.CreateHandler(["Insecure.example:5000"]));

        using HttpResponseMessage answer = await http.GetAsync($"https://localhost:{world.Server.BaseUrl.Port}/v2/", Cancel);
        Assert.AreEqual(HttpStatusCode.OK, answer.StatusCode);
        Assert.AreEqual("http", answer.RequestMessage!.RequestUri!.Scheme);

        var no = await Assert.ThrowsExactlyAsync<HttpRequestException>(() => http.GetAsync("http://secure.invalid/v2/", Cancel));
        Assert.Contains("plain http", no.Message);
    }

    [TestMethod]
    public async Task Finds_out_once_how_to_speak_to_an_insecure_host_however_many_ask_at_a_time()
    {
        int handshakes = 0;
        await using WebApplication server = await PlainAsync(first => handshakes += first == 0x16 ? 1 : 0);
        string address = $"https://127.0.0.1:{Port(server)}/";
        using var http = new HttpClient(RegistryTransport.CreateHandler([]));

        string[] answers = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => http.GetStringAsync(address, Cancel)));

        Assert.IsTrue(answers.All(answer => answer == "http"));
        Assert.AreEqual(1, handshakes);
    }

    [TestMethod]
    public async Task Nobody_waits_for_an_answer_to_know_that_a_host_speaks_http()
    {
        var answer = new TaskCompletionSource();
        await using WebApplication server = await PlainAsync(_ => { }, context => context.Request.Path == "/slow" ? answer.Task : Task.CompletedTask);
        string address = $"https://127.0.0.1:{Port(server)}/";
        using var http = new HttpClient(RegistryTransport.CreateHandler([]));

        Task<string> slow = http.GetStringAsync($"{address}slow", Cancel);
        Assert.AreEqual("http", await http.GetStringAsync(address, Cancel));
        Assert.IsFalse(slow.IsCompleted);

        answer.SetResult();
        Assert.AreEqual("http", await slow);
    }

    [TestMethod]
    [DataRow("http://localhost:1/", true)]
    [DataRow("http://localhost/", true)]
    [DataRow("http://127.9.9.9/", true)]
    [DataRow("http://[::1]:5000/", true)]
    [DataRow("http://localhost.example/", false)]
    [DataRow("http://127.0.0.1.example/", false)]
    [DataRow("http://10.0.0.1/", false)]
    public void Knows_loopback_by_its_addresses(string uri, bool expected) => Assert.AreEqual(expected, RegistryTransport.IsLoopback(new Uri(uri)));

    /// <param name="connected">Told the first byte of every connection, one after the other: 0x16 begins a TLS handshake (RFC 8446 §5.1).</param>
    private async Task<WebApplication> PlainAsync(Action<byte> connected, Func<HttpContext, Task>? before = null)
    {
        var gate = new Lock();
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Use(next => async connection =>
        {
            ReadResult read = await connection.Transport.Input.ReadAsync(Cancel);
            lock (gate)
            {
                connected(read.Buffer.FirstSpan[0]);
            }

            connection.Transport.Input.AdvanceTo(read.Buffer.Start);
            await next(connection);
        })));
        WebApplication application = builder.Build();
        application.Run(async context =>
        {
            await (before?.Invoke(context) ?? Task.CompletedTask);
            await context.Response.WriteAsync(context.Request.Scheme, Cancel);
        });
        await application.StartAsync(Cancel);
        return application;
    }

    private async Task<WebApplication> SelfSignedAsync()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=nobody you know", key, HashAlgorithmName.SHA256);
        using X509Certificate2 made = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        X509Certificate2 certificate = X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pkcs12), null);

        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(certificate)));
        WebApplication application = builder.Build();
        application.Run(context => context.Response.WriteAsync(context.Request.Scheme, Cancel));
        await application.StartAsync(Cancel);
        return application;
    }

    private static int Port(WebApplication server) =>
        new Uri(server.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.Single()).Port;
}
