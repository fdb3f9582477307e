using Materialize.Core.Rows;
using Materialize.Dataflow;

namespace Materialize.Dataflow.Tests;

/// <summary>
/// Each operator against its definition: random inserts and retractions over many times, one worker and three, fixed and variable widths; at every time the output accumulated so far is what
/// the definition makes of the input accumulated so far.
/// </summary>
[Collection("memory is counted process-wide")]
public sealed class OperatorTests
{
    internal static readonly (Codec Key, Codec Value)[] Shapes =
    [
        (new(8), new(8)), (new(4), new(16)), (new(24), new(5)), (new(-1), new(-1)), (new(8), new(-1)), (new(-1), new(8)),
    ];

    public static TheoryData<int, int> Cases()
    {
        var data = new TheoryData<int, int>();
        for (var shape = 0; shape < Shapes.Length; shape++)
        {
            data.Add(shape, 1);
            data.Add(shape, 3);
        }

        return data;
    }

    public static TheoryData<bool, int> RowCases() => new() { { false, 1 }, { false, 3 }, { true, 1 }, { true, 3 } };

    [Theory, MemberData(nameof(RowCases))]
    public void Map_filters_maps_and_separates_errors(bool text, int workers)
    {
        var rows = text ? PairRows.Text : PairRows.Fixed;
        var errors = new Captured();
        Check(workers, rows, (stream, output, worker) =>
        {
            var (ok, err) = stream.Map("map", Kernels.Map(rows, rows, (a, b) => b % 2 == 0 ? (b, a) : null, (a, b) => b % 5 == 0), rows.Shape);
            errors.Attach(err, PairRows.Text, worker);
            output.Attach(ok, rows, worker);
        }, input => new Bag(input.Where(r => r.Key.B % 5 != 0 && r.Key.B % 2 == 0).Select(r => ((r.Key.B, r.Key.A), r.Value))),
        (input, time) => new Bag(input.Where(r => r.Key.B % 5 == 0).Select(r => (r.Key, r.Value))).MustEqual(errors.At(time), $"errors at {time}"));
    }

    [Theory, MemberData(nameof(RowCases))]
    public void Concat_and_negate_are_linear(bool text, int workers)
    {
        var rows = text ? PairRows.Text : PairRows.Fixed;
        Check(workers, rows, (stream, output, worker) =>
            output.Attach(stream.Concat(stream, stream.Negate(), stream.Negate(), stream.Negate()), rows, worker),
            input => new Bag(input.Select(r => (r.Key, -r.Value))));
    }

    [Theory, MemberData(nameof(RowCases))]
    public void Consolidate_emits_each_row_once_a_time(bool text, int workers)
    {
        var rows = text ? PairRows.Text : PairRows.Fixed;
        var output = new Captured();
        Check(workers, rows, (stream, captured, worker) =>
        {
            var consolidated = stream.Concat(stream, stream.Negate()).Consolidate();
            output.Attach(consolidated, rows, worker);
            captured.Attach(consolidated, rows, worker);
        }, input => new Bag(input.Select(r => (r.Key, r.Value))));
        Assert.All(output.Updates.GroupBy(u => (u.A, u.B, u.Time)), g => Assert.True(g.Count() == 1 && g.Single().Diff != 0));
    }

    [Theory, MemberData(nameof(RowCases))]
    public void Exchange_rebalance_gather_and_broadcast_move_rows_and_change_nothing_else(bool text, int workers)
    {
        var rows = text ? PairRows.Text : PairRows.Fixed;
        Check(workers, rows, (stream, output, worker) =>
            output.Attach(stream.Exchange(Kernels.Split(rows, new Codec(8), default), new RowShape(8)).Rebalance().Exchange().Gather(workers - 1).Rebalance().Broadcast(), rows, worker),
            input => new Bag(input.Select(r => (r.Key, r.Value * workers))));
    }

