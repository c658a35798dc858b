using System.Buffers.Text;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Duende.IdentityModel.Client;
using Duende.IdentityModel.OidcClient;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>What a person needs to log in with.</summary>
/// <param name="Issuer">The instance's login, from its signing config; null where that names none.</param>
/// <param name="NewClient">Must not follow redirects.</param>
/// <param name="OpenBrowser">Shows the address to the person; false where there is no browser.</param>
/// <param name="Show">A line that the person must see.</param>
public sealed record InteractiveLogin(Uri? Issuer, Func<HttpClient> NewClient, Func<Uri, bool> OpenBrowser, Action<string> Show, TimeProvider Time);

/// <summary>
/// A person at this machine, who logs in: in a browser (authorization code with PKCE, RFC 8252), and where there is none with a code on another
/// device (RFC 8628). Only when asked for by name: nothing else here ever waits for somebody.
/// </summary>
public sealed class InteractiveIdentity(InteractiveLogin? login, CiSystem system) : IIdentityProvider
{
    private const string Client = "sigstore";
    private const string Scope = "openid email";
    private const string Callback = "/auth/callback";

    // A request line of a browser with a code in it is under 1 KiB.
    private const int RequestBytes = 16 * 1024;

    // Its configuration, its keys or a token: each is a few KiB.
    private const int AnswerBytes = 256 * 1024;

    // Of a server. A person has the times below.
    private static readonly TimeSpan AnswerTime = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(10);

    public string Name => "interactive";

    public bool IsHere => false;

    public string? Lacks => system.Kind == CiKind.None ? null : "SigstoreOidcProvider is interactive, and in a CI system nobody is there to log in; use auto";

    public bool IsGiven => false;

    public async Task<IdentityToken> GetAsync(string audience, CancellationToken cancel)
    {
        if (Lacks is { } lacks)
        {
            throw IdentityException.None(lacks);
        }

        if (login?.Issuer is not { } issuer)
        {
            throw IdentityException.None("the signing config names nobody to log in at (oidcUrls is empty)");
        }

        string authority = issuer.AbsoluteUri.TrimEnd('/');
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        deadline.CancelAfter(LongestWait);
        try
        {
            string jwt = await WithBrowserAsync(login, authority, deadline.Token) ?? await WithDeviceAsync(login, authority, deadline.Token);
            return IdentityToken.Parse(jwt, null, audience);
        }
        catch (OperationCanceledException e) when (!cancel.IsCancellationRequested)
        {
            throw Failed(e.InnerException is TimeoutException ? $"it did not answer within {AnswerTime.TotalSeconds:0} s" : "nobody logged in in time");
        }
        catch (HttpRequestException)
        {
            throw Failed("it cannot be reached");
        }
    }

