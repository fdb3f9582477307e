using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// The first rows of each group in the order of a sort key. Shape: rows, sealed and consolidated. Time: of the change. Work for a changed group: a seek in each batch and O(offset + limit) rows, twice. State: an arrangement whose values
/// begin with the sort key (<see cref="SortedRow"/>), so that a group's rows lie in the wanted order.
/// </summary>
internal sealed unsafe class TopKOperator<TTime> : GroupReduceOperator<TTime, TopKOperator<TTime>.Window> where TTime : unmanaged, ITime<TTime>
{
    private TopKOperator(Arranged<TTime> source, string name, RowShape sortKeyShape, RowShape rowShape, long? limit, long offset)
        : base(source, name, new Window(source.ValueShape, sortKeyShape, rowShape, limit, offset))
    {
        Reduction.Output = new OutputPort<UpdateBatch<TTime>>(this);
    }

    public static OkErr<TTime> Build(
        Stream<TTime> source, string name, RowKernel split, RowShape keyShape, RowShape sortKeyShape, RowShape rowShape, long? limit, long offset)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        var (keyed, errors) = KeyByOperator<TTime>.Build(source, name, split, keyShape, rowShape, sortKeyShape);
        var arranged = ArrangeOperator<TTime>.OfKeyed(keyed, name + ": input", keyShape);
        if (!TTime.IsTotal)
        {
            var reduced = GeneralReduceOperator<TTime>.Build(arranged, name, new WholeTopK(arranged.ValueShape, sortKeyShape, limit, offset), rowShape);
            return reduced with { Errors = reduced.Errors.Concat(errors) };
        }

        var op = new TopKOperator<TTime>(arranged, name, sortKeyShape, rowShape, limit, offset);
        return new OkErr<TTime>(new Stream<TTime>(source.Scope, op.Reduction.Output!, rowShape), errors);
    }

    internal sealed class Window(RowShape stored, RowShape sortKey, RowShape rowShape, long? limit, long offset) : IGroupReduction<TTime>
    {
        private readonly BatchBuilder<TTime> _rows = new(rowShape);
        private readonly List<(nint Value, int Length, long Copies)> _before = [];
        private readonly List<(nint Value, int Length, long Copies)> _after = [];

        public OutputPort<UpdateBatch<TTime>>? Output { get; set; }

        public long Read(byte* key, int keyLength, GroupReader<TTime> group, bool after)
        {
            var window = after ? _after : _before;
            window.Clear();
            var skip = offset;
            var left = limit ?? long.MaxValue;
            var read = 0L;
            while (left > 0 && group.Next(out var value, out var length, out var diff))
            {
                read++;
                if (diff < 0)
                    continue;
                var skipped = Math.Min(skip, diff);
                skip -= skipped;
                var copies = Math.Min(left, diff - skipped);
                if (copies <= 0)
                    continue;
                left -= copies;
                window.Add(((nint)value, length, copies));
            }

            return read;
        }

        // Both windows are in value order.
        public void EmitDifference(byte* key, int keyLength, TTime time)
        {
            int b = 0, a = 0;
            while (b < _before.Count || a < _after.Count)
            {
                var order = b == _before.Count ? 1 : a == _after.Count ? -1
                    : BytesVariable.Compare((byte*)_before[b].Value, _before[b].Length, (byte*)_after[a].Value, _after[a].Length);
                if (order < 0)
                    Emit(_before[b], -_before[b++].Copies, time);
                else if (order > 0)
                    Emit(_after[a], _after[a++].Copies, time);
                else
                    Emit(_after[a], _after[a++].Copies - _before[b++].Copies, time);
            }
        }

        public void Flush() => Output!.Send(_rows.Build());

        public void Dispose() => _rows.Dispose();

        private void Emit((nint Value, int Length, long Copies) row, long diff, TTime time)
        {
            if (diff == 0)
                return;
            _rows.Rows.Append(SortedRow.RowOf((byte*)row.Value, row.Length, stored, sortKey));
            _rows.Add(time, diff);
            if (_rows.Count >= 8192)
                Flush();
        }
    }
}
