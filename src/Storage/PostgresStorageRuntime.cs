using System.Threading.Channels;
using Materialize.Persist;
using Materialize.Protocol;
using Materialize.Repr;
using Microsoft.Extensions.Logging;

namespace Materialize.Storage;

/// <summary>
/// Runs Postgres sources. Each is a task of its own; what it has to say goes to the newest session. Ingestions that a new session does not
/// name are stopped, and keep their slots: another replica may run them now.
/// </summary>
public sealed partial class PostgresStorageRuntime : IStorageRuntime
{
    private const int DropAttempts = 20;
    private static readonly TimeSpan DropPause = TimeSpan.FromMilliseconds(500);

    private readonly PersistClient _persist;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Dictionary<GlobalId, Ingestion> _ingestions = [];
    private readonly HashSet<GlobalId> _named = [];
    private readonly List<Task> _ending = [];
    private readonly TaskCompletionSource _mayWrite = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stop = new();
    private ChannelWriter<StorageResponse>? _responses;

    /// <param name="persist">Not owned.</param>
    public PostgresStorageRuntime(PersistClient persist, TimeProvider time, ILoggerFactory logs)
    {
        _persist = persist;
        _time = time;
        _logger = logs.CreateLogger<PostgresStorageRuntime>();
    }

    public void BeginSession(ChannelWriter<StorageResponse> responses)
    {
        Volatile.Write(ref _responses, responses);
        _named.Clear();
    }

    public void Handle(StorageCommand command)
    {
        switch (command)
        {
            case StorageCommand.RunIngestion x:
                Run(x.Ingestion);
                break;
            case StorageCommand.InitializationComplete:
                foreach (var id in _ingestions.Keys.Where(id => !_named.Contains(id)).ToList())
                {
                    _ingestions.Remove(id, out var ingestion);
                    _ending.Add(ingestion!.StopAsync());
                }

                break;
            case StorageCommand.AllowWrites:
                _mayWrite.TrySetResult();
                break;
            case StorageCommand.AllowCompaction { Since: null } x:
                _ending.RemoveAll(t => t.IsCompleted);
                _ending.Add(DropAsync(x.Id));
                break;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelQuietlyAsync();
        await Task.WhenAll(_ingestions.Values.Select(i => i.StopAsync()).Concat(_ending));
        _stop.Dispose();
    }

    private void Run(IngestionDescription description)
    {
        _named.Add(description.Id);
        if (_ingestions.TryGetValue(description.Id, out var running))
        {
            running.Update(description);
            running.Report.SendAll();
        }
        else
        {
            _ingestions[description.Id] = new Ingestion(_persist, _time, _logger, description, Send, _mayWrite.Task);
        }
    }

    /// <summary>Stops a source and takes its slot from upstream. Of an export there is nothing to clean up.</summary>
    private async Task DropAsync(GlobalId id)
    {
        if (_ingestions.Remove(id, out var ingestion))
        {
            await ingestion.StopAsync();
            await DropSlotAsync(ingestion.Description);
        }

        Send(new StorageResponse.DroppedId(id));
    }

    private async Task DropSlotAsync(IngestionDescription description)
    {
        var upstream = new PostgresUpstream((SourceConnection.Postgres)description.Connection, _time);
        for (var attempt = 1; attempt <= DropAttempts && !_stop.IsCancellationRequested; attempt++)
        {
            try
            {
                await upstream.DropSlotAsync(_stop.Token);
                return;
            }
            catch (Exception e) when (e is SourceException or Npgsql.NpgsqlException or IOException or System.Net.Sockets.SocketException or TimeoutException or OperationCanceledException)
            {
                LogSlot(description.Id, upstream.Connection.Slot, PostgresUpstream.Describe(e));
            }

            try
            {
                await Task.Delay(DropPause, _time, _stop.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    private void Send(StorageResponse response) => Volatile.Read(ref _responses)?.TryWrite(response);

    [LoggerMessage(Level = LogLevel.Warning, Message = "replication slot {Slot} of dropped source {Id} is still there: {Reason}")]
    private partial void LogSlot(GlobalId id, string slot, string reason);
}
