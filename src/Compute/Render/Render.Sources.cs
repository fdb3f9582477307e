using Materialize.Compute.Kernels;
using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Compute.Render;

// Leaves of a plan.
internal sealed partial class Render<TTime>
{
    private Bundle<TTime> Constant(LirRelationExpr.Constant node)
    {
        if (node.Error is { } error)
            return Failed(node.Columns, error);
        using var rows = new RowWriter(RowLayout.For(node.Columns).Shape);
        var diffs = new long[node.Rows.Count];
        for (var i = 0; i < diffs.Length; i++)
        {
            RowKernels.Encode(node.Columns, node.Rows[i].Values, rows);
            diffs[i] = node.Rows[i].Diff;
        }

        return Bundle<TTime>.OfStream(Feed("constant", rows, diffs), scope.Empty(Bundle<TTime>.ErrorShape), node.Columns);
    }

    private Stream<TTime> ErrorConstant(EvalError error)
    {
        using var rows = new RowWriter(Bundle<TTime>.ErrorShape);
        RowKernels.Encode(error, rows);
        return Feed("constant error", rows, [1]);
    }

    private Stream<TTime> Feed(string name, RowWriter rows, long[] diffs) => feed(name, rows, diffs);

    private Bundle<TTime> Get(LirRelationExpr.Get node)
    {
        var collection = Collection(node.Id);
        if (node.Key is not { } key)
            return Apply(collection, node.Mfp, node.Columns, "get");

        var arranged = collection.Arrange(key);
        if (node.Literals is { } literals)
            return GetLiterals(collection, arranged, literals, node);
        if (node.Mfp.IsIdentity && Layouts.AreEqual(collection.Columns, node.Columns))
            return collection;
        return ApplyToArrangement(collection, arranged, node.Mfp, node.Columns, "get");
    }

    /// <summary>Only some keys: a join with the arrangement of these keys, which visits nothing else.</summary>
    private Bundle<TTime> GetLiterals(Bundle<TTime> collection, ArrangedCollection<TTime> arranged, ValueArray<ValueArray<Datum>> literals, LirRelationExpr.Get node)
    {
        using var keys = new RowWriter(arranged.Shape.KeyLayout.Shape);
        foreach (var key in literals.Distinct())
            RowKernels.Encode(arranged.Shape.KeyColumns, key, keys);
        var diffs = new long[keys.Count];
        diffs.AsSpan().Fill(1);
        var wanted = Feed("literal keys", keys, diffs).Arrange("arrange literal keys", null, arranged.Shape.KeyLayout.Shape, RowShape.Empty);
        var source = RowSource.Arranged(arranged.Shape);
        var kernel = RowKernels.Mfp(node.Mfp, source, node.Columns);
        if (!kernel.IsTemporal)
        {
            return Bundle<TTime>.OfStream(
                arranged.Arranged.Join("look up", wanted.Arranged, kernel.Kernel, kernel.Shape), node.Columns, collection.Errors, wanted.Errors);
        }

        var rows = arranged.Arranged.Join(
            "look up", wanted.Arranged, RowKernels.Project(source, collection.Columns), RowLayout.For(collection.Columns).Shape);
        var found = Bundle<TTime>.OfStream(rows, collection.Columns, collection.Errors, wanted.Errors);
        return Apply(found, node.Mfp, node.Columns, "get");
    }
}
