using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// The first rows of each group in the order of a sort key, when many are wanted (few: <see cref="CachedTopKOperator{TTime}"/>). Shape: rows, sealed and consolidated. Time: of the change. Work for a changed group: a seek in each
/// batch and O(offset + limit) rows, twice. State: an arrangement whose values begin with the sort key (<see cref="SortedRow"/>), so that a group's rows lie in the wanted order.
/// </summary>
internal sealed unsafe class TopKOperator<TTime> : GroupReduceOperator<TTime, TopKOperator<TTime>.Beginning> where TTime : unmanaged, ITime<TTime>
{
    private TopKOperator(Arranged<TTime> source, string name, RowShape sortKeyShape, RowShape rowShape, RowKernel? finish, RowShape shape, long? limit, long offset)
        : base(source, name, new Beginning(limit is { } rows && rows < long.MaxValue - offset ? rows + offset : long.MaxValue))
    {
        Reduction.Output = new TopKOutput<TTime>(this, source, sortKeyShape, rowShape, finish, shape, limit ?? long.MaxValue, offset);
    }

    public static OkErr<TTime> Build(
        Stream<TTime> source, string name, RowKernel split, RowShape keyShape, RowShape sortKeyShape, RowShape rowShape, long? limit, long offset, RowKernel? finish, RowShape shape)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        if (finish is null)
            shape = rowShape;
        var (arranged, errors) = ArrangeOperator<TTime>.Build(KeyedRows<TTime>.Of(source, name, split, keyShape, rowShape, sortKeyShape), name + ": input");
        if (!TTime.IsTotal)
        {
            var whole = new WholeTopK(source.Scope.Worker.Scratch, arranged.ValueShape, sortKeyShape, finish, shape, limit, offset);
            var reduced = GeneralReduceOperator<TTime>.Build(arranged, name, whole, shape);
            return reduced with { Errors = reduced.Errors.Concat(errors) };
        }

        var output = limit <= CachedTopKOperator<TTime>.RowsMax - offset
            ? new CachedTopKOperator<TTime>(arranged, name, sortKeyShape, rowShape, finish, shape, limit.Value, offset).Output
            : new TopKOperator<TTime>(arranged, name, sortKeyShape, rowShape, finish, shape, limit, offset).Reduction.Output!.Port;
        return new OkErr<TTime>(new Stream<TTime>(source.Scope, output, shape), errors);
    }

    internal sealed class Beginning(long wanted) : IGroupReduction<TTime>
    {
        private readonly List<Entry> _before = [];
        private readonly List<Entry> _after = [];

        public TopKOutput<TTime>? Output { get; set; }

        public long RowsNeeded => wanted;

        public long Read(byte* key, int keyLength, GroupReader<TTime> group, bool after)
        {
            var entries = after ? _after : _before;
            entries.Clear();
            var left = wanted;
            var read = 0L;
            while (left > 0 && group.Next(out var value, out var length, out var diff))
            {
                read++;
                if (diff < 0)
                    continue;
                left -= Math.Min(left, diff);
                entries.Add(new Entry((nint)value, length, diff));
            }

            return read;
        }

        public bool EmitDifference(byte* key, int keyLength, TTime time, int rowsMax)
        {
            Output!.EmitDifference(_before, _after, key, keyLength, time);
            return true;
        }

        public void Flush() => Output!.Flush();

        public void Measure(StateMeter meter) => Output!.Measure(meter);

        public void Dispose() => Output!.Dispose();
    }
}
