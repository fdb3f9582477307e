using Microsoft.Extensions.Logging;

namespace Materialize.Controller;

/// <summary>
/// Keeps the processes of one replica connected: connects to all with back-off, hands the new links to their owner (which sends the
/// history), passes on responses, and starts over with all of them when one breaks: processes of a replica live and die together.
/// </summary>
/// <param name="received">Called with the number of the process; those of different processes at the same time.</param>
internal sealed partial class LinkLoop<TCommand, TResponse>(
    string name,
    IReadOnlyList<IControlConnector<TCommand, TResponse>> processes,
    Action<IReadOnlyList<IControlLink<TCommand, TResponse>>> connected,
    Action<int, TResponse> received,
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

    private async Task ReceiveAsync(IControlLink<TCommand, TResponse> link, int process, CancellationToken cancel)
    {
        while (true)
            received(process, await link.ReceiveAsync(cancel));
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "connected to {Name}")]
    private partial void LogConnected(string name);

    [LoggerMessage(Level = LogLevel.Debug, Message = "no connection to {Name}: {Reason}")]
    private partial void LogLost(string name, string reason);
}
