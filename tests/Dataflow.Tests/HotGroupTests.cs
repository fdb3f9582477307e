using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Tests;

/// <summary>A reduction that collects a large group leaves the worker to others, and is right.</summary>
public sealed unsafe class HotGroupTests
{
    private const int HotRows = 60_000;

    [Fact]
    public void Other_dataflows_go_on_while_a_large_group_is_collected()
    {
        using var group = new WorkerGroup(1);
        Exception? failure = null;
        using var begun = new ManualResetEventSlim();
        using var goOn = new ManualResetEventSlim();
        using var done = new ManualResetEventSlim();
        using var otherDone = new ManualResetEventSlim();
        group.Failed += (_, e) =>
        {
            failure = e;
            begun.Set();
            otherDone.Set();
            done.Set();
        };
        var output = new Captured();
        InputHandle<Time> hot = null!;
        InputHandle<Time> other = null!;
        group.Workers[0].Post(worker =>
        {
            worker.BuildDataflow("hot", scope =>
            {
                (hot, var stream) = scope.NewInput("input", new RowShape(16), 0);
                var counts = Counts(stream, () =>
                {
                    begun.Set();
                    goOn.Wait();
                });
                output.Attach(counts, PairRows.Fixed, 0);
                counts.ForEach("done", null, frontier => { if (frontier.HasPassed(new Time(2))) done.Set(); });
            });
            worker.BuildDataflow("other", scope =>
            {
                (other, var stream) = scope.NewInput("input", new RowShape(16), 0);
                stream.Distinct().ForEach("done", null, frontier => { if (frontier.HasPassed(new Time(5))) otherDone.Set(); });
            });
            for (var i = 0UL; i < HotRows; i++)
                hot.Send(PairRows.Fixed.Encode(7, i), 0, 1);
            hot.Send(PairRows.Fixed.Encode(8, 1), 0, 1);
            hot.AdvanceTo(1);
            hot.Send(PairRows.Fixed.Encode(7, HotRows), 1, 1);
            hot.Send(PairRows.Fixed.Encode(8, 1), 2, -1);
            hot.Send(PairRows.Fixed.Encode(7, 0), 2, -1);
            hot.AdvanceTo(3);
        });

        // The collecting waits for us, and the worker does not: it would never get to what is posted here.
        begun.Wait();
        group.Workers[0].Post(_ =>
        {
            other.Send(PairRows.Fixed.Encode(1, 1), 5, 1);
            other.AdvanceTo(6);
        });
        otherDone.Wait();
        Assert.Null(failure);
        Assert.False(done.IsSet);
        goOn.Set();
        done.Wait();
        Assert.Null(failure);
        lock (output.Updates)
        {
            new Bag([((7, HotRows), 1), ((8, 1), 1)]).MustEqual(output.At(0), "time 0");
            new Bag([((7, HotRows + 1), 1), ((8, 1), 1)]).MustEqual(output.At(1), "time 1");
            new Bag([((7, HotRows), 1)]).MustEqual(output.At(2), "time 2");
        }
    }

    [Fact]
    public void A_dataflow_may_be_dropped_while_a_large_group_is_collected()
    {
        using var group = new WorkerGroup(1);
        using var begun = new ManualResetEventSlim();
        using var goOn = new ManualResetEventSlim();
        using var dropped = new ManualResetEventSlim();
        InputHandle<Time> input = null!;
        DataflowGraph graph = null!;
        group.Workers[0].Post(worker =>
        {
            graph = worker.BuildDataflow("hot", scope =>
            {
                (input, var stream) = scope.NewInput("input", new RowShape(16), 0);
                Counts(stream, () =>
                {
                    begun.Set();
                    goOn.Wait();
                }).Probe();
            });
            for (var i = 0UL; i < HotRows; i++)
                input.Send(PairRows.Fixed.Encode(7, i), 0, 1);
            input.Close();
        });
        begun.Wait();
        group.Workers[0].Post(_ =>
        {
            goOn.Set();
            graph.Drop();
            dropped.Set();
        });
        dropped.Wait();
    }

    // How many rows each first number has.
    private static Stream<Time> Counts(Stream<Time> stream, Action onLarge)
    {
        var codec = new Codec(8);
        return stream.Arrange("groups", Kernels.Split(PairRows.Fixed, codec, codec), new RowShape(8), new RowShape(8)).Arranged.ReduceGroups(
            "groups",
            (_, _, diffs, count, rows, _) =>
            {
                if (count > 1000)
                    onLarge();
                var sum = 0L;
                for (var i = 0; i < count; i++)
                    sum += diffs[i];
                if (sum > 0)
                    rows.Append(codec.Encode((ulong)sum));
            },
            new RowShape(8),
            Kernels.Pair(codec, codec, PairRows.Fixed),
            new RowShape(16)).Ok;
    }
}
