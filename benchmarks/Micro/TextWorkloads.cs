using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Dataflow.Traces;

namespace Materialize.Micro;

/// <summary>count-text N K B R: count over keys of variable width.</summary>
internal sealed unsafe class TextCountWorkload(long[] sizes) : SharedWorkload("count", sizes)
{
    private InputHandle<Time> _input = null!;
    private TraceHandle<Time> _trace = null!;
    private Rng _inserts = new(42);
    private Rng _deletes = new(42);

    protected override long LoadRows => Sizes[0];

    protected override int Rounds => (int)Sizes[3];

    protected override long UpdatesPerRound => 2 * Sizes[2];

    protected override void Build(Scope<Time> scope)
    {
        (_input, var rows) = scope.NewInput("input", RowShape.Variable, 0);
        var counts = rows.ReduceAccumulable("count", Split, RowShape.Variable, RowShape.Empty, 8, Count, Finish, RowShape.Variable).Ok;
        var arranged = counts.Arrange("output", SplitOutput, RowShape.Variable, new RowShape(8)).Arranged;
        _trace = arranged.Trace();
        Probe = arranged.AsStream("nothing", io => io.Emitted = 0, new RowShape(8)).Ok.Probe();
    }

    protected override void Load()
    {
        for (var i = 0L; i < Sizes[0]; i++)
        {
            Send(ref _inserts, 0, 1);
            if ((i & 65535) == 65535)
                Breathe();
        }

        _input.AdvanceTo(1);
    }

    protected override void Round(ulong time)
    {
        for (var i = 0L; i < Sizes[2]; i++)
        {
            Send(ref _inserts, time, 1);
            Send(ref _deletes, time, -1);
        }

        _input.AdvanceTo(time + 1);
        _trace.AdvanceSince(time);
    }

    protected override Check Final()
    {
        var check = default(Check);
        using var cursor = _trace.OpenCursor(ulong.MaxValue - 1);
        while (cursor.NextRow())
            check.Add(cursor.Diff, TextRow.Number(cursor.Key, 1, 0), Read(cursor.Value, 0));
        return check;
    }

    protected override void Close()
    {
        _trace.Dispose();
        _input.Dispose();
    }

    private void Send(ref Rng rng, ulong time, long diff)
    {
        TextRow.Write(TextRow.Begin(_input.Rows, 1), 1, 0, rng.Below((ulong)Sizes[1]));
        TextRow.End(_input.Rows, 1);
        _input.Commit(time, diff);
    }

    private static void Split(KernelIo io)
    {
        for (var i = 0; i < io.Count; i++)
        {
            io.Outputs[0].Append((byte*)io.Parts[0][i], TextRow.Bytes(1));
            io.Selected[i] = i;
        }

        io.Outputs[1].AppendFixed(io.Count);
        io.Emitted = io.Count;
    }

    private static void SplitOutput(KernelIo io)
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

    private static void Count(nint* keys, nint* values, long* diffs, nint* accumulators, int count)
    {
        for (var i = 0; i < count; i++)
            *(long*)accumulators[i] += diffs[i];
    }

    private static void Finish(KernelIo io)
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

/// <summary>join-text N K B R: join over keys and values of variable width.</summary>
internal sealed unsafe class TextJoinWorkload(long[] sizes) : SharedWorkload("join", sizes)
{
    private readonly Rng[] _inserts = [new(42), new(43)];
    private readonly Rng[] _deletes = [new(42), new(43)];
    private readonly InputHandle<Time>[] _inputs = new InputHandle<Time>[2];
    private Check _check;

    protected override long LoadRows => 2 * Sizes[0];

    protected override int Rounds => (int)Sizes[3];

    protected override long UpdatesPerRound => 2 * Sizes[2];

    protected override void Build(Scope<Time> scope)
    {
        (_inputs[0], var left) = scope.NewInput("left", RowShape.Variable, 0);
        (_inputs[1], var right) = scope.NewInput("right", RowShape.Variable, 0);
        var l = left.Arrange("left", Split, RowShape.Variable, RowShape.Variable).Arranged;
        var r = right.Arrange("right", Split, RowShape.Variable, RowShape.Variable).Arranged;
        var joined = l.Join("join", r, Pair, RowShape.Variable).Ok;
        joined.ForEach("check", batch =>
        {
            for (var i = 0; i < batch.Count; i++)
            {
                var row = (byte*)batch.RowAddress(i);
                _check.Add(batch.DiffAt(i), TextRow.Number(row, 3, 0), TextRow.Number(row, 3, 1), TextRow.Number(row, 3, 2));
            }
        });
        Probe = joined.Probe();
    }

    protected override void Load()
    {
        for (var i = 0L; i < Sizes[0]; i++)
        {
            for (var side = 0; side < 2; side++)
                Change(side, ref _inserts[side], 0, 1);
            if ((i & 32767) == 32767)
                Breathe();
        }

        Advance(1);
    }

    protected override void Round(ulong time)
    {
        for (var i = 0L; i < Sizes[2] / 2; i++)
        {
            for (var side = 0; side < 2; side++)
            {
                Change(side, ref _inserts[side], time, 1);
                Change(side, ref _deletes[side], time, -1);
            }
        }

        Advance(time + 1);
    }

    protected override Check Final() => _check;

    protected override void Close()
    {
        _inputs[0].Dispose();
        _inputs[1].Dispose();
    }

    private static void Split(KernelIo io)
    {
        for (var i = 0; i < io.Count; i++)
        {
            var row = (byte*)io.Parts[0][i];
            for (var part = 0; part < 2; part++)
            {
                TextRow.Copy(TextRow.Begin(io.Outputs[part], 1), 1, 0, row, 2, part);
                TextRow.End(io.Outputs[part], 1);
            }

            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private static void Pair(KernelIo io)
    {
        for (var i = 0; i < io.Count; i++)
        {
            var row = TextRow.Begin(io.Outputs[0], 3);
            for (var part = 0; part < 3; part++)
                TextRow.Copy(row, 3, part, (byte*)io.Parts[part][i], 1, 0);
            TextRow.End(io.Outputs[0], 3);
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private void Change(int side, ref Rng rng, ulong time, long diff)
    {
        var rows = _inputs[side].Rows;
        var row = TextRow.Begin(rows, 2);
        TextRow.Write(row, 2, 0, rng.Below((ulong)Sizes[1]));
        TextRow.Write(row, 2, 1, rng.Next());
        TextRow.End(rows, 2);
        _inputs[side].Commit(time, diff);
    }

    private void Advance(ulong time)
    {
        _inputs[0].AdvanceTo(time);
        _inputs[1].AdvanceTo(time);
    }
}
