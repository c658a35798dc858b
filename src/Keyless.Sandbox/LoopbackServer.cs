using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using BadHttpRequestException = Microsoft.AspNetCore.Http.BadHttpRequestException;

namespace Keyless.Sandbox;

/// <summary>
/// One part of the sandbox as a server of its own: HTTP on 127.0.0.1, nothing read from the machine's configuration, nothing
/// logged, every request recorded in <see cref="Traffic"/>.
/// </summary>
public sealed class LoopbackServer : IAsyncDisposable
{
    /// <summary>No request to a signing service is near this; a token, a certificate request and a bundle are kilobytes.</summary>
    internal const long LargestSmallBody = 1 << 20;

    private readonly Traffic traffic;
    private readonly TimeProvider time;
    private readonly Action<IEndpointRouteBuilder> map;
    private readonly long largestBody;
    private readonly SemaphoreSlim turn = new(1);
    private WebApplication application = null!;
    private Socket? holder;
    private bool stopped;
    private bool disposed;

    private LoopbackServer(string part, Traffic traffic, TimeProvider time, Action<IEndpointRouteBuilder> map, long largestBody)
    {
        (Part, this.traffic, this.time, this.map, this.largestBody) = (part, traffic, time, map, largestBody);
        Faults = new Faults(time);
    }

    public string Part { get; }

    /// <summary><c>http://127.0.0.1:PORT</c>; stays the same after the server has stopped.</summary>
    public Uri BaseUrl { get; private set; } = null!;

    /// <summary>Waited before a request is handled, in real time. May be changed at any time.</summary>
    public TimeSpan Delay { get; set; }

    /// <summary>
    /// Called before each request reaches the part; may be set and removed at any time. The request counts as answered, and the
    /// part never sees it, if this has started the response, has set another status than 200, or has aborted the connection.
    /// Otherwise the part answers as usual. For an answer that is lost after the part has done its work, leave the response
    /// alone and register <c>Response.OnStarting</c> with an action that aborts the connection.
    /// </summary>
    public RequestDelegate? Intercept { get; set; }

    /// <summary>What goes wrong with requests that an <see cref="Intercept"/> has let pass.</summary>
    public Faults Faults { get; }

    /// <param name="part">Name in <see cref="Traffic"/>.</param>
    /// <param name="port">0 for any free one.</param>
    /// <param name="time">For the times in <paramref name="traffic"/>, and for those of <see cref="Faults"/>.</param>
    /// <param name="map">Adds the part's routes.</param>
    /// <param name="largestBody">Bytes; longer requests are answered with 413.</param>
    /// <exception cref="IOException">The port is taken.</exception>
    public static async Task<LoopbackServer> StartAsync(
        string part,
        int port,
        Traffic traffic,
        TimeProvider time,
        Action<IEndpointRouteBuilder> map,
        long largestBody = LargestSmallBody,
        CancellationToken cancel = default)
    {
        var server = new LoopbackServer(part, traffic, time, map, largestBody);
        await server.ListenAsync(port, cancel);
        string address = server.application.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.Single();
        server.BaseUrl = new Uri(address);
        return server;
    }

    /// <summary>From here on connections are refused; requests under way have a second to end.</summary>
    public async Task StopAsync(CancellationToken cancel = default)
    {
        await turn.WaitAsync(cancel);
        try
        {
            if (!disposed && !stopped)
            {
                stopped = true;
                await application.StopAsync(cancel);
                HoldPort();
            }
        }
        finally
        {
            turn.Release();
        }
    }

