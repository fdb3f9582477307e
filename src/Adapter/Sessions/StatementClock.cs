namespace Materialize.Adapter;

/// <summary>
/// Cancels a session's statement when its time is up. One timer serves all statements of the session and is left running between
/// them, so that a statement which ends in time, as nearly all do, costs no timer.
/// </summary>
internal sealed class StatementClock(TimeProvider time) : IDisposable
{
    private readonly Lock _lock = new();   // over all fields; the timer's thread and the session's meet here
    private ITimer? _timer;
    private CancellationTokenSource? _statement;
    private long _deadline;
    private long? _armedUntil;

    /// <summary>Whether the statement that was started last ran out of time.</summary>
    public bool HasPassed { get; private set; }

    /// <summary>Begins to count. Stops counting for any statement before.</summary>
    public void Start(CancellationTokenSource statement, TimeSpan limit)
    {
        lock (_lock)
        {
            _statement = statement;
            HasPassed = false;
            _deadline = time.GetTimestamp() + (long)(limit.TotalSeconds * time.TimestampFrequency);
            if (_armedUntil is null || _deadline < _armedUntil)
                Arm(limit);
        }
    }

    /// <summary>The statement has ended.</summary>
    public void Stop()
    {
        lock (_lock)
            _statement = null;
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _statement = null;
            _timer?.Dispose();
        }
    }

    private void Arm(TimeSpan wait)
    {
        _armedUntil = _deadline;
        _timer ??= time.CreateTimer(_ => Tick(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

        // A millisecond more than needed: a timer may be a little early.
        _timer.Change(TimeSpan.FromMilliseconds(Math.Min(Math.Ceiling(wait.TotalMilliseconds) + 1, uint.MaxValue - 1.0)), Timeout.InfiniteTimeSpan);
    }

    private void Tick()
    {
        CancellationTokenSource statement;
        lock (_lock)
        {
            _armedUntil = null;
            if (_statement is null)
                return;
            var left = _deadline - time.GetTimestamp();
            if (left > 0)
            {
                Arm(TimeSpan.FromSeconds(left / (double)time.TimestampFrequency));
                return;
            }

            HasPassed = true;
            (statement, _statement) = (_statement, null);
        }

        statement.Cancel();
    }
}
