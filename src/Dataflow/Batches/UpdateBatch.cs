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
/// batches cross threads. The object itself is used again after its last release (a small update makes one for each operator that it goes through): a release too many ends the worker.
/// </remarks>
public sealed unsafe class UpdateBatch<TTime> : Message where TTime : unmanaged, ITime<TTime>
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
    private const int FreeMax = 32;

    [ThreadStatic]
    private static Stack<UpdateBatch<TTime>>? _free;

    private int _references = 1;
    private long _measured;

    private UpdateBatch()
    {
    }

    /// <summary>An empty one with one reference, the caller's, who fills it.</summary>
    internal static UpdateBatch<TTime> New()
    {
        if (_free is null || !_free.TryPop(out var batch))
            return new UpdateBatch<TTime>();
        batch._references = 1;
        return batch;
    }

    public int Count
    {
        get => Updates;
        internal set => Updates = value;
    }

    public RowShape Shape => Rows.Shape;

    /// <summary>The totally least time of any update.</summary>
    public TTime MinTime
    {
        get;
        internal set
        {
            field = value;
            MinStamp = value.ToStamp();
        }
    }

    public override long Bytes => Rows.Capacity + Keys.Capacity + HashesCapacity + TimesCapacity + DiffsCapacity;

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

    internal override byte[] Encode() => UpdateBatchCodec<TTime>.Encode(this);

    internal override void Measure(StateMeter meter)
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

    public override void AddReference() => Interlocked.Increment(ref _references);

    public override void Release()
    {
        var left = Interlocked.Decrement(ref _references);
        if (left > 0)
            return;
        Core.Invariant.Check(left == 0, "a batch is released as often as it is referenced");
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
        HashesCapacity = 0;
        Times = null;
        TimesCapacity = 0;
        Diffs = null;
        DiffsCapacity = 0;
        _measured = 0;
        _free ??= new Stack<UpdateBatch<TTime>>(FreeMax);
        if (_free.Count < FreeMax)
            _free.Push(this);
    }
}
