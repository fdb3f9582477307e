using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Expr;
using Materialize.Expr.Kernels;
using Materialize.Repr;

namespace Materialize.Compute.Kernels;

/// <summary>A map, filter and project ready to run.</summary>
/// <param name="Shape">Of the rows that it writes.</param>
/// <param name="IsTemporal">Whether it also says when rows are present.</param>
internal readonly record struct MfpKernel(RowKernel Kernel, RowShape Shape, bool IsTemporal);

/// <summary>
/// All kernels that rendering needs, in its own terms (row sources and column types). The one place that knows how they are made.
/// </summary>
internal static partial class RowKernels
{
    /// <summary>Applies <paramref name="mfp"/> to rows of <paramref name="source"/>; the result is laid out as <paramref name="columns"/>.</summary>
    public static MfpKernel Mfp(Mfp mfp, RowSource source, ValueArray<ColumnType> columns)
    {
        var layout = RowLayout.For(columns);
        return new MfpKernel(Compile(mfp, source, [(layout, ValueArray.Range(columns.Count))]), layout.Shape, IsTemporal(mfp));
    }

    /// <summary>All columns of the source, in order, laid out as <paramref name="columns"/>.</summary>
    public static RowKernel Project(RowSource source, ValueArray<ColumnType> columns) => Mfp(Expr.Mfp.Identity(columns.Count), source, columns).Kernel;

    /// <summary>Some columns of the source.</summary>
    public static RowKernel Project(RowSource source, ValueArray<int> outputs, ValueArray<ColumnType> columns) =>
        Mfp(Expr.Mfp.Identity(source.Places.Count) with { Projection = outputs }, source, columns).Kernel;

    /// <summary>
    /// Key and value rows of an arrangement. A row whose key is null where the key's layout has no null is left out: it can match nothing.
    /// </summary>
    public static RowKernel Split(RowSource source, ArrangementShape shape)
    {
        var arity = source.Places.Count;
        var types = source.Columns;
        var maps = shape.Key.Exprs;
        var predicates = new List<MfpPredicate>();
        for (var i = 0; i < maps.Count; i++)
        {
            if (!shape.KeyColumns[i].IsNullable && maps[i].TypeOf(types).IsNullable)
            {
                var isNull = new MirScalarExpr.Call(ScalarFunctions.IsNull, [new MirScalarExpr.Column(arity + i)], SqlType.Bool);
                predicates.Add(new MfpPredicate(arity + maps.Count, new MirScalarExpr.Call(ScalarFunctions.Not, [isNull], SqlType.Bool)));
            }
        }

        var keys = Enumerable.Range(0, maps.Count).ToValueArray();
        var values = Enumerable.Range(maps.Count, shape.Values.Count).ToValueArray();
        var mfp = new Mfp(arity, maps, predicates.ToValueArray(), [.. keys.Select(i => arity + i), .. shape.Values]);
        return Compile(mfp, source, [(shape.KeyLayout, keys), (shape.ValueLayout, values)]);
    }

    /// <summary>As <see cref="Split"/>, with columns for keys.</summary>
    public static RowKernel SplitColumns(
        RowSource source, ValueArray<int> keys, ValueArray<ColumnType> keyColumns, ValueArray<int> values, ValueArray<ColumnType> valueColumns)
    {
        var mfp = Expr.Mfp.Identity(source.Places.Count) with { Projection = [.. keys, .. values] };
        return Compile(
            mfp,
            source,
            [
                (RowLayout.For(keyColumns), ValueArray.Range(keys.Count)),
                (RowLayout.For(valueColumns), Enumerable.Range(keys.Count, values.Count).ToValueArray()),
            ]);
    }

    /// <summary>Whether a predicate speaks of <c>mz_now()</c>.</summary>
    public static bool IsTemporal(Mfp mfp) => mfp.Predicates.Any(p => MentionsNow(p.Expr));

    /// <summary>Appends a row of these types.</summary>
    public static void Encode(ValueArray<ColumnType> columns, ValueArray<Datum> values, RowWriter output) =>
        RowCodec.Pack(RowLayout.For(columns), values.AsSpan(), output);

    /// <exception cref="Render.UnsupportedPlanException">A temporal predicate of a kind that bounds no times.</exception>
    private static RowKernel Compile(Mfp mfp, RowSource source, ValueArray<(RowLayout Layout, ValueArray<int> Columns)> outputs)
    {
        try
        {
            return KernelCompiler.Tiered(
                new KernelInput(source.Parts.Select(RowLayout.For), source.Places), mfp, outputs.Select(o => new KernelOutput(o.Layout, o.Columns)));
        }
        catch (EvalException e)
        {
            throw new Render.UnsupportedPlanException(e.Error);
        }
    }

    private static bool MentionsNow(MirScalarExpr expr) =>
        expr is MirScalarExpr.CallUnmaterializable { Func: UnmaterializableFunc.MzNow } || expr.Children.Any(MentionsNow);
}
