using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// Sums, counts and what else undoes itself, by key. Shape: one row for each group that has records, sealed and consolidated. Time: of the change. Work: O(updates); state: an accumulator a group.
/// </summary>
internal sealed unsafe class AccumulableOperator<TTime> : TimedReduceOperator<TTime> where TTime : unmanaged, ITime<TTime>
{
    private const int FlushRows = 8192;
    private readonly OutputPort<UpdateBatch<TTime>> _ok;
    private readonly OutputPort<UpdateBatch<TTime>> _errors;
    private readonly BatchBuilder<TTime> _rows;
    private readonly BatchBuilder<TTime> _errorRows;
    private readonly RowWriter _spare;
    private readonly Side _before;
    private readonly Side _after;

    private AccumulableOperator(
        KeyedRows<TTime> source, string name, int accumulatorBytes, AccumulateKernel accumulate, RowKernel finish, RowShape shape, out Stream<TTime> errors)
        : base(source, name, accumulatorBytes, accumulate, out errors)
    {
        _ok = new OutputPort<UpdateBatch<TTime>>(this);
        _errors = new OutputPort<UpdateBatch<TTime>>(this);
        _rows = new BatchBuilder<TTime>(shape);
        _errorRows = new BatchBuilder<TTime>(RowShape.Variable);
        _spare = new RowWriter(shape);
        _before = new Side(Graph.Worker.Scratch, finish, _rows.Rows, WorkerScratch.KernelSlot, column: 0);
        _after = new Side(Graph.Worker.Scratch, finish, _rows.Rows, WorkerScratch.SecondKernelSlot, column: 1);
    }

    public static OkErr<TTime> Build(
        Stream<TTime> source, string name, RowKernel split, RowShape keyShape, RowShape valueShape, int accumulatorBytes, AccumulateKernel accumulate, RowKernel finish, RowShape shape)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(accumulatorBytes, sizeof(long));
        var keyed = KeyedRows<TTime>.Of(source, name, split, keyShape, valueShape);
        if (!TTime.IsTotal)
        {
            var (arranged, unsplit) = ArrangeOperator<TTime>.Build(keyed, name + ": input");
            var reduced = GeneralReduceOperator<TTime>.Build(arranged, name, new WholeAccumulation(source.Scope.Worker.Scratch, accumulatorBytes, accumulate, finish, shape), shape);
            return reduced with { Errors = reduced.Errors.Concat(unsplit) };
        }

        var op = new AccumulableOperator<TTime>(keyed, name, accumulatorBytes, accumulate, finish, shape, out var errors);
        var own = new Stream<TTime>(source.Scope, op._errors, RowShape.Variable);
        return new OkErr<TTime>(new Stream<TTime>(source.Scope, op._ok, shape), own.Concat(errors));
    }

    public override void Dispose()
    {
        base.Dispose();
        _rows.Dispose();
        _errorRows.Dispose();
        _spare.Dispose();
        _before.Dispose();
        _after.Dispose();
    }

    protected override void MeasureState(StateMeter meter)
    {
        base.MeasureState(meter);
        _rows.Measure(meter);
        _errorRows.Measure(meter);
        meter.Writer(_spare);
        _before.Measure(meter);
        _after.Measure(meter);
    }

    protected override void Flush()
    {
        _ok.Send(_rows.Build());
        _errors.Send(_errorRows.Build());
    }

    protected override void Emit(TTime time, int count)
    {
        _before.Start();
        _after.Start();
        for (var i = 0; i < count; i++)
        {
            var before = Before(i);
            var now = Now(i);
            if (before != null && *(long*)before != 0)
                _before.Add(Key(i), before, i);
            if (*(long*)now != 0)
                _after.Add(Key(i), now, i);
        }

        var rows = _rows.Rows;
        var start = rows.Count;
        _before.Finish();
        var middle = rows.Count;
        _after.Finish();
        if (HasUnchanged(start, middle))
        {
            KeepChanged(start, middle, time);
        }
        else
        {
            _rows.AddMany(middle - start, time, -1);
            _rows.AddMany(rows.Count - middle, time, 1);
        }

        AppendErrors(_before.Errors, time, -1);
        AppendErrors(_after.Errors, time, 1);
        if (_rows.Count >= FlushRows || _errorRows.Count >= FlushRows)
            Flush();
    }

    // Rows before the time are [start, middle), those after it [middle, end), each in the order of touched keys. Whether a key's two are equal: the change was none that shows.
    private bool HasUnchanged(int start, int middle)
    {
        var rows = _rows.Rows;
        for (int b = start, a = middle; b < middle && a < rows.Count;)
        {
            var (keyBefore, keyAfter) = (_before.KeyOfRow(b - start), _after.KeyOfRow(a - middle));
            if (keyBefore == keyAfter && rows.RowEquals(b, rows.AddressOf(a), rows.LengthOf(a)))
                return true;
            if (keyBefore <= keyAfter)
                b++;
            if (keyAfter <= keyBefore)
                a++;
        }

        return false;
    }

    // Takes the rows back and puts there again those of keys whose two differ.
    private void KeepChanged(int start, int middle, TTime time)
    {
        var rows = _rows.Rows;
        var (befores, afters) = (middle - start, rows.Count - middle);
        _spare.Clear();
        _spare.AppendRange(rows.Peek(), start, befores + afters);
        rows.Truncate(start);
        int b = 0, a = 0;
        while (b < befores || a < afters)
        {
            var keyBefore = b < befores ? _before.KeyOfRow(b) : int.MaxValue;
            var keyAfter = a < afters ? _after.KeyOfRow(a) : int.MaxValue;
            var after = befores + a;
            if (keyBefore == keyAfter && _spare.RowEquals(b, _spare.AddressOf(after), _spare.LengthOf(after)))
            {
                b++;
                a++;
            }
            else if (keyBefore <= keyAfter)
            {
                Append(_spare, b++, time, -1);
            }
            else
            {
                Append(_spare, befores + a++, time, 1);
            }
        }
    }

    private void Append(RowWriter from, int row, TTime time, long diff)
    {
        _rows.Rows.Append(from.AddressOf(row), from.LengthOf(row));
        _rows.Add(time, diff);
    }

    private void AppendErrors(RowWriter errors, TTime time, long diff)
    {
        _errorRows.Rows.AppendRange(errors.Peek(), 0, errors.Count);
        _errorRows.AddMany(errors.Count, time, diff);
    }

    /// <summary>What the kernel makes of up to a thousand groups, before or after the time; rows go to the output at once.</summary>
    private sealed class Side : IDisposable
    {
        private readonly KernelCall _call;
        private readonly int* _indexes;
        private int _count;

        public Side(WorkerScratch scratch, RowKernel finish, RowWriter rows, int kernelSlot, int column)
        {
            Errors = new RowWriter(RowShape.Variable);
            _call = new KernelCall(scratch, finish, 2, [rows], Errors, slot: kernelSlot);
            _indexes = (int*)(scratch.Slot(WorkerScratch.IndexSlot) + (column * WorkerScratch.ColumnBytes));
        }

        public RowWriter Errors { get; }

        public void Start()
        {
            _count = 0;
            Errors.Clear();
        }

        public void Add(byte* key, byte* accumulator, int index)
        {
            _call.Io.Parts[0][_count] = (nint)key;
            _call.Io.Parts[1][_count] = (nint)accumulator;
            _indexes[_count++] = index;
        }

        public void Finish()
        {
            _call.Io.Emitted = 0;
            if (_count > 0)
                _call.Invoke(_count);
        }

        /// <param name="row">In the order they were made, from 0.</param>
        public int KeyOfRow(int row) => _indexes[_call.Io.Selected[row]];

        public void Measure(StateMeter meter) => meter.Writer(Errors);

        public void Dispose() => Errors.Dispose();
    }
}

