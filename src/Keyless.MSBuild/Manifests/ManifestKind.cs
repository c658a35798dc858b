namespace Keyless.MSBuild.Manifests;

/// <summary>Who reads a deploy file, and what fills in what its author left open.</summary>
/// <param name="Name">For messages.</param>
/// <param name="FillIn">What to do about variables.</param>
internal sealed record ManifestKind(string Name, string FillIn)
{
    public static readonly ManifestKind Compose = new("a compose file", "verify what `docker compose config` prints");
    public static readonly ManifestKind Kubernetes = new("a Kubernetes manifest", "fill it in first (`helm template`, `kubectl kustomize`, `envsubst`) and verify the result");
    public static readonly ManifestKind HelmValues = new("a Helm values file", "write it out, or verify what `helm template` prints");
}
