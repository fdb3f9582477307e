using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// Reductions that see the whole group (<see cref="GroupKernel"/>). Shape: what differs between the group's rows before and after, finished into rows; sealed and consolidated by key. Work: twice the group for each change of it. State: none
/// but the arrangement.
/// </summary>
internal sealed unsafe class GroupReduceOperator<TTime> : GroupReduceOperator<TTime, GroupReduceOperator<TTime>.Collected> where TTime : unmanaged, ITime<TTime>
{
    private GroupReduceOperator(Arranged<TTime> source, string name, GroupKernel group, RowShape outputShape, RowKernel finish, RowShape shape)
        : base(source, name, new Collected(source.Scope.Worker.Scratch, group, outputShape, finish, shape))
    {
        Reduction.Ok = new OutputPort<UpdateBatch<TTime>>(this);
        Reduction.ErrorsOut = new OutputPort<UpdateBatch<TTime>>(this);
    }

    public static OkErr<TTime> Build(Arranged<TTime> source, string name, GroupKernel group, RowShape outputShape, RowKernel finish, RowShape shape)
    {
        if (!TTime.IsTotal)
            return GeneralReduceOperator<TTime>.Build(source, name, new WholeGroup(source.Scope.Worker.Scratch, group, outputShape, finish, shape), shape);
        var op = new GroupReduceOperator<TTime>(source, name, group, outputShape, finish, shape);
        return new OkErr<TTime>(
            new Stream<TTime>(source.Scope, op.Reduction.Ok!, shape), new Stream<TTime>(source.Scope, op.Reduction.ErrorsOut!, RowShape.Variable));
    }

    internal sealed class Collected : IGroupReduction<TTime>
    {
        private readonly GroupKernel _group;
        private readonly BatchBuilder<TTime> _rows;
        private readonly BatchBuilder<TTime> _errorRows;
        private readonly KernelCall _finish;
        private readonly Half _before;
        private readonly Half _after;
        private int _nextBefore; // how far what differs was emitted
        private int _nextAfter;
        private nint* _values;
        private long* _diffs;
        private long _valuesCapacity;
        private long _diffsCapacity;

        public Collected(WorkerScratch scratch, GroupKernel group, RowShape outputShape, RowKernel finish, RowShape shape)
        {
            _group = group;
            _rows = new BatchBuilder<TTime>(shape);
            _errorRows = new BatchBuilder<TTime>(RowShape.Variable);
            _finish = new KernelCall(scratch, finish, 2, [_rows.Rows], _errorRows.Rows);
            _before = new Half(outputShape);
            _after = new Half(outputShape);
        }

        public OutputPort<UpdateBatch<TTime>>? Ok { get; set; }

        public OutputPort<UpdateBatch<TTime>>? ErrorsOut { get; set; }

        public long RowsNeeded => long.MaxValue;

        public long Read(byte* key, int keyLength, GroupReader<TTime> group, bool after)
        {
            var half = after ? _after : _before;
            half.Clear();
            var count = 0;
            while (group.Next(out var value, out _, out var diff))
            {
                if ((count + 1) * sizeof(long) > _valuesCapacity)
                    Grow(count);
                _values[count] = (nint)value;
                _diffs[count++] = diff;
            }

            if (count > 0)
                _group((nint)key, _values, _diffs, count, half.Rows, half.Errors);
            half.Sort();
            return count;
        }

        public bool EmitDifference(byte* key, int keyLength, TTime time, int rowsMax)
        {
            for (var left = rowsMax; _nextBefore < _before.Rows.Count || _nextAfter < _after.Rows.Count; left--)
            {
                if (left == 0)
                    return false;
                var order = _nextBefore == _before.Rows.Count ? 1 : _nextAfter == _after.Rows.Count ? -1 : _before[_nextBefore].SequenceCompareTo(_after[_nextAfter]);
                if (order < 0)
                    Emit(key, _before.Address(_nextBefore++), time, -1);
                else if (order > 0)
                    Emit(key, _after.Address(_nextAfter++), time, 1);
                else
                    (_nextBefore, _nextAfter) = (_nextBefore + 1, _nextAfter + 1);
            }

            (_nextBefore, _nextAfter) = (0, 0);
            _errorRows.Rows.AppendRange(_before.Errors.Peek(), 0, _before.Errors.Count);
            _errorRows.AddMany(_before.Errors.Count, time, -1);
            _errorRows.Rows.AppendRange(_after.Errors.Peek(), 0, _after.Errors.Count);
            _errorRows.AddMany(_after.Errors.Count, time, 1);
            if (_rows.Count >= 8192 || _errorRows.Count >= 8192)
                Flush();
            return true;
        }

        public void Flush()
        {
            Ok!.Send(_rows.Build());
            ErrorsOut!.Send(_errorRows.Build());
        }

        public void Measure(StateMeter meter)
        {
            _rows.Measure(meter);
            _errorRows.Measure(meter);
            _before.Measure(meter);
            _after.Measure(meter);
            meter.Slab(0, _valuesCapacity);
            meter.Slab(0, _diffsCapacity);
        }

        public void Dispose()
        {
            _rows.Dispose();
            _errorRows.Dispose();
            _before.Dispose();
            _after.Dispose();
            SlabPool.Return(_values, _valuesCapacity);
            SlabPool.Return(_diffs, _diffsCapacity);
        }

        private void Emit(byte* key, byte* value, TTime time, long diff)
        {
            _finish.Io.Parts[0][0] = (nint)key;
            _finish.Io.Parts[1][0] = (nint)value;
            _finish.Invoke(1);
            _rows.AddMany(_finish.Io.Emitted, time, diff);
            _errorRows.AddMany(_finish.Io.ErrorsEmitted, time, diff);
        }

        private void Grow(int count)
        {
            var used = (long)count * sizeof(long);
            _values = (nint*)SlabPool.Resize((byte*)_values, ref _valuesCapacity, used, Math.Max(1024, _valuesCapacity * 2));
            _diffs = (long*)SlabPool.Resize((byte*)_diffs, ref _diffsCapacity, used, Math.Max(1024, _diffsCapacity * 2));
        }

        /// <summary>The output values of a group, in byte order once sorted.</summary>
        private sealed class Half(RowShape shape) : IDisposable
        {
            private int[] _order = new int[8];

            public RowWriter Rows { get; } = new(shape);

            public RowWriter Errors { get; } = new(RowShape.Variable);

            public ReadOnlySpan<byte> this[int index] => Rows[_order[index]];

            public byte* Address(int index) => Rows.AddressOf(_order[index]);

            public void Clear()
            {
                Rows.Clear();
                Errors.Clear();
            }

            public void Sort()
            {
                if (_order.Length < Rows.Count)
                    Array.Resize(ref _order, Math.Max(Rows.Count, _order.Length * 2));
                for (var i = 0; i < Rows.Count; i++)
                    _order[i] = i;
                if (Rows.Count > 1)
                    _order.AsSpan(0, Rows.Count).Sort((x, y) => Rows[x].SequenceCompareTo(Rows[y]));
            }

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
}
