using System.Formats.Asn1;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>
/// Talks to Sigstore's services: sends, reads no more than was agreed, and turns every way in which that can go wrong into a
/// <see cref="ServiceException"/> that is fit for a build log. Nothing else here touches the <see cref="HttpClient"/>.
/// </summary>
/// <param name="client">Must not follow redirects: requests carry identity tokens.</param>
/// <param name="userAgent">Operators ask clients to say who they are: <c>Keyless.MSBuild/1.2.3</c>.</param>
/// <param name="time">By which a try is given up; null: the system's.</param>
internal sealed class Http(HttpClient client, string userAgent, TimeProvider? time = null)
{
    /// <summary>Any answer, whatever its status. It is for the caller to say which statuses it takes.</summary>
    /// <exception cref="ServiceException">There was none, or more of it than agreed.</exception>
    public async Task<Answer> SendAsync(Request request, CancellationToken cancel)
    {
        using var end = new CancellationTokenSource(request.Timeout, time ?? TimeProvider.System);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancel, end.Token);
        try
        {
            using HttpRequestMessage message = Write(request);
            using HttpResponseMessage response =
                await client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, deadline.Token);
            if (message.RequestUri != request.Uri)
            {
                throw new InvalidOperationException("the HttpClient followed a redirect; it must be made with AllowAutoRedirect = false");
            }

            byte[] body = await ReadAsync(response, request, deadline.Token);
            return new Answer(request, response.StatusCode, response.Headers.Location, body)
            {
                GrpcStatus = request.IsGrpc ? ReadGrpcStatus(response) : null,
                RetryAfter = ReadRetryAfter(response),
                Echo = request.Header is { } sent && response.Headers.TryGetValues(sent.Name, out IEnumerable<string>? values) ? string.Join(',', values) : null,
            };
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw request.Lost(FormattableString.Invariant($"did not answer within {request.Timeout.TotalSeconds:0.#} s"));
        }
        catch (HttpRequestException e)
        {
            // Its own text may carry a proxy's address and password, so it is neither shown nor kept.
            throw Failed(request, e);
        }
        catch (IOException)
        {
            throw request.Lost("broke the connection off");
        }
    }

    private HttpRequestMessage Write(Request request)
    {
        var message = new HttpRequestMessage(request.Method, request.Uri);
        message.Headers.UserAgent.ParseAdd(userAgent);
        if (request.Accept is { } accept)
        {
            message.Headers.Accept.ParseAdd(accept);
        }

        if (request.Bearer is { } bearer)
        {
            message.Headers.Authorization = new AuthenticationHeaderValue(request.AuthorizationScheme, bearer);
        }

        if (request.Header is { } header)
        {
            message.Headers.Add(header.Name, header.Value);
        }

        if (request.IsGrpc)
        {
            // gRPC over HTTP/2: there is no TLS to agree on a version with, and proxies that would drop trailers must say so.
            message.Version = HttpVersion.Version20;
            message.VersionPolicy = HttpVersionPolicy.RequestVersionExact;
            message.Headers.TE.ParseAdd("trailers");
        }

        if (request.ContentType is { } contentType)
        {
            message.Content = new ReadOnlyMemoryContent(request.Body);
            message.Content.Headers.ContentType = new MediaTypeHeaderValue(contentType);
        }

        return message;
    }

    // Behind the body; where there is no body, among the headers ("Trailers-Only").
    private static string? ReadGrpcStatus(HttpResponseMessage response) =>
        (response.TrailingHeaders.TryGetValues("grpc-status", out IEnumerable<string>? values) || response.Headers.TryGetValues("grpc-status", out values))
            ? string.Join(',', values)
            : null;

    private static async Task<byte[]> ReadAsync(HttpResponseMessage response, Request request, CancellationToken cancel)
    {
        await using Stream stream = await response.Content.ReadAsStreamAsync(cancel);
        using var body = new MemoryStream();
        var buffer = new byte[8192];
        int read;
        while ((read = await stream.ReadAsync(buffer, cancel)) > 0)
        {
            body.Write(buffer, 0, read);
            if (body.Length > request.AnswerBytes)
            {
                ServiceFailure failure = response.IsSuccessStatusCode ? ServiceFailure.Nonsense : ServiceFailure.Refused;
                throw request.Failed(failure, $"answered {(int)response.StatusCode} with more than {request.AnswerBytes} bytes", Answer.IsOverload(response.StatusCode));
            }
        }

        return body.ToArray();
    }

    private static ServiceException Failed(Request request, HttpRequestException e) => e.HttpRequestError switch
    {
        // The name server could not be asked; where it can, and knows no such host, waiting is no cure for a misspelt name.
        HttpRequestError.NameResolutionError when e.InnerException is SocketException { SocketErrorCode: SocketError.TryAgain } =>
            request.Lost("cannot be reached: its name cannot be looked up"),
        HttpRequestError.NameResolutionError => request.Failed(ServiceFailure.Unreachable, "cannot be reached: the host name is not known"),
        HttpRequestError.ConnectionError when e.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionRefused } =>
            request.Lost("cannot be reached: the connection was refused"),
        HttpRequestError.ConnectionError => request.Lost("cannot be reached: no connection"),
        HttpRequestError.SecureConnectionError =>
            request.Failed(ServiceFailure.Unreachable, "cannot be reached: no TLS connection (its certificate is not trusted here, or it does not speak TLS)"),
        HttpRequestError.ProxyTunnelError => request.Failed(ServiceFailure.Unreachable, "cannot be reached: the proxy did not let the connection through"),
        HttpRequestError.InvalidResponse => request.Failed(ServiceFailure.Nonsense, "answered something that is not HTTP"),
        HttpRequestError.ConfigurationLimitExceeded => request.Failed(ServiceFailure.Nonsense, "answered with headers that are too large"),
        _ => request.Lost("broke the connection off"),
    };

    // RFC 9110 §10.2.3: seconds, or a date, which is by the server's clock as its Date is.
    private static TimeSpan? ReadRetryAfter(HttpResponseMessage response) => response.Headers.RetryAfter switch
    {
        { Delta: { } seconds } => seconds,
        { Date: { } date } when response.Headers.Date is { } now => date > now ? date - now : TimeSpan.Zero,
        null when HasLongNumber(response) => TimeSpan.FromSeconds(int.MaxValue),
        _ => null,
    };

    // More seconds than the type of the header holds are a wait all the same.
    private static bool HasLongNumber(HttpResponseMessage response) =>
        response.Headers.NonValidated.TryGetValues("Retry-After", out HeaderStringValues values) && values.Count == 1 && values.ToString() is { Length: >= 10 } number && number.All(char.IsAsciiDigit);
}

