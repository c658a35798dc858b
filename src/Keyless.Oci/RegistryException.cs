using System.Globalization;
using System.Net;
using System.Text;
using System.Text.RegularExpressions;

namespace Keyless.Oci;

/// <summary>Why a registry did not do its part, by what can be done about it.</summary>
public enum RegistryFailure
{
    /// <summary>No connection, no answer in time, or an answer of overload or breakdown (408, 425, 429, 5xx): it may work later.</summary>
    Unreachable,

    /// <summary>401 or 403, or credentials that cannot be read: log in, or get the permission.</summary>
    Unauthorized,

    /// <summary>404: no such image, tag, blob or repository, or none that these credentials may see.</summary>
    NotFound,

    /// <summary>The registry understood and said no.</summary>
    Refused,

    /// <summary>The answer is not what distribution-spec allows, or not what was asked for: wrong bytes, wrong type, a forbidden address.</summary>
    Nonsense,

    /// <summary>More bytes, entries or pages than any honest answer has.</summary>
    TooLarge,
}

/// <summary>
/// A registry did not do its part. The message is one line without query strings, headers or tokens:
/// <c>GET https://host/v2/app/manifests/1.0 → 404 MANIFEST_UNKNOWN: manifest unknown</c>.
/// </summary>
public sealed partial class RegistryException : Exception
{
    internal RegistryException(RegistryFailure failure, string message, HttpStatusCode? status = null, Exception? inner = null)
        : base(message, inner) => (Failure, Status) = (failure, status);

    public RegistryFailure Failure { get; }

    /// <summary>The status of the answer, where there was one.</summary>
    public HttpStatusCode? Status { get; }

    /// <summary>Whether the same request may succeed later. A name that nobody knows and a certificate that nobody trusts get no better by waiting.</summary>
    public bool IsTransient { get; init; }

    /// <summary>How long the registry asks to be left alone (<c>Retry-After</c>); null where it does not say.</summary>
    public TimeSpan? RetryAfter { get; init; }

    internal static RegistryFailure FailureOf(HttpStatusCode status) => status switch
    {
        HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => RegistryFailure.Unauthorized,
        HttpStatusCode.NotFound => RegistryFailure.NotFound,
        HttpStatusCode.RequestTimeout or (HttpStatusCode)425 or HttpStatusCode.TooManyRequests or >= HttpStatusCode.InternalServerError => RegistryFailure.Unreachable,
        HttpStatusCode.RequestEntityTooLarge => RegistryFailure.TooLarge,
        _ => RegistryFailure.Refused,
    };

    /// <summary>A request as it may be shown: storage addresses carry their signature in the query, so that never appears.</summary>
    internal static string Describe(HttpMethod method, Uri uri) =>
        OneLine($"{method} {uri.Scheme}://{uri.Authority}{uri.AbsolutePath}", 2 * Limits.ErrorText);

    /// <summary>Text of a stranger in quotes, for the middle of a message.</summary>
    internal static string Quote(string text) => $"\"{OneLine(text, Limits.ErrorText)}\"";

    /// <summary>
    /// Text of a stranger as part of one log line: no control or format characters (terminals obey them, logs split at them, bidirectional
    /// overrides hide them), nothing shaped like a token.
    /// </summary>
    internal static string OneLine(string text, int longest)
    {
        // Cut before the expressions run over it, and once more after the escapes made it longer.
        string redacted = Secret().Replace(text.Length > 8 * longest ? text[..(8 * longest)] : text, "[redacted]");
        var line = new StringBuilder();
        foreach (char c in redacted)
        {
            if (line.Length >= longest)
            {
                return line.Append('…').ToString();
            }

            bool harmless = char.GetUnicodeCategory(c)
                is not (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
                    or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned);
            line.Append(harmless ? c : $"\\u{(int)c:x4}");
        }
        return line.ToString();
    }

    [GeneratedRegex(@"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*)?|\b(Bearer|Basic)\s+[A-Za-z0-9+/=._~-]{8,}|(?<=[?&](X-Amz-Signature|sig|token|code)=)[^&\s]+", RegexOptions.CultureInvariant | RegexOptions.IgnoreCase)]
    private static partial Regex Secret();
}
