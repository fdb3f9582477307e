// A timestamp oracle that survives crashes without a durable write for each call.
//
// Consensus holds one number for each timeline: the bound. No time beyond the bound is handed out, and a new owner starts at the bound, which is
// therefore at or beyond everything any earlier owner told anybody. Within the owner the clocks are two numbers under a lock, so reads are
// linearizable there and cost nothing. The bound is moved ahead while half of the window is left, so that callers hardly ever wait for it.
//
// One process owns a timeline. Taking ownership appends to the log, which makes the previous owner's next move of the bound fail: it is fenced.
// Until then the previous owner may still hand out times, all at or before the bound at which the new owner starts.

using Materialize.Persist.Codec;
using Materialize.Persist.Location;
using Materialize.Repr;
using Microsoft.Extensions.Logging;

namespace Materialize.Persist.Oracle;

/// <summary>The oracle of one timeline over consensus. Thread-safe; one owner at a time.</summary>
public sealed partial class DurableTimestampOracle : ITimestampOracle, IAsyncDisposable
{
    private const byte Version = 1;
    private const int TruncateEvery = 64;
    private const ulong FarAheadMs = 10_000;

    private readonly IConsensus _consensus;
    private readonly string _key;
    private readonly TimeProvider _time;
    private readonly ulong _windowMs;
    private readonly ILogger _logger;
    private readonly Guid _owner;
    private readonly SemaphoreSlim _extending = new(1);   // one move of the bound at a time
    private readonly Lock _lock = new();                   // guards the clocks for a few instructions
    private Timestamp _read;
    private Timestamp _write;
    private Timestamp _bound;
    private SeqNo? _seqNo;
    private bool _fenced;
    private Task _ahead = Task.CompletedTask;

    private DurableTimestampOracle(IConsensus consensus, string key, TimeProvider time, TimeSpan window, Guid owner, ILogger logger)
    {
        _consensus = consensus;
        _key = key;
        _time = time;
        _windowMs = (ulong)window.TotalMilliseconds;
        _owner = owner;
        _logger = logger;
    }

    /// <summary>Takes ownership of a timeline.</summary>
    /// <param name="initially">The clocks start at this or at what earlier owners reached, whichever is later.</param>
    /// <param name="window">How far ahead times are reserved. After a crash the clocks start up to this far ahead of the wall clock.</param>
    /// <param name="owner">Unique to this owner.</param>
    public static async ValueTask<DurableTimestampOracle> OpenAsync(
        IConsensus consensus, string timeline, Timestamp initially, TimeSpan window, Guid owner, TimeProvider time, ILogger<DurableTimestampOracle> logger,
        CancellationToken cancel)
    {
        var oracle = new DurableTimestampOracle(consensus, $"oracle-{timeline}", time, window, owner, logger);
        while (true)
        {
            var head = await consensus.HeadAsync(oracle._key, cancel);
            oracle._seqNo = head?.SeqNo;
            var start = head is { } data ? Timestamp.Join(initially, oracle.Decode(data).Bound) : initially;
            (oracle._read, oracle._write, oracle._bound) = (start, start, start);
            var (next, entry) = oracle.Entry(start.SaturatingAdd(oracle._windowMs));
            try
            {
                if (await consensus.CompareAndSetAsync(oracle._key, oracle._seqNo, entry, cancel))
                {
                    (oracle._seqNo, oracle._bound) = (entry.SeqNo, next);
                    return oracle;
                }
            }
            catch (IndeterminateException)
            {
                // Read again: if it happened, its bound is the new start, which costs a window and no correctness.
            }
        }
    }

    public ValueTask<WriteTimestamp> WriteTsAsync(CancellationToken cancel)
    {
        lock (_lock)
        {
            CheckFenced();
            if (NextWrite() is { } write)
                return new(write);
        }

        return WriteSlowlyAsync(cancel);
    }

    public ValueTask<Timestamp> PeekWriteTsAsync(CancellationToken cancel)
    {
        lock (_lock)
        {
            CheckFenced();
            return new(_write);
        }
    }

    public ValueTask<Timestamp> ReadTsAsync(CancellationToken cancel)
    {
        lock (_lock)
        {
            CheckFenced();
            return new(_read);
        }
    }

    public ValueTask ApplyWriteAsync(Timestamp time, CancellationToken cancel)
    {
        lock (_lock)
        {
            CheckFenced();
            if (time <= _bound)
            {
                Apply(time);
                return ValueTask.CompletedTask;
            }
        }

        return ApplySlowlyAsync(time, cancel);
    }

    /// <summary>Gives the rest of the window back, so that the next owner starts where this one stopped.</summary>
    public async ValueTask DisposeAsync()
    {
        await _ahead;
        await _extending.WaitAsync(CancellationToken.None);
        try
        {
            Timestamp last;
            lock (_lock)
            {
                last = _write;
                _bound = last;   // so that a late caller does not go beyond it
                if (_fenced)
                    return;
            }

            await _consensus.CompareAndSetAsync(_key, _seqNo, Entry(last).Data, CancellationToken.None);
        }
        catch (PersistException)
        {
            // The next owner starts at the bound: later than need be, but right.
        }
        finally
        {
            lock (_lock)
                _fenced = true;
            _extending.Release();
        }
    }

