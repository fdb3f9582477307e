using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Tests;

/// <summary>Traces shared between dataflows and with peeks: reads at a time, imports, compaction, memory.</summary>
[Collection("memory is counted process-wide")]
public sealed class TraceTests
{
    public static TheoryData<int, int> Cases() => OperatorTests.Cases();

    [Theory, MemberData(nameof(Cases))]
    public void Cursor_reads_the_arrangement_at_each_time_from_since(int shape, int workers)
    {
        var (key, value) = OperatorTests.Shapes[shape];
        using var arranged = new ArrangedRig(workers, key, value);
        var script = new Script(shape, 40, 12);
        for (var time = 0UL; time < 60; time += 2)
        {
            arranged.Send(script.Round(time, 30, 2));
            arranged.AdvanceTo(time + 2);
            if (time >= 20)
                arranged.AdvanceSince(time - 10);
            for (var t = time >= 20 ? time - 10 : 0; t < time + 2; t += 3)
            {
                var expected = Bag.At(script.Updates, t);
                expected.MustEqual(arranged.Scan(t), $"scan at {t} of {time}");
                expected.MustEqual(arranged.SeekAll(t, 41), $"seek at {t} of {time}");
            }
        }

        foreach (var trace in arranged.Traces)
            Assert.Throws<ArgumentException>(() => trace!.OpenCursor(0));
    }

    [Theory, InlineData(0), InlineData(3), InlineData(2)]
    public void Large_arrangements_with_hot_keys_survive_merging(int shape)
    {
        // Enough for several tiers, for windows that only walking can merge (a key with most of the rows), and for cancellation across batches.
        var (key, value) = OperatorTests.Shapes[shape];
        using var arranged = new ArrangedRig(1, key, value);
        var random = new Random(shape);
        var expected = new Bag();
        var present = new List<(ulong, ulong)>();
        for (var time = 0UL; time < 60; time++)
        {
            var updates = new List<(ulong, ulong, ulong, long)>();
            for (var i = 0; i < 7000; i++)
            {
                if (present.Count > 50_000 && random.Next(2) == 0)
                {
                    var at = random.Next(present.Count);
                    var row = present[at];
                    present[at] = present[^1];
                    present.RemoveAt(present.Count - 1);
                    updates.Add((row.Item1, row.Item2, time, -1));
                    expected.Add(row, -1, 0);
                }
                else
                {
                    var row = (random.Next(3) == 0 ? 7UL : (ulong)random.Next(100_000), (ulong)random.Next(shape == 2 ? 200 : 60_000));
                    present.Add(row);
                    updates.Add((row.Item1, row.Item2, time, 1));
                    expected.Add(row, 1, 0);
                }
            }

            arranged.Send(updates);
            arranged.AdvanceTo(time + 1);
            arranged.AdvanceSince(time);
        }

        expected.MustEqual(arranged.Scan(59), "all");
        var hot = new Bag(expected.Where(r => r.Key.A == 7).Select(r => (r.Key, r.Value)));
        hot.MustEqual(arranged.Seek(7, 59), "the hot key");
        Assert.True(arranged.Traces[0]!.Size.Batches <= 12, $"{arranged.Traces[0]!.Size.Batches} batches");
        Assert.True(arranged.Traces[0]!.Size.Rows < 2 * expected.Count + 40_000, $"{arranged.Traces[0]!.Size.Rows} updates for {expected.Count} rows");
    }

