using Materialize.Repr;
using Materialize.Sql;

namespace Materialize.Adapter;

/// <summary>
/// What a transaction has done so far, which decides what it may still do: reads all at one time, or writes that are applied at
/// COMMIT, never both. Rules: reference, sql-statements §5 and system-catalog §12 (25000, 25001).
/// </summary>
internal abstract record TransactionOps
{
    private TransactionOps()
    {
    }

    public sealed record None : TransactionOps;

    /// <summary>All reads happen at <paramref name="At"/>, of the collections it holds and no others.</summary>
    public sealed record Reads(ReadTimestamp At, IReadOnlySet<GlobalId> Timedomain) : TransactionOps;

    /// <summary>Inserts, to be committed together.</summary>
    public sealed record Writes(List<TableWrite> Pending) : TransactionOps;

    /// <summary>A SUBSCRIBE, which must be alone.</summary>
    public sealed record Subscribe : TransactionOps;
}

/// <summary>A transaction of a session: explicit after BEGIN, else one per statement or per simple query.</summary>
internal sealed class TransactionState : IDisposable
{
    public bool IsExplicit { get; init; }

    public bool IsReadOnly { get; set; }

    public bool HasFailed { get; set; }

    public TransactionOps Ops { get; private set; } = new TransactionOps.None();

    /// <summary>now() and current_timestamp for all of it.</summary>
    public required DateTimeOffset StartedAt { get; init; }

    public bool HasWork => Ops is not TransactionOps.None;

    public void BeginReads(ReadTimestamp at, IReadOnlySet<GlobalId> timedomain) => Ops = new TransactionOps.Reads(at, timedomain);

    /// <exception cref="SqlException">It has read or written something already.</exception>
    public void BeginSubscribe()
    {
        if (HasWork)
            throw new SqlException("25000", "SUBSCRIBE in transactions must be the only read statement");
        Ops = new TransactionOps.Subscribe();
    }

    /// <exception cref="SqlException">It has read, or has written to another table.</exception>
    public void AddWrites(TableWrite write)
    {
        if (IsReadOnly)
            throw new SqlException("25006", "transaction in read-only mode");
        switch (Ops)
        {
            case TransactionOps.None:
                Ops = new TransactionOps.Writes([write]);
                break;
            case TransactionOps.Writes writes:
                if (writes.Pending.Exists(w => w.Table != write.Table))
                    throw new SqlException("25000", "write transactions only support writes to a single table");
                writes.Pending.Add(write);
                break;
            default:
                throw new SqlException("25000", "transaction in read-only mode");
        }
    }

    /// <exception cref="SqlException">It has written, or follows a SUBSCRIBE.</exception>
    public void CheckMayRead()
    {
        if (Ops is TransactionOps.Writes)
            throw new SqlException("25000", "transaction in write-only mode");
        if (Ops is TransactionOps.Subscribe)
            throw new SqlException("25000", "SUBSCRIBE in transactions must be the only read statement");
    }

    public void Dispose()
    {
        if (Ops is TransactionOps.Reads reads)
            reads.At.Dispose();
        Ops = new TransactionOps.None();
    }
}
