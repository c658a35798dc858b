using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;

namespace Keyless.MSBuild;

/// <summary>
/// Reads lists in their order with the next entries under way already. It begins with one at a time, since the first is mostly what is wanted, and
/// doubles with each that was not: a thousand entries do not wait for each other, and nobody fetches a thousand to use one.
/// </summary>
internal sealed class ReadAhead
{
    /// <summary>Memory holds so many; more only queue up at the server.</summary>
    private const int Most = 16;

    private int window = 1;

    /// <summary>An entry that fails does so when it is its turn; what is under way when the reader stops is given up.</summary>
    public async IAsyncEnumerable<TResult> Over<TEntry, TResult>(
        IAsyncEnumerable<TEntry> list, Func<TEntry, CancellationToken, Task<TResult>> read, [EnumeratorCancellation] CancellationToken cancel)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        await using IAsyncEnumerator<TEntry> entries = list.GetAsyncEnumerator(stop.Token);
        var underWay = new Queue<Task<TResult>>();
        ExceptionDispatchInfo? end = null;
        bool more = true;
        try
        {
            while (true)
            {
                while (more && underWay.Count < window)
                {
                    (more, end) = await MoveNextAsync(entries);
                    if (more)
                    {
                        underWay.Enqueue(read(entries.Current, stop.Token));
                    }
                }

                if (!underWay.TryDequeue(out Task<TResult>? next))
                {
                    end?.Throw();
                    yield break;
                }

                yield return await next;
                window = Math.Min(window * 2, Most);
            }
        }
        finally
        {
            await stop.CancelAsync();
            await Task.WhenAll(underWay).ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        }
    }

    /// <summary>A list that ends with an error has what came before it.</summary>
    private static async Task<(bool More, ExceptionDispatchInfo? End)> MoveNextAsync<TEntry>(IAsyncEnumerator<TEntry> entries)
    {
        try
        {
            return (await entries.MoveNextAsync(), null);
        }
        catch (Exception e)
        {
            return (false, ExceptionDispatchInfo.Capture(e));
        }
    }
}
