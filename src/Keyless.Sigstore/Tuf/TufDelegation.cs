using System.Security.Cryptography;
using System.Text;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>Targets that a role leaves to another role.</summary>
internal sealed class Delegation
{
    private readonly IReadOnlyList<string>? patterns;
    private readonly IReadOnlyList<string>? hashPrefixes;

    private Delegation(JsonFields role, Dictionary<string, TufKey> keys)
    {
        Name = role.RequiredText("name");
        // They have files of their own, which a delegated role must not replace; some file systems know no case.
        if (Name.Length == 0 || Name.ToLowerInvariant() is "root" or "timestamp" or "snapshot" or "targets")
        {
            throw new FormatException($"malformed targets.delegations: a delegated role cannot be named \"{Shown.Of(Name)}\"");
        }

        Signers = TufSigners.Read(role, keys, $"targets.delegations.{Shown.Of(Name)}");
        Terminating = role.Boolean("terminating") ?? false;
        patterns = role.Has("paths") ? role.Texts("paths", int.MaxValue) : null;
        hashPrefixes = role.Has("path_hash_prefixes") ? role.Texts("path_hash_prefixes", int.MaxValue) : null;
        if (patterns is null == hashPrefixes is null)
        {
            throw new FormatException($"malformed targets.delegations.{Shown.Of(Name)}: either paths or path_hash_prefixes expected");
        }
    }

    public string Name { get; }

    public TufSigners Signers { get; }

    /// <summary>Whether the search ends with this role and those below it.</summary>
    public bool Terminating { get; }

    public static Delegation Read(JsonFields role, Dictionary<string, TufKey> keys) => new(role, keys);

    public bool Covers(string target)
    {
        if (patterns is not null)
        {
            return patterns.Any(pattern => PathPattern.Matches(pattern, target));
        }

        string hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(target)));
        return hashPrefixes!.Any(prefix => hash.StartsWith(prefix, StringComparison.Ordinal));
    }
}

/// <summary>Patterns of delegated paths (§4.5): those of a shell, where no wildcard matches a slash.</summary>
internal static class PathPattern
{
    public static bool Matches(string pattern, string path)
    {
        string[] expected = pattern.Split('/');
        string[] found = path.Split('/');
        return expected.Length == found.Length && expected.Zip(found).All(segment => MatchesSegment(segment.First, segment.Second));
    }

    // Goes back to the last star only, so a pattern costs at most its length times the segment's.
    private static bool MatchesSegment(string pattern, string text)
    {
        int p = 0, t = 0, star = -1, resume = 0;
        while (t < text.Length)
        {
            if (p < pattern.Length && pattern[p] == '*')
            {
                (star, resume) = (p++, t);
            }
            else if (p < pattern.Length && MatchesOne(pattern, ref p, text[t]))
            {
                t++;
            }
            else if (star >= 0)
            {
                (p, t) = (star + 1, ++resume);
            }
            else
            {
                return false;
            }
        }

        return pattern.AsSpan(p).TrimStart('*').IsEmpty;
    }

    private static bool MatchesOne(string pattern, ref int p, char c)
    {
        int close = pattern[p] == '[' ? CloseOf(pattern, p) : -1;
        if (close == -1)
        {
            return pattern[p++] is var one && (one == '?' || one == c);
        }

        ReadOnlySpan<char> set = pattern.AsSpan(p + 1, close - p - 1);
        p = close + 1;
        return set[0] == '!' ? !Contains(set[1..], c) : Contains(set, c);
    }

    // A bracket directly after the opening one (or its negation) is a member; one that is never closed stands for itself.
    private static int CloseOf(string pattern, int open)
    {
        int first = open + 1 < pattern.Length && pattern[open + 1] == '!' ? open + 2 : open + 1;
        return first + 1 <= pattern.Length - 1 ? pattern.IndexOf(']', first + 1) : -1;
    }

    private static bool Contains(ReadOnlySpan<char> set, char c)
    {
        for (int i = 0; i < set.Length; i++)
        {
            bool range = i + 2 < set.Length && set[i + 1] == '-';
            if (range ? c >= set[i] && c <= set[i + 2] : c == set[i])
            {
                return true;
            }

            i += range ? 2 : 0;
        }

        return false;
    }
}
