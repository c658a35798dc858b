using System.Globalization;
using System.Text.Json.Nodes;
using Keyless.Sigstore;

namespace Keyless.Fuzz;

/// <summary>One run: mutants by the thousand, each judged, and what came of it counted. Step n of a seed is the same in every run over the same corpus.</summary>
internal sealed class Campaign : IDisposable
{
    private static readonly Func<Exception, bool> Verdicts = e => e is VerificationException;
    private static readonly Func<Exception, bool> Malformations = e => e is FormatException;

    private readonly Corpus corpus;
    private readonly ulong seed;
    private readonly string findings;
    private readonly Mutator mutator;
    private readonly Watch watch = new();
    private readonly Resigned resigned;
    private readonly Dictionary<string, Verifier> verifiers;
    private readonly Dictionary<string, (IReadOnlySet<string> Logs, IReadOnlySet<string> Authorities)> known;
    private readonly Dictionary<Specimen, (Meaning Meaning, VerifiedSignature Verdict)> originals = [];
    private readonly (string Name, byte[][] Inputs, Func<byte[], object> Parse)[] parsers;
    private readonly SortedDictionary<string, long> tried = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, long> accepted = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, long> refused = new(StringComparer.Ordinal);
    private readonly HashSet<string> found = [];

    public Campaign(Corpus corpus, ulong seed, string findings)
    {
        (this.corpus, this.seed, this.findings) = (corpus, seed, findings);
        mutator = new Mutator(corpus.Specimens.SelectMany(specimen => JsonTree.Parse(specimen.Document)!.Places().Select(place => place.Parent.Children[place.Index]))
            .Where(child => child.Name.Length > 0).ToLookup(child => child.Name, child => child.Value));
        verifiers = corpus.Roots.ToDictionary(root => root.Key, root => new Verifier(TrustedRoot.Parse(root.Value)));
        known = corpus.Roots.ToDictionary(root => root.Key, root => KnownTo(root.Value));
        parsers = Parsers.Of(corpus);
        resigned = new Resigned(mutator, watch);
        foreach (Specimen specimen in corpus.Specimens)
        {
            // Twice, so that what is made once for all verifications is made before anything is measured.
            _ = specimen.Verify(verifiers[specimen.RootName], specimen.Document);
            originals.Add(specimen, (Meaning.Of(specimen.Form, specimen.Document), specimen.Verify(verifiers[specimen.RootName], specimen.Document)));
        }

        foreach (Specimen impostor in corpus.Impostors)
        {
            RequireRefused(impostor, verifiers[impostor.RootName], "an impostor in the corpus");
        }
    }

    public int Violations { get; private set; }

    public void Step(long number)
    {
        var chance = new Chance(seed * 1_000_003 + (ulong)number);
        int kind = chance.Below(16);
        watch.IsRepeatable = kind is not (3 or 4);
        switch (kind)
        {
            case 0 or 1:
                Count("a reader", number, () => TryReader(chance));
                break;
            case 2:
                Count("a trusted root", number, () => TryRoot(chance));
                break;
            case 3 or 4:
                Count("signed again", number, () => CountAccepted("signed again: says what independent readers read", resigned.Try(chance)));
                break;
            default:
                Count("a signature", number, () => TrySignature(chance));
                break;
        }
    }

