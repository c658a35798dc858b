using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace Keyless.Oci;

/// <summary>
/// A content digest as OCI image-spec "Digests" writes it: <c>sha256:</c> and 64, or <c>sha512:</c> and 128 lower-case hex digits.
/// Equal by value.
/// </summary>
public sealed record Digest
{
    private static readonly SearchValues<char> LowerHex = SearchValues.Create("0123456789abcdef");

    private Digest(string algorithm, string hex) => (Algorithm, Hex) = (algorithm, hex);

    /// <summary><c>sha256</c> or <c>sha512</c>.</summary>
    public string Algorithm { get; }

    /// <summary>Lower-case hex, exactly as long as the algorithm makes it.</summary>
    public string Hex { get; }

    /// <summary>Reads <c>algorithm:hex</c>.</summary>
    /// <exception cref="FormatException">It is not exactly that.</exception>
    public static Digest Parse(string text) =>
        TryParse(text, out Digest? digest)
            ? digest
            : throw new FormatException($"malformed digest {RegistryException.Quote(text)}: expected sha256: and 64, or sha512: and 128 lower-case hex digits");

    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out Digest? digest)
    {
        digest = text switch
        {
            null => null,
            _ when text.StartsWith("sha256:", StringComparison.Ordinal) && IsHex(text.AsSpan(7), SHA256.HashSizeInBytes) => new Digest("sha256", text[7..]),
            _ when text.StartsWith("sha512:", StringComparison.Ordinal) && IsHex(text.AsSpan(7), SHA512.HashSizeInBytes) => new Digest("sha512", text[7..]),
            _ => null,
        };
        return digest is not null;
    }

    /// <summary>The SHA-256 digest of these bytes.</summary>
    public static Digest Of(ReadOnlySpan<byte> content) => new("sha256", Convert.ToHexStringLower(SHA256.HashData(content)));

    public override string ToString() => $"{Algorithm}:{Hex}";

    /// <summary>The digest of other bytes by this digest's algorithm, to compare the two.</summary>
    internal Digest OfSameAlgorithm(ReadOnlySpan<byte> content) =>
        Algorithm == "sha512" ? new Digest("sha512", Convert.ToHexStringLower(SHA512.HashData(content))) : Of(content);

    private static bool IsHex(ReadOnlySpan<char> hex, int bytes) =>
        hex.Length == 2 * bytes && !hex.ContainsAnyExcept(LowerHex);
}
