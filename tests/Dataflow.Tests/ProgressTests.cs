using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Tests;

/// <summary>What a worker knows of the others, and what it need not wait for. All orders of events are for the simulation; here is the one that matters for speed.</summary>
[Collection("memory is counted process-wide")]
public sealed class ProgressTests
{
    [Fact]
    public void A_worker_that_has_its_peers_rows_goes_on_before_they_have_taken_its_own()
    {
        using var rig = new Rig(2);
        var (handles, traces) = (new InputHandle<Time>[2], new TraceHandle<Time>[2]);
        var (arrangements, probes) = (new Arranged<Time>[2], new Probe<Time>[2]);
        rig.Build((scope, worker) =>
        {
            (handles[worker], var stream) = scope.NewInput("input", PairRows.Fixed.Shape, 0);
            arrangements[worker] = stream.Arrange("arranged", Kernels.Split(PairRows.Fixed, new Codec(8), new Codec(8)), new RowShape(8), new RowShape(8)).Arranged;
            traces[worker] = arrangements[worker].Trace();
            probes[worker] = arrangements[worker].AsStream("rows", Kernels.Pair(new Codec(8), new Codec(8), PairRows.Fixed), PairRows.Fixed.Shape).Ok.Probe();
        });
        rig.Run();
        for (var i = 0UL; i < 100; i++)
            handles[i % 2].Send(PairRows.Fixed.Encode(i, i), 0, 1);
        foreach (var handle in handles)
            handle.AdvanceTo(1);

        // Worker 1 sends worker 0 its rows and knows nothing of it; worker 0 then has all that can come to it, and worker 1 has taken nothing of worker 0's.
        rig.Group.Workers[1].StepWhileBusy();
        Assert.False(traces[1].Upper.HasPassed(0));
        rig.Group.Workers[0].StepWhileBusy();
        Assert.True(traces[0].Upper.HasPassed(0));
        Assert.False(arrangements[0].Frontier.HasPassed(0), "worker 1 has yet to take rows");
        Assert.False(probes[0].HasPassed(0), "worker 1 has yet to take rows");

        rig.Group.Workers[1].StepWhileBusy();
        Assert.True(traces[1].Upper.HasPassed(0));
        Assert.False(arrangements[0].Frontier.HasPassed(0), "worker 0 has not been told");
        rig.Run();
        foreach (var worker in (int[])[0, 1])
        {
            Assert.True(arrangements[worker].Frontier.HasPassed(0));
            Assert.True(probes[worker].HasPassed(0));
            handles[worker].Dispose();
            traces[worker].Dispose();
        }
    }

    [Fact]
    public void Lookups_in_a_trace_that_nobody_writes_merge_it_into_one_batch()
    {
        const int Rows = 50_000;
        using var rig = new Rig(1);
        InputHandle<Time> stored = null!, probing = null!;
        TraceHandle<Time> trace = null!;
        var pairs = 0L;
        rig.Build((scope, _) =>
        {
            (stored, var left) = scope.NewInput("stored", PairRows.Fixed.Shape, 0);
            (probing, var right) = scope.NewInput("probing", PairRows.Fixed.Shape, 0);
            var (codec, shape) = (new Codec(8), new RowShape(8));
            var l = left.Arrange("stored", Kernels.Split(PairRows.Fixed, codec, codec), shape, shape).Arranged;
            var r = right.Arrange("probing", Kernels.Split(PairRows.Fixed, codec, codec), shape, shape).Arranged;
            trace = l.Trace();
            l.Join("join", r, Kernels.Joined(codec, codec, codec, PairRows.Fixed), PairRows.Fixed.Shape).Ok.ForEach("pairs", batch => pairs += batch.Count);
        });
        var time = 0UL;
        for (; time < 3; time++)
        {
            for (var i = 0UL; i < Rows; i++)
                stored.Send(PairRows.Fixed.Encode(i, time), time, 1);
            Advance();
        }

        Assert.True(trace.Size.Batches > 1, "several batches to begin with, or this shows nothing");
        var lookups = 0L;
        for (; lookups < 4 * 3 * Rows && trace.Size.Batches > 1; lookups += 500, time++)
        {
            for (var i = 0UL; i < 500; i++)
                probing.Send(PairRows.Fixed.Encode(i, i), time, 1);
            Advance();
        }

        Assert.Equal(1, trace.Size.Batches);
        Assert.True(lookups > Rows / 4, $"a rewrite of {3 * Rows} rows for {lookups} lookups is too much");
        Assert.Equal(3 * lookups, pairs);
        stored.Dispose();
        probing.Dispose();
        trace.Dispose();

        void Advance()
        {
            stored.AdvanceTo(time + 1);
            probing.AdvanceTo(time + 1);
            rig.Run();
        }
    }
}