/// <summary>
/// Distinct and threshold: a row's multiplicity m becomes 1 if m &gt; 0, or max(m, 0). The accumulator is m itself; what is emitted is the change of the function of it.
/// </summary>
internal sealed unsafe class ThresholdOperator<TTime> : TimedReduceOperator<TTime> where TTime : unmanaged, ITime<TTime>
{
    private readonly OutputPort<UpdateBatch<TTime>> _output;
    private readonly BatchBuilder<TTime> _rows;
    private readonly bool _distinct;

    private ThresholdOperator(KeyedRows<TTime> source, string name, RowShape rowShape, bool distinct)
        : base(source, name, sizeof(long), Count, out _)
    {
        _output = new OutputPort<UpdateBatch<TTime>>(this);
        _rows = new BatchBuilder<TTime>(rowShape);
        _distinct = distinct;
    }

    public static Stream<TTime> Build(Stream<TTime> source, string name, bool distinct)
    {
        var keyed = KeyedRows<TTime>.Of(source, name, null, default, default);
        if (!TTime.IsTotal)
        {
            var arranged = ArrangeOperator<TTime>.Build(keyed, name + ": input").Arranged;
            return GeneralReduceOperator<TTime>.Build(arranged, name, new WholeThreshold(distinct), source.Shape).Ok;
        }

        return new Stream<TTime>(source.Scope, new ThresholdOperator<TTime>(keyed, name, source.Shape, distinct)._output, source.Shape);
    }

    public override void Dispose()
    {
        base.Dispose();
        _rows.Dispose();
    }

    protected override void MeasureState(StateMeter meter)
    {
        base.MeasureState(meter);
        _rows.Measure(meter);
    }

    protected override void Emit(TTime time, int count)
    {
        for (var i = 0; i < count; i++)
        {
            var change = Of(*(long*)Now(i)) - (Before(i) == null ? 0 : Of(*(long*)Before(i)));
            if (change == 0)
                continue;
            _rows.Rows.Append(Key(i), KeyLength(i));
            _rows.Add(time, change);
            if (_rows.Count >= 8192)
                Flush();
        }
    }

    protected override void Flush() => _output.Send(_rows.Build());

    private static void Count(nint* keys, nint* values, long* diffs, nint* accumulators, int count)
    {
        for (var i = 0; i < count; i++)
            *(long*)accumulators[i] += diffs[i];
    }

    private long Of(long multiplicity) => multiplicity <= 0 ? 0 : _distinct ? 1 : multiplicity;
}
