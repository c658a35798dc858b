using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Keyless.Sandbox.Tests;

/// <summary>Each kind of fault as a client sees it, at a part that answers 201, a header and ten bytes.</summary>
[TestClass]
public sealed class FaultsTests
{
    private const string Hello = "0123456789";

    public required TestContext TestContext { get; init; }

    private CancellationToken Cancel => TestContext.CancellationToken;

    [TestMethod]
    [DataRow(408)]
    [DataRow(409)]
    [DataRow(425)]
    [DataRow(429)]
    [DataRow(500)]
    [DataRow(502)]
    [DataRow(503)]
    public async Task A_status_comes_instead_of_the_answer(int status)
    {
        await using Part part = await Part.StartAsync(Cancel);
        part.Faults.Add(Fault.Status(status).With("Location", "/elsewhere"));

        using HttpResponseMessage answer = await part.Client.PostAsync("/hello", null, Cancel);

        Assert.AreEqual((status, "/elsewhere", 0), ((int)answer.StatusCode, answer.Headers.Location?.OriginalString, part.Handled));
    }

    [TestMethod]
    [DataRow(1000, false)]
    [DataRow(1001, false)]
    [DataRow(3000, true)]
    public async Task Retry_after_is_in_seconds_or_a_date(int milliseconds, bool asDate)
    {
        await using Part part = await Part.StartAsync(Cancel);
        part.Faults.Add(Fault.Status(429).RetryAfter(TimeSpan.FromMilliseconds(milliseconds), asDate));

        using HttpResponseMessage answer = await part.Client.GetAsync("/hello", Cancel);

        var expected = TimeSpan.FromSeconds(Math.Ceiling(milliseconds / 1000.0));
        Assert.AreEqual(asDate ? null : expected, answer.Headers.RetryAfter!.Delta);
        Assert.AreEqual(asDate ? Part.Now + expected : null, answer.Headers.RetryAfter.Date);
    }

    [TestMethod]
    [DataRow(false, 0, DisplayName = "before the work")]
    [DataRow(true, 1, DisplayName = "after the work")]
    public async Task A_dropped_connection_has_no_answer(bool performed, int handled)
    {
        await using Part part = await Part.StartAsync(Cancel);
        part.Faults.Add(performed ? Fault.Drop.AfterTheWork() : Fault.Drop);

        await Assert.ThrowsExactlyAsync<HttpRequestException>(() => part.Client.PostAsync("/hello", null, Cancel));

        Assert.AreEqual(handled, part.Handled);
    }

    [TestMethod]
    [DataRow(false, 0, DisplayName = "before the work")]
    [DataRow(true, 1, DisplayName = "after the work")]
    public async Task A_request_that_hangs_is_never_answered(bool performed, int handled)
    {
        await using Part part = await Part.StartAsync(Cancel);
        part.Faults.Add(performed ? Fault.Hang.AfterTheWork() : Fault.Hang);
        using HttpClient impatient = part.NewClient();
        impatient.Timeout = TimeSpan.FromMilliseconds(500);

        TaskCanceledException end = await Assert.ThrowsExactlyAsync<TaskCanceledException>(() => impatient.PostAsync("/hello", null, Cancel));

        Assert.IsInstanceOfType<TimeoutException>(end.InnerException);
        Assert.AreEqual(handled, part.Handled);
    }

    [TestMethod]
    public async Task A_status_after_the_work_hides_what_the_part_said()
    {
        await using Part part = await Part.StartAsync(Cancel);
        part.Faults.Add(Fault.Status(502).AfterTheWork());

        using HttpResponseMessage answer = await part.Client.PostAsync("/hello", null, Cancel);

        Assert.AreEqual((HttpStatusCode.BadGateway, "Bad Gateway\n", 1), (answer.StatusCode, await answer.Content.ReadAsStringAsync(Cancel), part.Handled));
        Assert.IsFalse(answer.Headers.Contains("X-Part"));
    }

