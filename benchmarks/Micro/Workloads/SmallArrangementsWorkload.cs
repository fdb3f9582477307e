using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Dataflow.Traces;

namespace Materialize.Micro;

/// <summary>small-arrangements N: N arrangements of the same ten rows, each held. What counts is the memory that stays.</summary>
internal sealed class SmallArrangementsWorkload(long[] sizes) : SharedWorkload("small-arrangements", sizes)
{
    private const ulong Rows = 10;
    private readonly List<TraceHandle<Time>> _traces = new((int)sizes[0]);
    private InputHandle<Time> _input = null!;

    public override long LoadRows => Sizes[0] * (long)Rows;

    public override int Rounds => 0;

    public override long UpdatesPerRound => 0;

    public override void Build(Scope<Time> scope)
    {
        (_input, var rows) = scope.NewInput("input", new RowShape(16), 0);
        for (var i = 0L; i < Sizes[0]; i++)
            _traces.Add(rows.Arrange("small", ColumnKernels.PairSplit, new RowShape(8), new RowShape(8)).Arranged.Trace());
        Probe = rows.Probe();
    }

    public override void Load()
    {
        for (var i = 0UL; i < Rows; i++)
        {
            if (IsMine((long)i))
                Send(_input, 0, 1, i, i);
        }

        _input.AdvanceTo(1);
    }

    public override void Round(ulong time) => throw new InvalidOperationException("there are no rounds");

    public override Check Final()
    {
        var check = default(Check);
        foreach (var trace in _traces)
        {
            using var cursor = trace.OpenCursor(0);
            while (cursor.NextRow())
                check.Add(cursor.Diff, Read(cursor.Key, 0), Read(cursor.Value, 0));
        }

        return check;
    }

    public override Check Plain()
    {
        var check = default(Check);
        for (var i = 0UL; i < Rows; i++)
            check.Add(Sizes[0], i, i);
        return check;
    }

    public override void Close()
    {
        foreach (var trace in _traces)
            trace.Dispose();
        _input.Dispose();
    }
}
