using Materialize.Compute.Kernels;
using Materialize.Core.Collections;
using Materialize.Dataflow;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Compute.Render;

// Joins. A stage looks the stream's rows up in an arrangement; both write their keys in the arrangement's layout, so that equal
// keys are equal bytes. A null in a stream key has no match: where the layout has room for it, the plan filters it out; where it has
// none, the split leaves the row out.
internal sealed partial class Render<TTime>
{
    private Bundle<TTime> Join(LirRelationExpr.Join node)
    {
        var inputs = node.Inputs.Select(Plan);
        return node.Plan switch
        {
            LirJoinPlan.Linear linear => LinearJoin(node, linear, inputs),
            LirJoinPlan.Delta delta => DeltaJoin(node, delta, inputs),
            _ => throw new System.Diagnostics.UnreachableException(node.Plan.GetType().Name),
        };
    }

    private Bundle<TTime> LinearJoin(LirRelationExpr.Join node, LirJoinPlan.Linear plan, ValueArray<Bundle<TTime>> inputs)
    {
        var source = inputs[plan.Source];
        var start = 0;
        Bundle<TTime> stream;
        if (plan.SourceKey is { } key && plan.Stages.Count > 0 && source.Find(key) is { } ready
            && ready.Shape.KeysMatch(inputs[plan.Stages[0].Input].Arrange(plan.Stages[0].LookupKey).Shape))
        {
            stream = JoinStage(source, ready, plan.Stages[0], inputs);
            start = 1;
        }
        else
        {
            var columns = plan.Stages.Count > 0 ? plan.Stages[0].StreamColumns : node.Columns;
            stream = Apply(source, plan.Initial, columns, "join source");
        }

        for (var i = start; i < plan.Stages.Count; i++)
        {
            var stage = plan.Stages[i];
            var lookup = inputs[stage.Input].Arrange(stage.LookupKey);
            var shape = ArrangementShape.Of(new ArrangementKey(stage.StreamKey), stream.Columns, lookup.Shape.KeyColumns);
            stream = JoinStage(stream, stream.Add(shape), stage, inputs);
        }

        // Errors of an input make the join an error even if no row of it finds a match. Gathered last: arranging adds to them.
        foreach (var i in Enumerable.Range(0, inputs.Count).Where(i => i != plan.Source))
            stream.WithErrors(inputs[i].Errors);
        return Relaid(stream, node.Columns);
    }

    private static Bundle<TTime> JoinStage(Bundle<TTime> stream, ArrangedCollection<TTime> left, LirJoinStage stage, ValueArray<Bundle<TTime>> inputs)
    {
        var right = inputs[stage.Input].Arrange(stage.LookupKey);
        var kernel = RowKernels.Mfp(stage.Closure, RowSource.Joined(left.Shape, right.Shape), stage.Output);
        if (kernel.IsTemporal)
            throw new UnsupportedPlanException("a temporal filter within a join is not supported");
        var joined = left.Arranged.Join("join", right.Arranged, kernel.Kernel, kernel.Shape);
        return Bundle<TTime>.OfStream(joined, stage.Output, stream.Errors);
    }

    private Bundle<TTime> DeltaJoin(LirRelationExpr.Join node, LirJoinPlan.Delta plan, ValueArray<Bundle<TTime>> inputs)
    {
        // All arrangements first: every path looks into those of the others.
        foreach (var stage in plan.Paths.SelectMany(p => p.Stages))
            inputs[stage.Input].Arrange(stage.LookupKey);
        var rows = new List<Stream<TTime>>();
        var errors = new List<Stream<TTime>>();
        foreach (var path in plan.Paths)
        {
            var source = inputs[path.Source].Arrange(path.SourceKey);
            var columns = path.Stages.Count > 0 ? path.Stages[0].StreamColumns : node.Columns;
            var initial = RowKernels.Mfp(path.Initial, RowSource.Arranged(source.Shape), columns);
            var stream = source.Arranged.AsStream("delta", initial.Kernel, initial.Shape);
            errors.Add(stream.Errors);
            foreach (var stage in path.Stages)
            {
                var lookup = inputs[stage.Input].Arrange(stage.LookupKey);
                var shape = ArrangementShape.Of(new ArrangementKey(stage.StreamKey), columns, lookup.Shape.KeyColumns);
                var kernel = RowKernels.Mfp(stage.Closure, RowSource.Joined(shape, lookup.Shape), stage.Output);
                stream = stream.Ok.HalfJoin(
                    "half join",
                    RowKernels.Split(RowSource.Whole(columns), shape),
                    shape.ValueLayout.Shape,
                    lookup.Arranged,
                    stage.Input < path.Source ? HalfJoinTimes.Strict : HalfJoinTimes.Inclusive,
                    kernel.Kernel,
                    kernel.Shape);
                errors.Add(stream.Errors);
                columns = stage.Output;
            }

            var laid = Bundle<TTime>.OfStream(stream.Ok, scope.Empty(Bundle<TTime>.ErrorShape), columns);
            rows.Add(laid.OkAs(node.Columns));
        }

        errors.AddRange(inputs.Select(i => i.Errors));
        return Bundle<TTime>.OfStream(rows[0].Concat([.. rows.Skip(1)]), errors[0].Concat([.. errors.Skip(1)]), node.Columns);
    }

    private static Bundle<TTime> Relaid(Bundle<TTime> bundle, ValueArray<ColumnType> columns)
    {
        if (Layouts.AreEqual(bundle.Columns, columns))
            return bundle;
        var rows = bundle.OkAs(columns);
        return Bundle<TTime>.OfStream(rows, bundle.Errors, columns);
    }
}