    [Theory, MemberData(nameof(Cases))]
    public void Imports_show_what_was_and_what_comes(int shape, int workers)
    {
        var (key, value) = OperatorTests.Shapes[shape];
        using var arranged = new ArrangedRig(workers, key, value);
        var script = new Script(shape + 5, 10, 12);
        arranged.Send(script.Round(0, 100, 6));
        arranged.AdvanceTo(6);
        arranged.AdvanceSince(3);

        // A later dataflow: self join, grouped, and a sum, all over the import at 4; its results are right from 4 on.
        var joined = new Captured();
        var top = new Captured();
        var asOf = 4UL;
        var graphs = new List<DataflowGraph>();
        foreach (var worker in arranged.Rig.Group.Workers)
        {
            graphs.Add(worker.BuildDataflow("importer", scope =>
            {
                var import = scope.Import("import", arranged.Traces[worker.Index]!, asOf);
                joined.Attach(import.Join("self", import, Kernels.Joined(key, value, value, PairRows.Fixed), PairRows.Fixed.Shape).Ok, PairRows.Fixed, worker.Index);
                top.Attach(import.ReduceGroups("count", Count(value), value.Shape, Kernels.Pair(key, value, PairRows.Fixed), PairRows.Fixed.Shape).Ok, PairRows.Fixed, worker.Index);
            }));
        }

        for (var time = 6UL; time < 40; time += 2)
        {
            arranged.Send(script.Round(time, 25, 2));
            arranged.AdvanceTo(time + 2);
            arranged.AdvanceSince(time - 2);
            for (var t = asOf; t < time + 2; t += 5)
            {
                var input = Bag.At(script.Updates, t);
                new Bag(from l in input from r in input where r.Key.A == l.Key.A select ((l.Key.A, (l.Key.B * 1000) + r.Key.B), l.Value * r.Value))
                    .MustEqual(joined.At(t), $"join at {t} of {time}");
                new Bag(input.GroupBy(r => r.Key.A).Select(g => ((g.Key, (ulong)g.Count()), 1L))).MustEqual(top.At(t), $"groups at {t} of {time}");
            }

            Assert.Equal(time + 2, joined.Frontier.Time.Value);
        }

        Assert.DoesNotContain(joined.Updates, u => u.Time < asOf);
        foreach (var graph in graphs)
            graph.Drop();

        // The arrangement goes on without its importer.
        arranged.Send(script.Round(40, 25));
        arranged.AdvanceTo(41);
        Bag.At(script.Updates, 40).MustEqual(arranged.Scan(40), "after the drop");
    }

    [Fact]
    public void An_import_before_since_is_refused()
    {
        using var arranged = new ArrangedRig(1, new Codec(8), new Codec(8));
        arranged.Send([(1, 1, 0, 1)]);
        arranged.AdvanceTo(10);
        arranged.AdvanceSince(5);
        Assert.Throws<ArgumentException>(() => arranged.Rig.Group.Workers[0].BuildDataflow("late", scope => scope.Import("import", arranged.Traces[0]!, 4)));
    }

    [Fact]
    public void Times_before_since_cancel()
    {
        using var arranged = new ArrangedRig(1, new Codec(8), new Codec(8));
        for (var time = 0UL; time < 40_000; time++)
        {
            arranged.Handles[0].Send(PairRows.Fixed.Encode(1, time), time, 1);
            if (time > 0)
                arranged.Handles[0].Send(PairRows.Fixed.Encode(1, time - 1), time, -1);
            arranged.Handles[0].AdvanceTo(time + 1);
            arranged.Rig.Group.StepAll();
            arranged.Rig.Group.StepAll();
            arranged.Traces[0]!.AdvanceSince(time);
        }

        arranged.Rig.Run();
        Assert.True(arranged.Traces[0]!.Size.Rows < 40_000, $"{arranged.Traces[0]!.Size.Rows} updates are kept of one row");
        new Bag([((1UL, 39_999UL), 1L)]).MustEqual(arranged.Scan(39_999), "the row");
    }

    [Fact]
    public void A_cursor_keeps_its_snapshot_while_the_trace_goes_on()
    {
        using var arranged = new ArrangedRig(1, new Codec(8), new Codec(8));
        var script = new Script(3, 5000, 5000);
        arranged.Send(script.Round(0, 60_000));
        arranged.AdvanceTo(1);
        var expected = Bag.At(script.Updates, 0);
        using var cursor = arranged.Traces[0]!.OpenCursor(0);
        var seen = new Bag();
        var rows = 0;
        var time = 1UL;
        while (cursor.NextRow())
        {
            seen.Add((new Codec(8).Decode(cursor.Key), new Codec(8).Decode(cursor.Value)), cursor.Diff, 0);
            if (++rows % 5000 == 0)
            {
                arranged.Send(script.Round(time, 20_000));
                arranged.AdvanceTo(++time);
                arranged.AdvanceSince(time - 1);
            }
        }

        expected.MustEqual(seen, "the snapshot");
    }

    [Fact]
    public void Dropping_everything_returns_all_memory()
    {
        var before = Core.Memory.SlabPool.BytesInUse;
        for (var i = 0; i < 3; i++)
        {
            foreach (var (key, value) in OperatorTests.Shapes)
            {
                using var arranged = new ArrangedRig(2, key, value);
                var script = new Script(i, 500, 500);
                for (var time = 0UL; time < 5; time++)
                {
                    arranged.Send(script.Round(time, 20_000));
                    arranged.AdvanceTo(time + 1);
                }

                arranged.Send(script.Round(7, 1000, 3));
                arranged.Rig.Group.StepAll();
            }
        }

        Assert.Equal(before, Core.Memory.SlabPool.BytesInUse);
    }

