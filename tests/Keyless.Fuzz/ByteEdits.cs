namespace Keyless.Fuzz;

/// <summary>Edits that know nothing of what the bytes mean.</summary>
internal static class ByteEdits
{
    public static byte[] Edit(byte[] bytes, Chance chance)
    {
        int at = chance.Below(bytes.Length + 1);
        if (bytes.Length == 0 || chance.OneIn(8))
        {
            return [.. bytes[..at], .. chance.Bytes(1 + chance.Below(4)), .. bytes[at..]];
        }

        at = chance.Below(bytes.Length);
        int length = 1 + chance.Below(Math.Min(8, bytes.Length - at));
        switch (chance.Below(6))
        {
            case 0:
                return [.. bytes[..at], .. bytes[(at + length)..]];
            case 1:
                return [.. bytes[..(at + length)], .. bytes[at..]];
            case 2:
                return bytes[..at];
            case 3:
                byte[] overwritten = [.. bytes];
                overwritten[at] = chance.Pick<byte>(0, 1, 0x7f, 0x80, 0xff, (byte)'"', (byte)'\\', (byte)'\n', (byte)' ');
                return overwritten;
            default:
                byte[] flipped = [.. bytes];
                flipped[at] ^= (byte)(1 << chance.Below(8));
                return flipped;
        }
    }
}
