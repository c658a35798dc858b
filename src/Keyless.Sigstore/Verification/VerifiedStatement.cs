using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>A statement that a proven certificate's key has signed (client-spec §4.5): only an opened envelope has one.</summary>
public sealed class VerifiedStatement
{
    private readonly Statement statement;
    private ArtifactDigest? artifact;

    private VerifiedStatement(Statement statement) => this.statement = statement;

    public string PredicateType => statement.PredicateType;

    /// <summary>The annotations of the subject that the artifact matched; strings only. Of several such subjects, what all say.</summary>
    public IReadOnlyDictionary<string, string> Annotations { get; private set; } = new Dictionary<string, string>();

    internal IEnumerable<string> Checks =>
    [
        "The signature over the statement was made with the certificate's key",
        $"The statement is about {artifact} and of type {Shown.Of(PredicateType)}",
    ];

    internal static VerifiedStatement Open(SignedEnvelope envelope, SigningCertificate signer)
    {
        if (envelope.PayloadType != DsseEnvelope.InTotoPayloadType)
        {
            throw new VerificationException("sig.payload-type", "the envelope does not hold an in-toto statement", DsseEnvelope.InTotoPayloadType, envelope.PayloadType);
        }

        byte[] signed = DsseEnvelope.PreAuthenticationEncoding(envelope.PayloadType, envelope.Payload);
        return signer.Key.Verifies(signed, envelope.Signature, signer.Key.DefaultHash)
            ? new VerifiedStatement(VerificationException.Reading("subject.statement", () => Statement.Parse(envelope.Payload)))
            : throw new VerificationException("sig.invalid", "the signature over the statement was not made with the certificate's key");
    }

    /// <summary>One of the subjects must be this artifact, by digest; a name is never compared.</summary>
    internal void MustBeAbout(ArtifactDigest wanted)
    {
        byte[] digest = Convert.FromHexString(wanted.Hex);
        StatementSubject[] matches =
        [
            .. statement.Subjects.Where(subject => subject.Digests.TryGetValue(wanted.Algorithm, out byte[]? found) && found.AsSpan().SequenceEqual(digest)),
        ];
        if (matches.Length == 0)
        {
            throw new VerificationException("subject.digest", "the signature is about another artifact", wanted.ToString(), string.Join(", ", statement.Subjects.Take(3)));
        }

        artifact = wanted;
        // The order of subjects means nothing, so neither may which of them comes first.
        Annotations = matches.Select(match => match.Annotations.AsEnumerable()).Aggregate((all, next) => all.Intersect(next)).ToDictionary();
    }
}
