using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>What is computed from constants alone is a constant, within a limit of rows.</summary>
public sealed class ConstantRelations : LocalRewrite
{
    public override string Name => "constant_relations";

    protected override MirRelationExpr Rewrite(MirRelationExpr node, TransformContext context)
    {
        switch (node)
        {
            case MirRelationExpr.Project { Input: MirRelationExpr.Constant { Error: null } c } x:
                return new MirRelationExpr.Constant(
                    c.Rows.Select(r => r with { Values = x.Outputs.Select(o => r.Values[o]) }), new RelationType(x.Outputs.Select(o => c.Type.Columns[o])));
            default:
                return node;
        }
    }
}
