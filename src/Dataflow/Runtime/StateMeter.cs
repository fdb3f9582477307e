using Materialize.Core.Memory;
using Materialize.Core.Rows;

namespace Materialize.Dataflow.Runtime;

/// <summary>What a piece of state takes: of native memory only, in whole slabs, as <see cref="SlabPool"/> counts it.</summary>
/// <param name="Rows">Updates, or keys of a table.</param>
/// <param name="Batches">Of an arrangement: pieces that a reader looks into; of what waits: batches.</param>
/// <param name="UsedBytes">Of the capacity, what holds something.</param>
/// <param name="CapacityBytes">What is taken from the pool.</param>
/// <param name="Slabs">In how many pieces.</param>
/// <param name="ScratchBytes">Of the capacity, what lies in scratch files and needs no memory.</param>
public readonly record struct StateSize(long Rows, long Batches, long UsedBytes, long CapacityBytes, long Slabs, long ScratchBytes)
{
    public static StateSize operator +(StateSize a, StateSize b) => new(
        a.Rows + b.Rows, a.Batches + b.Batches, a.UsedBytes + b.UsedBytes, a.CapacityBytes + b.CapacityBytes, a.Slabs + b.Slabs, a.ScratchBytes + b.ScratchBytes);
}

/// <summary>
/// Adds up state when somebody asks for it: O(batches and tables), nothing is kept up to date meanwhile. What is shared by several is
/// counted once, for the first that is asked: so arrangements are asked before those who read them. Worker thread only.
/// </summary>
internal sealed unsafe class StateMeter
{
    private static long s_next;
    private readonly long _number = Interlocked.Increment(ref s_next);
    private StateSize _sum;

    /// <summary>Whether what bears <paramref name="mark"/> is met for the first time.</summary>
    public bool IsFirst(ref long mark)
    {
        if (mark == _number)
            return false;
        mark = _number;
        return true;
    }

    /// <summary>A slab; none if it has no capacity.</summary>
    /// <param name="slab">Where it may lie in a scratch file.</param>
    public void Slab(long used, long capacity, void* slab = null)
    {
        if (capacity == 0)
            return;
        _sum = _sum with
        {
            UsedBytes = _sum.UsedBytes + used,
            CapacityBytes = _sum.CapacityBytes + capacity,
            Slabs = _sum.Slabs + 1,
            ScratchBytes = _sum.ScratchBytes + (SlabPool.IsScratch(slab, capacity) ? capacity : 0),
        };
    }

    /// <summary>Some full slabs.</summary>
    public void Slabs(long capacity, int count) => _sum = _sum with
    {
        UsedBytes = _sum.UsedBytes + capacity,
        CapacityBytes = _sum.CapacityBytes + capacity,
        Slabs = _sum.Slabs + count,
    };

    public void Rows(long rows) => _sum = _sum with { Rows = _sum.Rows + rows };

    /// <summary>A batch of rows, beside its slabs.</summary>
    public void Batch(long rows) => _sum = _sum with { Rows = _sum.Rows + rows, Batches = _sum.Batches + 1 };

    public void Column(in RowColumn column)
    {
        Slab(column.Bytes, column.DataCapacity, column.Data);
        Slab((long)column.Count * sizeof(uint), column.EndsCapacity, column.Ends);
    }

    public void Writer(RowWriter? writer)
    {
        if (writer is not null)
            Column(writer.Peek());
    }

    /// <summary>What was added up since the last call.</summary>
    public StateSize Take()
    {
        var sum = _sum;
        _sum = default;
        return sum;
    }
}
