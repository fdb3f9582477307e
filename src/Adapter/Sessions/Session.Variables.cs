using Materialize.Core.Collections;
using Materialize.Repr;
using Materialize.Sql;

namespace Materialize.Adapter;

internal sealed partial class Session
{
    private ExecuteResponse ExecuteVariables(StatementPlan plan)
    {
        switch (plan)
        {
            case StatementPlan.SetVariable x:
                SetVariable(x.Name, x.Values is { } values ? [.. values] : null, x.IsLocal);
                return new ExecuteResponse.Completed("SET");
            case StatementPlan.ResetVariable x:
                SetVariable(x.Name, null, isLocal: false);
                return new ExecuteResponse.Completed("RESET");
            case StatementPlan.ShowVariable x:
                var variable = VariableTable.Find(x.Name) ?? throw new SqlException("42704", $"unrecognized configuration parameter \"{x.Name}\"");
                return TextRows([variable.Name], [[Datum.FromString(_variables.Get(variable))]]);
            case StatementPlan.ShowAllVariables:
                var rows = VariableTable.Variables
                    .OrderBy(v => v.Name, StringComparer.OrdinalIgnoreCase)
                    .Select(v => (ValueArray<Datum>)[Datum.FromString(v.Name), Datum.FromString(_variables.Get(v)), Datum.FromString(v.Description)]);
                return TextRows(["name", "setting", "description"], [.. rows]);
            case StatementPlan.SetTransaction x:
                if (_transaction is { HasWork: true })
                    throw new SqlException("25001", "SET TRANSACTION ISOLATION LEVEL must be called before any query");
                if (x.IsLocal)
                    ApplyModes(x.Modes);
                else if (x.Modes.Isolation is { } isolation)
                    SetIsolation(isolation, isLocal: false);
                return new ExecuteResponse.Completed("SET");
            default:
                throw new System.Diagnostics.UnreachableException(plan.GetType().Name);
        }
    }

    private void SetVariable(string name, IReadOnlyList<string>? values, bool isLocal)
    {
        if (name.Equals("cluster", StringComparison.OrdinalIgnoreCase) && _transaction is { IsExplicit: true, HasWork: true })
            throw new SqlException("25001", "SET cluster cannot be called in an active transaction");
        if (isLocal && _transaction is not { IsExplicit: true })
            Notice("25P01", "SET LOCAL can only be used in transaction blocks", "WARNING");
        _variables.Set(name, values, isLocal);
        var state = _services.Catalog.State;
        switch (name.ToLowerInvariant())
        {
            case "transaction_isolation" when values is [var level] && level.ToLowerInvariant() is "read uncommitted" or "read committed" or "repeatable read":
                Notice("00000", "transaction isolation level is upgraded to serializable");
                break;
            case "database" when _variables.Get("database") is { } database && !state.Databases.Values.Any(d => d.Name == database):
                Notice("MZ006", $"database \"{database}\" does not exist");
                break;
            case "cluster" when _variables.Get("cluster") is { } cluster && !state.Clusters.Values.Any(c => c.Name == cluster):
                Notice("MZ007", $"cluster \"{cluster}\" does not exist");
                break;
        }
    }

    private static ExecuteResponse.Rows TextRows(string[] names, ValueArray<Datum>[] rows, string command = "SELECT")
    {
        var columns = names.Select(_ => SqlType.String.Nullable(false)).ToValueArray();
        var desc = new RelationDesc(new RelationType(columns), [.. names]);
        return new ExecuteResponse.Rows(desc, ConstantRows.Of(columns, rows), command);
    }
}
