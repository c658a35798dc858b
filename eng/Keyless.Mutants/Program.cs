using System.Collections.Concurrent;
using System.Diagnostics;
using System.Reflection;
using Keyless.Mutants;

if (args is ["--worker"])
{
    // What tests print must not come between the answers.
    using var answers = new StreamWriter(Console.OpenStandardOutput());
    Console.SetOut(TextWriter.Null);
    await new Worker(Console.In, answers).RunAsync();
    return 0;
}

try
{
    return await new Run(Options.Parse(args)).RunAsync();
}
catch (Exception e) when (e is ArgumentException or InvalidOperationException)
{
    await Console.Error.WriteLineAsync($"mutants: {e.Message}");
    return 2;
}

/// <summary>What the command line says.</summary>
/// <param name="Paths">Only mutants in files whose path contains one of these; all where there are none.</param>
internal sealed record Options(IReadOnlyList<string> Paths, int Processes, bool Resume, bool List)
{
    private const string Usage = "dotnet run --project eng/Keyless.Mutants -c Release -- [part of a path …] [--processes N] [--resume] [--list]";

    public static Options Parse(string[] args)
    {
        List<string> paths = [];
        int processes = Math.Max(1, Environment.ProcessorCount);
        bool resume = false, list = false;
        for (int i = 0; i < args.Length; i++)
        {
            switch (args[i])
            {
                case "--resume":
                    resume = true;
                    break;
                case "--list":
                    list = true;
                    break;
                case "--processes" when i + 1 < args.Length && int.TryParse(args[i + 1], null, out int count) && count > 0:
                    processes = count;
                    i++;
                    break;
                case ['-', ..]:
                    throw new ArgumentException($"{args[i]} is not known: {Usage}");
                default:
                    paths.Add(args[i]);
                    break;
            }
        }

        return new Options(paths, processes, resume, list);
    }
}

/// <summary>Disables each check of the verifier in turn and sees to it that a test notices.</summary>
internal sealed class Run(Options options)
{
    private const string Product = "src/Keyless.Sigstore";

    // The code that decides whom and what to trust.
    private static readonly string[] Mutated = [$"{Product}/Verification/", $"{Product}/Formats/", $"{Product}/Tuf/", $"{Product}/Verifier.cs"];

    private readonly string root = typeof(Run).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(one => one.Key == "RepositoryRoot").Value!;
    private readonly Stopwatch clock = Stopwatch.StartNew();

    public async Task<int> RunAsync()
    {
        var schemata = Schemata.Of(root, Product, file => Mutated.Any(part => file.StartsWith(part, StringComparison.Ordinal)));
        var exemptions = Exemptions.Read(Path.Combine(root, "eng", "Keyless.Mutants", "exemptions.txt"));
        Mutant[] chosen = [.. schemata.Mutants.Where(mutant => options.Paths.Count == 0 || options.Paths.Any(part => mutant.File.Contains(part, StringComparison.OrdinalIgnoreCase)))];
        if (options.List)
        {
            Array.ForEach(chosen, mutant => Console.WriteLine(mutant));
            return 0;
        }

        string[] stale = [.. exemptions.Stale(schemata.Mutants)];
        Mutant[] impossible = [.. schemata.Uncompilable.Where(mutant => chosen.Contains(mutant) && !exemptions.Covers(mutant))];
        Mutant[] judged = [.. chosen.Except(schemata.Uncompilable).Where(mutant => !exemptions.Covers(mutant))];
        Say($"{chosen.Length} mutants, {chosen.Length - judged.Length - impossible.Length} of them exempt");

        var results = new Results(root);
        if (options.Resume)
        {
            results.Resume(judged);
        }

        results.Begin();
        await JudgeAllAsync([.. judged.Where(mutant => results.Of(mutant) is null)], schemata, results);
        return Tell(judged, impossible, stale, results);
    }

    private async Task JudgeAllAsync(Mutant[] mutants, Schemata schemata, Results results)
    {
        if (mutants.Length == 0)
        {
            return;
        }

        var queue = new ConcurrentQueue<Mutant>(mutants);
        int done = 0;
        var tree = new Tree(root, Product);
        tree.Write(schemata.Files);
        await tree.BuildAsync(CancellationToken.None);
        Say("built");
        WorkerProcess[] workers = await Task.WhenAll(Enumerable.Range(0, options.Processes).Select(_ => WorkerProcess.StartAsync(tree.Worker)));
        try
        {
            IReadOnlyList<Report>[] records = await Task.WhenAll(workers.Select(worker => worker.RecordAsync(worker.Tests)));
            var times = records[0].ToDictionary(test => test.Test!, test => test.Milliseconds, StringComparer.Ordinal);
            ILookup<int, string> askedBy = records.SelectMany(tests => tests).SelectMany(test => test.Asked!.Select(id => (id, test.Test!))).Distinct().ToLookup(one => one.id, one => one.Item2);
            Say(FormattableString.Invariant($"{times.Count} tests pass with nothing disabled; {workers[0].ProcessorTime.TotalSeconds:0} s of processor time in each process"));
            await Task.WhenAll(Enumerable.Range(0, workers.Length).Select(place => JudgeAsync(new Judge(tree, workers, place, times, askedBy, results))));
        }
        finally
        {
            Array.ForEach(workers, worker => worker.Dispose());
        }

        async Task JudgeAsync(Judge judge)
        {
            while (queue.TryDequeue(out Mutant? mutant))
            {
                await judge.JudgeAsync(mutant);
                if (Interlocked.Increment(ref done) % 100 == 0)
                {
                    Say($"{done} of {mutants.Length}");
                }
            }
        }
    }

    private int Tell(Mutant[] judged, Mutant[] impossible, string[] stale, Results results)
    {
        ILookup<Outcome, Mutant> by = judged.ToLookup(mutant => results.Of(mutant)!.Outcome);
        foreach (Mutant mutant in by[Outcome.Survived].Concat(by[Outcome.Unsettled]))
        {
            Console.WriteLine($"{results.Of(mutant)!.Outcome.ToString().ToLowerInvariant()}: {mutant}\n    {results.Of(mutant)!.Detail}");
        }

        Array.ForEach(impossible, mutant => Console.WriteLine($"cannot be disabled, and has no exemption: {mutant}"));
        Array.ForEach(stale, key => Console.WriteLine($"an exemption of nothing: {key}"));
        long[] times = [.. judged.Select(mutant => results.Of(mutant)!.Milliseconds).DefaultIfEmpty()];
        Say(FormattableString.Invariant($"{by[Outcome.Killed].Count()} killed, {by[Outcome.Survived].Count()} survived, {by[Outcome.Unsettled].Count()} unsettled; {times.Average():0} ms each, at most {times.Max()} ms"));
        return by[Outcome.Killed].Count() == judged.Length && impossible.Length == 0 && stale.Length == 0 ? 0 : 1;
    }

    private void Say(string what) => Console.WriteLine(FormattableString.Invariant($"[{clock.Elapsed:mm\\:ss}] {what}"));
}