    [TestMethod]
    public async Task Html_comes_with_200()
    {
        await using Part part = await Part.StartAsync(Cancel);
        part.Faults.Add(Fault.Html);

        using HttpResponseMessage answer = await part.Client.GetAsync("/hello", Cancel);

        Assert.AreEqual((HttpStatusCode.OK, "text/html"), (answer.StatusCode, answer.Content.Headers.ContentType!.MediaType));
        Assert.StartsWith("<!DOCTYPE html>", await answer.Content.ReadAsStringAsync(Cancel));
    }

    [TestMethod]
    public async Task An_empty_answer_has_the_status_and_the_headers_of_the_part()
    {
        await using Part part = await Part.StartAsync(Cancel);
        part.Faults.Add(Fault.Empty);

        using HttpResponseMessage answer = await part.Client.GetAsync("/hello", Cancel);

        Assert.AreEqual((HttpStatusCode.Created, 0L, "part"), (answer.StatusCode, answer.Content.Headers.ContentLength, answer.Headers.GetValues("X-Part").Single()));
    }

    [TestMethod]
    [DataRow(false, 10L)]
    [DataRow(true, null)]
    public async Task A_cut_answer_ends_in_the_middle_of_its_body(bool chunked, long? announced)
    {
        await using Part part = await Part.StartAsync(Cancel);
        part.Faults.Add(chunked ? Fault.CutChunked : Fault.Cut);

        using HttpResponseMessage answer = await part.Client.GetAsync("/hello", HttpCompletionOption.ResponseHeadersRead, Cancel);
        using Stream body = await answer.Content.ReadAsStreamAsync(Cancel);
        var half = new byte[Hello.Length / 2];
        await body.ReadExactlyAsync(half, Cancel);

        Assert.AreEqual((HttpStatusCode.Created, announced, chunked ? true : null), (answer.StatusCode, answer.Content.Headers.ContentLength, answer.Headers.TransferEncodingChunked));
        Assert.AreEqual(Hello[..5], System.Text.Encoding.ASCII.GetString(half));
        await Assert.ThrowsAsync<IOException>(async () => await body.ReadExactlyAsync(half, Cancel));
    }

    [TestMethod]
    public async Task A_slow_part_is_late_and_right()
    {
        await using Part part = await Part.StartAsync(Cancel);
        part.Faults.Add(Fault.Slow(TimeSpan.FromMilliseconds(300)).ForRequests(2, 2));

        Assert.AreEqual(Hello, await part.Client.GetStringAsync("/hello", Cancel));
        long start = Stopwatch.GetTimestamp();
        Assert.AreEqual(Hello, await part.Client.GetStringAsync("/hello", Cancel));

        Assert.IsGreaterThanOrEqualTo(TimeSpan.FromMilliseconds(290), Stopwatch.GetElapsedTime(start));
    }

    [TestMethod]
    public async Task A_slow_body_follows_headers_that_came_at_once()
    {
        await using Part part = await Part.StartAsync(Cancel);
        // Ten pieces in an hour: with the body the headers would not be here in time.
        part.Faults.Add(Fault.SlowBody(TimeSpan.FromHours(1)).ForRequests(1, 1));
        part.Faults.Add(Fault.SlowBody(TimeSpan.FromMilliseconds(300)).ForRequests(2, 2));

        using (HttpResponseMessage answer = await part.Client.GetAsync("/hello", HttpCompletionOption.ResponseHeadersRead, Cancel))
        {
            Assert.AreEqual((HttpStatusCode.Created, 10L), (answer.StatusCode, answer.Content.Headers.ContentLength));
        }

        long start = Stopwatch.GetTimestamp();
        Assert.AreEqual(Hello, await part.Client.GetStringAsync("/hello", Cancel));
        Assert.IsGreaterThanOrEqualTo(TimeSpan.FromMilliseconds(140), Stopwatch.GetElapsedTime(start));
    }

