using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Sigstore.Formats;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

/// <summary>Metadata, its keys and hashes one by one, and what one process tells of another's files.</summary>
[TestClass]
public sealed class TufMetadataTests
{
    private static readonly byte[] Data = "data"u8.ToArray();

    [TestMethod]
    [Clause("U.48")]
    [DataRow("ed25519", "ed25519", "@hex62")]
    [DataRow("ed25519", "ed25519", "@hex66")]
    [DataRow("ed25519", "ed25519", "@hex63")]
    [DataRow("ed25519", "ed25519", "no hex")]
    [DataRow("ecdsa", "ecdsa-sha2-nistp256", "no PEM")]
    [DataRow("ecdsa", "ecdsa-sha2-nistp256", "something\n@pem")]
    [DataRow("ecdsa", "ecdsa-sha2-nistp256", "@pem\nsomething")]
    [DataRow("ecdsa", "ecdsa-sha2-nistp256", "@pem\n@pem")]
    [DataRow("ecdsa", "ecdsa-sha2-nistp256", "@certificate")]
    [DataRow("rsa", "rsassa-pss-sha256", "@pem")]
    public void A_key_that_is_none_counts_for_nothing(string type, string scheme, string value)
    {
        string pem = (string)TufSigner.Create().Key["keyval"]!["public"]!;
        string written = value switch
        {
            ['@', 'h', 'e', 'x', .. var digits] => new string('a', int.Parse(digits, null)),
            "@certificate" => pem.Replace("PUBLIC KEY", "CERTIFICATE", StringComparison.Ordinal),
            _ => value.Replace("@pem", pem.Trim(), StringComparison.Ordinal),
        };

        Assert.IsNull(Key(type, scheme, written));
    }

    [TestMethod]
    [Clause("U.48")]
    [DataRow(TufKeyKind.EcdsaP256)]
    [DataRow(TufKeyKind.Ed25519)]
    [DataRow(TufKeyKind.RsaPss)]
    public void A_key_verifies_its_own_signatures_and_no_others(TufKeyKind kind)
    {
        TufSigner signer = TufSigner.Create(kind), other = TufSigner.Create(kind);
        var content = new JsonObject { ["a"] = 1 };
        byte[] signed = Encoding.UTF8.GetBytes("""{"a":1}""");
        TufKey key = Key((string)signer.Key["keytype"]!, (string)signer.Key["scheme"]!, (string)signer.Key["keyval"]!["public"]!)!;
        byte[] signature = Signature(signer);

        Assert.IsTrue(key.Verifies(signed, signature));
        Assert.IsFalse(key.Verifies(Data, signature));
        Assert.IsFalse(key.Verifies(signed, Signature(other)));
        Assert.IsFalse(key.Verifies(signed, signature[..^1]));
        Assert.IsFalse(key.Verifies(signed, [0, .. signature]));
        Assert.IsFalse(key.Verifies(signed, []));

        byte[] Signature(TufSigner by) => Convert.FromHexString((string)by.Sign(content)["sig"]!);
    }

    [TestMethod]
    [DataRow("", 0)]
    [DataRow("0aF9", 2)]
    [DataRow("abc", -1)]
    [DataRow("a", -1)]
    [DataRow("zz", -1)]
    [DataRow("aazz", -1)]
    [DataRow("0x", -1)]
    [DataRow("aa ", -1)]
    public void Reads_hex_of_whole_bytes(string hex, int bytes) => Assert.AreEqual(bytes, TufKey.TryDecodeHex(hex)?.Length ?? -1);

    [TestMethod]
    [Clause("U.35")]
    [DataRow("null")]
    [DataRow("""{"sha256":"@31"}""")]
    [DataRow("""{"sha256":"@33"}""")]
    [DataRow("""{"sha512":"@32"}""")]
    public async Task Refuses_a_target_without_hashes_or_with_ones_of_another_length(string hashes)
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        foreach (int bytes in (int[])[31, 32, 33])
        {
            hashes = hashes.Replace($"@{bytes}", new string('a', 2 * bytes), StringComparison.Ordinal);
        }

        world.Repository["targets"]["targets"]!["artifact.txt"]!["hashes"] = JsonNode.Parse(hashes);
        world.Repository.Publish("targets");

        TufException no = await world.RefusalAsync();

