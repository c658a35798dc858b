using System.Diagnostics;

namespace Keyless.Benchmarks;

/// <summary>A node process that verifies one bundle as often as it is told to, with <c>@sigstore/verify</c>.</summary>
internal sealed class SigstoreJs : IDisposable
{
    private readonly Process process;

    private SigstoreJs(Process process) => this.process = process;

    /// <summary>Null where there is no node, or no library for it.</summary>
    public static SigstoreJs? TryStart(Sample sample, string identity, string issuer)
    {
        string? modules = Modules();
        if (modules is null)
        {
            return null;
        }

        var start = new ProcessStartInfo("node") { RedirectStandardInput = true, RedirectStandardOutput = true };
        foreach (string argument in new[] { Path.Combine(AppContext.BaseDirectory, "node", "verify-often.cjs"), Sample.TrustedRootPath, sample.BundlePath, identity, issuer, sample.Sha256 is null ? Sample.FilePath : "" })
        {
            start.ArgumentList.Add(argument);
        }

        start.Environment["NODE_PATH"] = modules;
        try
        {
            var js = new SigstoreJs(Process.Start(start)!);
            js.Verify(1);
            return js;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }

    public void Verify(int times)
    {
        process.StandardInput.WriteLine(times);
        process.StandardInput.Flush();
        if (process.StandardOutput.ReadLine() is not "done")
        {
            throw new InvalidOperationException("@sigstore/verify did not accept the bundle");
        }
    }

    public void Dispose()
    {
        process.StandardInput.Close();
        process.WaitForExit();
        process.Dispose();
    }

    // BenchmarkDotNet runs from a folder of its own, somewhere below the repository's.
    private static string? Modules()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string modules = Path.Combine(folder.FullName, "artifacts", "tools", "node", "node_modules");
            if (Directory.Exists(Path.Combine(modules, "@sigstore", "verify")))
            {
                return modules;
            }
        }

        return null;
    }
}
