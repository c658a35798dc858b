namespace Keyless.Sigstore;

/// <summary>An environment that can say who is building.</summary>
public interface IIdentityProvider
{
    /// <summary>Its name in <c>SigstoreOidcProvider</c>.</summary>
    string Name { get; }

    /// <summary>A token for Sigstore, as fresh as the environment gives it; null where this is not the environment.</summary>
    /// <exception cref="IdentityException">It is the environment, and has no usable token.</exception>
    Task<IdentityToken?> GetAsync(CancellationToken cancel);
}
