namespace Keyless.Sigstore;

/// <summary>What providers need of the world beyond an <see cref="HttpClient"/>; each only if it is the one that is used.</summary>
public sealed record IdentityOptions
{
    /// <summary>Where Kubernetes and others project tokens to for cosign, and so for us.</summary>
    public const string DefaultTokenFile = "/var/run/sigstore/cosign/oidc-token";

    /// <summary>The absolute path of a file with a token; null: <see cref="DefaultTokenFile"/>.</summary>
    public string? TokenFile { get; init; }

    /// <summary>Reaches servers of the machine itself: no proxy, no redirects. Null: the same client as for everybody.</summary>
    public HttpClient? DirectClient { get; init; }

    /// <summary>A client whose every connection goes to the Unix socket of that path.</summary>
    public Func<string, HttpClient>? SocketClient { get; init; }

    /// <summary>For <c>interactive</c> alone.</summary>
    public InteractiveLogin? Login { get; init; }
}
