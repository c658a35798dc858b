using System.Globalization;
using Keyless.Oci;
using Microsoft.Build.Framework;

namespace Keyless.MSBuild;

/// <summary>Reads the values of properties and metadata. What is outside the listed values is refused, never "off".</summary>
internal static class Setting
{
    /// <summary>Like MSBuild's own conditions, without regard to case; empty is false.</summary>
    public static bool IsTrue(string name, string? value) => OneOf(name, value, "false", "true") == "true";

    /// <summary>The same, for a switch that is on unless somebody turns it off.</summary>
    public static bool IsTrueOrEmpty(string name, string? value) => string.IsNullOrEmpty(value) || IsTrue(name, value);

    /// <summary>One of <paramref name="allowed"/>, spelled as there; empty is the first.</summary>
    public static string OneOf(string name, string? value, params string[] allowed) =>
        string.IsNullOrEmpty(value)
            ? allowed[0]
            : allowed.FirstOrDefault(known => known.Equals(value, StringComparison.OrdinalIgnoreCase))
                ?? throw new ConfigurationException(Diagnostics.UnknownValue,
                    $"{name} is '{value}'; expected {string.Join(", ", allowed)} or empty{DidYouMean(value, allowed)}");

    /// <summary>A TimeSpan in its constant form, <c>00:05:00</c>.</summary>
    public static TimeSpan Duration(string name, string? value, TimeSpan otherwise, bool mayBeZero = false)
    {
        if (string.IsNullOrEmpty(value))
        {
            return otherwise;
        }
        // A bare number would be days, which nobody means.
        return value.Contains(':', StringComparison.Ordinal) && TimeSpan.TryParseExact(value, "c", CultureInfo.InvariantCulture, out TimeSpan duration) && (duration > TimeSpan.Zero || (mayBeZero && duration == TimeSpan.Zero))
            ? duration
            : throw new ConfigurationException(Diagnostics.UnknownValue, $"{name} is '{value}'; expected a duration such as 00:05:00");
    }

    /// <summary>A repository alone, <c>registry/repository</c>; null where there is none.</summary>
    public static ImageReference? Repository(string name, string value)
    {
        if (value.Length == 0)
        {
            return null;
        }

        try
        {
            ImageReference repository = ImageReference.Parse(value);
            return repository.Digest is null && !value.AsSpan(value.LastIndexOf('/') + 1).Contains(':')
                ? repository
                : throw new FormatException("it is a repository, without tag or digest");
        }
        catch (FormatException e)
        {
            throw new ConfigurationException(Diagnostics.MalformedReference, $"{name} '{value}' cannot be used: {e.Message}", e);
        }
    }

    /// <summary>Refuses what is reserved and not built yet, so that nobody believes it happened.</summary>
    public static void NotYet(string name, string? value)
    {
        if (!string.IsNullOrEmpty(value))
        {
            throw new ConfigurationException(Diagnostics.NotYet, $"{name} is '{value}', which is not built yet; leave it empty");
        }
    }

    /// <summary>Refuses a switch that is reserved and not built yet.</summary>
    public static void NotYetTrue(string name, string? value)
    {
        if (IsTrue(name, value))
        {
            throw new ConfigurationException(Diagnostics.NotYet, $"{name} is 'true', which is not built yet; leave it empty");
        }
    }

    /// <summary>Refuses items that are reserved and not built yet.</summary>
    public static void NotYet(string name, ITaskItem[] items)
    {
        if (items.Length > 0)
        {
            throw new ConfigurationException(Diagnostics.NotYet, $"{name} '{items[0].ItemSpec}' is there, which is not built yet; remove it");
        }
    }

    /// <summary>Refuses metadata nobody reads: a misspelled condition would otherwise be no condition.</summary>
    public static void OnlyMetadata(string itemName, ITaskItem item, params string[] known)
    {
        foreach (string name in item.CloneCustomMetadata().Keys.Cast<string>().Order(StringComparer.Ordinal))
        {
            // MSBuild stamps items that come out of a target of another project, or that a task has copied; those say nothing about trust.
            if (name.StartsWith("MSBuildSource", StringComparison.Ordinal) || name == "OriginalItemSpec" || known.Contains(name, StringComparer.OrdinalIgnoreCase))
            {
                continue;
            }

            string expected = known.Length == 0 ? "it takes none" : $"known are {string.Join(", ", known)}{DidYouMean(name, known)}";
            throw new ConfigurationException(Diagnostics.UnknownMetadata, $"{itemName} '{item.ItemSpec}' has metadata '{name}' that nobody reads; {expected}");
        }
    }

    /// <summary>Refuses a condition that is there and says nothing: the property it was made of is not set, and it would be no condition.</summary>
    public static void NoEmptyMetadata(string itemName, ITaskItem item)
    {
        if (item.CloneCustomMetadata().Keys.Cast<string>().Order(StringComparer.Ordinal).FirstOrDefault(name => item.GetMetadata(name).Length == 0) is { } empty)
        {
            throw new ConfigurationException(Diagnostics.UnknownValue,
                $"{itemName} '{item.ItemSpec}' has an empty {empty}; leave it out where nothing is asked, and look whether a property in it is misspelled");
        }
    }

    /// <summary>The name that somebody who typed this may have meant, as the end of a sentence; empty if there is none near.</summary>
    public static string DidYouMean(string typed, string[] known) =>
        known.MinBy(name => Distance(typed, name)) is { } nearest && Distance(typed, nearest) <= Math.Max(2, nearest.Length / 3)
            ? $"; did you mean {nearest}?"
            : "";

    /// <summary>Levenshtein's distance without regard to case, where two neighbours in each other's place count as one slip.</summary>
    private static int Distance(string a, string b)
    {
        // A name longer than any of ours is no slip of one of ours.
        if (a.Length > 64)
        {
            return int.MaxValue;
        }

        int[,] cost = new int[a.Length + 1, b.Length + 1];
        for (int i = 0; i <= a.Length; i++)
        {
            for (int j = 0; j <= b.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    cost[i, j] = i + j;
                    continue;
                }
                bool same = Same(a[i - 1], b[j - 1]);
                cost[i, j] = Math.Min(Math.Min(cost[i - 1, j], cost[i, j - 1]) + 1, cost[i - 1, j - 1] + (same ? 0 : 1));
                if (i > 1 && j > 1 && Same(a[i - 1], b[j - 2]) && Same(a[i - 2], b[j - 1]))
                {
                    cost[i, j] = Math.Min(cost[i, j], cost[i - 2, j - 2] + 1);
                }
            }
        }
        return cost[a.Length, b.Length];
    }

    private static bool Same(char a, char b) => char.ToLowerInvariant(a) == char.ToLowerInvariant(b);
}
