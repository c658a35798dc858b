using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Keyless.Oci;

/// <summary>What the registry is wanted for; it decides which credentials are looked for and which token scope is asked for.</summary>
public enum RegistryAccess
{
    Pull,
    Push,
}

/// <summary>
/// Finds the credentials a push or pull by the .NET SDK would use: the <c>DOTNET_CONTAINER_…</c> variables, then the files of docker and podman
/// with their credential helpers, then none. Nothing is read but what the environment delegate names, and nothing is remembered.
/// </summary>
/// <param name="useVariables">
/// Whether the variables count. They name no host: they are for the registry that images are pushed to or pulled from, and for no other.
/// </param>
public sealed class RegistryCredentials(Func<string, string?> environment, RegistryAccess access, bool useVariables = true)
{
    // How docker names its own registry in files and to helpers.
    private const string DockerHubKey = "https://index.docker.io/v1/";

    public RegistryAccess Access => access;

    /// <summary>The credentials for a repository, from the first place that has any; anonymous if none has.</summary>
    /// <param name="registry">Host with optional port, as <see cref="ImageReference.Registry"/> gives it.</param>
    /// <param name="repository">As <see cref="ImageReference.Repository"/> gives it; podman's files may be that specific.</param>
    /// <exception cref="RegistryException">A file cannot be read or parsed, or a helper failed: other credentials are not tried in their place.</exception>
    public async Task<RegistryCredential> FindAsync(string registry, string repository, CancellationToken cancel)
    {
        string[] pairs = !useVariables ? []
            : access == RegistryAccess.Push ? ["DOTNET_CONTAINER_PUSH_REGISTRY", "DOTNET_CONTAINER_REGISTRY", "SDK_CONTAINER_REGISTRY"]
            : ["DOTNET_CONTAINER_PULL_REGISTRY", "DOTNET_CONTAINER_REGISTRY", "SDK_CONTAINER_REGISTRY"];
        foreach (string pair in pairs)
        {
            if (environment($"{pair}_UNAME") is { Length: > 0 } user && environment($"{pair}_PWORD") is { Length: > 0 } password)
            {
                return RegistryCredential.Basic(user, password, $"{pair}_UNAME");
            }
        }

        foreach (string path in ConfigurationFiles())
        {
            if (await ReadAsync(path, cancel) is { } file && await FindAsync(file, path, registry, repository, cancel) is { } found)
            {
                return found;
            }
        }
        return RegistryCredential.Anonymous;
    }

    /// <summary>As the SDK's library reads them (Valleysoft.DockerCredsProvider 2.2.4): a file that is named is the only one.</summary>
    private IEnumerable<string> ConfigurationFiles()
    {
        if (environment("REGISTRY_AUTH_FILE") is { Length: > 0 } named)
        {
            yield return named;
            yield break;
        }

        string? home = environment(OperatingSystem.IsWindows() ? "USERPROFILE" : "HOME") is { Length: > 0 } own ? own : null;
        if (environment("XDG_RUNTIME_DIR") is { Length: > 0 } runtime)
        {
            yield return Path.Combine(runtime, "containers", "auth.json");
        }

        if (environment("XDG_CONFIG_DIR") is { Length: > 0 } settings)
        {
            yield return Path.Combine(settings, "containers", "auth.json");
        }
        else if (home is not null)
        {
            yield return Path.Combine(home, ".config", "containers", "auth.json");
        }

        if (environment("DOCKER_CONFIG") is { Length: > 0 } docker)
        {
            yield return Path.Combine(docker, "config.json");
        }
        else if (home is not null)
        {
            yield return Path.Combine(home, ".docker", "config.json");
        }
    }

