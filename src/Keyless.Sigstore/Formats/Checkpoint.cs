using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Keyless.Sigstore.Formats;

/// <summary>
/// A signed note that commits to a log's tree (C2SP signed-note and tlog-checkpoint). Nothing in it is trusted yet.
/// </summary>
internal sealed record Checkpoint
{
    /// <summary>The signed bytes: everything up to and including the line feed before the last blank line.</summary>
    public required byte[] Text { get; init; }

    public required string Origin { get; init; }

    public required long Size { get; init; }

    public required byte[] RootHash { get; init; }

    public required IReadOnlyList<NoteSignature> Signatures { get; init; }

    /// <summary>Whether a note is so short, and has so few signatures, that it is read at all.</summary>
    public static bool IsBounded(string note)
    {
        int blank = note.LastIndexOf("\n\n", StringComparison.Ordinal);
        ReadOnlySpan<char> signatures = blank < 0 ? note : note.AsSpan(blank + 2);
        return Encoding.UTF8.GetByteCount(note) <= Limits.CheckpointBytes && signatures.Count('\n') <= Limits.CheckpointSignatures;
    }

    /// <exception cref="FormatException">Not a checkpoint; one bad line makes the whole note bad.</exception>
    public static Checkpoint Parse(string note)
    {
        if (!IsBounded(note))
        {
            throw Malformed($"more than {Limits.CheckpointBytes} bytes or {Limits.CheckpointSignatures} signatures");
        }

        if (note.Any(character => character < 0x20 && character != '\n'))
        {
            throw Malformed("a control character");
        }

        // signed-note: the signatures follow the *last* blank line; the text may contain others.
        int blank = note.LastIndexOf("\n\n", StringComparison.Ordinal);
        if (blank < 0 || note[^1] != '\n' || blank + 2 == note.Length)
        {
            throw Malformed("text, a blank line and signature lines expected");
        }

        string[] lines = note[..blank].Split('\n');
        if (lines.Length < 3 || lines.Any(line => line.Length == 0))
        {
            throw Malformed("fewer than three lines, or an empty one");
        }

        return new Checkpoint
        {
            Text = Encoding.UTF8.GetBytes(note[..(blank + 1)]),
            Origin = lines[0],
            Size = ParseSize(lines[1]),
            RootHash = ParseHash(lines[2]),
            Signatures = [.. note[(blank + 2)..^1].Split('\n').Select(NoteSignature.Parse)],
        };
    }

    private static long ParseSize(string size)
    {
        // Zero where it is no number, and zero is spelled otherwise.
        _ = long.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out long leaves);
        return string.Equals(size, leaves.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
            ? leaves
            : throw Malformed("the tree size is not a plain decimal number");
    }

    private static byte[] ParseHash(string hash) =>
        Base64.Usual(hash) is { Length: SHA256.HashSizeInBytes } root ? root : throw Malformed("the root hash is not 32 bytes of base64");

    internal static FormatException Malformed(string what) => new($"malformed checkpoint: {what}");
}

/// <summary>One signature line: em dash, name, and base64 of a four byte key id and the signature.</summary>
internal sealed record NoteSignature(string Name, uint KeyId, byte[] Signature)
{
    public static NoteSignature Parse(string line)
    {
        // U+2014, then single spaces; a name has neither spaces nor plus signs.
        if (line.Split(' ') is not ["\u2014", { Length: > 0 } name, var encoded]
            || name.Any(character => char.IsWhiteSpace(character) || character == '+')
            || Base64.Usual(encoded) is not { Length: >= 5 } bytes)
        {
            throw Checkpoint.Malformed("a signature line that is not one");
        }

        return new NoteSignature(name, BinaryPrimitives.ReadUInt32BigEndian(bytes), bytes[4..]);
    }
}
