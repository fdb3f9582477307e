using System.Threading.Channels;
using Materialize.Protocol;

namespace Materialize.Storage;

/// <summary>Runs no source and says so: every ingestion is stalled, with the reason where users look for it.</summary>
public sealed class UnsupportedStorageRuntime : IStorageRuntime
{
    private ChannelWriter<StorageResponse>? _responses;

    public void BeginSession(ChannelWriter<StorageResponse> responses) => _responses = responses;

    public void Handle(StorageCommand command)
    {
        switch (command)
        {
            case StorageCommand.RunIngestion x:
                _responses?.TryWrite(new StorageResponse.StatusUpdate(x.Ingestion.Id, "stalled", "sources of this kind are not supported", []));
                break;
            case StorageCommand.AllowCompaction { Since: null } x:
                _responses?.TryWrite(new StorageResponse.DroppedId(x.Id));
                break;
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