    private void CheckFenced()
    {
        if (_fenced)
            throw new FencedException($"another process has taken over the timeline of \"{_key}\"");
    }

    private WriteTimestamp? NextWrite()
    {
        var now = Timestamp.FromDateTimeOffset(_time.GetUtcNow());
        var next = Timestamp.Join(_write.StepForward(), now);
        if (next > _bound)
            return null;
        _write = next;
        if (next.Millis > now.Millis + FarAheadMs)
            LogFarAhead(_key, next.Millis - now.Millis);
        if (_bound.Millis - next.Millis < _windowMs / 2 && _ahead.IsCompleted)
            _ahead = ExtendAheadAsync(next.SaturatingAdd(_windowMs));
        return new WriteTimestamp(next, next.StepForward());
    }

    private void Apply(Timestamp time)
    {
        _read = Timestamp.Join(_read, time);
        _write = Timestamp.Join(_write, time);
    }

    private async ValueTask<WriteTimestamp> WriteSlowlyAsync(CancellationToken cancel)
    {
        while (true)
        {
            Timestamp wanted;
            lock (_lock)
            {
                CheckFenced();
                if (NextWrite() is { } write)
                    return write;
                wanted = Timestamp.Join(_write.StepForward(), Timestamp.FromDateTimeOffset(_time.GetUtcNow())).SaturatingAdd(_windowMs);
            }

            await ExtendAsync(wanted, cancel);
        }
    }

    private async ValueTask ApplySlowlyAsync(Timestamp time, CancellationToken cancel)
    {
        while (true)
        {
            await ExtendAsync(time.SaturatingAdd(_windowMs), cancel);
            lock (_lock)
            {
                CheckFenced();
                if (time > _bound)
                    continue;
                Apply(time);
                return;
            }
        }
    }

    private async Task ExtendAheadAsync(Timestamp wanted)
    {
        await Task.Yield();   // out of the caller's lock
        try
        {
            await ExtendAsync(wanted, CancellationToken.None);
        }
        catch (PersistException)
        {
            // Whoever needs the room will try again and hear of it.
        }
    }

    private async ValueTask ExtendAsync(Timestamp wanted, CancellationToken cancel)
    {
        await _extending.WaitAsync(cancel);
        try
        {
            lock (_lock)
            {
                CheckFenced();
                if (_bound >= wanted)
                    return;
            }

            var data = Entry(wanted).Data;
            var bound = await SetAsync(data, cancel);
            lock (_lock)
            {
                _fenced |= bound is null;
                CheckFenced();
                _bound = bound!.Value;
            }

            _seqNo = data.SeqNo;
            if (data.SeqNo.Value % TruncateEvery == 0)
                await _consensus.TruncateAsync(_key, data.SeqNo, cancel);
        }
        finally
        {
            _extending.Release();
        }
    }

    /// <summary>
    /// The bound that is durable now: the one asked for, or that of an earlier attempt of ours which arrived late. Null if another owner's entry
    /// is there. An outcome that is not known is settled by looking at the head.
    /// </summary>
    private async ValueTask<Timestamp?> SetAsync(VersionedData data, CancellationToken cancel)
    {
        try
        {
            if (await _consensus.CompareAndSetAsync(_key, _seqNo, data, cancel))
                return Decode(data).Bound;
        }
        catch (IndeterminateException) when (!cancel.IsCancellationRequested)
        {
            // Fall through to the head; if our entry arrives only after that, the next attempt at the same place finds it there.
        }

        if (await _consensus.HeadAsync(_key, cancel) is not { } head)
            throw new CorruptDataException(_key, "the timeline's entry is gone");
        if (head.SeqNo == _seqNo)
            throw new DeterminateException($"the bound of \"{_key}\" could not be moved");
        var there = Decode(head);
        return head.SeqNo == data.SeqNo && there.Owner == _owner ? there.Bound : null;
    }

    private (Timestamp Bound, VersionedData Data) Entry(Timestamp bound)
    {
        var encoder = Encoder.Start(out var buffer);
        encoder.Guid(_owner);
        encoder.Varint(bound.Millis);
        return (bound, new VersionedData(_seqNo?.Next() ?? SeqNo.First, Sealed.Seal(buffer, Version)));
    }

    private (Guid Owner, Timestamp Bound) Decode(VersionedData data)
    {
        var decoder = new Decoder(_key, Sealed.Open(_key, data.Data, Version));
        var decoded = (decoder.Guid(), new Timestamp(decoder.Varint()));
        decoder.End();
        return decoded;
    }

    [LoggerMessage(1, LogLevel.Error, "Timeline \"{Key}\" is {AheadMs} ms ahead of the wall clock.")]
    private partial void LogFarAhead(string key, ulong aheadMs);
}