    [Fact]
    public void Rebalance_shares_out_what_comes_in_at_one_worker_however_its_batches_are_cut()
    {
        const int Workers = 3, Largest = 40;
        using var rig = new Rig(Workers);
        var handles = new InputHandle<Time>[Workers];
        var at = new long[Workers];
        rig.Build((scope, worker) =>
        {
            (handles[worker], var stream) = scope.NewInput("input", PairRows.Fixed.Shape, 0);
            stream.Rebalance().ForEach("count", batch => at[worker] += batch.Count);
        });
        var random = new Random(1);
        var sent = 0L;
        for (var batch = 0; batch < 200; batch++)
        {
            for (var i = random.Next(1, Largest + 1); i > 0; i--, sent++)
                handles[1].Send(PairRows.Fixed.Encode(1, 1), 0, 1);
            handles[1].Flush();
            rig.Run();
        }

        Assert.Equal(sent, at.Sum());
        Assert.True(at.Max() - at.Min() <= Largest, string.Join(", ", at));
        foreach (var handle in handles)
            handle.Dispose();
    }

    [Theory, MemberData(nameof(RowCases))]
    public void FlatMap_multiplies_and_continues_where_it_stopped(bool text, int workers)
    {
        var rows = text ? PairRows.Text : PairRows.Fixed;
        Check(workers, rows, (stream, output, worker) => output.Attach(
            stream.FlatMap("series", (row, to) =>
            {
                var (a, b) = rows.Decode(row);
                to.Rows.Append(rows.Encode(a, (ulong)to.Position));
                to.Diffs.Add(2);
                to.Position++;
                to.More = (ulong)to.Position < b % 4;
            }, rows.Shape).Ok, rows, worker),
            input => new Bag(input.SelectMany(r => Enumerable.Range(0, (int)Math.Max(1, r.Key.B % 4)).Select(i => ((r.Key.A, (ulong)i), 2 * r.Value)))));
    }

    [Fact]
    public void A_run_of_a_flat_map_is_bounded_by_bytes_too()
    {
        using var rig = new Rig(1);
        var (bytes, rows) = (0L, 0);
        InputHandle<Time> input = null!;
        rig.Build((scope, _) =>
        {
            (input, var stream) = scope.NewInput("input", new RowShape(8), 0);
            var row = new byte[1 << 20];
            stream.FlatMap("widen", (_, to) =>
            {
                to.Rows.Append(row);
                to.Position++;
                to.More = to.Position < 200;
            }, RowShape.Variable).Ok.ForEach("count", batch =>
            {
                rows += batch.Count;
                for (var i = 0; i < batch.Count; i++)
                    bytes += batch.RowLength(i);
            });
        });
        input.Rows.Append(new byte[8]);
        input.Commit(0, 1);
        input.Close();
        for (var (more, before) = (true, 0L); more; before = bytes)
        {
            more = rig.Group.StepAll();
            Assert.True(bytes - before <= 48 << 20, $"{bytes - before} bytes in one step");
        }

        Assert.Equal(200, rows);
    }

    [Theory, MemberData(nameof(Cases))]
    public void Arrange_then_as_stream_is_the_input(int shape, int workers)
    {
        var (key, value) = Shapes[shape];
        Check(workers, PairRows.Fixed, (stream, output, worker) =>
        {
            var arranged = stream.Arrange("arrange", Kernels.Split(PairRows.Fixed, key, value), key.Shape, value.Shape).Arranged;
            output.Attach(arranged.AsStream("rows", Kernels.Pair(key, value, PairRows.Fixed), PairRows.Fixed.Shape).Ok, PairRows.Fixed, worker);
        }, input => new Bag(input.Select(r => (r.Key, r.Value))));
    }

    [Theory, MemberData(nameof(Cases))]
    public void Join_pairs_all_values_of_equal_keys(int shape, int workers)
    {
        var (key, value) = Shapes[shape];
        Check(workers, PairRows.Fixed, (stream, output, worker) =>
        {
            // Left: (a, b); right: the rows with odd b, keyed the other way round.
            var odd = stream.Map("odd", Kernels.Map(PairRows.Fixed, PairRows.Text, (a, b) => b % 2 == 1 ? (b % 7, a) : null), PairRows.Text.Shape).Ok;
            var left = stream.Arrange("left", Kernels.Split(PairRows.Fixed, key, value), key.Shape, value.Shape).Arranged;
            var right = odd.Arrange("right", Kernels.Split(PairRows.Text, key, new Codec(16)), key.Shape, new RowShape(16)).Arranged;
            output.Attach(left.Join("join", right, Kernels.Joined(key, value, new Codec(16), PairRows.Fixed), PairRows.Fixed.Shape).Ok, PairRows.Fixed, worker);
        }, input => new Bag(
            from l in input
            from r in input
            where r.Key.B % 2 == 1 && r.Key.B % 7 == l.Key.A
            select ((l.Key.A, (l.Key.B * 1000) + r.Key.A), l.Value * r.Value)));
    }

