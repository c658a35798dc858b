using System.Diagnostics;

namespace Keyless.Mutants;

/// <summary>Finds out what becomes of mutants, one after the other, in one worker's place.</summary>
/// <param name="times">Milliseconds that each test takes with nothing disabled.</param>
/// <param name="askedBy">From a mutant to the tests that ask about it; no other test can notice it.</param>
internal sealed class Judge(Tree tree, WorkerProcess[] workers, int place, Dictionary<string, long> times, ILookup<int, string> askedBy, Results results)
{
    public async Task JudgeAsync(Mutant mutant)
    {
        var clock = Stopwatch.StartNew();
        string[] tests = [.. askedBy[mutant.Id].OrderBy(test => times[test])];
        (Outcome outcome, string detail) = tests.Length == 0 ? (Outcome.Survived, "no test gets there") : await JudgeAsync(mutant, tests, attempts: 2);
        results.Add(mutant, outcome, detail, clock.Elapsed);
    }

    private async Task<(Outcome, string)> JudgeAsync(Mutant mutant, string[] tests, int attempts)
    {
        (Report? verdict, string? last) = await workers[place].JudgeAsync(new Command(mutant.Id, tests), test => TimeSpan.FromMilliseconds(Math.Max(30_000, 20 * times[test])));
        switch (verdict?.Kind)
        {
            case "killed":
                return (Outcome.Killed, $"{last}: {verdict.Failure}");
            case "survived":
                return (Outcome.Survived, $"none of {tests.Length} tests minds: {string.Join(", ", tests.Take(5))}");
        }

        workers[place].Dispose();
        workers[place] = await WorkerProcess.StartAsync(tree.Worker);
        // What only slow ones share is made when it is needed; should a mutant spoil it then, that is noticed.
        await workers[place].RecordAsync([.. times.Where(test => test.Value < 500).Select(test => test.Key)]);
        return verdict is null ? (Outcome.Killed, $"{last}: did not end")
            : attempts > 1 ? await JudgeAsync(mutant, tests, attempts - 1)
            : (Outcome.Unsettled, $"{last} fails afterwards as well");
    }
}
