using System.Runtime.CompilerServices;
using Materialize.Core.Memory;

namespace Materialize.Dataflow.Operators;

// How the table grows: a part at a time.
internal sealed unsafe partial class AccumulatorTable
{
    /// <summary>Makes room where <paramref name="hash"/> is to go.</summary>
    /// <returns>How many records may have moved: all those of its part.</returns>
    public int Grow(ulong hash)
    {
        Version++;
        if (_smallCapacity > 0)
        {
            GrowSmall();
            return Count;
        }

        var entry = EntryOf(hash);
        var (start, pages) = ((uint)entry, SlotsOf(entry) >> _pageShift);
        var (depth, count) = (PartOf(entry).Depth, PartOf(entry).Count);
        TakePages(start, pages);
        if (pages < RegionPages)
            SetPages(start, Math.Min(2 * pages, RegionPages), depth, hash);
        else if (depth < DepthMax)
            Split(hash, start, depth);
        else
            SetPages(Widen(start, 2 * pages), 2 * pages, depth, hash);
        for (var p = 0; p < pages; p++)
        {
            var page = (byte*)_old[p];
            PutBack(page, 1u << _pageShift, hash);
            *(byte**)page = _freePage;
            _freePage = page;
        }

        return count;
    }

    // A quarter of the slab for each part.
    private void RentSmall(long capacity)
    {
        var slots = (uint)(capacity / FirstParts / _stride) & _homeMask;
        _smallCapacity = capacity;
        _small = SlabPool.Rent(capacity);
        for (var p = 0u; p < FirstParts; p++)
        {
            _pages[p * RegionPages] = (nint)Cleared(_small + (p * slots * _stride), slots);
            _directory[p] = Entry(p * RegionPages, slots);
        }
    }

    private void GrowSmall()
    {
        var old = _small;
        var capacity = _smallCapacity;
        var slots = SlotsOf(_directory[0]);
        if (2 * capacity / FirstParts < _pageBytes)
        {
            RentSmall(SlabPool.CapacityFor(2 * capacity));
        }
        else
        {
            _small = null;
            _smallCapacity = 0;
            for (var p = 0u; p < FirstParts; p++)
                SetPages(p * RegionPages, 1, FirstBits, (ulong)p << (64 - FirstBits));
        }

        for (var p = 0u; p < FirstParts; p++)
            PutBack(old + (p * slots * _stride), slots, (ulong)p << (64 - FirstBits));
        SlabPool.Return(old, capacity);
    }

    // In two by the next bit of their hashes. Its pages are taken.
    private void Split(ulong hash, uint start, int depth)
    {
        var all = _parts[start / RegionPages].Count;
        var ones = 0;
        for (var p = 0; p < RegionPages; p++)
        {
            for (var slot = 0u; slot <= _pageMask; slot++)
            {
                var tag = *(ulong*)((byte*)_old[p] + ((long)slot * _stride));
                ones += (int)(tag >> (FirstBits + 63 - depth) & 1);
            }
        }

        if (depth == 64 - _directoryShift)
            DoubleDirectory();
        var second = NewPart(depth + 1);
        var bit = 1UL << (63 - depth);
        SetHalf(start, all - ones, hash & ~bit);
        SetHalf(second, ones, hash | bit);

        void SetHalf(uint half, int count, ulong member)
        {
            // In proportion: four fifths full.
            var most = CountMax((uint)RegionPages << _pageShift);
            var pages = (uint)Math.Clamp((((long)count * 2 * SplitPages) + most - 1) / most, 1, RegionPages);
            _parts[half / RegionPages] = new Part { Count = count, Depth = depth + 1 };
            SetPages(half, pages, depth + 1, member);
        }
    }

    // A longer region for a part that no split would help. Its regions are those of parts that do not exist.
    private uint Widen(uint start, uint pages)
    {
        var part = _parts[start / RegionPages];
        var wider = NewPart(part.Depth);
        _parts[wider / RegionPages] = part;
        while ((uint)_partCount * RegionPages < wider + pages)
            NewPart(part.Depth);
        return wider;
    }

