using System.Diagnostics;
using System.Runtime.CompilerServices;
using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow;

/// <summary>
/// A batch of updates (row, time, diff) as it flows on a channel: struct of arrays in native slabs, immutable, reference-counted. Times
/// collapse to one value when all share it, diffs when all are equal (the usual +1).
/// </summary>
/// <remarks>
/// A callback borrows its batch; to keep it longer, <see cref="AddReference"/> and later <see cref="Release"/>. Counting is atomic, since
/// batches cross threads.
/// </remarks>
public sealed unsafe class UpdateBatch<TTime> : IMessage where TTime : unmanaged, ITime<TTime>
{
    internal RowColumn Rows;
    internal RowColumn Keys;          // only on keyed channels
    internal bool IsKeyed;
    internal ulong* Hashes;           // only on keyed channels
    internal long HashesCapacity;
    internal TTime* Times;            // null: all at UniformTime
    internal long TimesCapacity;
    internal TTime UniformTime;
    internal long* Diffs;             // null: all UniformDiff
    internal long DiffsCapacity;
    internal long UniformDiff;
    private int _references = 1;
    private long _measured;

    internal UpdateBatch()
    {
    }

    public int Count { get; internal set; }

    public RowShape Shape => Rows.Shape;

    /// <summary>The totally least time of any update.</summary>
    public TTime MinTime { get; internal set; }

    Stamp IMessage.MinStamp => MinTime.ToStamp();

    int IMessage.Updates => Count;

    public long Bytes => Rows.Capacity + Keys.Capacity + HashesCapacity + TimesCapacity + DiffsCapacity;

    /// <summary>The bytes of a row; valid while the batch is.</summary>
    public ReadOnlySpan<byte> this[int index]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, (uint)Count, nameof(index));
            return Rows[index];
        }
    }

    public nint RowAddress(int index) => (nint)Rows.Address(index);

    public int RowLength(int index) => Rows.Length(index);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TTime TimeAt(int index) => Times == null ? UniformTime : Times[index];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public long DiffAt(int index) => Diffs == null ? UniformDiff : Diffs[index];

    byte[] IMessage.Encode() => UpdateBatchCodec<TTime>.Encode(this);

    void IMessage.Measure(StateMeter meter) => Measure(meter);

    internal void Measure(StateMeter meter)
    {
        if (!meter.IsFirst(ref _measured))
            return;
        meter.Batch(Count);
        meter.Column(Rows);
        meter.Column(Keys);
        meter.Slab((long)Count * sizeof(ulong), HashesCapacity);
        meter.Slab((long)Count * sizeof(TTime), TimesCapacity);
        meter.Slab((long)Count * sizeof(long), DiffsCapacity);
    }

    public void AddReference() => Interlocked.Increment(ref _references);

    public void Release()
    {
        var left = Interlocked.Decrement(ref _references);
        Debug.Assert(left >= 0, "released more often than referenced");
        if (left == 0)
            Free();
    }

    /// <summary>Whether the caller, who holds a reference, is the only holder: it may then take the columns apart.</summary>
    internal bool IsUnique => Volatile.Read(ref _references) == 1;

    /// <summary>Moves the rows out; for the unique holder, who still releases the rest.</summary>
    internal RowColumn TakeRows()
    {
        Debug.Assert(IsUnique, "only the unique holder may take columns");
        var rows = Rows;
        Rows = new RowColumn { Shape = rows.Shape };
        return rows;
    }

    private void Free()
    {
        Rows.Free();
        Keys.Free();
        SlabPool.Return(Hashes, HashesCapacity);
        SlabPool.Return(Times, TimesCapacity);
        SlabPool.Return(Diffs, DiffsCapacity);
        Hashes = null;
        Times = null;
        Diffs = null;
    }
}

/// <summary>What flows on an edge of a dataflow.</summary>
internal interface IMessage
{
    /// <summary>No update in it is before this.</summary>
    Stamp MinStamp { get; }

    int Updates { get; }

    long Bytes { get; }

    /// <summary>Counts the memory that it keeps, once.</summary>
    void Measure(StateMeter meter);

    /// <summary>As bytes for another process.</summary>
    byte[] Encode();

    void AddReference();

    void Release();
}
