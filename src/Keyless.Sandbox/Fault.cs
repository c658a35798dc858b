using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Keyless.Sandbox;

/// <summary>
/// One thing that goes wrong with requests to a part: what, and with which. <c>Fault.Status(502).On("POST /api/").ForRequests(1, 3)</c> is added to
/// <see cref="LoopbackServer.Faults"/>. Values, never changed: each method returns another one.
/// </summary>
public sealed record Fault
{
    /// <summary>How often a slow body is continued.</summary>
    private const int Pieces = 10;

    private static readonly byte[] Page = Encoding.UTF8.GetBytes("<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in to use this network.</body></html>\n");

    private readonly string what;
    private readonly Func<FaultyRequest, Task> answer;
    private string? requests;
    private Regex? pattern;

    private Fault(string what, Func<FaultyRequest, Task> answer) => (this.what, this.answer) = (what, answer);

    /// <summary>The connection ends before anything was answered.</summary>
    public static Fault Drop { get; } = new("dropped", request => request.Abort());

    /// <summary>Nothing is ever answered; it ends when the client has gone.</summary>
    public static Fault Hang { get; } = new("never answered", request => Task.Delay(Timeout.InfiniteTimeSpan, request.Context.RequestAborted));

    /// <summary>200 with a page of HTML, as from a proxy that wants a login.</summary>
    public static Fault Html { get; } = new("HTML", request => request.SendAsync(StatusCodes.Status200OK, "text/html; charset=utf-8", Page));

    /// <summary>The part does its work and its answer keeps status and headers, but has a body of zero bytes.</summary>
    public static Fault Empty { get; } = new("empty", async request =>
    {
        await request.WorkAsync();
        request.Context.Response.ContentLength = 0;
    });

    /// <summary>The part does its work; of its answer's body comes the first half of what <c>Content-Length</c> says, then the connection ends.</summary>
    public static Fault Cut { get; } = new("cut", request => CutAsync(request, chunked: false));

    /// <summary>The same with a chunked body: the last chunk is missing.</summary>
    public static Fault CutChunked { get; } = new("cut between chunks", request => CutAsync(request, chunked: true));

    /// <summary>The requests that count, as <see cref="On"/> has it; null: all.</summary>
    public string? Requests
    {
        get => requests;
        private init => (requests, pattern) = (value, value is null ? null : new Regex("^" + Regex.Escape(value).Replace("\\*", ".*", StringComparison.Ordinal), RegexOptions.NonBacktracking));
    }

    /// <summary>Number of the first request it happens to, among those that count; from 1.</summary>
    public int First { get; private init; } = 1;

    /// <summary>Number of the last one.</summary>
    public int Last { get; private init; } = int.MaxValue;

    /// <summary>How long it lasts; null: for ever.</summary>
    public TimeSpan? Lasting { get; private init; }

    /// <summary>Whether the part does its work before the answer goes wrong.</summary>
    public bool Performed { get; private init; }

    /// <summary>Headers of the answer, by name.</summary>
    public IReadOnlyDictionary<string, string> Headers { get; private init; } = new Dictionary<string, string>();

    internal object? Untruth { get; private init; }

    private (TimeSpan Wait, bool AsDate)? Retry { get; init; }

    /// <summary>This status, with its name as plain text.</summary>
    public static Fault Status(int status) => new($"{status}", request => request.SendAsync(
        status, "text/plain", Encoding.ASCII.GetBytes($"{Microsoft.AspNetCore.WebUtilities.ReasonPhrases.GetReasonPhrase(status)}\n")));

    /// <summary>The connection is dropped, and the whole part refuses connections: its listener is closed, and opens again on the same port, with the same state.</summary>
    public static Fault Down(TimeSpan time) => new("down", async request =>
    {
        // In this order: whoever tries again at once is to be refused.
        await request.Server.StopForAsync(time);
        await request.Abort();
    });

    /// <summary>The part gets the request only after this time.</summary>
    public static Fault Slow(TimeSpan time) => new("slow", async request =>
    {
        await Task.Delay(time, request.Time, request.Context.RequestAborted);
        await request.Next(request.Context);
    });

    /// <summary>Status and headers come at once, and the body in small pieces over this time.</summary>
    public static Fault SlowBody(TimeSpan time) => new("slow body", async request =>
    {
        HttpResponse response = request.Context.Response;
        byte[] body = await request.WorkAsync();
        await response.StartAsync(request.Context.RequestAborted);
        await response.Body.FlushAsync(request.Context.RequestAborted);
        foreach (byte[] piece in body.Chunk((body.Length / Pieces) + 1))
        {
            await Task.Delay(time / Pieces, request.Time, request.Context.RequestAborted);
            await response.Body.WriteAsync(piece, request.Context.RequestAborted);
            await response.Body.FlushAsync(request.Context.RequestAborted);
        }
    });

