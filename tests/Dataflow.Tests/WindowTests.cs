using System.Buffers.Binary;
using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Tests;

/// <summary>Window functions over random histories, against their definition on the rows that are there at each time.</summary>
public sealed unsafe class WindowTests
{
    [Fact]
    public void Random_windows_equal_their_definition_at_every_time()
    {
        var first = Number("FIRST_SEED", 0);
        var seeds = Number("SEEDS", 400);
        for (var seed = first; seed < first + seeds; seed++)
            Named(seed, () => RunSmall(seed));
    }

    [Fact]
    public void Deep_trees_equal_the_definition_while_they_grow_and_shrink()
    {
        for (var seed = 0; seed < 12; seed++)
            Named(seed, () => RunDeep(seed));
    }

    [Fact]
    public void Within_loops_whole_partitions_give_the_same()
    {
        for (var seed = 0; seed < 60; seed++)
            Named(seed, () => RunSmall(seed, inLoop: true));
    }

    [Fact]
    public void A_change_in_the_middle_touches_only_the_rows_that_see_it()
    {
        var spec = new WindowSpec([new WindowFunction.Neighbour(-1), new WindowFunction.Neighbour(2)], [new WindowRange(-3, 1)], 0, hasErrors: false);
        using var rig = new WindowRig(spec, 1);
        for (var i = 0UL; i < 50_000; i++)
            rig.Send(0, i * 2, i, 0, 1);
        rig.CompleteTo(1);
        var loaded = rig.UpdateCount;
        Assert.Equal(50_000, loaded);
        rig.Send(0, 50_001, 7, 1, 1);
        rig.CompleteTo(2);

        // The row itself; before it two rows look ahead; after it three have it in their frames.
        Assert.Equal(1 + (2 * (2 + 3)), rig.UpdateCount - loaded);
        rig.MustEqual(1);
        rig.Send(0, 50_001, 7, 2, -1);
        rig.CompleteTo(3);
        Assert.Equal(2 * (1 + (2 * (2 + 3))), rig.UpdateCount - loaded);
        rig.MustEqual(2);
    }

    [Fact]
    public void What_cancels_out_ends_what_is_touched()
    {
        var spec = new WindowSpec([new WindowFunction.RowNumber(), new WindowFunction.Rank(), new WindowFunction.DenseRank()], [new WindowRange(null, 0)], 0, hasErrors: false);
        using var rig = new WindowRig(spec, 1);
        for (var i = 0UL; i < 30_000; i++)
            rig.Send(0, i * 2, 5, 0, 1);
        rig.CompleteTo(1);
        var loaded = rig.UpdateCount;

        // A row leaves at one place and one of the same value comes ten rows later: those between have another number.
        rig.Send(0, 20_000, 5, 1, -1);
        rig.Send(0, 20_021, 5, 1, 1);
        rig.CompleteTo(2);
        Assert.Equal(2 + (2 * 10), rig.UpdateCount - loaded);
        rig.MustEqual(1);

        // At the end, only what comes.
        rig.Send(0, 1_000_000, 5, 2, 1);
        rig.CompleteTo(3);
        Assert.Equal(2 + (2 * 10) + 1, rig.UpdateCount - loaded);
    }

    [Fact]
    public void A_run_is_bounded_however_many_rows_a_change_touches()
    {
        var spec = new WindowSpec([new WindowFunction.RowNumber()], [], 0, hasErrors: false);
        using var rig = new WindowRig(spec, 1);
        for (var i = 0UL; i < 300_000; i++)
            rig.Send(0, i + 10, 0, 0, 1);
        rig.CompleteTo(1);
        Assert.Equal(300_000, rig.UpdateCount);
        rig.Send(0, 1, 0, 1, 1);
        rig.CompleteTo(2);
        Assert.Equal(300_000 + 600_001, rig.UpdateCount);
        Assert.True(rig.BatchMax <= 8192, $"a batch of {rig.BatchMax} rows");
        Assert.True(rig.Steps > 10, $"{rig.Steps} steps");
    }

    private static int Number(string variable, int otherwise) =>
        Environment.GetEnvironmentVariable(variable) is { } text ? int.Parse(text) : otherwise;

