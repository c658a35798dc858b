using System.Globalization;
using Keyless.Oci;
using Keyless.Sigstore;
using Polly;
using Polly.Retry;

namespace Keyless.MSBuild;

/// <summary>
/// What fails for the moment is tried again: 1 to 30 s apart, exponentially with full jitter, no earlier than the server asks for, as long as the
/// build has time left for it.
/// </summary>
/// <param name="budget">Zero: nothing is tried again.</param>
/// <param name="property">That the budget is from; null where it is not for the project to choose.</param>
/// <param name="spent">Of the whole build: what other projects waited is gone.</param>
/// <param name="say">Told, in one line, what failed and when it is tried again.</param>
internal sealed class Retries(TimeSpan budget, string? property, RetryTime spent, TimeProvider time, Action<string> say)
{
    private readonly RetryTime spent = spent;

    private const string Tried = "Keyless.MSBuild.Tried";

    private static readonly TimeSpan Shortest = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);
    private static readonly ResiliencePropertyKey<TimeSpan> Began = new("began");

    /// <summary>For everything that is asked in this build.</summary>
    public ResiliencePipeline ToPipeline() => new ResiliencePipelineBuilder { TimeProvider = time }
        .AddStrategy(_ => new Episode(this), new EpisodeOptions())
        .AddRetry(new RetryStrategyOptions
        {
            MaxRetryAttempts = int.MaxValue,
            ShouldHandle = arguments => ValueTask.FromResult(IsTriedAgain(arguments)),
            DelayGenerator = arguments => ValueTask.FromResult<TimeSpan?>(Delay(arguments.Outcome.Exception!, arguments.AttemptNumber)),
            OnRetry = arguments =>
            {
                say(string.Create(CultureInfo.InvariantCulture,
                    $"{arguments.Outcome.Exception!.Message}; again in {Math.Ceiling(arguments.RetryDelay.TotalSeconds):0} s (try {arguments.AttemptNumber + 2}, {Text(Left)} left for retries)"));
                return default;
            },
        })
        .Build();

    /// <summary>What was tried before this failure: <c>7 tries in 3 min 10 s</c>; null for what failed at once.</summary>
    public static string? TriesOf(Exception e)
    {
        for (Exception? one = e; one is not null; one = one.InnerException)
        {
            if (one.Data[Tried] is string tries)
            {
                return tries;
            }
        }

        return null;
    }

    private TimeSpan Now => time.GetElapsedTime(0);

    private TimeSpan Left => budget - spent.Until(Now);

    private bool IsTriedAgain(RetryPredicateArguments<object> arguments)
    {
        ResilienceProperties properties = arguments.Context.Properties;
        bool isFirst = !properties.TryGetValue(Began, out TimeSpan began);
        if (arguments.Outcome.Exception is { } e && !e.Data.Contains(Tried))
        {
            if (IsTransient(e))
            {
                if (isFirst)
                {
                    spent.Begin(began = Now);
                    properties.Set(Began, began);
                    isFirst = false;
                }

                if (Shortest < Left && (RetryAfter(e) ?? TimeSpan.Zero) < Left)
                {
                    return true;
                }
            }

            if (!isFirst)
            {
                // Whoever asked around this try does not ask all over again.
                e.Data[Tried] = string.Create(CultureInfo.InvariantCulture, $"{arguments.AttemptNumber + 1} {(arguments.AttemptNumber == 0 ? "try" : "tries")} in {Text(Now - began)}{(property is null ? "" : $", {property} is {Text(budget)}")}");
            }
        }

        return false;
    }

    /// <summary>Ends what the first failure began, however it ends: a wait that is cancelled costs the rest of the build no more time.</summary>
    private sealed class Episode(Retries retries) : ResilienceStrategy
    {
        protected override async ValueTask<Outcome<TResult>> ExecuteCore<TResult, TState>(
            Func<ResilienceContext, TState, ValueTask<Outcome<TResult>>> callback, ResilienceContext context, TState state)
        {
            try
            {
                return await callback(context, state);
            }
            finally
            {
                if (context.Properties.TryGetValue(Began, out _))
                {
                    retries.spent.End(retries.Now);
                }
            }
        }
    }

    private sealed class EpisodeOptions : ResilienceStrategyOptions
    {
        public EpisodeOptions() => Name = nameof(Episode);
    }

    private TimeSpan Delay(Exception e, int attempt)
    {
        TimeSpan ceiling = TimeSpan.FromSeconds(Math.Min(Longest.TotalSeconds, Math.Pow(2, Math.Min(attempt, 16) + 1)));
        TimeSpan jittered = Shortest + ((ceiling - Shortest) * Random.Shared.NextDouble());
        TimeSpan wait = RetryAfter(e) is { } asked && asked > jittered ? asked : jittered;
        // The last try is made when the budget ends, not after it.
        return wait < Left ? wait : Left > Shortest ? Left : Shortest;
    }

    private static bool IsTransient(Exception e) => e is ServiceException { IsTransient: true } or IdentityException { IsTransient: true } or RegistryException { IsTransient: true };

    private static TimeSpan? RetryAfter(Exception e) => e switch
    {
        ServiceException service => service.RetryAfter,
        IdentityException identity => identity.RetryAfter,
        RegistryException registry => registry.RetryAfter,
        _ => null,
    };

    private static string Text(TimeSpan span) => span < TimeSpan.FromMinutes(1)
        ? string.Create(CultureInfo.InvariantCulture, $"{Math.Max(0, span.TotalSeconds):0} s")
        : string.Create(CultureInfo.InvariantCulture, $"{(int)span.TotalMinutes} min {span.Seconds} s");
}

/// <summary>How long a build has been trying again: what was tried side by side counts once.</summary>
internal sealed class RetryTime
{
    private readonly Lock gate = new();
    private TimeSpan before;
    private TimeSpan began;
    private int underWay;

    /// <param name="now">By a clock that never goes back.</param>
    public void Begin(TimeSpan now)
    {
        lock (gate)
        {
            if (underWay++ == 0)
            {
                began = now;
            }
        }
    }

    public void End(TimeSpan now)
    {
        lock (gate)
        {
            if (--underWay == 0)
            {
                before += now - began;
            }
        }
    }

    public TimeSpan Until(TimeSpan now)
    {
        lock (gate)
        {
            return underWay == 0 ? before : before + (now - began);
        }
    }
}
