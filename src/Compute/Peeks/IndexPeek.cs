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
/// One worker's share of a peek of an index. From the moment it arrives the peek's time stays readable: it pins what it will read if that is complete,
/// and else holds the arrangement at that time and waits. Then it reads some thousand rows a turn. Worker thread only.
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
    private byte[][]? _keys;
    private TraceCursor<Time>? _cursor;
    private EvalError? _error;
    private int _nextKey;
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
            if (_cursor is not null)
                return true;
            if (_rows is null && !TakeTraces())
                return _job.IsAnswered;
            return _cursor is not null || _job.IsAnswered || Frontier.Min(_rows!.Upper, _errors!.Upper).HasPassed(_job.Request.Timestamp);
        }
    }

    /// <summary>Reads on. Whether this worker's share is done.</summary>
    public bool Turn()
    {
        if (_job.IsAnswered)
            return true;
        if (_found is null)
        {
            if (_cursor is null)
                Open(_rows!, _errors!);
            if (_error is { } error)
            {
                _job.Fail(error);
                return true;
            }

            try
            {
                _found = _collection.TakeTools(_job) ?? new PeekRows(_job, RowSource.Arranged(_shape!));
            }
            catch (UnsupportedPlanException e)
            {
                _job.Fail(e.Error);
                return true;
            }
        }

        var isDone = _job.Request.LiteralKeys is { } literals ? LookUp(_keys ??= _job.Keys ?? IndexShares.Keys(_shape!, literals)) : Scan();
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
        if (_found is not null)
            _collection.LeaveTools(_found);
        _found = null;
        _rows?.Dispose();
        _errors?.Dispose();
        if (_holds)
            _collection.Instance.Release();
        _holds = false;
    }

    /// <summary>The collection's traces, which exist only once its dataflow was scheduled.</summary>
    private bool TakeTraces()
    {
        if (_collection.Trace is not { } trace)
            return false;
        var time = _job.Request.Timestamp;
        if (trace.Rows.Since.Value > time || trace.Errors.Since.Value > time)
        {
            _job.Fail(new EvalError(
                "XX000", $"timestamp {time} is not valid for index {_collection.Id}: it can be read from {Math.Max(trace.Rows.Since.Value, trace.Errors.Since.Value)}"));
            return false;
        }

        _shape = trace.Shape;
        if (trace.Upper.HasPassed(time))
        {
            Open(trace.Rows, trace.Errors);
            return true;
        }

        _rows = trace.Rows.Clone();
        _errors = trace.Errors.Clone();
        _rows.AdvanceSince(time);
        _errors.AdvanceSince(time);
        return true;
    }

    /// <summary>Pins what is read.</summary>
    private void Open(TraceHandle rows, TraceHandle errors)
    {
        using var cursor = errors.OpenCursor(_job.Request.Timestamp);
        while (_error is null && cursor.NextRow())
        {
            if (cursor.Diff > 0)
                _error = RowKernels.DecodeError(cursor.Key);
        }

        _cursor = rows.OpenCursor(_job.Request.Timestamp);
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

    private bool LookUp(byte[][] keys)
    {
        for (var rows = 0; _nextKey < keys.Length; _nextKey++)
        {
            if (rows > RowsPerTurn)
                return false;
            var key = keys[_nextKey];
            if (!_cursor!.Seek(key))
                continue;
            for (; _cursor.NextValue(); rows++)
                _found!.Add(key, _cursor.Value, _cursor.Diff);
        }

        return true;
    }
}
