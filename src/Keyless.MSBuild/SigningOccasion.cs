using Keyless.Sigstore;

namespace Keyless.MSBuild;

/// <summary>
/// Whether this build signs. <c>SignContainer=auto</c> signs where somebody gives an identity and says why not elsewhere; only the
/// environment decides, never a probe of the network.
/// </summary>
/// <param name="WhyNot">Null where it signs.</param>
/// <param name="Token">One that is there already, so that it can be looked at before anything is compiled or pushed. One that an endpoint makes is fresh anyway.</param>
internal sealed record SigningOccasion(string? WhyNot, IdentityToken? Token)
{
    /// <exception cref="IdentityException">It should sign and there is nobody to sign as.</exception>
    public static async Task<SigningOccasion> FindAsync(string signContainer, AmbientIdentity identities, CancellationToken cancel)
    {
        if (identities.Lacks is not { } lacks)
        {
            return new SigningOccasion(null, identities.Provider!.IsGiven ? await identities.GetAsync(cancel) : null);
        }

        // A job that could have had an identity and was not allowed one is a mistake that nobody would notice.
        return signContainer == "auto" && !identities.IsWithheld
            ? new SigningOccasion(identities.Ci.Guest is { } guest ? $"{guest} gets no identity" : lacks, null)
            : throw new IdentityException(IdentityFailure.Missing, $"no identity token: {lacks}");
    }
}
