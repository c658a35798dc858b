using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>Proof that the signer's key made the content's signature (client-spec §4.5).</summary>
internal sealed class VerifiedContent
{
    private VerifiedContent(SignedContent content, string check) => (Content, Check) = (content, check);

    public SignedContent Content { get; }

    public string Check { get; }

    /// <param name="logged">Where the log entries name how the signature was made, it was made so.</param>
    public static VerifiedContent Verify(SignedContent content, SignedBytes signed, ProvenSigner signer, IReadOnlyList<LoggedEntry> logged)
    {
        if (content is MessageSignature message)
        {
            signed.RequireStatedDigest(message);
        }

        if (content is SignedEnvelope { PayloadType: not DsseEnvelope.InTotoPayloadType } envelope)
        {
            throw new VerificationException("sig.payload-type", "the envelope does not hold an in-toto statement", DsseEnvelope.InTotoPayloadType, envelope.PayloadType);
        }

        SignatureScheme[] named = [.. logged.Select(entry => entry.Scheme).OfType<SignatureScheme>().Distinct()];
        bool verified = named.Length > 0
            ? named.All(scheme => signed.AreSignedBy(signer.Key, scheme))
            : signed.UnnamedSchemes(signer.Key).Any(scheme => signed.AreSignedBy(signer.Key, scheme));
        return verified
            ? new VerifiedContent(content, signer.Identity is null ? "The signature was made with the policy's key" : "The signature was made with the certificate's key")
            : throw new VerificationException("sig.invalid", "the signature was not made with the signer's key over this content");
    }
}
