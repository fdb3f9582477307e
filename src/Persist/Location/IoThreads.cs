using System.Collections.Concurrent;

namespace Materialize.Persist.Location;

/// <summary>
/// A few dedicated threads for calls that block (fsync, SQLite), so that they hold up neither the thread pool nor the caller. Work runs in
/// order of arrival when there is one thread.
/// </summary>
internal sealed class IoThreads : IDisposable
{
    private readonly BlockingCollection<Action> _work = [];
    private readonly Thread[] _threads;

    public IoThreads(string name, int count)
    {
        _threads = new Thread[count];
        for (var i = 0; i < count; i++)
        {
            _threads[i] = new Thread(Run) { Name = $"{name}-{i}", IsBackground = true };
            _threads[i].Start();
        }
    }

    /// <summary>Runs <paramref name="call"/> on a thread of ours. Cancelling takes it out of the queue; a call that has begun runs to its end.</summary>
    public Task<T> RunAsync<T>(Func<T> call, CancellationToken cancel)
    {
        if (cancel.IsCancellationRequested)
            return Task.FromCanceled<T>(cancel);
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        _work.Add(() =>
        {
            if (cancel.IsCancellationRequested)
            {
                done.SetCanceled(cancel);
                return;
            }

            try
            {
                done.SetResult(call());
            }
            catch (Exception e)
            {
                done.SetException(e);   // to the caller, whose it is
            }
        }, CancellationToken.None);
        return done.Task;
    }

    public void Dispose()
    {
        _work.CompleteAdding();
        foreach (var thread in _threads)
            thread.Join();
        _work.Dispose();
    }

    private void Run()
    {
        foreach (var work in _work.GetConsumingEnumerable())
            work();
    }
}
