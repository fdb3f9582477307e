using System.Threading.Channels;

namespace Materialize.Adapter;

/// <summary>
/// Runs everything that changes the catalog, one thing after another: its tasks see a catalog that nobody else changes. Reads and
/// writes of rows do not come here.
/// </summary>
internal sealed class Coordinator : IAsyncDisposable
{
    private readonly Channel<Func<Task>> _inbox = Channel.CreateUnbounded<Func<Task>>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Task _loop;

    public Coordinator()
    {
        _loop = RunAsync();
    }

    /// <summary>Runs <paramref name="work"/> when its turn comes; its result or failure is the caller's.</summary>
    public async Task<T> RunAsync<T>(Func<Task<T>> work, CancellationToken cancel)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        var accepted = _inbox.Writer.TryWrite(async () =>
        {
            // A caller that has gone before its turn wants nothing any more; once begun, work is finished.
            if (cancel.IsCancellationRequested)
            {
                done.TrySetCanceled(cancel);
                return;
            }

            try
            {
                done.TrySetResult(await work());
            }
            catch (Exception e)
            {
                done.TrySetException(e);
            }
        });
        if (!accepted)
            throw new AdapterException(new ErrorReport("FATAL", "57P01", "the server is shutting down"));
        return await done.Task;
    }

    public async ValueTask DisposeAsync()
    {
        _inbox.Writer.TryComplete();
        await _loop;
    }

    private async Task RunAsync()
    {
        while (await _inbox.Reader.WaitToReadAsync(CancellationToken.None))
        {
            while (_inbox.Reader.TryRead(out var work))
                await work();
        }
    }
}
