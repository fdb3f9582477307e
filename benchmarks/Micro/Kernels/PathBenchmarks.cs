using BenchmarkDotNet.Attributes;
using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Micro.Kernels;

/// <summary>One update, from the input until the probe behind five operators has passed its time: map, join, sum, arrange, sink. Operation: an update.</summary>
public unsafe class PathBenchmarks : IDisposable
{
    private readonly WorkerGroup _group = new(1, startThreads: false);
    private InputHandle<Time> _left = null!;
    private InputHandle<Time> _right = null!;
    private Probe<Time> _probe = null!;
    private TraceHandle<Time> _output = null!;
    private ulong _time = 1;

    [GlobalSetup]
    public void Setup()
    {
        var key = new RowShape(8);
        _group.Workers[0].BuildDataflow("path", scope =>
        {
            (_left, var left) = scope.NewInput("left", new RowShape(16), 0);
            (_right, var right) = scope.NewInput("right", new RowShape(16), 0);
            var mapped = left.Map("map", Copy, new RowShape(16)).Ok;
            var joined = mapped.Arrange("left", ColumnKernels.Split(1, 1), key, key).Arranged
                .Join("join", right.Arrange("right", ColumnKernels.Split(1, 1), key, key).Arranged, Pair, new RowShape(16)).Ok;
            var sums = joined.ReduceAccumulable("sum", ColumnKernels.Split(1, 1), key, key, 16, ColumnKernels.CountAndSum, Finish, new RowShape(16)).Ok;
            var arranged = sums.Arrange("output", ColumnKernels.Split(1, 1), key, key).Arranged;
            _output = arranged.Trace();
            _probe = arranged.AsStream("nothing", io => io.Emitted = 0, key).Ok.Probe();
        });
        for (var i = 0UL; i < 10_000; i++)
        {
            Send(_right, 0, i, i);
            Send(_left, 0, i, 1);
        }

        Complete();
    }

    [Benchmark]
    public void One_update_through_five_operators()
    {
        Send(_left, _time, _time % 10_000, _time);
        Complete();
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _left.Dispose();
        _right.Dispose();
        _output.Dispose();
        _group.Dispose();
        GC.SuppressFinalize(this);
    }

    private void Complete()
    {
        var time = _time++;
        _left.AdvanceTo(time + 1);
        _right.AdvanceTo(time + 1);
        while (!_probe.HasPassed(time))
            _group.Workers[0].Step();
        _output.AdvanceSince(time);
    }

    private static void Send(InputHandle<Time> input, ulong time, ulong a, ulong b)
    {
        var row = (ulong*)input.Rows.Reserve(16);
        (row[0], row[1]) = (a, b);
        input.Rows.Commit(16);
        input.Commit(time, 1);
    }

    private static void Copy(KernelIo io) => Rows(io, static (io, i) => ((ulong*)io.Parts[0][i])[0], static (io, i) => ((ulong*)io.Parts[0][i])[1]);

    private static void Pair(KernelIo io) => Rows(io, static (io, i) => *(ulong*)io.Parts[2][i] % 100, static (io, i) => *(ulong*)io.Parts[1][i]);

    private static void Finish(KernelIo io) => Rows(io, static (io, i) => *(ulong*)io.Parts[0][i], static (io, i) => ((ulong*)io.Parts[1][i])[1]);

    private static void Rows(KernelIo io, Func<KernelIo, int, ulong> first, Func<KernelIo, int, ulong> second)
    {
        var rows = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            *rows++ = first(io, i);
            *rows++ = second(io, i);
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }
}
