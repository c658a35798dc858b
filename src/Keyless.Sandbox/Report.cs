using System.Globalization;
using System.Text;

namespace Keyless.Sandbox;

/// <summary>What <c>keyless-sandbox</c> prints.</summary>
internal static class Report
{
    public static string Ready(SandboxHost sandbox, string folder)
    {
        string Path(string file) => System.IO.Path.Combine(folder, file);
        return $"""
            keyless-sandbox: for trials and tests only. Its keys were made a moment ago; nothing it signs means anything.

              registry    http://{sandbox.RegistryHost}   (base image: {sandbox.BaseImage})
              issuer      {sandbox.Issuer.Url}   (identity: {sandbox.Issuer.CertificateIdentity})
              fulcio      {Url(sandbox.FulcioServer)}
              rekor v1    {Url(sandbox.RekorV1Server)}
              rekor v2    {Url(sandbox.RekorV2Server)}
              timestamps  {Url(sandbox.TimestampServer)}
              tuf         {Url(sandbox.TufServer)}   (first root: {Path("root.json")})
              files       {folder}

            What a GitHub job would have (the same as: . '{Path("environment")}'):

            {Exports(sandbox)}
            Publish and sign a project:

              dotnet publish -t:PublishContainer -p:SignContainer=true \
                -p:ContainerRegistry={sandbox.RegistryHost} -p:ContainerBaseImage={sandbox.BaseImage} \
                -p:SigstoreInstance='{Path("client_trust_config.json")}'

            With the trust root by TUF, as from a public instance, instead of SigstoreInstance:

                -p:SigstoreTufUrl={Url(sandbox.TufServer)} -p:SigstoreTufRoot='{Path("root.json")}'

            Or sign an image with cosign:

              cosign sign --yes --signing-config '{Path("signing_config.json")}' \
                --trusted-root '{Path("trusted_root.json")}' {sandbox.RegistryHost}/REPOSITORY@DIGEST

            Verify an image:

              cosign verify --trusted-root '{Path("trusted_root.json")}' \
                --certificate-identity '{sandbox.Issuer.CertificateIdentity}' \
                --certificate-oidc-issuer '{sandbox.Issuer.Url}' \
                {sandbox.RegistryHost}/REPOSITORY:TAG

            Ready. Ctrl+C ends it.
            """;
    }

    public static string Traffic(Traffic traffic)
    {
        var lines = new StringBuilder("\nRequests and sequential depth by User-Agent:\n");
        foreach (IGrouping<string, Exchange> client in traffic.Snapshot().GroupBy(exchange => exchange.UserAgent, StringComparer.Ordinal))
        {
            TrafficMeasure measure = Sandbox.Traffic.Measure(client);
            lines.Append(CultureInfo.InvariantCulture, $"  {measure.Requests,6} requests, depth {measure.Depth,4}  {(client.Key == "" ? "(none)" : Printable(client.Key))}\n");
        }
        return lines.Append("Stopped.").ToString();
    }

    private static string Exports(SandboxHost sandbox) =>
        string.Concat(sandbox.EnvironmentLines().Select(line => $"  {line}\n"));

    private static string Url(LoopbackServer server) => server.BaseUrl.GetLeftPart(UriPartial.Authority);

    // A header is a stranger's text; a terminal obeys control characters.
    private static string Printable(string text) => string.Concat(text.Select(character => char.IsControl(character) ? '?' : character));
}
