using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Tests;

/// <summary>What operators say they keep is what the pool has handed out, to the byte; and counters count.</summary>
public sealed unsafe class AccountingTests
{
    [Fact]
    public void All_memory_is_accounted_for_in_random_dataflows_at_any_moment()
    {
        for (var seed = 0; seed < 150; seed++)
        {
            var random = new Random(seed);
            var rows = random.Next(3) == 0 ? PairRows.Text : PairRows.Fixed;
            var workers = random.Next(3) == 0 ? 2 : 1;
            var plan = new RandomPlan(random, rows);
            var before = SlabPool.BytesInUse;
            using var rig = new Rig(workers);
            var handles = new InputHandle<Time>[workers];
            var traces = new TraceHandle<Time>[workers];
            rig.Build((scope, worker) =>
            {
                (handles[worker], var stream) = scope.NewInput("input", rows.Shape, 0);
                traces[worker] = plan.Build(stream).Arrange("kept", Kernels.Split(rows, plan.Key, plan.Key), plan.Key.Shape, plan.Key.Shape).Arranged.Trace();
            });
            var script = new Script(seed, 40, 400);
            for (var round = 0UL; round < 4; round++)
            {
                var updates = script.Round(round * 2, random.Next(round == 0 ? 3000 : 300), 2);
                for (var i = 0; i < updates.Count; i++)
                    handles[i % workers].Send(rows.Encode(updates[i].A, updates[i].B), updates[i].Time, updates[i].Diff);
                Check(rig, before, $"{seed} {plan.Text}: sent");
                if (round % 2 == 1)
                {
                    foreach (var handle in handles)
                        handle.AdvanceTo((round * 2) + 2);
                    foreach (var trace in traces)
                        trace.AdvanceSince(round * 2);
                }

                for (var more = true; more;)
                {
                    more = rig.Group.StepAll();
                    // With several workers something may be on its way, which nobody has.
                    if (workers == 1 || !more)
                        Check(rig, before, $"{seed} {plan.Text}: step");
                }
            }

            foreach (var trace in traces)
                trace.Dispose();
            foreach (var handle in handles)
                handle.Close();
            rig.Run();
            Check(rig, before, $"{seed} {plan.Text}: end");
        }
    }

    [Theory, InlineData(1), InlineData(2)]
    public void Memory_of_bulk_loads_and_merges_under_way_is_accounted_for(int workers)
    {
        var before = SlabPool.BytesInUse;
        using var rig = new Rig(workers);
        var handles = new InputHandle<Time>[workers];
        var traces = new TraceHandle<Time>[workers];
        rig.Build((scope, worker) =>
        {
            (handles[worker], var stream) = scope.NewInput("input", new RowShape(16), 0);
            var arranged = stream.Arrange("kept", Kernels.Split(PairRows.Fixed, new Codec(8), new Codec(8)), new RowShape(8), new RowShape(8)).Arranged;
            traces[worker] = arranged.Trace();
            arranged.Join("self", arranged, Kernels.Joined(new Codec(8), new Codec(8), new Codec(8), PairRows.Fixed), new RowShape(16)).Ok.Probe();
        });
        var random = new Random(7);
        var merging = false;
        for (var time = 0UL; time < 20; time++)
        {
            for (var i = 0; i < (time == 0 ? 400_000 : 30_000); i++)
                handles[i % workers].Send(PairRows.Fixed.Encode((ulong)random.NextInt64(), (ulong)i), time, 1);
            foreach (var handle in handles)
                handle.AdvanceTo(time + 1);
            for (var more = true; more;)
            {
                more = rig.Group.StepAll();
                if (workers == 1 || !more)
                    Check(rig, before, $"time {time}");
                var size = rig.Graphs[0].Statistics().Single(o => o.Arrangement is not null).Arrangement!.Value;
                merging |= size.UsedBytes > 0 && size.CapacityBytes > 30 * size.Rows;
            }
        }

        var kept = rig.Graphs.Select(g => g.Statistics().Single(o => o.Arrangement is not null)).ToArray();
        Assert.Equal(400_000 + (19 * 30_000), kept.Sum(k => k.Arrangement!.Value.Rows));
        Assert.All(kept, k => Assert.InRange(k.Arrangement!.Value.UsedBytes, 17 * k.Arrangement.Value.Rows, k.Arrangement.Value.CapacityBytes));
        Assert.All(kept, k => Assert.Equal(3, k.ArrangementHolds)); // the handle, and the join twice
        Assert.True(merging, "some merge was seen under way");
        foreach (var trace in traces)
            trace.Dispose();
    }

