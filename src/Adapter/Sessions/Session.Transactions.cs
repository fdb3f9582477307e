using Materialize.Sql;
using Materialize.Sql.Parser.Ast;

namespace Materialize.Adapter;

internal sealed partial class Session
{
    public ValueTask EndImplicitAsync(bool failed, CancellationToken cancel) => EdgeAsync(async () =>
    {
        if (_transaction is not { IsExplicit: false } transaction)
        {
            // What failed may have been the wire's: a value it could not read, a result it could not encode.
            if (failed)
                Fail();
            return true;
        }

        try
        {
            if (!failed && !transaction.HasFailed)
                await CommitImplicitAsync();
        }
        finally
        {
            EndTransaction(committed: !failed && !transaction.HasFailed);
        }

        return true;
    }).AsUntyped();

    private void EnsureTransaction() => _transaction ??= new TransactionState { StartedAt = _services.Time.GetUtcNow() };

    /// <summary>A failed transaction takes only its end.</summary>
    private void CheckNotFailed(Statement statement)
    {
        if (_transaction is { HasFailed: true } && statement is not (Statement.Commit or Statement.Rollback))
            throw new SqlException("25P02", "current transaction is aborted, commands ignored until end of transaction block");
    }

    private ExecuteResponse.Completed StartTransaction(StatementPlan.StartTransaction plan)
    {
        if (_transaction is { IsExplicit: true })
            Notice("25001", "there is already a transaction in progress", "WARNING");
        var before = _transaction;
        _transaction = new TransactionState { IsExplicit = true, StartedAt = before?.StartedAt ?? _services.Time.GetUtcNow() };
        _variables.Begin();
        ApplyModes(plan.Modes);
        return new ExecuteResponse.Completed("BEGIN");
    }

    private void ApplyModes(TransactionModes modes)
    {
        if (modes.ReadOnly is { } readOnly && _transaction is not null)
            _transaction.IsReadOnly = readOnly;
        if (modes.Isolation is { } isolation)
            SetIsolation(isolation, isLocal: true);
    }

    private void SetIsolation(Sql.IsolationLevel level, bool isLocal)
    {
        if (level == Sql.IsolationLevel.StrongSessionSerializable)
            throw SqlException.Unsupported("strong session serializable");
        if (level is not (Sql.IsolationLevel.Serializable or Sql.IsolationLevel.StrictSerializable))
            Notice("00000", "transaction isolation level is upgraded to serializable");
        _variables.Set("transaction_isolation", [level == Sql.IsolationLevel.StrictSerializable ? "strict serializable" : "serializable"], isLocal);
    }

    private async ValueTask<ExecuteResponse> EndExplicitAsync(bool commit)
    {
        if (_transaction is not { IsExplicit: true } transaction)
        {
            Notice("25P01", "there is no transaction in progress", "WARNING");
            await CommitImplicitAsync();
            return new ExecuteResponse.Completed(commit ? "COMMIT" : "ROLLBACK");
        }

        var committed = commit && !transaction.HasFailed;
        try
        {
            if (committed && transaction.Ops is TransactionOps.Writes writes)
                await CommitWritesAsync(writes.Pending);
        }
        catch
        {
            committed = false;
            throw;
        }
        finally
        {
            foreach (var (name, portal) in _portals.ToList())
            {
                if (portal.Cursor is null)
                    continue;
                await DisposePortalAsync(portal);
                _portals.Remove(name);
            }

            EndTransaction(committed);
        }

        return new ExecuteResponse.Completed(committed ? "COMMIT" : "ROLLBACK");
    }

    /// <summary>Applies what an implicit transaction has written so far; it goes on empty.</summary>
    private async ValueTask CommitImplicitAsync()
    {
        if (_transaction is not { IsExplicit: false } transaction)
            return;
        var pending = (transaction.Ops as TransactionOps.Writes)?.Pending;
        transaction.Dispose();
        if (pending is not null)
            await CommitWritesAsync(pending);
    }

    private void EndTransaction(bool committed)
    {
        if (!committed && _transaction?.Ops is TransactionOps.Writes writes)
            _services.Committer.Abandon(writes.Pending);
        _transaction?.Dispose();
        _transaction = null;
        _variables.End(committed);
    }

    /// <summary>A statement failed: an explicit transaction waits for its ROLLBACK.</summary>
    private void Fail()
    {
        if (_transaction is not null)
            _transaction.HasFailed = true;
    }
}
