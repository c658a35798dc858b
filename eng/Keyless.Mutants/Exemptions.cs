namespace Keyless.Mutants;

/// <summary>
/// Mutants that no test can notice, each with the reason: exemptions.txt. A line is a mutant as it is reported, without line number and
/// member; the indented lines below it say why.
/// </summary>
internal sealed class Exemptions
{
    private readonly Dictionary<string, string> reasons = new(StringComparer.Ordinal);

    /// <exception cref="InvalidOperationException">One of them has no reason, or stands there twice.</exception>
    public static Exemptions Read(string file)
    {
        var exemptions = new Exemptions();
        string? key = null;
        foreach (string line in File.ReadLines(file).Where(line => line.Length > 0 && line[0] != '#'))
        {
            if (line[0] != ' ')
            {
                key = line;
                exemptions.reasons.Add(key, "");
            }
            else
            {
                exemptions.reasons[key ?? throw new InvalidOperationException($"{file}: a reason for nothing: {line}")] += line.Trim() + " ";
            }
        }

        return exemptions.reasons.FirstOrDefault(one => one.Value.Length == 0) is { Key: { } bare } ? throw new InvalidOperationException($"{file}: no reason for {bare}") : exemptions;
    }

    public bool Covers(Mutant mutant) => reasons.ContainsKey(mutant.Key);

    /// <summary>Those of a check that is no longer there, or reads differently now.</summary>
    public IEnumerable<string> Stale(IEnumerable<Mutant> mutants) => reasons.Keys.Except(mutants.Select(mutant => mutant.Key));
}
