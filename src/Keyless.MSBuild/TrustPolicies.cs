using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Keyless.Sigstore;
using Microsoft.Build.Framework;

namespace Keyless.MSBuild;

/// <summary>Whom one image may be signed by: any of some items, or as many different signers as it takes.</summary>
/// <param name="Name">Of the <c>ContainerTrustPolicy</c>; null where the image's own item says it.</param>
/// <param name="MinSignatures">How many different signers it takes.</param>
/// <param name="Warn">A refusal is a warning (<c>Mode="warn"</c>).</param>
/// <param name="PredicateTypes">Of the statements that any of the items takes.</param>
internal sealed record TrustPolicy(string? Name, IReadOnlyList<Policy> Items, int MinSignatures, bool Warn, IReadOnlyCollection<string> PredicateTypes);

/// <summary>
/// Reads policies from the metadata of items. One that names nobody, or names something nobody reads, is refused: it would trust more than its
/// author meant.
/// </summary>
/// <param name="now">For <c>MaxAge</c>.</param>
/// <param name="pathOf">Makes the path that something (named in the first argument) holds absolute.</param>
/// <param name="warn">Told of what is allowed but can hardly be meant.</param>
internal sealed partial class TrustPolicies(ITaskItem[] named, DateTimeOffset now, Func<string, string, string> pathOf, Action<Diagnostic> warn)
{
    private const string PolicyItem = "ContainerTrustPolicy";

    /// <summary>No more signatures of one image are looked at.</summary>
    private const int MostSignatures = 1000;

    /// <summary>An RSA key of 8192 bits is 1.5 KiB; this is a wrong file.</summary>
    private const int LargestKeyFile = 64 * 1024;

    private static readonly string[] Identity =
    [
        "CertificateIdentity", "CertificateIdentityRegexp", "CertificateOidcIssuer", "CertificateOidcIssuerRegexp",
        "GitHubRepository", "GitHubWorkflow", "GitHubRef", "GitHubTrigger", "GitHubSha", "GitHubRepositoryId", "GitHubOwnerId", "RunnerEnvironment", "GitHubServerUrl",
    ];

    private static readonly string[] OwnersOfJobs = ["GitHubRepository", "GitHubRepositoryId", "GitHubOwnerId"];

    private static readonly string[] Conditions = [.. Identity, "Proofs", "PublicKey", "Annotations", "PredicateType", "MinSignatures", "MaxAge", "Mode"];

    private readonly ItemPositions positions = new();
    private readonly Dictionary<string, TrustPolicy> policies = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ManagedKey> keys = new(StringComparer.Ordinal);
    private (string Owner, Position? Position)? withoutLog;

    /// <summary>Reads every policy, also those no image names: a defect is found when it is written, not when it is first used.</summary>
    public void ReadAll()
    {
        foreach (var items in named.GroupBy(item => item.ItemSpec, StringComparer.Ordinal))
        {
            foreach (ITaskItem item in items)
            {
                Locating(PolicyItem, item, () =>
                {
                    Setting.OnlyMetadata(PolicyItem, item, Conditions);
                    Setting.NoEmptyMetadata(PolicyItem, item);
                    return item;
                });
            }

            policies.Add(items.Key, Locating(PolicyItem, items.First(), () => Read(items.Key, PolicyItem, [.. items])));
        }
    }

    /// <summary>The policy of one item: by the name of one, or its own.</summary>
    /// <param name="itemName">What it is: <c>ContainerImageToVerify</c>.</param>
    /// <param name="others">The metadata it may have beside a policy's.</param>
    public TrustPolicy For(string itemName, ITaskItem image, params string[] others)
    {
        string owner = $"{itemName} '{image.ItemSpec}'";
        Setting.OnlyMetadata(itemName, image, [.. Conditions, "Policy", .. others]);
        Setting.NoEmptyMetadata(itemName, image);
        string name = image.GetMetadata("Policy");
        if (name.Length == 0)
        {
            return Read(null, itemName, image);
        }

        if (Conditions.FirstOrDefault(condition => image.GetMetadata(condition).Length > 0) is { } own)
        {
            throw new ConfigurationException(Diagnostics.Contradiction, $"{owner} has both Policy='{name}' and {own}; keep one, or put {own} into the {PolicyItem}");
        }

        return Named(owner, name);
    }

    public Position? PositionOf(string itemName, ITaskItem item) => positions.Of(itemName, item);

    /// <summary>Whatever is wrong with an item is said to be where the item is.</summary>
    public T Locating<T>(string itemName, ITaskItem item, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (ConfigurationException e) when (e.Position is null)
        {
            throw e.At(positions.Of(itemName, item));
        }
    }

    /// <param name="owner">Who names it, for the error.</param>
    public TrustPolicy Named(string owner, string name)
    {
        string known = policies.Count == 0 ? $"there is no {PolicyItem} at all" : $"known are {string.Join(", ", policies.Keys)}{Setting.DidYouMean(name, [.. policies.Keys])}";
        return policies.GetValueOrDefault(name)
            ?? throw new ConfigurationException(Diagnostics.UnknownPolicy, $"{owner} names the policy '{name}', which no {PolicyItem} has; {known}");
    }

