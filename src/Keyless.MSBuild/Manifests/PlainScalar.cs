using System.Text.RegularExpressions;

namespace Keyless.MSBuild.Manifests;

/// <summary>
/// What a value without quotes is taken for. YAML 1.1 and 1.2 differ, and readers follow either: only what is a string for both is one here. By the
/// types of YAML 1.1 (null, bool, int, float, timestamp, merge, value) and the core schema of YAML 1.2, §10.3.2.
/// </summary>
internal static partial class PlainScalar
{
    public static bool IsNull(string value) => value is "" or "~" or "null" or "Null" or "NULL";

    public static bool IsString(string value) => !IsNull(value) && value is not ("=" or "<<") && !Other().IsMatch(value);

    [GeneratedRegex(
        """
        \A(?:
          (?i:y|yes|n|no|true|false|on|off)
        | [-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+)
        | [-+]?[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?
        | [-+]?\.[0-9_]+(?:[eE][-+]?[0-9]+)?
        | [-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?
        | [-+]?\.(?i:inf) | \.(?i:nan)
        | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9:.]+(?:[ \t]*(?:Z|[-+][0-9:]+))?)?
        )\z
        """,
        RegexOptions.CultureInvariant | RegexOptions.IgnorePatternWhitespace | RegexOptions.NonBacktracking)]
    private static partial Regex Other();
}
