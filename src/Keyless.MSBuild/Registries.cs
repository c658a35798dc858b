using Keyless.Oci;

namespace Keyless.MSBuild;

/// <summary>The repositories of one build, each with one client: connections, credentials and tokens are asked for once.</summary>
/// <param name="signatures">The one repository that keeps all signatures; null where each is beside its image.</param>
internal sealed class Registries(
    HttpClient client, Func<string, string?> environment, RegistryAccess access, RegistrySettings settings, ImageReference? signatures = null) : IDisposable
{
    private readonly Lock gate = new();
    private readonly Dictionary<(string Host, string Repository, bool UseVariables), Registry> known = [];

    /// <summary>Where the image is.</summary>
    public Registry this[ImageReference image] => Open(image, useVariables: true);

    /// <summary>
    /// Where its signatures are: as with cosign's <c>COSIGN_REPOSITORY</c> the repository as it is named, for whatever image. The variables with
    /// credentials name no host and are for the registry of the image, so another host gets what the configuration files have for it.
    /// </summary>
    public Registry SignaturesOf(ImageReference image) =>
        signatures is null ? this[image] : Open(signatures, useVariables: signatures.Registry == image.Registry);

    public ImageReference PlaceOfSignatures(ImageReference image) => signatures ?? image;

    private Registry Open(ImageReference image, bool useVariables)
    {
        lock (gate)
        {
            if (!known.TryGetValue((image.Registry, image.Repository, useVariables), out Registry? registry))
            {
                registry = new Registry(client, image.Registry, image.Repository, new RegistryCredentials(environment, access, useVariables), settings, KeylessTask.UserAgent);
                known.Add((image.Registry, image.Repository, useVariables), registry);
            }

            return registry;
        }
    }

    public void Dispose()
    {
        foreach (Registry registry in known.Values)
        {
            registry.Dispose();
        }
    }
}
