using System.Security.Cryptography;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>A statement that a proven certificate's key has signed (client-spec §4.5): only an opened envelope has one.</summary>
public sealed class VerifiedStatement
{
    private readonly Statement statement;
    private Artifact? artifact;

    private VerifiedStatement(Statement statement) => this.statement = statement;

    public string PredicateType => statement.PredicateType;

    /// <summary>The annotations of the subject that the artifact matched; strings only. Of several such subjects, what all say.</summary>
    public IReadOnlyDictionary<string, string> Annotations { get; private set; } = new Dictionary<string, string>();

    internal IEnumerable<string> Checks =>
    [
        $"The statement is about {artifact} and of type {Shown.Of(PredicateType)}",
    ];

    /// <param name="signed">Proof that the envelope's signature is the signer's, and that it holds a statement.</param>
    internal static VerifiedStatement Open(VerifiedContent signed) =>
        new(VerificationException.Reading("subject.statement", () => Statement.Parse(((SignedEnvelope)signed.Content).Payload)));

    /// <summary>One of the subjects must be this artifact, by digest; a name is never compared.</summary>
    internal void MustBeAbout(Artifact wanted)
    {
        StatementSubject[] matches = [.. statement.Subjects.Where(subject => Matches(subject, wanted))];
        if (matches.Length == 0)
        {
            throw new VerificationException("subject.digest", "the signature is about another artifact", wanted.ToString(), string.Join(", ", statement.Subjects.Take(3)));
        }

        artifact = wanted;
        // The order of subjects means nothing, so neither may which of them comes first.
        Annotations = matches.Select(match => match.Annotations.AsEnumerable()).Aggregate((all, next) => all.Intersect(next)).ToDictionary();
    }

    // One digest is enough, and none may contradict it.
    private static bool Matches(StatementSubject subject, Artifact artifact)
    {
        bool[] comparable =
        [
            .. subject.Digests.Select(digest => (Claimed: digest.Value, Own: artifact.Digest(new HashAlgorithmName(digest.Key.ToUpperInvariant()))))
                .Where(digest => digest.Own is not null)
                .Select(digest => digest.Claimed.AsSpan().SequenceEqual(digest.Own)),
        ];
        return comparable.Length > 0 && comparable.All(equal => equal);
    }
}