/// <summary>One question to one service. It holds bytes, not streams, so that it can be asked again.</summary>
/// <param name="Service">What the user calls it: <c>Fulcio</c>, <c>Rekor</c>, <c>timestamp authority</c>.</param>
internal sealed partial record Request(string Service, HttpMethod Method, Uri Uri)
{
    public ReadOnlyMemory<byte> Body { get; init; }

    public string? ContentType { get; init; }

    public string? Accept { get; init; } = "application/json";

    public string? Bearer { get; init; }

    public string AuthorizationScheme { get; init; } = "Bearer";

    /// <summary>One more header, not secret.</summary>
    public (string Name, string Value)? Header { get; init; }

    /// <summary>Needs HTTP/2, and ends with a status of its own.</summary>
    public bool IsGrpc { get; init; }

    /// <summary>What must not occur in a message even if the server says it: the token that <see cref="Body"/> carries.</summary>
    public string? Secret { get; init; }

    /// <summary>For one try, connecting and reading included.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The largest honest answer (a certificate chain, a log entry with its proof) is under 16 KiB.</summary>
    public int AnswerBytes { get; init; } = 64 * 1024;

    /// <summary>For addresses that are nobody's business beyond their host.</summary>
    public bool HidesPath { get; init; }

    /// <summary>Where it goes, as people may see it: no user, no query, no fragment.</summary>
    public string Place => Shown.Of(Uri.GetComponents(
        HidesPath ? UriComponents.SchemeAndServer : UriComponents.SchemeAndServer | UriComponents.Path, UriFormat.UriEscaped));

    public ServiceException Failed(ServiceFailure failure, string predicate, bool isTransient = false) =>
        new(failure, Service, $"{Service} at {Place} {predicate}") { IsTransient = isTransient };

    /// <summary>No answer, but there may be one the next time.</summary>
    public ServiceException Lost(string predicate) => Failed(ServiceFailure.Unreachable, predicate, isTransient: true);