    [TestMethod]
    [Timeout(60_000, CooperativeCancellation = true)]
    public async Task A_part_that_is_down_refuses_connections_and_comes_back_on_its_port()
    {
        await using Part part = await Part.StartAsync(Cancel);
        part.Faults.Add(Fault.Down(TimeSpan.FromSeconds(1)).ForRequests(1, 1));

        await Assert.ThrowsExactlyAsync<HttpRequestException>(() => part.Client.PostAsync("/hello", null, Cancel));
        HttpRequestException refusal = await Assert.ThrowsExactlyAsync<HttpRequestException>(() => part.Client.GetStringAsync("/hello", Cancel));

        Assert.AreEqual(SocketError.ConnectionRefused, (refusal.InnerException as SocketException)?.SocketErrorCode, refusal.ToString());
        Assert.AreEqual(0, part.Handled);
        Assert.AreEqual(Hello, await AgainAsync());

        async Task<string> AgainAsync()
        {
            while (true)
            {
                try
                {
                    return await part.Client.GetStringAsync("/hello", Cancel);
                }
                catch (HttpRequestException)
                {
                    await Task.Delay(20, Cancel);
                }
            }
        }
    }

    [TestMethod]
    public async Task A_server_that_runs_is_not_restarted()
    {
        await using Part part = await Part.StartAsync(Cancel);
        part.Faults.Add(Fault.Hang.On("POST "));
        Task<HttpResponseMessage> waiting = part.Client.PostAsync("/hello", null, Cancel);

        await part.Server.RestartAsync(Cancel);

        Assert.AreEqual(Hello, await part.Client.GetStringAsync("/hello", Cancel));
        Assert.IsFalse(waiting.IsCompleted);
        part.Client.CancelPendingRequests();
        await Assert.ThrowsAsync<OperationCanceledException>(() => waiting);
    }

    [TestMethod]
    public async Task A_server_restarts_on_its_port()
    {
        await using Part part = await Part.StartAsync(Cancel);
        Uri address = part.Server.BaseUrl;

        await part.Server.StopAsync(Cancel);
        HttpRequestException refusal = await Assert.ThrowsExactlyAsync<HttpRequestException>(() => part.Client.GetStringAsync("/hello", Cancel));
        await part.Server.RestartAsync(Cancel);

        Assert.AreEqual(HttpRequestError.ConnectionError, refusal.HttpRequestError);
        Assert.AreEqual(Hello, await part.Client.GetStringAsync("/hello", Cancel));
        Assert.AreEqual(address, part.Server.BaseUrl);
    }

    [TestMethod]
    public async Task Requests_are_counted_from_one_where_method_and_path_fit()
    {
        await using Part part = await Part.StartAsync(Cancel);
        part.Faults.Add(Fault.Status(502).On("POST /hello/*/entries").ForRequests(2, 3));

        var statuses = new List<int>();
        foreach ((string method, string path) in new[]
        {
            ("POST", "/hello/1/entries"), ("GET", "/hello/1/entries"), ("POST", "/hello/1/other"), ("POST", "/hello/2/entries/more"), ("POST", "/hello/1/entries"), ("POST", "/hello/1/entries"),
        })
        {
            using HttpResponseMessage answer = await part.Client.SendAsync(new HttpRequestMessage(new HttpMethod(method), path), Cancel);
            statuses.Add((int)answer.StatusCode);
        }

        Assert.AreEqual("201 201 201 502 502 201", string.Join(' ', statuses));
    }

    [TestMethod]
    public async Task The_first_of_several_faults_happens_and_all_count()
    {
        await using Part part = await Part.StartAsync(Cancel);
        part.Faults.Add(Fault.Status(500).ForRequests(1, 2));
        part.Faults.Add(Fault.Status(503).ForRequests(2, 3));

        var statuses = new List<int>();
        for (int request = 1; request <= 4; request++)
        {
            using HttpResponseMessage answer = await part.Client.GetAsync("/hello", Cancel);
            statuses.Add((int)answer.StatusCode);
        }

        Assert.AreEqual("500 500 503 201", string.Join(' ', statuses));
    }

