using Materialize.Core.Hashing;
using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Operators;

// Reductions that look at a group's rows. For each key with updates at a time t, the group is read twice from the arrangement: with updates before t, and with those up to t; what the reduction makes of the two is
// compared and the difference emitted at t. No output is stored: it is a function of the input, which is.
//
// "Before t" is the snapshot that comes with the delta, in full (it precedes the delta, whatever its compacted times look like), plus the delta's rows at earlier times; "up to t" adds those at t.
// Times are totally ordered and a delta holds whole times, so one delta after another in time order is all there is.
//
// One hot key must not hold the worker up. A group of many rows is read, and what is made of it is made, by another thread, while the worker goes on with other operators; this one waits with its hold. Everything that the
// other thread touches is immutable and pinned (batches), or used by nobody else meanwhile (the reader, the reduction). What differs is emitted by the worker, some thousand rows in a run.

/// <summary>The frame of what follows an arrangement key by key: deltas in time order, fuel, and the hold on the trace.</summary>
internal abstract unsafe class GroupChangeOperator<TTime> : Operator where TTime : unmanaged, ITime<TTime>
{
    private const long RowsPerRun = 64 * 1024;
    private readonly InputPort<ArrangedDelta<TTime>> _input;
    private readonly Trace<TTime> _trace;
    private readonly Queue<Work> _work = new();
    private TraceHold<TTime>? _hold;

    protected GroupChangeOperator(Arranged<TTime> source, string name)
        : base(source.Scope.Graph, name)
    {
        if (!TTime.IsTotal)
            throw new NotSupportedException("group reductions of this kind need totally ordered times");
        _input = this.NewInput(source);
        _trace = source.SharedTrace;
        _hold = _trace.NewHold();
        Floor = source.Floor;
    }

    /// <summary>Times are seen joined with it.</summary>
    protected TTime Floor { get; }

    public sealed override void Run()
    {
        while (_input.TryTake(out var delta))
        {
            Queue(delta);
            delta.Release();
        }

        SeeFrontiers();
        var fuel = Fuel(RowsPerRun);
        while (fuel > 0 && _work.TryPeek(out var work))
        {
            fuel -= Advance(work, fuel);
            if (work.Key < work.Delta.Count)
                break;
            _work.Dequeue();
            work.Release();
        }

        Flush();
        SetHold(_work.TryPeek(out var next) ? next.MinStamp : null);
        if (_work.Count > 0 && !IsAway)
            Activate();
        if (_hold is null)
            return;
        if (!_input.FrontierStamp.IsClosed)
        {
            _hold.Advance(TTime.FromStamp(_input.FrontierStamp));
            return;
        }

        _trace.Drop(_hold);
        _hold = null;
    }

    public override void Dispose()
    {
        foreach (var work in _work)
            work.Release();
        _work.Clear();
        if (_hold is not null)
            _trace.Drop(_hold);
        _hold = null;
    }

    protected override void MeasureState(StateMeter meter)
    {
        foreach (var work in _work)
            work.Measure(meter);
    }

    /// <summary>Set by <see cref="Change"/> when it is to be called again, with the same arguments, in another run.</summary>
    protected bool IsUnfinished { get; set; }

    /// <summary>Whether another run makes no sense before <see cref="Operator.Activate"/> is called.</summary>
    protected virtual bool IsAway => false;

    /// <summary>A key's rows [<paramref name="from"/>, <paramref name="to"/>) of a delta, in value order, have come. Returns about how many rows were visited.</summary>
    protected abstract long Change(Batch<TTime> delta, Snapshot<TTime> before, int from, int to, byte* key, int keyLength);

    /// <summary>Called for every key: what keys some rows ahead will need may be brought into the cache.</summary>
    protected abstract void Prefetch(Batch<TTime> delta, Snapshot<TTime> before, int row);

    /// <summary>Sends what is buffered.</summary>
    protected abstract void Flush();

    // A key must be met once.
    private void Queue(ArrangedDelta<TTime> delta)
    {
        if (delta.Merge(Floor) is not { } single)
            return;
        delta.Before.AddReference();
        _work.Enqueue(new Work(single, delta.Before, delta.MinStamp));
    }

