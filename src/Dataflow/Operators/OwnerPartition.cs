using Materialize.Core.Hashing;
using Materialize.Core.Rows;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// Which rows of a piece of up to <see cref="KernelIo.Capacity"/> go to which worker: a counting sort of row numbers by owner, rows of one owner in their
/// order. Copying then runs owner by owner, through one destination at a time.
/// </summary>
internal static unsafe class OwnerPartition
{
    /// <param name="order">Of <paramref name="count"/>: row numbers.</param>
    /// <param name="ends">Of <paramref name="workers"/>: where in <paramref name="order"/> each worker's rows end; they begin where those of the one before end.</param>
    public static void Sort(ulong* hashes, int count, int workers, int* order, int* ends)
    {
        new Span<int>(ends, workers).Clear();
        for (var i = 0; i < count; i++)
            ends[RowHash.Owner(hashes[i], workers)]++;
        for (int w = 0, start = 0; w < workers; w++)
            (ends[w], start) = (start, start + ends[w]);
        for (var i = 0; i < count; i++)
            order[ends[RowHash.Owner(hashes[i], workers)]++] = i;
    }
}
