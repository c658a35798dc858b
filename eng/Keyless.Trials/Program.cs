using System.Globalization;
using Keyless.Trials;

const string usage =
    """
    Trials of what must not get lost, with processes of their own, on a sandbox of their own:

      kill [--kills N] [--format bundle|legacy|both] [--no-referrers]
          kills a signing build at random moments and runs it again
      race [--processes N] [--rounds N] [--format bundle|legacy|both] [--if-match] [--cosign PATH]
          lets several builds, and cosign where its path is given, sign into one repository without referrers API

    Ends with 0 if nothing was lost.
    """;

string? Option(string name) => Array.IndexOf(args, name) is >= 0 and var at && at + 1 < args.Length ? args[at + 1] : null;
int Number(string name, int otherwise) => Option(name) is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : otherwise;

switch (args.FirstOrDefault())
{
    case "kill":
        return await Kills.RunAsync(Number("--kills", 200), Option("--format") ?? "bundle", referrersApi: !args.Contains("--no-referrers"), Console.Out);
    case "race":
        return await Race.RunAsync(Number("--processes", 8), Number("--rounds", 20), Option("--format") ?? "bundle", args.Contains("--if-match"), Option("--cosign"), Console.Out);
    case "sign" when args.Length >= 5:
        return Worker.Run(folder: args[1], bundles: args[2], format: args[3], references: args[4..]);
    default:
        Console.WriteLine(usage);
        return 2;
}
