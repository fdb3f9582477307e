using Materialize.Core.Collections;
using Materialize.Expr;

namespace Materialize.Optimizer;

/// <summary>Moves maps, filters and projects from on top of a join's inputs to on top of the join.</summary>
internal static class JoinLifting
{
    /// <param name="chooses">Of an input's index and what lies below its maps, filters and projects: whether to lift these.</param>
    /// <param name="expand">What takes the place of a lifted input: inputs, with equivalences over them.</param>
    /// <param name="build">Makes the new join.</param>
    public static MirRelationExpr Lift(
        MirRelationExpr.Join join,
        Func<int, MirRelationExpr, bool> chooses,
        Func<MirRelationExpr, (ValueArray<MirRelationExpr> Inputs, ValueArray<ValueArray<MirScalarExpr>> Equivalences)> expand,
        Func<MirRelationExpr.Join, MirRelationExpr> build)
    {
        var inputs = new List<MirRelationExpr>();
        var equivalences = new List<ValueArray<MirScalarExpr>>();
        var predicates = new List<MirScalarExpr>();

        // Each old column as an expression over the new inputs.
        var columns = new List<MirScalarExpr>();
        var arity = 0;
        for (var i = 0; i < join.Inputs.Count; i++)
        {
            var input = join.Inputs[i];
            var (mfp, inner) = Mfps.Extract(input);
            if (chooses(i, inner) && !mfp.IsTemporal() && Inlining.Outputs(mfp) is { } outputs && Inlining.Predicates(mfp) is { } filters)
            {
                var (newInputs, newEquivalences) = expand(inner);
                inputs.AddRange(newInputs);
                equivalences.AddRange(newEquivalences.Select(c => c.Select(m => m.Shift(arity))));
                predicates.AddRange(filters.Select(p => p.Shift(arity)));
                columns.AddRange(outputs.Select(o => o.Shift(arity)));
                arity += inner.Arity();
            }
            else
            {
                inputs.Add(input);
                columns.AddRange(Enumerable.Range(arity, input.Arity()).Select(ScalarExprs.Column));
                arity += input.Arity();
            }
        }

        equivalences.AddRange(join.Equivalences.Select(c => c.Select(m => m.MapColumns(i => columns[i]))));
        var after = Mfp.Identity(arity).Filter(predicates).Map(columns);
        after = after.Project(Enumerable.Range(arity, columns.Count).ToValueArray());
        return after.Optimize().Apply(build(new MirRelationExpr.Join(inputs.ToValueArray(), equivalences.ToValueArray())));
    }
}
