using Materialize.Compute.Kernels;
using Materialize.Compute.Render;
using Materialize.Compute.Workers;
using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Dataflow.Traces;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Compute.Peeks;

/// <summary>
/// One worker's share of a peek of an index. Holds the arrangement at the peek's time from the moment it arrives; waits until that
/// time is complete; then reads some thousand rows a turn. Worker thread only.
/// </summary>
internal sealed class IndexPeek : IDisposable
{
    private const int RowsPerTurn = 16 * 1024;

    private readonly PeekJob _job;
    private readonly CollectionState _collection;
    private TraceHandle? _rows;
    private TraceHandle? _errors;
    private ArrangementShape? _shape;
    private PeekRows? _found;
    private TraceCursor<Time>? _cursor;
    private int _nextLiteral;
    private bool _holds;

    public IndexPeek(PeekJob job, CollectionState collection)
    {
        _job = job;
        _collection = collection;
        collection.Instance.AddReference();
        _holds = true;
        TakeTraces();
    }

    public PeekJob Job => _job;

    /// <summary>When it came, by the stopwatch.</summary>
    public long StartedAt { get; } = System.Diagnostics.Stopwatch.GetTimestamp();

    /// <summary>Whether it reads, or would, if it were given a turn.</summary>
    public bool IsReady
    {
        get
        {
            if (_rows is null && !TakeTraces())
                return _job.IsAnswered;
            return _job.IsAnswered || Frontier.Min(_rows!.Upper, _errors!.Upper).HasPassed(_job.Request.Timestamp);
        }
    }

    /// <summary>Reads on. Whether this worker's share is done.</summary>
    public bool Turn()
    {
        if (_job.IsAnswered)
            return true;
        if (_found is null)
        {
            if (FirstError() is { } error)
            {
                _job.Fail(error);
                return true;
            }

            try
            {
                _found = new PeekRows(_job, RowSource.Arranged(_shape!));
            }
            catch (UnsupportedPlanException e)
            {
                _job.Fail(e.Error);
                return true;
            }

            _cursor = _rows!.OpenCursor(_job.Request.Timestamp);
        }

        var isDone = _job.Request.LiteralKeys is { } literals ? LookUp(literals) : Scan();
        if (!isDone && !_found.IsDone)
            return false;
        var rows = _found.ToBatch();
        if (_found.Error is { } reason)
            _job.Fail(reason);
        else
            _job.Found(rows);
        return true;
    }

    public void Dispose()
    {
        _cursor?.Dispose();
        _found?.Dispose();
        _rows?.Dispose();
        _errors?.Dispose();
        if (_holds)
            _collection.Instance.Release();
        _holds = false;
    }

    /// <summary>The collection's traces, which exist only once its dataflow was scheduled.</summary>
    private bool TakeTraces()
    {
        if (_collection.Trace is not { } trace || _rows is not null)
            return _rows is not null;
        var time = _job.Request.Timestamp;
        if (trace.Rows.Since.Value > time || trace.Errors.Since.Value > time)
        {
            _job.Fail(new EvalError(
                "XX000", $"timestamp {time} is not valid for index {_collection.Id}: it can be read from {Math.Max(trace.Rows.Since.Value, trace.Errors.Since.Value)}"));
            return false;
        }

        _shape = trace.Shape;
        _rows = trace.Rows.Clone();
        _errors = trace.Errors.Clone();
        _rows.AdvanceSince(time);
        _errors.AdvanceSince(time);
        return true;
    }

    private EvalError? FirstError()
    {
        using var cursor = _errors!.OpenCursor(_job.Request.Timestamp);
        while (cursor.NextRow())
        {
            if (cursor.Diff > 0)
                return RowKernels.DecodeError(cursor.Key);
        }

        return null;
    }

    private bool Scan()
    {
        for (var i = 0; i < RowsPerTurn; i++)
        {
            if (!_cursor!.NextRow())
                return true;
            _found!.Add(_cursor.Key, _cursor.Value, _cursor.Diff);
            if (_found.IsDone)
                return true;
        }

        return false;
    }

    private bool LookUp(ValueArray<ValueArray<Datum>> literals)
    {
        using var key = new RowWriter(_shape!.KeyLayout.Shape);
        for (var rows = 0; _nextLiteral < literals.Count; _nextLiteral++)
        {
            if (rows > RowsPerTurn)
                return false;
            if (RowKernels.HasNullWhereNoneFits(_shape.KeyColumns, literals[_nextLiteral]))
                continue;
            key.Clear();
            RowKernels.Encode(_shape.KeyColumns, literals[_nextLiteral], key);
            if (!_cursor!.Seek(key[0]))
                continue;
            for (; _cursor.NextValue(); rows++)
                _found!.Add(key[0], _cursor.Value, _cursor.Diff);
        }

        return true;
    }
}