    private long Advance(Work work, long fuel)
    {
        var delta = work.Delta;
        var done = 0L;
        ulong scratch;
        while (work.Key < delta.Count && done < fuel)
        {
            var from = work.Key;
            var to = delta.EndOfKey(from);
            Prefetch(delta, work.Before, from);
            var key = (byte*)&scratch;
            var keyLength = delta.Keys.Shape.Width;
            if (delta.KeysStored)
            {
                key = delta.Keys.Address(from);
                keyLength = delta.Keys.Length(from);
            }
            else
            {
                scratch = RowHash.Unmix(delta.Hashes[from]);
            }

            done += Change(delta, work.Before, from, to, key, keyLength);
            if (IsUnfinished)
                return Math.Max(done, fuel); // the run is over
            work.Key = to;
        }

        return done;
    }

    private sealed class Work(Batch<TTime> delta, Snapshot<TTime> before, Stamp minStamp)
    {
        public Batch<TTime> Delta { get; } = delta;

        public Snapshot<TTime> Before { get; } = before;

        public Stamp MinStamp { get; } = minStamp;

        public int Key { get; set; }

        public void Measure(StateMeter meter)
        {
            Delta.Measure(meter);
            Before.Measure(meter);
        }

        public void Release()
        {
            Delta.Release();
            Before.Release();
        }
    }
}

