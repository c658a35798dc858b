using System.Globalization;
using System.Security;
using Keyless.Sandbox;
using Keyless.Testing;

namespace Keyless.Interop.Tests;

/// <summary>A project that verifies images with our package, and cosign's command for one of them, each as whole processes that are measured.</summary>
internal sealed class DeployProject : IDisposable
{
    private readonly World world;
    private readonly PackedFeed feed;
    private readonly string bash, cosign, project;

    private DeployProject(World world, PackedFeed feed, string project) =>
        (this.world, this.feed, bash, cosign, this.project) = (world, feed, Tools.Require("bash"), Tools.Require("cosign"), project);

    /// <summary>What has the project's images verified.</summary>
    public string Build => $"dotnet build {project} --no-restore -t:VerifyContainerImages -tl:off -nologo";

    /// <param name="images">All to be signed by <see cref="World.Signer"/>.</param>
    public static async Task<DeployProject> CreateAsync(World world, IEnumerable<string> images)
    {
        var deploy = new DeployProject(world, await PackedFeed.PackAsync(world.Cancel), Path.Combine(world.Folder.Path, "Deploy"));
        world.Folder.Write("Deploy/Deploy.csproj", $$"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <TargetFramework>net10.0</TargetFramework>
                <SigstoreTrustedRoot>{{world.Folder["trusted_root.json"]}}</SigstoreTrustedRoot>
              </PropertyGroup>
              <ItemGroup>
                <PackageReference Include="Keyless.MSBuild" Version="{{deploy.feed.Version}}" PrivateAssets="all" />
                <ContainerTrustPolicy Include="release" CertificateIdentity="{{SecurityElement.Escape(world.Signer)}}" CertificateOidcIssuer="{{world.Sandbox.Issuer.Url}}" />
                {{string.Join('\n', images.Select(image => $"<ContainerImageToVerify Include=\"{image}\" Policy=\"release\" />"))}}
              </ItemGroup>
            </Project>
            """);
        DotNetResult restore = await DotNet.RunAsync(deploy.project, ["restore"], deploy.feed.Environment, world.Cancel);
        Assert.AreEqual(0, restore.ExitCode, restore.ToString());
        return deploy;
    }

    public string CosignVerify(string image) =>
        $"{cosign} verify --timeout 30m --trusted-root {world.Folder["trusted_root.json"]} --certificate-identity {world.Signer} --certificate-oidc-issuer {world.Sandbox.Issuer.Url} {image}";

    /// <param name="commands">One process after the other.</param>
    /// <returns>What came over the network, and what it took to tell: wall and processor time of all, and the peak memory of the largest.</returns>
    public async Task<(TrafficMeasure Traffic, string Took)> MeasureAsync(params string[] commands)
    {
        string script = world.Folder.Write("measured.sh", $$"""
            measured() {
              "$@" >>out.txt 2>&1 &
              echo $! >running.txt
              wait $! || exit
            }
            : >out.txt
            TIMEFORMAT='%R s wall, %U + %S s CPU'
            time {
            {{string.Join('\n', commands.Select(command => $"measured {command}"))}}
            }
            """);
        long before = world.Sandbox.Traffic.Mark();
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(world.Cancel);
        Task<long> peak = WatchAsync(ended.Token);
        ToolResult timed = await Tools.RunAsync(bash, [script], world.Folder.Path, new Dictionary<string, string>
        {
            ["MSBUILDDISABLENODEREUSE"] = "1",
            ["DOTNET_CLI_USE_MSBUILD_SERVER"] = "0",
            ["DOTNET_CLI_TELEMETRY_OPTOUT"] = "1",
            ["DOTNET_SKIP_FIRST_TIME_EXPERIENCE"] = "1",
            ["DOTNET_ROOT"] = Environment.GetEnvironmentVariable("DOTNET_ROOT") ?? "",
            ["NUGET_PACKAGES"] = feed.Environment["NUGET_PACKAGES"],
        }, world.Cancel);
        await ended.CancelAsync();
        Assert.AreEqual(0, timed.ExitCode, $"{timed}\n{await File.ReadAllTextAsync(world.Folder["out.txt"], world.Cancel)}");
        TrafficMeasure traffic = world.Sandbox.Traffic.Measure("", before);
        long kib = await peak;
        return (traffic, string.Create(CultureInfo.InvariantCulture, $"{traffic.Requests} requests, depth {traffic.Depth}, {timed.Errors.Trim()}, {kib / 1024} MiB"));
    }

    /// <summary>From outside of what is measured, which it would make slower.</summary>
    /// <returns>The largest peak (VmHWM) of a process that was seen, in KiB; 0 where the system has no such figure.</returns>
    private async Task<long> WatchAsync(CancellationToken ended)
    {
        long peak = 0;
        while (!ended.IsCancellationRequested)
        {
            try
            {
                string status = await File.ReadAllTextAsync($"/proc/{(await File.ReadAllTextAsync(world.Folder["running.txt"], CancellationToken.None)).Trim()}/status", CancellationToken.None);
                string? line = status.Split('\n').FirstOrDefault(line => line.StartsWith("VmHWM:", StringComparison.Ordinal));
                peak = Math.Max(peak, line is null ? 0 : long.Parse(line["VmHWM:".Length..].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture));
            }
            catch (IOException)
            {
                // Not yet running, or already gone.
            }

            await Task.Delay(20, CancellationToken.None);
        }

        return peak;
    }

    public void Dispose() => feed.Dispose();
}