    [Theory, MemberData(nameof(Cases))]
    public void Self_join_counts_each_pair_once(int shape, int workers)
    {
        var (key, value) = Shapes[shape];
        Check(workers, PairRows.Fixed, (stream, output, worker) =>
        {
            var arranged = stream.Arrange("both", Kernels.Split(PairRows.Fixed, key, value), key.Shape, value.Shape).Arranged;
            output.Attach(arranged.Join("join", arranged, Kernels.Joined(key, value, value, PairRows.Fixed), PairRows.Fixed.Shape).Ok, PairRows.Fixed, worker);
        }, input => new Bag(
            from l in input
            from r in input
            where r.Key.A == l.Key.A
            select ((l.Key.A, (l.Key.B * 1000) + r.Key.B), l.Value * r.Value)));
    }

    [Theory, MemberData(nameof(Cases))]
    public void Delta_join_of_half_joins_is_the_join(int shape, int workers)
    {
        var (key, value) = Shapes[shape];
        Check(workers, PairRows.Fixed, (stream, output, worker) =>
        {
            var other = stream.Map("other", Kernels.Map(PairRows.Fixed, PairRows.Fixed, (a, b) => b % 3 == 0 ? (a, b + 1) : null), PairRows.Fixed.Shape).Ok;
            var split = Kernels.Split(PairRows.Fixed, key, value);
            var left = stream.Arrange("left", split, key.Shape, value.Shape).Arranged;
            var right = other.Arrange("right", split, key.Shape, value.Shape).Arranged;
            var leftPath = stream.HalfJoin("left path", split, value.Shape, right, HalfJoinTimes.Inclusive, Kernels.Joined(key, value, value, PairRows.Fixed), PairRows.Fixed.Shape);
            var rightPath = other.HalfJoin("right path", split, value.Shape, left, HalfJoinTimes.Strict, Swapped(Kernels.Joined(key, value, value, PairRows.Fixed)), PairRows.Fixed.Shape);
            output.Attach(leftPath.Ok.Concat(rightPath.Ok), PairRows.Fixed, worker);
        }, input => new Bag(
            from l in input
            from r in input
            where r.Key.B % 3 == 0 && r.Key.A == l.Key.A
            select ((l.Key.A, (l.Key.B * 1000) + r.Key.B + 1), l.Value * r.Value)));
    }

    [Theory, MemberData(nameof(Cases))]
    public void Sum_by_key_and_groups_vanish_with_their_last_record(int shape, int workers)
    {
        var (key, value) = Shapes[shape];
        Check(workers, PairRows.Fixed, (stream, output, worker) => output.Attach(
            stream.ReduceAccumulable("sum", Kernels.Split(PairRows.Fixed, key, value), key.Shape, value.Shape, 16, Sum(value), FinishSum(key), PairRows.Fixed.Shape).Ok, PairRows.Fixed, worker),
            SumsOf);
    }

