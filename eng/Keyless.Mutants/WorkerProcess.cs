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

    /// <summary>Every test there is.</summary>
    public IReadOnlyList<string> Tests { get; private set; } = [];

    public static async Task<WorkerProcess> StartAsync(string program)
    {
        var start = new ProcessStartInfo("dotnet", [program, "--worker"]) { RedirectStandardInput = true, RedirectStandardOutput = true };
        var worker = new WorkerProcess(Process.Start(start) ?? throw new InvalidOperationException("dotnet did not start"));
        worker.Tests = (await worker.ReadAsync(Patience))?.Tests ?? throw new InvalidOperationException("the tests cannot be loaded");
        return worker;
    }

    /// <summary>What each test takes and asks about, with nothing disabled. It also makes all that tests share, while it can be made right.</summary>
    /// <exception cref="InvalidOperationException">A test fails although nothing is disabled.</exception>
    public async Task<IReadOnlyList<Report>> RecordAsync(IReadOnlyList<string> tests)
    {
        await SendAsync(new Command(-1, tests));
        var recorded = new List<Report>();
        string? test = null;
        while (await ReadAsync(Patience) is { } report)
        {
            switch (report)
            {
                case { Kind: "running" }:
                    test = report.Test;
                    break;
                case { Kind: "recorded", Failure: { } failure }:
                    throw new InvalidOperationException($"{test} fails with nothing disabled: {failure}");
                case { Kind: "recorded" }:
                    recorded.Add(report);
                    break;
                default:
                    return recorded;
            }
        }

        throw new InvalidOperationException($"{test} ends the process, or never ends, with nothing disabled");
    }

    /// <summary>Null where the worker hangs or has died; it is of no use after that.</summary>
    /// <param name="limit">For one test.</param>
    public async Task<(Report? Verdict, string? LastTest)> JudgeAsync(Command command, Func<string, TimeSpan> limit)
    {
        await SendAsync(command);
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

    private async Task SendAsync(Command command)
    {
        await process.StandardInput.WriteLineAsync(JsonSerializer.Serialize(command));
        await process.StandardInput.FlushAsync();
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
