using System.Text.RegularExpressions;

namespace Keyless.Sigstore;

/// <summary>How a policy names an identity or an issuer: the whole text, or a pattern that the whole text must match.</summary>
/// <remarks>Ordinal, byte for byte: no trimming, no case folding, no normalisation of URLs.</remarks>
public sealed partial class TextMatch
{
    private const int LongestPattern = 1024;

    // A pattern may ask for the file and the branch and for nobody in particular.
    private static readonly string[] Files = ["release", "publish", "build", "ci", "docker"];
    private static readonly string[] Refs = ["heads/main", "heads/master", "tags/v1.0.0"];

    // Two that have nothing to do with each other, from widest to narrowest; hosts that cannot exist (RFC 6761 §6.4). What admits one of either row was meant for neither.
    private static readonly (string Everybody, string[] One, string[] Other)[] Strangers =
    [
        ("everything", ["https://ci.anywhere.invalid/any-owner/any-repo/.github/workflows/any.yml@refs/heads/any"], ["anybody@anyplace.invalid"]),
        ("every https address", ["https://issuer.anywhere.invalid", .. Workflows("https://ci.anywhere.invalid/any-owner/any-repo")], ["https://login.nowhere.invalid", .. Workflows("https://git.nowhere.invalid/some-group/some-project")]),
        ("every e-mail address", ["anybody@anyplace.invalid"], ["some.body@nowhere.invalid"]),
        ("every repository of github.com", Workflows("https://github.com/any-owner/any-repo"), Workflows("https://github.com/some-group/some-project")),
        ("every project of gitlab.com", [.. Branches("https://gitlab.com/any-owner/any-repo//.gitlab-ci.yml")], [.. Branches("https://gitlab.com/some-group/some-project//.gitlab-ci.yml")]),
    ];

    private readonly string text;
    private readonly Regex? whole;

    private TextMatch(string text, Regex? whole) => (this.text, this.whole) = (text, whole);

    /// <exception cref="ArgumentException">An empty text names nobody.</exception>
    public static TextMatch Exactly(string text) => text.Length > 0 ? new TextMatch(text, null) : throw new ArgumentException("an empty value names nobody");

    /// <summary>A regular expression without look-around and back references, matched against the whole value.</summary>
    /// <exception cref="ArgumentException">Not a pattern, or longer than 1024 characters; the message is fit for the user.</exception>
    public static TextMatch Pattern(string pattern)
    {
        if (pattern.Length is 0 or > LongestPattern)
        {
            throw new ArgumentException($"a pattern has 1 to {LongestPattern} characters");
        }

        try
        {
            _ = Compile(pattern); // alone first: a stray bracket must not close the group below
            return new TextMatch(pattern, Compile($@"\A(?:{pattern})\z"));
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            throw new ArgumentException($"not a regular expression this client takes: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }

    /// <summary>Whom a pattern admits that also matches what nobody could have meant: <c>everything</c>, <c>every e-mail address</c>; null for every other.</summary>
    public string? AdmitsAll => whole is null ? null : Strangers.FirstOrDefault(strangers => strangers.One.Any(whole.IsMatch) && strangers.Other.Any(whole.IsMatch)).Everybody;

    /// <summary>A host name in the pattern, as written, in which a dot stands for any character, so that others can register a name that fits; null where there is none.</summary>
    public string? LooseHost => whole is null ? null : HostStart().Matches(text).Select(start => LooseHostAt(start.Index + start.Length)).FirstOrDefault(host => host is not null);

    public bool IsMatch(string value) => whole?.IsMatch(value) ?? string.Equals(text, value, StringComparison.Ordinal);

    /// <summary>A sentence for the two ways in which people most often miss; null where neither applies.</summary>
    public string? NearMiss(string value)
    {
        if (whole is null)
        {
            return string.Equals(text, value, StringComparison.OrdinalIgnoreCase) ? "they differ only in upper and lower case" : null;
        }

        return Compile(text).IsMatch(value) ? $"the pattern matches a part of it; patterns are matched against the whole value, so write .*{text}.*" : null;
    }

    public override string ToString() => whole is null ? text : $"/{text}/";

    private static string[] Workflows(string repository) =>
        [.. Files.SelectMany(file => Branches($"{repository}/.github/workflows/{file}.yml"))];

    private static IEnumerable<string> Branches(string file) => Refs.Select(name => $"{file}@refs/{name}");

    // From here to the next slash outside of a set. `.*` and the like are meant as they are.
    private string? LooseHostAt(int start)
    {
        bool loose = false, inSet = false;
        int at = start;
        for (; at < text.Length && (inSet || (text[at] != '/' && !text.AsSpan(at).StartsWith(@"\/"))); at++)
        {
            switch (text[at])
            {
                case '\\':
                    at++;
                    break;
                case '[' or ']':
                    inSet = text[at] == '[';
                    break;
                case '.' when !inSet:
                    loose |= at + 1 == text.Length || !"*+?{".Contains(text[at + 1], StringComparison.Ordinal);
                    break;
            }
        }

        return loose ? text[start..Math.Min(at, text.Length)] : null;
    }

    // Behind the scheme of a URL or the @ of an address; slashes may be escaped.
    [GeneratedRegex(@":\\?/\\?/|@", RegexOptions.CultureInvariant)]
    private static partial Regex HostStart();

    // Linear in the value's length whatever the pattern is.
    private static Regex Compile(string pattern) =>
        new(pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture);
}
