namespace Keyless.MSBuild;

/// <summary>What the CI system says of itself.</summary>
internal static class ContinuousIntegration
{
    /// <summary>The run that this build is part of; null outside the CI systems that are known here.</summary>
    public static string? Run(Func<string, string?> environment)
    {
        (string System, string Name, string Run, string? Attempt)[] known =
        [
            ("GITHUB_ACTIONS", "github", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT"),
            ("GITLAB_CI", "gitlab", "CI_PIPELINE_ID", null),
            ("TF_BUILD", "azure", "BUILD_BUILDID", null),
        ];
        foreach ((string system, string name, string run, string? attempt) in known)
        {
            if (IsTrue(environment(system)) && environment(run) is { Length: > 0 } id)
            {
                return attempt is not null && environment(attempt) is { Length: > 0 } number ? $"{name} {id}.{number}" : $"{name} {id}";
            }
        }
        return null;
    }

    public static bool IsTrue(string? value) => string.Equals(value, "true", StringComparison.OrdinalIgnoreCase);
}
