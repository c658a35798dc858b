using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Keyless.Sandbox.Tests;

[TestClass]
public sealed class LoopbackServerTests
{
    public required TestContext TestContext { get; init; }

    private CancellationToken Cancel => TestContext.CancellationToken;

    [TestMethod]
    public async Task Records_each_request_without_its_query()
    {
        var traffic = new Traffic();
        await using LoopbackServer server = await StartAsync(traffic);
        using HttpClient client = Client(server, "someone/1.0");

        using HttpResponseMessage answer = await client.GetAsync("/hello?secret=1", Cancel);

        Exchange exchange = traffic.Snapshot().Single();
        Assert.AreEqual(("part", "GET", "/hello", "someone/1.0", 200), (exchange.Part, exchange.Method, exchange.Path, exchange.UserAgent, exchange.Status));
    }

    [TestMethod]
    public async Task Measures_one_client_since_a_mark()
    {
        var traffic = new Traffic();
        await using LoopbackServer server = await StartAsync(traffic);
        using HttpClient ours = Client(server, "ours/1.0"), theirs = Client(server, "theirs/1.0");
        await ours.GetStringAsync("/hello", Cancel);
        long mark = traffic.Mark();
        await theirs.GetStringAsync("/hello", Cancel);
        await ours.GetStringAsync("/hello", Cancel);
        await ours.GetStringAsync("/hello", Cancel);

        Assert.AreEqual(new TrafficMeasure(2, 2), traffic.Measure("ours/", mark));
        Assert.AreEqual(new TrafficMeasure(4, 4), traffic.Measure());
        traffic.Clear();
        Assert.AreEqual(new TrafficMeasure(0, 0), traffic.Measure());
    }

    [TestMethod]
    public async Task With_a_delay_parallel_requests_are_seen_to_be_parallel()
    {
        var traffic = new Traffic();
        await using LoopbackServer server = await StartAsync(traffic);
        server.Delay = TimeSpan.FromMilliseconds(400);
        using HttpClient client = Client(server, "ours/1.0");

        await Task.WhenAll(client.GetStringAsync("/hello", Cancel), client.GetStringAsync("/hello", Cancel), client.GetStringAsync("/hello", Cancel));
        await client.GetStringAsync("/hello", Cancel);

        Assert.AreEqual(new TrafficMeasure(4, 2), traffic.Measure());
    }

    [TestMethod]
    public async Task An_intercept_answers_instead_of_the_part()
    {
        var traffic = new Traffic();
        await using LoopbackServer server = await StartAsync(traffic);
        using HttpClient client = Client(server, "ours/1.0");

        server.Intercept = context =>
        {
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            return Task.CompletedTask;
        };
        using HttpResponseMessage unavailable = await client.GetAsync("/hello", Cancel);
        server.Intercept = context => context.Response.WriteAsync("something else", Cancel);
        string other = await client.GetStringAsync("/hello", Cancel);
        server.Intercept = _ => Task.CompletedTask;
        string usual = await client.GetStringAsync("/hello", Cancel);

        Assert.AreEqual(HttpStatusCode.ServiceUnavailable, unavailable.StatusCode);
        Assert.AreEqual("something else", other);
        Assert.AreEqual("hello", usual);
        Assert.AreEqual("503 200 200", string.Join(' ', traffic.Snapshot().Select(exchange => exchange.Status)));
    }

    [TestMethod]
    public async Task An_intercept_that_aborts_keeps_the_request_from_the_part()
    {
        var traffic = new Traffic();
        int handled = 0;
        await using LoopbackServer server = await StartAsync(traffic, () => handled++);
        using HttpClient client = Client(server, "ours/1.0");

        server.Intercept = context =>
        {
            context.Abort();
            return Task.CompletedTask;
        };

        await Assert.ThrowsExactlyAsync<HttpRequestException>(() => client.PostAsync("/hello", null, Cancel));
        Assert.AreEqual(0, handled);
    }

    [TestMethod]
    public async Task An_intercept_can_lose_the_answer_to_work_that_was_done()
    {
        var traffic = new Traffic();
        int handled = 0;
        await using LoopbackServer server = await StartAsync(traffic, () => handled++);
        using HttpClient client = Client(server, "ours/1.0");

        server.Intercept = context =>
        {
            context.Response.OnStarting(() =>
            {
                context.Abort();
                return Task.CompletedTask;
            });
            return Task.CompletedTask;
        };

        await Assert.ThrowsExactlyAsync<HttpRequestException>(() => client.PostAsync("/hello", null, Cancel));
        Assert.AreEqual(1, handled);
        await server.StopAsync(Cancel); // the client learns of the abort before the server has written it down
        Assert.AreEqual(0, traffic.Snapshot().Single().Status);
    }

    [TestMethod]
    public async Task Refuses_a_body_over_the_limit()
    {
        await using LoopbackServer server = await LoopbackServer.StartAsync(
            "part", 0, new Traffic(), TimeProvider.System, routes => routes.MapPost("/", context => context.Request.Body.CopyToAsync(Stream.Null, Cancel)), largestBody: 10, Cancel);
        using HttpClient client = Client(server, "ours/1.0");

        using HttpResponseMessage fits = await client.PostAsync("/", new ByteArrayContent(new byte[10]), Cancel);
        using HttpResponseMessage tooLong = await client.PostAsync("/", new ByteArrayContent(new byte[11]), Cancel);

        Assert.AreEqual(HttpStatusCode.OK, fits.StatusCode);
        Assert.AreEqual(HttpStatusCode.RequestEntityTooLarge, tooLong.StatusCode);
    }

    [TestMethod]
    public async Task Refuses_connections_once_it_has_stopped()
    {
        await using LoopbackServer server = await StartAsync(new Traffic());
        using HttpClient client = Client(server, "ours/1.0");
        await client.GetStringAsync("/hello", Cancel);

        await server.StopAsync(Cancel);

        await Assert.ThrowsExactlyAsync<HttpRequestException>(() => client.GetStringAsync("/hello", Cancel));
    }

    [TestMethod]
    public async Task A_taken_port_is_an_error()
    {
        await using LoopbackServer server = await StartAsync(new Traffic());

        await Assert.ThrowsAsync<IOException>(() => LoopbackServer.StartAsync("other", server.BaseUrl.Port, new Traffic(), TimeProvider.System, _ => { }, cancel: Cancel));
    }

    private Task<LoopbackServer> StartAsync(Traffic traffic, Action? handled = null) => LoopbackServer.StartAsync(
        "part",
        0,
        traffic,
        TimeProvider.System,
        routes => routes.Map("/hello", context =>
        {
            handled?.Invoke();
            return context.Response.WriteAsync("hello", Cancel);
        }),
        cancel: Cancel);

    private static HttpClient Client(LoopbackServer server, string userAgent)
    {
        var client = new HttpClient { BaseAddress = server.BaseUrl };
        client.DefaultRequestHeaders.UserAgent.ParseAdd(userAgent);
        return client;
    }
}
