using System.Formats.Asn1;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Keyless.Sandbox;

/// <summary>What Fulcio writes into a certificate about the holder of a token: the name, and the extensions under 1.3.6.1.4.1.57264.1.</summary>
internal static class LeafExtensions
{
    private const string Arc = "1.3.6.1.4.1.57264.1.";

    /// <summary>The subject alternative name, critical because the subject is empty (RFC 5280 §4.2.1.6).</summary>
    /// <exception cref="FormatException">The token names nobody.</exception>
    public static X509Extension SubjectAlternativeName(JsonObject claims, string gitHubServer)
    {
        gitHubServer = Server(claims, gitHubServer);
        (int tag, string name) = Subject(claims, gitHubServer);
        if (!Ascii.IsValid(name))
        {
            throw new FormatException("the subject of the token is not ASCII, so no certificate can name it");
        }

        var san = new AsnWriter(AsnEncodingRules.DER);
        using (san.PushSequence())
        {
            san.WriteCharacterString(UniversalTagNumber.IA5String, name, new Asn1Tag(TagClass.ContextSpecific, tag));
        }

        return new X509Extension("2.5.29.17", san.Encode(), critical: true);
    }

    /// <summary>The text that a proof of possession is signed over: the e-mail address if the token has one, else its subject.</summary>
    public static string Challenge(JsonObject claims) => Text(claims, "email") ?? Required(claims, "sub");

    /// <summary>The issuer for everybody and, for a workflow of GitHub, all that its token says about the run.</summary>
    public static IEnumerable<X509Extension> About(JsonObject claims, string gitHubServer)
    {
        bool gitHub = Text(claims, "job_workflow_ref") is not null;
        gitHubServer = Server(claims, gitHubServer);
        string? repository = Prefixed($"{gitHubServer}/", Text(claims, "repository"));
        (int Number, string? Value)[] values =
        [
            (1, Issuer(claims)),
            (2, OfGitHub("event_name")),
            (3, OfGitHub("sha")),
            (4, OfGitHub("workflow")),
            (5, OfGitHub("repository")),
            (6, OfGitHub("ref")),
            (8, Issuer(claims)),
            (9, Prefixed($"{gitHubServer}/", OfGitHub("job_workflow_ref"))),
            (10, OfGitHub("job_workflow_sha")),
            (11, OfGitHub("runner_environment")),
            (12, gitHub ? repository : null),
            (13, OfGitHub("sha")),
            (14, OfGitHub("ref")),
            (15, OfGitHub("repository_id")),
            (16, Prefixed($"{gitHubServer}/", OfGitHub("repository_owner"))),
            (17, OfGitHub("repository_owner_id")),
            (18, Prefixed($"{gitHubServer}/", OfGitHub("workflow_ref"))),
            (19, OfGitHub("workflow_sha")),
            (20, OfGitHub("event_name")),
            (21, OfGitHub("run_id") is { } run && OfGitHub("run_attempt") is { } attempt ? $"{repository}/actions/runs/{run}/attempts/{attempt}" : null),
            (22, OfGitHub("repository_visibility")),
            (23, OfGitHub("environment")),
            (24, gitHub ? Text(claims, "sub") : null),
        ];
        return from value in values where value.Value is not null select Extension(value.Number, value.Value);

        string? OfGitHub(string claim) => gitHub ? Text(claims, claim) : null;
    }

    /// <summary>Up to number 6 the value is the bare text; from 8 on it is a DER UTF8String.</summary>
    public static X509Extension Extension(int number, string value)
    {
        if (number <= 6)
        {
            return new X509Extension(Arc + number, Encoding.UTF8.GetBytes(value), critical: false);
        }

        var text = new AsnWriter(AsnEncodingRules.DER);
        text.WriteCharacterString(UniversalTagNumber.UTF8String, value);
        return new X509Extension(Arc + number, text.Encode(), critical: false);
    }

    // A login that others stand behind names them (fulcio, IssuerClaim "$.federated_claims.connector_id").
    private static string Issuer(JsonObject claims) =>
        claims["federated_claims"] is JsonObject federated && Text(federated, "connector_id") is { } connector ? connector : Required(claims, "iss");

    // An Enterprise Server is its own issuer, below its own name.
    private static string Server(JsonObject claims, string gitHubServer) =>
        Text(claims, "iss") is { } issuer && issuer.EndsWith(OidcPlaces.EnterpriseServerPath, StringComparison.Ordinal) ? issuer[..^OidcPlaces.EnterpriseServerPath.Length] : gitHubServer;

    // GeneralName: rfc822Name is [1], uniformResourceIdentifier is [6].
    private static (int Tag, string Name) Subject(JsonObject claims, string gitHubServer)
    {
        if (Text(claims, "job_workflow_ref") is { } workflow)
        {
            return (6, $"{gitHubServer}/{workflow}");
        }

        if (Text(claims, "ci_config_ref_uri") is { } pipeline)
        {
            return (6, $"https://{pipeline}");
        }

        // Fulcio decides by the kind of issuer that its configuration names (fulcio, docs/oidc.md); here each kind has claims of its own.
        if (Text(claims, "organization_slug") is { } organization && Text(claims, "pipeline_slug") is { } slug)
        {
            return (6, $"https://buildkite.com/{organization}/{slug}");
        }

        if (claims["kubernetes.io"] is JsonObject cluster && cluster["serviceaccount"] is JsonObject account)
        {
            return (6, $"https://kubernetes.io/namespaces/{Required(cluster, "namespace")}/serviceaccounts/{Required(account, "name")}");
        }

        if (Text(claims, "email") is { } email)
        {
            return Text(claims, "email_verified") == "true" ? (1, email) : throw new FormatException("the e-mail address of the token is not verified");
        }

        return (6, Required(claims, "sub"));
    }

    private static string Required(JsonObject claims, string claim) => Text(claims, claim) ?? throw new FormatException($"the token has no {claim} claim");

    /// <summary>A claim as text; issuers differ in whether numbers and booleans are quoted.</summary>
    private static string? Text(JsonObject claims, string claim) => claims[claim] switch
    {
        null => null,
        JsonValue value when value.GetValueKind() == JsonValueKind.String => value.GetValue<string>() is { Length: > 0 } text ? text : null,
        JsonValue value => value.ToJsonString(),
        _ => throw new FormatException($"the {claim} claim is not a plain value"),
    };

    private static string? Prefixed(string prefix, string? text) => text is null ? null : prefix + text;
}
