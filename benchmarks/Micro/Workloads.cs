using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Dataflow.Traces;

namespace Materialize.Micro;

/// <summary>Kernels over rows of 8-byte columns, written by hand as generated code would be.</summary>
internal static unsafe class ColumnKernels
{
    /// <summary>Key: the first column; value: the others.</summary>
    public static RowKernel SplitFirst(int valueColumns) => io =>
    {
        var count = io.Count;
        var keys = (ulong*)io.Outputs[0].AppendFixed(count);
        var values = (ulong*)io.Outputs[1].AppendFixed(count);
        var rows = io.Parts[0];
        for (var i = 0; i < count; i++)
        {
            var row = (ulong*)rows[i];
            keys[i] = row[0];
            for (var c = 0; c < valueColumns; c++)
                values[(i * valueColumns) + c] = row[c + 1];
            io.Selected[i] = i;
        }

        io.Emitted = count;
    };
}

internal abstract class SharedWorkload : Workload
{
    public static readonly Dictionary<string, string> Checks = new()
    {
        ["count 10000000 1000000 1000 200"] = "999958 3dad73328d351ec3",
        ["count 10000000 1000000 1 5000"] = "999965 bd2578e327cf146c",
        ["count 10000000 1000000 20000 50"] = "999948 424d0ba6ada08731",
        ["join 4000000 4000000 1000 200"] = "3999701 5b996d44e78674e2",
        ["join 4000000 4000000 2 5000"] = "4000120 bea0bfb2af6fac98",
        ["join 4000000 4000000 20000 50"] = "3998683 ade63d6872ac2509",
        ["bids 200000 4000000 1000 200"] = "20 ba41e30607002838",
        ["bids 200000 4000000 1 5000"] = "20 d472d04e45b69b9c",
        ["tpch3 1500000 200 100"] = "11436 f9b2cb365c513081",
        ["reach 1000000 2000000 10 200"] = "796949 227de573fd9be4d4",
        ["cc 500000 1000000 10 200"] = "490889 5aa9b71ab12e6e9e",
        ["bids 200000 4000000 20000 50"] = "20 01f82933ef30c387",
    };

    private readonly string _name;

    protected SharedWorkload(string kind, long[] sizes)
    {
        Sizes = sizes;
        _name = kind + " " + string.Join(' ', sizes);
    }

    protected long[] Sizes { get; }

    protected override string? Expected => Checks.GetValueOrDefault(_name);

    protected static unsafe ulong Read(ReadOnlySpan<byte> row, int column) =>
        System.Runtime.InteropServices.MemoryMarshal.Cast<byte, ulong>(row)[column];

    protected static unsafe void Send(InputHandle<Time> input, ulong time, long diff, ulong a)
    {
        *(ulong*)input.Rows.Reserve(8) = a;
        input.Rows.Commit(8);
        input.Commit(time, diff);
    }

    protected static unsafe void Send(InputHandle<Time> input, ulong time, long diff, ulong a, ulong b)
    {
        var row = (ulong*)input.Rows.Reserve(16);
        row[0] = a;
        row[1] = b;
        input.Rows.Commit(16);
        input.Commit(time, diff);
    }

    protected static unsafe void Send(InputHandle<Time> input, ulong time, ulong a, ulong b, ulong c)
    {
        var row = (ulong*)input.Rows.Reserve(24);
        row[0] = a;
        row[1] = b;
        row[2] = c;
        input.Rows.Commit(24);
        input.Commit(time, 1);
    }
}

/// <summary>arrange N E: N records in E epochs, the trace held, since following.</summary>
internal sealed class ArrangeWorkload(long[] sizes) : SharedWorkload("arrange", sizes)
{
    private InputHandle<Time> _input = null!;
    private TraceHandle<Time> _trace = null!;
    private Rng _rng = new(42);

    private int Epochs => (int)Sizes[1];

    protected override long LoadRows => Epochs == 1 ? Sizes[0] : 0;

    protected override int Rounds => Epochs == 1 ? 0 : Epochs;

    protected override long UpdatesPerRound => Sizes[0] / Epochs;

    protected override void Build(Scope<Time> scope)
    {
        (_input, var rows) = scope.NewInput("input", new RowShape(16), 0);
        var arranged = rows.Arrange("arrange", ColumnKernels.SplitFirst(1), new RowShape(8), new RowShape(8)).Arranged;
        _trace = arranged.Trace();
        Probe = arranged.AsStream("nothing", io => io.Emitted = 0, new RowShape(8)).Ok.Probe();
    }

    protected override void Load()
    {
        if (Epochs == 1)
            Epoch(0);
        _input.AdvanceTo(1);
    }

