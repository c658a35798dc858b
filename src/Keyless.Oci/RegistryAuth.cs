using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Keyless.Oci;

/// <summary>
/// Answers a registry's challenges for one repository (RFC 9110 §11, distribution "Token Authentication"). What it obtains is for this registry,
/// this repository and these credentials, and is kept no longer than the object lives.
/// </summary>
internal sealed class RegistryAuth(
    string registry, string repository, RegistryCredentials credentials, RegistrySettings settings, RegistryConnection connection) : IDisposable
{
    // A token that ends while a request is on its way costs a round trip; one asked for too early costs nothing.
    private static readonly TimeSpan Margin = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim gate = new(1, 1);
    private RegistryCredential? credential;
    private TokenService? service;
    private Ticket? ticket;

    private sealed record Ticket(AuthenticationHeaderValue Header, DateTimeOffset? Until);

    private sealed record TokenService(Uri Realm, string? Service, Uri Origin);

    /// <summary>What to send with the next request: nothing before the first challenge, then what answered it, renewed when its time is up.</summary>
    public async Task<AuthenticationHeaderValue?> HeaderAsync(CancellationToken cancel)
    {
        if (ticket is null || IsFresh(ticket))
        {
            return ticket?.Header;
        }

        await gate.WaitAsync(cancel);
        try
        {
            if (!IsFresh(ticket) && service is not null)
            {
                ticket = await ExchangeAsync(service, cancel);
            }

            return ticket.Header;
        }
        finally
        {
            gate.Release();
        }
    }

    /// <summary>What to send after a 401 from the registry itself.</summary>
    /// <param name="sent">What was sent with the request that was refused.</param>
    /// <exception cref="RegistryException">There is no answer to this challenge that has not been given already.</exception>
    public async Task<AuthenticationHeaderValue> AnswerAsync(HttpResponseMessage refusal, AuthenticationHeaderValue? sent, CancellationToken cancel)
    {
        await gate.WaitAsync(cancel);
        try
        {
            // Requests side by side are refused side by side; one of them asks, all use the answer.
            if (ticket is null || ticket.Header.Equals(sent))
            {
                ticket = await AnswerAsync(refusal, cancel);
            }

            return ticket.Header.Equals(sent) ? throw Refused(refusal, credential!) : ticket.Header;
        }
        finally
        {
            gate.Release();
        }
    }

    /// <summary>Takes out of a registry's words what we told it in confidence.</summary>
    public string Redact(string text)
    {
        IEnumerable<string> secrets = [.. credential?.Secrets ?? [], .. new[] { ticket?.Header.Parameter }.OfType<string>()];
        return secrets.Where(secret => secret.Length > 0).Aggregate(text, (redacted, secret) => redacted.Replace(secret, "[redacted]", StringComparison.Ordinal));
    }

    /// <summary>A 401 after everything there is was sent.</summary>
    public RegistryException Refused(HttpResponseMessage refusal) => Refused(refusal, credential ?? RegistryCredential.Anonymous);

    public void Dispose() => gate.Dispose();

    private bool IsFresh(Ticket held) => held.Until is not { } until || settings.Time.GetUtcNow() < until;

    private async Task<Ticket> AnswerAsync(HttpResponseMessage refusal, CancellationToken cancel)
    {
        HttpRequestMessage request = refusal.RequestMessage!;
        Uri origin = request.RequestUri!;
        IReadOnlyList<Challenge> challenges;
        try
        {
            challenges = Challenge.ParseAll(refusal.Headers.NonValidated.TryGetValues("WWW-Authenticate", out HeaderStringValues values) ? values : []);
        }
        catch (FormatException e)
        {
            throw RegistryConnection.Nonsense(request, e.Message);
        }

        credential ??= await credentials.FindAsync(registry, repository, cancel);
        Challenge? bearer = challenges.FirstOrDefault(c => c.Scheme == "bearer");
        if (credential.RegistryToken is { } ready && bearer is not null)
        {
            return new Ticket(Bearer(ready, request), null);
        }

        if (bearer is not null)
        {
            service = new TokenService(RequireRealm(bearer, request), bearer.Parameters.GetValueOrDefault("service"), origin);
            return await ExchangeAsync(service, cancel);
        }
        if (challenges.Any(c => c.Scheme == "basic") && credential.User is not null)
        {
            return new Ticket(Basic(credential), null);
        }

        throw Refused(refusal, credential);
    }

    /// <summary>
    /// A realm is where the credentials go. Any https host may be named (Docker Hub's is another host than its registry), http only by a registry
    /// on loopback or itself on http, private addresses only by a registry that has one (CVE-2026-48978).
    /// </summary>
    private static Uri RequireRealm(Challenge challenge, HttpRequestMessage request)
    {
        Uri origin = request.RequestUri!;
        if (!challenge.Parameters.TryGetValue("realm", out string? realm) || !Uri.TryCreate(realm, UriKind.Absolute, out Uri? uri))
        {
            throw RegistryConnection.Nonsense(request, "its challenge names no token service (realm)");
        }

        try
        {
            bool bothLoopback = RegistryTransport.IsLoopback(origin) && RegistryTransport.IsLoopback(uri);
            if (uri.Scheme == Uri.UriSchemeHttp && !bothLoopback && (origin.Scheme != Uri.UriSchemeHttp || RegistryTransport.IsLoopback(origin)))
            {
                throw new FormatException($"it is not https ({uri.Authority})");
            }

            if (uri.Fragment.Length > 0)
            {
                throw new FormatException("the address it names has a fragment");
            }

            // In the query it would stand beside ours, and a token service that adds the two up would give a token for both.
            if (uri.Query.Split('?', '&', ';').Any(part => Uri.UnescapeDataString(part.Split('=')[0]).Equals("scope", StringComparison.OrdinalIgnoreCase)))
            {
                throw new FormatException("the address it names has a scope of its own");
            }

            RegistryAddress.Require(uri, uri, origin);
        }
        catch (FormatException e)
        {
            throw RegistryConnection.Nonsense(request, $"its challenge names a token service that is not used: {e.Message}");
        }
        return uri;
    }

    private async Task<Ticket> ExchangeAsync(TokenService at, CancellationToken cancel)
    {
        RegistryCredential held = credential!;
        if (!held.IsAnonymous && !at.Realm.Host.Equals(at.Origin.Host, StringComparison.OrdinalIgnoreCase))
        {
            settings.Note?.Invoke($"{held} for {registry} go to its token service at {at.Realm.Host}");
        }

        // Our own scope, not the challenge's: a registry must not widen what a token that we hold is good for.
        var query = new List<KeyValuePair<string, string>>
        {
            new("scope", $"repository:{repository}:{(credentials.Access == RegistryAccess.Push ? "pull,push" : "pull")}{(settings.Deletes ? ",delete" : "")}"),
        };
        if (at.Service is not null)
        {
            query.Add(new("service", at.Service));
        }

        using var request = new HttpRequestMessage();
        if (held.IdentityToken is { } identity)
        {
            request.Method = HttpMethod.Post;
            request.RequestUri = at.Realm;
            request.Content = new FormUrlEncodedContent([new("grant_type", "refresh_token"), new("client_id", "keyless-oci"), new("refresh_token", identity), .. query]);
        }
        else
        {
            string separator = at.Realm.Query.Length == 0 ? "?" : "&";
            request.RequestUri = RegistryAddress.Verbatim(at.Realm.AbsoluteUri + separator + string.Join('&', query.Select(p => $"{p.Key}={Uri.EscapeDataString(p.Value)}")));
            request.Headers.Authorization = held.User is null ? null : Basic(held);
        }

        DateTimeOffset asked = settings.Time.GetUtcNow();
        using HttpResponseMessage response = await connection.SendAsync(request, cancel);
        // A redirect is no answer either: the credentials were for the realm.
        if (!response.IsSuccessStatusCode)
        {
            TimeSpan? pause = RegistryConnection.RetryAfter(response);
            throw new RegistryException(
                RegistryException.FailureOf(response.StatusCode),
                $"{RegistryException.Describe(request.Method, request.RequestUri!)} → {(int)response.StatusCode}: the token service of {registry} gave no token ({held}){RegistryConnection.Asks(pause)}",
                response.StatusCode)
            {
                IsTransient = RegistryException.FailureOf(response.StatusCode) == RegistryFailure.Unreachable,
                RetryAfter = pause,
            };
        }

        TokenJson? answer;
        try
        {
            answer = JsonSerializer.Deserialize(await connection.ReadAsync(response, Limits.TokenAnswerBytes, cancel), TokenJsonContext.Default.TokenJson);
        }
        catch (JsonException)
        {
            // Its message may quote the token.
            throw RegistryConnection.Nonsense(request, "the token service's answer is not JSON");
        }
        string token = (string.IsNullOrEmpty(answer?.Token) ? answer?.AccessToken : answer.Token) is { Length: > 0 } given
            ? given
            : throw RegistryConnection.Nonsense(request, "the token service's answer has no token");
        TimeSpan lifetime = answer!.ExpiresIn is { } seconds and > 0 ? TimeSpan.FromSeconds(Math.Min(seconds, Limits.LongestTokenLifetime.TotalSeconds)) : Limits.TokenLifetime;
        return new Ticket(Bearer(token, request), asked + (lifetime > 2 * Margin ? lifetime - Margin : lifetime / 2));
    }

    private static AuthenticationHeaderValue Basic(RegistryCredential held) =>
        new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{held.User}:{held.Password}")));

    private static AuthenticationHeaderValue Bearer(string token, HttpRequestMessage request) =>
        token.Length <= Limits.TokenLength && !token.AsSpan().ContainsAnyExceptInRange('!', '~')
            ? new AuthenticationHeaderValue("Bearer", token)
            : throw RegistryConnection.Nonsense(request, "the token is too long or not printable ASCII");

    private static RegistryException Refused(HttpResponseMessage refusal, RegistryCredential held)
    {
        HttpRequestMessage request = refusal.RequestMessage!;
        string with = held.IsAnonymous ? "no credentials were found for it" : $"{held} were not accepted";
        return new RegistryException(RegistryFailure.Unauthorized, $"{RegistryException.Describe(request.Method, request.RequestUri!)} → 401: {with}", refusal.StatusCode);
    }
}

internal sealed record TokenJson
{
    public string? Token { get; init; }
    [JsonPropertyName("access_token")]
    public string? AccessToken { get; init; }
    [JsonPropertyName("expires_in")]
    public long? ExpiresIn { get; init; }
}

[JsonSourceGenerationOptions(AllowDuplicateProperties = false, MaxDepth = 32, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(TokenJson))]
internal sealed partial class TokenJsonContext : JsonSerializerContext;
