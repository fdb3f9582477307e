using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Dataflow.Traces;

namespace Materialize.Micro;

/// <summary>count N K B R: SELECT key, count(*) GROUP BY key.</summary>
/// <param name="text">With keys of variable width.</param>
internal sealed unsafe class CountWorkload(long[] sizes, bool text = false) : SharedWorkload("count", sizes)
{
    private InputHandle<Time> _input = null!;
    private TraceHandle<Time> _trace = null!;
    private Rng _inserts = new(42);
    private Rng _deletes = new(42);

    public override long LoadRows => Sizes[0];

    public override int Rounds => (int)Sizes[3];

    public override long UpdatesPerRound => 2 * Sizes[2];

    public override void Build(Scope<Time> scope)
    {
        var (row, key) = text ? (RowShape.Variable, RowShape.Variable) : (new RowShape(8), new RowShape(8));
        (_input, var rows) = scope.NewInput("input", row, 0);
        var counts = text
            ? rows.ReduceAccumulable("count", SplitText, key, RowShape.Empty, 8, ColumnKernels.Count, FinishText, RowShape.Variable).Ok
            : rows.ReduceAccumulable("count", ColumnKernels.Split(1, 0), key, RowShape.Empty, 8, ColumnKernels.Count, Finish, new RowShape(16)).Ok;
        var arranged = counts.Arrange("output", text ? SplitOutputText : ColumnKernels.Split(1, 1), key, new RowShape(8)).Arranged;
        _trace = arranged.Trace();
        Probe = arranged.AsStream("nothing", io => io.Emitted = 0, new RowShape(8)).Ok.Probe();
    }

    public override void Load()
    {
        for (var i = 0L; i < Sizes[0]; i++)
        {
            Send(ref _inserts, i, 0, 1);
            Breathe(i);
        }

        _input.AdvanceTo(1);
    }

    public override void Round(ulong time)
    {
        var (inserts, deletes) = (_inserts, _deletes); // they lie beside the other worker's, perhaps in a line of its cache
        for (var i = 0L; i < Sizes[2]; i++)
        {
            Send(ref inserts, i, time, 1);
            Send(ref deletes, i, time, -1);
        }

        (_inserts, _deletes) = (inserts, deletes);

        _input.AdvanceTo(time + 1);
        _trace.AdvanceSince(time);
    }

    public override Check Final()
    {
        var check = default(Check);
        using var cursor = _trace.OpenCursor(ulong.MaxValue - 1);
        while (cursor.NextRow())
            check.Add(cursor.Diff, text ? TextRow.Number(cursor.Key, 1, 0) : Read(cursor.Key, 0), Read(cursor.Value, 0));
        return check;
    }

    public override Check Plain()
    {
        var counts = new long[Sizes[1]];
        var (inserts, deletes) = (new Rng(42), new Rng(42));
        for (var i = 0L; i < Sizes[0] + (Sizes[2] * Sizes[3]); i++)
            counts[inserts.Below((ulong)Sizes[1])]++;
        for (var i = 0L; i < Sizes[2] * Sizes[3]; i++)
            counts[deletes.Below((ulong)Sizes[1])]--;
        var check = default(Check);
        for (var key = 0; key < counts.Length; key++)
        {
            if (counts[key] != 0)
                check.Add(1, (ulong)key, (ulong)counts[key]);
        }

        return check;
    }

    public override void Close()
    {
        _trace.Dispose();
        _input.Dispose();
    }

    private void Send(ref Rng rng, long number, ulong time, long diff)
    {
        if (!IsMine(number))
        {
            rng.Skip(1);
            return;
        }

        var key = rng.Below((ulong)Sizes[1]);
        if (!text)
        {
            Send(_input, time, diff, key);
            return;
        }

        TextRow.Write(TextRow.Begin(_input.Rows, 1), 1, 0, key);
        TextRow.End(_input.Rows, 1);
        _input.Commit(time, diff);
    }

    private static void Finish(KernelIo io)
    {
        var rows = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            rows[2 * i] = *(ulong*)io.Parts[0][i];
            rows[(2 * i) + 1] = *(ulong*)io.Parts[1][i];
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private static void SplitText(KernelIo io)
    {
        for (var i = 0; i < io.Count; i++)
        {
            io.Outputs[0].Append((byte*)io.Parts[0][i], TextRow.Bytes(1));
            io.Selected[i] = i;
        }

        io.Outputs[1].AppendFixed(io.Count);
        io.Emitted = io.Count;
    }

    private static void SplitOutputText(KernelIo io)
    {
        var values = (ulong*)io.Outputs[1].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            var row = (byte*)io.Parts[0][i];
            io.Outputs[0].Append(row, TextRow.Bytes(1));
            values[i] = *(ulong*)(row + TextRow.Bytes(1));
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private static void FinishText(KernelIo io)
    {
        var bytes = TextRow.Bytes(1);
        for (var i = 0; i < io.Count; i++)
        {
            var row = io.Outputs[0].Reserve(bytes + 8);
            System.Runtime.CompilerServices.Unsafe.CopyBlockUnaligned(row, (byte*)io.Parts[0][i], (uint)bytes);
            *(ulong*)(row + bytes) = *(ulong*)io.Parts[1][i];
            io.Outputs[0].Commit(bytes + 8);
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }
}