    [Fact]
    public void A_small_arrangement_costs_a_few_kilobytes()
    {
        const int count = 1000;
        using var rig = new Rig(1);
        var handles = new List<InputHandle<Time>>();
        var traces = new List<TraceHandle<Time>>();
        var before = Core.Memory.SlabPool.BytesInUse;
        rig.Build((scope, worker) =>
        {
            for (var i = 0; i < count; i++)
            {
                var (handle, stream) = scope.NewInput("input", PairRows.Fixed.Shape, 0);
                handles.Add(handle);
                traces.Add(stream.Arrange("small", Kernels.Split(PairRows.Fixed, new Codec(8), new Codec(8)), new RowShape(8), new RowShape(8)).Arranged.Trace());
            }
        });
        for (var time = 0UL; time < 10; time++)
        {
            foreach (var handle in handles)
            {
                handle.Send(PairRows.Fixed.Encode(time, time), time, 1);
                handle.AdvanceTo(time + 1);
            }

            rig.Run();
        }

        var each = (Core.Memory.SlabPool.BytesInUse - before) / count;
        Assert.True(each <= 4096, $"{each} bytes for an arrangement of 10 rows");
        foreach (var trace in traces)
            trace.Dispose();
        foreach (var handle in handles)
            handle.Dispose();
    }

    /// <summary>A lookup looks in each batch: small ones are merged beside a merge of large ones, which takes as long as many of them take to come.</summary>
    [Fact]
    public void Batches_stay_few_while_large_ones_are_merged()
    {
        const int rows = 20_000; // more, and it is no small delta
        using var group = new WorkerGroup(1, 0, 1, null, WorkerSettings.Default, startThreads: false);
        var trace = new Trace<Time>(group.Workers[0], new RowShape(8), new RowShape(8));
        var hold = trace.NewHold();
        var value = 0UL;
        Insert(20 * rows);
        var (most, sum) = (0, 0);
        for (var i = 0; i < 200; i++)
        {
            trace.NoteLookups(rows);
            Insert(rows);
            var snapshot = trace.TakeSnapshot();
            most = Math.Max(most, snapshot.Batches.Length);
            sum += snapshot.Batches.Length;
            Assert.Equal((20 + i + 1) * rows, snapshot.Rows);
            snapshot.Release();
        }

        Assert.True(most <= 25 && sum <= 2000, $"at most {most} batches, {sum / 200.0} in the mean");
        trace.Drop(hold);

        unsafe void Insert(int count)
        {
            using var writer = new BatchWriter<Time>(trace.KeyShape, trace.ValueShape, count, 0, 0);
            for (var i = 0; i < count; i++)
            {
                writer.Hashes[i] = (ulong)i * (ulong.MaxValue / (ulong)count);
                ((ulong*)writer.Values)[i] = value++;
                writer.Commit(0, 1);
            }

            var batch = writer.Finish()!;
            trace.Insert(batch);
            batch.Release();
        }
    }

