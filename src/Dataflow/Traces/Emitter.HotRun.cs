using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using Materialize.Core.Memory;

namespace Materialize.Dataflow.Traces;

// Rows by the leading words of their values and where they are: that is sorted, a quarter of what items take, and rows themselves are looked at only where words are equal.
internal sealed unsafe partial class Emitter<TTime, TKey, TValue>
{
    private const int SortedRunsMax = 16;
    private const int InsertionMax = 24;
    private const int AheadRows = 16;
    private byte* _words;
    private long _wordsCapacity;

    // Very many rows of one hash. False, and nothing done, when keys differ, when words say nothing, or when the rows are some sorted runs, to be merged.
    private bool EmitHotRun(RowSource<TTime>* sources, WindowEntry* entries, int rows, BatchWriter<TTime> output)
    {
        if (TValue.IsEmpty || (!TKey.IsEmpty && !SameKeys(sources, entries, rows)))
            return false;
        var bytes = (long)rows * (sizeof(ulong) + sizeof(uint));
        if (bytes > _wordsCapacity)
            _words = SlabPool.Resize(_words, ref _wordsCapacity, 0, bytes);
        var words = (ulong*)_words;
        var refs = (uint*)(words + rows);
        var runs = 1;
        for (var i = 0; i < rows; i++)
        {
            refs[i] = entries[i].Ref;
            var value = ValueAt(sources, refs[i], out var length);
            words[i] = TValue.Word(value, length);
            if (i > 0 && words[i] < words[i - 1])
                runs++;
        }

        if (runs <= SortedRunsMax)
            return false;
        new Span<ulong>(words, rows).Sort(new Span<uint>(refs, rows));
        for (int i = 0, end; i < rows && typeof(TValue) != typeof(Bytes8); i = end)
        {
            end = i + 1;
            while (end < rows && words[end] == words[i])
                end++;
            if (end - i > InsertionMax)
                new Span<uint>(refs + i, end - i).Sort(new ByValue((nint)sources, valueWidth));
            else if (end > i + 1)
                SortFew(refs + i, end - i, new ByValue((nint)sources, valueWidth));
        }

        EmitSorted(sources, entries->Hash, words, refs, rows, output);
        return true;
    }

    private static void SortFew(uint* refs, int n, ByValue order)
    {
        for (var i = 1; i < n; i++)
        {
            var moved = refs[i];
            var j = i;
            for (; j > 0 && order.Compare(refs[j - 1], moved) > 0; j--)
                refs[j] = refs[j - 1];
            refs[j] = moved;
        }
    }

    // Rows of one key, in order.
    private void EmitSorted(RowSource<TTime>* sources, ulong hash, ulong* words, uint* refs, int rows, BatchWriter<TTime> output)
    {
        for (var i = 0; i < rows;)
        {
            if (i + (2 * AheadRows) < rows)
                Prefetch(sources, refs[i + AheadRows], refs[i + (2 * AheadRows)]);
            var end = i + 1;
            if (end < rows && words[end] == words[i])
            {
                var value = ValueAt(sources, refs[i], out var length);
                while (end < rows && words[end] == words[i] && !IsAfter(sources, refs[end], value, length))
                    end++;
            }

            if (end == i + 1)
                EmitSingle(sources, new WindowEntry { Hash = hash, Ref = refs[i] }, output);
            else
                EmitEqual(sources, hash, refs + i, end - i, output);
            i = end;
        }
    }

    // A row that is read soon, and what says where one lies that is read later.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Prefetch(RowSource<TTime>* sources, uint soon, uint later)
    {
        if (!Sse.IsSupported)
            return;
        ref var source = ref sources[soon >> 16];
        var row = source.Position + (int)(soon & 0xFFFF);
        if (!TKey.IsEmpty)
            Sse.Prefetch0(TKey.At(source.Keys, source.KeyEnds, keyWidth, row, out _));
        if (!TValue.IsEmpty)
            Sse.Prefetch0(TValue.At(source.Values, source.ValueEnds, valueWidth, row, out _));
        ref var next = ref sources[later >> 16];
        row = next.Position + (int)(later & 0xFFFF);
        if (TKey.IsVariable)
            Sse.Prefetch0(next.KeyEnds + row);
        if (TValue.IsVariable)
            Sse.Prefetch0(next.ValueEnds + row);
    }

    private readonly struct ByValue(nint sources, int valueWidth) : IComparer<uint>
    {
        public int Compare(uint x, uint y)
        {
            ref var a = ref ((RowSource<TTime>*)sources)[x >> 16];
            ref var b = ref ((RowSource<TTime>*)sources)[y >> 16];
            var v = TValue.At(a.Values, a.ValueEnds, valueWidth, a.Position + (int)(x & 0xFFFF), out var vl);
            var w = TValue.At(b.Values, b.ValueEnds, valueWidth, b.Position + (int)(y & 0xFFFF), out var wl);
            return TValue.Compare(v, vl, w, wl);
        }
    }
}
