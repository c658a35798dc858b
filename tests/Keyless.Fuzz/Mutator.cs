using System.Globalization;
using System.Text;

namespace Keyless.Fuzz;

/// <summary>
/// Makes a document that differs from a good one: in its bytes, its JSON tree, or inside what a member carries, whatever that is: base64
/// of DER, of JSON, of PEM, or a signed note. Several edits are made at once now and then, since some defects take two.
/// </summary>
/// <param name="pool">Members of all specimens by name, to be put where another specimen has its own.</param>
internal sealed class Mutator(ILookup<string, JsonTree> pool)
{
    public byte[] Mutate(byte[] document, Chance chance)
    {
        JsonTree? tree = chance.OneIn(8) ? null : JsonTree.Parse(document);
        for (int edits = chance.Pick(1, 1, 1, 2, 2, 3); edits > 0 && tree is not null; edits--)
        {
            tree = EditTree(tree.Copy(), chance);
        }

        byte[] mutant = tree?.ToBytes() ?? document;
        return tree is null || chance.OneIn(30) ? EditText(mutant, chance) : mutant;
    }

    private static byte[] EditText(byte[] text, Chance chance) => chance.Below(8) switch
    {
        0 => [0xef, 0xbb, 0xbf, .. text],
        1 => [.. text, .. chance.Pick<byte[]>([0], [(byte)','], "{}"u8.ToArray(), "//"u8.ToArray(), [0x0a], [0x20])],
        _ => ByteEdits.Edit(text, chance),
    };

    private JsonTree EditTree(JsonTree tree, Chance chance)
    {
        (JsonTree Parent, int Index)[] places = [.. tree.Places()];
        if (places.Length == 0)
        {
            return tree;
        }

        // Half of the edits go to what carries a signature or is signed, else most would only break the shape of the document.
        (JsonTree Parent, int Index)[] carriers = [.. places.Where(place => place.Parent.Children[place.Index].Value.Raw.Length > 40)];
        if (carriers.Length > 0 && chance.OneIn(2))
        {
            (JsonTree carrying, int at) = chance.Pick(carriers);
            (string carrier, JsonTree carried) = carrying.Children[at];
            carrying.Children[at] = (carrier, EditText(carried.Value ?? "", carried.Raw, chance));
            return tree;
        }

        (JsonTree parent, int index) = chance.Pick(places);
        List<(string Name, JsonTree Value)> siblings = parent.Children;
        (string name, JsonTree value) = siblings[index];
        switch (chance.Below(16))
        {
            case 0:
                siblings.RemoveAt(index);
                break;
            case 1:
                siblings.Insert(chance.Below(siblings.Count + 1), siblings[index]);
                break;
            case 2:
                int other = chance.Below(siblings.Count);
                (siblings[index], siblings[other]) = (siblings[other], siblings[index]);
                break;
            case 3:
                (JsonTree otherParent, int otherIndex) = chance.Pick(places);
                siblings[index] = (name, otherParent.Children[otherIndex].Value.Copy());
                break;
            case 4:
                siblings[index] = (Rename(name, chance), value);
                break;
            case 5:
                siblings.Insert(index, (chance.Pick("\"x\"", "\"toString\"", "\"\"", name), JsonTree.Scalar(chance.Pick("null", "0", "\"\"", "{}", "[]"))));
                break;
            case 6 when pool[name].ToArray() is { Length: > 0 } others:
                siblings[index] = (name, chance.Pick(others));
                break;
            default:
                siblings[index] = (name, EditValue(value, chance));
                break;
        }

        return tree;
    }

    private static string Rename(string name, Chance chance) => name.Length < 3 ? "\"a\"" : chance.Below(5) switch
    {
        0 => $"\"{char.ToUpperInvariant(name[1])}{name[2..]}",
        1 => string.Concat(name.Select(character => char.IsAsciiLetterUpper(character) ? $"_{char.ToLowerInvariant(character)}" : $"{character}")),
        2 => $"\"\\u{(int)name[1]:x4}{name[2..]}",
        3 => name[..^1] + " \"",
        _ => name.ToUpperInvariant(),
    };

    private JsonTree EditValue(JsonTree value, Chance chance) => chance.Below(10) switch
    {
        0 => JsonTree.Scalar(chance.Pick("null", "true", "0", "-1", "\"\"", "{}", "[]", "9223372036854775807", "9223372036854775808", "1e400", "0.5", "\"\\ud800\"")),
        1 => JsonTree.Container('[', ("", value)),
        2 => JsonTree.Container('{', ("\"a\"", value)),
        3 => JsonTree.Scalar(string.Concat(Enumerable.Repeat("[", chance.Pick(10, 40, 2000))) + string.Concat(Enumerable.Repeat("]", 40))),
        _ when value.Value is { } text => EditText(text, value.Raw, chance),
        _ when value.Kind == '0' => JsonTree.Scalar(Spell(value.Raw, chance)),
        _ => value,
    };

