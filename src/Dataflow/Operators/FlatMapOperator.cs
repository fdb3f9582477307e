using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// Any number of rows from each row. Time: of the input. Work: what the function does; yields after <see cref="RowsPerRun"/> output rows or <see cref="BytesPerRun"/>, between calls. State: input waiting.
/// </summary>
internal sealed class FlatMapOperator<TTime> : Operator where TTime : unmanaged, ITime<TTime>
{
    private const int RowsPerRun = 64 * 1024;
    private const long BytesPerRun = 32 << 20; // what is sent waits for those downstream, who run after this
    private const int FlushRows = 8192;
    private readonly InputPort<UpdateBatch<TTime>> _input;
    private readonly OutputPort<UpdateBatch<TTime>> _ok;
    private readonly OutputPort<UpdateBatch<TTime>> _errors;
    private readonly BatchBuilder<TTime> _rows;
    private readonly BatchBuilder<TTime> _errorRows;
    private readonly FlatMapFunction _function;
    private readonly FlatMapOutput _output;
    private readonly Queue<UpdateBatch<TTime>> _waiting = new();
    private int _row;
    private long _bytes; // made in this run

    private FlatMapOperator(Stream<TTime> source, string name, FlatMapFunction function, RowShape shape)
        : base(source.Scope.Graph, name)
    {
        _input = this.NewInput(source);
        _ok = new OutputPort<UpdateBatch<TTime>>(this);
        _errors = new OutputPort<UpdateBatch<TTime>>(this);
        _rows = new BatchBuilder<TTime>(shape);
        _errorRows = Graph.Worker.Scratch.Errors<TTime>();
        _function = function;
        _output = new FlatMapOutput(_rows.Rows, _errorRows.Rows);
    }

    public override bool FollowsFrontier => false;

    public static OkErr<TTime> Build(Stream<TTime> source, string name, FlatMapFunction function, RowShape shape)
    {
        var op = new FlatMapOperator<TTime>(source, name, function, shape);
        return new OkErr<TTime>(
            new Stream<TTime>(source.Scope, op._ok, shape), new Stream<TTime>(source.Scope, op._errors, RowShape.Variable));
    }

    public override void Run()
    {
        while (_input.TryTake(out var batch))
            _waiting.Enqueue(batch);
        var fuel = Graph.Worker.IsCongested ? 0 : Fuel(RowsPerRun);
        _bytes = 0;
        while (fuel > 0 && _bytes < BytesPerRun && _waiting.TryPeek(out var batch))
        {
            while (_row < batch.Count && fuel > 0 && _bytes < BytesPerRun)
                fuel -= 1 + Call(batch);
            if (_row < batch.Count)
                break;
            _row = 0;
            _waiting.Dequeue();
            batch.Release();
        }

        Flush();
        var least = Stamp.Closed;
        foreach (var batch in _waiting)
            least = Stamp.Min(least, batch.MinStamp);
        SetHold(least.IsClosed ? null : least);
        if (_waiting.Count > 0)
            ActivateWithCredit();
    }

    protected override void MeasureState(StateMeter meter)
    {
        foreach (var batch in _waiting)
            batch.Measure(meter);
        _rows.Measure(meter);
    }

    public override void Dispose()
    {
        foreach (var batch in _waiting)
            batch.Release();
        _waiting.Clear();
        _rows.Dispose();
    }

    private int Call(UpdateBatch<TTime> batch)
    {
        var before = _rows.Rows.Count;
        var errorsBefore = _errorRows.Rows.Count;
        var bytesBefore = _rows.Rows.Bytes;
        _output.More = false;
        _output.Diffs.Clear();
        _function(batch.RowAddress(_row), _output);
        var time = batch.TimeAt(_row);
        var diff = batch.DiffAt(_row);
        var made = _rows.Rows.Count - before;
        _bytes += _rows.Rows.Bytes - bytesBefore;
        if (_output.Diffs.Count == 0)
        {
            _rows.AddMany(made, time, diff);
        }
        else
        {
            Core.Invariant.Check(_output.Diffs.Count == made, "a flat map gives a diff for each row or for none");
            foreach (var factor in _output.Diffs)
                _rows.Add(time, checked(diff * factor));
        }

        _errorRows.AddMany(_errorRows.Rows.Count - errorsBefore, time, diff);
        if (!_output.More)
        {
            _row++;
            _output.Position = 0;
        }

        if (_rows.Count >= FlushRows || _errorRows.Count >= FlushRows || _rows.Bytes > 4 << 20)
            Flush();
        return made;
    }

    private void Flush()
    {
        _ok.Send(_rows.Build());
        _errors.Send(_errorRows.Build());
    }
}

