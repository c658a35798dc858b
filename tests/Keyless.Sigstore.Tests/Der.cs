namespace Keyless.Sigstore.Tests;

/// <summary>DER as a tree: one node changed, and every length above it comes out right again.</summary>
internal sealed class Der
{
    private Der(byte tag, byte[] value, List<Der> parts) => (Tag, Value, Parts) = (tag, value, parts);

    public byte Tag { get; set; }

    /// <summary>Of a primitive node.</summary>
    public byte[] Value { get; set; }

    /// <summary>Of a constructed node.</summary>
    public List<Der> Parts { get; }

    public Der this[params int[] path] => path.Aggregate(this, (node, index) => node.Parts[index]);

    public static Der Of(byte tag, params byte[] value) => new(tag, value, []);

    public static Der Holding(byte tag, params Der[] parts) => new(tag, [], [.. parts]);

    public static Der Parse(byte[] bytes) => Read(bytes, out int end) is var node && end == bytes.Length ? node : throw new FormatException("bytes left over");

    /// <summary>The bytes with one change to their tree.</summary>
    public static byte[] Edited(byte[] bytes, Action<Der> edit)
    {
        Der tree = Parse(bytes);
        edit(tree);
        return tree.Encode();
    }

    public byte[] Encode()
    {
        byte[] content = (Tag & 0x20) != 0 ? [.. Parts.SelectMany(part => part.Encode())] : Value;
        byte[] length = content.Length switch
        {
            < 0x80 => [(byte)content.Length],
            < 0x100 => [0x81, (byte)content.Length],
            < 0x10000 => [0x82, (byte)(content.Length >> 8), (byte)content.Length],
            _ => [0x83, (byte)(content.Length >> 16), (byte)(content.Length >> 8), (byte)content.Length],
        };
        return [Tag, .. length, .. content];
    }

    private static Der Read(ReadOnlySpan<byte> bytes, out int end)
    {
        int start = 2, length = bytes[1];
        if (length >= 0x80)
        {
            start += length - 0x80;
            length = 0;
            foreach (byte digit in bytes[2..start])
            {
                length = (length << 8) | digit;
            }
        }

        end = start + length;
        ReadOnlySpan<byte> content = bytes[start..end];
        if ((bytes[0] & 0x20) == 0)
        {
            return new Der(bytes[0], content.ToArray(), []);
        }

        List<Der> parts = [];
        for (int at = 0; at < content.Length;)
        {
            parts.Add(Read(content[at..], out int next));
            at += next;
        }

        return new Der(bytes[0], [], parts);
    }
}
