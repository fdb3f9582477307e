using Materialize.Core;
using Materialize.Dataflow.Runtime;

namespace Materialize.Compute.Workers;

/// <summary>The workers of this process, each on its thread.</summary>
internal sealed class WorkerThreads : IDisposable
{
    private readonly WorkerGroup _group;
    private readonly ComputeWorker[] _workers;
    private readonly int[] _indexes;
    private readonly Thread[] _threads;
    private readonly Action<Exception> _failed;
    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _broken = new();

    /// <summary>Starts the threads.</summary>
    /// <param name="group">Without threads of its own; owned.</param>
    /// <param name="pin">Whether each is to stay on a processor of its own.</param>
    /// <param name="failed">Told what ended a worker.</param>
    public WorkerThreads(WorkerGroup group, bool pin, TimeProvider time, Action<Exception> failed)
    {
        _group = group;
        _failed = failed;
        foreach (var worker in group.Workers)
            worker.OffloadsWork = true;
        _indexes = [.. group.Workers.Select(w => w.Index)];
        _workers = [.. group.Workers.Select((w, i) => new ComputeWorker(w, i, time))];
        _threads = [.. _workers.Select((w, i) => new Thread(() => Run(group.Workers[i], w, pin ? i : null)) { Name = $"compute {i}", IsBackground = true })];
        foreach (var thread in _threads)
            thread.Start();
    }

    public int Count => _workers.Length;

    /// <summary>The number of each among the workers of the replica.</summary>
    public ReadOnlySpan<int> Indexes => _indexes;

    /// <summary>Workers of the replica.</summary>
    public int Peers => _group.Workers[0].Peers;

    /// <summary>To every worker, in one order. One thread at a time.</summary>
    public void Post(Action<ComputeWorker> action)
    {
        for (var i = 0; i < _workers.Length; i++)
        {
            var worker = _workers[i];
            _group.Workers[i].Post(_ => action(worker));
        }
    }

    /// <summary>To one worker. One thread at a time, also with the other one.</summary>
    public void Post(int index, Action<ComputeWorker> action)
    {
        var worker = _workers[index];
        _group.Workers[index].Post(_ => action(worker));
    }

    /// <summary>Looks whether something has changed outside, at every worker.</summary>
    public void Wake() => Post(static _ =>
    {
    });

    /// <summary>Drops all dataflows, stops the threads and waits for them.</summary>
    public void Dispose()
    {
        Post(w => w.DropAll());
        var drained = new CountdownEvent(_workers.Length);
        Post(_ => drained.Signal());

        try
        {
            drained.Wait(TimeSpan.FromSeconds(10), _broken.Token);
        }
        catch (OperationCanceledException)
        {
            // A worker that has failed never gets there.
        }

        _stop.Cancel();
        Wake();
        foreach (var thread in _threads)
            thread.Join();
        _group.Dispose();
        _stop.Dispose();
        _broken.Dispose();
    }

    private void Run(Worker engine, ComputeWorker worker, int? processor)
    {
        if (processor is { } ordinal)
            ThreadAffinity.TryPin(ordinal);
        try
        {
            while (!_stop.IsCancellationRequested)
            {
                if (!worker.Step())
                    engine.Park(worker.ParkTime);
            }
        }
        catch (Exception e)
        {
            _broken.Cancel();
            _failed(e);
        }
    }
}
