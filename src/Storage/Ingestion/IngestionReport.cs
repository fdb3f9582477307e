using Materialize.Core.Collections;
using Materialize.Persist.State;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Storage;

/// <summary>
/// What an ingestion has to say to the controller: the newest of everything, sent when it changes and all of it again to a new controller.
/// Thread-safe.
/// </summary>
internal sealed class IngestionReport(Action<StorageResponse> send)
{
    // Guards the maps: attempts write, a session that begins reads.
    private readonly Lock _gate = new();
    private readonly Dictionary<GlobalId, StorageResponse.FrontierUpper> _uppers = [];
    private readonly Dictionary<GlobalId, StorageResponse.StatusUpdate> _statuses = [];
    private readonly Dictionary<GlobalId, StorageResponse.StatisticsUpdate> _statistics = [];

    public void Upper(GlobalId id, Frontier upper) => Set(_uppers, id, new StorageResponse.FrontierUpper(id, new FrontierChange(upper.Time?.Millis)));

    public void Status(GlobalId id, string status, string? error = null, string? hint = null) =>
        Set(_statuses, id, new StorageResponse.StatusUpdate(id, status, error, hint is null ? [] : [hint]));

    public void Statistics(GlobalId id, ulong messages, ulong bytes, ulong committed, bool snapshotCommitted, ulong offsetKnown, ulong offsetCommitted) =>
        Set(_statistics, id, new StorageResponse.StatisticsUpdate(id, messages, bytes, committed, snapshotCommitted, offsetKnown, offsetCommitted));

    /// <summary>The source cannot go on for now, nor can its tables, but for those that ended before.</summary>
    public void Stall(GlobalId source, string error, string? hint)
    {
        GlobalId[] live;
        lock (_gate)
            live = [.. _statuses.Where(s => s.Value.Status != "ceased").Select(s => s.Key)];
        foreach (var id in live.Append(source).Distinct())
            Status(id, "stalled", error, hint);
    }

    /// <summary>Nothing more is to be said of this id.</summary>
    public void Forget(GlobalId id)
    {
        lock (_gate)
        {
            _uppers.Remove(id);
            _statuses.Remove(id);
            _statistics.Remove(id);
        }
    }

    public void SendAll()
    {
        StorageResponse[] all;
        lock (_gate)
            all = [.. _uppers.Values, .. _statuses.Values, .. _statistics.Values];
        foreach (var response in all)
            send(response);
    }

    private void Set<T>(Dictionary<GlobalId, T> map, GlobalId id, T response) where T : StorageResponse
    {
        lock (_gate)
        {
            if (response.Equals(map.GetValueOrDefault(id)))
                return;
            map[id] = response;
        }

        send(response);
    }
}