/// <summary>Reads each changed group before and after, and emits differences.</summary>
internal abstract unsafe class GroupReduceOperator<TTime, TReduction> : GroupChangeOperator<TTime>
    where TTime : unmanaged, ITime<TTime>
    where TReduction : class, IGroupReduction<TTime>
{
    // Groups of more rows are read by another thread: some milliseconds of work.
    private const long RowsMaxHere = 32 * 1024;
    private const int EmittedPerRun = 64 * 1024;
    private readonly GroupReader<TTime> _reader = new();
    private readonly List<TTime> _times = []; // of the running key's updates, in order
    private int _time;
    private Stage _stage;
    private Task _reading = Task.CompletedTask;
    private Batch<TTime>[] _pinned = [];      // what the other thread reads of the trace
    private byte[] _key = [];                 // the key for it, pinned

    private enum Stage
    {
        Begin,
        Reading,
        Emitting,
    }

    protected GroupReduceOperator(Arranged<TTime> source, string name, TReduction reduction)
        : base(source, name)
    {
        Reduction = reduction;
    }

    protected TReduction Reduction { get; }

    protected override bool IsAway => _stage == Stage.Reading && !_reading.IsCompleted;

    public override void Dispose()
    {
        // It may be half-way through memory that is about to be freed. Rare: a dataflow dropped in the middle of a large group.
        if (!_reading.IsCompleted)
            ((IAsyncResult)_reading).AsyncWaitHandle.WaitOne();
        Unpin();
        base.Dispose();
        _reader.Dispose();
        Reduction.Dispose();
    }

    protected override void MeasureState(StateMeter meter)
    {
        base.MeasureState(meter);
        foreach (var batch in _pinned)
            batch.Measure(meter);
        Reduction.Measure(meter);
    }

    protected override void Flush() => Reduction.Flush();

    protected override long Change(Batch<TTime> delta, Snapshot<TTime> before, int from, int to, byte* key, int keyLength)
    {
        if (!IsUnfinished)
        {
            FindTimes(delta, from, to);
            _time = 0;
            _stage = Stage.Begin;
            IsUnfinished = true;
        }

        var done = 0L;
        for (; _time < _times.Count; _time++)
        {
            if (_stage == Stage.Begin)
            {
                _reader.Start();
                _reader.Add(before, delta.Hashes[from], key, keyLength, filtered: false);
                if (Graph.Worker.OffloadsWork && Math.Min(_reader.Rows + to - from, Reduction.RowsNeeded) > RowsMaxHere)
                {
                    ReadElsewhere(delta, before, from, to, key, keyLength);
                    return done;
                }

                done += Read(delta, from, to, key, keyLength);
                _stage = Stage.Emitting;
            }

            if (_stage == Stage.Reading)
            {
                if (!_reading.IsCompleted)
                    return done;
                Unpin();
                _reading.GetAwaiter().GetResult(); // it is over: this only hears whether it failed
                _stage = Stage.Emitting;
            }

            if (!Reduction.EmitDifference(key, keyLength, _times[_time], EmittedPerRun))
                return done;
            _stage = Stage.Begin;
        }

        IsUnfinished = false;
        return done;
    }

    protected override void Prefetch(Batch<TTime> delta, Snapshot<TTime> before, int row) => GroupReader<TTime>.Prefetch(delta, row, before);

    // The reader has the rows before the delta.
    private long Read(Batch<TTime> delta, int from, int to, byte* key, int keyLength)
    {
        var time = _times[_time];
        var uniform = delta.Times == null;
        _reader.Mark();
        if (!uniform)
        {
            _reader.Limit(time, strict: true, Floor);
            _reader.Add(delta, from, to, filtered: true);
        }

        var read = Reduction.Read(key, keyLength, _reader, after: false);
        _reader.Rewind();
        if (!uniform)
            _reader.Limit(time, strict: false, Floor);
        _reader.Add(delta, from, to, filtered: !uniform);
        return read + Reduction.Read(key, keyLength, _reader, after: true) + 4;
    }

    private void ReadElsewhere(Batch<TTime> delta, Snapshot<TTime> before, int from, int to, byte* key, int keyLength)
    {
        // Recent goes on changing under a reader that is not of this thread: its rows become a batch.
        _pinned = before.ToBatches();
        var hash = delta.Hashes[from];
        _key = GC.AllocateUninitializedArray<byte>(Math.Max(1, keyLength), pinned: true);
        new ReadOnlySpan<byte>(key, keyLength).CopyTo(_key);
        _stage = Stage.Reading;
        _reading = Task.Run(() =>
        {
            var own = (byte*)System.Runtime.InteropServices.Marshal.UnsafeAddrOfPinnedArrayElement(_key, 0);
            _reader.Start();
            foreach (var batch in _pinned)
                _reader.Add(batch, hash, own, keyLength, filtered: false);
            Read(delta, from, to, own, keyLength);
        });

        // Not by the work itself: it would say so before it is complete.
        _reading.ContinueWith(
            _ => Graph.Worker.Post(_ => Activate()), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    private void Unpin()
    {
        foreach (var batch in _pinned)
            batch.Release();
        _pinned = [];
    }

    private void FindTimes(Batch<TTime> delta, int from, int to)
    {
        _times.Clear();
        if (delta.Times == null)
        {
            _times.Add(TTime.Join(delta.UniformTime, Floor));
            return;
        }

        for (var row = from; row < to; row++)
        {
            var time = TTime.Join(delta.Times[row], Floor);
            if (_times.Count == 0 || !_times[^1].Equals(time))
                _times.Add(time);
        }

        _times.Sort();
        var kept = 0;
        for (var i = 0; i < _times.Count; i++)
        {
            if (kept == 0 || !_times[kept - 1].Equals(_times[i]))
                _times[kept++] = _times[i];
        }

        _times.RemoveRange(kept, _times.Count - kept);
    }
}

/// <summary>What is made of a group, before and after; differences are emitted, keyed rows finished.</summary>
internal unsafe interface IGroupReduction<TTime> : IDisposable where TTime : unmanaged, ITime<TTime>
{
    /// <summary>How many rows of a group are read at most.</summary>
    long RowsNeeded { get; }

    /// <summary>Reads a group as far as needed; returns the values read. Maybe on another thread than the worker's, one call at a time.</summary>
    long Read(byte* key, int keyLength, GroupReader<TTime> group, bool after);

    /// <summary>Emits what differs between the two groups read. False if it stopped after about <paramref name="rowsMax"/> rows and is to be called again.</summary>
    bool EmitDifference(byte* key, int keyLength, TTime time, int rowsMax);

    /// <summary>Counts what it keeps between runs.</summary>
    void Measure(StateMeter meter);

    /// <summary>Sends what is buffered.</summary>
    void Flush();
}
