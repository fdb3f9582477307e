using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>
/// <c>(a ⋈ b) ⋈ c = a ⋈ b ⋈ c</c>, whatever maps, filters and projects lie between; units (one row, no columns) go; a join of one input is
/// that input, filtered.
/// </summary>
public sealed class JoinFusion : LocalRewrite
{
    public override string Name => "join_fusion";

    protected override MirRelationExpr Rewrite(MirRelationExpr node, TransformContext context)
    {
        if (node is not MirRelationExpr.Join join)
            return node;
        if (!join.Inputs.Any(i => i.IsUnit() || Mfps.Extract(i).Input is MirRelationExpr.Join))
            return Small(join);

        var inputs = new List<MirRelationExpr>();
        var equivalences = new List<ValueArray<MirScalarExpr>>();
        var predicates = new List<MirScalarExpr>();
        var columns = new List<MirScalarExpr>();
        var arity = 0;
        foreach (var input in join.Inputs)
        {
            var (mfp, inner) = Mfps.Extract(input);
            if (input.IsUnit())
                continue;
            if (inner is MirRelationExpr.Join nested && !mfp.IsTemporal()
                && Inlining.Outputs(mfp) is { } outputs && Inlining.Predicates(mfp) is { } filters)
            {
                inputs.AddRange(nested.Inputs);
                equivalences.AddRange(nested.Equivalences.Select(c => c.Select(m => m.Shift(arity))));
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
        return after.Optimize().Apply(Small(new MirRelationExpr.Join(inputs.ToValueArray(), equivalences.ToValueArray())));
    }

    private static MirRelationExpr Small(MirRelationExpr.Join join) => join.Inputs.Count switch
    {
        0 => new MirRelationExpr.Constant([new ConstantRow([], 1)], RelationType.Empty with { Keys = [[]] }),
        1 => Filter(join),
        _ => join,
    };

    private static MirRelationExpr Filter(MirRelationExpr.Join join)
    {
        var predicates = join.Equivalences.SelectMany(members => members.Count == 1
            ? [ScalarExprs.IsNotNull(members[0])]
            : members.Skip(1).Select(m => ScalarExprs.Eq(members[0], m)).ToArray()).ToValueArray();
        return predicates.IsEmpty ? join.Inputs[0] : new MirRelationExpr.Filter(join.Inputs[0], predicates);
    }
}
