using Materialize.Core.Rows;
using Materialize.Dataflow.Operators;

namespace Materialize.Dataflow;

/// <summary>What a window function computes for a row, as far as the engine needs to know: a number, or which other row it looks at.</summary>
public abstract record WindowFunction
{
    private WindowFunction()
    {
    }

    /// <summary>The row's position in its partition, from 1; copies of a row have positions of their own.</summary>
    public sealed record RowNumber : WindowFunction;

    /// <summary>One more than the number of rows before the row's first peer.</summary>
    public sealed record Rank : WindowFunction;

    /// <summary>The number of different groups of peers up to the row's own.</summary>
    public sealed record DenseRank : WindowFunction;

    /// <summary>The row <paramref name="Offset"/> positions later (earlier, if negative), if there is one.</summary>
    public sealed record Neighbour(long Offset) : WindowFunction;

    /// <summary>The first row of a frame that has the current row in it.</summary>
    public sealed record First(WindowRange Frame) : WindowFunction;

    /// <summary>The last row of a frame that has the current row in it.</summary>
    public sealed record Last(WindowRange Frame) : WindowFunction;

    /// <summary>Whether it picks a row, rather than compute a number.</summary>
    public bool IsPick => this is Neighbour or First or Last;
}

/// <summary>A frame, in positions relative to the current row.</summary>
/// <param name="Start">Null: from the partition's first row.</param>
/// <param name="End">Null: to the partition's last row.</param>
/// <param name="ToPeers">The frame ends with the current row's last peer; <paramref name="Start"/> is null and <paramref name="End"/> 0.</param>
public readonly record struct WindowRange(long? Start, long? End, bool ToPeers = false)
{
    /// <summary>Whether every row is in its own frame.</summary>
    public bool HasCurrentRow => Start is null or <= 0 && End is null or >= 0;
}

/// <summary>Aggregates over one frame that can be folded, unfolded and added up. The frame has an end, not before its start.</summary>
/// <param name="AccumulatorBytes">A multiple of 8. Accumulators start as zero bytes, and all states that stand for the same rows are the same bytes.</param>
/// <param name="Accumulate">Values are rows; keys are not given.</param>
/// <param name="Combine">Adds the accumulator at the second address to the one at the first.</param>
/// <param name="Finish">Parts: any address, accumulator. Writes a row of the results, or an error.</param>
/// <param name="Shape">Of what <paramref name="Finish"/> writes.</param>
public sealed record WindowAccumulation(
    WindowRange Frame, int AccumulatorBytes, AccumulateKernel Accumulate, Action<nint, nint> Combine, RowKernel Finish, RowShape Shape);

/// <summary>Functions over one window: one partitioning, one order.</summary>
public sealed record WindowPlan
{
    /// <summary>
    /// Writes partition key (<c>Outputs[0]</c>), sort key (<c>Outputs[1]</c>, of variable shape, memcomparable and prefix-free) and row (<c>Outputs[2]</c>), or an error.
    /// The last 4 bytes of a sort key are the length (little-endian) of the part before them that peers share; what is between decides among peers.
    /// </summary>
    public required RowKernel Split { get; init; }

    public required RowShape KeyShape { get; init; }

    /// <summary>Of the rows that <see cref="Split"/> writes.</summary>
    public required RowShape RowShape { get; init; }

    public IReadOnlyList<WindowFunction> Functions { get; init; } = [];

    public IReadOnlyList<WindowAccumulation> Accumulations { get; init; } = [];

    /// <summary>What <see cref="Finish"/> gets for a picked row that does not exist.</summary>
    public ReadOnlyMemory<byte> AbsentRow { get; init; }

    /// <summary>The error of a partition in which a row's multiplicity is negative.</summary>
    public required ReadOnlyMemory<byte> NegativeError { get; init; }

    /// <summary>
    /// Writes the row of the result, never an error. Parts: partition key; row; a number of 8 bytes for each function in order (of one that picks: 1 if the row exists, else 0); the row of each function that
    /// picks; the results of each accumulation.
    /// </summary>
    public required RowKernel Finish { get; init; }

    /// <summary>Of what <see cref="Finish"/> writes.</summary>
    public required RowShape Shape { get; init; }
}

public sealed partial class Stream<TTime>
{
    /// <summary>
    /// Each row with what functions say of it in its partition's order: row numbers, neighbours, sums over frames. Sealed. Exchanged by partition key. A partition in which a row has a negative multiplicity
    /// gives an error while it has, and such rows count as absent.
    /// </summary>
    /// <remarks>
    /// State: all rows, as an ordered tree for each partition. Work for a change: O(log) of its partition, and the rows whose output may change: those to which a frame or an offset reaches from the changed row, or, for
    /// what depends on all rows before (row numbers, running sums), those up to where the changes cancel out. Yields after a bounded number of rows. Within loops, instead, each change costs its whole partition.
    /// </remarks>
    public OkErr<TTime> Window(string name, WindowPlan plan) => WindowOperator<TTime>.Build(this, name, plan);
}
