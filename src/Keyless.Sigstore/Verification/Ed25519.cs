using System.Globalization;
using System.Numerics;
using Bc = Org.BouncyCastle.Math.EC.Rfc8032;

namespace Keyless.Sigstore;

/// <summary>
/// Ed25519 and Ed25519ph (RFC 8032 §5.1.7), with the checks that implementations differ in made here, so that every signature has one
/// verdict: S below the group order, canonical encodings of the key and of R, and no key or R of small order.
/// </summary>
internal static class Ed25519
{
    private static readonly BigInteger FieldPrime = BigInteger.Pow(2, 255) - 19;
    private static readonly BigInteger GroupOrder = BigInteger.Pow(2, 252) + BigInteger.Parse("27742317777372353535851937790883648493", CultureInfo.InvariantCulture);

    // The y coordinates of the eight points whose order divides eight: 1, 0, -1, and the pair of order eight.
    private static readonly BigInteger OrderEight =
        new(Convert.FromHexString("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), isUnsigned: true);

    private static readonly BigInteger[] SmallOrder = [BigInteger.One, BigInteger.Zero, FieldPrime - 1, OrderEight, FieldPrime - OrderEight];

    public static bool Verifies(byte[] key, ReadOnlySpan<byte> message, ReadOnlySpan<byte> signature) =>
        IsWellFormed(key, signature) && Bc.Ed25519.Verify(signature.ToArray(), 0, key, 0, message.ToArray(), 0, message.Length);

    /// <summary>Ed25519ph with an empty context.</summary>
    /// <param name="digest">SHA-512 of the message.</param>
    public static bool VerifiesPrehash(byte[] key, ReadOnlySpan<byte> digest, ReadOnlySpan<byte> signature) =>
        digest.Length == 64 && IsWellFormed(key, signature) && Bc.Ed25519.VerifyPrehash(signature.ToArray(), 0, key, 0, [], digest.ToArray(), 0);

    private static bool IsWellFormed(byte[] key, ReadOnlySpan<byte> signature) =>
        signature.Length == 64
        && IsFullPoint(key)
        && IsFullPoint(signature[..32])
        && new BigInteger(signature[32..], isUnsigned: true) < GroupOrder;

    private static bool IsFullPoint(ReadOnlySpan<byte> encoded)
    {
        Span<byte> withoutSign = stackalloc byte[32];
        encoded.CopyTo(withoutSign);
        withoutSign[31] &= 0x7f;
        var y = new BigInteger(withoutSign, isUnsigned: true);
        return y < FieldPrime && !SmallOrder.Contains(y);
    }
}
