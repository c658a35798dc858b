using System.Text;

namespace Keyless.Sigstore;

/// <summary>
/// The service account of a machine, pod or job in Google's cloud: the metadata server makes tokens for it
/// (cloud.google.com, "Get an ID token"). Whether there is such a server would have to be asked of the network, so <c>auto</c> takes it only
/// where a variable says so: <c>GCE_METADATA_HOST</c>, or what Cloud Run sets.
/// </summary>
/// <param name="client">Goes straight to the machine's own network: no proxy, no redirects.</param>
public sealed class GoogleIdentity(HttpClient client, string userAgent, Func<string, string?> environment) : IIdentityProvider
{
    private const string HostVariable = "GCE_METADATA_HOST";
    private const string OtherAccountVariable = "GOOGLE_SERVICE_ACCOUNT_NAME";
    private const string DefaultHost = "metadata.google.internal";

    public string Name => "google";

    public bool IsHere => new[] { HostVariable, OtherAccountVariable, "K_SERVICE", "CLOUD_RUN_JOB" }.Any(variable => environment(variable) is { Length: > 0 });

    // To sign as the machine where somebody asked for another account would be the wrong name in a log that forgets nothing.
    public string? Lacks => environment(OtherAccountVariable) is { Length: > 0 }
        ? $"{OtherAccountVariable} is set, and signing as another account than the machine's is not built; put the output of gcloud auth print-identity-token --impersonate-service-account=… --audiences=sigstore --include-email into SIGSTORE_ID_TOKEN"
        : null;

    public bool IsGiven => false;

    private static TokenEndpoint Tokens { get; } = new("Google's metadata server");

    public async Task<IdentityToken> GetAsync(string audience, CancellationToken cancel)
    {
        if (Lacks is { } lacks)
        {
            throw IdentityException.None(lacks);
        }

        var request = new Request("Google's metadata server", HttpMethod.Get, Address(audience))
        {
            Accept = null,
            // Without it the server refuses: a browser that was lured there does not send it.
            Header = ("Metadata-Flavor", "Google"),
            Timeout = TimeSpan.FromSeconds(5),
        };
        Answer answer = await Tokens.AskAsync(client, userAgent, request, cancel);
        // So the server says that it is one: elsewhere anything may answer at that name ("Verify that a response is from the metadata server").
        if (answer.Echo != "Google")
        {
            throw Tokens.Failed($"what answered at {request.Place} is no metadata server (its answer lacks Metadata-Flavor: Google)");
        }

        return IdentityToken.Parse(Encoding.Latin1.GetString(answer.Body.Span).Trim(), null, audience);
    }

    // Plain http by design: the address is link-local, and nothing secret is sent there. `full` adds the account's e-mail address.
    private Uri Address(string audience)
    {
        string host = environment(HostVariable) is { Length: > 0 } set ? set : DefaultHost;
        string query = $"audience={Uri.EscapeDataString(audience)}&format=full";
        return Uri.TryCreate($"http://{host}/computeMetadata/v1/instance/service-accounts/default/identity?{query}", UriKind.Absolute, out Uri? address)
            && address.Authority.Equals(host, StringComparison.OrdinalIgnoreCase)
            ? address
            : throw Tokens.Failed($"{HostVariable} is neither a host nor a host and a port");
    }
}
