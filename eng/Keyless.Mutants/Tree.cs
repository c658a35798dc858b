using System.Diagnostics;

namespace Keyless.Mutants;

/// <summary>A copy of the repository with mutants in it, under artifacts/mutants.</summary>
internal sealed class Tree(string root)
{
    private const string Self = "eng/Keyless.Mutants";
    private static readonly string[] Copied = ["src", "tests", "eng", "Directory.Build.props", "Directory.Packages.props", "global.json"];

    private readonly string folder = Path.Combine(root, "artifacts", "mutants", "tree");

    /// <summary>The copy of this program, which runs the tests there.</summary>
    public string Worker => Path.Combine(folder, Self, "bin", "Release", "net10.0", "Keyless.Mutants.dll");

    /// <summary>Brings the copy up to date; what has not changed keeps its time, so that it is not built again.</summary>
    public void Write(IReadOnlyDictionary<string, string> rewritten)
    {
        var kept = new HashSet<string>(StringComparer.Ordinal);
        foreach (string file in Copied.SelectMany(FilesOf))
        {
            string target = Path.Combine(folder, file);
            kept.Add(target);
            byte[] content = rewritten.TryGetValue(file, out string? text) ? System.Text.Encoding.UTF8.GetBytes(text) : File.ReadAllBytes(Path.Combine(root, file));
            WriteIfChanged(target, content);
        }

        foreach ((string file, string text) in rewritten.Where(one => !File.Exists(Path.Combine(root, one.Key))))
        {
            kept.Add(Path.Combine(folder, file));
            WriteIfChanged(Path.Combine(folder, file), System.Text.Encoding.UTF8.GetBytes(text));
        }

        foreach (string gone in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Where(file => !IsBuilt(Path.GetRelativePath(folder, file)) && !kept.Contains(file)))
        {
            File.Delete(gone);
        }
    }

    /// <exception cref="InvalidOperationException">It does not build; says why.</exception>
    public async Task BuildAsync(CancellationToken cancel)
    {
        // The rewritten code is nobody's style; Release, because most of the time goes into running it.
        string[] arguments = ["build", Path.Combine(folder, Self), "--configuration", "Release", "--nologo", "-v:quiet", "-p:TreatWarningsAsErrors=false", "-p:RunAnalyzers=false",
            "-p:EnforceCodeStyleInBuild=false", "-p:GenerateDocumentationFile=false", "-p:WarningLevel=0", "-tl:off"];
        var start = new ProcessStartInfo("dotnet", arguments) { WorkingDirectory = folder, RedirectStandardOutput = true };
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        using Process build = Process.Start(start) ?? throw new InvalidOperationException("dotnet did not start");
        string output = await build.StandardOutput.ReadToEndAsync(cancel);
        await build.WaitForExitAsync(cancel);
        if (build.ExitCode != 0)
        {
            throw new InvalidOperationException($"the copy with mutants does not build:\n{string.Join('\n', output.Split('\n').Where(line => line.Contains(": error ", StringComparison.Ordinal)).Distinct().Take(10))}");
        }
    }

    private IEnumerable<string> FilesOf(string entry)
    {
        string path = Path.Combine(root, entry);
        return File.Exists(path)
            ? [entry]
            : Directory.EnumerateFiles(path, "*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(root, file).Replace('\\', '/')).Where(file => !IsBuilt(file));
    }

    private static bool IsBuilt(string file) => file.Split('/', '\\').Any(part => part is "bin" or "obj");

    private static void WriteIfChanged(string file, byte[] content)
    {
        if (!File.Exists(file) || !File.ReadAllBytes(file).AsSpan().SequenceEqual(content))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            File.WriteAllBytes(file, content);
        }
    }
}
