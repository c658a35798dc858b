using System.Diagnostics;
using System.Globalization;
using Keyless.Fuzz;

const string usage = "usage: Keyless.Fuzz [--seconds N] [--mutations N] [--seed N] [--corpus FOLDER] [--findings FOLDER] [--culture NAME] [--write-corpus FOLDER]";
var options = new Dictionary<string, string>(StringComparer.Ordinal);
for (int i = 0; i < args.Length; i += 2)
{
    if (args[i] is not ("--seconds" or "--mutations" or "--seed" or "--corpus" or "--findings" or "--culture" or "--write-corpus") || i + 1 == args.Length)
    {
        Console.Error.WriteLine(usage);
        return 2;
    }

    options[args[i]] = args[i + 1];
}

if (options.TryGetValue("--culture", out string? culture))
{
    CultureInfo.CurrentCulture = CultureInfo.CurrentUICulture = CultureInfo.DefaultThreadCurrentCulture = new CultureInfo(culture);
}

Corpus corpus = options.TryGetValue("--corpus", out string? folder) ? Corpus.Read(folder) : Corpus.Make();
if (options.TryGetValue("--write-corpus", out string? target))
{
    corpus.Write(target);
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{corpus.Specimens.Count} specimens, {corpus.Roots.Count} roots and {corpus.Impostors.Count} impostors in {target}"));
    return 0;
}

long Number(string option, long otherwise) => options.TryGetValue(option, out string? text) ? long.Parse(text, CultureInfo.InvariantCulture) : otherwise;
ulong seed = (ulong)Number("--seed", 1);
long most = Number("--mutations", long.MaxValue);
var limit = TimeSpan.FromSeconds(Number("--seconds", options.ContainsKey("--mutations") ? 24 * 3600 : 60));

using var campaign = new Campaign(corpus, seed, options.GetValueOrDefault("--findings", Path.Combine(AppContext.BaseDirectory, "findings")));
long start = Stopwatch.GetTimestamp();
long made = 0;
while (made < most && Stopwatch.GetElapsedTime(start) < limit)
{
    campaign.Step(made++);
}

campaign.Report(Console.Out, Stopwatch.GetElapsedTime(start));
return campaign.Violations == 0 ? 0 : 1;
