using System.Globalization;
using System.Text;
using YamlDotNet.Core;

namespace Keyless.MSBuild.Manifests;

/// <summary>The text of a YAML file and the documents in it. A JSON file is one, too.</summary>
internal sealed class YamlFile
{
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly string path;
    private readonly bool hasMark;
    private readonly List<int> lines = [0];

    private YamlFile(string path, string text, bool hasMark)
    {
        (this.path, Text, this.hasMark) = (path, text, hasMark);
        for (int i = 0; i < text.Length; i++)
        {
            // CR LF, LF and CR each end a line (YAML 1.2 §5.4).
            if (text[i] == '\n' || (text[i] == '\r' && (i + 1 == text.Length || text[i + 1] != '\n')))
            {
                lines.Add(i + 1);
            }
        }
    }

    /// <summary>All of it, without a byte order mark.</summary>
    public string Text { get; }

    /// <summary>Those that have something in them.</summary>
    public IReadOnlyList<YamlNode> Documents { get; private set; } = [];

    /// <param name="path">For messages.</param>
    /// <exception cref="ConfigurationException">It is not YAML in UTF-8, or two readers could see different things in it.</exception>
    public static YamlFile Parse(string path, ReadOnlySpan<byte> bytes)
    {
        var file = new YamlFile(path, Decode(path, bytes, out bool hasMark), hasMark);
        file.RequirePrintable();
        try
        {
            file.Documents = new YamlReader(file).Read();
            return file;
        }
        catch (YamlException e)
        {
            string template = file.Text.Contains("{{", StringComparison.Ordinal) ? "; if it is a template, verify what `helm template` makes of it" : "";
            throw file.Refuse((int)Math.Min(e.Start.Index, file.Text.Length), $"it is no YAML: {e.Message}{template}", inner: e);
        }
    }

    /// <summary>The same file with another text.</summary>
    public byte[] Encode(string text) => hasMark ? [.. Encoding.UTF8.Preamble, .. Utf8.GetBytes(text)] : Utf8.GetBytes(text);

    /// <summary>As editors count: from 1, columns in UTF-16 units.</summary>
    public Position PositionOf(int offset)
    {
        int line = lines.BinarySearch(offset);
        line = line < 0 ? ~line - 1 : line;
        return new Position(path, line + 1, offset - lines[line] + 1);
    }

    /// <summary>The refusal of what stands there.</summary>
    public ConfigurationException Refuse(int offset, string why, DiagnosticKind? kind = null, Exception? inner = null) =>
        new(kind ?? Diagnostics.UnreadableManifest, why, inner) { Position = PositionOf(offset) };

    private static string Decode(string path, ReadOnlySpan<byte> bytes, out bool hasMark)
    {
        hasMark = bytes.StartsWith(Encoding.UTF8.Preamble);
        string? why = bytes switch
        {
            { Length: > Limits.ManifestFileBytes } => string.Create(CultureInfo.InvariantCulture, $"it has {bytes.Length} bytes; expected at most {Limits.ManifestFileBytes}"),
            [0xfe, 0xff, ..] or [0xff, 0xfe, ..] or [0, 0, 0xfe, 0xff, ..] => "it is UTF-16 or UTF-32; expected UTF-8",
            _ => null,
        };
        if (why is not null)
        {
            throw new ConfigurationException(Diagnostics.UnreadableManifest, why) { Position = new Position(path, 1, 1) };
        }

        bytes = hasMark ? bytes[Encoding.UTF8.Preamble.Length..] : bytes;
        try
        {
            return Utf8.GetString(bytes);
        }
        catch (DecoderFallbackException e)
        {
            var before = new YamlFile(path, Encoding.UTF8.GetString(bytes[..e.Index]), hasMark);
            throw before.Refuse(before.Text.Length, $"the byte 0x{bytes[e.Index]:x2} is no UTF-8", inner: e);
        }
    }

    /// <summary>
    /// YAML 1.2 §5.1, c-printable. Beyond that: NEL, LS and PS end a line in YAML 1.1 and do not in 1.2, so that a comment for one reader is a field
    /// for the other.
    /// </summary>
    private void RequirePrintable()
    {
        for (int i = 0; i < Text.Length; i++)
        {
            if (Text[i] is (< ' ' and not ('\t' or '\n' or '\r')) or (>= '\u007f' and < '\u00a0') or '\u2028' or '\u2029' or '\ufeff' or '\ufffe' or '\uffff')
            {
                throw Refuse(i, string.Create(CultureInfo.InvariantCulture, $"the character U+{(int)Text[i]:X4}; some readers of YAML refuse it and others end a line there; in quotes, write it as \"\\u{(int)Text[i]:X4}\""));
            }
        }
    }
}
