using System.Diagnostics;
using System.Text;

namespace Keyless.Testing;

/// <summary>Other people's programs that ours must get on with: cosign, crane, oras and the like, where they are installed.</summary>
public static class Tools
{
    private const string Installs = "run bash eng/get-tools.sh";

    /// <summary>Where eng/get-tools.sh puts them.</summary>
    private static readonly string Folder = Repository.PathTo("artifacts/tools");

    /// <returns>The path of the program: on <c>PATH</c>, or where eng/get-tools.sh puts it. Without it the test is skipped, and says how to get it.</returns>
    public static string Require(string name) => Find(name) ?? throw Missing(name, Installs);

    /// <summary>What tests/Keyless.Interop.Tests/node/package.json names, for <c>node</c>.</summary>
    /// <returns>The folder for <c>NODE_PATH</c>. Without it, or without node, the test is skipped.</returns>
    public static string RequireNodeModules()
    {
        if (Find("node") is null)
        {
            throw Missing("node", $"install Node.js 20 or newer, then {Installs}");
        }

        string modules = Path.Combine(Folder, "node", "node_modules");
        return Directory.Exists(modules) ? modules : throw Missing("@sigstore/verify", Installs);
    }

    /// <summary>A file that eng/get-tools.sh brings along.</summary>
    /// <returns>Its path. Without it the test is skipped, and says how to get it.</returns>
    public static string RequireFile(params string[] path)
    {
        string file = Path.Combine([Folder, .. path]);
        return File.Exists(file) ? file : throw Missing(path[^1], Installs);
    }

    private static string? Find(string name)
    {
        string[] names = OperatingSystem.IsWindows() ? [$"{name}.exe", $"{name}.cmd"] : [name];
        return (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Append(Path.Combine(Folder, "bin"))
            .SelectMany(folder => names.Select(file => Path.Combine(folder, file)))
            .FirstOrDefault(File.Exists);
    }

    private static AssertInconclusiveException Missing(string what, string command) => new($"{what} not found: {command}");

    /// <summary>Runs a program that <see cref="Require"/> found, without a home: neither its settings nor its caches are read or written.</summary>
    /// <param name="home">A folder of the test's own; also the working directory.</param>
    /// <param name="environment">On top of <c>PATH</c> and a home.</param>
    public static async Task<ToolResult> RunAsync(
        string program, IEnumerable<string> arguments, string home, IReadOnlyDictionary<string, string>? environment, CancellationToken cancel)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = home,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = Encoding.UTF8,
            StandardErrorEncoding = Encoding.UTF8,
        };
        string[] kept = ["PATH", "TMPDIR", "TEMP", "SystemRoot"];
        foreach (string name in start.Environment.Keys.Except(kept, StringComparer.OrdinalIgnoreCase).ToList())
        {
            start.Environment.Remove(name);
        }

        start.Environment["HOME"] = start.Environment["USERPROFILE"] = start.Environment["DOCKER_CONFIG"] = home;
        foreach ((string name, string value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        using Process process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start");
        process.StandardInput.Close();
        try
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync(cancel);
            Task<string> errors = process.StandardError.ReadToEndAsync(cancel);
            await process.WaitForExitAsync(cancel);
            return new ToolResult(process.ExitCode, await output, await errors);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }
}

/// <summary>How a program ended, and what it said.</summary>
public sealed record ToolResult(int ExitCode, string Output, string Errors)
{
    public override string ToString() => $"exit code {ExitCode}\n{Output}\n{Errors}";
}
