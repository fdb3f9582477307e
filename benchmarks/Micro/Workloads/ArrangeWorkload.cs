using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Dataflow.Traces;

namespace Materialize.Micro;

/// <summary>arrange N E: N records in E epochs, the trace held, since following.</summary>
internal sealed class ArrangeWorkload(long[] sizes) : SharedWorkload("arrange", sizes)
{
    private InputHandle<Time> _input = null!;
    private TraceHandle<Time> _trace = null!;
    private Rng _rng = new(42);

    private int Epochs => (int)Sizes[1];

    public override long LoadRows => Epochs == 1 ? Sizes[0] : 0;

    public override int Rounds => Epochs == 1 ? 0 : Epochs;

    public override long UpdatesPerRound => Sizes[0] / Epochs;

    public override void Build(Scope<Time> scope)
    {
        (_input, var rows) = scope.NewInput("input", new RowShape(16), 0);
        var arranged = rows.Arrange("arrange", ColumnKernels.Split(1, 1), new RowShape(8), new RowShape(8)).Arranged;
        _trace = arranged.Trace();
        Probe = arranged.AsStream("nothing", io => io.Emitted = 0, new RowShape(8)).Ok.Probe();
    }

    public override void Load()
    {
        if (Epochs == 1)
            Epoch(0);
        _input.AdvanceTo(1);
    }

    public override void Round(ulong time)
    {
        Epoch(time);
        _input.AdvanceTo(time + 1);
        _trace.AdvanceSince(time);
    }

    public override Check Final()
    {
        var check = default(Check);
        using var cursor = _trace.OpenCursor(ulong.MaxValue - 1);
        while (cursor.NextRow())
            check.Add(cursor.Diff, Read(cursor.Key, 0), Read(cursor.Value, 0));
        return check;
    }

    public override Check Plain()
    {
        var rng = new Rng(42);
        var check = default(Check);
        for (var i = 0L; i < Sizes[0]; i++)
        {
            var key = rng.Next();
            check.Add(1, key, rng.Next());
        }

        return check;
    }

    public override void Close()
    {
        _trace.Dispose();
        _input.Dispose();
    }

    private void Epoch(ulong time)
    {
        for (var i = 0L; i < UpdatesPerRound; i++)
        {
            var key = _rng.Next();
            var value = _rng.Next();
            if (IsMine(i))
                Send(_input, time, 1, key, value);
            Breathe(i);
        }
    }
}
