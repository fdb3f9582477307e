using System.Runtime.CompilerServices;
using Materialize.Core.Memory;

namespace Materialize.Core.Rows;

/// <summary>
/// Rows of one shape lying back to back in slabs: a value that owns memory without counting references. Whoever holds the last copy
/// calls <see cref="Free"/> once. Immutable after its writer let go of it.
/// </summary>
public unsafe struct RowColumn
{
    public RowShape Shape;

    /// <summary>First byte of row 0; null when there are no bytes.</summary>
    public byte* Data;

    /// <summary>Capacity of <see cref="Data"/>'s slab.</summary>
    public long DataCapacity;

    /// <summary>For variable shapes, the offset just past each row; null for fixed shapes.</summary>
    public uint* Ends;

    /// <summary>Capacity in bytes of <see cref="Ends"/>'s slab.</summary>
    public long EndsCapacity;

    public int Count;

    /// <summary>Bytes of all rows.</summary>
    public long Bytes;

    public readonly bool IsFixed => Shape.Width >= 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly byte* Address(int index) =>
        Shape.Width >= 0 ? Data + ((long)index * Shape.Width) : Data + (index == 0 ? 0 : Ends[index - 1]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly int Length(int index) =>
        Shape.Width >= 0 ? Shape.Width : (int)(Ends[index] - (index == 0 ? 0 : Ends[index - 1]));

    public readonly ReadOnlySpan<byte> this[int index] => new(Address(index), Length(index));

    /// <summary>Bytes of native memory held.</summary>
    public readonly long Capacity => DataCapacity + EndsCapacity;

    public void Free()
    {
        SlabPool.Return(Data, DataCapacity);
        SlabPool.Return(Ends, EndsCapacity);
        Data = null;
        Ends = null;
        DataCapacity = 0;
        EndsCapacity = 0;
        Count = 0;
        Bytes = 0;
    }

    /// <summary>Copies rows <paramref name="from"/> + rows[j], for j below <paramref name="count"/>, of a fixed shape, to lie back to back.</summary>
    public readonly void CopySelected(int from, int* rows, int count, byte* to)
    {
        switch (Shape.Width)
        {
            case 0:
                break;
            case 8:
                {
                    var row = (ulong*)Data + from;
                    for (var j = 0; j < count; j++)
                        ((ulong*)to)[j] = row[rows[j]];
                    break;
                }

            case 16:
                {
                    var row = (UInt128*)Data + from;
                    for (var j = 0; j < count; j++)
                        ((UInt128*)to)[j] = row[rows[j]];
                    break;
                }

            case var width:
                for (var j = 0; j < count; j++, to += width)
                    Unsafe.CopyBlockUnaligned(to, Data + ((long)(from + rows[j]) * width), (uint)width);
                break;
        }
    }

    /// <summary>Writes the addresses of rows [<paramref name="from"/>, <paramref name="from"/> + <paramref name="count"/>) to <paramref name="addresses"/>.</summary>
    public readonly void CopyAddresses(int from, int count, nint* addresses)
    {
        if (Shape.Width >= 0)
        {
            var address = (nint)(Data + ((long)from * Shape.Width));
            for (var i = 0; i < count; i++)
            {
                addresses[i] = address;
                address += Shape.Width;
            }
        }
        else
        {
            var start = from == 0 ? 0 : Ends[from - 1];
            for (var i = 0; i < count; i++)
            {
                addresses[i] = (nint)(Data + start);
                start = Ends[from + i];
            }
        }
    }
}
