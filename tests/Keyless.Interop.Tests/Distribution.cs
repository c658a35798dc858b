using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Keyless.Testing;

namespace Keyless.Interop.Tests;

/// <summary>CNCF distribution 2.8 (<c>docker-registry</c>), the registry most people run: it knows no referrers API.</summary>
internal sealed partial class Distribution : IAsyncDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly Process process;
    private Task draining = Task.CompletedTask; // a pipe that nobody reads fills up and stops the writer

    private Distribution()
    {
        // Port 0: the system picks a free one, and the log says which.
        string config = folder.Write("config.yml", $$"""
            version: 0.1
            log: { level: info, accesslog: { disabled: true } }
            storage: { filesystem: { rootdirectory: '{{folder["storage"]}}' }, delete: { enabled: true } }
            http: { addr: '127.0.0.1:0' }
            """);
        process = Process.Start(new ProcessStartInfo(Tools.Require("docker-registry"), ["serve", config])
        {
            WorkingDirectory = folder.Path,
            RedirectStandardError = true,
        })!;
    }

    /// <summary>With this name every client here speaks plain HTTP without being told to.</summary>
    public string Host { get; private set; } = "";

    public static async Task<Distribution> StartAsync(CancellationToken cancel)
    {
        var registry = new Distribution();
        try
        {
            var said = new List<string>();
            while (await registry.process.StandardError.ReadLineAsync(cancel) is { } line)
            {
                said.Add(line);
                if (Listening().Match(line) is { Success: true } match)
                {
                    registry.Host = string.Create(CultureInfo.InvariantCulture, $"localhost:{match.Groups["port"].Value}");
                    registry.draining = registry.process.StandardError.BaseStream.CopyToAsync(Stream.Null, CancellationToken.None);
                    return registry;
                }
            }
            throw new InvalidOperationException($"docker-registry did not start: {string.Join('\n', said)}");
        }
        catch
        {
            await registry.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        process.Kill();
        await process.WaitForExitAsync();
        await draining;
        process.Dispose();
        folder.Dispose();
    }

    [GeneratedRegex(@"listening on 127\.0\.0\.1:(?<port>[0-9]+)")]
    private static partial Regex Listening();
}
