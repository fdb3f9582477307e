using Materialize.Controller;
using Materialize.Persist.Oracle;
using Materialize.Repr;
using Materialize.Sql;

namespace Materialize.Adapter;

/// <summary>A time to read at, and the holds that keep it readable. Whoever has it disposes the holds.</summary>
/// <param name="OracleTs">The oracle's time it was chosen against; null when it was not asked.</param>
/// <param name="RespondsImmediately">Whether every input is complete at the time already.</param>
internal sealed record ReadTimestamp(ulong Timestamp, IReadOnlyList<ReadHold> Holds, ulong? OracleTs, bool RespondsImmediately) : IDisposable
{
    public void Dispose()
    {
        foreach (var hold in Holds)
            hold.Dispose();
    }
}

/// <summary>Chooses the time of a read. The rules: reference, consistency-and-time §5.</summary>
internal sealed class TimestampSelection(CollectionRegistry registry, ITimestampOracle oracle)
{
    /// <param name="ids">Every collection the query reads, indexes included; empty: only the oracle decides.</param>
    /// <exception cref="SqlException">No time satisfies what is asked.</exception>
    public async ValueTask<ReadTimestamp> SelectAsync(
        IReadOnlyCollection<GlobalId> ids, QueryWhen when, bool strictSerializable, CancellationToken cancel)
    {
        // Holds first, so that nothing moves while deciding.
        var holds = registry.Acquire(ids) ?? throw new SqlException("42704", "an item that the query reads was dropped");
        try
        {
            var since = holds.Count == 0 ? Frontier.Minimum : holds.Max(h => h.At);
            var upper = ids.Aggregate(Frontier.Empty, (least, id) => Frontier.Min(least, registry.Frontiers(id)?.Upper ?? Frontier.Empty));
            if (since.IsEmpty)
                throw new SqlException("02000", "the collection is not readable at any timestamp");
            var usesOracle = when is QueryWhen.FreshestTableWrite || (when is QueryWhen.Immediately && (strictSerializable || ids.Count == 0));
            ulong? oracleTs = usesOracle ? (await oracle.ReadTsAsync(cancel)).Millis : null;
            var lower = Math.Max(since.Value, oracleTs ?? 0);
            var complete = upper.Time is { } u ? Math.Max(u, 1) - 1 : ulong.MaxValue;
            var chosen = when switch
            {
                QueryWhen.AtTimestamp at => at.TimestampMs,
                QueryWhen.AtLeastTimestamp atLeast => Math.Max(lower, atLeast.TimestampMs),
                QueryWhen.Immediately when !strictSerializable && complete != ulong.MaxValue => Math.Max(lower, complete),
                _ => lower,
            };
            if (!since.IsBeyond(chosen))
                throw NotReadable(chosen, holds);
            foreach (var hold in holds)
                hold.DowngradeTo(Frontier.At(chosen));
            return new ReadTimestamp(chosen, holds, oracleTs, chosen < upper.Value);
        }
        catch
        {
            foreach (var hold in holds)
                hold.Dispose();
            throw;
        }
    }

    private static SqlException NotReadable(ulong asOf, IReadOnlyList<ReadHold> holds)
    {
        var constraints = holds.Where(h => !h.At.IsBeyond(asOf)).Select(h => $"{h.Id} is readable from {h.At.Value} on");
        return new SqlException("22000", $"could not find a valid timestamp for the query: timestamp {asOf} is not valid for all inputs")
        {
            Detail = $"{string.Join("; ", constraints)}.",
        };
    }
}