    private static async Task<ConfigurationJson?> ReadAsync(string path, CancellationToken cancel)
    {
        // A relative path would mean whatever directory the build happens to be in.
        if (!Path.IsPathFullyQualified(path))
        {
            throw Unusable(path, "the path is not absolute");
        }

        try
        {
            if (!File.Exists(path))
            {
                return null;
            }

            // Read up to the bound, not measured before: what is no plain file has no length.
            byte[] bytes = new byte[Limits.ConfigurationBytes + 1];
            await using FileStream file = File.OpenRead(path);
            int length = await file.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, cancel);
            if (length > Limits.ConfigurationBytes)
            {
                throw Unusable(path, $"larger than {Limits.ConfigurationBytes} bytes");
            }

            // PowerShell 5 writes a byte order mark, and the SDK's reader passes over it.
            ReadOnlySpan<byte> json = bytes.AsSpan(0, length), mark = Encoding.UTF8.Preamble;
            return JsonSerializer.Deserialize(json.StartsWith(mark) ? json[mark.Length..] : json, CredentialJson.Default.ConfigurationJson);
        }
        catch (JsonException e)
        {
            // The exception's own message may quote the file, and the file holds passwords.
            throw Unusable(path, $"it is not the JSON of a docker configuration (line {(e.LineNumber ?? 0) + 1})");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Unusable(path, "it cannot be read");
        }
    }

    private async Task<RegistryCredential?> FindAsync(ConfigurationJson file, string path, string registry, string repository, CancellationToken cancel)
    {
        string[] helpers =
        [
            .. Under(registry, file.CredHelpers).OfType<string>().Where(h => h.Length > 0).Take(1),
            .. new[] { file.CredsStore }.OfType<string>().Where(s => s.Length > 0),
        ];
        foreach (string name in helpers)
        {
            string server = registry == "docker.io" ? DockerHubKey : registry;
            if (await new CredentialHelper(name, environment).GetAsync(server, cancel) is { } secret)
            {
                return secret;
            }
        }

        // podman: the longest namespace that matches wins; then the registry itself. Never a part of a name.
        for (string key = $"{registry}/{repository}"; ; key = key[..key.LastIndexOf('/')])
        {
            foreach (AuthJson entry in Under(key, file.Auths).OfType<AuthJson>())
            {
                if (Read(entry, path, registry) is { } credential)
                {
                    return credential;
                }
            }
            if (key == registry)
            {
                return null;
            }
        }
    }

    /// <summary>
    /// What a file has under a name in any of its spellings. First under the one that docker looks for: its login keeps parts of a session under
    /// addresses that differ in the path alone.
    /// </summary>
    private static IEnumerable<T> Under<T>(string key, Dictionary<string, T>? entries) =>
        (entries ?? []).Where(entry => Canonical(entry.Key) == key).OrderBy(entry => entry.Key == DockerHubKey ? 0 : entry.Key == key ? 1 : 2).Select(entry => entry.Value);

    /// <summary>
    /// A key as <see cref="ImageReference"/> would spell it: no scheme, no API version, Docker Hub under one name. With a scheme the path is an
    /// address of the registry, without one it is a namespace in it.
    /// </summary>
    private static string Canonical(string key)
    {
        bool isAddress = key.StartsWith("https://", StringComparison.OrdinalIgnoreCase) || key.StartsWith("http://", StringComparison.OrdinalIgnoreCase);
        string rest = (isAddress ? key[(key.IndexOf("://", StringComparison.Ordinal) + 3)..] : key).TrimEnd('/');
        int slash = rest.IndexOf('/', StringComparison.Ordinal);
        string host = (slash < 0 ? rest : rest[..slash]).ToLowerInvariant();
        string path = slash < 0 || isAddress || rest[slash..] is "/v1" or "/v2" ? "" : rest[slash..];
        return (host is "index.docker.io" or "registry-1.docker.io" ? "docker.io" : host) + path;
    }

    private static RegistryCredential? Read(AuthJson entry, string path, string registry)
    {
        if (!string.IsNullOrEmpty(entry.RegistryToken))
        {
            return RegistryCredential.BearerToken(entry.RegistryToken, path);
        }

        if (!string.IsNullOrEmpty(entry.IdentityToken))
        {
            return RegistryCredential.Identity(entry.IdentityToken, path);
        }

        if (string.IsNullOrEmpty(entry.Auth))
        {
            return string.IsNullOrEmpty(entry.Username) || string.IsNullOrEmpty(entry.Password)
                ? null
                : RegistryCredential.Basic(entry.Username, entry.Password, path);
        }

        try
        {
            // docker pads with zero bytes in some versions; a password has none.
            string pair = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(Convert.FromBase64String(entry.Auth)).TrimEnd('\0');
            int colon = pair.IndexOf(':', StringComparison.Ordinal);
            if (colon > 0 && !pair.Any(char.IsControl))
            {
                return RegistryCredential.Basic(pair[..colon], pair[(colon + 1)..], path);
            }
        }
        catch (Exception e) when (e is FormatException or DecoderFallbackException)
        {
            // Said below, without the text.
        }
        throw Unusable(path, $"\"auth\" of {registry} is not base64 of user:password");
    }

    private static RegistryException Unusable(string path, string why) =>
        new(RegistryFailure.Unauthorized, $"registry credentials in {RegistryException.Quote(path)} cannot be used: {why}");
}

