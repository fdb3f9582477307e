using Materialize.Compute.Kernels;
using Materialize.Core.Collections;
using Materialize.Dataflow;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Compute.Render;

// A window. What is stored of a row are the columns that its partition's key does not have, and those that calls read: columns of rows that calls pick can be null there, since the row may not exist. The result is made by one
// map over the parts that the operator gives: key, row, numbers, picked rows, results of aggregates by frame.
internal sealed partial class Render<TTime>
{
    private Bundle<TTime> Window(LirRelationExpr.Window node)
    {
        var input = Plan(node.Input);
        var types = node.Input.Columns;
        var rows = input.OkAs(types);
        var picked = node.Calls.SelectMany(c => c is WindowCall.Neighbour or WindowCall.Edge ? c.Columns : []).ToHashSet();
        var read = node.Calls.SelectMany(c => c.Columns).ToHashSet();
        var kept = Enumerable.Range(0, types.Count).Where(c => !node.PartitionKey.Contains(c) || read.Contains(c)).ToValueArray();
        var stored = kept.Select(c => picked.Contains(c) ? types[c] with { IsNullable = true } : types[c]);
        var keys = node.PartitionKey.Select(c => types[c]);
        var frames = node.Calls.OfType<WindowCall.Aggregate>().Select(a => a.Frame).Distinct().ToValueArray();
        var accumulations = frames.Select(f => Accumulation(node, f, kept, stored));
        var source = WindowSource(node, keys, kept, stored, frames, out var map);
        var finish = RowKernels.Mfp(map, source, node.Columns);
        var windows = rows.Window("window", new WindowPlan
        {
            Split = RowKernels.WindowSplit(
                RowSource.Whole(types), node.PartitionKey, node.OrderKey, ValueArray.Range(types.Count), kept, stored),
            KeyShape = RowLayout.For(keys).Shape,
            RowShape = RowLayout.For(stored).Shape,
            Functions = [.. node.Calls.Where(c => c is not WindowCall.Aggregate).Select(Function)],
            Accumulations = [.. accumulations],
            AbsentRow = RowKernels.AbsentRow(stored),
            NegativeError = EvalErrorCodec.Encode(new EvalError("XX000", "Invalid data in source, saw negative accumulation for a row")),
            Finish = finish.Kernel,
            Shape = finish.Shape,
        });
        return Bundle<TTime>.OfStream(windows, node.Columns, input.Errors);
    }

    private static WindowFunction Function(WindowCall call) => call switch
    {
        WindowCall.Number { Which: WindowNumber.RowNumber } => new WindowFunction.RowNumber(),
        WindowCall.Number { Which: WindowNumber.Rank } => new WindowFunction.Rank(),
        WindowCall.Number => new WindowFunction.DenseRank(),
        WindowCall.Neighbour x => new WindowFunction.Neighbour(x.Offset),
        WindowCall.Edge { Frame.HasCurrentRow: false } => throw new UnsupportedPlanException("first_value and last_value over a frame without the current row are not supported"),
        WindowCall.Edge { IsFirst: true } x => new WindowFunction.First(Range(x.Frame)),
        WindowCall.Edge x => new WindowFunction.Last(Range(x.Frame)),
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    private static WindowRange Range(WindowRows frame) => new(frame.Start, frame.End, frame.ToPeers);

    private static ValueArray<WindowCall.Aggregate> AggregatesOver(LirRelationExpr.Window node, WindowRows frame) =>
        node.Calls.OfType<WindowCall.Aggregate>().Where(a => a.Frame == frame).ToValueArray();

    private static WindowAccumulation Accumulation(LirRelationExpr.Window node, WindowRows frame, ValueArray<int> kept, ValueArray<ColumnType> stored)
    {
        if (frame.End is null || frame.Start > frame.End)
            throw new UnsupportedPlanException("aggregates over a frame without an end are not supported here");
        var calls = AggregatesOver(node, frame);
        var output = calls.Select(c => c.Output);
        var aggregates = calls.Select(c => (new AggregateExpr(c.Func, [new MirScalarExpr.Column(c.Column)], false, c.Output, [], []), (ValueArray<int>)[IndexOf(kept, c.Column)]));
        var plan = RowKernels.Accumulate(aggregates, [], stored, output);
        return new WindowAccumulation(Range(frame), plan.Width, plan.Accumulate, plan.Combine, plan.Finish, RowLayout.For(output).Shape);
    }

    /// <summary>The parts of which <paramref name="map"/> makes the node's rows.</summary>
    private static RowSource WindowSource(
        LirRelationExpr.Window node, ValueArray<ColumnType> keys, ValueArray<int> kept, ValueArray<ColumnType> stored, ValueArray<WindowRows> frames, out Mfp map)
    {
        const int rowPart = 1, numbersPart = 2;
        var number = SqlType.Int64.Nullable(false);
        var functions = node.Calls.Count(c => c is not WindowCall.Aggregate);
        List<ValueArray<ColumnType>> parts = [keys, stored, Enumerable.Repeat(number, functions).ToValueArray()];
        List<(int, int)> places = [];
        var arity = node.Input.Columns.Count;
        for (var c = 0; c < arity; c++)
            places.Add(IndexOf(kept, c) is >= 0 and var at ? (rowPart, at) : (0, IndexOf(node.PartitionKey, c)));

        var next = arity;
        for (var f = 0; f < functions; f++)
            places.Add((numbersPart, f));
        var aggregatePart = parts.Count + node.Calls.Count(c => c is WindowCall.Neighbour or WindowCall.Edge);
        var columns = new MirScalarExpr[node.Calls.Count];
        for (var i = 0; i < node.Calls.Count; i++)
        {
            // A column of the source; with a default, the choice between two.
            switch (node.Calls[i])
            {
                case WindowCall.Number:
                    columns[i] = new MirScalarExpr.Column(next++);
                    break;
                case WindowCall.Aggregate x:
                    columns[i] = new MirScalarExpr.Column(places.Count);
                    places.Add((aggregatePart + frames.AsSpan().IndexOf(x.Frame), AggregatesOver(node, x.Frame).AsSpan().IndexOf(x)));
                    break;
                case var x:
                    var pick = new MirScalarExpr.Column(places.Count);
                    places.Add((parts.Count, IndexOf(kept, x.Columns.First())));
                    parts.Add(stored);
                    var isThere = new MirScalarExpr.Column(next++);
                    columns[i] = x is WindowCall.Neighbour { Default: { } other }
                        ? new MirScalarExpr.If(
                            new MirScalarExpr.Call(ScalarFunctions.Eq, [isThere, new MirScalarExpr.Literal(Datum.FromInt64(1), number)], SqlType.Bool),
                            pick,
                            new MirScalarExpr.Column(other))
                        : pick;
                    break;
            }
        }

        foreach (var frame in frames)
            parts.Add(AggregatesOver(node, frame).Select(c => c.Output));
        map = new Mfp(places.Count, columns.ToValueArray(), [], [.. ValueArray.Range(arity), .. Enumerable.Range(places.Count, columns.Length)]);
        return new RowSource(parts.ToValueArray(), places.ToValueArray());
    }
}