        Assert.AreEqual((TufFailure.Malformed, "targets"), (no.Failure, no.Role), no.Message);
    }

    [TestMethod]
    public async Task Tells_nothing_before_the_first_update()
    {
        await using TufWorld world = await TufWorld.StartAsync();
        var trusted = TrustedMetadata.Start(world.FirstRoot, "here", world.Clock.Now, TufAge.Current);

        Assert.ThrowsExactly<InvalidOperationException>(() => trusted.Timestamp);
        Assert.ThrowsExactly<InvalidOperationException>(() => trusted.Snapshot);
        Assert.ThrowsExactly<InvalidOperationException>(() => trusted.Targets);
        Assert.ThrowsExactly<InvalidOperationException>(() => world.Client().Trusted);
    }

    [TestMethod]
    [Clause("U.52")]
    public async Task Knows_a_root_that_another_process_was_first_with()
    {
        await using TufWorld world = await TufWorld.StartAsync(keys: 3, threshold: 2);
        RootMetadata first = RootMetadata.Parse(world.FirstRoot);
        // As many signatures as the threshold asks for, and no more.
        List<TufSigner> keys = world.Repository.Signers["root"];
        Assert.IsTrue(TrustedMetadata.Follows(first, Signed(2, keys[0], keys[1])));
        Assert.IsFalse(TrustedMetadata.Follows(first, Signed(2, keys[0])));
        Assert.IsFalse(TrustedMetadata.Follows(first, Signed(1, keys[0], keys[1])));
        Assert.IsFalse(TrustedMetadata.Follows(first, Signed(3, keys[0], keys[1])));

        // Signed by the old keys alone.
        world.Repository.SetKeys("root", 2, TufSigner.Create(), TufSigner.Create());
        Assert.IsFalse(TrustedMetadata.Follows(first, Signed(2, keys[0], keys[1])));

        byte[] Signed(int version, params TufSigner[] by)
        {
            JsonObject root = world.Repository["root"].DeepClone().AsObject();
            root["version"] = version;
            return TufRepository.Envelope(root, by);
        }
    }

    [TestMethod]
    [Clause("U.52")]
    public async Task Knows_a_timestamp_and_a_snapshot_of_another_process_that_are_newer()
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        TrustedMetadata trusted = (await world.RefreshAsync()).Trusted;
        foreach (string role in (string[])["timestamp", "snapshot"])
        {
            TufMetadata known = role == "timestamp" ? trusted.Timestamp : trusted.Snapshot;
            Assert.IsFalse(trusted.IsNewer(known.Bytes, role), role);
            JsonObject next = world.Repository[role].DeepClone().AsObject();
            next["version"] = known.Version + 1;
            Assert.IsTrue(trusted.IsNewer(TufRepository.Envelope(next, world.Repository.Signers[role]), role), role);
            Assert.IsFalse(trusted.IsNewer(TufRepository.Envelope(next, [TufSigner.Create()]), role), role);
        }
    }

    [TestMethod]
    [DataRow(-59, "expired 59 minutes ago")]
    [DataRow(-60, "expired 1 hour ago")]
    [DataRow(-120, "expired 2 hours ago")]
    [DataRow(47 * 60, "is valid for another 47 hours")]
    [DataRow(48 * 60, "is valid for another 2 days")]
    public async Task Says_how_old_metadata_is(int minutes, string says)
    {
        await using TufWorld world = await TufWorld.StartAsync();
        DateTimeOffset now = RootMetadata.Parse(world.FirstRoot).Expires.AddMinutes(-minutes);
        var trusted = TrustedMetadata.Start(world.FirstRoot, "here", now, TufAge.Any);

        Assert.StartsWith(says, trusted.Age(trusted.Root));
    }

    // An update that broke off leaves a timestamp beside an older snapshot. Offline that is used; a snapshot that is newer than listed is not.
    [TestMethod]
    [Clause("U.53")]
    public async Task Uses_offline_what_an_update_that_broke_off_has_left()
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        byte[] older = world.Files()["timestamp.json"];
        world.Repository.HashesInMeta = true;
        world.Repository.Publish("targets");
        world.Answer("3.snapshot.json", context =>
        {
            context.Response.StatusCode = 503;
            return context.Response.CompleteAsync();
        });
        await Assert.ThrowsExactlyAsync<ServiceException>(world.RefreshAsync);
        Assert.AreEqual("root 1, timestamp 3, snapshot 2, targets 2", world.OnDisk());

        world.Client().LoadKept(TufAge.Any);
        Assert.AreEqual(TufFailure.Content, Assert.ThrowsExactly<TufException>(() => world.Client().LoadKept(TufAge.Current)).Failure);

        world.Server.Intercept = null;
        await world.RefreshAsync();
        await File.WriteAllBytesAsync(Path.Combine(world.Folder, "timestamp.json"), older, CancellationToken.None);
        TufException no = Assert.ThrowsExactly<TufException>(() => world.Client().LoadKept(TufAge.Any));
        Assert.AreEqual((TufFailure.Version, "snapshot"), (no.Failure, no.Role), no.Message);
    }

    [TestMethod]
    [Clause("U.53")]
    [DataRow("timestamp")]
    [DataRow("snapshot")]
    [DataRow("targets")]
    public async Task Says_offline_which_file_is_missing(string role)
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        File.Delete(Path.Combine(world.Folder, $"{role}.json"));

        TufException no = Assert.ThrowsExactly<TufException>(() => world.Client().LoadKept(TufAge.Any));

        Assert.AreEqual(TufFailure.Missing, no.Failure, no.Message);
        Assert.Contains(role, no.Message);
    }

    [TestMethod]
    public async Task Reads_a_kept_file_up_to_its_bound()
    {
        using var folder = new TemporaryFolder();
        var cache = new TufCache(folder.Path);
        await cache.ChangeAsync(() => cache.Write("snapshot", Data), CancellationToken.None);

        CollectionAssert.AreEqual(Data, cache.Read("snapshot", Data.Length));
        Assert.IsNull(cache.Read("snapshot", Data.Length - 1));
    }

    private static TufKey? Key(string type, string scheme, string value)
    {
        byte[] json = Encoding.UTF8.GetBytes(new JsonObject { ["keytype"] = type, ["scheme"] = scheme, ["keyval"] = new JsonObject { ["public"] = value } }.ToJsonString());
        using JsonFields fields = JsonFields.Parse(json, "key", json.Length);
        return TufKey.Read(fields);
    }
}
