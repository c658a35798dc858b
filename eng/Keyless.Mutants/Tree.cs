using System.Diagnostics;
using System.Reflection;
using System.Text;

namespace Keyless.Mutants;

/// <summary>A copy of the product's sources with mutants in them, under artifacts/mutants, and of this program with what is built from them.</summary>
internal sealed class Tree(string root, string project)
{
    private readonly string folder = Path.Combine(root, "artifacts", "mutants", "tree");
    private readonly string program = Path.Combine(root, "artifacts", "mutants", "run");

    /// <summary>The copy of this program. The tests in it are those that this one was built with.</summary>
    public string Worker => Path.Combine(program, "Keyless.Mutants.dll");

    /// <summary>Brings the copy of the sources up to date; what has not changed keeps its time, so that it is not built again.</summary>
    public void Write(IReadOnlyDictionary<string, string> rewritten)
    {
        string[] copied = [.. ((string[])[project, "Directory.Build.props", "Directory.Packages.props", "global.json"]).SelectMany(FilesOf)];
        foreach (string file in copied.Union(rewritten.Keys))
        {
            WriteIfChanged(Path.Combine(folder, file), rewritten.TryGetValue(file, out string? text) ? Encoding.UTF8.GetBytes(text) : File.ReadAllBytes(Path.Combine(root, file)));
        }

        HashSet<string> kept = [.. copied.Union(rewritten.Keys).Select(file => Path.GetFullPath(Path.Combine(folder, file)))];
        foreach (string gone in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Where(file => !IsBuilt(Path.GetRelativePath(folder, file)) && !kept.Contains(file)))
        {
            File.Delete(gone);
        }
    }

    /// <exception cref="InvalidOperationException">It does not build; says why.</exception>
    public async Task BuildAsync(CancellationToken cancel)
    {
        string name = Path.GetFileName(project), library = $"{name}.dll";
        Version? version = AssemblyName.GetAssemblyName(Path.Combine(AppContext.BaseDirectory, library)).Version;
        // The rewritten code is nobody's style; Release, because most of the time goes into running it.
        string[] arguments = ["build", Path.Combine(folder, project), "--configuration", "Release", "--nologo", "-v:quiet", $"-p:AssemblyVersion={version}", "-p:TreatWarningsAsErrors=false", "-p:RunAnalyzers=false",
            "-p:EnforceCodeStyleInBuild=false", "-p:GenerateDocumentationFile=false", "-p:WarningLevel=0", "-tl:off"];
        var start = new ProcessStartInfo("dotnet", arguments) { WorkingDirectory = folder, RedirectStandardOutput = true };
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        using Process build = Process.Start(start) ?? throw new InvalidOperationException("dotnet did not start");
        string output = await build.StandardOutput.ReadToEndAsync(cancel);
        await build.WaitForExitAsync(cancel);
        if (build.ExitCode != 0)
        {
            throw new InvalidOperationException($"the sources with mutants do not build:\n{string.Join('\n', output.Split('\n').Where(line => line.Contains(": error ", StringComparison.Ordinal)).Distinct().Take(10))}");
        }

        foreach (string file in Directory.EnumerateFiles(AppContext.BaseDirectory, "*", SearchOption.AllDirectories))
        {
            string target = Path.Combine(program, Path.GetRelativePath(AppContext.BaseDirectory, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target, overwrite: true);
        }

        File.Copy(Path.Combine(folder, project, "bin", "Release", "net10.0", library), Path.Combine(program, library), overwrite: true);
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
