namespace Keyless.Testing;

/// <summary>
/// The machine's clock for whoever works, and a shorter one for whoever waits: a wait of a second takes a twentieth of that, and then the clock leaps to
/// its end. So everything that was waited for is there to be seen, in timestamps as in stopwatches, as long as all parts of a world share one clock.
/// Time limits are not waits, and a busy machine may need all of them: what is longer than five seconds takes as long as it takes.
/// </summary>
public sealed class LeapingClock : TimeProvider
{
    /// <summary>No time limit of ours is as short.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(5);

    private const int Faster = 20;

    private readonly Lock gate = new();
    private TimeSpan leapt;

    public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + Leapt;

    public override long TimestampFrequency => System.TimestampFrequency;

    public override long GetTimestamp() => System.GetTimestamp() + (long)(Leapt.TotalSeconds * TimestampFrequency);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        dueTime > LongestWait || dueTime <= TimeSpan.Zero ? System.CreateTimer(callback, state, dueTime, period) : new Wait(this, callback, state, dueTime, period);

    private TimeSpan Leapt
    {
        get
        {
            lock (gate)
            {
                return leapt;
            }
        }
    }

    /// <summary>By a stopwatch that never leaps.</summary>
    private static TimeSpan Worked => System.GetElapsedTime(0);

    // Where others have waited meanwhile, part of the way or all of it is behind us.
    private void LeapTo(TimeSpan due)
    {
        lock (gate)
        {
            TimeSpan ahead = due - Worked;
            leapt = ahead > leapt ? ahead : leapt;
        }
    }

    private sealed class Wait : ITimer
    {
        private readonly LeapingClock clock;
        private readonly ITimer timer;
        private TimeSpan due;

        public Wait(LeapingClock clock, TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            this.clock = clock;
            timer = System.CreateTimer(
                _ =>
                {
                    clock.LeapTo(due);
                    callback(state);
                },
                null,
                Timeout.InfiniteTimeSpan,
                Timeout.InfiniteTimeSpan);
            Change(dueTime, period);
        }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            if (period != Timeout.InfiniteTimeSpan)
            {
                throw new NotSupportedException("nothing of ours goes off more than once");
            }

            bool waits = dueTime <= LongestWait && dueTime > TimeSpan.Zero;
            due = waits ? Worked + clock.Leapt + dueTime : TimeSpan.Zero;
            return timer.Change(waits ? dueTime / Faster : dueTime, period);
        }

        public void Dispose() => timer.Dispose();

        public ValueTask DisposeAsync() => timer.DisposeAsync();
    }
}
