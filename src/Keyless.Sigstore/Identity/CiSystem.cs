using System.Text.Json;

namespace Keyless.Sigstore;

/// <summary>Who runs the build, as its variables say.</summary>
public enum CiKind
{
    /// <summary>Nobody: a desk, or a system that does not say so.</summary>
    None,
    GitHubActions,
    GitLab,
    AzurePipelines,
    Buildkite,
    CircleCi,
    Other,
}

/// <summary>The CI system around the build: whether it could name the job, and what that needs.</summary>
public sealed class CiSystem
{
    /// <summary>GitHub's webhooks are capped at 25 MB, and so are the events made of them.</summary>
    private const long LargestEvent = 25 * 1024 * 1024;

    private readonly Func<string, string?> environment;

    private CiSystem(CiKind kind, Func<string, string?> environment)
    {
        Kind = kind;
        this.environment = environment;
        if (kind == CiKind.GitHubActions)
        {
            (Guest, Visibility) = ReadEvent();
        }
    }

    public CiKind Kind { get; }

    /// <summary>What comes from outside the repository gets no identity, whatever the workflow says: what it is; null where that is not so.</summary>
    public string? Guest { get; }

    /// <summary>Of GitHub's repository, from the event: <c>public</c>, <c>private</c> or <c>internal</c>; null where it does not say.</summary>
    public string? Visibility { get; }

    /// <summary>What GitHub's token will say of the job, as far as its variables say it already.</summary>
    internal string? Claim(string name) => name switch
    {
        "repository_visibility" => Visibility,
        "repository" => environment("GITHUB_REPOSITORY"),
        "repository_owner" => environment("GITHUB_REPOSITORY_OWNER"),
        "workflow_ref" => environment("GITHUB_WORKFLOW_REF"),
        "run_id" => environment("GITHUB_RUN_ID"),
        "run_attempt" => environment("GITHUB_RUN_ATTEMPT"),
        _ => null,
    };

    /// <summary>The name of a job of GitHub whose workflow is its own.</summary>
    internal string? Subject => Claim("workflow_ref") is { Length: > 0 } workflow ? $"{environment(GitHubActionsIdentity.ServerVariable)}/{workflow}" : null;

    /// <summary>The run that this build is part of, with the system's name; null where none is said.</summary>
    public string? Run => Kind switch
    {
        CiKind.GitHubActions when environment("GITHUB_RUN_ID") is { Length: > 0 } id => environment("GITHUB_RUN_ATTEMPT") is { Length: > 0 } attempt ? $"github {id}.{attempt}" : $"github {id}",
        CiKind.GitLab when environment("CI_PIPELINE_ID") is { Length: > 0 } id => $"gitlab {id}",
        CiKind.AzurePipelines when environment("BUILD_BUILDID") is { Length: > 0 } id => $"azure {id}",
        _ => null,
    };

    /// <summary>Whether a job gets an identity of its own here, once it is configured to.</summary>
    public bool NamesItsJobs => Kind is CiKind.GitHubActions or CiKind.GitLab or CiKind.Buildkite;

    /// <summary>What a token lacks in this place.</summary>
    public string Lacks => Kind switch
    {
        CiKind.GitHubActions => $"{UnsetOfGitHub()} is not set; {(Guest is null ? "the job lacks `id-token: write`" : $"{Guest} gets no identity, use SignContainer=auto there")}",
        CiKind.GitLab => $"{EnvironmentIdentity.Variable} is not set; the job lacks `id_tokens: {{ {EnvironmentIdentity.Variable}: {{ aud: sigstore }} }}`",
        CiKind.AzurePipelines => $"Azure Pipelines gives no identity that a public Sigstore instance takes, and {EnvironmentIdentity.Variable} is not set; sign in another CI system, with a service account's token (SigstoreOidcProvider=file, google or spiffe), or at a private instance",
        CiKind.Buildkite => "BUILDKITE_AGENT_ACCESS_TOKEN is not set; give it and BUILDKITE_JOB_ID to the container that builds",
        CiKind.CircleCi => $"{EnvironmentIdentity.Variable} is not set; put the output of circleci run oidc get --claims '{{\"aud\":\"sigstore\"}}' there",
        _ => $"this is no CI system that gives an identity, and {EnvironmentIdentity.Variable} is not set; sign in CI, or put a token with audience \"sigstore\" there",
    };

    public static CiSystem Find(Func<string, string?> environment)
    {
        bool Is(string variable) => string.Equals(environment(variable), "true", StringComparison.OrdinalIgnoreCase);
        CiKind kind = Is("GITHUB_ACTIONS") ? CiKind.GitHubActions
            : Is("GITLAB_CI") ? CiKind.GitLab
            : Is("TF_BUILD") ? CiKind.AzurePipelines
            : Is("BUILDKITE") ? CiKind.Buildkite
            : Is("CIRCLECI") ? CiKind.CircleCi
            : Is("CI") ? CiKind.Other
            : CiKind.None;
        return new CiSystem(kind, environment);
    }

    private string UnsetOfGitHub() => string.IsNullOrEmpty(environment(GitHubActionsIdentity.UrlVariable)) ? GitHubActionsIdentity.UrlVariable : GitHubActionsIdentity.TokenVariable;

    // docs.github.com, "Restrictions when Dependabot triggers events", and of forks "Permissions for the GITHUB_TOKEN". A pull_request_target runs as
    // the repository itself, unless Dependabot opened it.
    private (string? Guest, string? Visibility) ReadEvent()
    {
        JsonElement payload = Payload();
        bool pullRequest = environment("GITHUB_EVENT_NAME")?.StartsWith("pull_request", StringComparison.Ordinal) == true;
        string? visibility = Text(payload, "repository", "visibility");
        if (environment("GITHUB_ACTOR") == "dependabot[bot]" || (pullRequest && Text(payload, "pull_request", "user", "login") == "dependabot[bot]"))
        {
            return ("a run that Dependabot started", visibility);
        }

        bool outside = pullRequest && environment("GITHUB_EVENT_NAME") != "pull_request_target" && At(payload, "pull_request", "head").ValueKind == JsonValueKind.Object
            // Where the fork is gone there is no name any more.
            && !string.Equals(Text(payload, "pull_request", "head", "repo", "full_name"), environment("GITHUB_REPOSITORY"), StringComparison.OrdinalIgnoreCase);
        return (outside ? "a pull request from a fork" : null, visibility);
    }

    // What cannot be read says nothing: then the run counts as the repository's own, and a missing permission is an error.
    private JsonElement Payload()
    {
        try
        {
            if (environment("GITHUB_EVENT_PATH") is not { Length: > 0 } path || new FileInfo(path) is not { Exists: true, Length: <= LargestEvent })
            {
                return default;
            }

            using JsonDocument payload = JsonDocument.Parse(File.ReadAllBytes(path));
            return payload.RootElement.Clone();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or ArgumentException)
        {
            return default;
        }
    }

    private static string? Text(JsonElement payload, params ReadOnlySpan<string> path) =>
        At(payload, path) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;

    private static JsonElement At(JsonElement at, params ReadOnlySpan<string> path)
    {
        foreach (string name in path)
        {
            if (at.ValueKind != JsonValueKind.Object || !at.TryGetProperty(name, out at))
            {
                return default;
            }
        }

        return at;
    }
}
