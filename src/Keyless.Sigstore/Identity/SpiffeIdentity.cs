using System.Buffers.Binary;
using System.Text;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>
/// The SPIFFE identity of this process: an agent on this machine knows it by its socket and makes tokens (SPIFFE Workload API, §6.2
/// <c>FetchJWTSVID</c>). That is one gRPC call with one string in it and one out, over HTTP/2 on a Unix socket, so no gRPC library is loaded for it.
/// </summary>
/// <param name="connect">A client whose every connection goes to the socket of that path.</param>
public sealed class SpiffeIdentity(Func<string, HttpClient>? connect, string userAgent, Func<string, string?> environment) : IIdentityProvider
{
    private const string Variable = "SPIFFE_ENDPOINT_SOCKET";

    // Where SPIRE's agent listens unless told otherwise. Under /tmp anybody may, so auto does not look there.
    private const string DefaultSocket = "/tmp/spire-agent/public/api.sock";

    // A token for each of the workload's identities, and there are seldom two.
    private const int AnswerBytes = 256 * 1024;
    private const int Frame = 5;

    public string Name => "spiffe";

    public bool IsHere => environment(Variable) is { Length: > 0 };

    public string? Lacks => IsHere || File.Exists(DefaultSocket) ? null : $"{Variable} is not set, and there is no socket {DefaultSocket}; set it to the agent's, such as unix:///run/spire/agent.sock";

    public bool IsGiven => false;

    private static TokenEndpoint Tokens { get; } = new("the SPIFFE Workload API");

    public async Task<IdentityToken> GetAsync(string audience, CancellationToken cancel)
    {
        if (Lacks is { } lacks)
        {
            throw IdentityException.None(lacks);
        }

        string socket = Socket(environment(Variable) is { Length: > 0 } set ? set : DefaultSocket);
        using HttpClient client = (connect ?? throw new InvalidOperationException("no way to Unix sockets was given"))(socket);
        var request = new Request($"the SPIFFE Workload API in {Shown.Of(socket)}", HttpMethod.Post, new Uri("http://localhost/SpiffeWorkloadAPI/FetchJWTSVID"))
        {
            Accept = null,
            ContentType = "application/grpc",
            Body = Call(audience),
            // SPIFFE Workload Endpoint §7: whoever was lured into forwarding a request does not send it.
            Header = ("workload.spiffe.io", "true"),
            IsGrpc = true,
            HidesPath = true,
            AnswerBytes = AnswerBytes,
            Timeout = TimeSpan.FromSeconds(10),
        };
        Answer answer = await Tokens.AskAsync(client, userAgent, request, cancel);
        return IdentityToken.Parse(Token(answer), null, audience);
    }

    // SPIFFE Workload Endpoint §4: a URI with scheme unix, or tcp, which nobody but this machine's own network protects. cosign takes a bare path.
    private static string Socket(string address)
    {
        string path = address.StartsWith("unix:", StringComparison.Ordinal) ? address["unix:".Length..] : address;
        path = path.StartsWith("//", StringComparison.Ordinal) ? path[2..] : path;
        return path.StartsWith('/') ? path : throw Tokens.Failed($"{Variable} is not the address of a Unix socket such as unix:///run/spire/agent.sock");
    }

    // gRPC over HTTP/2, "Length-Prefixed-Message": not compressed, length, message. JWTSVIDRequest: audience = 1.
    private static byte[] Call(string audience)
    {
        byte[] text = Encoding.UTF8.GetBytes(audience);
        if (text.Length > 127)
        {
            throw new ArgumentException("an audience of at most 127 bytes expected", nameof(audience));
        }

        byte[] call = new byte[Frame + 2 + text.Length];
        BinaryPrimitives.WriteInt32BigEndian(call.AsSpan(1), 2 + text.Length);
        call[Frame] = 1 << 3 | 2;
        call[Frame + 1] = (byte)text.Length;
        text.CopyTo(call.AsSpan(Frame + 2));
        return call;
    }

    /// <summary>The first of the tokens: the workload's default identity (SPIFFE Workload API §6.3).</summary>
    private static string Token(Answer answer)
    {
        if (answer.GrpcStatus != "0")
        {
            // PermissionDenied: no registration entry fits this process (SPIFFE Workload Endpoint, appendix A).
            throw Tokens.Failed(answer.GrpcStatus switch
            {
                null => "the agent ended its answer without a gRPC status",
                "7" => "the agent knows no identity for this process (PermissionDenied); register the workload",
                { } status => $"the agent refused with gRPC status {Shown.Of(status)}",
            });
        }

        try
        {
            ReadOnlySpan<byte> body = answer.Body.Span;
            bool oneFrame = body.Length >= Frame && body[0] == 0 && BinaryPrimitives.ReadUInt32BigEndian(body[1..]) == body.Length - Frame;
            ReadOnlySpan<byte> first = oneFrame ? Field(body[Frame..], 1) : throw new FormatException("the answer is not one message that is not compressed");
            ReadOnlySpan<byte> token = Field(first, 2);
            return token.Length > 0 ? Encoding.Latin1.GetString(token) : throw new FormatException("the answer has no token in it");
        }
        catch (FormatException e)
        {
            throw Tokens.Failed(e.Message);
        }
    }

    /// <summary>The first field of that number in a message that has length-delimited fields only; empty where there is none.</summary>
    private static ReadOnlySpan<byte> Field(ReadOnlySpan<byte> message, uint number)
    {
        while (message.Length > 0)
        {
            uint tag = Varint(ref message), length = Varint(ref message);
            // Both messages have strings and messages in them and nothing else; what is added later may be another kind, after these.
            if ((tag & 7) != 2 || length > message.Length)
            {
                throw new FormatException("the answer is not the protocol buffer it should be");
            }

            if (tag >> 3 == number)
            {
                return message[..(int)length];
            }

            message = message[(int)length..];
        }

        return [];
    }

    private static uint Varint(ref ReadOnlySpan<byte> message)
    {
        uint value = 0;
        for (int shift = 0; shift < 28 && message.Length > 0; shift += 7)
        {
            byte next = message[0];
            message = message[1..];
            value |= (uint)(next & 0x7f) << shift;
            if (next < 0x80)
            {
                return value;
            }
        }

        throw new FormatException("the answer is not the protocol buffer it should be");
    }
}
