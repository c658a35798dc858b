using System.Diagnostics;
using System.Text;

namespace Keyless.Testing;

/// <summary>
/// Runs <c>dotnet</c> as a child, the way a stranger's shell would: nothing of this machine's CI, of its registries or of this test run
/// in the environment, and no server that stays behind.
/// </summary>
public static class DotNet
{
    private static readonly string[] ForeignPrefixes = ["ACTIONS_", "GITHUB_", "GITLAB_", "BUILDKITE_", "CI_", "SIGSTORE_", "DOTNET_CONTAINER_", "SDK_CONTAINER_", "TESTINGPLATFORM_", "MSBUILD", "KEYLESS"];
    private static readonly string[] ForeignNames = ["CI", "TF_BUILD", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_DIR", "NUGET_PACKAGES"];

    /// <summary>As many at once as this machine has cores: more of them only wait for each other, and then for their time-outs.</summary>
    private static readonly SemaphoreSlim Places = new(Math.Max(1, Environment.ProcessorCount));

    /// <param name="arguments">What follows <c>dotnet</c>.</param>
    /// <param name="environment">On top of the clean environment; an empty value takes the variable away.</param>
    public static async Task<DotNetResult> RunAsync(
        string workingDirectory, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment, CancellationToken cancel)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", arguments)
        {
            WorkingDirectory = workingDirectory,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            StandardOutputEncoding = Encoding.UTF8,
            StandardErrorEncoding = Encoding.UTF8,
        };
        foreach (string name in start.Environment.Keys.ToArray())
        {
            if (ForeignNames.Contains(name, StringComparer.OrdinalIgnoreCase) || ForeignPrefixes.Any(prefix => name.StartsWith(prefix, StringComparison.OrdinalIgnoreCase)))
            {
                start.Environment.Remove(name);
            }
        }
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        start.Environment["DOTNET_CLI_USE_MSBUILD_SERVER"] = "0";
        start.Environment["UseSharedCompilation"] = "false";
        start.Environment["DOTNET_CLI_TELEMETRY_OPTOUT"] = "1";
        start.Environment["DOTNET_CLI_UI_LANGUAGE"] = "en";
        start.Environment["DOTNET_NOLOGO"] = "1";
        foreach ((string name, string value) in environment ?? new Dictionary<string, string>())
        {
            if (value.Length > 0)
            {
                start.Environment[name] = value;
            }
            else
            {
                start.Environment.Remove(name);
            }
        }

        await Places.WaitAsync(cancel);
        try
        {
            using Process process = Process.Start(start) ?? throw new InvalidOperationException("dotnet did not start");
            process.StandardInput.Close();
            try
            {
                Task<string> output = process.StandardOutput.ReadToEndAsync(cancel);
                Task<string> errors = process.StandardError.ReadToEndAsync(cancel);
                await process.WaitForExitAsync(cancel);
                return new DotNetResult(process.ExitCode, await output, await errors);
            }
            catch (OperationCanceledException)
            {
                process.Kill(entireProcessTree: true);
                throw;
            }
        }
        finally
        {
            Places.Release();
        }
    }
}

/// <summary>How a child ended, and what it said.</summary>
public sealed record DotNetResult(int ExitCode, string Output, string Errors)
{
    /// <summary>The error lines MSBuild printed, each once: it repeats them in its summary.</summary>
    public IReadOnlyList<string> ErrorLines =>
        [.. Output.ReplaceLineEndings("\n").Split('\n').Where(line => line.Contains(": error ", StringComparison.Ordinal)).Select(line => line.Trim()).Distinct()];

    public override string ToString() => $"exit code {ExitCode}\n{Output}\n{Errors}";
}
