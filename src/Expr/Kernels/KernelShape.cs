using System.Runtime.InteropServices;
using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Expr.Kernels;

/// <summary>Where the input columns of a kernel lie.</summary>
/// <param name="Parts">The layout of each part of an input row.</param>
/// <param name="Columns">Input column i is column <c>Index</c> of part <c>Part</c>.</param>
public sealed record KernelInput(ValueArray<RowLayout> Parts, ValueArray<(int Part, int Index)> Columns)
{
    /// <summary>Inputs of one part, in its own column order.</summary>
    public static KernelInput Whole(RowLayout layout) =>
        new([layout], Enumerable.Range(0, layout.Columns.Count).Select(i => (0, i)).ToValueArray());

    /// <summary>All columns of the first part, then all of the second, and so on.</summary>
    public static KernelInput Concatenated(params ReadOnlySpan<RowLayout> parts)
    {
        var columns = new List<(int, int)>();
        for (var part = 0; part < parts.Length; part++)
        {
            for (var i = 0; i < parts[part].Columns.Count; i++)
                columns.Add((part, i));
        }

        return new KernelInput(ValueArray.Create(parts), columns.ToValueArray());
    }

    /// <summary>The input columns' types.</summary>
    public ValueArray<ColumnType> Types => Columns.Select(c => Parts[c.Part].Columns[c.Index]);
}

/// <summary>A row that a kernel writes: which of the Mfp's output columns, laid out how.</summary>
public sealed record KernelOutput(RowLayout Layout, ValueArray<int> Columns);

/// <summary>Finds the end of a row from its first byte.</summary>
internal static unsafe class RowLengths
{
    /// <summary>Bytes of the row at <paramref name="address"/>: constant, or where its last variable column ends.</summary>
    public static int Of(RowLayout layout, nint address) => layout.VariableCount == 0
        ? layout.HeaderWidth
        : (int)MemoryMarshal.Read<uint>(new ReadOnlySpan<byte>((byte*)address + layout.EndsOffset + (sizeof(uint) * (layout.VariableCount - 1)), sizeof(uint)));

    public static ReadOnlySpan<byte> Row(RowLayout layout, nint address) => new((byte*)address, Of(layout, address));
}
