using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>
/// Turns the chosen order of a join into stages: which key each lookup uses, which equalities and predicates its closure checks,
/// which columns it keeps. Equalities are checked at the first stage that knows both sides.
/// </summary>
internal sealed class JoinLowering
{
    private readonly JoinShape _shape;
    private readonly ValueArray<ValueArray<MirScalarExpr>> _equivalences;
    private readonly ValueArray<ColumnType>[] _columns;
    private readonly List<MirScalarExpr> _residuals;
    private readonly Mfp _final;
    private readonly ValueArray<ColumnType> _global;

    /// <param name="columns">What each input, as lowered, gives.</param>
    /// <param name="after">Over the concatenated columns; not temporal.</param>
    public JoinLowering(JoinShape shape, ValueArray<ValueArray<MirScalarExpr>> equivalences, ValueArray<ColumnType>[] columns, Mfp after)
    {
        _shape = shape;
        _equivalences = equivalences.Select(c => c.Distinct().ToValueArray());
        _columns = columns;
        _global = columns.SelectMany(c => c).ToValueArray();

        // Predicates over input columns need not wait for the last stage.
        var early = after.Predicates.Where(p => p.Before == after.InputArity).ToList();
        _residuals = [.. early.Select(p => p.Expr)];
        _final = after with { Predicates = after.Predicates.Where(p => !early.Contains(p)).ToValueArray() };
    }

    /// <summary>A chain of lookups from <paramref name="source"/>.</summary>
    /// <param name="sourceDirect">Whether the first stage joins an arrangement of the source, so that nothing can be done before it.</param>
    /// <returns>What is applied to the source's columns, and the stages.</returns>
    public (Mfp Initial, ValueArray<LirJoinStage> Stages) Path(int source, IReadOnlyList<JoinStep> steps, bool sourceDirect)
    {
        var bound = new HashSet<int> { source };
        var enforced = _equivalences.Select(_ => new List<MirScalarExpr>());
        var residuals = _residuals.ToList();
        var stages = new List<LirJoinStage>();

        // What each step will need of what is bound before it.
        var streamKeys = new ValueArray<MirScalarExpr>[steps.Count];
        for (var i = 0; i < steps.Count; i++)
        {
            streamKeys[i] = _shape.StreamKey(steps[i].Input, steps[i].Key, bound, _equivalences)
                ?? throw new InvalidOperationException("a join step looks up a key that nothing before it knows");
            bound.Add(steps[i].Input);
        }

        bound = [source];
        var stream = Enumerable.Range(_shape.Offsets[source], _shape.Arities[source]).ToList();
        var types = _columns[source];
        var initial = Mfp.Identity(types.Count);
        var predicates = NewPredicates(bound, -1, [], [], enforced, residuals);
        var carried = new List<MirScalarExpr>();
        if (sourceDirect)
        {
            carried.AddRange(predicates);
        }
        else
        {
            if (steps.Count > 0)
                predicates.AddRange(NotNull(streamKeys[0], steps[0]));
            (initial, stream, types) = Close(stream, types, predicates, bound, steps, 0, streamKeys, residuals, enforced);
        }

        for (var i = 0; i < steps.Count; i++)
        {
            var step = steps[i];
            var key = streamKeys[i].Select(k => ToStream(k, stream));
            var known = new HashSet<int>(bound);
            bound.Add(step.Input);
            predicates = [.. carried, .. NewPredicates(bound, step.Input, streamKeys[i], step.Key, enforced, residuals)];
            carried.Clear();
            if (i == 0 && sourceDirect)
                predicates.AddRange(NotNull(streamKeys[0], step));
            if (i + 1 < steps.Count)
                predicates.AddRange(NotNull(streamKeys[i + 1], steps[i + 1]));
            var before = types;
            List<int> both = [.. stream, .. Enumerable.Range(_shape.Offsets[step.Input], _shape.Arities[step.Input])];
            Mfp closure;
            (closure, stream, types) = Close(both, [.. types, .. _columns[step.Input]], predicates, bound, steps, i + 1, streamKeys, residuals, enforced);
            stages.Add(new LirJoinStage(step.Input, key, new ArrangementKey(step.Key), before, closure, types));
        }

        return (initial, stages.ToValueArray());
    }

