using System.Text;
using Keyless.Sandbox;
using Keyless.Sigstore.Formats;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

/// <summary>Trusted root and signing config of an instance, by TUF, from the cache, or as shipped.</summary>
[TestClass]
public sealed class SigstoreRepositoryTests(TestContext test)
{
    private const SigstoreDocuments Both = SigstoreDocuments.TrustedRoot | SigstoreDocuments.SigningConfig;

    [TestMethod]
    public async Task Delivers_both_documents_of_the_sandbox()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: test.CancellationToken);
        using var folder = new TemporaryFolder();
        using HttpClient client = Clients.New();

        FetchedDocuments fetched = await SigstoreRepository.At(sandbox.TufServer.BaseUrl, sandbox.Tuf.FirstRoot)
            .FetchAsync(new SigstoreFetching(client, Clients.UserAgent, TimeProvider.System, folder.Path, Offline: false), Both, test.CancellationToken);

        Assert.HasCount(2, fetched.TrustedRoot!.Logs);
        fetched.SigningConfig!.MustNameServicesOf(fetched.TrustedRoot, DateTimeOffset.UtcNow, allowHttp: false);
        Assert.IsEmpty(fetched.Warnings);
        Assert.IsEmpty(fetched.Notes);
        Assert.HasCount(6, sandbox.Tuf.Requests);
    }

    [TestMethod]
    [DataRow(SigstoreDocuments.TrustedRoot, "trusted_root.json")]
    [DataRow(SigstoreDocuments.SigningConfig, "signing_config.v0.2.json")]
    public async Task Fetches_no_document_that_nobody_asked_for(SigstoreDocuments wanted, string target)
    {
        await using TufWorld world = await StartAsync();

        FetchedDocuments fetched = await FetchAsync(world, wanted);

        Assert.AreEqual(wanted == SigstoreDocuments.TrustedRoot, fetched.TrustedRoot is not null);
        Assert.AreEqual(wanted == SigstoreDocuments.SigningConfig, fetched.SigningConfig is not null);
        Assert.EndsWith(target, world.Repository.Requests.Single(path => path.StartsWith("targets/", StringComparison.Ordinal)));
    }

    [TestMethod]
    [Clause("U.58")]
    public async Task Takes_both_from_one_version_although_the_repository_goes_on_in_between()
    {
        await using TufWorld world = await StartAsync();
        world.Server.Intercept = context =>
        {
            if (context.Request.Path.Value!.EndsWith("trusted_root.json", StringComparison.Ordinal))
            {
                world.Repository.AddTarget("signing_config.v0.2.json", "{}"u8.ToArray());
                world.Repository.Publish("targets");
            }

            return Task.CompletedTask;
        };

        FetchedDocuments fetched = await FetchAsync(world, Both);

        Assert.IsNotNull(fetched.SigningConfig);
    }

    [TestMethod]
    [DataRow("signing_config.v0.2.json", null, TufFailure.Missing)]
    [DataRow("signing_config.v0.2.json", "{}", TufFailure.Malformed)]
    [DataRow("trusted_root.json", "[]", TufFailure.Malformed)]
    public async Task Says_which_document_is_missing_or_none(string target, string? content, TufFailure failure)
    {
        await using TufWorld world = await StartAsync();
        world.Repository["targets"]["targets"]!.AsObject().Remove(target);
        if (content is not null)
        {
            world.Repository.AddTarget(target, Encoding.UTF8.GetBytes(content));
        }

        world.Repository.Publish("targets");

        TufException no = await Assert.ThrowsExactlyAsync<TufException>(() => FetchAsync(world, Both));

        Assert.AreEqual((failure, "targets"), (no.Failure, no.Role));
        Assert.Contains(target, no.Message);
        Assert.Contains("targets version 3", no.Message);
    }

    [TestMethod]
    [Clause("U.53")]
    [DataRow(0, "is valid for another 7 days", false)]
    [DataRow(8, "expired 24 hours ago", true)]
    [DataRow(30, "expired 23 days ago", true)]
    public async Task Uses_what_is_cached_offline_and_says_how_old_it_is(int days, string says, bool warns)
    {
        await using TufWorld world = await StartAsync();
        await FetchAsync(world, Both);
        world.Clock.Now += TimeSpan.FromDays(days);
        world.Repository.ForgetRequests();

        FetchedDocuments fetched = await FetchAsync(world, Both, offline: true);

        Assert.IsNotNull(fetched.TrustedRoot);
        Assert.IsNotNull(fetched.SigningConfig);
        Assert.IsEmpty(world.Repository.Requests);
        Assert.Contains(says, (warns ? fetched.Warnings : fetched.Notes).Single());
        Assert.IsEmpty(warns ? fetched.Notes : fetched.Warnings);
    }

    [TestMethod]
    [Clause("U.53")]
    public async Task Names_every_role_that_has_expired_offline()
    {
        await using TufWorld world = await StartAsync();
        await FetchAsync(world, Both);
        world.Clock.Now += TimeSpan.FromDays(400);

        string warning = (await FetchAsync(world, Both, offline: true)).Warnings.Single();

        Assert.Contains("timestamp (version 2) expired 393 days ago", warning);
        Assert.Contains("root (version 1) expired 203 days ago", warning);
    }

    [TestMethod]
    [Clause("U.53")]
    [DataRow("timestamp.json")]
    [DataRow("snapshot.json")]
    [DataRow("targets.json")]
    [DataRow("targets/trusted_root.json")]
    [DataRow("")]
    public async Task Uses_nothing_offline_that_is_not_signed_or_not_there(string file)
    {
        await using TufWorld world = await StartAsync();
        await FetchAsync(world, Both);
        foreach (string path in Directory.GetFiles(world.Folder, "*.json", SearchOption.AllDirectories).Where(path => path.Replace('\\', '/').EndsWith(file, StringComparison.Ordinal)))
        {
            await File.WriteAllTextAsync(path, (await File.ReadAllTextAsync(path, test.CancellationToken)).Replace("sandbox", "sendbox", StringComparison.Ordinal).Replace("20", "21", StringComparison.Ordinal), test.CancellationToken);
        }

        TufException no = await Assert.ThrowsExactlyAsync<TufException>(() => FetchAsync(world, Both, offline: true));

        Assert.AreEqual(TufFailure.Stale, no.Failure);
        Assert.Contains("SigstoreOffline is true", no.Message);
    }

    [TestMethod]
    public async Task Uses_what_an_update_that_broke_off_has_left_offline_but_not_online()
    {
        await using TufWorld world = await StartAsync();
        await FetchAsync(world, Both);
        world.Repository.Publish("targets");
        world.Repository.Files.Remove("3.snapshot.json", out _);
        TufException online = await Assert.ThrowsExactlyAsync<TufException>(() => FetchAsync(world, Both));

        FetchedDocuments offline = await FetchAsync(world, Both, offline: true);

        Assert.AreEqual((TufFailure.Stale, "snapshot"), (online.Failure, online.Role), online.Message);
        Assert.IsNotNull(offline.SigningConfig);
    }

    [TestMethod]
    [Clause("U.54")]
    public async Task Uses_the_cache_as_long_as_its_timestamp_is_good_where_nobody_answers()
    {
        await using TufWorld world = await StartAsync();
        await FetchAsync(world, Both);
        await world.Server.StopAsync(test.CancellationToken);

        string warning = (await FetchAsync(world, Both)).Warnings.Single();
        world.Clock.Now += TimeSpan.FromDays(8);
        TufException no = await Assert.ThrowsExactlyAsync<TufException>(() => FetchAsync(world, Both));

        Assert.Contains("cannot be reached", warning);
        Assert.Contains("timestamp (version 2) is valid for another 7 days", warning);
        Assert.AreEqual((TufFailure.Stale, "timestamp"), (no.Failure, no.Role));
        Assert.Contains("cannot be reached", no.Message);
        Assert.Contains("timestamp version 2", no.Message);
        Assert.Contains("it expired 24 hours ago", no.Message);
    }

    [TestMethod]
    [Clause("U.57")]
    public async Task Does_not_fall_back_to_the_cache_where_the_repository_lies()
    {
        await using TufWorld world = await StartAsync();
        await FetchAsync(world, Both);
        world.Repository.Signers["timestamp"] = [TufSigner.Create()];
        world.Repository.Publish("timestamp");

        Assert.AreEqual(TufFailure.NotSigned, (await Assert.ThrowsExactlyAsync<TufException>(() => FetchAsync(world, Both))).Failure);
    }

    [TestMethod]
    public async Task Says_so_where_nobody_answers_and_nothing_is_cached()
    {
        await using TufWorld world = await StartAsync();
        await world.Server.StopAsync(test.CancellationToken);

        TufException no = await Assert.ThrowsExactlyAsync<TufException>(() => FetchAsync(world, Both));

        Assert.AreEqual(TufFailure.Stale, no.Failure);
        Assert.Contains("cannot be reached", no.Message);
        Assert.Contains("no timestamp of", no.Message);
    }

    [TestMethod]
    public async Task Keeps_repositories_apart()
    {
        await using TufWorld one = await StartAsync();
        await using TufWorld other = await StartAsync();

        await FetchAsync(one, Both, folder: one.Folder);
        await FetchAsync(other, Both, folder: one.Folder);

        Assert.HasCount(2, Directory.GetDirectories(one.Folder));
        Assert.IsNotNull((await FetchAsync(one, Both, offline: true, folder: one.Folder)).TrustedRoot);
    }

    [TestMethod]
    [Clause("U.1", "U.2")]
    [DataRow("public-good.root.json", 14, 3)]
    [DataRow("staging.root.json", 13, 2)]
    public void The_shipped_roots_are_signed_by_enough_of_their_own_keys(string resource, int version, int threshold)
    {
        byte[] root = Resource(resource);

        // Long after they have expired: the first root's expiry does not count.
        TrustedMetadata trusted = TrustedMetadata.Start(root, resource, new DateTimeOffset(2040, 1, 1, 0, 0, 0, TimeSpan.Zero), TufAge.Current);

        Assert.AreEqual((version, threshold, true), (trusted.Root.Version, trusted.Root["root"].Threshold, trusted.Root.ConsistentSnapshot));
        byte[] changed = Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(root).Replace("\"consistent_snapshot\": true", "\"consistent_snapshot\": false", StringComparison.Ordinal));
        Assert.AreEqual(TufFailure.NotSigned, Assert.ThrowsExactly<TufException>(() => TrustedMetadata.Start(changed, resource, DateTimeOffset.UnixEpoch, TufAge.Any)).Failure);
    }

    [TestMethod]
    [Clause("U.53")]
    public async Task Ships_the_public_trusted_root_for_those_who_are_offline_and_says_how_old_it_is()
    {
        using HttpClient client = Clients.New();
        var fetching = new SigstoreFetching(client, Clients.UserAgent, new StoppedClock(Tokens.Now), CacheFolder: null, Offline: true);

        FetchedDocuments fetched = await SigstoreRepository.PublicGood().FetchAsync(fetching, SigstoreDocuments.TrustedRoot, test.CancellationToken);

        Assert.IsEmpty(fetched.TrustedRoot!.Warnings);
        Assert.Contains("https://rekor.sigstore.dev", fetched.TrustedRoot.Logs.Select(log => log.BaseUrl));
        Assert.Contains("351 days old", fetched.Warnings.Single());
        foreach ((SigstoreRepository repository, SigstoreDocuments wanted) in ((SigstoreRepository, SigstoreDocuments)[])[(SigstoreRepository.PublicGood(), Both), (SigstoreRepository.Staging(), SigstoreDocuments.TrustedRoot)])
        {
            Assert.AreEqual(TufFailure.Stale, (await Assert.ThrowsExactlyAsync<TufException>(() => repository.FetchAsync(fetching, wanted, test.CancellationToken))).Failure);
        }
    }

    [TestMethod] // {"version":2} is what a strict reader hands over, so that is what is canonicalised here.
    [Clause("U.47")]
    [DataRow("""{"b":1,"a":[true,false,null],"":{}}""", """{"":{},"a":[true,false,null],"b":1}""")]
    [DataRow("""{"a":"q\"b\\s\/ä\u00e9\u0001\n\t"}""", "{\"a\":\"q\\\"b\\\\s/ää\u0001\n\t\"}")]
    [DataRow("""{"\ud83d\ude00":1,"\ufb01":2,"a":3}""", "{\"a\":3,\"\ufb01\":2,\"\ud83d\ude00\":1}")]
    [DataRow("""{"B":1,"a":2,"A":3,"aa":4}""", """{"A":3,"B":1,"a":2,"aa":4}""")]
    [DataRow("""[0,-5,123456789012345678901234567890]""", """[0,-5,123456789012345678901234567890]""")]
    [DataRow(""" [ 1 , { "a" : [ ] } ] """, """[1,{"a":[]}]""")]
    public void Writes_the_canonical_form_that_is_signed(string json, string canonical) =>
        Assert.AreEqual(canonical.Replace("ää", "äé", StringComparison.Ordinal), Encoding.UTF8.GetString(TufCanonicalJson.Bytes(json)));

    [TestMethod]
    [DataRow("1.0")]
    [DataRow("1e3")]
    [DataRow("1E3")]
    [DataRow("-0")]
    [DataRow("""{"a":[{"b":0.5}]}""")]
    public void Has_no_canonical_form_of_what_is_no_integer(string json) => Assert.ThrowsExactly<FormatException>(() => TufCanonicalJson.Bytes(json));

    [TestMethod]
    public void Refuses_half_characters_before_they_are_signed() =>
        Assert.Throws<FormatException>(() => JsonFields.Parse("""{"a":"\ud83d"}"""u8.ToArray(), "metadata", 100));

    /// <summary>A repository with the sandbox's documents, at version 2 of all but root.</summary>
    private async Task<TufWorld> StartAsync()
    {
        await using SandboxHost sandbox = await SandboxHost.StartAsync(cancel: test.CancellationToken);
        TufWorld world = await TufWorld.StartAsync();
        world.Repository.AddTarget("trusted_root.json", Encoding.UTF8.GetBytes(sandbox.TrustedRoot));
        world.Repository.AddTarget("signing_config.v0.2.json", Encoding.UTF8.GetBytes(sandbox.SigningConfig));
        world.Repository.Publish("targets");
        return world;
    }

    private async Task<FetchedDocuments> FetchAsync(TufWorld world, SigstoreDocuments wanted, bool offline = false, string? folder = null)
    {
        using HttpClient client = Clients.New();
        return await SigstoreRepository.At(world.Server.BaseUrl, world.FirstRoot)
            .FetchAsync(new SigstoreFetching(client, Clients.UserAgent, world.Clock, folder ?? world.Folder, offline), wanted, test.CancellationToken);
    }

    private static byte[] Resource(string name)
    {
        using Stream stream = typeof(SigstoreRepository).Assembly.GetManifestResourceStream(name)!;
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }
}
