using Materialize.Expr;

namespace Materialize.Optimizer;

/// <summary>Gives functions of session and time their values.</summary>
public static class Unmaterializable
{
    /// <summary>Every call for which <paramref name="environment"/> gives a value is replaced by it.</summary>
    public static MirRelationExpr Substitute(MirRelationExpr plan, Func<UnmaterializableFunc, MirScalarExpr?> environment) =>
        MirScalars.MapScalars(
            plan.MapInputs(input => Substitute(input, environment)),
            scalar => scalar.Replace(e => e is MirScalarExpr.CallUnmaterializable call ? environment(call.Func) : null));

    /// <summary>The functions of session and time that the plan calls.</summary>
    public static IReadOnlySet<UnmaterializableFunc> In(MirRelationExpr plan)
    {
        var found = new HashSet<UnmaterializableFunc>();
        VisitRelation(plan);
        return found;

        void VisitRelation(MirRelationExpr expr)
        {
            foreach (var scalar in MirScalars.Scalars(expr))
                VisitScalar(scalar);
            foreach (var child in expr.Children)
                VisitRelation(child);
        }

        void VisitScalar(MirScalarExpr expr)
        {
            if (expr is MirScalarExpr.CallUnmaterializable call)
                found.Add(call.Func);
            foreach (var child in expr.Children)
                VisitScalar(child);
        }
    }
}