    [Theory, MemberData(nameof(Cases))]
    public void Rows_that_cannot_be_split_are_errors_and_the_others_are_not_held_up(int shape, int workers)
    {
        var (key, value) = Shapes[shape];
        var rows = PairRows.Fixed;
        var sums = new Captured();
        Captured[] errors = [new(), new(), new(), new()];
        Check(workers, rows, (stream, output, worker) =>
        {
            var split = Kernels.Split(rows, key, value, fails: Fails);
            var (arranged, ofArrange) = stream.Arrange("arrange", split, key.Shape, value.Shape);
            var (_, ofHalfJoin) = stream.HalfJoin("half join", split, value.Shape, arranged, HalfJoinTimes.Inclusive, Kernels.Joined(key, value, value, rows), rows.Shape);
            var (summed, ofSum) = stream.ReduceAccumulable("sum", split, key.Shape, value.Shape, 16, Sum(value), FinishSum(key), rows.Shape);
            var (_, ofTop) = stream.TopK("top", SplitSorted(rows, key, value, Fails), key.Shape, value.Shape, rows.Shape, limit: 1, offset: 0);
            foreach (var (captured, of) in errors.Zip([ofArrange, ofHalfJoin, ofSum, ofTop]))
                captured.Attach(of, PairRows.Text, worker);
            output.Attach(arranged.AsStream("rows", Kernels.Pair(key, value, rows), rows.Shape).Ok, rows, worker);
            sums.Attach(summed, rows, worker);
        }, Kept, (input, time) =>
        {
            foreach (var captured in errors)
                new Bag(input.Where(r => Fails(r.Key.A, r.Key.B)).Select(r => (r.Key, r.Value))).MustEqual(captured.At(time), $"errors at {time}");
            SumsOf(Kept(input)).MustEqual(sums.At(time), $"sums at {time}");
        });

        static bool Fails(ulong a, ulong b) => a == 1 || b % 5 == 0;

        static Bag Kept(Bag input) => new(input.Where(r => !Fails(r.Key.A, r.Key.B)).Select(r => (r.Key, r.Value)));
    }

    [Theory, MemberData(nameof(RowCases))]
    public void Distinct_and_threshold(bool text, int workers)
    {
        var rows = text ? PairRows.Text : PairRows.Fixed;
        var threshold = new Captured();
        Check(workers, rows, (stream, output, worker) =>
        {
            // Subtract some rows so that multiplicities below zero occur.
            var less = stream.Concat(stream.Map("three of b=1", Kernels.Map(rows, rows, (a, b) => b % 4 == 1 ? (a, b - 1) : null), rows.Shape).Ok.Negate());
            output.Attach(less.Distinct(), rows, worker);
            threshold.Attach(less.Threshold(), rows, worker);
        }, input => new Bag(Less(input).Where(r => r.Value > 0).Select(r => (r.Key, 1L))),
        (input, time) => new Bag(Less(input).Where(r => r.Value > 0).Select(r => (r.Key, r.Value))).MustEqual(threshold.At(time), $"threshold at {time}"));

        static Bag Less(Bag input) => new(input.Select(r => (r.Key, r.Value)).Concat(
            input.Where(r => r.Key.B % 4 == 1).Select(r => ((r.Key.A, r.Key.B - 1), -r.Value))));
    }

    [Theory, MemberData(nameof(Cases))]
    public void TopK_keeps_the_rows_between_offset_and_limit(int shape, int workers)
    {
        var (key, _) = Shapes[shape];
        var text = shape % 2 == 1;
        var rows = text ? PairRows.Text : PairRows.Fixed;
        var sort = text ? new Codec(-1) : new Codec(8);
        Check(workers, rows, (stream, output, worker) => output.Attach(
            stream.TopK("top", SplitSorted(rows, key, sort), key.Shape, sort.Shape, rows.Shape, limit: 3, offset: 1).Ok, rows, worker),
            input => new Bag(input.GroupBy(r => r.Key.A).SelectMany(g => g
                .Where(r => r.Value > 0).OrderBy(r => r.Key.B, Comparer<ulong>.Create((x, y) => sort.Encode(1000 - x).AsSpan().SequenceCompareTo(sort.Encode(1000 - y))))
                .SelectMany(r => Enumerable.Repeat(r.Key, (int)r.Value)).Skip(1).Take(3).Select(k => (k, 1L)))));
    }

    [Theory, MemberData(nameof(Cases))]
    public void Group_reduce_sees_whole_groups(int shape, int workers)
    {
        var (key, value) = Shapes[shape];
        Check(workers, PairRows.Fixed, (stream, output, worker) =>
        {
            var arranged = stream.Arrange("input", Kernels.Split(PairRows.Fixed, key, value), key.Shape, value.Shape).Arranged;
            output.Attach(arranged.ReduceGroups("distinct count and max", CountAndMax(value), value.Shape, Kernels.Pair(key, value, PairRows.Fixed), PairRows.Fixed.Shape).Ok, PairRows.Fixed, worker);
        }, input => new Bag(input.GroupBy(r => r.Key.A).SelectMany(g => new[]
        {
            ((g.Key, 5000UL + (ulong)g.Count()), 1L), ((g.Key, g.Max(r => r.Key.B)), 1L),
        })));
    }

