using Microsoft.Extensions.Logging;

namespace Materialize.Protocol;

/// <summary>The controller's side: connects, and connects again, to one process of one replica.</summary>
public sealed partial class CommandClient<TCommand, TResponse>(
    ITransport transport,
    TransportAddress address,
    FrameHello hello,
    FrameOptions options,
    IMessageCodec<TCommand> commands,
    IMessageCodec<TResponse> responses,
    TimeProvider time,
    ILogger logger)
    where TCommand : class
    where TResponse : class
{
    /// <summary>The first wait after a failure; doubles up to <see cref="RetryMax"/>.</summary>
    public TimeSpan RetryMin { get; init; } = TimeSpan.FromMilliseconds(50);

    public TimeSpan RetryMax { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>A new connection; tries until there is one. The caller disposes of it, and sends Hello first.</summary>
    public async Task<CommandConnection<TCommand, TResponse>> ConnectAsync(CancellationToken cancel)
    {
        var wait = RetryMin;
        while (true)
        {
            try
            {
                var connection = await transport.ConnectAsync(address, cancel);
                var channel = await FrameChannel.OpenAsync(connection, hello, options, time, cancel);
                return new CommandConnection<TCommand, TResponse>(channel, commands, responses);
            }
            catch (IOException e)
            {
                LogRetry(hello.Service, address, e.Message, wait.TotalMilliseconds);
            }

            await Task.Delay(wait, time, cancel);
            wait = wait * 2 < RetryMax ? wait * 2 : RetryMax;
        }
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "no {Service} connection to {Address}: {Reason}; next try in {WaitMs} ms")]
    private partial void LogRetry(string service, TransportAddress address, string reason, double waitMs);
}
