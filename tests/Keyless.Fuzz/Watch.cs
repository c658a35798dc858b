using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;

namespace Keyless.Fuzz;

/// <summary>Runs product code on a stranger's input and sees that it keeps to what holds for every input.</summary>
internal sealed class Watch : IDisposable
{
    /// <summary>Bytes that may be allocated for each byte of input: text is twice as large as UTF-8, and what is decoded, compared and shown are copies.</summary>
    private const int BytesPerByte = 64;

    /// <summary>
    /// What a verification allocates whatever the input: the hashes of trusted keys and certificates, BouncyCastle's tables for Ed25519, the
    /// exception and its stack. A whole good verification stays below a quarter of this.
    /// </summary>
    private const long Always = 1024 * 1024;

    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(1);

    private readonly IncrementalHash answers = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    /// <summary>Of every answer so far to what is the same in every run: equal between two machines, time zones and cultures, or something depends on them.</summary>
    public string Answers => Convert.ToHexStringLower(answers.GetCurrentHash().AsSpan(0, 8));

    /// <summary>Whether the inputs are the same in every run; those that are signed with fresh keys are not.</summary>
    public bool IsRepeatable { get; set; }

    public TimeSpan Slowest { get; private set; }

    public string SlowestWhat { get; private set; } = "";

    /// <summary>Allocated bytes in relation to what is allowed.</summary>
    public double LargestShare { get; private set; }

    public string LargestWhat { get; private set; } = "";

    public long MostAllocated { get; private set; }

    /// <summary>The result, or the refusal; run twice, since the second answer must be the first.</summary>
    /// <param name="isRefusal">Whether an exception is one of those that the code may throw.</param>
    /// <exception cref="BrokenPromiseException">It did not keep to it.</exception>
    public (T? Result, Exception? Refusal) Run<T>(string what, int inputBytes, Func<T> run, Func<Exception, bool> isRefusal, Func<T, string> show)
    {
        (T? Result, Exception? Refusal) first = Once(what, inputBytes, run, isRefusal);
        (T? Result, Exception? Refusal) second = Once(what, inputBytes, run, isRefusal);
        string one = first.Refusal?.ToStringWithoutStack() ?? show(first.Result!), two = second.Refusal?.ToStringWithoutStack() ?? show(second.Result!);
        if (IsRepeatable)
        {
            answers.AppendData(Encoding.UTF8.GetBytes($"{what}: {one}\n"));
        }

        return one == two ? first : throw new BrokenPromiseException($"{what}: two answers to one question: {one} / {two}");
    }

    private (T? Result, Exception? Refusal) Once<T>(string what, int inputBytes, Func<T> run, Func<Exception, bool> isRefusal)
    {
        (T? Result, Exception? Refusal) answer;
        long before = GC.GetAllocatedBytesForCurrentThread();
        long start = Stopwatch.GetTimestamp();
        try
        {
            answer = (run(), null);
        }
        catch (Exception e) when (isRefusal(e))
        {
            answer = (default, e);
        }
        catch (Exception e)
        {
            throw new BrokenPromiseException($"{what}: {e.GetType()}: {e.Message}", e);
        }

        TimeSpan took = Stopwatch.GetElapsedTime(start);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Note(what, inputBytes, took, allocated);
        if (allocated > BytesPerByte * (long)inputBytes + Always)
        {
            throw new BrokenPromiseException($"{what}: {allocated} bytes allocated for {inputBytes}");
        }

        // Other programs may have had the processor meanwhile; what is slow by itself takes as much of the processor again and again.
        return took <= Longest || Enumerable.Range(0, 3).Any(_ => Repeat(run) <= Longest) ? answer : throw new BrokenPromiseException($"{what}: took {took}");
    }

    public void Dispose() => answers.Dispose();

    private void Note(string what, int inputBytes, TimeSpan took, long allocated)
    {
        if (took > Slowest)
        {
            (Slowest, SlowestWhat) = (took, what);
        }

        double share = allocated / (BytesPerByte * (double)inputBytes + Always);
        if (share > LargestShare)
        {
            (LargestShare, LargestWhat, MostAllocated) = (share, $"{what}, {inputBytes} bytes", allocated);
        }
    }

    private static TimeSpan Repeat<T>(Func<T> run)
    {
        TimeSpan start = Environment.CpuUsage.TotalTime;
        try
        {
            run();
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // Judged before.
        }

        return Environment.CpuUsage.TotalTime - start;
    }
}

/// <summary>Something that holds for every input did not.</summary>
internal sealed class BrokenPromiseException(string what, Exception? inner = null) : Exception(what, inner);

internal static class Exceptions
{
    public static string ToStringWithoutStack(this Exception exception) => $"{exception.GetType().Name}: {exception.Message}";
}
