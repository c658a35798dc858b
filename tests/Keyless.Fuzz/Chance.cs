namespace Keyless.Fuzz;

/// <summary>Xorshift64*: the same seed makes the same choices on every machine and runtime, which System.Random does not promise.</summary>
internal sealed class Chance(ulong seed)
{
    private ulong state = (seed + 1) * 0x9E3779B97F4A7C15 | 1;

    /// <summary>From 0 to below the bound.</summary>
    public int Below(int bound)
    {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        return (int)((state * 0x2545F4914F6CDD1D >> 33) % (ulong)bound);
    }

    public bool OneIn(int n) => Below(n) == 0;

    public T Pick<T>(params IReadOnlyList<T> choices) => choices[Below(choices.Count)];

    public byte[] Bytes(int count) => [.. Enumerable.Range(0, count).Select(_ => (byte)Below(256))];
}
