using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using System.Text.RegularExpressions;
using Keyless.Testing;

namespace Keyless.Interop.Tests;

/// <summary>CNCF distribution 2.8 (<c>docker-registry</c>), the registry most people run: it knows no referrers API.</summary>
internal sealed partial class Distribution : IAsyncDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly Process process;
    private readonly string name;
    private Task draining = Task.CompletedTask; // a pipe that nobody reads fills up and stops the writer

    /// <param name="certificate">With its key: https under 127.0.0.1, which no client takes for a host to be lenient with. Null: http.</param>
    /// <param name="htpasswd">A line of the file with the users; null: anybody.</param>
    private Distribution(X509Certificate2? certificate, string? htpasswd)
    {
        name = certificate is null ? "localhost" : "127.0.0.1";
        string tls = certificate is null ? "" : $", tls: {{ certificate: '{folder.Write("tls.pem", certificate.ExportCertificatePem())}', key: '{folder.Write("tls.key", certificate.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem())}' }}";
        string auth = htpasswd is null ? "" : $"auth: {{ htpasswd: {{ realm: distribution, path: '{folder.Write("htpasswd", htpasswd)}' }} }}";
        // Port 0: the system picks a free one, and the log says which.
        string config = folder.Write("config.yml", $$"""
            version: 0.1
            log: { level: info, accesslog: { disabled: true } }
            storage: { filesystem: { rootdirectory: '{{folder["storage"]}}' }, delete: { enabled: true } }
            http: { addr: '127.0.0.1:0'{{tls}} }
            {{auth}}
            """);
        process = Process.Start(new ProcessStartInfo(Tools.Require("docker-registry"), ["serve", config])
        {
            WorkingDirectory = folder.Path,
            RedirectStandardError = true,
        })!;
    }

    /// <summary>With the name <c>localhost</c> every client here speaks plain HTTP without being told to.</summary>
    public string Host { get; private set; } = "";

    public static async Task<Distribution> StartAsync(CancellationToken cancel, X509Certificate2? certificate = null, string? htpasswd = null)
    {
        var registry = new Distribution(certificate, htpasswd);
        try
        {
            var said = new List<string>();
            while (await registry.process.StandardError.ReadLineAsync(cancel) is { } line)
            {
                said.Add(line);
                if (Listening().Match(line) is { Success: true } match)
                {
                    registry.Host = string.Create(CultureInfo.InvariantCulture, $"{registry.name}:{match.Groups["port"].Value}");
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
