using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>The verdict "no": do not trust this signature.</summary>
public sealed class VerificationException : Exception
{
    internal const string KeyWithoutKey = "policy.key-without-key", CertificateWithoutIdentity = "policy.certificate-without-identity";

    private static readonly string[] Steps = ["bundle", "root", "time", "cert", "sct", "tlog", "sig", "subject", "policy"];

    /// <param name="reason">The slug of the clause that refused.</param>
    /// <param name="statement">What is wrong, in one sentence without the values.</param>
    /// <param name="expected">What the clause asks for. Shown as it is given.</param>
    /// <param name="found">What was there; strangers' text, escaped and cut here.</param>
    public VerificationException(string reason, string statement, string? expected = null, string? found = null, Exception? inner = null)
        : base(Sentence(statement, expected, found), inner)
    {
        Reason = reason;
        Expected = expected is null ? null : Shown.Of(expected);
        Found = found is null ? null : Shown.Of(found);
    }

    /// <summary>The step that said no: the first word of <see cref="Reason"/>, one of <c>bundle</c>, <c>root</c>,
    /// <c>time</c>, <c>cert</c>, <c>sct</c>, <c>policy</c>, <c>tlog</c>, <c>sig</c>, <c>subject</c>.</summary>
    public string Step => Reason[..Reason.IndexOf('.', StringComparison.Ordinal)];

    /// <summary>
    /// How far a signature came: the place of <see cref="Step"/> among the steps of a verification, in their order. That a key signed where the
    /// policy names an identity, or the other way round, is seen before anything is proven, although it is the policy that asks for it.
    /// </summary>
    public int Progress => Array.IndexOf(Steps, Reason is KeyWithoutKey or CertificateWithoutIdentity ? "bundle" : Step);

    /// <summary>The stable slug of the refused clause, for example <c>tlog.inclusion</c>.</summary>
    public string Reason { get; }

    public string? Expected { get; }

    public string? Found { get; }

    /// <summary>Who signed, once the certificate was proven; null where the refusal came before that.</summary>
    public CertificateIdentity? Signer { get; internal set; }

    /// <summary>When it was signed, once that was proven.</summary>
    public DateTimeOffset? SignedAt { get; internal set; }

    /// <summary>Turns what a pure reader refuses into the verdict of the clause that asked for it.</summary>
    internal static T Reading<T>(string reason, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (FormatException e)
        {
            throw new VerificationException(reason, e.Message, inner: e);
        }
    }

    private static string Sentence(string statement, string? expected, string? found) => (expected, found) switch
    {
        (null, null) => statement,
        ({ } want, null) => $"{statement}: expected {Shown.Of(want)}",
        (null, { } have) => $"{statement}: found {Shown.Of(have)}",
        ({ } want, { } have) => $"{statement}: expected {Shown.Of(want)}, found {Shown.Of(have)}",
    };
}
