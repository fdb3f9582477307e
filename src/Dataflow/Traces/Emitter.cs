using System.Runtime.CompilerServices;
using Materialize.Core.Hashing;
using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Traces;

/// <summary>
/// Writes sorted windows to a batch: the one place where equal updates are added up and times compacted. One per (key class, value class), see <see cref="Emitters"/>.
/// </summary>
internal abstract unsafe class Emitter<TTime> : IDisposable where TTime : unmanaged, ITime<TTime>
{
    /// <summary>Times are joined with this one.</summary>
    public TTime Since = TTime.Minimum;

    /// <summary>When set, updates whose time is not at or before <see cref="AsOf"/> are left out and the others moved to it.</summary>
    public bool HasAsOf;

    public TTime AsOf;

    /// <summary>When not 0, only updates totally before <see cref="Bound"/> (−1) or not before it (1) are kept.</summary>
    public int BoundSide;

    public TTime Bound;

    /// <summary>Appends a window in the order of its entries, which is by hash; puts each run of equal hashes in order.</summary>
    /// <param name="scattered">Whether rows that follow each other are far apart in memory, and not in the cache.</param>
    public abstract void Emit(RowSource<TTime>* sources, WindowEntry* entries, int rows, BatchWriter<TTime> output, bool scattered = false);

    /// <summary>
    /// Merges sources that are each in full order by walking them: for windows that no bucket can split, a hot key. Stops after about
    /// <paramref name="rowsMax"/> rows read, between two (key, value) pairs; positions are advanced. Returns the rows read.
    /// </summary>
    public abstract long Walk(RowSource<TTime>* sources, int count, long rowsMax, BatchWriter<TTime> output);

    /// <summary>Counts its working memory.</summary>
    public abstract void Measure(StateMeter meter);

    public abstract void Dispose();
}

