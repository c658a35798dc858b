namespace Keyless.Sigstore;

/// <summary>Whose key a signature must be of: one that a certificate was issued for, or one that the policy brings along.</summary>
internal abstract class ProvenSigner(byte[] der, VerificationKey key)
{
    /// <summary>Of the certificate, or of the key (SubjectPublicKeyInfo): what log entries repeat.</summary>
    public byte[] Der { get; } = der;

    public VerificationKey Key { get; } = key;

    /// <summary>Null where nobody certified the key.</summary>
    public abstract CertificateIdentity? Identity { get; }

    /// <summary>The label under which PEM carries <see cref="Der"/>.</summary>
    public abstract string PemLabel { get; }

    public abstract IEnumerable<string> Checks { get; }
}
