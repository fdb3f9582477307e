using Materialize.Core.Collections;
using Materialize.Repr;
using Materialize.Sql;
using Materialize.Sql.Parser;

namespace Materialize.Adapter;

/// <summary>The extended protocol, and PREPARE and EXECUTE, which share its prepared statements.</summary>
internal sealed partial class Session
{
    private readonly Dictionary<string, PreparedStatement> _prepared = [];
    private readonly Dictionary<string, Portal> _portals = [];

    public async ValueTask PrepareAsync(string name, string sql, IReadOnlyList<uint> parameterOids, CancellationToken cancel) => await EdgeAsync(() =>
    {
        EnsureTransaction();
        var statements = SqlParser.ParseStatements(sql);
        if (statements.Count > 1)
            throw new SqlException("42601", "cannot insert multiple commands into a prepared statement");
        if (name.Length > 0 && _prepared.ContainsKey(name))
            throw new SqlException("42P05", $"prepared statement \"{name}\" already exists");
        var types = parameterOids.Select(TypeOf).ToArray();
        if (statements.Count == 0)
        {
            _prepared[name] = new PreparedStatement(null, "", new StatementDesc(null, []));
            return ValueTask.FromResult(true);
        }

        CheckNotFailed(statements[0].Statement);
        var description = Describe(statements[0].Statement, types);
        _prepared[name] = new PreparedStatement(statements[0].Statement, statements[0].Sql, description) { Revision = _services.Catalog.State.Revision };
        return ValueTask.FromResult(true);
    });

    public PreparedDescription DescribePrepared(string name) => Edge(() =>
    {
        var prepared = Find(name);
        return new PreparedDescription(
            prepared.Description.ParamTypes, prepared.Description.IsCopy ? null : prepared.Description.Desc, prepared.Statement is null);
    });

    public void ClosePrepared(string name) => _prepared.Remove(name);

    public void Bind(string portal, string prepared, ValueArray<Datum> parameters) => Edge(() =>
    {
        EnsureTransaction();
        if (portal.Length > 0 && _portals.ContainsKey(portal))
            throw new SqlException("42P03", $"portal \"{portal}\" already exists");
        _portals[portal] = new Portal(Find(prepared), parameters);
        return true;
    });

    public RelationDesc? DescribePortal(string portal) => Edge(() =>
    {
        var description = FindPortal(portal).Prepared.Description;
        return description.IsCopy ? null : description.Desc;
    });

    public void ClosePortal(string portal)
    {
        if (_portals.Remove(portal, out var closed))
            _ = DisposePortalAsync(closed).AsTask();
    }

    public async ValueTask<ExecuteResponse> ExecuteAsync(string portal, CancellationToken cancel) => await EdgeAsync(async () =>
    {
        var bound = FindPortal(portal);
        if (bound.Suspended is { } suspended)
            return suspended;
        if (bound.Prepared.Statement is null)
            return new ExecuteResponse.EmptyQuery();
        var running = Run(cancel);
        EnsureTransaction();
        CheckNotFailed(bound.Prepared.Statement);
        var response = await ExecuteBoundAsync(bound.Prepared, bound.Parameters, running);
        bound.Suspended = response is ExecuteResponse.Rows ? response : null;
        return response;
    });

    private async ValueTask<ExecuteResponse> ExecuteBoundAsync(PreparedStatement prepared, ValueArray<Datum> parameters, CancellationToken cancel)
    {
        if (TryExecutePlanned(prepared.Read, parameters, cancel) is { } planned)
            return await planned;
        if (TryInsertPlanned(prepared, parameters, cancel) is { } inserted)
            return inserted;
        var key = CurrentPlanKey;
        var revision = key.Revision;
        if (prepared.Revision != revision)
        {
            var now = Describe(prepared.Statement!, [.. prepared.Description.ParamTypes.Select(t => (SqlType?)t)]);
            if (!SameResult(now, prepared.Description))
                throw new SqlException("0A000", "cached plan must not change result type");
            prepared.Revision = revision;
        }

        var plan = Planner.Plan(Catalog(), prepared.Statement!, new Params(parameters, prepared.Description.ParamTypes), prepared.Sql);
        if (plan is StatementPlan.Insert)
        {
            if (prepared.Insert?.Key != key)
                prepared.Insert = new CachedInsert(key);
        }
        else if (!parameters.IsEmpty)
        {
            TryOpen(prepared, key, plan);
        }
        else if (PlanToKeep(key, plan) is { } read)
        {
            prepared.Read = read;
            return await SelectAsync(read.Plan, read, cancel);
        }

        return await ExecutePlanAsync(plan, prepared.Statement!, cancel);
    }

