using System.Diagnostics;
using Keyless.Testing;

namespace Keyless.Sandbox.Tests;

/// <summary>The command as a user starts it: a process of its own.</summary>
[TestClass]
public sealed class CommandTests
{
    public required TestContext TestContext { get; init; }

    private CancellationToken Cancel => TestContext.CancellationToken;

    [TestMethod]
    public async Task Explains_itself()
    {
        ToolResult help = await RunAsync("--help");

        Assert.AreEqual(0, help.ExitCode, help.ToString());
        StringAssert.Contains(help.Output, "for trials and tests", StringComparison.Ordinal);
        StringAssert.Contains(help.Output, "--no-referrers", StringComparison.Ordinal);
    }

    [TestMethod]
    [DataRow("'--bogus' is not an option", "--bogus")]
    [DataRow("'extra' is not an option", "extra")]
    [DataRow("--folder needs a value", "--folder")]
    [DataRow("--rekor is 'v3', expected v1 or v2", "--rekor", "v3")]
    [DataRow("--registry-port is '65536', expected a port number", "--registry-port", "65536")]
    [DataRow("--registry-port is '-1', expected a port number", "--registry-port", "-1")]
    [DataRow("--delay is '50', expected a time such as 50ms or 1.5s", "--delay", "50")]
    [DataRow("--fault is 'rekor:502', expected PART:WHAT[:FIRST-LAST] with one of the parts registry, issuer,", "--fault", "rekor:502")]
    [DataRow("--fault is 'tuf:302', and tuf has no '302'", "--fault", "tuf:302")]
    [DataRow("--fault is 'fulcio:hour-late', and fulcio has no 'hour-late'", "--fault", "fulcio:hour-late")]
    [DataRow("--fault is 'rekor-v2:set-by-other-key', and rekor-v2 has no", "--fault", "rekor-v2:set-by-other-key")]
    [DataRow("--fault is '2', expected a time", "--fault", "tuf:slow=2")]
    [DataRow("--fault is 'tuf:502:3-2', expected numbers", "--fault", "tuf:502:3-2")]
    public async Task Refuses_an_option_it_does_not_understand(string message, params string[] arguments)
    {
        ToolResult refusal = await RunAsync(arguments);

        Assert.AreEqual(2, refusal.ExitCode, refusal.ToString());
        StringAssert.StartsWith(refusal.Errors, $"keyless-sandbox: {message}", StringComparison.Ordinal);
        Assert.AreEqual("", refusal.Output);
    }

    [TestMethod]
    public async Task Says_in_one_line_that_a_port_is_taken()
    {
        await using LoopbackServer taken = await LoopbackServer.StartAsync("taken", 0, new Traffic(), TimeProvider.System, _ => { }, cancel: Cancel);

        ToolResult refusal = await RunAsync("--registry-port", taken.BaseUrl.Port.ToString(System.Globalization.CultureInfo.InvariantCulture));

        Assert.AreEqual(1, refusal.ExitCode, refusal.ToString());
        StringAssert.Contains(refusal.Errors, "address already in use", StringComparison.Ordinal);
        Assert.HasCount(1, refusal.Errors.Trim().Split('\n'));
    }

    [TestMethod]
    [DataRow("-INT")]
    [DataRow("-TERM")]
    [Timeout(60_000, CooperativeCancellation = true)]
    [OSCondition(ConditionMode.Exclude, OperatingSystems.Windows)]
    public async Task Runs_until_it_is_told_to_stop_and_leaves_nothing_behind(string signal)
    {
        if (signal == "-INT" && IgnoresInterrupts())
        {
            Assert.Inconclusive("these tests were started in the background of a script, where children cannot be interrupted");
        }

        using var temporary = new TemporaryFolder();
        using Process process = Start(temporary.Path, "--delay", "1ms", "--fault", "tuf:418:2");
        var printed = new List<string>();
        try
        {
            while (await process.StandardOutput.ReadLineAsync(Cancel) is { } line && !line.StartsWith("Ready.", StringComparison.Ordinal))
            {
                printed.Add(line);
            }

            string registry = printed.Single(line => line.StartsWith("  registry ", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1];
            string folder = printed.Single(line => line.StartsWith("  files ", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1];
            StringAssert.StartsWith(folder, temporary.Path, StringComparison.Ordinal);
            Assert.HasCount(10, Directory.GetFiles(folder));
            using (var client = new HttpClient())
            {
                client.DefaultRequestHeaders.UserAgent.ParseAdd("someone/1.0");
                await client.GetStringAsync($"{registry}/v2/", Cancel);
                string tuf = printed.Single(line => line.StartsWith("  tuf ", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1];
                await client.GetStringAsync($"{tuf}/timestamp.json", Cancel);
                using HttpResponseMessage teapot = await client.GetAsync($"{tuf}/timestamp.json", Cancel);
                Assert.AreEqual(418, (int)teapot.StatusCode);
            }

            using Process kill = Process.Start("kill", [signal, $"{process.Id}"]);
            await process.WaitForExitAsync(Cancel);

            Assert.AreEqual(0, process.ExitCode, await process.StandardError.ReadToEndAsync(Cancel));
            StringAssert.Contains(await process.StandardOutput.ReadToEndAsync(Cancel), "     3 requests, depth    3  someone/1.0", StringComparison.Ordinal);
            Assert.IsFalse(Directory.Exists(folder), "the folder is still there");
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill();
            }
        }
    }

    [TestMethod]
    [Timeout(120_000, CooperativeCancellation = true)]
    public async Task Runs_from_source_in_the_folder_where_its_user_stands()
    {
        DotNetResult folder = await DotNet.RunAsync(Repository.Root, ["msbuild", "src/Keyless.Sandbox", "-getProperty:RunWorkingDirectory"], null, Cancel);

        Assert.AreEqual(0, folder.ExitCode, folder.ToString());
        Assert.AreEqual("", folder.Output.Trim());
    }

    /// <summary>POSIX shells start background jobs of scripts with SIGINT ignored, and that is inherited.</summary>
    private static bool IgnoresInterrupts()
    {
        const int Interrupt = 1 << 1;
        string? ignored = OperatingSystem.IsLinux() ? File.ReadLines("/proc/self/status").FirstOrDefault(line => line.StartsWith("SigIgn:", StringComparison.Ordinal)) : null;
        return ignored is not null && (Convert.ToUInt64(ignored["SigIgn:".Length..].Trim(), 16) & Interrupt) != 0;
    }

    private async Task<ToolResult> RunAsync(params string[] arguments)
    {
        using var temporary = new TemporaryFolder();
        using Process process = Start(temporary.Path, arguments);
        Task<string> output = process.StandardOutput.ReadToEndAsync(Cancel);
        string errors = await process.StandardError.ReadToEndAsync(Cancel);
        await process.WaitForExitAsync(Cancel);
        return new ToolResult(process.ExitCode, await output, errors);
    }

    private static Process Start(string temporary, params string[] arguments)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", [typeof(SandboxHost).Assembly.Location, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["TMPDIR"] = start.Environment["TEMP"] = start.Environment["TMP"] = temporary;
        return Process.Start(start) ?? throw new InvalidOperationException("the sandbox did not start");
    }
}
