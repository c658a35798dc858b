using System.Net;
using System.Net.Sockets;
using System.Text;
using Keyless.Testing;

namespace Keyless.MSBuild.Tests;

/// <summary>The variables that name proxies, as every HttpClient of .NET honours them: a registry that can be reached through one alone.</summary>
[TestClass]
public sealed class ProxyTests
{
    private const string Host = "registry.invalid:5000";

    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow("", 0, "CONNECT registry.invalid:5000 HTTP/1.1")]
    [DataRow("registry.invalid", 1, "")]
    public async Task Leads_to_the_registry_unless_NO_PROXY_names_it(string noProxy, int exitCode, string first)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.PushSigned();
        using var proxy = new Proxy(world.Sandbox.RegistryServer.BaseUrl.Port, TestContext.CancellationToken);
        var environment = new Dictionary<string, string>
        {
            ["HTTP_PROXY"] = proxy.Url,
            ["HTTPS_PROXY"] = proxy.Url,
            ["NO_PROXY"] = noProxy,
            ["DOTNET_CONTAINER_INSECURE_REGISTRIES"] = Host,
        };

        DotNetResult deployed = await Samples.DeployAsync(
            world.Sandbox, image.Replace(world.Sandbox.RegistryHost, Host, StringComparison.Ordinal), world.Signer, [], TestContext.CancellationToken, environment: environment);

        Assert.AreEqual(exitCode, deployed.ExitCode, deployed.ToString());
        // https first; what answers there speaks http only, and the registry is named as insecure.
        Assert.AreEqual(first, proxy.Requests.FirstOrDefault(""));
        Assert.AreEqual(exitCode == 0, proxy.Requests.Any(request => request.StartsWith($"GET http://{Host}/v2/team/app/referrers/", StringComparison.Ordinal)));
        Assert.AreEqual(exitCode == 1, deployed.Output.Contains("error KEYLESS3001: ", StringComparison.Ordinal));
    }

    /// <summary>Takes every connection to one port of this machine, whatever name is asked for.</summary>
    private sealed class Proxy : IDisposable
    {
        private readonly TcpListener listener = new(IPAddress.Loopback, 0);
        private readonly List<string> requests = [];
        private readonly int target;

        public Proxy(int target, CancellationToken cancel)
        {
            this.target = target;
            listener.Start();
            _ = AcceptAsync(cancel);
        }

        public string Url => $"http://{listener.LocalEndpoint}";

        /// <summary>The first line of each connection.</summary>
        public IReadOnlyList<string> Requests
        {
            get
            {
                lock (requests)
                {
                    return [.. requests];
                }
            }
        }

        public void Dispose() => listener.Dispose();

        private async Task AcceptAsync(CancellationToken cancel)
        {
            try
            {
                while (true)
                {
                    _ = ServeAsync(await listener.AcceptTcpClientAsync(cancel), cancel);
                }
            }
            catch (Exception e) when (e is ObjectDisposedException or SocketException or OperationCanceledException)
            {
                // The test is over.
            }
        }

        private async Task ServeAsync(TcpClient accepted, CancellationToken cancel)
        {
            using TcpClient client = accepted, server = new();
            NetworkStream near = client.GetStream();
            byte[] head = await ReadHeadAsync(near, cancel);
            string line = Encoding.ASCII.GetString(head).Split("\r\n")[0];
            lock (requests)
            {
                requests.Add(line);
            }

            await server.ConnectAsync(IPAddress.Loopback, target, cancel);
            NetworkStream far = server.GetStream();
            if (line.StartsWith("CONNECT ", StringComparison.Ordinal))
            {
                await near.WriteAsync("HTTP/1.1 200 OK\r\n\r\n"u8.ToArray(), cancel);
            }
            else
            {
                // RFC 9112 §3.2.2: every server takes the absolute form as well.
                await far.WriteAsync(head, cancel);
            }

            await Task.WhenAny(near.CopyToAsync(far, cancel), far.CopyToAsync(near, cancel));
        }

        private static async Task<byte[]> ReadHeadAsync(NetworkStream stream, CancellationToken cancel)
        {
            var head = new List<byte>();
            byte[] one = new byte[1];
            while (!head.TakeLast(4).SequenceEqual("\r\n\r\n"u8.ToArray()) && await stream.ReadAsync(one, cancel) > 0)
            {
                head.Add(one[0]);
            }

            return [.. head];
        }
    }
}
