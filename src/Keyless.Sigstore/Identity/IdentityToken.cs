using System.Runtime.CompilerServices;
using System.Text.Json;
using Keyless.Sigstore.Formats;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Keyless.Sigstore;

/// <summary>
/// An OpenID Connect token, read far enough to know what Fulcio will certify. Its signature is Fulcio's to verify, not ours;
/// what is refused here is what Fulcio would refuse, before anything leaves this machine.
/// </summary>
/// <remarks>The token itself has no public property, and neither <see cref="ToString"/> nor an exception shows it.</remarks>
public sealed class IdentityToken
{
    /// <summary>The audience of the public instances, and of most private ones.</summary>
    public const string SigstoreAudience = "sigstore";

    private const string GitHubIssuer = "https://token.actions.githubusercontent.com";

    private static readonly string[] AzuresIssuers = ["https://vstoken.dev.azure.com/", "https://login.microsoftonline.com/", "https://sts.windows.net/"];

    // A GitHub token is 2 KiB; one with the groups of a large organisation in it stays under 16.
    internal const int TokenBytes = 16 * 1024;
    private const int ClaimCount = 256;

    private static readonly TimeSpan NeededLife = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Skew = TimeSpan.FromSeconds(60);

    private readonly IReadOnlyDictionary<string, string> claims;
    private readonly DateTimeOffset? notBefore;

    private IdentityToken(string jwt, Content content, string? gitHubServer)
    {
        JsonFields payload = content.Payload;
        Secret = jwt;
        claims = payload.Strings(ClaimCount);
        Issuer = Claim("iss") ?? throw Malformed("it names no issuer (iss)");
        Audience = content.Audience;
        ExpiresAt = Moment(payload, "exp") ?? throw Malformed("it does not say when it expires (exp)");
        notBefore = Moment(payload, "nbf");
        if (Claim("sub") is null && Claim("email") is null)
        {
            throw Malformed("it names nobody (neither sub nor email)");
        }

        ExpectedSubject = Subject(payload, gitHubServer);
        // Dex, the public instance's interactive login, is not the issuer that Fulcio certifies: the one behind it is.
        ExpectedIssuer = payload.Object("federated_claims")?.Text("connector_id") is { Length: > 0 } connector ? connector : Issuer;
    }

    /// <summary>Who made the token: the claim <c>iss</c>.</summary>
    public string Issuer { get; }

    /// <summary>For whom it was made: the claim <c>aud</c>.</summary>
    public IReadOnlyList<string> Audience { get; }

    public DateTimeOffset ExpiresAt { get; }

    /// <summary>The subject alternative name Fulcio will write into the certificate; null where no rule is known for this issuer.</summary>
    public string? ExpectedSubject { get; }

    /// <summary>The issuer Fulcio will write into the certificate.</summary>
    public string ExpectedIssuer { get; }

    /// <summary>
    /// Where the build comes from, as Fulcio's extensions of these numbers say it: repository, commit and ref (fulcio, docs/oid-info.md). Null where
    /// the token does not say.
    /// </summary>
    internal IReadOnlyDictionary<int, string?> ExpectedSource => new Dictionary<int, string?>
    {
        [12] = (Claim("repository") ?? Claim("project_path")) is { } repository && Uri.TryCreate(ExpectedSubject, UriKind.Absolute, out Uri? subject)
            ? $"{subject.GetLeftPart(UriPartial.Authority)}/{repository}"
            : null,
        [13] = Claim("sha"),
        [14] = Claim("ref_path") ?? Claim("ref"),
    };

    /// <summary>For the request to Fulcio, and nowhere else.</summary>
    internal string Secret { get; }

