using System.Diagnostics;
using System.Runtime.CompilerServices;
using Materialize.Core.Hashing;
using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Traces;

/// <summary>
/// An immutable batch of updates sorted by (hash(key), key, value, time), in columns of native memory, with a directory over the top bits of the hash.
/// Reference-counted by its worker's thread alone.
/// </summary>
/// <remarks>
/// Keys of at most 8 fixed bytes are not stored: the hash is a bijection of them. Times collapse to one when all agree, diffs to +1; else diffs are int32, and
/// int64 if one does not fit. With a directory (<see cref="BatchDirectory"/>) a seek is one or two cache misses (performance.md §1).
/// </remarks>
internal sealed unsafe class Batch<TTime> where TTime : unmanaged, ITime<TTime>
{
    private int _references = 1;
    private long _measured;

    public required int Count { get; init; }

    public required ulong* Hashes { get; init; }

    public required long HashesCapacity { get; init; }

    /// <summary>Without memory when keys live in their hashes.</summary>
    public required RowColumn Keys;

    public required RowColumn Values;

    public required TTime* Times { get; init; }

    public required long TimesCapacity { get; init; }

    public required TTime UniformTime { get; init; }

    /// <summary>Totally least and greatest times.</summary>
    public required TTime MinTime { get; init; }

    public required TTime MaxTime { get; init; }

    /// <summary>The join of all times: none is beyond it in the partial order.</summary>
    public required TTime TimeBound { get; init; }

    public required int* Diffs { get; init; }

    public required long* WideDiffs { get; init; }

    public required long DiffsCapacity { get; init; }

    public required BatchDirectory Directory;

    public required long DirectoryCapacity { get; init; }

    /// <summary>Rows whose (key, value) is that of the row before: what compaction of times could add up.</summary>
    public required int RepeatedRows { get; init; }

    public bool KeysStored => !RowHash.IsBijective(Keys.Shape);

    public long Bytes => HashesCapacity + Keys.Capacity + Values.Capacity + TimesCapacity + DiffsCapacity + DirectoryCapacity;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TTime TimeAt(int row) => Times == null ? UniformTime : Times[row];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public long DiffAt(int row) => Diffs != null ? Diffs[row] : WideDiffs != null ? WideDiffs[row] : 1;

    /// <summary>Counts it, once.</summary>
    public void Measure(StateMeter meter)
    {
        if (!meter.IsFirst(ref _measured))
            return;
        meter.Batch(Count);
        meter.Slab((long)Count * sizeof(ulong), HashesCapacity, Hashes);
        meter.Column(Keys);
        meter.Column(Values);
        meter.Slab((long)Count * sizeof(TTime), TimesCapacity, Times);
        meter.Slab((long)Count * (Diffs != null ? sizeof(int) : sizeof(long)), DiffsCapacity, Diffs != null ? Diffs : WideDiffs);
        meter.Slab(Directory.Bytes, DirectoryCapacity, Directory.Entries);
    }

    public void AddReference() => _references++;

    public void Release()
    {
        Debug.Assert(_references > 0, "released more often than referenced");
        if (--_references > 0)
            return;
        SlabPool.Return(Hashes, HashesCapacity);
        Keys.Free();
        Values.Free();
        SlabPool.Return(Times, TimesCapacity);
        SlabPool.Return(Diffs != null ? Diffs : WideDiffs, DiffsCapacity);
        SlabPool.Return(Directory.Entries, DirectoryCapacity);
    }

    /// <summary>The first row whose hash is at least <paramref name="hash"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Seek(ulong hash)
    {
        var index = Directory.IndexOf(hash);
        var low = Directory.RowAt(index);
        var high = Directory.RowAt(index + 1);
        if (high - low > 32)
            return SeekFar(hash, low, high);
        while (low < high && Hashes[low] < hash)
            low++;
        return low;
    }

