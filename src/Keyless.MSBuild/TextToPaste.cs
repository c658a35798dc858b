using System.Text;
using Keyless.Sigstore;

namespace Keyless.MSBuild;

/// <summary>
/// What to paste where a build cannot sign. An error is one line and a workflow is several, so the line names a file; the same text goes to
/// the messages and, in GitHub Actions, to the page of the run.
/// </summary>
internal static class TextToPaste
{
    // Naming one permission drops all others, so all three are shown wherever one of them is.
    private const string Permissions = """
        GitHub Actions: the job that publishes needs all three permissions. Naming one drops the others.

            permissions:
              contents: read
              packages: write
              id-token: write

        If that job is in a reusable workflow (on: workflow_call), the job that calls it must grant them too:

            jobs:
              publish:
                permissions:
                  contents: read
                  packages: write
                  id-token: write
                uses: ./.github/workflows/publish.yml
        """;

    private const string GitLab = """
        GitLab: the job needs a token for Sigstore.

            publish:
              id_tokens:
                SIGSTORE_ID_TOKEN:
                  aud: sigstore
        """;

    private const string Guest = """
        What comes from outside the repository gets no identity, whatever the workflow says. Sign what is yours, and let the rest be built unsigned:

            dotnet publish -t:PublishContainer -p:SignContainer=auto
        """;

    private const string Buildkite = """
        Buildkite: the agent names the job to whoever has its variables. A container in the job must be given them:

            docker run -e BUILDKITE -e BUILDKITE_AGENT_ENDPOINT -e BUILDKITE_AGENT_ACCESS_TOKEN -e BUILDKITE_JOB_ID …
        """;

    private const string CircleCi = """
        CircleCI: let the step that publishes ask for a token.

            - run: |
                export SIGSTORE_ID_TOKEN=$(circleci run oidc get --claims '{"aud":"sigstore"}')
                dotnet publish -t:PublishContainer -p:SignContainer=true
        """;

    private const string Projected = """
        Kubernetes: the pod that builds needs a service account's token for Sigstore.

            spec:
              containers:
              - name: build
                volumeMounts:
                - name: sigstore
                  mountPath: /var/run/sigstore/cosign
                  readOnly: true
              volumes:
              - name: sigstore
                projected:
                  sources:
                  - serviceAccountToken:
                      audience: sigstore
                      path: oidc-token

        It is found there without SigstoreIdentityTokenFile.
        """;

    private const string Spiffe = """
        SPIFFE: say where the agent's socket is, and mount it where the build runs in a container.

            SPIFFE_ENDPOINT_SOCKET=unix:///run/spire/agent.sock dotnet publish -t:PublishContainer -p:SignContainer=true -p:SigstoreOidcProvider=spiffe
        """;

    private const string Google = """
        Google's cloud: let the account's owner make the token, with its address in it.

            SIGSTORE_ID_TOKEN=$(gcloud auth print-identity-token --impersonate-service-account=… --audiences=sigstore --include-email) dotnet publish -t:PublishContainer -p:SignContainer=true -p:SigstoreOidcProvider=environment
        """;

    private const string Azure = """
        Azure Pipelines: public Sigstore instances do not take its identities. Either sign in a system whose identities they take, such as GitHub Actions
        or GitLab; or with the token of a service account in a cluster, in Google's cloud or of a SPIFFE agent:

            dotnet publish -t:PublishContainer -p:SignContainer=true -p:SigstoreOidcProvider=file -p:SigstoreIdentityTokenFile=/var/run/secrets/tokens/sigstore

        or at a private instance that knows your organisation as an issuer, with its token in SIGSTORE_ID_TOKEN:

            dotnet publish -t:PublishContainer -p:SignContainer=true -p:SigstoreInstance=client_trust_config.json
        """;

    private const string Consent = """
        If these strings may be public for ever, say so in the project or on the command line:

            <ContainerSigningAcceptPublicLog>true</ContainerSigningAcceptPublicLog>

        If they may not, sign at a private instance:

            <SigstoreInstance>client_trust_config.json</SigstoreInstance>
        """;

