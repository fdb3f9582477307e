using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using Materialize.Core.Hashing;
using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// One accumulator for each key: an open-addressing index over dense records. The only mutable index of the engine; private to one operator, current state only.
/// </summary>
/// <remarks>
/// An index slot is 8 bytes: 32 hash bits and the record's number plus one, so that a probe touches a record only when it almost surely is the one. Linear probing at a load of at most 5/8, deletion by shifting back: no
/// tombstones. Records lie in pages that never move; the first page grows by doubling, so that a small table is small. A record: hash (8), touched mark (4), key length (4), [address of key bytes (8)], accumulator.
/// Variable keys are in an arena that is rewritten when half of it belongs to no record any more.
/// </remarks>
internal sealed unsafe class AccumulatorTable : IDisposable
{
    private const int PageShift = 13;
    private const int PageRecords = 1 << PageShift;
    private const int ArenaBytes = 1 << 20;

    // Tables beyond some MiB are on huge pages: nearly every lookup would miss the address cache otherwise.
    private const long HugeBytes = 4 << 20;
    private readonly RowShape _keyShape;
    private readonly bool _keysStored;
    private readonly int _keyOffset;
    private readonly int _accumulatorOffset;
    private readonly int _stride;
    private readonly List<(nint Address, long Capacity)> _pages = []; // slabs of one page each, later of several
    private nint[] _addresses = new nint[4]; // of pages: what lookups read
    private nint _chunk;       // what is left of the last slab of several pages
    private long _chunkLeft;
    private ulong* _index;
    private long _indexCapacity;
    private int _indexBits;
    private int _records;      // numbers given out, free ones included
    private int _firstPageRecords;
    private readonly Stack<int> _free = new();
    private List<(nint Address, long Capacity)> _arena = [];
    private long _arenaUsed;   // in the last arena slab
    private long _arenaLive;
    private long _arenaTotal;

    public AccumulatorTable(RowShape keyShape, int accumulatorBytes)
    {
        _keyShape = keyShape;
        _keysStored = !RowHash.IsBijective(keyShape);
        AccumulatorBytes = accumulatorBytes;
        _keyOffset = 16;
        _accumulatorOffset = _keysStored ? 24 : 16;
        _stride = (_accumulatorOffset + accumulatorBytes + 7) & ~7;
        GrowIndex(5);
    }

    public int AccumulatorBytes { get; }

    /// <summary>Keys present.</summary>
    public int Count { get; private set; }

