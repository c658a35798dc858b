using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;

namespace Keyless.Sigstore.Formats;

/// <summary>
/// A JSON object, read strictly: UTF-8, no duplicates at any level, exact member names, proto3 JSON scalars in their
/// canonical spelling. Members are asked for by name; <see cref="NoOthers"/> refuses the ones nobody asked for.
/// </summary>
/// <remarks>
/// Every wrong shape is a <see cref="MalformedException"/>. <c>null</c> is the same as absent, as proto3 JSON has it, but
/// not inside an array. <see href="https://protobuf.dev/programming-guides/json/">ProtoJSON</see>.
/// </remarks>
internal sealed class JsonFields
{
    private readonly JsonElement element;
    private readonly string path;
    private readonly HashSet<string> asked = new(StringComparer.Ordinal);

    private JsonFields(JsonElement element, string path)
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            throw new MalformedException("schema", $"malformed {path}: an object expected, {Kind(element)} found");
        }

        this.element = element;
        this.path = path;
    }

    /// <param name="what">What the document is called in messages.</param>
    /// <param name="limit">Upper bound in bytes.</param>
    public static JsonFields Parse(ReadOnlyMemory<byte> utf8, string what, int limit)
    {
        if (utf8.Length > limit)
        {
            throw new MalformedException("too-large", $"malformed {what}: {utf8.Length} bytes, at most {limit} are read");
        }

        if (!Utf8.IsValid(utf8.Span))
        {
            throw new MalformedException("json", $"malformed {what}: not UTF-8");
        }

        return new JsonFields(ParseElement(utf8, what), what);
    }

    private static JsonElement ParseElement(ReadOnlyMemory<byte> utf8, string what)
    {
        try
        {
            JsonElement root = JsonDocument.Parse(utf8, Options(allowDuplicates: false)).RootElement;
            RequireWholeCharacters(utf8.Span);
            return root;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw IsOnlyDuplicated(utf8)
                ? new MalformedException("json-duplicate", $"malformed {what}: a member occurs twice in one object", e)
                : new MalformedException("json", $"malformed {what}: not JSON", e);
        }
    }

    private static JsonDocumentOptions Options(bool allowDuplicates) =>
        new() { AllowDuplicateProperties = allowDuplicates, MaxDepth = Limits.JsonDepth };

    private static bool IsOnlyDuplicated(ReadOnlyMemory<byte> utf8)
    {
        try
        {
            JsonDocument.Parse(utf8, Options(allowDuplicates: true)).Dispose();
            RequireWholeCharacters(utf8.Span);
            return true;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    // Half a surrogate pair can only come in as an escape; the document keeps it until somebody asks for the string.
    private static void RequireWholeCharacters(ReadOnlySpan<byte> utf8)
    {
        if (utf8.IndexOf("\\u"u8) < 0)
        {
            return;
        }

        var reader = new Utf8JsonReader(utf8, new JsonReaderOptions { MaxDepth = Limits.JsonDepth });
        while (reader.Read())
        {
            if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName)
            {
                _ = reader.GetString();
            }
        }
    }

    public bool Has(string name) => Find(name) is not null;

    public string? Text(string name) => Find(name) is { } value ? TextOf(value, $"{path}.{name}") : null;

    public string RequiredText(string name) => Text(name) ?? throw Missing(name);

    /// <summary>A non-negative int64: a JSON string or number, canonical decimal.</summary>
    public long? Int64(string name)
    {
        if (Find(name) is not { } value)
        {
            return null;
        }

        string digits = value.ValueKind switch
        {
            JsonValueKind.String => value.GetString()!,
            JsonValueKind.Number => value.GetRawText(),
            _ => throw new MalformedException("schema", $"malformed {path}.{name}: a number expected, {Kind(value)} found"),
        };
        return long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out long number)
            && string.Equals(digits, number.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
            ? number
            : throw new MalformedException("number", $"malformed {path}.{name}: a decimal number from 0 to 2^63-1 expected");
    }

    /// <summary>A non-negative int64 that is a JSON number, as plain JSON writes it.</summary>
    public long Number(string name) => Find(name) is { ValueKind: JsonValueKind.Number } ? Int64(name)!.Value : throw new MalformedException("number", $"malformed {path}.{name}: a JSON number expected");

    public bool? Boolean(string name) => Find(name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { } value => throw new MalformedException("schema", $"malformed {path}.{name}: true or false expected, {Kind(value)} found"),
    };

    public byte[]? Bytes(string name) => Find(name) is { } value ? BytesOf(value, $"{path}.{name}") : null;

    public byte[] RequiredBytes(string name) => Bytes(name) ?? throw Missing(name);

    public JsonFields? Object(string name) => Find(name) is { } value ? new JsonFields(value, $"{path}.{name}") : null;

    public JsonFields RequiredObject(string name) => Object(name) ?? throw Missing(name);

    public IReadOnlyList<JsonFields> Objects(string name, int limit) =>
        Elements(name, limit, static (value, at) => new JsonFields(value, at));

    public IReadOnlyList<string> Texts(string name, int limit) => Elements(name, limit, TextOf);

    public IReadOnlyList<byte[]> BytesList(string name, int limit) => Elements(name, limit, BytesOf);

    /// <summary>The value of the one member of a map whose keys the writer chooses.</summary>
    public JsonFields OnlyEntry()
    {
        JsonProperty[] members = [.. element.EnumerateObject().Take(2)];
        return members.Length == 1
            ? new JsonFields(members[0].Value, $"{path}[0]")
            : throw new MalformedException("limit", $"malformed {path}: exactly one entry expected");
    }

    /// <summary>All members whose values are strings, by name; a member of another kind is left out.</summary>
    public IReadOnlyDictionary<string, string> Strings(int limit)
    {
        var strings = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (JsonProperty member in element.EnumerateObject())
        {
            if (member.Value.ValueKind == JsonValueKind.String)
            {
                strings.Add(member.Name, member.Value.GetString()!);
            }

            if (strings.Count > limit)
            {
                throw new MalformedException("limit", $"malformed {path}: more than {limit} members");
            }
        }

        return strings;
    }

    /// <summary><see cref="Strings"/> of a member that may be absent or of any shape.</summary>
    public IReadOnlyDictionary<string, string> StringsOf(string name, int limit) =>
        Find(name) is { ValueKind: JsonValueKind.Object } value ? new JsonFields(value, $"{path}.{name}").Strings(limit) : new Dictionary<string, string>();

    /// <summary>The text of this object as it stands in the document.</summary>
    public string Raw() => element.GetRawText();

    /// <summary>Refuses members that were not asked for: in a security document an unknown member is an unknown meaning.</summary>
    /// <param name="also">Members that will be asked for later.</param>
    public void NoOthers(params IEnumerable<string> also)
    {
        asked.UnionWith(also);
        foreach (JsonProperty member in element.EnumerateObject())
        {
            if (!asked.Contains(member.Name))
            {
                // ProtoJSON readers may take the names of the .proto file as well; here each member has one name.
                throw asked.Any(name => string.Equals(name, member.Name.Replace("_", "", StringComparison.Ordinal), StringComparison.OrdinalIgnoreCase))
                    ? new MalformedException("schema", $"malformed {path}: member \"{Shown.Of(member.Name)}\" is not spelled in lowerCamelCase")
                    : new MalformedException("unknown-field", $"malformed {path}: unknown member \"{Shown.Of(member.Name)}\"");
            }
        }
    }

    private JsonElement? Find(string name)
    {
        asked.Add(name);
        return element.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;
    }

    private List<T> Elements<T>(string name, int limit, Func<JsonElement, string, T> read)
    {
        if (Find(name) is not { } value)
        {
            return [];
        }

        if (value.ValueKind != JsonValueKind.Array)
        {
            throw new MalformedException("schema", $"malformed {path}.{name}: an array expected, {Kind(value)} found");
        }

        if (value.GetArrayLength() > limit)
        {
            throw new MalformedException("limit", $"malformed {path}.{name}: {value.GetArrayLength()} elements, at most {limit} are read");
        }

        var list = new List<T>(value.GetArrayLength());
        foreach (JsonElement item in value.EnumerateArray())
        {
            list.Add(read(item, string.Create(CultureInfo.InvariantCulture, $"{path}.{name}[{list.Count}]")));
        }

        return list;
    }

    private static string TextOf(JsonElement value, string at) => value.ValueKind == JsonValueKind.String
        ? value.GetString()!
        : throw new MalformedException("schema", $"malformed {at}: a string expected, {Kind(value)} found");

    private static byte[] BytesOf(JsonElement value, string at) =>
        Base64.TryDecode(TextOf(value, at), out byte[] bytes)
            ? bytes
            : throw new MalformedException("base64", $"malformed {at}: not base64");

    private MalformedException Missing(string name) => new("schema", $"malformed {path}: {name} is missing");

    private static string Kind(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number",
        JsonValueKind.Null => "null",
        _ => "a boolean",
    };
}
