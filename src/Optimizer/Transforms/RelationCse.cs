using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>Equal subplans are one, bound by a Let. Maps, filters and projects of a bare collection are not worth it.</summary>
public sealed class RelationCse : ITransform
{
    private static readonly NormalizeLets Normalize = new();

    public string Name => "relation_cse";

    public MirRelationExpr Apply(MirRelationExpr plan, TransformContext context)
    {
        var bindings = new List<MirRelationExpr>();
        var known = new Dictionary<MirRelationExpr, MirRelationExpr>();
        var body = Bind(plan, new Dictionary<int, MirRelationExpr>(), bindings, known);
        for (var i = bindings.Count - 1; i >= 0; i--)
            body = new MirRelationExpr.Let(i, bindings[i], body);
        return Normalize.Apply(body, context);
    }

    /// <summary>A Get of the binding that holds the expression; every node becomes a binding over Gets, so equal ones meet.</summary>
    private static MirRelationExpr Bind(
        MirRelationExpr expr, Dictionary<int, MirRelationExpr> scope, List<MirRelationExpr> bindings, Dictionary<MirRelationExpr, MirRelationExpr> known)
    {
        switch (expr)
        {
            case MirRelationExpr.Get { Id: Id.Local local }:
                return scope[local.Number];
            case MirRelationExpr.Get:
                return expr;
            case MirRelationExpr.Let let:
                return Bind(let.Body, new Dictionary<int, MirRelationExpr>(scope) { [let.LocalId] = Bind(let.Value, scope, bindings, known) }, bindings, known);
        }

        var node = expr.Rebuild(input => Bind(input, scope, bindings, known));
        if (IsMfp(node) && Mfps.Extract(node).Input is MirRelationExpr.Get { Id: Id.Global })
            return node;
        if (!known.TryGetValue(node, out var get))
        {
            // The type of the expression itself: a Get's keys and nullability must not be less than the value's.
            get = new MirRelationExpr.Get(new Id.Local(bindings.Count), expr.TypeOf());
            bindings.Add(node);
            known.Add(node, get);
        }

        return get;
    }

    private static bool IsMfp(MirRelationExpr expr) => expr is MirRelationExpr.Map or MirRelationExpr.Filter or MirRelationExpr.Project;
}
