using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Protocol;

/// <summary>Rows on the wire: back to back in their layout, with the end of each, times where they matter, and diffs.</summary>
/// <param name="Data">The rows' bytes.</param>
/// <param name="Ends">Offset just past each row.</param>
/// <param name="Times">One per row, or empty when all rows are at one time that the context gives.</param>
/// <param name="Diffs">One per row.</param>
public sealed record RowBatch(ReadOnlyMemory<byte> Data, int[] Ends, ulong[] Times, long[] Diffs)
{
    public static readonly RowBatch Empty = new(ReadOnlyMemory<byte>.Empty, [], [], []);

    public int Count => Ends.Length;

    public ReadOnlySpan<byte> Row(int index)
    {
        var start = index == 0 ? 0 : Ends[index - 1];
        return Data.Span[start..Ends[index]];
    }
}

/// <summary>The answer to a peek.</summary>
public abstract record PeekResult
{
    private PeekResult()
    {
    }

    /// <summary>Rows with positive multiplicities, any order, not merged across workers.</summary>
    public sealed record Rows(RowBatch Batch) : PeekResult;

    public sealed record Error(EvalError Reason) : PeekResult;

    public sealed record Canceled : PeekResult;
}

/// <summary>
/// A contiguous part of a subscribe: all updates with times in [Lower, Upper).
/// </summary>
/// <param name="Upper">Null: the subscribe is complete.</param>
/// <param name="Updates">Consolidated; in order of time, then of rows' bytes.</param>
/// <param name="Error">If not null, the collection holds this error at a time in the interval.</param>
public sealed record SubscribeBatch(ulong Lower, ulong? Upper, RowBatch Updates, EvalError? Error);

/// <summary>What a replica tells its controller. Source: reference, consistency-and-time §14.2.</summary>
public abstract record ComputeResponse
{
    private ComputeResponse()
    {
    }

    /// <summary>How far a collection has come. Each part only goes forward; absent parts have not changed.</summary>
    public sealed record Frontiers(GlobalId Id, FrontierChange? Write, FrontierChange? Input, FrontierChange? Output) : ComputeResponse;

    public sealed record PeekResponse(Guid Uuid, PeekResult Result) : ComputeResponse;

    public sealed record SubscribeResponse(GlobalId Id, SubscribeBatch Batch) : ComputeResponse;

    /// <summary>The subscribe was dropped before it finished.</summary>
    public sealed record SubscribeDropped(GlobalId Id) : ComputeResponse;
}

/// <summary>A new frontier: a time, or null for the empty frontier.</summary>
public readonly record struct FrontierChange(ulong? Time);
