using Materialize.Core.Collections;
using Materialize.Expr;

namespace Materialize.Optimizer;

/// <summary>Every join gets an implementation, and its inputs the arrangements that it looks up, where no index has them.</summary>
public sealed class JoinChoice : LocalRewrite
{
    public override string Name => "join_choice";

    protected override MirRelationExpr Rewrite(MirRelationExpr node, TransformContext context)
    {
        if (node is not MirRelationExpr.Join { Implementation: JoinImplementation.NotChosen } join || join.Inputs.Count < 2)
            return node;
        var implementation = JoinPlanning.Choose(join, context.Indexes, mayBeDelta: !context.InLoop);
        IEnumerable<JoinStep> steps = implementation switch
        {
            JoinImplementation.Linear linear => linear.Steps,
            JoinImplementation.Delta delta => delta.Paths.SelectMany(p => p),
            _ => [],
        };
        var keys = steps.ToLookup(s => s.Input, s => s.Key);
        var inputs = join.Inputs.Select((input, i) => Arrange(input, keys[i].Distinct().ToValueArray()));
        return join with { Inputs = inputs.ToValueArray(), Implementation = implementation };
    }

    private static MirRelationExpr Arrange(MirRelationExpr input, ValueArray<ValueArray<MirScalarExpr>> keys)
    {
        if (input is MirRelationExpr.ArrangeBy arranged)
            return arranged with { Keys = arranged.Keys.Concat(keys).Distinct().ToValueArray() };
        return keys.IsEmpty ? input : new MirRelationExpr.ArrangeBy(input, keys);
    }
}
