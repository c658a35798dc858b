namespace Keyless.Sigstore;

/// <summary>
/// A Sigstore service (Fulcio, Rekor, a timestamp authority) could not be reached, refused, or answered something the
/// protocol does not know. The person reading the build log can retry, or report it to whoever runs that service.
/// </summary>
/// <remarks>The message never carries a token, a header, a query string, or more than one line of the server's answer.</remarks>
public sealed class ServiceException : Exception
{
    public ServiceException(ServiceFailure failure, string service, string message, Exception? inner = null)
        : base(message, inner)
    {
        Failure = failure;
        Service = service;
    }

    public ServiceFailure Failure { get; }

    /// <summary>What the user calls it: <c>Fulcio</c>, <c>Rekor</c>, <c>timestamp authority</c>.</summary>
    public string Service { get; }

    /// <summary>
    /// Whether the same request may succeed later: no connection, no answer in time, an answer that broke off, or one that says so by its status
    /// (408, 425, 429, 5xx).
    /// </summary>
    public bool IsTransient { get; init; }

    /// <summary>How long it asks to be left alone (<c>Retry-After</c>); null where it does not say.</summary>
    public TimeSpan? RetryAfter { get; init; }
}

/// <summary>How a service failed, because the cure differs.</summary>
public enum ServiceFailure
{
    /// <summary>No connection, no answer in time, or the connection broke.</summary>
    Unreachable,

    /// <summary>It answered, with a status that says no.</summary>
    Refused,

    /// <summary>It answered success with something that is not what the protocol says.</summary>
    Nonsense,

    /// <summary>The certificate at hand ends before the answer can be used; under a new one it can go on.</summary>
    TooLate,

    /// <summary>The log has an equal entry and does not say where it is; a fresh signature can be logged.</summary>
    AlreadyLogged,
}
