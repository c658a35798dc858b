using System.Collections.Concurrent;
using System.Net;

namespace Keyless.Oci;

/// <summary>
/// How bytes get to a registry: TLS judged by the operating system, no redirects, cookies or decompression behind our back. A host named as
/// insecure is tried over https with certificate errors ignored, then over http; the first that connects is kept for the life of the handler.
/// Any other host is never spoken to over http.
/// </summary>
public sealed class RegistryTransport : HttpMessageHandler
{
    private readonly HashSet<string> insecureHosts;
    private readonly HttpMessageInvoker strict = new(CreateSocketsHandler(anyCertificate: false));
    private readonly HttpMessageInvoker lax = new(CreateSocketsHandler(anyCertificate: true));
    private readonly ConcurrentDictionary<string, string> schemes = new(StringComparer.OrdinalIgnoreCase);
    private readonly ConcurrentDictionary<string, TaskCompletionSource> trials = new(StringComparer.OrdinalIgnoreCase);

    private RegistryTransport(IEnumerable<string> insecureHosts) => this.insecureHosts = new(insecureHosts, StringComparer.OrdinalIgnoreCase);

    /// <summary>The handler to build the HttpClient for <see cref="Registry"/> from. It holds the connections: one per process part, not per call.</summary>
    /// <param name="insecureHosts">Whole names, <c>host[:port]</c>; loopback is always among them.</param>
    public static HttpMessageHandler CreateHandler(IEnumerable<string> insecureHosts) => new RegistryTransport(insecureHosts);

    /// <summary>The hosts <c>DOTNET_CONTAINER_INSECURE_REGISTRIES</c> names, separated by semicolons as in the .NET SDK.</summary>
    public static IReadOnlyList<string> InsecureHosts(Func<string, string?> environment) =>
        (environment("DOTNET_CONTAINER_INSECURE_REGISTRIES") ?? "").Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    /// <summary><c>localhost</c>, 127.0.0.0/8 or [::1], whatever the port.</summary>
    internal static bool IsLoopback(Uri uri) =>
        uri.Host == "localhost" || (IPAddress.TryParse(uri.DnsSafeHost, out IPAddress? address) && IPAddress.IsLoopback(address));

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        Uri uri = request.RequestUri ?? throw new InvalidOperationException("a request without an address");
        if (!IsLoopback(uri) && !insecureHosts.Contains(uri.Authority) && !insecureHosts.Contains($"{uri.Host}:{uri.Port}"))
        {
            return uri.Scheme == Uri.UriSchemeHttps
                ? await strict.SendAsync(request, cancellationToken)
                : throw new HttpRequestException(HttpRequestError.SecureConnectionError, "plain http is spoken only to registries named as insecure");
        }

        if (uri.Scheme == Uri.UriSchemeHttp)
        {
            return await lax.SendAsync(request, cancellationToken);
        }

        if (schemes.TryGetValue(uri.Authority, out string? known))
        {
            return await OverAsync(known);
        }

        // One finds out for all: each handshake that fails costs as much as several that do not.
        var trial = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource first = trials.GetOrAdd(uri.Authority, trial);
        if (first != trial)
        {
            await first.Task.WaitAsync(cancellationToken);
            if (schemes.TryGetValue(uri.Authority, out known))
            {
                return await OverAsync(known);
            }
        }

        try
        {
            return await TryAsync();
        }
        finally
        {
            trial.TrySetResult();
        }

        Task<HttpResponseMessage> OverAsync(string scheme)
        {
            request.RequestUri = WithScheme(uri, scheme);
            return lax.SendAsync(request, cancellationToken);
        }

        async Task<HttpResponseMessage> TryAsync()
        {
            string scheme = Uri.UriSchemeHttps;
            HttpResponseMessage response;
            try
            {
                response = await OverAsync(scheme);
            }
            catch (HttpRequestException e) when (e.HttpRequestError is HttpRequestError.SecureConnectionError or HttpRequestError.ConnectionError)
            {
                // Nothing of the request was sent: there was no connection to send it on.
                scheme = Uri.UriSchemeHttp;
                if (e.HttpRequestError == HttpRequestError.SecureConnectionError)
                {
                    // Somebody is there who does not speak TLS; nobody has to wait for his answer to know that.
                    schemes.TryAdd(uri.Authority, scheme);
                    trial.TrySetResult();
                }

                response = await OverAsync(scheme);
            }

            schemes.TryAdd(uri.Authority, scheme);
            return response;
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            strict.Dispose();
            lax.Dispose();
        }
        base.Dispose(disposing);
    }

    private static Uri WithScheme(Uri uri, string scheme) =>
        uri.Scheme == scheme ? uri : RegistryAddress.Verbatim($"{scheme}://{uri.Authority}{uri.PathAndQuery}");

    private static SocketsHttpHandler CreateSocketsHandler(bool anyCertificate)
    {
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            AutomaticDecompression = DecompressionMethods.None,
            ConnectTimeout = Limits.ConnectTimeout,
            ActivityHeadersPropagator = null,
        };
#pragma warning disable CA5359 // For the hosts the user named, and loopback, only: the strict handler serves all others.
        if (anyCertificate)
        {
            handler.SslOptions.RemoteCertificateValidationCallback = (_, _, _, _) => true;
        }
#pragma warning restore CA5359
        return handler;
    }
}
