using System.Diagnostics;
using Keyless.MSBuild;
using Keyless.Testing;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

namespace Keyless.Trials;

/// <summary>
/// A build that signs, as a process that can be killed: says <c>ready</c>, and with each line that it reads signs the next reference, says <c>reported</c> as
/// soon as the build's user is told of a signature, and <c>done</c> and where the signatures are in the end.
/// </summary>
internal static class Worker
{
    /// <param name="folder">Where a sandbox has written its trust material.</param>
    /// <param name="bundles"><c>ContainerSigningBundleDirectory</c>.</param>
    public static int Run(string folder, string bundles, string format, string[] references)
    {
        Console.WriteLine("ready");
        foreach (string reference in references)
        {
            if (Console.ReadLine() is null)
            {
                return 3;
            }

            var engine = new Reporting();
            var task = new KeylessSignContainer
            {
                BuildEngine = engine,
                ProjectName = "Trial",
                ProjectDirectory = folder,
                ContainersToSign = [new TaskItem(reference)],
                ContainerSigningBundleDirectory = bundles,
                ContainerSigningFormat = format,
                ContainerSigningCIOutput = "false",
                SigstoreInstance = "client_trust_config.json",
            };
            if (!task.Execute())
            {
                Console.WriteLine(engine.Log);
                return 1;
            }

            Console.WriteLine($"done {string.Join(' ', task.SignedContainers.Select(item => item.GetMetadata("SignatureReference")))}");
        }

        return 0;
    }

    /// <summary>Starts one. Its environment is that of a CI job of the sandbox, and nothing of this machine's.</summary>
    public static Process Start(IReadOnlyDictionary<string, string> environment, string folder, string bundles, string format, IEnumerable<string> references)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!, [typeof(Worker).Assembly.Location, "sign", folder, bundles, format, .. references])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        // An apphost is the program itself; `dotnet` wants to be told which.
        if (!Path.GetFileNameWithoutExtension(start.FileName).Equals("dotnet", StringComparison.Ordinal))
        {
            start.FileName = "dotnet";
        }

        foreach (string name in start.Environment.Keys.Where(IsOfACiJob).ToArray())
        {
            start.Environment.Remove(name);
        }

        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        return Process.Start(start)!;
    }

    /// <returns>Where the signatures are; null where it does not end well.</returns>
    public static async Task<string[]?> ReadDoneAsync(Process worker)
    {
        while (await worker.StandardOutput.ReadLineAsync() is { } line)
        {
            if (line.StartsWith("done ", StringComparison.Ordinal))
            {
                return line.Split(' ')[1..];
            }

            if (line != "reported")
            {
                return null;
            }
        }

        return null;
    }

    private sealed class Reporting : RecordingEngine
    {
        public override void LogMessageEvent(BuildMessageEventArgs e)
        {
            base.LogMessageEvent(e);
            if (e.Importance == MessageImportance.High && e.Message!.Contains(" -> ", StringComparison.Ordinal))
            {
                Console.WriteLine("reported");
            }
        }
    }

    private static bool IsOfACiJob(string name) => name.StartsWith("ACTIONS_", StringComparison.Ordinal) || name.StartsWith("GITHUB_", StringComparison.Ordinal)
        || name.StartsWith("SIGSTORE_", StringComparison.Ordinal) || name.StartsWith("DOTNET_CONTAINER_", StringComparison.Ordinal) || name is "DOCKER_CONFIG" or "REGISTRY_AUTH_FILE";
}
