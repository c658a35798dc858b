namespace Keyless.Sandbox;

/// <summary>One request to one part of the sandbox, and its answer.</summary>
/// <param name="Part">The part asked, such as <c>registry</c> or <c>fulcio</c>.</param>
/// <param name="Path">The path alone: a query string may carry what belongs into no log.</param>
/// <param name="UserAgent">As sent; empty if none was.</param>
/// <param name="Status">HTTP status; 0 if the connection ended without an answer.</param>
/// <param name="Start">When the headers of the request had been read, by the sandbox's clock.</param>
/// <param name="End">When the answer began to leave.</param>
/// <param name="Began">Place of the start in the order of all starts and ends: exact even where a clock stands still.</param>
/// <param name="Ended">Place of the end in the same order.</param>
public sealed record Exchange(
    string Part,
    string Method,
    string Path,
    string UserAgent,
    int Status,
    DateTimeOffset Start,
    DateTimeOffset End,
    long Began,
    long Ended);

/// <summary>How much was asked.</summary>
/// <param name="Requests">How many requests.</param>
/// <param name="Depth">
/// The longest chain of requests of which each began after the one before had been answered: the number of round trips
/// a client waits for, whatever it runs in parallel beside them.
/// </param>
public sealed record TrafficMeasure(int Requests, int Depth);

/// <summary>
/// Every request the sandbox has answered. Safe to use from many threads; a request is listed here before its client can
/// have seen the answer, so what a finished client did can be measured at once.
/// </summary>
/// <remarks>
/// Requests sent together may be answered one before the other arrives, which looks sequential. With
/// <see cref="LoopbackServer.Delay"/> longer than that jitter the depth is the client's own.
/// </remarks>
public sealed class Traffic
{
    private readonly Lock gate = new();
    private readonly List<Exchange> exchanges = [];
    private long order;

    /// <summary>A point in the order of requests, for <see cref="Measure(string, long)"/> and <see cref="Snapshot"/>.</summary>
    public long Mark() => Interlocked.Read(ref order);

    /// <summary>The answered requests that began after the mark, in the order of their answers.</summary>
    public IReadOnlyList<Exchange> Snapshot(long since = 0)
    {
        lock (gate)
        {
            return [.. exchanges.Where(exchange => exchange.Began > since)];
        }
    }

    public void Clear()
    {
        lock (gate)
        {
            exchanges.Clear();
        }
    }

    /// <summary>Number and depth of the requests that began after the mark, of all clients or of those whose User-Agent begins so.</summary>
    public TrafficMeasure Measure(string userAgentPrefix = "", long since = 0) =>
        Measure(Snapshot(since).Where(exchange => exchange.UserAgent.StartsWith(userAgentPrefix, StringComparison.Ordinal)));

    /// <inheritdoc cref="Measure(string, long)"/>
    public static TrafficMeasure Measure(IEnumerable<Exchange> exchanges)
    {
        // The longest chain of intervals that do not overlap is found greedily: always the one that ends first.
        List<Exchange> byEnd = [.. exchanges.OrderBy(exchange => exchange.Ended)];
        int depth = 0;
        long end = long.MinValue;
        foreach (Exchange exchange in byEnd)
        {
            if (depth > 0 && exchange.Began <= end)
            {
                continue;
            }

            depth++;
            end = exchange.Ended;
        }
        return new TrafficMeasure(byEnd.Count, depth);
    }

    internal long Next() => Interlocked.Increment(ref order);

    internal void Add(Exchange exchange)
    {
        lock (gate)
        {
            exchanges.Add(exchange);
        }
    }
}
