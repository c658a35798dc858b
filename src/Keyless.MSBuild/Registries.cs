using Keyless.Oci;

namespace Keyless.MSBuild;

/// <summary>The repositories of one build, each with one client: connections, credentials and tokens are asked for once.</summary>
internal sealed class Registries(HttpClient client, RegistryCredentials credentials, RegistrySettings settings) : IDisposable
{
    private readonly Lock gate = new();
    private readonly Dictionary<(string Host, string Repository), Registry> known = [];

    public Registry this[ImageReference image]
    {
        get
        {
            lock (gate)
            {
                if (!known.TryGetValue((image.Registry, image.Repository), out Registry? registry))
                {
                    known.Add((image.Registry, image.Repository), registry = new Registry(client, image.Registry, image.Repository, credentials, settings, KeylessTask.UserAgent));
                }

                return registry;
            }
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