    [Theory, InlineData(2), InlineData(3)]
    public void Threads_give_the_same_answers(int workers)
    {
        using var group = new WorkerGroup(workers);
        Exception? failure = null;
        group.Failed += (_, e) => failure = e;
        var handles = new InputHandle<Time>[workers];
        var output = new Captured();
        using var built = new CountdownEvent(workers);
        var (key, value) = (new Codec(8), new Codec(8));
        group.PostToAll(worker =>
        {
            worker.BuildDataflow("threads", scope =>
            {
                (handles[worker.Index], var stream) = scope.NewInput("input", PairRows.Fixed.Shape, 0);
                var arranged = stream.Arrange("a", Kernels.Split(PairRows.Fixed, key, value), key.Shape, value.Shape).Arranged;
                var distinct = arranged.Join("self", arranged, Kernels.Joined(key, value, value, PairRows.Fixed), PairRows.Fixed.Shape).Ok.Distinct();
                output.Attach(distinct, PairRows.Fixed, worker.Index);
            });
            built.Signal();
        });
        built.Wait(TestContext.Current.CancellationToken);
        var script = new Script(workers, 30, 20);
        for (var time = 0UL; time < 80; time++)
        {
            var round = script.Round(time, 40);
            for (var w = 0; w < workers; w++)
            {
                var mine = round.Where((_, i) => i % workers == w).ToList();
                var handle = handles[w];
                var next = time + 1;
                group.Workers[w].Post(_ =>
                {
                    foreach (var u in mine)
                        handle.Send(PairRows.Fixed.Encode(u.A, u.B), u.Time, u.Diff);
                    handle.AdvanceTo(next);
                });
            }
        }

        using var closed = new CountdownEvent(1);
        for (var w = 0; w < workers; w++)
        {
            var handle = handles[w];
            group.Workers[w].Post(_ => handle.Close());
        }

        var deadline = System.Diagnostics.Stopwatch.StartNew();
        while (!Finished() && failure is null)
        {
            Assert.True(deadline.Elapsed < TimeSpan.FromSeconds(30), "the output did not close within 30 s");
            Thread.Yield();
        }

        Assert.Null(failure);
        for (var t = 0UL; t < 80; t += 7)
        {
            var input = Bag.At(script.Updates, t);
            new Bag(new Bag(from l in input from r in input where r.Key.A == l.Key.A select ((l.Key.A, (l.Key.B * 1000) + r.Key.B), l.Value * r.Value))
                .Where(r => r.Value > 0).Select(r => (r.Key, 1L))).MustEqual(output.At(t), $"at {t}");
        }

        bool Finished()
        {
            lock (output.Updates)
                return output.Frontiers.Count == workers && output.Frontier.IsClosed;
        }
    }

    private static unsafe GroupKernel Count(Codec value) => (key, values, diffs, count, output, errors) => output.Append(value.Encode((ulong)count));

    private sealed class ArrangedRig : IDisposable
    {
        private readonly Codec _key;
        private readonly Codec _value;

        public ArrangedRig(int workers, Codec key, Codec value)
        {
            (_key, _value) = (key, value);
            Rig = new Rig(workers);
            Handles = new InputHandle<Time>[workers];
            Traces = new TraceHandle<Time>?[workers];
            Rig.Build((scope, worker) =>
            {
                (Handles[worker], var stream) = scope.NewInput("input", PairRows.Fixed.Shape, 0);
                Traces[worker] = stream.Arrange("arranged", Kernels.Split(PairRows.Fixed, key, value), key.Shape, value.Shape).Arranged.Trace();
            });
        }

        public Rig Rig { get; }

        public InputHandle<Time>[] Handles { get; }

        public TraceHandle<Time>?[] Traces { get; }

        public void Send(List<(ulong A, ulong B, ulong Time, long Diff)> updates) => OperatorTests.Send(updates, Handles, PairRows.Fixed);

        public void AdvanceTo(ulong time)
        {
            foreach (var handle in Handles)
                handle.AdvanceTo(time);
            Rig.Run();
            foreach (var trace in Traces)
                Assert.Equal(time, trace!.Upper.Time.Value);
        }

        public void AdvanceSince(ulong time)
        {
            foreach (var trace in Traces)
                trace!.AdvanceSince(time);
        }

        public Bag Scan(ulong time)
        {
            var bag = new Bag();
            foreach (var trace in Traces)
            {
                using var cursor = trace!.OpenCursor(time);
                while (cursor.NextRow())
                {
                    var row = (_key.Decode(cursor.Key), _value.Decode(cursor.Value));
                    Assert.False(bag.ContainsKey(row), $"{row} is scanned twice");
                    bag.Add(row, cursor.Diff, 0);
                }
            }

            return bag;
        }

        public Bag SeekAll(ulong time, ulong keys)
        {
            var bag = new Bag();
            for (var k = 0UL; k < keys; k++)
            {
                foreach (var (row, count) in Seek(k, time))
                    bag.Add(row, count, 0);
            }

            return bag;
        }

        public Bag Seek(ulong key, ulong time)
        {
            var bag = new Bag();
            foreach (var trace in Traces)
            {
                using var cursor = trace!.OpenCursor(time);
                cursor.Seek(_key.Encode(key));
                while (cursor.NextValue())
                    bag.Add((key, _value.Decode(cursor.Value)), cursor.Diff, 0);
            }

            return bag;
        }

        public void Dispose()
        {
            Rig.Dispose();
            foreach (var handle in Handles)
                handle.Dispose();
            foreach (var trace in Traces)
                trace!.Dispose();
        }
    }
}