    /// <summary>Answers again after <see cref="StopAsync"/>, on the same port; the part knows what it knew.</summary>
    public async Task RestartAsync(CancellationToken cancel = default)
    {
        await turn.WaitAsync(cancel);
        try
        {
            if (!disposed && stopped)
            {
                await application.DisposeAsync();
                await ListenAsync(BaseUrl.Port, cancel);
                holder?.Dispose();
                (holder, stopped) = (null, false);
            }
        }
        finally
        {
            turn.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await turn.WaitAsync();
        try
        {
            disposed = true;
            holder?.Dispose();
            await application.DisposeAsync();
        }
        finally
        {
            turn.Release();
        }
    }

    /// <summary>Returns as soon as connections are refused. The server stops while the caller goes on, and starts again this time later.</summary>
    internal async Task StopForAsync(TimeSpan down)
    {
        _ = Task.Run(async () =>
        {
            await StopAsync();
            await Task.Delay(down, time);
            await RestartAsync();
        });
        try
        {
            while (true)
            {
                using var probe = new TcpClient();
                await probe.ConnectAsync(IPAddress.Loopback, BaseUrl.Port);
                await Task.Delay(TimeSpan.FromMilliseconds(5));
            }
        }
        catch (SocketException)
        {
            // Refused.
        }
    }

    private async Task ListenAsync(int port, CancellationToken cancel)
    {
        // The empty builder reads no appsettings.json, no ASPNETCORE_… variables and no arguments, and logs nowhere.
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Services.AddRoutingCore();
        builder.Services.AddSingleton<IHostLifetime, OwnersLifetime>();
        builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromSeconds(1));
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = largestBody;
            kestrel.Limits.MinRequestBodyDataRate = null; // a client in a debugger is slow
            kestrel.Listen(IPAddress.Loopback, port, listen => listen.Protocols = HttpProtocols.Http1);
        });

        application = builder.Build();
        application.Use(AnswerAsync);
        map(application);
        try
        {
            await application.StartAsync(cancel);
        }
        catch
        {
            await application.DisposeAsync();
            throw;
        }
    }

    /// <summary>A socket that is bound and does not listen: connections are refused, and nobody else is given the port meanwhile.</summary>
    private void HoldPort()
    {
        // Elsewhere it would keep the port from ourselves, too.
        if (OperatingSystem.IsLinux())
        {
            holder = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            holder.Bind(new IPEndPoint(IPAddress.Loopback, BaseUrl.Port));
        }
    }

    private async Task AnswerAsync(HttpContext context, RequestDelegate next)
    {
        HttpRequest request = context.Request;
        long began = traffic.Next();
        DateTimeOffset start = time.GetUtcNow();
        bool recorded = false;
        var connection = new Connection(context.Features.GetRequiredFeature<IHttpRequestLifetimeFeature>());
        context.Features.Set<IHttpRequestLifetimeFeature>(connection);

        // Recorded when the answer begins to leave, not when it has left: by then the client may have sent its next request.
        context.Response.OnStarting(() =>
        {
            Record(connection.Aborted ? 0 : context.Response.StatusCode);
            return Task.CompletedTask;
        });
        try
        {
            await HandleAsync(context, connection, next);
            if (!context.Response.HasStarted && !connection.Aborted)
            {
                await context.Response.StartAsync();
            }
        }
        catch (OperationCanceledException) when (connection.Aborted)
        {
            // The client has gone, or an intercept has sent it away.
        }
        catch (Exception e) when (!context.Response.HasStarted)
        {
            context.Response.Clear();
            context.Response.StatusCode = e is BadHttpRequestException bad ? bad.StatusCode : StatusCodes.Status500InternalServerError;
            await context.Response.WriteAsync(e is BadHttpRequestException ? e.Message : e.ToString());
        }
        finally
        {
            Record(0);
        }

        void Record(int status)
        {
            if (recorded)
            {
                return;
            }

            recorded = true;
            traffic.Add(new Exchange(
                Part, request.Method, request.Path, request.Headers.UserAgent.ToString(), status, start, time.GetUtcNow(), began, traffic.Next()));
        }
    }

    private async Task HandleAsync(HttpContext context, Connection connection, RequestDelegate next)
    {
        if (Delay > TimeSpan.Zero)
        {
            await Task.Delay(Delay, context.RequestAborted);
        }

        if (Intercept is { } intercept)
        {
            await intercept(context);
            if (context.Response.HasStarted || context.Response.StatusCode != StatusCodes.Status200OK || connection.Aborted)
            {
                return;
            }
        }

        await (Faults.Next(context.Request) is { } fault ? fault.AnswerAsync(new FaultyRequest(this, context, next, time)) : next(context));
    }

    /// <summary>Knows at once that the connection was aborted here; Kestrel cancels its token a little later, on another thread.</summary>
    private sealed class Connection(IHttpRequestLifetimeFeature kestrel) : IHttpRequestLifetimeFeature
    {
        private volatile bool aborted;

        public bool Aborted => aborted || kestrel.RequestAborted.IsCancellationRequested;

        public CancellationToken RequestAborted
        {
            get => kestrel.RequestAborted;
            set => kestrel.RequestAborted = value;
        }

        public void Abort()
        {
            aborted = true;
            kestrel.Abort();
        }
    }

    /// <summary>Whoever started the server stops it; the host's own lifetime would take Ctrl+C and SIGTERM for itself.</summary>
    private sealed class OwnersLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
