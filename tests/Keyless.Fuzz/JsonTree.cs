using System.Text;
using System.Text.Json;

namespace Keyless.Fuzz;

/// <summary>
/// JSON as it is written: scalars keep their spelling, objects their order and their duplicates. What no library's model can hold is
/// what readers disagree about.
/// </summary>
internal sealed class JsonTree
{
    private JsonTree(char kind, string raw) => (Kind, Raw) = (kind, raw);

    /// <summary><c>{</c>, <c>[</c>, or <c>"</c> and <c>0</c> for strings and other scalars.</summary>
    public char Kind { get; }

    /// <summary>Of a scalar, its text in the document.</summary>
    public string Raw { get; }

    /// <summary>Names are raw, with quotes; those of an array's elements are empty.</summary>
    public List<(string Name, JsonTree Value)> Children { get; } = [];

    public static JsonTree Scalar(string raw) => new(raw.StartsWith('"') ? '"' : '0', raw);

    public static JsonTree Text(string value) => Scalar(JsonSerializer.Serialize(value, RelaxedContext.Relaxed));

    public static JsonTree Container(char kind, params IEnumerable<(string Name, JsonTree Value)> children)
    {
        var tree = new JsonTree(kind, "");
        tree.Children.AddRange(children);
        return tree;
    }

    /// <summary>The value of a string; null where it is none, or escapes half a character.</summary>
    public string? Value
    {
        get
        {
            try
            {
                return Kind == '"' ? JsonSerializer.Deserialize<string>(Raw) : null;
            }
            catch (JsonException)
            {
                return null;
            }
        }
    }

    /// <summary>Null where the bytes are not JSON.</summary>
    public static JsonTree? Parse(ReadOnlySpan<byte> utf8)
    {
        try
        {
            var reader = new Utf8JsonReader(utf8);
            reader.Read();
            JsonTree tree = Read(ref reader);
            return reader.Read() ? null : tree;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    public JsonTree Copy() => Children.Count == 0 ? this : Container(Kind, Children.Select(child => (child.Name, child.Value.Copy())));

    /// <summary>Every place in which a value stands.</summary>
    public IEnumerable<(JsonTree Parent, int Index)> Places() =>
        Children.SelectMany((child, index) => child.Value.Places().Prepend((this, index)));

    public byte[] ToBytes()
    {
        var text = new StringBuilder();
        Write(text);
        return Encoding.UTF8.GetBytes(text.ToString());
    }

    private static JsonTree Read(ref Utf8JsonReader reader)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.StartArray:
                JsonTree array = Container('[');
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                {
                    array.Children.Add(("", Read(ref reader)));
                }

                return array;
            case JsonTokenType.StartObject:
                JsonTree members = Container('{');
                while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
                {
                    string name = $"\"{Encoding.UTF8.GetString(reader.ValueSpan)}\"";
                    reader.Read();
                    members.Children.Add((name, Read(ref reader)));
                }

                return members;
            case JsonTokenType.String:
                return Scalar($"\"{Encoding.UTF8.GetString(reader.ValueSpan)}\"");
            default:
                return Scalar(Encoding.UTF8.GetString(reader.ValueSpan));
        }
    }

    private void Write(StringBuilder text)
    {
        if (Kind is not ('{' or '['))
        {
            text.Append(Raw);
            return;
        }

        text.Append(Kind);
        for (int i = 0; i < Children.Count; i++)
        {
            text.Append(i > 0 ? "," : "");
            if (Kind == '{')
            {
                text.Append(Children[i].Name).Append(':');
            }

            Children[i].Value.Write(text);
        }

        text.Append(Kind == '{' ? '}' : ']');
    }

    private static class RelaxedContext
    {
        public static readonly JsonSerializerOptions Relaxed = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    }
}
