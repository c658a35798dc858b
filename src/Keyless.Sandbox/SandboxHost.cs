using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Keyless.Sandbox;

/// <summary>
/// A whole Sigstore world on loopback: registry, OIDC issuer like GitHub's, Fulcio with its CT log, Rekor v1 and v2, timestamp
/// authority, TUF repository. Real servers with real keys that are made at the start and gone at the end: for trials and tests, nothing that
/// is signed here means anything anywhere else.
/// </summary>
public sealed class SandboxHost : IAsyncDisposable
{
    private static readonly JsonSerializerOptions Indented = new(JsonAnswer.Readable) { WriteIndented = true };

    private readonly List<LoopbackServer> servers = [];

    private SandboxHost(SandboxOptions options)
    {
        TimeProvider time = options.TimeProvider;
        Registry = new Registry(options.RegistryLogin, options.RegistryUsers, options.RegistryIdentityTokens) { ReferrersApi = options.ReferrersApi, Quirks = options.RegistryQuirks };
        Issuer = new OidcIssuer(time);
        CtLog = new CtLog(time);
        Fulcio = new Fulcio(CtLog, Issuer.Validate, time) { IssuerPaths = OidcIssuer.Issuers, Audience = () => Issuer.FulcioAudience };
        RekorV1 = new RekorV1(time, Host);
        RekorV2 = new RekorV2(options.RekorV2Key, Host, time);
        TimestampAuthority = new TimestampAuthority(time);
        Tuf = new TufRepository(time);
    }

    /// <summary>A log's checkpoints begin with the host of its base URL.</summary>
    private static string Host => "127.0.0.1";

    public Registry Registry { get; }

    public OidcIssuer Issuer { get; }

    public CtLog CtLog { get; }

    public Fulcio Fulcio { get; }

    public RekorV1 RekorV1 { get; }

    public RekorV2 RekorV2 { get; }

    public TimestampAuthority TimestampAuthority { get; }

    /// <summary>Delivers <see cref="TrustedRoot"/> and <see cref="SigningConfig"/> as the public instances do.</summary>
    public TufRepository Tuf { get; }

    public LoopbackServer RegistryServer { get; private set; } = null!;

    public LoopbackServer IssuerServer { get; private set; } = null!;

    public LoopbackServer FulcioServer { get; private set; } = null!;

    public LoopbackServer RekorV1Server { get; private set; } = null!;

    public LoopbackServer RekorV2Server { get; private set; } = null!;

    public LoopbackServer TimestampServer { get; private set; } = null!;

    public LoopbackServer TufServer { get; private set; } = null!;

    /// <summary>The servers of all parts.</summary>
    public IReadOnlyList<LoopbackServer> Servers => servers;

    /// <summary>Every request to any part.</summary>
    public Traffic Traffic { get; } = new();

    /// <summary>
    /// <c>localhost:PORT</c>: with this name, and not with 127.0.0.1, the container targets of the .NET SDK speak plain HTTP
    /// without being told to; cosign, crane and oras do so with both.
    /// </summary>
    public string RegistryHost => $"localhost:{RegistryServer.BaseUrl.Port}";

    /// <summary>Reference of the image index to publish on.</summary>
    public string BaseImage => $"{RegistryHost}/{Sandbox.BaseImage.Repository}:{Sandbox.BaseImage.Tag}";

    /// <summary>JSON of the trusted root (version 0.1) that names every part.</summary>
    public string TrustedRoot { get; private set; } = "";

    /// <summary>JSON of the signing config (version 0.2).</summary>
    public string SigningConfig { get; private set; } = "";

    /// <summary>JSON with both.</summary>
    public string ClientTrustConfig { get; private set; } = "";

