using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Adapter;

/// <summary>What a client says when it connects.</summary>
/// <param name="User">Role name.</param>
/// <param name="Parameters">Startup parameters besides the user: database, application_name, options and any session variable.</param>
/// <param name="RemoteAddress">For logs and catalog relations.</param>
/// <param name="IsInternal">Whether it came through the internal listener, where mz_system may connect.</param>
public sealed record StartupRequest(string User, IReadOnlyDictionary<string, string> Parameters, string RemoteAddress, bool IsInternal);

/// <summary>Opens sessions. Safe to call from many threads.</summary>
public interface IAdapterClient
{
    /// <exception cref="AdapterException">The role or a parameter is refused.</exception>
    ValueTask<ISession> StartupAsync(StartupRequest request, CancellationToken cancel);

    /// <summary>Cancels what the session is running, if id and key match one. Silent otherwise.</summary>
    void CancelRequest(uint connectionId, uint secretKey);
}

/// <summary>Where a session is, as ReadyForQuery reports it.</summary>
public enum TransactionStatus
{
    Idle,
    InTransaction,
    Failed,
}

/// <summary>
/// One client's session: prepared statements, portals, transaction, variables. Used by one task at a time; only
/// <see cref="IAdapterClient.CancelRequest"/> comes from elsewhere. All failures are <see cref="AdapterException"/>s; a failed
/// statement has already moved the transaction to where Postgres would have it.
/// </summary>
public interface ISession : IAsyncDisposable
{
    uint ConnectionId { get; }

    uint SecretKey { get; }

    TransactionStatus TransactionStatus { get; }

    /// <summary>Values of the variables that Postgres reports to clients (server_version, client_encoding, …).</summary>
    IEnumerable<KeyValuePair<string, string>> ReportedParameters { get; }

    /// <summary>The next notice that has come up, oldest first. Send before the message that ends the current command.</summary>
    bool TryTakeNotice(out ErrorReport notice);

    /// <summary>The next reported variable that has changed since the last call.</summary>
    bool TryTakeParameterChange(out KeyValuePair<string, string> change);

    /// <summary>Splits a simple query into statements; parses all before anything runs. Empty for an empty query.</summary>
    IReadOnlyList<SimpleStatement> ParseSimple(string sql);

    /// <summary>Plans and starts one statement of a simple query.</summary>
    ValueTask<ExecuteResponse> ExecuteSimpleAsync(SimpleStatement statement, CancellationToken cancel);

    /// <summary>Makes a prepared statement; the empty name is replaced silently, others must be new.</summary>
    /// <param name="parameterOids">Types that the client gave, 0 for "you say"; may be shorter than the number of parameters.</param>
    ValueTask PrepareAsync(string name, string sql, IReadOnlyList<uint> parameterOids, CancellationToken cancel);

    /// <exception cref="AdapterException">26000 if there is none.</exception>
    PreparedDescription DescribePrepared(string name);

    void ClosePrepared(string name);

    /// <summary>Makes a portal. Parameters are already decoded to the prepared statement's parameter types.</summary>
    void Bind(string portal, string prepared, ValueArray<Datum> parameters);

    /// <summary>Columns of a portal's result; null when it gives no rows.</summary>
    /// <exception cref="AdapterException">34000 if there is none.</exception>
    RelationDesc? DescribePortal(string portal);

    void ClosePortal(string portal);

    /// <summary>
    /// Starts the portal, or goes on with one that was suspended: then the same <see cref="ExecuteResponse.Rows"/> is given again.
    /// </summary>
    ValueTask<ExecuteResponse> ExecuteAsync(string portal, CancellationToken cancel);

    /// <summary>
    /// At Sync, or at the end of a simple query: commits (or, after a failure, rolls back) an implicit transaction. An explicit one
    /// goes on; a failure, which may have been the wire's own, fails it.
    /// </summary>
    ValueTask EndImplicitAsync(bool failed, CancellationToken cancel);
}

/// <summary>A parsed statement of a simple query; opaque to the wire.</summary>
public abstract class SimpleStatement;

/// <summary>What Describe answers for a prepared statement.</summary>
/// <param name="Columns">Null: it gives no rows.</param>
/// <param name="IsEmpty">The statement was empty.</param>
public sealed record PreparedDescription(ValueArray<SqlType> ParameterTypes, RelationDesc? Columns, bool IsEmpty);
