using System.Text.Json.Nodes;
using Keyless.Testing;

namespace Keyless.Interop.Tests;

/// <summary>Our referrer beside cosign's, as crane and oras see them: whoever reads the one has to be able to read the other.</summary>
[TestClass]
public sealed class ReferrerTests
{
    private const string BundleType = "application/vnd.dev.sigstore.bundle.v0.3+json";

    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow(RegistryKind.Distribution)]
    [DataRow(RegistryKind.Sandbox)]
    public async Task Crane_sees_the_same_manifest_field_by_field(RegistryKind registry)
    {
        RequireTools("crane", "oras", "cosign");
        await using World world = await World.StartAsync(registry, Log.Rekor2Ed25519, TestContext.CancellationToken);
        (string image, JsonNode ours, JsonNode cosigns) = await SignWithBothAsync(world);

        string our = Shape(await world.ManifestAsync(image, (string)ours["digest"]!));
        string theirs = Shape(await world.ManifestAsync(image, (string)cosigns["digest"]!));

        Assert.AreEqual(theirs, our);
    }

    [TestMethod]
    [DataRow(Log.Rekor1)]
    [DataRow(Log.Rekor2Ed25519)]
    public async Task Crane_sees_a_bundle_with_the_same_fields(Log log)
    {
        RequireTools("crane", "oras", "cosign");
        await using World world = await World.StartAsync(RegistryKind.Sandbox, log, TestContext.CancellationToken);
        (string image, JsonNode ours, JsonNode cosigns) = await SignWithBothAsync(world);

        string[] our = [.. Fields("", await BundleAsync(world, image, ours))];
        string[] theirs = [.. Fields("", await BundleAsync(world, image, cosigns))];

        Assert.AreEqual(string.Join('\n', theirs), string.Join('\n', our));
    }

    [TestMethod]
    [DataRow(RegistryKind.Distribution)]
    [DataRow(RegistryKind.Sandbox)]
    public async Task Oras_lists_ours_with_its_type_and_annotations(RegistryKind registry)
    {
        RequireTools("oras", "cosign");
        await using World world = await World.StartAsync(registry, Log.Rekor2Ed25519, TestContext.CancellationToken);

        (_, JsonNode ours, _) = await SignWithBothAsync(world);

        Assert.AreEqual(BundleType, (string?)ours["artifactType"]);
        Assert.AreEqual("dsse-envelope", (string?)ours["annotations"]!["dev.sigstore.bundle.content"]);
        Assert.AreEqual("https://sigstore.dev/cosign/sign/v1", (string?)ours["annotations"]!["dev.sigstore.bundle.predicateType"]);
    }

    [TestMethod]
    public async Task The_fallback_tag_says_what_ours_is_before_it_is_fetched()
    {
        RequireTools("crane", "oras", "cosign");
        await using World world = await World.StartAsync(RegistryKind.Distribution, Log.Rekor2Ed25519, TestContext.CancellationToken);
        (string image, JsonNode ours, _) = await SignWithBothAsync(world);

        JsonNode index = await world.ManifestAsync(image, image.Split('@')[1].Replace(':', '-'));

        JsonNode manifest = await world.ManifestAsync(image, (string)ours["digest"]!);
        var expected = new JsonObject
        {
            ["mediaType"] = (string?)manifest["mediaType"],
            ["size"] = (long)ours["size"]!,
            ["digest"] = (string?)ours["digest"],
            ["artifactType"] = BundleType,
            ["annotations"] = manifest["annotations"]!.DeepClone(),
        };
        Assert.AreEqual(Sorted(expected)!.ToJsonString(), Sorted(index["manifests"]!.AsArray().Single(entry => (string?)entry!["digest"] == (string?)ours["digest"]))!.ToJsonString());
    }

    private static void RequireTools(params string[] names) => Array.ForEach(names, name => Tools.Require(name));

    /// <returns>The image, our referrer and cosign's as <c>oras discover</c> lists them.</returns>
    private static async Task<(string Image, JsonNode Ours, JsonNode Cosigns)> SignWithBothAsync(World world)
    {
        string image = await world.PushAsync();
        string ours = world.Sign(image).GetMetadata("SignatureReference");
        await world.Cosign3.SignAsync(image);
        IReadOnlyList<JsonNode> found = await world.DiscoverAsync(image);
        Assert.HasCount(2, found);
        return (image, found.Single(referrer => (string?)referrer["reference"] == ours), found.Single(referrer => (string?)referrer["reference"] != ours));
    }

    /// <summary>A manifest without what two signatures of one image must differ in: the bundle, and the time of signing.</summary>
    private static string Shape(JsonNode manifest)
    {
        JsonNode shape = manifest.DeepClone();
        JsonNode layer = shape["layers"]!.AsArray().Single()!;
        layer["size"] = "its own";
        layer["digest"] = "its own";
        shape["annotations"]!["org.opencontainers.image.created"] = "its own";
        // cosign's registry library repeats the artifact type in the config's descriptor, where the image-spec gives it no meaning.
        shape["config"]!.AsObject().Remove("artifactType");
        return Sorted(shape)!.ToJsonString();
    }

    private static async Task<JsonNode> BundleAsync(World world, string image, JsonNode referrer)
    {
        JsonNode manifest = await world.ManifestAsync(image, (string)referrer["digest"]!);
        string layer = (string)manifest["layers"]![0]!["digest"]!;
        return JsonNode.Parse(await world.RunAsync(Tools.Require("crane"), "blob", "--insecure", $"{image.Split('@')[0]}@{layer}"))!;
    }

    /// <summary>The paths of all values, sorted: the fields of a document without what is in them.</summary>
    private static IEnumerable<string> Fields(string path, JsonNode? node) => node switch
    {
        JsonObject fields => fields.OrderBy(field => field.Key, StringComparer.Ordinal).SelectMany(field => Fields($"{path}.{field.Key}", field.Value)),
        JsonArray items => items.SelectMany(item => Fields($"{path}[]", item)).Distinct(),
        _ => [path],
    };

    private static JsonNode? Sorted(JsonNode? node) => node switch
    {
        JsonObject fields => new JsonObject(fields.OrderBy(field => field.Key, StringComparer.Ordinal).Select(field => KeyValuePair.Create(field.Key, Sorted(field.Value)))),
        JsonArray items => new JsonArray([.. items.Select(Sorted)]),
        _ => node?.DeepClone(),
    };
}