    public void Report(TextWriter output, TimeSpan wall)
    {
        long all = tried.Values.Sum(), good = accepted.Values.Sum();
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"seed {seed}, {corpus.Specimens.Count} specimens, {corpus.Roots.Count} roots, {corpus.Impostors.Count} impostors"));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"mutations tried: {all} ({string.Join(", ", tried.Select(pair => $"{pair.Value} of {pair.Key}"))})"));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"accepted with the same meaning: {good}"));
        Write(accepted);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"accepted with another meaning, or a broken promise: {Violations}"));
        output.WriteLine($"refused, by clause: {string.Join(", ", refused.OrderByDescending(pair => pair.Value).Select(pair => string.Create(CultureInfo.InvariantCulture, $"{pair.Key} {pair.Value}")))}");
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"slowest: {watch.Slowest.TotalMilliseconds:0.0} ms ({watch.SlowestWhat})"));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"most memory: {watch.LargestShare:P1} of what is allowed, {watch.MostAllocated} bytes ({watch.LargestWhat})"));
        output.WriteLine($"answers: {watch.Answers}");
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"wall time: {wall.TotalSeconds:0.0} s"));

        void Write(SortedDictionary<string, long> counts)
        {
            foreach ((string what, long count) in counts.OrderByDescending(pair => pair.Value))
            {
                output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {count,8} {what}"));
            }
        }
    }

    public void Dispose() => watch.Dispose();

    private void Count(string kind, long number, Action step)
    {
        tried[kind] = tried.GetValueOrDefault(kind) + 1;
        try
        {
            step();
        }
        catch (Exception e) when (e is ChangedMeaningException or BrokenPromiseException or FindingException)
        {
            Violations++;
            string message = (e is FindingException ? e.InnerException! : e).Message;
            // One of each kind is enough to read.
            if (found.Add(message.Length > 60 ? message[..60] : message))
            {
                Directory.CreateDirectory(findings);
                string path = Path.Combine(findings, string.Create(CultureInfo.InvariantCulture, $"seed-{seed}-step-{number}.json"));
                JsonObject file = e is FindingException finding ? finding.Input : [];
                file["violation"] = message;
                File.WriteAllText(path, file.ToJsonString());
                Console.Error.WriteLine($"VIOLATION: {message}\n  {path}\n{e.InnerException?.InnerException?.StackTrace}");
            }
        }
    }

    private void TrySignature(Chance chance)
    {
        Specimen specimen = chance.Pick(corpus.Specimens);
        byte[] mutant = mutator.Mutate(specimen.Document, chance);
        if (!specimen.Takes(mutant))
        {
            refused["(no layer)"] = refused.GetValueOrDefault("(no layer)") + 1;
            return;
        }

        try
        {
            (VerifiedSignature? verdict, Exception? refusal) = watch.Run(
                specimen.Name, mutant.Length, () => specimen.Verify(verifiers[specimen.RootName], mutant), Verdicts, signature => string.Join('\n', signature.Checks));
            if (refusal is VerificationException no)
            {
                refused[no.Reason] = refused.GetValueOrDefault(no.Reason) + 1;
                return;
            }

            (IReadOnlySet<string> logs, IReadOnlySet<string> authorities) = known[specimen.RootName];
            (Meaning meaning, VerifiedSignature original) = originals[specimen];
            IReadOnlyCollection<string> reasons = Meaning.Compare(meaning, ReadMeaning(specimen.Form, mutant), logs, authorities);
            Meaning.CompareVerdicts(original, verdict!, reasons);
            CountAccepted(reasons.Count == 0 ? "spelling: JSON white space, order, escapes, null; base64 alphabet and padding; numbers as strings" : string.Join(" + ", reasons), true);
        }
        catch (Exception e) when (e is ChangedMeaningException or BrokenPromiseException)
        {
            throw new FindingException(specimen.ToJson(mutant), e);
        }
    }

    private static Meaning ReadMeaning(Form form, byte[] mutant)
    {
        try
        {
            return Meaning.Of(form, mutant);
        }
        catch (Exception e) when (e is not ChangedMeaningException)
        {
            throw new ChangedMeaningException($"accepted, and another reader cannot read it: {e.GetType().Name}: {e.Message}");
        }
    }

    // A changed root may know less. It must not come to know somebody whose key was never in it.
    private void TryRoot(Chance chance)
    {
        string name = chance.Pick([.. corpus.Roots.Keys]);
        byte[] mutant = mutator.Mutate(corpus.Roots[name], chance);
        try
        {
            (TrustedRoot? root, Exception? _) = watch.Run("trusted root", mutant.Length, () => TrustedRoot.Parse(mutant), Malformations, root => string.Join('\n', root.Warnings));
            if (root is null)
            {
                refused["(root)"] = refused.GetValueOrDefault("(root)") + 1;
                return;
            }

            var verifier = new Verifier(root);
            foreach (Specimen impostor in corpus.Impostors)
            {
                RequireRefused(impostor, verifier, "a changed root accepts an impostor");
            }

            Specimen specimen = chance.Pick([.. corpus.Specimens.Where(specimen => specimen.RootName == name)]);
            (VerifiedSignature? verdict, _) = watch.Run(
                "under a changed root", specimen.Document.Length + mutant.Length, () => specimen.Verify(verifier, specimen.Document), Verdicts, signature => string.Join('\n', signature.Checks));
            CountAccepted("under a changed root: it knows as much as the signature needs", verdict is not null);
        }
        catch (Exception e) when (e is ChangedMeaningException or BrokenPromiseException)
        {
            throw new FindingException(new JsonObject { ["root"] = Convert.ToBase64String(mutant) }, e);
        }
    }

    private static void RequireRefused(Specimen impostor, Verifier verifier, string otherwise)
    {
        try
        {
            _ = impostor.Verify(verifier, impostor.Document);
        }
        catch (VerificationException)
        {
            return;
        }

        throw new ChangedMeaningException($"{otherwise}: {impostor.Name}");
    }

    private void TryReader(Chance chance)
    {
        (string name, byte[][] inputs, Func<byte[], object> parse) = chance.Pick(parsers);
        byte[] input = chance.Pick(inputs);
        for (int edits = chance.Pick(1, 1, 2, 4); edits > 0; edits--)
        {
            input = input is [(byte)'{', ..] ? mutator.Mutate(input, chance) : mutator.EditBytes(input, chance);
        }

        try
        {
            (object? _, Exception? refusal) = watch.Run(name, input.Length, () => parse(input), e => e is FormatException or VerificationException, Show);
            if (refusal is null)
            {
                CountAccepted($"read: {name}", true);
            }
            else
            {
                refused["(reader)"] = refused.GetValueOrDefault("(reader)") + 1;
            }
        }
        catch (BrokenPromiseException e)
        {
            throw new FindingException(new JsonObject { ["reader"] = name, ["input"] = Convert.ToBase64String(input) }, e);
        }
    }

    // What a record prints of itself goes by the culture, and would be ours and not the reader's doing.
    private static string Show(object read) => read switch
    {
        string text => text,
        DateTimeOffset moment => moment.ToString("O", CultureInfo.InvariantCulture),
        Sigstore.Formats.TimestampToken token => token.GenTime.ToString("O", CultureInfo.InvariantCulture),
        Sigstore.Formats.Checkpoint checkpoint => $"{checkpoint.Origin} {checkpoint.Size.ToString(CultureInfo.InvariantCulture)}",
        _ => read.GetType().Name,
    };

    private void CountAccepted(string reason, bool isAccepted)
    {
        if (isAccepted)
        {
            accepted[reason] = accepted.GetValueOrDefault(reason) + 1;
        }
        else
        {
            refused["(changed world)"] = refused.GetValueOrDefault("(changed world)") + 1;
        }
    }

    private static (IReadOnlySet<string> Logs, IReadOnlySet<string> Authorities) KnownTo(byte[] root)
    {
        JsonNode document = JsonNode.Parse(root)!;
        var logs = new HashSet<string>(document["tlogs"]!.AsArray().Select(log => Convert.ToHexString(Convert.FromBase64String((string)log!["logId"]!["keyId"]!))));
        var authorities = new HashSet<string>();
        foreach (JsonNode? authority in (document["timestampAuthorities"] as JsonArray) ?? [])
        {
            byte[] der = Convert.FromBase64String((string)authority!["certChain"]!["certificates"]![0]!["rawBytes"]!);
            using var leaf = System.Security.Cryptography.X509Certificates.X509CertificateLoader.LoadCertificate(der);
            authorities.Add(Meaning.SignerOf(leaf.IssuerName.RawData, leaf.SerialNumberBytes.ToArray()));
        }

        return (logs, authorities);
    }
}

/// <summary>A violation together with the input that shows it.</summary>
internal sealed class FindingException(JsonObject input, Exception violation) : Exception(violation.Message, violation)
{
    public JsonObject Input { get; } = input;
}
