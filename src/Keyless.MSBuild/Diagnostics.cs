using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Keyless.Oci;
using Keyless.Sigstore;

namespace Keyless.MSBuild;

/// <summary>One kind of error or warning: its number, what it means, and what to do about it.</summary>
/// <param name="Number">Four digits; the first says whose matter it is: 1 identity, 2 Sigstore services and trust root,
/// 3 registry, 4 verdicts, 5 configuration.</param>
/// <param name="Sentence">What it means; <c>docs/errors.md</c> repeats it word for word.</param>
/// <param name="Hint">What to do, where one answer fits every case.</param>
internal sealed record DiagnosticKind(int Number, string Sentence, string? Hint = null)
{
    public string Code => string.Create(CultureInfo.InvariantCulture, $"KEYLESS{Number}");
}

/// <summary>Everything that can be wrong.</summary>
internal static class Diagnostics
{
    public static readonly DiagnosticKind NoIdentityToken = new(1001, "There is no identity token.");
    public static readonly DiagnosticKind MalformedIdentityToken = new(1002, "The identity token cannot be read.");
    public static readonly DiagnosticKind ExpiredIdentityToken = new(1003, "The identity token has expired.");
    public static readonly DiagnosticKind ForeignAudience = new(1004, "The identity token is for another audience.");
    public static readonly DiagnosticKind TokenEndpointFailed = new(1005, "The token endpoint gave no identity token.");
    public static readonly DiagnosticKind NoConsent = new(1006, "An identity that may be private would become public.", "set ContainerSigningAcceptPublicLog=true if it may");
    public static readonly DiagnosticKind ForeignSystem = new(1007, "This CI system's identity is not accepted.");

    public static readonly DiagnosticKind ServiceUnreachable = new(2001, "A Sigstore service cannot be reached.", "check its address and the network, then build again");
    public static readonly DiagnosticKind ServiceRefused = new(2002, "A Sigstore service refused.");
    public static readonly DiagnosticKind ServiceNonsense = new(2003, "A Sigstore service answered something unknown.", "check that the address is the service's own and that no proxy answers for it");
    public static readonly DiagnosticKind NoTrustRoot = new(2101, "A trusted root or a signing config is missing.", "set SigstoreSigningConfig, or give SigstoreInstance a ClientTrustConfig that has one");
    public static readonly DiagnosticKind MalformedTrustRoot = new(2102, "The trusted root or the signing config cannot be read.");
    public static readonly DiagnosticKind UntrustedTuf = new(2103, "A TUF repository says something that cannot be trusted.");
    public static readonly DiagnosticKind StaleTuf = new(2104, "The trust root cannot be updated, and what is at hand is not good enough.");
    public static readonly DiagnosticKind OldTrustRoot = new(2105, "The trust root in use is not the newest.");

    public static readonly DiagnosticKind RegistryUnreachable = new(3001, "The registry cannot be reached.", "check its name and the network, then build again");
    public static readonly DiagnosticKind RegistryDenied = new(3002, "The registry denied access.", "log in with docker login, or set DOTNET_CONTAINER_REGISTRY_UNAME and DOTNET_CONTAINER_REGISTRY_PWORD");
    public static readonly DiagnosticKind ImageNotFound = new(3003, "The image is not in the registry.", "check repository, tag and digest; some registries also answer so without a login");
    public static readonly DiagnosticKind RegistryRefused = new(3004, "The registry refused.");
    public static readonly DiagnosticKind RegistryNonsense = new(3005, "The registry answered something unknown.", "check that the address is a registry's and that no proxy answers for it");

    public static readonly DiagnosticKind Unsigned = new(4001, "The image is not signed.");
    public static readonly DiagnosticKind Refused = new(4002, "No signature of the image satisfies the policy.");
    public static readonly DiagnosticKind UnusedTrust = new(4004, "A part of the trusted root is not used.");
    public static readonly DiagnosticKind TooMuch = new(4005, "An image carries more than is looked at.");
    public static readonly DiagnosticKind OwnSignatureRefused = new(4003, "The new signature was not accepted, and not published.");

