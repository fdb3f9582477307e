using System.Buffers.Binary;
using Materialize.Core.Rows;
using Materialize.Dataflow;

namespace Materialize.Micro;

/// <summary>
/// A window function over rows of (partition, order, value), by order and then value; rows with the same order are peers. Results are (partition, order, value, what the function says). Orders are big-endian in rows,
/// so that their bytes sort as wanted.
/// </summary>
internal sealed unsafe class WindowQuery(string function)
{
    public const int InputWidth = 24;

    private const int Near = 10;
    private static readonly (string Name, string What, WindowFunction? Function, WindowRange? Frame)[] Known =
    [
        ("number", "row_number", new WindowFunction.RowNumber(), null),
        ("rank", "rank", new WindowFunction.Rank(), null),
        ("dense-rank", "dense_rank", new WindowFunction.DenseRank(), null),
        ("lag", "lag", new WindowFunction.Neighbour(-1), null),
        ("lead", "lead", new WindowFunction.Neighbour(1), null),
        ("first", "first_value of the ten rows before and itself", new WindowFunction.First(new WindowRange(-Near, 0)), null),
        ("last", "last_value of itself and the ten rows after", new WindowFunction.Last(new WindowRange(0, Near)), null),
        ("sum", "sum of the ten rows before and itself", null, new WindowRange(-Near, 0)),
        ("running", "sum from the first row on", null, new WindowRange(null, 0)),
    ];

    private readonly (string Name, string What, WindowFunction? Function, WindowRange? Frame) _known = Array.Find(Known, k => k.Name == function) is { Name: not null } known
        ? known
        : throw new ArgumentException($"no window function is called {function}");

    public static IEnumerable<string> Functions => Known.Select(k => k.Name);

    public string What => $"{_known.What} by order in a partition";

    public static void Write(RowWriter rows, ulong partition, ulong order, ulong value)
    {
        var row = (ulong*)rows.Reserve(InputWidth);
        row[0] = partition;
        row[1] = BinaryPrimitives.ReverseEndianness(order);
        row[2] = value;
        rows.Commit(InputWidth);
    }

    public WindowPlan Plan() => new()
    {
        Split = Split,
        KeyShape = new RowShape(8),
        RowShape = new RowShape(16),
        Functions = _known.Function is { } known ? [known] : [],
        Accumulations = _known.Frame is { } frame ? [new WindowAccumulation(frame, 16, Add, Combine, Result, new RowShape(8))] : [],
        AbsentRow = new byte[16],
        NegativeError = new byte[1],
        Finish = Finish,
        Shape = new RowShape(32),
    };

    /// <summary>The results for these rows, in plain C#.</summary>
    public Check Plain(IEnumerable<(ulong P, ulong O, ulong V)> all)
    {
        var check = default(Check);
        foreach (var partition in all.GroupBy(r => r.P))
        {
            var rows = partition.OrderBy(r => r.O).ThenBy(r => r.V).ToList();
            for (var (i, rank, dense, sum, running) = (0, 0, 0, 0UL, 0UL); i < rows.Count; i++)
            {
                if (i == 0 || rows[i].O != rows[i - 1].O)
                    (rank, dense) = (i + 1, dense + 1);
                running += rows[i].V;
                sum += rows[i].V - (i > Near ? rows[i - Near - 1].V : 0);
                check.Add(1, rows[i].P, rows[i].O, rows[i].V, function switch
                {
                    "number" => (ulong)i + 1,
                    "rank" => (ulong)rank,
                    "dense-rank" => (ulong)dense,
                    "lag" => i > 0 ? rows[i - 1].V : 0,
                    "lead" => i + 1 < rows.Count ? rows[i + 1].V : 0,
                    "first" => rows[Math.Max(0, i - Near)].V,
                    "last" => rows[Math.Min(rows.Count - 1, i + Near)].V,
                    "sum" => sum,
                    _ => running,
                });
            }
        }

        return check;
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
        var counts = _known.Function is { IsPick: false };
        var picks = _known.Function is { IsPick: true };
        for (var i = 0; i < io.Count; i++, rows += 4)
        {
            var row = (ulong*)io.Parts[1][i];
            rows[0] = *(ulong*)io.Parts[0][i];
            rows[1] = row[0];
            rows[2] = row[1];
            rows[3] = counts ? *(ulong*)io.Parts[2][i] : ((ulong*)io.Parts[3][i])[picks ? 1 : 0];
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
}
