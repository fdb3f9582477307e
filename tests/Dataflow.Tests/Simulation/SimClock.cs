namespace Materialize.Dataflow.Tests.Simulation;

/// <summary>The time of all simulated processes: passes when the seed says so, and jumps to the next timer when nothing else can happen.</summary>
internal sealed class SimClock
{
    private readonly List<Timer> _timers = [];

    public TimeSpan Now { get; private set; }

    public TimeProvider For(SimContext context) => new Provider(this, context);

    public TimeSpan? Next
    {
        get
        {
            TimeSpan? next = null;
            foreach (var timer in _timers)
            {
                if (next is not { } n || timer.Due < n)
                    next = timer.Due;
            }

            return next;
        }
    }

    /// <summary>Timers that are due go off: their callbacks wait in their process.</summary>
    public void AdvanceTo(TimeSpan time)
    {
        Now = time;
        for (var i = 0; i < _timers.Count; i++)
        {
            var timer = _timers[i];
            if (timer.Due > time)
                continue;
            timer.Fire();
            if (timer.Period == Timeout.InfiniteTimeSpan)
                _timers.RemoveAt(i--);
            else
                timer.Due = time + timer.Period;
        }
    }

    public void Forget(SimContext context) => _timers.RemoveAll(t => t.Context == context);

    private sealed class Provider(SimClock clock, SimContext context) : TimeProvider
    {
        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => clock.Now.Ticks;

        public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch + clock.Now;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var timer = new Timer(clock, context, callback, state);
            timer.Change(dueTime, period);
            return timer;
        }
    }

    private sealed class Timer(SimClock clock, SimContext context, TimerCallback callback, object? state) : ITimer
    {
        private bool _disposed;

        public SimContext Context => context;

        public TimeSpan Due { get; set; }

        public TimeSpan Period { get; private set; }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            if (_disposed)
                return false;
            clock._timers.Remove(this);
            (Due, Period) = (clock.Now + dueTime, period);
            if (dueTime != Timeout.InfiniteTimeSpan)
                clock._timers.Add(this);
            return true;
        }

        public void Fire() => context.Post(
            s =>
            {
                if (!_disposed)
                    callback(s);
            },
            state);

        public void Dispose()
        {
            _disposed = true;
            clock._timers.Remove(this);
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