    /// <summary>As the planner says; FETCH and EXECUTE give what another statement of this session does.</summary>
    private StatementDesc Describe(Sql.Parser.Ast.Statement statement, IReadOnlyList<SqlType?> types) => statement switch
    {
        Sql.Parser.Ast.Statement.Fetch x => new StatementDesc(FindPortal(x.Name.Value).Prepared.Description.Desc, []),
        Sql.Parser.Ast.Statement.Execute x when Find(x.Name.Value).Description is var of => new StatementDesc(of.Desc, []) { IsCopy = of.IsCopy },
        _ => Planner.Describe(Catalog(), statement, types),
    };

    private static bool SameResult(StatementDesc a, StatementDesc b) =>
        a.Desc is null ? b.Desc is null : b.Desc is not null && a.Desc.Names == b.Desc.Names && a.Desc.Type.Columns == b.Desc.Type.Columns;

    private ExecuteResponse.Completed Prepare(StatementPlan.Prepare plan)
    {
        if (_prepared.ContainsKey(plan.Name))
            throw new SqlException("42P05", $"prepared statement \"{plan.Name}\" already exists");
        _prepared[plan.Name] = new PreparedStatement(plan.Statement, plan.StatementSql, plan.Desc) { Revision = _services.Catalog.State.Revision };
        return new ExecuteResponse.Completed("PREPARE");
    }

    private ValueTask<ExecuteResponse> ExecutePreparedAsync(StatementPlan.Execute plan, CancellationToken cancel)
    {
        var prepared = Find(plan.Name);
        if (prepared.Description.ParamTypes.Count != plan.Arguments.Values.Count)
        {
            throw new SqlException("42601", $"wrong number of parameters for prepared statement \"{plan.Name}\"")
            {
                Detail = $"Expected {prepared.Description.ParamTypes.Count} parameters but got {plan.Arguments.Values.Count}.",
            };
        }

        return ExecuteBoundAsync(prepared, plan.Arguments.Values, cancel);
    }

    private ExecuteResponse.Completed Deallocate(StatementPlan.Deallocate plan)
    {
        if (plan.Name is null)
        {
            _prepared.Clear();
            return new ExecuteResponse.Completed("DEALLOCATE ALL");
        }

        Find(plan.Name);
        _prepared.Remove(plan.Name);
        return new ExecuteResponse.Completed("DEALLOCATE");
    }

    private async ValueTask<ExecuteResponse> DiscardAsync(bool all)
    {
        if (!all)
            return new ExecuteResponse.Completed("DISCARD TEMP");
        if (_transaction is { IsExplicit: true })
            throw new SqlException("25001", "DISCARD ALL cannot run inside a transaction block");
        foreach (var portal in _portals.Values)
            await DisposePortalAsync(portal);
        _portals.Clear();
        _prepared.Clear();
        _variables.ResetAll();
        return new ExecuteResponse.Completed("DISCARD ALL");
    }

    private PreparedStatement Find(string name) =>
        _prepared.GetValueOrDefault(name) ?? throw new SqlException("26000", $"prepared statement \"{name}\" does not exist");

    private Portal FindPortal(string name) =>
        _portals.GetValueOrDefault(name) ?? throw new SqlException("34000", $"portal \"{name}\" does not exist");

    private static async ValueTask DisposePortalAsync(Portal portal)
    {
        if (portal.Suspended is ExecuteResponse.Rows rows)
            await rows.Source.DisposeAsync();
        if (portal.Cursor is { } cursor)
            await cursor.DisposeAsync();
    }

    private static SqlType? TypeOf(uint oid)
    {
        if (oid is 0 or PgType.UnknownOid)
            return null;
        return PgType.ByOid(oid) ?? throw new SqlException("0A000", $"unsupported parameter type: oid {oid}");
    }
}