    private static void Named(int seed, Action run)
    {
        try
        {
            run();
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"seed {seed}: {e.Message}", e);
        }
    }

    private static void RunSmall(int seed, bool inLoop = false)
    {
        var random = new Random(seed);
        var spec = WindowSpec.Random(random, random.Next(4) == 0 ? 300 : 0);
        using var rig = new WindowRig(spec, random.Next(4) == 0 ? 3 : 1, inLoop, fuelMax: seed % 2 == 0 ? long.MaxValue : 1 + random.Next(32));
        var partitions = 1 + random.Next(4);
        var orders = 1 + random.Next(30);
        var values = 1 + random.Next(6);
        var negatives = random.Next(4) == 0;
        var present = new List<(ulong, ulong, ulong)>();
        var time = 0UL;
        for (var round = 0; round < 8; round++)
        {
            var spread = 1 + random.Next(4);
            var count = random.Next(round == 0 ? 150 : 12);
            for (var i = 0; i < count; i++)
            {
                var at = time + (ulong)random.Next(spread);
                if (present.Count > 0 && random.Next(9) < 4)
                {
                    var gone = random.Next(present.Count);
                    var (p, o, v) = present[gone];
                    present[gone] = present[^1];
                    present.RemoveAt(present.Count - 1);
                    rig.Send(p, o, v, negatives ? at : time + (ulong)spread - 1, -1);
                }
                else
                {
                    var row = ((ulong)random.Next(partitions), (ulong)random.Next(orders), (ulong)random.Next(values));
                    var copies = random.Next(8) == 0 ? 1 + random.Next(4) : 1;
                    rig.Send(row.Item1, row.Item2, row.Item3, at, copies);
                    for (var c = 0; c < copies; c++)
                        present.Add(row);
                }

                if (negatives && random.Next(30) == 0)
                {
                    rig.Send(0, (ulong)random.Next(orders), 0, at, -1);
                }
            }

            time += (ulong)spread;
            if (random.Next(3) != 0)
                rig.CompleteTo(time);
        }

        rig.CompleteTo(time);
        for (var t = 0UL; t < time; t++)
            rig.MustEqual(t);
    }

    private static void RunDeep(int seed)
    {
        var random = new Random(seed);
        var spec = WindowSpec.Random(random, 700, reach: 300);
        using var rig = new WindowRig(spec, 1, fuelMax: seed % 2 == 0 ? long.MaxValue : 1 + random.Next(32));
        var present = new List<(ulong, ulong, ulong)>();
        ulong orders = (seed % 3) switch { 0 => 100_000, 1 => 400, _ => 4 }; // of few orders, groups of peers are larger than pages
        var time = 0UL;
        for (var round = 0; round < 10; round++, time++)
        {
            var grows = round < 6;
            var count = round == 0 ? 3000 : round % 3 == 1 ? 5 : 600;
            for (var i = 0; i < count; i++)
            {
                if (present.Count > 0 && random.Next(10) < (grows ? 3 : 9))
                {
                    // From one end, now and then.
                    var gone = random.Next(2) == 0 ? random.Next(present.Count) : random.Next(1 + (present.Count / 20));
                    var (p, o, v) = present[gone];
                    present.RemoveAt(gone);
                    rig.Send(p, o, v, time, -1);
                }
                else
                {
                    var row = (0UL, round % 2 == 0 ? (ulong)random.NextInt64((long)orders) : orders + (ulong)((round * 1000) + i), (ulong)random.Next(50));
                    rig.Send(row.Item1, row.Item2, row.Item3, time, 1);
                    present.Add(row);
                }
            }

            rig.CompleteTo(time + 1);
        }

        for (var t = 0UL; t < time; t += 1 + (ulong)random.Next(3))
            rig.MustEqual(t);
        foreach (var (p, o, v) in present)
            rig.Send(p, o, v, time, -1);
        rig.CompleteTo(time + 1);
        rig.MustEqual(time);
    }
}

/// <summary>Functions over a window of rows (partition, order, value), as a plan and by definition. Numbers out: partition, order, value, one for each function (a picked row's value + 1, or 0), count and sum for each frame.</summary>
internal sealed unsafe class WindowSpec(WindowFunction[] functions, WindowRange[] frames, int padding, bool hasErrors)
{
    private const int ErrorEvery = 23;

    public WindowFunction[] Functions => functions;

    public WindowRange[] Frames => frames;

    public int Words => 3 + functions.Length + (2 * frames.Length);

