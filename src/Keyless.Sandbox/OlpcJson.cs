using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Keyless.Sandbox;

/// <summary>Writes the canonical JSON that TUF signs: members by code point, nothing escaped but quotes and backslashes, integers only.</summary>
internal static class OlpcJson
{
    public static byte[] Bytes(JsonNode node)
    {
        var text = new StringBuilder();
        Write(node, text);
        return Encoding.UTF8.GetBytes(text.ToString());
    }

    private static void Write(JsonNode? node, StringBuilder text)
    {
        switch (node)
        {
            case JsonObject members:
                text.Append('{').AppendJoin(',', Sorted(members).Select(member => $"{Quoted(member.Key)}:{Text(member.Value)}")).Append('}');
                break;
            case JsonArray items:
                text.Append('[').AppendJoin(',', items.Select(Text)).Append(']');
                break;
            case JsonValue value when value.GetValueKind() == JsonValueKind.String:
                text.Append(Quoted(value.GetValue<string>()));
                break;
            default:
                text.Append(node?.ToJsonString() ?? "null");
                break;
        }
    }

    private static string Text(JsonNode? node)
    {
        var text = new StringBuilder();
        Write(node, text);
        return text.ToString();
    }

    // UTF-32, big endian, as hex: its order is that of the code points.
    private static IEnumerable<KeyValuePair<string, JsonNode?>> Sorted(JsonObject members) =>
        members.OrderBy(member => string.Concat(member.Key.EnumerateRunes().Select(rune => rune.Value.ToString("x8", CultureInfo.InvariantCulture))), StringComparer.Ordinal);

    private static string Quoted(string text) =>
        $"\"{text.Replace(@"\", @"\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";
}