    /// <summary>To do without a log is for instances that have none: elsewhere it would take what the instance's own log never saw.</summary>
    /// <param name="roots">Those in use.</param>
    public void RequireFitting(IReadOnlyList<TrustedRoot> roots)
    {
        if (withoutLog is { } policy && roots.All(root => root.ListsLogs))
        {
            throw new ConfigurationException(Diagnostics.Contradiction,
                $"{policy.Owner} has Proofs 'timestamp', and the trusted root lists a log; leave Proofs out, it is for instances that have no log").At(policy.Position);
        }
    }

    private TrustPolicy Read(string? name, string itemName, params ITaskItem[] items)
    {
        string owner = Owner(itemName, items[0]);
        bool[] modes = [.. items.Select(item => Setting.OneOf($"Mode of {owner}", item.GetMetadata("Mode"), "enforce", "warn") == "warn").Distinct()];
        if (modes.Length > 1)
        {
            throw new ConfigurationException(Diagnostics.Contradiction, $"the items of {owner} have different Mode; a refusal is either an error or a warning");
        }

        return new TrustPolicy(
            name,
            [.. items.Select(item => Locating(itemName, item, () => ReadItem(itemName, item)))],
            ReadMinSignatures(owner, items),
            modes[0],
            [.. items.Select(item => Value(item, "PredicateType") ?? ImageSigner.PredicateType).Distinct(StringComparer.Ordinal)]);
    }

    private Policy ReadItem(string itemName, ITaskItem item)
    {
        string owner = Owner(itemName, item);
        Proofs proofs = Setting.OneOf($"Proofs of {owner}", item.GetMetadata("Proofs"), "log", "timestamp") == "timestamp" ? Proofs.Timestamp : Proofs.Log;
        if (proofs == Proofs.Timestamp)
        {
            withoutLog ??= (owner, positions.Of(itemName, item));
        }

        string predicateType = Value(item, "PredicateType") ?? ImageSigner.PredicateType;
        Dictionary<string, string> annotations = ReadAnnotations(itemName, item);
        (TimeSpan, DateTimeOffset)? maxAge = Value(item, "MaxAge") is { } age ? (Setting.Duration($"MaxAge of {owner}", age, default), now) : null;
        if (Value(item, "PublicKey") is { } key)
        {
            return Policy.ForKey(ReadKey(owner, item, key), predicateType, annotations, proofs, maxAge);
        }

        RequireAsMeant(itemName, item);
        TextMatch? subject = ReadMatch(itemName, item, "CertificateIdentity");
        TextMatch? issuer = ReadMatch(itemName, item, "CertificateOidcIssuer");
        try
        {
            return new Policy(subject, issuer, ReadGitHub(owner, item), predicateType, annotations) { Proofs = proofs, MaxAge = maxAge };
        }
        catch (ArgumentException e)
        {
            throw new ConfigurationException(Diagnostics.NoIdentityInPolicy, $"{owner} cannot be a policy: {e.Message}", e);
        }
    }

    private ManagedKey ReadKey(string owner, ITaskItem item, string path)
    {
        if (Identity.FirstOrDefault(name => Value(item, name) is not null) is { } identity)
        {
            throw new ConfigurationException(Diagnostics.Contradiction, $"{owner} has both PublicKey and {identity}; what a managed key signed names nobody, so keep one");
        }

        try
        {
            var key = ManagedKey.FromPem(Encoding.UTF8.GetString(WholeFile.Read($"PublicKey of {owner}", pathOf($"PublicKey of {owner}", path), LargestKeyFile)));
            // One key in two files is one: what it signed is proven once.
            return keys.TryAdd(key.Fingerprint, key) ? key : keys[key.Fingerprint];
        }
        catch (FormatException e)
        {
            throw new ConfigurationException(Diagnostics.UnknownValue, $"{owner} has PublicKey '{path}', which cannot be used: {e.Message}", e);
        }
    }

    private static int ReadMinSignatures(string owner, ITaskItem[] items)
    {
        int[] counts = [.. items.Select(item => ReadCount(owner, item)).Distinct()];
        int count = counts[0];
        string? wrong = counts.Length > 1 ? "its items have different MinSignatures; give each the same"
            : count > 1 && items.Length > 1 && count > items.Length ? $"it has {items.Length} items, of which each counts once"
            : count > 1 && items.Length == 1 && NamesOne(items[0]) is { } one ? $"{one} names one signer, who counts once; give each signer an item of that name, or use a pattern or GitHubRepository"
            : null;
        return wrong is null ? count : throw new ConfigurationException(Diagnostics.Contradiction, $"{owner} has MinSignatures '{counts.Max()}', and {wrong}");
    }