    /// <summary>A token that is not what was asked for; counts requests for tokens of GitHub jobs.</summary>
    public static Fault Lie(IssuerLie lie) => Telling(lie, "GET /github/token");

    /// <summary>A certificate that is not what was asked for; counts requests for certificates.</summary>
    public static Fault Lie(FulcioLie lie) => Telling(lie, "POST /api/*/signingCert");

    /// <summary>A timestamp that is not what was asked for; counts requests for timestamps.</summary>
    public static Fault Lie(TimestampLie lie) => Telling(lie, "POST /api/v1/timestamp");

    /// <summary>A log entry that is not what was asked for; counts requests to add entries and to read them.</summary>
    public static Fault Lie(RekorLie lie) => Telling(lie, "* /api/*/log/entries");

    /// <summary>A registry that does not do what it says; counts pushes of manifests.</summary>
    public static Fault Lie(RegistryLie lie) => Telling(lie, "PUT /v2/*/manifests/");

    /// <summary>Only requests whose method, a space and path begin like this are counted and answered wrong. <c>*</c> stands for any text.</summary>
    public Fault On(string methodAndPath) => this with { Requests = methodAndPath };

    /// <summary>Only to these of the requests that count, numbered from 1 since the fault was added; the last one included.</summary>
    public Fault ForRequests(int first, int last) =>
        first >= 1 && last >= first ? this with { First = first, Last = last } : throw new ArgumentOutOfRangeException(nameof(first), $"there are no requests {first} to {last}");

    /// <summary>Only until so much time has gone since the fault was added.</summary>
    public Fault During(TimeSpan time) => this with { Lasting = time };

    /// <summary>The part does its work first, and the client does not hear of it: with <see cref="Drop"/> an answer that is lost.</summary>
    public Fault AfterTheWork() => this with { Performed = true };

    /// <summary>A header of the answer.</summary>
    public Fault With(string header, string value) => this with { Headers = new Dictionary<string, string>(Headers) { [header] = value } };

    /// <summary>A <c>Retry-After</c>: whole seconds, or the date at which they will have passed (RFC 9110 §10.2.3).</summary>
    public Fault RetryAfter(TimeSpan wait, bool asDate = false) => this with { Retry = (wait, asDate) };

    public override string ToString() => what;

    internal bool Counts(HttpRequest request) => pattern is null || pattern.IsMatch($"{request.Method} {request.Path}");

    internal async Task AnswerAsync(FaultyRequest request)
    {
        if (Performed)
        {
            await request.WorkAsync();
            request.Context.Response.Clear();
        }

        foreach ((string header, string value) in Headers)
        {
            request.Context.Response.Headers[header] = value;
        }

        if (Retry is { } retry)
        {
            int seconds = (int)Math.Ceiling(retry.Wait.TotalSeconds);
            DateTimeOffset now = request.Time.GetUtcNow();
            // Kestrel's own Date is by the machine's clock, and up to a second old.
            request.Context.Response.Headers.Date = now.ToString("R", CultureInfo.InvariantCulture);
            request.Context.Response.Headers.RetryAfter = retry.AsDate
                ? now.AddSeconds(seconds).ToString("R", CultureInfo.InvariantCulture)
                : seconds.ToString(CultureInfo.InvariantCulture);
        }

        await answer(request);
    }

    private static Fault Telling<T>(T lie, string requests)
        where T : struct, Enum => new($"lie: {lie}", async request =>
        {
            request.Context.Items[typeof(T)] = lie;
            await request.Next(request.Context);
        })
        { Requests = requests, Untruth = lie };

    private static async Task CutAsync(FaultyRequest request, bool chunked)
    {
        HttpResponse response = request.Context.Response;
        byte[] body = await request.WorkAsync();
        response.ContentLength = chunked ? null : Math.Max(body.Length, 1);
        await response.StartAsync(request.Context.RequestAborted);
        await response.Body.WriteAsync(body.AsMemory(0, body.Length / 2), request.Context.RequestAborted);
        await response.Body.FlushAsync(request.Context.RequestAborted);
        // What was flushed is on its way, but an abort would overtake it.
        await Task.Delay(TimeSpan.FromMilliseconds(100), request.Context.RequestAborted);
        await request.Abort();
    }
}
