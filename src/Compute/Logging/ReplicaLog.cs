// What a replica tells of itself, as collections. Workers keep counters anyway; nothing here runs until a dataflow imports a log. Then, at
// each tick, the worker counts what each log holds now, and feeds the difference to what it held before. So the cost is that of looking at the
// counters once a second while somebody has asked for them, and nothing before.
//
// Quantities are multiplicities, as in the reference's _raw relations: a row (operator, worker) is there as many times as the operator has
// worked nanoseconds. Views count them.

using Materialize.Dataflow.Runtime;
using Materialize.Repr;

namespace Materialize.Compute.Logging;

/// <summary>A row of a log but for the worker's number, in a form that is cheap to compare: its meaning is the log's.</summary>
internal readonly record struct LogKey(long A, long B = 0, long C = 0, object? D = null);

/// <summary>What a worker holds at one tick, counted once for all logs.</summary>
internal sealed class LogSnapshot(Worker worker, Workers.ComputeWorker compute)
{
    private IReadOnlyList<DataflowStatistics>? _dataflows;

    public Worker Worker => worker;

    public Workers.ComputeWorker Compute => compute;

    public IReadOnlyList<DataflowStatistics> Dataflows => _dataflows ??= worker.Statistics();
}

/// <summary>One log relation.</summary>
/// <param name="Name">Reference, system-catalog §6.</param>
/// <param name="Columns">How many.</param>
/// <param name="Collect">Gives all rows that there are now, with their multiplicities; a row may come in parts.</param>
/// <param name="Encode">A row's values, in the order of the relation's columns; the second parameter is the worker's number.</param>
internal sealed record ReplicaLog(string Name, int Columns, Action<LogSnapshot, Action<LogKey, long>> Collect, Func<LogKey, Datum, Datum[]> Encode)
{
    /// <summary>All logs there are.</summary>
    public static IReadOnlyDictionary<string, ReplicaLog> All { get; } =
        EngineLogs.All.Concat(ComputeLogs.All).ToDictionary(log => log.Name);

    internal static Datum Number(long value) => Datum.FromInt64(value);
}