/// <summary>An arrangement as rows, through a kernel over key and value. Time: of the updates, joined with the import's as-of. Work: O(updates), yields.</summary>
internal sealed unsafe class AsStreamOperator<TTime> : Operator where TTime : unmanaged, ITime<TTime>
{
    private const int RowsPerRun = 128 * 1024;
    private readonly InputPort<ArrangedDelta<TTime>> _input;
    private readonly OutputPort<UpdateBatch<TTime>> _ok;
    private readonly OutputPort<UpdateBatch<TTime>> _errors;
    private readonly BatchBuilder<TTime> _rows;
    private readonly BatchBuilder<TTime> _errorRows;
    private readonly KernelCall _call;
    private readonly TTime _floor;
    private readonly bool _keysStored;
    private readonly Queue<ArrangedDelta<TTime>> _waiting = new();
    private int _part; // batch of the first that waits
    private int _row;

    private AsStreamOperator(Arranged<TTime> source, string name, RowKernel kernel, RowShape shape)
        : base(source.Scope.Graph, name)
    {
        _input = this.NewInput(source);
        _ok = new OutputPort<UpdateBatch<TTime>>(this);
        _errors = new OutputPort<UpdateBatch<TTime>>(this);
        _rows = new BatchBuilder<TTime>(shape);
        _errorRows = Graph.Worker.Scratch.Errors<TTime>();
        _call = new KernelCall(Graph.Worker.Scratch, kernel, 2, [_rows.Rows], _errorRows.Rows);
        _floor = source.Floor;
        _keysStored = !Core.Hashing.RowHash.IsBijective(source.KeyShape);
    }

    public override bool FollowsFrontier => false;

    public static OkErr<TTime> Build(Arranged<TTime> source, string name, RowKernel kernel, RowShape shape)
    {
        var op = new AsStreamOperator<TTime>(source, name, kernel, shape);
        return new OkErr<TTime>(
            new Stream<TTime>(source.Scope, op._ok, shape), new Stream<TTime>(source.Scope, op._errors, RowShape.Variable));
    }

    public override void Run()
    {
        while (_input.TryTake(out var delta))
            _waiting.Enqueue(delta);
        var fuel = Graph.Worker.IsCongested ? 0 : Fuel(RowsPerRun);
        while (fuel > 0 && _waiting.TryPeek(out var waiting))
        {
            var count = Process(waiting);
            fuel -= count;
            if (count > 0)
                continue;
            _part = 0;
            _waiting.Dequeue();
            waiting.Release();
        }

        Flush();
        SetHold(_waiting.TryPeek(out var next) ? next.MinStamp : null);
        if (_waiting.Count > 0)
            ActivateWithCredit();
    }

    protected override void MeasureState(StateMeter meter)
    {
        foreach (var delta in _waiting)
            delta.Measure(meter);
        _rows.Measure(meter);
    }

    public override void Dispose()
    {
        foreach (var delta in _waiting)
            delta.Release();
        _waiting.Clear();
        _rows.Dispose();
    }

    /// <summary>Works off the next rows of a delta, in whatever order they lie; returns how many, 0 when there are no more.</summary>
    private int Process(ArrangedDelta<TTime> delta)
    {
        if (delta.Unsorted is { } unsorted)
        {
            while (_part < unsorted.Length)
            {
                var batch = unsorted[_part];
                if (Process(RowSource<TTime>.Of(batch), batch.Keys, batch.Rows) is > 0 and var count)
                    return count;
            }
        }
        else
        {
            while (_part < delta.Batches.Length)
            {
                var batch = delta.Batches[_part];
                if (Process(RowSource<TTime>.Of(batch), batch.Keys, batch.Values) is > 0 and var count)
                    return count;
            }
        }

        return 0;
    }

    private int Process(in RowSource<TTime> rows, in RowColumn keys, in RowColumn values)
    {
        var from = _row;
        var count = Math.Min(KernelIo.Capacity, rows.Count - from);
        _row += count;
        if (count == 0)
        {
            _part++;
            _row = 0;
            return 0;
        }

        var io = _call.Io;
        if (_keysStored)
        {
            keys.CopyAddresses(from, count, io.Parts[0]);
        }
        else
        {
            var scratch = (ulong*)Graph.Worker.Scratch.Slot(WorkerScratch.KeySlot);
            for (var i = 0; i < count; i++)
            {
                scratch[i] = Core.Hashing.RowHash.Unmix(rows.Hashes[from + i]);
                io.Parts[0][i] = (nint)(scratch + i);
            }
        }

        values.CopyAddresses(from, count, io.Parts[1]);
        _call.Invoke(count);
        for (var j = 0; j < io.Emitted; j++)
            _rows.Add(TTime.Join(rows.TimeAt(from + io.Selected[j]), _floor), rows.DiffAt(from + io.Selected[j]));
        for (var j = 0; j < io.ErrorsEmitted; j++)
            _errorRows.Add(TTime.Join(rows.TimeAt(from + io.ErrorSelected[j]), _floor), rows.DiffAt(from + io.ErrorSelected[j]));
        if (_rows.Count >= 8192 || _errorRows.Count >= 8192)
            Flush();
        return count;
    }

    private void Flush()
    {
        _ok.Send(_rows.Build());
        _errors.Send(_errorRows.Build());
    }
}
