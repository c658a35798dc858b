using System.Text.RegularExpressions;

namespace Keyless.Oci;

/// <summary>
/// A reference to an image: registry, repository, tag and digest, by the grammar of distribution-spec "Pull" and the Docker Hub rules for
/// short names. What was typed is kept in <see cref="Text"/>; the other properties are normalised for matching and for requests.
/// </summary>
public sealed partial class ImageReference
{
    private const string DockerHub = "docker.io";

    private readonly string typedName;

    private ImageReference(string text, string typedName, string registry, string repository, string? tag, Digest? digest) =>
        (Text, this.typedName, Registry, Repository, Tag, Digest) = (text, typedName, registry, repository, tag, digest);

    /// <summary>Host with optional port, lower case; <c>docker.io</c> for Docker Hub under any of its names.</summary>
    public string Registry { get; }

    /// <summary>Full repository name, <c>library/</c> included for Docker Hub's own images.</summary>
    public string Repository { get; }

    /// <summary>The tag; <c>latest</c> when neither a tag nor a digest was given; null when only a digest was.</summary>
    public string? Tag { get; }

    /// <summary>The digest, which decides over the tag when both were given.</summary>
    public Digest? Digest { get; }

    /// <summary>What was parsed, unchanged.</summary>
    public string Text { get; }

    /// <summary>Reads <c>[registry/]repository[:tag][@digest]</c>.</summary>
    /// <exception cref="FormatException">"malformed image reference …" and what is wrong with it.</exception>
    public static ImageReference Parse(string text)
    {
        if (text.Length is 0 or > Limits.ReferenceLength)
        {
            throw Malformed(text, text.Length == 0 ? "it is empty" : $"longer than {Limits.ReferenceLength} characters");
        }

        if (text.Contains("://", StringComparison.Ordinal))
        {
            throw Malformed(text, "a reference has no scheme; leave out everything up to ://");
        }

        string name = text;
        Digest? digest = null;
        if (name.IndexOf('@', StringComparison.Ordinal) is >= 0 and int at)
        {
            if (!Digest.TryParse(name[(at + 1)..], out digest))
            {
                throw Malformed(text, "after @ must come sha256: and 64, or sha512: and 128 lower-case hex digits");
            }

            name = name[..at];
        }

        // A colon behind the last slash begins a tag; before it, a port.
        string? tag = null;
        int slash = name.LastIndexOf('/');
        if (name.IndexOf(':', slash + 1) is >= 0 and int colon)
        {
            tag = name[(colon + 1)..];
            if (!IsTag(tag))
            {
                throw Malformed(text, "a tag is 1 to 128 letters, digits, '_', '.', '-', and does not begin with '.' or '-'");
            }

            name = name[..colon];
        }

        int first = name.IndexOf('/', StringComparison.Ordinal);
        bool hasHost = first >= 0 && (name.AsSpan(0, first).ContainsAny('.', ':') || name[..first] == "localhost");
        string registry = hasHost ? name[..first].ToLowerInvariant() : DockerHub;
        string repository = hasHost ? name[(first + 1)..] : name;

        if (WhatIsWrongWithRegistry(registry) is { } wrongHost)
        {
            throw Malformed(text, wrongHost);
        }

        if (WhatIsWrongWithRepository(repository) is { } wrongName)
        {
            throw Malformed(text, wrongName);
        }

        if (registry is "index.docker.io" or "registry-1.docker.io")
        {
            registry = DockerHub;
        }

        if (registry == DockerHub && !repository.Contains('/', StringComparison.Ordinal))
        {
            repository = "library/" + repository;
        }

        if (tag is null && digest is null)
        {
            tag = "latest";
        }

        return new ImageReference(text, name, registry, repository, tag, digest);
    }

    /// <summary>This repository at a digest, spelled as its name was typed and without a tag: <c>registry/repo@sha256:…</c>.</summary>
    public string Pinned(Digest digest) => $"{typedName}@{digest}";

    /// <summary>
    /// This repository at a digest with its tag kept, for people to read: <c>registry/repo:tag@sha256:…</c>. Registry and repository are spelled out, so
    /// that nobody with other rules for short names takes it for another image.
    /// </summary>
    public string PinnedWithTag(Digest digest) => $"{Registry}/{Repository}{(Tag is null ? "" : $":{Tag}")}@{digest}";

    public override string ToString() => Text;

    internal static bool IsTag(string tag) => TagGrammar().IsMatch(tag);

    internal static string? WhatIsWrongWithRegistry(string registry)
    {
        if (registry.Length > 255 || !HostGrammar().IsMatch(registry))
        {
            return "the registry must be a host name or IP address with an optional port";
        }

        // 127.1 or 0x7f000001 are addresses in disguise; a host must be spelled the way it will be connected to.
        return Uri.TryCreate($"https://{registry}/", UriKind.Absolute, out Uri? uri)
            && (registry.Equals(uri.Host, StringComparison.OrdinalIgnoreCase) || registry.StartsWith(uri.Host + ":", StringComparison.OrdinalIgnoreCase))
                ? null
                : "the registry is not a host in its canonical form";
    }

    internal static string? WhatIsWrongWithRepository(string repository) => repository switch
    {
        "" => "the repository is missing",
        { Length: > 255 } => "the repository is longer than 255 characters",
        _ when repository.AsSpan().ContainsAnyInRange('A', 'Z') => "a repository is lower case",
        _ when !RepositoryGrammar().IsMatch(repository) => "a repository is lower-case letters and digits, separated by '.', '_', '__', '-' or '/'",
        _ => null,
    };

    private static FormatException Malformed(string text, string why) => new($"malformed image reference {RegistryException.Quote(text)}: {why}");

    [GeneratedRegex(@"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\z", RegexOptions.CultureInvariant)]
    private static partial Regex TagGrammar();

    // Nothing is tried twice: what follows a part can never be taken into it. The engine without backtracking costs a build more to start than this.
    [GeneratedRegex(@"\A(?>[a-z0-9]+(?>(?:\.|__?|-+)[a-z0-9]+)*)(?>/[a-z0-9]+(?>(?:\.|__?|-+)[a-z0-9]+)*)*\z", RegexOptions.CultureInvariant)]
    private static partial Regex RepositoryGrammar();

    [GeneratedRegex(@"\A(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?\z", RegexOptions.CultureInvariant)]
    private static partial Regex HostGrammar();
}
