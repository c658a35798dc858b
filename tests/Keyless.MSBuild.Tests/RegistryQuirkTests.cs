using Keyless.Sandbox;

namespace Keyless.MSBuild.Tests;

/// <summary>Signing and verifying where a registry differs from distribution-spec the way a well-known one does: it works, or it is refused in words that help.</summary>
[TestClass]
public sealed class RegistryQuirkTests
{
    private const string Password = "canary-password";

    public required TestContext TestContext { get; init; }

    [TestMethod]
    public async Task Ghcr_sends_to_its_website_for_referrers()
    {
        await using World world = await StartAsync(RegistryLogin.Bearer, "octocat", new() { ReferrersLeadElsewhere = true });
        string image = world.Push();

        Signs(world, image);

        CollectionAssert.Contains(world.Sandbox.Registry.Tags("team/app").ToArray(), image.Split('@')[1].Replace(':', '-'));
        Verifies(world, image);
    }

    [TestMethod]
    [DataRow(ImmutableTags.AsEcr, "AWS", "400 TAG_INVALID")]
    [DataRow(ImmutableTags.AsHarbor, "robot$team+ci", "412 PRECONDITION")]
    public async Task Ecr_and_Harbor_take_one_signature_where_tags_are_immutable(ImmutableTags immutable, string user, string says)
    {
        await using World world = await StartAsync(RegistryLogin.Basic, user, new() { ImmutableTags = immutable });
        world.Sandbox.Registry.ReferrersApi = false;
        string image = world.Push();
        Signs(world, image);

        string refusal = World.Refusal(world.Sign(image), "KEYLESS3004");

        Assert.Contains(says, refusal);
        Assert.Contains("except sha256-* where the registry makes tags immutable", refusal);
        Verifies(world, image);
        world.Sandbox.Registry.ReferrersApi = true;
        Signs(world, image);
    }

    [TestMethod]
    public async Task Quay_without_artifacts_refuses_in_its_own_words()
    {
        await using World world = await StartAsync(RegistryLogin.Bearer, "team+robot", new() { ImageConfigsOnly = true });
        string image = world.Push();

        Assert.Contains("400 MANIFEST_INVALID: manifest invalid", World.Refusal(world.Sign(image), "KEYLESS3004"));

        Assert.IsEmpty(world.Referrers(image));
        World.Refusal(world.Verify(world.Image(image)), "KEYLESS4001");
    }

    [TestMethod]
    public async Task Acr_has_tokens_of_its_own_kind_and_blobs_elsewhere()
    {
        var options = new SandboxOptions
        {
            RegistryLogin = RegistryLogin.Bearer,
            RegistryIdentityTokens = new Dictionary<string, string> { ["canary-refresh-token"] = "00000000-0000-0000-0000-000000000000" },
            RegistryQuirks = new() { AccessTokenOnly = true, BlobsElsewhere = true },
        };
        await using World world = await World.StartAsync(TestContext.CancellationToken, options);
        world.Folder.Write("docker/config.json", $$$$"""{"auths":{"{{{{world.Sandbox.RegistryHost}}}}":{"auth":"MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOg==","identitytoken":"canary-refresh-token"}}}""");
        world.Environment["DOCKER_CONFIG"] = world.Folder["docker"];
        string image = world.Push();

        Signs(world, image);

        Verifies(world, image);
        Assert.HasCount(1, world.Sandbox.Traffic.Snapshot().Where(exchange => exchange.Path.StartsWith("/storage/", StringComparison.Ordinal) && exchange.Status == 200).ToArray());
    }

    [TestMethod]
    public async Task Docker_Hub_says_when_to_come_back_and_nothing_is_logged()
    {
        await using World world = await StartAsync(RegistryLogin.None, "", new() { RequestsAllowed = 0 });
        string image = world.Push();

        string refusal = World.Refusal(world.Sign(image), "KEYLESS3001");

        Assert.Contains("→ 429 (it asks to wait 30 s)", refusal);
        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot().Where(exchange => exchange.Part.StartsWith("rekor", StringComparison.Ordinal)).ToArray());
        Assert.Contains("→ 429 TOOMANYREQUESTS: You have reached your rate limit. (it asks to wait 30 s)", World.Refusal(world.Verify(world.Image(image)), "KEYLESS3001"));
    }

    [TestMethod]
    public async Task Artifactory_under_another_name_gets_no_credentials_there()
    {
        await using World open = await StartAsync(RegistryLogin.None, "", new() { UploadsElsewhere = true });
        string image = open.Push();
        Signs(open, image);
        Verifies(open, image);

        await using World closed = await StartAsync(RegistryLogin.Basic, "deployer", new() { UploadsElsewhere = true });

        Assert.Contains("sent us there, and what it is to be told in confidence goes to no other name", World.Refusal(closed.Sign(closed.Push()), "KEYLESS3002"));
    }

    [TestMethod]
    public async Task A_page_of_referrers_leads_to_the_next()
    {
        await using World world = await StartAsync(RegistryLogin.Bearer, "octocat", new() { ReferrersPerPage = 1 });
        string image = world.Push();
        foreach (string number in (string[])["one", "two", "three"])
        {
            KeylessSignContainer task = world.Sign(image);
            task.ContainerSigningAnnotations = [new Microsoft.Build.Utilities.TaskItem("n", new Dictionary<string, string> { ["Value"] = number })];
            Assert.IsTrue(task.Execute(), World.Log(task));
        }

        KeylessVerifyContainer verify = world.Verify(world.Image(image, ("Annotations", "n=three")));

        Assert.IsTrue(verify.Execute(), World.Log(verify));
        Assert.HasCount(3, world.Sandbox.Traffic.Snapshot().Where(exchange => exchange.Path.Contains("/referrers/", StringComparison.Ordinal) && exchange.Status == 200).ToArray());
    }

    /// <summary>A registry with one user, whose password the job has.</summary>
    private async Task<World> StartAsync(RegistryLogin login, string user, RegistryQuirks quirks)
    {
        var options = new SandboxOptions { RegistryLogin = login, RegistryUsers = new Dictionary<string, string> { [user] = Password }, RegistryQuirks = quirks };
        World world = await World.StartAsync(TestContext.CancellationToken, options);
        if (user.Length > 0)
        {
            (world.Environment["DOTNET_CONTAINER_REGISTRY_UNAME"], world.Environment["DOTNET_CONTAINER_REGISTRY_PWORD"]) = (user, Password);
        }

        return world;
    }

    private static void Signs(World world, string image)
    {
        KeylessSignContainer task = world.Sign(image);
        Assert.IsTrue(task.Execute(), World.Log(task));
    }

    private static void Verifies(World world, string image)
    {
        KeylessVerifyContainer task = world.Verify(world.Image(image));
        Assert.IsTrue(task.Execute(), World.Log(task));
        Assert.DoesNotContain("canary", World.Log(task));
    }
}
