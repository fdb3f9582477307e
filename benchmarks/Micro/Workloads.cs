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

/// <summary>bids A N B R: the average-price query of an auction site, in sums and counts.</summary>
/// <remarks>With <paramref name="text"/>, auctions are known by texts: keys of variable width.</remarks>
internal sealed unsafe class BidsWorkload(long[] sizes, bool text = false) : SharedWorkload("bids", sizes)
{
    private readonly Dictionary<(ulong, ulong, ulong), long> _view = [];
    private InputHandle<Time> _auctions = null!;
    private InputHandle<Time> _bids = null!;
    private Rng _rng = new(43);
    private ulong _next;

    protected override long LoadRows => Sizes[0] + Sizes[1];

    protected override int Rounds => (int)Sizes[3];

    protected override long UpdatesPerRound => Sizes[2];

    protected override void Build(Scope<Time> scope)
    {
        if (text)
        {
            BuildText(scope);
            return;
        }

        (_auctions, var auctions) = scope.NewInput("auctions", new RowShape(24), 0); // id, category, expires
        (_bids, var bids) = scope.NewInput("bids", new RowShape(24), 0);             // auction, price, time
        var a = auctions.Arrange("auctions", ColumnKernels.SplitFirst(2), new RowShape(8), new RowShape(16)).Arranged;
        var b = bids.Arrange("bids", ColumnKernels.SplitFirst(2), new RowShape(8), new RowShape(16)).Arranged;
        var live = a.Join("live", b, Live, new RowShape(24)).Ok; // (id, category, price)
        var best = live.TopK("best", ByPrice, new RowShape(16), new RowShape(8), RowShape.Empty, limit: 1, finish: Best, shape: new RowShape(16)).Ok; // (category, price)
        var sums = best.ReduceAccumulable("by category", ColumnKernels.SplitFirst(1), new RowShape(8), new RowShape(8), 16, Sum, Finish, new RowShape(24)).Ok;
        View(sums);
    }

    private void BuildText(Scope<Time> scope)
    {
        (_auctions, var auctions) = scope.NewInput("auctions", RowShape.Variable, 0); // id, then category, expires
        (_bids, var bids) = scope.NewInput("bids", RowShape.Variable, 0);             // auction, then price, time
        var a = auctions.Arrange("auctions", SplitText, RowShape.Variable, new RowShape(16)).Arranged;
        var b = bids.Arrange("bids", SplitText, RowShape.Variable, new RowShape(16)).Arranged;
        var live = a.Join("live", b, LiveText, RowShape.Variable).Ok; // id, then category, price
        var best = live.TopK("best", ByPriceText, RowShape.Variable, new RowShape(8), RowShape.Empty, limit: 1, finish: BestText, shape: new RowShape(16)).Ok;
        View(best.ReduceAccumulable("by category", ColumnKernels.SplitFirst(1), new RowShape(8), new RowShape(8), 16, Sum, Finish, new RowShape(24)).Ok);
    }

    private void View(Stream<Time> sums)
    {
        sums.ForEach("view", batch =>
        {
            for (var i = 0; i < batch.Count; i++)
            {
                var row = (ulong*)batch.RowAddress(i);
                var key = (row[0], row[1], row[2]);
                _view.TryGetValue(key, out var count);
                if (count + batch.DiffAt(i) == 0)
                    _view.Remove(key);
                else
                    _view[key] = count + batch.DiffAt(i);
            }
        });
        Probe = sums.Probe();
    }

    protected override void Load()
    {
        var rng = new Rng(42);
        for (var id = 0UL; id < (ulong)Sizes[0]; id++)
        {
            rng.Below(((ulong)Sizes[0] / 4) + 1);
            var category = rng.Below(20);
            SendRow(_auctions, 0, id, category, rng.Below(2 * (ulong)Sizes[1]));
            if ((id & 65535) == 65535)
                Breathe();
        }

        for (var i = 0L; i < Sizes[1]; i++)
        {
            Bid(0);
            if ((i & 65535) == 65535)
                Breathe();
        }

        Advance(1);
    }

    protected override void Round(ulong time)
    {
        for (var i = 0L; i < Sizes[2]; i++)
            Bid(time);
        Advance(time + 1);
    }

    protected override Check Final()
    {
        var check = default(Check);
        foreach (var ((category, sum, count), copies) in _view)
            check.Add(copies, category, sum, count);
        return check;
    }

    protected override void Close()
    {
        _auctions.Dispose();
        _bids.Dispose();
    }

