using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Keyless.Oci;

/// <summary>One request, one answer, all failures as <see cref="RegistryException"/>: the only place that touches the HttpClient.</summary>
internal sealed class RegistryConnection(HttpClient http, string userAgent, TimeProvider time)
{
    /// <summary>Sends and returns when the headers are there; any status is an answer.</summary>
    public async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancel)
    {
        if (!request.Headers.TryAddWithoutValidation("User-Agent", userAgent))
        {
            throw new ArgumentException("the user agent is not a header value");
        }

        request.Version = HttpVersion.Version20;
        request.VersionPolicy = HttpVersionPolicy.RequestVersionOrLower;

        long upload = request.Content?.Headers.ContentLength ?? 0;
        using var deadline = new CancellationTokenSource(Limits.ConnectTimeout + Limits.AnswerTimeout + TimeFor(upload), time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel, deadline.Token);
        try
        {
            return await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either.Token);
        }
        catch (Exception e) when (WhyUnreachable(e, cancel) is { } why)
        {
            throw Unreachable(request, why, e);
        }
    }

    /// <summary>Reads the whole body, refusing the first byte beyond the limit.</summary>
    public async Task<byte[]> ReadAsync(HttpResponseMessage response, long limit, CancellationToken cancel)
    {
        HttpRequestMessage request = response.RequestMessage!;
        // We asked for no encoding; a body in one is not the content the digest is over.
        if (response.Content.Headers.ContentEncoding.Any(encoding => !encoding.Equals("identity", StringComparison.OrdinalIgnoreCase)))
        {
            throw Nonsense(request, "the answer is compressed, which was not asked for");
        }

        if (response.Content.Headers.ContentLength > limit)
        {
            throw TooLarge(request, limit);
        }

        using var total = new CancellationTokenSource(Limits.IdleTimeout + TimeFor(limit), time);
        using var idle = new CancellationTokenSource(Limits.IdleTimeout, time);
        using var any = CancellationTokenSource.CreateLinkedTokenSource(cancel, total.Token, idle.Token);
        try
        {
            await using Stream body = await response.Content.ReadAsStreamAsync(any.Token);
            using var content = new MemoryStream();
            byte[] buffer = new byte[16 * 1024];
            for (int read; (read = await body.ReadAsync(buffer, any.Token)) > 0; idle.CancelAfter(Limits.IdleTimeout))
            {
                if (content.Length + read > limit)
                {
                    throw TooLarge(request, limit);
                }

                content.Write(buffer, 0, read);
            }
            return content.ToArray();
        }
        catch (Exception e) when (WhyUnreachable(e, cancel) is { } why)
        {
            throw Unreachable(request, why, e);
        }
    }

    /// <summary>An answer that is a failure, with the registry's own code and message where they can be read and shown.</summary>
    /// <param name="redact">Takes secrets out that the answer might repeat.</param>
    public async Task<RegistryException> FailureAsync(HttpResponseMessage response, Func<string, string> redact, CancellationToken cancel)
    {
        string message = $"{RegistryException.Describe(response.RequestMessage!.Method, response.RequestMessage.RequestUri!)} → {(int)response.StatusCode}";
        // The body of a 401 has nothing to say but what we sent.
        if (response.StatusCode != HttpStatusCode.Unauthorized && await OwnWordsAsync(response, cancel) is { } words)
        {
            message += $" {RegistryException.OneLine(redact(words), Limits.ErrorText)}";
        }

        TimeSpan? pause = RetryAfter(response);
        RegistryFailure failure = RegistryException.FailureOf(response.StatusCode);
        return new RegistryException(failure, message + Asks(pause), response.StatusCode) { IsTransient = failure == RegistryFailure.Unreachable, RetryAfter = pause };
    }

    /// <summary>RFC 9110 §10.2.3: seconds, or a date, which is by the server's clock as its Date is.</summary>
    public static TimeSpan? RetryAfter(HttpResponseMessage response) => response.Headers.RetryAfter switch
    {
        { Delta: { } seconds } => seconds,
        { Date: { } date } when response.Headers.Date is { } now => date > now ? date - now : TimeSpan.Zero,
        null when HasLongNumber(response) => TimeSpan.FromSeconds(int.MaxValue),
        _ => null,
    };

    // More seconds than the type of the header holds are a wait all the same.
    private static bool HasLongNumber(HttpResponseMessage response) =>
        response.Headers.NonValidated.TryGetValues("Retry-After", out HeaderStringValues values) && values.Count == 1 && values.ToString() is { Length: >= 10 } number && number.All(char.IsAsciiDigit);

    /// <summary>The same as part of a message.</summary>
    public static string Asks(TimeSpan? pause) => pause is { } wait ? string.Create(CultureInfo.InvariantCulture, $" (it asks to wait {Math.Ceiling(wait.TotalSeconds):0} s)") : "";

    public static RegistryException Nonsense(HttpRequestMessage request, string why) =>
        new(RegistryFailure.Nonsense, $"{RegistryException.Describe(request.Method, request.RequestUri!)}: {why}");

    private static RegistryException TooLarge(HttpRequestMessage request, long limit) =>
        new(RegistryFailure.TooLarge, $"{RegistryException.Describe(request.Method, request.RequestUri!)}: the answer is larger than {limit} bytes");

    private static RegistryException Unreachable(HttpRequestMessage request, string why, Exception inner) =>
        new(RegistryFailure.Unreachable, $"{RegistryException.Describe(request.Method, request.RequestUri!)}: {why}", null, inner) { IsTransient = MayPass(inner) };

    private static bool MayPass(Exception e) => e is not HttpRequestException { HttpRequestError: HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError or HttpRequestError.ProxyTunnelError or HttpRequestError.ConfigurationLimitExceeded }
        // The name server could not be asked; where it can, and knows no such host, the name is wrong.
        || e is HttpRequestException { HttpRequestError: HttpRequestError.NameResolutionError, InnerException: SocketException { SocketErrorCode: SocketError.TryAgain } };

    /// <summary>distribution-spec "Error Codes". What is not that (a proxy's HTML page) has no words worth a line.</summary>
    private async Task<string?> OwnWordsAsync(HttpResponseMessage response, CancellationToken cancel)
    {
        try
        {
            byte[] body = await ReadAsync(response, Limits.ErrorBytes, cancel);
            ErrorJson? first = JsonSerializer.Deserialize(body, ErrorsJsonContext.Default.ErrorsJson)?.Errors?.FirstOrDefault();
            return first is null ? null : string.Join(": ", new[] { first.Code, first.Message }.Where(part => !string.IsNullOrWhiteSpace(part)));
        }
        catch (Exception e) when (e is JsonException or RegistryException)
        {
            return null;
        }
    }

    private static TimeSpan TimeFor(long bytes) => TimeSpan.FromSeconds((double)bytes / Limits.BytesPerSecond);

    /// <summary>The transport's exceptions name addresses and more; these words do not. Null for what is no transport failure, or was asked for.</summary>
    private static string? WhyUnreachable(Exception exception, CancellationToken cancel) => exception switch
    {
        OperationCanceledException when cancel.IsCancellationRequested => null,
        OperationCanceledException => "no answer in time",
        HttpRequestException { HttpRequestError: HttpRequestError.NameResolutionError } => "the host name cannot be resolved",
        HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError } => "no connection",
        HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError } => "no secure connection (TLS or certificate)",
        HttpRequestException { HttpRequestError: HttpRequestError.ProxyTunnelError } => "the proxy gave no connection",
        HttpRequestException { HttpRequestError: HttpRequestError.ConfigurationLimitExceeded } => "the answer's headers are too large",
        HttpRequestException or IOException => "the connection broke off or did not speak HTTP",
        _ => null,
    };
}

internal sealed record ErrorsJson
{
    public ErrorJson?[]? Errors { get; init; }
}

internal sealed record ErrorJson
{
    public string? Code { get; init; }
    public string? Message { get; init; }
}

[JsonSourceGenerationOptions(AllowDuplicateProperties = false, MaxDepth = 32, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ErrorsJson))]
internal sealed partial class ErrorsJsonContext : JsonSerializerContext;
