using System.Threading.Channels;
using Materialize.Persist.Location;
using Materialize.Persist.Push;
using Materialize.Persist.Shard;
using Materialize.Persist.State;
using Materialize.Repr;
using Microsoft.Extensions.Logging;

namespace Materialize.Persist;

/// <summary>
/// Opens shards of one pair of stores. One for each process: handles of the same shard share its state. Unless
/// <see cref="PersistConfig.Background"/> is off, it renews leases and maintains the shards written here, on one task.
/// Dispose of it after the handles.
/// </summary>
public sealed class PersistClient : IAsyncDisposable
{
    private readonly Services _services;
    private readonly Lock _lock = new();   // guards the two collections; nothing is awaited under it
    private readonly Dictionary<ShardId, SharedMachine> _machines = [];
    private readonly HashSet<ReadHandle> _readers = [];
    private readonly Channel<ShardMachine> _due = Channel.CreateUnbounded<ShardMachine>(new() { SingleReader = true });
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _background;

    /// <param name="random">Names blobs and readers: clients that share a store need different seeds.</param>
    public PersistClient(
        IBlob blob, IConsensus consensus, IStatePush push, PersistConfig config, TimeProvider time, Random random, ILoggerFactory logs)
    {
        _services = new Services(
            blob, consensus, push, config, time, new IdSource(random), new Retry(config, time), new PersistLog(logs.CreateLogger<PersistClient>()));
        _background = config.Background ? Task.WhenAll(Task.Run(MaintainAsync), Task.Run(RenewAsync)) : Task.CompletedTask;
    }

    internal Services Services => _services;

    /// <summary>Opens the shard for writing; makes it if it does not exist.</summary>
    public async ValueTask<WriteHandle> OpenWriterAsync(ShardId shard, CancellationToken cancel) => new(await LeaseAsync(shard, cancel), this);

    /// <summary>Opens the shard for reading from its current since on; makes it if it does not exist.</summary>
    /// <param name="purpose">Who reads, for diagnostics.</param>
    public async ValueTask<ReadHandle> OpenReaderAsync(ShardId shard, string purpose, CancellationToken cancel)
    {
        var lease = await LeaseAsync(shard, cancel);
        try
        {
            var id = _services.Ids.Next();
            var since = await lease.Value.UpdateAsync<Frontier>(state =>
            {
                var reader = new LeasedReader(
                    purpose, state.Since, state.SeqNo, _services.NowMs, (ulong)_services.Config.LeaseDuration.TotalMilliseconds);
                return state.IsTombstone ? new([], state.Since) : new([new StateChange.SetReader(id, reader)], state.Since);
            }, cancel);
            var handle = new ReadHandle(lease, this, purpose, id, since, _services.NowMs);
            lock (_lock)
                _readers.Add(handle);
            return handle;
        }
        catch
        {
            lease.Dispose();
            throw;
        }
    }

