using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Protocol;

namespace Materialize.Optimizer;

internal sealed partial class LirLowering
{
    private Lowered LowerJoin(MirRelationExpr.Join join, Mfp mfp)
    {
        foreach (var member in join.Equivalences.SelectMany(c => c))
            TemporalFilters.CheckFree(member);
        if (join.Inputs.Count == 1)
            return Lower(mfp.Apply(Equalities(join)));
        var implementation = join.Implementation is JoinImplementation.NotChosen
            ? JoinPlanning.Choose(join, _indexes)
            : join.Implementation;
        return implementation switch
        {
            JoinImplementation.Linear linear => LowerLinear(join, linear, mfp),
            JoinImplementation.Delta delta => LowerDelta(join, delta, mfp),
            _ => throw new InvalidOperationException("the join has no implementation"),
        };
    }

    /// <summary>A join of one input is a filter.</summary>
    private static MirRelationExpr Equalities(MirRelationExpr.Join join) => new MirRelationExpr.Filter(
        join.Inputs[0],
        join.Equivalences.SelectMany(members => members.Count == 1
            ? [ScalarExprs.IsNotNull(members[0])]
            : members.Skip(1).Select(m => ScalarExprs.Eq(members[0], m))).ToValueArray());

    private Lowered LowerLinear(MirRelationExpr.Join join, JoinImplementation.Linear linear, Mfp mfp)
    {
        var shape = new JoinShape(join);
        var inputs = new Lowered[join.Inputs.Count];
        var streamKey = shape.StreamKey(linear.Steps[0].Input, linear.Steps[0].Key, new HashSet<int> { linear.Start }, join.Equivalences);
        var sourceKey = streamKey is { } key ? new ArrangementKey(key.Select(k => shape.ToLocal(k, linear.Start))) : null;

        // An arrangement of the source by the very key of the first lookup is used as it is.
        inputs[linear.Start] = LowerJoinInput(join.Inputs[linear.Start], sourceKey, build: false);
        if (!inputs[linear.Start].Arrangements.Any(a => a == sourceKey))
            sourceKey = null;
        foreach (var step in linear.Steps)
            inputs[step.Input] = LowerJoinInput(join.Inputs[step.Input], new ArrangementKey(step.Key), build: true);

        var lowering = new JoinLowering(shape, join.Equivalences, [.. inputs.Select(i => i.Plan.Columns)], mfp);
        var (initial, stages) = lowering.Path(linear.Start, linear.Steps, sourceKey is not null);
        return new Lowered(new LirRelationExpr.Join(
            inputs.Select(i => i.Plan).ToValueArray(),
            new LirJoinPlan.Linear(linear.Start, sourceKey, initial, stages),
            stages[^1].Output));
    }

    private Lowered LowerDelta(MirRelationExpr.Join join, JoinImplementation.Delta delta, Mfp mfp)
    {
        var shape = new JoinShape(join);
        var keys = Enumerable.Range(0, join.Inputs.Count)
            .Select(i => delta.Paths.SelectMany(p => p).Where(s => s.Input == i).Select(s => new ArrangementKey(s.Key)).Distinct().ToValueArray())
            .ToList();
        var inputs = new Lowered[join.Inputs.Count];
        for (var i = 0; i < inputs.Length; i++)
        {
            inputs[i] = LowerJoinInput(join.Inputs[i], keys[i][0], build: true);
            foreach (var key in keys[i].Skip(1))
                inputs[i] = AddArrangement(join.Inputs[i], inputs[i], key);
        }

        var lowering = new JoinLowering(shape, join.Equivalences, [.. inputs.Select(i => i.Plan.Columns)], mfp);
        var paths = delta.Paths.Select((steps, source) =>
        {
            var (initial, stages) = lowering.Path(source, steps, sourceDirect: false);
            return new LirDeltaPath(source, keys[source][0], initial, stages);
        }).ToList();

        // All paths give the same columns; what one knows of nulls, another may not.
        var columns = paths[0].Stages[^1].Output
            .Select((c, i) => c with { IsNullable = paths.Any(p => p.Stages[^1].Output[i].IsNullable) })
            .ToValueArray();
        paths = [.. paths.Select(p => p with { Stages = p.Stages.Set(p.Stages.Count - 1, p.Stages[^1] with { Output = columns }) })];
        return new Lowered(new LirRelationExpr.Join(inputs.Select(i => i.Plan).ToValueArray(), new LirJoinPlan.Delta(paths.ToValueArray()), columns));
    }

    /// <param name="build">Whether the arrangement is to be built if there is none.</param>
    private Lowered LowerJoinInput(MirRelationExpr input, ArrangementKey? key, bool build)
    {
        if (input is MirRelationExpr.ArrangeBy arranged && (!build || arranged.Keys.Contains(key!.Exprs)))
            input = build || arranged.Input is not MirRelationExpr.Get { Id: Id.Global } ? arranged : arranged.Input;
        var lowered = input switch
        {
            MirRelationExpr.Get { Id: Id.Global } get => LowerGlobal(get, Mfp.Identity(get.Type.Arity), key),
            MirRelationExpr.ArrangeBy { Input: MirRelationExpr.Get { Id: Id.Global } get } x =>
                Arrange(LowerGlobal(get, Mfp.Identity(get.Type.Arity), key), x.Keys.Select(k => new ArrangementKey(k))
                    .Where(k => !_indexes.IndexesOn(((Id.Global)get.Id).GlobalId).Any(i => i.Key == k)).ToValueArray()),
            _ => Lower(input),
        };
        return build ? AddArrangement(input, lowered, key!) : lowered;
    }

    /// <summary>Imports a further index of a bare collection, or builds the arrangement.</summary>
    private Lowered AddArrangement(MirRelationExpr input, Lowered lowered, ArrangementKey key)
    {
        if (lowered.Arrangements.Contains(key))
            return lowered;
        var bare = input is MirRelationExpr.ArrangeBy arranged ? arranged.Input : input;
        if (bare is MirRelationExpr.Get { Id: Id.Global global } get
            && _indexes.IndexesOn(global.GlobalId).FirstOrDefault(i => i.Key == key) is { } index)
        {
            ImportIndex(index, get.Type);
            return lowered with { Arrangements = lowered.Arrangements.Add(key) };
        }

        return Arrange(lowered, [key]);
    }
}
