using Materialize.Core;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow;

/// <summary>
/// Feeds one input of one worker. Rows are sent at times at or after <see cref="Time"/>; what is before <see cref="Time"/> is complete at this worker.
/// Worker thread only; from other threads <see cref="Worker.Post"/> the calls.
/// </summary>
public sealed class InputHandle<TTime> : IDisposable where TTime : unmanaged, ITime<TTime>
{
    private const int FlushRows = 8192;
    private const long FlushBytes = 1 << 20;
    private readonly Operators.InputOperator<TTime> _operator;
    private readonly BatchBuilder<TTime> _builder;

    internal InputHandle(Operators.InputOperator<TTime> op, RowShape shape, TTime start)
    {
        _operator = op;
        _builder = new BatchBuilder<TTime>(shape);
        op.Count(_builder);
        Time = start;
    }

    /// <summary>The least time that may still be sent.</summary>
    public TTime Time { get; private set; }

    public bool IsClosed { get; private set; }

    public RowShape Shape => _builder.Rows.Shape;

    /// <summary>Append rows here, each followed by <see cref="Commit"/>: sending without a copy.</summary>
    public RowWriter Rows => _builder.Rows;

    /// <summary>Sends one row.</summary>
    public void Send(ReadOnlySpan<byte> row, TTime time, long diff)
    {
        _builder.Rows.Append(row);
        Commit(time, diff);
    }

    /// <summary>Says time and diff of the row just appended to <see cref="Rows"/>. Buffered until a batch is full or the time advances.</summary>
    public void Commit(TTime time, long diff)
    {
        if (IsClosed || time.CompareTo(Time) < 0)
            throw new InvalidOperationException($"the input is at {(IsClosed ? "its end" : Time.ToString())} and cannot send at {time}");
        _builder.Add(time, diff);
        if (_builder.Count >= FlushRows || _builder.Bytes >= FlushBytes)
            Flush();
    }

    /// <summary>Sends rows of one time and one diff. Copies them.</summary>
    public void Send(RowWriter rows, TTime time, long diff)
    {
        for (var i = 0; i < rows.Count; i++)
            Send(rows[i], time, diff);
    }

    /// <summary>Sends <paramref name="rows"/> with their times and diffs (or one time, or one diff, for all). Copies them.</summary>
    public void Send(RowWriter rows, ReadOnlySpan<TTime> times, ReadOnlySpan<long> diffs)
    {
        for (var i = 0; i < rows.Count; i++)
            Send(rows[i], times[times.Length == 1 ? 0 : i], diffs.IsEmpty ? 1 : diffs[diffs.Length == 1 ? 0 : i]);
    }

    /// <summary>Passes on what is buffered.</summary>
    public void Flush() => _operator.Enqueue(_builder.Build());

    /// <summary>Completes the times before <paramref name="time"/>. Going back is ignored.</summary>
    public void AdvanceTo(TTime time)
    {
        if (IsClosed || time.CompareTo(Time) <= 0)
            return;
        Flush();
        Time = time;
        _operator.Advance(time.ToStamp());
    }

    /// <summary>Completes all times.</summary>
    public void Close()
    {
        if (IsClosed)
            return;
        Flush();
        IsClosed = true;
        _operator.Advance(Stamp.Closed);
        _builder.Dispose();
    }

    /// <summary>Same as <see cref="Close"/>.</summary>
    public void Dispose() => Close();
}
