using System.Runtime.CompilerServices;
using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// The keys of a table that are longer than their hashes: length (4) and bytes, back to back in slabs. What is forgotten is garbage; when that is half of all, the owner rewrites its keys, a part of them at a time, from one set of slabs to another.
/// </summary>
internal sealed unsafe class KeyArena : IDisposable
{
    private const int SlabBytes = 1 << 20;
    private const int Header = sizeof(int);
    private List<(nint Address, long Capacity)> _slabs = [];
    private List<(nint Address, long Capacity)> _old = []; // being rewritten
    private long _used;  // in the last slab
    private long _total; // of _slabs
    private long _live;  // of both

    /// <summary>Whether keys are being rewritten: between <see cref="BeginRewrite"/> and <see cref="EndRewrite"/>.</summary>
    public bool IsRewriting => _old.Count > 0;

    public bool IsWasteful => _total >= 2 * SlabBytes && _live * 2 <= _total;

    public static int LengthOf(byte* stored) => *(int*)stored;

    public static byte* BytesOf(byte* stored) => stored + Header;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsEqual(byte* stored, byte* key, int length) =>
        *(int*)stored == length && RowBytes.AreEqual(stored + Header, key, length);

    /// <summary>A copy of a key.</summary>
    public byte* Store(byte* key, int length)
    {
        var bytes = Header + length;
        if (_slabs.Count == 0 || _used + bytes > _slabs[^1].Capacity)
        {
            var wanted = Math.Max(bytes, _slabs.Count == 0 ? 1024 : Math.Min(SlabBytes, _slabs[^1].Capacity * 2));
            var capacity = SlabPool.CapacityFor(wanted);
            _slabs.Add(((nint)SlabPool.Rent(capacity), capacity));
            _total += capacity;
            _used = 0;
        }

        var stored = (byte*)_slabs[^1].Address + _used;
        *(int*)stored = length;
        Unsafe.CopyBlockUnaligned(stored + Header, key, (uint)length);
        _used += bytes;
        _live += bytes;
        return stored;
    }

    public void Forget(byte* stored) => _live -= Header + *(int*)stored;

    /// <summary>From now on keys go to new slabs; every key from before must be rewritten until the end.</summary>
    public void BeginRewrite()
    {
        (_slabs, _old) = (_old, _slabs);
        _used = 0;
        _total = 0;
    }

    public byte* Rewrite(byte* stored)
    {
        Forget(stored);
        return Store(stored + Header, *(int*)stored);
    }

    public void EndRewrite() => Free(_old);

    public void Measure(StateMeter meter)
    {
        var live = _live;
        foreach (var (_, capacity) in _slabs.Concat(_old))
        {
            meter.Slab(Math.Min(live, capacity), capacity);
            live -= Math.Min(live, capacity);
        }
    }

    public void Dispose()
    {
        Free(_slabs);
        Free(_old);
    }

    private static void Free(List<(nint Address, long Capacity)> slabs)
    {
        foreach (var (address, capacity) in slabs)
            SlabPool.Return((void*)address, capacity);
        slabs.Clear();
    }
}