    public static readonly DiagnosticKind UnknownValue = new(5001, "A property or metadata has a value it cannot have.");
    public static readonly DiagnosticKind UnknownMetadata = new(5002, "An item has metadata nobody reads.");
    public static readonly DiagnosticKind NotYet = new(5003, "This is not built yet.");
    public static readonly DiagnosticKind OldMSBuild = new(5004, "This MSBuild is too old.");
    public static readonly DiagnosticKind NothingToSign = new(5005, "There is nothing to sign.");
    public static readonly DiagnosticKind MalformedReference = new(5006, "An image reference does not parse, or is not enough.");
    public static readonly DiagnosticKind NoRegistry = new(5007, "The image does not go to a registry.", "a signature is kept beside the image in its registry");
    public static readonly DiagnosticKind NoIdentityInPolicy = new(5008, "A policy does not say whom to trust.");
    public static readonly DiagnosticKind Contradiction = new(5009, "Settings contradict each other.");
    public static readonly DiagnosticKind UnknownPolicy = new(5010, "A policy is named that does not exist.");
    public static readonly DiagnosticKind NothingToVerify = new(5011, "There is nothing to verify.");
    public static readonly DiagnosticKind FileFailed = new(5012, "A file cannot be read or written.");
    public static readonly DiagnosticKind AdmitsTooMuch = new(5013, "A pattern admits more than its author may have meant.");
    public static readonly DiagnosticKind Odd = new(5014, "A policy let something pass that its author may not have meant.");
    public static readonly DiagnosticKind UnreadableManifest = new(5015, "A deploy file cannot be read, or does not say which image it means.");
    public static readonly DiagnosticKind Overlooked = new(5016, "A deploy file has a field that looks like an image and is not verified.");

    public static IReadOnlyList<DiagnosticKind> All { get; } =
    [
        NoIdentityToken, MalformedIdentityToken, ExpiredIdentityToken, ForeignAudience, TokenEndpointFailed, NoConsent, ForeignSystem,
        ServiceUnreachable, ServiceRefused, ServiceNonsense, NoTrustRoot, MalformedTrustRoot, UntrustedTuf, StaleTuf, OldTrustRoot,
        RegistryUnreachable, RegistryDenied, ImageNotFound, RegistryRefused, RegistryNonsense,
        Unsigned, Refused, OwnSignatureRefused, UnusedTrust, TooMuch,
        UnknownValue, UnknownMetadata, NotYet, OldMSBuild, NothingToSign, MalformedReference, NoRegistry, NoIdentityInPolicy,
        Contradiction, UnknownPolicy, NothingToVerify, FileFailed, AdmitsTooMuch, Odd, UnreadableManifest, Overlooked,
    ];
}

/// <summary>One error or warning as the build log shows it: a code, and one line that says what was found, what was expected and what to do.</summary>
/// <param name="Text">What was found, what was expected. Strangers' words may be in it.</param>
/// <param name="Position">Where it was asked for, if that is known; else MSBuild points at our targets.</param>
internal sealed partial record Diagnostic(DiagnosticKind Kind, string Text, Position? Position = null)
{
    /// <summary>A log line longer than this hides the build around it; the full story is in the messages.</summary>
    private const int LongestMessage = 2000;

    public string Code => Kind.Code;

    public string Message
    {
        get
        {
            string text = Kind.Hint is null || Text.Contains(Kind.Hint, StringComparison.Ordinal) ? Text : $"{Text}; {Kind.Hint}";
            return $"{OneLine(text)} (docs/errors.md#{Code.ToLowerInvariant()})";
        }
    }

    /// <summary>Null until the project has a page on the web: file links render badly.</summary>
    public static string? HelpLink => null;

    /// <summary>What the person reading the build log can do something about; null for a bug, which must look like one.</summary>
    public static Diagnostic? From(Exception e)
    {
        Diagnostic? known = Of(e);
        return known is not null && Retries.TriesOf(e) is { } tries ? known with { Text = $"{known.Text}; {tries}" } : known;
    }

