using System.IO.Compression;
using System.Text;
using Keyless.Testing;
using Microsoft.AspNetCore.Http;

namespace Keyless.Sigstore.Tests;

/// <summary>A repository's server that does not answer as it should: nothing is waited for or read without end, and nothing that was known is lost.</summary>
[TestClass]
public sealed class TufTransportTests(TestContext test)
{
    private const string Unchanged = "root 1, timestamp 2, snapshot 2, targets 2";

    [TestMethod] // test_timestamp_404, test_snapshot_404, test_targets_404
    [DataRow("timestamp.json", Unchanged)]
    [DataRow("3.snapshot.json", "root 1, timestamp 3, snapshot 2, targets 2")]
    [DataRow("3.targets.json", "root 1, timestamp 3, snapshot 3, targets 2")]
    public async Task Says_what_is_not_there_and_goes_on_once_it_is(string file, string onDisk)
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        world.Repository.Publish("targets");
        world.Repository.Files.Remove(file, out byte[]? bytes);

        ServiceException no = await Assert.ThrowsExactlyAsync<ServiceException>(world.RefreshAsync);

        Assert.AreEqual(ServiceFailure.Refused, no.Failure);
        Assert.Contains($"{file} refused with status 404", no.Message);
        Assert.AreEqual(onDisk, world.OnDisk());
        world.Repository.Files[file] = bytes!;
        await world.RefreshAsync();
        Assert.AreEqual("root 1, timestamp 3, snapshot 3, targets 3", world.OnDisk());
    }

    [TestMethod]
    [Clause("U.7", "U.12", "U.19", "U.26", "U.50")]
    [DataRow("2.root.json", "root", Limits.TufRootBytes)]
    [DataRow("timestamp.json", "timestamp", Limits.TufTimestampBytes)]
    [DataRow("3.snapshot.json", "snapshot", Limits.TufSnapshotBytes)]
    [DataRow("3.targets.json", "targets", Limits.TufTargetsBytes)]
    [Timeout(60_000, CooperativeCancellation = true)]
    public async Task Reads_no_more_than_the_bound_of_an_endless_answer(string file, string role, int bound)
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        world.Repository.Publish("targets");
        world.Answer(file, async context =>
        {
            var chunk = new byte[4096];
            while (!context.RequestAborted.IsCancellationRequested)
            {
                await context.Response.Body.WriteAsync(chunk, context.RequestAborted);
            }
        });

        TufException no = await world.RefusalAsync();

        Assert.AreEqual((TufFailure.Content, role), (no.Failure, no.Role), no.Message);
        // The answer ends only because it is no longer read.
        Assert.Contains($"more than {bound} bytes", no.Message);
    }

    [TestMethod]
    [Clause("U.19")]
    public async Task Reads_no_more_than_is_listed()
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        world.Repository.HashesInMeta = true;
        world.Repository.Publish("targets");
        int length = world.Repository.Files["3.snapshot.json"].Length;
        world.Repository.Files["3.snapshot.json"] = [.. world.Repository.Files["3.snapshot.json"], (byte)'\n'];

        TufException no = await world.RefusalAsync();

        Assert.AreEqual((TufFailure.Content, "snapshot"), (no.Failure, no.Role));
        Assert.Contains($"more than {length} bytes", no.Message);
    }

    [TestMethod]
    [Clause("U.50")]
    [DataRow("nothing at all")]
    [DataRow("one byte a moment")]
    [Timeout(60_000, CooperativeCancellation = true)]
    public async Task Does_not_wait_for_ever(string what)
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        world.Answer("timestamp.json", async context =>
        {
            while (true)
            {
                await Task.Delay(50, context.RequestAborted);
                if (what != "nothing at all")
                {
                    await context.Response.WriteAsync(" ", context.RequestAborted);
                    await context.Response.Body.FlushAsync(context.RequestAborted);
                }
            }
        });
        TufClient client = world.Client(timeout: TimeSpan.FromSeconds(1));

        ServiceException no = await Assert.ThrowsExactlyAsync<ServiceException>(() => client.RefreshAsync(test.CancellationToken));

        Assert.AreEqual(ServiceFailure.Unreachable, no.Failure);
        Assert.Contains("did not answer within 1 s", no.Message);
        Assert.AreEqual(Unchanged, world.OnDisk());
    }

    [TestMethod]
    [Clause("U.49")]
    [DataRow(301)]
    [DataRow(302)]
    [DataRow(307)]
    [DataRow(308)]
    public async Task Follows_nobody_elsewhere(int status)
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        await using TufWorld elsewhere = await TufWorld.StartAsync();
        world.Answer("timestamp.json", context =>
        {
            context.Response.StatusCode = status;
            context.Response.Headers.Location = new Uri(elsewhere.Server.BaseUrl, "timestamp.json").AbsoluteUri;
            return Task.CompletedTask;
        });

        ServiceException no = await Assert.ThrowsExactlyAsync<ServiceException>(world.RefreshAsync);

        Assert.Contains("a redirect, which is not followed", no.Message);
        Assert.IsEmpty(elsewhere.Repository.Requests);
    }

    [TestMethod]
    public async Task Unpacks_nothing()
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        using var packed = new MemoryStream();
        await using (var gzip = new GZipStream(packed, CompressionLevel.SmallestSize, leaveOpen: true))
        {
            await gzip.WriteAsync(new byte[10_000_000], test.CancellationToken);
        }

        world.Answer("timestamp.json", async context =>
        {
            context.Response.Headers.ContentEncoding = "gzip";
            await context.Response.Body.WriteAsync(packed.ToArray(), context.RequestAborted);
        });

        TufException no = await world.RefusalAsync();

        Assert.AreEqual((TufFailure.Malformed, "timestamp"), (no.Failure, no.Role), no.Message);
    }

    [TestMethod]
    public async Task Takes_a_login_page_for_no_metadata()
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        world.Answer("2.root.json", context => context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes("<html>please log in</html>")).AsTask());

        TufException no = await world.RefusalAsync();

        Assert.AreEqual((TufFailure.Malformed, "root"), (no.Failure, no.Role));
        Assert.Contains("no proxy answers for it", no.Message);
    }

    [TestMethod]
    public async Task Says_who_it_is_and_sends_nothing_else()
    {
        await using TufWorld world = await TufWorld.StartAsync();
        var headers = new List<string>();
        world.Server.Intercept = context =>
        {
            headers.AddRange(context.Request.Headers.Select(header => $"{header.Key}: {header.Value}"));
            return Task.CompletedTask;
        };

        await world.RefreshAsync();

        CollectionAssert.AreEquivalent(new[] { $"Host: {world.Server.BaseUrl.Authority}", $"User-Agent: {Clients.UserAgent}" }, headers.Distinct().ToArray());
    }
}
