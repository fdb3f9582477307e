using Materialize.Compute.Workers;
using Materialize.Core.Rows;
using Materialize.Expr;
using Materialize.Protocol;

namespace Materialize.Compute.Peeks;

/// <summary>
/// A peek at this process: gathers what its workers find and answers exactly once, whichever comes first of all parts, an error, or
/// a cancellation. Any thread.
/// </summary>
/// <param name="parts">Workers that are asked.</param>
/// <param name="keys">What <see cref="PeekRequest.LiteralKeys"/> are in the index, if that is known already.</param>
internal sealed class PeekJob(PeekRequest request, int parts, ResponseSession session, byte[][]? keys = null)
{
    private readonly Lock _lock = new();   // Over _found and _missing; nothing is called under it.
    private readonly List<RowBatch> _found = [];
    private int _missing = parts;
    private int _answered;

    public PeekRequest Request => request;

    public byte[][]? Keys => keys;

    /// <summary>Whether nobody waits for it any more.</summary>
    public bool IsAnswered => Volatile.Read(ref _answered) != 0;

    /// <summary>
    /// How many rows are enough: with a limit and no order any will do. Null: all are needed.
    /// </summary>
    public long? RowsWanted =>
        request.Finishing is { OrderBy.IsEmpty: true, Limit: { } limit } && limit <= long.MaxValue / 2 && request.Finishing.Offset <= long.MaxValue / 2
            ? (long)(limit + request.Finishing.Offset)
            : null;

    /// <summary>One worker's rows.</summary>
    public void Found(RowBatch rows)
    {
        lock (_lock)
        {
            _found.Add(rows);
            if (--_missing > 0)
                return;
        }

        var all = Merge(_found);
        if ((ulong)all.Data.Length > request.MaxResultSize)
            Fail(TooLarge(request.MaxResultSize));
        else
            Answer(new PeekResult.Rows(all));
    }

    /// <summary>Nobody has to be asked.</summary>
    public void NothingFound() => Answer(new PeekResult.Rows(RowBatch.Empty));

    public void Fail(EvalError error) => Answer(new PeekResult.Error(error));

    public void Cancel() => Answer(new PeekResult.Canceled());

    /// <summary>The controller that asked is gone.</summary>
    public void Forget() => Interlocked.Exchange(ref _answered, 1);

    public static EvalError TooLarge(ulong bytesMax) => new("53200", $"result exceeds max size of {Size(bytesMax)}");

    public static EvalError NegativeMultiplicity { get; } =
        new("XX000", "Invalid data in source, saw retractions (-1) for row that does not exist");

    private static string Size(ulong bytes) => bytes switch
    {
        > 0 when bytes % (1UL << 30) == 0 => $"{bytes >> 30} GB",
        > 0 when bytes % (1UL << 20) == 0 => $"{bytes >> 20} MB",
        > 0 when bytes % (1UL << 10) == 0 => $"{bytes >> 10} KB",
        _ => $"{bytes} B",
    };

    private void Answer(PeekResult result)
    {
        if (Interlocked.Exchange(ref _answered, 1) == 0)
            session.Send(new ComputeResponse.PeekResponse(request.Uuid, result));
    }

    private static RowBatch Merge(List<RowBatch> parts)
    {
        if (parts.Count == 1)
            return parts[0];
        var count = parts.Sum(p => p.Count);
        if (parts.Find(p => p.Count == count) is { } only)
            return only;
        var data = new byte[parts.Sum(p => p.Data.Length)];
        var (ends, diffs) = (new int[count], new long[count]);
        var (bytes, row) = (0, 0);
        foreach (var part in parts)
        {
            part.Data.Span.CopyTo(data.AsSpan(bytes));
            for (var i = 0; i < part.Count; i++, row++)
                (ends[row], diffs[row]) = (bytes + part.Ends[i], part.Diffs[i]);
            bytes += part.Data.Length;
        }

        return new RowBatch(data, ends, [], diffs);
    }
}
