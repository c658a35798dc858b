using System.Globalization;
using System.Text;
using Keyless.Sigstore;

namespace Keyless.MSBuild;

/// <summary>Verdicts in words: one line for an error, a line for each signature, and a file that has it all.</summary>
internal static class VerdictText
{
    /// <summary>notaryproject/specifications, "OCI Signatures": the artifact type of a signature's manifest.</summary>
    private const string NotarySignature = "application/vnd.cncf.notary.signature";

    /// <summary>The image as asked, and the digest that it was.</summary>
    public static string Name(ImageVerdict verdict) =>
        verdict.Image.Digest == verdict.Digest ? verdict.Image.Text : $"{verdict.Image} ({verdict.Digest})";

    /// <summary>Why an image does not count as verified; null where it does.</summary>
    /// <param name="verdicts">Of the image, and of what is in it.</param>
    public static Diagnostic? Problem(ImageToVerify image, IReadOnlyList<ImageVerdict> verdicts)
    {
        ImageVerdict[] refused = [.. verdicts.Where(verdict => verdict.Quorum is null)];
        if (refused.Length == 0)
        {
            return null;
        }

        string others = refused.Length == 1 ? "" : string.Create(CultureInfo.InvariantCulture, $"; {refused.Length - 1} more of its manifests are refused");
        return new Diagnostic(refused[0].Refusal is null ? Diagnostics.Unsigned : Diagnostics.Refused, $"{image.Role}{Refusal(refused[0])}{others}{string.Concat(refused[0].Hints.Select(hint => $"; {hint}"))}", image.Position);
    }

    /// <summary>Why an image is refused: by the refusal that came nearest.</summary>
    public static string Refusal(ImageVerdict verdict)
    {
        SignatureVerdict? nearest = verdict.Signatures.FirstOrDefault(signature => ReferenceEquals(signature.Refusal, verdict.Refusal));
        return (verdict.Refusal, nearest) switch
        {
            (null, _) => $"{Name(verdict)} is not signed: its registry has no Sigstore bundle attached to it, and no signature of cosign's older forms{Others(verdict)}",
            ({ } all, null) => $"{Name(verdict)}: {all.Message} ({all.Reason})",
            ({ } refusal, _) => $"{Name(verdict)}: {Count(verdict.Signatures.Count)} ({nearest.Format}){By(refusal.Signer)} is refused ({refusal.Reason}): {refusal.Message}",
        };
    }

    /// <summary>Signed all the same, by another standard: Microsoft's own images are. Empty where that is not so.</summary>
    private static string Others(ImageVerdict verdict) => verdict.OtherReferrers.Contains(NotarySignature)
        ? "; it has Notary Project signatures, which Keyless.MSBuild does not verify: verify it with notation and name it by its digest, or copy it into a registry of yours and sign it there"
        : "";

    /// <summary>What became of one signature.</summary>
    public static string Line(SignatureVerdict signature) => signature.Refusal is { } refusal
        ? $"{signature.Format} signature {signature.Reference}{By(refusal.Signer)}{At(refusal.SignedAt)} refused at {refusal.Step} ({refusal.Reason}): {refusal.Message}"
        : $"{signature.Format} signature {signature.Reference} {Accepted(signature.Accepted[0].Signature)} accepted, one signer of those that are needed";

    /// <summary>The item that would accept a signature which is refused for its signer alone; null for every other: what is not proven is nobody's.</summary>
    public static string? Suggestion(ImageVerdict verdict, SignatureVerdict signature)
    {
        if (!signature.ForItsSignerAlone || verdict.Policy.MinSignatures > 1 || signature.Refusal?.Signer is not { } signer)
        {
            return null;
        }

        string metadata = $"CertificateIdentity=\"{Quoted.Attribute(signer.Subject)}\" CertificateOidcIssuer=\"{Quoted.Attribute(signer.Issuer)}\"";
        return verdict.Policy.Name is { } name
            ? $"to trust this signer, if that is who should sign: <ContainerTrustPolicy Include=\"{Quoted.Attribute(name)}\" {metadata} />"
            : $"to trust this signer, if that is who should sign, the item says: {metadata}";
    }

    public static string Accepted(VerifiedSignature signature) => $"by {signature.SignedBy}{At(signature.SignedAt)}";

    /// <summary>Every signature of these images.</summary>
    public static byte[] Write(IEnumerable<ImageVerdict> verdicts)
    {
        var text = new StringBuilder();
        foreach (ImageVerdict verdict in verdicts)
        {
            Append(text, $"{Refusal(verdict)}");
            Append(text, verdict.Policy.Name is { } policy ? $"policy {policy}" : "policy of the item itself");
            foreach ((int i, SignatureVerdict signature) in verdict.Signatures.Index())
            {
                text.Append('\n');
                Append(text, signature, i + 1);
                if (Suggestion(verdict, signature) is { } suggestion)
                {
                    Append(text, $"   {suggestion}");
                }
            }

            text.Append("\n\n");
        }

        return Encoding.UTF8.GetBytes(text.ToString());
    }

    private static void Append(StringBuilder text, SignatureVerdict signature, int number)
    {
        VerifiedSignature? accepted = signature.Accepted.Count > 0 ? signature.Accepted[0].Signature : null;
        VerificationException? refusal = signature.Refusal;
        CertificateIdentity? signer = accepted?.Signer ?? refusal?.Signer;
        DateTimeOffset? moment = accepted?.SignedAt ?? refusal?.SignedAt;
        Append(text, string.Create(CultureInfo.InvariantCulture, $"{number}. {signature.Format} {signature.Reference}"));
        Append(text, $"   signed by  {signer?.ToString() ?? accepted?.SignedBy ?? "not proven"}");
        Append(text, $"   signed at  {(moment is null ? "not proven" : VerificationReport.Format(moment))}");
        if (refusal is null)
        {
            Append(text, "   accepted");
            return;
        }

        Append(text, $"   refused at {refusal.Step} ({refusal.Reason})");
        Append(text, $"   because    {refusal.Message}");
        Append(text, $"   expected   {refusal.Expected ?? "-"}");
        Append(text, $"   found      {refusal.Found ?? "-"}");
    }

    private static void Append(StringBuilder text, string line) => text.Append(Diagnostic.OneLine(line)).Append('\n');

    private static string Count(int signatures) => signatures == 1
        ? "no signature satisfies the policy; the only one found"
        : string.Create(CultureInfo.InvariantCulture, $"none of {signatures} signatures satisfies the policy; the nearest");

    private static string By(CertificateIdentity? signer) => signer is null ? "" : $" by {signer.Subject}";

    private static string At(DateTimeOffset? moment) => moment is null ? "" : $" at {VerificationReport.Format(moment)}";
}
