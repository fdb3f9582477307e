using Microsoft.Extensions.Logging;

namespace Materialize.Controller;

/// <summary>
/// Keeps one process of a replica connected: connects with back-off, hands each new link to its owner (which sends the history),
/// passes on responses, and starts over when the link breaks.
/// </summary>
internal sealed partial class LinkLoop<TCommand, TResponse>(
    string name,
    IControlConnector<TCommand, TResponse> connector,
    Action<IControlLink<TCommand, TResponse>> connected,
    Action<TResponse> received,
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
            try
            {
                await using var link = await connector.ConnectAsync(cancel);
                backOff = FirstBackOff;
                LogConnected(name);
                connected(link);
                try
                {
                    while (true)
                        received(await link.ReceiveAsync(cancel));
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

    [LoggerMessage(Level = LogLevel.Information, Message = "connected to {Name}")]
    private partial void LogConnected(string name);

    [LoggerMessage(Level = LogLevel.Debug, Message = "no connection to {Name}: {Reason}")]
    private partial void LogLost(string name, string reason);
}
