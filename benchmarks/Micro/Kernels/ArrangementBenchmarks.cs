using BenchmarkDotNet.Attributes;
using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Micro.Kernels;

/// <summary>A thousand arrangements of ten rows each, built and dropped. Operation: an arrangement. (What they keep: the workload small-arrangements.)</summary>
public unsafe class ArrangementBenchmarks
{
    private const int Arrangements = 1000;

    [Benchmark(OperationsPerInvoke = Arrangements)]
    public long Small_arrangements()
    {
        using var group = new WorkerGroup(1, startThreads: false);
        var before = SlabPool.BytesInUse;
        InputHandle<Time> input = null!;
        var traces = new List<TraceHandle<Time>>();
        Probe<Time> probe = null!;
        group.Workers[0].BuildDataflow("small", scope =>
        {
            (input, var rows) = scope.NewInput("input", new RowShape(16), 0);
            for (var i = 0; i < Arrangements; i++)
                traces.Add(rows.Arrange("small", ColumnKernels.Split(1, 1), new RowShape(8), new RowShape(8)).Arranged.Trace());
            probe = rows.Probe();
        });
        for (var i = 0UL; i < 10; i++)
        {
            var row = (ulong*)input.Rows.Reserve(16);
            (row[0], row[1]) = (i, i);
            input.Rows.Commit(16);
            input.Commit(0, 1);
        }

        input.AdvanceTo(1);
        while (!probe.HasPassed(0) || group.Workers[0].Step())
            group.Workers[0].Step();
        var bytes = SlabPool.BytesInUse - before;
        if (traces.Any(t => t.Size.Rows != 10))
            throw new InvalidOperationException("an arrangement has not its ten rows");
        foreach (var trace in traces)
            trace.Dispose();
        input.Dispose();
        return bytes;
    }
}
