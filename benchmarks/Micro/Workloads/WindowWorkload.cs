using System.Buffers.Binary;
using Materialize.Core.Rows;
using Materialize.Dataflow;

namespace Materialize.Micro;

/// <summary>
/// window-F P N R: a window function over P partitions of N rows (order and value random); each of R rounds deletes a row and inserts another somewhere. F: number, lag, sum (of 10 rows before), running (sum). collect-F: the same by
/// collecting each changed partition.
/// </summary>
internal sealed unsafe class WindowWorkload(string function, bool collects, long[] sizes) : SharedWorkload((collects ? "collect-" : "window-") + function, sizes)
{
    private const int Before = 10;
    private readonly List<(ulong P, ulong O, ulong V)> _rows = [];
    private Rng _rng = new(42);
    private InputHandle<Time> _input = null!;
    private Check _check;

    public override long LoadRows => Sizes[0] * Sizes[1];

    public override int Rounds => (int)Sizes[2];

    public override long UpdatesPerRound => 2;

    public override Check Plain()
    {
        var check = default(Check);
        foreach (var partition in _rows.GroupBy(r => r.P))
        {
            var rows = partition.OrderBy(r => r.O).ThenBy(r => r.V).ToList();
            var (sum, running) = (0UL, 0UL);
            for (var i = 0; i < rows.Count; i++)
            {
                running += rows[i].V;
                sum += rows[i].V - (i > Before ? rows[i - Before - 1].V : 0);
                check.Add(1, rows[i].P, rows[i].O, rows[i].V, Of((ulong)i + 1, i > 0 ? rows[i - 1].V : 0, sum, running));
            }
        }

        return check;
    }

    public override void Build(Scope<Time> scope)
    {
        (_input, var rows) = scope.NewInput("input", new RowShape(24), 0);
        var windows = collects
            ? rows.Arrange("by partition", SplitPlain, new RowShape(8), new RowShape(16)).Arranged.ReduceGroups("collect", Collect, new RowShape(24), Joined, new RowShape(32)).Ok
            : rows.Window("window", Plan()).Ok;
        windows.ForEach("see", batch =>
        {
            for (var i = 0; i < batch.Count; i++)
            {
                var row = (ulong*)batch.RowAddress(i);
                _check.Add(batch.DiffAt(i), row[0], BinaryPrimitives.ReverseEndianness(row[1]), row[2], row[3]);
            }
        });
        Probe = windows.Probe();
    }

    public override void Load()
    {
        for (var p = 0UL; p < (ulong)Sizes[0]; p++)
        {
            for (var i = 0L; i < Sizes[1]; i++)
                Insert(p, 0);
        }

        _input.AdvanceTo(1);
    }

    public override void Round(ulong time)
    {
        var gone = (int)_rng.Below((ulong)_rows.Count);
        var (p, o, v) = _rows[gone];
        _rows[gone] = _rows[^1];
        _rows.RemoveAt(_rows.Count - 1);
        Send(time, -1, p, o, v);
        Insert(p, time);
        _input.AdvanceTo(time + 1);
    }

    public override Check Final() => _check;

    public override void Close() => _input.Dispose();

    // Orders are big-endian in rows, so that the bytes of (order, value) sort as wanted.
    private void Insert(ulong partition, ulong time)
    {
        var row = (partition, _rng.Next() >> 8, _rng.Below(1000));
        _rows.Add(row);
        Send(time, 1, partition, row.Item2, row.Item3);
    }

    private void Send(ulong time, long diff, ulong partition, ulong order, ulong value)
    {
        var row = (ulong*)_input.Rows.Reserve(24);
        row[0] = partition;
        row[1] = BinaryPrimitives.ReverseEndianness(order);
        row[2] = value;
        _input.Rows.Commit(24);
        _input.Commit(time, diff);
    }

    private ulong Of(ulong number, ulong lag, ulong sum, ulong running) => function switch
    {
        "number" => number,
        "lag" => lag,
        "sum" => sum,
        "running" => running,
        _ => throw new ArgumentException($"no window function is called {function}"),
    };

