using System.Numerics;

namespace Keyless.Fuzz;

/// <summary>
/// DER as a tree of nodes that can be moved, doubled and mistagged; lengths are written anew around them, or lied about. Octet and bit
/// strings that hold DER are opened, so that an edit reaches the innermost extension of a certificate in a token in a response.
/// </summary>
internal sealed class DerTree
{
    private static readonly BigInteger P256 = Order("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    private static readonly BigInteger P384 = Order("ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973");

    private byte tag;
    private byte[] content;
    private List<DerTree>? children;
    private bool inBitString;
    private byte[]? lengthLie;

    private DerTree(byte tag, byte[] content) => (this.tag, this.content) = (tag, content);

    /// <summary>Null where the bytes are not one DER value.</summary>
    public static DerTree? Parse(ReadOnlySpan<byte> der) => ParseAll(der) is [var one] ? one : null;

    /// <summary>The other signature of ECDSA that verifies wherever this one does: s and n − s. Null where the bytes are none.</summary>
    public static byte[]? EcdsaTwin(byte[] signature)
    {
        if (Parse(signature) is not { tag: 0x30, children: [{ tag: 2 } r, { tag: 2 } s] } pair)
        {
            return null;
        }

        BigInteger value = new(s.content, isBigEndian: true);
        BigInteger order = Math.Max(r.content.Length, s.content.Length) > 34 ? P384 : P256;
        s.content = (order - value).ToByteArray(isBigEndian: true);
        return value.Sign > 0 && value < order ? pair.ToBytes() : null;
    }

    public byte Tag => tag;

    public IReadOnlyList<DerTree> Children => children ?? [];

    /// <summary>Without tag and length.</summary>
    public byte[] Content => ToBytes() is var whole && TryLength(whole.AsSpan(1), out int header, out _) ? whole[(1 + header)..] : [];

    public byte[] ToBytes()
    {
        byte[] inner = children is null ? content : [.. inBitString ? new byte[] { 0 } : [], .. children.SelectMany(child => child.ToBytes())];
        return [tag, .. lengthLie ?? Length(inner.Length), .. inner];
    }

    /// <summary>One edit somewhere in the tree.</summary>
    public void Edit(Chance chance)
    {
        List<DerTree> parents = [.. All().Where(node => node.children is { Count: > 0 })];
        if (parents.Count == 0 || chance.OneIn(12))
        {
            EditNode(this, chance);
            return;
        }

        DerTree parent = chance.Pick(parents);
        int at = chance.Below(parent.children!.Count);
        switch (chance.Below(8))
        {
            case 0:
                parent.children.RemoveAt(at);
                break;
            case 1:
                parent.children.Insert(chance.Below(parent.children.Count + 1), parent.children[at].Copy());
                break;
            case 2:
                int other = chance.Below(parent.children.Count);
                (parent.children[at], parent.children[other]) = (parent.children[other], parent.children[at]);
                break;
            case 3:
                parent.children[at] = chance.Pick([.. All()]).Copy();
                break;
            default:
                EditNode(parent.children[at], chance);
                break;
        }
    }

    private static void EditNode(DerTree node, Chance chance)
    {
        switch (chance.Below(7))
        {
            case 0:
                node.tag = chance.Pick<byte>(0, 1, 2, 3, 4, 5, 6, 0x0c, 0x13, 0x16, 0x17, 0x18, 0x24, 0x30, 0x31, 0x80, 0x81, 0x86, 0xa0, 0xa1, 0xa3, 0x1f, 0xff, (byte)(node.tag ^ 0x20));
                break;
            case 1:
                int length = node.ToBytes().Length;
                node.lengthLie = chance.Pick<byte[]>([0x80], [0x81, (byte)length], [0x82, 0, (byte)length], [0x84, 0xff, 0xff, 0xff, 0xff], [0x84, 0x7f, 0xff, 0xff, 0xff], [0x88, 1, 0, 0, 0, 0, 0, 0, 0], Length(length + 1), Length(Math.Max(0, length - 3)), [0]);
                break;
            case 2:
                node.Become([]);
                break;
            default:
                node.Become(ByteEdits.Edit(node.children is null ? node.content : [.. node.children.SelectMany(child => child.ToBytes())], chance));
                break;
        }
    }

    private void Become(byte[] bytes) => (content, children) = (bytes, null);

    private IEnumerable<DerTree> All() => (children ?? []).SelectMany(child => child.All()).Prepend(this);

    private DerTree Copy() => new(tag, content) { children = children?.ConvertAll(child => child.Copy()), inBitString = inBitString };

    private static List<DerTree>? ParseAll(ReadOnlySpan<byte> der)
    {
        var nodes = new List<DerTree>();
        while (der.Length > 0)
        {
            if (der.Length < 2 || (der[0] & 0x1f) == 0x1f || !TryLength(der[1..], out int header, out int length) || der.Length - 1 - header < length)
            {
                return null;
            }

            byte[] content = der.Slice(1 + header, length).ToArray();
            nodes.Add(Open(new DerTree(der[0], content)));
            der = der[(1 + header + length)..];
        }

        return nodes;
    }

    private static DerTree Open(DerTree node)
    {
        bool bits = node.tag == 3 && node.content is [0, 0x30, ..];
        if ((node.tag & 0x20) != 0 || (node.tag == 4 && node.content is [0x02 or 0x03 or 0x04 or 0x0c or 0x30, ..]) || bits)
        {
            node.children = ParseAll(node.content.AsSpan(bits ? 1 : 0));
            node.inBitString = bits && node.children is not null;
        }

        return node;
    }

    private static bool TryLength(ReadOnlySpan<byte> bytes, out int header, out int length)
    {
        (header, length) = (1, bytes[0]);
        if (bytes[0] < 0x80)
        {
            return true;
        }

        int count = bytes[0] & 0x7f;
        if (count is 0 or > 3 || bytes.Length < 1 + count)
        {
            return false;
        }

        (header, length) = (1 + count, 0);
        foreach (byte part in bytes.Slice(1, count))
        {
            length = length << 8 | part;
        }

        return true;
    }

    private static byte[] Length(int length) => length switch
    {
        < 0x80 => [(byte)length],
        < 0x100 => [0x81, (byte)length],
        < 0x10000 => [0x82, (byte)(length >> 8), (byte)length],
        _ => [0x83, (byte)(length >> 16), (byte)(length >> 8), (byte)length],
    };

    private static BigInteger Order(string hex) => new(Convert.FromHexString(hex), isUnsigned: true, isBigEndian: true);
}