    private static int ReadCount(string owner, ITaskItem item) => Value(item, "MinSignatures") switch
    {
        null => 1,
        var text when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int count) && count is >= 1 and <= MostSignatures => count,
        var text => throw new ConfigurationException(Diagnostics.UnknownValue, $"{owner} has MinSignatures '{text}'; expected a number from 1 to {MostSignatures}"),
    };

    /// <summary>The metadata by which only one signer can satisfy the item; null if several can.</summary>
    private static string? NamesOne(ITaskItem item) =>
        Value(item, "PublicKey") is not null ? "PublicKey"
        : Value(item, "CertificateIdentity") is not null ? "CertificateIdentity"
        : Value(item, "GitHubWorkflow") is { } workflow && workflow.Contains("/.github/workflows/", StringComparison.Ordinal) ? "GitHubWorkflow"
        : null;

    /// <summary>
    /// A property, item or metadata in an identity that was nothing makes another identity of it, and mostly a wider pattern: the name is misspelled,
    /// or set where this project does not see it.
    /// </summary>
    private void RequireAsMeant(string itemName, ITaskItem item)
    {
        foreach (string name in Identity)
        {
            if (Value(item, name) is not { } value)
            {
                continue;
            }

            if (value.AsSpan().Trim().Length < value.Length)
            {
                throw new ConfigurationException(Diagnostics.UnknownValue, $"{Owner(itemName, item)} has {name} '{value}', which begins or ends with white space; it is compared to the last character, so write it without");
            }

            bool inPattern = name.EndsWith("Regexp", StringComparison.Ordinal);
            foreach ((string reference, int at) in positions.Written(itemName, item, name)?.EmptyIn(value) ?? [])
            {
                var gap = new PatternGap(value, at);
                if ((inPattern && gap.WidensPattern) || gap.IsWholePart(inPattern))
                {
                    string cure = reference[0] == '@' && inPattern ? "write %40( for the characters, or look whether it is misspelled" : "set it, or look whether it is misspelled";
                    throw new ConfigurationException(Diagnostics.UnknownValue, $"{Owner(itemName, item)} has {name} '{value}', in which {reference} was nothing; {cure}");
                }
            }

            if (inPattern && Unexpanded().Match(value) is { Success: true } unexpanded)
            {
                throw new ConfigurationException(Diagnostics.UnknownValue,
                    $"{Owner(itemName, item)} has {name} '{value}', in which {unexpanded.Value} was not expanded; as a pattern it matches nobody, since nothing follows the end ($)");
            }
        }
    }

    private TextMatch? ReadMatch(string itemName, ITaskItem item, string name)
    {
        string owner = Owner(itemName, item);
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
        // Of a repository that is named as well, the pattern says only which workflow.
        if (match.AdmitsAll is { } everybody && !(everybody.Contains("github", StringComparison.Ordinal) && OwnersOfJobs.Any(name => Value(item, name) is not null)))
        {
            warn(new Diagnostic(Diagnostics.AdmitsTooMuch, $"{owner} has {name}Regexp '{pattern}', which admits {everybody}; say what the value begins and ends with", positions.Of(itemName, item)));
        }
        else if (match.LooseHost is { } host)
        {
            warn(new Diagnostic(Diagnostics.AdmitsTooMuch, $"{owner} has {name}Regexp '{pattern}', where any character may stand for a dot of '{host}', so that other hosts match as well; write \\. for a dot", positions.Of(itemName, item)));
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

    private Dictionary<string, string> ReadAnnotations(string itemName, ITaskItem item)
    {
        string owner = Owner(itemName, item);
        string text = item.GetMetadata("Annotations");
        if (text.Length == 0)
        {
            return new Dictionary<string, string>(StringComparer.Ordinal);
        }

        // As with metadata that is empty: a property that is not set must drop no condition.
        foreach ((string reference, int at) in positions.Written(itemName, item, "Annotations")?.EmptyIn(text) ?? [])
        {
            if (text.AsSpan(0, at).TrimEnd() is [] or [.., ';'] && text.AsSpan(at).TrimStart() is [] or [';', ..])
            {
                throw new ConfigurationException(Diagnostics.UnknownValue, $"{owner} has Annotations '{text}', in which {reference} was nothing; set it, or look whether it is misspelled");
            }
        }

        var annotations = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string pair in text.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = pair.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0 || !annotations.TryAdd(pair[..equals], pair[(equals + 1)..]))
            {
                throw new ConfigurationException(Diagnostics.UnknownValue, $"{owner} has Annotations '{text}'; expected name=value;name=value, each name once");
            }
        }

        return annotations.Count == 0
            ? throw new ConfigurationException(Diagnostics.UnknownValue, $"{owner} has Annotations '{text}', in which there is none; expected name=value;name=value")
            : annotations;
    }

    private static string Owner(string itemName, ITaskItem item) => $"{itemName} '{item.ItemSpec}'";

    private static string? Value(ITaskItem item, string name) => item.GetMetadata(name) is { Length: > 0 } value ? value : null;

    // In a set, or escaped, it is text.
    [GeneratedRegex(@"(?<![\\\[])\$\([A-Za-z_][A-Za-z0-9_.-]*\)", RegexOptions.CultureInvariant)]
    private static partial Regex Unexpanded();
}
