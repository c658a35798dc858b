namespace Keyless.Oci;

/// <summary>Every upper bound on what a registry, a configuration file or a credential helper may make us read or wait for.</summary>
internal static class Limits
{
    /// <summary>distribution-spec, "Pushing Manifests": registries should accept manifests of up to 4 MiB; nothing larger is portable.</summary>
    public const int ManifestBytes = 4 * 1024 * 1024;

    /// <summary>Platforms of one image are a few dozen; a list this long was written to keep us busy.</summary>
    public const int IndexEntries = 1000;

    /// <summary>Container runtimes stop at 128 layers; artifacts with more exist, but none near this many.</summary>
    public const int Layers = 1000;

    /// <summary>Names are read into dictionaries; real manifests carry a few dozen.</summary>
    public const int Annotations = 1000;

    /// <summary>One subject with more referrers is refused as "too many", never read as "none of them fits".</summary>
    public const int Referrers = 1000;

    /// <summary>Ten pages of a hundred are the entries above; a registry that goes on is in a loop.</summary>
    public const int ReferrerPages = 10;

    /// <summary>Storage back ends need one or two hops.</summary>
    public const int Redirects = 5;

    /// <summary>Pre-signed storage addresses and upload states are long, but servers themselves stop at 8 KiB a header.</summary>
    public const int LocationLength = 8 * 1024;

    /// <summary>A challenge is a realm, a service and a scope.</summary>
    public const int ChallengeLength = 8 * 1024;

    /// <summary>Longest registry, repository, tag and digest together stay below this.</summary>
    public const int ReferenceLength = 1024;

    /// <summary>Tokens with large access lists reach a few KiB; beyond this no server takes the header back.</summary>
    public const int TokenLength = 64 * 1024;

    /// <summary>The same token may be given under both of its names.</summary>
    public const int TokenAnswerBytes = 2 * TokenLength + 16 * 1024;

    /// <summary>Only the first code and message of an error are shown.</summary>
    public const int ErrorBytes = 16 * 1024;

    /// <summary>An error is one line of a build log.</summary>
    public const int ErrorText = 200;

    /// <summary>Configuration files of people with hundreds of registries stay far below.</summary>
    public const int ConfigurationBytes = 1024 * 1024;

    /// <summary>A helper prints one small JSON object.</summary>
    public const int HelperOutputBytes = 64 * 1024;

    /// <summary>Long enough for a helper that asks a cloud service, too short for one that prompts.</summary>
    public static readonly TimeSpan HelperTimeout = TimeSpan.FromSeconds(30);

    /// <summary>Name resolution, TCP and TLS together.</summary>
    public static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(10);

    /// <summary>From the end of our request to the headers of the answer.</summary>
    public static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(30);

    /// <summary>Between two pieces of a body.</summary>
    public static readonly TimeSpan IdleTimeout = TimeSpan.FromSeconds(30);

    /// <summary>The slowest line we wait for; it bounds the time a body may take by its size.</summary>
    public const int BytesPerSecond = 64 * 1024;

    /// <summary>What a token answer that names no lifetime means (distribution, "Token Authentication": 60 seconds).</summary>
    public static readonly TimeSpan TokenLifetime = TimeSpan.FromSeconds(60);

    /// <summary>A claimed lifetime beyond a day is not needed by any build.</summary>
    public static readonly TimeSpan LongestTokenLifetime = TimeSpan.FromDays(1);

    /// <summary>Several writers of one tag each need a turn; more lost races than this mean something else is wrong.</summary>
    public const int TagAttempts = 24;

    /// <summary>The longest pause between two attempts, before jitter.</summary>
    public static readonly TimeSpan TagDelay = TimeSpan.FromSeconds(2);

    /// <summary>Who writes a tag reads it first; between the two is about as much time as between ours, and no less than this.</summary>
    public static readonly TimeSpan ShortestTagCheck = TimeSpan.FromMilliseconds(100);

    /// <summary>How often an entry is looked for in a list that others keep writing.</summary>
    public const int TagChecks = 4;

    /// <summary>A writer that takes longer cannot be waited for.</summary>
    public static readonly TimeSpan LongestTagCheck = TimeSpan.FromSeconds(5);
}
