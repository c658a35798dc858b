using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
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
    [DataRow("http://localhost:1/", true)]
    [DataRow("http://localhost/", true)]
    [DataRow("http://127.9.9.9/", true)]
    [DataRow("http://[::1]:5000/", true)]
    [DataRow("http://localhost.example/", false)]
    [DataRow("http://127.0.0.1.example/", false)]
    [DataRow("http://10.0.0.1/", false)]
    public void Knows_loopback_by_its_addresses(string uri, bool expected) => Assert.AreEqual(expected, RegistryTransport.IsLoopback(new Uri(uri)));

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
