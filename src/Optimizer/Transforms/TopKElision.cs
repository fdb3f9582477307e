using Materialize.Expr;

namespace Materialize.Optimizer;

/// <summary>
/// A TopK without limit and offset is its input, and so is one whose groups have at most one row (a key within the group key) when the
/// limit is a positive literal.
/// </summary>
public sealed class TopKElision : LocalRewrite
{
    public override string Name => "topk_elision";

    protected override MirRelationExpr Rewrite(MirRelationExpr node, TransformContext context)
    {
        if (node is not MirRelationExpr.TopK { Offset: 0 } x)
            return node;
        if (x.Limit is null)
            return x.Input;
        var keepsOne = x.Limit is MirScalarExpr.Literal { Value: { IsNull: false } limit } && limit.AsInt64 >= 1;
        return keepsOne && x.Input.TypeOf().Keys.Any(key => key.All(c => x.GroupKey.Contains(c))) ? x.Input : node;
    }
}
