using Microsoft.Extensions.Logging;

namespace Materialize.Controller;

/// <summary>
/// Keeps the processes of one replica connected: connects to all with back-off, hands the new links to their owner (which sends the
/// history), passes on responses, and starts over with all of them when one breaks: processes of a replica live and die together.
/// </summary>
/// <param name="received">
/// Called with the number of the process; those of different processes at the same time. What it returns is what follows from the response and may take
/// long; it is run while responses are read on, in no order.
/// </param>
internal sealed partial class LinkLoop<TCommand, TResponse>(
    string name,
    IReadOnlyList<IControlConnector<TCommand, TResponse>> processes,
    Action<IReadOnlyList<IControlLink<TCommand, TResponse>>> connected,
    Func<int, TResponse, IThreadPoolWorkItem?> received,
    Action disconnected,
    TimeProvider time,
    ILogger logger)
{
    private static readonly TimeSpan FirstBackOff = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan LongestBackOff = TimeSpan.FromSeconds(1);

    public async Task RunAsync(CancellationToken cancel)
    {
        var backOff = FirstBackOff;
        while (!cancel.IsCancellationRequested)
        {
            var links = new List<IControlLink<TCommand, TResponse>>();
            try
            {
                foreach (var process in processes)
                    links.Add(await process.ConnectAsync(cancel));
                backOff = FirstBackOff;
                LogConnected(name);
                connected(links);
                try
                {
                    await ReceiveAsync(links, cancel);
                }
                finally
                {
                    disconnected();
                }
            }
            catch (OperationCanceledException) when (cancel.IsCancellationRequested)
            {
                return;
            }
            catch (IOException e)
            {
                LogLost(name, e.Message);
            }
            finally
            {
                foreach (var link in links)
                    await link.DisposeAsync();
            }

            try
            {
                await Task.Delay(backOff, time, cancel);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            backOff = TimeSpan.FromTicks(Math.Min(backOff.Ticks * 2, LongestBackOff.Ticks));
        }
    }

    /// <summary>Until one of the links fails, which is how it ends.</summary>
    private async Task ReceiveAsync(List<IControlLink<TCommand, TResponse>> links, CancellationToken cancel)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var loops = links.Select((link, process) => ReceiveAsync(link, process, stop.Token)).ToList();
        var first = await Task.WhenAny(loops);
        await stop.CancelAsync();
        await ((Task)Task.WhenAll(loops)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await first;
    }

    private Task ReceiveAsync(IControlLink<TCommand, TResponse> link, int process, CancellationToken cancel)
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _ = ReadAsync(link, process, link.ReceiveAsync(cancel), ended, cancel);
        return ended.Task;
    }

    /// <summary>
    /// Reads on from <paramref name="next"/>. What follows from the last response that is here is run on this thread, which has it in its caches, while another one
    /// reads what comes next: waking a thread costs more than answering a small query.
    /// </summary>
    private async Task ReadAsync(
        IControlLink<TCommand, TResponse> link, int process, ValueTask<TResponse> next, TaskCompletionSource ended, CancellationToken cancel)
    {
        try
        {
            while (true)
            {
                var following = received(process, await next);
                next = link.ReceiveAsync(cancel);
                if (following is null)
                    continue;
                if (next.IsCompleted)
                {
                    ThreadPool.UnsafeQueueUserWorkItem(following, preferLocal: false);
                    continue;
                }

                _ = ReadAsync(link, process, next, ended, cancel);
                following.Execute();
                return;
            }
        }
        catch (Exception e)
        {
            ended.TrySetException(e);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "connected to {Name}")]
    private partial void LogConnected(string name);

    [LoggerMessage(Level = LogLevel.Debug, Message = "no connection to {Name}: {Reason}")]
    private partial void LogLost(string name, string reason);
}