    /// <summary>Two nullable sides would find each other's nulls in the arrangement, which SQL equality does not.</summary>
    private IEnumerable<MirScalarExpr> NotNull(ValueArray<MirScalarExpr> streamKey, JoinStep step)
    {
        for (var i = 0; i < streamKey.Count; i++)
        {
            if (streamKey[i].TypeOf(_global).IsNullable && step.Key[i].TypeOf(_columns[step.Input]).IsNullable)
                yield return ScalarExprs.IsNotNull(streamKey[i]);
        }
    }

    /// <summary>The equalities and residual predicates that can be checked now and could not before.</summary>
    private List<MirScalarExpr> NewPredicates(
        HashSet<int> bound,
        int looked,
        ValueArray<MirScalarExpr> streamKey,
        ValueArray<MirScalarExpr> lookupKey,
        ValueArray<List<MirScalarExpr>> enforced,
        List<MirScalarExpr> residuals)
    {
        var predicates = new List<MirScalarExpr>();
        for (var c = 0; c < _equivalences.Count; c++)
        {
            var members = _equivalences[c];
            var equal = enforced[c];
            for (var k = 0; k < lookupKey.Count; k++)
            {
                var global = _shape.ToGlobal(lookupKey[k], looked);
                if (members.Contains(global) && members.Contains(streamKey[k]) && !equal.Contains(global))
                    equal.Add(global);
            }

            foreach (var member in members)
            {
                if (equal.Contains(member) || !_shape.IsOver(member, bound))
                    continue;
                if (equal.Count > 0)
                    predicates.Add(ScalarExprs.Eq(equal[0], member));
                else if (members.Count == 1 && member.TypeOf(_global).IsNullable)
                    predicates.Add(ScalarExprs.IsNotNull(member));
                equal.Add(member);
            }
        }

        foreach (var residual in residuals.Where(r => _shape.IsOver(r, bound)).ToList())
        {
            predicates.Add(residual);
            residuals.Remove(residual);
        }

        return predicates;
    }

    /// <summary>Filters, then keeps the columns that a later stage reads; after the last stage, the final map, filter and project.</summary>
    private (Mfp Closure, List<int> Stream, ValueArray<ColumnType> Types) Close(
        List<int> columns,
        ValueArray<ColumnType> types,
        List<MirScalarExpr> predicates,
        HashSet<int> bound,
        IReadOnlyList<JoinStep> steps,
        int next,
        ValueArray<MirScalarExpr>[] streamKeys,
        List<MirScalarExpr> residuals,
        ValueArray<List<MirScalarExpr>> enforced)
    {
        var closure = Mfp.Identity(columns.Count).Filter(predicates.Select(p => ToStream(p, columns)));
        if (next == steps.Count)
        {
            var place = new Dictionary<int, int>();
            for (var i = 0; i < columns.Count; i++)
                place.TryAdd(columns[i], i);
            closure = closure.Then(_final.PermuteInput(columns.Count, c => place[c])).Optimize();
            return (closure, [], closure.TypeOf(types));
        }

        ISet<int> demand = _final.Demand();
        foreach (var residual in residuals)
            residual.AddSupport(demand);
        for (var i = next; i < steps.Count; i++)
        {
            foreach (var key in streamKeys[i])
                key.AddSupport(demand);
        }

        for (var c = 0; c < _equivalences.Count; c++)
        {
            var open = _equivalences[c].Where(m => !enforced[c].Contains(m)).ToList();
            foreach (var member in open)
                member.AddSupport(demand);
            if (open.Count > 0 && enforced[c].Count > 0)
                enforced[c][0].AddSupport(demand);
        }

        var kept = Enumerable.Range(0, columns.Count).Where(i => demand.Contains(columns[i])).ToList();
        closure = closure.Project(kept.ToValueArray());
        return (closure, [.. kept.Select(i => columns[i])], closure.TypeOf(types));
    }

    private static MirScalarExpr ToStream(MirScalarExpr expr, List<int> columns) => expr.Permute(c => columns.IndexOf(c));
}
