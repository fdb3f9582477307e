using Materialize.Repr;

namespace Materialize.Adapter;

/// <summary>
/// Who may write a table: any number of blind inserts together, or one read-then-write alone, which holds the lock from before its
/// read until its write is applied, so that what it read is still true. First come, first served.
/// </summary>
internal sealed class TableLocks
{
    // Guards the queues; nothing under it waits.
    private readonly Lock _gate = new();
    private readonly Dictionary<GlobalId, TableLock> _locks = [];

    /// <summary>Waits for the right to write; dispose the result to give it back.</summary>
    public async ValueTask<IDisposable> EnterAsync(GlobalId table, bool exclusive, CancellationToken cancel)
    {
        var waiter = new Waiter(exclusive);
        lock (_gate)
        {
            if (!_locks.TryGetValue(table, out var held))
                _locks.Add(table, held = new TableLock());
            held.Queue.AddLast(waiter);
            Grant(held);
        }

        try
        {
            await waiter.Granted.Task.WaitAsync(cancel);
            return new Release(this, table, waiter);
        }
        catch
        {
            Leave(table, waiter);
            throw;
        }
    }

    private void Leave(GlobalId table, Waiter waiter)
    {
        lock (_gate)
        {
            if (!_locks.TryGetValue(table, out var held))
                return;
            if (!held.Queue.Remove(waiter))
                held.Holders.Remove(waiter);
            Grant(held);
            if (held.Queue.Count == 0 && held.Holders.Count == 0)
                _locks.Remove(table);
        }
    }

    private static void Grant(TableLock held)
    {
        while (held.Queue.First is { } first)
        {
            var free = held.Holders.Count == 0;
            if (!free && (first.Value.Exclusive || held.Holders.Any(h => h.Exclusive)))
                return;
            held.Queue.RemoveFirst();
            held.Holders.Add(first.Value);
            first.Value.Granted.TrySetResult();
        }
    }

    private sealed class TableLock
    {
        public LinkedList<Waiter> Queue { get; } = [];

        public HashSet<Waiter> Holders { get; } = [];
    }

    private sealed class Waiter(bool exclusive)
    {
        public bool Exclusive { get; } = exclusive;

        public TaskCompletionSource Granted { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private sealed class Release(TableLocks locks, GlobalId table, Waiter waiter) : IDisposable
    {
        private bool _released;

        public void Dispose()
        {
            if (_released)
                return;
            _released = true;
            locks.Leave(table, waiter);
        }
    }
}
