using System.Globalization;
using CsCheck;

namespace Keyless.Testing;

/// <summary>
/// Properties over generated values. The values are the same in every run; <c>KEYLESS_PROPERTY_SEED</c> chooses others and
/// <c>KEYLESS_PROPERTY_FACTOR</c> more of them. CsCheck's own loop draws all but the first value anew each time.
/// </summary>
public static class Properties
{
    /// <param name="times">How many values are drawn.</param>
    /// <param name="property">Throws where it does not hold.</param>
    public static void Holds<T>(Gen<T> values, int times, Action<T> property)
    {
        ulong seed = Variable("KEYLESS_PROPERTY_SEED", 20261125);
        times *= (int)Variable("KEYLESS_PROPERTY_FACTOR", 1);
        for (uint n = 0; n < times; n++)
        {
            var random = new PCG(n, seed);
            string state = random.ToString();
            T value = values.Generate(random, null, out _);
            try
            {
                property(value);
            }
            catch (Exception e) when (e is not AssertInconclusiveException)
            {
                throw new AssertFailedException($"{Smallest(values, property, state)}value {n} of KEYLESS_PROPERTY_SEED={seed}: {Check.Print(value)}\n{e.GetType().Name}: {e.Message}", e);
            }
        }
    }

    // CsCheck repeats the value and looks for simpler ones that fail as well.
    private static string Smallest<T>(Gen<T> values, Action<T> property, string state)
    {
        try
        {
            values.Sample(property, seed: state, iter: 2000, threads: 1);
            return "";
        }
        catch (CsCheckException e)
        {
            return e.Message + "\n";
        }
    }

    private static ulong Variable(string name, ulong otherwise) =>
        Environment.GetEnvironmentVariable(name) is { Length: > 0 } text ? ulong.Parse(text, CultureInfo.InvariantCulture) : otherwise;
}
