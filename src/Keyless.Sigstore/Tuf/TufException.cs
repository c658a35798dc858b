namespace Keyless.Sigstore;

/// <summary>
/// The trust root cannot be had: what the TUF repository says cannot be trusted, or it could not be asked and nothing else is good enough.
/// The message names the role, its version, what was expected and what can be done.
/// </summary>
public sealed class TufException(TufFailure failure, string role, string message, Exception? inner = null) : Exception(message, inner)
{
    public TufFailure Failure { get; } = failure;

    /// <summary><c>root</c>, <c>timestamp</c>, <c>snapshot</c>, <c>targets</c>, or a delegated role's name.</summary>
    public string Role { get; } = role;
}

/// <summary>What is wrong with a role, because the cure differs.</summary>
public enum TufFailure
{
    /// <summary>Not the document it should be.</summary>
    Malformed,

    /// <summary>Fewer keys of the role have signed than its threshold asks for.</summary>
    NotSigned,

    /// <summary>Another version than the one that another role lists.</summary>
    Version,

    /// <summary>Older than what this machine has seen.</summary>
    Rollback,

    Expired,

    /// <summary>Other bytes than the ones listed: a length or a hash differs.</summary>
    Content,

    /// <summary>A role or a target is not listed where it should be, or not at hand where nothing is fetched.</summary>
    Missing,

    /// <summary>The repository could not be asked, and what is cached is no longer good.</summary>
    Stale,
}
