using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Keyless.Mutants;

/// <summary>What became of each mutant; kept in artifacts/mutants/results.json, a line each, so that a run can be taken up again.</summary>
internal sealed class Results(string root)
{
    private readonly string file = Path.Combine(root, "artifacts", "mutants", "results.json");
    private readonly ConcurrentDictionary<string, Result> results = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, string> sources = new(StringComparer.Ordinal);
    private readonly Lock gate = new();

    /// <summary>Takes over what an earlier run killed, where the source is still the same. What survived is tried again: there may be new tests.</summary>
    public void Resume(IEnumerable<Mutant> mutants)
    {
        if (!File.Exists(file))
        {
            return;
        }

        Dictionary<string, Mutant> known = mutants.ToDictionary(mutant => mutant.Key, StringComparer.Ordinal);
        foreach (Result old in File.ReadLines(file).Select(line => JsonSerializer.Deserialize<Result>(line)!))
        {
            if (old.Outcome == Outcome.Killed && known.TryGetValue(old.Key, out Mutant? mutant) && old.Source == SourceOf(mutant))
            {
                results[old.Key] = old;
            }
        }
    }

    public void Begin()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllLines(file, results.Values.Select(result => JsonSerializer.Serialize(result)));
    }

    public Result? Of(Mutant mutant) => results.GetValueOrDefault(mutant.Key);

    public void Add(Mutant mutant, Outcome outcome, string detail, TimeSpan took)
    {
        var result = new Result(mutant.Key, SourceOf(mutant), outcome, detail, (long)took.TotalMilliseconds);
        results[mutant.Key] = result;
        lock (gate)
        {
            File.AppendAllText(file, JsonSerializer.Serialize(result) + "\n");
        }
    }

    private string SourceOf(Mutant mutant) => sources.GetOrAdd(mutant.File, name =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(File.ReadAllText(Path.Combine(root, name)).ReplaceLineEndings("\n")))));
}

internal sealed record Result(string Key, string Source, Outcome Outcome, string Detail, long Milliseconds);

internal enum Outcome
{
    /// <summary>A test failed with it and passes without it; or with it a test never ended.</summary>
    Killed,

    /// <summary>No test failed.</summary>
    Survived,

    /// <summary>A test failed with it and, right afterwards, without it as well.</summary>
    Unsettled,
}
