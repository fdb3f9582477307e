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
    private readonly Side _before;
    private readonly Side _after;

    private AccumulableOperator(
        Stream<TTime> keyed, string name, RowShape keyShape, int accumulatorBytes, AccumulateKernel accumulate, RowKernel finish, RowShape shape)
        : base(keyed, name, keyShape, accumulatorBytes, accumulate)
    {
        _ok = new OutputPort<UpdateBatch<TTime>>(this);
        _errors = new OutputPort<UpdateBatch<TTime>>(this);
        _rows = new BatchBuilder<TTime>(shape);
        _errorRows = new BatchBuilder<TTime>(RowShape.Variable);
        _before = new Side(Graph.Worker.Scratch, finish, shape, WorkerScratch.KernelSlot, WorkerScratch.KeySlot);
        _after = new Side(Graph.Worker.Scratch, finish, shape, WorkerScratch.SecondKernelSlot, WorkerScratch.SecondKeySlot);
    }

    public static OkErr<TTime> Build(
        Stream<TTime> source, string name, RowKernel split, RowShape keyShape, RowShape valueShape, int accumulatorBytes, AccumulateKernel accumulate, RowKernel finish, RowShape shape)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(accumulatorBytes, sizeof(long));
        var (keyed, errors) = KeyByOperator<TTime>.Build(source, name, split, keyShape, valueShape);
        if (!TTime.IsTotal)
        {
            var reduced = GeneralReduceOperator<TTime>.Build(
                ArrangeOperator<TTime>.OfKeyed(keyed, name + ": input", keyShape), name, new WholeAccumulation(source.Scope.Worker.Scratch, accumulatorBytes, accumulate, finish, shape), shape);
            return reduced with { Errors = reduced.Errors.Concat(errors) };
        }

        var op = new AccumulableOperator<TTime>(keyed, name, keyShape, accumulatorBytes, accumulate, finish, shape);
        var own = new Stream<TTime>(source.Scope, op._errors, RowShape.Variable);
        return new OkErr<TTime>(new Stream<TTime>(source.Scope, op._ok, shape), own.Concat(errors));
    }

    public override void Dispose()
    {
        base.Dispose();
        _rows.Dispose();
        _errorRows.Dispose();
        _before.Dispose();
        _after.Dispose();
    }

    protected override void MeasureState(StateMeter meter)
    {
        base.MeasureState(meter);
        _rows.Measure(meter);
        _errorRows.Measure(meter);
        _before.Measure(meter);
        _after.Measure(meter);
    }

    protected override void Emit(TTime time)
    {
        for (var from = 0; from < TouchedCount; from += KernelIo.Capacity)
            Emit(time, from, Math.Min(KernelIo.Capacity, TouchedCount - from));
    }

    protected override void Flush()
    {
        _ok.Send(_rows.Build());
        _errors.Send(_errorRows.Build());
    }

    private void Emit(TTime time, int from, int count)
    {
        _before.Start();
        _after.Start();
        for (var i = 0; i < count; i++)
        {
            var number = Touched(from + i, out var before);
            if (*(long*)before != 0)
                _before.Add(Table, number, before, i);
            var now = Table.Accumulator(number);
            if (*(long*)now != 0)
                _after.Add(Table, number, now, i);
        }

        _before.Finish();
        _after.Finish();

        // Both sides are in the order of touched keys: a key whose row did not change is skipped.
        int b = 0, a = 0;
        while (b < _before.Rows.Count || a < _after.Rows.Count)
        {
            var keyBefore = b < _before.Rows.Count ? _before.KeyOfRow(b) : int.MaxValue;
            var keyAfter = a < _after.Rows.Count ? _after.KeyOfRow(a) : int.MaxValue;
            if (keyBefore == keyAfter && _before.Rows.RowEquals(b, _after.Rows.AddressOf(a), _after.Rows.LengthOf(a)))
            {
                b++;
                a++;
            }
            else if (keyBefore <= keyAfter)
            {
                Append(_before.Rows, b++, time, -1);
            }
            else
            {
                Append(_after.Rows, a++, time, 1);
            }
        }

        AppendErrors(_before.Errors, time, -1);
        AppendErrors(_after.Errors, time, 1);
        if (_rows.Count >= FlushRows || _errorRows.Count >= FlushRows)
            Flush();
    }

    private void Append(RowWriter rows, int row, TTime time, long diff)
    {
        _rows.Rows.Append(rows.AddressOf(row), rows.LengthOf(row));
        _rows.Add(time, diff);
    }

    private void AppendErrors(RowWriter errors, TTime time, long diff)
    {
        _errorRows.Rows.AppendRange(errors.Peek(), 0, errors.Count);
        _errorRows.AddMany(errors.Count, time, diff);
    }

    /// <summary>The rows of up to a thousand groups, before or after the time.</summary>
    private sealed class Side : IDisposable
    {
        private readonly KernelCall _call;
        private readonly ulong* _keys;
        private readonly int* _indexes;
        private int _count;

        public Side(WorkerScratch scratch, RowKernel finish, RowShape shape, int kernelSlot, int keySlot)
        {
            Rows = new RowWriter(shape);
            Errors = new RowWriter(RowShape.Variable);
            _call = new KernelCall(scratch, finish, 2, [Rows], Errors, slot: kernelSlot);
            _keys = (ulong*)scratch.Slot(keySlot);
            _indexes = (int*)(_keys + KernelIo.Capacity);
        }

        public RowWriter Rows { get; }

        public RowWriter Errors { get; }

        public void Start()
        {
            _count = 0;
            Rows.Clear();
            Errors.Clear();
        }

        public void Add(AccumulatorTable table, int number, byte* accumulator, int index)
        {
            _call.Io.Parts[0][_count] = (nint)table.Key(number, _keys + _count, out _);
            _call.Io.Parts[1][_count] = (nint)accumulator;
            _indexes[_count++] = index;
        }

        public void Finish()
        {
            _call.Io.Emitted = 0;
            if (_count > 0)
                _call.Invoke(_count);
        }

        public int KeyOfRow(int row) => _indexes[_call.Io.Selected[row]];

        public void Measure(StateMeter meter)
        {
            meter.Writer(Rows);
            meter.Writer(Errors);
        }

        public void Dispose()
        {
            Rows.Dispose();
            Errors.Dispose();
        }
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

    private ThresholdOperator(Stream<TTime> keyed, string name, RowShape rowShape, bool distinct)
        : base(keyed, name, rowShape, sizeof(long), Count)
    {
        _output = new OutputPort<UpdateBatch<TTime>>(this);
        _rows = new BatchBuilder<TTime>(rowShape);
        _distinct = distinct;
    }

    public static Stream<TTime> Build(Stream<TTime> source, string name, bool distinct)
    {
        var (keyed, _) = KeyByOperator<TTime>.Build(source, name, null, default, default);
        if (!TTime.IsTotal)
        {
            var arranged = ArrangeOperator<TTime>.OfKeyed(keyed, name + ": input", source.Shape);
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

    protected override void Emit(TTime time)
    {
        ulong scratch;
        for (var i = 0; i < TouchedCount; i++)
        {
            var number = Touched(i, out var before);
            var change = Of(*(long*)Table.Accumulator(number)) - Of(*(long*)before);
            if (change == 0)
                continue;
            var row = Table.Key(number, &scratch, out var length);
            _rows.Rows.Append(row, length);
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