    /// <param name="reach">Of frames, in rows.</param>
    public static WindowSpec Random(Random random, int padding, int reach = 5)
    {
        var functions = new List<WindowFunction>();
        for (var left = random.Next(4); left > 0; left--)
        {
            functions.Add(random.Next(7) switch
            {
                0 => new WindowFunction.RowNumber(),
                1 => new WindowFunction.Rank(),
                2 => new WindowFunction.DenseRank(),
                3 or 4 => new WindowFunction.Neighbour(random.Next(-4, 5)),
                5 => new WindowFunction.First(Around(random)),
                _ => new WindowFunction.Last(Around(random)),
            });
        }

        var frames = new List<WindowRange>();
        for (var left = random.Next(functions.Count == 0 ? 1 : 0, 3); left > 0; left--)
        {
            var start = random.Next(-reach, reach - 1);
            frames.Add(random.Next(3) switch
            {
                0 => new WindowRange(null, 0, ToPeers: true),
                1 => new WindowRange(null, random.Next(2 - reach, reach - 1)),
                _ => new WindowRange(start, random.Next(start, start + reach)),
            });
        }

        return new WindowSpec([.. functions], [.. frames], padding, random.Next(5) == 0);
    }

    public byte[] Encode(ulong partition, ulong order, ulong value)
    {
        var row = new byte[24 + padding];
        BinaryPrimitives.WriteUInt64BigEndian(row, partition);
        BinaryPrimitives.WriteUInt64BigEndian(row.AsSpan(8), order);
        BinaryPrimitives.WriteUInt64BigEndian(row.AsSpan(16), value);
        return row;
    }

    public RowShape RowShape => new(24 + padding);

    public WindowPlan Plan => new()
    {
        Split = io =>
        {
            Span<byte> key = stackalloc byte[20];
            for (var i = 0; i < io.Count; i++)
            {
                var row = new ReadOnlySpan<byte>((void*)io.Parts[0][i], 24 + padding);
                io.Outputs[0].Append(row[..8]);
                row[8..24].CopyTo(key);
                BinaryPrimitives.WriteInt32LittleEndian(key[16..], 8);
                io.Outputs[1].Append(key);
                io.Outputs[2].Append(row);
                io.Selected[i] = i;
            }

            io.Emitted = io.Count;
        },
        KeyShape = new RowShape(8),
        RowShape = RowShape,
        Functions = functions,
        Accumulations = [.. frames.Select(f => new WindowAccumulation(f, 16, Accumulate, Combine, FinishSum, new RowShape(16)))],
        AbsentRow = new byte[24 + padding],
        NegativeError = "negative"u8.ToArray(),
        Shape = new RowShape(8 * Words),
        Finish = io =>
        {
            for (var i = 0; i < io.Count; i++)
            {
                var to = new Span<ulong>(io.Outputs[0].AppendFixed(1), Words);
                to[0] = *(ulong*)io.Parts[0][i];
                to[1] = *(ulong*)(io.Parts[1][i] + 8);
                to[2] = *(ulong*)(io.Parts[1][i] + 16);
                for (var w = 0; w < 3; w++)
                    to[w] = BinaryPrimitives.ReverseEndianness(to[w]);
                var part = 3;
                for (var f = 0; f < functions.Length; f++)
                {
                    var number = ((ulong*)io.Parts[2][i])[f];
                    if (functions[f].IsPick)
                        number *= BinaryPrimitives.ReverseEndianness(*(ulong*)(io.Parts[part++][i] + 16)) + 1;
                    to[3 + f] = number;
                }

                for (var a = 0; a < frames.Length; a++, part++)
                {
                    to[3 + functions.Length + (2 * a)] = *(ulong*)io.Parts[part][i];
                    to[4 + functions.Length + (2 * a)] = *(ulong*)(io.Parts[part][i] + 8);
                }

                io.Selected[i] = i;
            }

            io.Emitted = io.Count;
        },
    };

    /// <summary>What the rows of <paramref name="bag"/> are in their windows; errors as rows of one number.</summary>
    public Dictionary<string, long> Evaluate(Dictionary<(ulong P, ulong O, ulong V), long> bag)
    {
        var result = new Dictionary<string, long>();
        foreach (var partition in bag.GroupBy(r => r.Key.P))
        {
            if (partition.Any(r => r.Value < 0))
                Count("negative");
            var rows = partition.Where(r => r.Value > 0).OrderBy(r => r.Key.O).ThenBy(r => r.Key.V).SelectMany(r => Enumerable.Repeat(r.Key, (int)r.Value)).ToList();
            var (first, last, dense) = (0, 0, 0UL);
            for (var i = 0; i < rows.Count; i++)
            {
                if (i == 0 || rows[i].O != rows[i - 1].O)
                {
                    first = i;
                    dense++;
                    for (last = i; last + 1 < rows.Count && rows[last + 1].O == rows[i].O; last++)
                    {
                    }
                }

                Count(Row(rows, i, first, last, dense));
            }
        }

        void Count(string text) => result[text] = result.GetValueOrDefault(text) + 1;
        return result;
    }

