using System.Globalization;
using System.Text;

namespace Keyless.MSBuild;

/// <summary>
/// Text that is not ours, written so that it stays one value where it is put: it ends nothing, begins nothing and hides nothing there. Tags and
/// repositories are the user's, identities come from a certificate.
/// </summary>
internal static class Quoted
{
    /// <summary>As a word of a POSIX shell; with characters that nobody sees, as bash and POSIX.1-2024 have them.</summary>
    public static string Shell(string value)
    {
        if (value.Length > 0 && value.All(c => char.IsAsciiLetterOrDigit(c) || "_@%+=:,./-".Contains(c, StringComparison.Ordinal)))
        {
            return value;
        }

        return value.EnumerateRunes().Any(IsHidden)
            ? $"$'{Each(value, c => c.Value is '\'' or '\\' ? $"\\{c}" : IsHidden(c) ? CodePoint(c) : null)}'"
            : $"'{value.Replace("'", "'\\''", StringComparison.Ordinal)}'";
    }

    /// <summary>As an attribute of a project file, between double quotes: for XML, and for MSBuild, which expands and splits.</summary>
    public static string Attribute(string value) => Each(value, c => c.Value switch
    {
        '&' => "&amp;",
        '<' => "&lt;",
        '>' => "&gt;",
        '"' => "&quot;",
        // Not where it stands alone: every workflow's identity has one.
        '@' => null,
        '%' or '$' or ';' or '*' or '?' or '\'' or '(' or ')' or '\\' => Escape("%{0:X2}", c),
        < ' ' or '\u007f' => Escape("%{0:X2}", c),
        _ => IsHidden(c) ? Escape("&#x{0:X};", c) : null,
    });

    /// <summary>As a double-quoted scalar of YAML, quotes included.</summary>
    public static string Yaml(string value) => $"\"{Each(value, c => c.Value is '"' or '\\' ? $"\\{c}" : IsHidden(c) ? CodePoint(c) : null)}\"";

    /// <summary>As code in a line or a table of Markdown.</summary>
    public static string Code(string value) =>
        // In a code span nothing is escaped, and a table is cut into cells before it is looked at.
        value.Length > 0 && value.All(c => char.IsAsciiLetterOrDigit(c) || " _@%+=:,./-#~".Contains(c, StringComparison.Ordinal))
            ? $"`{value}`"
            : $"<code>{Text(value)}</code>";

    /// <summary>As text of Markdown: whatever could be markup becomes a reference to the character.</summary>
    public static string Text(string value) => Each(value, c =>
        IsHidden(c) ? CodePoint(c)
        : Rune.IsLetterOrDigit(c) || !c.IsBmp || c.Value == ' ' ? null
        : Escape("&#{0};", c));

    /// <summary>As a block of code in Markdown.</summary>
    /// <param name="code">Lines of ours, in which other people's text is quoted already.</param>
    public static string Block(string language, string code)
    {
        int longest = 0, run = 0;
        foreach (char c in code)
        {
            run = c == '`' ? run + 1 : 0;
            longest = Math.Max(longest, run);
        }

        string fence = new('`', Math.Max(3, longest + 1));
        return $"{fence}{language}\n{code}\n{fence}\n";
    }

    /// <summary>What ends a line, steers a terminal, turns the writing direction, or is there and not seen (the tags of U+E0000).</summary>
    private static bool IsHidden(Rune c) => Rune.GetUnicodeCategory(c)
        is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;

    private static string CodePoint(Rune c) => Escape(c.IsBmp ? "\\u{0:x4}" : "\\U{0:x8}", c);

    private static string Escape(string format, Rune c) => string.Format(CultureInfo.InvariantCulture, format, c.Value);

    private static string Each(string value, Func<Rune, string?> replace)
    {
        var text = new StringBuilder(value.Length);
        foreach (Rune c in value.EnumerateRunes())
        {
            text.Append(replace(c) ?? c.ToString());
        }

        return text.ToString();
    }
}
