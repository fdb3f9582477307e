using Materialize.Repr;

namespace Materialize.Persist.Oracle;

/// <summary>The contract in a few lines; forgets everything with the process. For tests, and the arithmetic of the durable one.</summary>
public sealed class MemoryTimestampOracle(Timestamp initially, TimeProvider time) : ITimestampOracle
{
    // Held for a few instructions at a time.
    private readonly Lock _lock = new();
    private Timestamp _read = initially;
    private Timestamp _write = initially;

    public ValueTask<WriteTimestamp> WriteTsAsync(CancellationToken cancel)
    {
        lock (_lock)
        {
            _write = Timestamp.Join(_write.StepForward(), Timestamp.FromDateTimeOffset(time.GetUtcNow()));
            return new(new WriteTimestamp(_write, _write.StepForward()));
        }
    }

    public ValueTask<Timestamp> PeekWriteTsAsync(CancellationToken cancel)
    {
        lock (_lock)
            return new(_write);
    }

    public ValueTask<Timestamp> ReadTsAsync(CancellationToken cancel)
    {
        lock (_lock)
            return new(_read);
    }

    public ValueTask ApplyWriteAsync(Timestamp time, CancellationToken cancel)
    {
        lock (_lock)
        {
            _read = Timestamp.Join(_read, time);
            _write = Timestamp.Join(_write, time);
        }

        return ValueTask.CompletedTask;
    }
}
