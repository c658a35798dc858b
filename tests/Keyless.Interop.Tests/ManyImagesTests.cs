using System.Globalization;
using System.Security;
using Keyless.Sandbox;
using Keyless.Testing;

namespace Keyless.Interop.Tests;

/// <summary>
/// A deploy project with many images beside one <c>cosign verify</c> after the other. Counts are asserted, time is only told: it belongs to the
/// machine. <c>KEYLESS_IMAGES=100</c> makes it the size that README speaks of.
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
        string cosign = Tools.Require("cosign"), bash = Tools.Require("bash");
        using PackedFeed feed = await PackedFeed.PackAsync(TestContext.CancellationToken);
        await using World world = await World.StartAsync(RegistryKind.Sandbox, Log.Rekor2Ed25519, TestContext.CancellationToken);
        // Each by a certificate of its own, as images of different teams are.
        string[] images = [.. Enumerable.Range(0, Images).Select(i => world.Sandbox.PushImage(string.Create(CultureInfo.InvariantCulture, $"team/app{i}"), null))];
        foreach (string image in images)
        {
            world.Sign(image);
        }

        string project = world.Folder.CopyFromRepository("samples/DeployVerified", "DeployVerified");
        await File.WriteAllTextAsync(Path.Combine(project, "DeployVerified.csproj"), $$"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <TargetFramework>net10.0</TargetFramework>
                <SigstoreTrustedRoot>{{world.Folder["trusted_root.json"]}}</SigstoreTrustedRoot>
              </PropertyGroup>
              <ItemGroup>
                <PackageReference Include="Keyless.MSBuild" Version="{{feed.Version}}" PrivateAssets="all" />
                <ContainerTrustPolicy Include="release" CertificateIdentity="{{SecurityElement.Escape(world.Signer)}}" CertificateOidcIssuer="{{world.Sandbox.Issuer.Url}}" />
                {{string.Join('\n', images.Select(image => $"<ContainerImageToVerify Include=\"{image}\" Policy=\"release\" />"))}}
              </ItemGroup>
            </Project>
            """, TestContext.CancellationToken);
        DotNetResult restore = await DotNet.RunAsync(project, ["restore"], feed.Environment, TestContext.CancellationToken);
        Assert.AreEqual(0, restore.ExitCode, restore.ToString());

        foreach (int delay in (int[])[0, 50])
        {
            world.Sandbox.RegistryServer.Delay = TimeSpan.FromMilliseconds(delay);
            string build = $"cd {project} && dotnet build --no-restore -t:VerifyContainerImages -tl:off -nologo";
            string[] each = [.. images.Select(image => $"{cosign} verify --trusted-root {world.Folder["trusted_root.json"]} --certificate-identity {world.Signer} --certificate-oidc-issuer {world.Sandbox.Issuer.Url} {image}")];
            // The first to look makes the pages warm for both.
            await TimeAsync("warm-up", 0, build);
            TrafficMeasure ours = await TimeAsync("Keyless.MSBuild", delay, build), cosigns = await TimeAsync("cosign", delay, string.Join(" && ", each));

            Assert.AreEqual(3 * Images, ours.Requests);
            Assert.IsLessThan(cosigns.Requests, ours.Requests);
        }

        async Task<TrafficMeasure> TimeAsync(string who, int delay, string command)
        {
            string script = world.Folder.Write("timed.sh", $"TIMEFORMAT='%R s wall, %U + %S s CPU'\ntime {{ {command}; }} >out.txt 2>err.txt\n");
            long before = world.Sandbox.Traffic.Mark();
            ToolResult timed = await Tools.RunAsync(bash, [script], world.Folder.Path, new Dictionary<string, string>
            {
                ["MSBUILDDISABLENODEREUSE"] = "1",
                ["DOTNET_CLI_USE_MSBUILD_SERVER"] = "0",
                ["DOTNET_CLI_TELEMETRY_OPTOUT"] = "1",
                ["DOTNET_SKIP_FIRST_TIME_EXPERIENCE"] = "1",
                ["DOTNET_ROOT"] = Environment.GetEnvironmentVariable("DOTNET_ROOT") ?? "",
                ["NUGET_PACKAGES"] = feed.Environment["NUGET_PACKAGES"],
            }, TestContext.CancellationToken);
            Assert.AreEqual(0, timed.ExitCode, $"{timed}\n{File.ReadAllText(world.Folder["out.txt"])}\n{File.ReadAllText(world.Folder["err.txt"])}");
            TrafficMeasure traffic = world.Sandbox.Traffic.Measure("", before);
            TestContext.WriteLine($"{Images} images, {delay} ms delay, {who}: {traffic.Requests} requests, depth {traffic.Depth}, {timed.Errors.Trim()}");
            return traffic;
        }
    }
}
