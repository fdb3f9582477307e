using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>
/// A Get of a view that no index has = a Let of the view's plan. Each view is bound once, outermost, in the order of their
/// dependencies, so that what several views share is computed once.
/// </summary>
public static class ViewExpansion
{
    public static MirRelationExpr Expand(MirRelationExpr query, IDataflowCatalog catalog)
    {
        var views = new Dictionary<GlobalId, int>();
        var bindings = new List<(int LocalId, MirRelationExpr Value)>();

        // Local ids above all that any plan uses: an inner Let must not hide an outer view.
        var nextLocal = 0;
        var plans = new Dictionary<GlobalId, MirRelationExpr>();
        Gather(query);
        var body = Replace(query);
        for (var i = bindings.Count - 1; i >= 0; i--)
            body = new MirRelationExpr.Let(bindings[i].LocalId, bindings[i].Value, body);
        return body;

        void Gather(MirRelationExpr expr)
        {
            switch (expr)
            {
                case MirRelationExpr.Let let:
                    nextLocal = Math.Max(nextLocal, let.LocalId + 1);
                    break;
                case MirRelationExpr.LetRec recursion:
                    nextLocal = Math.Max(nextLocal, recursion.Bindings.Max(b => b.LocalId) + 1);
                    break;
                case MirRelationExpr.Get { Id: Id.Global g } when !plans.ContainsKey(g.GlobalId)
                    && catalog.IndexesOn(g.GlobalId).Count == 0
                    && catalog.Describe(g.GlobalId) is CollectionSource.View view:
                    plans.Add(g.GlobalId, view.Plan);
                    Gather(view.Plan);
                    break;
            }

            foreach (var child in expr.Children)
                Gather(child);
        }

        MirRelationExpr Replace(MirRelationExpr expr)
        {
            if (expr is not MirRelationExpr.Get { Id: Id.Global g } get || !plans.TryGetValue(g.GlobalId, out var plan))
                return expr.MapInputs(Replace);
            if (!views.TryGetValue(g.GlobalId, out var local))
            {
                var value = Replace(plan);
                local = nextLocal++;
                views.Add(g.GlobalId, local);
                bindings.Add((local, value));
            }

            return get with { Id = new Id.Local(local) };
        }
    }
}