    private WindowPlan Plan()
    {
        WindowRange frame = function == "sum" ? new(-Before, 0) : new(null, 0);
        return new WindowPlan
        {
            Split = Split,
            KeyShape = new RowShape(8),
            RowShape = new RowShape(16),
            Functions = function switch { "number" => [new WindowFunction.RowNumber()], "lag" => [new WindowFunction.Neighbour(-1)], _ => [] },
            Accumulations = function is "sum" or "running" ? [new WindowAccumulation(frame, 16, Add, Combine, Result, new RowShape(8))] : [],
            AbsentRow = new byte[16],
            NegativeError = new byte[1],
            Finish = Finish,
            Shape = new RowShape(32),
        };
    }

    private static void Split(KernelIo io)
    {
        var keys = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        var values = (ulong*)io.Outputs[2].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            var row = (ulong*)io.Parts[0][i];
            keys[i] = row[0];
            values[2 * i] = row[1];
            values[(2 * i) + 1] = row[2];
            var sort = io.Outputs[1].Reserve(20);
            *(ulong*)sort = row[1];
            *(ulong*)(sort + 8) = BinaryPrimitives.ReverseEndianness(row[2]);
            *(int*)(sort + 16) = 8;
            io.Outputs[1].Commit(20);
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private void Finish(KernelIo io)
    {
        var rows = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++, rows += 4)
        {
            var row = (ulong*)io.Parts[1][i];
            rows[0] = *(ulong*)io.Parts[0][i];
            rows[1] = row[0];
            rows[2] = row[1];
            rows[3] = function switch
            {
                "number" => *(ulong*)io.Parts[2][i],
                "lag" => ((ulong*)io.Parts[3][i])[1],
                _ => *(ulong*)io.Parts[3][i],
            };
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private static void Add(nint* keys, nint* values, long* diffs, nint* accumulators, int count)
    {
        for (var i = 0; i < count; i++)
        {
            ((long*)accumulators[i])[0] += diffs[i];
            ((long*)accumulators[i])[1] += diffs[i] * ((long*)values[i])[1];
        }
    }

    private static void Combine(nint into, nint from)
    {
        ((long*)into)[0] += ((long*)from)[0];
        ((long*)into)[1] += ((long*)from)[1];
    }

    private static void Result(KernelIo io)
    {
        var sums = (long*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            sums[i] = ((long*)io.Parts[1][i])[1];
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    // ---- By collecting ---------------------------------------------------------------------------------------------------

    private static void SplitPlain(KernelIo io)
    {
        var keys = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        var values = (ulong*)io.Outputs[1].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            var row = (ulong*)io.Parts[0][i];
            keys[i] = row[0];
            values[2 * i] = row[1];
            values[(2 * i) + 1] = BinaryPrimitives.ReverseEndianness(row[2]);
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private void Collect(nint key, nint* values, long* diffs, int count, RowWriter output, RowWriter errors)
    {
        var (number, lag, sum, running) = (0UL, 0UL, 0UL, 0UL);
        for (var i = 0; i < count; i++)
        {
            var row = (ulong*)values[i];
            var value = BinaryPrimitives.ReverseEndianness(row[1]);
            for (var copy = 0L; copy < diffs[i]; copy++)
            {
                number++;
                running += value;
                sum += value - (i > Before ? BinaryPrimitives.ReverseEndianness(((ulong*)values[i - Before - 1])[1]) : 0);
                var to = (ulong*)output.AppendFixed(1);
                to[0] = row[0];
                to[1] = row[1];
                to[2] = Of(number, lag, sum, running);
                lag = value;
            }
        }
    }

    private static void Joined(KernelIo io)
    {
        var rows = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++, rows += 4)
        {
            var value = (ulong*)io.Parts[1][i];
            rows[0] = *(ulong*)io.Parts[0][i];
            rows[1] = value[0];
            rows[2] = BinaryPrimitives.ReverseEndianness(value[1]);
            rows[3] = value[2];
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }
}