/// <summary>The emitter for one pair of width classes.</summary>
/// <remarks>
/// A row with a hash of its own is copied straight. A run of equal hashes is ordered by (key, value): keys are compared only if one differs from the first, values first by
/// their leading word. Among equal (key, value), diffs of equal compacted times are added up, zeros dropped, the rest written in time order. So the output is in the batch order
/// if windows come in hash order, whatever the order of the sources: the sum of multisets does not depend on it.
/// </remarks>
internal sealed unsafe partial class Emitter<TTime, TKey, TValue>(int keyWidth, int valueWidth) : Emitter<TTime>
    where TTime : unmanaged, ITime<TTime>
    where TKey : struct, IBytesClass
    where TValue : struct, IBytesClass
{
    private struct Item
    {
        public ulong Word;
        public byte* Value;
        public byte* Key;
        public int ValueLength;
        public int KeyLength;
        public long Diff;
        public TTime Time;
    }

    private const int SmallRun = 8;
    private const int HotRun = 256;
    private const long ItemBytesKept = 256 << 10;
    private Item* _items;
    private long _itemsCapacity;
    private Item* _spare;
    private long _spareCapacity;
    private readonly List<(TTime Time, long Diff)> _times = [];

    public override void Emit(RowSource<TTime>* sources, WindowEntry* entries, int rows, BatchWriter<TTime> output, bool scattered)
    {
        var i = 0;
        var ahead = 0;
        while (i < rows)
        {
            for (; scattered && ahead < Math.Min(i + AheadRows, rows - AheadRows); ahead++)
                Prefetch(sources, entries[ahead].Ref, entries[ahead + AheadRows].Ref);
            var hash = entries[i].Hash;
            if (i + 1 == rows || entries[i + 1].Hash != hash)
            {
                EmitSingle(sources, entries[i], output);
                i++;
                continue;
            }

            var end = i + 2;
            while (end < rows && entries[end].Hash == hash)
                end++;
            if (!(end - i <= SmallRun ? EmitSmallRun(sources, entries + i, end - i, output) : end - i > HotRun && EmitHotRun(sources, entries + i, end - i, output)))
                EmitRun(sources, entries + i, end - i, output);
            i = end;
        }

        if (_itemsCapacity > ItemBytesKept || _wordsCapacity > ItemBytesKept)
            Dispose();
        output.ExtendDirectory();
    }

    public override long Walk(RowSource<TTime>* sources, int count, long rowsMax, BatchWriter<TTime> output)
    {
        // A heap of the sources by their next rows: there may be hundreds.
        var capacity = SlabPool.CapacityFor((long)count * (sizeof(Head) + sizeof(int)));
        var heads = (Head*)SlabPool.Rent(capacity);
        var heap = (int*)(heads + count);
        var n = 0;
        for (var s = 0; s < count; s++)
        {
            if (!SetHead(ref sources[s], heads + s))
                continue;
            heap[n++] = s;
        }

        for (var i = (n / 2) - 1; i >= 0; i--)
            SiftDown(heads, heap, n, i);
        var read = 0L;
        while (read < rowsMax && n > 0)
        {
            var first = heads[*heap];
            _times.Clear();
            do
            {
                ref var source = ref sources[*heap];
                var head = heads + *heap;
                do
                {
                    AddTime(source.TimeAt(source.Position), source.DiffAt(source.Position));
                    source.Position++;
                    read++;
                }
                while (SetHead(ref source, head) && Compare(head, &first) == 0);
                if (source.Position >= source.End)
                    *heap = heap[--n];
                SiftDown(heads, heap, n, 0);
            }
            while (n > 0 && Compare(heads + *heap, &first) == 0);
            WriteTimes(first.Hash, first.Key, first.KeyLength, first.Value, first.ValueLength, output);
        }

        SlabPool.Return(heads, capacity);
        output.ExtendDirectory();
        return read;
    }

    public override void Measure(StateMeter meter)
    {
        meter.Slab(0, _itemsCapacity);
        meter.Slab(0, _spareCapacity);
        meter.Slab(0, _wordsCapacity);
    }

    public override void Dispose()
    {
        SlabPool.Return(_items, _itemsCapacity);
        SlabPool.Return(_spare, _spareCapacity);
        SlabPool.Return(_words, _wordsCapacity);
        _items = null;
        _spare = null;
        _words = null;
        _wordsCapacity = 0;
        _itemsCapacity = 0;
        _spareCapacity = 0;
    }

    // The next row of a source.
    private struct Head
    {
        public ulong Hash;
        public ulong Word;
        public byte* Value;
        public byte* Key;
        public int ValueLength;
        public int KeyLength;
    }

    private bool SetHead(ref RowSource<TTime> source, Head* head)
    {
        var row = source.Position;
        if (row >= source.End)
            return false;
        head->Hash = source.Hashes[row];
        head->Key = TKey.At(source.Keys, source.KeyEnds, keyWidth, row, out head->KeyLength);
        head->Value = TValue.At(source.Values, source.ValueEnds, valueWidth, row, out head->ValueLength);
        head->Word = TValue.Word(head->Value, head->ValueLength);
        return true;
    }

    private static int Compare(Head* a, Head* b)
    {
        if (a->Hash != b->Hash)
            return a->Hash < b->Hash ? -1 : 1;
        if (!TKey.IsEmpty)
        {
            var order = TKey.Compare(a->Key, a->KeyLength, b->Key, b->KeyLength);
            if (order != 0)
                return order;
        }

        if (a->Word != b->Word)
            return a->Word < b->Word ? -1 : 1;
        return typeof(TValue) == typeof(Bytes8) ? 0 : TValue.Compare(a->Value, a->ValueLength, b->Value, b->ValueLength);
    }

    private static void SiftDown(Head* heads, int* heap, int n, int i)
    {
        var moved = heap[i];
        while (true)
        {
            var child = (2 * i) + 1;
            if (child >= n)
                break;
            if (child + 1 < n && Compare(heads + heap[child + 1], heads + heap[child]) < 0)
                child++;
            if (Compare(heads + moved, heads + heap[child]) <= 0)
                break;
            heap[i] = heap[child];
            i = child;
        }

        heap[i] = moved;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void EmitSingle(RowSource<TTime>* sources, WindowEntry entry, BatchWriter<TTime> output)
    {
        ref var source = ref sources[entry.Ref >> 16];
        var row = source.Position + (int)(entry.Ref & 0xFFFF);
        var time = source.TimeAt(row);
        var diff = source.DiffAt(row);
        if (diff == 0 || !Compact(ref time))
            return;
        var key = TKey.At(source.Keys, source.KeyEnds, keyWidth, row, out var keyLength);
        var value = TValue.At(source.Values, source.ValueEnds, valueWidth, row, out var valueLength);
        Write(entry.Hash, key, keyLength, value, valueLength, time, diff, output);
    }

    // Two to eight rows, the usual case: ordered by their leading words and where they are. False, and nothing done, when keys of one hash differ.
    private bool EmitSmallRun(RowSource<TTime>* sources, WindowEntry* entries, int rows, BatchWriter<TTime> output)
    {
        var words = stackalloc ulong[SmallRun];
        var refs = stackalloc uint[SmallRun];
        if (!TKey.IsEmpty && !SameKeys(sources, entries, rows))
            return false;
        for (var i = 0; i < rows; i++)
        {
            var reference = entries[i].Ref;
            var value = ValueAt(sources, reference, out var length);
            var word = TValue.Word(value, length);
            var j = i;
            while (j > 0 && (words[j - 1] > word || (words[j - 1] == word && IsAfter(sources, refs[j - 1], value, length))))
            {
                words[j] = words[j - 1];
                refs[j] = refs[j - 1];
                j--;
            }

            words[j] = word;
            refs[j] = reference;
        }

        EmitSorted(sources, entries->Hash, words, refs, rows, output);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private byte* ValueAt(RowSource<TTime>* sources, uint reference, out int length)
    {
        ref var source = ref sources[reference >> 16];
        return TValue.At(source.Values, source.ValueEnds, valueWidth, source.Position + (int)(reference & 0xFFFF), out length);
    }

    // Whether the value at a place comes after one whose word is equal.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool IsAfter(RowSource<TTime>* sources, uint reference, byte* value, int length)
    {
        if (TValue.IsEmpty || typeof(TValue) == typeof(Bytes8))
            return false;
        var other = ValueAt(sources, reference, out var otherLength);
        return TValue.Compare(other, otherLength, value, length) > 0;
    }

    private bool SameKeys(RowSource<TTime>* sources, WindowEntry* entries, int rows)
    {
        ref var first = ref sources[entries->Ref >> 16];
        var key = TKey.At(first.Keys, first.KeyEnds, keyWidth, first.Position + (int)(entries->Ref & 0xFFFF), out var keyLength);
        for (var i = 1; i < rows; i++)
        {
            ref var source = ref sources[entries[i].Ref >> 16];
            var other = TKey.At(source.Keys, source.KeyEnds, keyWidth, source.Position + (int)(entries[i].Ref & 0xFFFF), out var otherLength);
            if (!TKey.AreEqual(key, keyLength, other, otherLength))
                return false;
        }

        return true;
    }

    // Updates of one (key, value).
    private void EmitEqual(RowSource<TTime>* sources, ulong hash, uint* refs, int n, BatchWriter<TTime> output)
    {
        var (sum, kept, sameTime, common) = (0L, 0, true, default(TTime));
        for (var i = 0; i < n; i++)
        {
            ref var source = ref sources[refs[i] >> 16];
            var row = source.Position + (int)(refs[i] & 0xFFFF);
            var time = source.TimeAt(row);
            if (!Compact(ref time))
                continue;
            if (kept++ == 0)
                common = time;
            else
                sameTime &= common.Equals(time);
            sum += source.DiffAt(row);
        }

        if (kept == 0 || (sameTime && sum == 0))
            return;
        ref var at = ref sources[*refs >> 16];
        var first = at.Position + (int)(*refs & 0xFFFF);
        var key = TKey.At(at.Keys, at.KeyEnds, keyWidth, first, out var keyLength);
        var value = TValue.At(at.Values, at.ValueEnds, valueWidth, first, out var valueLength);
        if (sameTime)
        {
            Write(hash, key, keyLength, value, valueLength, common, sum, output);
            return;
        }

        _times.Clear();
        for (var i = 0; i < n; i++)
        {
            ref var source = ref sources[refs[i] >> 16];
            var row = source.Position + (int)(refs[i] & 0xFFFF);
            var time = source.TimeAt(row);
            if (Compact(ref time))
                _times.Add((time, source.DiffAt(row)));
        }

        WriteTimes(hash, key, keyLength, value, valueLength, output);
    }

    private void EmitRun(RowSource<TTime>* sources, WindowEntry* entries, int rows, BatchWriter<TTime> output)
    {
        if ((long)rows * sizeof(Item) > _itemsCapacity)
            _items = (Item*)SlabPool.Resize((byte*)_items, ref _itemsCapacity, 0, (long)rows * sizeof(Item));
        var items = _items;
        var n = 0;
        var keysDiffer = false;
        for (var i = 0; i < rows; i++)
        {
            ref var source = ref sources[entries[i].Ref >> 16];
            var row = source.Position + (int)(entries[i].Ref & 0xFFFF);
            var item = items + n;
            item->Time = source.TimeAt(row);
            item->Diff = source.DiffAt(row);
            if (item->Diff == 0 || !Compact(ref item->Time))
                continue;
            if (!TKey.IsEmpty)
            {
                item->Key = TKey.At(source.Keys, source.KeyEnds, keyWidth, row, out item->KeyLength);
                keysDiffer |= n > 0 && !TKey.AreEqual(item->Key, item->KeyLength, items->Key, items->KeyLength);
            }

            item->Value = TValue.At(source.Values, source.ValueEnds, valueWidth, row, out item->ValueLength);
            item->Word = TValue.Word(item->Value, item->ValueLength);
            n++;
        }

        if (!TValue.IsEmpty || keysDiffer)
        {
            if (n <= 24)
                InsertionSort(items, n, keysDiffer);
            else
                items = MergeSort(items, n, keysDiffer);
        }

        var hash = entries->Hash;
        for (var i = 0; i < n;)
        {
            var end = i + 1;
            while (end < n && Compare(items + i, items + end, keysDiffer) == 0)
                end++;
            if (end == i + 1)
            {
                Write(hash, items[i].Key, items[i].KeyLength, items[i].Value, items[i].ValueLength, items[i].Time, items[i].Diff, output);
            }
            else
            {
                EmitEqual(hash, items + i, end - i, output);
            }

            i = end;
        }
    }

    private void EmitEqual(ulong hash, Item* items, int n, BatchWriter<TTime> output)
    {
        var sum = items[0].Diff;
        var sameTime = true;
        for (var i = 1; i < n; i++)
        {
            sum += items[i].Diff;
            sameTime &= items[i].Time.Equals(items[0].Time);
        }

        if (sameTime)
        {
            if (sum != 0)
                Write(hash, items->Key, items->KeyLength, items->Value, items->ValueLength, items->Time, sum, output);
            return;
        }

        _times.Clear();
        for (var i = 0; i < n; i++)
            _times.Add((items[i].Time, items[i].Diff));
        WriteTimes(hash, items->Key, items->KeyLength, items->Value, items->ValueLength, output);
    }

    private void AddTime(TTime time, long diff)
    {
        if (!Compact(ref time))
            return;
        if (_times.Count > 0 && _times[^1].Time.Equals(time))
            _times[^1] = (time, _times[^1].Diff + diff);
        else
            _times.Add((time, diff));
    }

    private void WriteTimes(ulong hash, byte* key, int keyLength, byte* value, int valueLength, BatchWriter<TTime> output)
    {
        if (_times.Count > 1)
            _times.Sort(static (a, b) => a.Time.CompareTo(b.Time));
        var written = 0;
        for (var i = 0; i < _times.Count;)
        {
            var (time, sum) = _times[i];
            for (i++; i < _times.Count && _times[i].Time.Equals(time); i++)
                sum += _times[i].Diff;
            if (sum == 0)
                continue;
            Write(hash, key, keyLength, value, valueLength, time, sum, output);
            if (written++ > 0)
                output.RepeatedRows++;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool Compact(ref TTime time)
    {
        if (HasAsOf)
        {
            if (!TTime.LessEqual(time, AsOf))
                return false;
            time = AsOf;
            return true;
        }

        if (BoundSide != 0 && (time.CompareTo(Bound) < 0) != (BoundSide < 0))
            return false;
        time = TTime.Join(time, Since);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Write(ulong hash, byte* key, int keyLength, byte* value, int valueLength, TTime time, long diff, BatchWriter<TTime> output)
    {
        var at = output.Count;
        output.Hashes[at] = hash;
        if (TKey.IsVariable)
        {
            TKey.Copy(output.Keys + output.KeyBytes, key, keyLength);
            output.KeyBytes += keyLength;
            output.KeyEnds[at] = (uint)output.KeyBytes;
        }
        else if (!TKey.IsEmpty)
        {
            TKey.Copy(output.Keys + ((long)at * keyLength), key, keyLength);
        }

        if (TValue.IsVariable)
        {
            TValue.Copy(output.Values + output.ValueBytes, value, valueLength);
            output.ValueBytes += valueLength;
            output.ValueEnds[at] = (uint)output.ValueBytes;
        }
        else if (!TValue.IsEmpty)
        {
            TValue.Copy(output.Values + ((long)at * valueLength), value, valueLength);
        }

        output.Commit(time, diff);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Compare(Item* a, Item* b, bool keysDiffer)
    {
        if (keysDiffer)
        {
            var order = TKey.Compare(a->Key, a->KeyLength, b->Key, b->KeyLength);
            if (order != 0)
                return order;
        }

        if (a->Word != b->Word)
            return a->Word < b->Word ? -1 : 1;
        return typeof(TValue) == typeof(Bytes8) ? 0 : TValue.Compare(a->Value, a->ValueLength, b->Value, b->ValueLength);
    }

    private static void InsertionSort(Item* items, int n, bool keysDiffer)
    {
        for (var i = 1; i < n; i++)
        {
            if (Compare(items + i - 1, items + i, keysDiffer) <= 0)
                continue;
            var moved = items[i];
            var j = i;
            do
            {
                items[j] = items[j - 1];
                j--;
            }
            while (j > 0 && Compare(items + j - 1, &moved, keysDiffer) > 0);
            items[j] = moved;
        }
    }

    // Natural merge sort: sorted inputs of a merge arrive as a few ascending runs, one for each source.
    private Item* MergeSort(Item* items, int n, bool keysDiffer)
    {
        if ((long)n * sizeof(Item) > _spareCapacity)
            _spare = (Item*)SlabPool.Resize((byte*)_spare, ref _spareCapacity, 0, (long)n * sizeof(Item));
        var from = items;
        var to = _spare;
        while (true)
        {
            var runs = 0;
            var i = 0;
            while (i < n)
            {
                var middle = EndOfRun(from, i, n, keysDiffer);
                if (middle == n)
                {
                    Unsafe.CopyBlockUnaligned(to + i, from + i, (uint)((n - i) * sizeof(Item)));
                    runs++;
                    break;
                }

                var end = EndOfRun(from, middle, n, keysDiffer);
                Merge(from, i, middle, end, to, keysDiffer);
                runs++;
                i = end;
            }

            var swapped = from;
            from = to;
            to = swapped;
            if (runs <= 1)
                return from;
        }
    }

    private static int EndOfRun(Item* items, int i, int n, bool keysDiffer)
    {
        for (i++; i < n && Compare(items + i - 1, items + i, keysDiffer) <= 0; i++)
        {
        }

        return i;
    }

    private static void Merge(Item* from, int i, int middle, int end, Item* to, bool keysDiffer)
    {
        var a = i;
        var b = middle;
        for (var at = i; at < end; at++)
            to[at] = b >= end || (a < middle && Compare(from + a, from + b, keysDiffer) <= 0) ? from[a++] : from[b++];
    }
}
