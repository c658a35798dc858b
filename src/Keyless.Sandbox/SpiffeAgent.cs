using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Keyless.Sandbox;

/// <summary>A SPIFFE agent: the Workload API's <c>FetchJWTSVID</c> as gRPC over HTTP/2 on a Unix socket.</summary>
public sealed class SpiffeAgent : IAsyncDisposable
{
    private readonly WebApplication application;

    private SpiffeAgent(WebApplication application, string socket) => (this.application, Socket) = (application, socket);

    /// <summary>Path of the socket.</summary>
    public string Socket { get; }

    /// <summary>What a workload reads from <c>SPIFFE_ENDPOINT_SOCKET</c>.</summary>
    public string Address => $"unix://{Socket}";

    /// <param name="socket">A path of at most some hundred characters, where nothing is yet.</param>
    /// <param name="token">Makes a token for an audience; null: the agent does not know who is asking.</param>
    public static async Task<SpiffeAgent> StartAsync(string socket, Func<string, string?> token, CancellationToken cancel = default)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Services.AddRoutingCore();
        builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromSeconds(1));
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.ListenUnixSocket(socket, listen => listen.Protocols = HttpProtocols.Http2));
        WebApplication application = builder.Build();
        application.MapPost("/SpiffeWorkloadAPI/FetchJWTSVID", context => AnswerAsync(context, token));
        await application.StartAsync(cancel);
        return new SpiffeAgent(application, socket);
    }

    public ValueTask DisposeAsync() => application.DisposeAsync();

    private static async Task AnswerAsync(HttpContext context, Func<string, string?> create)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body, context.RequestAborted);
        context.Response.ContentType = "application/grpc";
        string? audience = Audience(body.ToArray());
        // Without the header: InvalidArgument (SPIFFE Workload Endpoint §7). Nobody we know: PermissionDenied.
        int status = context.Request.Headers["workload.spiffe.io"] != "true" || context.Request.Headers.TE != "trailers" || audience is null ? 3 : 0;
        string? token = status == 0 ? create(audience!) : null;
        status = status == 0 && token is null ? 7 : status;
        if (token is not null)
        {
            byte[] svid = [.. Field(1, Encoding.UTF8.GetBytes(OidcPlaces.SpiffeId)), .. Field(2, Encoding.UTF8.GetBytes(token)), .. Field(3, "default"u8.ToArray())];
            byte[] message = Field(1, svid);
            byte[] frame = new byte[5];
            BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(1), message.Length);
            await context.Response.Body.WriteAsync((byte[])[.. frame, .. message], context.RequestAborted);
        }

        context.Response.AppendTrailer("grpc-status", status.ToString(CultureInfo.InvariantCulture));
    }

    private static string? Audience(byte[] call) =>
        call is [0, 0, 0, 0, var length, 0x0A, var text, ..] && length == text + 2 && call.Length == length + 5 ? Encoding.UTF8.GetString(call.AsSpan(7)) : null;

    private static byte[] Field(int number, byte[] value)
    {
        var length = new List<byte>();
        for (int left = value.Length; ; left >>= 7)
        {
            length.Add((byte)(left > 0x7F ? (left & 0x7F) | 0x80 : left));
            if (left <= 0x7F)
            {
                break;
            }
        }

        return [(byte)((number << 3) | 2), .. length, .. value];
    }
}
