using System.Globalization;

namespace Keyless.Testing;

/// <summary>
/// Our package, packed from what was built beside the tests, in a feed of its own under a version nobody has seen: a package that any
/// cache knew would be the one tested.
/// </summary>
public sealed class PackedFeed : IDisposable
{
    private readonly TemporaryFolder folder = new();

    private PackedFeed() { }

    public string Path => folder["feed"];

    public string Version { get; } = string.Create(CultureInfo.InvariantCulture, $"0.0.0-test.{DateTime.UtcNow.Ticks}");

    public string Package => System.IO.Path.Combine(Path, $"Keyless.MSBuild.{Version}.nupkg");

    /// <summary>Environment with which the samples take this package, and nothing but this feed.</summary>
    public IReadOnlyDictionary<string, string> Environment => new Dictionary<string, string>
    {
        ["KeylessVersion"] = Version,
        ["RestoreSources"] = Path,
        ["NUGET_PACKAGES"] = folder["packages"],
    };

    /// <summary>What <c>dotnet pack</c> said.</summary>
    public string Output { get; private set; } = "";

    public static async Task<PackedFeed> PackAsync(CancellationToken cancel)
    {
        var feed = new PackedFeed();
        DotNetResult pack = await DotNet.RunAsync(
            Repository.Root,
            ["pack", Repository.PathTo("src/Keyless.MSBuild/Keyless.MSBuild.csproj"), "--no-build", "-c", Repository.Configuration, "-o", feed.Path,
                $"-p:Version={feed.Version}", "-p:MinVerSkip=true", "-tl:off", "--nologo"],
            null,
            cancel);
        if (pack.ExitCode != 0)
        {
            feed.Dispose();
            throw new InvalidOperationException($"dotnet pack failed: {pack}");
        }
        feed.Output = pack.Output + pack.Errors;
        return feed;
    }

    public void Dispose() => folder.Dispose();
}
