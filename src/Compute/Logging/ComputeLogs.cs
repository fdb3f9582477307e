using Materialize.Compute.Workers;
using Materialize.Dataflow;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Compute.Logging;

/// <summary>Logs of what the controller has had built here: exports, their frontiers, and peeks.</summary>
internal static class ComputeLogs
{
    public static IEnumerable<ReplicaLog> All { get; } =
    [
        new("mz_compute_exports_per_worker", 3, Exports, (k, w) => [Text(k), w, ReplicaLog.Number(k.A)]),
        new("mz_compute_dataflow_global_ids_per_worker", 3, GlobalIds, (k, w) => [ReplicaLog.Number(k.A), w, Text(k)]),
        new("mz_compute_frontiers_per_worker", 3, Frontiers, (k, w) => [Text(k), w, ReplicaLog.Number(k.A)]),
        new("mz_compute_import_frontiers_per_worker", 4, ImportFrontiers, (k, w) =>
        {
            var (export, import) = ((GlobalId, GlobalId))k.D!;
            return [Datum.FromString(export.ToString()), Datum.FromString(import.ToString()), w, ReplicaLog.Number(k.A)];
        }),
        new("mz_active_peeks_per_worker", 5, Peeks, (k, w) =>
        {
            var request = (PeekRequest)k.D!;
            return
            [
                Uuid(request.Uuid), w, Datum.FromString(((PeekTarget.Index)request.Target).Id.ToString()), Datum.FromString("index"),
                Datum.FromUInt64(request.Timestamp),
            ];
        }),
        new("mz_peek_durations_histogram_raw", 3, PeekDurations, (k, w) => [w, Datum.FromString("index"), ReplicaLog.Number(1L << (int)k.A)]),
    ];

    private static Datum Text(LogKey key) => Datum.FromString(((GlobalId)key.D!).ToString());

    private static Datum Uuid(Guid guid)
    {
        Span<byte> bytes = stackalloc byte[16];
        guid.TryWriteBytes(bytes, bigEndian: true, out _);
        return Datum.FromUuid(System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(bytes));
    }

    private static void Exports(LogSnapshot snapshot, Action<LogKey, long> row)
    {
        foreach (var state in snapshot.Compute.Collections)
        {
            if (state.Instance.Graph is { } graph)
                row(new LogKey(graph.Id, D: state.Id), 1);
        }
    }

    // What a dataflow builds under the ids of the catalog: what it exports, and the views that it computes on the way.
    private static void GlobalIds(LogSnapshot snapshot, Action<LogKey, long> row)
    {
        foreach (var instance in snapshot.Compute.Collections.Select(c => c.Instance).Distinct())
        {
            if (instance.Graph is not { } graph)
                continue;
            foreach (var id in instance.Plan.Description.ExportIds.Concat(instance.Plan.Description.Objects.Select(o => o.Id).AsEnumerable()).Distinct())
                row(new LogKey(graph.Id, D: id), 1);
        }
    }

    private static void Frontiers(LogSnapshot snapshot, Action<LogKey, long> row)
    {
        foreach (var state in snapshot.Compute.Collections)
        {
            if (state.OutputFrontier is { IsClosed: false } frontier)
                row(new LogKey((long)frontier.Time.Value, D: state.Id), 1);
        }
    }

    private static void ImportFrontiers(LogSnapshot snapshot, Action<LogKey, long> row)
    {
        foreach (var state in snapshot.Compute.Collections)
        {
            foreach (var (import, frontier) in snapshot.Compute.ImportFrontiers(state))
            {
                if (!frontier.IsClosed)
                    row(new LogKey((long)frontier.Time.Value, D: (state.Id, import)), 1);
            }
        }
    }

    private static void Peeks(LogSnapshot snapshot, Action<LogKey, long> row)
    {
        foreach (var request in snapshot.Compute.PendingPeeks)
            row(new LogKey(0, D: request), 1);
    }

    private static void PeekDurations(LogSnapshot snapshot, Action<LogKey, long> row)
    {
        var counts = snapshot.Compute.PeekDurations;
        for (var length = 0; length < counts.Length; length++)
            row(new LogKey(length), counts[length]);
    }
}