    private static void Live(KernelIo io)
    {
        var n = 0;
        var rows = io.Outputs[0];
        for (var i = 0; i < io.Count; i++)
        {
            var auction = (ulong*)io.Parts[1][i];
            var bid = (ulong*)io.Parts[2][i];
            if (bid[1] > auction[1])
                continue;
            var row = (ulong*)rows.Reserve(24);
            row[0] = *(ulong*)io.Parts[0][i];
            row[1] = auction[0];
            row[2] = bid[0];
            rows.Commit(24);
            io.Selected[n++] = i;
        }

        io.Emitted = n;
    }

    // Group: (id, category); order: price descending; nothing else.
    private static void ByPrice(KernelIo io)
    {
        var keys = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        var sorts = (ulong*)io.Outputs[1].AppendFixed(io.Count);
        io.Outputs[2].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            var row = (ulong*)io.Parts[0][i];
            keys[2 * i] = row[0];
            keys[(2 * i) + 1] = row[1];
            sorts[i] = System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(~row[2]);
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    // (category, price) from the group's key and the sort key.
    private static void Best(KernelIo io)
    {
        var rows = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            rows[2 * i] = ((ulong*)io.Parts[0][i])[1];
            rows[(2 * i) + 1] = ~System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(*(ulong*)io.Parts[2][i]);
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private static void Sum(nint* keys, nint* values, long* diffs, nint* accumulators, int count)
    {
        for (var i = 0; i < count; i++)
        {
            var accumulator = (long*)accumulators[i];
            accumulator[0] += diffs[i];
            accumulator[1] += diffs[i] * *(long*)values[i];
        }
    }

    private static void Finish(KernelIo io)
    {
        var rows = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            var accumulator = (ulong*)io.Parts[1][i];
            rows[3 * i] = *(ulong*)io.Parts[0][i];
            rows[(3 * i) + 1] = accumulator[1];
            rows[(3 * i) + 2] = accumulator[0];
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private void SendRow(InputHandle<Time> input, ulong time, ulong id, ulong a, ulong b)
    {
        if (!text)
        {
            Send(input, time, id, a, b);
            return;
        }

        AppendText(input.Rows, id, a, b);
        input.Commit(time, 1);
    }

    private static void AppendText(RowWriter rows, ulong id, ulong a, ulong b)
    {
        var row = rows.Reserve(TextRow.Bytes(1) + 16);
        *(ushort*)row = (ushort)TextRow.Bytes(1);
        TextRow.Write(row, 1, 0, id);
        *(ulong*)(row + TextRow.Bytes(1)) = a;
        *(ulong*)(row + TextRow.Bytes(1) + 8) = b;
        rows.Commit(TextRow.Bytes(1) + 16);
    }

    private static void SplitText(KernelIo io)
    {
        var values = (ulong*)io.Outputs[1].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            var row = (byte*)io.Parts[0][i];
            io.Outputs[0].Append(row, TextRow.Bytes(1));
            *values++ = *(ulong*)(row + TextRow.Bytes(1));
            *values++ = *(ulong*)(row + TextRow.Bytes(1) + 8);
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private static void LiveText(KernelIo io)
    {
        var n = 0;
        var bytes = TextRow.Bytes(1);
        for (var i = 0; i < io.Count; i++)
        {
            var auction = (ulong*)io.Parts[1][i];
            var bid = (ulong*)io.Parts[2][i];
            if (bid[1] > auction[1])
                continue;
            var row = io.Outputs[0].Reserve(bytes + 16);
            System.Runtime.CompilerServices.Unsafe.CopyBlockUnaligned(row, (byte*)io.Parts[0][i], (uint)bytes);
            *(ulong*)(row + bytes) = auction[0];
            *(ulong*)(row + bytes + 8) = bid[0];
            io.Outputs[0].Commit(bytes + 16);
            io.Selected[n++] = i;
        }

        io.Emitted = n;
    }

    // Group: id, then category.
    private static void ByPriceText(KernelIo io)
    {
        var sorts = (ulong*)io.Outputs[1].AppendFixed(io.Count);
        io.Outputs[2].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            var row = (byte*)io.Parts[0][i];
            io.Outputs[0].Append(row, TextRow.Bytes(1) + 8);
            sorts[i] = System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(~*(ulong*)(row + TextRow.Bytes(1) + 8));
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private static void BestText(KernelIo io)
    {
        var rows = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            rows[2 * i] = *(ulong*)(io.Parts[0][i] + TextRow.Bytes(1));
            rows[(2 * i) + 1] = ~System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(*(ulong*)io.Parts[2][i]);
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private void Bid(ulong time)
    {
        var auction = _rng.Below((ulong)Sizes[0]);
        _rng.Below(100_000);
        SendRow(_bids, time, auction, 100 + _rng.Below(1_000_000), _next++);
    }

    private void Advance(ulong time)
    {
        _auctions.AdvanceTo(time);
        _bids.AdvanceTo(time);
    }
}
