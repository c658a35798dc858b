using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Keyless.Oci;

/// <summary>
/// docker's credential helper protocol: <c>docker-credential-&lt;name&gt; get</c> with the server on standard input. The program is looked up by
/// us, in absolute folders of PATH only, and a helper that fails is an error: nobody's credentials are sent in place of the ones it guards.
/// </summary>
internal sealed partial class CredentialHelper(string name, Func<string, string?> environment)
{
    /// <summary>The credentials it has for this server; null if it says that it has none.</summary>
    public async Task<RegistryCredential?> GetAsync(string server, CancellationToken cancel)
    {
        if (!NameGrammar().IsMatch(name))
        {
            throw Failed("its name is not one that docker would run");
        }
        // The protocol is line by line; a second line would be a second server.
        if (server.AsSpan().ContainsAny('\r', '\n', '\0'))
        {
            throw Failed("the registry's name has a line break");
        }

        (int exitCode, byte[] output) = await RunAsync(Find(), server, cancel);
        if (exitCode != 0)
        {
            return Encoding.UTF8.GetString(output).Contains("credentials not found", StringComparison.Ordinal)
                ? null
                : throw Failed($"it ended with exit code {exitCode}");
        }

        HelperJson? answer;
        try
        {
            answer = JsonSerializer.Deserialize(output, CredentialJson.Default.HelperJson);
        }
        catch (JsonException)
        {
            // Not even the position: the answer is the secret.
            throw Failed("its answer is not the JSON of a credential");
        }

        if (answer is not { Username.Length: > 0, Secret.Length: > 0 })
        {
            throw Failed("its answer has no user name or no secret");
        }

        if (answer.Username.Any(char.IsControl) || answer.Secret.Any(char.IsControl))
        {
            throw Failed("its answer has control characters");
        }

        string source = $"docker-credential-{name}";
        return answer.Username == "<token>"
            ? RegistryCredential.Identity(answer.Secret, source)
            : RegistryCredential.Basic(answer.Username, answer.Secret, source);
    }

    private string Find()
    {
        // On Windows only .exe: scripts would go through a shell and its quoting. Empty and relative entries of PATH mean the current
        // directory, which is whatever is being built (CVE-2025-15558).
        string file = $"docker-credential-{name}" + (OperatingSystem.IsWindows() ? ".exe" : "");
        string[] folders = (environment("PATH") ?? "").Split(Path.PathSeparator);
        return folders.Where(Path.IsPathFullyQualified).Select(folder => Path.Combine(folder, file)).FirstOrDefault(IsProgram)
            ?? throw Failed("it is not on PATH");
    }

    private static bool IsProgram(string path) =>
        File.Exists(path)
        && (OperatingSystem.IsWindows() || (File.GetUnixFileMode(path) & (UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute)) != 0);

    private async Task<(int ExitCode, byte[] Output)> RunAsync(string program, string server, CancellationToken cancel)
    {
        using var process = new Process
        {
            StartInfo = new ProcessStartInfo(program)
            {
                ArgumentList = { "get" },
                // Not the current one: what a program looks for beside itself must not come from what is being built.
                WorkingDirectory = Path.GetDirectoryName(program),
                UseShellExecute = false,
                CreateNoWindow = true,
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            },
        };
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        deadline.CancelAfter(Limits.HelperTimeout);
        try
        {
            process.Start();
        }
        catch (Exception e) when (e is Win32Exception or InvalidOperationException)
        {
            throw Failed("it cannot be started");
        }

        try
        {
            // Its diagnostics may name accounts or secrets: drained so that it does not block, and dropped.
            Task errors = process.StandardError.BaseStream.CopyToAsync(Stream.Null, deadline.Token);
            Task<byte[]> output = ReadAsync(process.StandardOutput.BaseStream, deadline.Token);
            await WriteAsync(process.StandardInput, server, deadline.Token);
            byte[] bytes = await output;
            await errors;
            await process.WaitForExitAsync(deadline.Token);
            return (process.ExitCode, bytes);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw Failed($"it gave no answer within {Limits.HelperTimeout.TotalSeconds} s");
        }
        catch (IOException)
        {
            throw Failed("its output broke off");
        }
        finally
        {
            Kill(process);
        }
    }

    private async Task<byte[]> ReadAsync(Stream stream, CancellationToken cancel)
    {
        byte[] buffer = new byte[Limits.HelperOutputBytes + 1];
        int read = await stream.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancel);
        return read <= Limits.HelperOutputBytes ? buffer[..read] : throw Failed($"it printed more than {Limits.HelperOutputBytes} bytes");
    }

    private static async Task WriteAsync(StreamWriter input, string server, CancellationToken cancel)
    {
        try
        {
            await input.BaseStream.WriteAsync(Encoding.UTF8.GetBytes(server + "\n"), cancel);
            input.Close();
        }
        catch (IOException)
        {
            // It ended without reading; its exit code says why.
        }
    }

    private static void Kill(Process process)
    {
        try
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
        catch (Exception e) when (e is InvalidOperationException or Win32Exception)
        {
            // It ended by itself in between.
        }
    }

    private RegistryException Failed(string why) =>
        new(RegistryFailure.Unauthorized, $"credential helper {RegistryException.Quote($"docker-credential-{name}")} failed: {why}");

    [GeneratedRegex(@"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\z", RegexOptions.CultureInvariant)]
    private static partial Regex NameGrammar();
}
