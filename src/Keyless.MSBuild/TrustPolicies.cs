using Keyless.Sigstore;
using Microsoft.Build.Framework;

namespace Keyless.MSBuild;

/// <summary>Whom one image may be signed by: any of some policies.</summary>
/// <param name="Name">Of the <c>ContainerTrustPolicy</c>; null where the image's own item says it.</param>
/// <param name="Warn">A refusal is a warning (<c>Mode="warn"</c>).</param>
internal sealed record TrustPolicy(string? Name, IReadOnlyList<Policy> Alternatives, bool Warn);

/// <summary>
/// Reads policies from the metadata of items. One that names nobody, or names something nobody reads, is refused: it would trust more than its
/// author meant.
/// </summary>
/// <param name="warn">Told of what is allowed but can hardly be meant.</param>
internal sealed class TrustPolicies(ITaskItem[] named, Action<Diagnostic> warn)
{
    private const string Item = "ContainerImageToVerify";
    private const string PolicyItem = "ContainerTrustPolicy";

    private static readonly string[] Conditions =
    [
        "CertificateIdentity", "CertificateIdentityRegexp", "CertificateOidcIssuer", "CertificateOidcIssuerRegexp",
        "GitHubRepository", "GitHubWorkflow", "GitHubRef", "GitHubTrigger", "GitHubSha", "GitHubRepositoryId", "GitHubOwnerId", "RunnerEnvironment", "GitHubServerUrl",
        "Proofs", "PublicKey", "Annotations", "PredicateType", "MinSignatures", "MaxAge", "Mode",
    ];

    private readonly ILookup<string, ITaskItem> byName = named.ToLookup(item => item.ItemSpec, StringComparer.Ordinal);

    /// <summary>The policy of one image.</summary>
    public TrustPolicy For(ITaskItem image)
    {
        Setting.OnlyMetadata(Item, image, [.. Conditions, "Policy", "Recursive"]);
        Setting.NoEmptyMetadata(Item, image);
        if (Setting.IsTrue($"Recursive of {Item} '{image.ItemSpec}'", image.GetMetadata("Recursive")))
        {
            throw NotYet($"{Item} '{image.ItemSpec}'", "Recursive", "true");
        }

        string name = image.GetMetadata("Policy");
        if (name.Length == 0)
        {
            return new TrustPolicy(null, [Read($"{Item} '{image.ItemSpec}'", image)], ReadWarn($"{Item} '{image.ItemSpec}'", image));
        }

        if (Conditions.FirstOrDefault(condition => image.GetMetadata(condition).Length > 0) is { } own)
        {
            throw new ConfigurationException(Diagnostics.Contradiction, $"{Item} '{image.ItemSpec}' has both Policy='{name}' and {own}; keep one, or put {own} into the {PolicyItem}");
        }

        ITaskItem[] items = [.. byName[name]];
        if (items.Length == 0)
        {
            string known = byName.Count == 0 ? $"there is no {PolicyItem} at all" : $"known are {string.Join(", ", byName.Select(policy => policy.Key))}";
            throw new ConfigurationException(Diagnostics.UnknownPolicy, $"{Item} '{image.ItemSpec}' names the policy '{name}', which no {PolicyItem} has; {known}");
        }
        bool[] modes = [.. items.Select(item => ReadWarn($"{PolicyItem} '{name}'", item)).Distinct()];
        return modes.Length == 1
            ? new TrustPolicy(name, [.. items.Select(item => Read($"{PolicyItem} '{name}'", item))], modes[0])
            : throw new ConfigurationException(Diagnostics.Contradiction, $"the {PolicyItem} items named '{name}' have different Mode; a refusal is either an error or a warning");
    }

    /// <summary>Checks every policy, also those no image names: a defect is found when it is written, not when it is first used.</summary>
    public void CheckAll()
    {
        foreach (ITaskItem item in named)
        {
            Setting.OnlyMetadata(PolicyItem, item, Conditions);
            Setting.NoEmptyMetadata(PolicyItem, item);
            ReadWarn($"{PolicyItem} '{item.ItemSpec}'", item);
            Read($"{PolicyItem} '{item.ItemSpec}'", item);
        }
    }

    private static bool ReadWarn(string owner, ITaskItem item) => Setting.OneOf($"Mode of {owner}", item.GetMetadata("Mode"), "enforce", "warn") == "warn";