    /// <summary>Opens a critical hold; makes it, at the shard's since and with <paramref name="initialEpoch"/>, if it does not exist.</summary>
    public async ValueTask<CriticalSince> OpenCriticalSinceAsync(
        ShardId shard, CriticalReaderId id, FencingEpoch initialEpoch, string purpose, CancellationToken cancel)
    {
        var lease = await LeaseAsync(shard, cancel);
        try
        {
            await lease.Value.UpdateAsync<bool>(
                state => state.IsTombstone || state.Criticals.ContainsKey(id.Value)
                    ? new([], true)
                    : new([new StateChange.SetCritical(id.Value, new CriticalReader(purpose, state.Since, initialEpoch.Value))], true),
                cancel);
            return new CriticalSince(lease, this, id);
        }
        catch
        {
            lease.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Closes the shard, takes away every hold and deletes its data. Readers of it fail from now on. Safe to repeat; nothing but a small
    /// marker stays, so that the id is never used again.
    /// </summary>
    public async ValueTask FinalizeShardAsync(ShardId shard, CancellationToken cancel)
    {
        using var lease = await LeaseAsync(shard, cancel);
        await lease.Value.UpdateAsync<bool>(state =>
        {
            if (state.IsTombstone)
                return new([], true);
            List<StateChange> changes = [.. state.Readers.Keys.Select(k => new StateChange.RemoveReader(k))];
            changes.AddRange(state.Criticals.Keys.Select(k => new StateChange.RemoveCritical(k)));
            if (!state.Upper.IsEmpty)
                changes.Add(new StateChange.Append(Frontier.Empty, []));
            // A hold of nothing, alone, takes the since to the end.
            changes.Add(new StateChange.SetCritical(Guid.Empty, new CriticalReader("finalise", Frontier.Empty, 0)));
            return new([.. changes], true);
        }, cancel);
        while (await Maintenance.StepAsync(lease.Value, cancel))
        {
        }
    }

    /// <summary>One small step of upkeep: expired leases, one merge, a rollup, some garbage. Returns whether there was something to do.</summary>
    public async ValueTask<bool> MaintainAsync(ShardId shard, CancellationToken cancel)
    {
        using var lease = await LeaseAsync(shard, cancel);
        await lease.Value.RefreshAsync(cancel);
        return await Maintenance.StepAsync(lease.Value, cancel);
    }

    /// <summary>Figures of a shard, for introspection and tests.</summary>
    public async ValueTask<ShardStatistics> StatisticsAsync(ShardId shard, CancellationToken cancel)
    {
        using var lease = await LeaseAsync(shard, cancel);
        var state = (await lease.Value.RefreshAsync(cancel))!;
        return new ShardStatistics(
            state.SeqNo.Value, state.Since, state.Upper, state.Trace.Length, state.Trace.Sum(b => b.Parts.Sum(p => (long)p.Count)),
            state.Trace.Sum(b => b.EncodedBytes), state.InlineBytes, state.Readers.Count, state.Garbage.Length);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        try
        {
            await _background;
        }
        catch (OperationCanceledException)
        {
            // As asked.
        }

        lock (_lock)
        {
            foreach (var machine in _machines.Values)
                machine.Machine.Dispose();
            _machines.Clear();
        }

        _stop.Dispose();
    }

    /// <summary>Called after each change made here: queues upkeep if it is due.</summary>
    internal void NoteChanged(ShardMachine machine)
    {
        if (_services.Config.Background && Maintenance.IsDue(machine) && Interlocked.CompareExchange(ref machine.MaintenanceQueued, 1, 0) == 0)
            _due.Writer.TryWrite(machine);
    }

    internal void Forget(ReadHandle reader)
    {
        lock (_lock)
            _readers.Remove(reader);
    }

    internal async ValueTask<MachineLease> LeaseAsync(ShardId shard, CancellationToken cancel)
    {
        SharedMachine shared;
        lock (_lock)
        {
            if (!_machines.TryGetValue(shard, out shared!))
                _machines[shard] = shared = new SharedMachine(new ShardMachine(shard, _services));
            shared.Leases++;
        }

        var lease = new MachineLease(shared.Machine, () => Return(shared));
        try
        {
            await shared.OpenAsync(cancel);
            return lease;
        }
        catch
        {
            lease.Dispose();
            throw;
        }
    }

    private void Return(SharedMachine shared)
    {
        lock (_lock)
        {
            if (--shared.Leases == 0 && _machines.Remove(shared.Machine.Shard))
                shared.Machine.Dispose();
        }
    }

    private async Task MaintainAsync()
    {
        while (await _due.Reader.WaitToReadAsync(_stop.Token))
        {
            while (_due.Reader.TryRead(out var machine))
            {
                Interlocked.Exchange(ref machine.MaintenanceQueued, 0);
                try
                {
                    using var lease = await LeaseAsync(machine.Shard, _stop.Token);   // so that it is not closed meanwhile
                    if (await Maintenance.StepAsync(lease.Value, _stop.Token))
                        NoteChanged(lease.Value);   // steps are small: there may be more
                }
                catch (PersistException e)
                {
                    _services.Events.MaintenanceFailed(machine.Shard, e);
                }
            }
        }
    }

    private async Task RenewAsync()
    {
        var every = _services.Config.LeaseDuration / 6;
        using var timer = new PeriodicTimer(every, _services.Time);
        while (await timer.WaitForNextTickAsync(_stop.Token))
        {
            ReadHandle[] readers;
            ShardMachine[] machines;
            lock (_lock)
            {
                readers = [.. _readers];
                machines = [.. _machines.Values.Select(m => m.Machine)];
            }

            foreach (var reader in readers)
                await RenewAsync(reader, every);
            foreach (var machine in machines.Where(m => m.IsOpen))
                NoteChanged(machine);   // leases of the dead run out though nobody writes
        }
    }

    private async Task RenewAsync(ReadHandle reader, TimeSpan every)
    {
        if (!reader.HeartbeatIsDue(_services.NowMs, every))
            return;
        try
        {
            await reader.HeartbeatAsync(_stop.Token);
        }
        catch (PersistException e)
        {
            _services.Events.HeartbeatFailed(reader.Shard, e);
        }
        catch (ObjectDisposedException)
        {
            // The handle went while we looked at it.
        }
    }

    private sealed class SharedMachine(ShardMachine machine)
    {
        private readonly SemaphoreSlim _opening = new(1);   // never disposed of: it has no wait handle unless asked for one
        private bool _open;

        public ShardMachine Machine => machine;

        public int Leases { get; set; }

        public async ValueTask OpenAsync(CancellationToken cancel)
        {
            if (Volatile.Read(ref _open))
                return;
            await _opening.WaitAsync(cancel);
            try
            {
                if (!_open)
                    await machine.OpenAsync(cancel);
                Volatile.Write(ref _open, true);
            }
            finally
            {
                _opening.Release();
            }
        }
    }
}

/// <summary>Figures of a shard.</summary>
/// <param name="Updates">As stored, before consolidation.</param>
public sealed record ShardStatistics(
    ulong SeqNo, Frontier Since, Frontier Upper, int Batches, long Updates, long EncodedBytes, long InlineBytes, int LeasedReaders, int Garbage);

/// <summary>Keeps a machine open.</summary>
internal sealed class MachineLease(ShardMachine machine, Action release) : IDisposable
{
    private int _released;

    public ShardMachine Value => machine;

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _released, 1) == 0)
            release();
    }
}