    private JsonTree EditText(string text, string raw, Chance chance)
    {
        if (text.Length > 0 && text.All(char.IsAsciiDigit) && chance.OneIn(2))
        {
            return JsonTree.Scalar(chance.OneIn(3) ? text : $"\"{Spell(text, chance)}\"");
        }

        if (chance.OneIn(8))
        {
            // Another spelling of the same string.
            return JsonTree.Scalar(raw.Length < 3 || raw.Contains('\\', StringComparison.Ordinal) ? raw : $"\"\\u{(int)raw[1]:x4}{raw[2..]}");
        }

        if (text.Contains("\n\n", StringComparison.Ordinal))
        {
            return JsonTree.Text(EditNote(text, chance));
        }

        if (JsonTree.Parse(Encoding.UTF8.GetBytes(text)) is { Kind: '{' } inner)
        {
            return JsonTree.Text(Encoding.UTF8.GetString(EditTree(inner, chance).ToBytes()));
        }

        byte[] decoded = new byte[text.Length];
        return text.Length > 7 && Convert.TryFromBase64String(text, decoded, out int length)
            ? chance.OneIn(6) ? JsonTree.Text(Spell64(text, chance)) : JsonTree.Text(Convert.ToBase64String(EditBytes(decoded[..length], chance)))
            : JsonTree.Text(Encoding.UTF8.GetString(ByteEdits.Edit(Encoding.UTF8.GetBytes(text), chance)));
    }

    /// <summary>Inside whatever the bytes are.</summary>
    public byte[] EditBytes(byte[] bytes, Chance chance)
    {
        if (chance.OneIn(6))
        {
            return ByteEdits.Edit(bytes, chance);
        }

        if (chance.OneIn(4) && DerTree.EcdsaTwin(bytes) is { } twin)
        {
            return twin;
        }

        if (DerTree.Parse(bytes) is { } der)
        {
            der.Edit(chance);
            return der.ToBytes();
        }

        return bytes is [(byte)'{', ..] && JsonTree.Parse(bytes) is { } json ? EditTree(json, chance).ToBytes() : ByteEdits.Edit(bytes, chance);
    }

    private static string Spell(string number, Chance chance) => chance.Below(10) switch
    {
        0 => number + ".0",
        1 => number + "e0",
        2 => "0" + number,
        3 => "-" + number,
        4 => " " + number,
        5 => number + "0",
        6 => "+" + number,
        7 => (BigIntegerOf(number) + 1).ToString(CultureInfo.InvariantCulture),
        8 => (BigIntegerOf(number) + System.Numerics.BigInteger.Pow(2, chance.Pick(32, 63, 64))).ToString(CultureInfo.InvariantCulture),
        _ => $"\"{number}\"",
    };

    private static System.Numerics.BigInteger BigIntegerOf(string number) =>
        System.Numerics.BigInteger.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out System.Numerics.BigInteger value) ? value : 0;

    private static string Spell64(string text, Chance chance)
    {
        int at = chance.Below(text.Length);
        return chance.Below(9) switch
        {
            0 => text.Replace('+', '-').Replace('/', '_'),
            1 => text.TrimEnd('='),
            2 => text + "=",
            3 => text + "!!!!",
            4 => text[..at] + chance.Pick("\n", " ", "\r\n", "\t") + text[at..],
            5 => text.TrimEnd('=') is var digits && digits.Length > 0 ? digits[..^1] + (char)(digits[^1] + 1) + text[digits.Length..] : text,
            6 => text[..at] + chance.Pick("=", "*", "\u00e9", "\0") + text[at..],
            7 => text + text,
            _ => text.Replace('+', '-'),
        };
    }

    private static string EditNote(string note, Chance chance)
    {
        List<string> lines = [.. note.Split('\n')];
        int at = chance.Below(lines.Count);
        switch (chance.Below(8))
        {
            case 0:
                lines.RemoveAt(at);
                break;
            case 1:
                lines.Insert(at, lines[at]);
                break;
            case 2:
                int other = chance.Below(lines.Count);
                (lines[at], lines[other]) = (lines[other], lines[at]);
                break;
            case 3:
                lines.Insert(lines.Count - 1, $"\u2014 witness.example {Convert.ToBase64String(chance.Bytes(68))}");
                break;
            case 4:
                lines.Insert(at, chance.Pick("extension", "", " ", "\u2014 a b", "0"));
                break;
            case 5 when lines[at].Split(' ') is ["\u2014", var name, var signature] && Convert.FromBase64String(signature) is { Length: > 4 } bytes:
                byte[] inner = DerTree.EcdsaTwin(bytes[4..]) is { } twin && chance.OneIn(2) ? twin : ByteEdits.Edit(bytes[4..], chance);
                lines[at] = $"\u2014 {name} {Convert.ToBase64String([.. bytes[..4], .. inner])}";
                break;
            default:
                lines[at] = Encoding.UTF8.GetString(ByteEdits.Edit(Encoding.UTF8.GetBytes(lines[at]), chance));
                break;
        }

        return string.Join('\n', lines);
    }
}
