using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using Materialize.Core.Hashing;
using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// One accumulator for each key: the only mutable index of the engine; private to one operator, current state only. Records lie where their hash says, so that a lookup misses the cache once, and no growth moves more than one part.
/// </summary>
/// <remarks>
/// <para>The top bits of the hash choose a part by a directory; a part is an open-addressing table of its own, of one to eight pages of some 16 KiB, probed linearly from where the low bits of the hash fall, at a load of at most 13/16.
/// A full part grows to eight pages (its records are set anew into fresh pages: thousands, not millions), and one of eight splits in two of five: so the load stays above a half, no matter how many keys there are, and a record is moved some three times in all. Pages are alike, so that
/// what one part leaves another takes. Deletion shifts back: no tombstones. A small table is one slab, a quarter of it for each of the first four parts.</para>
/// <para>A record: tag (8), [address of its key's length and bytes (8)], accumulator. A tag is the hash without its top two bits, which a part's records agree in, a bit that is always set, and one for the owner's use; a free slot's is zero.
/// A record is at an address until the table next adds, grows or removes. Keys longer than their hash are in an arena that is rewritten part by part when half of it belongs to no record any more.</para>
/// </remarks>
internal sealed unsafe partial class AccumulatorTable : IDisposable
{
    private const int FirstBits = 2;   // of the hash, known of every part's records
    private const int FirstParts = 1 << FirstBits;
    private const ulong Marked = 1;
    private const ulong Occupied = 2;
    private const int RegionPages = 8; // entries of the list of pages that each part has
    private const int SplitPages = 5;  // of which a half of a full part is 4/5 full
    private const int DepthMax = 20;   // parts whose keys agree in so many bits are not split but widened: their hashes may all be equal
    private const int PageBytesWanted = 16 << 10;
    private const int Ahead = 16;

    // Tables beyond a MiB are on huge pages: nearly every lookup would miss the address cache otherwise.
    private const long HugeBytes = 2 << 20;
    private readonly bool _keysStored;
    private readonly int _keyWidth;
    private readonly int _accumulatorOffset;
    private readonly int _stride;
    private readonly uint _homeSlots; // small records have a home in common: a cache line or so
    private readonly uint _homeMask;
    private readonly int _homeEnd;    // bytes from its beginning to where it may be on another cache line; 0 if it never is
    private readonly int _pageShift;  // log of the slots of a page
    private readonly uint _pageMask;
    private readonly int _pageBytes;
    private readonly List<(nint Address, long Capacity, bool IsHuge)> _chunks = [];
    private byte* _chunk;             // what is left of the last one
    private long _chunkLeft;
    private long _chunkBytes;
    private byte* _freePage;          // begins with the address of the next
    private byte* _small;             // instead of pages, while there are few records
    private long _smallCapacity;
    private ulong* _directory;        // by the top bits: slots of the part (32 bits), where its pages begin in the list (32)
    private long _directoryCapacity;
    private int _directoryShift = 64 - FirstBits;
    private nint* _pages;             // RegionPages for each part
    private long _pagesCapacity;
    private Part* _parts;             // by the beginning of its pages
    private long _partsCapacity;
    private int _partCount;
    private nint[] _old = new nint[RegionPages]; // pages of the part that is being grown
    private readonly KeyArena _keys = new();
    private ulong _rewritten;         // keys with hashes below are, while the arena is rewritten

    public AccumulatorTable(RowShape keyShape, int accumulatorBytes)
    {
        _keysStored = !RowHash.IsBijective(keyShape);
        _keyWidth = keyShape.Width;
        AccumulatorBytes = accumulatorBytes;
        _accumulatorOffset = _keysStored ? 16 : 8;
        _stride = (_accumulatorOffset + accumulatorBytes + 7) & ~7;
        _homeSlots = _stride <= 16 ? 4u : _stride <= 32 ? 2u : 1u;
        _homeMask = ~(_homeSlots - 1);
        _homeEnd = ((int)_homeSlots - 1) * _stride;
        _homeEnd = _stride is 16 or 32 ? 0 : _homeEnd + Math.Min(_stride, 64) - 1;
        _pageShift = 10;
        while (_pageShift > 6 && (long)_stride << _pageShift > PageBytesWanted)
            _pageShift--;
        _pageMask = (1u << _pageShift) - 1;
        _pageBytes = _stride << _pageShift;
        _directory = (ulong*)SlabPool.Resize(null, ref _directoryCapacity, 0, FirstParts * sizeof(ulong));
        for (var p = 0; p < FirstParts; p++)
            NewPart(FirstBits);
        RentSmall(SlabPool.CapacityFor(2 * FirstParts * _stride));
    }

