using System.Threading.Channels;
using Materialize.Protocol;

namespace Materialize.Storage;

/// <summary>Carries one controller's commands to a runtime and its responses back.</summary>
public sealed class StorageServer(IStorageRuntime runtime)
{
    /// <summary>Talks to one controller until its connection closes. One call at a time.</summary>
    public async Task ServeAsync(CommandConnection<StorageResponse, StorageCommand> connection, CancellationToken cancel)
    {
        var responses = Channel.CreateUnbounded<StorageResponse>(new() { SingleReader = true });
        runtime.BeginSession(responses.Writer);
        var sending = SendAsync(responses.Reader, connection, cancel);
        try
        {
            while (await connection.ReceiveAsync(cancel) is { } command)
                runtime.Handle(command);
        }
        finally
        {
            responses.Writer.TryComplete();
            await sending;
        }
    }

    private static async Task SendAsync(
        ChannelReader<StorageResponse> responses, CommandConnection<StorageResponse, StorageCommand> connection, CancellationToken cancel)
    {
        try
        {
            while (await responses.WaitToReadAsync(cancel))
            {
                while (responses.TryRead(out var response))
                    await connection.SendAsync(response, cancel);
            }
        }
        catch (Exception e) when (e is ConnectionClosedException or OperationCanceledException)
        {
            // The receiving side ends the session.
        }
    }
}