    private void DoubleDirectory()
    {
        var entries = 1L << (64 - _directoryShift);
        var old = _directory;
        var oldCapacity = _directoryCapacity;
        _directoryCapacity = SlabPool.CapacityFor(2 * entries * sizeof(ulong));
        _directory = (ulong*)SlabPool.Rent(_directoryCapacity);
        for (var i = 0L; i < entries; i++)
        {
            _directory[2 * i] = old[i];
            _directory[(2 * i) + 1] = old[i];
        }

        SlabPool.Return(old, oldCapacity);
        _directoryShift--;
    }

    private uint NewPart(int depth)
    {
        var part = _partCount++;
        var pages = (long)part * RegionPages;
        if (_partCount * RegionPages * sizeof(nint) > _pagesCapacity)
            _pages = (nint*)SlabPool.Resize((byte*)_pages, ref _pagesCapacity, pages * sizeof(nint), Math.Max(_pagesCapacity * 2, 1));
        if (_partCount * sizeof(Part) > _partsCapacity)
            _parts = (Part*)SlabPool.Resize((byte*)_parts, ref _partsCapacity, (long)part * sizeof(Part), Math.Max(_partsCapacity * 2, 1));
        _parts[part] = new Part { Depth = depth };
        return (uint)pages;
    }

    private void TakePages(uint start, uint pages)
    {
        if (_old.Length < pages)
            _old = new nint[pages];
        for (var p = 0; p < pages; p++)
            _old[p] = _pages[start + p];
    }

    // Fresh pages for the part of all hashes that agree with this one in the first bits.
    private void SetPages(uint start, uint pages, int depth, ulong hash)
    {
        for (var p = 0; p < pages; p++)
            _pages[start + p] = (nint)Cleared(RentPage(), _pageMask + 1);
        var entries = 1 << (64 - _directoryShift - depth);
        var first = hash >> (64 - depth) << (64 - _directoryShift - depth);
        new Span<ulong>(_directory + first, entries).Fill(Entry(start, pages << _pageShift));
    }

    // The records of a page, to where they now belong: their hashes begin with the same bits as this one.
    private void PutBack(byte* page, uint slots, ulong hash)
    {
        var first = hash >> (64 - FirstBits) << (64 - FirstBits);
        var (mask, shift, stride) = (_pageMask, _pageShift, (nint)_stride);
        for (var slot = 0u; slot < slots; slot++, page += stride)
        {
            var tag = *(ulong*)page;
            if (tag == 0)
                continue;
            var entry = EntryOf((tag >> FirstBits) | first);
            var all = SlotsOf(entry);
            var pages = _pages + (uint)entry;
            var s = Home(tag >> FirstBits, all);
            var to = (byte*)pages[s >> shift] + ((nint)(s & mask) * stride);
            while (*(ulong*)to != 0)
            {
                s = s + 1 == all ? 0 : s + 1;
                to = (s & mask) == 0 ? (byte*)pages[s >> shift] : to + stride;
            }

            Copy(page, to, (int)stride);
        }
    }

    private byte* RentPage()
    {
        if (_freePage != null)
        {
            var free = _freePage;
            _freePage = *(byte**)free;
            return free;
        }

        if (_chunkLeft < _pageBytes)
        {
            // An eighth as much again. What is not written yet costs address space only.
            var wanted = Math.Max(4L * _pageBytes, _chunkBytes / 8);
            var isHuge = _chunkBytes >= HugeBytes / 2;
            var capacity = isHuge ? (wanted + HugeBytes - 1) & -HugeBytes : SlabPool.CapacityFor(wanted);
            _chunk = isHuge ? SlabPool.RentHuge(capacity) : SlabPool.Rent(capacity);
            _chunkLeft = capacity;
            _chunkBytes += capacity;
            _chunks.Add(((nint)_chunk, capacity, isHuge));
        }

        var page = _chunk;
        _chunk += _pageBytes;
        _chunkLeft -= _pageBytes;
        return page;
    }

    private byte* Cleared(byte* page, uint slots)
    {
        Unsafe.InitBlockUnaligned(page, 0, slots * (uint)_stride);
        return page;
    }
}