    public int AccumulatorBytes { get; }

    /// <summary>Bytes of a record: tag, [key], accumulator.</summary>
    public int RecordBytes => _stride;

    /// <summary>Bytes of it before the accumulator: they say which key it is of.</summary>
    public int IdentityBytes => _accumulatorOffset;

    /// <summary>Keys present.</summary>
    public int Count { get; private set; }

    public void Measure(StateMeter meter)
    {
        meter.Rows(Count);
        meter.Slab(sizeof(ulong) * (1L << (64 - _directoryShift)), _directoryCapacity);
        meter.Slab((long)_partCount * RegionPages * sizeof(nint), _pagesCapacity);
        meter.Slab((long)_partCount * sizeof(Part), _partsCapacity);
        var records = (long)Count * _stride;
        meter.Slab(Math.Min(records, _smallCapacity), _smallCapacity);
        foreach (var (_, capacity, _) in _chunks)
        {
            meter.Slab(Math.Min(records, capacity), capacity);
            records -= Math.Min(records, capacity);
        }

        _keys.Measure(meter);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* Accumulator(byte* record) => record + _accumulatorOffset;

    /// <summary>Sets the owner's bit of a record; whether it was not set. New records' bits are not.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Mark(byte* record)
    {
        var tag = *(ulong*)record;
        *(ulong*)record = tag | Marked;
        return (tag & Marked) == 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unmark(byte* record) => *(ulong*)record &= ~Marked;

    /// <summary>Writes which key a record is of: <see cref="IdentityBytes"/> that stay valid while the record moves.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void CopyIdentity(ulong hash, byte* record, byte* identity)
    {
        *(ulong*)identity = hash;
        if (_keysStored)
            *(ulong*)(identity + 8) = *(ulong*)(record + 8);
    }

    /// <summary>Copies a record's accumulator to that of <paramref name="copy"/>, which is <see cref="RecordBytes"/> laid out as a record is.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void CopyAccumulator(byte* record, byte* copy) => Copy(record + _accumulatorOffset, copy + _accumulatorOffset, _stride - _accumulatorOffset);

    /// <summary>Key bytes by identity; those of keys that live in their hash are written to <paramref name="scratch"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* Key(byte* identity, ulong* scratch)
    {
        if (_keysStored)
            return KeyArena.BytesOf(*(byte**)(identity + 8));
        *scratch = RowHash.Unmix(*(ulong*)identity);
        return (byte*)scratch;
    }

    /// <summary>The length of the key of an identity.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int KeyLength(byte* identity) => _keysStored ? KeyArena.LengthOf(*(byte**)(identity + 8)) : _keyWidth;

    /// <summary>Calls <paramref name="action"/> with each accumulator's address; it may not change the table.</summary>
    public void ForEach(Action<nint> action)
    {
        for (var hash = 0UL; ;)
        {
            var entry = EntryOf(hash);
            ForEachRecord((uint)entry, SlotsOf(entry), record => action(record + _accumulatorOffset));
            hash += 1UL << (64 - PartOf(entry).Depth);
            if (hash == 0)
                return;
        }
    }

    /// <summary>Brings the record of a hash that will soon be looked up into the cache.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Prefetch(ulong hash)
    {
        if (Sse.IsSupported)
            Sse.Prefetch0(HomeOf(hash));
    }

    /// <summary>Likewise for its key, where that is stored apart; after <see cref="Prefetch"/> has done its work.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void PrefetchKey(ulong hash)
    {
        if (!_keysStored || !Sse.IsSupported)
            return;
        var record = HomeOf(hash);
        if ((*(ulong*)record & ~Marked) == TagOf(hash))
            Sse.Prefetch0(*(byte**)(record + 8));
    }

    /// <summary>
    /// The records of keys [<paramref name="from"/>, <paramref name="to"/>), as far as there is room without moving any, made with a zero accumulator where absent. Those that are new have the lowest bit of their address set.
    /// </summary>
    /// <param name="keys">Where the keys are stored rows, in the same order; else empty.</param>
    /// <returns>How far it came; if not to the end, <see cref="Grow"/> for the hash there, and go on.</returns>
    public int FindOrAdd(ulong* hashes, in RowColumn keys, int keysFrom, nint* records, int from, int to)
    {
        // In passes a little apart: one asks for what the next reads, and leaves its address. Most keys are at home, so that the last seldom has to look further.
        var started = Math.Min(to, from + (2 * Ahead));
        Start(hashes, records, from, started);
        if (_keysStored)
            Match(hashes, records, from, Math.Min(to, from + Ahead));
        for (var i = from; i < to; i += Ahead)
        {
            var end = Math.Min(to, i + Ahead);
            var next = Math.Min(to, end + (2 * Ahead));
            Start(hashes, records, started, next);
            started = next;
            if (_keysStored)
                Match(hashes, records, end, Math.Min(to, end + Ahead));
            var found = _keysStored ? FinishStored(hashes, keys, keysFrom, records, i, end) : Finish(hashes, records, i, end);
            if (found < end)
                return found;
        }

        return to;
    }

    /// <summary>The record of a key, made with a zero accumulator if absent; null if it is absent and its part full: <see cref="Grow"/>, and try again.</summary>
    public byte* TryFindOrAdd(ulong hash, byte* key, int keyLength, out bool isNew)
    {
        var entry = EntryOf(hash);
        var slots = SlotsOf(entry);
        var pages = _pages + (uint)entry;
        var slot = Home(hash, slots);
        var tag = TagOf(hash);
        while (true)
        {
            var record = (byte*)pages[slot >> _pageShift] + ((long)(slot & _pageMask) * _stride);
            var found = *(ulong*)record & ~Marked;
            if (found == tag && (!_keysStored || KeyArena.IsEqual(*(byte**)(record + 8), key, keyLength)))
            {
                isNew = false;
                return record;
            }

            if (found == 0)
                return Add(entry, record, tag, key, keyLength, out isNew);
            if (++slot == slots)
                slot = 0;
        }
    }

    /// <summary>As <see cref="TryFindOrAdd"/>, growing as needed.</summary>
    public byte* FindOrAdd(ulong hash, byte* key, int keyLength)
    {
        while (true)
        {
            var record = TryFindOrAdd(hash, key, keyLength, out _);
            if (record != null)
                return record;
            Grow(hash);
        }
    }

    /// <summary>Counts growth: records are moved to other memory by nothing else.</summary>
    public long Version { get; private set; }

    /// <summary>Whether an identity's record is still where it was found when <see cref="Version"/> was the same.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool IsStill(byte* record, byte* identity) =>
        (*(ulong*)record & ~Marked) == TagOf(*(ulong*)identity) && (!_keysStored || *(ulong*)(record + 8) == *(ulong*)(identity + 8));

    /// <summary>The record of an identity; it must be there.</summary>
    public byte* Find(byte* identity)
    {
        var hash = *(ulong*)identity;
        var entry = EntryOf(hash);
        var slots = SlotsOf(entry);
        for (var slot = Home(hash, slots); ; slot = slot + 1 == slots ? 0 : slot + 1)
        {
            var record = At((uint)entry, slot);
            if (IsStill(record, identity))
                return record;
        }
    }

    /// <summary>Removes a record and its key, which has this hash. Other records move.</summary>
    public void Remove(ulong hash, byte* record)
    {
        var entry = EntryOf(hash);
        var start = (uint)entry;
        var slots = SlotsOf(entry);
        if (_keysStored)
            _keys.Forget(*(byte**)(record + 8));
        var slot = Home(hash, slots);
        while (At(start, slot) != record)
            slot = slot + 1 == slots ? 0 : slot + 1;

        // Move later members of the cluster back, unless they would come before their home.
        var hole = slot;
        while (true)
        {
            slot = slot + 1 == slots ? 0 : slot + 1;
            var next = At(start, slot);
            if (*(ulong*)next == 0)
                break;
            var home = Home(*(ulong*)next >> FirstBits, slots);
            if (Distance(home, slot, slots) < Distance(hole, slot, slots))
                continue;
            Copy(next, record, _stride);
            record = next;
            hole = slot;
        }

        *(ulong*)record = 0;
        PartOf(entry).Count--;
        Count--;
    }

    /// <summary>Rewrites the arena of keys when half of it is garbage, for about <paramref name="records"/> records in a call. Key addresses change.</summary>
    public void CollectKeys(long records)
    {
        if (!_keys.IsRewriting)
        {
            if (!_keys.IsWasteful)
                return;
            _keys.BeginRewrite();
            _rewritten = 0;
        }

        while (records > 0)
        {
            var entry = EntryOf(_rewritten);
            ref var part = ref PartOf(entry);
            records -= part.Count + 64;
            ForEachRecord((uint)entry, SlotsOf(entry), record =>
            {
                ref var key = ref *(byte**)((byte*)record + 8);
                key = _keys.Rewrite(key);
            });
            _rewritten += 1UL << (64 - part.Depth);
            if (_rewritten != 0)
                continue;
            _keys.EndRewrite();
            return;
        }
    }

    public void Dispose()
    {
        SlabPool.Return(_directory, _directoryCapacity);
        SlabPool.Return(_small, _smallCapacity);
        SlabPool.Return(_pages, _pagesCapacity);
        SlabPool.Return(_parts, _partsCapacity);
        foreach (var (address, capacity, isHuge) in _chunks)
        {
            if (isHuge)
                SlabPool.ReturnHuge((void*)address, capacity);
            else
                SlabPool.Return((void*)address, capacity);
        }

        _keys.Dispose();
        _chunks.Clear();
    }

    private static ulong Entry(uint start, uint slots) => ((ulong)slots << 32) | start;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint SlotsOf(ulong entry) => (uint)(entry >> 32);

    // Only low bits, which neither the directory nor the choice of a worker uses. Monotone in the number of slots: records set anew in their old order are nearly in order.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private uint Home(ulong hash, uint slots) => (uint)(((hash & uint.MaxValue) * slots) >> 32) & _homeMask;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong TagOf(ulong hash) => (hash << FirstBits) | Occupied;

    private static uint CountMax(uint slots) => slots - (((slots * 3) + 15) >> 4);

    private static uint Distance(uint from, uint to, uint slots) => to >= from ? to - from : to + slots - from;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ulong EntryOf(ulong hash) => _directory[hash >> _directoryShift];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ref Part PartOf(ulong entry) => ref _parts[(uint)entry / RegionPages];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private byte* At(uint start, uint slot) => (byte*)_pages[start + (slot >> _pageShift)] + ((long)(slot & _pageMask) * _stride);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private byte* HomeOf(ulong hash)
    {
        var entry = EntryOf(hash);
        return At((uint)entry, Home(hash, SlotsOf(entry)));
    }

    // The lowest bit of an address says that what follows its home is on another page.
    private void Start(ulong* hashes, nint* records, int from, int to)
    {
        var directory = _directory;
        var pages = _pages;
        var shift = _directoryShift;
        var (homeMask, pageMask) = (_homeMask, _pageMask);
        var (pageShift, stride) = (_pageShift, (nint)_stride);
        var homeEnd = _homeEnd;
        var twice = 2 * _homeSlots;
        for (var i = from; i < to; i++)
        {
            var hash = hashes[i];
            var entry = directory[hash >> shift];
            var slot = (uint)(((hash & uint.MaxValue) * (entry >> 32)) >> 32) & homeMask;
            var inPage = slot & pageMask;
            var record = pages[(uint)entry + (slot >> pageShift)] + ((nint)inPage * stride);
            records[i] = record | (inPage + twice > pageMask || slot + twice >= (uint)(entry >> 32) ? 1 : 0);
            if (!Sse.IsSupported)
                continue;
            Sse.Prefetch0((byte*)record);
            if (homeEnd > 0)
                Sse.Prefetch0((byte*)record + homeEnd);
        }
    }

    private int Finish(ulong* hashes, nint* records, int from, int to)
    {
        nint stride = _stride;
        var home = (nint)_homeSlots * stride;
        for (var i = from; i < to; i++)
        {
            var tag = TagOf(hashes[i]);
            var record = (byte*)(records[i] & ~1);
            var end = record + (home << (int)(~records[i] & 1));
            while (true)
            {
                var found = *(ulong*)record & ~Marked;
                if (found == tag)
                    break;
                bool isNew;
                if (found == 0)
                    record = Add(EntryOf(hashes[i]), record, tag, null, 0, out isNew);
                else if ((record += stride) == end)
                    record = TryFindOrAdd(hashes[i], null, 0, out isNew);
                else
                    continue;
                if (record == null)
                    return i;
                record += isNew ? 1 : 0;
                break;
            }

            records[i] = (nint)record;
        }

        return to;
    }

    // The records near their homes that are most likely the ones: 0 where there is none.
    private void Match(ulong* hashes, nint* records, int from, int to)
    {
        nint stride = _stride;
        var home = (nint)_homeSlots * stride;
        for (var i = from; i < to; i++)
        {
            var tag = TagOf(hashes[i]);
            var record = (byte*)(records[i] & ~1);
            var end = record + (home << (int)(~records[i] & 1));
            while (record != end && (*(ulong*)record & ~Marked) != tag)
                record += stride;
            records[i] = record == end ? 0 : (nint)record;
            if (record != end && Sse.IsSupported)
                Sse.Prefetch0(*(byte**)(record + 8));
        }
    }

    private int FinishStored(ulong* hashes, in RowColumn keys, int keysFrom, nint* records, int from, int to)
    {
        for (var i = from; i < to; i++)
        {
            var key = keys.Address(keysFrom + i);
            var length = keys.Length(keysFrom + i);
            if (records[i] != 0 && KeyArena.IsEqual(*(byte**)(records[i] + 8), key, length))
                continue;
            var record = TryFindOrAdd(hashes[i], key, length, out var isNew);
            if (record == null)
                return i;
            records[i] = (nint)record | (isNew ? 1 : 0);
        }

        return to;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private byte* Add(ulong entry, byte* record, ulong tag, byte* key, int keyLength, out bool isNew)
    {
        ref var part = ref PartOf(entry);
        isNew = part.Count < CountMax(SlotsOf(entry));
        if (!isNew)
            return null;
        part.Count++;
        Count++;
        Unsafe.InitBlockUnaligned(record, 0, (uint)_stride);
        *(ulong*)record = tag;
        if (_keysStored)
            *(byte**)(record + 8) = _keys.Store(key, keyLength);
        return record;
    }

    // Mostly a few words, for which a call takes longer than they.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Copy(byte* from, byte* to, int bytes)
    {
        if (bytes > 64)
        {
            Unsafe.CopyBlockUnaligned(to, from, (uint)bytes);
            return;
        }

        for (var at = 0; at < bytes; at += sizeof(ulong))
            *(ulong*)(to + at) = *(ulong*)(from + at);
    }

    private void ForEachRecord(uint start, uint slots, Action<nint> action)
    {
        for (var slot = 0u; slot < slots; slot++)
        {
            var record = At(start, slot);
            if (*(ulong*)record != 0)
                action((nint)record);
        }
    }

    private struct Part
    {
        public int Count;
        public int Depth; // bits in which the hashes of its keys agree
    }
}