    [Theory, InlineData(1), InlineData(3)]
    public void Temporal_filter_shows_rows_while_they_are_valid(int workers)
    {
        // A row (a, b) inserted at t is valid in [b, b + a + 1).
        var rows = PairRows.Fixed;
        using var rig = new Rig(workers);
        var handles = new InputHandle<Time>[workers];
        var output = new Captured();
        rig.Build((scope, worker) =>
        {
            (handles[worker], var stream) = scope.NewInput("input", rows.Shape, 0);
            output.Attach(stream.Map("temporal", Temporal(rows), rows.Shape, temporal: true).Ok, rows, worker);
        });
        var script = new Script(workers, 20, 90);
        for (var time = 0UL; time < 120; time += 3)
        {
            if (time < 60)
                Send(script.Round(time, 12, 2), handles, rows);
            foreach (var handle in handles)
                handle.AdvanceTo(time + 3);
            rig.Run();
            Assert.Equal(time + 3, output.Frontier.Time.Value);
            new Bag(Bag.At(script.Updates, time + 2).Where(r => r.Key.B <= time + 2 && time + 2 < r.Key.B + r.Key.A + 1).Select(r => (r.Key, r.Value)))
                .MustEqual(output.At(time + 2), $"at {time + 2}");
            Assert.DoesNotContain(output.Updates, u => u.Time > time + 3);
        }

        foreach (var handle in handles)
            handle.Close();
        rig.Run();
        Assert.True(output.Frontier.IsClosed);
        Assert.Empty(output.At(ulong.MaxValue));
    }

    [Fact]
    public void A_side_of_a_join_may_run_far_ahead()
    {
        // Compaction of one side follows the other's frontier: it must not show in the times of updates that come late.
        var (rows, key) = (PairRows.Fixed, new Codec(8));
        using var rig = new Rig(1);
        InputHandle<Time> left = null!, right = null!;
        var output = new Captured();
        rig.Build((scope, worker) =>
        {
            (left, var l) = scope.NewInput("left", rows.Shape, 0);
            (right, var r) = scope.NewInput("right", rows.Shape, 0);
            var split = Kernels.Split(rows, key, key);
            output.Attach(
                l.Arrange("l", split, key.Shape, key.Shape).Arranged.Join("join", r.Arrange("r", split, key.Shape, key.Shape).Arranged, Kernels.Joined(key, key, key, rows), rows.Shape).Ok,
                rows, worker);
        });
        var (ls, rs) = (new Script(1, 5, 9), new Script(2, 5, 9));
        for (var time = 0UL; time < 30; time++)
            Send(rs.Round(time, 10), [right], rows);
        right.AdvanceTo(30);
        rig.Run();
        for (var time = 0UL; time < 30; time++)
        {
            Send(ls.Round(time, 10), [left], rows);
            left.AdvanceTo(time + 1);
            rig.Run();
        }

        for (var t = 0UL; t < 30; t++)
        {
            new Bag(from l in Bag.At(ls.Updates, t) from r in Bag.At(rs.Updates, t) where l.Key.A == r.Key.A select ((l.Key.A, (l.Key.B * 1000) + r.Key.B), l.Value * r.Value))
                .MustEqual(output.At(t), $"at {t}");
        }
    }

    internal static void Send(List<(ulong A, ulong B, ulong Time, long Diff)> updates, InputHandle<Time>[] handles, PairRows rows)
    {
        for (var i = 0; i < updates.Count; i++)
        {
            var u = updates[i];
            handles[i % handles.Length].Send(rows.Encode(u.A, u.B), u.Time, u.Diff);
        }
    }