    public void Measure(StateMeter meter)
    {
        meter.Rows(Count);
        meter.Slab(sizeof(ulong) * (long)Count, _indexCapacity);
        var records = (long)(_records - _free.Count) * _stride;
        foreach (var (_, capacity) in _pages)
        {
            meter.Slab(Math.Min(records, capacity), capacity);
            records -= Math.Min(records, capacity);
        }

        var keys = _arenaLive;
        foreach (var (_, capacity) in _arena)
        {
            meter.Slab(Math.Min(keys, capacity), capacity);
            keys -= Math.Min(keys, capacity);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* Record(int number) =>
        (byte*)_addresses[(uint)number >> PageShift] + ((long)(number & (PageRecords - 1)) * _stride);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* Accumulator(int number) => Record(number) + _accumulatorOffset;

    public ulong HashOf(int number) => *(ulong*)Record(number);

    /// <summary>A mark for the owner's use; 0 in a new record.</summary>
    public ref int Mark(int number) => ref *(int*)(Record(number) + 8);

    /// <summary>Key bytes of a record; those of keys that live in their hash are written to <paramref name="scratch"/>.</summary>
    public byte* Key(int number, ulong* scratch, out int length)
    {
        var record = Record(number);
        if (_keysStored)
        {
            length = *(int*)(record + 12);
            return *(byte**)(record + _keyOffset);
        }

        length = _keyShape.Width;
        *scratch = RowHash.Unmix(*(ulong*)record);
        return (byte*)scratch;
    }

    /// <summary>The numbers of all records.</summary>
    public IEnumerable<int> Numbers()
    {
        for (var number = 0; number < _records; number++)
        {
            if (Mark(number) != -1)
                yield return number;
        }
    }

    /// <summary>Brings the index slots of hashes that will soon be looked up into the cache.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Prefetch(ulong hash)
    {
        if (Sse.IsSupported)
            Sse.Prefetch0(_index + Home(hash));
    }

    /// <summary>Likewise for the record that the slot most likely points to.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void PrefetchRecord(ulong hash)
    {
        if (!Sse.IsSupported)
            return;
        var mask = (1UL << _indexBits) - 1;
        for (var slot = Home(hash); ; slot = (slot + 1) & mask)
        {
            var entry = _index[slot];
            if (entry == 0)
                return;
            if ((uint)(entry >> 32) == (uint)(hash >> 32))
            {
                Sse.Prefetch0(Record((int)(uint)entry - 1));
                return;
            }
        }
    }

    /// <summary>Room for <paramref name="more"/> keys without growing: call before a batch, so that the index does not move during it.</summary>
    public void Reserve(int more)
    {
        while ((long)(Count + more) * 8 > (5L << _indexBits))
            GrowIndex(_indexBits + 1);
    }

    /// <summary>The record of a key, made with a zero accumulator if absent.</summary>
    public int FindOrAdd(ulong hash, byte* key, int keyLength)
    {
        var mask = (1UL << _indexBits) - 1;
        var slot = Home(hash);
        for (; ; slot = (slot + 1) & mask)
        {
            var entry = _index[slot];
            if (entry == 0)
                break;
            if ((uint)(entry >> 32) != (uint)(hash >> 32))
                continue;
            var number = (int)(uint)entry - 1;
            if (IsKey(number, hash, key, keyLength))
                return number;
        }

        var added = NewRecord();
        var record = Record(added);
        Unsafe.InitBlockUnaligned(record, 0, (uint)_stride);
        *(ulong*)record = hash;
        if (_keysStored)
        {
            *(int*)(record + 12) = keyLength;
            *(byte**)(record + _keyOffset) = StoreKey(key, keyLength);
        }

        _index[slot] = (hash >> 32 << 32) | (uint)(added + 1);
        Count++;
        return added;
    }

    /// <summary>Removes a key and its record.</summary>
    public void Remove(int number)
    {
        var record = Record(number);
        var hash = *(ulong*)record;
        var mask = (1UL << _indexBits) - 1;
        var slot = Home(hash);
        while ((int)(uint)_index[slot] - 1 != number)
            slot = (slot + 1) & mask;

        // Move later members of the cluster back, unless they would come before their home.
        var hole = slot;
        for (var next = (hole + 1) & mask; _index[next] != 0; next = (next + 1) & mask)
        {
            var home = Home(HashOf((int)(uint)_index[next] - 1));
            if (((next - home) & mask) >= ((next - hole) & mask))
            {
                _index[hole] = _index[next];
                hole = next;
            }
        }

        _index[hole] = 0;
        if (_keysStored)
            _arenaLive -= *(int*)(record + 12);
        *(ulong*)record = 0;
        *(int*)(record + 8) = -1; // free
        _free.Push(number);
        Count--;
    }

    /// <summary>Rewrites the arena of keys when half of it is garbage. Key addresses change.</summary>
    public void CollectKeys()
    {
        if (_arenaTotal < 2 * ArenaBytes || _arenaLive * 2 > _arenaTotal)
            return;
        var old = _arena;
        _arena = [];
        _arenaUsed = 0;
        _arenaTotal = 0;
        _arenaLive = 0;
        for (var number = 0; number < _records; number++)
        {
            var record = Record(number);
            if (*(int*)(record + 8) == -1)
                continue;
            *(byte**)(record + _keyOffset) = StoreKey(*(byte**)(record + _keyOffset), *(int*)(record + 12));
        }

        foreach (var (address, capacity) in old)
            SlabPool.Return((void*)address, capacity);
    }

    public void Dispose()
    {
        ReturnIndex();
        foreach (var (address, capacity) in _pages)
            ReturnPage(address, capacity);
        foreach (var (address, capacity) in _arena)
            SlabPool.Return((void*)address, capacity);
        _pages.Clear();
        _arena.Clear();
    }

    // Not by the top bits: keys that come in hash order would crowd one part of an index that is yet to grow.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ulong Home(ulong hash) => hash & ((1UL << _indexBits) - 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool IsKey(int number, ulong hash, byte* key, int keyLength)
    {
        var record = Record(number);
        if (*(ulong*)record != hash)
            return false;
        return !_keysStored || (*(int*)(record + 12) == keyLength
            && new ReadOnlySpan<byte>(*(byte**)(record + _keyOffset), keyLength).SequenceEqual(new ReadOnlySpan<byte>(key, keyLength)));
    }

    private int NewRecord()
    {
        if (_free.TryPop(out var free))
            return free;
        var number = _records++;
        if (number < PageRecords)
        {
            if (number >= _firstPageRecords)
            {
                var old = _pages.Count > 0 ? _pages[0] : default;
                var capacity = old.Capacity;
                var records = Math.Min(PageRecords, Math.Max(16, _firstPageRecords * 2));
                var page = SlabPool.Resize((byte*)old.Address, ref capacity, (long)number * _stride, (long)records * _stride);
                _firstPageRecords = (int)Math.Min(PageRecords, capacity / _stride);
                if (_pages.Count > 0)
                    _pages[0] = ((nint)page, capacity);
                else
                    _pages.Add(((nint)page, capacity));
                _addresses[0] = (nint)page;
            }
        }
        else if (number % PageRecords == 0)
        {
            var page = number >> PageShift;
            if (page >= _addresses.Length)
                Array.Resize(ref _addresses, page * 2);
            _addresses[page] = NewPage((long)number * _stride);
        }

        return number;
    }

    private nint NewPage(long bytesBefore)
    {
        var bytes = (long)PageRecords * _stride;
        if (bytesBefore < HugeBytes)
        {
            var capacity = SlabPool.CapacityFor(bytes);
            _pages.Add(((nint)SlabPool.Rent(capacity), capacity));
            return _pages[^1].Address;
        }

        if (_chunkLeft < bytes)
        {
            // Half as much again, and never a single page, by which the two kinds are told apart: what is not written yet costs address space only.
            _chunkLeft = Math.Max(2, (Math.Max(bytesBefore / 2, HugeBytes) / bytes) + 1) * bytes;
            _chunk = (nint)SlabPool.RentHuge(_chunkLeft);
            _pages.Add((_chunk, _chunkLeft));
        }

        var page = _chunk;
        _chunk += (nint)bytes;
        _chunkLeft -= bytes;
        return page;
    }

    private void ReturnPage(nint address, long capacity)
    {
        // The first slabs are single pages, of whatever capacity a page has; only later ones are larger.
        if (capacity <= SlabPool.CapacityFor((long)PageRecords * _stride))
            SlabPool.Return((void*)address, capacity);
        else
            SlabPool.ReturnHuge((void*)address, capacity);
    }

    private void ReturnIndex()
    {
        if (_indexCapacity >= HugeBytes)
            SlabPool.ReturnHuge(_index, _indexCapacity);
        else
            SlabPool.Return(_index, _indexCapacity);
        _index = null;
    }

    private byte* StoreKey(byte* key, int length)
    {
        if (_arena.Count == 0 || _arenaUsed + length > _arena[^1].Capacity)
        {
            var wanted = Math.Max(length, _arena.Count == 0 ? 1024 : Math.Min(ArenaBytes, _arena[^1].Capacity * 2));
            var capacity = SlabPool.CapacityFor(wanted);
            _arena.Add(((nint)SlabPool.Rent(capacity), capacity));
            _arenaTotal += capacity;
            _arenaUsed = 0;
        }

        var to = (byte*)_arena[^1].Address + _arenaUsed;
        Unsafe.CopyBlockUnaligned(to, key, (uint)length);
        _arenaUsed += length;
        _arenaLive += length;
        return to;
    }

    private void GrowIndex(int bits)
    {
        ReturnIndex();
        var bytes = sizeof(ulong) * (1L << bits);
        if (bytes >= HugeBytes)
        {
            _indexCapacity = bytes;
            _index = (ulong*)SlabPool.RentHuge(bytes);
        }
        else
        {
            _indexCapacity = SlabPool.CapacityFor(bytes);
            _index = (ulong*)SlabPool.Rent(_indexCapacity);
            new Span<ulong>(_index, 1 << bits).Clear();
        }

        _indexBits = bits;
        var mask = (1UL << bits) - 1;
        for (var number = 0; number < _records; number++)
        {
            var record = Record(number);
            if (*(int*)(record + 8) == -1)
                continue;
            var hash = *(ulong*)record;
            var slot = Home(hash);
            while (_index[slot] != 0)
                slot = (slot + 1) & mask;
            _index[slot] = (hash >> 32 << 32) | (uint)(number + 1);
        }
    }
}