    /// <summary>Null where there is no browser.</summary>
    private static async Task<string?> WithBrowserAsync(InteractiveLogin login, string authority, CancellationToken cancel)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var client = new OidcClient(new OidcClientOptions
        {
            Authority = authority,
            ClientId = Client,
            Scope = Scope,
            // RFC 8252 §7.3: the port is free to choose. Sigstore's login knows the name, not the number.
            RedirectUri = $"http://localhost:{((IPEndPoint)listener.LocalEndpoint).Port}{Callback}",
            LoadProfile = false,
            DisablePushedAuthorization = true,
            HttpClientFactory = _ => NewClient(login),
        });
        string nonce = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(16));
        AuthorizeState state = await PrepareAsync(client, nonce, cancel);
        if (state.IsError)
        {
            throw Failed(state.Error);
        }

        if (!login.OpenBrowser(new Uri(state.StartUrl)))
        {
            return null;
        }

        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        patience.CancelAfter(Patience);
        string answer = await AnswerOfBrowserAsync(listener, patience.Token);
        // Compares the state, and sends the verifier of the challenge along with the code.
        LoginResult result = await client.ProcessResponseAsync(answer, state, cancellationToken: cancel);
        if (result.IsError)
        {
            throw Failed(result.Error);
        }

        // OpenID Connect Core §3.1.3.7: a token that was made for another login must not be slipped into this one.
        return IdentityToken.Parse(result.IdentityToken, null, audience: null).Claim("nonce") == nonce
            ? result.IdentityToken
            : throw Failed("the token is not of this login (nonce)");
    }

    private static async Task<AuthorizeState> PrepareAsync(OidcClient client, string nonce, CancellationToken cancel)
    {
        try
        {
            return await client.PrepareLoginAsync(new Parameters { { "nonce", nonce } }, cancel);
        }
        catch (InvalidOperationException e)
        {
            // So the library says that the login's configuration cannot be had.
            throw Failed(e.Message);
        }
    }

    private static async Task<string> WithDeviceAsync(InteractiveLogin login, string authority, CancellationToken cancel)
    {
        using HttpClient client = NewClient(login);
        DiscoveryDocumentResponse discovery = await client.GetDiscoveryDocumentAsync(new DiscoveryDocumentRequest { Address = authority }, cancel);
        if (discovery.IsError || discovery.DeviceAuthorizationEndpoint is null)
        {
            throw Failed(discovery.Error ?? "it has no login with a code on another device, and there is no browser here");
        }

        string verifier = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(48));
        DeviceAuthorizationResponse device = await client.RequestDeviceAuthorizationAsync(new DeviceAuthorizationRequest
        {
            Address = discovery.DeviceAuthorizationEndpoint,
            ClientId = Client,
            ClientCredentialStyle = ClientCredentialStyle.PostBody,
            Scope = Scope,
            Parameters = { { "code_challenge", Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(verifier))) }, { "code_challenge_method", "S256" } },
        }, cancel);
        if (device.IsError || device.DeviceCode is null)
        {
            throw Failed(device.Error);
        }

        login.Show($"to log in, open {Shown.Of(device.VerificationUri ?? "")} and enter {Shown.Of(device.UserCode ?? "")}");
        // RFC 8628 §3.2: five seconds where nothing else is said.
        var interval = TimeSpan.FromSeconds(Math.Clamp(device.Interval == 0 ? 5 : device.Interval, 1, 60));
        while (true)
        {
            await Task.Delay(interval, login.Time, cancel);
            TokenResponse answer = await client.RequestDeviceTokenAsync(new DeviceTokenRequest
            {
                Address = discovery.TokenEndpoint,
                ClientId = Client,
                ClientCredentialStyle = ClientCredentialStyle.PostBody,
                DeviceCode = device.DeviceCode,
                Parameters = { { "code_verifier", verifier }, { "scope", Scope } },
            }, cancel);
            if (!answer.IsError)
            {
                return answer.IdentityToken ?? throw Failed("its answer has no identity token in it");
            }

            // RFC 8628 §3.5.
            interval += answer.Error switch
            {
                "authorization_pending" => TimeSpan.Zero,
                "slow_down" => TimeSpan.FromSeconds(5),
                _ => throw Failed(answer.Error),
            };
        }
    }

    /// <summary>
    /// The query of the one request that matters. Browsers ask for an icon as well, and open connections before they need them, so nobody waits for
    /// another.
    /// </summary>
    private static async Task<string> AnswerOfBrowserAsync(TcpListener listener, CancellationToken cancel)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var answer = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        try
        {
            while (!answer.Task.IsCompleted)
            {
                Task<TcpClient> next = listener.AcceptTcpClientAsync(over.Token).AsTask();
                if (await Task.WhenAny(answer.Task, next) == next)
                {
                    _ = ServeAsync(await next, answer, over.Token);
                }
            }

            return await answer.Task;
        }
        finally
        {
            await over.CancelAsync();
        }
    }

    private static async Task ServeAsync(TcpClient client, TaskCompletionSource<string> answer, CancellationToken cancel)
    {
        using TcpClient connection = client;
        try
        {
            await using NetworkStream stream = connection.GetStream();
            string target = await TargetAsync(stream, cancel);
            bool matters = target.StartsWith($"{Callback}?", StringComparison.Ordinal);
            string page = matters ? "You can close this window and go back to the build." : "Nothing is here.";
            if (matters)
            {
                // The first one counts, whether its window still listens or not.
                answer.TrySetResult(target[Callback.Length..]);
            }

            // Not called off: the login goes on while the page is written.
            await stream.WriteAsync(Encoding.ASCII.GetBytes(
                $"HTTP/1.1 {(matters ? "200 OK" : "404 Not Found")}\r\nContent-Type: text/plain\r\nContent-Length: {page.Length}\r\nConnection: close\r\n\r\n{page}"), CancellationToken.None);
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or InvalidOperationException or OperationCanceledException)
        {
            // Whoever broke off was not the one, or comes again.
        }
    }

    private static async Task<string> TargetAsync(NetworkStream stream, CancellationToken cancel)
    {
        byte[] buffer = new byte[RequestBytes];
        int length = 0, read;
        while (length < buffer.Length && buffer.AsSpan(0, length).IndexOf("\r\n\r\n"u8) < 0 && (read = await stream.ReadAsync(buffer.AsMemory(length), cancel)) > 0)
        {
            length += read;
        }

        string line = Encoding.Latin1.GetString(buffer, 0, length).Split('\r')[0];
        return line.Split(' ') is ["GET", var target, _] ? target : "";
    }

    private static HttpClient NewClient(InteractiveLogin login)
    {
        HttpClient client = login.NewClient();
        client.MaxResponseContentBufferSize = AnswerBytes;
        client.Timeout = AnswerTime;
        return client;
    }

    // What the login says may be a stranger's words.
    private static IdentityException Failed(string? what) => new(IdentityFailure.EndpointFailed, $"no identity token from the login: {Shown.Of(what is { Length: > 0 } ? what : "no reason given")}");
}