    /// <summary>
    /// The batch is gone through in order and stands at <paramref name="row"/>: where it lies in a scratch file, rows ahead are fetched before they are
    /// missed, and those from <paramref name="done"/> on need not be in memory any more.
    /// </summary>
    public void Advise(int done, int row)
    {
        const int ahead = 128 * 1024;
        Advise(Hashes, HashesCapacity, (long)done * sizeof(ulong), (long)row * sizeof(ulong), (long)ahead * sizeof(ulong));
        Advise(Times, TimesCapacity, (long)done * sizeof(TTime), (long)row * sizeof(TTime), (long)ahead * sizeof(TTime));
        Advise(Values, done, row, ahead);
        Advise(Keys, done, row, ahead);
    }

    private static void Advise(in RowColumn column, int done, int row, int ahead)
    {
        if (column.Data == null || column.Count == 0)
            return;
        var (from, at) = column.IsFixed
            ? ((long)done * column.Shape.Width, (long)row * column.Shape.Width)
            : (done == 0 ? 0L : column.Ends[done - 1], row == 0 ? 0L : column.Ends[row - 1]);
        Advise(column.Data, column.DataCapacity, from, at, column.Bytes / column.Count * ahead);
        if (column.Ends != null)
            Advise(column.Ends, column.EndsCapacity, (long)done * sizeof(uint), (long)row * sizeof(uint), (long)ahead * sizeof(uint));
    }

    private static void Advise(void* slab, long capacity, long done, long position, long ahead)
    {
        if (SlabPool.IsScratch(slab, capacity))
            SlabPool.Advise(slab, capacity, done, position, ahead);
    }

    /// <summary>The rows of a key, [from, to).</summary>
    public bool Find(ulong hash, byte* key, int keyLength, out int from, out int to)
    {
        from = Directory.MayHold(hash) ? Seek(hash) : Count;
        if (from == Count || Hashes[from] != hash)
        {
            to = from;
            return false;
        }

        if (KeysStored)
            return FindKey(hash, key, keyLength, ref from, out to);
        to = EndOfHash(from);
        return true;
    }

    /// <summary>The first row after <paramref name="from"/> with another hash.</summary>
    public int EndOfHash(int from)
    {
        var hash = Hashes[from];
        var to = from + 1;
        var near = Math.Min(Count, to + 16);
        while (to < near && Hashes[to] == hash)
            to++;
        if (to < near || to == Count)
            return to;
        return hash == ulong.MaxValue ? Count : Gallop(to, hash + 1);
    }

    /// <summary>The first row after <paramref name="from"/> with another key.</summary>
    public int EndOfKey(int from)
    {
        var to = EndOfHash(from);
        if (!KeysStored || to == from + 1)
            return to;
        var key = Keys.Address(from);
        var length = Keys.Length(from);
        if (KeyEquals(to - 1, key, length))
            return to;
        var end = from + 1; // two keys of equal hash: rare
        while (KeyEquals(end, key, length))
            end++;
        return end;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool KeyEquals(int row, byte* key, int keyLength) =>
        Keys.Length(row) == keyLength && RowBytes.AreEqual(Keys.Address(row), key, keyLength);

    /// <summary>The rows of a stored key: <paramref name="from"/> comes as the first row of its hash.</summary>
    public bool FindKey(ulong hash, byte* key, int keyLength, ref int from, out int to)
    {
        // Within a hash, rows are grouped by key; nearly always there is one.
        while (from < Count && Hashes[from] == hash)
        {
            to = EndOfKey(from);
            if (KeyEquals(from, key, keyLength))
                return true;
            from = to;
        }

        to = from;
        return false;
    }

    private int Gallop(int from, ulong hash)
    {
        var step = 16;
        var low = from;
        while (low + step < Count && Hashes[low + step] < hash)
        {
            low += step;
            step *= 2;
        }

        return SeekFar(hash, low, Math.Min(Count, low + step));
    }

    private int SeekFar(ulong hash, int low, int high)
    {
        while (low < high)
        {
            var middle = low + ((high - low) >> 1);
            if (Hashes[middle] < hash)
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }
}
