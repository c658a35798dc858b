using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>The identity of whatever runs the build: the first environment that knows itself.</summary>
public sealed class AmbientIdentity
{
    private readonly string choice;

    /// <param name="choice"><c>auto</c>, the name of a provider, or <c>none</c>.</param>
    /// <param name="client">Must not follow redirects.</param>
    /// <exception cref="ArgumentException">Another choice.</exception>
    public AmbientIdentity(string choice, HttpClient client, string userAgent, Func<string, string?> environment, IdentityOptions? options = null)
    {
        this.choice = choice;
        Ci = CiSystem.Find(environment);
        options ??= new IdentityOptions();
        // In this order auto looks; cosign's is the same. First what the CI system says of the job, then what somebody gave to the build.
        IIdentityProvider[] ofTheJob =
        [
            new GitHubActionsIdentity(client, userAgent, environment),
            new BuildkiteIdentity(client, userAgent, environment),
            new EnvironmentIdentity(environment),
            new FileIdentity(options.TokenFile ?? IdentityOptions.DefaultTokenFile, environment),
        ];
        IIdentityProvider[] ofTheMachine =
        [
            new GoogleIdentity(options.DirectClient ?? client, userAgent, environment),
            new SpiffeIdentity(options.SocketClient, userAgent, environment),
        ];
        IIdentityProvider[] known = [.. ofTheJob, .. ofTheMachine];
        Provider = choice switch
        {
            // A file that is named is meant, so that its absence is an error and no reason to look further.
            "auto" when ofTheJob.FirstOrDefault(provider => provider.IsHere || (provider is FileIdentity && options.TokenFile is not null)) is { } provider => provider,
            // Where a CI system gives its jobs identities, one that runs on somebody's machine is not that machine.
            "auto" => Ci.NamesItsJobs ? null : ofTheMachine.FirstOrDefault(provider => provider.IsHere),
            "none" => null,
            "interactive" => new InteractiveIdentity(options.Login, Ci),
            _ when known.FirstOrDefault(provider => provider.Name == choice) is { } provider => provider,
            _ => throw new ArgumentException($"auto, {string.Join(", ", known.Select(provider => provider.Name))}, interactive or none expected, \"{Shown.Of(choice)}\" found", nameof(choice)),
        };
    }

    public CiSystem Ci { get; }

    /// <summary>The one that is asked; null where nobody is there to ask. To go on to the next after its failure could sign in another name.</summary>
    public IIdentityProvider? Provider { get; }

    /// <summary>Why there can be no token, as far as that can be told without asking anybody; null where one can be asked for.</summary>
    public string? Lacks => (Provider, choice) switch
    {
        // Why a job of GitHub has none, the event says as well.
        (GitHubActionsIdentity { IsHere: false }, _) when Ci.Kind == CiKind.GitHubActions => Ci.Lacks,
        ({ } provider, _) => provider.Lacks,
        (_, "none") => "SigstoreOidcProvider is none; remove it, or set SignContainer=false",
        _ => Ci.Lacks,
    };

    /// <summary>Whether there would be a token, had the job been allowed or configured to have one.</summary>
    public bool IsWithheld => Lacks is not null && Ci is { NamesItsJobs: true, Guest: null } && (choice is "auto" or "github-actions" or "buildkite");

    /// <summary>A fresh token with each call, where the environment makes fresh ones.</summary>
    /// <param name="audience">For whom it is to be, where it is made now. Whether a given one is for Sigstore is not looked at.</param>
    /// <exception cref="IdentityException">There is none, or no usable one.</exception>
    public async Task<IdentityToken> GetAsync(string audience, CancellationToken cancel) =>
        Lacks is { } lacks ? throw IdentityException.None(lacks) : await Provider!.GetAsync(audience, cancel);

    /// <summary>The same for the usual audience.</summary>
    public Task<IdentityToken> GetAsync(CancellationToken cancel) => GetAsync(IdentityToken.SigstoreAudience, cancel);
}
