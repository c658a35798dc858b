using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;

namespace Keyless.Trials;

/// <summary>
/// Several builds sign into one repository without referrers API: each a digest of its own and one that all of them sign, round after round, with
/// cosign signing that one in between. Every signature that a build was told of is listed in the end; where the registry honours If-Match, cosign's are as well.
/// </summary>
public static class Race
{
    /// <param name="cosign">Path of a cosign 3; null to go without.</param>
    /// <returns>0 if that is so.</returns>
    public static async Task<int> RunAsync(int processes, int rounds, string format, bool ifMatch, string? cosign, TextWriter says)
    {
        await using Trial trial = await Trial.StartAsync(format, referrersApi: false, ifMatch);
        string shared = trial.Push();
        string[][] own = [.. Enumerable.Range(0, processes).Select(_ => Enumerable.Range(0, rounds).Select(_ => trial.Push()).ToArray())];
        var watch = Stopwatch.StartNew();
        using var over = new CancellationTokenSource();
        Task<int> others = cosign is null ? Task.FromResult(0) : SignWithCosignAsync(trial, cosign, shared, over.Token);
        var told = new ConcurrentBag<string>();
        string?[] failures = await Task.WhenAll(own.Select((images, i) => SignAsync(trial, $"bundles-{i}", format, images.SelectMany(image => (string[])[image, shared]), told)));
        await over.CancelAsync();
        int byCosign = await others;

        int bundles = format == "legacy" ? 0 : 1, layers = format == "bundle" ? 0 : 1;
        var wrong = new List<string>(failures.OfType<string>());
        foreach (string image in own.SelectMany(images => images))
        {
            if (trial.Count(image) != (bundles, layers))
            {
                wrong.Add($"{image}: one signature expected, {trial.Count(image)} found");
            }
        }

        HashSet<string> listed = [.. trial.Referrers(shared)];
        string[] lost = [.. told.Where(reference => reference.Contains("@sha256:", StringComparison.Ordinal)).Select(reference => reference.Split('@')[1]).Distinct()
            .Where(referrer => trial.Sandbox.Registry.FindManifest(Trial.Repository, referrer)!.Subject == shared.Split('@')[1] && !listed.Contains(referrer))];
        wrong.AddRange(lost.Select(referrer => $"{referrer} is not listed"));
        (int Bundles, int Layers) found = trial.Count(shared);
        int lostByOthers = (bundles * processes * rounds) + byCosign - lost.Length - found.Bundles;
        if (found.Layers != layers * processes * rounds || (ifMatch && lostByOthers > 0))
        {
            wrong.Add($"{bundles * processes * rounds} + {byCosign} bundles and {layers * processes * rounds} layers of one digest expected, {found} found");
        }

        wrong.ForEach(says.WriteLine);
        await says.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
            $"{format}, fallback tag, If-Match {(ifMatch ? "honoured" : "ignored")}: {processes} processes x {rounds} rounds, {processes * rounds} digests of their own and {found.Bundles} bundles and {found.Layers} layers of one digest (cosign signed {byCosign} times, {lostByOthers} of its entries are lost), {wrong.Count} wrong, {watch.Elapsed.TotalSeconds:F0} s"));
        return wrong.Count == 0 ? 0 : 1;
    }

    private static async Task<string?> SignAsync(Trial trial, string bundles, string format, IEnumerable<string> images, ConcurrentBag<string> told)
    {
        string[] references = [.. images];
        using Process worker = Worker.Start(trial.Sandbox.Environment, trial.Folder, Path.Combine(trial.Folder, bundles), format, references);
        await worker.StandardOutput.ReadLineAsync();
        foreach (string _ in references)
        {
            await worker.StandardInput.WriteLineAsync("go");
            if (await Worker.ReadDoneAsync(worker) is not { } signatures)
            {
                return $"a build failed: {await worker.StandardOutput.ReadToEndAsync()}";
            }

            foreach (string reference in signatures)
            {
                told.Add(reference);
            }
        }

        await worker.WaitForExitAsync();
        return null;
    }

    /// <returns>How often it has signed.</returns>
    private static async Task<int> SignWithCosignAsync(Trial trial, string cosign, string image, CancellationToken over)
    {
        int signed = 0;
        while (!over.IsCancellationRequested)
        {
            var start = new ProcessStartInfo(cosign,
                ["sign", "--yes", "--signing-config", Path.Combine(trial.Folder, "signing_config.json"), "--trusted-root", Path.Combine(trial.Folder, "trusted_root.json"), image])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            };
            foreach ((string name, string value) in trial.Sandbox.Environment)
            {
                start.Environment[name] = value;
            }

            using Process process = Process.Start(start)!;
            Task<string> output = process.StandardOutput.ReadToEndAsync(CancellationToken.None);
            string error = await process.StandardError.ReadToEndAsync(CancellationToken.None);
            await output;
            await process.WaitForExitAsync(CancellationToken.None);
            signed += process.ExitCode == 0 ? 1 : throw new InvalidOperationException($"cosign failed: {error}");
        }

        return signed;
    }
}