    /// <param name="jwt">A signed JSON web token in compact form (RFC 7519, RFC 7515 §7.1).</param>
    /// <param name="gitHubServer">Base URL of the GitHub server whose workflow this is, where the issuer does not tell: <c>GITHUB_SERVER_URL</c>.</param>
    /// <param name="audience">For whom it must be; null where <see cref="MustBeFor"/> is asked later.</param>
    /// <exception cref="IdentityException">Not a token that Sigstore takes. When it is used its times are looked at as well.</exception>
    public static IdentityToken Parse(string jwt, string? gitHubServer = null, string? audience = SigstoreAudience)
    {
        if (jwt.Length > TokenBytes)
        {
            throw Malformed($"it has {jwt.Length} characters, at most {TokenBytes} are read");
        }

        if (jwt.Count(c => c == '.') != 2 || jwt.StartsWith('.') || jwt.EndsWith('.') || jwt.Contains("..", StringComparison.Ordinal))
        {
            throw Malformed("three parts separated by dots expected (header, claims, signature)");
        }

        // RFC 7515 §7.1: base64url without padding. The token library is more patient than Fulcio, and line breaks would go to it as they are.
        if (!jwt.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.'))
        {
            throw Malformed("it has a character that is not base64url's; one token expected, without line breaks or a byte order mark");
        }

        Content content = Read(jwt);
        if (audience is not null)
        {
            Require(content.Audience, audience);
        }

        try
        {
            return new IdentityToken(jwt, content, gitHubServer);
        }
        catch (FormatException)
        {
            throw Malformed("a claim is not of the kind it should be");
        }
    }

    /// <summary>A claim whose value is a string; null where it is absent, empty, or of another kind.</summary>
    public string? Claim(string name) => claims.GetValueOrDefault(name) is { Length: > 0 } value ? value : null;

    /// <summary>For public instances: they know neither Azure Pipelines nor Entra ID as issuers (fulcio, issues 1803 and others; seen 2026-11).</summary>
    /// <exception cref="IdentityException">It is of one of them.</exception>
    public void MustNotBeAzures()
    {
        if (AzuresIssuers.FirstOrDefault(known => Issuer.StartsWith(known, StringComparison.OrdinalIgnoreCase)) is not null)
        {
            throw new IdentityException(
                IdentityFailure.ForeignSystem,
                $"the identity token is from {Shown.Of(Issuer)}, which public Sigstore instances do not take; sign in another CI system, with a service account's token (SigstoreOidcProvider=file, google or spiffe), or at a private instance");
        }
    }

    /// <param name="audiences">One of them must be among the token's.</param>
    /// <exception cref="IdentityException">It was made for somebody else.</exception>
    public void MustBeFor(params ReadOnlySpan<string> audiences) => Require(Audience, audiences);

    /// <exception cref="IdentityException">It has ended, ends before Fulcio could be asked, or has not begun.</exception>
    public void MustBeUsableAt(DateTimeOffset now)
    {
        string who = $"the identity token from {Shown.Of(Issuer)}";
        if (!IsUsableAt(now))
        {
            string tense = ExpiresAt <= now ? "expired" : "expires";
            throw new IdentityException(
                IdentityFailure.Expired,
                $"{who} {tense} at {Shown.Of(ExpiresAt)}, and it is {Shown.Of(ToTheSecond(now))}; {NeededLife.TotalSeconds:0} s more are needed: get a fresh token right before signing");
        }

        if (notBefore is { } start && start - now > Skew)
        {
            throw new IdentityException(
                IdentityFailure.Expired, $"{who} is not valid before {Shown.Of(start)}, and it is {Shown.Of(ToTheSecond(now))}; is this machine's clock right?");
        }
    }

    // As the claims have it: more digits only hide the difference.
    private static DateTimeOffset ToTheSecond(DateTimeOffset moment) => DateTimeOffset.FromUnixTimeSeconds(moment.ToUnixTimeSeconds());

    /// <summary>Whether it lives long enough to be used.</summary>
    internal bool IsUsableAt(DateTimeOffset now) => ExpiresAt - now >= NeededLife;

    public override string ToString() => $"identity token from {Shown.Of(Issuer)} until {Shown.Of(ExpiresAt)}";

    private static void Require(IReadOnlyList<string> audience, params ReadOnlySpan<string> expected)
    {
        foreach (string one in expected)
        {
            if (audience.Contains(one, StringComparer.Ordinal))
            {
                return;
            }
        }

        string found = audience.Count == 0 ? "none" : string.Join(", ", audience.Take(3).Select(Shown.Of));
        string wanted = string.Join("\" or \"", expected.ToArray().Take(3).Select(Shown.Of));
        throw new IdentityException(
            IdentityFailure.ForeignAudience,
            $"the identity token is for another audience: \"{wanted}\" expected, {found} found; ask the issuer for a token with audience \"{wanted}\"");
    }

    // Fulcio's rules by kind of issuer (fulcio, pkg/identity). A kind that is not here gets what Fulcio gives it.
    private string? Subject(JsonFields payload, string? gitHubServer)
    {
        if (Claim("job_workflow_ref") is { } workflow)
        {
            return GitHubServer(gitHubServer) is { } server ? $"{server}/{workflow}" : null;
        }

        if (Claim("ci_config_ref_uri") is { } configuration)
        {
            return $"https://{configuration}";
        }

        if (Claim("email") is not { } address)
        {
            return null;
        }

        // Some issuers write the boolean as a string.
        bool verified = Claim("email_verified") is { } text ? text == "true" : payload.Boolean("email_verified") == true;
        return verified ? address : throw Malformed("its e-mail address is not verified (email_verified is not true)");
    }

    private string? GitHubServer(string? configured)
    {
        if (Issuer == GitHubIssuer || Issuer.StartsWith(GitHubIssuer + "/", StringComparison.Ordinal))
        {
            return "https://github.com";
        }

        return Uri.TryCreate(configured, UriKind.Absolute, out Uri? server) ? server.GetComponents(UriComponents.SchemeAndServer, UriFormat.UriEscaped) : null;
    }

    // NumericDate (RFC 7519 §2).
    private static DateTimeOffset? Moment(JsonFields payload, string claim) => payload.Int64(claim) switch
    {
        null => null,
        > 253402300799 => throw Malformed($"{claim} is after the year 9999"),
        { } seconds => DateTimeOffset.FromUnixTimeSeconds(seconds),
    };

    // Kept out of line: the token library is loaded when a token is read, not with this type. Its exceptions may quote the
    // token, so they are not kept.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Content Read(string jwt)
    {
        try
        {
            var token = new JsonWebToken(jwt);
            // RFC 8725 §3.1: a token anybody can make says nothing.
            if (string.IsNullOrEmpty(token.Alg) || string.Equals(token.Alg, "none", StringComparison.OrdinalIgnoreCase))
            {
                throw Malformed("it is not signed (alg none)");
            }

            byte[] payload = Base64UrlEncoder.DecodeBytes(token.EncodedPayload);
            return new Content(JsonFields.Parse(payload, "identity token", TokenBytes), [.. token.Audiences]);
        }
        catch (Exception e) when (e is SecurityTokenException or ArgumentException or FormatException or JsonException or InvalidOperationException)
        {
            throw Malformed("not a JSON web token");
        }
    }

    private static IdentityException Malformed(string what) => new(IdentityFailure.Malformed, $"malformed identity token: {what}");

    private sealed record Content(JsonFields Payload, IReadOnlyList<string> Audience);
}
