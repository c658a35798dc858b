using System.Globalization;
using System.Text;

namespace Keyless.Sandbox;

/// <summary>Writes a C2SP tlog-checkpoint in a C2SP signed-note.</summary>
internal static class Checkpoint
{
    /// <summary>What is signed: three lines, each with its line feed.</summary>
    public static string Text(string origin, long size, ReadOnlySpan<byte> root) =>
        string.Create(CultureInfo.InvariantCulture, $"{origin}\n{size}\n{Convert.ToBase64String(root)}\n");

    /// <summary>The text and one signature line; <paramref name="keyId"/> is cut to the four bytes that the line carries.</summary>
    public static string Note(string text, string name, ReadOnlySpan<byte> keyId, ReadOnlySpan<byte> signature) =>
        $"{text}\n\u2014 {name} {Convert.ToBase64String([.. keyId[..4], .. signature])}\n";

    public static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);
}
