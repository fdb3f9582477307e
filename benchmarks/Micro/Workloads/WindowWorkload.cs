using System.Buffers.Binary;
using Materialize.Core.Rows;
using Materialize.Dataflow;

namespace Materialize.Micro;

/// <summary>
/// window-F P N R: a window function over P partitions of N rows (order and value random); each of R rounds deletes a row and inserts another somewhere. collect-F: the same by collecting each changed partition, for number, lag, sum
/// and running.
/// </summary>
internal sealed unsafe class WindowWorkload(string function, bool collects, long[] sizes) : SharedWorkload((collects ? "collect-" : "window-") + function, sizes)
{
    private const int Before = 10;
    private readonly WindowQuery _query = new(function);
    private readonly List<(ulong P, ulong O, ulong V)> _rows = [];
    private Rng _rng = new(42);
    private InputHandle<Time> _input = null!;
    private Check _check;

    public static readonly string[] Collected = ["number", "lag", "sum", "running"];

    public override long LoadRows => Sizes[0] * Sizes[1];

    public override int Rounds => (int)Sizes[2];

    public override long UpdatesPerRound => 2;

    public override void Build(Scope<Time> scope)
    {
        (_input, var rows) = scope.NewInput("input", new RowShape(WindowQuery.InputWidth), 0);
        var windows = collects
            ? rows.Arrange("by partition", SplitPlain, new RowShape(8), new RowShape(16)).Arranged.ReduceGroups("collect", Collect, new RowShape(24), Joined, new RowShape(32)).Ok
            : rows.Window("window", _query.Plan()).Ok;
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

    public override Check Plain() => _query.Plain(_rows);

    public override void Close() => _input.Dispose();

    private void Insert(ulong partition, ulong time)
    {
        var row = (partition, _rng.Next() >> 8, _rng.Below(1000));
        _rows.Add(row);
        Send(time, 1, partition, row.Item2, row.Item3);
    }

    // All workers draw the same; the first feeds.
    private void Send(ulong time, long diff, ulong partition, ulong order, ulong value)
    {
        if (Share != 0)
            return;
        WindowQuery.Write(_input.Rows, partition, order, value);
        _input.Commit(time, diff);
    }

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
                to[2] = function switch
                {
                    "number" => number,
                    "lag" => lag,
                    "sum" => sum,
                    _ => running,
                };
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
