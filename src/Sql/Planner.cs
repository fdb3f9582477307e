using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>
/// From statement to plan: names resolved, types checked, queries decorrelated. Pure: the catalog is a snapshot, nothing is done.
/// Start reading here; one file for each group of statements.
/// </summary>
public static partial class Planner
{
    /// <summary>The shape of a statement's result and of its parameters, for Parse and Describe.</summary>
    /// <param name="paramTypes">What the client said of <c>$1</c>…; null where it left the type open. May be shorter than the parameters are many.</param>
    /// <exception cref="SqlException">The statement cannot be planned; with a position where there is one.</exception>
    public static StatementDesc Describe(ISqlCatalog catalog, Ast.Statement statement, IReadOnlyList<SqlType?> paramTypes) =>
        throw new System.Diagnostics.UnreachableException();

    /// <summary>The plan of a statement with its parameters bound.</summary>
    /// <param name="sql">The statement's own text: prepared statements and cursors keep it.</param>
    /// <exception cref="SqlException">The statement cannot be planned.</exception>
    public static StatementPlan Plan(ISqlCatalog catalog, Ast.Statement statement, Params parameters, string sql = "") =>
        throw new System.Diagnostics.UnreachableException();
}
