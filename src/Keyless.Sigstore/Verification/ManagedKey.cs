using System.Security.Cryptography;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>A public key that the policy names, as teams hold one that sign without certificates (<c>PublicKey</c>). The policy is the proof.</summary>
public sealed class ManagedKey
{
    private ManagedKey(VerificationKey key) => Signer = new KeySigner(key);

    /// <summary><c>sha256:</c> and the hash of the SubjectPublicKeyInfo, lower-case hex.</summary>
    public string Fingerprint => $"sha256:{Convert.ToHexStringLower(SHA256.HashData(Signer.Der))}";

    internal ProvenSigner Signer { get; }

    /// <exception cref="FormatException">Not exactly one PEM public key (RFC 7468 §13) of a kind this client verifies with.</exception>
    public static ManagedKey FromPem(string pem) => new(VerificationKey.FromSpki(
        Pem.TryReadOne(pem, "PUBLIC KEY", out byte[] spki) ? spki : throw new FormatException("malformed public key: exactly one PEM block PUBLIC KEY expected")));

    public override string ToString() => Fingerprint;

    private sealed class KeySigner(VerificationKey key) : ProvenSigner(key.Spki, key)
    {
        public override CertificateIdentity? Identity => null;

        public override string PemLabel => "PUBLIC KEY";

        public override IEnumerable<string> Checks => [];
    }
}
