using Materialize.Core.Collections;
using Materialize.Expr;

namespace Materialize.Optimizer;

/// <summary>
/// <c>a ⋈ distinct(b ⋈ distinct(a.k)) = a ⋈ distinct(b)</c>: what the outer join keeps of b's keys are a's anyway, so restricting b to them
/// first is work for nothing. Magic sets of subqueries that turned out to be plain semijoins leave this shape.
/// </summary>
public sealed class SemijoinIdempotence : LocalRewrite
{
    public override string Name => "semijoin_idempotence";

    protected override MirRelationExpr Rewrite(MirRelationExpr node, TransformContext context)
    {
        if (node is not MirRelationExpr.Join join)
            return node;
        var shape = new JoinShape(join);
        for (var i = 0; i < join.Inputs.Count; i++)
        {
            for (var a = 0; a < join.Inputs.Count; a++)
            {
                if (a != i && Unrestricted(join, shape, i, a) is { } replaced)
                    return Rewrite(join with { Inputs = join.Inputs.Set(i, replaced) }, context);
            }
        }

        return node;
    }

    /// <summary>Input <paramref name="i"/> without an inner semijoin with the distinct keys of input <paramref name="a"/>; null if it has none.</summary>
    private static MirRelationExpr? Unrestricted(MirRelationExpr.Join join, JoinShape shape, int i, int a)
    {
        // Input i: a projection of reduce(projection of join(…, keys, …)), with the keys among its group keys.
        var (top, below) = Mfps.Extract(join.Inputs[i]);
        MirRelationExpr.Reduce? reduce = null;
        var (inner, core) = (top, below);
        if (below is MirRelationExpr.Reduce r)
        {
            reduce = r;
            (inner, core) = Mfps.Extract(r.Input);
        }

        if (core is not MirRelationExpr.Join nested || nested.Inputs.Count < 2)
            return null;
        var nestedShape = new JoinShape(nested);
        for (var k = 0; k < nested.Inputs.Count; k++)
        {
            if (KeySource(nested.Inputs[k]) is not { } source || source.Of != join.Inputs[a])
                continue;

            // Each column of the keys: equal, in the nested join, to a column that remains; and shown by input i where the outer join
            // equates it with the very column of a that it was taken from.
            var stands = new Dictionary<int, MirScalarExpr>();
            var matches = true;
            for (var c = 0; c < nestedShape.Arities[k] && matches; c++)
            {
                var column = nestedShape.Offsets[k] + c;
                var own = nested.Equivalences.FirstOrDefault(e => e.Contains(ScalarExprs.Column(column)));
                var stand = own.FirstOrDefault(m => m is MirScalarExpr.Column other && nestedShape.InputOf(other.Index) != k);
                var shown = ShownAs(column, nested, top, reduce, inner);
                matches = stand is not null
                    && shown.Any(s => join.Equivalences.Any(e =>
                        e.Contains(ScalarExprs.Column(shape.Offsets[i] + s)) && e.Contains(ScalarExprs.Column(shape.Offsets[a] + source.Columns[c]))));
                if (matches)
                    stands.Add(column, stand!);
            }

            if (!matches)
                continue;
            var rest = Enumerable.Range(0, nested.Inputs.Count).Where(j => j != k).ToList();
            var restShape = new JoinShape(rest.Select(j => nestedShape.Arities[j]));
            MirScalarExpr Move(int column)
            {
                if (stands.TryGetValue(column, out var stand))
                    column = ((MirScalarExpr.Column)stand).Index;
                var input = nestedShape.InputOf(column);
                return ScalarExprs.Column(restShape.Offsets[rest.IndexOf(input)] + column - nestedShape.Offsets[input]);
            }

            MirRelationExpr smaller = new MirRelationExpr.Join(
                rest.Select(j => nested.Inputs[j]).ToValueArray(),
                nested.Equivalences.Select(e => e.Select(m => m.MapColumns(Move)).Distinct().ToValueArray()).ToValueArray());
            var columns = Mfp.Identity(restShape.Arity).Map(Enumerable.Range(0, nestedShape.Arity).Select(Move));
            smaller = columns.Project(Enumerable.Range(restShape.Arity, nestedShape.Arity).ToValueArray()).Apply(smaller);
            return reduce is null ? top.Apply(smaller) : top.Apply(reduce with { Input = inner.Apply(smaller) });
        }

        return null;
    }

    /// <summary>For a distinct projection: of what, and of which of its columns.</summary>
    private static (MirRelationExpr Of, ValueArray<int> Columns)? KeySource(MirRelationExpr expr)
    {
        if (expr is not MirRelationExpr.Reduce { Aggregates.IsEmpty: true } distinct)
            return null;
        var input = distinct.Input;
        var columns = distinct.GroupKey.Select(k => k is MirScalarExpr.Column c ? c.Index : -1);
        if (input is MirRelationExpr.Project p && columns.All(c => c >= 0))
            (input, columns) = (p.Input, columns.Select(c => p.Outputs[c]));
        return columns.All(c => c >= 0) ? (input, columns) : null;
    }

    /// <summary>The output columns of input i that show a column of the nested join, or one equal to it.</summary>
    private static IEnumerable<int> ShownAs(int column, MirRelationExpr.Join nested, Mfp top, MirRelationExpr.Reduce? reduce, Mfp inner)
    {
        var equal = nested.Equivalences.FirstOrDefault(e => e.Contains(ScalarExprs.Column(column)));
        var places = equal.OfType<MirScalarExpr.Column>().Select(c => c.Index).Append(column).ToHashSet();
        if (reduce is null)
            return Enumerable.Range(0, top.OutputArity).Where(o => places.Contains(top.Projection[o]));
        var outputs = Enumerable.Range(0, inner.OutputArity).Where(o => places.Contains(inner.Projection[o])).ToHashSet();
        var keys = Enumerable.Range(0, reduce.GroupKey.Count).Where(g => reduce.GroupKey[g] is MirScalarExpr.Column c && outputs.Contains(c.Index)).ToHashSet();
        return Enumerable.Range(0, top.OutputArity).Where(o => keys.Contains(top.Projection[o]));
    }
}
