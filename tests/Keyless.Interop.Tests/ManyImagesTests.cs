using System.Globalization;
using Keyless.Sandbox;
using Keyless.Testing;

namespace Keyless.Interop.Tests;

/// <summary>
/// A deploy project with many images beside one <c>cosign verify</c> after the other. Counts are asserted, time is only told: it belongs to the
/// machine. <c>KEYLESS_IMAGES=100</c> makes it the size that benchmarks/ speaks of.
/// </summary>
[TestClass]
[DoNotParallelize]
public sealed class ManyImagesTests
{
    private static readonly int Images = int.Parse(Environment.GetEnvironmentVariable("KEYLESS_IMAGES") ?? "6", CultureInfo.InvariantCulture);

    public required TestContext TestContext { get; init; }

    [TestMethod]
    public async Task Cost_three_requests_each_and_wait_for_none_of_the_others()
    {
        Tools.Require("cosign");
        await using World world = await World.StartAsync(RegistryKind.Sandbox, Log.Rekor2Ed25519, TestContext.CancellationToken);
        // Each by a certificate of its own, as images of different teams are.
        string[] images = [.. Enumerable.Range(0, Images).Select(i => world.Sandbox.PushImage(string.Create(CultureInfo.InvariantCulture, $"team/app{i}"), null))];
        foreach (string image in images)
        {
            world.Sign(image);
        }

        using DeployProject deploy = await DeployProject.CreateAsync(world, images);
        // The first to look makes the pages warm for both.
        await deploy.MeasureAsync(deploy.Build);
        foreach (int delay in (int[])[0, 50])
        {
            world.Sandbox.RegistryServer.Delay = TimeSpan.FromMilliseconds(delay);
            (TrafficMeasure ours, string took) = await deploy.MeasureAsync(deploy.Build);
            (TrafficMeasure cosigns, string theirs) = await deploy.MeasureAsync([.. images.Select(deploy.CosignVerify)]);
            TestContext.WriteLine($"{Images} images, {delay} ms delay, Keyless.MSBuild: {took}");
            TestContext.WriteLine($"{Images} images, {delay} ms delay, cosign: {theirs}");

            Assert.AreEqual(3 * Images, ours.Requests);
            Assert.IsLessThan(cosigns.Requests, ours.Requests);
        }
    }
}
