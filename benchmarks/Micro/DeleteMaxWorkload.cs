using Materialize.Core.Rows;
using Materialize.Dataflow;

namespace Materialize.Micro;

/// <summary>deletemax N R: the greatest of N values of one key, deleted R times, one a round: what a maximum has to fear most.</summary>
internal sealed unsafe class DeleteMaxWorkload(long[] sizes) : SharedWorkload("deletemax", sizes)
{
    private readonly ulong[] _values = new ulong[sizes[0]];
    private InputHandle<Time> _input = null!;
    private ulong _greatest;
    private long _deleted;

    protected override long LoadRows => Sizes[0];

    protected override int Rounds => (int)Sizes[1];

    protected override long UpdatesPerRound => 1;

    protected override string? Expected => $"1 {_values[^(int)(_deleted + 1)]:x16}";

    protected override void Build(Scope<Time> scope)
    {
        (_input, var rows) = scope.NewInput("input", new RowShape(16), 0); // key, value
        var best = rows.TopK("max", ColumnKernels.SplitSorted(descending: true), new RowShape(8), new RowShape(8), RowShape.Empty, limit: 1, finish: Finish, shape: new RowShape(8)).Ok;
        best.ForEach("see", batch =>
        {
            for (var i = 0; i < batch.Count; i++)
            {
                if (batch.DiffAt(i) > 0)
                    _greatest = *(ulong*)batch.RowAddress(i);
            }
        });
        Probe = best.Probe();
    }

    protected override void Load()
    {
        var rng = new Rng(42);
        for (var i = 0L; i < Sizes[0]; i++)
        {
            _values[i] = rng.Next();
            Send(_input, 0, 1, 7, _values[i]);
        }

        Array.Sort(_values);
        _input.AdvanceTo(1);
    }

    protected override void Round(ulong time)
    {
        Send(_input, time, -1, 7, _values[^(int)(++_deleted)]);
        _input.AdvanceTo(time + 1);
    }

    protected override Check Final()
    {
        var check = default(Check);
        check.Set(1, _greatest);
        return check;
    }

    protected override void Close() => _input.Dispose();

    private static void Finish(KernelIo io)
    {
        var rows = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            rows[i] = ColumnKernels.Sorted(*(ulong*)io.Parts[2][i], descending: true);
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }
}