    [TestMethod]
    public async Task A_fault_ends_with_its_time_or_when_it_is_cleared()
    {
        await using Part part = await Part.StartAsync(Cancel);
        part.Faults.Add(Fault.Status(503).During(TimeSpan.Zero));
        Assert.AreEqual(HttpStatusCode.Created, await StatusAsync());

        part.Faults.Add(Fault.Status(503).During(TimeSpan.FromHours(1)));
        Assert.AreEqual(HttpStatusCode.ServiceUnavailable, await StatusAsync());

        part.Faults.Clear();
        Assert.AreEqual(HttpStatusCode.Created, await StatusAsync());

        async Task<HttpStatusCode> StatusAsync()
        {
            using HttpResponseMessage answer = await part.Client.GetAsync("/hello", Cancel);
            return answer.StatusCode;
        }
    }

    [TestMethod]
    public async Task Traffic_records_the_status_that_was_sent()
    {
        await using Part part = await Part.StartAsync(Cancel);
        Fault[] faults = [Fault.Status(502).AfterTheWork(), Fault.Empty, Fault.Cut, Fault.Drop.AfterTheWork()];
        for (int at = 0; at < faults.Length; at++)
        {
            part.Faults.Add(faults[at].ForRequests(at + 1, at + 1));
        }

        for (int at = 0; at < faults.Length; at++)
        {
            try
            {
                using HttpResponseMessage answer = await part.Client.PostAsync("/hello", null, Cancel);
            }
            catch (HttpRequestException)
            {
                // Cut or dropped.
            }
        }

        await part.Server.StopAsync(Cancel); // the client learns of an abort before the server has written it down
        Assert.AreEqual("502 201 201 0", string.Join(' ', part.Traffic.Snapshot().OrderBy(exchange => exchange.Began).Select(exchange => exchange.Status)));
    }

    [TestMethod]
    public async Task Only_the_part_that_can_tell_a_lie_takes_it()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: Cancel);

        sandbox.RekorV1Server.Faults.Add(Fault.Lie(RekorLie.SetByOtherKey));

        Assert.ThrowsExactly<ArgumentException>(() => sandbox.RekorV2Server.Faults.Add(Fault.Lie(RekorLie.SetByOtherKey)));
        Assert.ThrowsExactly<ArgumentException>(() => sandbox.FulcioServer.Faults.Add(Fault.Lie(TimestampLie.HourLate)));
        Assert.ThrowsExactly<ArgumentException>(() => sandbox.TufServer.Faults.Add(Fault.Lie(RegistryLie.StoresNothing)));
    }

    /// <summary>A server with one part, which counts what it handled.</summary>
    private sealed class Part : IAsyncDisposable
    {
        public static readonly DateTimeOffset Now = new(2026, 11, 23, 12, 0, 0, TimeSpan.Zero);

        private int handled;

        public LoopbackServer Server { get; private set; } = null!;

        public HttpClient Client { get; private set; } = null!;

        public Traffic Traffic { get; } = new();

        public Faults Faults => Server.Faults;

        public int Handled => handled;

        public static async Task<Part> StartAsync(CancellationToken cancel)
        {
            var part = new Part();
            part.Server = await LoopbackServer.StartAsync("part", 0, part.Traffic, new Clock(), routes => routes.Map("/hello/{**rest}", async context =>
            {
                Interlocked.Increment(ref part.handled);
                context.Response.StatusCode = StatusCodes.Status201Created;
                context.Response.Headers["X-Part"] = "part";
                context.Response.ContentLength = Hello.Length;
                await context.Response.WriteAsync(Hello, context.RequestAborted);
            }), cancel: cancel);
            part.Client = part.NewClient();
            return part;
        }

        public HttpClient NewClient() => new() { BaseAddress = Server.BaseUrl };

        public async ValueTask DisposeAsync()
        {
            Client.Dispose();
            await Server.DisposeAsync();
        }
    }

    private sealed class Clock : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => Part.Now;
    }
}
