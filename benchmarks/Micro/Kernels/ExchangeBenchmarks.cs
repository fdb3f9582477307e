using BenchmarkDotNet.Attributes;
using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Dataflow.Runtime;

namespace Materialize.Micro.Kernels;

/// <summary>
/// Rows of (8, 8) bytes from one worker to the owners of their keys, of 1 and of 4 workers, all stepped by one thread: partitioning, handing over,
/// progress and letting go; and the same rows made and counted without. Operation: a row.
/// </summary>
public class ExchangeBenchmarks : IDisposable
{
    private const int Rows = 64 * 1024;
    private WorkerGroup _group = null!;
    private Path _exchanged = null!;
    private Path _kept = null!;

    [Params(1, 4)]
    public int Workers { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _group = new WorkerGroup(Workers, startThreads: false);
        _exchanged = new Path(_group, exchanges: true);
        _kept = new Path(_group, exchanges: false);
    }

    [Benchmark(OperationsPerInvoke = Rows)]
    public long Exchange() => _exchanged.Send();

    [Benchmark(OperationsPerInvoke = Rows)]
    public long Without_exchange() => _kept.Send();

    [GlobalCleanup]
    public void Dispose()
    {
        _exchanged.Dispose();
        _kept.Dispose();
        _group.Dispose();
        GC.SuppressFinalize(this);
    }

    private sealed class Path : IDisposable
    {
        private readonly WorkerGroup _group;
        private readonly InputHandle<Time>[] _inputs;
        private long _received;
        private ulong _time;

        public Path(WorkerGroup group, bool exchanges)
        {
            _group = group;
            _inputs = [.. group.Workers.Select(worker =>
            {
                InputHandle<Time> input = null!;
                worker.BuildDataflow("exchange", scope =>
                {
                    (input, var rows) = scope.NewInput("input", new RowShape(16), 0);
                    (exchanges ? rows.Exchange(ColumnKernels.First, new RowShape(8)) : rows).ForEach("count", batch => _received += batch.Count);
                });
                return input;
            })];
        }

        public unsafe long Send()
        {
            var before = _received;
            var rng = new Rng(_time + 1);
            for (var i = 0; i < Rows; i++)
            {
                var row = (ulong*)_inputs[0].Rows.Reserve(16);
                row[0] = rng.Next();
                row[1] = (ulong)i;
                _inputs[0].Rows.Commit(16);
                _inputs[0].Commit(_time, 1);
            }

            _time++;
            foreach (var input in _inputs)
                input.AdvanceTo(_time);
            while (_group.StepAll())
            {
            }

            if (_received != before + Rows)
                throw new InvalidOperationException($"{_received - before} rows came of {Rows}");
            return _received;
        }

        public void Dispose()
        {
            foreach (var input in _inputs)
                input.Dispose();
        }
    }
}