    private static Diagnostic? Of(Exception e) => e switch
    {
        ConfigurationException configuration => new(configuration.Kind, e.Message, configuration.Position),
        IdentityException identity => new(identity.Failure switch
        {
            IdentityFailure.Missing => Diagnostics.NoIdentityToken,
            IdentityFailure.Malformed => Diagnostics.MalformedIdentityToken,
            IdentityFailure.Expired => Diagnostics.ExpiredIdentityToken,
            IdentityFailure.ForeignAudience => Diagnostics.ForeignAudience,
            IdentityFailure.MayBePrivate => Diagnostics.NoConsent,
            IdentityFailure.ForeignSystem => Diagnostics.ForeignSystem,
            _ => Diagnostics.TokenEndpointFailed,
        }, e.Message),
        ServiceException service => new(service.Failure switch
        {
            ServiceFailure.Unreachable or ServiceFailure.TooLate => Diagnostics.ServiceUnreachable,
            ServiceFailure.Refused or ServiceFailure.AlreadyLogged => Diagnostics.ServiceRefused,
            _ => Diagnostics.ServiceNonsense,
        }, e.Message),
        TufException { Failure: TufFailure.Stale } stale => new(Diagnostics.StaleTuf, stale.Message),
        TufException tuf => new(Diagnostics.UntrustedTuf, tuf.Message),
        RegistryException registry => new(registry.Failure switch
        {
            RegistryFailure.Unreachable => Diagnostics.RegistryUnreachable,
            RegistryFailure.Unauthorized => Diagnostics.RegistryDenied,
            RegistryFailure.NotFound => Diagnostics.ImageNotFound,
            RegistryFailure.Refused => Diagnostics.RegistryRefused,
            _ => Diagnostics.RegistryNonsense,
        }, e.Message),
        // Outside ImageVerifier, which turns verdicts into lines of their own, only the signer's check of its own work says no.
        VerificationException no => new(Diagnostics.OwnSignatureRefused, $"the new signature was not accepted ({no.Reason}) and not published: {e.Message}"),
        _ => null,
    };

    /// <summary>
    /// Text that may hold a stranger's words, as part of one log line: nothing that ends the line, steers a terminal, turns the writing direction,
    /// or commands the CI system that reads the log (Azure Pipelines obeys <c>##vso[</c> wherever it stands in a line), and no token.
    /// </summary>
    public static string OneLine(string text)
    {
        var line = new StringBuilder(text.Length);
        foreach (Rune c in Login().Replace(Token().Replace(text, "[token]"), "[login]@").EnumerateRunes())
        {
            if (line.Length >= LongestMessage)
            {
                return line.Append('…').ToString();
            }

            bool harmless = Rune.GetUnicodeCategory(c)
                is not (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator);
            bool commands = c.Value == '#' && line.Length > 0 && line[^1] == '#';
            line.Append(harmless && !commands ? c.ToString() : c.IsBmp ? $"\\u{c.Value:x4}" : $"\\U{c.Value:x8}");
        }
        return line.ToString();
    }

    // Somebody may write a token where a path or a name belongs; it must not be repeated.
    [GeneratedRegex(@"eyJ[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*)*", RegexOptions.CultureInvariant)]
    private static partial Regex Token();

    // user:password@host, where an image reference belongs; name:tag@sha256:… is none.
    [GeneratedRegex(@"[^\s/'""@]+:[^\s/'""@]+@(?!sha256:|sha512:)", RegexOptions.CultureInvariant)]
    private static partial Regex Login();
}

/// <summary>The project asks for something that cannot be, or is not built yet. The person who wrote the project can change it.</summary>
internal sealed class ConfigurationException(DiagnosticKind kind, string message, Exception? inner = null) : Exception(message, inner)
{
    public DiagnosticKind Kind { get; } = kind;

    /// <summary>Where the project asks for it; null where that is not known.</summary>
    public Position? Position { get; init; }

    /// <summary>The same, said to be there; where that is known already, it stays.</summary>
    public ConfigurationException At(Position? position) => Position is not null || position is null ? this : new ConfigurationException(Kind, Message, this) { Position = position };
}
