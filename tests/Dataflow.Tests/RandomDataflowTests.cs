using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Tests;

/// <summary>
/// Random dataflows over random histories, against an evaluator that knows only bags: equal at every time, for one worker and several, fixed and variable widths. A failure names its seed; SEEDS=n runs n seeds, FIRST_SEED=s begins at s.
/// </summary>
public sealed unsafe class RandomDataflowTests
{
    private const int SeedsUsually = 2000;

    [Fact]
    public void Random_dataflows_equal_their_definitions_at_every_time() => Seeds.Run(Seeds.First, Seeds.Count(SeedsUsually), Run);

    internal static void Run(long number)
    {
        var seed = (int)number;
        var random = new Random(seed);
        var rows = random.Next(3) == 0 ? PairRows.Text : PairRows.Fixed;
        var workers = random.Next(3) == 0 ? 2 : 1;
        var plan = new RandomPlan(random, rows);
        using var rig = new Rig(workers, fuelMax: random.Next(2) == 0 ? long.MaxValue : 1 << random.Next(6));
        var handles = new InputHandle<Time>[workers];
        var outputs = new Captured();
        var traces = new TraceHandle<Time>[workers];
        rig.Build((scope, worker) =>
        {
            (handles[worker], var stream) = scope.NewInput("input", rows.Shape, 0);
            var result = plan.Build(stream);
            output(result, worker);
        });
        void output(Stream<Time> result, int worker)
        {
            outputs.Attach(result, rows, worker);
            traces[worker] = result.Arrange("kept", Kernels.Split(rows, plan.Key, plan.Key), plan.Key.Shape, plan.Key.Shape).Arranged.Trace();
        }

        var script = new Script(seed, 1 + random.Next(12), 1 + random.Next(20));
        var time = 0UL;
        for (var round = 0; round < 6; round++)
        {
            var spread = 1 + random.Next(3);
            var updates = script.Round(time, random.Next(round == 0 ? 60 : 15), spread, deletes: random.Next(2) == 0 ? 0.45 : 0.6);
            for (var i = 0; i < updates.Count; i++)
                handles[i % workers].Send(rows.Encode(updates[i].A, updates[i].B), updates[i].Time, updates[i].Diff);
            if (random.Next(3) == 0)
                rig.Run();
            if (random.Next(4) == 0)
                continue; // the next round is at the same times
            time += (ulong)spread + (ulong)random.Next(2);
            foreach (var handle in handles)
                handle.AdvanceTo(time);
            rig.Run();
            Assert.True(outputs.Frontier.HasPassed(time - 1), $"time {time - 1} is complete");
            for (var t = time - (ulong)Math.Min((int)time, 4); t < time; t++)
            {
                var expected = plan.Evaluate(Bag.At(script.Updates, t));
                expected.MustEqual(outputs.At(t), $"{plan.Text} at {t}");
            }

            // What is kept is compacted behind the reader, and still right where it may read.
            var kept = new Bag();
            foreach (var trace in traces)
            {
                using var cursor = trace.OpenCursor(time - 1);
                while (cursor.NextRow())
                    kept.Add((plan.Key.Decode(cursor.Key), plan.Key.Decode(cursor.Value)), cursor.Diff, 0);
                trace.AdvanceSince(time - 1);
            }

            plan.Evaluate(Bag.At(script.Updates, time - 1)).MustEqual(kept, $"{plan.Text} kept at {time - 1}");
        }

        foreach (var trace in traces)
            trace.Dispose();
        foreach (var handle in handles)
            handle.Close();
        rig.Run();
        Assert.True(outputs.Frontier.IsClosed, "closing the input closes the output");
        plan.Evaluate(Bag.At(script.Updates, ulong.MaxValue)).MustEqual(outputs.At(ulong.MaxValue), $"{plan.Text} at the end");
    }
}
