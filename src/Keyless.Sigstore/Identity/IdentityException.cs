namespace Keyless.Sigstore;

/// <summary>There is no usable identity token. The person reading the build log can give the job one.</summary>
/// <remarks>The message never carries the token or a part of it.</remarks>
public sealed class IdentityException : Exception
{
    public IdentityException(IdentityFailure failure, string message, Exception? inner = null)
        : base(message, inner) => Failure = failure;

    public IdentityFailure Failure { get; }

    /// <summary>Whether whoever makes the tokens may answer later.</summary>
    public bool IsTransient { get; init; }

    /// <summary>How long they ask to be left alone; null where they do not say.</summary>
    public TimeSpan? RetryAfter { get; init; }

    internal static IdentityException None(string why) => new(IdentityFailure.Missing, $"no identity token: {why}");
}

/// <summary>What is wrong with the identity, because the cure differs.</summary>
public enum IdentityFailure
{
    /// <summary>Nobody had a token.</summary>
    Missing,

    /// <summary>It is not a JSON web token, or lacks a claim that signing needs.</summary>
    Malformed,

    /// <summary>It has expired, or is about to.</summary>
    Expired,

    /// <summary>It was issued for somebody else than Sigstore.</summary>
    ForeignAudience,

    /// <summary>It may be private, and signing would make it public without anybody having agreed.</summary>
    MayBePrivate,

    /// <summary>The environment's token endpoint did not hand one out.</summary>
    EndpointFailed,

    /// <summary>It is of a CI system whose identities the instance does not take.</summary>
    ForeignSystem,
}