    /// <summary>The first line of what a server said, without tokens.</summary>
    public string Quote(string words)
    {
        string text = words.Trim();
        int end = text.AsSpan().IndexOfAny('\r', '\n');
        return Shown.Of(WithoutSecrets(end < 0 ? text : text[..end]));
    }

    // Header and payload of every JSON web token begin with `{"`, which is `eyJ` in base64; the third part only we know.
    private string WithoutSecrets(string line)
    {
        foreach (string part in new[] { Secret, Bearer }.OfType<string>().SelectMany(secret => (string[])[secret, .. secret.Split('.')]))
        {
            if (part.Length >= 8)
            {
                line = line.Replace(part, "[token]", StringComparison.OrdinalIgnoreCase);
            }
        }

        return TokenShape().Replace(line, "[token]");
    }

    [GeneratedRegex("eyJ[A-Za-z0-9_.=+/-]*", RegexOptions.CultureInvariant)]
    private static partial Regex TokenShape();

    // A record would print the token.
    public override string ToString() => $"{Method} {Place}";
}

/// <summary>What a service said. Nothing in it is trusted yet.</summary>
internal sealed class Answer(Request request, HttpStatusCode status, Uri? location, byte[] body)
{
    public HttpStatusCode Status { get; } = status;

    /// <summary>As sent: may be relative, and may point to another origin.</summary>
    public Uri? Location { get; } = location;

    public ReadOnlyMemory<byte> Body { get; } = body;

    /// <summary>As sent, <c>0</c> is success; null where there was none.</summary>
    public string? GrpcStatus { get; init; }

    public TimeSpan? RetryAfter { get; init; }

    /// <summary>What the answer has in the header that <see cref="Request.Header"/> named; null where it has none.</summary>
    public string? Echo { get; init; }

    /// <exception cref="ServiceException">Any other status: a refusal, or a success that the protocol does not know.</exception>
    public Answer MustBe(params ReadOnlySpan<HttpStatusCode> accepted) =>
        accepted.Contains(Status) ? this
        : (int)Status is >= 200 and < 300 ? throw Nonsense($"status {(int)Status} is not what the protocol says")
        : throw Refused();

    public ServiceException Refused(string? hint = null)
    {
        string words = (int)Status is >= 300 and < 400 ? "a redirect, which is not followed" : Words();
        bool isOverload = IsOverload(Status);
        string asks = isOverload && RetryAfter is { } wait ? FormattableString.Invariant($" (it asks to wait {wait.TotalSeconds:0} s)") : "";
        return new ServiceException(
            ServiceFailure.Refused, request.Service, $"{request.Service} at {request.Place} {(isOverload ? "answered" : "refused with")} status {(int)Status}{(words.Length > 0 ? $": {words}" : "")}{asks}{hint}")
        {
            IsTransient = isOverload,
            RetryAfter = RetryAfter,
        };
    }

    /// <summary>The server says that it was not the request.</summary>
    public static bool IsOverload(HttpStatusCode status) => status is HttpStatusCode.RequestTimeout or (HttpStatusCode)425 or HttpStatusCode.TooManyRequests or >= HttpStatusCode.InternalServerError;

    /// <summary>Success, but with wrong content.</summary>
    public ServiceException Nonsense(string what) =>
        request.Failed(ServiceFailure.Nonsense, $"answered {(int)Status} with something else than expected: {(LooksLikeHtml() ? "an HTML page" : request.Quote(what))}");

    /// <summary>Reads the content; what does not parse is nonsense.</summary>
    public T Read<T>(Func<ReadOnlyMemory<byte>, T> read)
    {
        try
        {
            return read(Body);
        }
        catch (FormatException e)
        {
            throw Nonsense(e.Message);
        }
        catch (AsnContentException)
        {
            throw Nonsense("not the DER it should be");
        }
    }

    private string Words()
    {
        if (LooksLikeHtml())
        {
            return "an HTML page";
        }

        try
        {
            // grpc-gateway and Rekor v1 answer {"code":…,"message":"…"}.
            return request.Quote(JsonFields.Parse(Body, "answer", request.AnswerBytes).Text("message") ?? "");
        }
        catch (FormatException)
        {
            return request.Quote(Encoding.UTF8.GetString(Body.Span));
        }
    }

    private bool LooksLikeHtml() => Body.Span.TrimStart(" \t\r\n\uFEFF"u8) is [(byte)'<', ..];
}
