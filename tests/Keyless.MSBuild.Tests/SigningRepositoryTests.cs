using Keyless.Sandbox;

namespace Keyless.MSBuild.Tests;

/// <summary>Signatures in a repository of their own, as cosign keeps them with COSIGN_REPOSITORY.</summary>
[TestClass]
public sealed class SigningRepositoryTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public async Task Has_the_signatures_and_the_repository_of_the_image_has_none(bool referrersApi)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { ReferrersApi = referrersApi });
        string image = world.Push(), digest = image.Split('@')[1], signatures = $"{world.Sandbox.RegistryHost}/team/signatures";
        KeylessSignContainer sign = world.Sign(image);
        sign.ContainerSigningRepository = signatures;

        Assert.IsTrue(sign.Execute(), World.Log(sign));

        Assert.IsEmpty(world.Referrers(image));
        Assert.AreEqual("1.0", string.Join(',', world.Sandbox.Registry.Tags("team/app")));
        RegistryManifest referrer = world.Sandbox.Registry.Referrers("team/signatures", digest).Single();
        Assert.AreEqual(image, sign.SignedContainers.Single().ItemSpec);
        Assert.AreEqual($"{signatures}@{referrer.Digest}", sign.SignedContainers.Single().GetMetadata("SignatureReference"));

        KeylessVerifyContainer verify = world.Verify(world.Image(image));
        verify.ContainerSigningRepository = signatures;
        Assert.IsTrue(verify.Execute(), World.Log(verify));
        World.Refusal(world.Verify(world.Image(image)), "KEYLESS4001");
    }

    [TestMethod]
    public async Task On_another_host_gets_no_credentials_of_the_variables()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        await using SandboxHost other = await SandboxHost.StartAsync(new SandboxOptions { RegistryLogin = RegistryLogin.Basic, RegistryUsers = new Dictionary<string, string> { ["ci"] = "canary-password" } }, TestContext.CancellationToken);
        (world.Environment["DOTNET_CONTAINER_REGISTRY_UNAME"], world.Environment["DOTNET_CONTAINER_REGISTRY_PWORD"]) = ("ci", "canary-password");
        KeylessSignContainer task = world.Sign(world.Push());
        task.ContainerSigningRepository = $"{other.RegistryHost}/signatures";

        Assert.Contains("no credentials were found for it", World.Refusal(task, "KEYLESS3002"));

        Assert.IsTrue(other.Registry.Visits.All(visit => visit.User.Length == 0));
        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot().Where(exchange => exchange.Part.StartsWith("rekor", StringComparison.Ordinal)).ToArray());

        world.Folder.Write("docker/config.json", $$$$"""{"auths":{"{{{{other.RegistryHost}}}}":{"username":"ci","password":"canary-password"}}}""");
        world.Environment["DOCKER_CONFIG"] = world.Folder["docker"];
        KeylessSignContainer again = world.Sign(world.Push());
        again.ContainerSigningRepository = $"{other.RegistryHost}/signatures";
        Assert.IsTrue(again.Execute(), World.Log(again));
    }
}