    private const string Fresh = """
        A token lives some minutes. Let the step that publishes ask for it, for the audience that the instance takes (sigstore, unless a private one names another).
        """;

    private const string Registry = """
        A signature is kept beside the image in its registry, so the image has to go to one:

            <ContainerRegistry>ghcr.io</ContainerRegistry>
            <ContainerRepository>owner/name</ContainerRepository>

        Builds for the local daemon or into an archive are not signed:

            <SignContainer Condition="'$(ContainerRegistry)' == '' or '$(ContainerArchiveOutputPath)' != ''">false</SignContainer>
        """;

    private const string Elsewhere = """
        Put a token with audience sigstore into the environment of the step that publishes, never into a property.

            SIGSTORE_ID_TOKEN=… dotnet publish -t:PublishContainer -p:SignContainer=true
        """;

    private const string Desk = """
        Nobody here says who is building. Leave the signature to the CI system:

            dotnet publish -t:PublishContainer -p:SignContainer=auto

        or log in; a public instance then keeps your address for ever, and asks for ContainerSigningAcceptPublicLog=true first:

            dotnet publish -t:PublishContainer -p:SignContainer=true -p:SigstoreOidcProvider=interactive --interactive

        or put a token with audience sigstore into the environment, never into a property:

            SIGSTORE_ID_TOKEN=… dotnet publish -t:PublishContainer -p:SignContainer=true
        """;

    /// <summary>What helps in this place and no other.</summary>
    /// <param name="provider">Whom the build was told to ask, as <c>SigstoreOidcProvider</c> has it.</param>
    /// <returns>Null where there is nothing to paste.</returns>
    public static string? For(DiagnosticKind kind, CiSystem system, string provider) =>
        kind == Diagnostics.NoRegistry ? Registry
        : kind == Diagnostics.NoConsent ? Consent
        : kind == Diagnostics.ForeignSystem ? Azure
        : kind == Diagnostics.NoIdentityToken ? Token(system, provider)
        : kind == Diagnostics.ExpiredIdentityToken || kind == Diagnostics.ForeignAudience || kind == Diagnostics.MalformedIdentityToken
            ? Token(system, provider) is { } token ? Join(Fresh, token) : Fresh
        : null;

    private static string? Token(CiSystem system, string provider) => (provider.ToLowerInvariant(), system.Kind) switch
    {
        ("none", _) => null,
        ("file", _) => Projected,
        ("spiffe", _) => Spiffe,
        ("google", _) => Google,
        ("buildkite", _) => Buildkite,
        (_, CiKind.GitHubActions) => system.Guest is null ? Permissions : Guest,
        ("github-actions", _) => Permissions,
        (_, CiKind.GitLab) => GitLab,
        (_, CiKind.AzurePipelines) => Azure,
        (_, CiKind.Buildkite) => Buildkite,
        (_, CiKind.CircleCi) => CircleCi,
        // Asked for by name, so what is missing is a place to log in: the line says so.
        ("interactive", _) => null,
        (_, CiKind.None) => Desk,
        _ => Elsewhere,
    };

    /// <param name="path">Absolute.</param>
    /// <returns>Whether it is there now; a build that cannot sign fails for that, not for this.</returns>
    public static bool Write(string path, string text)
    {
        try
        {
            WholeFile.Write("IntermediateOutputPath", path, Encoding.UTF8.GetBytes(text + "\n"));
            return true;
        }
        catch (ConfigurationException)
        {
            return false;
        }
    }

    /// <summary>The same for the page of a GitHub run.</summary>
    /// <param name="error">May repeat names, values and servers' words.</param>
    /// <param name="text">Ours.</param>
    public static string Summary(string error, string text) => $"### The container is not signed\n\n{Quoted.Text(error)}\n\n{text}\n\n";

    private static string Join(params string[] parts) => string.Join("\n\n", parts);
}