/// <summary>Something a registry or its token service will take for an identity. Its text never shows a secret.</summary>
public sealed class RegistryCredential
{
    /// <summary>No credentials at all.</summary>
    public static RegistryCredential Anonymous { get; } = new(null, null, null, null, "anonymous");

    private RegistryCredential(string? user, string? password, string? identityToken, string? registryToken, string source) =>
        (User, Password, IdentityToken, RegistryToken, Source) = (user, password, identityToken, registryToken, source);

    /// <summary>Where it was found: a variable's name, a file's path, a helper's name, or <c>anonymous</c>.</summary>
    public string Source { get; }

    public bool IsAnonymous => ReferenceEquals(this, Anonymous);

    internal string? User { get; }

    internal string? Password { get; }

    /// <summary>An OAuth2 refresh token for the registry's token service.</summary>
    internal string? IdentityToken { get; }

    /// <summary>A token for the registry itself.</summary>
    internal string? RegistryToken { get; }

    internal IEnumerable<string> Secrets => new[] { Password, IdentityToken, RegistryToken }.OfType<string>();

    public override string ToString() => IsAnonymous ? "no credentials" : $"credentials from {Source}";

    internal static RegistryCredential Basic(string user, string password, string source) => new(user, password, null, null, source);

    internal static RegistryCredential Identity(string token, string source) => new(null, null, token, null, source);

    internal static RegistryCredential BearerToken(string token, string source) => new(null, null, null, token, source);
}

/// <summary>docker's config.json and podman's auth.json, as far as they concern credentials.</summary>
internal sealed record ConfigurationJson
{
    public Dictionary<string, AuthJson?>? Auths { get; init; }
    public Dictionary<string, string?>? CredHelpers { get; init; }
    public string? CredsStore { get; init; }
}

internal sealed record AuthJson
{
    public string? Auth { get; init; }
    public string? Username { get; init; }
    public string? Password { get; init; }
    [JsonPropertyName("identitytoken")]
    public string? IdentityToken { get; init; }
    [JsonPropertyName("registrytoken")]
    public string? RegistryToken { get; init; }
}

/// <summary>What a credential helper prints for <c>get</c>.</summary>
internal sealed record HelperJson([property: JsonPropertyName("Username")] string Username, [property: JsonPropertyName("Secret")] string Secret);

[JsonSourceGenerationOptions(
    AllowDuplicateProperties = false,
    MaxDepth = 32,
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(ConfigurationJson))]
[JsonSerializable(typeof(HelperJson))]
internal sealed partial class CredentialJson : JsonSerializerContext;
