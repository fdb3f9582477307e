using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>What a dataflow uses each of its indexes for, in the words of EXPLAIN.</summary>
internal static class IndexUsages
{
    public static IReadOnlyDictionary<GlobalId, SortedSet<string>> Of(DataflowDescription dataflow)
    {
        var usages = dataflow.IndexImports.ToDictionary(i => i.Id, _ => new SortedSet<string>(StringComparer.Ordinal));
        foreach (var built in dataflow.Objects)
            Visit(built.Plan);
        foreach (var index in dataflow.IndexImports.Where(i => usages[i.Id].Count == 0))
            usages[index.Id].Add(dataflow.Objects.IsEmpty ? "plan root (no new arrangement)" : "*** full scan ***");
        return usages;

        void Visit(LirRelationExpr plan)
        {
            switch (plan)
            {
                case LirRelationExpr.Get { Key: { } key } get:
                    Use(get, key, get.Literals is null ? "*** full scan ***" : "lookup");
                    break;
                case LirRelationExpr.Join { Plan: LirJoinPlan.Linear linear } join:
                    for (var i = 0; i < join.Inputs.Count; i++)
                    {
                        var key = i == linear.Source ? linear.SourceKey : linear.Stages.FirstOrDefault(s => s.Input == i)?.LookupKey;
                        if (key is null || !TryUse(join.Inputs[i], key, "differential join"))
                            Visit(join.Inputs[i]);
                    }

                    break;
                case LirRelationExpr.Join { Plan: LirJoinPlan.Delta delta } join:
                    for (var i = 0; i < join.Inputs.Count; i++)
                    {
                        var keys = delta.Paths.SelectMany(p => p.Stages).Where(s => s.Input == i).Select(s => s.LookupKey).Distinct();
                        var used = false;
                        foreach (var key in keys)
                            used |= TryUse(join.Inputs[i], key, i == 0 ? "delta join 1st input (full scan)" : "delta join lookup");
                        if (!used)
                            Visit(join.Inputs[i]);
                    }

                    break;
                default:
                    foreach (var child in plan.Children)
                        Visit(child);
                    break;
            }
        }

        bool TryUse(LirRelationExpr input, ArrangementKey key, string usage)
        {
            while (input is LirRelationExpr.ArrangeBy arranged)
                input = arranged.Input;
            return input is LirRelationExpr.Get { Key: not null, Literals: null, Mfp.IsIdentity: true } get && Use(get, key, usage);
        }

        bool Use(LirRelationExpr.Get get, ArrangementKey key, string usage)
        {
            if (get.Id is not Id.Global global
                || dataflow.IndexImports.FirstOrDefault(i => i.Desc.OnId == global.GlobalId && i.Desc.Key == key) is not { } index)
            {
                return false;
            }

            usages[index.Id].Add(usage);
            return true;
        }
    }
}