    /// <summary>The environment variables that a job of GitHub Actions with <c>id-token: write</c> would have here.</summary>
    public IReadOnlyDictionary<string, string> Environment => new SortedDictionary<string, string>(StringComparer.Ordinal)
    {
        ["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = Issuer.RequestToken,
        ["ACTIONS_ID_TOKEN_REQUEST_URL"] = Issuer.RequestUrl,
        ["CI"] = "true",
        ["GITHUB_ACTIONS"] = "true",
        ["GITHUB_EVENT_NAME"] = Claim("event_name"),
        ["GITHUB_REF"] = Claim("ref"),
        ["GITHUB_REPOSITORY"] = Claim("repository"),
        ["GITHUB_REPOSITORY_ID"] = Claim("repository_id"),
        ["GITHUB_REPOSITORY_OWNER"] = Claim("repository_owner"),
        ["GITHUB_REPOSITORY_OWNER_ID"] = Claim("repository_owner_id"),
        ["GITHUB_RUN_ATTEMPT"] = Claim("run_attempt"),
        ["GITHUB_RUN_ID"] = Claim("run_id"),
        ["GITHUB_SERVER_URL"] = "https://github.com",
        ["GITHUB_SHA"] = Claim("sha"),
        ["GITHUB_WORKFLOW"] = Claim("workflow"),
        ["GITHUB_WORKFLOW_REF"] = Claim("workflow_ref"),
        ["GITHUB_WORKFLOW_SHA"] = Claim("workflow_sha"),
    };

    /// <exception cref="IOException">A given port is taken.</exception>
    public static async Task<SandboxHost> StartAsync(SandboxOptions? options = null, CancellationToken cancel = default)
    {
        options ??= new SandboxOptions();
        var sandbox = new SandboxHost(options);
        try
        {
            await sandbox.StartPartsAsync(options, cancel);
        }
        catch
        {
            await sandbox.DisposeAsync();
            throw;
        }
        return sandbox;
    }

    /// <summary>
    /// Writes <c>trusted_root.json</c>, <c>signing_config.json</c>, <c>client_trust_config.json</c>, <c>root.json</c> (the first root of the TUF
    /// repository) and <c>environment</c> (lines for a shell), and for cosign 2, which cannot read those, <c>fulcio.pem</c>, <c>ctlog.pub</c>,
    /// <c>rekor.pub</c>, <c>timestamp.pem</c> and <c>environment.cosign2</c>.
    /// </summary>
    public void WriteTo(string folder)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "trusted_root.json"), TrustedRoot);
        File.WriteAllText(Path.Combine(folder, "signing_config.json"), SigningConfig);
        File.WriteAllText(Path.Combine(folder, "client_trust_config.json"), ClientTrustConfig);
        File.WriteAllBytes(Path.Combine(folder, "root.json"), Tuf.FirstRoot);

        File.WriteAllText(Path.Combine(folder, "fulcio.pem"), Certificates(Fulcio.Intermediate.Certificate, Fulcio.Root.Certificate));
        File.WriteAllText(Path.Combine(folder, "ctlog.pub"), PemEncoding.WriteString("PUBLIC KEY", CtLog.Spki) + "\n");
        File.WriteAllText(Path.Combine(folder, "rekor.pub"), PemEncoding.WriteString("PUBLIC KEY", RekorV1.Spki) + "\n");
        File.WriteAllText(Path.Combine(folder, "timestamp.pem"), Certificates(TimestampAuthority.Leaf, TimestampAuthority.Root.Certificate));
        File.WriteAllText(Path.Combine(folder, "environment.cosign2"), string.Concat(ShellLines(Cosign2Environment(folder)).Select(line => $"{line}\n")));

        string environment = Path.Combine(folder, "environment");
        // It holds the token with which identity tokens are asked for: readable for its owner from the first byte on.
        var create = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            create.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        using var writer = new StreamWriter(environment, create);
        foreach (string line in EnvironmentLines())
        {
            writer.Write($"{line}\n");
        }
    }

    /// <summary>The variables by which cosign 2 is told whom to trust, once <see cref="WriteTo"/> has written to that folder (cosign, pkg/cosign/env).</summary>
    public static IReadOnlyDictionary<string, string> Cosign2Environment(string folder) => new SortedDictionary<string, string>(StringComparer.Ordinal)
    {
        ["SIGSTORE_CT_LOG_PUBLIC_KEY_FILE"] = Path.GetFullPath("ctlog.pub", folder),
        ["SIGSTORE_REKOR_PUBLIC_KEY"] = Path.GetFullPath("rekor.pub", folder),
        ["SIGSTORE_ROOT_FILE"] = Path.GetFullPath("fulcio.pem", folder),
        ["SIGSTORE_TSA_CERTIFICATE_FILE"] = Path.GetFullPath("timestamp.pem", folder),
    };

    /// <summary>Puts an image into the registry that nobody has seen before: a config of its own, and no layers.</summary>
    /// <returns><c>localhost:PORT/repository@sha256:…</c></returns>
    public string PushImage(string repository, string? tag)
    {
        byte[] config = Encoding.UTF8.GetBytes($$"""{"architecture":"amd64","os":"linux","author":"{{Guid.NewGuid()}}"}""");
        byte[] manifest = Encoding.UTF8.GetBytes(new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = "application/vnd.oci.image.manifest.v1+json",
            ["config"] = new JsonObject
            {
                ["mediaType"] = "application/vnd.oci.image.config.v1+json",
                ["size"] = config.Length,
                ["digest"] = Registry.PutBlob(repository, config),
            },
            ["layers"] = new JsonArray(),
        }.ToJsonString());
        return $"{RegistryHost}/{repository}@{Registry.PutManifest(repository, tag, manifest, "application/vnd.oci.image.manifest.v1+json")}";
    }

    /// <summary><see cref="Environment"/> for a shell.</summary>
    internal IEnumerable<string> EnvironmentLines() => ShellLines(Environment);

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(servers.Select(server => server.DisposeAsync().AsTask()));
        Issuer.Dispose();
    }

    private async Task StartPartsAsync(SandboxOptions options, CancellationToken cancel)
    {
        RegistryServer = await StartAsync("registry", options.RegistryPort, Registry.Map, Registry.LargestBody);
        IssuerServer = await StartAsync("issuer", options.IssuerPort, Issuer.Map);
        FulcioServer = await StartAsync("fulcio", options.FulcioPort, Fulcio.Map);
        RekorV1Server = await StartAsync("rekor-v1", options.RekorV1Port, RekorV1.Map);
        RekorV2Server = await StartAsync("rekor-v2", options.RekorV2Port, RekorV2.Map);
        TimestampServer = await StartAsync("timestamp", options.TimestampPort, TimestampAuthority.Map);
        TufServer = await StartAsync("tuf", options.TufPort, Tuf.Map);

        IssuerServer.Faults.Tells = lie => lie is IssuerLie;
        FulcioServer.Faults.Tells = lie => lie is FulcioLie;
        RekorV1Server.Faults.Tells = lie => lie is RekorLie;
        RekorV2Server.Faults.Tells = lie => lie is RekorLie and not RekorLie.SetByOtherKey;
        TimestampServer.Faults.Tells = lie => lie is TimestampLie;
        RegistryServer.Faults.Tells = lie => lie is RegistryLie;

        Issuer.RunsAt(IssuerServer.BaseUrl);
        Fulcio.IssuerUrl = Issuer.Url;
        Sandbox.BaseImage.PushTo(Registry);
        string rekor = Url(options.Rekor == RekorVersion.V1 ? RekorV1Server : RekorV2Server);
        TrustMaterial material = new TrustMaterial()
            .AddOidcIssuer(Issuer.Dex.Url, options.TimeProvider)
            .Add(Fulcio, Url(FulcioServer))
            .Add(CtLog, $"{Url(FulcioServer)}/ctlog") // a name: Fulcio asks it in process
            .Add(RekorV1, Url(RekorV1Server))
            .Add(RekorV2, Url(RekorV2Server))
            .Add(TimestampAuthority, $"{Url(TimestampServer)}/api/v1/timestamp");
        TrustedRoot = material.TrustedRoot().ToJsonString(Indented);
        SigningConfig = material.SigningConfig(rekor).ToJsonString(Indented);
        ClientTrustConfig = material.ClientTrustConfig(rekor).ToJsonString(Indented);
        Tuf.AddTarget("trusted_root.json", Encoding.UTF8.GetBytes(TrustedRoot));
        Tuf.AddTarget("signing_config.v0.2.json", Encoding.UTF8.GetBytes(SigningConfig));
        Tuf.Publish("targets");

        async Task<LoopbackServer> StartAsync(string part, int port, Action<IEndpointRouteBuilder> map, long largestBody = LoopbackServer.LargestSmallBody)
        {
            LoopbackServer server = await LoopbackServer.StartAsync(part, port, Traffic, options.TimeProvider, map, largestBody, cancel);
            servers.Add(server);
            return server;
        }
    }

    private static IEnumerable<string> ShellLines(IEnumerable<KeyValuePair<string, string>> variables) =>
        variables.Select(variable => $"export {variable.Key}='{variable.Value.Replace("'", @"'\''", StringComparison.Ordinal)}'");

    private static string Certificates(params X509Certificate2[] chain) => string.Concat(chain.Select(one => one.ExportCertificatePem() + "\n"));

    /// <summary>Without the slash that a <see cref="Uri"/> adds: documents and certificates are compared as text.</summary>
    private static string Url(LoopbackServer server) => server.BaseUrl.GetLeftPart(UriPartial.Authority);

    private string Claim(string name) => (string?)Issuer.Claims[name] ?? "";
}
