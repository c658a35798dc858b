using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Keyless.Oci;

/// <summary>
/// Changes to the text of a manifest whose shape is already checked. Every other byte stays as it is: what others wrote is theirs, in their order and
/// spelling, and need not even be Unicode (RFC 8259 §8.2: an escaped half of a surrogate pair is grammatical JSON).
/// </summary>
internal static class ManifestText
{
    // Media types are full of '+', which the default encoder escapes; these bytes are read by others and never by a browser.
    private static readonly JsonWriterOptions Compact = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>With one more element at the end of one of its lists.</summary>
    public static byte[] Append(ReadOnlySpan<byte> manifest, string list, JsonObject element)
    {
        (int start, int end) = Find(manifest, list);
        bool isEmpty = manifest[(start + 1)..(end - 1)].Trim(" \t\r\n"u8).IsEmpty;
        return [.. manifest[..(end - 1)], .. isEmpty ? ""u8 : ","u8, .. Write(element), .. manifest[(end - 1)..]];
    }

    /// <summary>With another value of one of its members.</summary>
    public static byte[] Replace(ReadOnlySpan<byte> manifest, string member, JsonObject value)
    {
        (int start, int end) = Find(manifest, member);
        return [.. manifest[..start], .. Write(value), .. manifest[end..]];
    }

    public static byte[] Write(JsonObject content)
    {
        using var written = new MemoryStream();
        using (var json = new Utf8JsonWriter(written, Compact))
        {
            content.WriteTo(json);
        }

        return written.ToArray();
    }

    private static (int Start, int End) Find(ReadOnlySpan<byte> manifest, string member)
    {
        var json = new Utf8JsonReader(manifest);
        json.Read();
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            bool isIt = json.ValueTextEquals(member);
            json.Read();
            int start = (int)json.TokenStartIndex;
            json.Skip();
            if (isIt)
            {
                return (start, (int)json.BytesConsumed);
            }
        }

        throw new ArgumentException($"the manifest has no {member}");
    }
}