    /// <param name="first">The first of the row's peers.</param>
    /// <param name="last">And the last.</param>
    private string Row(List<(ulong P, ulong O, ulong V)> rows, int i, int first, int last, ulong dense)
    {
        var (p, o, v) = rows[i];
        List<ulong> words = [p, o, v];
        (int From, int To) Range(WindowRange frame) => (
            frame.Start is { } s ? (int)Math.Max(0, i + s) : 0,
            frame.ToPeers ? last : frame.End is { } e ? (int)Math.Min(rows.Count - 1, i + e) : rows.Count - 1);
        ulong ValueAt(int at) => at < 0 || at >= rows.Count ? 0 : rows[at].V + 1;
        foreach (var function in functions)
        {
            words.Add(function switch
            {
                WindowFunction.RowNumber => (ulong)i + 1,
                WindowFunction.Rank => (ulong)first + 1,
                WindowFunction.DenseRank => dense,
                WindowFunction.Neighbour x => ValueAt(i + (int)x.Offset),
                WindowFunction.First x => ValueAt(Range(x.Frame).From),
                WindowFunction.Last x => ValueAt(Range(x.Frame).To),
                _ => throw new System.Diagnostics.UnreachableException(),
            });
        }

        foreach (var frame in frames)
        {
            var (from, to) = Range(frame);
            ulong count = 0, sum = 0;
            for (var at = from; at <= to; at++)
            {
                count++;
                sum += rows[at].V;
            }

            if (IsError(count, sum))
                return "error";
            words.Add(count);
            words.Add(sum);
        }

        return string.Join(' ', words);
    }

    private static WindowRange Around(Random random) => random.Next(4) switch
    {
        0 => new WindowRange(null, 0, ToPeers: true),
        1 => new WindowRange(null, random.Next(2) == 0 ? null : random.Next(4)),
        2 => new WindowRange(-random.Next(4), null),
        _ => new WindowRange(-random.Next(4), random.Next(4)),
    };

    private bool IsError(ulong count, ulong sum) => hasErrors && (count + sum) % ErrorEvery == 7;

    private static void Accumulate(nint* keys, nint* values, long* diffs, nint* accumulators, int count)
    {
        for (var i = 0; i < count; i++)
        {
            ((long*)accumulators[i])[0] += diffs[i];
            ((long*)accumulators[i])[1] += diffs[i] * (long)BinaryPrimitives.ReverseEndianness(*(ulong*)(values[i] + 16));
        }
    }

    private static void Combine(nint into, nint from)
    {
        ((long*)into)[0] += ((long*)from)[0];
        ((long*)into)[1] += ((long*)from)[1];
    }

    private void FinishSum(KernelIo io)
    {
        var n = 0;
        var e = 0;
        for (var i = 0; i < io.Count; i++)
        {
            var sum = (ulong*)io.Parts[1][i];
            if (IsError(sum[0], sum[1]))
            {
                io.Errors!.Append("error"u8);
                io.ErrorSelected[e++] = i;
                continue;
            }

            io.Outputs[0].Append((byte*)sum, 16);
            io.Selected[n++] = i;
        }

        io.Emitted = n;
        io.ErrorsEmitted = e;
    }
}

/// <summary>A window over an input, and what came out of it.</summary>
internal sealed unsafe class WindowRig : IDisposable
{
    private readonly WindowSpec _spec;
    private readonly Rig _rig;
    private readonly InputHandle<Time>[] _inputs;
    private readonly Dictionary<(int Worker, bool IsError), Frontier<Time>> _frontiers = [];
    private readonly List<((ulong, ulong, ulong) Row, ulong Time, long Diff)> _sent = [];
    private readonly List<(string Row, ulong Time, long Diff)> _updates = [];
    private readonly long _before = SlabPool.BytesInUse;
    private readonly bool _inLoop;
    private int _next;

    public WindowRig(WindowSpec spec, int workers, bool inLoop = false, long fuelMax = long.MaxValue)
    {
        _spec = spec;
        _inLoop = inLoop;
        _rig = new Rig(workers, fuelMax);
        _inputs = new InputHandle<Time>[workers];
        _rig.Build((scope, worker) =>
        {
            (_inputs[worker], var rows) = scope.NewInput("input", spec.RowShape, 0);
            if (!inLoop)
            {
                See(rows.Window("window", spec.Plan), worker);
                return;
            }

            var loop = scope.NewLoop();
            var windows = loop.Enter(rows).Window("window", spec.Plan);
            See(new OkErr<Time>(loop.Leave(windows.Ok), loop.Leave(windows.Errors)), worker);
        });
    }

