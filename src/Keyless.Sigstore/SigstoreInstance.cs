using System.Text;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>
/// One Sigstore deployment: whom to trust, and where to sign. The two documents belong together; verifying needs the
/// trusted root alone.
/// </summary>
public sealed class SigstoreInstance
{
    private const string MediaType = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json";

    public required TrustedRoot TrustedRoot { get; init; }

    /// <summary>Other deployments whose signatures count when verifying (a trusted root in JSON Lines); each is tried alone.</summary>
    public IReadOnlyList<TrustedRoot> OtherTrustedRoots { get; init; } = [];

    /// <summary>Null where only verifying was asked for.</summary>
    public SigningConfig? SigningConfig { get; init; }

    /// <summary>Reads both documents from one ClientTrustConfig v0.1 (protobuf-specs, sigstore_trustroot.proto).</summary>
    /// <exception cref="FormatException">It, or one of the two in it, is not what it should be.</exception>
    public static SigstoreInstance FromClientTrustConfig(ReadOnlyMemory<byte> json)
    {
        JsonFields config = JsonFields.Parse(json, "client trust config", 2 * Limits.TrustDocumentBytes);
        string mediaType = config.RequiredText("mediaType");
        return mediaType == MediaType
            ? FromFiles(Bytes(config.RequiredObject("trustedRoot")), config.Object("signingConfig") is { } signing ? Bytes(signing) : null)
            : throw new FormatException($"not a client trust config: media type {MediaType} expected, \"{Shown.Of(mediaType)}\" found");
    }

    /// <param name="signingConfig">Null where only verifying is asked for.</param>
    /// <exception cref="FormatException">One of the documents is not what it should be.</exception>
    public static SigstoreInstance FromFiles(byte[] trustedRoot, byte[]? signingConfig) => new()
    {
        TrustedRoot = TrustedRoot.Parse(trustedRoot),
        SigningConfig = signingConfig is null ? null : SigningConfig.Parse(signingConfig),
    };

    private static byte[] Bytes(JsonFields document) => Encoding.UTF8.GetBytes(document.Raw());
}
