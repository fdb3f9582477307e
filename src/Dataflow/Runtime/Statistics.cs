namespace Materialize.Dataflow.Runtime;

/// <summary>What one worker's copy of a dataflow did so far, and what it keeps.</summary>
public sealed record DataflowStatistics(DataflowGraph Graph, IReadOnlyList<OperatorStatistics> Operators);

/// <summary>Counters of one operator at one worker since it was built.</summary>
/// <param name="RowsIn">Updates taken from all inputs.</param>
/// <param name="ElapsedTicks">In <see cref="System.Diagnostics.Stopwatch"/> ticks; counted only while <see cref="Worker.Accounting"/>.</param>
/// <param name="Arrangement">What the arrangement that the operator keeps takes; null: it keeps none.</param>
/// <param name="ArrangementHolds">Readers that hold the arrangement.</param>
/// <param name="State">All else that the operator keeps, with what waits for it.</param>
public readonly record struct OperatorStatistics(
    int Index, string Name, long Runs, long RowsIn, long RowsOut, long ElapsedTicks, StateSize? Arrangement, int ArrangementHolds, StateSize State)
{
    /// <summary>Native memory, arrangement included.</summary>
    public long StateBytes => State.CapacityBytes + (Arrangement?.CapacityBytes ?? 0);
}

/// <summary>An edge of a dataflow: from an output of an operator to an input of one.</summary>
public readonly record struct ChannelDescription(int Index, int FromOperator, int FromPort, int ToOperator, int ToPort);

/// <summary>Messages and updates that went over an edge.</summary>
public struct Traffic
{
    public long Batches;
    public long Rows;

    internal void Add(long rows)
    {
        Batches++;
        Rows += rows;
    }
}

/// <summary>How long things took: a count for each power of two of nanoseconds. One thread.</summary>
public sealed class DurationHistogram
{
    /// <summary>More than 2⁴⁰ ns is counted as that.</summary>
    public const int Classes = 41;

    private static readonly double s_nanosecondsPerTick = 1e9 / System.Diagnostics.Stopwatch.Frequency;

    private readonly long[] _counts = new long[Classes];

    public ReadOnlySpan<long> Counts => _counts;

    public void Add(TimeSpan duration) => Count(duration.TotalNanoseconds);

    internal void AddTicks(long ticks) => Count(ticks * s_nanosecondsPerTick);

    private void Count(double nanoseconds) =>
        _counts[Math.Min(Classes - 1, System.Numerics.BitOperations.Log2((ulong)nanoseconds | 1))]++;
}
