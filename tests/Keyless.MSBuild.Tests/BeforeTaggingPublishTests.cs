using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Testing;

namespace Keyless.MSBuild.Tests;

/// <summary>
/// <c>SignContainerBeforeTagging</c> in every shape of a real <c>dotnet publish</c>. The registry remembers each moment a tag moved, and what referred
/// to the digest then.
/// </summary>
[TestClass]
public sealed class BeforeTaggingPublishTests
{
    private const string Staging = "keyless-staging-";

    // Somebody's own target after the push.
    private const string AfterTargets = """
        <Project>
          <Target Name="_LookAfterwards" AfterTargets="PublishContainer" Condition="'$(_IsMultiRIDBuild)' != 'false'">
            <ItemGroup><SeenAfterwards Include="@(ContainerImageTags)" /></ItemGroup>
          </Target>
        </Project>
        """;

    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow(false, false, "1.0", "OCI")]
    [DataRow(false, false, "1.0;latest", "Docker")]
    [DataRow(false, true, "1.0;latest", "OCI")]
    [DataRow(false, true, "1.0", "Docker")]
    [DataRow(true, false, "1.0", "OCI")]
    [DataRow(true, true, "1.0", "Docker")]
    [DataRow(true, true, "1.0;latest", "OCI")]
    public async Task No_tag_that_was_asked_for_ever_holds_anything_unsigned(bool byProfile, bool severalRuntimes, string tags, string format)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);

        DotNetResult publish = await PublishAsync(world, byProfile, severalRuntimes, tags, format, "-p:SignContainer=true", "-p:SignContainerBeforeTagging=true");

        Assert.AreEqual(0, publish.ExitCode, publish.ToString());
        Registry registry = world.Sandbox.Registry;
        string[] asked = tags.Split(';');
        // Published by the profile, the images in an index have no tags of their own.
        string[] expected = [.. asked, .. severalRuntimes && !byProfile ? asked.SelectMany(tag => (string[])[$"{tag}-linux-arm64", $"{tag}-linux-x64"]) : []];
        Assert.AreSequenceEqual(expected.Order(StringComparer.Ordinal).ToArray(), registry.Tags("app").ToArray());
        TagMove[] moves = [.. registry.TagMoves.Where(move => move.Repository == "app" && move.Digest is not null)];
        Assert.HasCount(severalRuntimes ? 3 : 1, moves.Where(move => IsStaging(move) && move.Referrers.Count == 0).Select(move => move.Tag).Distinct());
        Assert.HasCount(expected.Length, moves.Where(move => !IsStaging(move)));
        foreach (TagMove move in moves.Where(move => !IsStaging(move)))
        {
            Assert.HasCount(1, move.Referrers, $"{move.Tag} moved to {move.Digest} before that was signed");
        }

        foreach (string tag in asked)
        {
            KeylessVerifyContainer verify = world.Verify(world.Image($"{world.Sandbox.RegistryHost}/app:{tag}", ("Recursive", "true")));
            Assert.IsTrue(verify.Execute(), World.Log(verify));
        }

        JsonNode output = JsonNode.Parse(publish.Output)!;
        JsonNode signed = output["Items"]!["SignedContainer"]![0]!;
        Assert.AreEqual(tags, (string?)signed["Tags"]);
        Assert.AreEqual(registry.FindManifest("app", "1.0")!.Digest, (string?)signed["Digest"]);
        Assert.AreSequenceEqual(asked, output["Items"]!["ContainerImageTags"]!.AsArray().Select(item => (string?)item!["Identity"]).ToArray());
        Assert.AreSequenceEqual(asked, output["Items"]!["SeenAfterwards"]!.AsArray().Select(item => (string?)item!["Identity"]).ToArray());
        Assert.AreSequenceEqual(severalRuntimes ? [] : asked, output["Items"]!["GeneratedContainerName"]!.AsArray().Select(item => ((string)item!["Identity"]!).Split(':')[^1]).ToArray());
        Assert.DoesNotContain(Staging, publish.Output.Replace("\"_Keyless", "", StringComparison.Ordinal));
    }

    [TestMethod]
    public async Task Without_it_the_tag_is_there_before_the_signature()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);

        DotNetResult publish = await PublishAsync(world, byProfile: false, severalRuntimes: true, "1.0", "OCI", "-p:SignContainer=true");

        Assert.AreEqual(0, publish.ExitCode, publish.ToString());
        TagMove[] moves = [.. world.Sandbox.Registry.TagMoves.Where(move => move.Repository == "app")];
        Assert.HasCount(3, moves);
        Assert.IsTrue(moves.All(move => move.Referrers.Count == 0 && !IsStaging(move)));
    }

    [TestMethod]
    [DataRow(false, false)]
    [DataRow(false, true)]
    [DataRow(true, false)]
    [DataRow(true, true)]
    public async Task Where_the_log_refuses_the_tags_stay_where_they_were_and_the_staging_tags_go(bool byProfile, bool severalRuntimes)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string before = world.Push("app", "1.0").Split('@')[1];
        world.Sandbox.RekorV2Server.Faults.Add(Fault.Status(403));

        DotNetResult publish = await PublishAsync(world, byProfile, severalRuntimes, "1.0", "OCI", "-p:SignContainer=true", "-p:SignContainerBeforeTagging=true");

        Assert.AreEqual(1, publish.ExitCode, publish.ToString());
        Assert.Contains("error KEYLESS2002: ", $"{publish.Output}{publish.Errors}");
        Assert.AreSequenceEqual(["1.0"], world.Sandbox.Registry.Tags("app").ToArray());
        Assert.AreEqual(before, world.Sandbox.Registry.FindManifest("app", "1.0")!.Digest);
        Assert.AreEqual(severalRuntimes ? 3 : 1, world.Sandbox.Registry.TagMoves.Where(move => IsStaging(move) && move.Digest is not null).Select(move => move.Tag).Distinct().Count());
    }

    [TestMethod]
    [DataRow("-p:SignContainer=false")]
    [DataRow("-p:SignContainer=auto")]
    public async Task A_build_that_does_not_sign_pushes_as_ever(string sign)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Clear();

        DotNetResult publish = await PublishAsync(world, byProfile: false, severalRuntimes: true, "1.0", "OCI", sign, "-p:SignContainerBeforeTagging=true");

        Assert.AreEqual(0, publish.ExitCode, publish.ToString());
        Assert.AreSequenceEqual(["1.0", "1.0-linux-arm64", "1.0-linux-x64"], world.Sandbox.Registry.Tags("app").ToArray());
        Assert.DoesNotContain(IsStaging, world.Sandbox.Registry.TagMoves);
    }

    [TestMethod]
    [DataRow("-p:SignContainer=false")]
    [DataRow("-p:SignContainer=true")]
    public async Task A_misspelled_value_fails_before_anything_is_pushed(string sign)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);

        DotNetResult publish = await PublishAsync(world, byProfile: false, severalRuntimes: false, "1.0", "OCI", sign, "-p:SignContainerBeforeTagging=ture");

        Assert.AreEqual(1, publish.ExitCode, publish.ToString());
        Assert.Contains("error KEYLESS5001: SignContainerBeforeTagging is 'ture'; expected false, true or empty", $"{publish.Output}{publish.Errors}");
        Assert.IsEmpty(world.Sandbox.Registry.Tags("app"));
    }

    private static bool IsStaging(TagMove move) => move.Tag.StartsWith(Staging, StringComparison.Ordinal);

    private static Task<DotNetResult> PublishAsync(World world, bool byProfile, bool severalRuntimes, string tags, string format, params string[] more) => Shapes.PublishAsync(
        world, byProfile, severalRuntimes,
        [
            .. more, $"-p:ContainerImageTags=\"{tags}\"", $"-p:ContainerImageFormat={format}", $"-p:ContainerBaseImage={world.Sandbox.BaseImage}",
            "-getItem:SignedContainer", "-getItem:ContainerImageTags", "-getItem:GeneratedContainerName", "-getItem:SeenAfterwards",
        ],
        AfterTargets);
}