    protected override void Round(ulong time)
    {
        Epoch(time);
        _input.AdvanceTo(time + 1);
        _trace.AdvanceSince(time);
    }

    protected override Check Final()
    {
        var check = default(Check);
        using var cursor = _trace.OpenCursor(ulong.MaxValue - 1);
        while (cursor.NextRow())
            check.Add(cursor.Diff, Read(cursor.Key, 0), Read(cursor.Value, 0));
        if (check.Rows != Sizes[0])
            throw new InvalidOperationException($"{check.Rows} records are in the arrangement");
        return check;
    }

    protected override void Close()
    {
        _trace.Dispose();
        _input.Dispose();
    }

    private void Epoch(ulong time)
    {
        for (var i = 0L; i < UpdatesPerRound; i++)
        {
            var key = _rng.Next();
            Send(_input, time, 1, key, _rng.Next());
            if ((i & 65535) == 65535)
                Breathe();
        }
    }
}

/// <summary>count N K B R: SELECT key, count(*) GROUP BY key.</summary>
internal sealed unsafe class CountWorkload(long[] sizes) : SharedWorkload("count", sizes)
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
        (_input, var rows) = scope.NewInput("input", new RowShape(8), 0);
        var counts = rows.ReduceAccumulable("count", ColumnKernels.SplitFirst(0), new RowShape(8), RowShape.Empty, 8, Count, Finish, new RowShape(16)).Ok;
        var arranged = counts.Arrange("output", ColumnKernels.SplitFirst(1), new RowShape(8), new RowShape(8)).Arranged;
        _trace = arranged.Trace();
        Probe = arranged.AsStream("nothing", io => io.Emitted = 0, new RowShape(8)).Ok.Probe();
    }

    protected override void Load()
    {
        for (var i = 0L; i < Sizes[0]; i++)
        {
            Send(_input, 0, 1, _inserts.Below((ulong)Sizes[1]));
            if ((i & 65535) == 65535)
                Breathe();
        }

        _input.AdvanceTo(1);
    }

    protected override void Round(ulong time)
    {
        for (var i = 0L; i < Sizes[2]; i++)
        {
            Send(_input, time, 1, _inserts.Below((ulong)Sizes[1]));
            Send(_input, time, -1, _deletes.Below((ulong)Sizes[1]));
        }

        _input.AdvanceTo(time + 1);
        _trace.AdvanceSince(time);
    }

    protected override Check Final()
    {
        var check = default(Check);
        using var cursor = _trace.OpenCursor(ulong.MaxValue - 1);
        while (cursor.NextRow())
            check.Add(cursor.Diff, Read(cursor.Key, 0), Read(cursor.Value, 0));
        return check;
    }

    protected override void Close()
    {
        _trace.Dispose();
        _input.Dispose();
    }

    private static void Count(nint* keys, nint* values, long* diffs, nint* accumulators, int count)
    {
        for (var i = 0; i < count; i++)
            *(long*)accumulators[i] += diffs[i];
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
}

/// <summary>join N K B R.</summary>
internal sealed unsafe class JoinWorkload(long[] sizes) : SharedWorkload("join", sizes)
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
        (_inputs[0], var left) = scope.NewInput("left", new RowShape(16), 0);
        (_inputs[1], var right) = scope.NewInput("right", new RowShape(16), 0);
        var l = left.Arrange("left", ColumnKernels.SplitFirst(1), new RowShape(8), new RowShape(8)).Arranged;
        var r = right.Arrange("right", ColumnKernels.SplitFirst(1), new RowShape(8), new RowShape(8)).Arranged;
        var joined = l.Join("join", r, Pair, new RowShape(24)).Ok;
        joined.ForEach("check", batch =>
        {
            for (var i = 0; i < batch.Count; i++)
            {
                var row = (ulong*)batch.RowAddress(i);
                _check.Add(batch.DiffAt(i), row[0], row[1], row[2]);
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

    private static void Pair(KernelIo io)
    {
        var rows = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        var keys = io.Parts[0];
        var left = io.Parts[1];
        var right = io.Parts[2];
        for (var i = 0; i < io.Count; i++)
        {
            rows[0] = *(ulong*)keys[i];
            rows[1] = *(ulong*)left[i];
            rows[2] = *(ulong*)right[i];
            rows += 3;
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private void Change(int side, ref Rng rng, ulong time, long diff)
    {
        var key = rng.Below((ulong)Sizes[1]);
        Send(_inputs[side], time, diff, key, rng.Next());
    }

    private void Advance(ulong time)
    {
        _inputs[0].AdvanceTo(time);
        _inputs[1].AdvanceTo(time);
    }
}
