using Materialize.Core.Collections;
using Materialize.Expr;

namespace Materialize.Optimizer;

/// <summary>
/// A join with an input that is the same relation as another input, matched with it on a key, adds only copies of columns:
/// <c>a ⋈[k] π(a) = a</c> with the columns repeated. Likewise for a distinct projection of the other input, matched on all its columns: what
/// a LATERAL subquery leaves that only shows columns of its left side. Null may match null.
/// </summary>
public sealed class RedundantJoin : LocalRewrite
{
    public override string Name => "redundant_join";

    protected override MirRelationExpr Rewrite(MirRelationExpr node, TransformContext context)
    {
        if (node is not MirRelationExpr.Join join)
            return node;
        var shape = new JoinShape(join);
        for (var i = join.Inputs.Count - 1; i >= 0; i--)
        {
            for (var a = 0; a < join.Inputs.Count; a++)
            {
                if (a != i && Copies(join, shape, i, a) is { } copies)
                    return Rewrite(Drop(join, shape, i, a, copies), context);
            }
        }

        return node;
    }

    /// <summary>For each column of input <paramref name="i"/>, the column of <paramref name="a"/> that it repeats; null if the join may do more than repeat.</summary>
    private static ValueArray<int>? Copies(MirRelationExpr.Join join, JoinShape shape, int i, int a)
    {
        bool Matched(int column, int source) => JoinEquivalences.Match(join.Equivalences, shape.Offsets[i] + column, shape.Offsets[a] + source);

        var (aMfp, aCore) = Mfps.Extract(join.Inputs[a]);
        if (aCore.TypeOf() is not { } type || aMfp.Maps.Count > 0)
            return null;

        // A projection of the same core without filters, matched on a key of it.
        var (mfp, core) = Mfps.Extract(join.Inputs[i]);
        if (core == aCore && mfp.Maps.IsEmpty && mfp.Predicates.IsEmpty)
        {
            var places = mfp.Projection.Select(c => Index(aMfp.Projection, c));
            var onKey = type.Keys.Any(key => key.All(c => mfp.Projection.Contains(c) && Index(aMfp.Projection, c) is >= 0 and var p && Matched(Index(mfp.Projection, c), p)));
            if (onKey && places.All(p => p >= 0))
                return places;
        }

        // The distinct values of some of its columns, each matched with the column it comes from.
        if (core is MirRelationExpr.Reduce { Aggregates.IsEmpty: true } distinct && mfp.Maps.IsEmpty && mfp.Predicates.IsEmpty
            && mfp.Projection.Distinct().Count() == distinct.GroupKey.Count)
        {
            var (inner, innerCore) = Mfps.Extract(distinct.Input);
            if (innerCore != aCore || !inner.Maps.IsEmpty || !inner.Predicates.IsEmpty || !distinct.GroupKey.All(k => k is MirScalarExpr.Column))
                return null;
            var sources = mfp.Projection.Select(o => Index(aMfp.Projection, inner.Projection[((MirScalarExpr.Column)distinct.GroupKey[o]).Index]));
            if (sources.Count == mfp.OutputArity && sources.All(s => s >= 0) && Enumerable.Range(0, sources.Count).All(c => Matched(c, sources[c])))
                return sources;
        }

        return null;
    }

    private static int Index(ValueArray<int> columns, int column)
    {
        for (var i = 0; i < columns.Count; i++)
        {
            if (columns[i] == column)
                return i;
        }

        return -1;
    }

    private static MirRelationExpr Drop(MirRelationExpr.Join join, JoinShape shape, int dropped, int a, ValueArray<int> copies)
    {
        var arity = shape.Arities[dropped];
        int Move(int column)
        {
            if (shape.InputOf(column) == dropped)
                column = shape.Offsets[a] + copies[column - shape.Offsets[dropped]];
            return column < shape.Offsets[dropped] ? column : column - arity;
        }

        var left = Enumerable.Range(0, join.Inputs.Count).Where(i => i != dropped).Select(i => join.Inputs[i]).ToValueArray();
        var types = left.SelectMany(i => i.TypeOf().Columns).ToValueArray();

        // A class that becomes one column still says that it is not null; one that becomes one expression that is never null says nothing.
        var equivalences = join.Equivalences.Select(e => e.Select(m => m.Permute(Move)).Distinct().ToValueArray())
            .Where(e => e.Count > 1 || e[0] is MirScalarExpr.Column || e[0].TypeOf(types).IsNullable).ToValueArray();
        var smaller = new MirRelationExpr.Join(left, equivalences);
        return new MirRelationExpr.Project(smaller, Enumerable.Range(0, shape.Arity).Select(Move).ToValueArray());
    }
}
