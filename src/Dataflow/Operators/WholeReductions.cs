using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Operators;

// The reductions of streams as functions of a whole group, for GeneralReduceOperator.

/// <summary>Fold all values into one accumulator, finish it.</summary>
internal sealed unsafe class WholeAccumulation : IWholeReduction
{
    private readonly int _accumulatorBytes;
    private readonly AccumulateKernel _accumulate;
    private readonly RowKernel _finish;
    private readonly KernelIo _io;
    private readonly KernelCall _call;
    private readonly byte* _accumulator;
    private readonly long _capacity;
    private readonly RowWriter _rows;
    private readonly RowWriter _errors = new(RowShape.Variable);

    public WholeAccumulation(WorkerScratch scratch, int accumulatorBytes, AccumulateKernel accumulate, RowKernel finish, RowShape shape)
    {
        _accumulatorBytes = accumulatorBytes;
        _accumulate = accumulate;
        _finish = finish;
        _rows = new RowWriter(shape);
        _call = new KernelCall(scratch, _finish, 2, [_rows], _errors);
        _io = _call.Io;
        _capacity = SlabPool.CapacityFor(accumulatorBytes);
        _accumulator = SlabPool.Rent(_capacity);
    }

    public long RowsNeeded => long.MaxValue;

    public void Reduce(byte* key, int keyLength, nint* values, int* lengths, long* diffs, int count, RowWriter output, List<long> outputDiffs, RowWriter errors)
    {
        new Span<byte>(_accumulator, _accumulatorBytes).Clear();
        var keys = stackalloc nint[64];
        var accumulators = stackalloc nint[64];
        new Span<nint>(keys, 64).Fill((nint)key);
        new Span<nint>(accumulators, 64).Fill((nint)_accumulator);
        for (var from = 0; from < count; from += 64)
            _accumulate(keys, values + from, diffs + from, accumulators, Math.Min(64, count - from));
        if (*(long*)_accumulator == 0)
            return;
        _io.Parts[0][0] = (nint)key;
        _io.Parts[1][0] = (nint)_accumulator;
        _rows.Clear();
        _errors.Clear();
        _call.Invoke(1);
        output.AppendRange(_rows.Peek(), 0, _rows.Count);
        for (var i = 0; i < _rows.Count; i++)
            outputDiffs.Add(1);
        errors.AppendRange(_errors.Peek(), 0, _errors.Count);
    }

    public void Measure(StateMeter meter)
    {
        meter.Writer(_rows);
        meter.Writer(_errors);
        meter.Slab(_accumulatorBytes, _capacity);
    }

    public void Dispose()
    {
        _rows.Dispose();
        _errors.Dispose();
        SlabPool.Return(_accumulator, _capacity);
    }
}

/// <summary>The key itself, by its multiplicity.</summary>
internal sealed unsafe class WholeThreshold(bool distinct) : IWholeReduction
{
    public long RowsNeeded => long.MaxValue;

    public void Reduce(byte* key, int keyLength, nint* values, int* lengths, long* diffs, int count, RowWriter output, List<long> outputDiffs, RowWriter errors)
    {
        if (diffs[0] <= 0)
            return;
        output.Append(key, keyLength);
        outputDiffs.Add(distinct ? 1 : diffs[0]);
    }

    public void Measure(StateMeter meter)
    {
    }

    public void Dispose()
    {
    }
}

/// <summary>The values between offset and limit; values come in sort order.</summary>
internal sealed unsafe class WholeTopK : IWholeReduction
{
    private readonly RowShape _stored;
    private readonly RowShape _sortKey;
    private readonly long _limit;
    private readonly long _offset;
    private readonly RowWriter _rows;
    private readonly KernelCall? _finish;

    public WholeTopK(WorkerScratch scratch, RowShape stored, RowShape sortKey, RowKernel? finish, RowShape shape, long? limit, long offset)
    {
        _stored = stored;
        _sortKey = sortKey;
        _limit = limit ?? long.MaxValue;
        _offset = offset;
        _rows = new RowWriter(shape);
        if (finish is not null)
            _finish = new KernelCall(scratch, finish, 3, [_rows], null);
    }

    public long RowsNeeded => _limit < long.MaxValue - _offset ? _limit + _offset : long.MaxValue;

    public void Reduce(byte* key, int keyLength, nint* values, int* lengths, long* diffs, int count, RowWriter output, List<long> outputDiffs, RowWriter errors)
    {
        var skip = _offset;
        var left = _limit;
        for (var i = 0; i < count && left > 0; i++)
        {
            if (diffs[i] < 0)
                continue;
            var skipped = Math.Min(skip, diffs[i]);
            skip -= skipped;
            var copies = Math.Min(left, diffs[i] - skipped);
            if (copies <= 0)
                continue;
            left -= copies;
            if (_finish is null)
            {
                output.Append(SortedRow.RowOf((byte*)values[i], lengths[i], _stored, _sortKey));
                outputDiffs.Add(copies);
                continue;
            }

            _rows.Clear();
            _finish.Io.Parts[0][0] = (nint)key;
            _finish.Io.Parts[2][0] = values[i];
            _finish.Io.Parts[1][0] = SortedRow.RowAddress((byte*)values[i], lengths[i], _stored, _sortKey);
            _finish.Invoke(1);
            output.AppendRange(_rows.Peek(), 0, _rows.Count);
            for (var r = 0; r < _rows.Count; r++)
                outputDiffs.Add(copies);
        }
    }

    public void Measure(StateMeter meter) => meter.Writer(_rows);

    public void Dispose() => _rows.Dispose();
}

/// <summary>A group kernel, its values finished into rows.</summary>
internal sealed unsafe class WholeGroup : IWholeReduction
{
    private readonly GroupKernel _group;
    private readonly RowWriter _values;
    private readonly RowWriter _rows;
    private readonly RowWriter _errors = new(RowShape.Variable);
    private readonly KernelCall _finish;

    public WholeGroup(WorkerScratch scratch, GroupKernel group, RowShape outputShape, RowKernel finish, RowShape shape)
    {
        _group = group;
        _values = new RowWriter(outputShape);
        _rows = new RowWriter(shape);
        _finish = new KernelCall(scratch, finish, 2, [_rows], _errors);
    }

    public long RowsNeeded => long.MaxValue;

    public void Reduce(byte* key, int keyLength, nint* values, int* lengths, long* diffs, int count, RowWriter output, List<long> outputDiffs, RowWriter errors)
    {
        _values.Clear();
        _rows.Clear();
        _errors.Clear();
        _group((nint)key, values, diffs, count, _values, errors);
        for (var i = 0; i < _values.Count; i++)
        {
            _finish.Io.Parts[0][0] = (nint)key;
            _finish.Io.Parts[1][0] = (nint)_values.AddressOf(i);
            _finish.Invoke(1);
        }

        output.AppendRange(_rows.Peek(), 0, _rows.Count);
        for (var i = 0; i < _rows.Count; i++)
            outputDiffs.Add(1);
        errors.AppendRange(_errors.Peek(), 0, _errors.Count);
    }

    public void Measure(StateMeter meter)
    {
        meter.Writer(_values);
        meter.Writer(_rows);
        meter.Writer(_errors);
    }

    public void Dispose()
    {
        _values.Dispose();
        _rows.Dispose();
        _errors.Dispose();
    }
}
