using System.Buffers.Binary;
using Materialize.Core.Rows;
using Materialize.Dataflow;

namespace Materialize.Micro;

/// <summary>Kernels over rows of 8-byte columns, written by hand as generated code would be.</summary>
internal static unsafe class ColumnKernels
{
    /// <summary>Key: the first columns; value: those that follow.</summary>
    public static RowKernel Split(int keyColumns, int valueColumns) => io =>
    {
        var count = io.Count;
        var keys = (ulong*)io.Outputs[0].AppendFixed(count);
        var values = (ulong*)io.Outputs[1].AppendFixed(count);
        var rows = io.Parts[0];
        for (var i = 0; i < count; i++)
        {
            var row = (ulong*)rows[i];
            for (var c = 0; c < keyColumns; c++)
                *keys++ = row[c];
            for (var c = 0; c < valueColumns; c++)
                *values++ = row[keyColumns + c];
            io.Selected[i] = i;
        }

        io.Emitted = count;
    };

    /// <summary>Key: the first column; value: the second.</summary>
    public static RowKernel PairSplit { get; } = Split(1, 1);

    /// <summary>The first column.</summary>
    public static void First(KernelIo io)
    {
        var keys = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            keys[i] = *(ulong*)io.Parts[0][i];
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    /// <summary>For a top-k. Key: the first column; order: the second; nothing else.</summary>
    public static RowKernel SplitSorted(bool descending) => io =>
    {
        var keys = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        var sorts = (ulong*)io.Outputs[1].AppendFixed(io.Count);
        io.Outputs[2].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            var row = (ulong*)io.Parts[0][i];
            keys[i] = row[0];
            sorts[i] = Sorted(row[1], descending);
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    };

    /// <summary>Key and order of a top-k that <see cref="SplitSorted"/> has split, as the two columns they were.</summary>
    public static RowKernel FinishSorted(bool descending) => io =>
    {
        var rows = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            rows[2 * i] = *(ulong*)io.Parts[0][i];
            rows[(2 * i) + 1] = Sorted(*(ulong*)io.Parts[2][i], descending);
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    };

    /// <summary>The 8 bytes whose order is that of the numbers, or the opposite; its own inverse.</summary>
    public static ulong Sorted(ulong number, bool descending) => descending ? ~BinaryPrimitives.ReverseEndianness(number) : BinaryPrimitives.ReverseEndianness(number);

    /// <summary>Accumulates a count, and the sum of the value's first column.</summary>
    public static void CountAndSum(nint* keys, nint* values, long* diffs, nint* accumulators, int count)
    {
        for (var i = 0; i < count; i++)
        {
            var accumulator = (long*)accumulators[i];
            accumulator[0] += diffs[i];
            accumulator[1] += diffs[i] * *(long*)values[i];
        }
    }

    /// <summary>Accumulates a count.</summary>
    public static void Count(nint* keys, nint* values, long* diffs, nint* accumulators, int count)
    {
        for (var i = 0; i < count; i++)
            *(long*)accumulators[i] += diffs[i];
    }
}
