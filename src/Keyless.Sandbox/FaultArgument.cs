using System.Globalization;

namespace Keyless.Sandbox;

/// <summary>A fault on the command line: <c>PART:WHAT[=TIME][:FIRST[-LAST]]</c>.</summary>
internal static class FaultArgument
{
    /// <summary>Each part, with the lies it can tell.</summary>
    private static readonly Dictionary<string, Dictionary<string, Fault>> Parts = new(StringComparer.Ordinal)
    {
        ["registry"] = Lies<RegistryLie>(Fault.Lie),
        ["issuer"] = Lies<IssuerLie>(Fault.Lie),
        ["fulcio"] = Lies<FulcioLie>(Fault.Lie),
        ["rekor-v1"] = Lies<RekorLie>(Fault.Lie),
        ["rekor-v2"] = Lies<RekorLie>(Fault.Lie, except: RekorLie.SetByOtherKey),
        ["timestamp"] = Lies<TimestampLie>(Fault.Lie),
        ["tuf"] = [],
    };

    /// <param name="time">Reads a time, or throws <see cref="FormatException"/>.</param>
    /// <exception cref="FormatException">Not a fault, or not one of this part.</exception>
    public static (string Part, Fault Fault) Parse(string text, Func<string, TimeSpan> time)
    {
        string[] words = text.Split(':');
        if (words.Length is not (2 or 3) || !Parts.TryGetValue(words[0], out Dictionary<string, Fault>? lies))
        {
            throw new FormatException($"--fault is '{text}', expected PART:WHAT[:FIRST-LAST] with one of the parts {string.Join(", ", Parts.Keys)}");
        }

        Fault fault = words[1].Split('=') switch
        {
            [var lie] when lies.TryGetValue(lie, out Fault? told) => told,
            [var one] => Plain(one),
            [var one, var lasting] => Timed(one, time(lasting)),
            _ => null,
        } ?? throw new FormatException($"--fault is '{text}', and {words[0]} has no '{words[1]}'");
        return (words[0], words.Length == 2 ? fault : Numbered(fault, words[2], text));
    }

    private static Fault? Plain(string name) => name switch
    {
        "drop" => Fault.Drop,
        "lost" => Fault.Drop.AfterTheWork(),
        "hang" => Fault.Hang,
        "html" => Fault.Html,
        "empty" => Fault.Empty,
        "cut" => Fault.Cut,
        "cut-chunked" => Fault.CutChunked,
        _ => Status(name),
    };

    private static Fault? Timed(string name, TimeSpan time) => name switch
    {
        "down" => Fault.Down(time),
        "slow" => Fault.Slow(time),
        "slow-body" => Fault.SlowBody(time),
        _ => Status(name)?.RetryAfter(time),
    };

    private static Fault? Status(string name) => int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int status) && status is >= 400 and <= 599 ? Fault.Status(status) : null;

    private static Fault Numbered(Fault fault, string numbers, string text)
    {
        string[] ends = numbers.Split('-');
        return ends.Length <= 2 && Number(ends[0]) is { } first && Number(ends[^1]) is { } last && first <= last
            ? fault.ForRequests(first, last)
            : throw new FormatException($"--fault is '{text}', expected numbers of requests such as 2 or 1-3 at its end");
    }

    private static int? Number(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number > 0 ? number : null;

    private static Dictionary<string, Fault> Lies<T>(Func<T, Fault> tell, params T[] except)
        where T : struct, Enum => Enum.GetValues<T>().Except(except).ToDictionary(lie => Hyphened(lie.ToString()), tell, StringComparer.Ordinal);

    /// <summary><c>OtherKey</c> is <c>other-key</c>.</summary>
    private static string Hyphened(string name) =>
        string.Concat(name.Select((letter, at) => char.IsAsciiLetterUpper(letter) ? $"{(at > 0 ? "-" : "")}{char.ToLowerInvariant(letter)}" : $"{letter}"));
}
