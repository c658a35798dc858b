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
internal sealed class JsonFields : IDisposable
{
    private readonly JsonElement element;
    private readonly JsonDocument? document;
    private readonly JsonFields? parent;
    private readonly string name;
    private readonly int index;
    private readonly List<string> asked = new(8);

    // Where an object stands is put into words only when something is wrong with it: most of the time nothing is.
    private JsonFields(JsonElement element, JsonFields? parent, string name, int index, JsonDocument? document)
    {
        (this.element, this.parent, this.name, this.index, this.document) = (element, parent, name, index, document);
        if (element.ValueKind != JsonValueKind.Object)
        {
            throw new MalformedException("schema", $"malformed {Path}: an object expected, {Kind(element)} found");
        }
    }

    private string Path => parent is null ? name : parent.At(name, index);

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

        JsonDocument document = ParseDocument(utf8, what);
        return new JsonFields(document.RootElement, null, what, -1, document);
    }

    /// <summary>Gives memory back sooner than it would be found unused; nothing that was read from here may be asked again.</summary>
    public void Dispose() => document?.Dispose();

    private static JsonDocument ParseDocument(ReadOnlyMemory<byte> utf8, string what)
    {
        try
        {
            JsonDocument document = JsonDocument.Parse(utf8, Options(allowDuplicates: false));
            RequireWholeCharacters(utf8.Span);
            return document;
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
        if (utf8.IndexOf("\\u"u8) == -1)
        {
            return;
        }

        var reader = new Utf8JsonReader(utf8, new JsonReaderOptions { MaxDepth = Limits.JsonDepth });
        while (reader.Read())
        {
            if (reader.ValueIsEscaped)
            {
                _ = reader.GetString();
            }
        }
    }

    public bool Has(string name) => Find(name) is not null;

    public string? Text(string name) => Find(name) is { } value ? TextOf(value, name, -1) : null;

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
            _ => throw new MalformedException("schema", $"malformed {Path}.{name}: a number expected, {Kind(value)} found"),
        };
        // Zero where it is no number, and zero is spelled otherwise.
        _ = long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out long number);
        return string.Equals(digits, number.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
            ? number
            : throw new MalformedException("number", $"malformed {Path}.{name}: a decimal number from 0 to 2^63-1 expected");
    }

    /// <summary>A non-negative int64 that is a JSON number, for formats that are not proto3 JSON.</summary>
    public long? Integer(string name)
    {
        if (Find(name) is { ValueKind: not JsonValueKind.Number } value)
        {
            throw new MalformedException("schema", $"malformed {Path}.{name}: a number expected, {Kind(value)} found");
        }

        return Int64(name);
    }

    public long RequiredInteger(string name) => Integer(name) ?? throw Missing(name);

    public bool? Boolean(string name) => Find(name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { } value => throw new MalformedException("schema", $"malformed {Path}.{name}: true or false expected, {Kind(value)} found"),
    };

    public byte[]? Bytes(string name) => Find(name) is { } value ? BytesOf(value, name, -1) : null;

    public byte[] RequiredBytes(string name) => Bytes(name) ?? throw Missing(name);

    public JsonFields? Object(string name) => Find(name) is { } value ? new JsonFields(value, this, name, -1, null) : null;

    public JsonFields RequiredObject(string name) => Object(name) ?? throw Missing(name);

    public IReadOnlyList<JsonFields> Objects(string name, int limit) =>
        Elements(name, limit, (value, index) => new JsonFields(value, this, name, index, null));

    public IReadOnlyList<string> Texts(string name, int limit) => Elements(name, limit, (value, index) => TextOf(value, name, index));

    public IReadOnlyList<byte[]> BytesList(string name, int limit) => Elements(name, limit, (value, index) => BytesOf(value, name, index));

    /// <summary>The value of the one member of a map whose keys the writer chooses.</summary>
    public JsonFields OnlyEntry()
    {
        JsonProperty[] members = [.. element.EnumerateObject().Take(2)];
        return members.Length == 1
            ? new JsonFields(members[0].Value, this, Shown.Of(members[0].Name), -1, null)
            : throw new MalformedException("limit", $"malformed {Path}: exactly one entry expected");
    }

    /// <summary>The entries of a map of objects whose keys the writer chooses.</summary>
    public IEnumerable<(string Name, JsonFields Value)> Entries()
    {
        foreach (JsonProperty member in element.EnumerateObject())
        {
            yield return (member.Name, new JsonFields(member.Value, this, Shown.Of(member.Name), -1, null));
        }
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
                throw new MalformedException("limit", $"malformed {Path}: more than {limit} members");
            }
        }

        return strings;
    }

    /// <summary><see cref="Strings"/> of a member that may be absent or of any shape.</summary>
    public IReadOnlyDictionary<string, string> StringsOf(string name, int limit) =>
        Find(name) is { ValueKind: JsonValueKind.Object } value ? new JsonFields(value, this, name, -1, null).Strings(limit) : new Dictionary<string, string>();

    /// <summary>The text of this object as it stands in the document.</summary>
    public string Raw() => element.GetRawText();

    /// <summary>Refuses members that were not asked for: in a security document an unknown member is an unknown meaning.</summary>
    /// <param name="also">Members that will be asked for later.</param>
    public void NoOthers(params IEnumerable<string> also)
    {
        asked.AddRange(also);
        foreach (JsonProperty member in element.EnumerateObject())
        {
            if (asked.Contains(member.Name))
            {
                continue;
            }

            // proto3 JSON also reads snake_case, and some readers any case; the Sigstore documents have one spelling.
            throw asked.Find(name => IsMisspelled(member.Name, name)) is { } meant
                ? new MalformedException("schema", $"malformed {Path}: the member \"{Shown.Of(member.Name)}\" is spelled {meant}")
                : new MalformedException("unknown-field", $"malformed {Path}: unknown member \"{Shown.Of(member.Name)}\"");
        }
    }

    /// <summary>Whether a member has this name but for its case and underscores.</summary>
    public bool Misspells(string name) => element.EnumerateObject().Any(member => IsMisspelled(member.Name, name));

    private static bool IsMisspelled(string found, string name) =>
        found != name && string.Equals(found.Replace("_", "", StringComparison.Ordinal), name, StringComparison.OrdinalIgnoreCase);

    private JsonElement? Find(string name)
    {
        if (!asked.Contains(name))
        {
            asked.Add(name);
        }

        return element.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;
    }

    private List<T> Elements<T>(string name, int limit, Func<JsonElement, int, T> read)
    {
        if (Find(name) is not { } value)
        {
            return [];
        }

        if (value.ValueKind != JsonValueKind.Array)
        {
            throw new MalformedException("schema", $"malformed {Path}.{name}: an array expected, {Kind(value)} found");
        }

        if (value.GetArrayLength() > limit)
        {
            throw new MalformedException("limit", $"malformed {Path}.{name}: {value.GetArrayLength()} elements, at most {limit} are read");
        }

        var list = new List<T>(value.GetArrayLength());
        foreach (JsonElement item in value.EnumerateArray())
        {
            list.Add(read(item, list.Count));
        }

        return list;
    }

    private string TextOf(JsonElement value, string name, int index) => value.ValueKind == JsonValueKind.String
        ? value.GetString()!
        : throw new MalformedException("schema", $"malformed {At(name, index)}: a string expected, {Kind(value)} found");

    private byte[] BytesOf(JsonElement value, string name, int index) =>
        Base64.TryDecode(value, out byte[] bytes) || Base64.TryDecode(TextOf(value, name, index), out bytes)
            ? bytes
            : throw new MalformedException("base64", $"malformed {At(name, index)}: not base64");

    private string At(string name, int index) => index < 0 ? $"{Path}.{name}" : string.Create(CultureInfo.InvariantCulture, $"{Path}.{name}[{index}]");

    private MalformedException Missing(string name) => new("schema", $"malformed {Path}: {name} is missing");

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
