using System.Diagnostics;
using Materialize.Dataflow.Runtime;
using Materialize.Repr;

namespace Materialize.Compute.Logging;

/// <summary>Logs of the dataflow engine: operators, channels, arrangements, and what they did.</summary>
/// <remarks>
/// A dataflow's number is its place among the worker's dataflows; addresses begin with it. It has an id as well, in one space with its operators
/// and channels, and a row among the operators, as the scope that holds them. Loops are no scopes here: addresses have at most two parts.
/// </remarks>
internal static class EngineLogs
{
    public static IEnumerable<ReplicaLog> All { get; } =
    [
        new("mz_dataflow_operators_per_worker", 3, Operators, (k, w) => [ReplicaLog.Number(k.A), w, Datum.FromString((string)k.D!)]),
        new("mz_dataflow_addresses_per_worker", 3, Addresses, (k, w) => [ReplicaLog.Number(k.A), w, Datum.FromList(
            k.C == 0 ? [ReplicaLog.Number(k.B)] : [ReplicaLog.Number(k.B), ReplicaLog.Number(k.C)])]),
        new("mz_dataflow_channels_per_worker", 7, Channels, (k, w) =>
        {
            var channel = (ChannelDescription)k.D!;
            return
            [
                ReplicaLog.Number(k.A), w, ReplicaLog.Number(channel.FromOperator + 1), ReplicaLog.Number(channel.FromPort),
                ReplicaLog.Number(channel.ToOperator + 1), ReplicaLog.Number(channel.ToPort), Datum.FromString("UpdateBatch"),
            ];
        }),
        OfOperators("mz_scheduling_elapsed_raw", o => (long)Stopwatch.GetElapsedTime(0, o.ElapsedTicks).TotalNanoseconds),
        new("mz_compute_operator_durations_histogram_raw", 3, RunTimes, (k, w) => [ReplicaLog.Number(k.A), w, ReplicaLog.Number(1L << (int)k.B)]),
        OfOperators("mz_arrangement_records_raw", o => Kept(o).Rows),
        OfOperators("mz_arrangement_batches_raw", o => Kept(o).Batches),
        OfOperators("mz_arrangement_heap_size_raw", o => Kept(o).UsedBytes),
        OfOperators("mz_arrangement_heap_capacity_raw", o => Kept(o).CapacityBytes),
        OfOperators("mz_arrangement_heap_allocations_raw", o => Kept(o).Slabs),
        OfOperators("mz_arrangement_batcher_records_raw", o => Waiting(o).Rows),
        OfOperators("mz_arrangement_batcher_size_raw", o => Waiting(o).UsedBytes),
        OfOperators("mz_arrangement_batcher_capacity_raw", o => Waiting(o).CapacityBytes),
        OfOperators("mz_arrangement_batcher_allocations_raw", o => Waiting(o).Slabs),
        OfOperators("mz_arrangement_sharing_raw", o => o.ArrangementHolds),
        OfChannels("mz_message_counts_sent_raw", isSent: true, t => t.Rows),
        OfChannels("mz_message_counts_received_raw", isSent: false, t => t.Rows),
        OfChannels("mz_message_batch_counts_sent_raw", isSent: true, t => t.Batches),
        OfChannels("mz_message_batch_counts_received_raw", isSent: false, t => t.Batches),
    ];

    /// <summary>What an operator keeps for good: its arrangement, or if it has none, its own state.</summary>
    private static StateSize Kept(OperatorStatistics op) => op.Arrangement ?? op.State;

    /// <summary>What waits to become part of an arrangement.</summary>
    private static StateSize Waiting(OperatorStatistics op) => op.Arrangement is null ? default : op.State;

    private static ReplicaLog OfOperators(string name, Func<OperatorStatistics, long> quantity) => new(
        name,
        2,
        (snapshot, row) =>
        {
            foreach (var dataflow in snapshot.Dataflows)
            {
                foreach (var op in dataflow.Operators)
                    row(new LogKey(dataflow.Graph.OperatorId(op.Index)), quantity(op));
            }
        },
        (k, w) => [ReplicaLog.Number(k.A), w]);

    private static ReplicaLog OfChannels(string name, bool isSent, Func<Traffic, long> quantity) => new(
        name,
        3,
        (snapshot, row) =>
        {
            var self = snapshot.Worker.Index;
            foreach (var (graph, _) in snapshot.Dataflows)
            {
                for (var channel = 0; channel < graph.ChannelCount; channel++)
                {
                    var id = graph.ChannelId(channel);
                    var sent = graph.Sent(channel);
                    var received = graph.Received(channel);
                    for (var peer = 0; peer < sent.Length; peer++)
                    {
                        // What a worker sends to itself it also receives.
                        if (isSent)
                            row(new LogKey(id, peer), quantity(sent[peer]));
                        else
                            row(new LogKey(id, peer), quantity(peer == self ? sent[peer] : received[peer]));
                    }
                }
            }
        },
        isSent
            ? (k, w) => [ReplicaLog.Number(k.A), w, ReplicaLog.Number(k.B)]
            : (k, w) => [ReplicaLog.Number(k.A), ReplicaLog.Number(k.B), w]);

    private static void Operators(LogSnapshot snapshot, Action<LogKey, long> row)
    {
        foreach (var (graph, operators) in snapshot.Dataflows)
        {
            row(new LogKey(graph.UniqueId, D: "Dataflow: " + graph.Name), 1);
            foreach (var op in operators)
                row(new LogKey(graph.OperatorId(op.Index), D: op.Name), 1);
        }
    }

    private static void Addresses(LogSnapshot snapshot, Action<LogKey, long> row)
    {
        foreach (var (graph, operators) in snapshot.Dataflows)
        {
            row(new LogKey(graph.UniqueId, graph.Id), 1);
            foreach (var op in operators)
                row(new LogKey(graph.OperatorId(op.Index), graph.Id, op.Index + 1), 1);

            // A channel is where the operators that it joins are.
            for (var channel = 0; channel < graph.ChannelCount; channel++)
                row(new LogKey(graph.ChannelId(channel), graph.Id), 1);
        }
    }

    private static void Channels(LogSnapshot snapshot, Action<LogKey, long> row)
    {
        foreach (var (graph, _) in snapshot.Dataflows)
        {
            foreach (var channel in graph.Channels)
                row(new LogKey(graph.ChannelId(channel.Index), D: channel), 1);
        }
    }

    private static void RunTimes(LogSnapshot snapshot, Action<LogKey, long> row)
    {
        foreach (var (graph, operators) in snapshot.Dataflows)
        {
            foreach (var op in operators)
            {
                var counts = graph.RunTimes(op.Index);
                for (var length = 0; length < counts.Length; length++)
                    row(new LogKey(graph.OperatorId(op.Index), length), counts[length]);
            }
        }
    }
}
