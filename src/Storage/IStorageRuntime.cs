using System.Threading.Channels;
using Materialize.Protocol;

namespace Materialize.Storage;

/// <summary>
/// The storage side of a clusterd process: runs the ingestions that the controller names. Called by one session at a time, in the
/// controller's order; must not block.
/// </summary>
public interface IStorageRuntime : IAsyncDisposable
{
    /// <summary>
    /// A controller has connected: its history follows, then <see cref="StorageCommand.InitializationComplete"/>. Responses go to
    /// <paramref name="responses"/> from now on; what is running goes on meanwhile.
    /// </summary>
    void BeginSession(ChannelWriter<StorageResponse> responses);

    /// <summary>Takes a command.</summary>
    void Handle(StorageCommand command);
}
