using System.Security.Cryptography;
using System.Text.Json.Nodes;

namespace Keyless.Sandbox;

/// <summary>
/// Other places than GitHub's cloud that name a job or a workload: Buildkite's agent API, Google's metadata server, an Enterprise Server, a Kubernetes
/// cluster, a SPIFFE agent. Each is an issuer of its own, at a path of the issuer's server and with its key.
/// </summary>
public sealed class OidcPlaces(OidcIssuer issuer)
{
    /// <summary>What a Buildkite job reads from <c>BUILDKITE_AGENT_ACCESS_TOKEN</c>.</summary>
    public string BuildkiteToken { get; } = $"bkaj_{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16))}";

    public string BuildkiteJob { get; } = Guid.NewGuid().ToString();

    /// <summary>Buildkite's claims (buildkite.com/docs/agent/v3/cli-oidc, seen 2026-11).</summary>
    public string CreateBuildkiteToken(string audience = OidcIssuer.Sigstore, TimeSpan? lifetime = null) => issuer.Sign("/buildkite", new JsonObject
    {
        ["sub"] = "organization:example-org:pipeline:publish-app:ref:refs/heads/main:commit:9f3182061f1e2cca4702c368cbc039b7dc9d4485:step:publish",
        ["organization_slug"] = "example-org",
        ["pipeline_slug"] = "publish-app",
        ["build_number"] = 7,
        ["build_branch"] = "main",
        ["build_commit"] = "9f3182061f1e2cca4702c368cbc039b7dc9d4485",
        ["job_id"] = BuildkiteJob,
        ["agent_id"] = "0186b0ae-0000-4000-8000-000000000001",
    }, audience, lifetime);

    /// <summary>A service account's token as Kubernetes projects it into a file.</summary>
    public string CreateKubernetesToken(string audience = OidcIssuer.Sigstore, TimeSpan? lifetime = null) => issuer.Sign("/kubernetes", new JsonObject
    {
        ["sub"] = "system:serviceaccount:builds:publisher",
        ["kubernetes.io"] = new JsonObject
        {
            ["namespace"] = "builds",
            ["pod"] = new JsonObject { ["name"] = "publish-7", ["uid"] = "49ad3572-b3dd-43a6-8d77-000000000001" },
            ["serviceaccount"] = new JsonObject { ["name"] = "publisher", ["uid"] = "49ad3572-b3dd-43a6-8d77-000000000002" },
        },
    }, audience, lifetime);

    /// <summary>A service account's token as the metadata server gives it with <c>format=full</c>.</summary>
    public string CreateGoogleToken(string audience = OidcIssuer.Sigstore, TimeSpan? lifetime = null) => issuer.Sign("/google", new JsonObject
    {
        ["sub"] = "100000000000000000001",
        ["azp"] = "100000000000000000001",
        ["email"] = "publisher@example-project.iam.gserviceaccount.example",
        ["email_verified"] = true,
        ["google"] = new JsonObject { ["compute_engine"] = new JsonObject { ["project_id"] = "example-project", ["zone"] = "europe-west1-b" } },
    }, audience, lifetime);

    /// <summary>A JWT-SVID.</summary>
    public string CreateSpiffeToken(string audience = OidcIssuer.Sigstore, TimeSpan? lifetime = null) =>
        issuer.Sign("/spiffe", new JsonObject { ["sub"] = SpiffeId }, audience, lifetime);

    /// <summary>GitLab's token for <c>id_tokens</c> of a job.</summary>
    public string CreateGitLabToken(string audience = OidcIssuer.Sigstore, TimeSpan? lifetime = null, string visibility = "public") => issuer.Sign("/gitlab", new JsonObject
    {
        ["sub"] = "project_path:example-group/example-app:ref_type:branch:ref:main",
        ["project_path"] = "example-group/example-app",
        ["project_visibility"] = visibility,
        ["ci_config_ref_uri"] = "gitlab.example/example-group/example-app//.gitlab-ci.yml@refs/heads/main",
        ["ref"] = "main",
        ["runner_environment"] = "gitlab-hosted",
    }, audience, lifetime);

    /// <summary>What a job on GitHub Enterprise Server gets: issuer and names are those of that server.</summary>
    public string CreateEnterpriseServerToken(string audience = OidcIssuer.Sigstore, TimeSpan? lifetime = null) =>
        issuer.Sign(EnterpriseServerPath, issuer.Claims.DeepClone().AsObject(), audience, lifetime);

    public const string SpiffeId = "spiffe://example.org/ns/builds/sa/publisher";

    internal const string EnterpriseServerPath = "/_services/token";

    /// <summary>What a job on that server reads from <c>ACTIONS_ID_TOKEN_REQUEST_URL</c>.</summary>
    public string EnterpriseServerRequestUrl => $"{issuer.Url}{EnterpriseServerPath}/request?api-version=2.0";

    internal void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost("/buildkite/v3/jobs/{job}/oidc/tokens", AnswerBuildkiteAsync);
        routes.MapGet("/computeMetadata/v1/instance/service-accounts/default/identity", AnswerGoogleAsync);
        routes.MapGet($"{EnterpriseServerPath}/request", context => issuer.AnswerJobAsync(context, audience => CreateEnterpriseServerToken(audience)));
    }

    private async Task AnswerBuildkiteAsync(HttpContext context)
    {
        if (context.Request.Headers.Authorization != $"Token {BuildkiteToken}" || (string?)context.Request.RouteValues["job"] != BuildkiteJob)
        {
            context.Response.StatusCode = StatusCodes.Status401Unauthorized;
            await context.Response.WriteJsonAsync(new JsonObject { ["message"] = "not this job's token" });
            return;
        }

        JsonNode? body = await JsonNode.ParseAsync(context.Request.Body, cancellationToken: context.RequestAborted);
        // Without an audience it is for Buildkite itself.
        await context.Response.WriteJsonAsync(new JsonObject { ["token"] = CreateBuildkiteToken((string?)body?["audience"] ?? "https://buildkite.example/example-org") });
    }

    private async Task AnswerGoogleAsync(HttpContext context)
    {
        bool asked = context.Request.Headers["Metadata-Flavor"] == "Google";
        string audience = context.Request.Query["audience"].ToString();
        context.Response.StatusCode = !asked ? StatusCodes.Status403Forbidden : audience.Length == 0 ? StatusCodes.Status400BadRequest : StatusCodes.Status200OK;
        context.Response.Headers["Metadata-Flavor"] = "Google";
        context.Response.ContentType = "text/html";
        if (context.Response.StatusCode == StatusCodes.Status200OK)
        {
            await context.Response.WriteAsync(CreateGoogleToken(audience), context.RequestAborted);
        }
    }
}
