using Materialize.Expr;

namespace Materialize.Optimizer;

/// <summary>Questions about relational nodes.</summary>
public static class MirNodes
{
    /// <summary>Known to have no rows and no error.</summary>
    public static bool IsEmpty(this MirRelationExpr expr) => expr is MirRelationExpr.Constant { Error: null, Rows.IsEmpty: true };

    /// <summary>The identity of joins: one row without columns.</summary>
    public static bool IsUnit(this MirRelationExpr expr) =>
        expr is MirRelationExpr.Constant { Error: null, Rows: [{ Diff: 1, Values.IsEmpty: true }] };

    /// <summary>
    /// As <see cref="MirRelationExpr.MapInputs"/>, but the node itself when no input changed: what is known of a node (its type) and the
    /// test whether a round changed anything then cost nothing for the parts that stayed.
    /// </summary>
    public static MirRelationExpr Rebuild(this MirRelationExpr node, Func<MirRelationExpr, MirRelationExpr> f)
    {
        var changed = false;
        var mapped = node.MapInputs(input =>
        {
            var output = f(input);
            changed |= !ReferenceEquals(input, output);
            return output;
        });
        return changed ? mapped : node;
    }
}
