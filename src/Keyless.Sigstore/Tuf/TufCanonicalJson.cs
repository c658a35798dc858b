using System.Text;
using System.Text.Json;

namespace Keyless.Sigstore;

/// <summary>
/// Writes the canonical form that TUF signs (OLPC's canonical JSON, specification §4.2.1). It is not RFC 8785, which Rekor signs: members are sorted by
/// code point and not by UTF-16 unit, strings escape nothing but quote and backslash, and there are no numbers but integers.
/// </summary>
internal static class TufCanonicalJson
{
    /// <param name="json">A JSON text that has been read strictly.</param>
    /// <exception cref="FormatException">A number in it is no integer.</exception>
    public static byte[] Bytes(string json)
    {
        using JsonDocument document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = Limits.JsonDepth });
        using var canonical = new MemoryStream(json.Length);
        Write(document.RootElement, canonical);
        return canonical.ToArray();
    }

    private static void Write(JsonElement value, MemoryStream canonical)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                WriteObject(value, canonical);
                break;
            case JsonValueKind.Array:
                canonical.WriteByte((byte)'[');
                string comma = "";
                foreach (JsonElement item in value.EnumerateArray())
                {
                    canonical.Write(Encoding.UTF8.GetBytes(comma));
                    Write(item, canonical);
                    comma = ",";
                }

                canonical.WriteByte((byte)']');
                break;
            case JsonValueKind.String:
                WriteString(Encoding.UTF8.GetBytes(value.GetString()!), canonical);
                break;
            case JsonValueKind.Number:
                WriteInteger(value.GetRawText(), canonical);
                break;
            default:
                canonical.Write(Encoding.UTF8.GetBytes(value.GetRawText()));
                break;
        }
    }

    private static void WriteObject(JsonElement value, MemoryStream canonical)
    {
        // The order of UTF-8 bytes is the order of code points; that of .NET's strings is another above U+FFFF.
        (byte[] Name, JsonElement Value)[] members = [.. value.EnumerateObject().Select(member => (Encoding.UTF8.GetBytes(member.Name), member.Value))];
        Array.Sort(members, static (a, b) => a.Name.AsSpan().SequenceCompareTo(b.Name));
        canonical.WriteByte((byte)'{');
        for (int i = 0; i < members.Length; i++)
        {
            if (i > 0)
            {
                canonical.WriteByte((byte)',');
            }

            WriteString(members[i].Name, canonical);
            canonical.WriteByte((byte)':');
            Write(members[i].Value, canonical);
        }

        canonical.WriteByte((byte)'}');
    }

    private static void WriteString(byte[] utf8, MemoryStream canonical)
    {
        canonical.WriteByte((byte)'"');
        foreach (byte b in utf8)
        {
            if (b is (byte)'"' or (byte)'\\')
            {
                canonical.WriteByte((byte)'\\');
            }

            canonical.WriteByte(b);
        }

        canonical.WriteByte((byte)'"');
    }

    private static void WriteInteger(string raw, MemoryStream canonical)
    {
        if (raw.AsSpan().ContainsAny(".eE") || raw == "-0")
        {
            throw new FormatException("malformed TUF metadata: a number that is no integer");
        }

        canonical.Write(Encoding.UTF8.GetBytes(raw));
    }
}
