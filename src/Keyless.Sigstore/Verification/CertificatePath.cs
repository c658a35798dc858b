using System.Globalization;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>
/// What RFC 5280 §6.1 asks of the certificates above a leaf, for chains of at most four certificates that the trusted root gives
/// in order. The platform's chain engine is not asked: it looks in the machine's stores and answers differently on each system.
/// </summary>
internal static class CertificatePath
{
    public const string CodeSigning = "1.3.6.1.5.5.7.3.3";
    public const string TimeStamping = "1.3.6.1.5.5.7.3.8";
    public const string AnyUsage = "2.5.29.37.0";

    // Critical extensions whose meaning is honoured here. One that is not in the list is a refusal (RFC 5280 §4.2).
    private static readonly string[] Understood = ["2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.37"];

    /// <summary>The authorities above a leaf, its issuer first, each allowed to issue what stands below it at that moment.</summary>
    /// <exception cref="FormatException">One of them was not.</exception>
    public static void RequireAuthorities(IReadOnlyList<Certificate> authorities, string usage, DateTimeOffset moment)
    {
        if (authorities.Count + 1 > Limits.PathDepth)
        {
            throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"a path of {authorities.Count + 1} certificates, at most {Limits.PathDepth} are followed"));
        }

        for (int below = 0; below < authorities.Count; below++)
        {
            Certificate authority = authorities[below];
            string name = Certificate.ShowName(authority.Subject);
            (bool isAuthority, int? pathLength) = authority.BasicConstraints();
            IReadOnlyList<string> usages = authority.ExtendedKeyUsages();
            RequireUnderstood(authority);
            Require(isAuthority, $"{name} is not a certificate authority");
            Require(authority.KeyUsage() is { } keyUsage && keyUsage.HasFlag(KeyUsages.KeyCertSign), $"{name} may not sign certificates");
            Require(pathLength is null || pathLength >= below, $"{name} may not have {below} authorities below it");
            Require(usages.Count == 0 || usages.Contains(usage) || usages.Contains(AnyUsage), $"{name} is not for this use");
            Require(IsValidAt(authority, moment), $"{name} was not valid at {Shown.Of(moment)}");
        }
    }

    public static void RequireUnderstood(Certificate certificate)
    {
        if (certificate.Extensions.FirstOrDefault(extension => extension.Critical && !Understood.Contains(extension.Oid)) is { } unknown)
        {
            throw new FormatException($"critical extension {unknown.Oid} is not understood");
        }
    }

    /// <summary>RFC 5280 §4.1.2.5: inclusive at both ends.</summary>
    public static bool IsValidAt(Certificate certificate, DateTimeOffset moment) =>
        moment >= certificate.NotBefore && moment <= certificate.NotAfter;

    private static void Require(bool met, string otherwise)
    {
        if (!met)
        {
            throw new FormatException(otherwise);
        }
    }
}
