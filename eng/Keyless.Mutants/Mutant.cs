namespace Keyless.Mutants;

/// <summary>One check, and the way in which it is disabled.</summary>
/// <param name="Id">The number under which the running program disables it.</param>
/// <param name="File">From the repository's root, with slashes.</param>
/// <param name="Text">The check as the source has it, in one line.</param>
/// <param name="Ordinal">1 unless the file says the same more than once.</param>
internal sealed record Mutant(int Id, string File, int Line, string Member, MutantKind Kind, string Text, int Ordinal)
{
    /// <summary>The same from run to run as long as the check stays as it is.</summary>
    public string Key => Ordinal == 1 ? $"{File}: {Name} `{Text}`" : FormattableString.Invariant($"{File}: {Name} `{Text}` #{Ordinal}");

    public override string ToString() => FormattableString.Invariant($"{File}({Line}): {Member}: {Name} `{Text}`");

    private string Name => Kind.ToString().ToLowerInvariant();
}

internal enum MutantKind
{
    /// <summary>The check is passed over: its refusal never comes.</summary>
    Skip,

    /// <summary>One operand of a condition, or one part of a pattern, is left out.</summary>
    Drop,

    /// <summary>A bound moves by one: what was just inside is outside, or the other way round.</summary>
    Bound,
}
