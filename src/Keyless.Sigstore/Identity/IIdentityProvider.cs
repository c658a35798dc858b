namespace Keyless.Sigstore;

/// <summary>An environment that can say who is building.</summary>
public interface IIdentityProvider
{
    /// <summary>Its name in <c>SigstoreOidcProvider</c>.</summary>
    string Name { get; }

    /// <summary>Whether this machine says of itself that this is the environment. Variables and files are looked at, nobody is asked.</summary>
    bool IsHere { get; }

    /// <summary>What a token lacks here, as far as that can be told without asking anybody; null where one can be asked for.</summary>
    string? Lacks { get; }

    /// <summary>Whether somebody has put the token there already: then reading it asks nobody.</summary>
    bool IsGiven { get; }

    /// <summary>A token for Sigstore, as fresh as the environment gives it.</summary>
    /// <param name="audience">For whom: <c>sigstore</c>, unless a private instance names another. A token that is given is for whomever it is for.</param>
    /// <exception cref="IdentityException">There is none, or no usable one.</exception>
    Task<IdentityToken> GetAsync(string audience, CancellationToken cancel);
}