    [Fact]
    public void Channels_count_what_each_worker_sent_to_and_got_from_each()
    {
        using var rig = new Rig(2);
        var handles = new InputHandle<Time>[2];
        rig.Build((scope, worker) =>
        {
            (handles[worker], var stream) = scope.NewInput("input", new RowShape(16), 0);
            stream.Distinct().Probe();
        });
        for (var i = 0UL; i < 1000; i++)
            handles[0].Send(PairRows.Fixed.Encode(i, i), 0, 1);
        foreach (var handle in handles)
            handle.Close();
        rig.Run();
        var (first, second) = (rig.Graphs[0], rig.Graphs[1]);
        Assert.Equal(first.Channels, second.Channels);
        var keyed = first.Channels.Single(c => first.Statistics()[c.ToOperator].Name == "distinct" || first.Statistics()[c.FromOperator].Name.EndsWith(": split", StringComparison.Ordinal)).Index;
        Assert.Equal(1000, first.Sent(keyed)[0].Rows + first.Sent(keyed)[1].Rows);
        Assert.InRange(first.Sent(keyed)[1].Rows, 300, 700);
        Assert.Equal(first.Sent(keyed)[1].Rows, second.Received(keyed)[0].Rows);
        Assert.Equal(first.Sent(keyed)[1].Batches, second.Received(keyed)[0].Batches);
        Assert.Equal(0, second.Sent(keyed)[0].Rows);
        var last = first.Channels[^1].Index;
        Assert.Equal(1000, first.Sent(last)[0].Rows + second.Sent(last)[1].Rows);
    }

    [Fact]
    public void Runs_are_timed_while_accounting_is_on_and_ids_are_equal_at_all_workers()
    {
        using var rig = new Rig(2);
        var handles = new InputHandle<Time>[2];
        rig.Build((scope, worker) =>
        {
            scope.Worker.Accounting = true;
            (handles[worker], var stream) = scope.NewInput("input", new RowShape(16), 0);
            stream.Distinct().Probe();
        });
        rig.Build((scope, _) => scope.NewInput("other", new RowShape(8), 0).Handle.Close());
        foreach (var handle in handles)
            handle.Close();
        rig.Run();
        Assert.Equal(rig.Graphs[0].UniqueId, rig.Graphs[1].UniqueId);
        Assert.Equal(rig.Graphs[2].UniqueId, rig.Graphs[0].ChannelId(rig.Graphs[0].Channels.Count - 1) + 1);
        foreach (var op in rig.Graphs[0].Statistics())
        {
            long runs = 0;
            foreach (var count in rig.Graphs[0].RunTimes(op.Index))
                runs += count;
            Assert.Equal(op.Runs, runs);
            Assert.True(op.ElapsedTicks > 0);
            Assert.Null(rig.Graphs[0].FrontierOf(op.Index));
        }
    }

    private static void Check(Rig rig, long before, string what)
    {
        var counted = 0L;
        foreach (var worker in rig.Group.Workers)
        {
            counted += worker.ScratchSize.CapacityBytes;
            foreach (var dataflow in worker.Statistics())
                counted += dataflow.Operators.Sum(o => o.StateBytes);
        }

        var actual = SlabPool.BytesInUse - before;
        Assert.True(counted == actual, $"{what}: {counted} bytes are counted and {actual} in use");
    }
}
