namespace Materialize.Dataflow.Runtime;

/// <summary>The workers of one process.</summary>
/// <remarks>
/// With <c>startThreads</c> each worker has its thread from the start; without, the owner steps them (<see cref="StepAll"/>), which makes a run
/// deterministic. An exception in a worker is a broken invariant: it ends the process unless <see cref="Failed"/> is handled.
/// </remarks>
public sealed class WorkerGroup : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Thread> _threads = [];
    private readonly Worker[] _workers;

    /// <param name="workers">Workers of this process, at least one.</param>
    public WorkerGroup(int workers, bool startThreads = true)
        : this(workers, 0, workers, null, WorkerSettings.Default, startThreads)
    {
    }

    internal WorkerGroup(int workers, int firstIndex, int peers, IWorkerLinks? links, WorkerSettings settings, bool startThreads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(workers, 1);
        _workers = new Worker[workers];
        links ??= new LocalLinks(_workers);
        for (var i = 0; i < workers; i++)
            _workers[i] = new Worker(links, firstIndex + i, peers, settings);
        if (startThreads)
            Start();
    }

    /// <summary>Called on a worker's thread with what ended it. Without a handler the exception goes unhandled and the process ends.</summary>
    public event Action<Worker, Exception>? Failed;

    public IReadOnlyList<Worker> Workers => _workers;

    /// <summary>Starts a thread for each worker; once.</summary>
    public void Start()
    {
        foreach (var worker in _workers)
        {
            worker.OffloadsWork = true;
            var thread = new Thread(() => RunWorker(worker)) { Name = $"worker {worker.Index}", IsBackground = true };
            _threads.Add(thread);
            thread.Start();
        }
    }

    /// <summary>Posts to every worker of this process. Callers that build dataflows must post from one thread, so that all see one order.</summary>
    public void PostToAll(Action<Worker> action)
    {
        foreach (var worker in _workers)
            worker.Post(action);
    }

    /// <summary>One step of each worker on the calling thread; for groups without threads. Whether any did something.</summary>
    public bool StepAll()
    {
        var any = false;
        foreach (var worker in _workers)
            any |= worker.Step();
        return any;
    }

    /// <summary>Stops the threads, waits for them, and drops what dataflows are left. Traces that handles still hold keep their memory.</summary>
    public void Dispose()
    {
        if (_stop.IsCancellationRequested)
            return;
        _stop.Cancel();
        foreach (var worker in _workers)
            worker.Post(static _ => { });
        foreach (var thread in _threads)
            thread.Join();
        foreach (var worker in _workers)
            worker.DropAll();
        foreach (var worker in _workers)
            worker.Scratch.Dispose();
        _stop.Dispose();
    }

    private void RunWorker(Worker worker)
    {
        try
        {
            worker.Run(_stop.Token);
        }
        catch (Exception e) when (Failed is { } failed)
        {
            failed(worker, e);
        }
    }

    private sealed class LocalLinks(Worker[] workers) : IWorkerLinks
    {
        public void BroadcastProgress(int from, int dataflow, (int Place, Stamp Stamp, long Count)[] changes)
        {
            var item = new InboxItem.Progress(from, dataflow, changes);
            for (var i = 0; i < workers.Length; i++)
            {
                if (i != from)
                    workers[i].Deliver(item);
            }
        }

        public void SendData(int from, int to, int dataflow, int place, Message message)
        {
            workers[from].UseCredit(message.Bytes);
            workers[to].Deliver(new InboxItem.Data(dataflow, place, message, workers[from]));
        }

        public void ReturnRemoteCredit(int worker, long bytes) => throw new System.Diagnostics.UnreachableException();
    }
}