    private static void Check(
        int workers, PairRows rows, Action<Stream<Time>, Captured, int> build, Func<Bag, Bag> definition, Action<Bag, ulong>? also = null)
    {
        using var rig = new Rig(workers);
        var handles = new InputHandle<Time>[workers];
        var output = new Captured();
        rig.Build((scope, worker) =>
        {
            (handles[worker], var stream) = scope.NewInput("input", rows.Shape, 0);
            build(stream, output, worker);
        });
        var script = new Script(workers * 31, 12, 30);
        var time = 0UL;
        for (var round = 0; round < 25; round++)
        {
            // Rounds of one time, of several, and several rounds before the time advances; workers advance one after another.
            var spread = 1 + (round % 3);
            Send(script.Round(time, 1 + (round * 7 % 40), spread), handles, rows);
            if (round % 5 == 3)
                rig.Run();
            if (round % 4 == 2)
                continue;
            time += (ulong)spread + 1;
            foreach (var handle in handles)
            {
                handle.AdvanceTo(time);
                if (round % 2 == 0)
                    rig.Group.StepAll();
            }

            rig.Run();
            Assert.Equal(time, output.Frontier.Time.Value);
            for (var t = time < 6 ? 0 : time - 6; t < time; t++)
            {
                var input = Bag.At(script.Updates, t);
                definition(input).MustEqual(output.At(t), $"round {round}, time {t}");
                also?.Invoke(input, t);
            }
        }

        foreach (var handle in handles)
            handle.Close();
        rig.Run();
        Assert.True(output.Frontier.IsClosed, "closing the input closes the output");
        var final = Bag.At(script.Updates, ulong.MaxValue);
        definition(final).MustEqual(output.At(ulong.MaxValue), "at the end");
    }

    private static RowKernel Swapped(RowKernel kernel) => io =>
    {
        unsafe
        {
            var parts = io.Parts;
            io.Parts = [parts[0], parts[2], parts[1]];
            kernel(io);
            io.Parts = parts;
        }
    };

    private static Bag SumsOf(Bag input) => new(input.GroupBy(r => r.Key.A).Where(g => g.Sum(r => r.Value) != 0)
        .Select(g => ((g.Key, (ulong)g.Sum(r => (long)r.Key.B * r.Value)), 1L)));

    private static unsafe AccumulateKernel Sum(Codec value) => (keys, values, diffs, accumulators, count) =>
    {
        for (var i = 0; i < count; i++)
        {
            ((long*)accumulators[i])[0] += diffs[i];
            ((long*)accumulators[i])[1] += diffs[i] * (long)value.Decode(values[i]);
        }
    };

    private static RowKernel FinishSum(Codec key) => io =>
    {
        unsafe
        {
            for (var i = 0; i < io.Count; i++)
            {
                io.Outputs[0].Append(PairRows.Fixed.Encode(key.Decode(io.Parts[0][i]), ((ulong*)io.Parts[1][i])[1]));
                io.Selected[i] = i;
            }

            io.Emitted = io.Count;
        }
    };

    private static RowKernel SplitSorted(PairRows rows, Codec key, Codec sort, Func<ulong, ulong, bool>? fails = null) => io =>
    {
        unsafe
        {
            var split = Kernels.Split(rows, key, default, fails: fails);
            var outputs = io.Outputs;
            io.Outputs = [outputs[0]];
            split(io);
            io.Outputs = outputs;
            for (var j = 0; j < io.Emitted; j++)
            {
                var (a, b) = rows.Decode(io.Parts[0][io.Selected[j]]);
                outputs[1].Append(sort.Encode(1000 - b));
                outputs[2].Append(rows.Encode(a, b));
            }
        }
    };

    private static unsafe GroupKernel CountAndMax(Codec value) => (key, values, diffs, count, output, errors) =>
    {
        var max = 0UL;
        for (var i = 0; i < count; i++)
            max = Math.Max(max, value.Decode(values[i]));
        output.Append(value.Encode(max));
        output.Append(value.Encode(5000UL + (ulong)count));
    };

    private static RowKernel Temporal(PairRows rows) => io =>
    {
        unsafe
        {
            for (var i = 0; i < io.Count; i++)
            {
                var (a, b) = rows.Decode(io.Parts[0][i]);
                io.Outputs[0].Append(rows.Encode(a, b));
                io.Selected[i] = i;
                io.ValidFrom[i] = b;
                io.ValidUntil[i] = b + a + 1;
            }

            io.Emitted = io.Count;
        }
    };
}
