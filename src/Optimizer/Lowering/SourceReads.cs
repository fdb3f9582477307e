using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>
/// What a plan reads of each storage collection, so that the import can drop the rest at once: with one reader its whole
/// map, filter and project; with several, the columns that any of them needs.
/// </summary>
internal sealed class SourceReads
{
    private readonly Dictionary<GlobalId, List<Mfp>> _reads = [];

    public SourceReads(MirRelationExpr plan, IIndexOracle indexes) => Visit(plan, indexes);

    /// <summary>What is applied at the import.</summary>
    public Mfp Pushed(GlobalId id, int arity)
    {
        if (!_reads.TryGetValue(id, out var reads))
            return Mfp.Identity(arity);
        if (reads.Count == 1)
            return reads[0];
        var demand = new SortedSet<int>(reads.SelectMany(r => r.Demand()));
        return Mfp.Identity(arity).Project(demand.ToValueArray());
    }

    /// <summary>What a reader with <paramref name="mfp"/> has left to do after the import did <paramref name="pushed"/>.</summary>
    public Mfp Remaining(GlobalId id, Mfp mfp, Mfp pushed)
    {
        if (!_reads.TryGetValue(id, out var reads))
            return mfp;
        if (reads.Count == 1)
            return Mfp.Identity(pushed.OutputArity);
        var place = Enumerable.Range(0, pushed.OutputArity).ToDictionary(i => pushed.Projection[i]);
        return mfp.PermuteInput(pushed.OutputArity, c => place[c]);
    }

    private void Visit(MirRelationExpr expr, IIndexOracle indexes)
    {
        var (mfp, input) = Mfps.Extract(expr);
        if (input is MirRelationExpr.Get { Id: Id.Global global })
        {
            if (indexes.IndexesOn(global.GlobalId).Count > 0)
                return;
            if (!_reads.TryGetValue(global.GlobalId, out var reads))
                _reads.Add(global.GlobalId, reads = []);
            reads.Add(TemporalFilters.Split(mfp.Optimize()).Before);
            return;
        }

        foreach (var child in input.Children)
            Visit(child, indexes);
    }
}
