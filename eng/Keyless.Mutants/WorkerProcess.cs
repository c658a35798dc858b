using System.Diagnostics;
using System.Text.Json;

namespace Keyless.Mutants;

/// <summary>A <see cref="Worker"/> from outside: asked for verdicts, and ended where it hangs or dies.</summary>
internal sealed class WorkerProcess : IDisposable
{
    /// <summary>Nothing here takes as long with no mutant active.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private readonly Process process;

    private WorkerProcess(Process process) => this.process = process;

    /// <summary>How much of the machine it has used so far.</summary>
    public TimeSpan ProcessorTime => process.HasExited ? TimeSpan.Zero : process.TotalProcessorTime;

    /// <summary>What each test took and asked about, with no mutant active.</summary>
    public IReadOnlyDictionary<string, Report> Tests { get; private set; } = new Dictionary<string, Report>();

    /// <exception cref="InvalidOperationException">A test fails although nothing is disabled.</exception>
    public static async Task<WorkerProcess> StartAsync(string program)
    {
        var start = new ProcessStartInfo("dotnet", [program, "--worker"]) { RedirectStandardInput = true, RedirectStandardOutput = true };
        var worker = new WorkerProcess(Process.Start(start) ?? throw new InvalidOperationException("dotnet did not start"));
        var tests = new Dictionary<string, Report>(StringComparer.Ordinal);
        string? running = null;
        while (await worker.ReadAsync(Patience) is { } report)
        {
            switch (report.Kind)
            {
                case "baseline":
                    running = report.Test;
                    break;
                case "covered" when report.Failure is { } failure:
                    worker.Dispose();
                    throw new InvalidOperationException($"{report.Test} fails with nothing disabled: {failure}");
                case "covered":
                    tests.Add(report.Test!, report);
                    break;
                default:
                    worker.Tests = tests;
                    return worker;
            }
        }

        worker.Dispose();
        throw new InvalidOperationException($"{running} ends the process, or never ends, with nothing disabled");
    }

    /// <summary>Null where the worker hangs or has died; it is of no use after that.</summary>
    /// <param name="limit">For one test.</param>
    public async Task<(Report? Verdict, string? LastTest)> JudgeAsync(Command command, Func<string, TimeSpan> limit)
    {
        await process.StandardInput.WriteLineAsync(JsonSerializer.Serialize(command));
        await process.StandardInput.FlushAsync();
        string? test = null;
        TimeSpan patience = Patience;
        while (await ReadAsync(patience) is { } report)
        {
            if (report.Kind != "running")
            {
                return (report, test);
            }

            test = report.Test;
            patience = limit(test!);
        }

        return (null, test);
    }

    private async Task<Report?> ReadAsync(TimeSpan patience)
    {
        using var late = new CancellationTokenSource(patience);
        try
        {
            return await process.StandardOutput.ReadLineAsync(late.Token) is { } line ? JsonSerializer.Deserialize<Report>(line) : null;
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }

    public void Dispose()
    {
        if (!process.HasExited)
        {
            process.Kill(entireProcessTree: true);
        }

        process.Dispose();
    }
}
