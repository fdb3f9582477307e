using Materialize.Core.Collections;
using Materialize.Expr;

namespace Materialize.Optimizer;

/// <summary>
/// <c>filter[p](t) ⋈ a = filter[p'](t ⋈ a)</c> where t is a collection with an index by which the join can look it up: reading the
/// arrangement that exists saves building another, and the filter is applied to what is found. Filters that are themselves a lookup stay.
/// </summary>
public sealed class IndexedJoinInputs : LocalRewrite
{
    public override string Name => "indexed_join_inputs";

    protected override MirRelationExpr Rewrite(MirRelationExpr node, TransformContext context)
    {
        if (node is not MirRelationExpr.Join { Implementation: JoinImplementation.NotChosen } join || join.Inputs.Count < 2)
            return node;
        var shape = new JoinShape(join);
        var chosen = Enumerable.Range(0, join.Inputs.Count).Where(i => IsWorthwhile(join, shape, i, context)).ToHashSet();
        return chosen.Count == 0
            ? node
            : JoinLifting.Lift(join, (i, _) => chosen.Contains(i), inner => ([inner], []), lifted => lifted);
    }

    private static bool IsWorthwhile(MirRelationExpr.Join join, JoinShape shape, int input, TransformContext context)
    {
        var (mfp, inner) = Mfps.Extract(join.Inputs[input]);
        if (mfp.IsIdentity || inner is not MirRelationExpr.Get { Id: Id.Global global })
            return false;
        var indexes = context.Indexes.IndexesOn(global.GlobalId);
        if (indexes.Count == 0 || AccessPath.Choose(indexes, mfp, null).Keys is not null || Inlining.Outputs(mfp) is not { } outputs)
            return false;
        var others = Enumerable.Range(0, join.Inputs.Count).Where(i => i != input).ToHashSet();

        // What the join equates with other inputs, over the collection's own columns.
        var known = shape.LookupKey(input, others, join.Equivalences).Select(k => k.MapColumns(c => outputs[c]));
        return indexes.Any(index => index.Key.Exprs.Count > 0 && index.Key.Exprs.All(known.Contains));
    }
}
