using System.Diagnostics;
using System.Globalization;

namespace Keyless.Trials;

/// <summary>
/// A build that signs is killed (SIGKILL) at a random moment before it has reported success, and run again with the same digest and the same bundle
/// directory. However far it had come: in the end there is one valid signature in each form that was asked for, and a list that names it once.
/// </summary>
public static class Kills
{
    /// <returns>0 if that held each time.</returns>
    public static async Task<int> RunAsync(int kills, string format, bool referrersApi, TextWriter says)
    {
        await using Trial trial = await Trial.StartAsync(format, referrersApi);
        TimeSpan longest = await MeasureAsync(trial, format);
        int killed = 0, tooLate = 0, failed = 0, pushed = 0;
        while (killed < kills)
        {
            string image = trial.Push();
            string bundles = Path.Combine(trial.Folder, $"bundles-{killed + tooLate}");
            if (!await KillAsync(trial, bundles, format, image, longest * Random.Shared.NextDouble()))
            {
                tooLate++;
                continue;
            }

            killed++;
            long mark = trial.Sandbox.Traffic.Mark();
            string? wrong = await SignAsync(trial, bundles, format, image) ?? WhatIsWrong(trial, format, image);
            pushed += trial.Sandbox.Traffic.Snapshot(mark).Any(exchange => exchange.Part == "fulcio") ? 0 : 1;
            if (wrong is not null)
            {
                failed++;
                await says.WriteLineAsync($"{image}: {wrong}");
            }
        }

        await says.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
            $"{format}, {(referrersApi ? "referrers API" : "fallback tag")}: {killed} kills within {longest.TotalMilliseconds:F0} ms, {failed} wrong afterwards; {pushed} re-runs pushed a kept bundle, {killed - pushed} signed anew ({tooLate} builds had finished first)"));
        return failed == 0 ? 0 : 1;
    }

    /// <summary>How long an undisturbed build signs in a fresh process.</summary>
    private static async Task<TimeSpan> MeasureAsync(Trial trial, string format)
    {
        TimeSpan longest = TimeSpan.Zero;
        for (int i = 0; i < 3; i++)
        {
            using Process worker = await StartAsync(trial, Path.Combine(trial.Folder, $"measured-{i}"), format, trial.Push());
            var watch = Stopwatch.StartNew();
            await worker.StandardInput.WriteLineAsync("go");
            if (await Worker.ReadDoneAsync(worker) is null)
            {
                throw new InvalidOperationException("an undisturbed build does not sign");
            }

            longest = watch.Elapsed > longest ? watch.Elapsed : longest;
            await worker.WaitForExitAsync();
        }

        return longest;
    }

    /// <returns>Whether it was killed before it had said anything.</returns>
    private static async Task<bool> KillAsync(Trial trial, string bundles, string format, string image, TimeSpan after)
    {
        using Process worker = await StartAsync(trial, bundles, format, image);
        await worker.StandardInput.WriteLineAsync("go");
        Task<string?> said = worker.StandardOutput.ReadLineAsync();
        await Task.WhenAny(said, Task.Delay(after));
        bool inTime = !said.IsCompleted;
        worker.Kill(entireProcessTree: true);
        await worker.WaitForExitAsync();
        return inTime && await said is null;
    }

    private static async Task<string?> SignAsync(Trial trial, string bundles, string format, string image)
    {
        using Process worker = await StartAsync(trial, bundles, format, image);
        await worker.StandardInput.WriteLineAsync("go");
        string said = await worker.StandardOutput.ReadToEndAsync();
        await worker.WaitForExitAsync();
        return worker.ExitCode == 0 ? null : $"the re-run failed: {said}";
    }

    private static string? WhatIsWrong(Trial trial, string format, string image)
    {
        (int Bundles, int Layers) expected = (format == "legacy" ? 0 : 1, format == "bundle" ? 0 : 1);
        (int Bundles, int Layers) found = trial.Count(image);
        return found != expected ? $"{expected} signatures expected, {found} found" : trial.WhyNotVerified(image);
    }

    private static async Task<Process> StartAsync(Trial trial, string bundles, string format, string image)
    {
        Process worker = Worker.Start(trial.Sandbox.Environment, trial.Folder, bundles, format, [image]);
        return await worker.StandardOutput.ReadLineAsync() == "ready" ? worker : throw new InvalidOperationException("a build does not start");
    }
}
