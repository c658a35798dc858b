using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Extensions;
using Microsoft.Extensions.Logging;

namespace Keyless.Sigstore.Tests;

/// <summary>One loopback server that answers everything in one way.</summary>
internal sealed class OneAnswer : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly ConcurrentQueue<Asked> asked = new();

    private OneAnswer(WebApplication app) => this.app = app;

    public Uri Url => new(app.Urls.Single());

    public IReadOnlyList<Asked> Asked => [.. asked];

    public static async Task<OneAnswer> StartAsync(Func<HttpContext, byte[], Task> answer)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var server = new OneAnswer(builder.Build());
        server.app.Run(async context =>
        {
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body, context.RequestAborted);
            server.asked.Enqueue(new Asked(
                context.Request.Method, context.Request.GetEncodedPathAndQuery(), context.Request.Headers.Authorization.ToString(), context.Request.Headers.UserAgent.ToString()));
            await answer(context, body.ToArray());
        });
        await server.app.StartAsync();
        return server;
    }

    public static Task<OneAnswer> StartAsync(int status, string body, string contentType = "application/json") => StartAsync((context, _) =>
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = contentType;
        return context.Response.WriteAsync(body, context.RequestAborted);
    });

    public async ValueTask DisposeAsync()
    {
        // Requests that a test left hanging are not waited for.
        using var now = new CancellationTokenSource(0);
        await app.StopAsync(now.Token);
        await app.DisposeAsync();
    }
}

internal sealed record Asked(string Method, string PathAndQuery, string Authorization, string UserAgent);

/// <summary>Tokens that nobody signed: their signature is for Fulcio to verify.</summary>
internal static class Tokens
{
    public const string Signature = "Q2FuYXJ5LXNpZ25hdHVyZS1vZi1hLXRva2Vu";

    public static readonly DateTimeOffset Now = new(2026, 11, 23, 6, 0, 0, TimeSpan.Zero);

    public static JsonObject GitHubClaims() => new()
    {
        ["iss"] = "https://token.actions.githubusercontent.com",
        ["sub"] = "repo:example-org/canary-subject:ref:refs/heads/main",
        ["aud"] = "sigstore",
        ["exp"] = Now.AddMinutes(5).ToUnixTimeSeconds(),
        ["nbf"] = Now.ToUnixTimeSeconds(),
        ["job_workflow_ref"] = "example-org/canary-subject/.github/workflows/publish.yml@refs/heads/main",
        ["repository_visibility"] = "public",
    };

    public static string Make(JsonObject claims, string header = """{"alg":"RS256","typ":"JWT"}""") => Make(claims.ToJsonString(), header);

    public static string Make(string claims, string header = """{"alg":"RS256","typ":"JWT"}""") => $"{Encode(header)}.{Encode(claims)}.{Signature}";

    public static string GitHub() => Make(GitHubClaims());

    /// <summary>No part of a token, and nothing it says about somebody, may be in what a log could show.</summary>
    public static void AssertNotIn(Exception exception, string jwt)
    {
        foreach (string part in ((string[])[jwt, .. jwt.Split('.'), "canary-subject"]).Where(part => part.Length > 7))
        {
            Assert.DoesNotContain(part, exception.Message);
            Assert.DoesNotContain(part, exception.ToString());
        }
    }

    private static string Encode(string text) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(text));
}

internal static class Clients
{
    public const string UserAgent = "Keyless.MSBuild/0.0.0-test";

    public static HttpClient New() => new(new SocketsHttpHandler { AllowAutoRedirect = false, UseProxy = false });
}