    private Policy Read(string owner, ITaskItem item)
    {
        if (Setting.OneOf($"Proofs of {owner}", item.GetMetadata("Proofs"), "log", "timestamp") == "timestamp")
        {
            throw NotYet(owner, "Proofs", "timestamp");
        }

        foreach (string later in new[] { "PublicKey", "MaxAge" })
        {
            if (item.GetMetadata(later) is { Length: > 0 } value)
            {
                throw NotYet(owner, later, value);
            }
        }
        if (item.GetMetadata("MinSignatures") is { Length: > 0 } count && count != "1")
        {
            throw NotYet(owner, "MinSignatures", count);
        }

        TextMatch? subject = ReadMatch(owner, item, "CertificateIdentity");
        TextMatch? issuer = ReadMatch(owner, item, "CertificateOidcIssuer");
        try
        {
            return new Policy(subject, issuer, ReadGitHub(owner, item), Value(item, "PredicateType") ?? ImageSigner.PredicateType, ReadAnnotations(owner, item));
        }
        catch (ArgumentException e)
        {
            throw new ConfigurationException(Diagnostics.NoIdentityInPolicy, $"{owner} cannot be a policy: {e.Message}", e);
        }
    }

    private TextMatch? ReadMatch(string owner, ITaskItem item, string name)
    {
        string? exact = Value(item, name);
        string? pattern = Value(item, name + "Regexp");
        if (exact is not null && pattern is not null)
        {
            throw new ConfigurationException(Diagnostics.Contradiction, $"{owner} has both {name} and {name}Regexp; keep one");
        }

        if (exact is not null)
        {
            return TextMatch.Exactly(exact);
        }

        if (pattern is null)
        {
            return null;
        }

        TextMatch match;
        try
        {
            match = TextMatch.Pattern(pattern);
        }
        catch (ArgumentException e)
        {
            throw new ConfigurationException(Diagnostics.UnknownValue, $"{owner} has {name}Regexp '{pattern}': {e.Message}", e);
        }
        if (match.AdmitsEverything)
        {
            warn(new Diagnostic(Diagnostics.AdmitsEverything, $"{owner} has {name}Regexp '{pattern}', which admits everything"));
        }

        return match;
    }

    private static GitHubIdentity? ReadGitHub(string owner, ITaskItem item)
    {
        string[] names = ["GitHubRepository", "GitHubWorkflow", "GitHubRef", "GitHubTrigger", "GitHubSha", "GitHubRepositoryId", "GitHubOwnerId", "RunnerEnvironment", "GitHubServerUrl"];
        if (names.All(name => Value(item, name) is null))
        {
            return null;
        }

        string? repository = Value(item, "GitHubRepository");
        if (repository is not null && repository.Split('/') is not [{ Length: > 0 }, { Length: > 0 }])
        {
            throw new ConfigurationException(Diagnostics.UnknownValue, $"{owner} has GitHubRepository '{repository}'; expected owner/name");
        }

        string server = Value(item, "GitHubServerUrl")?.TrimEnd('/') ?? "https://github.com";
        if (!Uri.TryCreate(server, UriKind.Absolute, out Uri? url) || url.Scheme != Uri.UriSchemeHttps)
        {
            throw new ConfigurationException(Diagnostics.UnknownValue, $"{owner} has GitHubServerUrl '{server}'; expected an https URL");
        }

        return new GitHubIdentity
        {
            Repository = repository,
            Workflow = Value(item, "GitHubWorkflow"),
            Ref = Value(item, "GitHubRef"),
            Trigger = Value(item, "GitHubTrigger"),
            Sha = Value(item, "GitHubSha"),
            RepositoryId = Value(item, "GitHubRepositoryId"),
            OwnerId = Value(item, "GitHubOwnerId"),
            RunnerEnvironment = Value(item, "RunnerEnvironment"),
            ServerUrl = server,
        };
    }

    private static Dictionary<string, string> ReadAnnotations(string owner, ITaskItem item)
    {
        var annotations = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string pair in item.GetMetadata("Annotations").Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = pair.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0 || !annotations.TryAdd(pair[..equals], pair[(equals + 1)..]))
            {
                throw new ConfigurationException(Diagnostics.UnknownValue, $"{owner} has Annotations '{item.GetMetadata("Annotations")}'; expected name=value;name=value, each name once");
            }
        }
        return annotations;
    }

    private static string? Value(ITaskItem item, string name) => item.GetMetadata(name) is { Length: > 0 } value ? value : null;

    private static ConfigurationException NotYet(string owner, string name, string value) =>
        new(Diagnostics.NotYet, $"{owner} has {name} '{value}', which is not built yet");
}
