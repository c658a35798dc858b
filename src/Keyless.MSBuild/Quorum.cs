using System.Globalization;
using Keyless.Sigstore;

namespace Keyless.MSBuild;

/// <summary>Proof that as many different signers as a policy asks for have signed an image.</summary>
internal sealed class Quorum
{
    private Quorum(IReadOnlyList<(string Format, VerifiedSignature Signature)> signatures, int needed)
    {
        Signatures = signatures;
        IEnumerable<string> checks = signatures.SelectMany(signature => signature.Signature.Checks);
        Checks = needed == 1 ? [.. checks] : [.. checks.Distinct(), string.Create(CultureInfo.InvariantCulture, $"Signers: {signatures.Count} different ones, {needed} are needed")];
    }

    /// <summary>One signature for each signer that was needed, in the order in which they were found.</summary>
    public IReadOnlyList<(string Format, VerifiedSignature Signature)> Signatures { get; }

    /// <summary>One sentence for each proof, those of the signatures included.</summary>
    public IReadOnlyList<string> Checks { get; }

    /// <summary>
    /// Counts who signed. With one item of a policy, each signer that satisfies it counts; with several, each item once, by a signer of its own.
    /// What one signer signs more than once, or in several forms, never adds up.
    /// </summary>
    internal sealed class Count
    {
        private readonly int needed;

        // What is to be filled, by the number of its item: one item as often as signers are needed, several once each.
        private readonly int[] places;
        private readonly Signer?[] taken;
        private readonly OrderedDictionary<Signer, Dictionary<int, (string Format, VerifiedSignature Signature)>> signers = [];

        public Count(TrustPolicy policy)
        {
            needed = policy.MinSignatures;
            places = policy.Items.Count == 1 ? new int[needed] : [.. Enumerable.Range(0, policy.Items.Count)];
            taken = new Signer?[places.Length];
        }

        /// <summary>The quorum once it is reached; null until then.</summary>
        public Quorum? Reached => taken.Count(signer => signer is not null) >= needed
            ? new Quorum([.. signers.Where(signer => taken.Contains(signer.Key)).Select(signer => signer.Value[places[Array.IndexOf(taken, signer.Key)]])], needed)
            : null;

        public void Add(SignatureVerdict signature)
        {
            foreach ((int item, VerifiedSignature accepted) in signature.Accepted)
            {
                var signer = Signer.Of(accepted);
                signers.TryAdd(signer, []);
                signers[signer].TryAdd(item, (signature.Format, accepted));
            }

            for (int place = 0; place < places.Length; place++)
            {
                if (taken[place] is null)
                {
                    Fill(place, []);
                }
            }
        }

        /// <exception cref="VerificationException">Too few, but some.</exception>
        public VerificationException TooFew => new(
            "policy.min-signatures",
            "too few different signers satisfy the policy",
            string.Create(CultureInfo.InvariantCulture, $"{needed} (MinSignatures)"),
            string.Create(CultureInfo.InvariantCulture, $"{taken.Count(signer => signer is not null)}: {string.Join(", ", signers.Keys.Select(signer => signer.Name))}"));

        /// <summary>
        /// Finds a signer for a place, moving others to other places if need be (an augmenting path): if there is a way to give each place a signer,
        /// it is found, in whatever order the signatures came.
        /// </summary>
        private bool Fill(int place, HashSet<Signer> asked)
        {
            foreach (Signer signer in signers.Where(signer => signer.Value.ContainsKey(places[place])).Select(signer => signer.Key))
            {
                if (!asked.Add(signer))
                {
                    continue;
                }

                int held = Array.IndexOf(taken, signer);
                if (held < 0 || Fill(held, asked))
                {
                    taken[place] = signer;
                    return true;
                }
            }

            return false;
        }
    }

    /// <summary>Who counts as one: a key, or an identity with whoever vouches for it. A workflow is one whatever branch or tag it ran for.</summary>
    private sealed record Signer(string Issuer, string Name)
    {
        private const string Workflows = "/.github/workflows/";

        public static Signer Of(VerifiedSignature signature) => signature.Signer is { } identity
            ? new Signer(identity.Issuer, WithoutRef(identity))
            : new Signer("", signature.SignedBy);

        private static string WithoutRef(CertificateIdentity identity)
        {
            if (identity.Kind != SubjectKind.Uri)
            {
                return identity.Subject;
            }

            int file = identity.Subject.IndexOf(Workflows, StringComparison.Ordinal);
            // GitLab's are group/project//.gitlab-ci.yml@refs/heads/main.
            int at = file < 0 ? identity.Subject.IndexOf("@refs/", StringComparison.Ordinal) : identity.Subject.IndexOf('@', file + Workflows.Length);
            return at < 0 ? identity.Subject : identity.Subject[..at];
        }
    }
}
