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

/// <summary>The frame: which keys changed when, reading groups, and emitting differences.</summary>
internal abstract unsafe class GroupReduceOperator<TTime, TReduction> : Operator
    where TTime : unmanaged, ITime<TTime>
    where TReduction : class, IGroupReduction<TTime>
{
    private const long RowsPerRun = 512 * 1024;
    private readonly InputPort<ArrangedDelta<TTime>> _input;
    private readonly Trace<TTime> _trace;
    private readonly TTime _floor;
    private readonly GroupReader<TTime> _reader = new();
    private readonly Queue<Work> _work = new();
    private TraceHold<TTime>? _hold;

    protected GroupReduceOperator(Arranged<TTime> source, string name, TReduction reduction)
        : base(source.Scope.Graph, name)
    {
        if (!TTime.IsTotal)
            throw new NotSupportedException("group reductions of this kind need totally ordered times");
        _input = this.NewInput(source);
        _trace = source.SharedTrace;
        _hold = _trace.NewHold();
        _floor = source.Floor;
        Reduction = reduction;
    }

    protected TReduction Reduction { get; }

    public override void Run()
    {
        while (_input.TryTake(out var delta))
        {
            Queue(delta);
            delta.Release();
        }

        var fuel = RowsPerRun;
        while (fuel > 0 && _work.TryPeek(out var work))
        {
            fuel -= Advance(work, fuel);
            if (work.Key < work.Delta.Count)
                break;
            _work.Dequeue();
            work.Release();
        }

        Reduction.Flush();
        SetHold(_work.TryPeek(out var next) ? next.MinStamp : null);
        if (_work.Count > 0)
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
        _reader.Dispose();
        Reduction.Dispose();
        if (_hold is not null)
            _trace.Drop(_hold);
        _hold = null;
    }

    // An import's first delta is several batches; a key must be met once.
    private void Queue(ArrangedDelta<TTime> delta)
    {
        Batch<TTime>? single;
        if (delta.Batches.Length == 1)
        {
            single = delta.Batches[0];
            single.AddReference();
        }
        else
        {
            using var tools = new MergeTools<TTime>(Graph.Worker.Scratch, _trace.KeyShape, _trace.ValueShape);
            using var merger = new Merger<TTime>(tools, delta.Batches) { Since = _floor };
            merger.Work(long.MaxValue);
            single = merger.Finish();
        }

        if (single is null)
            return;
        delta.Before.AddReference();
        _work.Enqueue(new Work(single, delta.Before, delta.MinStamp));
    }

    private long Advance(Work work, long fuel)
    {
        var delta = work.Delta;
        var done = 0L;
        while (work.Key < delta.Count && done < fuel)
        {
            var from = work.Key;
            var to = delta.EndOfKey(from);
            ulong scratch;
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

            if (delta.Times == null)
            {
                done += Change(work, from, to, key, keyLength, TTime.Join(delta.UniformTime, _floor), uniform: true);
            }
            else
            {
                foreach (var time in TimesOf(delta, from, to))
                    done += Change(work, from, to, key, keyLength, time, uniform: false);
            }

            work.Key = to;
        }

        return done;
    }

    private long Change(Work work, int from, int to, byte* key, int keyLength, TTime time, bool uniform)
    {
        var hash = work.Delta.Hashes[from];
        _reader.Start();
        _reader.Add(work.Before, hash, key, keyLength, filtered: false);
        if (!uniform)
        {
            _reader.Limit(time, strict: true, _floor);
            _reader.Add(work.Delta, from, to, filtered: true);
        }

        var read = Reduction.Read(key, keyLength, _reader, after: false);
        _reader.Start();
        _reader.Add(work.Before, hash, key, keyLength, filtered: false);
        if (!uniform)
            _reader.Limit(time, strict: false, _floor);
        _reader.Add(work.Delta, from, to, filtered: !uniform);
        read += Reduction.Read(key, keyLength, _reader, after: true);
        Reduction.EmitDifference(key, keyLength, time);
        return read + 4;
    }

    private List<TTime> TimesOf(Batch<TTime> delta, int from, int to)
    {
        var times = new List<TTime>();
        for (var row = from; row < to; row++)
        {
            var time = TTime.Join(delta.Times[row], _floor);
            if (times.Count == 0 || !times[^1].Equals(time))
                times.Add(time);
        }

        times.Sort();
        var kept = 0;
        for (var i = 0; i < times.Count; i++)
        {
            if (kept == 0 || !times[kept - 1].Equals(times[i]))
                times[kept++] = times[i];
        }

        times.RemoveRange(kept, times.Count - kept);
        return times;
    }

    private sealed class Work(Batch<TTime> delta, Snapshot<TTime> before, Stamp minStamp)
    {
        public Batch<TTime> Delta { get; } = delta;

        public Snapshot<TTime> Before { get; } = before;

        public Stamp MinStamp { get; } = minStamp;

        public int Key { get; set; }

        public void Release()
        {
            Delta.Release();
            Before.Release();
        }
    }
}

/// <summary>What is made of a group, before and after; differences are emitted, keyed rows finished.</summary>
internal unsafe interface IGroupReduction<TTime> : IDisposable where TTime : unmanaged, ITime<TTime>
{
    /// <summary>Reads a group as far as needed; returns the values read.</summary>
    long Read(byte* key, int keyLength, GroupReader<TTime> group, bool after);

    /// <summary>Emits what differs between the two groups read.</summary>
    void EmitDifference(byte* key, int keyLength, TTime time);

    /// <summary>Sends what is buffered.</summary>
    void Flush();
}
