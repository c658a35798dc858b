using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>A simple-signing payload under a proven signature (containers/image, docs/containers-signature.5.md).</summary>
internal sealed class VerifiedPayload
{
    private const string Type = "cosign container image signature";

    private readonly string digest;

    private VerifiedPayload(string digest, string reference, IReadOnlyDictionary<string, string> annotations)
    {
        this.digest = digest;
        Reference = reference;
        Annotations = annotations;
        Check = $"The payload is a {Type} and about {Shown.Of(digest)}; it names the image {Shown.Of(reference)}, which is not compared";
    }

    /// <summary>Of the part that the signer may fill; strings only.</summary>
    public IReadOnlyDictionary<string, string> Annotations { get; }

    /// <summary>What the signer says the image was called. Never compared: an image has many names.</summary>
    public string Reference { get; }

    public string Check { get; }

    public static VerifiedPayload Open(VerifiedContent signed, SimpleSignature signature) => VerificationException.Reading("sig.payload", () =>
    {
        if (signed.Content.Signature != signature.Signature)
        {
            throw new FormatException("the payload is another signature's");
        }

        using JsonFields payload = JsonFields.Parse(signature.Payload.Content!.Value, "payload", SimpleSignature.LargestPayload);
        JsonFields critical = payload.RequiredObject("critical");
        JsonFields image = critical.RequiredObject("image");
        JsonFields identity = critical.RequiredObject("identity");
        string type = critical.RequiredText("type");
        if (type != Type)
        {
            throw new VerificationException("sig.payload", "the payload is of another type", Type, type);
        }

        var opened = new VerifiedPayload(
            image.RequiredText("docker-manifest-digest"), identity.RequiredText("docker-reference"), payload.StringsOf("optional", Limits.Subjects));
        // What is critical and not understood must be refused; the optional part is the signer's own.
        foreach (JsonFields closed in new[] { image, identity, critical, payload })
        {
            closed.NoOthers();
        }

        return opened;
    });

    public void MustBeAbout(ArtifactDigest image)
    {
        if (!string.Equals(digest, image.ToString(), StringComparison.Ordinal))
        {
            throw new VerificationException("sig.payload", "the signature is about another image", image.ToString(), digest);
        }
    }
}
