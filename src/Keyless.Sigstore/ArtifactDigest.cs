namespace Keyless.Sigstore;

/// <summary>What was signed, by its digest: a hash function's in-toto name and the hash.</summary>
public sealed record ArtifactDigest
{
    private ArtifactDigest(string algorithm, string hex) => (Algorithm, Hex) = (algorithm, hex);

    /// <summary>The in-toto name, lower case: <c>sha256</c>.</summary>
    public string Algorithm { get; }

    /// <summary>The hash, lower-case hex.</summary>
    public string Hex { get; }

    /// <exception cref="FormatException">Not 64 lower-case hex digits.</exception>
    public static ArtifactDigest Sha256(string hex) =>
        hex.Length == 64 && hex.All(char.IsAsciiHexDigitLower)
            ? new ArtifactDigest("sha256", hex)
            : throw new FormatException($"malformed sha256 digest: 64 lower-case hex digits expected, {hex.Length} characters found");

    public override string ToString() => $"{Algorithm}:{Hex}";
}