    public int UpdateCount => _updates.Count;

    public int BatchMax { get; private set; }

    /// <summary>What the operator keeps.</summary>
    public long StateBytes => _rig.Group.Workers.Sum(w => w.Statistics().Sum(d => d.Operators.Single(o => o.Name == "window").StateBytes));

    public int Steps { get; private set; }

    public void Send(ulong partition, ulong order, ulong value, ulong time, long diff)
    {
        _inputs[_next++ % _inputs.Length].Send(_spec.Encode(partition, order, value), time, diff);
        _sent.Add(((partition, order, value), time, diff));
    }

    public void CompleteTo(ulong time)
    {
        foreach (var input in _inputs)
            input.AdvanceTo(time);
        for (Steps = 0; _rig.Group.StepAll(); Steps++)
        {
            if (_inputs.Length == 1 && Steps < 20)
                CheckMemory();
            Assert.True(Steps < 1_000_000, "the workers never come to rest");
        }

        CheckMemory();
    }

    public void MustEqual(ulong time)
    {
        var bag = new Dictionary<(ulong, ulong, ulong), long>();
        foreach (var (row, _, diff) in _sent.Where(u => u.Time <= time))
        {
            bag[row] = bag.GetValueOrDefault(row) + diff;
            if (bag[row] == 0)
                bag.Remove(row);
        }

        var wanted = _spec.Evaluate(bag);
        if (_inLoop && wanted.ContainsKey("error"))
            wanted["error"] = 1;
        var shown = new Dictionary<string, long>();
        foreach (var (row, _, diff) in _updates.Where(u => u.Time <= time))
        {
            shown[row] = shown.GetValueOrDefault(row) + diff;
            if (shown[row] == 0)
                shown.Remove(row);
        }

        if (_inLoop && shown.ContainsKey("error"))
            shown["error"] = 1; // there, one for each row, however many copies
        var wrong = wanted.Keys.Union(shown.Keys).Where(r => wanted.GetValueOrDefault(r) != shown.GetValueOrDefault(r)).ToList();
        Assert.True(
            wrong.Count == 0,
            $"at {time}, {string.Join(", ", _spec.Functions.Select(f => f.ToString()))}; {string.Join(", ", _spec.Frames)}: {wrong.Count} rows differ: "
            + string.Join("; ", wrong.Take(20).Select(r => $"[{r}] expected {wanted.GetValueOrDefault(r)}, got {shown.GetValueOrDefault(r)}")));
    }

    public void Dispose()
    {
        foreach (var input in _inputs)
            input.Dispose();
        _rig.Dispose();
    }

    private void CheckMemory()
    {
        // To the byte: what operators say they keep is what was handed out.
        var counted = _rig.Group.Workers.Sum(w => w.ScratchSize.CapacityBytes + w.Statistics().Sum(d => d.Operators.Sum(o => o.StateBytes)));
        var actual = SlabPool.BytesInUse - _before;
        Assert.True(counted == actual, $"{counted} bytes are counted and {actual} in use");
    }

    private void See(OkErr<Time> windows, int worker)
    {
        windows.Ok.ForEach(
            "rows",
            batch =>
            {
                BatchMax = Math.Max(BatchMax, batch.Count);
                for (var i = 0; i < batch.Count; i++)
                {
                    var words = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, ulong>(batch[i]).ToArray();
                    Add((worker, false), string.Join(' ', words), batch.TimeAt(i).Value, batch.DiffAt(i));
                }
            },
            frontier => _frontiers[(worker, false)] = frontier);
        windows.Errors.ForEach("errors", batch =>
        {
            for (var i = 0; i < batch.Count; i++)
                Add((worker, true), System.Text.Encoding.ASCII.GetString(batch[i]), batch.TimeAt(i).Value, batch.DiffAt(i));
        }, frontier => _frontiers[(worker, true)] = frontier);
    }

    private void Add((int, bool) stream, string row, ulong time, long diff)
    {
        Assert.False(_frontiers.TryGetValue(stream, out var f) && f.HasPassed(time), "an update came behind the frontier");
        Assert.NotEqual(0, diff);
        _updates.Add((row, time, diff));
    }
}
