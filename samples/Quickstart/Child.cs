using System.Diagnostics;
using System.Text;

namespace Quickstart;

/// <summary>How a child process ended, and what it printed.</summary>
internal sealed record ChildResult(int ExitCode, string Output)
{
    public IEnumerable<string> Lines => Output.ReplaceLineEndings("\n").Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    /// <summary>What MSBuild called an error, each once: it repeats them in its summary.</summary>
    public IEnumerable<string> Errors => Lines.Where(line => line.Contains(": error ", StringComparison.Ordinal)).Select(WithoutProject).Distinct();

    // "…/Keyless.MSBuild.targets(1,2): error CODE: text [project]": place and project say nothing here.
    private static string WithoutProject(string line)
    {
        string error = line[(line.IndexOf(": error ", StringComparison.Ordinal) + 2)..];
        int project = error.LastIndexOf(" [", StringComparison.Ordinal);
        return project > 0 ? error[..project] : error;
    }
}

/// <summary><c>dotnet</c> in a process of its own, which knows nothing of the CI system or the registries this machine may have.</summary>
internal static class Child
{
    private static readonly string[] Foreign =
        ["ACTIONS_", "GITHUB_", "GITLAB_", "BUILDKITE_", "SIGSTORE_", "DOTNET_CONTAINER_", "SDK_CONTAINER_", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "MSBUILD", "CI"];

    public static async Task<ChildResult> DotNetAsync(
        string folder, IEnumerable<string> arguments, IReadOnlyDictionary<string, string> environment, CancellationToken cancel)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            StandardOutputEncoding = Encoding.UTF8,
            StandardErrorEncoding = Encoding.UTF8,
        };
        foreach (string name in start.Environment.Keys.Where(name => Foreign.Any(prefix => prefix.EndsWith('_') || prefix == "MSBUILD"
            ? name.StartsWith(prefix, StringComparison.OrdinalIgnoreCase)
            : name.Equals(prefix, StringComparison.OrdinalIgnoreCase))).ToArray())
        {
            start.Environment.Remove(name);
        }
        // Nothing may stay behind: no node waits for the next build, no compiler server, no MSBuild server.
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        start.Environment["DOTNET_CLI_USE_MSBUILD_SERVER"] = "0";
        start.Environment["UseSharedCompilation"] = "false";
        start.Environment["DOTNET_CLI_UI_LANGUAGE"] = "en";
        start.Environment["DOTNET_NOLOGO"] = "1";
        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        using Process process = Process.Start(start) ?? throw new InvalidOperationException("dotnet did not start");
        process.StandardInput.Close();
        try
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync(cancel);
            Task<string> errors = process.StandardError.ReadToEndAsync(cancel);
            await process.WaitForExitAsync(cancel);
            return new ChildResult(process.ExitCode, await output + await errors);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync(CancellationToken.None);
            throw;
        }
    }
}
