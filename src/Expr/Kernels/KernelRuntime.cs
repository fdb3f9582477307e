using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Materialize.Core.Rows;
using Materialize.Repr;

namespace Materialize.Expr.Kernels;

/// <summary>
/// What generated code calls. Expression trees have no pointer types, nor arithmetic on nint, so addresses are longs; each of these is small
/// enough to be inlined, or does work that outweighs a call. A method that can fail returns false and generated code then leaves
/// the row to the interpreter, which words the error.
/// </summary>
public static unsafe class KernelRuntime
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Read<T>(long address) where T : unmanaged => Unsafe.ReadUnaligned<T>((void*)address);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write<T>(long address, T value) where T : unmanaged => Unsafe.WriteUnaligned((void*)address, value);

    public static long PartAddresses(KernelIo io, int part) => (long)io.Parts[part];

    public static long SelectedAddress(KernelIo io) => (long)io.Selected;

    public static long ValidFromAddress(KernelIo io) => (long)io.ValidFrom;

    public static long ValidUntilAddress(KernelIo io) => (long)io.ValidUntil;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long Reserve(RowWriter writer, int bytes) => (long)writer.Reserve(bytes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Copy(long target, long source, int length) => Unsafe.CopyBlockUnaligned((void*)target, (void*)source, (uint)length);

    public static void Clear(long target, int length) => Unsafe.InitBlockUnaligned((void*)target, 0, (uint)length);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool EqualBytes(long a, int aLength, long b, int bLength) =>
        aLength == bLength && new ReadOnlySpan<byte>((void*)a, aLength).SequenceEqual(new ReadOnlySpan<byte>((void*)b, bLength));

    public static int CompareBytes(long a, int aLength, long b, int bLength) =>
        new ReadOnlySpan<byte>((void*)a, aLength).SequenceCompareTo(new ReadOnlySpan<byte>((void*)b, bLength));

    public static int CompareDoubles(double a, double b) => DatumOrder.CompareFloats(a, b);

    public static int CompareNumerics(Numeric a, Numeric b) => a.CompareTo(b);

    public static int CompareUuids(UInt128 a, UInt128 b) => a.CompareTo(b);

    public static int CompareIntervals(Interval a, Interval b) => (a.Months, a.Days, a.Micros).CompareTo((b.Months, b.Days, b.Micros));

    public static Numeric ReadNumeric(long address) => Numeric.Read(new ReadOnlySpan<byte>((void*)address, Numeric.Width));

    public static void WriteNumeric(long address, Numeric value) => value.Write(new Span<byte>((void*)address, Numeric.Width));

    public static UInt128 ReadUuid(long address) => System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(new ReadOnlySpan<byte>((void*)address, 16));

    public static void WriteUuid(long address, UInt128 value) => System.Buffers.Binary.BinaryPrimitives.WriteUInt128BigEndian(new Span<byte>((void*)address, 16), value);

    public static Interval ReadInterval(long address) => new(Read<int>(address), Read<int>(address + 4), Read<long>(address + 8));

    public static void WriteInterval(long address, Interval value)
    {
        Write(address, value.Months);
        Write(address + 4, value.Days);
        Write(address + 8, value.Micros);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryAdd(long a, long b, out long result)
    {
        result = unchecked(a + b);
        return ((a ^ result) & (b ^ result)) >= 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TrySubtract(long a, long b, out long result)
    {
        result = unchecked(a - b);
        return ((a ^ b) & (a ^ result)) >= 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryMultiply(long a, long b, out long result)
    {
        var high = Math.BigMul(a, b, out result);
        return high == result >> 63;
    }

    public static bool TryAdd(ulong a, ulong b, out ulong result)
    {
        result = unchecked(a + b);
        return result >= a;
    }

    public static bool TrySubtract(ulong a, ulong b, out ulong result)
    {
        result = unchecked(a - b);
        return a >= b;
    }

    public static bool TryMultiply(ulong a, ulong b, out ulong result) => Math.BigMul(a, b, out result) == 0;

    public static bool TryAdd(Numeric a, Numeric b, out Numeric result) => Numeric.Add(a, b, out result) == NumericStatus.Ok;

    public static bool TrySubtract(Numeric a, Numeric b, out Numeric result) => Numeric.Subtract(a, b, out result) == NumericStatus.Ok;

    public static bool TryMultiply(Numeric a, Numeric b, out Numeric result) => Numeric.Multiply(a, b, out result) == NumericStatus.Ok;

    public static bool TryDivide(Numeric a, Numeric b, out Numeric result) => Numeric.Divide(a, b, out result) == NumericStatus.Ok;

    public static bool TryRemainder(Numeric a, Numeric b, out Numeric result) => Numeric.Remainder(a, b, out result) == NumericStatus.Ok;

    public static Numeric Negate(Numeric value) => -value;

    public static bool TryMove(long timestamp, Interval by, out long result) => Calendar.TryAdd(timestamp, by, out result);

    public static bool TryMoveBack(long timestamp, Interval by, out long result)
    {
        result = 0;
        return by.Months != int.MinValue && by.Days != int.MinValue && by.Micros != long.MinValue
            && Calendar.TryAdd(timestamp, new Interval(-by.Months, -by.Days, -by.Micros), out result);
    }

    public static bool TryToMzTimestamp(long micros, out ulong result)
    {
        var millis = Calendar.FloorDiv(micros, 1000) + (Calendar.UnixEpochSeconds * 1000);
        result = (ulong)millis;
        return millis >= 0;
    }

    public static bool TryDateToTimestamp(int days, out long result)
    {
        result = days * Calendar.MicrosPerDay;
        return result >= Calendar.MinTimestamp && days < 106_000_000 && result <= Calendar.MaxTimestamp;
    }

    public static int TimestampToDate(long micros) => Calendar.Split(micros).Days;

    /// <summary>-0.0 as 0.0 and every NaN as one NaN: the only bits that rows hold.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static double Canonical(double value) => value == 0 ? 0.0 : double.IsNaN(value) ? double.NaN : value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Canonical(float value) => value == 0 ? 0f : float.IsNaN(value) ? float.NaN : value;

    /// <summary>Memory for values that the interpreter makes, until the next row; one arena a thread.</summary>
    internal static long Keep(ReadOnlySpan<byte> bytes)
    {
        var arena = _arena ??= new ScratchArena();
        return arena.Put(bytes);
    }

    /// <summary>Forgets what <see cref="Keep"/> was given for the row before.</summary>
    public static void NextRow() => _arena?.Clear();

    [ThreadStatic]
    private static ScratchArena? _arena;

    private sealed class ScratchArena
    {
        private const int ChunkBytes = 64 * 1024;
        private readonly List<(nint Address, int Length)> _chunks = [];
        private int _chunk;
        private int _used;

        public nint Put(ReadOnlySpan<byte> bytes)
        {
            while (_chunk < _chunks.Count && _used + bytes.Length > _chunks[_chunk].Length)
            {
                _chunk++;
                _used = 0;
            }

            if (_chunk == _chunks.Count)
            {
                var length = Math.Max(ChunkBytes, bytes.Length);
                _chunks.Add(((nint)NativeMemory.Alloc((nuint)length), length));
            }

            var address = _chunks[_chunk].Address + _used;
            bytes.CopyTo(new Span<byte>((void*)address, bytes.Length));
            _used += bytes.Length;
            return address;
        }

        public void Clear()
        {
            // A chunk made for one huge value goes back; the ordinary ones stay for the thread's life.
            for (var i = _chunks.Count - 1; i >= 0 && _chunks[i].Length > ChunkBytes; i--)
            {
                NativeMemory.Free((void*)_chunks[i].Address);
                _chunks.RemoveAt(i);
            }

            _chunk = 0;
            _used = 0;
        }
    }
}
